"""Stage 4, instances: which part of the surface above a support belongs to which object.

The default is geometric. Surface above a support is cut along concave creases (where two things touch, or one stands on
the other; Stein et al. 2014 call this local convexity), the connected pieces are objects unless physics says
otherwise: a piece that
rests on nothing is a handle, a piece enclosed by another is its inside. Pieces cut off by the edge of the scan are
reported, not guessed. Masks of learned models come in through `InstanceSegmenter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .capture import Float
from .fusion import Surface
from .ground_plan import CELL, area, long_axis
from .pieces import Pieces, lowest
from .stacking import MIN_FOOT, is_foot, join_feet, join_in_line, share_out, stands_on
from .structure import Structure, Support, support_below
from .surface_graph import adjacency, components
from .views import DepthView, project

MIN_HEIGHT, MIN_TOP = 0.006, 0.008
"""Least height [m] above the support of surface that is an object's, and of an object's top."""
NOISE = (0.010, 0.016)
"""The same two heights as shares of the viewing distance: what range noise alone can give a flat floor."""
THIN_HEIGHT, THIN_TOP, THIN_NOISE, THIN_RMS = 0.0035, 0.005, (0.006, 0.009), 4.0
"""Lower limits for what also differs in colour from the support round it: smeared LiDAR shows a wrench of 9 mm as 6
mm high."""
THIN_CONTRAST = 15.0
"""Least difference in colour (of 255, largest channel) of a thin thing from its surroundings."""
THIN_CLEARANCE = 0.025
"""Thin things nearer [m] to an object than this are the blurred foot of that object."""
MIN_AREA = 2e-4
"""Least footprint [m^2] of an object."""
CREASE_CURVATURE = -35.0
"""Least principal curvature [1/m] under which a border is concave. Smoothed LiDAR gives contact edges and 1 cm gaps
-40 to
-100, the inner wall of a mug (radius 35 mm) -28, a flat floor +-6."""
HANGING, HANGING_AREA = 0.3, 0.05
"""Small things [m^2] that start higher than this [m] over their support, on nothing, are parts of something unseen."""
TABLE_EDGE = 0.035
"""Low things within this [m] of the edge of a table are its edge, rounded or bent up by smeared depth."""
THIN_AREA, THIN_RANGE = 1e-3, 1.0
"""Least footprint [m^2] of a thin thing, and farthest [m] it is told from a shadow."""
SHEET = (0.1, 0.04, 0.3)
"""Surface nearer to a wall than this [m], thinner than the second and longer than the third is the wall, bent by pose
drift."""
FAR = 2.5
"""Things seen from this many times the distance of the main support are background."""
CLOSED_RING = 0.72
"""Least share of an object's surroundings that the scan must have seen: what runs out of the scan has two thirds or
less."""


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
    returns one label per vertex; `group_labels` turns labels into supported, bounded instances exactly as the
    default does.
    """

    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        """One label [V] per vertex of the aligned surface; -1 for structure and background."""
        ...


def find_instances(
    surface: Surface, structure: Structure, views: Sequence[DepthView], segmenter: InstanceSegmenter | None = None
) -> Segmentation:
    """Labels the surface with `segmenter` (geometric by default) and turns the labels into instances."""
    labels = (segmenter or GeometricSegmenter()).label(surface, structure, views)
    return group_labels(surface, structure, labels, views)


