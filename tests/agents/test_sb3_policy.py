"""PPO and SAC on a batch: what is written is what was trained, read back as Stable-Baselines3 itself would play it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds import TaskError
from pocketworlds.agents import sac, sb3_training
from pocketworlds.agents.keeping import CURVE
from pocketworlds.agents.ppo import Settings, train_ppo
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.agents.sb3_policy import ABOUT, POLICY, SCALING, SB3Policy
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import VecNormalize

ID = "PocketWorlds/Reach-v0"
SMALL = Settings(total_steps=256, num_envs=8, rollout=16)
SMALL_SAC = sac.Settings(total_steps=256, num_envs=8, updates=1, sac={"learning_starts": 64})
BOTH = pytest.mark.parametrize("kind", [PPO, SAC])


def trained(out: Path, seed: int = 0, kind: type[PPO | SAC] = PPO) -> list[dict[str, float]]:
    out.mkdir()
    told: list[dict[str, float]] = []
    worlds = make_sb3_env(ID, 8)
    if kind is PPO:
        steps, seconds = train_ppo(worlds, SMALL, seed=seed, out=out, tell=lambda line: told.append(dict(line)))
    else:
        steps, seconds = sac.train_sac(worlds, SMALL_SAC, seed=seed, out=out, tell=lambda line: told.append(dict(line)))
    assert steps == 256
    assert seconds > 0
    return told


@BOTH
def test_writes_policy_scaling_and_its_curve(kind: type[PPO | SAC], tmp_path: Path) -> None:
    told = trained(tmp_path / "a", kind=kind)
    with (tmp_path / "a" / CURVE).open() as file:
        lines = list(csv.DictReader(file))
    assert [float(line["steps"]) for line in lines] == [line["steps"] for line in told]
    assert [line["steps"] for line in told] == ([128, 256] if kind is PPO else list(range(8, 257, 8)))
    assert {path.name for path in (tmp_path / "a").iterdir()} == {CURVE, POLICY, SCALING, ABOUT}


@BOTH
def test_the_policy_acts_as_stable_baselines_does(
    kind: type[PPO | SAC], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[VecNormalize] = []

    def keep(*args: Any, **keywords: Any) -> VecNormalize:
        kept.append(VecNormalize(*args, **keywords))
        return kept[0]

    monkeypatch.setattr(sb3_training, "VecNormalize", keep)
    trained(tmp_path / "a", kind=kind)
    policy, model = SB3Policy(tmp_path / "a"), kind.load(tmp_path / "a" / POLICY)
    env = gym.make_vec(ID, num_envs=5)
    observation, _ = env.reset(seed=3)
    expected, _ = model.predict(kept[0].normalize_obs(observation), deterministic=True)
    found = policy.act(observation)
    np.testing.assert_allclose(found, np.clip(expected, -1, 1), atol=1e-5)
    assert env.action_space.contains(found)


def test_a_policy_of_pictures_acts_as_stable_baselines_does(tmp_path: Path) -> None:
    pictures = {"obs_mode": "rgb", "image_size": 36}
    train_ppo(make_sb3_env(ID, 8, **pictures), SMALL, seed=0, out=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {CURVE, POLICY, ABOUT}  # pictures are not scaled
    env = gym.make_vec(ID, num_envs=5, **pictures)
    observation, _ = env.reset(seed=3)
    expected, _ = PPO.load(tmp_path / POLICY).predict(observation.transpose(0, 3, 1, 2), deterministic=True)
    found = SB3Policy(tmp_path).act(observation)
    np.testing.assert_allclose(found, np.clip(expected, -1, 1), atol=1e-6)
    assert np.abs(found - SB3Policy(tmp_path).act(255 - observation)).max() > 1e-4


@BOTH
def test_the_same_seed_trains_the_same_policy(kind: type[PPO | SAC], tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trained(tmp_path / name, seed, kind)
    observation = np.random.default_rng(0).normal(size=(4, gym.make_vec(ID).single_observation_space.shape[0]))
    a, b, c = (SB3Policy(tmp_path / name).act(observation) for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0.01


def test_a_folder_without_a_policy_is_told(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"holds no trained policy: policy\.zip is missing"):
        SB3Policy(tmp_path)


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    trained(tmp_path / "a")
    (tmp_path / "a" / ABOUT).write_text('{"algorithm": "Genius"}')
    with pytest.raises(TaskError, match=r"policy\.zip cannot be read"):
        SB3Policy(tmp_path / "a")
