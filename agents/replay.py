"""Plays a recorded episode again and says whether everything came out the same, bit for bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..envs import WorldEnv
from ..errors import DatasetError
from ..world_models.trajectories import Origin, Trajectory
from .states import flatten_state, restore_state


@dataclass(frozen=True)
class Replay:
    """What came of playing an episode again.

    Attributes:
        steps: how many were played. differing: by name (observations, `reward`, `terminated`, `truncated`,
            `success`, `states`), the first step at which it differed; empty if all is the same.
        skipped: names of observations that were not compared, as a lossy video holds them.
    """

    steps: int
    differing: dict[str, int]
    skipped: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether all that was compared is bit-identical."""
        return not self.differing


def make_env(origin: Origin) -> gym.Env[Any, Any]:
    """The environment trajectories come from.

    Raises:
        DatasetError: the data set does not name one of this package. TaskError, SceneError: it cannot be made here.
    """
    if origin.env_id not in gym.registry or not origin.env_id.startswith("PocketWorlds/"):
        raise DatasetError(f"the trajectories come from {origin.env_id or 'an unknown environment'!r}, not from ours")
    keywords = {key: value for key, value in origin.keywords.items() if key != "max_episode_steps"}
    return gym.make(origin.env_id, max_episode_steps=origin.max_episode_steps, **keywords)


def replay(env: gym.Env[Any, Any], trajectory: Trajectory, *, start: int = 0, strict: bool = False) -> Replay:
    """Resets to the recorded episode, or to its state at step `start`, plays its actions, and compares every step.

    Args:
        env: from `make_env(trajectory.origin)`, or made with the same keywords. trajectory: ours.
        start: 0 starts from the seed, and compares the start too; any other step from the recorded state.
        strict: raise if something differs.

    Raises:
        DatasetError: the trajectory lacks its seed, or states to start from; or with `strict`, something differs.
    """
    inner = env.unwrapped
    if not isinstance(inner, WorldEnv):
        raise DatasetError(f"trajectories are replayed in environments from gym.make('PocketWorlds/...'), not {inner}")
    if trajectory.seed is None or trajectory.episode is None:
        raise DatasetError("the trajectory does not say which seed and episode it started from")
    if not 0 <= start < len(trajectory):
        raise DatasetError(f"start={start} is not a step of a trajectory of {len(trajectory)}")
    first: dict[str, int] = {}

    def compare(name: str, step: int, recorded: Any, now: Any) -> None:
        if name not in trajectory.lossy and name not in first and not _same(recorded, now):
            first[name] = step

    observation, _ = env.reset(seed=trajectory.seed, options={"episode": trajectory.episode})
    if start:
        if trajectory.states is None:
            raise DatasetError("the trajectory has no states; replay it from its start")
        layout, row = trajectory.origin.state_layout, trajectory.states[start]
        restore_state(inner.vector, row, layout, seed=trajectory.seed, episode=trajectory.episode, step=start)
    else:
        _compare_seen(compare, trajectory, 0, observation)
    step = start
    for step in range(start, len(trajectory)):
        if trajectory.states is not None and step < len(trajectory.states):
            compare("states", step, trajectory.states[step], flatten_state(inner.vector.get_state())[0])
        observation, reward, terminated, truncated, info = env.step(trajectory.actions[step])
        compare("reward", step, trajectory.rewards[step], np.float64(reward))
        compare("terminated", step, trajectory.terminated[step], np.bool_(terminated))
        compare("success", step, trajectory.success[step], np.bool_(info["is_success"]))
        if not start:  # the time limit's clock is not part of the state
            # A batch does not call an end a truncation that is a termination too; Gymnasium's TimeLimit does.
            compare("truncated", step, trajectory.truncated[step], np.bool_(truncated and not terminated))
        if step + 1 < trajectory.num_observations:
            _compare_seen(compare, trajectory, step + 1, observation)
        if (terminated or truncated) and step + 1 < len(trajectory):
            first.setdefault("truncated" if truncated else "terminated", step)
            break
    result = Replay(step + 1 - start, first, tuple(sorted(trajectory.lossy)))
    if strict and first:
        name, where = min(first.items(), key=lambda item: item[1])
        made = ", ".join(f"{package} {version}" for package, version in trajectory.origin.versions.items())
        raise DatasetError(
            f"episode {trajectory.episode} does not come out the same: {name} differs at step {where} (recorded with "
            f"{made or 'unknown versions'}); install those versions, or record it again"
        )
    return result


def _compare_seen(compare: Any, trajectory: Trajectory, step: int, observation: Any) -> None:
    for name, values in trajectory.observations.items():
        compare(name, step, values[step], observation if trajectory.origin.bare else observation[name])


def _same(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and _bytes(a) == _bytes(b)


def _bytes(values: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(values).tobytes()
