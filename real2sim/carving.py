"""The carved solid: what the scan saw the inside of, and what it did not see below the visible top.

Rims, handles and sheets thinner than the depth camera can measure are kept where rays hit them or the fused surface
holds them; what belongs to a neighbour is cut off.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from .capture import Float
from .fusion import Surface
from .volume import Grid, Volume

THIN_FROM = 0.03
"""Objects lower than this [m] have no rims or handles, but wear a smeared skin as thick as they are high."""
MIN_PART = 12
"""Voxels a rim or handle must have, to be told from stray depth pixels."""
SEEN = 0.5
"""Sum of weights from which a voxel counts as measured: one square look, or ten grazing ones."""

Mask = NDArray[np.bool_]


def carve(
    volume: Volume, points: Float, normals: Float, surface: Surface, labels: NDArray[np.int64], label: int, base: float
) -> Grid:
    """Signed field of the carved solid: negative inside, in metres near its surface."""
    voxel = volume.voxel
    z = volume.axis(2)
    column, top = _columns(volume, points)
    below_top = column[:, :, None] & (z[None, None, :] <= top[:, :, None] + voxel)
    known = volume.seen >= SEEN
    field = np.where(known, volume.distance, np.where(below_top, -voxel, voxel)).astype(np.float32)
    # Depth noise at the rim of the reach behind a surface must not dig tunnels: smooth before deciding.
    field = ndimage.gaussian_filter(field, 0.8)
    # The base of a blurred contact is a fillet, and the support itself is "inside": take the section a little higher.
    height = float(top[column].max() - base) if column.any() else voxel
    first = int(np.searchsorted(z, base + min(0.008, 0.4 * height)))
    field[:, :, :first] = field[:, :, first : first + 1]
    near_column = ndimage.binary_dilation(column, iterations=2)
    outside = ~near_column[:, :, None] | (z[None, None, :] > top[:, :, None] + 3 * voxel)
    field[outside] = np.maximum(field[outside], voxel)
    field = _keep_thin(volume, field, *_between(surface, labels == label))
    if height > THIN_FROM:
        field[_thin_parts(volume, field < 0, base)] = -0.5 * voxel
    mine = _nearest_is_mine(volume, field, surface, labels, label)
    field[~mine] = np.maximum(field[~mine], voxel)
    solid = field < 0
    keep = _main_component(solid)
    field[solid & ~keep] = voxel
    field[keep & ~solid] = -0.5 * voxel
    return np.asarray(field, dtype=np.float32)


def _thin_parts(volume: Volume, solid: Mask, base: float) -> Mask:
    """Rims, handles and spouts: hit by rays, too thin to be measured, reaching out of the solid and joined to it.

    Every surface wears a skin of such voxels; only what stands out further than the skin is taken, with its root.
    """
    candidates = volume.thin & ~solid & (volume.axis(2) > base + 0.012)[None, None, :]
    standing_out = candidates & ~ndimage.binary_dilation(solid, np.ones((3, 3, 3)), iterations=1)
    parts, count = ndimage.label(standing_out, np.ones((3, 3, 3)))
    if count == 0:
        return np.asarray(standing_out)
    size = np.bincount(parts.ravel())
    large = size >= MIN_PART
    large[0] = False
    core = large[parts]
    # The root joins the part to the solid through the skin.
    grown = ndimage.binary_dilation(core, np.ones((3, 3, 3)), iterations=2) & candidates
    joined, count = ndimage.label(grown, np.ones((3, 3, 3)))
    touching = np.unique(joined[ndimage.binary_dilation(solid, np.ones((3, 3, 3))) & grown])
    return np.asarray(np.isin(joined, touching[touching > 0]))


def _between(surface: Surface, members: Mask) -> tuple[Float, Float]:
    """Points and normals, both [N, 3], at the vertices and in the middle of the faces of part of the surface."""
    faces = surface.faces[members[surface.faces].all(axis=1)]
    points = np.concatenate([surface.vertices[members], surface.vertices[faces].mean(axis=1)])
    normals = np.concatenate([surface.normals[members], surface.normals[faces].mean(axis=1)])
    return points, normals


def _keep_thin(volume: Volume, field: Grid, points: Float, normals: Float) -> Grid:
    """Restores sheets and bars that views from both sides have eaten: what was fused as surface has something behind
    it."""
    shape = np.array(volume.shape)
    field = field.copy()
    for depth in (0.5, 1.2):
        index = ((points - depth * volume.voxel * normals - volume.origin) / volume.voxel).round().astype(int)
        index = index[((index >= 0) & (index < shape)).all(axis=1)]
        x, y, z = index.T
        lost = field[x, y, z] > 0.3 * volume.voxel
        field[x[lost], y[lost], z[lost]] = -0.5 * volume.voxel
    return field


def _columns(volume: Volume, points: Float) -> tuple[Mask, Grid]:
    """The object's ground plan [X, Y] (holes filled) and the height of its visible top in each column."""
    shape = volume.shape[:2]
    cells = ((points[:, :2] - volume.origin[:2]) / volume.voxel).round().astype(int)
    cells = np.clip(cells, 0, np.array(shape) - 1)
    top = np.full(shape, -np.inf, np.float32)
    np.maximum.at(top, (cells[:, 0], cells[:, 1]), points[:, 2].astype(np.float32))
    plan = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(np.isfinite(top), 4), iterations=3))[4:-4, 4:-4]
    nearest = ndimage.distance_transform_edt(~np.isfinite(top), return_distances=False, return_indices=True)
    filled = top[nearest[0], nearest[1]]
    # A column between samples is as high as the highest beside it.
    filled = ndimage.maximum_filter(filled, 3)
    return plan, filled


def _nearest_is_mine(volume: Volume, field: Grid, surface: Surface, labels: NDArray[np.int64], label: int) -> Mask:
    """Which voxels lie nearer to this object's surface than to another object's."""
    mine = np.ones(volume.shape, bool)
    low = volume.origin - 0.05
    high = volume.origin + volume.voxel * np.array(volume.shape) + 0.05
    near = (labels >= 0) & ((surface.vertices > low) & (surface.vertices < high)).all(axis=1)
    if not (labels[near] != label).any():
        return mine
    solid = np.flatnonzero(field.ravel() < volume.voxel)
    tree = cKDTree(surface.vertices[near])
    owner = labels[near][tree.query(volume.centers()[solid])[1]]
    mine.ravel()[solid] = owner == label
    return mine


def _main_component(solid: Mask) -> Mask:
    """The largest piece and every piece within two voxels of it, joined: an object does not hang in the air in
    parts."""
    parts, count = ndimage.label(solid, np.ones((3, 3, 3)))
    if count <= 1:
        return solid
    joined = ndimage.binary_closing(np.pad(solid, 3), np.ones((3, 3, 3)), iterations=2)[3:-3, 3:-3, 3:-3] | solid
    bridged, _ = ndimage.label(joined)
    largest = bridged == 1 + int(np.argmax(np.bincount(bridged[solid], minlength=2)[1:]))
    pieces = np.unique(parts[largest & solid])
    if len(pieces) == 1:
        return np.asarray(parts == pieces[0])
    return np.asarray(largest)
