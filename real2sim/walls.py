"""Walls, floors, windows and openings of a parametric room as boxes, with real holes where doors and openings are.

RoomPlan's walls are rectangles of zero thickness. Here they grow to the *outside* of the room, so that the inner face
stays where it was exported; a wall between two rooms keeps its plane in the middle and stays thin.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Estimate, Material, Rgba, Surface, SurfaceKind
from .capture import RoomElement
from .primitives import Span, pose_of

Float = NDArray[np.float64]

WALL_RGBA: Rgba = (0.93, 0.92, 0.89, 1.0)
FLOOR_RGBA: Rgba = (0.72, 0.58, 0.43, 1.0)
GROUND_RGBA: Rgba = (0.55, 0.56, 0.56, 1.0)
GLASS_RGBA: Rgba = (0.65, 0.82, 0.92, 0.35)
FRAME_RGBA: Rgba = (0.95, 0.95, 0.94, 1.0)
UNSEEN_RGBA: Rgba = (0.0, 0.0, 0.0, 0.0)

PARTITION = 0.02
"""Thickness [m] of a wall with room on both sides: furniture may stand flush with either."""
PANE = 0.02
FLOOR_THICKNESS = 0.1
THRESHOLD = 0.05
"""Doors and openings that end this little above the foot of their wall [m] go down to it: they have no sills."""

PLASTER = Estimate(value=0.6, low=0.4, high=0.8, source="painted plaster, our own estimate")
GLASS = Estimate(value=0.5, low=0.3, high=0.9, source="glass, our own estimate (SceneSmith's table has 0.9)")
WOOD_FLOOR = Estimate(value=0.5, low=0.3, high=0.7, source="wooden or laminate floor, our own estimate")


@dataclass(frozen=True)
class Placed:
    """A room element in the scene: its name there and its rigid pose, float64 [4, 4] world from local."""

    element: RoomElement
    name: str
    pose: Float

    @property
    def size(self) -> tuple[float, float, float]:
        """Exported full extents [m]."""
        x, y, z = (float(v) for v in self.element.size)
        return (x, y, z)


@dataclass(frozen=True)
class Wall:
    """A wall with its thickness: local Z in [low, high], the room at `inside` * Z (0: on both sides)."""

    placed: Placed
    inside: int
    low: float
    high: float

    @property
    def thickness(self) -> float:
        """From face to face [m]."""
        return self.high - self.low

    def slice(self, pose: Float, across: Span | None = None) -> Float:
        """`pose` (in or parallel to the wall's plane) moved to the middle of the wall, or of `across` (local Z)."""
        low, high = across or (self.low, self.high)
        moved = pose.copy()
        moved[:3, 3] += self.placed.pose[:3, 2] * (low + high) / 2
        return moved

    def footprint(self) -> Float:
        """Corners seen from above, float64 [4, 2], world."""
        half = self.placed.size[0] / 2
        local = [(-half, self.low), (half, self.low), (half, self.high), (-half, self.high)]
        return np.array([(self.placed.pose @ [x, 0, z, 1])[:2] for x, z in local])


def make_wall(placed: Placed, floors: Sequence[Float], thickness: float) -> Wall:
    """Finds the room's side of a wall: where there is floor; RoomPlan's own +Z (into the room) where that is unclear.

    Args:
        placed: the wall.
        floors: floor outlines, float64 [N, 2] each, world.
        thickness: metres to grow outwards.
    """
    votes = {1: 0, -1: 0}
    for along in (-0.35, 0.0, 0.35):
        for side in votes:
            x, y, _, _ = placed.pose @ [along * placed.size[0], 0, side * 0.1, 1]
            votes[side] += any(inside_polygon((x, y), floor) for floor in floors)
    if votes[1] >= 2 and votes[-1] >= 2:
        return Wall(placed, 0, -PARTITION / 2, PARTITION / 2)
    inside = -1 if votes[-1] > votes[1] else 1
    grown = max(thickness, placed.size[2])
    return Wall(placed, inside, *((-grown, 0.0) if inside > 0 else (0.0, grown)))


def parent_wall(placed: Placed, walls: Sequence[Wall]) -> Wall | None:
    """The wall an element is in: its parent, else the nearest parallel one within 0.3 m, else None."""
    for wall in walls:
        if wall.placed.element.identifier == placed.element.parent:
            return wall
    best: tuple[float, Wall | None] = (0.3, None)
    for wall in walls:
        x, y, z, _ = np.linalg.inv(wall.placed.pose) @ placed.pose[:, 3]
        parallel = abs(wall.placed.pose[:3, 2] @ placed.pose[:3, 2]) > 0.94
        width, height, _ = wall.placed.size
        if parallel and abs(x) < width / 2 and abs(y) < height / 2 and abs(z) < best[0]:
            best = (abs(float(z)), wall)
    return best[1]


def wall_surfaces(wall: Wall, holes: Sequence[Placed]) -> list[Surface]:
    """The wall as boxes around its holes: the first has the wall's name, `<name>.2`, ... have it as parent."""
    width, height, _ = wall.placed.size
    to_local = np.linalg.inv(wall.placed.pose)
    rects: list[tuple[Span, Span]] = []
    for hole in holes:
        w, h, _ = hole.size
        corners = [to_local @ hole.pose @ [sx * w / 2, sy * h / 2, 0, 1] for sx in (-1, 1) for sy in (-1, 1)]
        points = np.array(corners)
        (x0, y0), (x1, y1) = points.min(axis=0)[:2], points.max(axis=0)[:2]
        if hole.element.kind != "window" and abs(y0 + height / 2) < THRESHOLD:
            y0 = -height / 2
        rects.append(((float(x0), float(x1)), (float(y0), float(y1))))
    outline = wall.placed.element.polygon
    polygon = None if outline is None or len(outline) < 3 else np.asarray(outline, dtype=float)[:, :2]
    surfaces = []
    for index, (x, y) in enumerate(_boxes_around((-width / 2, width / 2), (-height / 2, height / 2), rects, polygon)):
        pose = wall.slice(wall.placed.pose)
        pose[:3, 3] += wall.placed.pose[:3, :2] @ [sum(x) / 2, sum(y) / 2]
        first = index == 0
        surfaces.append(
            Surface(
                name=wall.placed.name if first else f"{wall.placed.name}.{index + 1}",
                kind="wall",
                pose=pose_of(pose),
                size=(x[1] - x[0], y[1] - y[0], wall.thickness),
                material=Material(rgba=WALL_RGBA),
                friction=PLASTER,
                exported_size=wall.placed.size if first else None,
                parent=None if first else wall.placed.name,
            )
        )
    # A wall that is all hole stays in the scene as the place its openings belong to.
    span = (wall.low, wall.high)
    nothing = _plate(wall.placed, wall, "wall", (width, height), span, UNSEEN_RGBA, PLASTER, None, collides=False)
    return surfaces or [nothing]


def _boxes_around(
    x: Span, y: Span, holes: Sequence[tuple[Span, Span]], polygon: Float | None
) -> list[tuple[Span, Span]]:
    """Rectangles that fill x by y without the holes: columns between the holes' edges, equal neighbours merged.

    A wall that is no rectangle (under a sloping roof) is filled with cells of at most 5 cm, to half a cell.
    """

    def cuts(span: Span, edges: list[float]) -> list[float]:
        inner = sorted({*span, *(e for e in edges if span[0] + 1e-3 < e < span[1] - 1e-3)})
        kept = [value for i, value in enumerate(inner) if i == 0 or value - inner[i - 1] > 1e-6]
        if polygon is None:
            return kept
        fine = [np.linspace(a, b, max(1, int(np.ceil((b - a) / 0.05))) + 1)[:-1] for a, b in itertools.pairwise(kept)]
        return [*np.concatenate(fine).tolist(), kept[-1]]

    def filled(cx: float, cy: float) -> bool:
        in_hole = any(hx[0] < cx < hx[1] and hy[0] < cy < hy[1] for hx, hy in holes)
        return not in_hole and (polygon is None or inside_polygon((cx, cy), polygon))

    xs = cuts(x, [edge for hole in holes for edge in hole[0]])
    ys = cuts(y, [edge for hole in holes for edge in hole[1]])
    columns: list[tuple[Span, list[Span]]] = []
    for x0, x1 in itertools.pairwise(xs):
        runs: list[Span] = []
        for y0, y1 in itertools.pairwise(ys):
            if not filled((x0 + x1) / 2, (y0 + y1) / 2):
                continue
            runs = [*runs[:-1], (runs[-1][0], y1)] if runs and runs[-1][1] == y0 else [*runs, (y0, y1)]
        if columns and columns[-1][1] == runs and columns[-1][0][1] == x0:
            columns[-1] = ((columns[-1][0][0], x1), runs)
        else:
            columns.append(((x0, x1), runs))
    return [(span, run) for span, runs in columns for run in runs]


def window_surfaces(placed: Placed, wall: Wall | None) -> list[Surface]:
    """A glass pane of the exported size, flush with the inner face, and the window's frame behind it."""
    wall = wall or Wall(placed, 1, -PANE, 0.0)
    width, height, _ = placed.size
    pane_span = (wall.low, wall.low + min(PANE, wall.thickness))
    rest = (pane_span[1], wall.high)
    if wall.inside >= 0:
        pane_span = (wall.high - min(PANE, wall.thickness), wall.high)
        rest = (wall.low, pane_span[0])
    parent = None if wall.placed is placed else wall.placed.name
    pane = _plate(placed, wall, "window", (width, height), pane_span, GLASS_RGBA, GLASS, parent)
    if rest[1] - rest[0] < 0.01:
        return [pane]
    bar = min(0.05, 0.15 * width, 0.15 * height)
    bars = [
        (0.0, height / 2 - bar / 2, width, bar),
        (0.0, bar / 2 - height / 2, width, bar),
        (bar / 2 - width / 2, 0.0, bar, height - 2 * bar),
        (width / 2 - bar / 2, 0.0, bar, height - 2 * bar),
    ]
    frame = []
    for index, (x, y, w, h) in enumerate(bars):
        pose = wall.slice(placed.pose, rest)
        pose[:3, 3] += placed.pose[:3, :2] @ [x, y]
        frame.append(
            Surface(
                name=f"{placed.name}.{index + 2}",
                kind="window",
                pose=pose_of(pose),
                size=(w, h, rest[1] - rest[0]),
                material=Material(rgba=FRAME_RGBA),
                friction=PLASTER,
                parent=placed.name,
            )
        )
    return [pane, *frame]


def opening_surface(placed: Placed, wall: Wall | None) -> Surface:
    """An opening: unseen and without contacts, as thick as its wall."""
    parent = wall.placed.name if wall else None
    wall = wall or Wall(placed, 1, -PARTITION, 0.0)
    span = (wall.low, wall.high)
    return _plate(placed, wall, "opening", placed.size[:2], span, UNSEEN_RGBA, PLASTER, parent, collides=False)


def _plate(
    placed: Placed,
    wall: Wall,
    kind: SurfaceKind,
    size: tuple[float, float],
    across: Span,
    rgba: Rgba,
    friction: Estimate,
    parent: str | None,
    *,
    collides: bool = True,
) -> Surface:
    return Surface(
        name=placed.name,
        kind=kind,
        pose=pose_of(wall.slice(placed.pose, across)),
        size=(*size, across[1] - across[0]),
        material=Material(rgba=rgba),
        friction=friction,
        collides=collides,
        exported_size=placed.size,
        parent=parent,
    )


def floor_outline(placed: Placed) -> Float:
    """Outline of a floor, float64 [N, 2] world: its polygon, or its rectangle."""
    polygon = placed.element.polygon
    if polygon is not None and len(polygon) >= 3:
        corners = np.asarray(polygon, dtype=float)
    else:
        frame, (w, d) = level_frame(placed)
        return np.array(
            [(frame @ [sx * w / 2, sy * d / 2, 0, 1])[:2] for sx, sy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        )
    return (corners @ placed.pose[:3, :3].T + placed.pose[:3, 3])[:, :2]


def level_frame(placed: Placed) -> tuple[Float, tuple[float, float]]:
    """A floor's pose with local Z turned up (RoomPlan's floors lie in their local XY plane), and its extents [m]."""
    rotation = placed.pose[:3, :3]
    up = int(np.argmax(np.abs(rotation[2])))
    x = rotation[:, 1 if up == 0 else 0]
    z = rotation[:, up] * np.sign(rotation[2, up])
    frame = placed.pose.copy()
    frame[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    return frame, (placed.size[1 if up == 0 else 0], placed.size[1 if up == 2 else 2])


def floor_surfaces(placed: Placed, *, ground: float) -> list[Surface]:
    """The floor's exported rectangle with its top where it was exported, and `ground` metres of ground around it."""
    frame, (width, depth) = level_frame(placed)
    around = [((-width / 2, width / 2), (-depth / 2, depth / 2))]
    if ground > 0:
        far_x, far_y = width / 2 + ground, depth / 2 + ground
        around += [
            ((-far_x, far_x), (-far_y, -depth / 2)),
            ((-far_x, far_x), (depth / 2, far_y)),
            ((-far_x, -width / 2), (-depth / 2, depth / 2)),
            ((width / 2, far_x), (-depth / 2, depth / 2)),
        ]
    surfaces = []
    for index, (x, y) in enumerate(around):
        pose = frame.copy()
        pose[:3, 3] += frame[:3, :3] @ [sum(x) / 2, sum(y) / 2, -FLOOR_THICKNESS / 2]
        surfaces.append(
            Surface(
                name=placed.name if index == 0 else f"ground_{index}",
                kind="floor",
                pose=pose_of(pose),
                size=(x[1] - x[0], y[1] - y[0], FLOOR_THICKNESS),
                material=Material(rgba=GROUND_RGBA if index else FLOOR_RGBA),
                friction=WOOD_FLOOR,
                exported_size=placed.size if index == 0 else None,
            )
        )
    return surfaces


def inside_polygon(point: tuple[float, float], polygon: Float) -> bool:
    """Even-odd rule; polygon float64 [N, 2]."""
    x, y = point
    a, b = polygon, np.roll(polygon, -1, axis=0)
    crosses = (a[:, 1] > y) != (b[:, 1] > y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        at = a[:, 0] + (y - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    return bool(np.count_nonzero(crosses & (x < at)) % 2)
