"""Simulates a scene by itself: interpenetration at the start, and whether everything stays where it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from .mjcf import compile_scene
from .scene import Scene

MAX_DRIFT = 0.005
MAX_TILT = math.radians(5.0)
MAX_SPEED = 0.01
"""An object stays if it moves and turns less than this and ends slower: 5 mm, 5 degrees, 1 cm/s."""

CHECK_STEPS = 5
"""Steps between two looks at the objects: 10 ms at the 2 ms time step of a scene."""


@dataclass(frozen=True, order=True)
class Overlap:
    """Two things inside one another by `depth` [m]: names of objects or surfaces, in alphabetical order."""

    depth: float
    first: str
    second: str


@dataclass(frozen=True)
class Motion:
    """How an object moved: largest distance [m] of its centre of mass, largest angle [rad], last speed [m/s]."""

    drift: float
    tilt: float
    speed: float


@dataclass(frozen=True)
class PhysicsReport:
    """Physical validity of a stored scene.

    Attributes:
        overlaps: initial interpenetrations, deepest first.
        motions: how every free object moved, by name.
        stable: names of the free objects that stayed within 5 mm and 5 degrees and ended slower than 1 cm/s.
        warnings: MuJoCo warnings by name, with their counts; empty for a sound scene.
        seconds: simulated time.
    """

    overlaps: tuple[Overlap, ...]
    motions: dict[str, Motion]
    stable: tuple[str, ...]
    warnings: dict[str, int]
    seconds: float

    @property
    def penetration(self) -> float:
        """Deepest initial interpenetration [m]."""
        return max((item.depth for item in self.overlaps), default=0.0)

    @property
    def ok(self) -> bool:
        """Every object stays, nothing is more than 1 mm inside another, and MuJoCo warned of nothing."""
        return not self.warnings and self.penetration < 1e-3 and len(self.stable) == len(self.motions)


def validate_physics(scene: Scene, *, seconds: float = 10.0) -> PhysicsReport:
    """Loads the scene as it is stored and lets gravity act on it for `seconds` of simulated time."""
    model = compile_scene(scene, visuals=False)
    data = mujoco.MjData(model)
    names = [item.name for item in scene.objects if item.mobility == "free"]
    start = overlaps_in(scene, model, data)
    simulation = Simulation(model, data, names)
    motions = simulation.run(seconds)
    stable = tuple(
        name
        for name, motion in motions.items()
        if motion.drift < MAX_DRIFT and motion.tilt < MAX_TILT and motion.speed < MAX_SPEED
    )
    return PhysicsReport(start, motions, stable, warnings_of(data), seconds)


def overlaps(scene: Scene) -> tuple[Overlap, ...]:
    """Interpenetrations of a scene as it is, deepest first, without those MuJoCo ignores (a door in its frame)."""
    model = compile_scene(scene, visuals=False)
    return overlaps_in(scene, model, mujoco.MjData(model))


def overlaps_in(scene: Scene, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[Overlap, ...]:
    """The same, for a compiled scene at the state in `data`."""
    mujoco.mj_forward(model, data)
    owner = {part.name: item.name for item in scene.objects for part in item.parts}
    deepest: dict[tuple[str, str], float] = {}
    for (first, second), distance in zip(data.contact.geom, data.contact.dist, strict=True):
        names = []
        for geom in (first, second):
            body = model.body(int(model.geom_bodyid[geom]))
            name = body.name if body.id else model.geom(geom).name
            names.append(owner.get(name, name))
        pair = (min(names), max(names))
        if distance < 0 and pair[0] != pair[1]:
            deepest[pair] = max(deepest.get(pair, 0.0), -float(distance))
    return tuple(sorted((Overlap(depth, *pair) for pair, depth in deepest.items()), reverse=True))


def warnings_of(data: mujoco.MjData) -> dict[str, int]:
    """MuJoCo's warning counters that are not zero, by name ("BADQACC", ...)."""
    kinds = [mujoco.mjtWarning(index) for index in range(int(mujoco.mjtWarning.mjNWARNING))]
    counts = {kind.name.removeprefix("mjWARN_"): int(data.warning[int(kind)].number) for kind in kinds}
    return {name: count for name, count in counts.items() if count}


