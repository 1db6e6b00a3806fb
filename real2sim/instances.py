"""Stage 4, instances: which part of the surface above a support belongs to which object.

The default is geometric. Surface above a support is cut along concave creases (where two things touch, or one stands on
the other; Stein et al. 2014 call this local convexity), the connected pieces are objects unless physics says otherwise: a piece that
rests on nothing is a handle, a piece enclosed by another is its inside. Pieces cut off by the edge of the scan are
reported, not guessed. Masks of learned models come in through `InstanceSegmenter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from .capture import Float
from .fusion import Surface
from .structure import Structure, Support, support_below
from .views import DepthView, project

MIN_HEIGHT = 0.006
"""Least height [m] above the support at which surface counts as an object's: three times a floor's residual."""
NOISE = 0.012
"""Height that range noise alone can give a flat floor, as a share of the viewing distance (LiDAR: 0.5 to 1 %)."""
MIN_TOP = 0.008
"""Objects lower than this [m] are not told from the support's own noise."""
MIN_AREA = 2e-4
"""Least footprint [m^2] of an object."""
CREASE_CURVATURE = -18.0
"""Least principal curvature [1/m] under which surface is a concave crease. Smoothed LiDAR turns an 18 mm deep gap of 1 cm into -30 to
-80, a flat floor into +-6. Inner walls of bowls are as curved: they carry no piece of their own and fall to the rim."""
CELL = 0.005
"""Edge [m] of the cells in which footprints are compared."""
CLOSED_RING = 0.6
"""Least share of an object's surroundings that the scan must have seen: what runs out of the scan has half or less."""


@dataclass(frozen=True)
class Instance:
    """One object's part of the fused surface.

    Attributes:
        vertices: int64 [N], indices into the surface's vertices.
        support: index of the support below, and `on`: index of the instance it stands on, or None.
        base: height [m] of what it stands on.
    """

    vertices: NDArray[np.int64]
    support: int
    on: int | None
    base: float


@dataclass(frozen=True)
class Rejected:
    """A piece of surface that is not a whole object, and why."""

    center: Float
    size: Float
    reason: str


@dataclass(frozen=True)
class Segmentation:
    """What a segmenter found."""

    instances: tuple[Instance, ...]
    rejected: tuple[Rejected, ...]


class InstanceSegmenter(Protocol):
    """Anything that groups surface vertices into objects: geometry, SAM-style masks, RoomPlan boxes.

    A mask-based segmenter projects `surface.vertices` into `views` (see `views.project`), votes with its 2D masks, and
    returns one label per vertex; `group_labels` turns labels into supported, bounded instances exactly as the default does.
    """

    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        """One label [V] per vertex of the aligned surface; -1 for structure and background."""
        ...


def find_instances(
    surface: Surface, structure: Structure, views: Sequence[DepthView], segmenter: InstanceSegmenter | None = None
) -> Segmentation:
    """Labels the surface with `segmenter` (geometric by default) and turns the labels into instances."""
    labels = (segmenter or GeometricSegmenter()).label(surface, structure, views)
    return group_labels(surface, structure, labels, viewing_range(surface, views))


@dataclass(frozen=True)
class GeometricSegmenter:
    """The default: concave creases, then physical plausibility."""

    crease: float = CREASE_CURVATURE
    smoothing: float = 0.006

    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        """See `InstanceSegmenter`."""
        support, height = heights(surface, structure)
        above = (support >= 0) & (height > np.maximum(MIN_HEIGHT, 1.5 * surface.voxel))
        above &= ~phantom(surface, views)
        above &= height > NOISE * viewing_range(surface, views)
        above &= ~_on_wall(surface, structure)
        graph = _graph(surface)
        curvature = _least_curvature(surface, graph, self.smoothing)
        core = above & (curvature > self.crease)
        labels = _components(graph, core, minimum=max(12, int(MIN_AREA / 4 / surface.voxel**2)))
        labels = _grow(graph, labels, above)
        labels = _merge_unsupported(surface, height, graph, labels)
        labels = _join_floating(surface, height, labels)
        return labels


