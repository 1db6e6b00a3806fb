"""The scripted experts solve their tasks on typical shapes, and their episodes become films."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds import TaskError
from pocketworlds.agents.experts import LiftExpert, PushExpert, make_expert
from pocketworlds.agents.record import record_episode
from pocketworlds.envs.builtin.authoring import authored_object, table_surfaces
from pocketworlds.envs.synthetic import random_scene
from pocketworlds.scenes import Scene
from pocketworlds.scenes.primitives import box

ID = "PocketWorlds/Scan-v0"


def success(task: str, seed: int, on: str, worlds: int = 8, **keywords: object) -> np.ndarray:
    env = gym.make_vec(
        ID,
        num_envs=worlds,
        scene=keywords.pop("scene", random_scene(seed, on=on)),
        task=task,
        object_jitter=0.01,
        autoreset_mode="Disabled",
        max_episode_steps=None,
        **keywords,
    )
    env.reset(seed=1000 * seed)
    expert = make_expert(env)
    info: dict = {}
    for _ in range(110):
        action = expert.act()
        assert env.action_space.contains(action)
        *_, info = env.step(action)
    return np.asarray(info["is_success"])


@pytest.mark.parametrize(("task", "least"), [("lift", 30), ("push", 29)])
def test_expert_solves_typical_scenes(task: str, least: int):
    solved = np.concatenate(
        [success(task, seed, on) for seed, on in ((1, "table"), (2, "floor"), (5, "table"), (7, "floor"))]
    )
    assert solved.sum() >= least  # of 32


def test_lift_of_a_block_at_the_grippers_limit():
    size = (0.08, 0.0755, 0.018)
    block = authored_object("block", "block", [box(*size)], size, at=(0.05, -0.05), yaw=0.3)
    scene = Scene(name="block", surfaces=table_surfaces(), objects=(block,), settled=True)
    assert success("lift", 0, "table", scene=scene).mean() >= 0.9


def test_expert_starts_over_with_every_episode():
    env = gym.make_vec(ID, num_envs=4, object="box", autoreset_mode="SameStep", max_episode_steps=80)
    env.reset(seed=0)
    expert, ends = make_expert(env), []
    for _ in range(160):
        *_, truncated, info = env.step(expert.act())
        if truncated.any():
            ends.append(info["final_info"]["is_success"].mean())
    assert ends == [1.0, 1.0]


def test_random_policy_does_not_solve():
    env = gym.make_vec(ID, num_envs=16, max_episode_steps=None)
    env.reset(seed=0)
    env.action_space.seed(0)
    solved = np.zeros(16, dtype=bool)
    for _ in range(60):
        *_, info = env.step(env.action_space.sample())
        solved |= info["is_success"]
    assert not solved.any()


def test_film(tmp_path: Path):
    import av

    env = gym.make(ID, object="box", render_size=(161, 121))
    summary = record_episode(env, make_expert(env), tmp_path / "films" / "lift.mp4", linger=5)
    assert summary.success
    assert summary.success_step is not None
    with av.open(str(summary.path)) as film:
        stream = film.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert (stream.width, stream.height) == (160, 120)
        assert sum(1 for _ in film.decode(stream)) == summary.steps + 1
    assert [p.name for p in summary.path.parent.iterdir()] == ["lift.mp4"]
    env.close()


def test_wrong_use_is_refused(tmp_path: Path):
    push = gym.make(ID, task="push", object="box")
    assert isinstance(make_expert(push), PushExpert)
    with pytest.raises(TaskError, match="lift"):
        LiftExpert(push)
    with pytest.raises(TaskError, match="ee_delta"):
        make_expert(gym.make(ID, object="box", control_mode="joint_delta"))
    with pytest.raises(TaskError, match="PocketWorlds"):
        make_expert(gym.make("CartPole-v1"))
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(TaskError, match="writable"):
        record_episode(push, make_expert(push), blocker / "a.mp4")
