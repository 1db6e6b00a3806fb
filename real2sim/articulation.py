"""Gives cabinets and appliances their doors and drawers.

`ArticulationModel` is the hook: it sees one piece (its box, and where there are any its points and the frames that saw
it) and answers with a fixed base and moving parts, or None to leave the piece closed. `RuleBasedArticulation` is the
default and knows only the box: layouts follow what is usual for the size (see `_storage`). A learned model (PARIS,
Articulate-Anything, ...) is plugged in by implementing the one method.

Body frame of a piece: X to the right of someone facing the front, -Y to the front, Z up. Fronts lie on the carcass and
turn about their outer front edge (or bottom front edge), so that they sweep neither carcass nor neighbour; handles end
flush with the front of the box. Part frames sit on the hinge line, and a joint's zero is the pose as scanned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Body, CollisionGeom, Estimate, Handle, Joint, Material, Part, Pose, Rgba, Visual
from .capture import Frame
from .furniture import Attributes, Extents
from .primitives import Span, moved, share, slab, solid_inertial, volume

Side = Literal["left", "right", "bottom"]

BOARD = 0.018
"""Thickness of cabinet boards [m], the usual particle board."""
GAP = 0.003
"""Clearance [m] between neighbouring fronts, and between front and carcass."""
HANDLE_REACH = 0.045
"""How far a handle stands off its front [m]: room for a 20 mm gripper finger behind a 14 mm bar."""
HANDLE_BAR = 0.014
DOOR_RANGE = 1.75
"""Opening angle of side-hinged doors [rad], about 100 degrees."""
SMALLEST_FRONT = 0.12
"""Fronts narrower or lower than this [m] are not made to open."""


class Rect(NamedTuple):
    """A rectangle on the front of a piece, body-frame intervals [m]."""

    x: Span
    z: Span

    def overlaps(self, other: Rect, slack: float = 0.01) -> bool:
        """True if the two share more than `slack` metres in both directions."""
        return all(min(a[1], b[1]) - max(a[0], b[0]) > slack for a, b in ((self.x, other.x), (self.z, other.z)))


@dataclass(frozen=True)
class ArticulationQuery:
    """One piece that may open.

    Attributes:
        name: prefix of part names.
        category: category word ("storage", "refrigerator", "oven", ...).
        box: its box in the body frame.
        elevation: height [m] of its bottom above the floor.
        mass: of the whole piece; friction: of its surfaces; rgba: of its carcass.
        attributes: RoomPlan attributes, such as {"StorageType": "shelf"}.
        blocked: regions of the front taken by other pieces (a dishwasher in a kitchen row).
        points: float64 [N, 3] scanned points in the body frame, or None.
        faces: int64 [F, 3] where the points are vertices of a mesh, or None.
        frames: frames of the capture; world_from_body: float64 [4, 4] places the piece in their world, or None.
    """

    name: str
    category: str
    box: Extents
    elevation: float
    mass: Estimate
    friction: Estimate
    rgba: Rgba
    attributes: Attributes = field(default_factory=dict)
    blocked: tuple[Rect, ...] = ()
    points: NDArray[np.float64] | None = None
    faces: NDArray[np.int64] | None = None
    frames: Sequence[Frame] = ()
    world_from_body: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Articulation:
    """A piece taken apart: `base` stays, `parts` move in it; nothing overlaps at joint zero."""

    base: tuple[CollisionGeom, ...]
    parts: tuple[Part, ...]
    base_mass: Estimate
    notes: tuple[str, ...] = ()


class ArticulationModel(Protocol):
    """Anything that can tell which parts of a piece move, and how."""

    def articulate(self, query: ArticulationQuery) -> Articulation | None:
        """Base and parts of a piece in its body frame, or None where it does not open or is not understood."""
        ...


@dataclass(frozen=True)
class Front:
    """A plan of one moving front: where it is on the piece, how it opens, and the drawer box behind it (Y interval)."""

    name: str
    rect: Rect
    opens: Side | Literal["drawer"]
    drawer: Span | None = None


class RuleBasedArticulation:
    """Layouts by category and size; needs nothing but the box. See the functions below for the rules."""

    def articulate(self, query: ArticulationQuery) -> Articulation | None:
        """Base and parts of storage, refrigerators, ovens, stoves, dishwashers and washers; None for anything else."""
        box = query.box
        rules = {
            "storage": _storage,
            "refrigerator": _refrigerator,
            "oven": _drop_down,
            "stove": _drop_down,
            "dishwasher": _drop_down,
            "washerdryer": _washer,
        }
        rule = rules.get(query.category)
        if rule is None or min(box.width, box.height) < 2 * SMALLEST_FRONT or box.depth < 0.15:
            return None
        base, fronts = rule(query)
        fronts = [front for front in fronts if not any(front.rect.overlaps(taken) for taken in query.blocked)]
        if not fronts:  # no handle reaches the front of the box: its top does
            base.append(slab(box.x, (box.y[0], _carcass_front(box)), (box.top - BOARD, box.top)))
        return _assemble(query, base, fronts)


def front_plane(box: Extents) -> float:
    """Body-frame Y of the outer face of the fronts: handles reach from here to the front of the box."""
    return box.y[0] + min(HANDLE_REACH, 0.2 * box.depth)


def _carcass_front(box: Extents) -> float:
    return front_plane(box) + BOARD + GAP


def _carcass(box: Extents, wall: float, front: float, bottom: float) -> list[CollisionGeom]:
    """A box open to the front: two sides, bottom, top and back of thickness `wall`."""
    inner, y = (box.x[0] + wall, box.x[1] - wall), (front, box.y[1])
    return [
        slab((box.x[0], inner[0]), y, (box.bottom, box.top)),
        slab((inner[1], box.x[1]), y, (box.bottom, box.top)),
        slab(inner, y, (box.bottom, bottom + wall)),
        slab(inner, y, (box.top - wall, box.top)),
        slab(inner, (box.y[1] - wall, box.y[1]), (bottom + wall, box.top - wall)),
    ]


def _storage(query: ArticulationQuery) -> tuple[list[CollisionGeom], list[Front]]:
    """Cabinets, by size (W x H):

    - shelves (`StorageType` "shelf"): open boards every 0.35 m, nothing moves;
    - hung above 1 m, or taller than 1.2 m: doors from bottom to top, columns of at most 0.6 m;
    - lower than 0.5 m, or narrower than 0.7 m and lower than 0.9 m (side table): drawers of about 0.22 m;
    - else (sideboard, chest, kitchen row): one row of drawers above doors.
    """
    box = query.box
    if str(query.attributes.get("StorageType", "")).lower() == "shelf":
        boards = np.linspace(box.bottom + BOARD, box.top - BOARD, max(2, round(box.height / 0.35) + 1))[1:-1]
        shelves = [
            slab(
                (box.x[0] + BOARD, box.x[1] - BOARD),
                (_carcass_front(box), box.y[1] - BOARD),
                (z - BOARD / 2, z + BOARD / 2),
            )
            for z in boards
        ]
        return [*_carcass(box, BOARD, _carcass_front(box), box.bottom), *shelves], []
    standing = query.elevation < 0.05 and box.height > 0.5
    low, high = box.bottom + (0.05 if standing else 0.0), box.top  # a plinth keeps fronts off the floor
    doors_only = query.elevation > 1.0 or box.height > 1.2
    drawers_only = not doors_only and (box.height < 0.5 or (box.width < 0.7 and box.height < 0.9))
    if doors_only:
        rows = [("door", low, high)]
    elif drawers_only:
        levels = np.linspace(low, high, max(1, round((high - low) / 0.22)) + 1)
        rows = [("drawer", a, b) for a, b in itertools.pairwise(levels.tolist())]
    else:
        split = high - float(np.clip(0.25 * box.height, SMALLEST_FRONT + 0.02, 0.20))
        rows = [("door", low, split), ("drawer", split, high)]

    front = _carcass_front(box)
    base = _carcass(box, BOARD, front, low)
    back = box.y[1] - BOARD
    columns = _columns(box, query.blocked)
    for left, right in itertools.pairwise(columns):
        if left[1] == right[0]:  # a partition between neighbouring columns
            base.append(slab((left[1] - BOARD / 2, left[1] + BOARD / 2), (front, back), (low + BOARD, high - BOARD)))
    fronts = []
    for index, x in enumerate(columns):
        # A board between the rows must not run through the partitions.
        shelf_x = (max(x[0] + BOARD / 2, box.x[0] + BOARD), min(x[1] - BOARD / 2, box.x[1] - BOARD))
        for kind, z0, z1 in rows:
            if z1 < high and kind == "door":
                base.append(slab(shelf_x, (front, back), (z1 - BOARD / 2, z1 + BOARD / 2)))
            if kind == "door" and z1 - z0 > 0.5:
                inside = np.linspace(z0, z1, max(2, round((z1 - z0) / 0.45)) + 1)[1:-1]
                base += [slab(shelf_x, (front + 0.03, back), (z - BOARD / 2, z + BOARD / 2)) for z in inside]
            # Doors of a pair meet in the middle, like a cupboard's.
            opens: Side | Literal["drawer"] = "drawer" if kind == "drawer" else ("left" if index % 2 == 0 else "right")
            if opens == "left" and index == len(columns) - 1 and len(columns) > 1:
                opens = "right"
            fronts.append(Front(kind, Rect(x, (z0, z1)), opens, (front, back) if kind == "drawer" else None))
    return base, fronts


def _columns(box: Extents, blocked: Sequence[Rect], widest: float = 0.6) -> list[Span]:
    """Vertical strips of the front, at most `widest` wide, beside what blocks more than half of the height."""
    tall = [r for r in blocked if min(r.z[1], box.top) - max(r.z[0], box.bottom) > 0.5 * box.height]
    edges = sorted({*box.x, *(min(max(e, box.x[0]), box.x[1]) for r in tall for e in r.x)})
    columns: list[Span] = []
    for low, high in itertools.pairwise(edges):
        middle = (low + high) / 2
        if high - low < SMALLEST_FRONT or any(r.x[0] < middle < r.x[1] for r in tall):
            continue
        cuts = np.linspace(low, high, max(1, int(np.ceil((high - low) / widest - 0.01))) + 1).tolist()
        columns += itertools.pairwise(cuts)
    return columns


def _refrigerator(query: ArticulationQuery) -> tuple[list[CollisionGeom], list[Front]]:
    """Insulated shell; a freezer below where it is taller than 1.3 m, two columns where it is wider than 0.85 m."""
    box = query.box
    split = [box.bottom, box.bottom + 0.36 * box.height, box.top] if box.height > 1.3 else [box.bottom, box.top]
    x = [box.x[0], 0.0, box.x[1]] if box.width > 0.85 else list(box.x)
    wall = min(0.05, 0.15 * min(box.width, box.height, box.depth))
    front = _carcass_front(box)
    base = _carcass(box, wall, front, box.bottom)
    inner = (box.x[0] + wall, box.x[1] - wall)
    base += [slab(inner, (front, box.y[1] - wall), (z - 0.02, z + 0.02)) for z in split[1:-1]]
    fronts = [
        Front("door", Rect(columns, rows), "left" if len(x) > 2 and index == 0 else "right")
        for rows in itertools.pairwise(split)
        for index, columns in enumerate(itertools.pairwise(x))
    ]
    return base, fronts


def _drop_down(query: ArticulationQuery) -> tuple[list[CollisionGeom], list[Front]]:
    """Ovens, ranges and dishwashers: one door hinged at the bottom, a plinth below it and a panel above it."""
    box = query.box
    wall = min(0.04, 0.15 * min(box.width, box.height, box.depth))
    # The open door lies level: its handle, now below it, must stay off the floor.
    standing = query.elevation < HANDLE_REACH + 0.02
    plinth = box.bottom + min((0.1 if standing else 0.01), 0.25 * box.height)
    panel = box.top - min(0.1 if query.category != "dishwasher" else 0.03, 0.2 * box.height)
    base = _carcass(box, wall, _carcass_front(box), plinth)
    base.append(slab(box.x, (front_plane(box), _carcass_front(box)), (panel, box.top)))
    return base, [Front("door", Rect(box.x, (plinth, panel)), "bottom")]


def _washer(query: ArticulationQuery) -> tuple[list[CollisionGeom], list[Front]]:
    """Front loader: a square door in the middle of the front, hinged on the left."""
    box = query.box
    wall = min(0.05, 0.15 * min(box.width, box.height, box.depth))
    half = 0.32 * min(box.width, box.height)
    middle = (box.bottom + box.top) / 2
    base = _carcass(box, wall, _carcass_front(box), box.bottom)
    # The rest of the front closes the machine around its door.
    door = Rect((-half, half), (middle - half, middle + half))
    y = (front_plane(box), _carcass_front(box))
    base += [
        slab((box.x[0], door.x[0] - GAP), y, (box.bottom, box.top)),
        slab((door.x[1] + GAP, box.x[1]), y, (box.bottom, box.top)),
        slab(door.x, y, (box.bottom, door.z[0] - GAP)),
        slab(door.x, y, (door.z[1] + GAP, box.top)),
    ]
    return base, [Front("door", door, "left")]


def _assemble(query: ArticulationQuery, base: list[CollisionGeom], fronts: Sequence[Front]) -> Articulation:
    geoms = [front_geoms(front, query.box) for front in fronts]
    total = sum(volume(g) for g in [*base, *itertools.chain.from_iterable(geoms)])
    counts: dict[str, int] = {}
    parts = []
    for front, shape in zip(fronts, geoms, strict=True):
        counts[front.name] = counts.get(front.name, 0) + 1
        mass = share(query.mass, sum(volume(g) for g in shape) / total)
        origin, joint = front_joint(front, front_plane(query.box))
        name = f"{query.name}_{front.name}_{counts[front.name]}"
        parts.append(moving_part(name, front.name, shape, origin, joint, mass, query.friction, _lighter(query.rgba)))
    notes = (
        "the export says nothing of doors and drawers: layout, hinges and handles are the usual ones for this size",
    )
    if not parts:
        notes = ("nothing opens: an open shelf, or its front is taken by other pieces",)
    base_mass = share(query.mass, sum(volume(g) for g in base) / total)
    return Articulation(tuple(base), tuple(parts), base_mass, notes)


def moving_part(
    name: str,
    kind: str,
    geoms: Sequence[CollisionGeom],
    origin: tuple[float, float, float],
    joint: Joint,
    mass: Estimate,
    friction: Estimate,
    rgba: Rgba,
) -> Part:
    """A part whose frame sits at `origin`, from geoms given in the object's frame: first its panel, then its bar."""
    own = tuple(moved(geom, [-v for v in origin]) for geom in geoms)
    body = Body(
        pose=Pose(position=origin),
        collision=own,
        visual=Visual(material=Material(rgba=rgba)),
        inertial=solid_inertial(own, mass),
        friction=friction,
    )
    panel, bar = own[:2]
    upright = bar.size[2] > bar.size[0]
    out = 1.0 if bar.pose.position[1] > panel.pose.position[1] else -1.0
    grip = Handle(position=bar.pose.position, axis=(0, 0, 1) if upright else (1, 0, 0), outward=(0, out, 0))
    return Part(name=name, kind=kind, joint=joint, body=body, handle=grip)


