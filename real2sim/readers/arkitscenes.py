"""ARKitScenes (Apple's iPad data set): low-resolution frames matched by time.

`lowres_wide.traj` has lines `time rx ry rz tx ty tz`, axis-angle, **world-to-camera**, OpenCV camera, world +Z up (so
stated in apple/ARKitScenes issue 81); `lowres_wide/`, `lowres_depth/` (uint16 mm), `confidence/` (0, 1, 2) and
`lowres_wide_intrinsics/*.pincam` (`w h fx fy cx cy`) are named `<scene>_<time>`, times rounded to a millisecond.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import partial

import numpy as np

from ...errors import CaptureError
from ..capture import Capture, Frame
from .archive import Source
from .frames import FrameCollector
from .images import color_loader, confidence_loader, depth_loader
from .parse import MAX_TABLE, as_count, as_number
from .poses import checked_intrinsics, inverse, pose_from_axis_angle

TOLERANCE = 0.005
"""Seconds between a pose and its images: Apple's own loader accepts 5 ms; frames are 16 ms apart."""

STAMP = re.compile(r"(?:.*_)?(\d{1,12}(?:\.\d{1,12})?)\.(?:png|pincam)")

TRAJECTORY = "lowres_wide.traj"


def detect(source: Source) -> bool:
    """Whether the trajectory or two of the image folders are there."""
    folders = {"lowres_wide", "lowres_depth", "lowres_wide_intrinsics"} & set(source.folders())
    return TRAJECTORY in source or len(folders) >= 2


def read(source: Source) -> Capture:
    """Reads one frame per pose of the trajectory that has depth and intrinsics of the same time."""
    where = source.where(TRAJECTORY)
    lines = source.read(TRAJECTORY, limit=MAX_TABLE).decode().splitlines()
    depths = _Stamped(source, "lowres_depth")
    pictures, confidences = _Stamped(source, "lowres_wide"), _Stamped(source, "confidence")
    cameras = _Stamped(source, "lowres_wide_intrinsics")
    taken: set[str] = set()
    collector = FrameCollector(str(source.path), source.store.skipped)

    def frame(index: int, line: str) -> Frame:
        here = f"{where} line {index + 1}"
        values = np.array([as_number(value, here) for value in line.split()])
        if len(values) != 7:
            raise CaptureError(f"{here}: {len(values)} numbers instead of 7")
        time = float(values[0])
        depth, camera = depths.nearest(time), cameras.nearest(time)
        if depth is None or not source.files[depth]:
            raise CaptureError(f"{here}: no depth within {TOLERANCE * 1e3:g} ms of {time:.3f} s")
        if camera is None:
            raise CaptureError(f"{here}: no intrinsics within {TOLERANCE * 1e3:g} ms of {time:.3f} s")
        if depth in taken:
            raise CaptureError(f"{here}: its depth image belongs to the pose before")
        camera_from_world = pose_from_axis_angle(values[1:4], values[4:], here)
        text = source.read(camera, limit=1 << 12).decode().split()
        if len(text) != 6:
            raise CaptureError(f"{source.where(camera)}: {len(text)} numbers instead of 6")
        width, height = (as_count(value, source.where(camera), most=1 << 16) for value in text[:2])
        fx, fy, cx, cy = (as_number(value, source.where(camera)) for value in text[2:])
        intrinsics = checked_intrinsics(fx, fy, cx, cy, width, height, source.where(camera))
        picture, confidence = pictures.nearest(time), confidences.nearest(time)
        taken.add(depth)
        return Frame(
            index=index,
            timestamp=time,
            world_from_camera=inverse(camera_from_world),
            intrinsics=intrinsics,
            load_color=color_loader(source, picture, (width, height)) if picture else None,
            load_depth=depth_loader(source, depth, intrinsics),
            load_confidence=confidence_loader(source, confidence, depth) if confidence else None,
        )

    for index, line in enumerate(lines):
        if line.strip():
            collector.add(index, partial(frame, index, line))
    frames = collector.frames()
    notes = []
    unused = len(depths.names) - len(taken)
    if unused:
        notes.append(f"{unused} depth images lie between the poses of the trajectory and are not used.")
    without = sum(frame.load_confidence is None for frame in frames)
    if without:
        notes.append(f"{without} of {len(frames)} frames have no confidence image.")
    return Capture(source.path, "arkitscenes", frames, notes=tuple(notes), skipped=tuple(collector.skipped))


class _Stamped:
    """Files of a folder by the time in their names."""

    def __init__(self, source: Source, folder: str) -> None:
        stamped = sorted(
            (float(match[1]), name)
            for name in source.under(folder, ".png", ".pincam")
            if (match := STAMP.fullmatch(name.rpartition("/")[2]))
        )
        self.times = [time for time, _ in stamped]
        self.names = [name for _, name in stamped]

    def nearest(self, time: float) -> str | None:
        """The file nearest in time, or None if it is further than the tolerance."""
        right = bisect_left(self.times, time)
        around = [i for i in (right - 1, right) if 0 <= i < len(self.times)]
        best = min(around, key=lambda i: abs(self.times[i] - time), default=None)
        return None if best is None or abs(self.times[best] - time) > TOLERANCE else self.names[best]
