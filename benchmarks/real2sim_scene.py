"""Scores one rebuilt scene against its truth: what was found, how well, and how it behaves.

Found are the rebuilt objects whose gravity-aligned box overlaps a true one by at least 0.25 (`FOUND`), matched one to
one with the largest total overlap. Both worlds share their origin through the capture's first pose; then the rebuilt
scene is moved vertically so that its support has the true height, because the phone's vertical drift says nothing about
the reconstruction. That shift is a result of its own (`support_shift_mm`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from ..errors import SceneError
from ..scenes import Scene, SceneObject
from ..scenes.mjcf import build_spec
from ..scenes.physics import validate_physics
from ..scenes.settle import FROZEN_NOTE
from .ground_truth_scenes import GroundTruthScene, TruthObject
from .real2sim_scores import Fault, MotionScore, ObjectScore, SceneScore
from .scoring import Box, box_around, box_iou, chamfer, match_overlaps, size_error, solid_iou, yaw_error, yaw_period
from .trajectories import DROP_TILT, Arena, Push, Track, motion_error

Float = NDArray[np.float64]

FOUND, WELL_FOUND = 0.25, 0.5
"""Box overlaps at which an object counts as found (mAP@0.25 and mAP@0.5 of ScanNet and SUN RGB-D)."""
LARGEST_SHIFT = 0.04
"""A support farther [m] from the true height is not the true support: nothing is shifted then."""
PUSHED_WRONG, TIPPED_WRONG = 0.02, np.radians(15.0)
"""A push or tilted drop goes wrong if the object ends 2 cm (a fifth of the push) or 15 degrees of tilt from where it
should."""
DROPPED_WRONG, LANDED_WRONG = 0.01, np.radians(5.0)
"""A level drop goes wrong if the object comes to rest 1 cm or 5 degrees of tilt from where it should."""


def failed_scene(truth: GroundTruthScene, error: str) -> SceneScore:
    """The score of a capture that could not be rebuilt: every object is missed."""
    return SceneScore(
        name=truth.name,
        seed=truth.seed,
        layout=truth.layout,
        support=truth.support,
        true_objects=len(truth.objects),
        missed=tuple(_fault(o.name, o.category, _true_box(o), "the scan failed") for o in truth.objects),
        error=error,
    )


def score_scene(truth: GroundTruthScene, scene: Scene, world_from_capture: Float) -> SceneScore:
    """Compares a rebuilt scene with its truth.

    Args:
        truth: from `generate_scene`.
        scene: what `scan` made of its capture, bound to its folder.
        world_from_capture: float64 [4, 4], the capture's Z-up world in the truth's (`world_from_arkit_zup`).

    Raises:
        SceneError: the scene does not come from a scan of frames, or an object has no mesh.
    """
    truth_from_scene, shift = alignment(truth, scene, world_from_capture)
    found, overlap = _compared(truth, scene, truth_from_scene)
    pairs = match_overlaps(overlap, threshold=FOUND)
    physics = validate_physics(scene)
    frozen = [
        f.item.name for f in found if f.item.provenance and any(FROZEN_NOTE in n for n in f.item.provenance.notes)
    ]
    motions = _Motions(truth, scene, truth_from_scene)
    objects = []
    for i, j, iou in pairs:
        stable = found[j].item.name in physics.stable and found[j].item.name not in frozen
        standing = truth.objects[i].stands_on == truth.support
        objects.append(
            _object_score(truth.objects[i], found[j], iou, stable, found[j].item.name in frozen).model_copy(
                update={"motions": motions.scores(truth.objects[i], found[j].item.name) if standing else ()}
            )
        )
    partner = {i: j for i, j, _ in pairs}
    taken = {j: i for i, j, _ in pairs}
    return SceneScore(
        name=truth.name,
        seed=truth.seed,
        layout=truth.layout,
        support=truth.support,
        true_objects=len(truth.objects),
        found_objects=len(found),
        well_found=len(match_overlaps(overlap, threshold=WELL_FOUND)),
        objects=tuple(objects),
        missed=tuple(
            _fault(o.name, o.category, _true_box(o), _why_missed(i, truth.objects, found, overlap[i], taken))
            for i, o in enumerate(truth.objects)
            if i not in partner
        ),
        false=tuple(
            _fault(f.item.name, f.item.category, f.box, _why_false(f, truth.objects))
            for j, f in enumerate(found)
            if j not in taken
        ),
        unstable=tuple(name for name in physics.motions if name not in physics.stable),
        frozen=tuple(frozen),
        penetration_mm=1000 * physics.penetration,
        support_shift_mm=None if shift is None else 1000 * shift,
    )


def partners(truth: GroundTruthScene, scene: Scene, truth_from_scene: Float, *, least: float = FOUND) -> dict[str, str]:
    """Names of the true objects that were found, and of what was rebuilt of them, in the order of the rebuilt scene;
    `least`: the smallest overlap that counts.

    Raises:
        SceneError: an object of the scene has no mesh.
    """
    found, overlap = _compared(truth, scene, truth_from_scene)
    pairs = sorted(match_overlaps(overlap, threshold=least), key=lambda pair: pair[1])
    return {truth.objects[i].name: found[j].item.name for i, j, _ in pairs}


# Geometry -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """A rebuilt object in the truth's world."""

    item: SceneObject
    mesh: trimesh.Trimesh
    box: Box

    @classmethod
    def of(cls, item: SceneObject, scene: Scene, truth_from_scene: Float) -> _Found:
        if scene.folder is None or item.body.visual.mesh is None:
            raise SceneError(f"scene {scene.name!r}: object {item.name!r} has no mesh to compare with the truth")
        mesh: Any = trimesh.load(scene.folder / item.body.visual.mesh, process=False, force="mesh")
        # Texture seams double vertices: without that the solid is closed again.
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        w, x, y, z = item.body.pose.quaternion
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = Rotation.from_quat([x, y, z, w]).as_matrix(), item.body.pose.position
        mesh.apply_transform(truth_from_scene @ pose)
        heading = (truth_from_scene @ pose)[:2, 0]
        return cls(item, mesh, box_around(mesh.vertices, float(np.arctan2(heading[1], heading[0]))))