def front_geoms(front: Front, box: Extents) -> list[CollisionGeom]:
    """Panel, handle and (for drawers) the box behind, in the piece's frame."""
    face = front_plane(box)
    x = (front.rect.x[0] + GAP / 2, front.rect.x[1] - GAP / 2)
    z = (front.rect.z[0] + GAP / 2, front.rect.z[1] - GAP / 2)
    geoms = [slab(x, (face, face + BOARD), z)]
    width, height = x[1] - x[0], z[1] - z[0]
    if front.opens == "left":
        geoms += handle(x[1] - min(0.05, 0.2 * width), (z[0] + z[1]) / 2, face, box.y[0], "z", 0.5 * height)
    elif front.opens == "right":
        geoms += handle(x[0] + min(0.05, 0.2 * width), (z[0] + z[1]) / 2, face, box.y[0], "z", 0.5 * height)
    else:
        at = z[1] - min(0.06, 0.3 * height) if front.opens == "bottom" else (z[0] + z[1]) / 2
        geoms += handle((x[0] + x[1]) / 2, at, face, box.y[0], "x", 0.5 * width)
    if front.drawer is not None:
        # 31 mm to the column's edge leave 13 mm to the side board, as slides take.
        inner, low = (x[0] + 0.03, x[1] - 0.03), z[0] + 0.02
        board, back = 0.012, face + BOARD + 0.9 * (front.drawer[1] - face - BOARD)
        high = max(low + 2 * board, z[1] - 0.03)
        y = (face + BOARD, back)
        geoms += [
            slab(inner, y, (low, low + board)),
            slab((inner[0], inner[0] + board), y, (low + board, high)),
            slab((inner[1] - board, inner[1]), y, (low + board, high)),
            slab((inner[0] + board, inner[1] - board), (back - board, back), (low + board, high)),
        ]
    return geoms


