"""Scripted experts of the hand: solve HandLift and HandReorient from sensors, for all worlds of a batch at once.

They act through `joint_delta` like any policy. Each places the five fingertips in the palm's frame, lets inverse
kinematics find the finger joints, and asks for the joint motion from a copy of the controller's target that it keeps in
step. They carry a phase and a clock a world, and start over when an episode begins.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs import rotations
from ..envs.hand_control import HandDelta
from ..envs.robots.hand import Hand
from ..envs.tasks.hand_lift import HandLift
from ..envs.tasks.hand_reorient import HandReorient, heading
from .fingertips import FingertipSolver

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class HandEnv(Protocol):
    """What an expert sees of a batch of environments of the hand."""

    num_envs: int
    elapsed: NDArray[np.int64]
    hand: Hand
    hold_base: bool
    base_pos: Array
    base_mat: Array

    @property
    def task(self) -> Any:
        """The task."""

    def sensors(self) -> dict[str, Array]:
        """See `envs.tasks.hand_task`."""


class HandExpert:
    """Base: phases, clocks, and the way from wanted joints to an action."""

    def __init__(self, env: HandEnv) -> None:
        """Takes a batch of environments of the hand under `joint_delta`."""
        self._env, self._hand = env, env.hand
        count = env.num_envs
        self._control = HandDelta(env.hand, count, hold_base=env.hold_base)
        self._solver = FingertipSolver(env.hand, count)
        self._radius = np.array(env.hand.tip_radius)
        self._all = np.arange(count)
        self.phase = np.zeros(count, dtype=np.int64)
        self._clock = np.zeros(count, dtype=np.int64)

    def act(self) -> NDArray[np.float32]:
        """The next action (num_envs, 26) in [-1, 1]."""
        sensors = self._env.sensors()
        measured = sensors["joint_pos"]
        fresh = np.flatnonzero(self._env.elapsed == 0)
        self._enter(self._env.elapsed == 0, 0)
        self._control.reset(fresh, measured[fresh])
        self._begin(fresh)
        self._clock += 1
        target = self._control.joints
        wanted = self._decide(sensors, np.clip(target, measured - self._control.lead, measured + self._control.lead))
        action: NDArray[np.float32] = np.clip((wanted - target) / self._control.step, -1, 1).astype(np.float32)
        self._control.target(self._all, action.astype(np.float64), measured)
        return action

    def _begin(self, ids: NDArray[np.int64]) -> None:
        """Forgets what belonged to the last episode of worlds `ids`."""

    def _decide(self, sensors: dict[str, Array], joints: Array) -> Array:
        """Wanted joints (n, 26); `joints` is what the servos follow now."""
        raise NotImplementedError

    def _enter(self, mask: Mask, phase: int) -> None:
        self.phase[mask] = phase
        self._clock[mask] = 0

    def _in_palm(self, sensors: dict[str, Array], point: Array) -> Array:
        """World points (n, 3) in the palm's frame."""
        offset = rotations.rotate(sensors["palm_mat"].transpose(0, 2, 1), point - sensors["palm_pos"])
        return np.asarray(offset + np.array(self._hand.palm_center))