def alignment(truth: GroundTruthScene, scene: Scene, world_from_capture: Float) -> tuple[Float, float | None]:
    """How a rebuilt scene lies in its truth's world: truth_from_scene [4, 4] with the vertical shift applied, and the
    shift [m] (None: no support at that height).

    Raises:
        SceneError: the scene does not come from a scan of frames.
    """
    if "world_from_capture" not in scene.source:
        raise SceneError(f"scene {scene.name!r}: its source does not say how it lies in the capture; scan it again")
    transform = world_from_capture @ np.linalg.inv(np.asarray(scene.source["world_from_capture"], np.float64))
    places = [item.body.pose.position[:2] for item in scene.objects] or [(0.0, 0.0)]
    middle = np.mean(places, axis=0)
    shifts = []
    for surface in scene.surfaces:
        if surface.kind in ("floor", "table", "shelf") and surface.collides:
            # The two worlds may lean a little to one another: what counts is the height where the objects are.
            top = np.array([*middle, surface.pose.position[2] + surface.size[2] / 2])
            shifts.append(truth.surface_height - float(transform[2, :3] @ top + transform[2, 3]))
    shift = min(shifts, key=abs, default=np.inf)
    if abs(shift) > LARGEST_SHIFT:
        return transform, None
    transform = transform.copy()
    transform[2, 3] += shift
    return transform, shift


