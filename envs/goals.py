"""Goal-conditioned observations for hindsight experience replay, as wrappers around the environments.

Observations become `Dict(observation, achieved_goal, desired_goal)` (plus pictures where asked for), and
`compute_reward(achieved, desired, info)` gives the environment's own sparse reward for any pairs of goals, so that
episodes can be relabelled with goals reached by accident (Andrychowicz et al., "Hindsight Experience Replay", 2017).

What a goal is depends on the task, always in the frame of the robot's base:

=====  ==============================================  ==============================================
task   goal                                            reached
=====  ==============================================  ==============================================
push   position (3,) of the object [m]                 horizontal distance below the task's `radius`
lift   (height [m], held) of the object, held 0 or 1   at least as high, and held if that is wanted
=====  ==============================================  ==============================================

`observation` is the state without `goal_from_object`, which would tell a relabelled transition its former goal.

Example:
    >>> import gymnasium as gym
    >>> import pocketworlds
    >>> from pocketworlds.envs.goals import GoalVectorEnv
    >>> env = GoalVectorEnv(gym.make_vec("PocketWorlds/Scan-v0", num_envs=4, task="push", reward_mode="sparse"))
    >>> observation, info = env.reset(seed=0)
    >>> observation["achieved_goal"].shape, observation["desired_goal"].shape
    ((4, 3), (4, 3))
    >>> env.compute_reward(observation["desired_goal"], observation["desired_goal"], {})
    array([1., 1., 1., 1.])
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import TaskError
from .env import WorldEnv
from .vector import WorldVectorEnv

Floats = NDArray[np.floating[Any]]
_HIDDEN = "goal_from_object"


class Goals(Protocol):
    """What a goal of one task is: computed from a state observation's parts and the infos, and when it is reached."""

    size: int

    def achieved(self, parts: Mapping[str, Floats], info: Mapping[str, Any]) -> Floats:
        """Goals (n, size) reached now."""

    def desired(self, goal: Floats) -> Floats:
        """Goals (n, size) wanted, from the task's goal positions (n, 3) in the base's frame."""

    def reached(self, achieved: Floats, desired: Floats) -> NDArray[np.bool_]:
        """Where (...,) goals (..., size) are reached."""


class PushGoals:
    """Position (3,) of the object; its height does not count."""

    size = 3

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._radius = float(settings["radius"])

    def achieved(self, parts: Mapping[str, Floats], info: Mapping[str, Any]) -> Floats:
        """See `Goals`."""
        return parts["object_pos"]

    def desired(self, goal: Floats) -> Floats:
        """See `Goals`."""
        return goal

    def reached(self, achieved: Floats, desired: Floats) -> NDArray[np.bool_]:
        """See `Goals`."""
        left = np.asarray(desired, np.float64) - achieved
        return np.asarray(np.hypot(left[..., 0], left[..., 1]) < self._radius)


class LiftGoals:
    """Height of the object, and whether it is held: between the pads and still."""

    size = 2

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._still = float(settings["still"])

    def achieved(self, parts: Mapping[str, Floats], info: Mapping[str, Any]) -> Floats:
        """See `Goals`."""
        speed = np.linalg.norm(parts["object_vel"].astype(np.float64), axis=-1)
        held = (np.asarray(info["reward/grasp"]) > 0) & (speed < self._still)
        return np.stack([parts["object_pos"][:, 2], held], axis=-1)

    def desired(self, goal: Floats) -> Floats:
        """See `Goals`."""
        return np.stack([goal[:, 2], np.ones(len(goal))], axis=-1)

    def reached(self, achieved: Floats, desired: Floats) -> NDArray[np.bool_]:
        """See `Goals`."""
        return np.asarray((np.asarray(achieved) >= np.asarray(desired)).all(axis=-1))


GOALS: dict[str, type[PushGoals] | type[LiftGoals]] = {"push": PushGoals, "lift": LiftGoals}
"""Tasks with goals, by name."""


