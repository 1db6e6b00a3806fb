"""USDZ, USDA and USDC through OpenUSD: a RoomPlan room becomes boxes, anything else one textured mesh.

The archive is unpacked to a temporary folder after the usual checks, and layers that refer to files outside it are
refused. Transforms, `metersPerUnit` and `upAxis` are applied. RoomPlan marks its prims with `customData` `Category`
and `UUID`. Object Capture (creator "CorePhotogrammetry") has no scale and no gravity unless it was given depth, which
the file does not say.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdUtils

from ...errors import CaptureError
from ..capture import Z_UP_FROM_Y_UP, Capture, Float, RoomElement, RoomKind, Skipped
from .archive import Source
from .mesh_file import mesh_capture
from .mesh_parts import MeshPart, join
from .poses import rigid
from .roomplan import checked_size, room_capture
from .usd_mesh import mesh_parts

KINDS: dict[str, RoomKind] = {
    "wall": "wall",
    "door": "door",
    "window": "window",
    "opening": "opening",
    "floor": "floor",
}


def read(source: Source, root: str) -> Capture:
    """Reads the stage: a room if its prims carry RoomPlan categories, else a mesh."""
    quiet = UsdUtils.CoalescingDiagnosticDelegate()  # while it lives, OpenUSD prints no warnings of its own
    try:
        return _read(source, root, _stage(source, root))
    finally:
        del quiet


def _read(source: Source, root: str, stage: Any) -> Capture:
    where = source.where(root)
    unit = UsdGeom.GetStageMetersPerUnit(stage)
    if not (math.isfinite(unit) and 1e-6 < unit < 1e6):
        raise CaptureError(f"{where}: metersPerUnit is {unit}")
    world_from_stage = np.diag([unit, unit, unit, 1.0])
    if UsdGeom.GetStageUpAxis(stage) != UsdGeom.Tokens.z:
        world_from_stage = Z_UP_FROM_Y_UP @ world_from_stage
    rooms = [prim for prim in stage.Traverse() if prim.GetCustomDataByKey("Category") is not None]
    if rooms:
        return _room(source, root, rooms, world_from_stage)
    layer = stage.GetRootLayer()
    creator = str(layer.customLayerData.get("creator", ""))
    photogrammetry = "CorePhotogrammetry" in creator
    notes = [f"A mesh without depth frames, written by {creator}." if creator else "A mesh without depth frames."]
    if photogrammetry:
        notes.append("Object Capture without depth has no scale: sizes are not metric. Its up axis is a guess.")
    parts: list[MeshPart] = mesh_parts(stage, source, world_from_stage)
    mesh = join(parts, layer.defaultPrim or "mesh", where)
    return mesh_capture(source, root, mesh, "usdz-mesh", notes, is_metric=not photogrammetry)


def _stage(source: Source, root: str) -> Any:
    """Opens the stage from disk, with no layer from outside the archive."""
    where = source.where(root)
    layers: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        layers[name] = Sdf.Layer.FindOrOpen(str(source.local_path(name)))
        if layers[name] is None:
            raise CaptureError(f"{source.where(name)}: not a readable USD layer; export the scan again")
        for reference in layers[name].GetCompositionAssetDependencies():
            target = source.find(reference, beside=name)
            if target is None:
                raise CaptureError(f"{source.where(name)}: refers to {reference!r}, which is not in the archive")
            if target not in layers and target not in waiting:
                waiting.append(target)
    stage = Usd.Stage.Open(str(source.local_path(root)))
    if stage is None:
        raise CaptureError(f"{where}: not a readable USD stage; export the scan again")
    return stage


def _room(source: Source, root: str, prims: list[Any], world_from_stage: Float) -> Capture:
    elements: dict[str, RoomElement] = {}
    skipped: list[Skipped] = []
    for prim in prims:
        label = str(prim.GetPath())
        try:
            element = _element(prim, world_from_stage, f"{source.path}: {label}")
            if element.identifier in elements:
                raise CaptureError(f"{label}: identifier {element.identifier} came before")
            elements[element.identifier] = element
        except CaptureError as error:
            skipped.append(Skipped(label, str(error)))
    notes = ["RoomPlan's USDZ has no confidences, attributes or parents: export the CapturedRoom JSON as well."]
    return room_capture(source, root, list(elements.values()), skipped, "roomplan-usdz", notes)


def _element(prim: Any, world_from_stage: Float, where: str) -> RoomElement:
    """The box around the meshes at and below a prim, in the prim's own frame."""
    cache = UsdGeom.XformCache()
    to_world = _matrix(cache.GetLocalToWorldTransform(prim))
    if not np.isfinite(to_world).all() or abs(np.linalg.det(to_world[:3, :3])) < 1e-12:
        raise CaptureError(f"{where}: its transform is not finite or flat")
    points = []
    for child in Usd.PrimRange(prim):
        if child.IsA(UsdGeom.Mesh):
            corners = UsdGeom.Mesh(child).GetPointsAttr().Get()
            if corners is not None and len(corners):
                local = np.linalg.inv(to_world) @ _matrix(cache.GetLocalToWorldTransform(child))
                points.append(np.asarray(corners, dtype=np.float64) @ local[:3, :3].T + local[:3, 3])
    if not points:
        raise CaptureError(f"{where}: no mesh points")
    cloud = np.concatenate(points)
    if not np.isfinite(cloud).all():
        raise CaptureError(f"{where}: points are not finite")
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    pose = world_from_stage @ to_world
    pose[:3, 3] += pose[:3, :3] @ ((low + high) / 2)
    scale = np.linalg.norm(pose[:3, :3], axis=0)
    pose[:3, :3] /= scale
    size = (high - low) * scale
    checked_size(size, where)
    category = str(prim.GetCustomDataByKey("Category")).lower()
    kind: RoomKind = KINDS.get(category, "object")
    return RoomElement(
        kind=kind,
        category=kind if kind != "object" else category,
        identifier=str(prim.GetCustomDataByKey("UUID") or prim.GetPath()),
        parent=None,
        size=size,
        world_from_local=rigid(pose, where),
    )


def _matrix(matrix: Gf.Matrix4d) -> Float:
    """OpenUSD's row-vector matrix as a column-vector one."""
    return np.array(matrix, dtype=np.float64).T