def phantom(surface: Surface, views: Sequence[DepthView], *, maximum: int = 80) -> NDArray[np.bool_]:
    """Vertices [V] that the phone looked through more than twice as often as it hit them: curtains between an edge and what
    lies behind it, which smeared depth draws in single views."""
    hit = np.zeros(len(surface.vertices), np.int32)
    through = np.zeros(len(surface.vertices), np.int32)
    for number in np.unique(np.linspace(0, len(views) - 1, min(maximum, len(views))).round().astype(int)) if views else []:
        view = views[number]
        pixels, depth, inside = project(surface.vertices, view)
        measured = view.depth[pixels[:, 1], pixels[:, 0]]
        usable = inside & (measured > 0)
        beyond = measured - depth
        hit += usable & (np.abs(beyond) < 0.015)
        through += usable & (beyond > 0.03)
    return through > 2 * hit


def viewing_range(surface: Surface, views: Sequence[DepthView]) -> Float:
    """Distance [V] from which each vertex was seen at best: to the nearest camera position."""
    if not views:
        return np.zeros(len(surface.vertices))
    centers = np.array([view.world_from_camera[:3, 3] for view in views])
    return np.asarray(cKDTree(centers).query(surface.vertices)[0])


def heights(surface: Surface, structure: Structure) -> tuple[NDArray[np.int64], Float]:
    """Per vertex: the support below [V] (-1: none), and the height above it [V] (metres; -inf where none)."""
    support = support_below(surface.vertices, structure.supports)
    height = np.full(len(support), -np.inf)
    for index, item in enumerate(structure.supports):
        over = support == index
        height[over] = surface.vertices[over, 2] - item.surface_height(surface.vertices[over, :2])
    return support, height


def group_labels(
    surface: Surface, structure: Structure, labels: NDArray[np.int64], distance: Float
) -> Segmentation:
    """Turns vertex labels [V] into instances: checks size, completeness and what stands on what.

    `distance` [V] is the viewing range: what is far must be larger to be believed.
    """
    support, height = heights(surface, structure)
    seen = _SeenCells(surface)
    kept: list[tuple[NDArray[np.int64], int]] = []
    rejected: list[Rejected] = []
    pending = [np.flatnonzero((labels == label) & (support >= 0)) for label in range(int(labels.max(initial=-1)) + 1)]
    pending = [members for members in pending if len(members) >= 12]
    # A strip along the scan's edge may fall into several pieces: what is cut off hides the surroundings of the next.
    again = True
    while again:
        again = False
        kept, waiting = [], pending
        pending = []
        for members in waiting:
            under = int(np.bincount(support[members]).argmax())
            reason, cut = _reject(surface, height, members, structure.supports[under], seen, float(np.median(distance[members])))
            if reason is None:
                kept.append((members, under))
                pending.append(members)
                continue
            points = surface.vertices[members]
            low, high = points.min(axis=0), points.max(axis=0)
            rejected.append(Rejected((low + high) / 2, high - low, reason))
            if cut:
                seen.forget(points[:, :2])
                again = True
    instances = []
    for members, under in kept:
        on, base = _stands_on(surface, height, members, kept)
        instances.append(Instance(members, under, on, structure.supports[under].height + base))
    return Segmentation(tuple(instances), tuple(rejected))


def _reject(
    surface: Surface, height: Float, members: NDArray[np.int64], support: Support, seen: _SeenCells, distance: float
) -> tuple[str | None, bool]:
    """Why a piece of surface is no whole object (None if it is one), and whether it runs out of the scan."""
    xy = surface.vertices[members, :2]
    footprint = len(np.unique((xy / CELL).astype(int), axis=0)) * CELL**2
    if np.percentile(height[members], 95) < max(MIN_TOP, 2.5 * surface.voxel, 4 * support.rms, 2 * NOISE * distance):
        return "lower than the noise of its support", False
    ring = seen.ring_share(xy)
    if ring < CLOSED_RING:
        return f"cut off by the edge of the scan (only {ring:.0%} of its surroundings seen)", True
    if footprint < max(MIN_AREA, 25 * surface.voxel**2, (0.02 * distance) ** 2):
        return "too small for the scan's resolution", False
    return None, False


