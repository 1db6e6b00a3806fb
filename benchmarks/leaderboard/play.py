"""Plays episodes of a suite's group; what comes of one depends on nothing but its number and the agent."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ...agents.agent import SENSES, Agent, Assignment, senses
from ...envs import WorldVectorEnv
from ...errors import AgentError, SuiteError
from ..suites.freeze import model_digest, scene_names
from ..suites.manifest import Group, Suite
from ..suites.sketch import WORLD_TOLERANCE, of_looks, of_starts, of_world, same
from .measures import Measures
from .results import Episode

Watch = Callable[[WorldVectorEnv], None]
"""Is shown the environment at the start and after every control step."""


@dataclass
class Stage:
    """A group's environment of n worlds, checked against the manifest.

    Attributes:
        suite, group: what is played. env: where. seconds: that every decision took.
    """

    suite: Suite
    group: Group
    env: WorldVectorEnv
    seconds: list[float] = field(default_factory=list)

    @classmethod
    def made(
        cls,
        suite: Suite,
        group: Group,
        agent: Agent,
        count: int,
        *,
        filmed: tuple[int, int] | None = None,
    ) -> Stage:
        """Makes so many worlds, as the agent wants to see them; `filmed`: (width, height) of pictures of `env.render`.

        Raises:
            SuiteError: the engine or a scene is not what the suite was frozen with. AgentError: the agent asks for
                what it may not choose.
        """
        asked = dict(senses(agent))
        unknown = sorted(set(asked) - set(SENSES))
        if unknown:
            raise AgentError(f"the agent asks for the keyword {unknown[0]!r}; it may choose {list(SENSES)}")
        if suite.mujoco != mujoco.__version__:
            raise SuiteError(
                f"{suite.name} was frozen with MuJoCo {suite.mujoco}, installed is {mujoco.__version__}, which moves "
                f"things in another way: pip install mujoco=={suite.mujoco}, or play a newer suite"
            )
        keywords = {**group.where(), **asked}
        if filmed is not None:
            keywords |= {"render_mode": "rgb_array", "render_size": filmed}
        env = gym.make_vec(
            group.env_id,
            num_envs=count,
            autoreset_mode=AutoresetMode.DISABLED,
            max_episode_steps=group.steps,
            **keywords,
        ).unwrapped
        assert isinstance(env, WorldVectorEnv)
        try:
            check_worlds(suite, group, env, looks=asked.get("obs_mode", "state") != "state")
        except BaseException:
            env.close()
            raise
        return cls(suite, group, env)

    def play(self, agent: Agent, numbers: Sequence[int], watch: Watch | None = None) -> list[Episode]:
        """Plays the episodes `numbers`, at most as many as there are worlds.

        Raises:
            SuiteError: an initial state is not what it was. AgentError: the agent's actions make no sense.
        """
        env, group = self.env, self.group
        own = list(numbers)
        filled = [*own, *([own[-1]] * (env.num_envs - len(own)))]  # worlds left over play the last one, too
        observation, info = env.reset(seed=[group.seed + k for k in filled])
        starts = of_starts(env)
        self._check_starts(own, starts)
        agent.reset(
            Assignment(
                env_id=group.env_id,
                episodes=np.asarray(filled, dtype=np.int64) + group.seed,
                instructions=list(info["instruction"]),
                action_size=env.simulator.action_size,
                control_rate=1 / env.simulator.control_period,
                state_layout=env.state_layout,
                env=env,
            )
        )
        measures, left, decisions = Measures(env), group.steps, 0
        if watch is not None:
            watch(env)
        while left:
            seen = named(observation, env, info["instruction"])
            begun = time.perf_counter()
            chunk = checked(agent.act(seen), env)[:, :left]
            self.seconds.append(time.perf_counter() - begun)
            decisions += 1
            for number in range(chunk.shape[1]):
                last = number == chunk.shape[1] - 1
                observation, info = self._step(chunk[:, number], measures, draw=last)
                if watch is not None:
                    watch(env)
            left -= chunk.shape[1]
        smooth = measures.smoothness()
        return [
            Episode(
                number=number,
                seed=group.seed + number,
                scene=group.scenes[number],
                start=starts[k],
                success=bool(measures.success[k]),
                ever=bool(measures.ever[k]),
                error=bool(measures.error[k]),
                reward=float(measures.returns[k]),
                first_success=_number(measures.first[k]),
                energy=None if measures.energy is None else float(measures.energy[k]),
                smoothness=_number(smooth[k]),
                peak_force=float(measures.force[k]),
                decisions=decisions,
            )
            for k, number in enumerate(own)
        ]

    def close(self) -> None:
        """Frees the environment."""
        self.env.close()

    def _step(self, action: NDArray[np.float32], measures: Measures, *, draw: bool) -> tuple[Any, dict[str, Any]]:
        if draw:
            observation, reward, _, _, info = self.env.step(action)
        else:
            with self.env.without_pictures():
                observation, reward, _, _, info = self.env.step(action)
        error = np.asarray(info["physics_error"], dtype=np.bool_)
        measures.follow(np.asarray(reward), np.asarray(info["is_success"], dtype=np.bool_), error)
        if error.any():
            observation, info = self.env.reset(options={"reset_mask": error})  # over; it only must not stand in the way
        return observation, info

    def _check_starts(self, numbers: Sequence[int], starts: Sequence[tuple[float, float]]) -> None:
        for number, found in zip(numbers, starts, strict=False):
            kept = self.group.starts[number]
            if not same(found, kept, self.group.tolerance):
                raise SuiteError(
                    f"{self.suite.name}, {self.group.name}: episode {number} (seed {self.group.seed + number}) does "
                    f"not begin as it did when the suite was frozen (its sketch is {found}, was {tuple(kept)}): an "
                    "object's pose, a joint or the task's draw has changed; results would not compare. Install the "
                    "version of PocketWorlds that the suite came with"
                )


def check_worlds(suite: Suite, group: Group, env: WorldVectorEnv, *, looks: bool) -> None:
    """Compares the scenes of an environment with the manifest; what they look like only if that is seen.

    Raises:
        SuiteError: they differ; the message says in which scene and in what.
    """
    if group.model != model_digest(env):
        raise SuiteError(
            f"{suite.name}, {group.name}: the neural simulator is another file than when the suite was frozen; results "
            "would not compare. Install the version of PocketWorlds that the suite came with"
        )
    names = scene_names(env)
    if set(names) != set(group.worlds):
        other = sorted(set(names) ^ set(group.worlds))
        raise SuiteError(f"{suite.name}, {group.name}: other scenes than when it was frozen, {other[0]!r} among them")
    for name, world in zip(names, env.worlds, strict=True):
        found, kept = of_world(world), group.worlds[name]
        changed = [part for part in kept if part not in found or not same(found[part], kept[part], WORLD_TOLERANCE)]
        if looks and not same(of_looks(world), group.looks[name], WORLD_TOLERANCE):
            changed.append("looks")
        if changed:
            raise SuiteError(
                f"{suite.name}, {group.name}: scene {name!r} is not what it was when the suite was frozen: its "
                f"{' and '.join(changed)} changed; results would not compare. Install the version of PocketWorlds that "
                "the suite came with"
            )


def named(observation: Any, env: WorldVectorEnv, instructions: Sequence[str]) -> dict[str, Any]:
    """What an agent sees: observations by name, and what is asked for."""
    if not isinstance(observation, Mapping):
        (name,) = env.config.observations
        observation = {name: observation}
    return {**observation, "instruction": list(instructions)}


def checked(action: Any, env: WorldVectorEnv) -> NDArray[np.float32]:
    """Chunks (n, H, A) of what an agent said.

    Raises:
        AgentError: it has another shape, or numbers that are not finite.
    """
    size, count = env.simulator.action_size, env.num_envs
    try:
        found = np.asarray(action, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise AgentError(f"the agent's actions are no numbers: {error}") from error
    if found.ndim == 2:
        found = found[:, None]
    if found.ndim != 3 or found.shape[::2] != (count, size) or not found.shape[1]:
        raise AgentError(
            f"the agent gave actions of shape {np.shape(action)}; wanted are ({count}, {size}), or chunks "
            f"({count}, H, {size}) with H >= 1"
        )
    if not np.isfinite(found).all():
        raise AgentError("the agent gave actions that are not finite")
    return found


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
