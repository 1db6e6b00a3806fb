"""Writes down what a suite is: one's own (`bench freeze`), or one that comes with PocketWorlds:

    python -m pocketworlds.benchmarks.suites.freeze core-v1

A published suite is not frozen again: another engine or another scene makes another version. `--replace` is for those
that are not published yet.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
from pydantic import ValidationError

from ...agents.agent import SENSES
from ...envs import WorldVectorEnv
from ...envs.backends.neural import shipped
from ...envs.catalogue import known_ids
from ...errors import SuiteError
from ...folders import write_texts
from .cousins import cousins_of
from .definitions import DEFINITIONS, Definition, Part, short
from .manifest import FOLDER, Group, Suite, found_scenes
from .sketch import of_looks, of_starts, of_world

_AT_ONCE = 100


def freeze(definition: Definition, notify: Callable[[str], None] = lambda name: None) -> Suite:
    """The manifest of a suite; `notify` is told of every group."""
    groups = []
    for part in definition.parts:
        notify(part.name)
        groups.append(freeze_group(part))
    return Suite(name=definition.name, about=definition.about, mujoco=mujoco.__version__, groups=tuple(groups))


def own_definition(name: str, env_ids: Sequence[str], keywords: Mapping[str, Any], episodes: int) -> Definition:
    """A suite of one's own, a group for each environment.

    Args:
        name: such as "kitchen-v1". env_ids: of them, with or without "PocketWorlds/". keywords: of all of them.
        episodes: of each.

    Raises:
        TaskError: there is no such environment. SuiteError: it cannot be called so, a keyword is an agent's own affair,
            or an environment comes twice.
    """
    try:
        Suite(name=name, about="", mujoco="", groups=())
    except ValidationError as error:
        raise SuiteError(f"a suite cannot be called {name!r}: small letters and a version, as in kitchen-v1") from error
    own = sorted(set(keywords) & set(SENSES))
    if own:
        raise SuiteError(f"{own[0]!r} is an agent's own affair: how it sees and acts is no part of a suite")
    names = known_ids(list(env_ids))
    if len(set(names)) != len(names):
        raise SuiteError(f"an environment comes twice among {names}; make a suite of each")
    scene = keywords.get("scene")
    found = dict(keywords)
    if isinstance(scene, str) and Path(scene).exists():
        found["scene"] = str(Path(scene).resolve())
    return Definition(name, "", tuple(Part(short(each), each, "", dict(found), episodes=episodes) for each in names))


def freeze_group(part: Part) -> Group:
    """A group, with sketches of its worlds and initial states."""
    spec = gym.spec(part.env_id)
    assert spec.max_episode_steps is not None
    count = min(part.episodes, _AT_ONCE)
    env = gym.make_vec(part.env_id, num_envs=count, **found_scenes(part.keywords)).unwrapped
    assert isinstance(env, WorldVectorEnv)
    names = scene_names(env)
    starts, scenes = [], []
    for first in range(0, part.episodes, count):
        _, info = env.reset(seed=[part.seed + min(first + k, part.episodes - 1) for k in range(count)])
        starts += of_starts(env)
        scenes += [names[k] for k in info["scene_index"]]
    worlds = {name: of_world(world) for name, world in zip(names, env.worlds, strict=True)}
    looks = {name: of_looks(world) for name, world in zip(names, env.worlds, strict=True)}
    group = Group(
        name=part.name,
        env_id=part.env_id,
        keywords=part.keywords,
        seed=part.seed,
        steps=spec.max_episode_steps,
        about=part.about,
        worlds=worlds,
        looks=looks,
        distances=_distances(part, names),
        starts=tuple(starts[: part.episodes]),
        scenes=tuple(scenes[: part.episodes]),
        model=model_digest(env),
    )
    env.close()
    return group


def _distances(part: Part, names: list[str]) -> dict[str, float]:
    """Of cousins to their twin, by the names of their scenes."""
    found = cousins_of(part.keywords)
    if found is None:
        return {}
    cousins, chosen = found
    return {name: cousins.manifest.entries[k].distance for name, k in zip(names, chosen, strict=True)}


def model_digest(env: WorldVectorEnv) -> str:
    """SHA-256 of the model that plays physics in an environment; "" where MuJoCo does."""
    if env.config.backend == "physics":
        return ""
    path = env.config.checkpoint or shipped(env.worlds, env.config.task)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def scene_names(env: WorldVectorEnv) -> list[str]:
    """Of the scenes of an environment, each another."""
    names = [world.scene.name for world in env.worlds]
    return [name if names.count(name) == 1 else f"{name}/{k}" for k, name in enumerate(names)]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Write down what a suite is.")
    parser.add_argument("suite", choices=list(DEFINITIONS))
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--replace", action="store_true", help="write over a manifest that is there")
    asked = parser.parse_args()
    path = asked.out / f"{asked.suite}.json"
    if path.exists() and not asked.replace:
        raise SuiteError(f"{path} is there: a published suite is not changed; give it another version")
    write_texts(asked.out, {path.name: freeze(DEFINITIONS[asked.suite], print).written()})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
