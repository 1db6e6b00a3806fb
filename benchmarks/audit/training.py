"""PPO in physics or in the model, with policies kept along the way: what is ranked, and what transfers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from ...agents.ppo import DEFAULTS, FINEST, POLICY, SCALING, Settings
from ...agents.sb3 import make_sb3_env
from ...errors import TaskError
from ...folders import new_folder

TOLD = "training.json"

Notify = Callable[[float], None]


@dataclass(frozen=True)
class Snapshot:
    """A policy on the way: its folder, and the control steps and seconds that it took."""

    folder: Path
    steps: int
    seconds: float


def train(
    env_id: str,
    keywords: Mapping[str, Any],
    settings: Settings,
    *,
    seed: int,
    count: int,
    out: Path,
    notify: Notify,
) -> list[Snapshot]:
    """Trains as `agents.ppo.train_ppo` does, and keeps `count` policies, evenly apart; nothing if they are there.

    Args:
        env_id, keywords: of the environment. settings: of the training. seed: of all that is drawn.
        count: of policies. out: folder, which appears when it is done. notify: told the share done.
    """
    if not out.exists():
        with new_folder(out, replace=False, marks=[], noun="training", error=TaskError) as folder:
            _train(env_id, keywords, settings, seed, count, folder, notify)
    found = [
        (folder, json.loads((folder / TOLD).read_text()))
        for folder in sorted(out.iterdir())
        if (folder / TOLD).is_file()
    ]
    return [Snapshot(folder, int(told["steps"]), float(told["seconds"])) for folder, told in found]


def _train(
    env_id: str,
    keywords: Mapping[str, Any],
    settings: Settings,
    seed: int,
    count: int,
    folder: Path,
    notify: Notify,
) -> None:
    worlds = make_sb3_env(env_id, settings.num_envs, **keywords)
    n, length = worlds.num_envs, worlds.get_attr("max_episode_steps")[0]
    worlds.set_options({"elapsed": (np.random.default_rng(seed).permutation(n) * length // n).tolist()})
    env = VecNormalize(worlds, norm_reward=False, epsilon=FINEST**2)
    try:
        chosen = {**DEFAULTS, **settings.ppo}
        fastest = float(chosen.pop("learning_rate"))
        chosen["batch_size"] = min(chosen["batch_size"], n * settings.rollout)
        model = PPO(
            "MlpPolicy",
            env,
            n_steps=settings.rollout,
            learning_rate=lambda left: fastest * (0.2 + 0.8 * left),
            device="cpu",
            seed=seed,
            **chosen,
        )
        keeper = _Keeper(env, folder, settings.total_steps, count, notify)
        model.learn(settings.total_steps, callback=keeper)
        keeper.keep()
    finally:
        env.close()


class _Keeper(BaseCallback):
    """Writes the policy between two rollouts, each time another share of the steps is done; that is not timed."""

    def __init__(self, env: VecNormalize, folder: Path, total: int, count: int, notify: Notify) -> None:
        super().__init__()
        self._env, self._folder, self._notify = env, folder, notify
        self._total, self._marks = total, [total * (k + 1) / count for k in range(count - 1)]
        self._start, self._pause, self._number = time.perf_counter(), 0.0, 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._notify(min(self.num_timesteps / self._total, 0.999))
        if self._marks and self.num_timesteps >= self._marks[0]:
            self._marks.pop(0)
            self.keep()

    def keep(self) -> None:
        """Writes the policy as it is."""
        begun = time.perf_counter()
        folder = self._folder / f"{self._number:02d}"
        folder.mkdir()
        scaling = self._env.obs_rms
        assert isinstance(scaling, RunningMeanStd)
        scale = np.sqrt(scaling.var + self._env.epsilon)
        np.savez(folder / SCALING, mean=scaling.mean, scale=scale, clip=self._env.clip_obs)
        self.model.save(folder / POLICY)
        told = {"steps": self.model.num_timesteps, "seconds": round(begun - self._start - self._pause, 4)}
        (folder / TOLD).write_text(json.dumps(told) + "\n")
        self._number += 1
        self._pause += time.perf_counter() - begun
