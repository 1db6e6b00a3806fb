"""What video, dreams and demonstrations are worth: all arms are made, of the same data, and kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pocketworlds.benchmarks import wam
from pocketworlds.benchmarks.statistics import wilson
from pocketworlds.cli import app
from pocketworlds.world_models.checkpoint import read_card
from typer.testing import CliRunner

SMALL = ["keywords.max_episode_steps=24", "keywords.num_threads=1", "num_envs=4", "model.chunk=4"]
SMALL += ["train.steps=3", "train.batch=4", "exam.episodes=2", "model.net.depth=1"]


def test_every_arm_is_made_once_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [part for setting in SMALL for part in ("--set", setting)]
    command = ["bench", "wam", "Reach-v0", *options, "-d", "2", "--seeds", "2", "--clips", "3", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "wam.json").read_text())
    assert [(row["arm"], row["seed"]) for row in found["rows"]] == [(arm, k) for k in (0, 1) for arm in wam.ARMS]
    cards = {(row["arm"], row["seed"]): read_card(tmp_path / "models" / row["model"]) for row in found["rows"]}
    for (arm, seed), card in cards.items():
        assert card.trained_on["episodes"] == 2
        assert card.trained_on["seed"] == seed
        assert card.kind == (arm if arm in ("cloning", "act") else "wam")
    seen = read_card(cards["video", 1].trained_on["start"])
    assert (seen.trained_on["labels"], seen.trained_on["episodes"], seen.trained_on["seed"]) == (False, 3, 1001)
    assert cards["wam", 0].trained_on["start"] is None
    # The models differ by their arms, not by chance: what was made is found again.
    monkeypatch.setattr(wam, "train_wam", lambda *_: pytest.fail("trained again"))
    again = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(again.stdout)["rows"] == found["rows"]


def test_successes_of_seeds_are_added() -> None:
    rows = [
        {"arm": "act", "demonstrations": 25, "seed": k, "exam": wins, "episodes": 50, "seconds_a_decision": 0.02}
        for k, wins in enumerate((10, 30))
    ]
    low, high = wilson(40, 100)
    line = wam.tables({}, rows, 300)[1].rows[0]
    assert line == ("action chunking with a style", "25", f"0.400 ({low:.3f} to {high:.3f})", "10 30", "20")


def test_arms_that_are_not_known(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "wam", "Reach-v0", "--arm", "magic", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "arm 'magic' is not known; there are ['video', 'wam'" in " ".join(result.stderr.split())
