"""`check_vector_env`: does a Gymnasium vector environment keep Gymnasium's contract?

Gymnasium's `check_env` refuses vector environments; this checks them, anybody's: native batches, `SyncVectorEnv`,
wrapped ones. It plays a few short episodes in every autoreset mode and looks at the rules in `checker_report.RULES`.

    >>> from pocketworlds.envs import check_vector_env
    >>> print(check_vector_env("PocketWorlds/Scan-v0", max_episode_steps=5, object="can"))
    ok         spaces: ...

or, for an environment that is not registered, with the functions that make it:

    check_vector_env(MyVectorEnv, make_single=MyEnv, modes=list(AutoresetMode), max_episode_steps=5)

Episodes must be short enough to end while checking, else the rules about their ends stay unchecked, with a warning.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode

from ..errors import TaskError
from .checker_autoreset import check_next_step, check_partial_reset, check_same_step, check_step_after_end
from .checker_contract import (
    Watch,
    check_close,
    check_infos,
    check_metadata,
    check_metadata_apart,
    check_observations,
    check_render,
    check_spaces,
    declared,
)
from .checker_episodes import check_batch_of_one, check_seeds, check_singles, check_state
from .checker_play import AnyVectorEnv, Step, autoreset_mode, play, same, sample_actions
from .checker_report import RULES, CheckReport, Session, VectorEnvError, VectorEnvWarning

__all__ = ["RULES", "CheckReport", "VectorEnvError", "VectorEnvWarning", "check_vector_env"]

Make = Callable[..., AnyVectorEnv]


def check_vector_env(
    make: str | Make,
    *,
    make_single: Callable[..., gym.Env[Any, Any]] | None = None,
    modes: Sequence[AutoresetMode | str] | None = None,
    num_envs: int = 3,
    steps: int = 24,
    seed: int = 7,
    tolerance: float = 0.0,
    skip: Collection[str] = (),
    **keywords: Any,
) -> CheckReport:
    """Checks a vector environment against Gymnasium's contract.

    Args:
        make: an environment id for `gym.make_vec`, or a function called as `make(num_envs, **keywords)`, with
            `autoreset_mode=mode` too if `modes` are given.
        make_single: gives the single environment to compare with, called with `keywords`; for an id it is `gym.make`.
        modes: autoreset modes to check; by default the one that is made, for an id that takes `autoreset_mode` all.
        num_envs: worlds in the batch, at least 2.
        steps: steps played in each mode.
        seed: of the first world and of the actions.
        tolerance: how far numbers may be apart that ought to be equal, absolute and relative; 0 asks for equal bits.
        skip: names of rules (see `RULES`) not to look at.
        keywords: given to `make` and `make_single`; give `max_episode_steps` such that episodes end within `steps`.

    Returns:
        What was checked and what was not. Weaker points are warned of as `VectorEnvWarning`.

    Raises:
        VectorEnvError: a rule is broken; `rule` and `worlds` say which and where, the message what to do.
        TaskError: an argument makes no sense.
    """
    if num_envs < 2 or steps < 4:
        raise TaskError(f"the check needs num_envs >= 2 and steps >= 4, got {num_envs} and {steps}")
    unknown = sorted(set(skip) - set(RULES))
    if unknown:
        raise TaskError(f"skip: there is no rule {unknown[0]!r}; the rules are {list(RULES)}")
    session = Session(skip, tolerance)
    wanted: list[AutoresetMode | None] = [None]
    if modes is not None:
        wanted = [AutoresetMode(mode) for mode in modes]
    elif isinstance(make, str) and _takes_mode(make):
        wanted = list(AutoresetMode)

    def build(number: int, mode: AutoresetMode | None) -> AnyVectorEnv:
        if isinstance(make, str):
            return _by_id(make, number, mode, keywords)
        return make(number, **keywords) if mode is None else make(number, autoreset_mode=mode, **keywords)

    def build_single() -> gym.Env[Any, Any]:
        return gym.make(make, **keywords) if isinstance(make, str) else make_single(**keywords)  # type: ignore[misc]

    has_single = isinstance(make, str) or make_single is not None
    previous: AnyVectorEnv | None = None
    class_mode: Any = None
    for mode in wanted:
        env, twin, one = build(num_envs, mode), build(num_envs, mode), build(1, mode)
        try:
            if previous is not None:
                check_metadata_apart(session, previous, autoreset_mode(previous), class_mode)
            class_mode = type(env.unwrapped).metadata.get("autoreset_mode")
            check_spaces(session, env, num_envs)
            check_metadata(session, env, mode)
            _check_mode(session, env, twin, one, build_single if has_single else None, steps, seed)
            check_render(session, env)
        finally:
            if previous is not None:
                previous.close()
            twin.close()
            one.close()
        previous = env
    if previous is not None:
        check_close(session, previous)
    return session.finish()


def _check_mode(
    session: Session,
    env: AnyVectorEnv,
    twin: AnyVectorEnv,
    one: AnyVectorEnv,
    make_single: Callable[[], gym.Env[Any, Any]] | None,
    steps: int,
    seed: int,
) -> None:
    """All rules that play, in one autoreset mode."""
    actions = sample_actions(env, steps, seed)
    returned = env.reset(seed=seed)
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise VectorEnvError("observations", "reset() did not return two things", "Return (observations, infos)")
    check_observations(session, env, returned[0], "reset()")
    check_infos(session, returned[1], env.num_envs, "reset()")
    kept = deepcopy(returned)
    first, played = play(env, actions, seed=seed, watch=Watch(session, env))
    if not same(returned, kept):
        session.fail("copies", "what reset() returned changed with later steps", "Return fresh arrays, not views")
    # Seeds first: where these fail, comparisons of any two runs would blame something else.
    check_seeds(session, env, actions, first, played, seed)
    stagger = check_partial_reset(session, env, twin, actions, played, seed)
    if stagger:
        first, played = play(env, actions, seed=seed, stagger=True, watch=Watch(session, env))
    _check_ends(session, env, twin, actions, played, seed, stagger)
    if make_single is not None:
        mode = autoreset_mode(env)
        single = make_single()
        try:
            check_metadata(session, env, mode)  # making another environment may have changed it
            check_singles(session, single, env, actions, first, played, seed, stagger)
        finally:
            single.close()
    check_batch_of_one(session, one, env, actions, played, seed, stagger)
    check_state(session, env, actions, played, seed, stagger)


def _check_ends(
    session: Session,
    env: AnyVectorEnv,
    twin: AnyVectorEnv,
    actions: Sequence[Any],
    played: Sequence[Step],
    seed: int,
    stagger: bool,
) -> None:
    """The rule of the mode, if any episode ended."""
    rule = declared(env)
    ended = sum(int(step.done.sum()) for step in played)
    session.report.ended += ended
    if ended and all(step.done.all() or not step.done.any() for step in played):
        session.warn(f"[{rule}] all worlds ended at the same steps: masks of some of them were not seen")
    if rule == "disabled":
        check_step_after_end(session, env, actions, seed)
    elif ended == 0:
        session.cannot(rule, f"no episode ended in {len(played)} steps")
        session.warn(f"[{rule}] no episode ended in {len(played)} steps; give a small max_episode_steps")
    elif rule == "next-step":
        check_next_step(session, env, twin, actions, played, seed, stagger)
    else:
        check_same_step(session, env, played)


def _takes_mode(env_id: str) -> bool:
    """Whether a registered environment can be made in any autoreset mode."""
    entry = gym.spec(env_id).vector_entry_point
    if entry is None:
        return True  # Gymnasium puts single environments into a batch of its own
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    parameters = inspect.signature(creator).parameters.values()
    return any(p.name == "autoreset_mode" or p.kind is p.VAR_KEYWORD for p in parameters)


def _by_id(env_id: str, num_envs: int, mode: AutoresetMode | None, keywords: dict[str, Any]) -> AnyVectorEnv:
    """A registered environment in a mode: a keyword of its own batch, or of Gymnasium's around single ones."""
    if mode is None:
        return gym.make_vec(env_id, num_envs=num_envs, **keywords)
    if gym.spec(env_id).vector_entry_point is not None:
        return gym.make_vec(env_id, num_envs=num_envs, autoreset_mode=mode, **keywords)
    return gym.make_vec(
        env_id, num_envs=num_envs, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **keywords
    )
