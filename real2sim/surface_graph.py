"""The fused surface as a graph: neighbours, curvature, connected components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from .capture import Float
from .fusion import Surface

Labels = NDArray[np.int64]


def adjacency(surface: Surface) -> sparse.csr_matrix:
    """Symmetric 0/1 adjacency [V, V] of the mesh."""
    faces = surface.faces
    i = np.concatenate([faces[:, 0], faces[:, 1], faces[:, 2]])
    j = np.concatenate([faces[:, 1], faces[:, 2], faces[:, 0]])
    count = len(surface.vertices)
    graph = sparse.coo_matrix((np.ones(len(i), np.float32), (i, j)), shape=(count, count)).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    return graph


def least_curvature(points: Float, normals: Float, graph: sparse.csr_matrix, scale: float, voxel: float) -> Float:
    """Least principal curvature [N] in 1/m (positive where convex) after smoothing over about `scale` metres.

    The curvature tensor of a vertex is gathered from its edges, and its principal curvatures follow from the
    tensor's two tangential eigenvalues (Taubin 1995, equation 5: k1 = 3 m1 - m2, k2 = 3 m2 - m1).
    """
    degree = np.asarray(graph.sum(axis=1)).ravel() + 1
    average = sparse.diags(1 / degree) @ (graph + sparse.identity(graph.shape[0], format="csr", dtype=np.float32))
    for _ in range(max(1, round((scale / voxel) ** 2))):
        points = average @ points
        normals = average @ normals
    normals = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
    edges = graph.tocoo()
    step = points[edges.col] - points[edges.row]
    normal = normals[edges.row]
    square = np.maximum((step * step).sum(1), (0.3 * voxel) ** 2)
    bend = ((normals[edges.col] - normal) * step).sum(1) / square
    # Two tangents per vertex turn the tensor into a symmetric 2 x 2 matrix with closed-form eigenvalues.
    helper = np.where(np.abs(normals[:, 2:3]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    first = np.cross(normals, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True) + 1e-12
    second = np.cross(normals, first)
    u, v = (step * first[edges.row]).sum(1), (step * second[edges.row]).sum(1)
    length = np.hypot(u, v) + 1e-12
    u, v = u / length, v / length
    count = len(points)
    tensor = np.stack([np.bincount(edges.row, bend * w, count) for w in (u * u, u * v, v * v)], axis=1)
    tensor = tensor / np.maximum(degree - 1, 1)[:, None]
    # Neighbours share almost the same tangent plane but not the same tangents: average in space, not in (u, v).
    a, b, c = tensor.T
    full = (
        a[:, None, None] * first[:, :, None] * first[:, None, :]
        + b[:, None, None] * (first[:, :, None] * second[:, None, :] + second[:, :, None] * first[:, None, :])
        + c[:, None, None] * second[:, :, None] * second[:, None, :]
    ).reshape(count, 9)
    for _ in range(2):
        full = average @ full
    full = full.reshape(count, 3, 3)
    a = np.einsum("ni,nij,nj->n", first, full, first)
    b = np.einsum("ni,nij,nj->n", first, full, second)
    c = np.einsum("ni,nij,nj->n", second, full, second)
    middle, spread = (a + c) / 2, np.sqrt(((a - c) / 2) ** 2 + b**2)
    return np.asarray(3 * (middle - spread) - (middle + spread))


def components(graph: sparse.csr_matrix, mask: NDArray[np.bool_], *, minimum: int) -> Labels:
    """Labels [N] of the connected components of the masked vertices with at least `minimum` of them; -1 elsewhere."""
    index = np.flatnonzero(mask)
    labels = np.full(graph.shape[0], -1, np.int64)
    if len(index) == 0:
        return labels
    _, parts = csgraph.connected_components(graph[index][:, index], directed=False)
    sizes = np.bincount(parts)
    order = np.flatnonzero(sizes >= minimum)
    renumber = np.full(len(sizes), -1, np.int64)
    renumber[order] = np.arange(len(order))
    labels[index] = renumber[parts]
    return labels


def grow(graph: sparse.csr_matrix, labels: Labels) -> Labels:
    """Spreads labels over the graph, one ring at a time; what no label reaches stays -1."""
    labels = labels.copy()
    edges = graph.tocoo()
    row, col = edges.row, edges.col
    while True:
        front = (labels[row] >= 0) & (labels[col] < 0)
        if not front.any():
            return labels
        # The smallest label wins a tie, so that the result does not depend on edge order.
        order = np.argsort(-labels[row[front]], kind="stable")
        labels[col[front][order]] = labels[row[front][order]]