def _compared(truth: GroundTruthScene, scene: Scene, truth_from_scene: Float) -> tuple[list[_Found], Float]:
    """The rebuilt objects in the truth's world, and the overlaps [true objects, rebuilt objects]."""
    found = [_Found.of(item, scene, truth_from_scene) for item in scene.objects]
    overlap = np.array([[_overlap(o, f) for f in found] for o in truth.objects])
    return found, overlap.reshape(len(truth.objects), len(found))


def _true_box(o: TruthObject) -> Box:
    return Box(o.box_center, o.box_size, o.yaw).long_side_first()


def _overlap(o: TruthObject, found: _Found) -> float:
    """Box overlap; the box of a round object is turned like the found one, as its own yaw means nothing."""
    box = _true_box(o)
    return box_iou(Box(box.center, box.size, found.box.yaw) if o.yaw_symmetry == "any" else box, found.box)


def _object_score(o: TruthObject, found: _Found, iou: float, stable: bool, frozen: bool) -> ObjectScore:
    true_mesh, true_box, item = trimesh.Trimesh(o.vertices, o.faces, process=False), _true_box(o), found.item
    period = yaw_period(o.yaw_symmetry, true_box.size)
    yaw = None if period is None else yaw_error(found.box.long_side_first().yaw, true_box.yaw, period=period)
    try:
        solid = solid_iou(true_mesh, found.mesh)
    except ValueError:
        solid = None
    offset = 1000 * (found.box.center - true_box.center)
    sizes = 1000 * size_error(true_box, found.box)
    seen = item.provenance
    return ObjectScore(
        truth=o.name,
        found=item.name,
        category=o.category,
        found_category=item.category,
        completion=seen.completion if seen else "",
        seen=seen.observed_fraction if seen else 1.0,
        box_iou=iou,
        solid_iou=solid,
        chamfer_mm=1000 * chamfer(true_mesh, found.mesh),
        center_mm=float(np.linalg.norm(offset)),
        center_xyz_mm=_three(offset),
        yaw_deg=None if yaw is None else float(np.degrees(yaw)),
        size_mm=float(np.abs(sizes).mean()),
        sizes_mm=_three(sizes),
        mass_ratio=item.body.inertial.mass.value / o.mass,
        settle_drift_mm=1000 * seen.settle_drift if seen else 0.0,
        settle_tilt_deg=float(np.degrees(seen.settle_tilt)) if seen else 0.0,
        stable=stable,
        frozen=frozen,
    )


def _three(values: Float) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


# Why ------------------------------------------------------------------------------------------------------------------


def _fault(name: str, category: str, box: Box, reason: str) -> Fault:
    return Fault(name=name, category=category, size_mm=_three(1000 * box.long_side_first().size), reason=reason)


def _why_missed(
    i: int, truth: Sequence[TruthObject], found: Sequence[_Found], overlap: Float, taken: dict[int, int]
) -> str:
    o, box = truth[i], _true_box(truth[i])
    beside = f" (stands on {o.stands_on}, touches {', '.join(o.touches)})" if o.touches else ""
    for j, f in enumerate(found):
        if j in taken and _share(box, f.box) > 0.5:
            return f"merged into {f.item.name}, which is {truth[taken[j]].name}{beside}"
    pieces = [f.item.name for j, f in enumerate(found) if j not in taken and _share(f.box, box) > 0.5]
    best = int(np.argmax(overlap)) if len(overlap) else -1
    if len(pieces) > 1:
        return f"fell apart into {', '.join(pieces)}{beside}"
    if best >= 0 and overlap[best] > 0.05 and best not in taken:
        return f"rebuilt as {found[best].item.name}, box overlap only {overlap[best]:.2f}{_moved(found[best])}{beside}"
    return f"nothing was rebuilt there{beside}"


def _moved(f: _Found) -> str:
    drift = 1000 * f.item.provenance.settle_drift if f.item.provenance else 0.0
    return f", settling moved it by {drift:.0f} mm" if drift > 5 else ""


