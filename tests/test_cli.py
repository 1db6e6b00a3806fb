"""The command line as a user meets it: answers, exit codes, one sentence on bad input, what an interruption leaves."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pocketworlds import __version__, doctor
from pocketworlds.cli import app
from pocketworlds.cli.session import Session
from pocketworlds.demo import demo_capture
from pocketworlds.errors import CaptureError
from pocketworlds.progress import StageProgress
from pocketworlds.scenes import save_scene
from rich.console import Console
from typer.testing import CliRunner, Result

from .scenes.builders import scene, thing

COARSE = ("--no-texture", "--max-frames", "12", "--voxel", "10")
"""A scan of the embedded capture in seconds; only the box is big enough for it."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POCKETWORLDS_CACHE", str(tmp_path / "cache"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sentence(result: Result) -> str:
    """The one line on stderr that a failed command leaves."""
    assert "Traceback" not in result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("pocketworlds: ")]
    assert len(lines) == 1
    return lines[0]


# Answers ------------------------------------------------------------------------------------------------------------


def test_version_and_help() -> None:
    assert run("--version").output == f"pocketworlds {__version__}\n"
    shown = run("--help")
    assert shown.exit_code == 0
    names = ("scan", "view", "demo", "cousins", "cousins-check", "envs", "record", "bench", "check-robot", "doctor")
    assert all(name in shown.output for name in names)


COMMANDS = [
    ("scan",),
    ("view",),
    ("demo",),
    ("envs",),
    ("record",),
    ("bench", "real2sim"),
    ("cousins",),
    ("cousins-check",),
    ("bench", "experts"),
    ("bench", "cousins"),
    ("bench", "audit"),
    ("train", "neural"),
    ("train", "renderer"),
    ("watch",),
    ("check-robot",),
    ("doctor",),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    assert run(*command, "--help").exit_code == 0


def test_module_runs_as_the_command() -> None:
    child = command_line("--version")
    assert child.stdout == f"pocketworlds {__version__}\n"


def test_json_keeps_stdout_to_itself() -> None:
    code = """
import os, sys
from pocketworlds.cli.session import Session
with Session(True, False, "") as session:
    print("from Python")
    os.write(1, b"from C++\\n")
    session.answer({"answer": 42})
print("afterwards")
"""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    answer, after = child.stdout.rsplit("afterwards", 1)
    assert json.loads(answer) == {"answer": 42}
    assert after == "\n"
    assert "from Python" in child.stderr
    assert "from C++" in child.stderr


# Bad input ----------------------------------------------------------------------------------------------------------


def test_capture_that_is_not_there(tmp_path: Path) -> None:
    result = run("scan", tmp_path / "nowhere", "--out", tmp_path / "scene")
    assert result.exit_code == 2
    assert "no such file or folder" in sentence(result)
    assert not (tmp_path / "scene").exists()


def test_capture_of_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "holiday.txt").write_text("sun")
    result = run("scan", tmp_path, "--out", tmp_path / "scene")
    assert result.exit_code == 2
    assert "Supported: 3D Scanner App" in sentence(result)


def test_capture_that_was_cut_off(tmp_path: Path) -> None:
    capture = tmp_path / "capture"
    capture.mkdir()
    for file in demo_capture().glob("*.csv"):
        (capture / file.name).write_bytes(file.read_bytes())
    result = run("scan", capture, "--out", tmp_path / "scene")
    assert result.exit_code == 2
    assert "depth" in sentence(result)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["capture"]


