"""Pieces of surface above a support, and which of them belong together: the geometric half of instance segmentation.

Surface is first cut too finely, along concave creases and strong colour edges; then neighbours are joined again
unless their
common border is concave along most of its length, because that is where one thing ends and another begins (local
convexity,
Stein et al. 2014). Last come the rules of statics: the inside of a bowl, and a handle that rests on nothing, are not
objects.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.spatial import cKDTree

from .capture import Float
from .fusion import Surface
from .ground_plan import CELL, hull_share, plan_gap, width
from .surface_graph import Labels, adjacency, components, grow, least_curvature

FINE_CREASE = -8.0
"""Least principal curvature [1/m] under which the first, too fine, cut is made; a flat floor has +-6."""
COLOR_EDGE = 45.0
"""Difference in colour (of 255, largest channel) between neighbouring vertices that also cuts at first."""
UNLIKE = (0.08, 0.25)
CONCAVE_SHARE = (0.85, 0.25)
"""Share of a border that must be concave to keep two pieces apart: most of it for pieces of one colour (mean colours
that
differ by less than 0.08 of full scale, such as the halves of a mug), a quarter for pieces of different colours."""

NECK, EDGES = 0.4, 2.5
"""A border shorter than this share of the narrower piece's width is a contact (bowl and bottle); edges of the mesh that
cross each voxel of a border."""
SIDE_UNLIKE, SIDE_CONCAVE, SIDE_WIDTH = 0.15, 0.4, 0.04
"""Least difference in colour, or concave share, of the border between two things side by side that stand flush; and the
least width [m] of both: a hammer's head differs from its handle too."""
SIDE_GAP, SIDE_OVERLAP, SIDE_STEP = 0.08, 0.12, 0.008
"""Things are side by side if their ground plans leave more than this share of their common hull free, or if they share
less than the second and their tops differ by the third [m]."""
LEVEL, LEVEL_UNLIKE = 0.006, 0.25
"""Most that the tops [m] and the colours of two pieces differ that are one under a thing that stands on both."""
SHARED_GROUND, SHARED_TOP, SHARED_UNLIKE = 0.3, 0.25, 0.4
"""Least share of the smaller ground plan that two pieces have in common, and most that their heights (as a share) and
colours differ, that must be one thing because two solids cannot be in one place."""
ANOTHER = 0.15
"""Least difference in colour of what stands on another thing where no ledge shows."""
HANDLE_WIDTH = 0.025
"""Widest a handle is [m]."""
LEDGE = 0.92
"""Least vertical part of the normals beside the foot of a thing that stands on another (23 degrees)."""


