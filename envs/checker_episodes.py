"""The checker's rules about whole episodes: seeds, batches against single environments, states."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode

from .checker_play import AnyVectorEnv, Step, autoreset_mode, differing_worlds, go_on, play, rows, same, unlike
from .checker_report import Session

_PURE = "Draw all randomness of a world from its own generator, made from its seed at reset"


def check_seeds(
    session: Session, env: AnyVectorEnv, actions: Sequence[Any], first: Any, steps: Sequence[Step], seed: int
) -> None:
    """Plays again after other episodes; compares worlds, seeds and orders of seeds.

    Args:
        session, env, actions: as everywhere. first, steps: what `play(env, actions, seed=seed)` gave before.
        seed: that seed.
    """
    rule = "seeds"
    if not session.wants(rule):
        return
    space = env.observation_space
    other, _ = play(env, actions[: max(1, len(actions) // 3)], seed=seed + 1000)
    again, repeated = play(env, actions, seed=seed)
    differ = unlike(space, first, again, session.tolerance)
    if differ:
        session.fail(rule, f"reset(seed={seed}) after other episodes starts differently", _PURE, differ)
    for k, (a, b) in enumerate(zip(steps, repeated, strict=True)):
        found = differing_worlds(env, a, b, session.tolerance)
        if found:
            name, worlds = next(iter(found.items()))
            session.fail(
                rule,
                f"the same seed and actions after other episodes gave another {name} at step {k}",
                _PURE + "; restore all state at reset, not positions and velocities only",
                worlds,
            )
    fresh, _ = env.reset()
    if not unlike(space, first, other):
        session.warn(f"[{rule}] seeds {seed} and {seed + 1000} start alike: the seed seems to have no effect")
    else:
        if not unlike(space, first, fresh):
            session.warn(f"[{rule}] reset() without a seed starts the seeded episode again; go on to the next one")
        entries = rows(space, first)
        twins = [j for j in range(1, env.num_envs) if same(entries[0], entries[j])]
        if len(twins) == env.num_envs - 1 and twins:
            session.fail(
                rule, "all worlds start alike under one seed", "Give world j the seed s + j, as Gymnasium does", twins
            )
    _check_seed_lists(session, env, first, seed)
    session.held(rule)


def _check_seed_lists(session: Session, env: AnyVectorEnv, first: Any, seed: int) -> None:
    """A list of seeds gives each world its own, whichever its place."""
    rule, space = "seeds", env.observation_space
    seeds = [seed + j for j in range(env.num_envs)]
    try:
        ordered = deepcopy(env.reset(seed=seeds)[0])  # type: ignore[arg-type]
    except Exception as error:
        session.warn(f"[{rule}] reset(seed=[...]) raised {error!r}; Gymnasium's vector environments take one a world")
        return
    if unlike(space, first, ordered, session.tolerance):
        session.warn(f"[{rule}] reset(seed=s) is not reset(seed=[s, s + 1, ...]), as in Gymnasium's own")
    reverse = deepcopy(env.reset(seed=seeds[::-1])[0])  # type: ignore[arg-type]
    expected, found = rows(space, ordered), rows(space, reverse)[::-1]
    wrong = [j for j in range(env.num_envs) if not same(expected[j], found[j], session.tolerance)]
    if wrong:
        session.fail(rule, "a seed in a list starts another episode in another world", _PURE, wrong)


def check_batch_of_one(
    session: Session,
    one: AnyVectorEnv,
    env: AnyVectorEnv,
    actions: Sequence[Any],
    steps: Sequence[Step],
    seed: int,
    stagger: bool,
) -> None:
    """World j of a batch against a batch of one world with seed + j: the number of worlds does not matter."""
    rule = "batch"
    if not session.wants(rule):
        return
    for j in (0, env.num_envs - 1):
        mine = [_narrow(env.action_space, action, j, one.action_space) for action in actions]
        _, alone = play(one, mine, seed=seed + j, stagger=stagger and j == 0)
        for k, (a, b) in enumerate(zip(steps, alone, strict=True)):
            entry = rows(env.observation_space, a.observation)[j], a.reward[j], a.terminated[j], a.truncated[j]
            single = rows(one.observation_space, b.observation)[0], b.reward[0], b.terminated[0], b.truncated[0]
            if not same(entry, single, session.tolerance):
                session.fail(
                    rule,
                    f"step {k} in a batch of {env.num_envs} differs from the same in a batch of one (seed {seed + j})",
                    _PURE + "; nothing may depend on the number of worlds",
                    [j],
                )
    session.held(rule)


def _narrow(space: gym.Space[Any], batch: Any, j: int, one: gym.Space[Any]) -> Any:
    """World j's entry of a batch as a batch of one."""
    if isinstance(space, gym.spaces.Dict) and isinstance(one, gym.spaces.Dict):
        return {name: _narrow(part, batch[name], j, one[name]) for name, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple) and isinstance(one, gym.spaces.Tuple) and space.shape is None:
        return tuple(_narrow(a, b, j, c) for a, b, c in zip(space.spaces, batch, one.spaces, strict=True))
    return deepcopy(batch[j : j + 1])