@pytest.mark.parametrize("seed", range(24))
def test_damaged_capture_ends_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Up to the decoded frames all is real; what survives its damage is stopped there, to save time."""

    def stop(*_: object, **__: object) -> None:
        raise CaptureError("survived")

    monkeypatch.setattr("pocketworlds.real2sim.pipeline.fuse", stop)
    capture = shutil.copytree(demo_capture(), tmp_path / "capture")
    chance = random.Random(seed)
    files = [file for file in sorted(capture.rglob("*")) if file.is_file()]
    tables = [file for file in files if file.suffix in (".csv", ".mp4")]
    for file in {*chance.sample(files, 8), chance.choice(tables)}:
        content = bytearray(file.read_bytes())
        match chance.choice(("cut", "empty", "noise", "gone", "text")):
            case "cut":
                content = content[: chance.randrange(len(content))]
            case "empty":
                content.clear()
            case "noise":
                for _ in range(20):
                    content[chance.randrange(len(content))] = chance.randrange(256)
            case "text":
                content = content.replace(b"0", b"nan", 3).replace(b",", b";", 2)
            case "gone":
                file.unlink()
                continue
        file.write_bytes(content)
    result = run("scan", capture, "--out", tmp_path / "scene", "--max-frames", "10")
    assert result.exit_code == 2, result.output
    assert sentence(result)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["capture"]


def test_existing_scene_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "scene"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    for flags in ((), ("--replace",)):
        result = run("scan", demo_capture(), "--out", out, *COARSE, *flags)
        assert result.exit_code == 2
        assert "exists already" in sentence(result) or "will not be overwritten" in sentence(result)
    assert [path.name for path in out.iterdir()] == ["diary.txt"]


def test_error_as_json(tmp_path: Path) -> None:
    result = run("scan", tmp_path / "nowhere", "--out", tmp_path / "scene", "--json")
    assert result.exit_code == 2
    answer = json.loads(result.stdout)
    assert answer["exit_code"] == 2
    assert answer["error"] in sentence(result)


@pytest.mark.parametrize("option", [("--voxel", "0"), ("--voxel", "nan"), ("--max-frames", "0"), ("--color", "red")])
def test_option_that_makes_no_sense(tmp_path: Path, option: tuple[str, str]) -> None:
    result = run("scan", demo_capture(), "--out", tmp_path / "scene", *option)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert not (tmp_path / "scene").exists()


def test_view_of_something_else(tmp_path: Path) -> None:
    result = run("view", tmp_path)
    assert result.exit_code == 2
    assert "not a scene folder" in sentence(result)


def test_view_without_a_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_scene(scene(thing("box", (0, 0, 0.05))), tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if sys.platform.startswith("linux"):
        result = run("view", tmp_path, "--mode", "native")
        assert result.exit_code == 2
        assert "no screen" in sentence(result)


# Environments -------------------------------------------------------------------------------------------------------


def test_envs_lists_every_id() -> None:
    from pocketworlds import ENVIRONMENTS

    lines = run("envs").stdout.splitlines()
    assert lines[0].split() == ["id", "task", "scene", "steps", "action", "state", "for", "example"]
    assert [line.split()[0] for line in lines[1:]] == list(ENVIRONMENTS)
    (reach,) = [line for line in lines if line.startswith("PocketWorlds/Reach-v0")]
    assert reach.split()[1:6] == ["reach", "tabletop", "60", "7", "32"]
    assert "reach the point" in reach


def test_envs_as_json() -> None:
    (lift,) = json.loads(run("envs", "Lift-v0", "--json").stdout)["environments"]
    assert lift["env_id"] == "PocketWorlds/Lift-v0"
    assert sum(lift["observation"].values()) == lift["observation_size"] == 47
    assert sum(lift["rewards"].values()) == pytest.approx(1.0)


def test_unknown_environment() -> None:
    for command in (("envs", "Lfit-v0"), ("bench", "experts", "--ids", "Lfit-v0")):
        result = run(*command)
        assert result.exit_code == 2
        assert "did you mean 'PocketWorlds/Lift-v0'" in sentence(result)


def test_bench_experts() -> None:
    result = run("bench", "experts", "--ids", "Reach-v0", "--episodes", "3", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert [(score["policy"], score["solved"]) for score in answer["scores"]] == [("expert", 3), ("random", 0)]
    assert "Reach-v0 expert: done" in result.stderr
    assert "3/3" in run("bench", "experts", "--ids", "Reach-v0", "--episodes", "3").stdout


# Recording ----------------------------------------------------------------------------------------------------------

RECORD = ("record", "PocketWorlds/Scan-v0", "--episodes", "2", "--set", "max_episode_steps=12", "--set", "object=box")


@pytest.mark.parametrize("format", ["lerobot", "minari", "robomimic"])
def test_record(tmp_path: Path, format: str) -> None:
    from pocketworlds.world_models.trajectories import open_trajectories

    result = run(*RECORD, "--random", "--format", format, "--out", tmp_path / "set", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer == {
        "path": str(tmp_path / "set"),
        "format": format,
        "episodes": 2,
        "steps": 24,
        "successes": 0,
        "tried": 2,
    }
    assert "collect: done" in result.stderr
    data = open_trajectories(answer["path"])
    assert (data.format, data.origin.policy) == (format, "random")
    assert data.origin.keywords == {"obs_mode": "state", "max_episode_steps": 12, "object": "box"}
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["set"]


def test_record_says_what_it_did(tmp_path: Path) -> None:
    result = run(*RECORD, "--out", tmp_path / "set")
    assert result.stdout == f"2 episodes, 24 steps, 0 ended in success\ndata set  {tmp_path / 'set'} (lerobot)\n"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--set", "task=fly"), "task='fly' is not known"),
        (("--set", "tusk"), "not of the form key=value"),
        (("--set", "tusk=1"), "'tusk' is not a keyword"),
        (("--obs-mode", "smell"), "'smell' is not known"),
        (("--set", "control_mode=joint_delta"), "need control_mode='ee_delta'"),
        (("--set", "scene=/nowhere/at/all"), "is not a scene folder"),
        (("--out", "/proc/nowhere/set"), "cannot write"),
    ],
)
def test_recording_that_cannot_be(tmp_path: Path, options: tuple[str, ...], told: str) -> None:
    result = run(*RECORD, "--out", tmp_path / "set", *options)
    assert result.exit_code == 2, result.output
    assert told in sentence(result)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


@pytest.mark.parametrize("option", [("--format", "zarr"), ("--episodes", "0"), ("--noise", "2"), ("--num-envs", "0")])
def test_recording_option_that_makes_no_sense(tmp_path: Path, option: tuple[str, str]) -> None:
    result = run("record", "PocketWorlds/Scan-v0", "--out", tmp_path / "set", *option)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_existing_data_set_is_kept(tmp_path: Path) -> None:
    run(*RECORD, "--out", tmp_path / "set")
    again = (*RECORD, "--out", tmp_path / "set", "--seed", "1")
    result = run(*again)
    assert result.exit_code == 2
    assert "exists already" in sentence(result)
    assert run(*again, "--replace").exit_code == 0


# Other ends ---------------------------------------------------------------------------------------------------------


def ending(error: BaseException, *, debug: bool = False, as_json: bool = False) -> Result:
    """How a command that raises `error` ends."""
    import typer

    small = typer.Typer()

    @small.command()
    def command() -> None:
        with Session(as_json, debug, "run it again"):
            raise error

    return CliRunner().invoke(small)


def test_message_of_several_lines_becomes_one_sentence() -> None:
    result = ending(CaptureError("this\nand that"))
    assert (result.exit_code, sentence(result)) == (2, "pocketworlds: this and that")


def test_interruption() -> None:
    result = ending(KeyboardInterrupt())
    assert (result.exit_code, sentence(result)) == (130, "pocketworlds: interrupted; run it again")


def test_unexpected_error_shows_its_traceback_only_with_debug() -> None:
    result = ending(ZeroDivisionError("by nothing"))
    assert result.exit_code == 1
    assert "unexpected ZeroDivisionError: by nothing (run again with --debug" in sentence(result)
    result = ending(ZeroDivisionError("by nothing"), debug=True)
    assert isinstance(result.exception, ZeroDivisionError)


def test_missing_system_library_points_to_the_doctor() -> None:
    result = ending(OSError("libusb-1.0.so.0: cannot open shared object file"), as_json=True)
    assert result.exit_code == 1
    assert "`pocketworlds doctor`" in sentence(result)
    assert json.loads(result.stdout)["exit_code"] == 1


# Progress -----------------------------------------------------------------------------------------------------------


def test_progress_off_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress() as progress:
        for share in (0.0, 0.5, 1.0):
            progress.notify("fusion", share)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "fusion: done in 0.0 s\n"


def test_progress_on_a_terminal_is_bars(tmp_path: Path) -> None:
    with (tmp_path / "screen").open("w+", encoding="utf-8") as file:
        console = Console(file=file, force_terminal=True, width=100)
        with StageProgress(console) as progress:
            progress.notify("fusion", 0.25)
            progress.notify("fusion", 1.0)
            progress.notify("settle", 1.0)
        file.seek(0)
        text = file.read()
    assert "fusion" in text
    assert "100%" in text


# Doctor -------------------------------------------------------------------------------------------------------------


def test_doctor_on_this_machine() -> None:
    result = run("doctor", "--json")
    answer = json.loads(result.stdout)
    assert {check["name"] for check in answer["checks"]} >= {"python", "open3d", "rendering", "av", "disk", "memory"}
    assert all(check["fix"] for check in answer["checks"] if check["status"] != "ok")
    assert answer["ok"], result.stdout
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("platform", "error", "fix"),
    [
        ("linux", "OSError: libusb-1.0.so.0: cannot open shared object file", "apt-get install -y libusb-1.0-0"),
        ("linux", "ImportError: libGL.so.1: cannot open shared object file", "apt-get install -y libgl1"),
        ("linux", "ImportError: libgomp.so.1: cannot open shared object file", "apt-get install -y libgomp1"),
        ("linux", "ModuleNotFoundError: No module named 'open3d'", "-m pip install open3d"),
        ("darwin", "Library not loaded: /opt/homebrew/opt/libomp/lib/libomp.dylib", "brew install libomp"),
    ],
)
def test_doctor_names_the_command(monkeypatch: pytest.MonkeyPatch, platform: str, error: str, fix: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert fix in doctor._fix("open3d", error)


def test_doctor_survives_what_crashes() -> None:
    assert doctor._try("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)") == ("", "crashed with signal 11")
    assert (
        doctor._try("import nothing_of_that_name")[1] == "ModuleNotFoundError: No module named 'nothing_of_that_name'"
    )


def test_doctor_fails_when_something_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_LIBRARIES", (("nothing", True, "import nothing_of_that_name"),))
    result = run("doctor")
    assert result.exit_code == 1
    assert "missing  nothing: ModuleNotFoundError" in result.stdout
    assert "-m pip install nothing" in result.stdout


# Interruption -------------------------------------------------------------------------------------------------------


def command_line(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pocketworlds.cli", *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def interrupted(number: signal.Signals, after: str, delay: float, *arguments: object) -> tuple[int, str]:
    """Runs the command, sends it a signal `delay` seconds after it said that stage `after` was done."""
    child = subprocess.Popen(
        [sys.executable, "-m", "pocketworlds.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    timer = threading.Timer(240, child.kill)
    timer.start()
    said = []
    try:
        for line in child.stderr:
            said.append(line)
            if line.startswith(f"{after}: done"):
                time.sleep(delay)
                child.send_signal(number)
        return child.wait(), "".join(said)
    finally:
        timer.cancel()
        child.kill()
        child.communicate()


def test_interrupted_scan_leaves_nothing_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    command = ("scan", demo_capture(), "--out", folder / "scene", *COARSE)
    chance = random.Random(7)
    for number, after, code in (
        (signal.SIGINT, "load", 130),
        (signal.SIGTERM, "fusion", 143),
        (signal.SIGINT, "structure", 130),
    ):
        ended, said = interrupted(number, after, chance.uniform(0, 0.5), *command)
        assert ended == code, said
        assert "Traceback" not in said
        assert code != 130 or "run the same command again to go on" in said
        assert list(folder.iterdir()) == []

    child = command_line(*command, "--json")
    assert child.returncode == 0, child.stderr
    answer = json.loads(child.stdout)
    kept = {stage["name"] for stage in answer["stages"] if stage["cached"]}
    assert {"fusion", "structure"} <= kept
    assert (folder / "scene" / "scene.xml").is_file()
    assert not list((tmp_path / "cache").rglob("*.pickle"))
