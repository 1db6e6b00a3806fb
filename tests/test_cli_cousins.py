"""`pocketworlds cousins` and `cousins-check` as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pocketworlds.agents.cousin_check import choose_check
from pocketworlds.cli import app
from pocketworlds.digital_cousins import build
from pocketworlds.digital_cousins.cousin_set import load_cousins
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.errors import TaskError
from typer.testing import CliRunner, Result

FEW = ("-n", "10", "--set", "instance.on=false", "--set", "clutter.on=false", "--workers", "1")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    out = tmp_path_factory.mktemp("sets") / "cubes"
    result = run("cousins", "one_cube", "--out", out, *FEW, "--seed", "5", "--spread", "0.7", "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_a_set_is_made_and_summed_up(answer: dict[str, object]) -> None:
    assert answer["cousins"] == 10
    assert answer["splits"] == {"train": 8, "validation": 1, "test": 1}
    assert answer["task"] == "PocketWorlds/Lift-v0"  # there is nothing to put the cube into
    manifest = load_cousins(str(answer["folder"])).manifest
    assert (manifest.seed, manifest.config.width, manifest.config.kinship) == (5, 0.7, "near")
    assert not manifest.config.instance.on
    assert (answer["tried"], answer["rejected"]) == (manifest.tried, manifest.rejected)


def test_checking_again_exits_with_0_and_then_with_1(answer: dict[str, object], tmp_path: Path) -> None:
    folder = Path(str(answer["folder"]))
    assert "everything holds" in run("cousins-check", folder, "--workers", "1").stdout
    changed = folder / load_cousins(folder).manifest.entries[3].file
    before = changed.read_bytes()
    try:
        changed.write_bytes(before + b" ")
        result = run("cousins-check", folder, "--workers", "1", "--json")
    finally:
        changed.write_bytes(before)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["damaged"] == [f"cousins/{changed.name}"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere",), "neither a scene folder nor a built-in scene"),
        (("one_cube", "-n", "3"), "at least 6 cousins"),
        (("one_cube", "--task", "PocketWorlds/Fly-v0"), "'PocketWorlds/Fly-v0' is not an environment"),
        (("one_cube", "--task", "PocketWorlds/OpenDrawer-v0"), "the twin 'one_cube' does not"),
        (("one_cube", "--object", "spoon"), "spoon"),
        (("one_cube", "--set", "mas.factor=2"), "setting 'mas' of cousins"),
        (("one_cube", "--set", "mass.factor=0.5"), "setting 'mass.factor' of cousins"),
        (("one_cube", "--spread", "9"), "setting 'spread' of cousins"),
        (("one_cube", "--config", "nowhere.yaml"), "nowhere.yaml"),
        (("one_cube", "--library", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = run("cousins", *arguments, "--out", tmp_path / "set")
    assert result.exit_code == 2
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("pocketworlds: ")]
    assert told in line
    assert not (tmp_path / "set").exists()


def test_a_set_is_no_scene_to_make_cousins_of(answer: dict[str, object], tmp_path: Path) -> None:
    result = run("cousins", answer["folder"], "--out", tmp_path / "set")
    assert result.exit_code == 2
    assert "is a set of cousins; give the scene that it was made from" in result.stderr


def test_a_set_that_is_there_is_kept(answer: dict[str, object]) -> None:
    result = run("cousins", "one_cube", "--out", answer["folder"], *FEW)
    assert result.exit_code == 2
    assert "--replace" in result.stderr


@pytest.mark.parametrize(
    ("scene", "task"), [("kitchen", "PickPlace"), ("tabletop", "Lift"), ("shelf", "PickPlace"), ("sockets", "Lift")]
)
def test_the_task_that_is_tried_suits_the_twin(scene: str, task: str) -> None:
    assert choose_check(builtin_scene(scene)).env_id == f"PocketWorlds/{task}-v0"


def test_a_task_that_the_twin_cannot_pass_is_refused() -> None:
    with pytest.raises(TaskError, match="no cousin could pass"):
        choose_check(builtin_scene("tabletop"), "PocketWorlds/PressButton-v0")


def test_ctrl_c_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, making = tmp_path / "set", tmp_path / ".set.making"
    few = [*FEW[:-2], "--task", "none", "--workers", "2"]
    few[1] = "400"
    command = [sys.executable, "-m", "pocketworlds.cli", "cousins", "one_cube", "--out", str(out), *few]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    first = making / "chunks" / "000000.json"
    deadline = time.monotonic() + 60
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    lines = [line for line in stderr.splitlines() if not line.startswith("family: ")]
    assert lines == ["pocketworlds: interrupted; what was found is kept: run the same command again to go on"]
    assert not out.exists()
    before = first.read_bytes()
    monkeypatch.setattr(build, "_chunk", lambda number: pytest.fail(f"chunk {number} is made again"))
    few[1], few[-1] = "8", "1"
    result = run("cousins", "one_cube", "--out", out, *few)
    assert result.exit_code == 0, result.stderr
    assert load_cousins(out).manifest.entries[0].index == json.loads(before)[0]["index"]
