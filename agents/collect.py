"""Collects episodes with a policy, many worlds at once; what episode i holds depends on nothing but its number.

Every world plays whole episodes and takes the next number when it is done. Whatever is random (the start, random
actions, noise) is drawn from the stream of its episode, so that one world and eight collect the same.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from .. import __version__
from ..envs import WorldVectorEnv
from ..errors import TaskError
from ..world_models.trajectories import Origin, Trajectory
from .experts import make_expert
from .states import flatten_state, state_layout

Array = NDArray[Any]
Policy = Literal["expert", "random"] | Callable[[Any, NDArray[np.bool_]], Array]
"""A scripted expert, uniformly random actions, or a function of the batch of observations and of a mask (num_envs,)
of the worlds whose episode begins, that gives actions (num_envs, A) in [-1, 1]."""

_ACTIONS, _NOISE = 1, 2  # streams of an episode; the environment draws its start from a third


@dataclass(frozen=True)
class Source:
    """What to collect from.

    Attributes:
        env_id: "PocketWorlds/...". policy: see `Policy`. keywords: of `gym.make_vec`; plain JSON, so that they can be
            stored with the data.
        seed: of all episodes. noise: standard deviation of what is added to the policy's actions, which are in [-1, 1]:
            the data then shows how to get back on the way (Laskey et al., DART, CoRL 2017). What is recorded is
            what was executed. states: record the full state at each step, for exact replay from anywhere.
        policy_name: what a function is called in the data set.
    """

    env_id: str
    policy: Policy = "expert"
    keywords: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    noise: float = 0.0
    states: bool = True
    policy_name: str = ""

    def __post_init__(self) -> None:
        """Checks what `gym.make_vec` would not.

        Raises:
            TaskError: an unknown id, a keyword that cannot be stored, or a number out of range.
        """
        known = [name for name in gym.registry if name.startswith("PocketWorlds/")]
        if self.env_id not in known:
            close = difflib.get_close_matches(self.env_id, known, n=1, cutoff=0.3)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise TaskError(f"{self.env_id!r} is not an environment of this package{hint}; there are {known}")
        if not 0 <= self.noise <= 1:
            raise TaskError(f"noise must be from 0 to 1, got {self.noise!r}")
        if self.seed < 0:
            raise TaskError(f"seed must not be negative, got {self.seed}")
        if not callable(self.policy) and self.policy not in ("expert", "random"):
            raise TaskError(f"policy={self.policy!r} is not known; choose 'expert', 'random' or a function")
        object.__setattr__(self, "keywords", {name: _plain(name, value) for name, value in self.keywords.items()})

    @property
    def title(self) -> str:
        """The policy in words."""
        name = self.policy_name or (self.policy if isinstance(self.policy, str) else "custom")
        return f"{name} with noise {self.noise:g}" if self.noise else name


def collect(
    source: Source, indices: Iterator[int], *, num_envs: int = 8, skip: Set[int] = frozenset()
) -> Iterator[tuple[int, Trajectory]]:
    """Plays the episodes of the given numbers; gives each as it ends, so not always in their order.

    Args:
        source: environment and policy. indices: numbers of the episodes to play; taken when a world is free.
        num_envs: worlds at once; changes the speed and nothing else. skip: numbers to pass over.

    Raises:
        TaskError: a keyword makes no sense, or the policy does not fit the environment.
    """
    todo = (index for index in indices if index not in skip)
    first = next(todo, None)
    if first is None:
        return
    env = make_vec(source, num_envs)
    try:
        yield from _Collection(env, source).run(first, todo)
    finally:
        env.close()


def make_vec(source: Source, num_envs: int) -> WorldVectorEnv:
    """The batch of worlds to collect with.

    Raises:
        TaskError: see `WorldVectorEnv`; or episodes would never end.
    """
    if num_envs < 1:
        raise TaskError(f"num_envs must be a whole number from 1, got {num_envs}")
    try:
        env = gym.make_vec(
            source.env_id, num_envs=num_envs, autoreset_mode=AutoresetMode.DISABLED, **dict(source.keywords)
        )
    except TypeError as error:
        raise TaskError(f"keywords {sorted(source.keywords)} do not suit {source.env_id}: {error}") from error
    assert isinstance(env, WorldVectorEnv)
    if env.max_episode_steps is None:
        env.close()
        raise TaskError("max_episode_steps=None: episodes must end to be collected; give a number of steps")
    return env


class _Collection:
    """Buffers of what the worlds have seen in their current episodes: row j is world j, column t its step t."""

    def __init__(self, env: WorldVectorEnv, source: Source) -> None:
        self._env, self._source = env, source
        self._steps = int(env.max_episode_steps or 0)
        n, steps, actions = env.num_envs, self._steps, int(np.prod(env.single_action_space.shape or ()))
        self._rows = np.arange(n)
        self._number = np.full(n, -1)  # of the episode a world plays; -1: one that nobody asked for
        self._step = np.zeros(n, dtype=np.int64)
        self._fresh = np.ones(n, dtype=np.bool_)
        self._seen: dict[str, Array] = {}
        self._actions = np.zeros((n, steps, actions), dtype=np.float32)
        self._intended = np.zeros_like(self._actions)
        self._random = np.zeros((n, steps, actions), dtype=np.float32)
        self._noise = np.zeros((n, steps, actions))
        self._rewards = np.zeros((n, steps))
        self._flags = {name: np.zeros((n, steps), dtype=np.bool_) for name in ("terminated", "truncated", "success")}
        self._states: Array | None = None
        self._instructions: list[str] = [""] * n
        self._origin = Origin()
        self._policy = self._made_policy()

    def run(self, first: int, todo: Iterator[int]) -> Iterator[tuple[int, Trajectory]]:
        """Plays until no episode is left."""
        env = self._env
        self._begin(np.ones(env.num_envs, dtype=np.bool_), first, todo)
        while (self._number >= 0).any():
            action = self._act()
            self._actions[self._rows, self._step] = action
            self._intended[self._rows, self._step] = self._meant
            observation, reward, terminated, truncated, info = env.step(action)
            self._rewards[self._rows, self._step] = reward
            for name, values in (("terminated", terminated), ("truncated", truncated), ("success", info["is_success"])):
                self._flags[name][self._rows, self._step] = values
            self._step += 1
            self._fresh[:] = False
            self._see(observation)
            done = terminated | truncated
            if done.any():
                for j in np.flatnonzero(done & (self._number >= 0)):
                    yield int(self._number[j]), self._trajectory(int(j))
                self._begin(done, None, todo)

    def _begin(self, mask: NDArray[np.bool_], first: int | None, todo: Iterator[int]) -> None:
        """Starts the next episodes in the masked worlds; one that is not needed plays episode 0 for nobody."""
        for j in np.flatnonzero(mask):
            number = first if first is not None else next(todo, -1)
            first = None
            self._number[j] = number
            if number < 0:
                continue
            shape = self._random.shape[1:]
            if self._source.policy == "random":
                self._random[j] = self._rng(number, _ACTIONS).uniform(-1, 1, shape)
            if self._source.noise:
                self._noise[j] = self._rng(number, _NOISE).normal(0, self._source.noise, shape)
        if (self._number < 0).all():
            return
        episodes = np.maximum(self._number, 0)
        observation, info = self._env.reset(
            seed=[self._source.seed] * self._env.num_envs, options={"reset_mask": mask, "episode": episodes}
        )
        self._step[mask] = 0
        self._fresh[mask] = True
        for j in np.flatnonzero(mask):
            self._instructions[j] = str(info["instruction"][j])
        self._last = observation
        self._see(observation)

    def _rng(self, number: int, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._source.seed, spawn_key=(number, stream)))

    def _see(self, observation: Any) -> None:
        """Stores what every world sees now."""
        self._last = observation
        named = observation if isinstance(observation, dict) else {self._bare_name(): observation}
        if not self._seen:
            self._allocate(named, bare=not isinstance(observation, dict))
        for name, values in named.items():
            self._seen[name][self._rows, self._step] = values
        if self._states is not None:
            self._states[self._rows, self._step] = flatten_state(self._env.get_state())

    def _bare_name(self) -> str:
        return str(self._source.keywords.get("obs_mode", "state")).split("+", 1)[0]

    def _allocate(self, named: Mapping[str, Array], *, bare: bool) -> None:
        env, n, steps = self._env, self._env.num_envs, self._steps
        self._seen = {name: np.zeros((n, steps + 1, *v.shape[1:]), dtype=v.dtype) for name, v in named.items()}
        state = env.get_state() if self._source.states else None
        if state is not None:
            self._states = np.zeros((n, steps + 1, flatten_state(state).shape[1]))
        space = env.single_observation_space
        spaces = dict(space.spaces) if isinstance(space, gym.spaces.Dict) else {next(iter(named)): space}
        self._origin = Origin(
            env_id=self._source.env_id,
            keywords=self._source.keywords,
            max_episode_steps=env.max_episode_steps,
            control_rate=int(env.metadata["render_fps"]),
            policy=self._source.title,
            bare=bare,
            bounds={name: _bounds(box) for name, box in {**spaces, "action": env.single_action_space}.items()},
            state_layout=() if state is None else state_layout(state),
            versions=versions(),
        )

    def _made_policy(self) -> Callable[[], Array]:
        policy = self._source.policy
        if policy == "expert":
            return make_expert(self._env).act
        if policy == "random":
            return lambda: self._random[self._rows, self._step]
        assert callable(policy)
        return lambda: policy(self._last, self._fresh)

    def _act(self) -> NDArray[np.float32]:
        action = np.asarray(self._policy())
        wanted = (self._env.num_envs, self._actions.shape[2])
        if action.shape != wanted:
            raise TaskError(f"the policy must give actions {wanted}, it gave {action.shape}")
        self._meant = np.clip(action, -1, 1).astype(np.float32)
        if self._source.noise:
            action = action + self._noise[self._rows, self._step]
        clipped: NDArray[np.float32] = np.clip(action, -1, 1).astype(np.float32)
        return clipped

    def _trajectory(self, j: int) -> Trajectory:
        steps = int(self._step[j])
        flags: dict[str, Any] = {name: values[j, :steps].copy() for name, values in self._flags.items()}
        return Trajectory(
            observations={name: values[j, : steps + 1].copy() for name, values in self._seen.items()},
            actions=self._actions[j, :steps].copy(),
            intended=self._intended[j, :steps].copy() if self._source.noise else None,
            rewards=self._rewards[j, :steps].copy(),
            **flags,
            instruction=self._instructions[j],
            seed=self._source.seed,
            episode=int(self._number[j]),
            states=None if self._states is None else self._states[j, : steps + 1].copy(),
            origin=self._origin,
        )


def versions() -> dict[str, str]:
    """Of the packages that decide about exact replay."""
    return {"pocketworlds": __version__, "mujoco": importlib.metadata.version("mujoco")}


def _plain(name: str, value: Any) -> Any:
    """A keyword as plain JSON."""
    if isinstance(value, Path):
        return str(value)
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError):
        raise TaskError(
            f"keyword {name!r} cannot be stored with the data ({type(value).__name__}); "
            "give text, numbers and lists (a scene: save it and give its folder)"
        ) from None


def _bounds(space: gym.Space[Any]) -> tuple[float | None, float | None]:
    assert isinstance(space, gym.spaces.Box)
    low, high = float(space.low.min()), float(space.high.max())
    return (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
