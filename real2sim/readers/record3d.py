"""Record3D: the `.r3d` archive, and the "EXR + RGBD" export folder.

`.r3d`: a zip of `metadata` (JSON), `rgbd/N.jpg`, `rgbd/N.depth` (LZFSE, float32 metres, dh x dw) and `rgbd/N.conf`
(LZFSE, uint8). The export: `metadata.json`, `rgb/N.jpg` (or .png) and `depth/N.exr` (float32 metres). In both,
`poses` are N x 7 (qx qy qz qw tx ty tz), camera-to-world, OpenGL axes of the picture as stored, +Y-up world; `K` is
column-major; `perFrameIntrinsicCoeffs`, in newer files, are N x 4 (fx fy cx cy). Depth is NaN where unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ...errors import CaptureError
from ..capture import Capture, Depth, Frame, Image, Intrinsics
from .archive import Source
from .exr import exr_depth
from .frames import FrameCollector
from .guard import lazy
from .images import MAX_DEPTH_PIXELS, checked_confidence, checked_depth, color_loader, image_size
from .parse import JsonObject, as_count, as_list, as_number, as_numbers, json_object
from .poses import checked_intrinsics, from_arkit_opengl, pose_from_quaternion

KNOWN_DEPTH_SIZES = ((192, 256), (256, 192), (480, 640), (640, 480))
"""Height and width of LiDAR and TrueDepth maps, for old files that do not store them."""


def detect(source: Source) -> bool:
    """Whether it is an `.r3d` (packed or unpacked) or the EXR export."""
    return ("metadata" in source and "rgbd" in source.folders()) or detect_exr(source)


def detect_exr(source: Source) -> bool:
    """Whether it is the EXR export."""
    return "metadata.json" in source and bool(source.under("depth", ".exr"))


def read(source: Source) -> Capture:
    """Reads all frames that have a pose, a picture and depth."""
    exr = detect_exr(source)
    name = "metadata.json" if exr else "metadata"
    where = source.where(name)
    metadata = json_object(source, name)
    poses = as_list(metadata.get("poses"), f"{where}: poses")
    if not poses:
        raise CaptureError(f"{where}: no poses; record with camera tracking switched on")
    times = as_list(metadata.get("frameTimestamps"), f"{where}: frameTimestamps")
    notes = []
    if times and len(times) != len(poses):
        notes.append(f"{len(times)} times for {len(poses)} poses: times are ignored.")
        times = []
    files = _exr_files if exr else _r3d_files
    pictures = [picture for i in range(len(poses)) if (picture := files(source, i)[0]) in source]
    if not pictures:
        raise CaptureError(f"{source.path}: {len(poses)} poses but no pictures; export the recording again")
    size = image_size(source, pictures[0])
    collector = FrameCollector(str(source.path), source.store.skipped)

    def frame(index: int) -> Frame:
        picture, depth, confidence = files(source, index)
        here = f"{where}: poses[{index}]"
        if picture not in source or not source.files.get(depth):
            raise CaptureError(f"{source.where(depth)}: depth or picture is missing or empty")
        pose = as_numbers(poses[index], 7, here)
        intrinsics = _intrinsics(metadata, index, where).scaled(*size)
        return Frame(
            index=index,
            timestamp=as_number(times[index], f"{where}: frameTimestamps[{index}]") if times else None,
            world_from_camera=from_arkit_opengl(pose_from_quaternion(pose[:4], pose[4:], here), here),
            intrinsics=intrinsics,
            load_color=color_loader(source, picture, size),
            load_depth=_depth_loader(source, depth, metadata, intrinsics, where),
            load_confidence=_confidence_loader(source, confidence, metadata, where) if confidence in source else None,
        )

    for index in range(len(poses)):
        collector.add(index, partial(frame, index))
    frames = collector.frames()
    without = sum(frame.load_confidence is None for frame in frames)
    if without:
        notes.append(f"{without} of {len(frames)} frames have no confidence image.")
    return Capture(
        source.path, "record3d-exr" if exr else "record3d", frames, notes=tuple(notes), skipped=tuple(collector.skipped)
    )


def _r3d_files(source: Source, index: int) -> tuple[str, str, str]:
    return f"rgbd/{index}.jpg", f"rgbd/{index}.depth", f"rgbd/{index}.conf"


def _exr_files(source: Source, index: int) -> tuple[str, str, str]:
    picture = f"rgb/{index}.png" if f"rgb/{index}.png" in source else f"rgb/{index}.jpg"
    return picture, f"depth/{index}.exr", f"confidence/{index}.conf"


def _intrinsics(metadata: JsonObject, index: int, where: str) -> Intrinsics:
    width, height = (as_count(metadata.get(key), f"{where}: {key}", most=1 << 16) for key in ("w", "h"))
    coefficients = as_list(metadata.get("perFrameIntrinsicCoeffs"), f"{where}: perFrameIntrinsicCoeffs")
    if index < len(coefficients):
        fx, fy, cx, cy = as_numbers(coefficients[index], 4, f"{where}: perFrameIntrinsicCoeffs[{index}]")
    else:
        k = as_numbers(metadata.get("K"), 9, f"{where}: K").reshape(3, 3).T  # stored column by column
        fx, fy, cx, cy = k[0, 0], k[1, 1], k[0, 2], k[1, 2]
    return checked_intrinsics(float(fx), float(fy), float(cx), float(cy), width, height, f"{where}: K")


def _depth_loader(
    source: Source, name: str, metadata: JsonObject, intrinsics: Intrinsics, where: str
) -> Callable[[], Depth]:
    def load() -> Depth:
        if name.endswith(".exr"):
            values: NDArray[Any] = exr_depth(source.read(name), source.where(name))
        else:
            values = _unpacked(source, name, metadata, np.dtype("<f4"), where)
        return checked_depth(values, source.where(name), intrinsics)

    return lazy(source.where(name), load)


def _confidence_loader(source: Source, name: str, metadata: JsonObject, where: str) -> Callable[[], Image]:
    def load() -> Image:
        return checked_confidence(_unpacked(source, name, metadata, np.dtype("u1"), where), source.where(name))

    return lazy(source.where(name), load)


def _unpacked(source: Source, name: str, metadata: JsonObject, dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    """An LZFSE image [dh, dw]."""
    if "dw" in metadata and "dh" in metadata:
        shapes = [tuple(as_count(metadata[key], f"{where}: {key}", most=1 << 12) for key in ("dh", "dw"))]
    else:
        portrait = as_number(metadata.get("h"), f"{where}: h") > as_number(metadata.get("w"), f"{where}: w")
        shapes = [shape for shape in KNOWN_DEPTH_SIZES if (shape[0] > shape[1]) == portrait]
    sizes = {height * width * dtype.itemsize: (height, width) for height, width in shapes}
    packed = source.read(name, limit=MAX_DEPTH_PIXELS)
    try:  # what is damaged may have no end: no more is unpacked than there can be
        data = imagecodecs.lzfse_decode(packed, out=max(sizes) + 1)
    except imagecodecs.LzfseError as error:
        raise CaptureError(
            f"{source.where(name)}: LZFSE data is damaged; copy the recording off the phone again"
        ) from error
    if not data or len(data) not in sizes:
        known = " or ".join(f"{width} x {height}" for height, width in sizes.values())
        raise CaptureError(
            f"{source.where(name)}: LZFSE data is damaged or not {known} pixels; copy the recording off the phone again"
        )
    return np.frombuffer(data, dtype).reshape(sizes[len(data)])
