"""The throughput benchmark measures what it says, on what it says, and names what it cannot run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pocketworlds
import pytest
from PIL import Image
from pocketworlds.benchmarks import throughput
from pocketworlds.benchmarks.throughput import Bare, Effort, Stepper, against_bare, cubes, run_throughput
from pocketworlds.benchmarks.throughput_peers import Mode, Peer, PeerError, find_python
from pocketworlds.benchmarks.throughput_result import Cost, plot

gym.register_envs(pocketworlds)

PEER = """
import json, sys
print(json.dumps({"task": "pretended", "substeps": int(sys.argv[4]), "count": int(sys.argv[3])}), flush=True)
for line in sys.stdin:
    print(json.dumps([1000 * float(line), 2 * float(line)]), flush=True)
"""


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("throughput")
    return run_throughput(out=folder, quick=True), folder


def test_quick_run_writes_what_it_found(quick):
    result, folder = quick
    stored = json.loads((folder / "results.json").read_text())
    assert stored == json.loads(json.dumps(result.to_dict()))
    assert stored["quick"]
    assert stored["facts"]["substeps"] == "25 of 2 ms"
    assert "12 contacts" in stored["facts"]["model"]
    assert len(stored["goals"]) == 5
    assert all(goal["value"] > 0 for goal in stored["goals"])
    assert {row["axis"] for row in stored["costs"]} == {"worlds", "objects", "threads"}
    text = (folder / "results.md").read_text()
    assert "Cost against objects" in text
    assert "of bare" in result.text()
    assert Image.open(folder / "throughput.png").size[0] > 300


def test_rows_say_what_was_stepped(quick):
    rows = {(row.axis, row.value): row for row in quick[0].costs}
    assert rows["worlds", 1].worlds == 1
    assert rows["worlds", 16].worlds == 16
    assert rows["objects", 1].nv == 15
    assert rows["objects", 3].nv == 27
    assert rows["objects", 3].contacts == 12
    for row in rows.values():
        assert 0 < row.ratio < 2


def test_only_steps_that_were_made_count():
    stepper = Stepper("PocketWorlds/Reach-v0", 6)
    before = stepper.env.elapsed.copy()
    assert len(np.unique(before)) == 6  # ends of episodes are spread
    for _ in range(61):
        moved, began = stepper.step(), stepper.env.elapsed == 0
        np.testing.assert_array_equal(stepper.env.elapsed[~began], before[~began] + 1)
        assert moved == 6 - began.sum()
        before = stepper.env.elapsed.copy()
    assert stepper.env.elapsed.max() < 60


def test_bare_physics_is_the_same_physics(monkeypatch: pytest.MonkeyPatch):
    stepper = Stepper("PocketWorlds/PickPlace-v0", 3, num_threads=1)
    bare = Bare(stepper)
    assert bare.batch.nthread == stepper.env.simulator.batch.nthread == 1
    np.testing.assert_array_equal(bare.batch.state, stepper.env.simulator.batch.state)
    start = bare.batch.bind("time").copy()
    assert bare.step() == 3
    np.testing.assert_allclose(bare.batch.bind("time") - start, 0.05)
    stepper.step()
    bare.follow()
    ctrl = stepper.env.simulator.batch.bind("ctrl")
    np.testing.assert_array_equal(bare.batch.bind("ctrl"), ctrl)
    # The ratio follows from the times: with bare physics made twice as much work, it must rise.
    effort = Effort(worlds=3, seconds=0.1, turns=5)
    _, _, ratio = against_bare(stepper, effort)
    monkeypatch.setattr(throughput, "SUBSTEPS", 250)
    assert against_bare(stepper, effort)[2] > 3 * ratio


def test_cubes_stand_apart():
    stepper = Stepper("PocketWorlds/Lift-v0", 1, scene=cubes(30), object="cube_0")
    assert len(stepper.env.world.objects) == 30
    assert stepper.env.simulator.batch.model.nv == 9 + 30 * 6


def test_peers_answer_and_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    worker = tmp_path / "worker.py"
    worker.write_text(PEER)
    monkeypatch.setattr("pocketworlds.benchmarks.throughput_peers.WORKER", worker)
    with Peer("fetch", Mode("sync", 4, processes=2), sys.executable, 25) as peer:
        assert peer.about == {"task": "pretended", "substeps": 25, "count": 4}
        assert peer.run(0.5) == 1000.0  # two workers of 500 steps a second each


def test_a_missing_peer_is_named(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(PeerError, match="no-such-python"):
        find_python("fetch", ["/no-such-python"], 25)
    monkeypatch.setattr(throughput, "find_python", lambda *_: (_ for _ in ()).throw(PeerError("not here")))
    found = throughput.against_peer("robosuite", throughput.QUICK, [], lambda *_: None)
    assert found.ratio is None
    assert found.missing == "not here"


def test_plot_shows_every_axis():
    rows = [Cost(axis, n, 100.0 * n, 200.0 * n, 0.5, 1, 0, 9) for axis in ("worlds", "threads") for n in (1, 10)]
    picture = np.asarray(plot(rows))
    assert picture.shape[1] == 720
    assert (picture == np.array([0x1F, 0x5F, 0xB4])).all(axis=2).any()
    plot([Cost("threads", 1, 10.0, 20.0, 0.5, 1, 0, 9)])  # one thread: one point
