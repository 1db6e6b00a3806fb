"""USDZ, USDA and USDC: a RoomPlan room becomes boxes, anything else one textured mesh.

OpenUSD runs in a process of its own (`usd_dump`), because damaged binary layers can end the process it runs in.
Transforms, `metersPerUnit` and `upAxis` are applied here. RoomPlan marks its prims with `customData` `Category` and
`UUID`. Object Capture (creator "CorePhotogrammetry") has no scale and no gravity unless it was given depth, which the
file does not say.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import CaptureError
from ..capture import Z_UP_FROM_Y_UP, Capture, Float, Image, RoomElement, RoomKind, Skipped
from .archive import Source
from .images import color_loader
from .mesh_file import mesh_capture
from .mesh_parts import MeshPart, join, triangulated
from .poses import rigid
from .roomplan import checked_size, room_capture

LAYERS = (".usda", ".usdc", ".usd")

SECONDS = 300
"""Longest time OpenUSD may take; a scan of a million triangles takes two seconds."""

KINDS: dict[str, RoomKind] = {
    "wall": "wall",
    "door": "door",
    "window": "window",
    "opening": "opening",
    "floor": "floor",
}

Arrays = dict[str, NDArray[Any]]


def read(source: Source, root: str) -> Capture:
    """Reads the stage: a room if its prims carry RoomPlan categories, else a mesh.

    Raises:
        CaptureError: if OpenUSD cannot read it, it refers to files outside, or it has neither room nor triangles.
    """
    where = source.where(root)
    summary, arrays = _dump(source, root)
    unit = summary["meters_per_unit"]
    if not 1e-6 < unit < 1e6:  # also false for NaN
        raise CaptureError(f"{where}: metersPerUnit is {unit}")
    world_from_stage = np.diag([unit, unit, unit, 1.0])
    if summary["up_axis"] != "Z":
        world_from_stage = Z_UP_FROM_Y_UP @ world_from_stage
    if summary["rooms"]:
        return _room(source, root, summary, arrays, world_from_stage)
    textures: dict[str, Image] = {}
    parts: list[MeshPart] = []
    for number, mesh in enumerate(summary["meshes"]):
        if not mesh["hidden"]:
            own = {key: arrays.get(f"{key}{number}") for key in ("points", "counts", "indices", "uv", "colors")}
            subsets = [arrays[f"subset{number}_{row}"] for row in range(len(mesh["textures"]) - 1)]
            pictures = [_picture(source, reference, textures) for reference in mesh["textures"]]
            parts += _parts(mesh, own, subsets, pictures, world_from_stage, f"{where}: {mesh['path']}")
    creator = summary["creator"]
    photogrammetry = "CorePhotogrammetry" in creator
    notes = [f"A mesh without depth frames, written by {creator}." if creator else "A mesh without depth frames."]
    if photogrammetry:
        notes.append("Object Capture without depth has no scale: sizes are not metric. Its up axis is a guess.")
    mesh = join(parts, summary["name"] or "mesh", where)
    return mesh_capture(source, root, mesh, "usdz-mesh", notes, is_metric=not photogrammetry)


def _dump(source: Source, root: str) -> tuple[dict[str, Any], Arrays]:
    """Runs OpenUSD on the layers, unpacked to disk."""
    for name in source.files:
        if name.lower().endswith(LAYERS):
            source.local_path(name)
    folder = source.local_path(root).parents[root.count("/")]
    with tempfile.TemporaryDirectory(prefix="pocketworlds-") as scratch:
        output = Path(scratch) / "stage.npz"
        reason = run_dump(folder, root, output)
        if reason is not None:
            raise CaptureError(f"{source.where(root)}: {reason}; export the scan again")
        with np.load(output, allow_pickle=False) as stored:
            arrays = dict(stored)
    return json.loads(arrays.pop("summary").tobytes()), arrays


def run_dump(folder: Path, root: str, output: Path) -> str | None:
    """Runs `usd_dump` and returns why it failed, or None."""
    program = Path(__file__).with_name("usd_dump.py")
    command = [sys.executable, "-P", str(program), str(folder), root, str(output)]
    try:
        run = subprocess.run(command, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        return f"OpenUSD took more than {SECONDS} s"
    if run.returncode == 0:
        return None
    return run.stdout.decode(errors="replace").strip()[:300] or "OpenUSD cannot read it"


def _parts(
    mesh: dict[str, Any],
    arrays: dict[str, NDArray[Any] | None],
    subsets: list[NDArray[Any]],
    pictures: list[Image | None],
    world_from_stage: Float,
    where: str,
) -> list[MeshPart]:
    """The triangles of one mesh prim, one part a material, in the Z-up world."""
    points, counts, indices = (np.asarray(arrays[key]) for key in ("points", "counts", "indices"))
    if (counts < 0).any() or counts.sum() != len(indices):
        raise CaptureError(f"{where}: {len(indices)} face indices where its polygons need {counts.sum()}")
    if len(indices) and (indices.min() < 0 or indices.max() >= len(points)):
        raise CaptureError(f"{where}: a face names a point that is not there")
    world = world_from_stage @ _matrix(mesh["transform"])
    with np.errstate(over="ignore", invalid="ignore"):  # `join` refuses what is not finite
        vertices = points @ world[:3, :3].T + world[:3, 3]
        mirrored = np.linalg.det(world[:3, :3]) < 0
    fan = triangulated(counts)
    polygon = np.repeat(np.arange(len(counts)), np.maximum(counts - 2, 0))
    if mesh["left_handed"] != mirrored:
        fan = fan[:, ::-1]
    corner_uv = _corner_uv(arrays["uv"], indices, len(points), per_corner=mesh["uv_per_corner"])
    colors = _srgb(arrays["colors"], len(points))
    rest = np.setdiff1d(np.arange(len(counts)), np.concatenate(subsets)) if subsets else np.arange(len(counts))
    parts = []
    for rows, picture in zip([rest, *subsets], pictures, strict=True):
        corners = fan[np.isin(polygon, rows)] if subsets else fan
        uv = corner_uv[corners] if corner_uv is not None and picture is not None else None
        used, faces = np.unique(indices[corners], return_inverse=True) if subsets else (slice(None), indices[corners])
        own = None if colors is None else colors[used]
        parts.append(MeshPart(vertices[used], faces.reshape(-1, 3), uv, None if uv is None else picture, own))
    return parts


def _corner_uv(uv: NDArray[Any] | None, indices: NDArray[Any], points: int, *, per_corner: bool) -> Float | None:
    """Float64 [corners, 2], V upwards as USD has it, or None where the number does not fit."""
    if uv is None or len(uv) not in ((len(indices),) if per_corner else (points,)):
        return None
    return uv if per_corner else uv[indices]


def _srgb(linear: NDArray[Any] | None, points: int) -> Image | None:
    """USD's linear display colours as sRGB [points, 3]."""
    if linear is None or len(linear) not in (1, points):
        return None
    clipped = np.nan_to_num(np.broadcast_to(linear, (points, 3))).clip(0, 1)
    encoded = np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return np.asarray((encoded * 255).round(), dtype=np.uint8)


