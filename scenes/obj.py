"""Wavefront OBJ, the mesh format of scene folders: MuJoCo, Blender and a text editor read it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

CREASE = math.radians(40.0)
"""Faces that meet at a larger angle than this [rad] are shaded apart: an edge, not a bend."""


def obj_text(vertices: Float, faces: NDArray[np.integer], uv: Float | None = None, normals: Float | None = None) -> str:
    """A mesh as OBJ: vertices [V, 3] in metres, faces [F, 3], and of the corners texture coordinates [F, 3, 2] and
    normals [F, 3, 3] where given.
    """
    lines = [f"v {x:.8f} {y:.8f} {z:.8f}" for x, y, z in vertices + 0.0]
    indices = [np.asarray(faces) + 1]
    if uv is not None:
        unique, index = np.unique(uv.reshape(-1, 2).round(6), axis=0, return_inverse=True)
        lines += [f"vt {u:.6f} {v:.6f}" for u, v in unique]
        indices.append(index.reshape(-1, 3) + 1)
    if normals is not None:
        unique, index = np.unique(normals.reshape(-1, 3).round(4) + 0.0, axis=0, return_inverse=True)
        lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in unique]
        indices.append(index.reshape(-1, 3) + 1)
    joint = "//" if uv is None else "/"
    for corners in np.stack(indices, axis=2).tolist():
        lines.append("f " + " ".join(joint.join(map(str, corner)) for corner in corners))
    return "\n".join(lines) + "\n"


def read_obj(text: str) -> tuple[Float, NDArray[np.int64]]:
    """Vertices [V, 3] and faces [F, 3] of an OBJ that `obj_text` wrote."""
    vertices, faces = [], []
    for line in text.splitlines():
        kind, *words = line.split()
        if kind == "v":
            vertices.append([float(word) for word in words])
        elif kind == "f":
            faces.append([int(word.partition("/")[0]) - 1 for word in words])
    return np.array(vertices), np.array(faces, np.int64)


def corner_normals(vertices: Float, faces: NDArray[np.integer], crease: float = CREASE) -> Float:
    """Unit normals [F, 3, 3] of the corners: bends are shaded smoothly, edges over `crease` [rad] stay edges."""
    triangles = vertices[faces]
    crossed = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    area = np.linalg.norm(crossed, axis=1, keepdims=True)
    flat = crossed / np.maximum(area, 1e-30)
    # Every pair of corners at the same vertex, by sorting corners by vertex.
    corner = np.argsort(faces.ravel(), kind="stable")
    counts = np.bincount(faces.ravel(), minlength=len(vertices))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    repeats = np.repeat(counts, counts)
    first = np.repeat(corner, repeats)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    second = corner[np.repeat(np.repeat(starts, counts), repeats) + offset]
    near = np.einsum("pi,pi->p", flat[first // 3], flat[second // 3]) >= math.cos(crease)
    total = np.zeros((3 * len(faces), 3))
    np.add.at(total, first[near], crossed[second[near] // 3])
    total /= np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-30)
    return total.reshape(-1, 3, 3)
