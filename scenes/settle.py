"""Settles a scene: after it nothing overlaps, nothing floats, and every free object stays where it stands.

    result = settle(scene)
    result.scene            # the same scene at rest, `settled=True`, provenance updated
    result.objects["can"]   # how far it was moved, drifted, tilted; whether it had to be frozen

First the geometry is corrected (`scenes.placement`), then two seconds are simulated. An object that then moves by more
than 5 mm or 5 degrees, or is still moving, gets simpler collision shapes from `repair` where the caller has some, and
is fixed in place as a last resort: a can that falls over by itself is worse than a can that cannot be moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import mujoco
import numpy as np

from .physics import MAX_SPEED, MAX_TILT, Motion, Overlap, Simulation, overlaps
from .placement import Placement
from .scene import Pose, Provenance, Scene, SceneObject

Repair = Callable[[SceneObject, int], SceneObject | None]
"""Gives an object with simpler collision shapes, at escalation level 1, 2, ...; None where there is nothing simpler."""

FROZEN_NOTE = "it was fixed in place"
"""What the provenance notes of a frozen object say; the report looks for it."""


@dataclass(frozen=True)
class ObjectSettle:
    """What settling did to one free object.

    Attributes:
        name: the object.
        stable: it stayed in place under gravity, with the collision shapes it has now.
        frozen: it did not stay and was made `mobility="fixed"`.
        level: how many times its collision shapes were replaced.
        correction: distance [m] it was lifted, pushed or lowered before simulation.
        drift: distance [m] between the centres of mass in the scene given and in the scene returned.
        tilt: angle [rad] between the two orientations.
        speed: largest speed [m/s] of its centre of mass over the last tenth of a second.
        reason: one sentence if it was repaired, frozen or is unstable; else "".
    """

    name: str
    stable: bool
    frozen: bool
    level: int
    correction: float
    drift: float
    tilt: float
    speed: float
    reason: str = ""


@dataclass(frozen=True)
class SettleResult:
    """The settled scene and how it got there.

    Attributes:
        scene: poses at rest; `settled` is True if every free object stays.
        objects: one entry per object that was free in the scene given.
        overlaps_before, overlaps_after: interpenetrations in the scene given and in the one returned, deepest first.
        rounds: number of two-second simulations.
    """

    scene: Scene
    objects: Mapping[str, ObjectSettle]
    overlaps_before: tuple[Overlap, ...]
    overlaps_after: tuple[Overlap, ...]
    rounds: int

    @property
    def penetration_before(self) -> float:
        """Deepest interpenetration [m] in the scene given."""
        return max((item.depth for item in self.overlaps_before), default=0.0)

    @property
    def penetration_after(self) -> float:
        """Deepest interpenetration [m] in the scene returned; a tenth of a millimetre is a contact at rest."""
        return max((item.depth for item in self.overlaps_after), default=0.0)

    @property
    def stable_fraction(self) -> float:
        """Share of the objects that stay by themselves, not frozen; 1 for a scene without free objects."""
        return sum(item.stable for item in self.objects.values()) / len(self.objects) if self.objects else 1.0


def settle(
    scene: Scene,
    *,
    seconds: float = 2.0,
    repair: Repair | None = None,
    max_repairs: int = 3,
    freeze: bool = True,
    max_drop: float = 0.03,
) -> SettleResult:
    """Brings a scene to rest, changing it as little as possible. Deterministic.

    Args:
        scene: objects about where the scan saw them.
        seconds: simulated time an object has to stay for.
        repair: gives simpler collision shapes for an object that does not stay.
        max_repairs: how often one object may be repaired.
        freeze: fix what does not stay; if False it keeps its corrected pose, is reported, and `settled` stays False.
        max_drop: gap [m] up to which a floating object is lowered; what hangs higher counts as not staying.
    """
    start = {item.name: item for item in scene.objects if item.mobility == "free"}
    before = overlaps(scene)
    levels = dict.fromkeys(start, 0)
    reasons: dict[str, str] = {}
    given_up: set[str] = set()
    current = scene
    rounds = 0
    while True:
        held = _with_mobility(current, given_up)
        placement = Placement(held)
        hanging = placement.resolve(max_drop)
        corrections = {name: float(np.linalg.norm(shift)) for name, shift in placement.shift.items()}
        placed = _with_poses(held, placement.model, placement.data)
        if hanging:
            failed = dict.fromkeys(hanging, f"It hangs more than {max_drop * 1000:.0f} mm above anything the scan saw")
        else:
            rounds += 1
            simulation = Simulation(placement.model, placement.data, placement.movable)
            motions = simulation.run(seconds)
            failed = _failures(simulation, motions)
            if not failed:
                break
        for name, reason in failed.items():
            simpler = None
            if repair is not None and name not in hanging and levels[name] < max_repairs:
                simpler = repair(current.object(name), levels[name] + 1)
            reasons[name] = reason
            if simpler is None:
                given_up.add(name)
                current = _replace(current, {name: placed.object(name).model_copy(update={"mobility": "free"})})
            else:
                levels[name] += 1
                current = _replace(current, {name: simpler})
    rested = _with_poses(held, placement.model, simulation.data)
    objects: dict[str, ObjectSettle] = {}
    final: dict[str, SceneObject] = {}
    for name, original in start.items():
        item = rested.object(name)
        drift, tilt = _displacement(original, item)
        motion = motions.get(name)
        objects[name] = ObjectSettle(
            name=name,
            stable=name not in given_up,
            frozen=name in given_up and freeze,
            level=levels[name],
            correction=corrections.get(name, drift),
            drift=drift,
            tilt=tilt,
            speed=motion.speed if motion else 0.0,
            reason=_sentence(reasons.get(name, ""), levels[name], name in given_up, freeze),
        )
        mobility = "fixed" if objects[name].frozen else "free"
        final[name] = _noted(item.model_copy(update={"mobility": mobility}), objects[name])
    settled = _replace(rested, final).model_copy(update={"settled": freeze or not given_up})
    return SettleResult(settled, objects, before, overlaps(settled), rounds)


def _failures(simulation: Simulation, motions: Mapping[str, Motion]) -> dict[str, str]:
    """Objects that did not stay of their own accord, with the reason; those they knocked over get another chance."""
    failed: dict[str, str] = {}
    for name, motion in motions.items():
        if name in simulation.knocked:
            continue
        if name in simulation.left:
            what = "fell over or rolled" if motion.tilt > MAX_TILT else "slid or fell"
            failed[name] = (
                f"Under gravity it {what}: {motion.drift * 1000:.0f} mm and {math.degrees(motion.tilt):.0f} degrees"
            )
        elif motion.speed > MAX_SPEED:
            failed[name] = f"Under gravity it was still moving at {motion.speed * 1000:.0f} mm/s"
    if not failed:
        # Everything that moved was touched by something else that moved first; blame the first.
        first = sorted(simulation.left, key=lambda name: simulation.left[name])[:1]
        failed = {name: f"Under gravity it moved by {motions[name].drift * 1000:.0f} mm" for name in first}
    return failed


def _sentence(reason: str, level: int, given_up: bool, freeze: bool) -> str:
    if not reason:
        return ""
    if given_up:
        fate = FROZEN_NOTE if freeze else "it is not stable"
        return f"{reason}; {fate}."
    return f"{reason}; with simpler collision shapes (level {level}) it stays."


def _noted(item: SceneObject, outcome: ObjectSettle) -> SceneObject:
    provenance = item.provenance
    if provenance is None:
        if not outcome.reason:
            return item
        provenance = Provenance(completion="authored", observed_fraction=1.0, fit_error=0.0)
    notes = provenance.notes
    if outcome.reason and outcome.reason not in notes:
        notes = (*notes, outcome.reason)
    update = {"settle_drift": outcome.drift, "settle_tilt": outcome.tilt, "notes": notes}
    return item.model_copy(update={"provenance": provenance.model_copy(update=update)})


def _displacement(before: SceneObject, after: SceneObject) -> tuple[float, float]:
    """Distance [m] of the centre of mass and angle [rad] between two poses of one object."""
    com = np.array(after.body.inertial.com)
    points = []
    for pose in (before.body.pose, after.body.pose):
        rotated = np.zeros(3)
        mujoco.mju_rotVecQuat(rotated, com, np.array(pose.quaternion))
        points.append(rotated + np.array(pose.position))
    difference = np.zeros(3)
    mujoco.mju_subQuat(difference, np.array(after.body.pose.quaternion), np.array(before.body.pose.quaternion))
    return float(np.linalg.norm(points[1] - points[0])), float(np.linalg.norm(difference))


def _with_poses(scene: Scene, model: mujoco.MjModel, data: mujoco.MjData) -> Scene:
    """The scene with the poses its free objects have in `data.qpos`."""
    moved: dict[str, SceneObject] = {}
    for item in scene.objects:
        if item.mobility != "free":
            continue
        address = int(model.jnt_qposadr[model.joint(f"{item.name}_joint").id])
        values = data.qpos[address : address + 7]
        quaternion = values[3:] / np.linalg.norm(values[3:])
        pose = Pose(position=tuple(values[:3].tolist()), quaternion=tuple(quaternion.tolist()))
        moved[item.name] = item.model_copy(update={"body": item.body.model_copy(update={"pose": pose})})
    return _replace(scene, moved)


def _with_mobility(scene: Scene, fixed: set[str]) -> Scene:
    return _replace(scene, {name: scene.object(name).model_copy(update={"mobility": "fixed"}) for name in fixed})


def _replace(scene: Scene, objects: Mapping[str, SceneObject]) -> Scene:
    return scene.model_copy(update={"objects": tuple(objects.get(item.name, item) for item in scene.objects)})
