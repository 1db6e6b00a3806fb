"""Reads a user's model files as closed meshes in metres, Z up: GLB, OBJ, PLY, STL, USD and USDZ.

Formats say different things about themselves: glTF is in metres with Y up (specification 2.0, section 3.6), USD says
both in its stage, the others say neither. What is guessed is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from manifold3d import Manifold, Mesh64, OpType
from numpy.typing import NDArray

from ...errors import AssetError
from ...scenes.scene import Rgba
from .category import Size
from .shapes import Float

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
USD_FORMATS = (".usd", ".usda", ".usdc", ".usdz")
FORMATS = (".glb", ".gltf", ".obj", ".ply", ".stl", *USD_FORMATS)
PLAUSIBLE = (0.01, 3.0)
"""Longest extent [m] of a thing whose kind is not known."""
MAX_FACES = 4000
_TO_Z_UP = {
    "z": np.eye(3),
    "y": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "x": np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]]),
}


@dataclass(frozen=True, eq=False)
class Model:
    """A model as read.

    Attributes:
        vertices: float64 [V, 3] in metres, Z up. faces: int64 [F, 3], closed and outward.
        rgba: its mean colour. notes: what was guessed or mended, in sentences.
    """

    vertices: Float
    faces: NDArray[np.int64]
    rgba: Rgba
    notes: tuple[str, ...]

    def trimesh(self) -> trimesh.Trimesh:
        """As a trimesh, vertices kept in order."""
        return trimesh.Trimesh(self.vertices, self.faces, process=False)


def read_model(path: Path, *, units: str | None = None, up: str | None = None, sizes: Size | None = None) -> Model:
    """Reads, orients, scales and closes a model.

    Args:
        path: the file. units: "m", "cm", "mm" or "inch"; None takes the format's word, or guesses.
        up: "x", "y" or "z"; None takes the format's word, or its custom (OBJ: y; PLY, STL: z).
        sizes: typical extents [m] of such things, to guess units by.

    Raises:
        AssetError: it cannot be read, is empty, or is not closed and cannot be closed; the message says which.
    """
    ending = path.suffix.lower()
    meshes, told_unit, told_up = _read_usd(path) if ending in USD_FORMATS else _read_trimesh(path)
    notes: list[str] = []
    if up is None:
        up = told_up or ("y" if ending == ".obj" else "z")
        if told_up is None:
            notes.append(f"{up.upper()} was taken to be up, as is usual in {ending[1:].upper()} files.")
    turn = _TO_Z_UP[up]
    extent = float(np.ptp(np.concatenate([mesh.vertices for mesh in meshes]), axis=0).max())
    if not np.isfinite(extent) or extent <= 0:
        raise AssetError(f"{path} has no extent; export it again with its geometry")
    scale = UNITS[units] if units else told_unit
    if scale is None or (units is None and not PLAUSIBLE[0] / 5 <= scale * extent <= 5 * PLAUSIBLE[1]):
        scale, word = _guess(extent, sizes)
        notes.append(f"Its units were taken to be {word}: so it is {100 * scale * extent:.1f} cm long.")
    solids = []
    for mesh in meshes:
        solid, note = _closed(mesh, path)
        solids.append(solid)
        notes += [note] if note and note not in notes else []
    whole = Manifold.batch_boolean(solids, OpType.Add).transform(np.column_stack([scale * turn, np.zeros(3)]))
    if whole.volume() < 1e-9:
        raise AssetError(f"{path} encloses no volume; give its surfaces a thickness")
    if whole.num_tri() > MAX_FACES:
        for tolerance in (0.0002, 0.0005, 0.001, 0.002):
            lighter = whole.simplify(tolerance)
            if lighter.num_tri() <= MAX_FACES:
                break
        notes.append(f"It was simplified from {whole.num_tri()} to {lighter.num_tri()} faces.")
        whole = lighter
    made = whole.to_mesh64()
    vertices = np.asarray(made.vert_properties[:, :3], np.float64)
    return Model(vertices, np.asarray(made.tri_verts, np.int64), _colour(meshes), tuple(notes))


def _guess(extent: float, sizes: Size | None) -> tuple[float, str]:
    """The unit in which something this long is nearest to what such things measure; metres, if that is plausible, where
    nothing is known of it.
    """
    if sizes is None and PLAUSIBLE[0] <= extent <= PLAUSIBLE[1]:
        return 1.0, "m"
    typical = max(sizes) if sizes is not None else 0.2
    word = min(UNITS, key=lambda name: abs(float(np.log(UNITS[name] * extent / typical))))
    return UNITS[word], word


def _read_trimesh(path: Path) -> tuple[list[trimesh.Trimesh], float | None, str | None]:
    try:
        loaded: Any = trimesh.load_scene(path)
        meshes = [mesh for mesh in loaded.dump() if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces)]
    except Exception as error:  # readers raise whatever their libraries do
        raise AssetError(
            f"{path} cannot be read as a model ({type(error).__name__}: {error}); export it again"
        ) from error
    if not meshes:
        raise AssetError(f"{path} holds no faces (a point cloud?); export a mesh")
    return (meshes, 1.0, "y") if path.suffix.lower() in (".glb", ".gltf") else (meshes, None, None)


def _read_usd(path: Path) -> tuple[list[trimesh.Trimesh], float | None, str | None]:
    from pxr import Tf, Usd, UsdGeom

    try:
        stage = Usd.Stage.Open(str(path))
    except Tf.ErrorException as error:
        raise AssetError(f"{path} cannot be read as USD; export it again") from error
    cache, meshes = UsdGeom.XformCache(), []
    for prim in stage.Traverse():
        if not prim.IsA(UsdGeom.Mesh):
            continue
        mesh = UsdGeom.Mesh(prim)
        points = np.asarray(mesh.GetPointsAttr().Get() or [], np.float64).reshape(-1, 3)
        counts = np.asarray(mesh.GetFaceVertexCountsAttr().Get() or [], np.int64)
        corners = np.asarray(mesh.GetFaceVertexIndicesAttr().Get() or [], np.int64)
        starts = np.cumsum(counts) - counts
        faces = [
            (corners[s], corners[s + k], corners[s + k + 1])
            for s, n in zip(starts, counts, strict=True)
            for k in range(1, n - 1)
        ]
        if not faces:
            continue
        place = np.asarray(cache.GetLocalToWorldTransform(prim), np.float64)  # rows, as USD multiplies from the left
        colour = mesh.GetDisplayColorAttr().Get()
        rgba = [*(round(255 * v) for v in colour[0]), 255] if colour else None
        colours = None if rgba is None else np.tile(np.array(rgba, np.uint8), (len(faces), 1))
        at = points @ place[:3, :3] + place[3, :3]
        meshes.append(trimesh.Trimesh(at, np.array(faces), face_colors=colours, process=False))
    if not meshes:
        raise AssetError(f"{path} holds no meshes; export it with its geometry")
    return meshes, float(UsdGeom.GetStageMetersPerUnit(stage)), str(UsdGeom.GetStageUpAxis(stage)).lower()


def _closed(mesh: trimesh.Trimesh, path: Path) -> tuple[Manifold, str]:
    """The solid that a mesh bounds, and what was done to close it."""
    note = ""
    whole = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    whole.merge_vertices(merge_tex=True, merge_norm=True)
    whole.update_faces(whole.nondegenerate_faces())
    whole.update_faces(whole.unique_faces())
    solids = []
    for piece in whole.split(only_watertight=False, repair=False):
        if not piece.is_watertight:
            holes = _open_edges(piece)
            trimesh.repair.fill_holes(piece)
            if not piece.is_watertight:
                raise AssetError(
                    f"{path} is not closed: {max(holes, 1)} edges do not have a face on either side; "
                    "close it in a modelling program and add it again"
                )
            note = f"Holes along {holes} edges were closed."
        trimesh.repair.fix_normals(piece)  # type: ignore[no-untyped-call]
        if piece.volume < 1e-12 * float(piece.scale) ** 3:
            raise AssetError(f"{path} encloses no volume; give its surfaces a thickness")
        solid = Manifold(Mesh64(np.asarray(piece.vertices, np.float64), np.asarray(piece.faces, np.uint64)))
        if solid.is_empty():
            told = solid.status().name
            raise AssetError(f"{path} is not the boundary of a solid ({told}); repair it and add it again")
        solids.append(solid)
    return Manifold.batch_boolean(solids, OpType.Add), note


def _open_edges(mesh: trimesh.Trimesh) -> int:
    _, counts = np.unique(mesh.edges_sorted, axis=0, return_counts=True)
    return int((counts == 1).sum())


def _colour(meshes: list[trimesh.Trimesh]) -> Rgba:
    """Mean colour, by area; grey where there is none."""
    total, area = np.zeros(3), 0.0
    for mesh in meshes:
        colours = _face_colours(mesh)
        if colours is not None:
            total += (mesh.area_faces[:, None] * colours).sum(axis=0)
            area += float(mesh.area_faces.sum())
    if area <= 0:
        return (0.7, 0.7, 0.7, 1.0)
    r, g, b = (round(float(v), 4) for v in total / area)
    return (r, g, b, 1.0)


def _face_colours(mesh: trimesh.Trimesh) -> Float | None:
    """RGB in [0, 1] of the faces [F, 3], from texture, material or colours; None where it has none."""
    visual: Any = mesh.visual
    if visual is None or visual.kind is None:
        return None
    if visual.kind != "texture":
        return np.asarray(visual.face_colors, np.float64)[:, :3] / 255
    if visual.uv is not None:
        corners = np.asarray(visual.to_color().vertex_colors, np.float64)
        if corners.shape == (len(mesh.vertices), 4):
            return np.asarray(corners[mesh.faces, :3].mean(axis=1)) / 255
    return np.tile(np.asarray(visual.material.main_color, np.float64)[:3] / 255, (len(mesh.faces), 1))
