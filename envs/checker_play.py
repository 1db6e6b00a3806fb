"""Playing a vector environment for the checker: actions for every world, steps kept, values compared world by world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import iterate
from numpy.typing import NDArray

AnyVectorEnv = VectorEnv[Any, Any, Any]
Flags = NDArray[np.bool_]
Watcher = Callable[[Any, Any, tuple[Any, ...]], None]
"""Called after every step with the action, the copy of it that was given, and what came back."""


@dataclass(frozen=True)
class Step:
    """What one step returned, copied, and what the next action would be based on.

    Attributes:
        observation, reward, terminated, truncated, info: as returned.
        asked: worlds (num_envs,) reset afterwards by the caller, through `reset_mask`.
        first: the observation after that reset, else the same as `observation`.
    """

    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: dict[str, Any]
    asked: Flags
    first: Any

    @property
    def done(self) -> Flags:
        """Where an episode ended (num_envs,)."""
        return np.asarray(self.terminated | self.truncated, dtype=np.bool_)

    @property
    def pending(self) -> Flags:
        """Where it ended and the next step has to reset, in next-step mode."""
        return self.done & ~self.asked


def sample_actions(env: AnyVectorEnv, steps: int, seed: int) -> list[Any]:
    """Random batches of actions, the same for the same seed."""
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(steps)]


def autoreset_mode(env: AnyVectorEnv) -> AutoresetMode:
    """The mode an environment declares; next step where it declares none."""
    found = env.metadata.get("autoreset_mode", AutoresetMode.NEXT_STEP)
    return found if isinstance(found, AutoresetMode) else AutoresetMode.NEXT_STEP


def play(
    env: AnyVectorEnv,
    actions: Sequence[Any],
    *,
    seed: int | Sequence[int] | None,
    stagger: bool = False,
    watch: Watcher | None = None,
) -> tuple[Any, list[Step]]:
    """Resets with `seed` and steps through `actions`, resetting ended worlds where that is the caller's part.

    Args:
        env: what to play. actions: batches of them. seed: as `reset` takes it.
        stagger: reset world 0 once more after the first step, so that worlds do not end all at once.
        watch: see `Watcher`.

    Returns:
        The first observation, and the steps.
    """
    given = None if seed is None or isinstance(seed, int) else list(seed)
    observation, _ = env.reset(seed=seed if given is None else given)  # type: ignore[arg-type]
    return deepcopy(observation), go_on(env, actions, stagger=stagger, watch=watch)


def go_on(
    env: AnyVectorEnv, actions: Sequence[Any], *, stagger: bool = False, watch: Watcher | None = None
) -> list[Step]:
    """Steps through `actions` from where `env` is; see `play`."""
    manual = autoreset_mode(env) is AutoresetMode.DISABLED
    steps: list[Step] = []
    for action in actions:
        given = deepcopy(action)
        returned = env.step(given)
        if watch is not None:
            watch(action, given, returned)
        observation, reward, terminated, truncated, info = deepcopy(returned)
        asked = np.asarray(terminated | truncated, dtype=np.bool_) & manual
        asked[0] |= stagger and not steps
        first = deepcopy(env.reset(options={"reset_mask": asked.copy()})[0]) if asked.any() else observation
        steps.append(Step(observation, reward, terminated, truncated, info, asked, first))
    return steps


def rows(space: gym.Space[Any], batch: Any) -> list[Any]:
    """The entries of a batch by world."""
    return list(iterate(space, batch))


def same(a: Any, b: Any, tolerance: float = 0.0) -> bool:
    """Whether two values are equal in structure, shape, dtype and value; NaN equals NaN."""
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and a.keys() == b.keys() and all(same(a[k], b[k], tolerance) for k in a)
    if isinstance(a, (tuple, list)):
        return (
            isinstance(b, (tuple, list))
            and len(a) == len(b)
            and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
        )
    if isinstance(a, str) or a is None:
        return bool(a == b)
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape:
        return False
    if x.dtype == object or y.dtype == object:
        return all(same(p, q, tolerance) for p, q in zip(x.ravel(), y.ravel(), strict=True))
    if x.dtype.kind not in "fc" or y.dtype.kind not in "fc":
        return bool(np.array_equal(x, y))
    if tolerance:
        return bool(np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool(np.array_equal(x, y, equal_nan=True))


def unlike(space: gym.Space[Any], a: Any, b: Any, tolerance: float = 0.0) -> list[int]:
    """The worlds whose entries differ between two batches."""
    pairs = zip(rows(space, a), rows(space, b), strict=True)
    return [j for j, (x, y) in enumerate(pairs) if not same(x, y, tolerance)]


def differing_worlds(env: AnyVectorEnv, a: Step, b: Step, tolerance: float = 0.0) -> dict[str, list[int]]:
    """Which worlds differ between two steps, by what differs; empty if nothing does."""
    found = {"observation": unlike(env.observation_space, a.observation, b.observation, tolerance)}
    found["first observation"] = unlike(env.observation_space, a.first, b.first, tolerance)
    for name in ("reward", "terminated", "truncated"):
        pairs = zip(getattr(a, name), getattr(b, name), strict=True)
        found[name] = [j for j, (x, y) in enumerate(pairs) if not same(x, y, tolerance)]
    return {name: worlds for name, worlds in found.items() if worlds}
