"""Stages 2 and 3, alignment and structure: which way is up, where the floor is, and what objects stand on.

Horizontal planes are found as peaks of the height histogram of upward-facing surface, largest first, and refined by
robust
least squares. The largest one sets gravity's last half degree (ARKit's gravity is good to about 0.5 degrees, a floor or
a table top seen over decimetres to 0.1) and the lowest large one becomes z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from ..errors import CaptureError
from .capture import Float
from .fusion import Surface

CELL = 0.01
"""Edge [m] of the cells in which areas and extents are counted."""
UPWARD = 0.90
"""Least vertical part of a normal that counts as facing up (26 degrees)."""
MIN_SUPPORT_AREA = 0.03
"""Smallest horizontal patch [m^2] that is a support; smaller ones are tops of objects."""
MIN_TABLE_AREA, MIN_TABLE_HEIGHT = 0.12, 0.25
"""A raised plane is a table from this area [m^2] and height above the floor [m]; below, it is the top of an object."""
BEHIND = (0.15, 0.25)
"""A vertical plane with more surface behind it (farther than the first [m]) than this share of its own is no wall."""
MAX_BEND = 0.008
"""A raised plane that departs from flat by more than this [m] is a cushion or a seat, not a table."""
MAX_TILT = np.deg2rad(5.0)


@dataclass(frozen=True)
class Support:
    """A horizontal plane that carries objects, in the aligned world.

    Attributes:
        kind: "floor" or "table".
        height: z of the plane [m].
        center: xy [m]; size: xy full extents [m] of the rectangle; yaw: of the rectangle [rad].
        outline: float64 [N, 2], convex outline of what was seen of it.
        warp: float64 [6], coefficients of the quadratic a + bx + cy + dx^2 + exy + fy^2 that its seen surface follows
            (pose drift bends a flat table by millimetres); heights of objects are measured from it.
        rms: residual of its points to the warp [m].
        area: seen area [m^2].
    """

    kind: Literal["floor", "table"]
    height: float
    center: Float
    size: Float
    yaw: float
    outline: Float
    warp: Float
    rms: float
    area: float

    def surface_height(self, xy: Float) -> Float:
        """Height [N] of the seen surface at points xy [N, 2]."""
        return np.asarray(_quadratic(xy) @ self.warp)

    def contains(self, xy: Float, margin: float = 0.0) -> NDArray[np.bool_]:
        """Whether points xy [N, 2] lie over the outline grown by `margin` [m]."""
        low, high = self.outline.min(axis=0) - margin, self.outline.max(axis=0) + margin
        inside: NDArray[np.bool_] = ((xy >= low) & (xy <= high)).all(axis=1)
        for normal_x, normal_y, offset in ConvexHull(self.outline).equations:
            near = np.flatnonzero(inside)
            inside[near] = xy[near, 0] * normal_x + xy[near, 1] * normal_y + offset <= margin
        return inside


@dataclass(frozen=True)
class Structure:
    """The room around the objects.

    Attributes:
        world_from_capture: float64 [4, 4], rigid: the aligned world (z = 0 floor, centred on the main support).
        supports: the main one (most objects can stand on it) first.
        walls: float64 [W, 4] vertical planes (unit normal into the room, offset) with at least 0.5 m^2 seen.
        wall_extents: float64 [W, 2, 2]: per wall, (from, to) along the wall and (bottom, top).
        tilt: angle [rad] between measured gravity and the support's normal.
        notes: sentences for the report.
    """

    world_from_capture: Float
    supports: tuple[Support, ...]
    walls: Float
    wall_extents: Float
    tilt: float
    notes: tuple[str, ...] = ()


def moved(surface: Surface, transform: Float) -> Surface:
    """The surface after moving the world by the rigid `transform` [4, 4]."""
    rotation = transform[:3, :3]
    return replace(
        surface,
        vertices=surface.vertices @ rotation.T + transform[:3, 3],
        normals=surface.normals @ rotation.T,
    )


def find_structure(surface: Surface, *, has_gravity: bool = True) -> Structure:
    """Aligns the world to gravity and finds floor, tables and walls.

    Raises:
        CaptureError: if there is no horizontal surface for anything to stand on.
    """
    notes: list[str] = []
    transform = np.eye(4)
    if not has_gravity:
        transform = _up_from_largest_plane(surface)
        notes.append("The capture has no gravity: its largest plane was taken for the floor.")
    current = moved(surface, transform)
    main = _largest_plane(current, slice(None))
    if main is None:
        raise CaptureError(
            "no floor or table top was found (nothing level larger than 300 cm^2); "
            "scan some of the surface that the objects stand on"
        )
    normal = main[0]
    tilt = float(np.arccos(np.clip(normal[2], -1, 1)))
    if tilt > MAX_TILT:
        notes.append(
            f"The main surface is tilted by {np.rad2deg(tilt):.1f} degrees and was kept so: gravity is trusted more."
        )
    else:
        transform = _homogeneous(_rotation_to_z(normal)) @ transform
        current = moved(surface, transform)
    planes = _horizontal_planes(current)
    if not planes:
        raise CaptureError(
            "no level surface was found for objects to stand on; scan some of the floor or table around them"
        )
    floor_height = planes[0].height
    big = [p for p in planes if p.area > MIN_TABLE_AREA]
    floor_height = min((p.height for p in big), default=floor_height)
    supports = []
    for plane in planes:
        above = plane.height - floor_height
        if abs(above) < 0.02:
            supports.append(replace(plane, kind="floor"))
        elif above > MIN_TABLE_HEIGHT and plane.area > MIN_TABLE_AREA and _bend(plane) < MAX_BEND:
            supports.append(replace(plane, kind="table"))
    main_support = max(supports, key=lambda s: (s.kind == "table", s.area))
    shift = np.array([-main_support.center[0], -main_support.center[1], -floor_height])
    transform = _translation(shift) @ transform
    supports = [_shifted(s, shift) for s in supports]
    supports.sort(key=lambda s: (s.kind != "table", -s.area))
    walls, extents = _walls(moved(surface, transform))
    return Structure(transform, tuple(supports), walls, extents, tilt, tuple(notes))


# ----------------------------------------------------------------------------------------------------------------
# planes


def _quadratic(xy: Float) -> Float:
    x, y = xy[:, 0], xy[:, 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def _largest_plane(surface: Surface, keep: slice | NDArray[np.bool_]) -> tuple[Float, float] | None:
    """Normal and offset of the largest nearly level plane, by peak of the height histogram and robust refinement."""
    vertices, normals = surface.vertices[keep], surface.normals[keep]
    up = normals[:, 2] > UPWARD
    points = vertices[up]
    if len(points) < 50:
        return None
    bins = np.arange(points[:, 2].min() - 0.02, points[:, 2].max() + 0.03, 0.01)
    counts = ndimage.uniform_filter1d(np.histogram(points[:, 2], bins)[0].astype(float), 2)
    height = bins[int(np.argmax(counts))] + 0.005
    coefficients = np.array([height, 0.0, 0.0])
    for band in (0.04, 0.02, 0.012, 0.008, 0.008):
        residual = points[:, 2] - (coefficients[0] + points[:, :2] @ coefficients[1:])
        near = np.abs(residual) < band
        if near.sum() < 50:
            return None
        design = np.column_stack([np.ones(near.sum()), points[near, :2]])
        coefficients = np.linalg.lstsq(design, points[near, 2], rcond=None)[0]
    normal = np.array([-coefficients[1], -coefficients[2], 1.0])
    length = np.linalg.norm(normal)
    return normal / length, float(coefficients[0] / length)


def _horizontal_planes(surface: Surface) -> list[Support]:
    """All level planes of at least `MIN_SUPPORT_AREA`, largest first."""
    free = np.ones(len(surface.vertices), bool)
    found: list[Support] = []
    for _ in range(8):
        plane = _largest_plane(surface, free)
        if plane is None:
            break
        normal, offset = plane
        distance = surface.vertices @ normal - offset
        inlier = free & (np.abs(distance) < 0.012) & (surface.normals[:, 2] > UPWARD)
        free &= np.abs(distance) > 0.02
        if inlier.sum() < 50 or normal[2] < np.cos(2 * MAX_TILT):
            continue
        support = _support(surface.vertices[inlier])
        if support is not None and all(abs(support.height - other.height) > 0.03 for other in found):
            found.append(support)
    found.sort(key=lambda s: -s.area)
    return found


def _support(points: Float) -> Support | None:
    """A support from its inlier points: its largest connected patch, as outline, rectangle and warp."""
    origin = points[:, :2].min(axis=0)
    cells = ((points[:, :2] - origin) / CELL).astype(int)
    grid = np.zeros(cells.max(axis=0) + 1, bool)
    grid[cells[:, 0], cells[:, 1]] = True
    # Objects hide what is behind them: patches of one table may be a hand apart.
    labels, _ = ndimage.label(ndimage.binary_dilation(grid, iterations=4))
    label_of_point = labels[cells[:, 0], cells[:, 1]]
    largest = int(np.argmax(np.bincount(label_of_point[label_of_point > 0])))
    points = points[label_of_point == largest]
    area = float(np.count_nonzero(grid & (labels == largest))) * CELL**2
    if area < MIN_SUPPORT_AREA:
        return None
    coefficients = np.zeros(6)
    coefficients[0] = np.median(points[:, 2])
    keep = np.ones(len(points), bool)
    for _ in range(6):
        design = _quadratic(points[keep, :2])
        coefficients = np.linalg.lstsq(design, points[keep, 2], rcond=None)[0]
        residual = points[:, 2] - _quadratic(points[:, :2]) @ coefficients
        scale = 1.4826 * np.median(np.abs(residual[keep]))
        keep = np.abs(residual) < max(2.5 * scale, 0.002)
    rms = float(np.sqrt(np.mean(residual[keep] ** 2)))
    trimmed = _trim(points[:, :2])
    hull = trimmed[ConvexHull(trimmed).vertices]
    center, size, yaw = minimum_rectangle(hull)
    return Support("floor", float(np.median(points[keep, 2])), center, size, yaw, hull, coefficients, rms, area)


def _bend(support: Support) -> float:
    """Largest departure [m] of a support's warp from its best plane, over its outline."""
    ring = np.concatenate([support.outline, (support.outline + support.center) / 2, support.center[None]])
    height = support.surface_height(ring)
    flat = np.column_stack([np.ones(len(ring)), ring])
    return float(np.abs(height - flat @ np.linalg.lstsq(flat, height, rcond=None)[0]).max())


