"""Doors of a parametric room: a frame in the wall and one or two hinged leaves with handles.

RoomPlan tells where a door is, how large, and whether it is open; not its hinges. `choose_swing` turns the leaf the way
that sweeps free of walls and furniture, into the room where it can. A door found open stands ajar by `AJAR`.

Body frame of a door: -Y into the room, Z up, centred in the thickness of its wall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Body, CollisionGeom, Estimate, Joint, Material, Part, Pose, Rgba, Visual
from .articulation import DOOR_RANGE, handle, moving_part
from .furniture import Extents
from .primitives import slab, solid_inertial, volume

Float = NDArray[np.float64]

JAMB = 0.025
"""Width [m] of the frame's posts and head."""
LEAF = 0.04
"""Thickness [m] of a leaf."""
CLEARANCE = 0.004
"""Gap [m] between leaf and frame."""
UNDERCUT = 0.01
"""Gap [m] between leaf and floor."""
AJAR = 1.48
"""Angle [rad] of a door exported as open (85 degrees: it leaves the passage free)."""
WIDEST_LEAF = 1.25
"""Wider doors get two leaves [m]."""
HANDLE_HEIGHT = 1.02
HANDLE_REACH = 0.055
DENSITY = 350.0
"""Hollow-core to light solid leaves [kg/m^3], our own estimate (a 0.8 x 2 m leaf of 22 kg)."""

DOOR_RGBA: Rgba = (0.80, 0.74, 0.66, 1.0)
FRAME_RGBA: Rgba = (0.95, 0.95, 0.94, 1.0)


@dataclass(frozen=True, slots=True)
class Swing:
    """How a door opens: `inward` (into the room), hinge on the `left` seen from the room, up to `limit` [rad]."""

    inward: bool
    left: bool
    limit: float


@dataclass(frozen=True)
class DoorPlan:
    """Frame, leaves and notes of one door, in its body frame."""

    frame: Body
    leaves: tuple[Part, ...]
    notes: tuple[str, ...]


def choose_swing(box: Extents, obstacles: Sequence[Float]) -> Swing:
    """The way of opening that goes furthest, up to `DOOR_RANGE`; into the room and hinged left where no worse.

    Args:
        box: the door in its body frame.
        obstacles: convex footprints, float64 [N, 2] in the door's body frame.
    """
    best: Swing | None = None
    for inward in (True, False):
        for left in (True, False):
            limit = _free_angle(box, inward, left, obstacles)
            if best is None or limit > best.limit + 0.1:
                best = Swing(inward, left, limit)
    assert best is not None
    return best


def build_door(
    name: str,
    box: Extents,
    floor: float,
    swing: Swing,
    *,
    is_open: bool,
    friction: Estimate,
    double: bool | None = None,
) -> DoorPlan:
    """A door that spans `box` with its frame.

    Args:
        name: prefix of leaf names.
        box: extents in the body frame (width x wall thickness x height).
        floor: body-frame Z of the floor: leaves end above it.
        swing: how it opens; for two leaves only `inward` and `limit` count.
        is_open: whether it was scanned open.
        friction: of frame and leaves.
        double: two leaves; by width where None.
    """
    jamb = min(JAMB, 0.1 * box.width)
    head = box.top - min(JAMB, 0.1 * box.height)
    frame = (
        slab((box.x[0], box.x[0] + jamb), box.y, (box.bottom, box.top)),
        slab((box.x[1] - jamb, box.x[1]), box.y, (box.bottom, box.top)),
        slab((box.x[0] + jamb, box.x[1] - jamb), box.y, (head, box.top)),
    )
    frame_mass = Estimate(value=12, low=6, high=25, source="door frame, our own estimate")
    body = Body(
        collision=frame,
        visual=Visual(material=Material(rgba=FRAME_RGBA)),
        inertial=solid_inertial(frame, frame_mass),
        friction=friction,
    )
    inner = (box.x[0] + jamb + CLEARANCE, box.x[1] - jamb - CLEARANCE)
    z = (max(box.bottom, floor) + UNDERCUT, head - CLEARANCE)
    notes = ["the export does not tell hinge side and swing: the leaf turns the way that is free of furniture"]
    if double if double is not None else box.width > WIDEST_LEAF:
        spans = [(inner[0], -CLEARANCE / 2, True), (CLEARANCE / 2, inner[1], False)]
        notes.append("so wide a door is taken to have two leaves")
    else:
        spans = [(inner[0], inner[1], swing.left)]
    if is_open:
        notes.append("scanned open, by how far is not exported: it stands where it leaves the passage free")
    # An open door stands as far as it may; a closed one at zero. Joint zero is the scanned state either way.
    start = min(AJAR, max(swing.limit - 0.05, 0.0)) if is_open else 0.0
    leaves = tuple(
        _leaf(f"{name}_leaf_{i + 1}", box, (x0, x1), z, floor, Swing(swing.inward, left, swing.limit), start, friction)
        for i, (x0, x1, left) in enumerate(spans)
    )
    return DoorPlan(body, leaves, tuple(notes))


