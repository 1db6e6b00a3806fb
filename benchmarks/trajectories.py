"""The same push and the same drop in two simulations of one place, and how far apart they end.

    original = Arena(truth.spec, qpos=truth.qpos)
    rebuilt = Arena(build_spec(scene, visuals=False), truth_from_world=truth_from_scene)
    push = Push(start=(0.2, 0.0, 0.75), direction=(1.0, 0.0))
    motion_error(original.push("can_1", push), rebuilt.push("can_3", push), middle_of_the_can)

Everything is stated in the world of the original ("truth"): the pusher takes the same path there in both simulations.
What is compared is how a body has *moved* since the start, so that an error of its place, which is scored elsewhere,
does not count twice. Both simulations run with the same solver settings; what differs is what a scan gets wrong:
shapes, masses, friction, places, neighbours. Deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..scenes.mjcf import TIMESTEP
from ..scenes.physics import quiet

Float = NDArray[np.float64]

PUSH_LENGTH, PUSH_SECONDS, PUSH_REST = 0.10, 1.0, 0.5
"""The pusher goes 0.1 m [m] past the first contact, within 1 s [s], and everything may come to rest for 0.5 s [s]."""
PUSH_GAP = 0.01
"""It starts this far [m] from the object: more than the position error of a good reconstruction."""
PUSHER_HALF = (0.006, 0.02, 0.004)
"""Half extents [m] of the pusher: as wide as two fingers of a gripper, thin enough for a spanner lying flat."""
DROP_HEIGHT, DROP_SECONDS = 0.05, 1.0
"""An object is raised by 5 cm [m], let go, and followed for 1 s [s]: it lands after 0.1 s with 1 m/s."""
DROP_TILT = np.radians(15.0)
"""Lean [rad] of a tilted drop about the truth's x: it lands on an edge, and what then happens depends on its shape and
inertia, while nearly everything that is dropped level lands where it was."""
SAMPLE_STEPS = 5
"""Simulation steps between two looks: 10 ms."""

_PUSHER = "benchmark_pusher"
_PUSHER_BIT = 2


@dataclass(frozen=True)
class Push:
    """Where the middle of the pusher starts [m] and its direction, a horizontal unit vector, in the truth's world."""

    start: tuple[float, float, float]
    direction: tuple[float, float]

    @classmethod
    def at(cls, vertices: Float, direction: tuple[float, float]) -> Push:
        """The push through the middle of an object with these vertices [V, 3], at half its height."""
        middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
        along = np.array([*direction, 0.0])
        reach = float(np.max((middle - vertices) @ along)) + PUSH_GAP + PUSHER_HALF[0]
        x, y, z = (float(v) for v in middle - reach * along)
        return cls((x, y, z), direction)

    def position(self, time: float) -> Float:
        """Middle of the pusher [3] at `time` [s]: a minimum-jerk path (Flash and Hogan 1985), so without a blow."""
        s = min(max(time / PUSH_SECONDS, 0.0), 1.0)
        share = s**3 * (10 - 15 * s + 6 * s * s)
        travel = (PUSH_LENGTH + PUSH_GAP) * share
        return np.array(self.start) + travel * np.array([*self.direction, 0.0])


@dataclass(frozen=True)
class Track:
    """How a body moved.

    Attributes:
        motion: float64 [T, 4, 4], the rigid motion since the start in the truth's world, every 10 ms from the start.
        touched: whether it came to touch another movable body that it did not touch at the start.
        finite: False if the simulation diverged; `motion` then ends before.
    """

    motion: Float
    touched: bool
    finite: bool


@dataclass(frozen=True)
class MotionError:
    """The difference between two motions of one body. Lengths in metres, angles in radians.

    Attributes:
        mean: distance between the two places of the object's middle, averaged over time.
        final: the same at the end; `height`: its vertical part, signed, rebuilt minus original.
        yaw: turn about the vertical between the two ends; tilt: angle between their verticals.
        travel: how far the original moved.
    """

    mean: float
    final: float
    height: float
    yaw: float
    tilt: float
    travel: float