def _picture(source: Source, reference: list[str] | None, known: dict[str, Image]) -> Image | None:
    """The decoded picture of a material: its path is relative to the layer that names it, or to the root."""
    if reference is None:
        return None
    layer, path = reference
    name = source.find(path, beside=layer) or source.find(path)
    if name is None:
        return None
    if name not in known:
        known[name] = color_loader(source, name)()
    return known[name]


def _room(source: Source, root: str, summary: dict[str, Any], arrays: Arrays, world_from_stage: Float) -> Capture:
    elements: dict[str, RoomElement] = {}
    skipped: list[Skipped] = []
    for box in summary["rooms"]:
        label = box["path"]
        clouds = [
            (arrays[f"points{number}"], _matrix(mesh["transform"]))
            for number, mesh in enumerate(summary["meshes"])
            if f"{mesh['path']}/".startswith(f"{label}/")
        ]
        try:
            element = _element(box, clouds, world_from_stage, f"{source.where(root)}: {label}")
            if element.identifier in elements:
                raise CaptureError(f"{label}: identifier {element.identifier} came before")
            elements[element.identifier] = element
        except CaptureError as error:
            skipped.append(Skipped(label, str(error)))
    notes = ["RoomPlan's USDZ has no confidences, attributes or parents: export the CapturedRoom JSON as well."]
    return room_capture(source, root, list(elements.values()), skipped, "roomplan-usdz", notes)


def _element(
    box: dict[str, Any], clouds: list[tuple[NDArray[Any], Float]], world_from_stage: Float, where: str
) -> RoomElement:
    """The box around the meshes at and below a prim, in the prim's own frame."""
    to_stage = _matrix(box["transform"])
    if not np.isfinite(to_stage).all() or abs(np.linalg.det(to_stage[:3, :3])) < 1e-12:
        raise CaptureError(f"{where}: its transform is flat or not finite")
    inverse = np.linalg.inv(to_stage)
    with np.errstate(over="ignore", invalid="ignore"):
        points = [cloud @ (inverse @ matrix)[:3, :3].T + (inverse @ matrix)[:3, 3] for cloud, matrix in clouds]
    cloud = np.concatenate(points) if points else np.zeros((0, 3))
    if not len(cloud) or not np.isfinite(cloud).all():
        raise CaptureError(f"{where}: it has no points, or they are not finite")
    low, high = cloud.min(axis=0), cloud.max(axis=0)
    pose = world_from_stage @ to_stage
    pose[:3, 3] += pose[:3, :3] @ ((low + high) / 2)
    scale = np.linalg.norm(pose[:3, :3], axis=0)
    pose[:3, :3] /= scale
    size = (high - low) * scale
    checked_size(size, where)
    category = box["category"].lower()
    kind: RoomKind = KINDS.get(category, "object")
    return RoomElement(
        kind=kind,
        category=category,
        identifier=box["identifier"],
        parent=None,
        size=size,
        world_from_local=rigid(pose, where),
    )


def _matrix(values: list[float]) -> Float:
    """OpenUSD's row-vector matrix (16 numbers, row by row) as a column-vector one."""
    return np.array(values, dtype=np.float64).reshape(4, 4).T
