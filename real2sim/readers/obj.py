"""Wavefront OBJ as phone apps write it: triangles or polygons, UV per face corner, one or more MTL textures.

Read here rather than by a mesh library because those merge or split vertices at UV seams, which scrambles
scanned atlases.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from ...errors import CaptureError
from ..capture import Z_UP_FROM_Y_UP, CaptureMesh, Float, Image
from .archive import Source
from .images import color_loader
from .mesh_parts import MeshPart, join, triangulated

MAX_LINES = 50_000_000

CORNER = re.compile(rb"(-?\d+)(?:/(-?\d*))?(?:/-?\d*)?")


def read_obj(source: Source, name: str) -> CaptureMesh:
    """Reads an OBJ of a +Y-up, metric app as a Z-up mesh with per-corner UV and its texture where there is one.

    Raises:
        CaptureError: if it is not an OBJ with triangles.
    """
    where = source.where(name)
    vertices: list[bytes] = []
    coordinates: list[bytes] = []
    groups: dict[bytes, list[bytes]] = {}
    libraries: list[str] = []
    current: list[bytes] = groups.setdefault(b"", [])
    for line in source.read(name).splitlines():
        key, _, rest = line.strip().partition(b" ")
        if key == b"v":
            vertices.append(rest)
        elif key == b"vt":
            coordinates.append(rest)
        elif key == b"f":
            current.append(rest)
        elif key == b"usemtl":
            current = groups.setdefault(rest.strip(), [])
        elif key == b"mtllib":
            libraries.append(rest.decode("utf-8", "replace").strip())
    points = _floats(vertices, (3, 6, 4, 7), f"{where}: vertices")
    uvs = _floats(coordinates, (2, 3), f"{where}: texture coordinates")[:, :2] if coordinates else None
    textures = _textures(source, name, libraries)
    with np.errstate(over="ignore", invalid="ignore"):  # `join` refuses what is not finite
        position = points[:, :3] @ Z_UP_FROM_Y_UP[:3, :3].T
    colors = _colors(points)
    parts = []
    for material, lines in groups.items():
        if lines:
            faces, corner_uv = _faces(lines, len(points), uvs, where)
            parts.append(MeshPart(position, faces, corner_uv, textures.get(material), colors))
    if len(parts) > 1:
        parts = [_compact(part) for part in parts]
    return join(parts, name.rpartition("/")[2].removesuffix(".obj"), where)


def _floats(lines: list[bytes], widths: tuple[int, ...], where: str) -> Float:
    """Float64 [N, C] of lines with equally many numbers."""
    if not lines:
        raise CaptureError(f"{where}: none")
    width = len(lines[0].split())
    try:
        values = np.array(b" ".join(lines).split(), dtype=np.float64)
    except ValueError as error:
        raise CaptureError(f"{where}: {error}") from error
    if width not in widths or values.size != width * len(lines):
        raise CaptureError(f"{where}: lines have differing or too few numbers")
    return values.reshape(len(lines), width)


def _colors(points: Float) -> Image | None:
    """Colours written after the position (x y z r g b), in [0, 1] or, in some apps, [0, 255]."""
    if points.shape[1] < 6:
        return None
    rgb = np.nan_to_num(points[:, -3:])
    return np.asarray((rgb if rgb.max() > 1 else rgb * 255).clip(0, 255).round(), dtype=np.uint8)


def _faces(lines: list[bytes], count: int, uvs: Float | None, where: str) -> tuple[NDArray[np.int64], Float | None]:
    """Triangles [F, 3] and their UV [F, 3, 2] (None unless every corner has one)."""
    corners = [line.split() for line in lines]
    counts = np.array([len(corner) for corner in corners], dtype=np.int64)
    fields = []
    for corner in (item for items in corners for item in items):
        match = CORNER.fullmatch(corner)
        if match is None or len(corner) > 40:
            raise CaptureError(f"{where}: face corner {corner[:20]!r} is not understood")
        fields.append((int(match[1]), int(match[2] or 0)))
    table = np.array(fields, dtype=np.int64).reshape(-1, 2)
    table[table[:, 0] < 0, 0] += count + 1  # negative numbers count from the end
    fan = triangulated(counts)
    faces = table[fan, 0] - 1
    if faces.size and (faces.min() < 0 or faces.max() >= count):
        raise CaptureError(f"{where}: a face names a vertex that is not there")
    if uvs is None or not (table[:, 1] != 0).all():
        return faces, None
    index = np.where(table[:, 1] < 0, table[:, 1] + len(uvs), table[:, 1] - 1)
    if index.size and (index.min() < 0 or index.max() >= len(uvs)):
        raise CaptureError(f"{where}: a face names a texture coordinate that is not there")
    return faces, uvs[index[fan]]


def _textures(source: Source, name: str, libraries: list[str]) -> dict[bytes, Image]:
    """Material name -> diffuse picture, for the pictures that are in the capture."""
    textures: dict[bytes, Image] = {}
    loaded: dict[str, Image] = {}
    for library in libraries:
        path = source.find(library, beside=name)
        if path is None:
            continue
        material = b""
        for line in source.read(path, limit=1 << 20).splitlines():
            key, _, rest = line.strip().partition(b" ")
            if key == b"newmtl":
                material = rest.strip()
            elif key == b"map_Kd":
                picture = source.find(rest.decode("utf-8", "replace").strip(), beside=path)
                if picture is not None:
                    if picture not in loaded:
                        loaded[picture] = color_loader(source, picture)()
                    textures[material] = loaded[picture]
    return textures


def _compact(part: MeshPart) -> MeshPart:
    """Drops the vertices of other materials, keeping the order."""
    used, faces = np.unique(part.faces, return_inverse=True)
    colors = None if part.colors is None else part.colors[used]
    return MeshPart(part.vertices[used], faces.reshape(part.faces.shape), part.uv, part.texture, colors)
