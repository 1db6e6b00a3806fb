"""From a capture to a scene folder: `scan(capture, out)` runs every stage, and can be interrupted and run again.

    fusion -> structure -> instances -> completion -> meshes -> texture -> assembly, settling, report

Captures of other kinds join on the way: a mesh is looked at by a virtual phone first, a parametric room goes
straight to assembly, and a single photo is a capture of one frame from an assumed level camera.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CaptureError
from ..scenes.folder import atomic_folder, save_scene
from ..scenes.preview import render_preview
from ..scenes.scene import CollisionGeom, Scene, SceneObject
from ..scenes.settle import settle
from .assembly import Rebuilt, SupportPicture, assemble
from .capture import Capture, Float, Frame, Skipped
from .collision import CollisionShape, build_collision
from .completion import Solid, complete
from .fusion import Surface, fuse
from .instances import InstanceSegmenter, OneObject, Segmentation, find_instances
from .meshing import ObjectMesh, build_mesh
from .physical import classify
from .readers import open_capture
from .report import CaptureInfo, SceneReport, build_report, write_report
from .room import room_to_scene
from .stages import StageRunner, fingerprint
from .structure import Structure, find_structure, moved
from .texture import TexturedMesh, load_pictures, orthophoto, texture_mesh
from .views import DepthView, load_views, transformed
from .virtual import view_mesh

Notify = Callable[[str, float], None]
"""Called with a stage's name and its finished share in [0, 1]."""

MAX_OBJECTS = 60
MAX_TURN = np.deg2rad(35.0)
"""A photo is taken about level: its floor may be this far off."""
LEVEL_CAMERA: Float = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1.4], [0, 0, 0, 1.0]])
"""World pose of a phone held level at 1.4 m: assumed for a photo without a pose; the largest plane then corrects it."""


@dataclass(frozen=True)
class ScanOptions:
    """How to scan.

    Attributes:
        texture: bake textures (False: grey objects, several times faster).
        voxel: voxel edge [m], chosen from the capture when None.
        maximum_frames: depth frames used, evenly spread.
        minimum_confidence: least ARKit confidence (0, 1 or 2) of depth; lowered by itself when hardly any is left.
        segmenter: finds the objects; geometric when None.
    """

    texture: bool = True
    voxel: float | None = None
    maximum_frames: int = 400
    minimum_confidence: int = 2
    segmenter: InstanceSegmenter | None = None


@dataclass(frozen=True)
class ScanResult:
    """A finished scan: the scene (bound to its folder) and the report written beside it."""

    scene: Scene
    report: SceneReport


def scan(
    path: str | Path,
    out: str | Path,
    *,
    options: ScanOptions | None = None,
    replace_existing: bool = False,
    notify: Notify | None = None,
) -> ScanResult:
    """Rebuilds a phone capture as an interactive scene in the folder `out`.

    Raises:
        CaptureError: the capture cannot be read or rebuilt; nothing is written.
        SceneError: `out` exists (and may not be replaced) or cannot be written.
    """
    options = options or ScanOptions()
    out = Path(out)
    capture = open_capture(path)
    runner = StageRunner(f"{fingerprint(Path(path))}|{options}", notify)
    notes: list[str] = []
    with atomic_folder(out, replace=replace_existing) as folder:
        if capture.room and not capture.frames:
            scene, used, skipped, notes = _scan_room(capture, folder, runner), 0, list(capture.skipped), []
        else:
            scene, used, skipped, notes = _scan_frames(capture, folder, options, runner)
        scene = scene.model_copy(update={"source": {**scene.source, **_source(capture)}})
        scene = save_scene(scene, folder)
        render_preview(scene, folder / "preview.png")
        info = CaptureInfo(
            path_name=capture.path.name,
            format=capture.format,
            frames_total=len(capture.frames),
            frames_used=used,
            skipped=tuple((str(item.index), item.reason) for item in skipped),
            notes=(*capture.notes, *notes),
            is_metric=capture.is_metric,
            has_gravity=capture.has_gravity,
        )
        report = build_report(scene, info, runner.records)
        write_report(report, folder)
    runner.finish()
    return ScanResult(scene.in_folder(out), report)


def scene_name(path: Path) -> str:
    """A valid scene name from a capture's file name."""
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in path.stem).strip("_.-")
    return stem[:100] or "scene"


def _source(capture: Capture) -> dict[str, object]:
    return {
        "capture": capture.path.name,
        "format": capture.format,
        "is_metric": capture.is_metric,
        "has_gravity": capture.has_gravity,
        "versions": {name: version(name) for name in ("mujoco", "open3d", "trimesh", "numpy")},
        "platform": platform.platform(terse=True),
    }


# ------------------------------------------------------------------------------------------------------------------
# rooms


def _scan_room(capture: Capture, folder: Path, runner: StageRunner) -> Scene:
    scene = runner.run(
        "room",
        lambda progress: room_to_scene(capture.room, name=scene_name(capture.path)),
        lambda s: {
            "surfaces": len(s.surfaces),
            "objects": len(s.objects),
            "parts": sum(len(o.parts) for o in s.objects),
        },
        cached=False,
    )
    return _settled(scene.in_folder(folder), runner)


