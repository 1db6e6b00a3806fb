"""The results in `leaderboard/`: each is whole, unchanged and of its suite, and one run has one name."""

from __future__ import annotations

from pathlib import Path

from pocketworlds.benchmarks.leaderboard.curves import read_curves
from pocketworlds.benchmarks.site.collect import collect
from pocketworlds.benchmarks.words import slug

FOLDER = Path(__file__).parents[3] / "leaderboard"


def test_all_that_was_handed_in_can_be_shown() -> None:
    shown, refused = collect([FOLDER])
    assert not refused
    assert {each.file.parent.name for each in shown} == {
        f"{each.suite.name}-{slug(each.results.agent.name)}" for each in shown
    }
    assert "core-v1-expert" in {each.file.parent.name for each in shown}
    assert sorted(FOLDER.rglob("*.json")) == sorted(each.file for each in shown)


def test_what_is_privileged_says_so_and_nothing_names_a_place_on_somebody_s_disk() -> None:
    for each in collect([FOLDER])[0]:
        results = each.results
        assert results.agent.privileged == (results.agent.address.partition("@")[0] == "expert")
        assert not any(word.startswith(("/", "~")) for word in [results.agent.address, *results.command.split()])
        assert not any(Path(name).is_absolute() for name in results.agent.files)


def test_how_they_learned_can_be_shown_of_every_task() -> None:
    told = {each.file.parent.name: (each.suite, read_curves(each.file.parent)) for each in collect([FOLDER])[0]}
    assert told["core-v1-bc"][1][0]
    for suite, (curves, refused) in told.values():
        assert not refused
        tasks = {group.name.partition("-")[0] for group in suite.groups}
        assert {curve.name for curve in curves} in (set(), tasks)