def _trim(xy: Float) -> Float:
    """Drops sparse fringe points, which would stretch the outline."""
    origin = xy.min(axis=0)
    cells = ((xy - origin) / CELL).astype(int)
    counts = np.zeros(cells.max(axis=0) + 1)
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1)
    solid = ndimage.binary_opening(np.pad(counts > 0, 1), iterations=1)[1:-1, 1:-1]
    kept = xy[solid[cells[:, 0], cells[:, 1]]]
    return kept if len(kept) >= 10 else xy


def minimum_rectangle(points: Float) -> tuple[Float, Float, float]:
    """Smallest rectangle round xy points [N, 2] (rotating calipers): centre [2], size [2] (long side first), yaw
    [rad]."""
    hull = points[ConvexHull(points).vertices]
    edges = np.roll(hull, -1, axis=0) - hull
    best: tuple[float, Float, Float, float] | None = None
    for angle in np.unique(np.round(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2), 6)):
        axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        local = hull @ axes.T
        low, high = local.min(axis=0), local.max(axis=0)
        area = float(np.prod(high - low))
        if best is None or area < best[0]:
            best = (area, (low + high) / 2 @ axes, high - low, float(angle))
    assert best is not None
    _, center, size, yaw = best
    if size[1] > size[0]:
        size, yaw = size[::-1], yaw + np.pi / 2
    return center, size, float((yaw + np.pi / 2) % np.pi - np.pi / 2)


