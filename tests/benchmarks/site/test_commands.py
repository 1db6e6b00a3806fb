"""`bench run`, `freeze`, `check`, `compare`, `trust` and `site` as a user meets them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from pocketworlds.benchmarks.leaderboard import replay as replaying
from pocketworlds.benchmarks.leaderboard import run as running
from pocketworlds.benchmarks.leaderboard.replay import Replayed
from pocketworlds.benchmarks.leaderboard.results import Results
from pocketworlds.benchmarks.leaderboard.run import Order
from pocketworlds.benchmarks.leaderboard.summary import compare
from pocketworlds.benchmarks.leaderboard.trust import trust
from pocketworlds.benchmarks.suites.manifest import Suite, load_suite
from pocketworlds.cli import app
from pocketworlds.cli.leaderboard import command_line
from typer.testing import CliRunner, Result

from ..leaderboard.boards import kept, small_results, small_suite
from .conftest import SUITE, Site


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", *(str(each) for each in arguments)])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Of the small suite."""
    file = tmp_path / "small-v1.json"
    file.write_text(SUITE.written())
    return file


@pytest.mark.parametrize("command", ["run", "baseline", "freeze", "check", "compare", "factors", "trust", "site"])
def test_every_command_has_help(command: str) -> None:
    assert run(command, "--help").exit_code == 0
    assert command in run("--help").output


def test_run_plays_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[tuple[Order, Path]] = []

    def plays(order: Order, out: Path, notify: Any) -> Any:
        orders.append((order, out))
        notify("Push", 1.0)
        return small_results(SUITE, order.name)

    monkeypatch.setattr(running, "run_suite", plays)
    asked = ["run", "--suite", "core-v1", "--agent", "a module:Agent", "--name", "it's mine", "--num-envs", "7"]
    result = run(*asked, "--workers", "2", "--out", tmp_path / "a b")
    assert result.exit_code == 0, result.output
    order, out = orders[0]
    assert out == tmp_path / "a b"
    assert (order.suite, order.agent, order.name, order.num_envs, order.workers) == (
        *("core-v1", "a module:Agent", "it's mine"),
        *(7, 2),
    )
    assert "Success at the end of an episode" in result.stdout
    assert "it's mine" in result.stdout
    words = shlex.split(order.command)
    assert words[:3] == ["pocketworlds", "bench", "run"]
    again = run(*words[2:], "--json")
    assert orders[1] == orders[0]
    assert 0 <= json.loads(again.stdout)["mean"] <= 1


def test_run_has_a_folder_for_every_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Path] = []

    def plays(order: Order, out: Path, notify: Any) -> Any:
        places.append(out)
        return small_results(SUITE)

    monkeypatch.setattr(running, "run_suite", plays)
    run("run", "--suite", "core-v1", "--agent", "openpi:ws://host:8000")
    run("run", "--suite", "out/small-v1.json", "--agent", "expert", "--name", "../../Mine")
    assert [str(place) for place in places] == [
        "out/leaderboard/core-v1-openpi-ws-host-8000",
        "out/leaderboard/small-v1-mine",
    ]


def test_commands_are_quoted() -> None:
    told = command_line("core-v1", "$(reboot)", "", 50, 1, Path("a b"))
    assert shlex.split(told)[6:] == ["$(reboot)", "--num-envs", "50", "--workers", "1", "--out", "a b"]


def test_check_tells_of_every_file(tmp_path: Path, manifest: Path) -> None:
    good = kept(small_results(SUITE, "mine \x1b[2J"), tmp_path / "runs" / "good")
    bad = tmp_path / "runs" / "bad"
    bad.mkdir()
    (bad / "results.json").write_text('{"\x1b[2J": 1}')
    result = run("check", good, "--suite", manifest)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"valid: {good}: mine")
    result = run("check", tmp_path / "runs", tmp_path / "nowhere", "--suite", manifest)
    assert result.exit_code == 2
    told = result.stdout.splitlines()
    assert [line.partition(":")[0] for line in told] == ["refused", "valid", "refused"]
    assert "\x1b" not in result.stdout
    answer = json.loads(run("check", tmp_path / "runs", "--suite", manifest, "--json").stdout)
    assert answer["valid"] == [str(good)]
    assert list(answer["refused"]) == [str(bad / "results.json")]