def check_singles(
    session: Session,
    single: gym.Env[Any, Any],
    env: AnyVectorEnv,
    actions: Sequence[Any],
    first: Any,
    steps: Sequence[Step],
    seed: int,
    stagger: bool,
) -> None:
    """Every world against a single environment with seed + j, reset as the autoreset mode says."""
    rule = "batch"
    if not session.wants(rule):
        return
    fix = "Make world j after reset(seed=s) run what the single environment runs after reset(seed=s + j)"
    for j in range(env.num_envs):
        begun, _ = single.reset(seed=seed + j)
        if not same(rows(env.observation_space, first)[j], begun, session.tolerance):
            session.fail(rule, f"the single environment starts differently under the same seed {seed + j}", fix, [j])
        mine = [rows(env.action_space, action)[j] for action in actions]
        alone = _alone(single, mine, autoreset_mode(env), stagger and j == 0)
        for k, (step, expected) in enumerate(zip(steps, alone, strict=True)):
            for (name, value), found in zip(expected.items(), _entry(env, step, j), strict=True):
                if not same(value, found, session.tolerance):
                    session.fail(
                        rule, f"{name} of step {k} differs from the single environment's (seed {seed + j})", fix, [j]
                    )
    session.held(rule)


def _entry(env: AnyVectorEnv, step: Step, j: int) -> tuple[Any, ...]:
    """World j's part of a step, as `_alone` gives it."""
    info = step.info if isinstance(step.info, dict) else {}
    final = info["final_obs"][j] if step.done[j] and "final_obs" in info else None
    observation, first = (rows(env.observation_space, batch)[j] for batch in (step.observation, step.first))
    return observation, step.reward[j], step.terminated[j], step.truncated[j], final, first


def _alone(env: gym.Env[Any, Any], actions: Sequence[Any], mode: AutoresetMode, stagger: bool) -> list[dict[str, Any]]:
    """What a world of a vector environment should return, from a single environment."""
    found: list[dict[str, Any]] = []
    pending = False
    for action in actions:
        final, reward, terminated, truncated = None, 0.0, False, False
        if pending:
            observation, _ = env.reset()
        else:
            observation, paid, terminated, truncated, _ = env.step(deepcopy(action))
            reward = float(paid)
        done = terminated or truncated
        if mode is AutoresetMode.SAME_STEP and done:
            final = deepcopy(observation)
            observation, _ = env.reset()
        asked = (mode is AutoresetMode.DISABLED and done) or (stagger and not found)
        pending = mode is AutoresetMode.NEXT_STEP and done and not asked
        observation = deepcopy(observation)
        found.append(
            {
                "observation": observation,
                "reward": reward,
                "terminated": bool(terminated),
                "truncated": bool(truncated),
                "final_obs": final,
                "first observation": deepcopy(env.reset()[0]) if asked else observation,
            }
        )
    return found


def check_state(
    session: Session, env: AnyVectorEnv, actions: Sequence[Any], steps: Sequence[Step], seed: int, stagger: bool
) -> None:
    """`get_state` and `set_state`, where the environment has them, right after the end of an episode."""
    rule = "state"
    base: Any = env if hasattr(env, "get_state") else env.unwrapped
    if not session.wants(rule):
        return
    if not (hasattr(base, "get_state") and hasattr(base, "set_state")):
        session.cannot(rule, "the environment has no get_state and set_state")
        return
    half = next((k + 1 for k, step in enumerate(steps[:-2]) if step.done.any()), len(actions) // 2)
    play(env, actions[:half], seed=seed, stagger=stagger)
    kept = base.get_state()
    expected = go_on(env, actions[half:])
    play(env, actions[:3], seed=seed + 77)
    base.set_state(kept)
    for k, (a, b) in enumerate(zip(expected, go_on(env, actions[half:]), strict=True)):
        found = differing_worlds(env, a, b, session.tolerance)
        if found:
            name, worlds = next(iter(found.items()))
            session.fail(
                rule,
                f"{name} {k + 1} steps after set_state(get_state()) differs",
                "Keep copies of everything: simulator, controller, counters, random numbers, what is about to reset",
                worlds,
            )
    session.held(rule)