# --------------------------------------------------------------------------------------------------------------- surface


def _graph(surface: Surface) -> sparse.csr_matrix:
    """Symmetric 0/1 adjacency [V, V] of the mesh."""
    faces = surface.faces
    i = np.concatenate([faces[:, 0], faces[:, 1], faces[:, 2]])
    j = np.concatenate([faces[:, 1], faces[:, 2], faces[:, 0]])
    count = len(surface.vertices)
    graph = sparse.coo_matrix((np.ones(len(i), np.float32), (i, j)), shape=(count, count)).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1
    return graph


def _least_curvature(surface: Surface, graph: sparse.csr_matrix, scale: float) -> Float:
    """Least principal curvature [V] in 1/m (positive where convex) after smoothing over about `scale` metres.

    The curvature tensor of a vertex is gathered from its edges, and its principal curvatures follow from the tensor's two
    tangential eigenvalues (Taubin 1995, equation 5: k1 = 3 m1 - m2, k2 = 3 m2 - m1).
    """
    degree = np.asarray(graph.sum(axis=1)).ravel() + 1
    average = sparse.diags(1 / degree) @ (graph + sparse.identity(graph.shape[0], format="csr", dtype=np.float32))
    rounds = max(1, round((scale / surface.voxel) ** 2))
    points, normals = surface.vertices.copy(), surface.normals.copy()
    for _ in range(rounds):
        points = average @ points
        normals = average @ normals
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    edges = graph.tocoo()
    step = points[edges.col] - points[edges.row]
    normal = normals[edges.row]
    square = np.maximum((step * step).sum(1), (0.3 * surface.voxel) ** 2)
    bend = ((normals[edges.col] - normal) * step).sum(1) / square
    tangent = step - (step * normal).sum(1, keepdims=True) * normal
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-12
    # Six entries of the symmetric tensor, averaged over the vertex's edges and then over its neighbours.
    i, j = np.triu_indices(3)
    tensor = np.stack(
        [np.bincount(edges.row, bend * tangent[:, a] * tangent[:, b], len(points)) for a, b in zip(i, j, strict=True)], axis=1
    ) / np.maximum(degree - 1, 1)[:, None]
    for _ in range(2):
        tensor = average @ tensor
    full = np.zeros((len(points), 3, 3))
    full[:, i, j] = tensor
    full[:, j, i] = tensor
    # The eigenvalue along the normal is near zero: drop the one closest to it.
    values, vectors = np.linalg.eigh(full)
    along_normal = np.abs(np.einsum("nij,ni->nj", vectors, normals)).argmax(axis=1)
    kept = np.take_along_axis(values, np.stack([(along_normal + 1) % 3, (along_normal + 2) % 3], axis=1), axis=1)
    low, high = kept.min(axis=1), kept.max(axis=1)
    return np.asarray(3 * low - high)


def _components(graph: sparse.csr_matrix, mask: NDArray[np.bool_], *, minimum: int) -> NDArray[np.int64]:
    """Labels [V] of the connected components of the masked vertices with at least `minimum` of them; -1 elsewhere."""
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


