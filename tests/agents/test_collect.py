"""What is recorded depends on the episode's number alone, survives an interruption, and replays bit for bit."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pocketworlds import PocketWorldsError, TaskError
from pocketworlds.agents import recording
from pocketworlds.agents.collect import Source, collect
from pocketworlds.agents.recording import parse_settings, record
from pocketworlds.agents.replay import make_env, replay
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.errors import DatasetError
from pocketworlds.world_models.trajectories import FORMATS, Trajectory, open_trajectories

ID = "PocketWorlds/Scan-v0"
SHORT = {"object": "box", "max_episode_steps": 25}
FAILING = Source(
    ID, noise=0.2, keywords={"task": "push", "max_episode_steps": 60, "terminate_on_success": True}, seed=3
)
"""About half of its episodes succeed, and those end early."""


def same(a: Trajectory, b: Trajectory) -> None:
    assert a.differences(b) == ()


def play(source: Source, count: int, num_envs: int) -> list[Trajectory]:
    found = dict(collect(source, iter(range(count)), num_envs=num_envs))
    return [found[i] for i in range(count)]


def stumbling(observation: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Up in the first step of an episode, down in all others."""
    action = np.zeros((len(fresh), 7))
    action[:, 2] = np.where(fresh, 1.0, -1.0)
    return action


# Collecting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        FAILING,
        Source(ID, "random", keywords=SHORT | {"object": None}, seed=1),
        Source(
            ID, stumbling, keywords=SHORT | {"task": "push", "obs_mode": "state+depth", "image_size": 16}, noise=0.1
        ),
    ],
    ids=["expert", "random", "function"],
)
def test_batch_size_changes_nothing(source: Source) -> None:
    alone, together = play(source, 7, 1), play(source, 7, 8)
    for one, other in zip(alone, together, strict=True):
        same(one, other)
    few = play(source, 7, 3)
    for one, other in zip(alone, few, strict=True):
        same(one, other)
    assert len({one.actions.tobytes() for one in alone}) > 1


def test_episodes_are_those_of_gym_make() -> None:
    (trajectory,) = play(Source(ID, "random", keywords=SHORT, seed=5), 1, 2)
    env = make_env(trajectory.origin)
    observation, info = env.reset(seed=5, options={"episode": 0})
    assert (observation == trajectory.observation(0)).all()
    assert info["instruction"] == trajectory.instruction
    for step, action in enumerate(trajectory.actions):
        observation, reward, *_ = env.step(action)
        assert (observation == trajectory.observation(step + 1)).all()
        assert reward == trajectory.rewards[step]
    assert trajectory.truncated.tolist() == [False] * 24 + [True]


def test_function_is_told_where_episodes_begin() -> None:
    for trajectory in play(Source(ID, stumbling, keywords=SHORT), 5, 2):
        assert trajectory.actions[0, 2] == 1
        assert (trajectory.actions[1:, 2] == -1).all()
        assert trajectory.origin.policy == "custom"


def test_noise_is_what_was_asked_for_and_executed() -> None:
    clean = Source(ID, lambda observation, fresh: np.zeros((len(fresh), 7)), keywords=SHORT | {"max_episode_steps": 99})
    noisy = dataclasses.replace(clean, noise=0.2)
    played = play(noisy, 4, 4)
    actions = np.concatenate([item.actions for item in played])
    assert actions.std() == pytest.approx(0.2, rel=0.05)
    assert abs(actions.mean()) < 0.02
    assert all(item.intended is not None and item.intended.shape == (99, 7) for item in played)
    assert not np.concatenate([item.intended for item in played if item.intended is not None]).any()
    quiet = play(clean, 2, 2)
    assert not np.concatenate([item.actions for item in quiet]).any()
    assert all(item.intended is None for item in quiet)


def test_what_was_meant_is_kept(tmp_path: Path) -> None:
    source = dataclasses.replace(FAILING, keywords=FAILING.keywords | {"max_episode_steps": 20})
    options = {"only_successes": False, "notify": lambda stage, share: None}
    stage, chosen = recording.gather(source, tmp_path, episodes=3, num_envs=2, **options)
    for kept, (_, played) in zip(stage.read(chosen), collect(source, [0, 1, 2], num_envs=3), strict=True):
        assert kept.intended is not None
        np.testing.assert_array_equal(kept.intended, played.intended)
        assert not np.array_equal(kept.intended, kept.actions)


