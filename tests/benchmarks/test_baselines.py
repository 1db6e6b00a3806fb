"""Baselines: one command trains what is missing and plays it; recipes are true, and bad input is told."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import mujoco
import pytest
import torch
from pocketworlds.agents import ppo, sac
from pocketworlds.agents.rl import course as rl_course
from pocketworlds.agents.wam import course as wam_course
from pocketworlds.benchmarks import baselines
from pocketworlds.benchmarks.baselines import learning_curves, names, read_recipe, train_baseline, training_groups
from pocketworlds.benchmarks.leaderboard.curves import read_curves
from pocketworlds.benchmarks.suites.definitions import Part
from pocketworlds.benchmarks.suites.freeze import freeze_group
from pocketworlds.benchmarks.suites.manifest import Suite, load_suite, suite_names
from pocketworlds.cli import app
from pocketworlds.errors import SuiteError, TaskError
from safetensors.torch import load_file
from typer.testing import CliRunner

PARTS = (
    Part("Reach-physics", "PocketWorlds/Reach-v0", "", episodes=4),
    Part("Reach-neural", "PocketWorlds/Reach-v0", "", {"backend": "neural"}, episodes=4),
)
FEW = ["demonstrations=2", "train.steps=2", "exam.episodes=2"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of eight episodes, in physics and in a neural simulator."""
    made = Suite(name="small-v1", about="", mujoco=mujoco.__version__, groups=tuple(freeze_group(p) for p in PARTS))
    file = tmp_path_factory.mktemp("suite") / "small-v1.json"
    file.write_text(made.written())
    return file


def quiet(stage: str, share: float) -> None:
    """Tells nobody."""


@pytest.mark.parametrize("name", names())
def test_recipes_can_be_followed(name: str) -> None:
    recipe = read_recipe(name)
    if recipe.method == "wam":
        assert wam_course.read_course([*recipe.settings, "env=Push-v0", "seed=1"]).seed == 1
    elif recipe.method == "rl":
        assert rl_course.read_course([*recipe.settings, "start=a", "seed=1"]).seed == 1
        assert read_recipe(str(recipe.start)).method == "wam"
    else:
        assert recipe.settings == []


@pytest.mark.parametrize("name", suite_names())
def test_nobody_trains_in_what_is_held_out_or_imagined(name: str) -> None:
    suite = load_suite(name)
    groups = training_groups(suite)
    assert set(groups) == {group.name.partition("-")[0] for group in suite.groups}
    for group in groups.values():
        assert group.keywords.get("split", "train") == "train"
        assert "backend" not in group.keywords


def test_networks_are_trained_once_and_reinforced(manifest: Path, tmp_path: Path) -> None:
    suite, folder = load_suite(manifest), tmp_path / "models"
    told: list[str] = []
    address = train_baseline("bc", suite, folder, settings=FEW, notify=lambda stage, share: told.append(stage))
    assert address == str(folder / "bc" / "{task}.safetensors")
    file = folder / "bc" / "Reach.safetensors"
    assert "bc, Reach (1 of 1): training" in told
    assert learning_curves("bc", suite, folder) == []  # two steps are too few for a line
    before = file.stat().st_mtime_ns
    assert train_baseline("bc", suite, folder, settings=FEW, notify=quiet) == address
    assert file.stat().st_mtime_ns == before
    with pytest.raises(SuiteError, match="holds models of other settings"):
        train_baseline("bc", suite, folder, settings=[*FEW, "noise=0"], notify=quiet)


def test_tasks_are_trained_side_by_side(tmp_path: Path) -> None:
    tasks = ("Reach", "PressButton")
    groups = tuple(freeze_group(Part(task, f"PocketWorlds/{task}-v0", "", episodes=1)) for task in tasks)
    suite = Suite(name="two-v1", about="", mujoco=mujoco.__version__, groups=groups)
    told: list[tuple[str, float]] = []
    for workers in (1, 2):
        train_baseline(
            "bc",
            suite,
            tmp_path / str(workers),
            settings=FEW,
            workers=workers,
            notify=lambda stage, share: told.append((stage, share)),
        )
        for number, task in enumerate(tasks):
            assert (f"bc, {task} ({number + 1} of 2): training", 1.0) in told
        told.clear()
    for task in tasks:
        alone, beside = (load_file(tmp_path / str(k) / "bc" / f"{task}.safetensors") for k in (1, 2))
        assert alone.keys() == beside.keys()
        for name, value in alone.items():
            torch.testing.assert_close(beside[name], value, rtol=1e-3, atol=1e-5)  # they have fewer threads
    with pytest.raises(TaskError, match="leave obs_mode out"):  # of a worker
        train_baseline("bc", suite, tmp_path / "bad", settings=["keywords.obs_mode=rgb"], workers=2, notify=quiet)


