"""Workers of Ray: they play what one process plays, their deaths are survived, and what cannot be had is told."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from pocketworlds.agents.rl import ray_crew
from pocketworlds.agents.rl.crew import make_players, make_worlds
from pocketworlds.agents.rl.ray_crew import RayCrew, RaySettings
from pocketworlds.agents.rl.rollout import Rollout, Turn, Worlds
from pocketworlds.errors import MissingDependencyError, TaskError, TrainingError

from .test_crew import ID, KEYWORDS, MAKE, alone, assert_same, mind, played, turns

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'pocketworlds[ray]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One for all tests, which find it there and leave it."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def crew(cluster: None) -> Iterator[RayCrew]:
    """Two workers for five worlds in two shards."""
    found = RayCrew(MAKE, 5, 2, 2, RaySettings())
    yield found
    found.close()


def test_workers_play_what_one_process_plays(crew: RayCrew) -> None:
    net = mind()
    for one, other in zip(played(alone(5, 2), net), turns(crew, net), strict=True):
        assert_same(one, other)


def test_a_neural_simulator_is_played_by_workers(cluster: None) -> None:
    crew = RayCrew(partial(make_worlds, ID, KEYWORDS, {"neural": 5}), 5, 2, 1, RaySettings())
    net = mind()
    for one, other in zip(played(alone(5, 2, neural=5), net), played(crew, net), strict=True):
        assert_same(one, other)
    assert ray.is_initialized()  # it was there before


def test_what_has_been_learned_is_fetched_by_its_version(crew: RayCrew) -> None:
    net = mind()
    net.version = 10
    first = crew.play(net, Turn(0, 0, True))
    with torch.no_grad():
        net.net.action_head.bias.add_(1)
    assert_same(first, crew.play(net, Turn(0, 0, True)))
    net.version += 1
    changed = crew.play(net, Turn(0, 0, True))
    assert not torch.equal(changed.actions, first.actions)
    here = alone(5, 2)
    assert_same(changed, here.play(net, Turn(0, 0, True)))
    here.close()


def test_a_worker_that_is_killed_loses_its_rollout_and_no_more(crew: RayCrew) -> None:
    """It is stopped first, so that it is killed while it plays."""
    net = mind()
    net.version = 20
    crew.play(net, Turn(0, 0, True))
    kept, lost = crew.pids()
    os.kill(lost, signal.SIGSTOP)
    killer = threading.Timer(1.0, os.kill, (lost, signal.SIGKILL))
    killer.start()
    found = crew.play(net, Turn(0, 1, False))
    killer.join()
    assert crew.pids()[0] == kept
    assert lost not in crew.pids()
    after = crew.play(net, Turn(0, 2, False))
    stays, dies = make_players(MAKE, 5, 2, range(2))
    (comes,) = make_players(MAKE, 5, 2, [1])
    for player in (stays, dies):
        player.play(net, Turn(0, 0, True))
    assert_same(found, Rollout.joined([each.play(net, Turn(0, 1, False)) for each in (stays, comes)]))
    assert_same(after, Rollout.joined([each.play(net, Turn(0, 2, False)) for each in (stays, comes)]))
    assert not torch.equal(dies.play(net, Turn(0, 1, False)).state, found.state[:, 2:])
    for player in (stays, dies, comes):
        player.close()


def exits(first: int, last: int) -> list[Worlds]:
    """What makes no worlds."""
    os._exit(first)


def test_workers_that_die_again_and_again_end_the_training(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_crew, "_LIVES", 1)
    crew = RayCrew(exits, 2, 1, 1, RaySettings())
    with pytest.raises(TrainingError, match=r"worker 0 has died 2 times in iteration 7 .*fewer worlds"):
        crew.play(mind(), Turn(0, 7, True))
    crew.close()


def test_what_is_wrong_in_a_worker_is_told_as_it_is_here(cluster: None) -> None:
    crew = RayCrew(partial(make_worlds, ID, {"robot": "butler"}, {"physics": 2}), 2, 1, 1, RaySettings())
    with pytest.raises(TaskError, match="butler"):
        crew.play(mind(), Turn(0, 0, True))
    crew.close()


def test_places_that_are_not_there_are_told(cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with pytest.raises(TrainingError, match=r"no place for 2 of 2 workers, which ask for .*'lab': 2"):
        RayCrew(MAKE, 5, 2, 2, RaySettings(resources={"lab": 2}, patience=0.5))
    assert time.monotonic() - begun < 30
    monkeypatch.setattr(ray_crew.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install .pocketworlds\[ray\]"):
        RayCrew(MAKE, 5, 2, 2, RaySettings())
