"""Stage 7, collision shapes: a primitive where one fits, one convex hull where that is close, else CoACD convex parts.

Convex parts are clipped to the object's bounding box: CoACD's remeshing grows its input by millimetres, which would
lift an object off its support and push neighbours apart.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trimesh
from numpy.typing import NDArray

from .capture import Float
from .meshing import ObjectMesh
from .shapes import Method

CONVEX_SHARE = 0.92
"""Volume over hull volume from which one hull is close enough."""
MAX_PARTS, MAX_VERTICES = 16, 48
TIME_LIMIT = 60.0
MIN_PART_VOLUME = 2e-8
"""Smallest part [m^3]: MuJoCo refuses slivers ("volume is too small")."""


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
    solid = mesh.trimesh()
    hull = solid.convex_hull
    if solid.volume / hull.volume > CONVEX_SHARE:
        return [_hull(solid.vertices)], "hull"
    parts = _decompose(solid)
    if parts is None:
        return [_hull(solid.vertices)], "hull (decomposition failed)"
    low, high = solid.bounds
    shapes = []
    for points in parts:
        shape = _hull(np.clip(points, low, high))
        if shape.vertices is not None and trimesh.Trimesh(shape.vertices, shape.faces).volume > MIN_PART_VOLUME:
            shapes.append(shape)
    if not shapes:
        return [_hull(solid.vertices)], "hull (decomposition failed)"
    return shapes, "coacd"


def _hull(points: Float) -> CollisionShape:
    """Convex hull with at most `MAX_VERTICES` vertices, kept where directions spread most evenly."""
    hull = trimesh.convex.convex_hull(points)
    vertices = np.asarray(hull.vertices)
    if len(vertices) > MAX_VERTICES:
        # The densest spread of directions whose extreme points fit the budget; the last one always does.
        for count in (96, 72, 54, MAX_VERTICES - 6):
            extreme = np.unique((vertices @ _fibonacci(count).T).argmax(axis=0))
            if len(extreme) <= MAX_VERTICES:
                break
        hull = trimesh.convex.convex_hull(vertices[extreme])
        vertices = np.asarray(hull.vertices)
    return CollisionShape("mesh", np.ptp(vertices, axis=0), vertices=vertices, faces=np.asarray(hull.faces, np.int64))


def _fibonacci(count: int) -> Float:
    """The six axis directions and `count` unit vectors spread evenly over the sphere, [count + 6, 3]."""
    index = np.arange(count) + 0.5
    polar = np.arccos(1 - 2 * index / count)
    turn = np.pi * (1 + 5**0.5) * index
    spread = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], axis=1)
    return np.concatenate([np.eye(3), -np.eye(3), spread])


def _decompose(mesh: trimesh.Trimesh) -> list[Float] | None:
    """CoACD parts in a process of its own: a run that hangs or crashes costs a minute, not the scan.

    Not by `multiprocessing`, which would import the caller's script again and, where that script scans, scan again.
    """
    command = [sys.executable, "-m", f"{__package__}.collision"]
    request = pickle.dumps((np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)))
    try:
        done = subprocess.run(command, input=request, capture_output=True, timeout=TIME_LIMIT, check=True)
        parts: list[Float] = pickle.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, pickle.UnpicklingError, EOFError):
        return None
    return parts


def _coacd_worker() -> None:
    """Reads vertices and faces from standard input, writes the points of each convex part to standard output."""
    # CoACD may print: what it prints must not get between us and our reader.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    vertices, faces = pickle.load(sys.stdin.buffer)
    import coacd

    coacd.set_log_level("off")
    parts: Sequence[tuple[Float, Float]] = coacd.run_coacd(
        coacd.Mesh(vertices, faces),
        threshold=0.06,
        max_convex_hull=MAX_PARTS,
        preprocess_mode="off",
        resolution=1000,
        mcts_nodes=10,
        mcts_iterations=60,
        mcts_max_depth=2,
        merge=True,
        seed=0,
    )
    with output:
        pickle.dump([np.asarray(points, np.float64) for points, _ in parts], output)


if __name__ == "__main__":
    _coacd_worker()
