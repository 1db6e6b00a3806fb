"""The ground that a mesh stands on, if it shows one: the level surface below everything else."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..errors import CaptureError
from .capture import CaptureMesh, Float

LEVEL = np.cos(np.deg2rad(20.0))
"""Least cosine between a face's normal and the axis of a level that it belongs to."""
CELL = 0.01
"""Edge of the cells [m] in which footprints are counted."""
SAMPLES = 200_000
STANDS = np.cos(np.deg2rad(8.0))
"""An object within this of a stable pose is taken to stand as it is."""


@dataclass(frozen=True)
class Ground:
    """What a mesh stands on.

    Attributes:
        up: float64 [3], its unit normal. height: along `up` [m]. area: of its largest level [m^2].
        bottom: whether hardly anything lies below it.
        roughness: standard deviation of its heights [m].
    """

    up: Float
    height: float
    area: float
    bottom: bool
    roughness: float


@dataclass(frozen=True)
class Cloud:
    """Points spread evenly over a mesh: float64 [S, 3] points and face normals; `area` [m^2] for which each stands."""

    points: Float
    normals: Float
    area: float


def sample(mesh: CaptureMesh) -> Cloud:
    """Points spread evenly over the faces (systematic in area, so the same for the same mesh)."""
    corners = mesh.vertices[mesh.faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(cross, axis=1)
    total = float(double.sum()) / 2
    if not total > 0:
        raise CaptureError(f"the mesh {mesh.name!r} has no area")
    steps = (np.arange(SAMPLES) + 0.5) / SAMPLES * double.sum()
    face = np.minimum(np.searchsorted(np.cumsum(double), steps), len(double) - 1)
    a, b = np.random.default_rng(0).random((2, SAMPLES, 1))
    flip = a + b > 1
    a, b = np.where(flip, 1 - a, a), np.where(flip, 1 - b, b)
    triangle = corners[face]
    points = triangle[:, 0] + a * (triangle[:, 1] - triangle[:, 0]) + b * (triangle[:, 2] - triangle[:, 0])
    return Cloud(points, cross[face] / double[face, None], total / SAMPLES)


def find_ground(points: Float, normals: Float, area: float) -> Ground | None:
    """The level that the mesh stands on, if it shows one.

    The axis that the reader took for up is believed unless it shows no ground at all and another axis clearly does
    (files of unknown up axis).

    Args:
        points, normals: float64 [S, 3], even samples of the mesh. area: for which each sample stands [m^2].
    """
    cloud = Cloud(points, normals, area)
    axes = [
        np.eye(3)[2],
        *(sign * np.eye(3)[axis] for axis in (0, 1, 2) for sign in (1.0, -1.0) if (axis, sign) != (2, 1)),
    ]
    grounds = [ground_along(cloud, axis) for axis in axes]
    if grounds[0] is not None:
        return grounds[0]
    whole = area * len(points)
    others = [g for g in grounds if g is not None and g.bottom and g.area > 0.35 * whole]
    return max(others, key=lambda g: g.area, default=None)


def ground_along(cloud: Cloud, axis: Float) -> Ground | None:
    """The largest level facing along `axis`, if something stands on it."""
    facing = cloud.normals @ axis > LEVEL
    if facing.sum() * cloud.area < 0.01:
        return None
    for _ in range(2):  # the second time along the level's own normal
        heights = cloud.points @ axis
        bins = np.arange(heights.min() - 0.02, heights.max() + 0.03, 0.01)
        counts = ndimage.uniform_filter1d(np.histogram(heights[facing], bins)[0].astype(float), 2)
        # Of levels of like size the lowest: a floor rather than a ceiling's edge or a table top.
        peak = int(np.flatnonzero(counts > 0.6 * counts.max())[0])
        near = facing & (np.abs(heights - bins[peak] - 0.005) < 0.02)
        if not near.any():
            return None
        axis = cloud.normals[near].mean(axis=0)
        axis = axis / np.linalg.norm(axis)
    height = float(np.median(heights[near]))
    seen = float(near.sum()) * cloud.area
    above = heights > height + 0.015
    across = np.linalg.svd(axis[None])[2][1:]
    standing = _footprint(cloud.points[above] @ across.T)
    # On a ground stands something, and it shows round what stands there; the top of a box carries nothing.
    # A mere sheet, without an underside, is a ground on which hardly anything stands.
    sheet = near.mean() > 0.5 and (cloud.normals @ axis < -0.3).mean() < 0.05
    if not (sheet or above.mean() > 0.01) or seen < 0.5 * standing:
        return None
    bottom = bool((heights < height - 0.03).mean() < 0.05)
    roughness = float(heights[near].std())
    return Ground(axis, height, seen, bottom, roughness) if seen > (0.03 if bottom else 0.12) else None


def _footprint(xy: Float) -> float:
    """Area [m^2] that points [N, 2] cover, counted in cells."""
    return float(len(np.unique(np.floor(xy / CELL).astype(np.int64), axis=0))) * CELL**2


def needs_floor(points: Float, ground: Ground | None) -> bool:
    """Whether a virtual floor belongs under a mesh: under an object on nothing and a table in the air."""
    if ground is None:
        return True
    return not ground.bottom and ground.height - float(np.percentile(points[:, 2], 0.1)) > 0.3


def levelled(
    mesh: CaptureMesh, cloud: Cloud, ground: Ground | None, notes: list[str]
) -> tuple[CaptureMesh, Cloud, Ground | None]:
    """Turns the mesh so that its ground is level."""
    if ground is None:
        return mesh, cloud, None
    turn = _rotation_to_z(ground.up)
    angle = float(np.rad2deg(np.arccos(np.clip(ground.up[2], -1, 1))))
    if angle > 1:
        notes.append(f"The mesh was turned by {angle:.0f} degrees, so that the surface it stands on is level.")
    return *_turned(mesh, cloud, turn), replace(ground, up=np.array([0.0, 0.0, 1.0]))


def resting(mesh: CaptureMesh, cloud: Cloud, notes: list[str]) -> tuple[CaptureMesh, Cloud]:
    """Lays an object of unknown up axis on its likeliest side, unless it can stand as it is."""
    import trimesh

    body = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    hull = body.convex_hull
    middle = body.center_mass if body.is_watertight else hull.center_mass
    poses, _ = trimesh.poses.compute_stable_poses(hull, center_mass=middle, n_samples=1)
    if not len(poses) or poses[:, 2, 2].max() > STANDS:
        return mesh, cloud
    notes.append("The object could not stand as it is in the file: it was laid on its likeliest side.")
    return _turned(mesh, cloud, poses[0][:3, :3])


def _turned(mesh: CaptureMesh, cloud: Cloud, turn: Float) -> tuple[CaptureMesh, Cloud]:
    """Both after a rotation [3, 3]."""
    return (
        replace(mesh, vertices=mesh.vertices @ turn.T),
        replace(cloud, points=cloud.points @ turn.T, normals=cloud.normals @ turn.T),
    )


def _rotation_to_z(normal: Float) -> Float:
    """A rotation [3, 3] that turns the unit vector `normal` to +Z (Rodrigues)."""
    x, y, z = normal
    if z < -0.999999:
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, 0, -x], [0, 0, -y], [x, y, 0]])
    rotation: Float = np.eye(3) + skew + skew @ skew / (1 + z)
    return rotation
