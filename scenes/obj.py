"""Wavefront OBJ, the mesh format of scene folders: MuJoCo, Blender and a text editor read it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def obj_text(vertices: Float, faces: NDArray[np.integer], uv: Float | None = None) -> str:
    """A mesh as OBJ: vertices [V, 3] in metres, faces [F, 3], and texture coordinates of the corners [F, 3, 2]."""
    lines = [f"v {x:.8f} {y:.8f} {z:.8f}" for x, y, z in vertices + 0.0]
    if uv is None:
        lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in faces]
    else:
        unique, index = np.unique(uv.reshape(-1, 2).round(6), axis=0, return_inverse=True)
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in unique]
        corners = index.reshape(-1, 3)
        lines += [
            " ".join(["f", *(f"{vertex + 1}/{corner + 1}" for vertex, corner in zip(face, coords, strict=True))])
            for face, coords in zip(faces, corners, strict=True)
        ]
    return "\n".join(lines) + "\n"
