"""The audit as a whole: what is kept, what is written, what is refused; the command, and the checkpoint's card."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from pocketworlds import TaskError
from pocketworlds.benchmarks.audit import run as runner
from pocketworlds.benchmarks.audit.errors import Errors
from pocketworlds.benchmarks.audit.horizon import audited_horizon, write_card
from pocketworlds.benchmarks.audit.record import Record
from pocketworlds.benchmarks.audit.run import Plan, run_audit
from pocketworlds.benchmarks.audit.subject import Subject, weights_digest
from pocketworlds.cli.bench import bench_audit
from pocketworlds.world_models.checkpoint import load_checkpoint
from typer.testing import CliRunner


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def test_the_horizon_goes_into_the_card_and_leaves_the_numbers(model_file: Path):
    before, digest = load_checkpoint(model_file)[1], weights_digest(model_file)
    assert write_card(model_file, "PocketWorlds/Push-v0", {}, 50, {"goals": {"F1 of success": 0.9}}) == 50
    assert write_card(model_file, "PocketWorlds/Lift-v0", {}, 20, {}) == 20
    card, after = load_checkpoint(model_file)
    assert card.horizon == 20
    assert card.measured["audit"]["PocketWorlds/Push-v0"]["goals"] == {"F1 of success": 0.9}
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert weights_digest(model_file) == digest
    assert write_card(model_file, "PocketWorlds/Lift-v0", {}, 100, {}) == 50


def test_audits_of_an_environment_with_other_keywords_stand_side_by_side(model_file: Path):
    scan = "PocketWorlds/Scan-v0"
    for scene, horizon in (("kitchen", 20), ("desk", 150)):
        write_card(model_file, scan, {"scene": scene, "task": "lift"}, horizon, {})
    write_card(model_file, "PocketWorlds/Scan-v01", {}, 5, {})
    card = load_checkpoint(model_file)[0]
    assert card.audited(scan) == 20
    assert card.audited("PocketWorlds/Scan-v01") == card.audited("PocketWorlds/Push-v0") == 5


def test_a_model_that_diverges_is_trusted_for_no_step(played: Record):
    """Were worlds that diverged left out, none would be off and none would have a wrong success."""
    truth, steps = played.trace, played.steps
    truth = replace(truth, success=np.ones_like(truth.success), broken=np.zeros_like(truth.broken))
    lost = replace(truth, broken=np.arange(len(truth.broken)) % 8 > 0)
    found = {}
    for name, trace in (("model", lost), ("copy-last", truth.frozen())):
        errors = Errors()
        errors.add(truth, trace, (1, 5, steps), np.arange(len(truth.broken)), lost=lost.broken)
        found[name] = errors.figures()
    horizon, rows = audited_horizon({"windows": None, "episodes": found}, steps)
    assert horizon == 0
    assert all(row["diverged"] == row["pessimism"] == 7 / 8 for row in rows)
    target = [found[name]["horizons"]["5"]["target"]["count"] for name in found]
    assert target == [1, 1]  # the same world
    alone = Errors()
    alone.add(truth, replace(truth, broken=np.ones_like(truth.broken)), (1, 5, steps), np.arange(len(truth.broken)))
    assert audited_horizon({"windows": None, "episodes": {**found, "model": alone.figures()}}, steps)[0] == 0


# The run as a whole --------------------------------------------------------------------------------------------------


def test_finished_sections_are_kept(itself: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan = replace(Plan(itself, sections=("replay", "control"), size=0).quick(), episodes=3, windows=1)
    first = run_audit(plan, tmp_path, notify=quiet)
    told = json.loads((tmp_path / "audit.json").read_text())
    assert told["horizon"] == first.horizon == 90
    assert told["missed"] == []
    assert told["facts"]["seeds"] == "5000000 to 5000002"
    assert "Audited horizon: 90 control steps" in (tmp_path / "audit.md").read_text()
    assert "<svg" in (tmp_path / "audit.html").read_text()
    monkeypatch.setattr(runner, "record", lambda *a, **k: pytest.fail("played again"))
    again = run_audit(plan, tmp_path, notify=quiet)
    assert again.to_dict()["sections"] == first.to_dict()["sections"]
    with pytest.raises(pytest.fail.Exception):
        run_audit(replace(plan, episodes=4), tmp_path, notify=quiet)
    assert not list(tmp_path.rglob("*.partial"))
    # What is there and still holds is told, whichever part is asked for; what does not is not.
    monkeypatch.undo()
    partly = run_audit(replace(plan, sections=("control",)), tmp_path, notify=quiet)
    assert partly.horizon == 90
    assert json.loads((tmp_path / "audit.json").read_text())["sections"].keys() == {"replay", "control"}
    other = run_audit(replace(plan, sections=("control",), seed=plan.seed + 1), tmp_path, notify=quiet)
    assert other.sections.keys() == {"control"}


def test_what_lies_in_folders_counts(itself: Subject, tmp_path: Path):
    policies = tmp_path / "policies"
    (policies / "one").mkdir(parents=True)
    (policies / "one" / "policy.zip").write_bytes(b"1")
    plan = Plan(replace(itself, keywords={**itself.keywords}), policies=policies)
    keys = [runner._Work(plan, tmp_path, quiet).key("policies", "cousins")]
    (policies / "one" / "policy.zip").write_bytes(b"2")
    keys.append(runner._Work(plan, tmp_path, quiet).key("policies", "cousins"))
    (policies / "two").mkdir()
    (policies / "two" / "policy.zip").write_bytes(b"2")
    keys.append(runner._Work(plan, tmp_path, quiet).key("policies", "cousins"))
    cousins = tmp_path / "cousins"
    for text in ("1", "2"):
        cousins.mkdir(exist_ok=True)
        (cousins / "cousins.json").write_text(text)
        keys.append(runner._Work(replace(plan, cousins=cousins), tmp_path, quiet).key("policies", "cousins"))
    assert len(set(keys)) == 5


def test_speed_is_that_of_a_machine(itself: Subject, tmp_path: Path):
    works = [runner._Work(Plan(itself), tmp_path, quiet) for _ in range(2)]
    works[1].facts["processor"] = "another"
    assert works[0].key("sizes", "turns") != works[1].key("sizes", "turns")
    assert works[0].key("sizes") == works[1].key("sizes")


def test_ranking_takes_up_where_it_was(itself: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    some = [e for e in runner.scripted() if e.name in {"noise 0", "random", "still", "stops at 0.25"}]
    monkeypatch.setattr(runner, "scripted", lambda: some)
    plan = replace(Plan(itself, sections=("ranking",), ppo_steps=0), starts=6)
    found = run_audit(plan, tmp_path, notify=quiet).sections["ranking"]
    assert found["slope"] == pytest.approx(1)
    assert found["agreement"] == 1.0
    assert found["mmrv"] == 0.0
    assert len(list((tmp_path / "ranking" / "train").glob("*.json"))) == 4
    (tmp_path / "sections" / "ranking.json").unlink()
    monkeypatch.setattr(runner.ranking, "both", lambda *a: pytest.fail("played again"))
    assert run_audit(plan, tmp_path, notify=quiet).sections["ranking"] == found


def test_what_makes_no_sense_is_refused(itself: Subject, tmp_path: Path):
    with pytest.raises(TaskError, match="Push-v0"):
        Subject("Pusch-v0")
    with pytest.raises(TaskError, match="chooses 'backend' itself"):
        Subject("Push-v0", {"backend": "neural"})
    with pytest.raises(TaskError, match="no section 'replays'"):
        Plan(itself, sections=("replays",))
    with pytest.raises(TaskError, match="learn from state or rgb, not from 'depth'"):
        Plan(Subject("Push-v0"), transfer_view="depth")
    for seed in (0, 4_999_999, 5_900_000, 9_000_000):
        with pytest.raises(TaskError, match=r"seed must be from 5,000,000 to 5,899,999, got .*: policies are trained"):
            Plan(itself, seed=seed)
    with pytest.raises(TaskError, match="no checkpoint to write"):
        run_audit(Plan(itself), tmp_path, card=True)


app = typer.Typer()
app.command()(bench_audit)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Push-v0", "-c", "nowhere.safetensors"), "there is no checkpoint nowhere.safetensors"),
        (("Push-v0", "--only", "replays"), "there is no section 'replays'"),
        (("Push-v0", "--set", "scene"), "'scene' is no keyword; write NAME=VALUE"),
        (("Nothing-v0",), "is not an environment of this package"),
        (("Push-v0", "--set", "backend=neural"), "the audit chooses 'backend' itself"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: tuple[str, ...], told: str, tmp_path: Path):
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "audit")])
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "audit").exists()


def test_the_command_audits_a_model(model_file: Path, tmp_path: Path):
    told = ["Push-v0", "-c", str(model_file), "--only", "replay", "--no-pictures", "--quick", "--json"]
    result = CliRunner().invoke(app, [*told, "--set", "max_episode_steps=60", "--out", str(tmp_path / "audit")])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["facts"]["environment"] == "PocketWorlds/Push-v0"
    assert len(found["facts"]["checkpoint sha256"]) == 64
    assert found["missed"]


def test_a_card_says_what_enough_episodes_found(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    subject = Subject("Push-v0", {"max_episode_steps": 20, "num_threads": 1}, checkpoint=model_file)
    plan = replace(Plan(subject, sections=("replay",), size=0).quick(), episodes=2, windows=1)
    with pytest.raises(TaskError, match="a card says what at least 64 episodes found, not 2"):
        run_audit(plan, tmp_path / "audit", card=True, notify=quiet)
    assert not (tmp_path / "audit").exists()
    monkeypatch.setattr(runner, "LEAST", 2)
    later = replace(plan, sections=("control",))
    with pytest.raises(TaskError, match="comes from the section replay; run it too"):
        run_audit(later, tmp_path / "audit", card=True, notify=quiet)
    run_audit(plan, tmp_path / "audit", card=True, notify=quiet)
    (told,) = load_checkpoint(model_file)[0].measured["audit"].values()
    assert told["episodes"] == 2
    run_audit(later, tmp_path / "audit", card=True, notify=quiet)  # what was replayed still holds
    (more,) = load_checkpoint(model_file)[0].measured["audit"].values()
    assert set(told["goals"]) < set(more["goals"])