@dataclass(frozen=True)
class GeometricSegmenter:
    """The default: concave borders, then physical plausibility (see `pieces`)."""

    crease: float = CREASE_CURVATURE
    smoothing: float = 0.006

    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        """See `InstanceSegmenter`."""
        support, height = heights(surface, structure)
        distance = viewing_range(surface, views)
        least = np.maximum(np.maximum(MIN_HEIGHT, 1.5 * surface.voxel), NOISE[0] * distance)
        above = (support >= 0) & (height > least)
        above &= ~_on_wall(surface, structure)
        candidates = np.flatnonzero(above)
        above[candidates[phantom(surface.vertices[candidates], views)]] = False
        pieces = Pieces(surface, above, height, self.crease, self.smoothing)
        if (pieces.labels >= 0).any():
            grounded = 0.02 + 2 * surface.voxel
            pieces.join_convex()
            pieces.join_overlapping(MIN_FOOT + surface.voxel)
            pieces.join_under()
            pieces.join_dependent(grounded)
            pieces.join_insides(grounded)
            pieces.join_floating(grounded, max(0.03, 8 * surface.voxel))
        labels = pieces.compact()
        return self._add_thin(surface, structure, views, labels, height, support, distance)

    def _add_thin(
        self,
        surface: Surface,
        structure: Structure,
        views: Sequence[DepthView],
        labels: NDArray[np.int64],
        height: Float,
        support: NDArray[np.int64],
        distance: Float,
    ) -> NDArray[np.int64]:
        """Adds flat things, which only their colour tells from noise (`_reject` asks for it)."""
        rms = np.array([item.rms for item in structure.supports])[support]
        least = np.maximum(
            np.maximum(THIN_HEIGHT, 0.8 * surface.voxel), np.maximum(THIN_RMS * rms, THIN_NOISE[0] * distance)
        )
        low = np.flatnonzero((support >= 0) & (height > least) & (height < 2 * THIN_TOP + MIN_TOP) & (labels < 0))
        if (labels >= 0).any():
            plan = surface.vertices[:, :2]
            low = low[
                cKDTree(plan[labels >= 0]).query(plan[low], distance_upper_bound=THIN_CLEARANCE)[0] > THIN_CLEARANCE
            ]
        mask = np.zeros(len(labels), bool)
        mask[low] = True
        mask &= ~_on_wall(surface, structure)
        pieces = components(adjacency(surface), mask, minimum=max(12, int(MIN_AREA / surface.voxel**2)))
        labels = np.where(pieces >= 0, pieces + labels.max(initial=-1) + 1, labels)
        return join_in_line(surface, labels, height)


@dataclass(frozen=True)
class OneObject:
    """Everything above the support is one object: right for Object Capture, which scans one thing by construction."""

    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        """See `InstanceSegmenter`."""
        support, height = heights(surface, structure)
        return np.where((support >= 0) & (height > MIN_HEIGHT), 0, -1)


def phantom(points: Float, views: Sequence[DepthView], *, maximum: int = 80) -> NDArray[np.bool_]:
    """Points [N, 3] that the phone looked through more often than it hit them: curtains between an edge and what
    lies behind it, which smeared depth draws in single views."""
    hit = np.zeros(len(points), np.int32)
    through = np.zeros(len(points), np.int32)
    for number in (
        np.unique(np.linspace(0, len(views) - 1, min(maximum, len(views))).round().astype(int)) if views else []
    ):
        view = views[number]
        pixels, depth, inside = project(points, view)
        measured = view.depth[pixels[:, 1], pixels[:, 0]]
        usable = inside & (measured > 0)
        beyond = measured - depth
        hit += usable & (np.abs(beyond) < 0.015)
        through += usable & (beyond > 0.03)
    return through > hit


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
    surface: Surface, structure: Structure, labels: NDArray[np.int64], views: Sequence[DepthView]
) -> Segmentation:
    """Turns vertex labels [V] into instances: checks size, completeness and what stands on what.

    The views say how far away things were seen (what is far must be larger to be believed) and, where there are only
    one or two of them, what their borders cut off.
    """
    distance = viewing_range(surface, views)
    bordered = _at_picture_border(surface, views)
    support, height = heights(surface, structure)
    seen = _SeenCells(surface)
    main = distance[support == 0]
    near = float(np.percentile(main, 25)) if len(main) else 0.0
    kept: list[tuple[NDArray[np.int64], int]] = []
    rejected: list[Rejected] = []
    pending = [np.flatnonzero((labels == label) & (support >= 0)) for label in range(int(labels.max(initial=-1)) + 1)]
    pending = [members for members in pending if len(members) >= 12]
    pending = join_feet(surface, height, pending, support)
    # A strip along the scan's edge may fall into several pieces: what is cut off hides the surroundings of the next.
    again = True
    while again:
        again = False
        kept, waiting = [], pending
        pending = []
        for members in waiting:
            under = int(np.bincount(support[members]).argmax())
            if np.count_nonzero(bordered[members]) >= 5:
                points = surface.vertices[members]
                low, high = points.min(axis=0), points.max(axis=0)
                rejected.append(Rejected((low + high) / 2, high - low, "cut off by the edge of the picture"))
                continue
            reason, cut = _reject(
                surface,
                height,
                members,
                structure.supports[under],
                seen,
                float(np.median(distance[members])),
                near,
                structure,
            )
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
    blurred = [members for members, _ in kept if is_foot(surface, height, members, [item for item, _ in kept])]
    for members in blurred:
        points = surface.vertices[members]
        low, high = points.min(axis=0), points.max(axis=0)
        rejected.append(Rejected((low + high) / 2, high - low, "the blurred foot of what it touches"))
    kept = [item for item in kept if not any(item[0] is members for members in blurred)]
    parts = [members for members, _ in kept]
    below = [stands_on(surface, height, members, parts) for members in parts]
    for index, (on, base) in enumerate(below):
        if on is not None:
            parts[index], parts[on] = share_out(surface, height, parts[index], parts[on], base)
    instances = [
        Instance(members, under, on, structure.supports[under].height + base)
        for members, (_, under), (on, base) in zip(parts, kept, below, strict=True)
    ]
    return Segmentation(tuple(instances), tuple(rejected))


