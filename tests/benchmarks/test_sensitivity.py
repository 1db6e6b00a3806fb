"""The report names the factor that a policy's failures depend on, and so does the curriculum."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.benchmarks.sensitivity import REPORT, Sensitivity, main, run_sensitivity
from pocketworlds.benchmarks.statistics import wilson
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import CousinConfig
from pocketworlds.digital_cousins.cousin_set import CousinSet
from pocketworlds.digital_cousins.curriculum import Curriculum
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.errors import TaskError

ID = "PocketWorlds/Reach-v0"
FACTOR, MOST = "mass.cube", 1.15
GOAL = slice(29, 32)  # "goal_from_grip" of its observations


class Shy:
    """Reaches its goal, but where it must not it stays: it is told for every episode that it will play."""

    def __init__(self, refuses: np.ndarray) -> None:
        self._refuses, self._next, self._now = refuses, 0, slice(0, 0)

    def reset(self, num_envs: int) -> None:
        self._now = slice(self._next, self._next + num_envs)
        self._next += num_envs

    def act(self, observations: np.ndarray) -> np.ndarray:
        action = np.zeros((len(observations), 7), dtype=np.float32)
        action[:, :3] = np.clip(12 * observations[:, GOAL], -1, 1) * ~self._refuses[self._now, None]
        return action


@pytest.fixture(scope="module")
def cousins(tmp_path_factory: pytest.TempPathFactory) -> CousinSet:
    """Sixty cubes on a table; everything varies but what stands in and what lies about."""
    config = CousinConfig.model_validate({"instance": {"on": False}, "clutter": {"on": False}, "spread": 0.6})
    out = tmp_path_factory.mktemp("sets") / "cubes"
    return make_cousins(builtin_scene("one_cube"), out, count=60, config=config, seed=1, workers=1)


def heavy(cousins: CousinSet) -> np.ndarray:
    return np.array(cousins.table[FACTOR]) > MOST


@pytest.fixture(scope="module")
def found(cousins: CousinSet) -> Sensitivity:
    shy = Shy(np.repeat(heavy(cousins), 2))
    return run_sensitivity(cousins, env_id=ID, policy=shy, name="shy", episodes=2, at_once=25)


def test_the_factor_that_failures_depend_on_comes_first_and_is_told(found: Sensitivity, cousins: CousinSet):
    bad = heavy(cousins)
    assert found.successes[bad].sum() <= 2  # a goal may be where the hand starts
    assert found.successes[~bad].mean() > 1.8
    first = found.effects[0]
    assert first.factor == FACTOR
    assert first.explains > 0.5
    assert first.difference == pytest.approx(1.0, abs=0.1)
    assert found.told[0].startswith(f"it fails most where {FACTOR} is 1.")
    assert {effect.factor for effect in found.effects if effect.clear} <= {FACTOR, found.effects[1].factor}
    assert {"distance", "distance.cube"} <= set(found.table)


def test_how_cousins_are_divided_into_batches_changes_nothing(found: Sensitivity, cousins: CousinSet):
    again = run_sensitivity(cousins, env_id=ID, policy=Shy(np.repeat(heavy(cousins), 2)), name="shy", at_once=60)
    np.testing.assert_array_equal(again.successes, found.successes)
    assert again.effects == found.effects


def test_the_report_is_written_with_wilsons_intervals_and_a_plot_a_factor(found: Sensitivity, tmp_path: Path):
    found.write(tmp_path / "report")
    report = json.loads((tmp_path / "report" / REPORT).read_text())
    assert (report["played"], report["solved"]) == (120, int(found.successes.sum()))
    assert [each["factor"] for each in report["factors"]] == [effect.factor for effect in found.effects]
    for each in report["factors"]:
        assert sum(b["played"] for b in each["bins"]) == 120
        for part in each["bins"]:
            assert part["interval"] == pytest.approx(wilson(part["solved"], part["played"]), abs=1e-4)
    text = (tmp_path / "report" / "sensitivity.html").read_text()
    tree = ET.fromstring(text.replace("<!doctype html>", "").replace('<meta charset="utf-8">', "").replace("<br>", ""))
    plots = tree.findall(".//svg")
    assert len(plots) == len(found.effects)
    assert [len(plot.findall("circle")) for plot in plots] == [len(effect.bins) for effect in found.effects]
    assert "<script" not in text
    assert "http" not in text
    assert f"| {FACTOR} |" in (tmp_path / "report" / "sensitivity.md").read_text()
    with pytest.raises(TaskError, match="exists already"):
        found.write(tmp_path / "report")


def test_the_curriculum_names_it_too_and_practises_it_in_the_environment(cousins: CousinSet):
    env = gym.make_vec(ID, num_envs=64, scene=cousins.folder, max_episode_steps=45).unwrapped
    curriculum, bad = Curriculum.of(cousins), heavy(cousins)[cousins.indices("train")]
    assert len(curriculum) == len(env.worlds)
    seen, info = env.reset(seed=0)
    for _ in range(3 * 46):
        action = np.zeros((64, 7), dtype=np.float32)
        action[:, :3] = np.clip(12 * seen[:, GOAL], -1, 1) * ~bad[info["scene_index"], None]
        seen, _, terminated, truncated, info = env.step(action)
        done = terminated | truncated
        curriculum.record(info["scene_index"][done], info["is_success"][done])
    assert curriculum.trials.sum() == 3 * 64
    assert curriculum.effects()[0].factor == FACTOR
    assert FACTOR in curriculum.told()[0]
    before = np.mean([bad[env.reset(seed=k)[1]["scene_index"]].mean() for k in range(900, 1600, 64)])
    env.scene_weights = curriculum.weights()
    after = np.mean([bad[env.reset(seed=k)[1]["scene_index"]].mean() for k in range(900, 1600, 64)])
    assert before == pytest.approx(bad.mean(), abs=0.06)
    assert after == pytest.approx(curriculum.weights()[bad].sum(), abs=0.06)
    assert after > before + 0.2


def test_cousins_that_a_task_cannot_be_played_in_are_told(cousins: CousinSet):
    with pytest.raises(TaskError, match=r"no cousin suits PocketWorlds/OpenDrawer-v0; of the first: "):
        run_sensitivity(cousins, env_id="OpenDrawer-v0", split="test", episodes=1)
    with pytest.raises(TaskError, match="episodes and at_once must be from 1"):
        run_sensitivity(cousins, episodes=0)


def test_the_command_writes_a_report_of_the_expert(
    cousins: CousinSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "report"
    given = [str(cousins.folder), "--env-id", "Reach-v0", "--episodes", "1", "--split", "test", "--out", str(out)]
    assert main(given) == 0
    assert "expert in cubes (test), PocketWorlds/Reach-v0: 6/6 solved" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["sensitivity.html", "sensitivity.json", "sensitivity.md"]
    assert main(given) == 2
    assert main([str(tmp_path), "--out", str(tmp_path / "other")]) == 2
    assert "no set of cousins" in capsys.readouterr().err
