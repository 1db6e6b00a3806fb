"""The checker's rules about the ends of episodes, one for each of Gymnasium's autoreset modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium.vector.utils import concatenate, create_empty_array

from .checker_contract import check_infos, check_observations
from .checker_play import AnyVectorEnv, Flags, Step, go_on, play, rows, same, unlike
from .checker_report import Session


def check_next_step(
    session: Session, env: AnyVectorEnv, twin: AnyVectorEnv, actions: Sequence[Any], steps: Sequence[Step], seed: int
) -> None:
    """The step after the end: no reward, no flags, and the action is not looked at."""
    rule = "next-step"
    for before, after in pairwise(steps):
        if not before.done.any():
            continue
        ended = np.flatnonzero(before.done).tolist()
        paid = [j for j in ended if after.reward[j] != 0]
        if paid:
            session.fail(rule, "the step that resets gave a reward", "Return reward 0 for the worlds it resets", paid)
        again = [j for j in ended if after.done[j]]
        if again:
            session.fail(
                rule, "the step that resets ended the new episode", "Both flags are False for worlds it resets", again
            )
    others = _other_actions(twin, actions, steps, seed)
    _, changed = play(twin, others, seed=seed)
    for k, (expected, found) in enumerate(zip(steps, changed, strict=True)):
        differ = unlike(env.observation_space, expected.observation, found.observation, session.tolerance)
        if differ:
            session.fail(
                rule,
                f"another action in the step that resets changed the observation of step {k}",
                "Reset worlds that ended in the step before instead of stepping them",
                differ,
            )
    session.held(rule)


def _other_actions(env: AnyVectorEnv, actions: Sequence[Any], steps: Sequence[Step], seed: int) -> list[Any]:
    """The actions with others for the worlds that a step resets."""
    env.single_action_space.seed(seed + 1)
    changed = [deepcopy(actions[0])]
    for action, before in zip(actions[1:], steps, strict=False):
        single = rows(env.action_space, action)
        for j in np.flatnonzero(before.done):
            single[j] = env.single_action_space.sample()
        empty: Any = create_empty_array(env.single_action_space, env.num_envs)
        changed.append(concatenate(env.single_action_space, single, empty))
    return changed


def check_same_step(session: Session, env: AnyVectorEnv, steps: Sequence[Step]) -> None:
    """The ending step: final_obs and final_info with masks, and the next episode's observation."""
    rule = "same-step"
    if not session.wants(rule):
        return
    for step in steps:
        info, done = step.info if isinstance(step.info, dict) else {}, step.done
        if not done.any():
            for name in ("final_obs", "final_info"):
                if np.any(info.get(f"_{name}", False)):
                    session.fail(rule, f"infos have {name!r} in a step that ended nothing", "Set it where worlds end")
            continue
        ended = np.flatnonzero(done).tolist()
        for name in ("final_obs", "final_info"):
            if name not in info or f"_{name}" not in info:
                missing = name if name not in info else f"_{name}"
                session.fail(
                    rule,
                    f"episodes ended but infos have no {missing!r}",
                    "Put the last observation and info of worlds that end into final_obs and final_info, with masks",
                    ended,
                )
            mask = info[f"_{name}"]
            if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or not np.array_equal(mask, done):
                session.fail(
                    rule,
                    f"the mask '_{name}' is not terminated | truncated",
                    "Set it exactly where an episode ended in this step",
                    np.flatnonzero(np.asarray(mask, dtype=bool) != done) if np.shape(mask) == done.shape else (),
                )
        _final_observations(session, env, step, ended)
        if not isinstance(info["final_info"], Mapping):
            session.fail(
                rule,
                f"final_info is a {type(info['final_info']).__name__}",
                "Since Gymnasium 1.0 it is a dict of arrays with masks, like infos themselves",
            )
            continue
        check_infos(session, info["final_info"], env.num_envs, "final_info of step()")
    session.held(rule)


