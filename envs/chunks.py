"""Action chunks: policies that predict the next H actions at once, as wrappers around the environments.

One step of the wrapper plays a chunk of actions one after another, without looking in between (Zhao et al., "Learning
Fine-Grained Bimanual Manipulation with Low-Cost Hardware", RSS 2023, which calls this action chunking). Pictures are
drawn once a chunk. Rewards are summed, with a discount where wanted. Where an episode ends inside a chunk, its
remaining actions are left out, for that world alone; `info["chunk_steps"]` says how many were played, so that a learner
can discount what follows by `discount ** chunk_steps`.

Example:
    >>> import gymnasium as gym
    >>> import pocketworlds
    >>> from pocketworlds.envs import VectorActionChunk
    >>> env = VectorActionChunk(gym.make_vec("PocketWorlds/Lift-v0", num_envs=4, obs_mode="rgb"), 8)
    >>> env.action_space.shape
    (4, 8, 7)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> info["chunk_steps"]
    array([8, 8, 8, 8])

Other wrappers go around these, and count chunks as steps; limits of time count actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from ..errors import TaskError
from .env import WorldEnv
from .vector import WorldVectorEnv


class ActionChunk(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Plays chunks of actions (steps, action_size) in a single environment; see the module."""

    def __init__(self, env: gym.Env[Any, Any], steps: int, *, discount: float = 1.0) -> None:
        """Wraps an environment.

        Args:
            env: from `gym.make` of this package; no wrapper in it may change observations or actions.
            steps: H, the number of actions in a chunk.
            discount: rewards of a chunk are summed with weights 1, discount, discount ** 2, ...

        Raises:
            TaskError: another environment, or an argument makes no sense.
        """
        gym.utils.RecordConstructorArgs.__init__(self, steps=steps, discount=discount)
        gym.Wrapper.__init__(self, env)
        base = env.unwrapped
        if not isinstance(base, WorldEnv) or _spaces(env) != _spaces(base):
            raise TaskError(
                f"chunks are played in PocketWorlds' own environments from gym.make, not in {env}; "
                "put ActionChunk around such a one first, and wrappers that change observations or actions around it"
            )
        self._base = base
        self._steps, self._discount = _checked(steps, discount)
        self.action_space = _chunks(base.action_space, self._steps)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Plays a chunk (steps, action_size); see the module and `WorldEnv.step`.

        Raises:
            InvalidAction: wrong shape, or not finite.
        """
        chunk = np.asarray(action)
        if chunk.shape != self.action_space.shape:
            raise InvalidAction(f"a chunk must have shape {self.action_space.shape}, got {chunk.shape}")
        if not np.isfinite(chunk).all():
            raise InvalidAction("the chunk is not finite; check the policy's output")
        total = 0.0
        with self._base.vector.without_pictures():
            for number, single in enumerate(chunk):
                _, reward, terminated, truncated, info = self.env.step(single)
                total += self._discount**number * float(reward)
                if terminated or truncated:
                    break
        return self._base.observe(), total, terminated, truncated, {**info, "chunk_steps": number + 1}


class VectorActionChunk(gym.vector.VectorWrapper[Any, Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Plays chunks of actions (num_envs, steps, action_size) in a batch, in any autoreset mode; see the module.

    In `NEXT_STEP` mode a world that has ended ignores the whole chunk that follows and begins its next episode.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], steps: int, *, discount: float = 1.0) -> None:
        """Wraps an environment from `gym.make_vec` of this package, itself; see `ActionChunk`."""
        gym.utils.RecordConstructorArgs.__init__(self, steps=steps, discount=discount)
        gym.vector.VectorWrapper.__init__(self, env)
        if not isinstance(env, WorldVectorEnv):
            raise TaskError(
                f"chunks are played in PocketWorlds' own batches from gym.make_vec, not in {env}; "
                "put VectorActionChunk around such a one first, and other wrappers around it"
            )
        self._base = env
        self._steps, self._discount = _checked(steps, discount)
        self.single_action_space = _chunks(env.single_action_space, self._steps)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Plays chunks (num_envs, steps, action_size); see `WorldVectorEnv.step_chunk`."""
        if np.shape(actions) != self.action_space.shape:
            raise InvalidAction(f"chunks must have shape {self.action_space.shape}, got {np.shape(actions)}")
        return self._base.step_chunk(actions, discount=self._discount)


def _checked(steps: Any, discount: Any) -> tuple[int, float]:
    if isinstance(steps, bool) or not isinstance(steps, (int, np.integer)) or steps < 1:
        raise TaskError(f"steps of a chunk must be a whole number from 1, got {steps!r}")
    if isinstance(discount, bool) or not isinstance(discount, (int, float, np.number)) or not 0 <= discount <= 1:
        raise TaskError(f"discount must be a number from 0 to 1, got {discount!r}")
    return int(steps), float(discount)


def _chunks(space: gym.Space[Any], steps: int) -> gym.spaces.Box:
    assert isinstance(space, gym.spaces.Box)
    low, high = (np.repeat(bound[None], steps, axis=0) for bound in (space.low, space.high))
    return gym.spaces.Box(low, high, dtype=space.dtype)  # type: ignore[arg-type]


def _spaces(env: gym.Env[Any, Any]) -> tuple[gym.Space[Any], gym.Space[Any]]:
    return env.observation_space, env.action_space