class Simulation:
    """Runs a compiled scene and watches objects.

    Attributes:
        left: objects that left their place, with the time [s] they did.
        knocked: those of them that touched one that had left before.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, names: Sequence[str]) -> None:
        self.model, self.data = model, data
        # A diverged world must be seen as such, not be put back to its start.
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self.names = list(names)
        self.bodies = np.array([model.body(name).id for name in names], dtype=np.int64)
        self.left: dict[str, float] = {}
        self.knocked: set[str] = set()

    def run(self, seconds: float) -> dict[str, Motion]:
        """Simulates `seconds` from the state in `data`, velocities zero; gives each object's motion."""
        model, data = self.model, self.data
        mujoco.mj_forward(model, data)
        points, turns = data.xipos[self.bodies].copy(), data.xquat[self.bodies].copy()
        drift = np.zeros(len(self.names))
        tilt = np.zeros(len(self.names))
        speeds: list[NDArray[np.float64]] = []
        checks = max(1, round(seconds / (model.opt.timestep * CHECK_STEPS)))
        with quiet():
            for _ in range(checks):
                mujoco.mj_step(model, data, nstep=CHECK_STEPS)
                here = data.xipos[self.bodies]
                now_drift = np.linalg.norm(here - points, axis=1)
                # Angle between two unit quaternions: 2 acos |<p, q>|.
                cosine = np.abs(np.einsum("bi,bi->b", data.xquat[self.bodies], turns)).clip(0.0, 1.0)
                now_tilt = 2 * np.arccos(cosine)
                now_drift, now_tilt = (np.nan_to_num(v, nan=np.inf, posinf=np.inf) for v in (now_drift, now_tilt))
                drift, tilt = np.maximum(drift, now_drift), np.maximum(tilt, now_tilt)
                speeds.append(self._speeds())
                new = [
                    name
                    for name, far in zip(self.names, (now_drift > MAX_DRIFT) | (now_tilt > MAX_TILT), strict=True)
                    if far and name not in self.left
                ]
                if new:
                    self._note(new)
        speeds = [np.nan_to_num(v, nan=np.inf, posinf=np.inf) for v in speeds]
        speed = np.max(speeds[-max(1, round(0.1 / (model.opt.timestep * CHECK_STEPS))) :], axis=0)
        return {name: Motion(float(drift[i]), float(tilt[i]), float(speed[i])) for i, name in enumerate(self.names)}

    def _speeds(self) -> NDArray[np.float64]:
        velocity = np.zeros(6)
        speeds = np.zeros(len(self.names))
        for index, body in enumerate(self.bodies):
            mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, int(body), velocity, 0)
            speeds[index] = math.sqrt(float(velocity[3:] @ velocity[3:]))
        return speeds

    def _note(self, new: list[str]) -> None:
        bodies = self.model.geom_bodyid[self.data.contact.geom]
        touching = {tuple(pair) for pair in self.model.body_rootid[bodies].tolist()} if len(bodies) else set()
        before = {int(body) for name, body in zip(self.names, self.bodies, strict=True) if name in self.left}
        for name in new:
            body = self.model.body(name).id
            if any((body, other) in touching or (other, body) in touching for other in before):
                self.knocked.add(name)
        self.left.update(dict.fromkeys(new, float(self.data.time)))


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps MuJoCo's warnings off the console and out of MUJOCO_LOG.TXT; `data.warning` counts them all the same."""
    before = mujoco.MjLogConfig.get()
    silent = mujoco.MjLogConfig.get()
    silent.logto_console = False
    silent.logto_file = False
    silent.set()
    try:
        yield
    finally:
        before.set()
