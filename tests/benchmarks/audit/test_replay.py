"""Physics is a model of itself without fault, and broken simulators are caught."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pocketworlds.benchmarks.audit import replay as replaying
from pocketworlds.benchmarks.audit.control import agreement, control
from pocketworlds.benchmarks.audit.goals import goals
from pocketworlds.benchmarks.audit.horizon import audited_horizon
from pocketworlds.benchmarks.audit.ranking import compare
from pocketworlds.benchmarks.audit.record import Record
from pocketworlds.benchmarks.audit.replay import NUDGE, _Nudges, replay
from pocketworlds.benchmarks.audit.subject import Subject
from pocketworlds.envs import WorldVectorEnv

SHORT = {"max_episode_steps": 90, "num_threads": 1}


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


class Deaf(Subject):  # type: ignore[misc]
    """A model that ignores actions: the robot stands still."""

    def model(self, num_envs: int, **more: Any) -> WorldVectorEnv:
        env = super().model(num_envs, **more)
        step = env.simulator.step
        env.simulator.step = lambda action, ids=None: step(np.zeros_like(action), ids)
        return env


class Rosy(Subject):  # type: ignore[misc]
    """A model in which the target is at its goal whatever happens, after 60 control steps."""

    def model(self, num_envs: int, **more: Any) -> WorldVectorEnv:
        env = super().model(num_envs, **more)
        step = env.simulator.step

        def rosy(action: np.ndarray, ids: np.ndarray | None = None) -> np.ndarray:
            failed = step(action, ids)
            late = np.flatnonzero(env.elapsed >= 60)
            env.simulator._sensors["object_pos"][late, env.task.target[late]] = env.task.goal[late]
            return failed

        env.simulator.step = rosy
        return env


# Physics against itself ----------------------------------------------------------------------------------------------


def test_physics_is_a_model_of_itself_without_fault(itself: Subject, played: Record):
    found = replay(itself, played, size=0, camera="front", notify=quiet)
    for part in ("episodes", "windows"):
        for row in found[part]["model"]["horizons"].values():
            assert row["contact_f1"] == 1.0
            assert row["optimistic"] == row["pessimistic"] == 0
            for name in ("target", "moved", "rotation", "hand", "joints", "reward"):
                assert row[name] is None or row[name]["mean"] == row[name]["p90"] == 0.0
    assert found["success"]["at_end"]["f1"] == 1.0
    assert found["success"]["at_end"]["optimism"]["count"] == 0
    assert found["nudged"]["at_end"]["f1"] > 0.8
    assert found["windows"]["model"]["horizons"]["20"]["moved"]["count"] > 2
    assert found["windows"]["copy-last"]["horizons"]["20"]["moved"]["mean"] > 1
    assert found["windows"]["shuffled actions"]["horizons"]["20"]["hand"]["mean"] > 1
    assert audited_horizon(found, played.steps)[0] == played.steps
    steady = control(itself, played, quiet)
    assert steady["drift"]["mid-episode"]["max"] < 0.2
    assert steady["pairs"]["hand"]["20"]["correlation"] == pytest.approx(1)
    assert steady["pairs"]["target"]["50"]["error"] == 0.0
    assert all(goal.met for goal in goals({"replay": found, "control": steady}))


@pytest.mark.usefixtures("opengl")
def test_pictures_of_physics_are_its_own(itself: Subject, played: Record):
    few = replace(played, chunks=(replace(played.chunks[0], windows=played.chunks[0].windows[1:]),))
    rows = replay(itself, few, size=32, camera="front", notify=quiet)["pictures"]
    for step in ("1", "20", "50"):
        assert rows["rows"]["model"][step]["psnr"] == float("inf")
        assert rows["rows"]["ceiling"][step]["moving"]["psnr"] == float("inf")
        assert rows["rows"]["copy-last"][step]["moving"]["psnr"] < 25


@pytest.mark.usefixtures("opengl")
def test_a_model_of_pictures_alone_is_looked_at_from_the_starts(
    itself: Subject, played: Record, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replaying, "adopt", lambda model, physics: False)
    found = replay(itself, played, size=16, camera="front", notify=quiet)
    assert found["windows"] is None
    assert audited_horizon(found, played.steps)[0] == played.steps
    assert found["pictures"]["rows"]["ceiling"] is None
    assert found["pictures"]["rows"]["model"]["50"]["psnr"] == float("inf")
    assert found["pictures"]["rows"]["shuffled actions"]["50"]["psnr"] < 40


def test_nudges_are_small_and_the_same_whatever_the_batch(itself: Subject):
    given = {}
    for count in (2, 5):
        env = itself.physics(count)
        env.reset(seed=[70 + k for k in range(count)])
        before = env.sensors()["joint_pos"].copy()
        nudges = _Nudges(env, [70 + k for k in range(count)], 400)
        positions = env.simulator.batch.bind("qpos")[:, env.world.joint_qpos]
        np.testing.assert_allclose(positions, before, atol=1e-12)
        for step in range(1, 401):
            nudges.give(step)
        given[count] = env.simulator.batch.bind("qpos")[:, env.world.joint_qpos] - before
        env.close()
    np.testing.assert_allclose(given[2], given[5][:2], atol=1e-12)
    assert 0.7 < given[5].std() / (20 * NUDGE) < 1.3


# Broken simulators ---------------------------------------------------------------------------------------------------


def test_a_model_that_ignores_actions_is_caught(played: Record):
    deaf = Deaf("Push-v0", SHORT, backend="physics")
    found = replay(deaf, played, size=0, camera="front", notify=quiet)
    ends = found["success"]["at_end"]
    assert ends["pessimism"]["share"] > 0.5
    row = {name: found["windows"][name]["horizons"]["20"] for name in ("model", "shuffled actions")}
    assert row["model"]["hand"]["mean"] == pytest.approx(row["shuffled actions"]["hand"]["mean"])
    assert audited_horizon(found, played.steps)[0] < played.steps
    pairs = control(deaf, played, quiet)["pairs"]
    assert pairs["hand"]["20"]["cosine"] == 0.0
    assert pairs["hand"]["20"]["error"] > 5
    missed = {goal.name for goal in goals({"replay": found}) if not goal.met}
    assert {"pessimism", "F1 of success"} <= missed


def test_a_model_that_calls_everything_a_success_is_caught(played: Record):
    found = replay(Rosy("Push-v0", SHORT, backend="physics"), played, size=0, camera="front", notify=quiet)
    assert found["success"]["at_end"]["optimism"]["share"] == 1.0
    assert found["success"]["at_end"]["pessimism"]["share"] == 0.0
    best, rows = audited_horizon(found, played.steps)
    assert best < played.steps
    assert not rows[-1]["passed"]


def test_agreement_of_pairs_by_hand():
    there = np.array([[0.03, 0.0, 0.0], [0.0, -0.02, 0.0], [0.0, 0.0, 0.0], [0.001, 0.0, 0.0]])
    here = np.array([[0.03, 0.0, 0.0], [0.0, 0.02, 0.0], [0.05, 0.0, 0.0], [0.0, 0.0, 0.0]])
    found = agreement(there, here)
    assert (found["pairs"], found["same"], found["made_up"]) == (2, 2, 1)
    assert found["signs"] == 0.5
    assert found["cosine"] == pytest.approx(0.0)
    assert found["error"] == pytest.approx(2.0)
    assert agreement(np.zeros((2, 3)), np.zeros((2, 3)))["correlation"] is None


def test_a_model_that_ranks_well_may_still_be_rosy():
    real = [0.1, 0.3, 0.5, 0.7]

    def ends(share: float) -> str:
        return "1" * round(100 * share) + "0" * (100 - round(100 * share))

    rows = [{"name": str(r), "kind": "x", "physics": ends(r), "model": ends(0.5 + r / 2)} for r in real]
    found = compare(rows)
    assert found["pearson"] == pytest.approx(1)
    assert found["mmrv"] == 0.0
    assert found["slope"] == pytest.approx(0.5)
    assert found["bias_points"] == pytest.approx(30)
    missed = {goal.name for goal in goals({"ranking": {**found, "starts": 100}}) if not goal.met}
    assert missed == {"ranking: slope, least", "ranking: bias in points"}
