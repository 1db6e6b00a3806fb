"""How close a rebuilt object is to the truth: boxes, surfaces, poses and matching.

Angles in radians, lengths in metres. Boxes are aligned with gravity and turned about the vertical, as in the 3D
detection benchmarks of SUN RGB-D (Song et al. 2015) and ScanNet, where an object is found at a box overlap of 0.25.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A gravity-aligned box: centre [3], full extents [3] along its own axes [m], turn about +Z [rad]."""

    center: Float
    size: Float
    yaw: float

    def corners(self) -> Float:
        """Corners [4, 2] of its ground plan, counter-clockwise."""
        half = self.size[:2] / 2
        local = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.asarray(local @ np.array([[c, s], [-s, c]]) + self.center[:2])

    def long_side_first(self) -> Box:
        """The same box, named so that its x is its longer horizontal side."""
        if self.size[0] >= self.size[1]:
            return self
        return Box(self.center, self.size[[1, 0, 2]], self.yaw + np.pi / 2)


def box_around(points: Float, yaw: float) -> Box:
    """The smallest box turned by `yaw` around points [N, 3]."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    local = points @ turn
    low, high = local.min(axis=0), local.max(axis=0)
    return Box(turn @ ((low + high) / 2), high - low, yaw)


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two gravity-aligned boxes, in [0, 1]."""
    low = max(first.center[2] - first.size[2] / 2, second.center[2] - second.size[2] / 2)
    high = min(first.center[2] + first.size[2] / 2, second.center[2] + second.size[2] / 2)
    if high <= low:
        return 0.0
    shared = _area(_clip(first.corners(), second.corners())) * (high - low)
    union = float(np.prod(first.size) + np.prod(second.size)) - shared
    return shared / union if union > 0 else 0.0


def _clip(subject: Float, clip: Float) -> Float:
    """Intersection [N, 2] of two convex polygons (Sutherland and Hodgman 1974)."""
    output = subject
    for start, end in zip(clip, np.roll(clip, -1, axis=0), strict=True):
        if len(output) == 0:
            break
        edge = end - start
        side = edge[0] * (output[:, 1] - start[1]) - edge[1] * (output[:, 0] - start[0])
        following, next_side = np.roll(output, -1, axis=0), np.roll(side, -1)
        kept: list[Float] = []
        for point, after, here, there in zip(output, following, side, next_side, strict=True):
            if here >= 0:
                kept.append(point)
            if (here >= 0) != (there >= 0):
                kept.append(point + (after - point) * here / (here - there))
        output = np.array(kept).reshape(-1, 2)
    return output


def _area(polygon: Float) -> float:
    if len(polygon) < 3:
        return 0.0
    x, y = polygon[:, 0], polygon[:, 1]
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


def chamfer(first: trimesh.Trimesh, second: trimesh.Trimesh, *, samples: int = 4000, seed: int = 0) -> float:
    """Mean of the two one-way mean distances [m] between points sampled on two surfaces."""
    a, _ = trimesh.sample.sample_surface(first, samples, seed=seed)
    b, _ = trimesh.sample.sample_surface(second, samples, seed=seed)
    return float((cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean()) / 2)


def solid_iou(first: trimesh.Trimesh, second: trimesh.Trimesh) -> float:
    """Intersection over union of two closed solids, by Manifold's exact booleans.

    Raises:
        ValueError: one of them is not closed.
    """
    from manifold3d import Manifold, Mesh

    def manifold(mesh: trimesh.Trimesh) -> Any:
        return Manifold(Mesh(np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces, np.uint32)))

    a, b = manifold(first), manifold(second)
    if a.is_empty() or b.is_empty():
        raise ValueError("solid_iou needs two closed meshes: one of these is open, inside out or empty")
    shared = float((a ^ b).volume())
    union = float(a.volume() + b.volume()) - shared
    return shared / union if union > 0 else 0.0


def yaw_error(first: float, second: float, *, period: float = np.pi) -> float:
    """Smallest turn [rad] between two boxes whose shape repeats after `period`."""
    difference = abs(first - second) % period
    return float(min(difference, period - difference))


def yaw_period(symmetry: Literal["none", "180", "90", "any"], size: Float, *, square: float = 0.93) -> float | None:
    """Turn [rad] after which a box cannot be told from itself; None where its yaw means nothing.

    A box is the same after half a turn. One whose plan is square (sides closer than `square`: 7 %, the share by which a
    side of a hand-sized object is mistaken) is the same after a quarter.
    """
    if symmetry == "any":
        return None
    nearly_square = min(size[0], size[1]) > square * max(size[0], size[1])
    return np.pi / 2 if symmetry == "90" or nearly_square else np.pi


def size_error(first: Box, second: Box) -> Float:
    """Differences [3] of the longer side, the shorter side and the height [m], second minus first."""
    a, b = first.long_side_first().size, second.long_side_first().size
    return np.asarray(b - a)


def match(truth: Sequence[Box], found: Sequence[Box], *, threshold: float = 0.5) -> list[tuple[int, int, float]]:
    """One-to-one pairs (truth index, found index, overlap >= threshold) with the largest total overlap."""
    overlap = np.array([[box_iou(a, b) for b in found] for a in truth]).reshape(len(truth), len(found))
    return match_overlaps(overlap, threshold=threshold)


def match_overlaps(overlap: Float, *, threshold: float) -> list[tuple[int, int, float]]:
    """The same for overlaps [truth, found] that are known."""
    rows, columns = linear_sum_assignment(-np.where(overlap >= threshold, overlap, 0.0))
    return [
        (int(i), int(j), float(overlap[i, j])) for i, j in zip(rows, columns, strict=True) if overlap[i, j] >= threshold
    ]
