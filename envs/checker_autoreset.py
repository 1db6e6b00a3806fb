"""The checker's rules about the ends of episodes, one for each of Gymnasium's autoreset modes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import concatenate, create_empty_array

from .checker_contract import check_infos, check_observations
from .checker_play import AnyVectorEnv, Flags, Step, autoreset_mode, go_on, play, rows, same, unlike
from .checker_report import Session, VectorEnvError


def check_next_step(
    session: Session,
    env: AnyVectorEnv,
    twin: AnyVectorEnv,
    actions: Sequence[Any],
    steps: Sequence[Step],
    seed: int,
    stagger: bool,
) -> None:
    """The step after the end: no reward, no flags, and the action is not looked at."""
    rule = "next-step"
    for before, after in pairwise(steps):
        ended = np.flatnonzero(before.pending).tolist()
        paid = [j for j in ended if after.reward[j] != 0]
        if paid:
            session.fail(rule, "the step that resets gave a reward", "Return reward 0 for the worlds it resets", paid)
        again = [j for j in ended if after.done[j]]
        if again:
            session.fail(
                rule, "the step that resets ended the new episode", "Both flags are False for worlds it resets", again
            )
    others = _other_actions(twin, actions, steps, seed)
    _, changed = play(twin, others, seed=seed, stagger=stagger)
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
        for j in np.flatnonzero(before.pending):
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


def check_partial_reset(
    session: Session, env: AnyVectorEnv, twin: AnyVectorEnv, actions: Sequence[Any], steps: Sequence[Step], seed: int
) -> bool:
    """A reset of world 0 alone, compared with a twin in which it did not happen.

    In disabled mode what is wrong is an error; in the others a partial reset is nothing that must be offered.

    Returns:
        Whether partial resets work.
    """
    rule = "disabled"
    strict = autoreset_mode(env) is AutoresetMode.DISABLED
    undisturbed = next((k for k, step in enumerate(steps) if step.done.any()), len(steps))
    head = min(2, undisturbed)
    if head == 0:
        if strict:
            session.cannot(rule, "the first step ends episodes: nothing is left to be untouched")
        return False
    problem = _partial_reset_problem(env, twin, actions[:undisturbed], steps[head - 1].first, head, seed)
    if problem is None:
        if strict:
            session.held(rule)
        return True
    if strict:
        session.fail(rule, *problem)
    return False


def _partial_reset_problem(
    env: AnyVectorEnv, twin: AnyVectorEnv, actions: Sequence[Any], last: Any, head: int, seed: int
) -> tuple[str, str, list[int]] | None:
    """What is wrong with a reset of world 0 after `head` of `actions`, what to do, and where; None if nothing."""
    mask: Flags = np.zeros(env.num_envs, dtype=np.bool_)
    mask[0] = True
    space, others = env.observation_space, range(1, env.num_envs)
    for one in (env, twin):
        play(one, actions[:head], seed=seed)
    given = mask.copy()
    try:
        first, info = env.reset(options={"reset_mask": given})
    except Exception as error:
        return f"reset(options={{'reset_mask': mask}}) raised {error!r}", "Reset just the worlds of that bool array", []
    if not np.array_equal(given, mask):
        return "reset() modified the reset_mask it was given", "Copy it", []
    look = Session((), 0.0)
    try:
        check_observations(look, env, first, "a partial reset")
        check_infos(look, info, env.num_envs, "a partial reset")
    except VectorEnvError as error:
        return str(error), "Return all worlds' observations, and infos with masks", list(error.worlds)
    fix = "Touch no state, counter or random number of worlds outside of the mask"
    changed = unlike(space, first, last)
    touched = [j for j in others if j in changed]
    if touched:
        return "a partial reset changed the observation of worlds outside of its mask", fix, touched
    if 0 not in changed:
        return "a partial reset did not reset a world in its mask", "Start a new episode there", [0]
    for a, b in zip(go_on(env, actions[head:]), go_on(twin, actions[head:]), strict=True):
        for j in others:
            x, y = ((rows(space, s.observation)[j], s.reward[j], s.done[j]) for s in (a, b))
            if not same(x, y):
                return "a world outside of the mask of a partial reset went on differently", fix, [j]
    return None


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
