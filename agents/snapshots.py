"""PPO in physics or in a model, with policies kept along the way."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from ..errors import TaskError
from ..folders import new_folder
from .ppo import Settings, make_ppo
from .sb3 import SB3VecEnv, make_sb3_env
from .sb3_policy import save_policy

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
    """Trains in an environment, see `train_in`."""
    return train_in(
        lambda: make_sb3_env(env_id, settings.num_envs, **keywords),
        settings,
        seed=seed,
        count=count,
        out=out,
        notify=notify,
    )


def train_in(
    make: Callable[[], SB3VecEnv],
    settings: Settings,
    *,
    seed: int,
    count: int,
    out: Path,
    notify: Notify,
    untrained: bool = False,
) -> list[Snapshot]:
    """Trains as `agents.ppo.train_ppo` does, and keeps `count` policies, evenly apart; nothing if they are there.

    Args:
        make: makes the worlds, `settings.num_envs` of them. settings: of the training. seed: of all that is drawn.
        count: of policies. out: folder, which appears when it is done. notify: told the share done.
        untrained: keep the policy before it has learned, too: the first.
    """
    if not out.exists():
        with new_folder(out, replace=False, marks=[], noun="training", error=TaskError) as folder:
            _train(make(), settings, seed, count, folder, notify, untrained)
    found = [
        (folder, json.loads((folder / TOLD).read_text()))
        for folder in sorted(out.iterdir())
        if (folder / TOLD).is_file()
    ]
    return [Snapshot(folder, int(told["steps"]), float(told["seconds"])) for folder, told in found]


def _train(
    worlds: SB3VecEnv,
    settings: Settings,
    seed: int,
    count: int,
    folder: Path,
    notify: Notify,
    untrained: bool,
) -> None:
    try:
        model = make_ppo(worlds, settings, seed=seed)
        keeper = _Keeper(folder, settings.total_steps, count, notify, untrained)
        model.learn(settings.total_steps, callback=keeper)
        keeper.keep()
    finally:
        worlds.close()


class _Keeper(BaseCallback):
    """Writes the policy between two rollouts, each time another share of the steps is done; that is not timed."""

    model: PPO

    def __init__(self, folder: Path, total: int, count: int, notify: Notify, untrained: bool) -> None:
        super().__init__()
        self._folder, self._notify = folder, notify
        self._total, self._marks = total, [total * k / count for k in range(0 if untrained else 1, count)]
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
        save_policy(self.model, folder)
        told = {"steps": self.model.num_timesteps, "seconds": round(begun - self._start - self._pause, 4)}
        (folder / TOLD).write_text(json.dumps(told) + "\n")
        self._number += 1
        self._pause += time.perf_counter() - begun
