"""Stage 7, collision shapes: a primitive where one fits, one hull where that is close, else CoACD convex parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..scenes.convex import convex_parts
from .capture import Float
from .meshing import ObjectMesh
from .shapes import Method


@dataclass(frozen=True)
class CollisionShape:
    """One convex shape in the body frame: a primitive (size, turn) or a hull (vertices, faces).

    Attributes:
        shape: "box", "cylinder", "sphere" or "mesh".
        size: full extents [3]; cylinders along local Z.
        quaternion: (w, x, y, z) of a primitive in the body frame.
        vertices, faces: of a hull, else None.
    """

    shape: str
    size: Float
    quaternion: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    vertices: Float | None = None
    faces: NDArray[np.int64] | None = None


def build_collision(mesh: ObjectMesh, method: Method) -> tuple[list[CollisionShape], str]:
    """Convex shapes of a mesh, and how they were made ("primitive", "hull", "coacd", "hull (decomposition failed)")."""
    size = mesh.size
    if method in ("box", "cylinder", "sphere"):
        return [CollisionShape(method, size)], "primitive"
    if method == "lying cylinder":
        half = float(np.sqrt(0.5))
        return [CollisionShape("cylinder", np.array([size[2], size[2], size[0]]), (half, 0.0, half, 0.0))], "primitive"
    hulls, how = convex_parts(mesh.trimesh())
    return [CollisionShape("mesh", np.ptp(h.vertices, axis=0), vertices=h.vertices, faces=h.faces) for h in hulls], how