# -----------------------------------------------------------------------------------------------------------------
# frames


def _scan_frames(
    capture: Capture, folder: Path, options: ScanOptions, runner: StageRunner
) -> tuple[Scene, int, list[Skipped], list[str]]:
    notes: list[str] = []
    if not any(frame.load_depth is not None for frame in capture.frames):
        if capture.mesh is None:
            raise CaptureError(
                f"{capture.path}: has neither depth frames, nor a mesh, nor a room; scan with LiDAR depth switched on"
            )
        mesh, known_notes = capture.mesh, len(capture.notes)
        capture = runner.run(
            "virtual views",
            lambda progress: view_mesh(capture, mesh, progress=progress),
            lambda c: {"views": len(c.frames)},
            cached=False,
        )
        notes += capture.notes[known_notes:]
        notes.append("Rebuilt from the app's mesh, seen by a virtual phone: what the mesh closed over counts as seen.")
    photo = any(frame.world_from_camera is None for frame in capture.frames)
    if photo:
        capture = replace(capture, frames=tuple(_placed(frame) for frame in capture.frames), has_gravity=False)
        notes.append("A photo has no pose: the camera was assumed level, and only the side it shows was measured.")
    views, skipped = runner.run(
        "load",
        lambda progress: _load(capture, options, progress),
        lambda result: {"frames": len(result[0]), "skipped": len(result[1])},
        cached=False,
    )
    surface = runner.run(
        "fusion",
        lambda progress: fuse(views, voxel=options.voxel, progress=progress),
        lambda s: {"voxel_mm": round(s.voxel * 1000, 2), "vertices": len(s.vertices)},
    )
    structure = runner.run(
        "structure",
        lambda progress: find_structure(surface, has_gravity=capture.has_gravity),
        lambda s: {
            "supports": len(s.supports),
            "walls": len(s.walls),
            "tilt_deg": round(float(np.rad2deg(s.tilt)), 2),
            "support_rms_mm": round(s.supports[0].rms * 1000, 2),
        },
    )
    if photo and structure.world_from_capture[2, 2] < np.cos(MAX_TURN):
        raise CaptureError(
            f"{capture.path}: the largest plane of this photo is no floor (it is more than 35 degrees off level); "
            "one photo of one side cannot be rebuilt to scale: walk round the place with a LiDAR scanning app"
        )
    surface = moved(surface, structure.world_from_capture)
    views = transformed(views, structure.world_from_capture)
    segmenter = options.segmenter
    if segmenter is None and capture.mesh is not None and not capture.is_metric:
        segmenter = OneObject()
    segmentation = runner.run(
        "instances",
        lambda progress: find_instances(surface, structure, views, segmenter),
        lambda s: {"objects": len(s.instances), "rejected": len(s.rejected)},
    )
    if len(segmentation.instances) > MAX_OBJECTS:
        raise CaptureError(
            f"{capture.path}: {len(segmentation.instances)} separate things were found, more than {MAX_OBJECTS}; "
            "scan a smaller part of the place, or move slower so that the poses agree"
        )
    notes += [*structure.notes, *_rejection_notes(segmentation)]
    if not segmentation.instances:
        notes.append("No whole object was found: the scene has only its floor and walls.")
    solids = runner.run(
        "completion",
        lambda progress: _complete_all(segmentation, surface, structure, views, progress),
        lambda s: {method: sum(x.method == method for x in s) for method in sorted({x.method for x in s})},
    )
    meshes = runner.run(
        "meshes",
        lambda progress: _build_meshes(solids, progress),
        lambda m: {"faces": sum(len(x.faces) for x, _, _ in m), "collision_shapes": sum(len(c) for _, c, _ in m)},
    )
    textured: list[TexturedMesh | None] = [None] * len(meshes)
    photos: list[SupportPicture | None] = [None] * len(structure.supports)
    if options.texture:
        textured, photos = runner.run(
            "texture",
            lambda progress: _texture_all(capture, views, structure, [m for m, _, _ in meshes], progress),
            lambda t: {"textures": sum(x is not None for x in t[0])},
        )
    rebuilt = [
        Rebuilt(
            solid,
            mesh,
            tuple(shapes),
            how,
            classify(solid, mesh) if capture.is_metric else "object",
            instance.support,
            instance.on,
            texture,
            _notes(solid),
        )
        for solid, (mesh, shapes, how), instance, texture in zip(
            solids, meshes, segmentation.instances, textured, strict=True
        )
    ]
    centers = np.array([view.world_from_camera[:3, 3] for view in views])
    scene = runner.run(
        "assembly",
        lambda progress: assemble(scene_name(capture.path), structure, rebuilt, photos, centers, folder),
        lambda s: {"objects": len(s.objects), "surfaces": len(s.surfaces)},
        cached=False,
    )
    scene = scene.model_copy(update={"source": {"world_from_capture": structure.world_from_capture.tolist()}})
    return _settled(scene, runner), len(views), [*capture.skipped, *skipped], notes


