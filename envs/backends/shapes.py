"""Geoms and sites as flat faces, in their own frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...errors import TaskError
from .texels import Palette

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

BROAD = 0.3
"""Faces of four corners that are wider [m] are drawn as two of three, as OpenGL does: light changes much over them."""
FACES = 1500
"""Meshes of more faces are drawn with fewer: their corners are brought together on a grid."""
_CELLS = (96, 64, 48, 32, 24, 16, 12, 8)
_WIDE = 30.0  # [m]: half the sides of a plane without end
_TYPE = mujoco.mjtGeom


@dataclass(frozen=True)
class Piece:
    """Faces of one geom.

    Attributes:
        vertex: (V, 3). corner: (F, 4) counter-clockwise from outside, a triangle's last one twice.
        normal: (F, 4, 3) at the corners. map: (F, 4, 2) places on textures there. texture: (F,).
    """

    vertex: Array
    corner: Ints
    normal: Array
    map: Array
    texture: Ints


def geom_piece(model: mujoco.MjModel, geom: int, palette: Palette, *, slices: int, stacks: int) -> Piece | None:
    """The faces of a geom; None: it has none.

    Raises:
        TaskError: it is of a kind that has no flat faces.
    """
    kind, material, rgba = int(model.geom_type[geom]), int(model.geom_matid[geom]), model.geom_rgba[geom]
    if kind == _TYPE.mjGEOM_MESH:
        return _mesh(model, int(model.geom_dataid[geom]), palette, material, rgba)
    if kind in (_TYPE.mjGEOM_HFIELD, _TYPE.mjGEOM_SDF, _TYPE.mjGEOM_NONE):
        raise TaskError(
            f"renderer='neural' cannot draw geom {model.geom(geom).name!r}: it is a height field or a distance field; "
            "use renderer='gl'"
        )
    return _primitive(kind, model.geom_size[geom], palette, material, rgba, slices, stacks)


def site_piece(model: mujoco.MjModel, site: int, palette: Palette, *, slices: int, stacks: int) -> Piece:
    """The faces of a site."""
    kind, material, rgba = int(model.site_type[site]), int(model.site_matid[site]), model.site_rgba[site]
    return _primitive(kind, model.site_size[site], palette, material, rgba, slices, stacks)


def _primitive(kind: int, size: Array, palette: Palette, material: int, rgba: Array, slices: int, stacks: int) -> Piece:
    if kind == _TYPE.mjGEOM_PLANE:
        half = np.array([size[0] or _WIDE, size[1] or _WIDE, 1.0])
        vertex, corner, normal = _polygons([[(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)]], [[(0, 0, 1.0)] * 4])
        unit, vertex = vertex, vertex * half
    elif kind == _TYPE.mjGEOM_BOX:
        unit, corner, normal = _cube()
        vertex, half = unit * size, np.asarray(size)
    elif kind in (_TYPE.mjGEOM_SPHERE, _TYPE.mjGEOM_ELLIPSOID):
        half = np.full(3, size[0]) if kind == _TYPE.mjGEOM_SPHERE else np.asarray(size)
        unit, corner, normal = _ball(slices, stacks)
        vertex = unit * half
        normal = normal / half
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    else:
        long = np.array([size[0], size[0], size[1]])
        capped = kind == _TYPE.mjGEOM_CYLINDER
        unit, corner, normal = _tube(slices, closed=capped)
        vertex, half = unit * long, long
        if not capped:
            for sign in (-1, 1):
                more, faces, facing = _half_ball(slices, stacks // 2, sign)
                corner = np.concatenate([corner, faces + len(vertex)])
                normal = np.concatenate([normal, facing])
                vertex = np.concatenate([vertex, more * size[0] + [0, 0, sign * size[1]]])
                unit = np.concatenate([unit, more])
    places, textures = palette.place(material, rgba, unit[corner], normal, half)
    return _halved(Piece(vertex, corner, normal, places, textures))


def _halved(piece: Piece) -> Piece:
    """The same with broad faces in halves."""
    broad = np.ptp(piece.vertex[piece.corner], axis=1).max(1) > BROAD
    broad &= piece.corner[:, 2] != piece.corner[:, 3]

    def halves(values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values[~broad], values[broad][:, [0, 1, 3, 3]], values[broad][:, [1, 2, 3, 3]]])

    textures = np.concatenate([piece.texture[~broad], piece.texture[broad], piece.texture[broad]])
    return Piece(piece.vertex, halves(piece.corner), halves(piece.normal), halves(piece.map), textures)


def _mesh(model: mujoco.MjModel, mesh: int, palette: Palette, material: int, rgba: Array) -> Piece | None:
    first, count = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    rows = slice(first, first + count)
    start = int(model.mesh_vertadr[mesh])
    vertex = np.asarray(model.mesh_vert[start : start + int(model.mesh_vertnum[mesh])], dtype=float)
    corner = np.asarray(model.mesh_face[rows], dtype=np.int64)
    normals = np.asarray(model.mesh_normal, dtype=float)[int(model.mesh_normaladr[mesh]) + model.mesh_facenormal[rows]]
    mapped = None
    if model.mesh_texcoordadr[mesh] >= 0:
        mapped = np.asarray(model.mesh_texcoord, dtype=float)[
            int(model.mesh_texcoordadr[mesh]) + model.mesh_facetexcoord[rows]
        ]
    if count > FACES:
        vertex, corner, kept = _coarser(vertex, corner)
        normals = normals[kept]
        mapped = None if mapped is None else mapped[kept]
    if not len(corner):
        return None
    fourth = [0, 1, 2, 2]
    corner, normals = corner[:, fourth], normals[:, fourth]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=2, keepdims=True), 1e-9)
    half = np.maximum(np.abs(vertex).max(0), 1e-6)
    if mapped is None:
        places, textures = palette.place(material, rgba, vertex[corner] / half, normals, half)
    else:
        places, textures = palette.wrap(material, rgba, mapped[:, fourth])
    return Piece(vertex, corner, normals, places, textures)


def _coarser(vertex: Array, corner: Ints) -> tuple[Array, Ints, Ints]:
    """The mesh with at most `FACES` faces: all corners in a cell of a grid become one; and which faces are left."""
    low, span = vertex.min(0), np.ptp(vertex, axis=0).max()
    for cells in _CELLS:
        cell = np.floor((vertex - low) / (span / cells)).astype(np.int64)
        _, inverse = np.unique(cell, axis=0, return_inverse=True)
        number = np.bincount(inverse.ravel())
        mean = np.stack([np.bincount(inverse.ravel(), vertex[:, k]) / number for k in range(3)], 1)
        faces = inverse.ravel()[corner]
        flat = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 2] == faces[:, 0])
        kept = np.flatnonzero(~flat)
        _, unique = np.unique(np.sort(faces[kept], axis=1), axis=0, return_index=True)
        kept = kept[np.sort(unique)]
        if len(kept) <= FACES:
            break
    return mean, faces[kept], kept


def _cube() -> tuple[Array, Ints, Array]:
    """The cube from -1 to 1."""
    unit = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
    corner = np.array([[4, 6, 7, 5], [1, 3, 2, 0], [3, 7, 6, 2], [0, 4, 5, 1], [1, 5, 7, 3], [2, 6, 4, 0]])
    outward = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], dtype=float)
    return unit, corner, np.repeat(outward[:, None], 4, axis=1)


def _tube(slices: int, *, closed: bool) -> tuple[Array, Ints, Array]:
    """A tube of radius 1 from -1 to 1, with or without lids."""
    turn = 2 * np.pi * np.arange(slices) / slices
    ring = np.stack([np.cos(turn), np.sin(turn)], 1)
    polygons: list[Array] = []
    normals: list[Array] = []
    for j in range(slices):
        a, b = ring[j], ring[(j + 1) % slices]
        polygons.append(np.array([[*a, -1], [*b, -1], [*b, 1], [*a, 1]]))
        normals.append(np.array([[*a, 0], [*b, 0], [*b, 0], [*a, 0]]))
    if closed:
        # Four corners at a time, as a fan.
        for sign in (-1, 1):
            for j in range(1, slices - 1, 2):
                fan = [0, j, j + 1, min(j + 2, slices - 1)][::sign]
                polygons.append(np.c_[ring[fan], np.full(4, sign)])
                normals.append(np.tile([0.0, 0.0, sign], (4, 1)))
    return _polygons(polygons, normals)


def _half_ball(slices: int, stacks: int, sign: int) -> tuple[Array, Ints, Array]:
    """Half of a ball of radius 1, above (1) or below (-1)."""
    polygons = []
    for i in range(stacks):
        low, high = (0.5 * np.pi * (i + k) / stacks for k in (0, 1))
        for j in range(slices):
            one, two = (2 * np.pi * (j + k) / slices for k in (0, 1))
            turns, lifts = (one, two, two, one), (low, low, high, high)
            quad = np.array(
                [
                    (np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), sign * np.sin(e))
                    for a, e in zip(turns, lifts, strict=True)
                ]
            )
            polygons.append(quad[::sign])
    return _polygons(polygons, polygons)


def _ball(slices: int, stacks: int) -> tuple[Array, Ints, Array]:
    parts = [_half_ball(slices, stacks // 2, sign) for sign in (-1, 1)]
    first = len(parts[0][0])
    corner = np.concatenate([parts[0][1], parts[1][1] + first])
    return np.concatenate([parts[0][0], parts[1][0]]), corner, np.concatenate([parts[0][2], parts[1][2]])


def _polygons(polygons: Sequence[object], normals: Sequence[object]) -> tuple[Array, Ints, Array]:
    """Corners, faces and normals of polygons (F, 4, 3); corners at one place are one, and a face has them last."""
    points = np.asarray(polygons, dtype=float).reshape(-1, 3)
    _, first, inverse = np.unique(np.round(points, 9) + 0.0, axis=0, return_index=True, return_inverse=True)
    corner, facing = inverse.reshape(-1, 4).astype(np.int64), np.asarray(normals, dtype=float).reshape(-1, 4, 3)
    led = np.flatnonzero(corner[:, 0] == corner[:, 1])
    corner[led], facing[led] = corner[led][:, [2, 3, 0, 1]], facing[led][:, [2, 3, 0, 1]]
    return points[first], corner, facing