class HandLiftExpert(HandExpert):
    """Above the object, down, close each finger until it touches, squeeze, up, hold; again when the object is lost."""

    ABOVE, DOWN, CLOSE, UP = range(4)
    _PINCH = np.array([0.118, 0.004, -0.058])  # the middle of the pinch in the palm's frame [m]
    _OPEN = np.array([-0.046, 0.048])  # thumb and fingers open so far [m] from it
    _LANES = np.array([0.010, 0.026, 0.009, -0.009, -0.026])
    _CLEAR = 0.14  # height [m] of the pinch above the grasp point while travelling
    _CLOSING = 0.0035  # [m] per step
    _SQUEEZE = 0.006  # [m] beyond the first touch
    _TASK = np.array([[1.0, 0.5, 1.0]] * 5)

    def __init__(self, env: HandEnv) -> None:
        """See `HandExpert`."""
        super().__init__(env)
        count = env.num_envs
        self._task: HandLift = env.task
        self._way = np.zeros((count, 5))  # how far each tip has closed [m]
        self._touched = np.zeros((count, 5), dtype=np.bool_)
        self._yaw = np.zeros(count)
        self._base = np.zeros((count, 3))
        self._mobility = np.ones(len(env.hand.joints))
        self._posture = np.array(env.hand.grasp.joints)

    def _decide(self, sensors: dict[str, Array], joints: Array) -> Array:
        env, task = self._env, self._task
        inverse = np.ascontiguousarray(env.base_mat.T)
        point, axis = task.grasp_point(sensors)
        point = rotations.rotate(inverse, point - env.base_pos)
        axis = rotations.rotate(inverse, axis)
        coming = self.phase == self.ABOVE
        # Either side of the object will do: the one that turns the wrist less.
        yaw = np.arctan2(axis[:, 1], axis[:, 0])
        yaw = (yaw + np.pi / 2) % np.pi - np.pi / 2
        self._yaw[coming] = yaw[coming]
        c, s = np.cos(self._yaw), np.sin(self._yaw)
        px, py, pz = self._PINCH
        wrist = point - np.stack([c * px - s * py, s * px + c * py, np.full(len(c), pz)], axis=1)
        following = self.phase <= self.DOWN
        self._base[following] = wrist[following]
        goal = self._base.copy()
        high = self.phase == self.ABOVE
        goal[high, 2] += self._CLEAR
        goal[self.phase == self.UP, 2] += float(task.settings["height"]) + 0.025

        tips = np.zeros((len(c), 5, 3))
        opened = np.array([self._OPEN[0], *[self._OPEN[1]] * 4])
        inward = np.array([1.0, -1.0, -1.0, -1.0, -1.0])
        force = sensors["tip_force"]
        closing = self.phase == self.CLOSE
        self._way[self.phase < self.CLOSE] = 0.0
        self._touched[self.phase < self.CLOSE] = False
        self._touched |= closing[:, None] & (force > 0.3)
        # Fingers that have not met the object go on, but not beyond the middle.
        moving = closing[:, None] & ~self._touched
        self._way[moving] += self._CLOSING
        self._way = np.minimum(self._way, np.abs(opened))
        squeeze = np.where(self._touched, self._SQUEEZE, 0.0)
        tips[:, :, 0] = px + opened + inward * (self._way + squeeze)
        tips[:, :, 1] = self._LANES
        tips[:, :, 2] = pz
        wanted = self._solver.step(joints, tips, self._posture, task=self._TASK, mobility=self._mobility)
        speed = np.choose(self.phase, [1.0, 0.5, 0.3, 0.5])[:, None]
        base = sensors["joint_pos"][:, :4]
        left = np.concatenate([goal - base[:, :3], (self._yaw - base[:, 3])[:, None]], axis=1)
        limit = self._control.step[:4] * speed
        wanted[:, :4] = joints[:, :4] + np.clip(
            np.concatenate([goal, self._yaw[:, None]], axis=1) - joints[:, :4], -limit, limit
        )

        near = rotations.norm(left[:, :3])
        flat = np.sqrt(left[:, 0] * left[:, 0] + left[:, 1] * left[:, 1])
        turned = np.abs(left[:, 3])
        down = (self.phase == self.DOWN) & (self._clock > 0)
        self._enter(high & (((flat < 0.004) & (turned < 0.03) & (left[:, 2] < 0.01)) | (self._clock > 60)), self.DOWN)
        self._enter(down & ((near < 0.003) | (self._clock > 30)), self.CLOSE)
        gripped = (force[:, 0] > 1.0) & ((force[:, 1:] > 0.5).sum(axis=1) >= 2)
        self._enter(closing & (self._clock > 1) & ((gripped & (self._clock > 10)) | (self._clock > 25)), self.UP)
        lost = (self.phase == self.UP) & (self._clock > 6) & (wrist[:, 2] < base[:, 2] - 0.04)
        self._enter(lost, self.ABOVE)
        return wanted


