"""NeRFCapture, and its desktop script for instant-ngp: `transforms.json`, pictures and depth PNGs.

`transform_matrix` is camera-to-world, row-major, OpenGL, ARKit's +Y-up world; `fl_x fl_y cx cy w h` per frame or for
all; depth is uint16 times `integer_depth_scale` metres (`depth_integer_scale` in the app's own manifest). Source:
github.com/jc211/NeRFCapture.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ...errors import CaptureError
from ..capture import Capture, Frame
from .archive import Source
from .frames import FrameCollector
from .images import color_loader, depth_loader, image_size
from .parse import JsonObject, as_count, as_list, as_number, as_numbers, as_object, as_text, json_object
from .poses import checked_intrinsics, from_arkit_opengl

MANIFEST = "transforms.json"

SCALE_KEYS = ("integer_depth_scale", "depth_integer_scale", "depthIntegerScale")

MILLIMETRE = 1e-3

MAX_SCALE = 0.02
"""Metres a count: 65,535 counts would reach 1.3 km, so a larger number (old app versions write 1) is a placeholder."""


def detect(source: Source) -> bool:
    """Whether there is a `transforms.json`."""
    return MANIFEST in source


def read(source: Source) -> Capture:
    """Reads the frames listed in `transforms.json`."""
    where = source.where(MANIFEST)
    manifest = json_object(source, MANIFEST)
    entries = as_list(manifest.get("frames"), f"{where}: frames")
    notes: list[str] = []
    scale = _depth_scale(manifest, where, notes)
    has_depth = any(isinstance(entry, dict) and entry.get("depth_path") for entry in entries)
    if entries and not has_depth:
        raise CaptureError(f"{where}: no frame has depth; record with LiDAR, pictures alone cannot be rebuilt")
    collector = FrameCollector(str(source.path), source.store.skipped)
    for index, entry in enumerate(entries):
        collector.add(index, partial(_frame, source, manifest, index, entry, scale))
    notes.append("NeRFCapture stores no depth confidence.")
    return Capture(source.path, "nerfcapture", collector.frames(), notes=tuple(notes), skipped=tuple(collector.skipped))


def _depth_scale(manifest: JsonObject, where: str, notes: list[str]) -> float:
    key = next((key for key in SCALE_KEYS if manifest.get(key) is not None), None)
    scale = as_number(manifest[key], f"{where}: {key}") if key else 0.0
    if scale < 0:
        raise CaptureError(f"{where}: {key} is negative")
    if 0 < scale <= MAX_SCALE:
        return scale
    notes.append(f"No usable depth scale in {MANIFEST} ({scale:g}): depth is taken as millimetres.")
    return MILLIMETRE


def _frame(source: Source, manifest: JsonObject, index: int, entry: Any, scale: float) -> Frame:
    where = f"{source.where(MANIFEST)}: frames[{index}]"
    entry = as_object(entry, where)

    def number(key: str) -> float:
        return as_number(entry.get(key, manifest.get(key)), f"{where}: {key}")

    rows = as_list(entry.get("transform_matrix"), f"{where}: transform_matrix")
    if len(rows) != 4:
        raise CaptureError(f"{where}: transform_matrix has {len(rows)} rows instead of 4")
    pose = np.stack([as_numbers(row, 4, f"{where}: transform_matrix") for row in rows])
    width, height = (as_count(number(key), f"{where}: {key}", most=1 << 16) for key in ("w", "h"))
    intrinsics = checked_intrinsics(number("fl_x"), number("fl_y"), number("cx"), number("cy"), width, height, where)
    picture = _file(source, entry.get("file_path"), f"{where}: file_path")
    depth = _file(source, entry.get("depth_path"), f"{where}: depth_path")
    if depth is None or not source.files[depth]:
        raise CaptureError(f"{where}: its depth image is missing or empty")
    size = image_size(source, picture) if picture else (width, height)
    intrinsics = intrinsics.scaled(*size)
    return Frame(
        index=index,
        timestamp=as_number(entry["timestamp"], f"{where}: timestamp") if "timestamp" in entry else None,
        world_from_camera=from_arkit_opengl(pose, where),
        intrinsics=intrinsics,
        load_color=color_loader(source, picture, size) if picture else None,
        load_depth=depth_loader(source, depth, intrinsics, scale=scale),
    )


def _file(source: Source, reference: Any, where: str) -> str | None:
    """The listed file a manifest path names; the app leaves suffixes out."""
    if reference is None:
        return None
    stem = as_text(reference, where)
    return next((name for suffix in ("", ".png", ".jpg") if (name := source.find(stem + suffix)) is not None), None)