# Recording ----------------------------------------------------------------------------------------------------------


def test_only_successes_are_the_first_ones(tmp_path: Path) -> None:
    everything = play(FAILING, 16, 8)
    wanted = [item for item in everything if item.succeeded][:4]
    assert 4 <= sum(item.succeeded for item in everything) < 16
    assert everything[0].origin.policy == "expert with noise 0.2"
    for num_envs in (1, 5):
        out = tmp_path / str(num_envs)
        done = record(FAILING, out, episodes=4, num_envs=num_envs, only_successes=True)
        assert (done.episodes, done.successes, done.tried) == (4, 4, wanted[-1].episode + 1)
        for one, other in zip(wanted, open_trajectories(out), strict=True):
            assert one.differences(other) == ("intended",)  # which data sets do not keep


@pytest.mark.parametrize("only_successes", [False, True])
def test_interrupted_recording_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only_successes: bool) -> None:
    def run(out: Path, notify: Callable[[str, float], None] | None = None) -> recording.Recording:
        return record(
            FAILING, out, episodes=6, num_envs=4, format="minari", only_successes=only_successes, notify=notify
        )

    run(tmp_path / "whole")
    played: list[int] = []

    def watched(*arguments: object, **keywords: object) -> object:
        for index, trajectory in collect(*arguments, **keywords):
            played.append(index)
            yield index, trajectory

    def stop_at(stage: str, least: float) -> Callable[[str, float], None]:
        def notify(name: str, share: float) -> None:
            if name == stage and share >= least:
                raise KeyboardInterrupt

        return notify

    monkeypatch.setattr(recording, "collect", watched)
    for stage, least in (("collect", 0.1), ("collect", 0.5), ("write", 0.5)):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", stop_at(stage, least))
        assert sorted(path.name for path in tmp_path.iterdir()) == [".parts.collected", "whole"]
    with pytest.raises(DatasetError, match="with other settings"):
        record(FAILING, tmp_path / "parts", episodes=6, only_successes=not only_successes)
    run(tmp_path / "parts")
    assert len(played) == len(set(played))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "whole"]
    for one, other in zip(open_trajectories(tmp_path / "whole"), open_trajectories(tmp_path / "parts"), strict=True):
        same(one, other)


def test_damaged_stage_is_told(tmp_path: Path) -> None:
    def interrupt(stage: str, share: float) -> None:
        if stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(Source(ID, keywords=SHORT), tmp_path / "set", episodes=2, notify=interrupt)
    stored = tmp_path / ".set.collected" / "1.npz"
    stored.write_bytes(stored.read_bytes()[:100])
    with pytest.raises(DatasetError, match="damaged at episode 1"):
        record(Source(ID, keywords=SHORT), tmp_path / "set", episodes=2)


def test_hopeless_policy_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "TRIES", 2)
    with pytest.raises(TaskError, match="only 0 of 4 episodes succeeded, 2 are wanted"):
        record(Source(ID, "random", keywords=SHORT), tmp_path / "set", episodes=2, only_successes=True)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"env_id": "PocketWorlds/Scam-v0"}, "did you mean 'PocketWorlds/Scan-v0'"),
        ({"env_id": "CartPole-v1"}, "not an environment of this package"),
        ({"policy": "genius"}, "choose 'expert', 'random'"),
        ({"noise": 3.0}, "noise must be"),
        ({"noise": float("nan")}, "noise must be"),
        ({"seed": -1}, "seed must not be"),
        ({"keywords": {"tusk": "lift"}}, "'tusk' is not a keyword"),
        ({"keywords": {"scene": builtin_scene("tabletop")}}, "cannot be stored"),
        ({"keywords": {"max_episode_steps": None}}, "episodes must end"),
        ({"keywords": {"autoreset_mode": "SameStep"}}, "do not suit"),
        ({"keywords": {"control_mode": "joint_delta"}}, "ee_delta"),
        ({"policy": lambda observation, fresh: np.zeros(3)}, "must give actions"),
    ],
)
def test_settings_that_make_no_sense(tmp_path: Path, change: dict, told: str) -> None:
    with pytest.raises(PocketWorldsError, match=told):
        record(Source(**{"env_id": ID} | change), tmp_path / "set", episodes=2)
    assert list(tmp_path.iterdir()) == []


