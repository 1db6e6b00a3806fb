"""What is measured on a robot's model rather than read from it: how its gripper moves, its sizes and its reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...scenes.outlines import geom_points
from ..kinematics import InverseKinematics
from .contract import GRIP, GRIPPER, PAD, SITE_GRIP, Array, Fault, Parts
from .robot import Arm, GripTable

Flags = NDArray[np.bool_]
STEPS = 13
"""Controls at which the gripper is looked at, from closed to open."""
LEAST_OPENING = 0.005
"""A gripper opens by so much [m] at least."""
_SETTLED = 1e-4  # finger speed [m/s], [rad/s]
_LONGEST = 1500  # physics steps a gripper may take to settle
_RAYS = tuple((x, z) for x in (0.0, -0.005, 0.005) for z in (0.0, -0.004, 0.004))  # [m] in the grip's frame
_MARGIN = 0.15  # room [rad] to the joint limits in the reach that is told
_EASY = 0.88  # share of the farthest distance that is told: there the hand can still turn and rise
_MISS = 0.002  # [m], and rad * 10


@dataclass(frozen=True)
class Pad:
    """A pad's geom, and the box around all that collides of its body, in that one's frame.

    Attributes:
        geom, body: names. pos (3,), quat (4,), half (3,): the box, its axes those of the geom [m].
    """

    geom: str
    body: str
    pos: tuple[float, ...]
    quat: tuple[float, ...]
    half: tuple[float, ...]


@dataclass(frozen=True)
class Gripper:
    """A measured gripper; see `Robot` for the fields. `closed`: distance [m] between the pads when told to close."""

    pads: tuple[Pad, Pad]
    control: tuple[float, float]
    table: GripTable
    closed: float
    half_width: float
    tip: float
    thickness: float

    @property
    def opening(self) -> float:
        """Distance [m] between the open pads."""
        return self.table.openings[-1]


def measure_gripper(model: mujoco.MjModel, parts: Parts) -> tuple[Gripper | None, list[Fault]]:
    """Moves the fingers of a compiled model from one end of their control to the other; None and faults if in vain.

    Contacts and gravity are off, so that the fingers go where their actuator sends them.
    """
    probe = _Probe(model, parts)
    ends = [probe.end(control) for control in probe.actuator.ctrlrange]
    if max(end.width for end in ends) < 0:
        return None, [probe.why_no_pads()]
    opened = int(ends[1].width > ends[0].width)
    control = (float(probe.actuator.ctrlrange[1 - opened]), float(probe.actuator.ctrlrange[opened]))
    end = ends[opened]
    left, right = end.hits
    if abs(left - right) > max(0.004, 0.1 * end.width):
        told = f"it is {1e3 * left:.0f} mm from one open pad and {1e3 * right:.0f} mm from the other"
        return None, [Fault("site grip", told, "put it midway between the pads", SITE_GRIP)]
    probe.restore(end)
    pads = (probe.pad(end.geoms[0]), probe.pad(end.geoms[1]))
    gap = probe.apart(pads) - end.width
    tip, half_width, thickness = probe.sizes(end.geoms)
    openings, joints = [], []
    controls = np.linspace(*control, STEPS)
    probe.start(control[0])
    for value in controls:
        probe.settle(value)
        openings.append(probe.apart(pads) - gap)
        joints.append(probe.fingers())
    faults = _check_motion(np.array(openings), parts.grip_actuator)
    if faults:
        # Met at one end only: the rays ran along the pads, not from one to the other.
        return None, [probe.why_no_pads()] if min(end.width for end in ends) < 0 else faults
    table = _table(np.array(openings), controls, np.array(joints), gap)
    return Gripper(pads, control, table, max(openings[0], 0.0), half_width, tip, thickness), []


@dataclass
class _End:
    """The gripper at one end of its control: width [m] (-1: no pads met), the geoms met, how far, and the state."""

    width: float
    geoms: tuple[int, int]
    hits: tuple[float, float]
    qpos: Array


class _Probe:
    """A model whose fingers are moved while the arm stays at home."""

    def __init__(self, model: mujoco.MjModel, parts: Parts) -> None:
        self.model, self.data, self.parts = model, mujoco.MjData(model), parts
        self.actuator = model.actuator(parts.grip_actuator)
        self._flags = int(model.opt.disableflags)
        self._fingers = [int(model.joint(name).qposadr[0]) for name in parts.finger_joints]
        self._dofs = [int(model.joint(name).dofadr[0]) for name in parts.finger_joints]
        moving = {int(model.joint(name).bodyid[0]) for name in parts.finger_joints}
        self.bodies = [b for b in range(model.nbody) if moving & _ancestors(model, b)]
        wanted = parts.pads
        self.geoms = [
            g
            for g in range(model.ngeom)
            if model.geom_bodyid[g] in self.bodies and _meets_scene(model, g)
            if wanted is None or model.geom(g).name in wanted
        ]

    def start(self, control: float) -> None:
        mujoco.mj_resetData(self.model, self.data)
        for name, actuator, angle in zip(self.parts.arm_joints, self.parts.arm_actuators, self.parts.home, strict=True):
            self.data.joint(name).qpos[0] = self.data.actuator(actuator).ctrl[0] = angle
        self.data.qpos[self._fingers] = self.parts.fingers
        self.settle(control)

    def settle(self, control: float) -> None:
        gravity = self.model.opt.gravity.copy()
        self.model.opt.gravity[:] = 0
        self.model.opt.disableflags = self._flags | int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
        self.data.ctrl[self.actuator.id] = control
        for count in range(_LONGEST):
            mujoco.mj_step(self.model, self.data)
            if count > 50 and np.abs(self.data.qvel[self._dofs]).max() < _SETTLED:
                break
        self.model.opt.gravity[:] = gravity
        self.model.opt.disableflags = self._flags
        mujoco.mj_kinematics(self.model, self.data)

    def end(self, control: float) -> _End:
        self.start(float(control))
        (left, one), (right, other) = self._side(1.0), self._side(-1.0)
        width = left + right if one >= 0 and other >= 0 else -1.0
        return _End(width, (one, other), (left, right), self.data.qpos.copy())

    def restore(self, end: _End) -> None:
        self.data.qpos[:] = end.qpos
        mujoco.mj_kinematics(self.model, self.data)

    def fingers(self) -> Array:
        return np.array(self.data.qpos[self._fingers])

    def _side(self, sign: float) -> tuple[float, int]:
        """Distance [m] from the grip site to the fingers along its Y, and the geom met in the middle (-1: none)."""
        site = self.data.site(GRIP)
        frame = site.xmat.reshape(3, 3)
        direction = sign * frame[:, 1]
        hits = np.array(
            [
                [_ray(self.model, self.data, geom, site.xpos + frame @ [x, 0, z], direction) for x, z in _RAYS]
                for geom in self.geoms
            ]
        ).reshape(-1, len(_RAYS))
        hits = np.where(hits < 0, np.inf, hits)
        if not len(hits) or np.isinf(hits[:, 0]).all():  # the first ray goes straight through the middle
            return 0.0, -1
        return float(hits.min()), self.geoms[int(hits[:, 0].argmin())]

    def pad(self, geom: int) -> Pad:
        model, data = self.model, self.data
        body, axes, turned = int(model.geom_bodyid[geom]), data.geom_xmat[geom].reshape(3, 3), np.zeros(9)
        mujoco.mju_quat2Mat(turned, model.geom_quat[geom])
        whole = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and _meets_scene(model, g)]
        local = (_points(model, data, whole) - data.geom_xpos[geom]) @ axes
        low, high = local.min(axis=0), local.max(axis=0)
        center = model.geom_pos[geom] + turned.reshape(3, 3) @ ((low + high) / 2)
        return Pad(
            geom=model.geom(geom).name,
            body=model.body(body).name,
            pos=tuple(float(v) for v in center),
            quat=tuple(float(v) for v in model.geom_quat[geom]),
            half=tuple(float(v) for v in (high - low) / 2),
        )

    def apart(self, pads: Sequence[Pad]) -> float:
        """Distance [m] between the middles of the pads' boxes along the closing direction."""
        left, right = (
            self.data.body(pad.body).xpos + self.data.body(pad.body).xmat.reshape(3, 3) @ pad.pos for pad in pads
        )
        return float((left - right) @ self.data.site(GRIP).xmat.reshape(3, 3)[:, 1])

    def sizes(self, geoms: Sequence[int]) -> tuple[float, float, float]:
        """How far the fingers reach beyond grip, half the pads' width, and their thickness [m]."""
        left, right = (self._in_grip([g]) for g in geoms)
        tips = self._in_grip([g for g in range(self.model.ngeom) if self._is_finger(g)])
        half = min(float(np.ptp(points[:, 0])) / 2 for points in (left, right))
        thickness = max(float(np.ptp(points[:, 1])) for points in (left, right))
        return max(float(tips[:, 2].max()), 0.0), half, thickness

    def _is_finger(self, geom: int) -> bool:
        return int(self.model.geom_bodyid[geom]) in self.bodies and _meets_scene(self.model, geom)

    def _in_grip(self, geoms: Sequence[int]) -> Array:
        site = self.data.site(GRIP)
        return np.asarray((_points(self.model, self.data, geoms) - site.xpos) @ site.xmat.reshape(3, 3))

    def why_no_pads(self) -> Fault:
        if self.parts.pads is not None and len(self.geoms) < 2:
            told = "the pads do not collide with the scene or are not on moving fingers"
            return Fault("pads", told, 'give them contype="1" and put them on the fingers', PAD.format("left_pad"))
        if not self.geoms:
            told = "no geom of the fingers collides with the scene"
            return Fault("pads", told, 'add pads with contype="1"', PAD.format("left_pad"))
        told = "from the site grip, no finger lies on both sides along its Y"
        fix = (
            "turn grip so that Y points from pad to pad, and put it between them; or name the pads left_pad, right_pad"
        )
        return Fault("pads", told, fix, SITE_GRIP)


