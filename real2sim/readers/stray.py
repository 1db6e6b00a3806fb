"""Stray Scanner: `rgb.mp4`, `depth/NNNNNN.png`, `confidence/NNNNNN.png`, `camera_matrix.csv`, `odometry.csv`.

`odometry.csv` has `timestamp, frame, x, y, z, qx, qy, qz, qw`: camera-to-world in ARKit's +Y-up world, the camera
already in OpenCV axes; newer versions append `fx, fy, cx, cy` of each frame. Depth is uint16 mm (in old captures a
`.npy` of the same). `camera_matrix.csv` is K of the video, as of its last frame. Sources: the app's code and
documentation (github.com/strayrobots/scanner).
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from functools import partial
from tokenize import TokenError

import numpy as np

from ...errors import CaptureError
from ..capture import Capture, Depth, Float, Frame, Image, Intrinsics
from .archive import Source
from .frames import FrameCollector
from .guard import lazy
from .images import (
    DEPTH_MEDIAN_RANGE,
    MAX_DEPTH_PIXELS,
    checked_depth,
    confidence_loader,
    depth_loader,
    image_size,
)
from .parse import as_count, as_number, table
from .poses import ARKIT_SIZE, from_arkit_opencv, intrinsics_at, pose_from_quaternion
from .video import Video

COLUMNS = ("timestamp", "frame", "x", "y", "z", "qx", "qy", "qz", "qw")
PER_FRAME_K = ("fx", "fy", "cx", "cy")
VIDEO = "rgb.mp4"

Numbered = dict[int, str]


def detect(source: Source) -> bool:
    """Whether at least two of the app's files are there (so that a damaged copy is named as such)."""
    signs = ("odometry.csv" in source, "camera_matrix.csv" in source, VIDEO in source, bool(source.under("depth")))
    return sum(signs) >= 2 and (signs[0] or signs[1])


def read(source: Source) -> Capture:
    """Reads a Stray Scanner folder; pictures come from the video as they are asked for."""
    collector = FrameCollector(str(source.path), source.store.skipped)
    depths, confidences = _numbered(source, "depth", "png|npy"), _numbered(source, "confidence", "png")
    if not depths:
        raise CaptureError(f"{source.where('depth')}: no depth images; Stray Scanner needs a phone with LiDAR")
    notes: list[str] = []
    video = _video(source, notes)
    sizes = _sizes(source, video, depths)
    shared = _camera_matrix(source, sizes)
    columns, rows = _odometry(source)
    where = source.where("odometry.csv")

    def frame(row: list[str], index: int, here: str) -> Frame:
        if len(row) < len(columns):
            raise CaptureError(f"{here}: {len(row)} values where the header names {len(columns)}")
        cell = {name: row[column] for name, column in columns.items()}
        intrinsics = shared
        if all(name in cell for name in PER_FRAME_K):
            fx, fy, cx, cy = (as_number(cell[name], here) for name in PER_FRAME_K)
            intrinsics = intrinsics_at(fx, fy, cx, cy, sizes, here)
        if intrinsics is None:
            raise CaptureError(f"{source.where('camera_matrix.csv')}: missing; copy the whole capture again")
        if not source.files.get(depths.get(index, "")):
            raise CaptureError(f"{source.where('depth')}: no depth image for frame {index}")
        return Frame(
            index=index,
            timestamp=as_number(cell["timestamp"], here),
            world_from_camera=_pose(cell, here),
            intrinsics=intrinsics,
            load_color=lazy(source.where(VIDEO), lambda: video.picture(index)) if video else None,
            load_depth=_depth_loader(source, depths[index], intrinsics),
            load_confidence=_confidence_loader(source, confidences.get(index), depths[index]),
        )

    for number, row in enumerate(rows):
        here = f"{where} row {number + 1}"
        try:
            index = as_count(row[columns["frame"]] if columns["frame"] < len(row) else None, here)
        except CaptureError as error:
            collector.skip(f"row {number + 1}", str(error))
            continue
        collector.add(index, partial(frame, row, index, here))
    frames = collector.frames()
    for index in sorted(set(depths) - {frame.index for frame in frames} - {skip.index for skip in collector.skipped}):
        collector.skip(index, "depth without a pose in odometry.csv")
    without = sum(frame.load_confidence is None for frame in frames)
    if without:
        notes.append(f"{without} of {len(frames)} frames have no confidence image.")
    return Capture(source.path, "stray-scanner", frames, notes=tuple(notes), skipped=tuple(collector.skipped))


