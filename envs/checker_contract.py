"""The checker's rules about what one call returns: spaces, metadata, shapes and dtypes, infos, copies, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from .checker_play import AnyVectorEnv, autoreset_mode, rows, same
from .checker_report import Session

_UNMASKED = ("final_obs", "final_info")  # the rule about the mode looks at these
_NAMES = ("observations", "reward", "terminated", "truncated", "infos")


def check_spaces(session: Session, env: AnyVectorEnv, num_envs: int) -> None:
    """Spaces and num_envs."""
    rule = "spaces"
    for name in ("num_envs", "observation_space", "action_space", "single_observation_space", "single_action_space"):
        if not hasattr(env, name):
            session.fail(rule, f"the environment has no attribute {name}", "Set it in __init__")
            return
    if env.num_envs != num_envs:
        session.fail(
            rule, f"num_envs is {env.num_envs} where {num_envs} were asked for", "Set self.num_envs = num_envs"
        )
    for kind in ("observation", "action"):
        single, batched = getattr(env, f"single_{kind}_space"), getattr(env, f"{kind}_space")
        if not isinstance(single, gym.Space) or not isinstance(batched, gym.Space):
            session.fail(rule, f"the {kind} spaces are not both gymnasium.Space", "Use those of gymnasium.spaces")
            continue
        expected = batch_space(single, num_envs)
        if _structure(batched, expected.sample(), ""):
            session.fail(
                rule,
                f"{kind}_space {batched} is not single_{kind}_space batched, which is {expected}",
                f"Set self.{kind}_space = gymnasium.vector.utils.batch_space(self.single_{kind}_space, num_envs)",
            )
        elif expected != batched:
            session.warn(f"[{rule}] {kind}_space has other bounds than single_{kind}_space batched: {batched}")
    session.held(rule)


def check_metadata(session: Session, env: AnyVectorEnv, mode: AutoresetMode | None) -> None:
    """The mode an instance declares."""
    rule = "metadata"
    found = env.metadata.get("autoreset_mode")
    if not isinstance(found, AutoresetMode):
        told = "is missing" if found is None else f"is {found!r}"
        session.fail(
            rule,
            f"metadata['autoreset_mode'] {told}, where a gymnasium.vector.AutoresetMode belongs",
            'Set self.metadata = {**self.metadata, "autoreset_mode": AutoresetMode(...)} in __init__',
        )
    elif mode is not None and found is not mode:
        session.fail(
            rule,
            f"metadata['autoreset_mode'] is {found} where {mode} was asked for",
            "Declare the mode of this instance, in a dict of its own",
        )
    session.held(rule)


def check_metadata_apart(session: Session, before: AnyVectorEnv, mode: AutoresetMode, class_mode: Any) -> None:
    """Whether making another instance changed this one's metadata, or the class's."""
    rule, fix = "metadata", "Never write to the class's dict: self.metadata = {**self.metadata, ...} in __init__"
    if before.metadata.get("autoreset_mode") is not mode:
        session.fail(rule, f"making an instance of another mode changed metadata of the one of mode {mode}", fix)
    if type(before.unwrapped).metadata.get("autoreset_mode") is not class_mode:
        session.fail(rule, f"making instances changed the metadata of class {type(before.unwrapped).__name__}", fix)


def check_observations(session: Session, env: AnyVectorEnv, observations: Any, when: str) -> None:
    """Structure, shapes, dtypes and bounds of a batch of observations."""
    rule = "observations"
    expected = env.observation_space
    problem = _structure(expected, observations, "")
    if problem:
        session.fail(rule, f"{when} returned {problem}", "Return what observation_space describes, in its dtype")
        return
    if not expected.contains(observations):
        singles = rows(expected, observations)
        outside = [j for j, one in enumerate(singles) if not env.single_observation_space.contains(one)]
        session.fail(
            rule,
            f"{when} returned observations outside of the space",
            "Clip them, or widen the bounds of the space",
            outside,
        )
    session.held(rule)


def _structure(space: gym.Space[Any], value: Any, path: str) -> str | None:
    """What is wrong with the structure of a value of `space`, in words."""
    at = f" at {path!r}" if path else ""
    if isinstance(space, gym.spaces.Dict):
        if not isinstance(value, Mapping):
            return f"a {type(value).__name__}{at} where a dict belongs"
        if set(value) != set(space.spaces):
            return f"the keys {sorted(value)}{at} where {sorted(space.spaces)} belong"
        parts = [(str(name), space.spaces[name], value[name]) for name in space.spaces]
    elif isinstance(space, gym.spaces.Tuple):
        if not isinstance(value, tuple) or len(value) != len(space.spaces):
            return f"a {type(value).__name__}{at} where a tuple of {len(space.spaces)} belongs"
        parts = [(str(i), part, value[i]) for i, part in enumerate(space.spaces)]
    elif space.shape is None or space.dtype is None:
        return None
    else:
        if not isinstance(value, np.ndarray):
            return f"a {type(value).__name__}{at} where an array belongs"
        if value.shape != space.shape or value.dtype != space.dtype:
            return f"an array {value.dtype} {value.shape}{at} where {space.dtype} {space.shape} belongs"
        return None
    for name, part, inside in parts:
        problem = _structure(part, inside, f"{path}.{name}" if path else name)
        if problem:
            return problem
    return None


def check_step(session: Session, env: AnyVectorEnv, returned: tuple[Any, ...]) -> None:
    """The five things a step returns."""
    if not isinstance(returned, tuple) or len(returned) != 5:
        session.fail(
            "observations", "step() did not return five things", "Return (obs, reward, terminated, truncated, infos)"
        )
        return
    observations, reward, terminated, truncated, infos = returned
    check_observations(session, env, observations, "step()")
    shape = (env.num_envs,)
    if not isinstance(reward, np.ndarray) or reward.shape != shape or reward.dtype.kind not in "fiu":
        session.fail(
            "rewards", f"step() returned rewards {_told(reward)}", f"Return a float64 array {shape}, never a view of it"
        )
    elif reward.dtype.kind != "f":
        session.warn(f"[rewards] rewards are {reward.dtype}; wrappers write fractions into them: make them float64")
    elif not np.isfinite(reward).all():
        bad = np.flatnonzero(~np.isfinite(reward))
        session.fail("rewards", "a reward is not finite", "End the episode of a world that diverged, reward 0", bad)
    session.held("rewards")
    for name, flags in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(flags, np.ndarray) or flags.shape != shape or flags.dtype != np.bool_:
            session.fail("flags", f"step() returned {name} {_told(flags)}", f"Return a bool array {shape}")
    session.held("flags")
    check_infos(session, infos, env.num_envs, "step()")


def _told(value: Any) -> str:
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else f"as a {type(value).__name__}"


def check_infos(session: Session, infos: Any, num_envs: int, when: str, path: str = "") -> None:
    """Arrays with masks; dicts inside, whose entries need none of their own (`RecordEpisodeStatistics` gives none)."""
    rule = "infos"
    if not isinstance(infos, Mapping):
        session.fail(
            rule, f"{when} returned infos as a {type(infos).__name__}", "Return one dict of arrays, not a list of dicts"
        )
        return
    for name, value in infos.items():
        if not isinstance(name, str):
            session.fail(rule, f"{when} returned an info key {name!r}", "Keys are strings")
            continue
        shown = f"{path}{name}"
        if name.startswith("_"):
            if name[1:] not in infos:
                session.fail(rule, f"{when} returned a mask {shown!r} without its values", f"Return {name[1:]!r} too")
            if not isinstance(value, np.ndarray) or value.dtype != np.bool_ or value.shape != (num_envs,):
                session.fail(
                    rule, f"{when} returned the mask {shown!r} {_told(value)}", f"Masks are bool arrays ({num_envs},)"
                )
            continue
        if name in _UNMASKED:
            continue
        if not path and f"_{name}" not in infos:
            session.fail(
                rule,
                f"{when} returned info {shown!r} without the mask '_{name}'",
                f"Add a bool array ({num_envs},): True where a world has this info",
            )
        if isinstance(value, Mapping):
            check_infos(session, value, num_envs, when, f"{shown}.")
        elif not isinstance(value, np.ndarray) or value.ndim < 1 or len(value) != num_envs:
            session.fail(
                rule,
                f"{when} returned info {shown!r} {_told(value)}",
                f"Return an array of {num_envs} entries (dtype object for what is not a number)",
            )
    session.held(rule)


class Watch:
    """Follows a play: checks every step, and that neither actions nor what was returned before are written to."""

    def __init__(self, session: Session, env: AnyVectorEnv) -> None:
        self._session, self._env = session, env
        self._held: tuple[Any, ...] | None = None
        self._kept: tuple[Any, ...] | None = None

    def __call__(self, action: Any, given: Any, returned: tuple[Any, ...]) -> None:
        """See `checker_play.Watcher`."""
        session = self._session
        if not same(action, given):
            session.fail("actions", "step() modified the actions it was given", "Copy before clipping or scaling them")
        session.held("actions")
        check_step(session, self._env, returned)
        if self._held is not None and self._kept is not None:
            for name, live, copy in zip(_NAMES, self._held, self._kept, strict=True):
                if not same(live, copy):
                    inside = [key for key in live if not same(live[key], copy[key])] if isinstance(live, dict) else []
                    session.fail(
                        "copies",
                        f"{name}{inside or ''} returned by a step changed with the next step",
                        "Return fresh arrays (np.copy of buffers), not views of what the environment writes to",
                    )
            session.held("copies")
        self._held, self._kept = returned, deepcopy(returned)


def check_render(session: Session, env: AnyVectorEnv) -> None:
    """Pictures, where the environment was made with render_mode="rgb_array"."""
    rule = "render"
    if not session.wants(rule):
        return
    if env.render_mode != "rgb_array":
        session.cannot(rule, f"render_mode is {env.render_mode!r}; make it with render_mode='rgb_array'")
        return
    frames = env.render()
    fix = f"Return a tuple of {env.num_envs} uint8 arrays (height, width, 3)"
    if not isinstance(frames, (tuple, list, np.ndarray)) or len(frames) != env.num_envs:
        number = len(frames) if isinstance(frames, (tuple, list, np.ndarray)) else None
        session.fail(rule, f"render() returned a {type(frames).__name__} of {number}", fix)
        return
    for j, frame in enumerate(frames):
        good = isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
        if not good:
            session.fail(rule, f"render() returned {_told(frame)}", fix, [j])
    if "render_fps" not in env.metadata:
        session.warn("[render] metadata has no 'render_fps'; films will play at a guessed speed")
    session.held(rule)


def check_close(session: Session, env: AnyVectorEnv) -> None:
    """Closing twice."""
    rule = "close"
    env.close()
    try:
        env.close()
    except Exception as error:
        session.fail(rule, f"the second close() raised {error!r}", "Override close_extras, which is called once")
    if not env.unwrapped.closed:
        session.warn("[close] `closed` is not True after close(); override close_extras instead of close")
    session.held(rule)


def declared(env: AnyVectorEnv) -> str:
    """The mode's rule by name."""
    return {
        AutoresetMode.NEXT_STEP: "next-step",
        AutoresetMode.SAME_STEP: "same-step",
        AutoresetMode.DISABLED: "disabled",
    }[autoreset_mode(env)]
