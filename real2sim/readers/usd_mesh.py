"""Triangles, UV and textures of a USD stage, kept per face corner."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, UsdShade

from ...errors import CaptureError
from ..capture import Float, Image
from .archive import Source
from .images import color_loader
from .mesh_parts import MeshPart, triangulated


def mesh_parts(stage: Any, source: Source, world_from_stage: Float) -> list[MeshPart]:
    """One part for every mesh and material of the stage, in the Z-up world and metres."""
    cache = UsdGeom.XformCache()
    textures = _Textures(source)
    parts = []
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        if not prim.IsA(UsdGeom.Mesh):
            continue
        imageable = UsdGeom.Imageable(prim)
        if imageable.ComputeVisibility() == UsdGeom.Tokens.invisible or imageable.ComputePurpose() == "guide":
            continue
        world = world_from_stage @ np.array(cache.GetLocalToWorldTransform(prim), dtype=np.float64).T
        parts += _mesh(prim, world, textures, source)
    return parts


def _mesh(prim: Any, world: Float, textures: _Textures, source: Source) -> list[MeshPart]:
    mesh = UsdGeom.Mesh(prim)
    where = f"{source.path}: {prim.GetPath()}"
    points = np.asarray(mesh.GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
    counts = np.asarray(mesh.GetFaceVertexCountsAttr().Get() or [], dtype=np.int64)
    indices = np.asarray(mesh.GetFaceVertexIndicesAttr().Get() or [], dtype=np.int64)
    if not len(counts):
        return []
    if (counts < 0).any() or counts.sum() != len(indices):
        raise CaptureError(f"{where}: {len(indices)} face indices where its polygons need {counts.sum()}")
    if len(indices) and (indices.min() < 0 or indices.max() >= len(points)):
        raise CaptureError(f"{where}: a face names a point that is not there")
    fan = triangulated(counts)
    polygon = np.repeat(np.arange(len(counts)), np.maximum(counts - 2, 0))
    if (mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded) != (np.linalg.det(world[:3, :3]) < 0):
        fan = fan[:, ::-1]
    with np.errstate(over="ignore", invalid="ignore"):
        vertices = points @ world[:3, :3].T + world[:3, 3]
    corner_uv = _corner_uv(prim, indices, len(points))
    colors = _colors(mesh, len(points))
    parts = []
    for rows, owner in _by_material(prim, len(counts)):
        corners = fan[np.isin(polygon, rows)] if rows is not None else fan
        texture = textures.of(owner)
        uv = corner_uv[corners] if corner_uv is not None and texture is not None else None
        faces = indices[corners]
        if rows is None:
            parts.append(MeshPart(vertices, faces, uv, texture if uv is not None else None, colors))
        else:
            used, compact = np.unique(faces, return_inverse=True)
            kept = None if colors is None else colors[used]
            parts.append(MeshPart(vertices[used], compact.reshape(faces.shape), uv, texture, kept))
    return parts


def _by_material(prim: Any, polygons: int) -> list[tuple[NDArray[np.int64] | None, Any]]:
    """Polygons (None for all) and the prim that binds their material."""
    subsets = [(np.asarray(s.GetIndicesAttr().Get() or [], dtype=np.int64), s.GetPrim()) for s in _subsets(prim)]
    if not subsets:
        return [(None, prim)]
    rest = np.setdiff1d(np.arange(polygons), np.concatenate([rows for rows, _ in subsets]))
    return [*subsets, (rest, prim)]


def _subsets(prim: Any) -> list[Any]:
    return list(UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets())


def _corner_uv(prim: Any, indices: NDArray[np.int64], points: int) -> Float | None:
    """Float64 [corners, 2], V upwards as USD has it."""
    for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvars():
        if primvar.GetTypeName() not in (Sdf.ValueTypeNames.TexCoord2fArray, Sdf.ValueTypeNames.Float2Array):
            continue
        values = primvar.ComputeFlattened()
        if values is None:
            continue
        uv = np.asarray(values, dtype=np.float64).reshape(-1, 2)
        if len(uv) == len(indices) and primvar.GetInterpolation() == UsdGeom.Tokens.faceVarying:
            return uv
        if len(uv) == points:
            return uv[indices]
    return None


def _colors(mesh: Any, points: int) -> Image | None:
    """Display colours of the vertices (USD's are linear; they are encoded as sRGB)."""
    primvar = mesh.GetDisplayColorPrimvar()
    values = primvar.ComputeFlattened() if primvar.HasValue() else None
    if values is None:
        return None
    linear = np.nan_to_num(np.asarray(values, dtype=np.float64).reshape(-1, 3)).clip(0, 1)
    if len(linear) == 1:
        linear = np.repeat(linear, points, axis=0)
    if len(linear) != points:
        return None
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray((encoded * 255).round(), dtype=np.uint8)


class _Textures:
    """Diffuse pictures of materials, decoded once each."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[str, Image] = {}

    def of(self, prim: Any) -> Image | None:
        """The picture of the material bound to `prim`, or None."""
        material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        shader = material.ComputeSurfaceSource()[0] if material else None
        diffuse = shader.GetInput("diffuseColor") if shader else None
        sources = diffuse.GetConnectedSources()[0] if diffuse else []
        if not sources:
            return None
        file = UsdShade.Shader(sources[0].source.GetPrim()).GetInput("file")
        attribute = file.GetAttr() if file else None
        asset = attribute.Get() if attribute else None
        if not isinstance(asset, Sdf.AssetPath) or not asset.path:
            return None
        name = self._find(attribute, asset.path)
        if name is None:
            return None
        if name not in self._known:
            self._known[name] = color_loader(self._source, name)()
        return self._known[name]

    def _find(self, attribute: Any, reference: str) -> str | None:
        """The picture as a listed file: relative to the layer that names it, or to the root."""
        for spec in attribute.GetPropertyStack(Usd.TimeCode.Default()):
            for layer in self._source.files:
                if spec.layer.realPath.endswith("/" + layer):
                    name = self._source.find(reference, beside=layer)
                    if name is not None:
                        return name
        return self._source.find(reference)