def handle(x: float, z: float, face: float, tip: float, along: Literal["x", "z"], room: float) -> list[CollisionGeom]:
    """A bar handle on two posts, centred at (x, z): from a front's face (Y = `face`) to `tip`, at most `room` long."""
    length, half = min(0.14, room), HANDLE_BAR / 2
    out = 1.0 if tip > face else -1.0
    bar_inner = tip - out * min(HANDLE_BAR, 0.4 * abs(tip - face))
    bar_y = (min(bar_inner, tip), max(bar_inner, tip))
    post_y = (min(bar_inner, face), max(bar_inner, face))
    ends = (-length / 2, -length / 2 + HANDLE_BAR), (length / 2 - HANDLE_BAR, length / 2)
    if along == "z":
        bar = slab((x - half, x + half), bar_y, (z - length / 2, z + length / 2))
        posts = [slab((x - half, x + half), post_y, (z + a, z + b)) for a, b in ends]
    else:
        bar = slab((x - length / 2, x + length / 2), bar_y, (z - half, z + half))
        posts = [slab((x + a, x + b), post_y, (z - half, z + half)) for a, b in ends]
    return [bar, *posts]


def front_joint(front: Front, face: float) -> tuple[tuple[float, float, float], Joint]:
    """Origin of the part frame (on the hinge line) in the piece's frame, and its joint.

    Damping and dry friction are those of ordinary fittings (a few newtons at the handle), our own estimates. Dry
    friction also keeps a closed oven door closed.
    """
    x, z = front.rect.x, front.rect.z
    middle = ((x[0] + x[1]) / 2, (z[0] + z[1]) / 2)
    edge = GAP / 2
    if front.drawer is not None:
        travel = 0.8 * 0.9 * (front.drawer[1] - face - BOARD)
        joint = Joint(kind="slide", axis=(0, -1, 0), range=(0.0, travel), damping=5.0, friction_loss=2.0)
        return (middle[0], face, middle[1]), joint
    if front.opens == "bottom":
        joint = Joint(kind="hinge", axis=(1, 0, 0), range=(0.0, float(np.pi / 2)), damping=1.5, friction_loss=0.5)
        return (middle[0], face, z[0] + edge), joint
    left = front.opens == "left"
    joint = Joint(kind="hinge", axis=(0, 0, -1 if left else 1), range=(0.0, DOOR_RANGE), damping=0.3, friction_loss=0.2)
    return (x[0] + edge if left else x[1] - edge, face, middle[1]), joint


def _lighter(rgba: Rgba) -> Rgba:
    """Fronts a little lighter than their carcass, so that one sees them."""
    r, g, b, a = rgba
    return (min(1.0, 1.12 * r), min(1.0, 1.12 * g), min(1.0, 1.12 * b), a)
