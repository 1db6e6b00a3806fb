"""Mass properties of solids: what MuJoCo is told of a body's inertia, and what it accepts."""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray

from .scene import Estimate, Inertial

Float = NDArray[np.float64]


def homogeneous(solid: trimesh.Trimesh, mass: Estimate) -> Inertial:
    """The inertial of a closed mesh filled evenly to the given mass."""
    solid = solid.copy()
    solid.density = mass.value / float(solid.volume)
    return inertial(mass, np.asarray(solid.center_mass), np.asarray(solid.moment_inertia))


def inertial(mass: Estimate, com: Float, inertia: Float) -> Inertial:
    """Mass, centre of mass [3] and inertia about it [3, 3] as an `Inertial` that MuJoCo accepts."""
    x, y, z = (float(v) for v in com)
    i = repaired(inertia, mass.value)
    moments = (float(i[0, 0]), float(i[1, 1]), float(i[2, 2]))
    return Inertial(mass=mass, com=(x, y, z), inertia=(*moments, float(i[0, 1]), float(i[0, 2]), float(i[1, 2])))


def repaired(inertia: Float, mass: float) -> Float:
    """Nearest inertia MuJoCo accepts: eigenvalues positive and within the triangle inequality."""
    values, vectors = np.linalg.eigh((inertia + inertia.T) / 2)
    values = np.maximum(values, mass * 1e-6)
    # eigh sorts them: only the largest can exceed the sum of the others.
    values[2] = min(values[2], values[1] + 0.999 * values[0])
    return np.asarray(vectors @ np.diag(values) @ vectors.T)