def test_settings_in_words() -> None:
    assert parse_settings(["task=push", "object_jitter=0.02", "image_size=[32, 24]", "object=null", "a=b=c"]) == {
        "task": "push",
        "object_jitter": 0.02,
        "image_size": [32, 24],
        "object": None,
        "a": "b=c",
    }
    for wrong in (["task"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(TaskError, match="setting"):
            parse_settings(wrong)


# Replaying ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("task", ["lift", "push"])
def test_replay_of_what_was_read_from_disk_is_exact(tmp_path: Path, format: str, task: str) -> None:
    source = Source(ID, keywords={"task": task, "object_jitter": 0.02, "max_episode_steps": 60}, noise=0.2)
    record(source, tmp_path / "set", episodes=3, format=format)
    data = open_trajectories(tmp_path / "set")
    assert json.loads(json.dumps(data.origin.to_json()))["env_id"] == ID
    env = make_env(data.origin)
    for trajectory in data:
        done = replay(env, trajectory, strict=True)
        assert (done.exact, done.steps, done.skipped) == (True, 60, ())
        assert replay(env, trajectory, start=37, strict=True).steps == 23


def test_replay_with_pictures(tmp_path: Path) -> None:
    source = Source(ID, "random", keywords=SHORT | {"obs_mode": "state+rgbd", "image_size": [24, 32]})
    for format, pictures, skipped in (("lerobot", "video", ("rgb",)), ("lerobot", "png", ()), ("minari", "png", ())):
        out = tmp_path / f"{format}-{pictures}"
        record(source, out, episodes=1, format=format, pictures=pictures)
        (trajectory,) = open_trajectories(out)
        assert trajectory.observations["rgb"].shape == (26, 32, 24, 3)
        done = replay(make_env(trajectory.origin), trajectory, strict=True)
        assert done.skipped == skipped


def test_replay_says_what_differs_and_where() -> None:
    (trajectory,) = play(Source(ID, keywords=SHORT), 1, 1)
    env = make_env(trajectory.origin)
    actions = trajectory.actions.copy()
    actions[10, 0] += 0.01
    done = replay(env, dataclasses.replace(trajectory, actions=actions))
    assert done.differing["state"] == 11
    assert not done.exact
    rewards = trajectory.rewards.copy()
    rewards[4] = np.nextafter(rewards[4], 2)
    changed = dataclasses.replace(trajectory, rewards=rewards)
    assert replay(env, changed).differing == {"reward": 4}
    with pytest.raises(DatasetError, match=r"reward differs at step 4 \(recorded with pocketworlds"):
        replay(env, changed, strict=True)


def test_replay_that_cannot_be() -> None:
    (trajectory,) = play(Source(ID, keywords=SHORT, states=False), 1, 1)
    env = make_env(trajectory.origin)
    assert replay(env, trajectory).exact
    with pytest.raises(DatasetError, match="no states"):
        replay(env, trajectory, start=3)
    with pytest.raises(DatasetError, match="not a step"):
        replay(env, trajectory, start=25)
    with pytest.raises(DatasetError, match="seed and episode"):
        replay(env, dataclasses.replace(trajectory, seed=None))
    with pytest.raises(DatasetError, match="not from ours"):
        make_env(dataclasses.replace(trajectory.origin, env_id="CartPole-v1"))
    (other,) = play(Source(ID, keywords=SHORT), 1, 1)
    layout = dataclasses.replace(other.origin, state_layout=other.origin.state_layout[:-1])
    with pytest.raises(DatasetError, match="do not fit"):
        replay(env, dataclasses.replace(other, origin=layout), start=3)
