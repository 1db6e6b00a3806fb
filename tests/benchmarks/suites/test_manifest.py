"""Manifests: those that come with PocketWorlds are true, and files that are none are refused."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import mujoco
import pytest
from pocketworlds.benchmarks.suites.definitions import DEFINITIONS
from pocketworlds.benchmarks.suites.freeze import scene_names
from pocketworlds.benchmarks.suites.manifest import Suite, load_suite, suite_names
from pocketworlds.benchmarks.suites.sketch import WORLD_TOLERANCE, of_starts, of_world, same
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.errors import SuiteError


def test_every_definition_is_frozen_as_it_is_defined() -> None:
    assert suite_names() == sorted(DEFINITIONS)
    for name, definition in DEFINITIONS.items():
        suite = load_suite(name)
        assert suite.name == name
        told = [(part.name, part.env_id, part.keywords, part.seed, part.episodes) for part in definition.parts]
        assert [(g.name, g.env_id, g.keywords, g.seed, g.episodes) for g in suite.groups] == told
        assert all(group.episodes >= 100 for group in suite.groups)


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_suites_are_what_they_were_when_they_were_frozen(name: str) -> None:
    suite = load_suite(name)
    if suite.mujoco != mujoco.__version__:
        pytest.skip(f"{name} was frozen with MuJoCo {suite.mujoco}, installed is {mujoco.__version__}")
    for group in suite.groups:
        if group.distances and group.name.endswith("train"):
            continue  # 128 cousins: those of the same set that are held out are looked at
        env = gym.make_vec(group.env_id, num_envs=8, **group.where()).unwrapped
        assert isinstance(env, WorldVectorEnv)
        _, info = env.reset(seed=group.seed)
        names = scene_names(env)
        assert [names[k] for k in info["scene_index"]] == list(group.scenes[:8])
        for found, kept in zip(of_starts(env), group.starts, strict=False):
            assert same(found, kept, group.tolerance)
        for scene, world in list(zip(names, env.worlds, strict=True))[:4]:
            told = of_world(world)
            assert [part for part in told if not same(told[part], group.worlds[scene][part], WORLD_TOLERANCE)] == []
        env.close()


def test_cousins_that_are_held_out_are_not_those_to_train_in() -> None:
    suite = load_suite("cousins-v1")
    for task in ("PickPlace", "OpenDrawer"):
        train, test = (suite.group(f"{task}-{split}") for split in ("train", "test"))
        assert len(train.worlds) == 128
        assert len(test.worlds) == 16
        seen = [told["shapes"] for told in train.worlds.values()]
        assert not any(told["shapes"] in seen for told in test.worlds.values())
        assert all(0 < distance < 1 for distance in test.distances.values())


def test_a_manifest_is_written_as_it_is_read(tmp_path: Path) -> None:
    suite = load_suite("hand-v1")
    file = tmp_path / "again.json"
    file.write_text(suite.written())
    assert load_suite(file) == suite
    assert load_suite(file).digest == suite.digest
    told = json.loads(suite.written())
    told["groups"][0]["starts"][3][0] += 1e-7
    assert Suite.model_validate(told).digest != suite.digest


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"no suite 'core-v0'; there are \['core-v1'"):
        load_suite("core-v0")
    told = json.loads(load_suite("hand-v1").written())
    broken = {
        "schema": lambda t: t.update(schema="one"),
        r"groups\.0\.seed": lambda t: t["groups"][0].update(seed=-1),
        "Extra inputs": lambda t: t.update(more=1),
        "do not go together": lambda t: t["groups"][0]["scenes"].pop(),
    }
    for reason, change in broken.items():
        other = json.loads(json.dumps(told))
        change(other)
        (tmp_path / "broken.json").write_text(json.dumps(other))
        with pytest.raises(SuiteError, match=reason):
            load_suite(tmp_path / "broken.json")
    (tmp_path / "broken.json").write_bytes(b"\xff\x00")
    with pytest.raises(SuiteError, match="no manifest"):
        load_suite(tmp_path / "broken.json")