def _pose(cell: dict[str, str], where: str) -> Float:
    x, y, z, qx, qy, qz, qw = (as_number(cell[name], where) for name in COLUMNS[2:])
    return from_arkit_opencv(pose_from_quaternion(np.array([qx, qy, qz, qw]), np.array([x, y, z]), where), where)


def _odometry(source: Source) -> tuple[dict[str, int], list[list[str]]]:
    """Column positions by name, and the rows."""
    rows = table(source, "odometry.csv")
    if not rows:
        raise CaptureError(f"{source.where('odometry.csv')}: empty, so no frame has a pose; scan again")
    if "frame" not in rows[0]:  # files without a header line
        return {name: column for column, name in enumerate(COLUMNS)}, rows
    columns = {name: column for column, name in enumerate(rows[0])}
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        raise CaptureError(f"{source.where('odometry.csv')}: columns {', '.join(missing)} are missing")
    return columns, rows[1:]


def _camera_matrix(source: Source, sizes: list[tuple[int, int]]) -> Intrinsics | None:
    if "camera_matrix.csv" not in source:
        return None
    where = source.where("camera_matrix.csv")
    rows = table(source, "camera_matrix.csv")
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        raise CaptureError(f"{where}: not a 3 x 3 matrix")
    k = [[as_number(cell, where) for cell in row] for row in rows]
    return intrinsics_at(k[0][0], k[1][1], k[0][2], k[1][2], sizes, where)


def _video(source: Source, notes: list[str]) -> Video | None:
    """The video, or None with a note: depth and poses are worth rebuilding without it."""
    if VIDEO not in source:
        notes.append("rgb.mp4 is missing: the scene will have no texture.")
        return None
    try:
        return Video(source.local_path(VIDEO), source.where(VIDEO))
    except CaptureError as error:
        notes.append(f"The scene will have no texture: {error}.")
        return None


def _sizes(source: Source, video: Video | None, depths: Numbered) -> list[tuple[int, int]]:
    """Picture sizes K may refer to, the loaded one first."""
    if video is not None:
        return [video.size, ARKIT_SIZE]
    pngs = [name for name in depths.values() if name.endswith(".png") and source.files[name]]
    return [ARKIT_SIZE, image_size(source, pngs[0])] if pngs else [ARKIT_SIZE]


def _numbered(source: Source, folder: str, suffixes: str) -> Numbered:
    pattern = re.compile(rf"(\d{{1,9}})\.(?:{suffixes})")
    names = source.under(folder)
    return {int(match[1]): name for name in names if (match := pattern.fullmatch(name.rpartition("/")[2]))}


def _depth_loader(source: Source, name: str, intrinsics: Intrinsics) -> Callable[[], Depth]:
    if name.endswith(".png"):
        return depth_loader(source, name, intrinsics)
    return lazy(source.where(name), lambda: _npy_depth(source, name, intrinsics))


def _confidence_loader(source: Source, name: str | None, depth: str) -> Callable[[], Image] | None:
    if name is None:
        return None
    return confidence_loader(source, name, depth if depth.endswith(".png") else None)


def _npy_depth(source: Source, name: str, intrinsics: Intrinsics) -> Depth:
    """Depth of an old capture: millimetres; floats whose median could not be millimetres of a LiDAR are metres."""
    where = source.where(name)
    stream = io.BytesIO(source.read(name))
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise CaptureError(f"{where}: .npy version {version} is not known")
    try:
        shape, fortran, dtype = header(stream)
    except TokenError as error:  # NumPy parses the header as Python
        raise CaptureError(f"{where}: the .npy header is damaged; copy the capture off the phone again") from error
    count = math.prod(shape)  # before anything is allocated
    if dtype.kind not in "uif" or fortran or len(shape) != 2 or count > MAX_DEPTH_PIXELS:
        raise CaptureError(f"{where}: a {dtype} array of shape {shape} is no depth image")
    depth = np.frombuffer(stream.read(), dtype, count).reshape(shape).astype(np.float32)
    known = depth[np.isfinite(depth) & (depth > 0)]
    metres = dtype.kind == "f" and known.size > 0 and float(np.median(known)) < DEPTH_MEDIAN_RANGE[1]
    return checked_depth(depth if metres else depth * np.float32(1e-3), where, intrinsics)
