"""What an audit plays, and where its stretches begin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pocketworlds.benchmarks.audit.adopt import adopt
from pocketworlds.benchmarks.audit.players import Cast, Player, mixed_players, ranked_players
from pocketworlds.benchmarks.audit.record import Record, record
from pocketworlds.benchmarks.audit.subject import Subject
from pocketworlds.benchmarks.audit.trace import follow

SHORT = {"max_episode_steps": 90, "num_threads": 1}


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def test_episodes_do_not_depend_on_the_batch_they_are_played_in(itself: Subject, played: Record):
    other = record(itself, episodes=8, num_envs=3, windows=2, seed=5_000_000, notify=quiet)
    np.testing.assert_array_equal(played.actions, other.actions)
    np.testing.assert_array_equal(played.trace.object_pos, other.trace.object_pos)
    starts = np.concatenate([np.stack([w.starts for w in c.windows], 1) for c in other.chunks])
    np.testing.assert_array_equal(starts, np.stack([w.starts for w in played.chunks[0].windows], 1))


def test_they_are_of_mixed_quality(played: Record):
    assert 0 < played.trace.success[-1].sum() < 8
    kinds = [player.name for player in mixed_players(400, 0)]
    assert {name: kinds.count(name) / 400 for name in set(kinds)} == pytest.approx(
        {"noisy": 0.45, "disturbed": 0.25, "random": 0.2, "still": 0.1}, abs=0.06
    )


def test_stretches_begin_in_the_states_of_their_episodes(itself: Subject, played: Record):
    """From there on physics goes on as it did."""
    (chunk,) = played.chunks
    env = itself.physics(8)
    env.reset(seed=chunk.seeds)
    for window in chunk.windows:
        assert (window.starts <= 40).all()
        env.set_state(window.state)
        again = follow(env, window.cut(played.actions, 50))
        rows, steps = np.arange(8), window.starts + np.arange(51)[:, None]
        np.testing.assert_array_equal(again.object_pos, played.trace.object_pos[steps, rows])
        np.testing.assert_array_equal(again.success, played.trace.success[steps, rows])
    env.close()


def test_players_do_as_they_are_called(itself: Subject):
    env = itself.physics(5)
    seeds = list(range(5))
    env.reset(seed=seeds)
    ways = [Player("e"), Player("s", "still"), Player("x", "extreme"), Player("u", until=0.0), Player("h", hold=4)]
    cast = Cast(env, ways, seeds)
    actions = []
    for _ in range(9):
        actions.append(cast.act())
        env.step(actions[-1])
    found = np.stack(actions)
    assert np.abs(found[:, 1, :-1]).max() < 0.6
    assert set(np.unique(found[:, 2])) == {-1.0, 1.0}
    assert (found[:8, 2] == found[0, 2]).all()
    assert not found[:, 3].any()
    assert (found[4:8, 4] == found[4, 4]).all()
    assert (found[4, 4] != found[0, 4]).any()
    assert len({player.name for player in ranked_players()}) == len(ranked_players()) >= 20
    env.close()


def test_a_model_is_put_where_physics_is(played: Record, model_file: Path):
    (chunk,) = played.chunks
    subject = Subject("Push-v0", SHORT, checkpoint=model_file)
    physics, model = subject.physics(8), subject.model(8)
    physics.reset(seed=chunk.seeds)
    physics.set_state(chunk.windows[1].state)
    assert adopt(model, physics)
    np.testing.assert_array_equal(model.elapsed, physics.elapsed)
    for name, values in physics.sensors().items():
        np.testing.assert_allclose(model.sensors()[name], values, atol=1e-5, err_msg=name)
    model.step(np.zeros((8, model.simulator.action_size)))
    physics.step(np.zeros((8, model.simulator.action_size)))
    apart = model.sensors()["object_pos"] - physics.sensors()["object_pos"]
    assert np.abs(apart).max() < 0.1
    physics.close()
    model.close()