@pytest.mark.parametrize("name", ["ppo", "sac"])
def test_the_command_trains_plays_and_says_so(
    name: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"total_steps": 256, "num_envs": 8}
    monkeypatch.setattr(ppo, "SETTINGS", {"PocketWorlds/Reach-v0": ppo.Settings(**small, rollout=16)})
    plain = sac.Settings
    monkeypatch.setattr(sac, "Settings", lambda: plain(**small, updates=1, sac={"learning_starts": 64}))
    asked = ["bench", "baseline", name, "--suite", str(manifest)]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    results: dict[str, Any] = json.loads(
        (tmp_path / "out" / "leaderboard" / f"small-v1-{name}" / "results.json").read_text()
    )
    assert results["agent"]["name"] == name
    assert results["command"] == f"pocketworlds bench baseline {name} --suite {manifest} --seed 0 --workers 1"
    assert [len(each["episodes"]) for each in results["played"]] == [4, 4]
    with (tmp_path / "out" / "baselines" / "small-v1" / name / "Reach" / "curve.csv").open() as file:
        lines = [(float(line["steps"]), float(line["success"])) for line in csv.DictReader(file)]
    (curve,), refused = read_curves(tmp_path / "out" / "leaderboard" / f"small-v1-{name}")
    assert (curve.name, curve.across, curve.up) == ("Reach", "control steps", "success in training")
    assert curve.points == lines
    assert not refused
    again = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    assert again["sha256"] == results["sha256"]


def test_reinforcement_begins_with_the_baseline_it_names(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recipes cut short; what is trained and played is real."""
    real = baselines.read_recipe
    short = {"wam": FEW, "wam-rl": ["total_steps=64", "num_envs=4", "demonstrations=2", "exam.episodes=2"]}

    def cut(name: str) -> baselines.Recipe:
        return real(name).model_copy(update={"settings": short[name]})

    monkeypatch.setattr(baselines, "read_recipe", cut)
    address = train_baseline("wam-rl", load_suite(manifest), tmp_path, notify=quiet)
    assert address == str(tmp_path / "wam-rl" / "{task}.safetensors")
    assert (tmp_path / "wam" / "Reach.safetensors").exists()
    assert (tmp_path / "wam-rl" / "Reach.safetensors").exists()
    (curve,) = learning_curves("wam-rl", load_suite(manifest), tmp_path)
    assert (curve.across, curve.up) == ("control steps", "success in exams")
    assert curve.points[0][0] == 0
    assert all(success in (0, 0.5, 1) for _, success in curve.points)  # exams of two episodes


def test_bad_input_is_told(manifest: Path, tmp_path: Path) -> None:
    suite = load_suite(manifest)
    with pytest.raises(TaskError, match="there is no baseline 'genius'; there are act, bc"):
        train_baseline("genius", suite, tmp_path, notify=quiet)
    with pytest.raises(TaskError, match="ppo takes no settings"):
        train_baseline("ppo", suite, tmp_path, settings=["rate=1"], notify=quiet)
    with pytest.raises(TaskError, match="trian"):
        train_baseline("bc", suite, tmp_path, settings=["trian.steps=1"], notify=quiet)
    with pytest.raises(TaskError, match="total_stpes"):
        train_baseline("wam-rl", suite, tmp_path, settings=["total_stpes=1"], notify=quiet)
    assert not list(tmp_path.iterdir())  # the right words are not refused for the wrong ones before them
    held = suite.model_copy(update={"groups": (suite.groups[0].model_copy(update={"name": "Reach-test"}),)})
    with pytest.raises(SuiteError, match="nothing to train Reach in"):
        training_groups(held)
