"""Writes the triangles, materials and room boxes of a USD stage to an .npz file: a program, run by `usdz`.

python -P usd_dump.py <folder> <root layer> <output.npz>

OpenUSD ends the process on some damaged binary layers, so it is run in one of its own: `usdz` starts this file, and
reads back plain arrays and one JSON text. Layers that name layers outside `folder` are refused before the stage is
composed. What is written is what the file says; `usdz` checks it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Sdf, Usd, UsdGeom, UsdShade

MAX_MEMORY = 8 << 30


class Refused(Exception):
    """The stage cannot be used; the message says why."""


def main(folder: str, root: str, output: str) -> None:
    """Dumps the stage of `root`, a path inside `folder`."""
    _limit_memory()
    layers = _checked_layers(Path(folder), root)
    stage = Usd.Stage.Open(layers[root])
    if not stage:
        raise Refused("not a readable USD stage")
    arrays: dict[str, Any] = {}
    cache = UsdGeom.XformCache()
    meshes: list[dict[str, Any]] = []
    for prim in stage.Traverse(Usd.TraverseInstanceProxies()):
        if prim.IsA(UsdGeom.Mesh):
            meshes.append(_mesh(prim, len(meshes), cache, Path(folder), arrays))
    rooms = [prim for prim in stage.Traverse() if prim.GetCustomDataByKey("Category") is not None]
    layer = stage.GetRootLayer()
    summary = {
        "meters_per_unit": UsdGeom.GetStageMetersPerUnit(stage),
        "up_axis": str(UsdGeom.GetStageUpAxis(stage)),
        "creator": str(layer.customLayerData.get("creator", "")),
        "name": layer.defaultPrim,
        "meshes": meshes,
        "rooms": [
            {
                "path": str(prim.GetPath()),
                "category": str(prim.GetCustomDataByKey("Category")),
                "identifier": str(prim.GetCustomDataByKey("UUID") or prim.GetPath()),
                "transform": np.array(cache.GetLocalToWorldTransform(prim)).ravel().tolist(),
            }
            for prim in rooms
        ],
    }
    np.savez(output, summary=np.frombuffer(json.dumps(summary).encode(), np.uint8), **arrays)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _checked_layers(folder: Path, root: str) -> dict[str, Any]:
    """Opens the root and every layer it needs, all of them inside the folder."""
    layers: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        layers[name] = Sdf.Layer.FindOrOpen(str(folder / name))
        if not layers[name]:
            raise Refused(f"{name} is not a readable USD layer")
        for reference in layers[name].GetCompositionAssetDependencies():
            target = os.path.normpath(os.path.join(os.path.dirname(name), reference)).replace("\\", "/")
            if target.startswith(("/", "..")) or not (folder / target).is_file():
                raise Refused(f"{name} refers to {reference!r}, which is not in the archive")
            if target not in layers and target not in waiting:
                waiting.append(target)
    return layers


def _mesh(prim: Any, number: int, cache: Any, folder: Path, arrays: dict[str, Any]) -> dict[str, Any]:
    """Geometry of a mesh prim into `arrays` (keys end in its number), the rest as JSON."""
    mesh = UsdGeom.Mesh(prim)
    imageable = UsdGeom.Imageable(prim)
    arrays[f"points{number}"] = np.asarray(mesh.GetPointsAttr().Get() or [], dtype=np.float64).reshape(-1, 3)
    arrays[f"counts{number}"] = np.asarray(mesh.GetFaceVertexCountsAttr().Get() or [], dtype=np.int64)
    arrays[f"indices{number}"] = np.asarray(mesh.GetFaceVertexIndicesAttr().Get() or [], dtype=np.int64)
    uv = _uv(prim)
    if uv is not None:
        arrays[f"uv{number}"] = uv[0]
    display = mesh.GetDisplayColorPrimvar()
    colors = display.ComputeFlattened() if display.HasValue() else None
    if colors is not None:
        arrays[f"colors{number}"] = np.asarray(colors, dtype=np.float64).reshape(-1, 3)
    textures = [_texture(prim, folder)]
    for row, subset in enumerate(UsdShade.MaterialBindingAPI(prim).GetMaterialBindSubsets()):
        arrays[f"subset{number}_{row}"] = np.asarray(subset.GetIndicesAttr().Get() or [], dtype=np.int64)
        textures.append(_texture(subset.GetPrim(), folder))
    return {
        "path": str(prim.GetPath()),
        "transform": np.array(cache.GetLocalToWorldTransform(prim)).ravel().tolist(),
        "left_handed": mesh.GetOrientationAttr().Get() == UsdGeom.Tokens.leftHanded,
        "hidden": imageable.ComputeVisibility() == UsdGeom.Tokens.invisible or imageable.ComputePurpose() == "guide",
        "uv_per_corner": uv is not None and uv[1],
        "textures": textures,
    }


def _uv(prim: Any) -> tuple[Any, bool] | None:
    """The first texture coordinates, [N, 2], and whether they are per face corner."""
    for primvar in UsdGeom.PrimvarsAPI(prim).GetPrimvars():
        if primvar.GetTypeName() in (Sdf.ValueTypeNames.TexCoord2fArray, Sdf.ValueTypeNames.Float2Array):
            values = primvar.ComputeFlattened()
            if values is not None:
                per_corner = primvar.GetInterpolation() == UsdGeom.Tokens.faceVarying
                return np.asarray(values, dtype=np.float64).reshape(-1, 2), per_corner
    return None


def _texture(prim: Any, folder: Path) -> list[str] | None:
    """The layer that names the diffuse picture of the bound material, and the path it gives."""
    material, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
    shader = material.ComputeSurfaceSource()[0] if material else None
    diffuse = shader.GetInput("diffuseColor") if shader else None
    sources = diffuse.GetConnectedSources()[0] if diffuse else []
    file = UsdShade.Shader(sources[0].source.GetPrim()).GetInput("file") if sources else None
    if not file:
        return None
    attribute = file.GetAttr()
    asset = attribute.Get()
    if not isinstance(asset, Sdf.AssetPath) or not asset.path:
        return None
    stack = attribute.GetPropertyStack(Usd.TimeCode.Default())
    layer = os.path.relpath(stack[0].layer.realPath, folder) if stack else ""
    return [layer, asset.path]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refusal:
        print(refusal)
        sys.exit(1)