class Arena:
    """A simulation in which single objects are pushed and dropped, always from the same state."""

    def __init__(self, spec: Any, *, qpos: Float | None = None, truth_from_world: Float | None = None) -> None:
        """Compiles a copy of the `mujoco.MjSpec`, with a pusher that touches only what it is told to.

        Args:
            spec: bodies by name, movable ones with a free joint.
            qpos: float64 [nq], the state to start from, at rest; the model's own by default.
            truth_from_world: float64 [4, 4], from this simulation's world to the truth's.
        """
        spec = spec.copy()
        body = spec.worldbody.add_body(name=_PUSHER, mocap=True, pos=[0, 0, -10])
        # A mocap body has no speed, so that contacts lag behind it: the stiffest time constant the time step allows
        # keeps that below 2 mm. Its own friction and stiffness count (priority), hence the same in both simulations.
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=PUSHER_HALF,
            contype=_PUSHER_BIT,
            conaffinity=0,
            priority=1,
            condim=4,
            friction=[0.5, 0.005, 1e-4],
            solref=[2.5 * TIMESTEP, 1.0],
        )
        spec.option.timestep = TIMESTEP
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
        spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
        spec.option.impratio = 10
        self.model = spec.compile()
        self.model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
        self._qpos = self.model.qpos0.copy() if qpos is None else np.asarray(qpos, np.float64)
        self._truth_from_world = np.eye(4) if truth_from_world is None else np.asarray(truth_from_world, np.float64)

    def movable(self, body: str) -> bool:
        """Whether the body has a free joint."""
        return bool(self.model.body_dofnum[self.model.body(body).id] == 6)

    def push(self, body: str, push: Push) -> Track:
        """Pushes a body along the path; what is fixed stays."""
        model, number = self.model, self.model.body(body).id
        geoms = np.flatnonzero((model.geom_bodyid == number) & (model.geom_conaffinity != 0))
        data = self._start()
        mocap = int(model.body_mocapid[model.body(_PUSHER).id])
        world_from_truth = np.linalg.inv(self._truth_from_world)
        along = np.array(
            [[push.direction[0], -push.direction[1], 0], [push.direction[1], push.direction[0], 0], [0, 0, 1]]
        )
        mujoco.mju_mat2Quat(data.mocap_quat[mocap], (world_from_truth[:3, :3] @ along).ravel())

        def guide() -> None:
            point = push.position(data.time)
            data.mocap_pos[mocap] = world_from_truth[:3, :3] @ point + world_from_truth[:3, 3]

        before = model.geom_conaffinity[geoms].copy(), int(model.body_conaffinity[number])
        model.geom_conaffinity[geoms] |= _PUSHER_BIT
        model.body_conaffinity[number] |= _PUSHER_BIT
        try:
            guide()
            return self._follow(data, number, PUSH_SECONDS + PUSH_REST, self._pose(data, number), guide)
        finally:
            model.geom_conaffinity[geoms], model.body_conaffinity[number] = before

    def drop(self, body: str, point: Float, *, tilt: float = 0.0) -> Track:
        """Raises a movable body by `DROP_HEIGHT`, leans it about `point` [3] (truth's world) by `tilt` [rad] about the
        truth's x, and lets it go. The motion counts from where it stood.

        Raises:
            ValueError: the body is fixed.
        """
        if not self.movable(body):
            raise ValueError(f"{body} is fixed: it cannot be dropped")
        number = self.model.body(body).id
        data = self._start()
        origin = self._pose(data, number)
        lean = np.eye(4)
        c, s = np.cos(tilt), np.sin(tilt)
        lean[:3, :3] = [[1, 0, 0], [0, c, -s], [0, s, c]]
        lean[:3, 3] = point - lean[:3, :3] @ point + [0, 0, DROP_HEIGHT]
        pose = np.linalg.solve(self._truth_from_world, lean @ origin)
        address = int(self.model.jnt_qposadr[self.model.body_jntadr[number]])
        data.qpos[address : address + 3] = pose[:3, 3]
        turn = np.zeros(4)
        mujoco.mju_mat2Quat(turn, np.ascontiguousarray(pose[:3, :3]).ravel())
        data.qpos[address + 3 : address + 7] = turn
        return self._follow(data, number, DROP_SECONDS, origin, lambda: None)

    def _start(self) -> Any:
        data = mujoco.MjData(self.model)
        data.qpos[:] = self._qpos
        mujoco.mj_forward(self.model, data)
        return data

    def _pose(self, data: Any, body: int) -> Float:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = data.xmat[body].reshape(3, 3), data.xpos[body]
        return np.asarray(self._truth_from_world @ pose)

    def _follow(self, data: Any, body: int, seconds: float, origin: Float, guide: Any) -> Track:
        model, back = self.model, np.linalg.inv(origin)
        mujoco.mj_forward(model, data)
        neighbours = self._neighbours(data, body)
        motion, touched = [self._pose(data, body) @ back], False
        with quiet():
            for step in range(round(seconds / TIMESTEP)):
                guide()
                mujoco.mj_step(model, data)
                if (step + 1) % SAMPLE_STEPS:
                    continue
                # `mj_step` ends before positions are worked out anew.
                mujoco.mj_kinematics(model, data)
                pose = self._pose(data, body)
                if not (np.all(np.isfinite(data.qpos)) and np.max(np.abs(pose)) < 100):
                    return Track(np.array(motion), touched, False)
                motion.append(pose @ back)
                touched = touched or not self._neighbours(data, body) <= neighbours
        return Track(np.array(motion), touched, True)

    def _neighbours(self, data: Any, body: int) -> set[int]:
        """Movable bodies that touch this one."""
        pairs = self.model.geom_bodyid[data.contact.geom].reshape(-1, 2)
        others = pairs[:, ::-1][pairs == body]
        return {int(other) for other in others if self.model.body_dofnum[other]}


def motion_error(original: Track, rebuilt: Track, point: Float) -> MotionError | None:
    """How far two motions carry `point` [3] (truth's world, before the motion) apart; None if one diverged."""
    if not (original.finite and rebuilt.finite):
        return None
    first, second = (track.motion[:, :3, :3] @ point + track.motion[:, :3, 3] for track in (original, rebuilt))
    apart = np.linalg.norm(second - first, axis=1)
    a, b = original.motion[-1, :3, :3], rebuilt.motion[-1, :3, :3]
    turn = b @ a.T
    return MotionError(
        mean=float(apart.mean()),
        final=float(apart[-1]),
        height=float(second[-1, 2] - first[-1, 2]),
        # The twist about the vertical of the rotation between the two.
        yaw=float(abs(np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1]))),
        # atan2 keeps its digits where the two verticals nearly agree, arccos does not.
        tilt=float(np.arctan2(np.linalg.norm(np.cross(a[:, 2], b[:, 2])), a[:, 2] @ b[:, 2])),
        travel=float(np.linalg.norm(first[-1] - point)),
    )
