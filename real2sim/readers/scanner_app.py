"""3D Scanner App (Laan Labs), "Share > All Data".

`frame_NNNNN.json` for every ARKit frame (row-major camera-to-world `cameraPoseARFrame`, OpenGL camera, +Y-up world;
row-major `intrinsics` of the 1920 x 1440 picture), `depth_NNNNN.png` (uint16 mm) and `conf_NNNNN.png` in
low-resolution mode, and `frame_NNNNN.jpg` for about every third frame. Checked on two real captures (app 1.9.5) by
fusing them.

The app's meshes are in the same world up to an offset: on one capture `textured_output.obj` and `export_refined.obj`
hang 44 mm above the fused frames (`export.obj` does not), so they are used only where there is no depth.
"""

from __future__ import annotations

import re
from functools import partial

from ...errors import CaptureError
from ..capture import Capture, CaptureMesh, Frame, Intrinsics
from .archive import Source
from .frames import FrameCollector
from .images import color_loader, confidence_loader, depth_loader, image_size
from .parse import as_number, as_numbers, json_object
from .poses import ARKIT_SIZE, from_arkit_opengl, intrinsics_at

FRAME_JSON = re.compile(r"frame_(\d{1,9})\.json")

MESH_FILES = ("textured_output.obj", "export_refined.obj", "export.obj")


def detect(source: Source) -> bool:
    """Whether the folder holds the app's frames, or its `info.json` beside one of its meshes."""
    return any(FRAME_JSON.fullmatch(name) for name in source.files) or (
        "info.json" in source and any(name in source for name in MESH_FILES)
    )


def read(source: Source) -> Capture:
    """Reads the frames; the app's mesh only where no frame has depth (high-resolution mode)."""
    numbers = {int(match[1]): match[1] for name in source.files if (match := FRAME_JSON.fullmatch(name))}
    has_depth = any(f"depth_{digits}.png" in source for digits in numbers.values())
    pictures = [f"frame_{digits}.jpg" for digits in numbers.values() if f"frame_{digits}.jpg" in source]
    size = image_size(source, min(pictures)) if pictures else ARKIT_SIZE
    notes = []
    if pictures and len(pictures) < len(numbers):
        notes.append(f"The app saved a picture for {len(pictures)} of {len(numbers)} frames.")
    if not has_depth:
        notes.append("No depth images (high-resolution mode): only the app's own mesh can be rebuilt.")
    mesh = None if has_depth else _mesh(source)
    collector = FrameCollector(str(source.path), source.store.skipped)
    for index, digits in sorted(numbers.items()):
        collector.add(index, partial(_frame, source, index, digits, size, has_depth))
    frames = collector.frames() if mesh is None else ()
    return Capture(
        path=source.path,
        format="3d-scanner-app",
        frames=frames,
        mesh=mesh,
        notes=tuple(notes),
        skipped=tuple(collector.skipped),
    )


def _frame(source: Source, index: int, digits: str, size: tuple[int, int], has_depth: bool) -> Frame:
    name, picture = f"frame_{digits}.json", f"frame_{digits}.jpg"
    depth, confidence = f"depth_{digits}.png", f"conf_{digits}.png"
    where = source.where(name)
    data = json_object(source, name)
    pose = as_numbers(data.get("cameraPoseARFrame"), 16, f"{where}: cameraPoseARFrame").reshape(4, 4)
    intrinsics = _intrinsics(as_numbers(data.get("intrinsics"), 9, f"{where}: intrinsics").tolist(), size, where)
    if has_depth and not source.files.get(depth):
        raise CaptureError(f"{source.where(depth)}: missing or empty")
    return Frame(
        index=index,
        timestamp=as_number(data["time"], f"{where}: time") if "time" in data else None,
        world_from_camera=from_arkit_opengl(pose, where),
        intrinsics=intrinsics,
        load_color=color_loader(source, picture, size) if picture in source else None,
        load_depth=depth_loader(source, depth, intrinsics) if has_depth else None,
        load_confidence=confidence_loader(source, confidence, depth) if confidence in source and has_depth else None,
    )


def _intrinsics(k: list[float], size: tuple[int, int], where: str) -> Intrinsics:
    return intrinsics_at(k[0], k[4], k[2], k[5], (size, ARKIT_SIZE), f"{where}: intrinsics")


def _mesh(source: Source) -> CaptureMesh | None:
    name = next((name for name in MESH_FILES if name in source), None)
    if name is None:
        return None
    from .obj import read_obj  # only captures without depth need it

    return read_obj(source, name)