def _shifted(support: Support, shift: Float) -> Support:
    """The support after moving the world by `shift` [3]."""
    a, b, c, d, e, f = support.warp
    x, y = shift[0], shift[1]
    # Substituting (x - sx, y - sy) for (x, y) in the quadratic.
    warp = np.array(
        [
            a - b * x - c * y + d * x * x + e * x * y + f * y * y + shift[2],
            b - 2 * d * x - e * y,
            c - 2 * f * y - e * x,
            d,
            e,
            f,
        ]
    )
    return replace(
        support,
        height=support.height + shift[2],
        center=support.center + shift[:2],
        outline=support.outline + shift[:2],
        warp=warp,
    )


# -----------------------------------------------------------------------------------------------------------------
# walls


def _walls(surface: Surface, *, minimum_area: float = 0.5) -> tuple[Float, Float]:
    """Vertical planes by histogram over direction and offset of sideways-facing surface; each at least
    `minimum_area`."""
    sideways = np.abs(surface.normals[:, 2]) < 0.2
    points, normals = surface.vertices[sideways], surface.normals[sideways]
    sides = points
    area = surface.voxel**2
    planes: list[Float] = []
    extents: list[Float] = []
    for _ in range(16):
        if len(points) * area < minimum_area:
            break
        angle = np.arctan2(normals[:, 1], normals[:, 0])
        counts = np.histogram(angle, np.linspace(-np.pi, np.pi, 73))[0].astype(float)
        peak = -np.pi + (np.argmax(ndimage.uniform_filter1d(counts, 3, mode="wrap")) + 0.5) * np.deg2rad(5)
        direction = np.array([np.cos(peak), np.sin(peak), 0.0])
        facing = normals @ direction > np.cos(np.deg2rad(15))
        offsets = points[facing] @ direction
        bins = np.arange(offsets.min() - 0.05, offsets.max() + 0.1, 0.04)
        offset = bins[int(np.argmax(np.histogram(offsets, bins)[0]))] + 0.02
        near = facing & (np.abs(points @ direction - offset) < 0.06)
        if near.sum() * area < minimum_area:
            points, normals = points[~facing], normals[~facing]
            continue
        centered = points[near, :2] - points[near, :2].mean(axis=0)
        across = np.linalg.svd(centered, full_matrices=False)[2][1]
        across = across * np.sign(across @ direction[:2])
        offset = float(np.median(points[near, :2] @ across))
        plane = np.array([across[0], across[1], 0.0, offset])
        on = np.abs(points @ plane[:3] - offset) < 0.05
        # A wall has nothing behind it; the front of a cabinet has the wall.
        along = surface.vertices[:, :2] @ np.array([-across[1], across[0]])
        low, high = np.percentile(points[near, :2] @ np.array([-across[1], across[0]]), [5, 95])
        beyond = (surface.vertices @ plane[:3] < offset - BEHIND[0]) & (along > low) & (along < high)
        if beyond.sum() > BEHIND[1] * near.sum():
            points, normals = points[~on], normals[~on]
            continue
        # Corners belong to both walls: extents are measured on everything that faces sideways.
        whole = sides[np.abs(sides @ plane[:3] - offset) < 0.05]
        along = whole[:, :2] @ np.array([-across[1], across[0]])
        planes.append(plane)
        extents.append(np.array([np.percentile(along, [0.2, 99.8]), np.percentile(whole[:, 2], [0.2, 99.8])]))
        points, normals = points[~on], normals[~on]
    return np.array(planes).reshape(-1, 4), np.array(extents).reshape(-1, 2, 2)