class Pieces:
    """A labelling of some vertices of a surface that is being merged; labels are -1 outside `above`.

    Attributes:
        labels: int64 [V].
    """

    def __init__(
        self, surface: Surface, above: NDArray[np.bool_], height: Float, crease: float, smoothing: float
    ) -> None:
        self._surface, self._height, self._crease = surface, height, crease
        self._index = np.flatnonzero(above)
        self.labels: Labels = np.full(len(surface.vertices), -1, np.int64)
        if len(self._index) == 0:
            return
        # Curvature at the foot of an object needs the floor round it: work on a band wider than what is labelled.
        graph = adjacency(surface)
        band = above.copy()
        for _ in range(6):
            band |= graph @ band > 0
        inner = np.flatnonzero(band)
        sub = graph[inner][:, inner]
        curvature = np.zeros(len(surface.vertices))
        curvature[inner] = least_curvature(
            surface.vertices[inner], surface.normals[inner], sub, smoothing, surface.voxel
        )
        self._curvature = curvature
        self._graph = graph[self._index][:, self._index]
        self._cells = (surface.vertices[self._index, :2] / CELL).round().astype(int)
        self._cells -= self._cells.min(axis=0) - 4
        self._cut()

    def _cut(self) -> None:
        """The first, too fine, labelling."""
        curvature = self._curvature[self._index]
        colors = self._surface.colors[self._index].astype(np.int16)
        edges = self._graph.tocoo()
        step = np.abs(colors[edges.row] - colors[edges.col]).max(axis=1)
        contrast = np.zeros(len(self._index), np.int16)
        np.maximum.at(contrast, edges.row, step)
        core = (curvature > FINE_CREASE) & (contrast < COLOR_EDGE)
        # One ring of erosion closes the narrow leaks that noise leaves in a crease.
        outside = self._graph @ (~core).astype(np.float32) > 0
        minimum = max(8, int(4e-5 / self._surface.voxel**2))
        local = components(self._graph, core & ~outside, minimum=minimum)
        local = grow(self._graph, local)
        # What no core reached (thin things are all edge) stands for itself.
        rest = components(self._graph, local < 0, minimum=minimum)
        local[rest >= 0] = rest[rest >= 0] + local.max(initial=-1) + 1
        self.labels[self._index] = local

    def _borders(self) -> dict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Per pair of touching labels (smaller first): the vertices (as positions in `_index`) on either side."""
        local = self.labels[self._index]
        if not hasattr(self, "_edges"):
            upper = sparse.triu(self._graph).tocoo()
            differing = local[upper.row] != local[upper.col]
            self._edges = (upper.row[differing], upper.col[differing])
        row, col = self._edges
        a, b = local[row], local[col]
        border = (a >= 0) & (b >= 0) & (a != b)
        row, col, a, b = row[border], col[border], a[border], b[border]
        swap = a > b
        first, second = np.where(swap, b, a), np.where(swap, a, b)
        key = first * (int(local.max(initial=0)) + 1) + second
        order = np.argsort(key, kind="stable")
        result: dict[tuple[int, int], tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        if len(order) == 0:
            return result
        starts = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0])
        for group in np.split(order, starts[1:]):
            here = np.where(swap[group], col[group], row[group])
            there = np.where(swap[group], row[group], col[group])
            result[int(first[group[0]]), int(second[group[0]])] = (here.astype(np.int64), there.astype(np.int64))
        return result

    def join_convex(self) -> None:
        """Joins neighbours whose border is not concave along most of its length."""
        curvature = self._curvature[self._index]
        # The crease runs along the border, a vertex or two to either side.
        near = curvature.copy()
        edges = self._graph.tocoo()
        for _ in range(2):
            around = near.copy()
            np.minimum.at(around, edges.row, near[edges.col])
            near = around
        colors = self._surface.colors[self._index].astype(float)
        plan = self._surface.vertices[self._index, :2]
        beside: dict[tuple[int, int, int, int], bool] = {}
        while True:
            local = self.labels[self._index]
            known = local >= 0
            count = np.bincount(local[known], minlength=1)
            total: Float = np.stack([np.bincount(local[known], colors[known, c]) for c in range(3)], axis=1)
            mean = total / np.maximum(count, 1)[:, None]
            # Each piece's best partner: the least concave border, alike in colour. Only mutual choices are joined,
            # so that a box's top finds its own sides before either finds the neighbour that stands flush with them.
            best: dict[int, tuple[float, int]] = {}
            for (one, two), (here, there) in self._borders().items():
                concave = float(np.mean(np.minimum(near[here], near[there]) < self._crease))
                unlike = float(np.abs(mean[one] - mean[two]).max()) / 255
                if concave >= np.interp(unlike, UNLIKE, CONCAVE_SHARE):
                    continue
                narrower = min(width(plan[local == one]), width(plan[local == two]))
                if len(here) / EDGES * self._surface.voxel < NECK * narrower:
                    continue
                key = (one, two, int(count[one]), int(count[two]))
                if key not in beside:
                    pair = (local == one, local == two)
                    beside[key] = narrower > SIDE_WIDTH and self._side_by_side(*pair, unlike, concave)
                if beside[key]:
                    continue
                score = concave + 0.5 * unlike - 0.001 * min(len(here), 100)
                for piece, other in ((one, two), (two, one)):
                    if piece not in best or (score, other) < best[piece]:
                        best[piece] = (score, other)
            joined = {
                max(piece, other): min(piece, other)
                for piece, (_, other) in best.items()
                if best.get(other, (0.0, -1))[1] == piece
            }
            if not joined:
                return
            self._rename(joined)

    def _side_by_side(self, one: NDArray[np.bool_], two: NDArray[np.bool_], unlike: float, concave: float) -> bool:
        """Whether two pieces (masks over `_index`) lie beside each other: two books do, a label and its can do not."""
        xy = self._surface.vertices[self._index, :2]
        gap, overlap = plan_gap(xy[one], xy[two])
        if unlike > SIDE_UNLIKE:
            top = [np.percentile(self._height[self._index[mask]], 90) for mask in (one, two)]
            return bool(gap > SIDE_GAP or (overlap < SIDE_OVERLAP and abs(top[0] - top[1]) > SIDE_STEP))
        return concave > SIDE_CONCAVE and gap > SIDE_GAP and overlap < SIDE_OVERLAP

    def join_overlapping(self, grounded: float) -> None:
        """Joins pieces that rest on the support, end at the same height and share ground: no two solids can."""
        members = self._members()
        plan = self._surface.vertices[:, :2]
        top = {label: float(np.percentile(self._height[m], 95)) for label, m in members.items()}
        renamed: dict[int, int] = {}
        for one, two in self._borders():
            first, second = members[one], members[two]
            if max(lowest(self._height[first]), lowest(self._height[second])) > grounded:
                continue
            color = [self._surface.colors[piece].mean(axis=0) for piece in (first, second)]
            unlike = float(np.abs(color[0] - color[1]).max()) / 255
            level = abs(top[one] - top[two]) < SHARED_TOP * max(top[one], top[two])
            if level and unlike < SHARED_UNLIKE and plan_gap(plan[first], plan[second])[1] > SHARED_GROUND:
                renamed[_root(renamed, two)] = _root(renamed, one)
        self._rename({piece: _root(renamed, piece) for piece in renamed})

    def join_under(self) -> None:
        """Joins what one thing stands on: a box across a book may cut its cover in two."""
        while True:
            members = self._members()
            plan = self._surface.vertices[:, :2]
            beside: dict[int, set[int]] = {label: set() for label in members}
            for one, two in self._borders():
                beside[one].add(two)
                beside[two].add(one)
            top = {label: float(np.percentile(self._height[m], 90)) for label, m in members.items()}
            low = {label: float(np.percentile(self._height[m], 5)) for label, m in members.items()}
            joined: dict[int, int] = {}
            for upper, around in beside.items():
                under = sorted(other for other in around if top[other] < low[upper] + LEVEL)
                for number, one in enumerate(under):
                    for two in under[number + 1 :]:
                        if joined or abs(top[one] - top[two]) > LEVEL:
                            continue
                        both = np.concatenate([members[one], members[two]])
                        color = [self._surface.colors[members[label]].mean(axis=0) for label in (one, two)]
                        unlike = float(np.abs(color[0] - color[1]).max()) / 255
                        if unlike < LEVEL_UNLIKE and hull_share(plan[members[upper]], plan[both]) > 0.6:
                            joined[two] = one
            if not joined:
                return
            self._rename(joined)

    def join_dependent(self, grounded: float) -> None:
        """Joins what could not stay by itself to its neighbour: insides of containers, handles, spouts.

        Args:
            grounded: height [m] up to which a piece's lowest surface counts as resting on the support.
        """
        while True:
            members = self._members()
            low = {label: lowest(self._height[m]) for label, m in members.items()}
            joined: dict[int, int] = {}
            borders = sorted(self._borders().items(), key=lambda item: (-len(item[1][0]), item[0]))
            standing = self._standing(members, low, grounded)
            for pair, _ in borders:
                if pair[0] in joined or pair[1] in joined:
                    continue
                for piece, other in (pair, pair[::-1]):
                    lost = low[piece] >= grounded and piece not in standing
                    if (
                        lost
                        or self._is_inside(members, piece, other)
                        or self._is_handle(members[piece], members[other])
                    ):
                        joined[piece] = other
                        joined[other] = other
                        break
            if not joined:
                return
            self._rename(joined)

    def join_insides(self, grounded: float) -> None:
        """Joins insides to their containers where no surface connects them: LiDAR loses thin rims."""
        members = self._members()
        corners = {
            label: (self._surface.vertices[m].min(axis=0), self._surface.vertices[m].max(axis=0))
            for label, m in members.items()
        }
        renamed: dict[int, int] = {}
        for piece in members:
            low, high = corners[piece]
            for other in members:
                outer_low, outer_high = corners[other]
                if (
                    other == piece
                    or other in renamed
                    or (low < outer_low - CELL)[:2].any()
                    or (high > outer_high + CELL).any()
                ):
                    continue
                mine, theirs = self._height[members[piece]], self._height[members[other]]
                # What is down on the support within another's outline, and no higher, is the inner face of its wall.
                inner = lowest(mine) < grounded and np.percentile(mine, 95) < np.percentile(theirs, 99) + 0.005
                if (
                    inner
                    and hull_share(
                        self._surface.vertices[members[piece], :2], self._surface.vertices[members[other], :2]
                    )
                    > 0.75
                ):
                    renamed[piece] = other
                    break
        self._rename({piece: _root(renamed, piece) for piece in renamed})

    def _standing(self, members: dict[int, Labels], low: dict[int, float], grounded: float) -> set[int]:
        """The pieces that stand on a neighbour."""
        return {
            piece
            for pair, sides in self._borders().items()
            for (piece, other), beside in zip((pair, pair[::-1]), sides[::-1], strict=True)
            if low[piece] >= grounded and self._stands(members, piece, other, sides, beside)
        }

    def _is_inside(self, members: dict[int, Labels], piece: int, other: int) -> bool:
        """Whether a piece lies within its neighbour's outline and below its top."""
        mine, theirs = self._height[members[piece]], self._height[members[other]]
        lower = np.percentile(mine, 80) < np.percentile(theirs, 90) - 0.004
        return bool(lower and self._covered(members, piece, other) > 0.75)

    def _stands(
        self,
        members: dict[int, Labels],
        piece: int,
        other: int,
        border: tuple[NDArray[np.int64], NDArray[np.int64]],
        beside: NDArray[np.int64],
    ) -> bool:
        """Whether a piece stands on its neighbour, whose side of their border is `beside`: above it, most of it over
        the neighbour's ground plan, on a ledge or plainly another thing."""
        level = float(np.median(np.minimum(*(self._height[self._index[side]] for side in border))))
        mine = members[piece]
        if np.mean(self._height[mine] > level) <= 0.85 or lowest(self._height[members[other]]) >= level - 0.005:
            return False
        plan = self._surface.vertices[:, :2]
        if self._facing_up(beside, other) <= LEDGE:
            color = [self._surface.colors[members[label]].mean(axis=0) for label in (piece, other)]
            if float(np.abs(color[0] - color[1]).max()) / 255 < ANOTHER or width(plan[mine]) < SIDE_WIDTH:
                return False
        return hull_share(plan[mine], plan[members[other]]) > 0.5

    def _is_handle(self, piece: Labels, other: Labels) -> bool:
        """Whether a piece is slender, upright and small beside its neighbour, like a mug's handle."""
        mine, theirs = self._surface.vertices[piece], self._surface.vertices[other]
        width, depth = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(mine[:, :2].T)), 0)) * 3.5
        height = float(np.ptp(mine[:, 2]))
        return bool(
            width < HANDLE_WIDTH
            and height > 1.3 * depth
            and len(mine) < 0.2 * len(theirs)
            and height < np.ptp(theirs[:, 2])
        )

    def _facing_up(self, border: NDArray[np.int64], label: int) -> float:
        """How level the surface of `label` is beside a border: upper quartile of the normals' vertical part.

        Things stand on ledges; a bottle's neck leaves its shoulder on a slope.
        """
        mask = np.zeros(len(self._index), np.float32)
        mask[border] = 1
        for _ in range(4):
            mask = (self._graph @ mask > 0).astype(np.float32)
        beside = (mask > 0) & (self.labels[self._index] == label)
        return float(np.percentile(self._surface.normals[self._index[beside], 2], 75)) if beside.any() else 0.0

    def join_floating(self, grounded: float, reach: float) -> None:
        """Gives pieces that hang in the air to what they hang on; what hangs over nothing rests on its support, unseen.

        A chair's back behind an unseen bar belongs to the chair; the upper half of a ball, whose underside LiDAR saw
        only at a grazing angle, is the ball; a seat without visible legs takes in the stubs under it.
        """
        members = self._members()
        low = {label: lowest(self._height[m]) for label, m in members.items()}
        resting = {label for label in members if low[label] < grounded} | self._standing(members, low, grounded)
        floating = sorted(set(members) - resting, key=lambda label: -len(members[label]))
        renamed: dict[int, int] = {}
        everything = np.concatenate([members[label] for label in members]) if members else np.zeros(0, np.int64)
        owner = self.labels[everything]
        size = np.bincount(owner, minlength=1)
        tree = cKDTree(self._surface.vertices[everything])
        for label in floating:
            mine = members[label]
            sample = self._surface.vertices[mine[:: max(1, len(mine) // 200)]]
            near = np.unique(np.concatenate(tree.query_ball_point(sample, reach)).astype(np.int64))
            others = owner[near]
            others = others[others != label]
            if len(others) == 0:
                continue
            # What hangs holds on to what it is nearest to with most of its surface: its most frequent close neighbour.
            frequent = np.bincount(others, minlength=len(size))
            allowed = [
                int(o)
                for o in np.argsort(-frequent, kind="stable")[:5]
                if frequent[o] > 0 and _root(renamed, int(o)) != label and (int(o) in resting or size[o] > size[label])
            ]
            if allowed and self._covered(members, label, allowed[0]) < 0.98:
                renamed[label] = _root(renamed, allowed[0])
        for label in floating:
            if label in renamed:
                continue
            for other in resting:
                if len(members[other]) < len(members[label]) and self._covered(members, other, label) > 0.6:
                    renamed[other] = label
        self._rename({**{label: label for label in members}, **{a: _root(renamed, a) for a in renamed}})

    def drop(self, labels: set[int]) -> None:
        """Forgets pieces."""
        self.labels[np.isin(self.labels, list(labels))] = -1

    def _members(self) -> dict[int, Labels]:
        local = self.labels[self._index]
        order = np.argsort(local, kind="stable")
        values, starts = np.unique(local[order], return_index=True)
        groups = np.split(self._index[order], starts[1:])
        return {int(v): g for v, g in zip(values, groups, strict=True) if v >= 0}

    def _covered(self, members: dict[int, Labels], piece: int, other: int) -> float:
        """Share of `piece`'s ground plan that lies within the outline of `other` (holes filled)."""
        position = np.full(len(self._surface.vertices), -1)
        if not hasattr(self, "_position"):
            position[self._index] = np.arange(len(self._index))
            self._position = position
        mine, theirs = self._cells[self._position[members[piece]]], self._cells[self._position[members[other]]]
        low, high = theirs.min(axis=0) - 4, theirs.max(axis=0) + 5
        mask = np.zeros(high - low, bool)
        mask[tuple((theirs - low).T)] = True
        mask = ndimage.binary_fill_holes(ndimage.binary_closing(mask, iterations=2))
        within = ((mine >= low) & (mine < high)).all(axis=1)
        return float(mask[tuple((mine[within] - low).T)].sum() / len(mine))

    def _rename(self, target: dict[int, int]) -> None:
        if not target:
            return
        table = np.arange(int(self.labels.max()) + 2)
        for old, new in target.items():
            table[old] = new
        known = self.labels >= 0
        self.labels[known] = table[self.labels[known]]

    def compact(self) -> Labels:
        """The labels, numbered 0, 1, 2, ... in order of their first vertex."""
        _, compacted = np.unique(self.labels, return_inverse=True)
        return np.asarray(compacted - int((self.labels < 0).any()), np.int64)


def _root(renamed: dict[int, int], label: int) -> int:
    seen = set()
    while label in renamed and renamed[label] != label and label not in seen:
        seen.add(label)
        label = renamed[label]
    return label


def lowest(height: Float) -> float:
    """Height of the lowest surface [m], allowing for five stray vertices; a chair stands on very few."""
    rank = min(5, len(height) - 1)
    return float(np.partition(height, rank)[rank])