def test_check_plays_episodes_again(tmp_path: Path, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = small_results(SUITE)
    file = kept(results, tmp_path / "run")
    asked: list[Any] = []

    def plays(told: Results, count: int, *, address: str | None, seed: int, suite: Suite | None, notify: Any) -> Any:
        asked.append((count, address, seed, suite and suite.name))
        said = told.group("Push")[3]
        found = said.model_copy(update={"reward": said.reward + 1}) if seed == 8 else said
        return [Replayed("Push", said, found)]

    monkeypatch.setattr(replaying, "replay", plays)
    again = ("check", file, "--suite", manifest, "--replay", 2, "--agent", "mine.safetensors", "--seed")
    result = run(*again, 7)
    assert result.exit_code == 0, result.output
    assert asked == [(2, "mine.safetensors", 7, "small-v1")]
    assert "2 episodes of every group (--seed 7) end as it says" in result.stdout
    result = run(*again, 8)
    assert result.exit_code == 2
    assert "Push 3 (seed 103) among them: its reward" in result.stdout
    assert run("check", file, "--suite", manifest).exit_code == 0
    assert len(asked) == 2


def test_a_suite_of_ones_own_is_frozen_and_played(tmp_path: Path) -> None:
    file, out = tmp_path / "mine-v1.json", tmp_path / "run"
    asked = ("freeze", "Reach-v0", "PocketWorlds/Push-v0", "--name", "mine-v1", "-n", 3, "--out", file)
    result = run(*asked, "--set", "object_jitter=0.01")
    assert result.exit_code == 0, result.output
    suite = load_suite(file)
    assert [(group.name, group.episodes, group.keywords) for group in suite.groups] == [
        ("Reach", 3, {"object_jitter": 0.01}),
        ("Push", 3, {"object_jitter": 0.01}),
    ]
    assert len({start for group in suite.groups for start in group.starts}) == 6
    assert run("run", "--suite", file, "--agent", "random", "--out", out).exit_code == 0
    assert run("check", out, "--suite", file, "--replay", 1).exit_code == 0
    result = run(*asked)
    assert result.exit_code == 2
    assert "a suite that was played is not changed" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("Reach-v0", "--name", "Mine"), "a suite cannot be called 'Mine': small letters and a version"),
        (("Reach-v0", "--name", "a-v1", "--set", "obs_mode=rgb"), "'obs_mode' is an agent's own affair"),
        (("Reach-v0", "Reach-v0", "--name", "a-v1"), "an environment comes twice"),
        (("Fly-v0", "--name", "a-v1"), "Fly-v0"),
        (("Reach-v0", "--name", "a-v1", "--set", "scene=nowhere"), "nowhere"),
        (("Reach-v0", "--name", "a-v1", "--set", "wings=2"), "wings"),
    ],
)
def test_a_suite_that_cannot_be_is_one_sentence(asked: tuple[str, ...], told: str, tmp_path: Path) -> None:
    result = run("freeze", *asked, "--out", tmp_path / "a.json")
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.stderr.split())
    assert not (tmp_path / "a.json").exists()


def test_check_needs_the_manifest_of_other_suites(tmp_path: Path) -> None:
    file = kept(small_results(SUITE), tmp_path)
    result = run("check", file)
    assert result.exit_code == 2
    assert "there is no suite 'small-v1'" in result.stdout
    assert run("check", file, "--suite", tmp_path / "nowhere").exit_code == 2


def test_compare_shows_what_is_apart(site: Site, tmp_path: Path, manifest: Path) -> None:
    first, second = site.runs["expert"], site.runs["twice b"]
    files = [kept(each, tmp_path / name) for name, each in (("a", first), ("b", second))]
    result = run("compare", *files, "--suite", manifest)
    assert result.exit_code == 0
    whole = compare(first, second)[""]
    row = next(line for line in result.stdout.splitlines() if line.strip().startswith("all"))
    assert f"{whole.apart:+.3f}" in row
    assert f"{whole.improvement:.3f}" in row
    assert "Push" in result.stdout
    told = json.loads(run("compare", files[0].parent, files[1], "--suite", manifest, "--json").stdout)
    assert told["groups"]["all"]["p"] == pytest.approx(whole.p)