class HandReorientExpert(HandExpert):
    """Thumb and fingers take the cube on opposite faces, turn with it, let go, and take it anew until it is there.

    The fingers' first links stay level: with the palm they are the floor the cube lies on between two holds.
    """

    TAKE, TURN, LET_GO, HOLD = range(4)
    _HOME = np.array([0.114, 0.003])  # where the cube is kept, in the palm's frame [m]
    _LANES = np.array([0.030, 0.013, -0.007, -0.024])  # the fingers' places across the palm [m]
    _THUMB_LANES = (0.020, 0.012)
    _HEIGHTS = np.array([-0.042, -0.036, -0.036, -0.036, -0.036])
    _LIFTED = -0.085  # the thumb comes and goes above the cube: its tip cannot draw back along the palm
    _EDGE = 0.004  # tips keep so far from the cube's corners [m]
    _SQUEEZE, _APART, _BACK = 0.002, 0.004, 0.015  # [m] into the face, near it, and away from it
    _RATE, _LEAD = 0.06, 0.4  # turn [rad] per step, and how far the wanted turn may lead
    _ARC = 0.5  # turn [rad] in one hold: the thumb's reach across the palm
    _COMING, _CLOSING, _TURNING = 8, 3, 22  # steps of a hold
    _LIFTING, _BACKING, _LEAVING = 3, 4, 11  # steps after letting go
    _REAR = np.array([0.072, 0.016])  # where the thumb waits [m]
    _PART, _SLACK = 0.008, 0.002  # [m]
    _DONE, _STRAYED = 0.1, 0.18  # [rad]

    def __init__(self, env: HandEnv) -> None:
        """See `HandExpert`."""
        super().__init__(env)
        count = env.num_envs
        self._task: HandReorient = env.task
        self._contact = np.zeros((count, 5, 3))  # the tips' goals in the cube's frame while turning
        self._center = np.zeros((count, 2))
        self._yaw, self._from = np.zeros(count), np.zeros(count)
        self._last = np.zeros((count, 5, 3))
        self._again = np.zeros(count, dtype=np.bool_)
        self._posture = np.array(env.hand.cradle.joints)
        self._mobility = np.array(
            [0.0 if j.endswith("_proximal") and "thumb" not in j else 1.0 for j in env.hand.joints]
        )
        self._mobility[env.hand.joints.index("little_arch")] = 0.0
        self._weights = np.array([[1.0, 1.0, 0.5]] + [[1.0, 0.6, 0.15]] * 4)

    def _begin(self, ids: NDArray[np.int64]) -> None:
        self._again[ids] = False

    def _decide(self, sensors: dict[str, Array], joints: Array) -> Array:
        task = self._task
        cube = self._in_palm(sensors, task.place(sensors))
        yaw = heading(sensors["palm_mat"].transpose(0, 2, 1) @ task.frame(sensors))
        left = task.left(sensors) * np.where(sensors["palm_mat"][:, 2, 2] > 0, 1.0, -1.0)
        half = task.object_size()[:, 0] / 2
        taking, turning, leaving, holding = (self.phase == p for p in range(4))

        near = np.where(taking & (self._clock > self._COMING), -self._SQUEEZE, self._APART)
        near = np.where(leaving | holding, self._BACK, near)
        # Turning takes the thumb towards the little finger or away from it: it starts on the other side.
        thumb = np.where(left > 0, *self._THUMB_LANES)
        goal = self._around(cube, yaw, half, near, thumb)
        high = taking & self._again & (self._clock <= self._COMING - 4)
        goal[high, 0, 0] -= 0.008
        goal[high, 0, 2] = self._LIFTED

        wanted = self._yaw + np.clip(left + yaw - self._yaw, -self._RATE, self._RATE)
        wanted = np.clip(wanted, yaw - self._LEAD, yaw + self._LEAD)
        self._yaw = np.where(turning, wanted, np.where(holding, self._yaw, yaw))
        drift = np.clip(self._HOME - self._center, -0.01, 0.01) * np.minimum(self._clock / 10, 1.0)[:, None]
        carried = _placed(self._contact, self._center + drift, self._yaw)
        held = turning | holding
        goal[held] = carried[held]

        # Away from the faces, then the thumb up, then back: a thumb that leaves first, or aslant, takes the cube along.
        goal[leaving, 0] = self._last[leaving, 0]
        parting = leaving & (self._clock <= self._LIFTING)
        goal[parting, 1:] = self._last[parting, 1:]
        goal[parting, 1:, 0] += self._PART
        goal[leaving, 0, 0] -= self._SLACK
        goal[leaving & ~parting, 0, 2] = self._LIFTED
        back = leaving & (self._clock > self._BACKING)
        goal[back, 0, :2] = self._REAR
        joints_wanted = self._solver.step(joints, goal, self._posture, task=self._weights, mobility=self._mobility)
        joints_wanted[holding] = self._control.joints[holding]

        taken = taking & (self._clock > self._COMING + self._CLOSING)
        self._contact[taken] = _seen_from(goal, cube[:, :2], yaw)[taken]
        self._center[taken], self._yaw[taken], self._from[taken] = cube[taken, :2], yaw[taken], yaw[taken]
        self._enter(taken, self.TURN)
        turned = np.abs(_wrapped(yaw - self._from)) > self._ARC
        over = turning & (np.abs(left) > self._STRAYED) & ((self._clock > self._TURNING) | turned)
        over |= holding & (np.abs(left) > self._STRAYED) & (self._clock > 2)
        self._last[over] = carried[over]
        self._last[over, 0] = self._in_palm(sensors, sensors["tip_pos"][:, 0])[over]
        self._again |= over
        self._enter(over, self.LET_GO)
        self._enter(turning & ~over & (np.abs(left) < self._DONE) & (self._clock > 2), self.HOLD)
        self._enter(leaving & (self._clock > self._LEAVING), self.TAKE)
        return joints_wanted

    def _around(self, cube: Array, yaw: Array, half: Array, near: Array, thumb: Array) -> Array:
        """Goals (n, 5, 3) of the tips at the cube's outline, `near` (n,) [m] off its faces."""
        count = len(yaw)
        turn = _wrapped(yaw * 4) / 4  # of the nearest face
        reach = half * (np.abs(np.cos(turn)) + np.abs(np.sin(turn))) - self._EDGE
        lanes = np.concatenate([thumb[:, None], np.tile(self._LANES, (count, 1))], axis=1)
        lanes = np.clip(lanes, (cube[:, 1] - reach)[:, None], (cube[:, 1] + reach)[:, None])
        goal = np.zeros((count, 5, 3))
        for tip in range(5):
            side = -1.0 if tip == 0 else 1.0
            x, normal = _face(cube, yaw, half, lanes[:, tip], side)
            off = self._radius[tip] + near
            goal[:, tip, 0] = x + normal[:, 0] * off
            # Beside a slanted face the fingers, close together, give way by less than the thumb.
            goal[:, tip, 1] = lanes[:, tip] + normal[:, 1] * off * (1.0 if tip == 0 else 0.7)
            goal[:, tip, 2] = self._HEIGHTS[tip]
        return goal