def _grow(graph: sparse.csr_matrix, labels: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Spreads labels over the masked surface, one ring at a time; what no label reaches stays -1."""
    labels = labels.copy()
    edges = graph.tocoo()
    inside = mask[edges.row] & mask[edges.col]
    row, col = edges.row[inside], edges.col[inside]
    while True:
        front = (labels[row] >= 0) & (labels[col] < 0)
        if not front.any():
            return labels
        # The smallest label wins a tie, so that the result does not depend on edge order.
        order = np.argsort(-labels[row[front]], kind="stable")
        labels[col[front][order]] = labels[row[front][order]]


def _merge_unsupported(
    surface: Surface, height: Float, graph: sparse.csr_matrix, labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Joins a piece to its neighbour when it could not stay where it is by itself.

    A piece stays by itself if its lowest surface is near the support, or if it stands on top of its neighbour, that is, if
    it lies above most of their common border. Otherwise it is a handle, a spout or the inside of a container.
    """
    labels = labels.copy()
    edges = sparse.triu(graph).tocoo()
    for _ in range(100):
        a, b = labels[edges.row], labels[edges.col]
        border = (a >= 0) & (b >= 0) & (a != b)
        if not border.any():
            break
        first, second = np.minimum(a[border], b[border]), np.maximum(a[border], b[border])
        border_height = np.minimum(height[edges.row[border]], height[edges.col[border]])
        count = int(labels.max()) + 1
        low = np.full(count, np.inf)
        for label in range(count):
            mine = height[labels == label]
            if len(mine):
                low[label] = np.percentile(mine, 3)
        pairs, inverse, length = np.unique(first * count + second, return_inverse=True, return_counts=True)
        merged = False
        for index in np.argsort(-length):
            one, two = divmod(int(pairs[index]), count)
            level = np.median(border_height[inverse == index])
            for piece, other in ((one, two), (two, one)):
                if _is_inside(surface, height, labels, piece, other):
                    labels[labels == piece] = other
                    merged = True
                    break
                grounded = low[piece] < 0.02 + 2 * surface.voxel
                heights_of_piece = height[labels == piece]
                stands_on_other = np.mean(heights_of_piece > level) > 0.85 and low[other] < level - 0.005
                if not grounded and not (stands_on_other and _covers(surface, labels, piece, other)):
                    labels[labels == piece] = other
                    merged = True
                    break
            if merged:
                break
        if not merged:
            break
    _, compact = np.unique(labels, return_inverse=True)
    return compact.astype(np.int64) - int((labels < 0).any())


def _is_inside(
    surface: Surface, height: Float, labels: NDArray[np.int64], piece: int, other: int
) -> bool:
    """Whether `piece` is the inside of a container: within the outline of `other` and below its rim."""
    mine, theirs = height[labels == piece], height[labels == other]
    return bool(np.percentile(mine, 80) < np.percentile(theirs, 90) - 0.004) and _covers(
        surface, labels, piece, other, share=0.75
    )


def _join_floating(surface: Surface, height: Float, labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Gives pieces that float in the air (a chair back behind an unseen bar) to the nearest grounded piece, or to nothing."""
    labels = labels.copy()
    count = int(labels.max(initial=-1)) + 1
    members = [np.flatnonzero(labels == label) for label in range(count)]
    low = [_lowest(height[m]) if len(m) else np.inf for m in members]
    level = 0.02 + 2 * surface.voxel
    grounded = [label for label in range(count) if low[label] < level]
    reach = max(0.03, 8 * surface.voxel)
    changed = True
    floating = [label for label in range(count) if low[label] >= level and len(members[label])]
    while changed and floating and grounded:
        changed = False
        tree = cKDTree(surface.vertices[np.concatenate([members[label] for label in grounded])])
        owner = np.concatenate([np.full(len(members[label]), label) for label in grounded])
        for label in list(floating):
            distance, nearest = tree.query(surface.vertices[members[label]])
            best = int(np.argmin(distance))
            if distance[best] < reach:
                target = int(owner[nearest[best]])
                labels[members[label]] = target
                members[target] = np.concatenate([members[target], members[label]])
                floating.remove(label)
                changed = True
    for label in floating:
        labels[members[label]] = -1
    _, compact = np.unique(labels, return_inverse=True)
    return compact.astype(np.int64) - int((labels < 0).any())


def _lowest(height: Float) -> float:
    """Height of the lowest surface [m], allowing for five stray vertices; a chair stands on very few."""
    return float(np.partition(height, min(5, len(height) - 1))[min(5, len(height) - 1)])


def _covers(
    surface: Surface, labels: NDArray[np.int64], piece: int, other: int, *, share: float = 0.5
) -> bool:
    """Whether `piece` stands within the outline of `other`: a can on a book, not a handle on a mug."""
    cells = {tuple(c) for c in (surface.vertices[labels == other][:, :2] / CELL).round().astype(int).tolist()}
    mine = (surface.vertices[labels == piece][:, :2] / CELL).round().astype(int)
    grid = np.array(sorted(cells))
    low = np.minimum(grid.min(axis=0), mine.min(axis=0)) - 2
    mask = np.zeros(np.maximum(grid.max(axis=0), mine.max(axis=0)) - low + 3, bool)
    mask[tuple((grid - low).T)] = True
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=2))
    return bool(filled[tuple((mine - low).T)].mean() > share)


def _on_wall(surface: Surface, structure: Structure) -> NDArray[np.bool_]:
    on = np.zeros(len(surface.vertices), bool)
    for plane in structure.walls:
        on |= surface.vertices @ plane[:3] - plane[3] < 0.03
    return on


def _stands_on(
    surface: Surface, height: Float, members: NDArray[np.int64], others: Sequence[tuple[NDArray[np.int64], int]]
) -> tuple[int | None, float]:
    """The instance that `members` stand on (index, or None for the support) and the height of its top above the support."""
    low = _lowest(height[members])
    if low < 0.02 + 2 * surface.voxel:
        return None, 0.0
    mine = surface.vertices[members][:, :2]
    cells = {tuple(c) for c in (mine / CELL).round().astype(int).tolist()}
    grown = {(x + dx, y + dy) for x, y in cells for dx in range(-3, 4) for dy in range(-3, 4)}
    best: tuple[int | None, float, int] = (None, 0.0, 0)
    for index, (other, _) in enumerate(others):
        if other is members:
            continue
        near = [tuple(c) in grown for c in (surface.vertices[other][:, :2] / CELL).round().astype(int).tolist()]
        below = np.array(near) & (height[other] < low + 0.01) & (surface.normals[other, 2] > 0.7)
        if below.sum() > max(best[2], 8):
            best = (index, float(np.median(height[other][below])), int(below.sum()))
    return best[0], best[1]


class _SeenCells:
    """The cells of the ground plan in which the scan has seen anything."""

    def __init__(self, surface: Surface) -> None:
        self.cell = max(CELL, 1.5 * surface.voxel)
        cells = np.unique((surface.vertices[:, :2] / self.cell).round().astype(int), axis=0)
        self.low = cells.min(axis=0) - 8
        self.grid = np.zeros(cells.max(axis=0) - self.low + 9, bool)
        self.grid[tuple((cells - self.low).T)] = True
        self.grid = ndimage.binary_closing(self.grid, iterations=1)

    def forget(self, xy: Float) -> None:
        """Counts the cells round points xy [N, 2] as unseen."""
        mask = np.zeros_like(self.grid)
        mask[tuple(((xy / self.cell).round().astype(int) - self.low).T)] = True
        self.grid &= ~ndimage.binary_dilation(ndimage.binary_closing(mask, iterations=1), iterations=2)

    def ring_share(self, xy: Float) -> float:
        """Share of the ring 1-2 cm around points xy [N, 2] in which something was seen."""
        mask = np.zeros_like(self.grid)
        mask[tuple(((xy / self.cell).round().astype(int) - self.low).T)] = True
        mask = ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=2))
        ring = ndimage.binary_dilation(mask, iterations=3) & ~ndimage.binary_dilation(mask, iterations=1)
        return float(self.grid[ring].mean()) if ring.any() else 0.0

