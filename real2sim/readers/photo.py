"""One HEIC photo with an embedded depth map (portrait mode), opened as a capture of a single frame without a pose.

The auxiliary depth image is 8-bit; its metadata say how to read it (HEIF depth representation SEI, ISO/IEC 23008-2
Annex G): type 0: inverse depth between z_near and z_far; 1: disparity d_min ... d_max in 1/m as Apple writes it; 2:
depth; 3: disparity as ranks. Apple refines this map for blurring, so it is relative, not metric.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image as PILImage

from ...errors import CaptureError
from ..capture import Capture, Depth, Frame, Image, Intrinsics
from .archive import Source
from .guard import lazy
from .images import MAX_DEPTH_PIXELS, MAX_PIXELS, checked_depth
from .poses import checked_intrinsics

FULL_FRAME_DIAGONAL = math.hypot(36.0, 24.0)
"""Millimetres: EXIF's 35 mm equivalent compares image diagonals (CIPA DCG-001)."""

DEFAULT_35MM = 26.0
"""The wide camera of iPhones 11 to 14."""

BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"heim", b"heis", b"avif")

Decoder = Callable[[NDArray[Any]], NDArray[Any]]
"""From stored values, scaled to [0, 1], to metres."""

EXIF_IFD, FOCAL_35MM = 0x8769, 0xA405


def is_heif(head: bytes) -> bool:
    """Whether the first 12 bytes are those of a HEIF file."""
    return head[4:8] == b"ftyp" and head[8:12] in BRANDS


def read(source: Source, name: str) -> Capture:
    """Reads the photo's depth metadata and EXIF focal length; pixels stay undecoded.

    Raises:
        CaptureError: if the photo has no depth map.
    """
    where = source.where(name)
    photo = _open(source, name)
    width, height = photo.size
    depths = photo.info.get("depth_images") or []
    if not depths:
        raise CaptureError(f"{where}: the photo has no depth map; take it in Portrait mode, or scan with a LiDAR app")
    decode = _decoder(depths[0].info.get("metadata") or {}, where)
    equivalent = _focal_35mm(photo, where)
    notes = [
        "A single photo: no pose and no gravity, only what the camera saw.",
        "Depth of a portrait photo is relative: sizes are estimates.",
        f"Focal length from EXIF: {equivalent:g} mm (35 mm equivalent)."
        if equivalent
        else f"EXIF has no focal length: {DEFAULT_35MM:g} mm (35 mm equivalent) is assumed.",
    ]
    focal = (equivalent or DEFAULT_35MM) / FULL_FRAME_DIAGONAL * math.hypot(width, height)
    intrinsics = checked_intrinsics(focal, focal, width / 2, height / 2, width, height, where)
    frame = Frame(
        index=0,
        timestamp=None,
        world_from_camera=None,
        intrinsics=intrinsics,
        load_color=lazy(where, lambda: _color(source, name)),
        load_depth=lazy(where, lambda: _depth(source, name, decode, intrinsics)),
    )
    return Capture(
        source.path,
        "heic-depth",
        (frame,),
        is_metric=False,
        has_gravity=False,
        notes=tuple(notes),
        skipped=source.store.skipped,
    )


def _open(source: Source, name: str) -> Any:
    photo = pillow_heif.open_heif(io.BytesIO(source.read(name)), convert_hdr_to_8bit=True)
    if not len(photo):
        raise CaptureError(f"{source.where(name)}: no picture in the file; copy it off the phone again")
    if not 0 < photo.size[0] * photo.size[1] <= MAX_PIXELS:
        raise CaptureError(f"{source.where(name)}: {photo.size[0]} x {photo.size[1]} pixels are too many")
    return photo


def _color(source: Source, name: str) -> Image:
    return np.asarray(_open(source, name).to_pillow().convert("RGB"), dtype=np.uint8)


def _depth(source: Source, name: str, decode: Decoder, intrinsics: Intrinsics) -> Depth:
    depths = _open(source, name).info.get("depth_images") or []
    if not depths or not 0 < depths[0].size[0] * depths[0].size[1] <= MAX_DEPTH_PIXELS:
        raise CaptureError(f"{source.where(name)}: its depth map is missing or too large")
    image = depths[0].to_pillow()
    full = 65535 if image.mode.startswith("I") else 255
    values = np.asarray(image if full > 255 else image.convert("L"), dtype=np.float32) / np.float32(full)
    return checked_depth(decode(values), source.where(name), intrinsics)


def _decoder(metadata: dict[str, Any], where: str) -> Decoder:
    """The formula that the metadata ask for."""
    kind = metadata.get("representation_type")
    keys = ("d_min", "d_max") if kind == 1 else ("z_near", "z_far")
    low, high = (_finite(metadata.get(key)) for key in keys)
    if kind == 1 and 0 <= low < high:
        return lambda values: 1 / np.maximum(low + values * np.float32(high - low), np.float32(1e-3))
    if kind == 0 and 0 < low < high:
        return lambda values: 1 / (values / np.float32(low) + (1 - values) / np.float32(high))
    if kind == 2 and 0 <= low < high:
        return lambda values: low + values * np.float32(high - low)
    raise CaptureError(f"{where}: depth map of type {kind} with range {low} to {high} cannot be read as metres")


def _finite(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else -1.0


def _focal_35mm(photo: Any, where: str) -> float | None:
    data = photo.info.get("exif")
    if not data:
        return None
    exif = PILImage.Exif()
    exif.load(data)
    value = exif.get_ifd(EXIF_IFD).get(FOCAL_35MM)
    return float(value) if isinstance(value, int | float) and 10 <= value <= 300 else None
