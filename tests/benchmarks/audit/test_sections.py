"""The parts of an audit beside replay and ranking: doubts, speed, transfer; and what is asked of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pocketworlds.agents.ppo import Settings
from pocketworlds.benchmarks.audit import ood
from pocketworlds.benchmarks.audit.goals import goals
from pocketworlds.benchmarks.audit.ood import Shift, measure_ood, seen_scenes, shifts
from pocketworlds.benchmarks.audit.plots import diagonal, lines
from pocketworlds.benchmarks.audit.report import Audit
from pocketworlds.benchmarks.audit.speed import measure_speed
from pocketworlds.benchmarks.audit.subject import Subject
from pocketworlds.benchmarks.audit.transfer import summary, transfer
from pocketworlds.envs import WorldVectorEnv

RNG = np.random.default_rng(0)


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


class Doubtful(Subject):  # type: ignore[misc]
    """Physics that says it is off by at most 1 mm, and is out of its depth where the hand is fast."""

    def model(self, num_envs: int, **more: Any) -> WorldVectorEnv:
        env = super().model(num_envs, **more)
        told = env._info

        def info(*arguments: Any) -> dict[str, Any]:
            fast = np.abs(env.sensors()["joint_vel"]).max(axis=1) > 1.2
            sure = {"neural/uncertainty": 1e-3 + 1e-2 * fast, "neural/strangeness": 2.0 * fast, "neural/ood": fast}
            return {**told(*arguments), **sure}

        env._info = info
        return env


# Does it know when it is wrong ---------------------------------------------------------------------------------------


def test_doubts_are_held_against_what_is_so():
    subject = Doubtful("Push-v0", {"max_episode_steps": 60, "num_threads": 1}, backend="physics")
    chosen = [Shift("usual", "as it is"), Shift("extreme actions", "at their limits", player=ood._EXTREME)]
    found = measure_ood(subject, chosen, episodes=6, num_envs=6, seed=7_000_000, notify=quiet)
    assert found["coverage"] == 1.0
    assert found["ece"] == pytest.approx(0.1)
    assert found["wrong"]["all"]["wrong"] == 0
    assert set(found["sets"]["usual"]["coverage"]) == {"1", "5", "10", "20", "50", "60"}
    row = found["sets"]["extreme actions"]
    assert row["auroc"] > 0.8
    assert row["flagged"] > found["sets"]["usual"]["flagged"]
    judged = {goal.name: goal.met for goal in goals({"ood": found})}
    assert judged["cover of the 90 % bound, least"]
    assert not judged["cover of the 90 % bound, most"]


def test_the_model_that_is_audited_stays_the_same_where_the_scene_is_another():
    pinned = Subject("Push-v0").pinned()
    assert pinned.file().stem == "panda-push"
    assert replace(pinned, keywords={"scene": "blocks"}).file() == pinned.file()
    assert replace(Subject("Push-v0"), keywords={"scene": "blocks"}).file().stem == "panda"


def test_bounds_that_hold_nine_times_in_ten():
    def seen(scale: float, bound: float) -> ood._Seen:
        error = {h: np.abs(RNG.normal(0, scale, 400)) for h in (1, 20)}
        sure = np.full(400, bound)
        return ood._Seen(dict.fromkeys(error, sure), error, sure, sure, np.zeros(400), error[20])

    found = ood._compared({"usual": seen(0.01, 0.0165), "places": seen(0.03, 0.05)})
    assert found["coverage"] == pytest.approx(0.9, abs=0.03)
    assert found["sets"]["places"]["auroc"] == 1.0
    assert found["wrong"]["all"]["auroc"] > 0.65
    assert np.isnan(found["wrong"]["usual"]["auroc"]) or found["wrong"]["usual"]["auroc"] == 0.5
    judged = [goal for goal in goals({"ood": found}) if goal.name.startswith(("cover", "AUROC of strangeness"))]
    assert len(judged) == 3
    assert all(goal.met for goal in judged)


def test_a_model_that_does_not_say_how_sure_it_is():
    subject = Subject("Push-v0", {"max_episode_steps": 6, "num_threads": 1}, backend="physics")
    found = measure_ood(subject, [Shift("usual", "as it is")], episodes=2, num_envs=2, seed=0, notify=quiet)
    assert "does not say how sure" in found["missing"]
    assert list(goals({"ood": found})) == []


def test_shifts_change_what_they_say():
    subject = Subject("Push-v0", {"max_episode_steps": 6, "num_threads": 1}, backend="physics")
    found = {shift.name: shift for shift in shifts(subject, frozenset({"one_cube"}))}
    assert next(iter(found)) == "usual"

    def env(name: str) -> WorldVectorEnv:
        return Subject("Push-v0", {**subject.keywords, **found[name].keywords}, backend="physics").physics(1)

    usual, heavy, slippery = (env(name) for name in ("usual", "heavy", "slippery"))
    (thing,) = usual.world.objects
    mass = [each.world.model.body(thing).mass[0] for each in (usual, heavy)]
    assert mass[1] == pytest.approx(4 * mass[0])
    frictions = [each.world.scene.object(thing).body.friction.value for each in (usual, slippery)]
    assert frictions[1] == pytest.approx(frictions[0] / 4)
    if "new scene" in found:
        assert found["new scene"].keywords["scene"] != "one_cube"
    for each in (usual, heavy, slippery):
        each.close()


def test_scenes_that_a_card_names():
    told = {"practices": [{"env_id": "PocketWorlds/Push-v0", "keywords": {}}, {"keywords": {"scene": "my_kitchen"}}]}
    assert seen_scenes(told) == {"one_cube", "my_kitchen"}


# Speed ---------------------------------------------------------------------------------------------------------------


def test_speed_is_measured_side_by_side():
    subject = Subject("Push-v0", {"num_threads": 1}, backend="physics")
    found = measure_speed(subject, sizes=(2,), size=0, seconds=0.05, turns=3, notify=quiet)
    (row,) = found["rows"]
    assert row["worlds"] == 2
    assert row["range"][0] <= row["ratio"] <= row["range"][1]
    assert row["physics"] > 0


# Transfer ------------------------------------------------------------------------------------------------------------


def curve(ends: list[tuple[int, float, float, float]]) -> list[dict[str, float]]:
    return [{"steps": a, "seconds": b, "physics": c, "model": d} for a, b, c, d in ends]


def test_equal_steps_equal_seconds_and_exploitation():
    """Physics is better at equal steps, and the model, five times as fast, at equal seconds."""
    physics = [curve([(100, 50.0, 0.2, 0), (200, 100.0, 1.0, 0)])] * 4
    model = [curve([(100, 10.0, 0.5, 0.5), (200, 20.0, 0.8, 1.0)])] * 4
    found = summary({"physics": physics, "model": model})
    assert found["equal_steps"]["model"]["of_physics"] == pytest.approx(0.8)
    assert found["equal_seconds"]["seconds"] == 20.0
    assert found["equal_seconds"]["physics"]["iqm"] == 0.0
    assert found["equal_seconds"]["model"]["iqm"] == pytest.approx(0.8)
    assert [row["gap_points"] for row in found["exploitation"]["model"]] == pytest.approx([0, 20])
    judged = {goal.name: goal.met for goal in goals({"transfer": found})}
    assert judged == {"of physics-trained, equal steps": False}


@pytest.mark.parametrize("view", [{"obs_mode": "state"}, {"obs_mode": "rgb", "image_size": 36}])
def test_policies_learn_are_kept_and_tried(tmp_path: Path, view: dict[str, Any]):
    subject = Subject("Reach-v0", {"max_episode_steps": 8, "num_threads": 1}, backend="physics")
    settings = Settings(total_steps=64, num_envs=2, rollout=8, ppo={"n_epochs": 1})
    options: dict[str, Any] = {"seeds": 1, "snapshots": 2, "episodes": 3, "seed": 8_000_000, "kept": tmp_path}
    options["view"] = view
    found = transfer(subject, settings, notify=quiet, **options)
    assert set(found["curves"]) == {"physics", "model"}
    (run,) = found["curves"]["model"]
    assert [row["steps"] for row in run] == [32, 64]
    assert run[1]["seconds"] > run[0]["seconds"] > 0
    # Both learned the same in the same: not a hair's difference.
    assert [row["physics"] for row in run] == [row["model"] for row in run]
    assert found["equal_steps"]["model"]["seeds"] == found["equal_steps"]["physics"]["seeds"]
    assert transfer(subject, settings, notify=quiet, **options) == found
    text = Audit({"environment": "x"}, {"transfer": found}, 8).text()
    assert "PPO, tested in physics" in text


# Plots ---------------------------------------------------------------------------------------------------------------


def test_plots_tell_what_they_show():
    svg = lines("a < b", "steps", "cm", {"model": [(1, 0.5), (50, 2.0)], "copy-last": [(1, 1.0)]}, logarithmic=True)
    assert svg.startswith("<svg")
    assert "a &lt; b" in svg
    assert "model: 2 at 50" in svg
    assert lines("t", "x", "y", {}) == ""
    row = {"name": "p", "kind": "k", "physics": 0.5, "model": 0.75}
    drawn = diagonal("t", [{**row, "physics_interval": [0.4, 0.6], "model_interval": [0.7, 0.8]}])
    assert "p: 0.50 in physics, 0.75 in the model" in drawn