def _reject(
    surface: Surface,
    height: Float,
    members: NDArray[np.int64],
    support: Support,
    seen: _SeenCells,
    distance: float,
    near: float,
    structure: Structure,
) -> tuple[str | None, bool]:
    """Why a piece of surface is no whole object (None if it is one), and whether it runs out of the scan."""
    xy = surface.vertices[members, :2]
    top = float(np.percentile(height[members], 95))
    footprint = area(xy, surface.voxel)
    if any(_is_sheet(surface.vertices[members] @ plane[:3] - plane[3], xy) for plane in structure.walls):
        return "the wall itself, bent by drift", False
    for table in structure.supports:
        if table.kind == "table" and support.height < table.height - 0.1 and table.contains(xy, 0.04).mean() > 0.5:
            return "under the table: its leg, or seen too incompletely", False
    if support.kind == "table" and top < 0.06 and support.contains(xy, -TABLE_EDGE).mean() < 0.6:
        return "the table's own edge", False
    if distance > FAR * near:
        return (
            f"seen only from {distance:.1f} m, too far off to measure beside what was scanned from {near:.1f} m",
            False,
        )
    if top < max(MIN_TOP, 2.5 * surface.voxel, 4 * support.rms, NOISE[1] * distance):
        thin = top > max(THIN_TOP, surface.voxel, THIN_RMS * support.rms, THIN_NOISE[1] * distance)
        thin &= distance < THIN_RANGE and footprint > THIN_AREA
        if not thin or _contrast(surface, members) < THIN_CONTRAST:
            return "lower than the noise of its support", False
    ring = seen.ring_share(xy)
    if ring < CLOSED_RING:
        return f"cut off by the edge of the scan (only {ring:.0%} of its surroundings seen)", True
    if footprint < HANGING_AREA and lowest(height[members]) > HANGING:
        return "hangs in the air: the scan did not see what holds it", False
    if footprint < max(MIN_AREA, 45 * surface.voxel**2, (0.02 * distance) ** 2):
        return "too small for the scan's resolution", False
    return None, False


# -----------------------------------------------------------------------------------------------------------------
# checks


def _at_picture_border(surface: Surface, views: Sequence[DepthView]) -> NDArray[np.bool_]:
    """Vertices [V] at the border of every picture that shows them; of walk-arounds none, since other frames show the
    rest."""
    border = np.zeros(len(surface.vertices), bool)
    if not 0 < len(views) <= 3:
        return border
    inner = np.zeros(len(surface.vertices), bool)
    for view in views:
        pixels, _, inside = project(surface.vertices, view)
        margin = np.minimum(pixels, [view.intrinsics.width - 1, view.intrinsics.height - 1] - pixels).min(axis=1)
        border |= inside & (margin < 4)
        inner |= inside & (margin >= 4)
    return border & ~inner


def _contrast(surface: Surface, members: NDArray[np.int64]) -> float:
    """How much the median colour of a piece differs from that of the surface 1 to 3 cm round it, of 255."""
    points = surface.vertices[members]
    low, high = points.min(axis=0) - 0.03, points.max(axis=0) + 0.03
    near = np.flatnonzero(((surface.vertices > low) & (surface.vertices < high)).all(axis=1))
    away = cKDTree(points[:, :2]).query(surface.vertices[near, :2])[0]
    ring = near[(away > 0.01) & (away < 0.03)]
    if len(ring) < 10:
        return 0.0
    return float(np.abs(np.median(surface.colors[members], axis=0) - np.median(surface.colors[ring], axis=0)).max())


def _is_sheet(away: Float, xy: Float) -> bool:
    """Whether surface at distances `away` [N] from a wall, with ground plan xy [N, 2], is a sheet of that wall."""
    near, far = np.percentile(away, [5, 95])
    return bool(far < SHEET[0] and far - near < SHEET[1] and long_axis(xy)[2] > SHEET[2])


def _on_wall(surface: Surface, structure: Structure) -> NDArray[np.bool_]:
    on = np.zeros(len(surface.vertices), bool)
    for plane in structure.walls:
        on |= surface.vertices @ plane[:3] - plane[3] < 0.03
    return on


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
