"""The base of scripted experts: they solve tasks from the simulator's sensors, for all worlds of a batch at once.

They act through a control mode like any policy, and see what a task sees: sensors and the task's own plan of where
something can be taken or pushed. They carry a phase and a clock a world, and start over when an episode begins.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...envs import WorldEnv, WorldVectorEnv, rotations
from ...envs.control import POSITION_STEP, ROTATION_STEP
from ...envs.grasps import easy_frame, home_grip
from ...errors import TaskError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_GAIN = 0.35  # share of the pose error commanded per step: the arm answers about two steps late
_SAFE = 0.07  # height [m] of the fingers above everything in reach while travelling
_NEAR = 0.03  # horizontal distance [m] within which the hand comes down


class Expert(ABC):
    """Base: phases and clocks.

    Class attributes:
        control_mode: the one it acts through.
    """

    control_mode: ClassVar[str]

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """Takes a (wrapped) environment of this package.

        Raises:
            TaskError: it is not one, or its control mode is not the expert's.
        """
        inner = env.unwrapped
        if not isinstance(inner, (WorldEnv, WorldVectorEnv)):
            raise TaskError(f"the scripted experts act in PocketWorlds environments, not in {inner}")
        self._single = isinstance(inner, WorldEnv)
        self._env: WorldVectorEnv = inner.vector if isinstance(inner, WorldEnv) else inner
        if self._env.config.control_mode != self.control_mode:
            raise TaskError(
                f"the scripted experts of this task need control_mode={self.control_mode!r}, "
                f"not {self._env.config.control_mode!r}"
            )
        self.phase = np.zeros(self._env.num_envs, dtype=np.int64)
        self._clock = np.zeros(self._env.num_envs, dtype=np.int64)

    def act(self) -> NDArray[np.float32]:
        """The next action: (size,) for a single environment, (num_envs, size) for a batch, in [-1, 1]."""
        fresh = self._env.elapsed == 0
        self._enter(fresh, 0)
        self._begin(fresh)
        self._clock += 1
        action = np.clip(self._decide(), -1, 1).astype(np.float32)
        return action[0] if self._single else action

    def _begin(self, fresh: Mask) -> None:  # noqa: B027 - most have nothing to forget
        """Forgets what belonged to the last episode of the worlds in a mask (n,)."""

    @abstractmethod
    def _decide(self) -> Array:
        """Actions (n, size) of all worlds; moves the phases on."""

    def _enter(self, mask: Mask, phase: int) -> None:
        self.phase[mask] = phase
        self._clock[mask] = 0


class ArmExpert(Expert):
    """Base of the experts of arms: the way from a wanted pose to an action."""

    control_mode: ClassVar[str] = "ee_delta"

    def __init__(self, env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> None:
        """See `Expert`."""
        super().__init__(env)
        self._robot = self._env.world.arm
        grip, closing = home_grip(self._env.world)
        self._home_grip, self._home_closing = self._env.world.base_mat.T @ grip, self._env.world.base_mat.T @ closing

    def _towards(self, position: Array, frame: Array, *, speed: Array) -> tuple[Array, Array, Array]:
        """Actions (n, 6) to grip poses, at most `speed` (n,) of a full action; and the errors left [m], [rad] (n,)."""
        sensors = self._env.sensors()
        inverse = self._env.task.look("base_inverse")
        apart = position - sensors["grip_pos"]
        turn = rotations.to_vector(frame @ sensors["grip_mat"].transpose(0, 2, 1))
        move = rotations.rotate(inverse, apart) * (_GAIN / POSITION_STEP)
        move *= np.minimum(1.0, speed / np.maximum(rotations.norm(move), 1e-9))[:, None]
        spin = rotations.rotate(inverse, turn) * (_GAIN / ROTATION_STEP)
        spin *= np.minimum(1.0, 1.0 / np.maximum(rotations.norm(spin), 1e-9))[:, None]
        return np.concatenate([move, spin], axis=1), rotations.norm(apart), rotations.norm(turn)

    def _easy_frame(self, point: Array) -> Array:
        """Grip frames (n, 3, 3) straight down at points (n, 3) with which the arm has most room."""
        task = self._env.task
        frame = easy_frame(self._home_grip, self._home_closing, task.in_base(point))
        return np.asarray(task.look("base_inverse").transpose(0, 2, 1) @ frame)

    def _easier(self, frame: Array, point: Array) -> Array:
        """Grip frames (n, 3, 3) at points (n, 3), or these turned by half a turn, where the arm has more room so.

        Two fingers do the same either way round.
        """
        away = (frame[:, :, 1] * self._easy_frame(point)[:, :, 1]).sum(axis=1) < 0
        return np.where(away[:, None, None], rotations.half_turned(frame), frame)

    def _detour(self, position: Array) -> Array:
        """Way points (n, 3) on the way to `position`: up, across above everything, then down."""
        grip, base = self._env.sensors()["grip_pos"], self._env.task.look("base_pos")[:, 2]
        ceiling = base + max(self._robot.ceiling, 0.2)
        safe = np.minimum(self._env.task.look("top") + _SAFE, ceiling)
        apart = position[:, :2] - grip[:, :2]
        far = np.sqrt(apart[:, 0] * apart[:, 0] + apart[:, 1] * apart[:, 1]) > _NEAR
        low = grip[:, 2] < safe - 0.02
        way = position.copy()
        way[far, 2] = np.maximum(safe[far], position[far, 2])
        way[far & low, :2] = grip[far & low, :2]
        return way

    def _grip(self, opening: Array) -> Array:
        """Gripper actions (n,) for an opening [m]."""
        closed, opened = self._robot.grip_control
        return (self._robot.control_for(opening) - closed) / (opened - closed) * 2 - 1
