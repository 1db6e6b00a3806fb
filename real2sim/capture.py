"""What every phone format becomes: a `Capture` of posed RGB-D frames, a mesh or a parametric room.

One convention for all readers, converted nowhere else:

- world: right-handed, Z up, metres (ARKit's +Y-up world is turned by (x, y, z) -> (x, -z, y));
- camera: OpenCV axes (+X right, +Y down, looks along +Z);
- depth: float32 metres along +Z, 0 where unknown; confidence: uint8 in {0, 1, 2} as ARKit defines it (2 is best);
- pixels are loaded only when asked for: a `Frame` holds loaders, not images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Image = NDArray[np.uint8]
Depth = NDArray[np.float32]

Z_UP_FROM_Y_UP: Float = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
"""Rotates ARKit's +Y-up world into the Z-up world: (x, y, z) -> (x, -z, y)."""

OPENCV_FROM_OPENGL: Float = np.diag([1.0, -1.0, -1.0, 1.0])
"""Flips a camera between OpenGL axes (ARKit) and OpenCV axes; its own inverse."""


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """A pinhole camera without distortion; lengths in pixels of an image `width` x `height`."""

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera at another resolution (ARKit registers depth to colour, so this maps one to the other)."""
        sx, sy = width / self.width, height / self.height
        return Intrinsics(self.fx * sx, self.fy * sy, self.cx * sx, self.cy * sy, width, height)

    @property
    def matrix(self) -> Float:
        """The 3x3 camera matrix."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment of a capture.

    Attributes:
        index: the number the app gave the frame.
        timestamp: seconds on the phone's clock, or None.
        world_from_camera: float64 [4, 4], OpenCV camera to Z-up world, or None for a single photo without a pose.
        intrinsics: of the colour image (of the depth image where there is no colour).
        load_color: gives uint8 [H, W, 3], or None where the app saved no picture for this frame.
        load_depth: gives float32 [h, w] metres, 0 where unknown, or None.
        load_confidence: gives uint8 [h, w] in {0, 1, 2}, or None where the format has none.
    """

    index: int
    timestamp: float | None
    world_from_camera: Float | None
    intrinsics: Intrinsics
    load_color: Callable[[], Image] | None = None
    load_depth: Callable[[], Depth] | None = None
    load_confidence: Callable[[], Image] | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A frame (or a file) left out, and why: counted in the report, never silently dropped."""

    index: int | str
    reason: str


@dataclass(frozen=True)
class CaptureMesh:
    """A triangle mesh in the Z-up world.

    Attributes:
        vertices: float64 [V, 3] metres (if the capture is metric).
        faces: int64 [F, 3].
        uv: float64 [F, 3, 2] per face corner, V upwards as in OBJ, or None.
        texture: uint8 [H, W, 3], or None.
        colors: uint8 [V, 3], or None.
        name: what the file calls it.
    """

    vertices: Float
    faces: NDArray[np.int64]
    uv: Float | None = None
    texture: Image | None = None
    colors: Image | None = None
    name: str = "mesh"


RoomKind = Literal["wall", "door", "window", "opening", "floor", "object"]


@dataclass(frozen=True)
class RoomElement:
    """One box of a parametric room (Apple RoomPlan).

    Attributes:
        kind: wall, door, window, opening, floor or (furniture) object.
        category: RoomPlan's own word, such as "storage" or "sofa"; equals `kind` for the structure.
        identifier: RoomPlan's UUID, unique within the room.
        parent: identifier of the wall a door is in, or of the table a chair stands at; None at the top.
        size: float64 [3], full extents in the local frame as exported (local Y is up for walls, doors and objects),
        metres.
        world_from_local: float64 [4, 4], local frame (RoomPlan's, centre of the box) to Z-up world.
        confidence: "low", "medium" or "high".
        attributes: RoomPlan attributes, such as {"ChairType": "swivel"}; "isOpen" of doors.
        polygon: float64 [N, 3] local corners of a non-rectangular element, or None.
    """

    kind: RoomKind
    category: str
    identifier: str
    parent: str | None
    size: Float
    world_from_local: Float
    confidence: str = "high"
    attributes: dict[str, Any] = field(default_factory=dict)
    polygon: Float | None = None


@dataclass(frozen=True)
class Capture:
    """A phone capture, whatever app wrote it.

    Attributes:
        path: the folder or file it came from.
        format: short name of the format, such as "3d-scanner-app" or "stray-scanner".
        frames: posed RGB-D frames in time order (may be empty for meshes and rooms).
        mesh: the app's own mesh, or None.
        room: boxes of a parametric room (may be empty).
        is_metric: False where the scale is arbitrary (Object Capture without depth, relative depth of a portrait
        photo).
        has_gravity: True where world +Z is opposite to gravity as the phone measured it.
        notes: plain sentences for the report: what this format could not provide.
        skipped: frames and files left out, with reasons.
    """

    path: Path
    format: str
    frames: tuple[Frame, ...] = ()
    mesh: CaptureMesh | None = None
    room: tuple[RoomElement, ...] = ()
    is_metric: bool = True
    has_gravity: bool = True
    notes: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