def _final_observations(session: Session, env: AnyVectorEnv, step: Step, ended: Any) -> None:
    rule = "same-step"
    final = step.info["final_obs"]
    if not isinstance(final, np.ndarray) or final.dtype != object or final.shape != (env.num_envs,):
        session.fail(
            rule,
            f"final_obs is a {type(final).__name__} of {getattr(final, 'dtype', None)} {np.shape(final)}",
            f"Make it an object array ({env.num_envs},) with one observation for each world that ended",
        )
        return
    outside = [j for j in ended if not env.single_observation_space.contains(final[j])]
    if outside:
        session.fail(rule, "final_obs is not in single_observation_space", "Return the last observation", outside)
    returned = rows(env.observation_space, step.observation)
    old = [j for j in ended if same(final[j], returned[j])]
    if old:
        session.fail(
            rule,
            "the observation returned at the end of an episode is the same as final_obs",
            "Return the first observation of the next episode; the last one belongs in final_obs only",
            old,
        )


def check_disabled(
    session: Session, env: AnyVectorEnv, twin: AnyVectorEnv, actions: Sequence[Any], steps: Sequence[Step], seed: int
) -> None:
    """A reset of some worlds, compared with a twin in which the others simply went on."""
    rule = "disabled"
    if not session.wants(rule):
        return
    undisturbed = next((k for k, step in enumerate(steps) if step.done.any()), len(steps))
    head = min(2, undisturbed)
    if head == 0 or env.num_envs < 2:
        session.cannot(rule, "the first step ends episodes, or there is one world only: nothing to leave untouched")
        return
    mask: Flags = np.zeros(env.num_envs, dtype=np.bool_)
    mask[0] = True
    others = np.flatnonzero(~mask).tolist()
    for one in (env, twin):
        play(one, actions[:head], seed=seed)
    given = mask.copy()
    try:
        first, info = env.reset(options={"reset_mask": given})
    except Exception as error:
        session.fail(
            rule, f"reset(options={{'reset_mask': mask}}) raised {error!r}", "Reset just the worlds of that bool array"
        )
        return
    if not np.array_equal(given, mask):
        session.fail(rule, "reset() modified the reset_mask it was given", "Copy it")
    check_observations(session, env, first, "reset() with a reset_mask")
    check_infos(session, info, env.num_envs, "reset() with a reset_mask")
    touched = [j for j in unlike(env.observation_space, first, steps[head - 1].first) if j in others]
    fix = "Touch no state, counter or random number of worlds outside of the mask"
    if touched:
        session.fail(rule, "a partial reset changed the observation of worlds outside of its mask", fix, touched)
    if 0 not in unlike(env.observation_space, first, steps[head - 1].first):
        session.fail(rule, "a partial reset did not reset a world in its mask", "Start a new episode there", [0])
    mine, theirs = go_on(env, actions[head:undisturbed]), go_on(twin, actions[head:undisturbed])
    for a, b in zip(mine, theirs, strict=True):
        for j in others:
            x, y = ((rows(env.observation_space, s.observation)[j], s.reward[j], s.done[j]) for s in (a, b))
            if not same(x, y):
                session.fail(rule, "a world outside of the mask of a partial reset went on differently", fix, [j])
        if a.done.any() or b.done.any():
            break  # from here on the worlds reset at different times
    session.held(rule)


def check_step_after_end(session: Session, env: AnyVectorEnv, actions: Sequence[Any], seed: int) -> None:
    """Disabled mode: stepping a world that ended is the caller's mistake, and should be told."""
    env.reset(seed=seed)
    for action in actions:
        _, _, terminated, truncated, _ = env.step(deepcopy(action))
        if (terminated | truncated).any():
            try:
                env.step(deepcopy(action))
            except Exception:
                return
            session.warn("[disabled] stepping a world that has ended is not refused; raise ResetNeeded")
            return
