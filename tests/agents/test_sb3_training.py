"""Trainings of PPO and SAC that are interrupted: they go on with what they had learned, seen and told."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pocketworlds import TaskError
from pocketworlds.agents import sac, sb3_training
from pocketworlds.agents.keeping import CURVE
from pocketworlds.agents.ppo import Settings, train_ppo
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.agents.sb3_policy import POLICY, SB3Policy
from safetensors.numpy import load_file
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm

ID = "PocketWorlds/Reach-v0"
SMALL = Settings(total_steps=640, num_envs=8, rollout=16)
SMALL_SAC = sac.Settings(total_steps=640, num_envs=8, updates=1, sac={"learning_starts": 64})
BOTH = pytest.mark.parametrize("kind", [PPO, SAC])


class Interrupted(Exception):
    """Stands for somebody who stops it."""


def train(kind: type, out: Path, work: Path, *, until: float = np.inf, seed: int = 0, total: int = 640) -> list[float]:
    """Trains; is interrupted after so many steps. Gives the steps that were told."""
    out.mkdir(exist_ok=True)
    told: list[float] = []

    def tell(line: Any) -> None:
        told.append(line["steps"])
        if line["steps"] >= until:
            raise Interrupted

    worlds = make_sb3_env(ID, 8)
    if kind is PPO:
        steps, _ = train_ppo(worlds, replace(SMALL, total_steps=total), seed=seed, out=out, tell=tell, work=work)
    else:
        settings = replace(SMALL_SAC, total_steps=total)
        steps, _ = sac.train_sac(worlds, settings, seed=seed, out=out, tell=tell, work=work)
    assert steps == total
    return told


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps after every rollout."""
    monkeypatch.setattr(sb3_training, "KEEP", 0.0)


@BOTH
def test_it_goes_on_with_all_it_had(kind: type[PPO | SAC], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Interrupted):
        train(kind, tmp_path / "a", tmp_path / "work", until=384)
    (kept,) = (tmp_path / "work").iterdir()
    numbers, stopped = load_file(kept / "training.safetensors"), kind.load(kept / POLICY)
    done = stopped.num_timesteps
    assert 0 < done < 384
    # Each world's first state and one a step: what the mean and the variance are of, beside SB3's own tiny start.
    assert numbers["scaling/count"] == pytest.approx(done + 8, abs=0.01)
    found: list[BaseAlgorithm] = []
    plain = sb3_training._restored

    def restored(*args: Any) -> BaseAlgorithm:
        model: BaseAlgorithm = plain(*args)
        found.append(model)
        for name, value in model.policy.state_dict().items():
            assert torch.equal(value, stopped.policy.state_dict()[name])
        theirs = [group["state"] for group in (stopped.get_parameters()[n] for n in optimisers(stopped))]
        ours = [group["state"] for group in (model.get_parameters()[n] for n in optimisers(model))]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
        assert any(theirs)
        assert model.num_timesteps == done
        if isinstance(model, SAC):
            buffer = model.replay_buffer
            assert buffer is not None
            assert buffer.size() == done // 8
            np.testing.assert_array_equal(buffer.actions[: done // 8], numbers["buffer/actions"])
            assert np.abs(buffer.next_observations[done // 8 - 1]).sum() > 0
            assert torch.equal(model.log_ent_coef, stopped.log_ent_coef)
            assert float(model.log_ent_coef) != 0
        return model

    monkeypatch.setattr(sb3_training, "_restored", restored)
    told = train(kind, tmp_path / "b", tmp_path / "work")
    assert len(found) == 1
    assert min(told) > done
    with (tmp_path / "b" / CURVE).open() as file:
        lines = list(csv.DictReader(file))
    with (tmp_path / "a" / CURVE).open() as file:
        before = [line for line in csv.DictReader(file) if int(line["steps"]) <= done]
    assert lines[: len(before)] == before
    steps = [int(line["steps"]) for line in lines]
    assert steps == (list(range(128, 641, 128)) if kind is PPO else list(range(8, 641, 8)))
    assert np.all(np.diff([float(line["seconds"]) for line in lines]) >= 0)
    assert not (tmp_path / "work").exists()
    SB3Policy(tmp_path / "b").act(np.zeros((2, SB3Policy(tmp_path / "b").size)))


def optimisers(model: BaseAlgorithm) -> list[str]:
    """Names of their numbers."""
    return sorted(name for name in model.get_parameters() if "optimizer" in name)


@BOTH
def test_two_go_on_alike(kind: type[PPO | SAC], tmp_path: Path) -> None:
    """From the same place the same comes."""
    with pytest.raises(Interrupted):
        train(kind, tmp_path / "a", tmp_path / "work", until=384)
    shutil.copytree(tmp_path / "work", tmp_path / "again")
    train(kind, tmp_path / "b", tmp_path / "work")
    train(kind, tmp_path / "c", tmp_path / "again")
    seen = np.random.default_rng(0).normal(size=(4, SB3Policy(tmp_path / "b").size))
    np.testing.assert_array_equal(*(SB3Policy(tmp_path / name).act(seen) for name in "bc"))


def test_another_training_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(PPO, tmp_path / "a", tmp_path / "work", until=384)
    assert min(train(PPO, tmp_path / "b", tmp_path / "work", seed=1)) == 128
    assert min(train(PPO, tmp_path / "c", tmp_path / "work", total=768)) == 128
    assert min(train(PPO, tmp_path / "d", tmp_path / "work")) > 128


def test_damage_is_told(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        train(PPO, tmp_path / "a", tmp_path / "work", until=384)
    (kept,) = (tmp_path / "work").iterdir()
    for name in (POLICY, "training.safetensors"):
        whole = (kept / name).read_bytes()
        for damaged in (b"", b"nonsense", whole[: len(whole) // 2]):
            (kept / name).write_bytes(damaged)
            with pytest.raises(TaskError, match=r"cannot be read .* remove it to train from the start"):
                train(PPO, tmp_path / "b", tmp_path / "work")
        (kept / name).write_bytes(whole)
    train(PPO, tmp_path / "b", tmp_path / "work")
