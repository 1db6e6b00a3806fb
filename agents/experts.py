"""Scripted experts: solve Lift and Push from the simulator's sensors, for all worlds of a batch at once.

They act through `ee_delta` like any policy, and see what a task sees: sensors and the task's own plan of where an
object can be taken or pushed. They carry a phase and a clock a world, and start over when an episode begins.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..envs import WorldEnv, WorldVectorEnv, rotations
from ..envs.control import POSITION_STEP, ROTATION_STEP
from ..envs.grasps import APPROACH, grasp_frame
from ..envs.pushes import STANDOFF, push_frame
from ..envs.tasks import Lift, Push
from ..errors import TaskError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_GAIN = 0.35  # share of the pose error commanded per step: the arm answers about two steps late
_SAFE = 0.07  # height [m] of the fingers above everything in reach while travelling
_NEAR = 0.03  # horizontal distance [m] within which the hand comes down


class Expert:
    """Base: phases, clocks, and the way from a wanted pose to an action."""

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """Takes a (wrapped) environment of this package.

        Raises:
            TaskError: it is not one, or its control mode is not `ee_delta`.
        """
        inner = env.unwrapped
        if not isinstance(inner, (WorldEnv, WorldVectorEnv)):
            raise TaskError(f"the scripted experts act in PocketWorlds environments, not in {inner}")
        self._single = isinstance(inner, WorldEnv)
        self._env: WorldVectorEnv = inner.vector if isinstance(inner, WorldEnv) else inner
        if self._env.config.control_mode != "ee_delta":
            raise TaskError(f"the scripted experts need control_mode='ee_delta', not {self._env.config.control_mode!r}")
        world = self._env.world
        self._base = world.base_mat
        tops = [world.outlines[name].high for name in world.mount.in_reach]
        home = world.base_pos[2] + 0.45
        self._safe = min(max(tops) + _SAFE, max(home, world.base_pos[2] + 0.2))
        self.phase = np.zeros(self._env.num_envs, dtype=np.int64)
        self._clock = np.zeros(self._env.num_envs, dtype=np.int64)
        self._lowest = world.robot.grip_control

    def act(self) -> NDArray[np.float32]:
        """The next action: (7,) for a single environment, (num_envs, 7) for a batch, in [-1, 1]."""
        fresh = self._env.elapsed == 0
        self.phase[fresh] = 0
        self._clock[fresh] = 0
        self._clock += 1
        action = np.clip(self._decide(), -1, 1).astype(np.float32)
        return action[0] if self._single else action

    def _decide(self) -> Array:
        raise NotImplementedError

    def _enter(self, mask: Mask, phase: int) -> None:
        self.phase[mask] = phase
        self._clock[mask] = 0

    def _towards(self, position: Array, frame: Array, *, speed: Array) -> tuple[Array, Array, Array]:
        """Actions (n, 6) to grip poses, at most `speed` (n,) of a full action; and the errors left [m], [rad] (n,)."""
        sensors = self._env.sensors()
        inverse = np.ascontiguousarray(self._base.T)
        apart = position - sensors["grip_pos"]
        turn = rotations.to_vector(frame @ sensors["grip_mat"].transpose(0, 2, 1))
        move = rotations.rotate(inverse, apart) * (_GAIN / POSITION_STEP)
        move *= np.minimum(1.0, speed / np.maximum(rotations.norm(move), 1e-9))[:, None]
        spin = rotations.rotate(inverse, turn) * (_GAIN / ROTATION_STEP)
        spin *= np.minimum(1.0, 1.0 / np.maximum(rotations.norm(spin), 1e-9))[:, None]
        return np.concatenate([move, spin], axis=1), rotations.norm(apart), rotations.norm(turn)

    def _detour(self, position: Array) -> Array:
        """Way points (n, 3) on the way to `position`: up, across above everything, then down."""
        grip = self._env.sensors()["grip_pos"]
        apart = position[:, :2] - grip[:, :2]
        far = np.sqrt(apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1]) > _NEAR
        low = grip[:, 2] < self._safe - 0.02
        way = position.copy()
        way[far, 2] = np.maximum(self._safe, position[far, 2])
        way[far & low, :2] = grip[far & low, :2]
        return way

    def _grip(self, opening: Array) -> Array:
        """Gripper actions (n,) for an opening [m]."""
        closed, opened = self._lowest
        return (opening / 2 - closed) / (opened - closed) * 2 - 1


class LiftExpert(Expert):
    """Above the grasp, down, close, up, hold; tries again when the object slips away."""

    ABOVE, DOWN, CLOSE, UP = range(4)

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        if not isinstance(self._env.task, Lift):
            raise TaskError(f"LiftExpert solves task='lift', not {self._env.task.name!r}")
        self._task: Lift = self._env.task
        self._held = np.zeros((self._env.num_envs, 3))
        self._frame = np.zeros((self._env.num_envs, 3, 3))

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        grip = sensors["grip_pos"]
        point, axis = task.grasp_point(sensors)
        frame = grasp_frame(axis)
        coming = self.phase <= self.DOWN
        self._frame[coming] = frame[coming]
        self._held[coming] = point[coming]
        goal = self._held.copy()
        above = self.phase == self.ABOVE
        high = point + np.array([0, 0, APPROACH * 0.6])
        goal[above] = self._detour(high)[above]
        rising = self.phase == self.UP
        goal[rising, 2] += float(task.settings["height"]) + 0.025
        speed = np.choose(self.phase, [1.0, 0.4, 0.3, 0.4])
        action, distance, angle = self._towards(goal, self._frame, speed=speed)
        opening = task.grasp_opening[task.target]
        shut = np.where(self.phase >= self.CLOSE, -1.0, self._grip(opening))

        left = rotations.norm(high - grip)
        settled = (distance < 0.003) & (angle < 0.02)
        self._enter(above & (((left < 0.004) & (angle < 0.03)) | (self._clock > 90)), self.DOWN)
        down = self.phase == self.DOWN
        self._enter(down & (self._clock > 0) & (settled | (self._clock > 30)), self.CLOSE)
        closing = (self.phase == self.CLOSE) & (self._clock > 0)
        gripped = (sensors["pad_force"] > 2.0).all(axis=1) & (self._clock >= 5)
        self._enter(closing & (gripped | (self._clock > 14)), self.UP)
        lost = rising & (self._clock > 3) & (rotations.norm(point - grip) > 0.05)
        self._enter(lost, self.ABOVE)
        return np.concatenate([action, shut[:, None]], axis=1)


class PushExpert(Expert):
    """Above a place behind the object, down, push with two fingers, stop at the goal; again when it slips."""

    ABOVE, DOWN, PUSH, REST = range(4)
    _STOP = 0.6  # share of the goal's radius at which pushing stops
    _BACK = 0.02  # the fingers then draw back so far [m]
    # A long thing turns away when it is not pushed at its centre of friction, which nobody knows: push so far [m] to
    # the side for each radian it has turned.
    _STEER = 0.12
    _LONG = 1.25

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        if not isinstance(self._env.task, Push):
            raise TaskError(f"PushExpert solves task='push', not {self._env.task.name!r}")
        self._task: Push = self._env.task
        world, count = self._env.world, len(self._env.world.objects)
        self._height, self._lean, self._opening, self._bottom = (np.zeros(count) for _ in range(4))
        self._half, self._sides = np.zeros((count, 2)), np.zeros((count, 2, 3))
        for index, name in enumerate(world.objects):
            plan = self._task.plans.get(name)
            if plan is None:
                continue
            self._height[index], self._lean[index] = plan.height, plan.lean
            self._opening[index], self._bottom[index] = plan.opening, plan.bottom
            self._half[index] = plan.outline.half
            scanned = rotations.from_quaternion(world.home_qpos[world.object_qpos[index, 3:]])
            self._sides[index] = np.c_[plan.outline.axes, [0, 0]] @ scanned
        self._way = np.tile([1.0, 0.0], (self._env.num_envs, 1))
        self._rest = np.zeros((self._env.num_envs, 3))
        self._heading = np.zeros(self._env.num_envs)
        self._radius = float(self._task.settings["radius"])

    def _decide(self) -> Array:
        sensors, task = self._env.sensors(), self._task
        grip, position, target = sensors["grip_pos"], task.object_pos(sensors), task.target
        apart = (task.goal - position)[:, :2]
        left = np.hypot(apart[:, 0], apart[:, 1])
        way = apart / np.maximum(left, 1e-6)[:, None]
        # Close to the goal the direction says little: keep the last one.
        turning = (self.phase <= self.DOWN) | (left > 0.03)
        self._way[turning] = way[turning]
        way = self._way
        matrix = rotations.from_quaternion(sensors["object_quat"][np.arange(len(target)), target])
        sides = np.stack([rotations.rotate(matrix, self._sides[target, k]) for k in (0, 1)], axis=1)[:, :, :2]
        reach = (np.abs((sides * way[:, None]).sum(axis=2)) * self._half[target]).sum(axis=1)
        low = position[:, 2] - self._bottom[target] + self._height[target]
        behind = np.concatenate([position[:, :2] - way * (reach + STANDOFF)[:, None], low[:, None]], axis=1)
        frame = push_frame(way, self._lean[target])
        above, down, pushing = (self.phase == p for p in (self.ABOVE, self.DOWN, self.PUSH))

        goal = behind.copy()
        high = behind + np.array([0, 0, 0.08])
        goal[above] = self._detour(high)[above]
        # Pushing: stay on the line through the object, a little ahead of where the fingers are.
        relative = (grip - position)[:, :2]
        along = (relative * way).sum(axis=1)
        aside = relative - along[:, None] * way
        heading = np.arctan2(sides[:, 0, 1], sides[:, 0, 0])
        self._heading[~pushing] = heading[~pushing]
        turned = (heading - self._heading[:] + np.pi) % (2 * np.pi) - np.pi
        long = self._half[target, 0] > self._LONG * self._half[target, 1]
        across = np.stack([-way[:, 1], way[:, 0]], axis=1)
        width = (np.abs((sides * across[:, None]).sum(axis=2)) * self._half[target]).sum(axis=1)
        steer = np.clip(np.where(long, self._STEER * turned, 0.0), -0.5 * width, 0.5 * width)
        aside = aside - steer[:, None] * across
        ahead = np.clip(left * 0.5, 0.010, 0.018)[:, None] * way
        goal[pushing, :2] = (grip[:, :2] + ahead - 0.6 * aside)[pushing]
        resting = self.phase == self.REST
        goal[resting] = self._rest[resting]
        speed = np.choose(self.phase, [1.0, 0.4, 0.3, 0.3])
        action, distance, angle = self._towards(goal, frame, speed=speed)

        arrived = rotations.norm(high - grip) < 0.012
        self._enter(above & ((arrived & (angle < 0.08)) | (self._clock > 90)), self.DOWN)
        self._enter(down & ((distance < 0.006) | (self._clock > 30)), self.PUSH)
        slipped = (np.hypot(aside[:, 0], aside[:, 1]) > np.maximum(0.035, 0.7 * reach)) | (along > -0.2 * reach)
        self._enter(pushing & slipped, self.ABOVE)
        there = pushing & (left < self._STOP * self._radius)
        self._rest[there] = (grip - np.concatenate([way * self._BACK, np.zeros((len(way), 1))], axis=1))[there]
        self._enter(there, self.REST)
        self._enter(resting & (left > self._radius), self.ABOVE)
        return np.concatenate([action, self._grip(self._opening[target])[:, None]], axis=1)


def make_expert(env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> Expert:
    """The scripted expert for an environment's task.

    Raises:
        TaskError: see `Expert`.
    """
    inner = env.unwrapped
    task = getattr(getattr(inner, "vector", inner), "task", None)
    return PushExpert(env) if isinstance(task, Push) else LiftExpert(env)
