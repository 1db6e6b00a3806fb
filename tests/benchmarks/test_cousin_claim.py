"""The cousin claim: bins and shares against counts by hand, and the whole benchmark on sets of a few cubes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pocketworlds.benchmarks import cousin_claim
from pocketworlds.benchmarks.cousin_claim import REPORT, main, summary
from pocketworlds.benchmarks.cousin_claim_page import plot
from pocketworlds.benchmarks.statistics import wilson
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import CousinConfig
from pocketworlds.envs.builtin import builtin_scene


def run(twin: int, cousins: list[tuple[float, int]]) -> dict:
    found = [{"distance": distance, "solved": solved, "played": 10} for distance, solved in cousins]
    return {"twin": {"solved": twin, "played": 20}, "cousins": found}


RESULTS = {
    "twin": [run(20, [(0.1, 10), (0.2, 8), (0.3, 2), (0.4, 0)]), run(16, [(0.1, 6), (0.2, 6), (0.3, 0), (0.4, 0)])],
    "8 cousins": [run(18, [(0.1, 9), (0.2, 9), (0.3, 9), (0.4, 9)]), run(18, [(0.1, 9), (0.2, 9), (0.3, 9), (0.4, 7)])],
}


def test_shares_by_distance_are_those_counted_by_hand() -> None:
    rows = summary(RESULTS, 2)
    found = {(row["way"], row["low"]): row for row in rows}
    assert len(rows) == 6
    assert found["twin", 0.0]["rate"] == 36 / 40
    assert found["twin", 0.0]["seeds"] == [1.0, 0.8]
    near, far = rows[1], rows[2]
    assert (near["solved"], near["played"]) == (30, 40)
    assert near["high"] == pytest.approx(0.25)
    assert (far["solved"], far["played"], far["seeds"]) == (2, 40, [0.1, 0.0])
    assert far["interval"] == list(wilson(2, 40))
    assert sum(row["played"] for row in rows) == 4 * 20 + 4 * 40  # nothing is left out or counted twice
    picture = ET.fromstring(plot(rows))
    assert len(picture.findall("{*}polyline")) == 2
    assert {"twin", "8 cousins"} <= {text.text for text in picture.findall("{*}text")}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten cousins of a cube on a table, and ten that only physics and looks tell from it."""
    out = tmp_path_factory.mktemp("sets")
    off = {"on": False}
    same = CousinConfig.model_validate({"instance": off, "shape": off, "scale": off, "clutter": off})
    for name, config in (("mid", CousinConfig()), ("randomised", same)):
        make_cousins(builtin_scene("one_cube"), out / name, count=10, config=config, seed=1, workers=1)
    return out


def test_trains_in_every_way_goes_on_where_it_was_and_reports(
    sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cousin_claim, "MANY", 4)
    monkeypatch.setattr(cousin_claim, "WAYS", ("twin", "randomised", "2 cousins", "4 cousins"))
    out = tmp_path / "claim"
    command = ["one_cube", str(sets / "mid"), str(sets / "randomised"), "--env-id", "PocketWorlds/Lift-v0"]
    command += ["--seeds", "1", "--episodes", "4", "--bins", "1", "--total-steps", "512", "--num-envs", "8"]
    command += ["--out", str(out)]
    stopped = cousin_claim.examine

    def stop(claim: object, policy: Path, *rest: object) -> dict:
        if policy.name == "2_cousins-0":
            raise KeyboardInterrupt
        return stopped(claim, policy, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(cousin_claim, "examine", stop)
    with pytest.raises(KeyboardInterrupt):
        main(command)
    assert not (out / REPORT).exists()
    before = {path: path.stat().st_mtime_ns for path in out.rglob("policy.zip")}
    assert {path.parent.name for path in before} == {"twin-0", "randomised-0", "2_cousins-0"}
    monkeypatch.setattr(cousin_claim, "examine", stopped)
    assert main(command) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before  # not trained again
    report = json.loads((out / REPORT).read_text())
    assert [row["way"] for row in report["rows"][::2]] == ["twin", "randomised", "2 cousins", "4 cousins"]
    assert all(row["played"] >= 4 for row in report["rows"])
    with_more = [*command[: command.index("--episodes")], "--episodes", "6", *command[command.index("--bins") :]]
    assert main(with_more) == 2
    told, wrong = capsys.readouterr()
    assert "holds a comparison with another episodes" in wrong
    assert "4 cousins, seed 0: twin" in told
    assert "95 % Wilson" in told


def test_a_range_without_cousins_is_left_out() -> None:
    same = [(0.2, 5), (0.2, 5), (0.2, 5), (0.2, 5), (0.4, 1)]
    rows = summary({"twin": [run(10, same)]}, 4)
    assert sum(row["played"] for row in rows) == 20 + 50
    ET.fromstring(plot(rows))


def test_sets_that_are_too_small_are_told(sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["one_cube", str(sets / "mid"), str(sets / "randomised"), "--env-id", "PocketWorlds/Lift-v0"]
    command += ["--seeds", "1", "--episodes", "2", "--total-steps", "256", "--num-envs", "8", "--out", str(tmp_path)]
    assert main(command) == 2
    assert "cousins for training, 64 are needed; make more" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())  # told before anything is trained
