"""Boxes and cylinders as collision geoms, and the mass properties of bodies made of them.

Furniture, fronts and frames of a parametric room are composites of these. All lengths are metres in the body's frame.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import CollisionGeom, Estimate, Inertial, Pose

Float = NDArray[np.float64]
Span = tuple[float, float]

THINNEST = 1e-4
"""No side of a composite gets thinner than this [m]: MuJoCo needs positive sizes."""


def slab(x: Span, y: Span, z: Span) -> CollisionGeom:
    """An axis-aligned box from its intervals [m]."""
    size = (max(x[1] - x[0], THINNEST), max(y[1] - y[0], THINNEST), max(z[1] - z[0], THINNEST))
    center = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2)
    return CollisionGeom(shape="box", size=size, pose=Pose(position=center))


def upright_cylinder(x: float, y: float, z: Span, diameter: float) -> CollisionGeom:
    """A cylinder along Z whose axis passes through (x, y) [m]."""
    size = (diameter, diameter, max(z[1] - z[0], THINNEST))
    return CollisionGeom(shape="cylinder", size=size, pose=Pose(position=(x, y, (z[0] + z[1]) / 2)))


def moved(geom: CollisionGeom, offset: Sequence[float]) -> CollisionGeom:
    """The same geom, shifted by `offset` [m]."""
    x, y, z = geom.pose.position
    position = (x + offset[0], y + offset[1], z + offset[2])
    return geom.model_copy(update={"pose": Pose(position=position, quaternion=geom.pose.quaternion)})


def volume(geom: CollisionGeom) -> float:
    """Volume [m^3] of a box or cylinder."""
    x, y, z = geom.size
    return x * y * z * (np.pi / 4 if geom.shape == "cylinder" else 1.0)


def bounds(geoms: Sequence[CollisionGeom]) -> Float:
    """Axis-aligned bounds of boxes and cylinders, float64 [2, 3] (low, high) in the body's frame."""
    corners = []
    for geom in geoms:
        half = np.abs(rotation_matrix(geom.pose.quaternion)) @ (np.array(geom.size) / 2)
        corners += [np.array(geom.pose.position) - half, np.array(geom.pose.position) + half]
    stacked = np.array(corners)
    return np.stack([stacked.min(axis=0), stacked.max(axis=0)])


def solid_inertial(geoms: Sequence[CollisionGeom], mass: Estimate) -> Inertial:
    """Mass properties of solid boxes and cylinders of one density which together weigh `mass`.

    Parallel-axis theorem over the textbook inertia tensors of a cuboid and a cylinder. Overlaps count twice.
    """
    weights = np.array([volume(geom) for geom in geoms])
    weights *= mass.value / weights.sum()
    centers = np.array([geom.pose.position for geom in geoms])
    com = weights @ centers / mass.value
    tensor = np.zeros((3, 3))
    for geom, weight, center in zip(geoms, weights, centers, strict=True):
        x, y, z = geom.size
        if geom.shape == "cylinder":
            side = weight * (3 * (x / 2) ** 2 + z**2) / 12
            own = np.diag([side, side, weight * (x / 2) ** 2 / 2])
        else:
            own = weight / 12 * np.diag([y * y + z * z, x * x + z * z, x * x + y * y])
        rotation = rotation_matrix(geom.pose.quaternion)
        arm = center - com
        tensor += rotation @ own @ rotation.T + weight * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    inertia = (tensor[0, 0], tensor[1, 1], tensor[2, 2], tensor[0, 1], tensor[0, 2], tensor[1, 2])
    return Inertial(mass=mass, com=tuple(com), inertia=inertia)


def share(mass: Estimate, fraction: float) -> Estimate:
    """The part `fraction` (in (0, 1]) of a mass, with the same relative uncertainty."""
    return Estimate(value=mass.value * fraction, low=mass.low * fraction, high=mass.high * fraction, source=mass.source)


def rotation_matrix(quaternion: Sequence[float]) -> Float:
    """Rotation matrix float64 [3, 3] of a unit quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose_of(matrix: Float) -> Pose:
    """Position and quaternion of a rigid transform, float64 [4, 4]."""
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
    return Pose(position=tuple(matrix[:3, 3]), quaternion=(w, x, y, z))


def matrix_of(pose: Pose) -> Float:
    """Rigid transform float64 [4, 4] of a pose."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_matrix(pose.quaternion)
    matrix[:3, 3] = pose.position
    return matrix
