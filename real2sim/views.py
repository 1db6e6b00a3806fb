"""Frames made ready for geometry: decoded, confidence-filtered depth with its camera, and a small colour image.

Reading is the only place where bad frames are met: what cannot be decoded is skipped and counted, with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from scipy import ndimage

from ..errors import CaptureError
from .capture import Capture, Depth, Float, Frame, Image, Intrinsics, Skipped

Progress = Callable[[float], None]
"""Called with the finished share of a stage, in [0, 1]."""

NEAR, FAR = 0.15, 5.0
"""Usable range of iPhone LiDAR [m] (Apple states 5 m)."""
EDGE_STEP = 0.02
"""Depth jumps larger than this [m], plus 2 % of the range, are borders: ARKit smears depth across them."""


@dataclass(frozen=True)
class DepthView:
    """One usable frame.

    Attributes:
        index: the frame's own number.
        world_from_camera: float64 [4, 4], OpenCV axes, Z-up world.
        intrinsics: of `depth` (and of `color`, which has the same size).
        depth: float32 [h, w] metres, 0 where unknown, unsure or on a border.
        color: uint8 [h, w, 3] at depth resolution, or None.
        edges: float32 [h, w], depth with its borders kept and one step less confidence: unfit for measuring surfaces,
            but the only trace of things two pixels wide (rims, handles).
    """

    index: int
    world_from_camera: Float
    intrinsics: Intrinsics
    depth: Depth
    color: Image | None
    edges: Depth


def filter_depth(depth: Depth, confidence: Image | None, *, minimum_confidence: int) -> Depth:
    """Zeroes what LiDAR cannot be trusted on: low confidence, out of range, and the smeared pixels along depth
    borders."""
    clean = np.where(np.isfinite(depth) & (depth > NEAR) & (depth < FAR), depth, 0).astype(np.float32)
    if confidence is not None:
        clean[confidence < minimum_confidence] = 0
    known = np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0)
    spread = ndimage.maximum_filter(known, 3) - ndimage.minimum_filter(known, 3)
    clean[spread > EDGE_STEP + 0.02 * known] = 0
    return clean


def load_views(
    capture: Capture, *, maximum: int = 400, minimum_confidence: int = 2, progress: Progress | None = None
) -> tuple[list[DepthView], list[Skipped]]:
    """Decodes up to `maximum` posed depth frames, evenly spread over the capture.

    Raises:
        CaptureError: if no frame is usable.
    """
    frames = [f for f in capture.frames if f.load_depth is not None and f.world_from_camera is not None]
    skipped: list[Skipped] = []
    if len(frames) > maximum:
        chosen = np.unique(np.linspace(0, len(frames) - 1, maximum).round().astype(int))
        frames = [frames[i] for i in chosen]
    views: list[DepthView] = []
    for number, frame in enumerate(frames):
        try:
            views.append(_load_view(frame, minimum_confidence))
        except CaptureError as error:
            skipped.append(Skipped(frame.index, str(error)))
        if progress is not None:
            progress((number + 1) / len(frames))
    if not views:
        why = f"; first reason: {skipped[0].reason}" if skipped else ""
        raise CaptureError(f"{capture.path}: none of {len(capture.frames)} frames has usable depth and a pose{why}")
    return views, skipped


def _load_view(frame: Frame, minimum_confidence: int) -> DepthView:
    assert frame.load_depth is not None
    assert frame.world_from_camera is not None
    raw = frame.load_depth()
    confidence = frame.load_confidence() if frame.load_confidence is not None else None
    if confidence is not None and confidence.shape != raw.shape:
        raise CaptureError(f"frame {frame.index}: confidence is {confidence.shape}, depth is {raw.shape}")
    depth = filter_depth(raw, confidence, minimum_confidence=minimum_confidence)
    if np.count_nonzero(depth) < 0.02 * depth.size:
        raise CaptureError(f"frame {frame.index}: under 2 % of the depth pixels are usable")
    height, width = depth.shape
    color = None
    if frame.load_color is not None:
        color = resize(frame.load_color(), width, height)
    edges = np.where(np.isfinite(raw) & (raw > NEAR) & (raw < FAR), raw, 0).astype(np.float32)
    if confidence is not None:
        edges[confidence < minimum_confidence - 1] = 0
    return DepthView(frame.index, frame.world_from_camera, frame.intrinsics.scaled(width, height), depth, color, edges)


def resize(image: Image, width: int, height: int) -> Image:
    """Area-averaged resize of uint8 [H, W, 3]."""
    picture = PILImage.fromarray(image)
    return np.asarray(picture.resize((width, height), PILImage.Resampling.BOX, reducing_gap=2.0))


def unproject(view: DepthView) -> tuple[Float, NDArray[np.bool_]]:
    """World points [N, 3] of the usable pixels, and the mask [h, w] they come from."""
    mask = view.depth > 0
    v, u = np.nonzero(mask)
    z = view.depth[mask].astype(np.float64)
    k = view.intrinsics
    camera = np.stack([(u + 0.5 - k.cx) / k.fx * z, (v + 0.5 - k.cy) / k.fy * z, z], axis=1)
    return camera @ view.world_from_camera[:3, :3].T + view.world_from_camera[:3, 3], mask


def project(points: Float, view: DepthView) -> tuple[NDArray[np.int64], Float, NDArray[np.bool_]]:
    """Pixels [N, 2] (u, v; clipped into the picture), depths [N] and whether each world point [N, 3] falls inside."""
    camera_from_world = np.linalg.inv(view.world_from_camera)
    camera = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    z = camera[:, 2]
    k = view.intrinsics
    safe = np.where(z > 1e-6, z, 1e-6)
    u = np.floor(camera[:, 0] / safe * k.fx + k.cx)
    v = np.floor(camera[:, 1] / safe * k.fy + k.cy)
    inside = (z > NEAR) & (u >= 0) & (u < k.width) & (v >= 0) & (v < k.height)
    pixels = np.stack([np.clip(u, 0, k.width - 1), np.clip(v, 0, k.height - 1)], axis=1).astype(np.int64)
    return pixels, z, inside


def transformed(views: Sequence[DepthView], transform: Float) -> list[DepthView]:
    """The same views after moving the world by `transform` [4, 4]."""
    return [replace(view, world_from_camera=transform @ view.world_from_camera) for view in views]
