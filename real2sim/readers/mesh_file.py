"""Mesh files that phone apps export: GLB and PLY through trimesh, OBJ through `obj`, all as one `CaptureMesh`.

A mesh alone has no measured gravity. GLB is +Y up and in metres by its standard; OBJ and PLY say neither, and phone
apps write +Y up and metres, which is assumed and noted.
"""

from __future__ import annotations

import io
import json
import re
import struct
from typing import Any

import numpy as np
import trimesh
from PIL import Image as PILImage

from ...errors import CaptureError
from ..capture import Z_UP_FROM_Y_UP, Capture, CaptureMesh, Float, Image
from .archive import Source
from .guard import DECODER_ERRORS, reason
from .images import MAX_PIXELS
from .mesh_parts import MeshPart, join
from .obj import read_obj
from .parse import as_count, as_list, as_object

TRIMESH_ERRORS: tuple[type[Exception], ...] = (
    *DECODER_ERRORS,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    NameError,
)
"""trimesh checks little of what it reads and has no exception of its own."""

EXTENT_RANGE = (0.005, 300.0)
"""Metres: what a phone can scan. Outside, the file is in other units."""

COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


def kind_of(head: bytes) -> str | None:
    """ "glb", "ply" or "obj" by the first bytes (at least 4 KiB, or the whole file)."""
    if head.startswith(b"glTF"):
        return "glb"
    if head.startswith((b"ply\n", b"ply\r")):
        return "ply"
    if re.search(rb"^v +[-+0-9.eE]+ +[-+0-9.eE]+ +[-+0-9.eE]+", head, re.MULTILINE) and b"\0" not in head:
        return "obj"
    return None


def read(source: Source, name: str, kind: str) -> Capture:
    """A capture that is one mesh."""
    mesh = {"glb": read_glb, "ply": _read_ply, "obj": _read_obj}[kind](source, name)
    note = "" if kind == "glb" else f" {kind.upper()} states no units and no up axis: metres and +Y up are assumed."
    return mesh_capture(source, name, mesh, f"mesh-{kind}", [f"A mesh without depth frames.{note}"])


def mesh_capture(
    source: Source, file: str, mesh: CaptureMesh, form: str, notes: list[str], *, is_metric: bool = True
) -> Capture:
    """Wraps a mesh whose size a phone can have scanned.

    Raises:
        CaptureError: if it is smaller than 5 mm or larger than 300 m.
    """
    used = mesh.vertices[np.unique(mesh.faces)]
    extent = float(np.ptp(used, axis=0).max())
    low, high = EXTENT_RANGE
    if not low < extent < high:
        raise CaptureError(
            f"{source.where(file)}: the mesh is {extent:.4g} m large; export it in metres, not millimetres"
        )
    if mesh.texture is None and mesh.colors is None:
        notes.append("The mesh has neither texture nor colours.")
    return Capture(
        source.path,
        form,
        mesh=mesh,
        is_metric=is_metric,
        has_gravity=False,
        notes=tuple(notes),
        skipped=source.store.skipped,
    )


def read_glb(source: Source, name: str, world_from_file: Float = Z_UP_FROM_Y_UP) -> CaptureMesh:
    """All meshes of a binary glTF, placed by their nodes, as one mesh in the Z-up world."""
    where = source.where(name)
    data = source.read(name)
    _check_glb(data, where)
    return _loaded(data, "glb", world_from_file, name.rpartition("/")[2].removesuffix(".glb"), where)


def _read_ply(source: Source, name: str) -> CaptureMesh:
    where = source.where(name)
    data = source.read(name)
    _check_ply(data, where)
    return _loaded(data, "ply", Z_UP_FROM_Y_UP, name.rpartition("/")[2].removesuffix(".ply"), where)


def _read_obj(source: Source, name: str) -> CaptureMesh:
    return read_obj(source, name)


def _loaded(data: bytes, kind: str, world_from_file: Float, name: str, where: str) -> CaptureMesh:
    """Every mesh trimesh finds, unmerged and in its order."""
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, process=False)
        parts = []
        for node in scene.graph.nodes_geometry:
            transform, key = scene.graph[node]
            geometry = scene.geometry[key]
            if isinstance(geometry, trimesh.Trimesh):
                parts.append(_part(geometry, world_from_file @ np.asarray(transform, dtype=np.float64)))
    except CaptureError:
        raise
    except TRIMESH_ERRORS as error:
        raise CaptureError(f"{where}: not a readable {kind.upper()} mesh ({reason(error)}); export it again") from error
    return join(parts, name, where)


def _part(geometry: Any, world_from_mesh: Float) -> MeshPart:
    vertices = np.asarray(geometry.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(geometry.faces, dtype=np.int64).reshape(-1, 3)
    if faces.size and (faces.min() < 0 or faces.max() >= len(vertices)):
        raise IndexError("a face names a vertex that is not there")
    if np.linalg.det(world_from_mesh[:3, :3]) < 0:
        faces = faces[:, ::-1]
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = vertices @ world_from_mesh[:3, :3].T + world_from_mesh[:3, 3]
    visual = geometry.visual
    uv = colors = texture = None
    if visual.kind == "texture" and visual.uv is not None and len(visual.uv) == len(vertices):
        uv = np.asarray(visual.uv, dtype=np.float64)[:, :2][faces]
        texture = _texture(visual.material)
    elif visual.kind == "vertex" and len(visual.vertex_colors) == len(vertices):
        colors = np.asarray(visual.vertex_colors, dtype=np.uint8)[:, :3]
    return MeshPart(vertices, faces, uv if texture is not None else None, texture, colors)


def _texture(material: Any) -> Image | None:
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if not isinstance(picture, PILImage.Image):
        return None
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError(f"texture of {picture.width} x {picture.height} pixels is too large")
    return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _check_glb(data: bytes, where: str) -> None:
    """Refuses a glTF whose accessors promise more than the file holds: trimesh would allocate it."""
    if len(data) < 20:
        raise CaptureError(f"{where}: GLB cut short; export it again")
    length, kind = struct.unpack_from("<I4s", data, 12)
    if kind != b"JSON" or 20 + length > len(data):
        raise CaptureError(f"{where}: GLB cut short or damaged; export it again")
    tree = as_object(json.loads(data[20 : 20 + length]), where)
    for key in ("KHR_draco_mesh_compression", "EXT_meshopt_compression"):
        if key in as_list(tree.get("extensionsRequired"), where):
            raise CaptureError(f"{where}: compressed with {key}; export it without compression")
    promised = 0
    for accessor in as_list(tree.get("accessors"), where):
        accessor = as_object(accessor, where)
        count = as_count(accessor.get("count"), f"{where}: accessor count")
        promised += count * COMPONENTS.get(str(accessor.get("type")), 16)
    if promised > 16 * len(data):
        raise CaptureError(f"{where}: promises {promised:,} numbers in {len(data):,} bytes; damaged")


def _check_ply(data: bytes, where: str) -> None:
    """Refuses a PLY whose header promises more elements than the file has bytes."""
    end = data.find(b"end_header", 0, 1 << 16)
    counts = [int(number) for number in re.findall(rb"^element +\w+ +(\d{1,18})\s", data[: max(end, 0)], re.MULTILINE)]
    if end < 0 or sum(counts) > len(data):
        raise CaptureError(f"{where}: PLY header is damaged or the file was cut short; export it again")
