"""Is this model a robot of ours? Names what is missing and what to add, then proves by simulation that it works."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from ..kinematics import InverseKinematics
from . import MENAGERIE, get_robot, is_model_path
from .contract import DEFAULT_VELOCITY, GRIP, GRIPPER, PAD, SERVO, Array, Fault
from .custom import FileSource, assemble, set_physics
from .robot import Arm, need_arm

HOLD = 0.02
"""An arm told to stay at home stays within so much [rad]."""
TRACK = 0.02
"""And is within so much [rad] of a new target a second after it was told."""
SQUEEZE = 2.0
"""Each pad presses with at least so much [N] on what is half as wide as the opening; the experts wait for it."""
REACHED = 0.8
"""Share of the poses in front that inverse kinematics must reach."""
LOW = 0.12
"""A hand that comes lower [m] above the base at home is noted: things on a table are as tall."""
_BAD = [
    int(w)
    for w in (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)
]
_SECOND = 500  # physics steps
_STEP = 0.15  # [rad] that the servos are sent away from home
_GRAVITY = '<body name="..." gravcomp="1">  <!-- every link: what the arm\'s own controller does -->'


@dataclass(frozen=True)
class Proof:
    """Something tried in simulation: what, whether it went well, and what was seen."""

    name: str
    passed: bool
    told: str


@dataclass(frozen=True)
class RobotReport:
    """What `check_robot` found.

    Attributes:
        robot: what was asked for. faults: everything to correct; none if it can be used.
        proofs: what was tried in simulation. found: what was read and measured. notes: good to know.
    """

    robot: str
    faults: tuple[Fault, ...] = ()
    proofs: tuple[Proof, ...] = ()
    found: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the robot can be used."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {
            "robot": self.robot,
            "ok": self.ok,
            "faults": [vars(fault) for fault in self.faults],
            "proofs": [vars(proof) for proof in self.proofs],
            "found": self.found,
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """The report for people."""
        wide = max((len(name) for name in self.found), default=0)
        told = [f"{name:{wide}}  {value}" for name, value in self.found.items()]
        told += [f"{'ok    ' if proof.passed else 'FAILED'}  {proof.name}: {proof.told}" for proof in self.proofs]
        told += [f"note    {note}" for note in self.notes]
        for fault in self.faults:
            told += [f"FAULT   {fault.name}: {fault.problem}", f"        -> {fault.fix}"]
            told += textwrap.indent(fault.snippet, " " * 11).splitlines()
        told.append(
            f'\nUse it: gym.make("PocketWorlds/Lift-v0", robot="{self.robot}")'
            if self.ok
            else f"\n{len(self.faults)} to correct; docs/robots.md says what a model needs."
        )
        return told


def check_robot(robot: str | Path) -> RobotReport:
    """Checks a robot; takes some seconds.

    Args:
        robot: the path of an MJCF file, or any other name `robot=` takes.

    Returns:
        The report. A model that lacks something is reported, not raised.

    Raises:
        TaskError: there is no robot of that name. MissingDependencyError: see `get_robot`.
    """
    if is_model_path(robot) and not str(robot).startswith(MENAGERIE):
        path = Path(os.path.abspath(robot))
        found, faults = assemble(path.stem, FileSource(path))
        if found is None:
            return RobotReport(str(robot), tuple(faults))
    else:
        found = need_arm(get_robot(robot))
    proofs, broken = [], []
    for prove in (_holds, _tracks, _opens, _grips, _reaches):
        proof, fault = prove(found)
        proofs.append(proof)
        if not proof.passed:
            broken.append(fault)
    return RobotReport(str(robot), tuple(broken), tuple(proofs), _found(found), tuple(_notes(found)))


Outcome = tuple[Proof, Fault]


class _Trial:
    """The robot alone, at home with open fingers."""

    def __init__(self, robot: Arm, change: Callable[[mujoco.MjSpec], None] = lambda spec: None) -> None:
        spec = robot.build()
        change(spec)
        self.robot, self.model = robot, spec.compile()
        set_physics(self.model.opt)
        self.data = mujoco.MjData(self.model)
        self._arm = [int(self.model.joint(name).qposadr[0]) for name in robot.arm_joints]
        self._servos = [self.model.actuator(name).id for name in robot.arm_actuators]
        fingers = [int(self.model.joint(name).qposadr[0]) for name in robot.finger_joints]
        self.data.qpos[self._arm] = robot.home
        self.data.qpos[fingers] = robot.finger_positions(robot.max_opening)
        self.aim(np.array(robot.home))
        self.grip(robot.grip_control[1])
        mujoco.mj_forward(self.model, self.data)

    @property
    def joints(self) -> Array:
        return np.array(self.data.qpos[self._arm])

    def aim(self, joints: Array) -> None:
        self.data.ctrl[self._servos] = joints

    def grip(self, control: float) -> None:
        self.data.ctrl[self.model.actuator(self.robot.grip_actuator).id] = control

    def run(self, steps: int) -> None:
        for _ in range(steps):
            mujoco.mj_step(self.model, self.data)

    @property
    def diverged(self) -> bool:
        """Whether MuJoCo found numbers that make no sense, and started over."""
        return bool(self.data.warning.number[_BAD].any() or not np.isfinite(self.data.qpos).all())

    def width(self) -> float:
        """Distance [m] between the pads."""
        table = self.robot.grip_table
        if table is None:
            return float(sum(self.data.joint(name).qpos[0] for name in self.robot.finger_joints))
        left, right = (self.data.site(name).xpos for name in self.robot.pad_sites)
        return float((left - right) @ self.data.site(GRIP).xmat.reshape(3, 3)[:, 1]) - table.gap


def _holds(robot: Arm) -> Outcome:
    """At home under gravity for two seconds."""
    trial = _Trial(robot)
    trial.run(2 * _SECOND - 50)
    before = trial.joints
    trial.run(50)
    off = np.abs(trial.joints - robot.home)
    worst = int(np.nanargmax(np.where(np.isfinite(off), off, np.inf)))
    shakes = float(np.abs(trial.joints - before).max())
    passed = bool(off[worst] < HOLD and shakes < HOLD / 4 and not trial.diverged)
    told = f"{_short(robot.arm_joints[worst])!r} ends {off[worst]:.4f} rad from home after 2 s under gravity"
    if not passed and shakes >= HOLD / 4:
        told += f", still moving ({shakes:.4f} rad in 0.1 s)"
    fix = "stiffen its servo (kp, forcerange), damp it (kv), or compensate gravity; links must not collide at home"
    return Proof("holds home", passed, told), Fault("holds home", told, fix, _GRAVITY)


def _tracks(robot: Arm) -> Outcome:
    """All servos to new targets on a ramp of a quarter of a second, then three quarters to arrive."""
    trial = _Trial(robot)
    home = np.array(robot.home)
    room = np.array(robot.joint_high) - home, home - np.array(robot.joint_low)
    goal = home + np.where(room[0] > room[1], 1, -1) * np.minimum(_STEP, np.maximum(*room))
    for share in np.linspace(0.04, 1, 25):
        trial.aim(home + share * (goal - home))
        trial.run(_SECOND // 100)
    trial.run(3 * _SECOND // 4)
    off = np.abs(trial.joints - goal)
    worst = int(np.nanargmax(np.where(np.isfinite(off), off, np.inf)))
    name = _short(robot.arm_joints[worst])
    told = f"{name!r} ends {off[worst]:.4f} rad from a target {_STEP} rad away after 1 s"
    fix = "stiffen its servo (kp), allow more force (forcerange), or damp it (kv) if it swings"
    return Proof("servos track", bool(off[worst] < TRACK and not trial.diverged), told), Fault(
        "servos track", told, fix, SERVO.format(name)
    )


def _opens(robot: Arm) -> Outcome:
    """Close, then open again, with contacts."""
    trial = _Trial(robot)
    closed, opened = robot.grip_control
    trial.grip(closed)
    trial.run(2 * _SECOND)
    shut = trial.width()
    trial.grip(opened)
    trial.run(2 * _SECOND)
    wide = trial.width()
    passed = shut < 0.5 * robot.max_opening and abs(wide - robot.max_opening) < max(0.003, 0.1 * robot.max_opening)
    told = f"closes to {1e3 * max(shut, 0):.1f} mm and opens to {1e3 * wide:.1f} mm within two seconds each"
    fix = "give its actuator more force or less damping, and keep the fingers clear of the hand"
    return Proof("opens and closes", bool(passed), told), Fault("opens and closes", told, fix, GRIPPER)


def _grips(robot: Arm) -> Outcome:
    """Closes on a floating block half as wide as the opening."""
    start = _Trial(robot).data.site(GRIP)
    turn = np.zeros(4)
    mujoco.mju_mat2Quat(turn, start.xmat)
    half = [0.02, robot.max_opening / 4, 0.02]

    def add(spec: mujoco.MjSpec) -> None:
        block = spec.worldbody.add_body(name="block", pos=start.xpos.tolist(), quat=turn.tolist(), gravcomp=1)
        block.add_freejoint()
        block.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half, mass=0.05, condim=4)

    trial = _Trial(robot, add)
    trial.grip(robot.grip_control[0])
    trial.run(_SECOND)
    force = [float(trial.data.sensor(name).data[0]) for name in robot.pad_sensors]
    told = f"the pads press with {force[0]:.1f} and {force[1]:.1f} N on a block {2e3 * half[1]:.0f} mm wide"
    fix = (
        "the pads must meet what is between them first; a stiffer gripper servo, or a ctrlrange beyond closed, presses"
    )
    return (
        Proof("grips", bool(min(force) >= SQUEEZE), told),
        Fault("grips", f"{told}, of {SQUEEZE:.0f} N needed", fix, PAD.format("left_pad")),
    )


def _reaches(robot: Arm) -> Outcome:
    """Inverse kinematics to poses in front of the base, the hand pointing down."""
    near, far = robot.reach
    poses = [
        (distance, angle, height, turn)
        for distance in np.linspace(near, far, 4)
        for angle in (-0.5, 0.0, 0.5)
        for height in (0.05, 0.2)
        for turn in (0.0, np.pi / 4, -np.pi / 4)
    ]
    distance, angle, height, turn = np.array(poses).T
    goal = np.stack([distance * np.cos(angle), distance * np.sin(angle), height], axis=1)
    solver = InverseKinematics(robot, len(poses))
    home = np.tile(robot.home, (len(poses), 1))
    reached = np.zeros(len(poses), dtype=np.bool_)
    for side in (1.0, -1.0):  # the fingers may be swapped
        y = side * np.stack([-np.sin(angle + turn), np.cos(angle + turn), np.zeros(len(poses))], axis=1)
        z = np.tile([0.0, 0.0, -1.0], (len(poses), 1))
        _, miss, off = solver.solve(home, goal, np.stack([np.cross(y, z), y, z], axis=2))
        reached |= (miss < 0.002) & (off < 0.02)
    told = f"{int(reached.sum())} of {len(poses)} poses {near:.2f} to {far:.2f} m in front, pointing down"
    fix = "widen the joints' ranges, or choose a home whose joints are further from their limits"
    passed = bool(reached.mean() >= REACHED)
    return Proof("inverse kinematics", passed, told), Fault("inverse kinematics", f"reaches only {told}", fix)


def _found(robot: Arm) -> dict[str, str]:
    return {
        "arm joints": ", ".join(_short(name) for name in robot.arm_joints),
        "finger joints": ", ".join(_short(name) for name in robot.finger_joints),
        "pads": ", ".join(_short(name) for name in robot.pads),
        "gripper": f"{_short(robot.grip_actuator)}: {robot.grip_control[0]:g} closes, {robot.grip_control[1]:g} opens",
        "opening": f"{1e3 * robot.max_opening:.0f} mm",
        "reach": f"{robot.reach[0]:.2f} to {robot.reach[1]:.2f} m from the base's axis, pointing down",
        "base": f"{1e3 * robot.base_radius:.0f} mm around its axis",
    }


def _notes(robot: Arm) -> list[str]:
    notes = []
    if all(speed == DEFAULT_VELOCITY for speed in robot.joint_velocity):
        notes.append(
            f"speed limits: {DEFAULT_VELOCITY} rad/s for every joint, as the model has no "
            '<custom><numeric name="joint_velocity" data="..."/></custom>'
        )
    if robot.home_heights[0] < LOW:
        low = 100 * robot.home_heights[0]
        notes.append(f"at home the hand is {low:.0f} cm above the base: raise it, or it meets what stands on the table")
    if robot.grip_table is not None and robot.grip_table.openings[0] > 0.003:
        least = 1e3 * robot.grip_table.openings[0]
        notes.append(f"the gripper closes to {least:.0f} mm only: thinner things cannot be held")
    return notes


def _short(name: str) -> str:
    """A name as the model has it."""
    return name.rpartition("/")[2]