def _why_false(f: _Found, truth: Sequence[TruthObject]) -> str:
    covered = [o.name for o in truth if _share(_true_box(o), f.box) > 0.5]
    inside = [o.name for o in truth if _share(f.box, _true_box(o)) > 0.5]
    if len(covered) > 1:
        return f"covers {', '.join(covered)}{_moved(f)}"
    if inside:
        return f"a piece of {inside[0]}"
    if covered:
        return f"too large for {covered[0]}"
    overlap, best = max((_overlap(o, f), o.name) for o in truth)
    if overlap > 0.05:
        return f"box overlap with {best} only {overlap:.2f}{_moved(f)}"
    near = min(truth, key=lambda o: float(np.linalg.norm(o.box_center - f.box.center)))
    far = 100 * float(np.linalg.norm(near.box_center - f.box.center))
    return f"no true object there: {near.name} is nearest, {far:.0f} cm away{_moved(f)}"


def _share(inner: Box, outer: Box) -> float:
    """Share of a box that lies in another."""
    iou = box_iou(inner, outer)
    volumes = float(np.prod(inner.size) + np.prod(outer.size))
    return iou * volumes / (1 + iou) / float(np.prod(inner.size))


# Motion ---------------------------------------------------------------------------------------------------------------


class _Motions:
    """Both simulations of one scene, ready for pushes and drops."""

    def __init__(self, truth: GroundTruthScene, scene: Scene, truth_from_scene: Float) -> None:
        self._original = Arena(truth.spec, qpos=truth.qpos)
        self._rebuilt = Arena(build_spec(scene, visuals=False), truth_from_world=truth_from_scene)
        self._loaded = {o.stands_on for o in truth.objects}

    def scores(self, o: TruthObject, found: str) -> tuple[MotionScore, ...]:
        """Two pushes, and two drops where nothing stands on the object."""
        round_ = o.yaw_symmetry == "any"
        scores = []
        for kind, direction in (("push +x", (1.0, 0.0)), ("push +y", (0.0, 1.0))):
            push = Push.at(o.vertices, direction)
            tracks = self._original.push(o.name, push), self._rebuilt.push(found, push)
            scores.append(_motion_score(kind, *tracks, o.box_center, round_, PUSHED_WRONG, TIPPED_WRONG))
        for kind, tilt, far, tilted in (
            ("drop", 0.0, DROPPED_WRONG, LANDED_WRONG),
            ("tilted drop", DROP_TILT, PUSHED_WRONG, TIPPED_WRONG),
        ):
            if o.name in self._loaded:
                continue
            if not self._rebuilt.movable(found):
                scores.append(MotionScore(kind=kind, failure="it is fixed in the rebuilt scene"))
                continue
            tracks = (
                self._original.drop(o.name, o.box_center, tilt=tilt),
                self._rebuilt.drop(found, o.box_center, tilt=tilt),
            )
            scores.append(_motion_score(kind, *tracks, o.box_center, round_, far, tilted))
        return tuple(scores)


def _motion_score(
    kind: str, original: Track, rebuilt: Track, point: Float, round_: bool, far: float, tilted: float
) -> MotionScore:
    error = motion_error(original, rebuilt, point)
    if error is None:
        return MotionScore(kind=kind, touched=original.touched, failure="the simulation diverged")
    failure = ""
    if error.tilt > tilted:
        failure = f"ends {np.degrees(error.tilt):.0f} degrees of tilt apart"
    elif error.final > far:
        failure = f"ends {1000 * error.final:.0f} mm apart"
    return MotionScore(
        kind=kind,
        mean_mm=1000 * error.mean,
        final_mm=1000 * error.final,
        height_mm=1000 * error.height,
        yaw_deg=None if round_ else float(np.degrees(error.yaw)),
        tilt_deg=float(np.degrees(error.tilt)),
        travel_mm=1000 * error.travel,
        touched=original.touched,
        failure=failure,
    )