class _Converter:
    """Turns observations of a `WorldVectorEnv` into goal-conditioned ones."""

    def __init__(self, env: WorldVectorEnv) -> None:
        config = env.config
        if config.task not in GOALS:
            raise TaskError(f"task {config.task!r} has no goals to relabel; those that have are {sorted(GOALS)}")
        if "state" not in config.observations:
            raise TaskError(
                f"goals are read from the state: make the environment with obs_mode='state+{config.obs_mode}'"
            )
        if config.reward_mode != "sparse":
            raise TaskError("relabelled rewards are sparse: make the environment with reward_mode='sparse'")
        self._env = env
        self.goals: Goals = GOALS[config.task](env.task.settings)
        self._layout = env.state_layout
        hidden = self._layout[_HIDDEN]
        single = env.single_observation_space
        self._bare = isinstance(single, gym.spaces.Box)
        state = single if isinstance(single, gym.spaces.Box) else single["state"]  # type: ignore[index]
        self._shown = np.delete(np.arange(state.shape[0]), hidden)
        goal = gym.spaces.Box(-np.inf, np.inf, (self.goals.size,), np.float32)
        rest = {} if self._bare else {k: v for k, v in single.spaces.items() if k != "state"}  # type: ignore[attr-defined]
        self.space = gym.spaces.Dict(
            {
                "observation": gym.spaces.Box(-np.inf, np.inf, (len(self._shown),), np.float32),
                "achieved_goal": goal,
                "desired_goal": goal,
                **rest,
            }
        )
        self._desired = np.zeros((env.num_envs, self.goals.size), np.float32)

    def __call__(self, observation: Any, info: Mapping[str, Any], desired: Floats | None = None) -> dict[str, Any]:
        """Converts a batch (n, ...); `desired` (n, size) by default what the running episodes want."""
        state = observation if self._bare else observation["state"]
        parts = {name: state[:, place] for name, place in self._layout.items()}
        if desired is None:
            desired = self.refresh()
        rest = {} if self._bare else {k: v for k, v in observation.items() if k != "state"}
        return {
            "observation": state[:, self._shown],
            "achieved_goal": self.goals.achieved(parts, info).astype(np.float32),
            "desired_goal": desired.copy(),
            **rest,
        }

    @property
    def before(self) -> Floats:
        """Goals (num_envs, size) that were wanted when an observation was last converted."""
        return self._desired.copy()

    def refresh(self) -> Floats:
        """Reads the goals of the running episodes from the task."""
        task = self._env.task
        self._desired = self.goals.desired(task.in_base(task.goal)).astype(np.float32)
        return self._desired

    def final(self, info: dict[str, Any], before: Floats) -> dict[str, Any]:
        """Infos with `final_obs` converted; `before` are the goals of the episodes that ended."""
        ended = np.flatnonzero(info["_final_obs"])
        final = np.full(len(info["final_obs"]), None, dtype=object)
        for j in ended:
            batch = _batched(info["final_obs"][j])
            told = {name: value[j : j + 1] for name, value in info["final_info"].items()}
            final[j] = {k: v[0] for k, v in self(batch, told, before[j : j + 1]).items()}
        return {**info, "final_obs": final}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """See `GoalVectorEnv.compute_reward`."""
        reached = self.goals.reached(np.asarray(achieved_goal), np.asarray(desired_goal))
        return reached.astype(np.float64) if reached.ndim else float(reached)


class GoalVectorEnv(gym.vector.VectorWrapper[Any, Any, Any, Any, Any]):
    """Goal-conditioned observations of a batch; see the module."""

    def __init__(self, env: VectorEnv[Any, Any, Any]) -> None:
        """Wraps an environment made by `gym.make_vec` of this package, bare or in other wrappers that keep the state.

        Raises:
            TaskError: not such an environment, no goals in its task, no state in its observations, or dense rewards.
        """
        super().__init__(env)
        self._converter = _Converter(_base(env.unwrapped, WorldVectorEnv, "gym.make_vec"))
        self.single_observation_space = self._converter.space
        self.observation_space = batch_space(self._converter.space, env.num_envs)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """See `WorldVectorEnv.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._converter(observation, info), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """See `WorldVectorEnv.step`."""
        before = self._converter.before
        observation, reward, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            info = self._converter.final(info, before)
        return self._converter(observation, info), reward, terminated, truncated, info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """The sparse reward of goals, 1 where reached and 0 elsewhere: what `step` gives, but for diverged physics (0).

        Args:
            achieved_goal, desired_goal: (..., size). info: not used; there because the interface has it.

        Returns:
            float64 (...), for a single pair a float.
        """
        return self._converter.compute_reward(achieved_goal, desired_goal, info)


class GoalEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Goal-conditioned observations of a single environment; see the module and `GoalVectorEnv`."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        """Wraps an environment made by `gym.make` of this package.

        Raises:
            TaskError: see `GoalVectorEnv`.
        """
        super().__init__(env)
        self._converter = _Converter(_base(env.unwrapped, WorldEnv, "gym.make").vector)
        self.observation_space = self._converter.space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See `WorldEnv.reset`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._convert(observation, info), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See `WorldEnv.step`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._convert(observation, info), reward, terminated, truncated, info

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """See `GoalVectorEnv.compute_reward`."""
        return self._converter.compute_reward(achieved_goal, desired_goal, info)

    def _convert(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
        batch = _batched(observation)
        told = {name: np.array([value]) for name, value in info.items()}
        return {name: value[0] for name, value in self._converter(batch, told).items()}


def _batched(observation: Any) -> Any:
    """A single observation as a batch of one."""
    if isinstance(observation, dict):
        return {name: value[None] for name, value in observation.items()}
    return observation[None]


def _base(env: Any, kind: type[Any], made_by: str) -> Any:
    if not isinstance(env, kind):
        raise TaskError(f"goals are those of PocketWorlds' own environments from {made_by}, not of {env}")
    return env
