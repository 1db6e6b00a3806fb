"""Stable-Baselines3 on a batch of worlds in one process: a `VecEnv` around any Gymnasium vector environment.

Gymnasium's `VectorEnv` and SB3's `VecEnv` differ: four things a step instead of five, a list of dicts instead of a dict
of arrays, `terminal_observation` and `TimeLimit.truncated` at the end. The adapter translates, and builds only those
dicts that SB3 reads, so that thousands of worlds stay cheap.

Example:
    >>> from stable_baselines3 import PPO
    >>> from pocketworlds.agents.sb3 import make_sb3_env
    >>> env = make_sb3_env("PocketWorlds/Scan-v0", num_envs=16, object="can")
    >>> model = PPO("MlpPolicy", env, n_steps=64, device="cpu").learn(16 * 64)
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn

from ..errors import TaskError

AnyVectorEnv = VectorEnv[Any, Any, Any]


class SB3VecEnv(VecEnv):
    """A Gymnasium vector environment in same-step autoreset mode as a `VecEnv` of Stable-Baselines3.

    Infos of a step that ends an episode have `terminal_observation`, `TimeLimit.truncated`, `episode` (return "r",
    length "l", seconds since the start "t", as `Monitor` writes them) and everything of `final_info`; infos of other
    steps have `TimeLimit.truncated` and `info_keys`. Observations, rewards and flags are the environment's own.

    A batch is one object, not one a world: `get_attr` gives the same value for every world, `env_method` calls a method
    once and gives its result to every world asked for, and `set_attr` sets it for all.
    """

    def __init__(self, env: AnyVectorEnv, *, info_keys: Sequence[str] = ("is_success",), monitor: bool = True) -> None:
        """Wraps `env`.

        Args:
            env: from `gym.make_vec(..., autoreset_mode="SameStep")`, bare or wrapped.
            info_keys: infos to hand on at every step, where the environment has them.
            monitor: whether to add `episode` to the infos of ending steps; leave it to `VecMonitor` if False.

        Raises:
            TaskError: `env` is no vector environment or not in same-step mode.
        """
        if not isinstance(env, VectorEnv):
            raise TaskError(f"SB3VecEnv takes a Gymnasium vector environment (gym.make_vec), got {env}")
        if env.metadata.get("autoreset_mode") is not AutoresetMode.SAME_STEP:
            raise TaskError(
                f"Stable-Baselines3 resets in the step that ends an episode, but the environment's mode is "
                f"{env.metadata.get('autoreset_mode')}: make it with autoreset_mode='SameStep'"
            )
        self.env = env
        self._keys = tuple(info_keys)
        self._monitor = monitor
        self._actions: Any = None
        self._returns = np.zeros(env.num_envs)
        self._lengths = np.zeros(env.num_envs, dtype=np.int64)
        self._started = time.time()
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)
        self.metadata = {**env.metadata, **self.metadata}

    # -- stepping --------------------------------------------------------------------------------------------------

    def reset(self) -> VecEnvObs:
        """Starts new episodes with the seeds of `seed` and the options of `set_options`, each used once.

        Raises:
            TaskError: worlds were given different options, which a batch cannot have.
        """
        if any(options != self._options[0] for options in self._options):
            raise TaskError("set_options: the worlds of a batch share their options; give one dict for all")
        seeds = None if all(seed is None for seed in self._seeds) else list(self._seeds)
        observations: VecEnvObs
        observations, infos = self.env.reset(seed=seeds, options=self._options[0] or None)  # type: ignore[arg-type]
        self.reset_infos = [_world(infos, j) for j in range(self.num_envs)]
        self._returns[:], self._lengths[:] = 0, 0
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[Any]) -> None:
        """Keeps the actions (num_envs, ...) for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Steps: observations, float32 rewards (num_envs,), bool dones (num_envs,), a list of infos."""
        observations, rewards, terminated, truncated, infos = self.env.step(self._actions)
        dones = np.asarray(terminated | truncated, dtype=np.bool_)
        self._returns += rewards
        self._lengths += 1
        # The keys asked for are those of the episode that the step belonged to, not of the one that follows.
        told: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        for name in self._keys:
            if name in infos:
                for info, value, given in zip(told, infos[name], infos[f"_{name}"], strict=True):
                    if given:
                        info[name] = _plain(value)
        for j in np.flatnonzero(dones).tolist():
            self.reset_infos[j] = _world(infos, j)
            told[j] = self._ended(infos, j)
            told[j]["TimeLimit.truncated"] = bool(truncated[j] and not terminated[j])
        return observations, np.asarray(rewards, dtype=np.float32), dones, told

    def close(self) -> None:
        """Closes the environment."""
        self.env.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """A picture of every world, if the environment was made with render_mode="rgb_array"."""
        if self.render_mode != "rgb_array":
            warnings.warn("pictures need render_mode='rgb_array' at make time", stacklevel=2)
            return [None] * self.num_envs
        frames = self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)  # type: ignore[arg-type]

    # -- reaching into the environment -----------------------------------------------------------------------------

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the environment or the nearest wrapper that has it, once for each world asked for."""
        value = getattr(self._owner(attr_name), attr_name)
        return [value for _ in self._chosen(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute where it is, or on the environment itself if it is nowhere yet.

        Raises:
            TaskError: only for some of the worlds.
        """
        if sorted(self._chosen(indices)) != list(range(self.num_envs)):
            raise TaskError(f"set_attr({attr_name!r}): the worlds of a batch share their attributes; leave indices out")
        try:
            owner = self._owner(attr_name)
        except AttributeError:
            owner = self.env.unwrapped
        setattr(owner, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Calls a method of the environment once and gives its result for each world asked for."""
        chosen = self._chosen(indices)
        result = getattr(self._owner(method_name), method_name)(*method_args, **kwargs)
        return [result for _ in chosen]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """Whether a wrapper of this class is around the batch; true of `Monitor` if this adapter does its work."""
        found = (self._monitor and issubclass(Monitor, wrapper_class)) or any(
            isinstance(layer, wrapper_class) for layer in self._layers()
        )
        return [found for _ in self._chosen(indices)]

    # -- inside ----------------------------------------------------------------------------------------------------

    def _ended(self, infos: Mapping[str, Any], j: int) -> dict[str, Any]:
        """The info of world j, whose episode ended."""
        info = _world(infos.get("final_info", {}), j)
        info["terminal_observation"] = infos["final_obs"][j]
        if self._monitor:
            seconds = round(time.time() - self._started, 6)
            info["episode"] = {"r": round(float(self._returns[j]), 6), "l": int(self._lengths[j]), "t": seconds}
        self._returns[j], self._lengths[j] = 0, 0
        return info

    def _layers(self) -> Iterable[AnyVectorEnv]:
        layer = self.env
        while isinstance(layer, VectorWrapper):
            yield layer
            layer = layer.env
        yield layer

    def _owner(self, name: str) -> AnyVectorEnv:
        for layer in self._layers():
            # A wrapper has all of VectorEnv's attributes; others must be its own.
            if hasattr(layer, name):
                return layer
        raise AttributeError(f"neither {self.env} nor what it wraps has an attribute {name!r}")

    def _chosen(self, indices: VecEnvIndices) -> list[int]:
        return list(self._get_indices(indices))


def make_sb3_env(
    env_id: str,
    num_envs: int = 1,
    *,
    wrapper: Callable[[AnyVectorEnv], AnyVectorEnv] | None = None,
    info_keys: Sequence[str] = ("is_success",),
    monitor: bool = True,
    **keywords: Any,
) -> SB3VecEnv:
    """`gym.make_vec` in same-step mode, as a `VecEnv`.

    Args:
        env_id: "PocketWorlds/Scan-v0" or any other id with a batch of its own that takes `autoreset_mode`.
        num_envs: number of worlds. wrapper: put around the batch, such as `GoalVectorEnv`.
        info_keys, monitor: see `SB3VecEnv`. keywords: of the environment.
    """
    env = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)
    return SB3VecEnv(env if wrapper is None else wrapper(env), info_keys=info_keys, monitor=monitor)


def _world(infos: Mapping[str, Any], j: int) -> dict[str, Any]:
    """World j's infos out of a batch's."""
    found: dict[str, Any] = {}
    for name, value in infos.items():
        if name.startswith(("_", "final_")):
            continue
        mask = infos.get(f"_{name}")
        if mask is None or mask[j]:
            found[name] = _world(value, j) if isinstance(value, Mapping) else _plain(value[j])
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
