"""One picture and its ARKit depth PNG, without camera or pose: a capture of a single frame.

Several apps and data sets keep single LiDAR frames so. The picture's K is assumed: the wide camera of LiDAR iPhones.
"""

from __future__ import annotations

from ...errors import CaptureError
from ..capture import Capture, Frame
from .archive import Source
from .images import color_loader, depth_loader, image_mode, image_size
from .poses import checked_intrinsics

WIDE_FOCAL = 0.757
"""Focal length over the long side of the picture: 1454 / 1920 and 1448 / 1920 in real iPhone LiDAR captures."""

PICTURES = (".jpg", ".jpeg", ".png")


def find_pair(source: Source) -> tuple[str, str] | None:
    """The folder's only colour picture and only 16-bit grey PNG, if it has just these two pictures."""
    pictures = source.under("", *PICTURES)
    if len(pictures) != 2:
        return None
    kinds = {image_mode(source, name).startswith("I"): name for name in pictures}
    return (kinds[False], kinds[True]) if len(kinds) == 2 else None


def read(source: Source, picture: str, depth: str) -> Capture:
    """A single frame; the camera is assumed, and the notes say so."""
    width, height = image_size(source, picture)
    focal = WIDE_FOCAL * max(width, height)
    intrinsics = checked_intrinsics(focal, focal, width / 2, height / 2, width, height, source.where(picture))
    if not source.files[depth]:
        raise CaptureError(f"{source.where(depth)}: empty")
    frame = Frame(
        index=0,
        timestamp=None,
        world_from_camera=None,
        intrinsics=intrinsics,
        load_color=color_loader(source, picture, (width, height)),
        load_depth=depth_loader(source, depth, intrinsics),
    )
    notes = (
        "A single frame: no pose and no gravity, only what the camera saw.",
        f"No camera data: a LiDAR iPhone's wide camera is assumed (focal length {focal:.0f} px, within about 10 %).",
        "No depth confidence.",
    )
    return Capture(source.path, "rgbd-pair", (frame,), has_gravity=False, notes=notes, skipped=source.store.skipped)