# -------------------------------------------------------------------------------------------------------------
# alignment


def _rotation_to_z(normal: Float) -> Float:
    """Smallest rotation [3, 3] that turns `normal` to +Z (Rodrigues)."""
    z = np.array([0.0, 0.0, 1.0])
    axis = np.cross(normal, z)
    cosine = float(normal @ z)
    if cosine < -0.999999:
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.asarray(np.eye(3) + skew + skew @ skew / (1 + cosine))


def _homogeneous(rotation: Float) -> Float:
    transform = np.eye(4)
    transform[:3, :3] = rotation
    return transform


def _translation(shift: Float) -> Float:
    transform = np.eye(4)
    transform[:3, 3] = shift
    return transform


def _up_from_largest_plane(surface: Surface) -> Float:
    """Rotation that turns the largest plane's normal (towards the side most of the surface is on) to +Z."""
    from .fusion import import_open3d

    o3d = import_open3d()
    cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(surface.vertices))
    o3d.utility.random.seed(0)
    scale = float(np.ptp(surface.vertices, axis=0).max())
    plane, inliers = cloud.segment_plane(max(surface.voxel, 0.005 * scale), 3, 500)
    normal = np.asarray(plane[:3])
    rest = np.delete(surface.vertices, inliers, axis=0)
    if len(rest) and np.median(rest @ normal + plane[3]) < 0:
        normal = -normal
    return _homogeneous(_rotation_to_z(normal))


def support_below(points: Float, supports: Sequence[Support], margin: float = 0.01) -> NDArray[np.int64]:
    """Index [N] of the highest support under each world point [N, 3], -1 where there is none."""
    best = np.full(len(points), -1, np.int64)
    level = np.full(len(points), -np.inf)
    for index, support in enumerate(supports):
        height = support.surface_height(points[:, :2])
        grow = 0.3 if support.kind == "floor" else margin
        under = support.contains(points[:, :2], grow) & (points[:, 2] > height - 0.02) & (height > level)
        best[under] = index
        level[under] = height[under]
    return best