def _placed(frame: Frame) -> Frame:
    return frame if frame.world_from_camera is not None else replace(frame, world_from_camera=LEVEL_CAMERA)


def _load(
    capture: Capture, options: ScanOptions, progress: Callable[[float], None]
) -> tuple[list[DepthView], list[Skipped]]:
    confidence = options.minimum_confidence
    while True:
        try:
            return load_views(capture, maximum=options.maximum_frames, minimum_confidence=confidence, progress=progress)
        except CaptureError:
            # Some scenes (dark, glossy, far) have no high confidence at all.
            if confidence == 0:
                raise
            confidence -= 1


def _rejection_notes(segmentation: Segmentation) -> list[str]:
    big = [item for item in segmentation.rejected if max(item.size) > 0.03]
    return [
        f"Left out something of {' x '.join(f'{extent * 100:.0f}' for extent in item.size)} cm: {item.reason}."
        for item in big
    ]


def _complete_all(
    segmentation: Segmentation,
    surface: Surface,
    structure: Structure,
    views: Sequence[DepthView],
    progress: Callable[[float], None],
) -> list[Solid]:
    labels: NDArray[np.int64] = np.full(len(surface.vertices), -1, np.int64)
    for number, instance in enumerate(segmentation.instances):
        labels[instance.vertices] = number
    solids = []
    for number, instance in enumerate(segmentation.instances):
        support = structure.supports[instance.support]
        middle = surface.vertices[instance.vertices, :2].mean(axis=0, keepdims=True)
        warp = float(support.surface_height(middle)[0] - support.height)
        # Something else's foot is this object's top.
        feet = [other.base for other in segmentation.instances if other.on == number]
        ceiling = max(feet) if feet else None
        solids.append(complete(instance, surface, views, labels, number, warp, ceiling))
        progress((number + 1) / len(segmentation.instances))
    return solids


def _build_meshes(
    solids: Sequence[Solid], progress: Callable[[float], None]
) -> list[tuple[ObjectMesh, list[CollisionShape], str]]:
    meshes = [build_mesh(solid) for solid in solids]

    def collide(number: int) -> tuple[ObjectMesh, list[CollisionShape], str]:
        shapes, how = build_collision(meshes[number], solids[number].method)
        return meshes[number], shapes, how

    results = []
    # Decompositions run in processes of their own; two threads keep two of them busy.
    with ThreadPoolExecutor(2) as pool:
        for number, result in enumerate(pool.map(collide, range(len(meshes)))):
            results.append(result)
            progress((number + 1) / len(meshes))
    return results


def _texture_all(
    capture: Capture,
    views: Sequence[DepthView],
    structure: Structure,
    meshes: Sequence[ObjectMesh],
    progress: Callable[[float], None],
) -> tuple[list[TexturedMesh | None], list[SupportPicture | None]]:
    pictures = load_pictures(capture, views, progress=lambda share: progress(0.4 * share))
    textured: list[TexturedMesh | None] = [None] * len(meshes)
    photos: list[SupportPicture | None] = [None] * len(structure.supports)
    if not pictures:
        return textured, photos
    for number, mesh in enumerate(meshes):
        textured[number] = texture_mesh(mesh, pictures)
        progress(0.4 + 0.4 * (number + 1) / len(meshes))
    for number, support in enumerate(structure.supports):
        image, seen = orthophoto(support.center, support.size, support.yaw, support.height, pictures)
        photos[number] = SupportPicture(image, seen)
    return textured, photos


def _notes(solid: Solid) -> tuple[str, ...]:
    notes = list(solid.notes)
    if solid.observed_fraction < 0.5:
        notes.append(
            f"Only {solid.observed_fraction:.0%} of its surface was seen; the rest was completed ({solid.method})."
        )
    if solid.fit_error > 0.005:
        notes.append(f"The scanned points lie {solid.fit_error * 1000:.0f} mm (rms) off the final surface.")
    return tuple(notes)


# ---------------------------------------------------------------------------------------------------------------
# settling


def _settled(scene: Scene, runner: StageRunner) -> Scene:
    result = runner.run(
        "settle",
        lambda progress: settle(scene, repair=simpler_collision),
        lambda r: {
            "rounds": r.rounds,
            "stable_share": round(r.stable_fraction, 3),
            "penetration_before_mm": round(r.penetration_before * 1000, 2),
            "penetration_after_mm": round(r.penetration_after * 1000, 3),
        },
        cached=False,
    )
    return result.scene


def simpler_collision(item: SceneObject, level: int) -> SceneObject | None:
    """Simpler collision shapes for an object that does not stay: its bounding box, which stands on a flat bottom."""
    if level > 1 or (len(item.body.collision) == 1 and item.body.collision[0].shape == "box"):
        return None
    box = CollisionGeom(shape="box", size=item.size)
    return item.model_copy(update={"body": item.body.model_copy(update={"collision": (box,)})})