def test_compare_needs_one_suite(tmp_path: Path, manifest: Path) -> None:
    other = small_suite("other-v1")
    (tmp_path / "other-v1.json").write_text(other.written())
    files = [kept(small_results(suite), tmp_path / suite.name) for suite in (SUITE, other)]
    result = run("compare", *files, "--suite", manifest, "--suite", tmp_path / "other-v1.json")
    assert result.exit_code == 2
    assert "compare runs of one suite" in result.stderr


def test_trust_is_told_of_the_suites_that_have_it(tmp_path: Path) -> None:
    swap = small_suite("own_swap-v1")
    groups = tuple(
        group.model_copy(update={"name": f"Push-{where}"})
        for group, where in zip(swap.groups, ("physics", "neural"), strict=True)
    )
    swap = swap.model_copy(update={"groups": groups})
    for made in (swap, SUITE):
        (tmp_path / f"{made.name}.json").write_text(made.written())
    runs = [small_results(swap, f"agent {k}", share=k / 8, seed=k) for k in range(8)]
    for results in runs:
        kept(results, tmp_path / "runs" / results.agent.name)
    kept(small_results(SUITE), tmp_path / "runs" / "of another suite")
    bad = kept(runs[0].model_copy(update={"seconds": 1.0}), tmp_path / "runs" / "bad")
    manifests = ("--suite", tmp_path / "own_swap-v1.json", "--suite", tmp_path / "small-v1.json")
    result = run("trust", tmp_path / "runs", *manifests)
    assert result.exit_code == 0, result.output
    assert f"left out: {bad}: {bad} is refused: its digest" in " ".join(result.stderr.split())
    (row,) = [line for line in result.stdout.splitlines() if line.split()[:2] == ["Push", "neural"]]
    (found,) = trust(runs)
    assert row.split()[2:4] == ["8", f"{found.r:.3f}"]
    told = json.loads(run("trust", tmp_path / "runs", *manifests, "--json").stdout)["trust"]
    assert [each["mmrv"] for each in told["own_swap-v1"]] == [pytest.approx(found.mmrv)]
    result = run("trust", tmp_path / "runs" / "of another suite", *manifests)
    assert result.exit_code == 2
    assert "take runs of swap-v1" in result.stderr
    result = run("trust", tmp_path / "runs" / "agent 1", *manifests)
    assert result.exit_code == 2
    assert "8 agents of different skill, got 1" in result.stderr
    pages = tmp_path / "site"
    assert run("site", tmp_path / "runs", *manifests, "--out", pages).exit_code == 0
    (page,) = [file.read_text() for file in pages.rglob("*.html") if "One left out</th>" in file.read_text()]
    assert f"{found.r:.3f}" in page


def test_site_leaves_out_what_is_refused(tmp_path: Path, manifest: Path) -> None:
    kept(small_results(SUITE), tmp_path / "runs" / "good")
    bad = kept(small_results(SUITE).model_copy(update={"seconds": 1.0}), tmp_path / "runs" / "bad")
    asked = ("site", tmp_path / "runs", "--out", tmp_path / "site", "--suite", manifest)
    result = run(*asked)
    assert result.exit_code == 0, result.output
    assert f"left out: {bad}: {bad} is refused: its digest" in " ".join(result.stderr.split())
    assert f"1 run of small-v1 written to {tmp_path / 'site'}" in " ".join(result.stdout.split())
    assert (tmp_path / "site" / "index.html").is_file()
    result = run(*asked)
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    answer = json.loads(run(*asked, "--replace", "--json").stdout)
    assert list(answer["refused"]) == [str(bad)]


def test_site_needs_something_to_show(tmp_path: Path) -> None:
    result = run("site", tmp_path, "--out", tmp_path / "site")
    assert result.exit_code == 2
    assert "there is nothing to show" in result.stderr
    assert not (tmp_path / "site").exists()
