"""Whether dreams tell outcomes: statistics against hand-made cases, and the whole on a small model."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.dream import ALARM, Told, alarm, calibrated, calibration_error, judge, write
from pocketworlds.cli import app
from typer.testing import CliRunner


def test_signals_are_ranked_by_what_they_know(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    failed = rng.random(400) < 0.4
    know = failed + 0.1 * rng.normal(size=(6, 400))
    signals = {"dream error": know**2, "stillness": -np.ones((6, 400)), "chance": rng.normal(size=(6, 400))}
    found = judge(Told(signals, failed))
    assert found["failures"] == failed.sum()
    assert found["signals"]["dream error"]["auroc"] > 0.99
    assert found["signals"]["stillness"]["auroc"] == pytest.approx(0.5)
    assert found["signals"]["chance"]["auroc"] == pytest.approx(0.5, abs=0.1)
    assert len(found["signals"]["chance"]["along"]) == 6
    assert found["signals"]["dream error"]["ece"] < 0.05
    bell = found["signals"]["dream error"]["alarm"]
    assert bell["found"] > 0.95
    assert bell["early"] == pytest.approx(5 / 6, abs=0.05)
    assert found["skill"]["all"] == pytest.approx(1 - (know**2).mean())
    write(tmp_path, {"model": "none"}, found)
    assert (tmp_path / "auroc.svg").read_text().startswith("<svg")
    assert "| dream error |" in (tmp_path / "dream.md").read_text()


def test_isotonic_probabilities_of_a_hand_made_case() -> None:
    score, failed = np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True])
    np.testing.assert_allclose(calibrated(score, failed, np.array([0.0, 1.0, 2.5, 4.0, 9.0])), [0, 0, 0.5, 1, 1])


def test_calibration_error_of_a_hand_made_case() -> None:
    chance = np.array([0.05, 0.05, 0.95, 0.95])
    failed = np.array([False, True, True, True])
    # Half of the pairs say 0.05 where 0.5 is so, the others 0.95 where 1 is.
    assert calibration_error(chance, failed) == pytest.approx(0.5 * 0.45 + 0.5 * 0.05)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_alarm_rings_for_at_most_a_tenth_of_successes_on_average(seed: int) -> None:
    """The conformal promise holds on average over draws; of 200 fresh episodes hardly more than by chance."""
    rng = np.random.default_rng(seed)
    score, asked = rng.normal(size=(4, 300)), rng.normal(size=(4, 2000))
    none, ends = np.zeros(300, dtype=bool), np.zeros(2000, dtype=bool)
    found = alarm(score, none, asked, ends)
    assert found["found"] is None
    assert found["false"] < ALARM + 5 * np.sqrt(ALARM * (1 - ALARM) / 300)


def test_without_successes_there_is_no_alarm() -> None:
    yes = np.ones(5, dtype=bool)
    found = alarm(np.ones((2, 5)), yes, np.ones((2, 5)), yes)
    assert found == {"threshold": None, "false": None, "found": 0.0, "early": None}


def test_the_command_plays_and_writes(wam_file: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["bench", "dream", str(wam_file), "-n", "6", "--num-envs", "4", "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    assert "Does the dream tell how it ends?" in result.output
    found = json.loads((tmp_path / "out" / "dream.json").read_text())
    assert found["episodes"] == 6
    assert found["facts"]["model sha256"] == hashlib.sha256(wam_file.read_bytes()).hexdigest()
    assert len(found["signals"]["dream error"]["along"]) == 3
    # Where all fail, or none, there is nothing to rank and nothing to plot.
    assert (tmp_path / "out" / "auroc.svg").exists() == (0 < found["failures"] < 6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--env", "Push-v0"], "the model is for state=.*, this environment has state="),
        (["--env", "Pusk-v0"], "is not an environment of this package"),
        (["--set", "control_mode=joint_delta"], "the model is for control_mode=ee_delta"),
        (["--set", "max_episode_steps=3"], "the 4 control steps of one decision; max_episode_steps is 3"),
        (["--set", "terminate_on_success=true"], "leave terminate_on_success out"),
    ],
)
def test_where_the_model_does_not_belong_is_refused(wam_file: Path, arguments: list[str], told: str) -> None:
    result = CliRunner().invoke(app, ["bench", "dream", str(wam_file), *arguments])
    assert result.exit_code == 2, result.output
    assert re.search(told, result.output)
    missing = CliRunner().invoke(app, ["bench", "dream", "none.safetensors"])
    assert missing.exit_code == 2