def _check_motion(openings: Array, actuator: str) -> list[Fault]:
    travel = float(openings[-1] - openings[0])
    steps = np.diff(openings)
    if travel < LEAST_OPENING:
        told = f"{actuator!r} moves the pads by {1e3 * travel:.1f} mm over its whole ctrlrange"
        fix = "let its ctrlrange span closed to open, and its gain move the fingers"
        return [Fault("gripper actuator", told, fix, GRIPPER)]
    if steps.max() > 0.5 * travel or steps.min() < -0.1 * travel:
        told = f"{actuator!r} does not hold openings in between: it is no position servo"
        return [Fault("gripper actuator", told, "make it one", GRIPPER)]
    return []


def _table(openings: Array, controls: Array, joints: Array, gap: float) -> GripTable:
    """Rows of rising openings from 0 (or the smallest there is) on."""
    if openings[0] < 0 < openings[-1]:
        cut = int(np.flatnonzero(openings < 0)[-1])
        share = -openings[cut] / (openings[cut + 1] - openings[cut])
        openings, controls, joints = openings.copy(), controls.copy(), joints.copy()
        controls[cut] += share * (controls[cut + 1] - controls[cut])
        joints[cut] += share * (joints[cut + 1] - joints[cut])
        openings[cut] = 0.0
        openings, controls, joints = openings[cut:], controls[cut:], joints[cut:]
    highest = np.maximum.accumulate(np.r_[-np.inf, openings[:-1]])
    kept = openings > highest + 1e-6
    return GripTable(
        openings=tuple(float(v) for v in openings[kept]),
        controls=tuple(float(v) for v in controls[kept]),
        joints=tuple(tuple(float(v) for v in row) for row in joints[kept]),
        gap=float(gap),
    )