def _face(cube: Array, yaw: Array, half: Array, lane: Array, side: float) -> tuple[Array, Array]:
    """Where (n,) a square's outline is met along X in a lane y (n,), from +X or -X, and the normal (n, 2) there."""
    best, normal = np.full(len(yaw), np.inf), np.zeros((len(yaw), 2))
    for quarter in range(4):
        c, s = np.cos(yaw + quarter * np.pi / 2), np.sin(yaw + quarter * np.pi / 2)
        facing = side * c > 1e-3
        x = side * (half - (lane - cube[:, 1]) * s) / np.where(facing, c, 1.0)
        better = facing & (x < best)
        best = np.where(better, x, best)
        normal[better] = np.stack([c, s], axis=1)[better]
    return cube[:, 0] + side * best, normal


def _placed(points: Array, center: Array, yaw: Array) -> Array:
    """Points (n, 5, 3) of a frame at `center` (n, 2), turned by `yaw` (n,), in the palm's frame."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x, y = points[:, :, 0], points[:, :, 1]
    return np.stack([center[:, :1] + c * x - s * y, center[:, 1:] + s * x + c * y, points[:, :, 2]], axis=2)


def _seen_from(points: Array, center: Array, yaw: Array) -> Array:
    """The inverse of `_placed`."""
    c, s = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    x, y = points[:, :, 0] - center[:, :1], points[:, :, 1] - center[:, 1:]
    return np.stack([c * x + s * y, -s * x + c * y, points[:, :, 2]], axis=2)


def _wrapped(angle: Array) -> Array:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)
