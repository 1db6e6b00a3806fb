"""A furniture box of a parametric room, turned to face its front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .furniture import Extents, category_word
from .walls import Placed, Wall

Float = NDArray[np.float64]

AGAINST_WALLS = frozenset(
    ("storage", "refrigerator", "oven", "stove", "dishwasher", "washerdryer", "sofa", "bed", "toilet", "television")
)
"""Categories that stand with their back to a wall."""
ROOM_TO_FACE = 0.3
"""A front nearer to a wall than this [m] is no front."""


def box_corners(pose: Float, size: Float) -> Float:
    """The eight corners of a box, float64 [8, 3]."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners: Float = signs * np.asarray(size, dtype=float) / 2 @ pose[:3, :3].T + pose[:3, 3]
    return corners


class Piece:
    """A furniture box turned to face its front: body frame (X right, -Y front, Z up) and extents along it."""

    def __init__(self, placed: Placed, walls: Sequence[Wall]):
        self.placed = placed
        self.category = category_word(placed.element.category)
        self.notes: list[str] = []
        turn, front = _front(placed, walls, self.category in AGAINST_WALLS)
        if front:
            self.notes.append(front)
        self.pose = placed.pose @ turn
        width, height, depth = placed.size if turn[0, 0] ** 2 > 0.5 else placed.size[::-1]
        self.box = Extents(width, depth, -height / 2, height / 2)
        self.bottom, self.top = float(self.pose[2, 3]) - height / 2, float(self.pose[2, 3]) + height / 2
        self.upright = bool(self.pose[2, 2] > np.cos(np.deg2rad(2)))

    def footprint(self, *, front: float | None = None) -> Float:
        """Corners seen from above, float64 [4, 2]; with `front`, only of the foremost `front` metres."""
        x, y = self.box.x, self.box.y
        back = y[1] if front is None else min(y[1], y[0] + front)
        return np.array(
            [(self.pose @ [a, b, 0, 1])[:2] for a, b in ((x[0], y[0]), (x[1], y[0]), (x[1], back), (x[0], back))]
        )


def _front(placed: Placed, walls: Sequence[Wall], against_walls: bool) -> tuple[Float, str | None]:
    """Body axes in the exported frame, float64 [4, 4], and a note where the front is not the exported +Z."""
    directions = {"+Z": (0, 1), "-Z": (0, -1), "+X": (1, 0), "-X": (-1, 0)}
    choice, note = "+Z", None
    if against_walls:
        space = {}
        for key, (x, z) in directions.items():
            heading = placed.pose[:3, :3] @ [x, 0, z]
            half = placed.size[0] / 2 if x else placed.size[2] / 2
            space[key] = _clearance(placed.pose[:2, 3], heading[:2], walls) - half
        if space["+Z"] < ROOM_TO_FACE:
            nearest = min(space, key=lambda k: space[k])
            away = {"+Z": "-Z", "-Z": "+Z", "+X": "-X", "-X": "+X"}[nearest]
            choice = away if space[away] >= ROOM_TO_FACE else max(space, key=lambda k: space[k])
            if choice != "+Z":
                note = f"its exported front (+Z) is walled in: its front is taken to be {choice}, away from the wall"
    x, z = directions[choice]
    turn = np.eye(4)
    back, up = np.array([-x, 0, -z]), np.array([0, 1, 0])
    turn[:3, :3] = np.stack([np.cross(back, up), back, up], axis=1)
    return turn, note


def _clearance(start: Float, heading: Float, walls: Sequence[Wall]) -> float:
    """Distance [m] from a point along a horizontal direction to the nearest wall seen from above; inf without one."""
    best = np.inf
    for wall in walls:
        half = wall.placed.size[0] / 2
        a, b = ((wall.placed.pose @ [x, 0, 0, 1])[:2] for x in (-half, half))
        along = b - a
        det = along[0] * heading[1] - along[1] * heading[0]
        if abs(det) < 1e-9:
            continue
        offset = a - start
        distance = (along[0] * offset[1] - along[1] * offset[0]) / det
        at = (heading[0] * offset[1] - heading[1] * offset[0]) / det
        if distance >= 0 and 0 <= at <= 1:
            best = min(best, float(distance))
    return best