def _leaf(
    name: str,
    box: Extents,
    x: tuple[float, float],
    z: tuple[float, float],
    floor: float,
    swing: Swing,
    start: float,
    friction: Estimate,
) -> Part:
    """One leaf, flush with the face of the wall it opens to, turning about its edge there."""
    thick = min(LEAF, 0.6 * box.depth)
    side = -1.0 if swing.inward else 1.0
    face = side * box.depth / 2
    y = (min(face, face - side * thick), max(face, face - side * thick))
    panel = slab(x, y, z)
    edge = min(0.07, 0.2 * (x[1] - x[0]))
    at = x[1] - edge if swing.left else x[0] + edge
    height = float(np.clip(floor + HANDLE_HEIGHT, z[0] + 0.2 * (z[1] - z[0]), z[0] + 0.8 * (z[1] - z[0])))
    room = 0.3 * (z[1] - z[0])
    geoms: list[CollisionGeom] = [panel]
    geoms += handle(at, height, y[0], y[0] - HANDLE_REACH, "z", room)
    geoms += handle(at, height, y[1], y[1] + HANDLE_REACH, "z", room)
    mass = float(np.clip(DENSITY * volume(panel), 1.0, 120.0))
    turn = (-1.0 if swing.left else 1.0) * (1.0 if swing.inward else -1.0)
    joint = Joint(
        kind="hinge",
        axis=(0, 0, turn),
        range=(-start, max(swing.limit - start, -start + 0.02)),
        damping=1.0,
        friction_loss=0.5,
    )
    origin = (x[0] if swing.left else x[1], face, (z[0] + z[1]) / 2)
    estimate = Estimate(
        value=mass, low=mass / 1.8, high=mass * 1.8, source="door leaf of 350 kg/m^3, within a factor of 1.8"
    )
    part = moving_part(name, "door", geoms, origin, joint, estimate, friction, DOOR_RGBA)
    if start == 0.0:
        return part
    half = turn * start / 2
    pose = Pose(position=origin, quaternion=(float(np.cos(half)), 0.0, 0.0, float(np.sin(half))))
    return part.model_copy(update={"body": part.body.model_copy(update={"pose": pose})})


def _free_angle(box: Extents, inward: bool, left: bool, obstacles: Sequence[Float]) -> float:
    """Largest opening angle [rad] up to which the sweep meets no obstacle, in steps of 2.5 degrees less one step."""
    jamb = min(JAMB, 0.1 * box.width) + CLEARANCE
    width = box.width - 2 * jamb
    if box.width > WIDEST_LEAF:
        width /= 2
    side = -1.0 if inward else 1.0
    out = HANDLE_REACH + 0.01
    # Leaf with its handles, hinge at the origin, lying along +X (hinge left) or -X; Y towards `side` is the open room.
    sign = 1.0 if left else -1.0
    low, high = -side * out, side * (LEAF + out)
    leaf = np.array([[0, 0], [0, -side * LEAF], [sign * width, -high], [sign * width, -low]])
    hinge = np.array([(box.x[0] + jamb) * sign, side * box.depth / 2])
    turn = -sign if inward else sign
    step = np.deg2rad(2.5)
    free = 0.0
    for angle in np.arange(step, DOOR_RANGE + 1e-9, step):
        c, s = np.cos(turn * angle), np.sin(turn * angle)
        swept = leaf @ np.array([[c, -s], [s, c]]).T + hinge
        if any(convex_overlap(swept, other) for other in obstacles):
            return max(free - float(step), 0.0)
        free = float(angle)
    return DOOR_RANGE


def convex_overlap(a: Float, b: Float) -> bool:
    """True if two convex polygons, float64 [N, 2], overlap (separating axis theorem)."""
    for polygon in (a, b):
        edges = np.roll(polygon, -1, axis=0) - polygon
        for normal in np.stack([-edges[:, 1], edges[:, 0]], axis=1):
            pa, pb = a @ normal, b @ normal
            if pa.max() <= pb.min() or pb.max() <= pa.min():
                return False
    return True