# Sizes and reach ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """See `Robot` for the fields."""

    base_radius: float
    home_reach: float
    home_heights: tuple[float, float]


def measure_sizes(model: mujoco.MjModel, parts: Parts) -> Sizes:
    """Room that the base and the arm at home take; the model stands at the origin."""
    data = mujoco.MjData(model)
    for name, angle in zip(parts.arm_joints, parts.home, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_kinematics(model, data)
    joints = [model.joint(name).id for name in parts.arm_joints]
    carried = {b: sum(int(model.jnt_bodyid[j]) in _ancestors(model, b) for j in joints) for b in range(model.nbody)}
    geoms = [g for g in range(model.ngeom) if _meets_scene(model, g)]
    trunk = _points(model, data, [g for g in geoms if carried[int(model.geom_bodyid[g])] <= 1])
    arm = _points(model, data, [g for g in geoms if carried[int(model.geom_bodyid[g])] > 1])
    radius = float(np.clip(np.hypot(trunk[:, 0], trunk[:, 1]).max(initial=0.05), 0.05, 0.4))
    arm = np.concatenate([arm, data.site(GRIP).xpos[None]])
    out = np.hypot(arm[:, 0], arm[:, 1])
    beyond = arm[out > radius] if (out > radius).any() else arm
    return Sizes(
        base_radius=radius,
        home_reach=float(out.max()),
        home_heights=(float(beyond[:, 2].min()) - 0.02, float(arm[:, 2].max()) + 0.02),
    )


def measure_reach(robot: Arm) -> tuple[tuple[float, float], float] | None:
    """Horizontal distances (nearest, farthest) at which the hand points down in front of the base, and the ceiling.

    From the middle outwards and inwards, inverse kinematics follows the hand at several heights; the distances told
    hold at the two lowest, 2 cm and 20 cm above the base. None if there are none.
    """
    heights = np.array([0.02, 0.2, 0.1, 0.3, 0.4, 0.5])
    solver = InverseKinematics(robot, len(heights))
    ids = np.arange(len(heights))
    home = np.tile(robot.home, (len(heights), 1))
    position, frame = (np.array(a, copy=True) for a in solver.pose(ids, home))
    side = 1.0 if frame[0, 1, 1] >= 0 else -1.0
    frames = np.tile(np.array([[-side, 0, 0], [0, side, 0], [0, 0, -1.0]]), (len(heights), 1, 1))
    low, high = np.array(robot.joint_low) + _MARGIN, np.array(robot.joint_high) - _MARGIN
    middle = float(np.hypot(*position[0, :2]))
    found: dict[float, Flags] = {}
    for direction in (1, -1):
        joints, failed = home, 0
        for count in range(int(1.6 / 0.02)):
            distance = round(middle + direction * 0.02 * count, 9)
            if distance < 0.05:
                break
            goal = np.stack([np.full(len(heights), distance), np.zeros(len(heights)), heights], axis=1)
            joints, miss, angle = solver.solve(joints, goal, frames, iterations=80 if count == 0 else 25)
            good = (miss + angle / 10 < _MISS) & ((joints > low) & (joints < high)).all(axis=1)
            found[distance] = good
            failed = 0 if good[:2].any() else failed + 1
            if failed > 6:
                break
    distances = np.array(sorted(found))
    good = np.stack([found[d] for d in distances])
    both = good[:, 0] & good[:, 1]
    run = _longest(both)
    if run is None:
        return None
    inside = good[run[0] : run[1] + 1].mean(axis=0)
    order = np.argsort(heights)
    ceiling = float(heights[order[0]])
    for k in order:
        if inside[k] < 0.8:
            break
        ceiling = float(heights[k])
    near, far = max(float(distances[run[0]]), robot.base_radius + 0.05), _EASY * float(distances[run[1]])
    return ((round(near, 3), round(far, 3)), ceiling) if far > near + 0.05 else None


def _longest(flags: Flags) -> tuple[int, int] | None:
    """First and last index of the longest run of True."""
    best, start = None, None
    for k, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = k
        if not flag and start is not None:
            if best is None or k - start > best[1] - best[0] + 1:
                best = (start, k - 1)
            start = None
    return best


# Geometry -------------------------------------------------------------------------------------------------------------


def _ancestors(model: mujoco.MjModel, body: int) -> set[int]:
    """A body and all that carry it, without the world."""
    found: set[int] = set()
    while body:
        found.add(body)
        body = int(model.body_parentid[body])
    return found


def _meets_scene(model: mujoco.MjModel, geom: int) -> bool:
    """Whether a geom collides with those of a scene, whose contype and conaffinity are 1."""
    return bool((int(model.geom_contype[geom]) | int(model.geom_conaffinity[geom])) & 1)


def _points(model: mujoco.MjModel, data: mujoco.MjData, geoms: Sequence[int]) -> Array:
    clouds = [geom_points(model, g) @ data.geom_xmat[g].reshape(3, 3).T + data.geom_xpos[g] for g in geoms]
    return np.concatenate(clouds) if clouds else np.zeros((0, 3))


def _ray(model: mujoco.MjModel, data: mujoco.MjData, geom: int, origin: Array, direction: Array) -> float:
    """Distance [m] to a geom, -1 if the ray does not meet it."""
    kind = int(model.geom_type[geom])
    if kind == mujoco.mjtGeom.mjGEOM_MESH:
        return float(mujoco.mj_rayMesh(model, data, geom, origin, direction, None))
    size, pos, mat = model.geom_size[geom], data.geom_xpos[geom], data.geom_xmat[geom]
    return float(mujoco.mju_rayGeom(pos, mat, size, origin, direction, kind, None))
