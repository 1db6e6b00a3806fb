"""Convex parts of a closed mesh: one hull where that is close enough, else CoACD's approximate decomposition.

Convex parts are clipped to the mesh's bounding box: CoACD's remeshing grows its input by millimetres, which would
lift an object off its support and push neighbours apart.

CoACD: Wei et al., "Approximate Convex Decomposition for 3D Meshes with Collision-Aware Concavity and Tree Search",
ACM Transactions on Graphics 41 (4), 2022.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import trimesh
from numpy.typing import NDArray

Float = NDArray[np.float64]

CONVEX_SHARE = 0.92
"""Volume over hull volume from which one hull is close enough."""
MAX_PARTS, MAX_VERTICES = 16, 48
TIME_LIMIT = 60.0
MIN_PART_VOLUME = 2e-8
"""Smallest part [m^3]: MuJoCo refuses slivers ("volume is too small")."""


class Hull(NamedTuple):
    """A convex mesh: vertices float64 [V, 3] in metres, faces int64 [F, 3], outward."""

    vertices: Float
    faces: NDArray[np.int64]


def convex_parts(solid: trimesh.Trimesh) -> tuple[list[Hull], str]:
    """Convex parts of a closed mesh, and how they were made ("hull", "coacd", "hull (decomposition failed)")."""
    if solid.volume / solid.convex_hull.volume > CONVEX_SHARE:
        return [convex_hull(solid.vertices)], "hull"
    low, high = solid.bounds
    hulls = [convex_hull(np.clip(points, low, high)) for points in _decompose(solid) or ()]
    hulls = [hull for hull in hulls if trimesh.Trimesh(hull.vertices, hull.faces).volume > MIN_PART_VOLUME]
    return (hulls, "coacd") if hulls else ([convex_hull(solid.vertices)], "hull (decomposition failed)")


def convex_hull(points: Float) -> Hull:
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
    return Hull(vertices, np.asarray(hull.faces, np.int64))


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
    command = [sys.executable, "-m", f"{__package__}.convex"]
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
