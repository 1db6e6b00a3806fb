"""The experts' benchmark counts what is there, whatever the batch."""

from __future__ import annotations

import json

import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import pytest
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.benchmarks.experts import ExpertsResult, Score, play, read_report, run_experts


def test_counts_are_those_of_single_environments():
    env = gym.make("PocketWorlds/PressButton-v0")
    expert, solved, firsts = make_expert(env), 0, []
    for seed in range(5, 8):
        env.reset(seed=seed)
        told = [env.step(expert.act())[4]["is_success"] for _ in range(100)]
        solved += told[-1]
        if any(told):
            firsts.append(told.index(True) + 1)
    score = play("PocketWorlds/PressButton-v0", "expert", 3, seed=5, num_envs=2)
    assert (score.episodes, score.solved, score.ever) == (3, solved, len(firsts))
    assert score.median_seconds == pytest.approx(np.median(firsts) / 20)
    env.close()


@pytest.mark.parametrize("policy", ["expert", "random"])
def test_the_batch_changes_nothing(policy):
    one, many = (play("PocketWorlds/Reach-v0", policy, 5, num_envs=n) for n in (2, 5))
    assert one == many


def test_scenes_that_do_not_suit_give_their_reason():
    result = run_experts(episodes=1, env_ids=["OpenDoor-v0"], scenes=1, num_envs=1)
    told = {scene: reason for _, scene, reason in result.unsuitable}
    assert "no door" in told["tabletop"]
    assert {score.scene for score in result.elsewhere}.isdisjoint(told)
    text = result.table()
    assert "Scenes that do not suit" in text
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["scores"][0]["interval"][1] == 1.0


def test_what_falls_short_is_told():
    def score(task: str, policy, solved: int, ever: int) -> Score:
        return Score(f"PocketWorlds/{task}-v0", task, "desk", policy, 100, solved, ever, 0, None, ())

    good = (score("lift", "expert", 95, 95), score("lift", "random", 0, 4), score("reach", "random", 0, 50))
    assert ExpertsResult(100, 0, 0, 1.0, good, (), ()).short() == []
    bad = (score("lift", "expert", 94, 100), score("push", "random", 0, 5))
    assert len(ExpertsResult(100, 0, 0, 1.0, bad, (), ()).short()) == 2


def test_a_run_of_some_ids_goes_into_an_earlier_report():
    def run(*env_ids: str) -> ExpertsResult:
        return run_experts(episodes=1, env_ids=env_ids, num_envs=1)

    both, anew = run("Reach-v0", "PressButton-v0").to_dict(), run("PressButton-v0")
    for score in both["scores"][2:]:
        score["solved"] = -1
    told = anew.merged(both)
    assert [(s["env_id"], s["policy"]) for s in told["scores"]] == [(s["env_id"], s["policy"]) for s in both["scores"]]
    assert told["scores"] == [*both["scores"][:2], *anew.to_dict()["scores"]]
    with pytest.raises(TaskError, match="episodes=2"):
        anew.merged({**both, "episodes": 2})


def test_only_reports_are_taken_for_earlier_ones(tmp_path):
    file = tmp_path / "report.json"
    with pytest.raises(TaskError, match="cannot be read"):
        read_report(file)
    file.write_text('{"scores": []}')
    with pytest.raises(TaskError, match="no report"):
        read_report(file)


def test_bad_arguments_are_refused():
    with pytest.raises(TaskError, match="episodes"):
        run_experts(episodes=0)
    with pytest.raises(TaskError, match="not an environment"):
        run_experts(env_ids=["Nowhere-v0"])
