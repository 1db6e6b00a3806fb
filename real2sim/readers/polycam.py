"""Polycam "raw data" export (developer mode, LiDAR or Room capture).

`keyframes/{images,cameras,depth,confidence}/<microseconds>.{jpg,json,png}` and, after Polycam's own bundle
adjustment, `keyframes/corrected_{images,cameras}`, which are preferred. Cameras are `t_00` ... `t_23`: row-major 3 x
4 camera-to-world, OpenGL, ARKit's +Y-up world; depth uint16 mm; confidence 0, 127, 255. `raw.glb` is turned by the
column-major `alignmentTransform` of `mesh_info.json`; it is read only where no keyframe has depth. Source:
github.com/PolyCam/polyform.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np

from ...errors import CaptureError
from ..capture import Z_UP_FROM_Y_UP, Capture, CaptureMesh, Float, Frame
from .archive import Source
from .frames import FrameCollector
from .images import color_loader, confidence_loader, depth_loader, image_size
from .parse import as_count, as_number, as_numbers, json_object
from .poses import checked_intrinsics, from_arkit_opengl, inverse, rigid

KEY = re.compile(r"(\d{1,18})\.json")


def detect(source: Source) -> bool:
    """Whether the folder has Polycam's keyframes."""
    return any(name.startswith(("keyframes/cameras/", "keyframes/corrected_cameras/")) for name in source.files)


def read(source: Source) -> Capture:
    """Reads the keyframes, corrected ones where Polycam wrote them."""
    corrected = bool(source.under("keyframes/corrected_cameras", ".json"))
    kind = "corrected_" if corrected else ""
    notes = (
        [] if corrected else ["Polycam wrote no corrected cameras (above about 700 frames it does not): poses drift."]
    )
    cameras = source.under(f"keyframes/{kind}cameras", ".json")
    keys = {int(match[1]): match[1] for name in cameras if (match := KEY.fullmatch(name.rpartition("/")[2]))}
    if not any(source.files.get(f"keyframes/depth/{digits}.png") for digits in keys.values()):
        mesh = _raw_mesh(source)
        if mesh is None:
            raise CaptureError(f"{source.path}: no depth images and no raw.glb; scan in LiDAR or Room mode")
        notes = ["No depth images: only Polycam's own mesh can be rebuilt."]
        return Capture(source.path, "polycam", mesh=mesh, notes=tuple(notes), skipped=source.store.skipped)
    collector = FrameCollector(str(source.path), source.store.skipped)
    for number, digits in sorted(keys.items()):
        collector.add(number, partial(_frame, source, number, digits, kind))
    if corrected:
        for name in source.under("keyframes/cameras", ".json"):
            stem = name.rpartition("/")[2]
            if f"keyframes/corrected_cameras/{stem}" not in source:
                collector.skip(stem, "has no corrected camera")
    return Capture(source.path, "polycam", collector.frames(), notes=tuple(notes), skipped=tuple(collector.skipped))


def _frame(source: Source, number: int, digits: str, kind: str) -> Frame:
    name = f"keyframes/{kind}cameras/{digits}.json"
    picture, depth = f"keyframes/{kind}images/{digits}.jpg", f"keyframes/depth/{digits}.png"
    confidence = f"keyframes/confidence/{digits}.png"
    where = source.where(name)
    camera = json_object(source, name)
    pose = np.eye(4)
    for row in range(3):
        for column in range(4):
            key = f"t_{row}{column}"
            pose[row, column] = as_number(camera.get(key), f"{where}: {key}")
    fx, fy, cx, cy = (as_number(camera.get(key), f"{where}: {key}") for key in ("fx", "fy", "cx", "cy"))
    width, height = (as_count(camera.get(key), f"{where}: {key}", most=1 << 16) for key in ("width", "height"))
    if not source.files.get(depth):
        raise CaptureError(f"{source.where(depth)}: missing or empty")
    intrinsics = checked_intrinsics(fx, fy, cx, cy, width, height, where)
    size = image_size(source, picture) if picture in source else (width, height)
    intrinsics = intrinsics.scaled(*size)
    return Frame(
        index=number,
        timestamp=number * 1e-6,
        world_from_camera=from_arkit_opengl(pose, where),
        intrinsics=intrinsics,
        load_color=color_loader(source, picture, size) if picture in source else None,
        load_depth=depth_loader(source, depth, intrinsics),
        load_confidence=confidence_loader(source, confidence, depth) if confidence in source else None,
    )


def _raw_mesh(source: Source) -> CaptureMesh | None:
    """`raw.glb` in the world of the cameras."""
    if "raw.glb" not in source:
        return None
    from .mesh_file import read_glb  # only captures without depth need it

    turn: Float = np.eye(4)
    if "mesh_info.json" in source:
        where = f"{source.where('mesh_info.json')}: alignmentTransform"
        info = json_object(source, "mesh_info.json")
        if info.get("alignmentTransform") is not None:
            turn = inverse(rigid(as_numbers(info["alignmentTransform"], 16, where).reshape(4, 4).T, where))
    return read_glb(source, "raw.glb", Z_UP_FROM_Y_UP @ turn)
