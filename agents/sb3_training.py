"""Trainings of Stable-Baselines3 that go on after an interruption: PPO's and SAC's part in common.

steps, seconds = train_sb3(model, settings.total_steps, seed=0, out=Path("out/push"), tell=print, work=Path("out/kept"))
"""

from __future__ import annotations

import csv
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from ..errors import TaskError
from ..folders import new_folder
from ..world_models.resuming import save_numbers
from .keeping import CURVE, KEEP, digest, read_curve, write_curve
from .sb3 import SB3VecEnv
from .sb3_policy import POLICY, save_policy

Tell = Callable[[Mapping[str, float]], None]
"""Told after a rollout: control steps, seconds, mean reward a step and the share of the last episodes that succeed."""

_NUMBERS = "training.safetensors"
_BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
_LAST = 256  # episodes whose successes a line of the curve tells

FINEST = 0.01
"""The least that observations are divided by: what hardly varies in training, such as the sizes of the things in a
single scene, would else be magnified wherever it is different, and a policy lost one millimetre from home."""

Algorithm = TypeVar("Algorithm", bound=BaseAlgorithm)


def staggered(worlds: SB3VecEnv, seed: int) -> VecNormalize:
    """Worlds whose first episodes have different lengths, lest a batch be nothing but beginnings, and whose states, if
    that is what is seen, are scaled as they come.

    Args:
        worlds: what `make_sb3_env` gives, with obs_mode="state" or "rgb". seed: of the lengths.
    """
    n, length = worlds.num_envs, worlds.get_attr("max_episode_steps")[0]
    worlds.set_options({"elapsed": (np.random.default_rng(seed).permutation(n) * length // n).tolist()})
    pictures = is_image_space(worlds.observation_space)
    return VecNormalize(worlds, norm_obs=not pictures, norm_reward=False, epsilon=FINEST**2)


def quiet(model: BaseAlgorithm) -> None:
    """Keeps Stable-Baselines3 from making a folder for logs that nobody asked for; `Curve` tells what there is."""
    model.set_logger(Logger(folder=None, output_formats=[]))


def train_sb3(
    model: BaseAlgorithm,
    total_steps: int,
    *,
    seed: int,
    out: Path,
    tell: Tell,
    every: int = 0,
    work: Path | None = None,
    about: Any = None,
) -> tuple[int, float]:
    """Trains to the end, writes policy and curve, and closes the worlds.

    Args:
        model: in `staggered` worlds, before it has learned. total_steps: control steps of all worlds together.
        seed: of `model`. out: a folder that is there. tell: see `Tell`. every: control steps from line to line.
        work: a folder in which it is kept, once a minute, where training is; the same call then goes on from there,
            with new episodes. None: nowhere.
        about: what else training depends on: what is kept of another is left alone.

    Returns:
        Control steps, and seconds, those before an interruption included.

    Raises:
        TaskError: what was kept is damaged.
    """
    kept = None if work is None else work / f"training-{digest([type(model).__name__, total_steps, seed, about])}"
    curve = Curve(out / CURVE, tell, every=every)
    callbacks: list[BaseCallback] = [curve]
    if kept is not None:
        if kept.exists():
            model = _restored(model, kept, curve, seed)
        callbacks.append(_Keeper(kept, curve))
    quiet(model)
    done = model.num_timesteps
    model.learn(max(total_steps - done, 0), callback=CallbackList(callbacks), reset_num_timesteps=done == 0)
    seconds = curve.seconds
    save_policy(model, out)
    if model.env is not None:
        model.env.close()
    if kept is not None:
        shutil.rmtree(kept, ignore_errors=True)
        with suppress(OSError):  # others are kept there
            kept.parent.rmdir()
    return model.num_timesteps, seconds


class Curve(BaseCallback):
    """Writes a line after a rollout, or one every so many control steps of all worlds; see `Tell`.

    Attributes:
        path: of its file. seconds: of training so far.
    """

    def __init__(self, path: Path, tell: Tell, *, every: int = 0) -> None:
        super().__init__()
        self.path, self._tell, self._every, self._start = path, tell, every, time.perf_counter()
        self._lines: list[dict[str, str]] = []
        self._told = 0
        self._rewards: list[float] = []
        self._solved: deque[bool] = deque(maxlen=_LAST)

    @property
    def seconds(self) -> float:
        """See the class."""
        return time.perf_counter() - self._start

    def state(self) -> dict[str, Tensor]:
        """What it needs to go on, beside its file."""
        solved = torch.tensor(list(self._solved), dtype=torch.bool)
        return {"seconds": torch.tensor(self.seconds, dtype=torch.float64), "solved": solved}

    def restore(self, state: Mapping[str, Tensor], lines: list[dict[str, str]]) -> None:
        """Goes on from there, after these lines."""
        self._start = time.perf_counter() - float(state["seconds"])
        self._solved.extend(state["solved"].tolist())
        self._lines, self._told = lines, int(lines[-1]["steps"]) if lines else 0

    def _on_training_start(self) -> None:
        self.path.unlink(missing_ok=True)
        write_curve(self.path, self._lines)
        # The first episodes of worlds that are staggered are cut short.
        self._whole = np.zeros(self.training_env.num_envs, dtype=np.bool_)

    def _on_step(self) -> bool:
        self._rewards.append(float(self.training_env.get_original_reward().mean()))  # type: ignore[attr-defined]
        for j in np.flatnonzero(self.locals["dones"]):
            if self._whole[j]:
                self._solved.append(self.locals["infos"][j]["is_success"])
            self._whole[j] = True
        return True

    def _on_rollout_end(self) -> None:
        if self.num_timesteps < self._told + self._every:
            return
        self._told = self.num_timesteps
        line = {
            "steps": self.num_timesteps,
            "seconds": round(self.seconds, 1),
            "reward": round(float(np.mean(self._rewards)), 4),
            "success": round(float(np.mean(self._solved)), 4) if self._solved else 0.0,
        }
        self._rewards.clear()
        begins = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(line), lineterminator="\n")
            if begins:
                writer.writeheader()
            writer.writerow(line)
        self._tell(line)


class _Keeper(BaseCallback):
    """Keeps between two rollouts, now and then, where training is."""

    def __init__(self, folder: Path, curve: Curve) -> None:
        super().__init__()
        self._folder, self._curve, self._last = folder, curve, time.monotonic()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if time.monotonic() < self._last + KEEP:
            return
        with new_folder(self._folder, replace=True, marks=(_NUMBERS,), noun="training", error=TaskError) as folder:
            self.model.save(folder / POLICY)
            save_numbers(folder / _NUMBERS, {**_numbers(self.model), **self._curve.state()})
            write_curve(folder / CURVE, read_curve(self._curve.path))
        self._last = time.monotonic()


def _numbers(model: BaseAlgorithm) -> dict[str, Tensor]:
    """What Stable-Baselines3's own file leaves out: the scaling of states, what is remembered."""
    scaling, found = _scaling(model), {}
    if scaling is not None:
        found = {f"scaling/{name}": torch.tensor(getattr(scaling, name)) for name in ("mean", "var", "count")}
    buffer = _buffer(model)
    if buffer is not None:
        rows = buffer.size()
        found |= {f"buffer/{name}": torch.from_numpy(getattr(buffer, name)[:rows]) for name in _BUFFER}
        found["buffer/pos"] = torch.tensor(buffer.pos)
    return found


def _restored(model: Algorithm, kept: Path, curve: Curve, seed: int) -> Algorithm:
    """The model as it was kept, in the worlds of this one, which begin new episodes."""
    try:
        numbers = load_file(kept / _NUMBERS)
        found = type(model).load(kept / POLICY, env=model.get_env(), device="cpu")
        scaling = _scaling(found)
        if scaling is not None:
            scaling.mean, scaling.var = (numbers[f"scaling/{name}"].numpy() for name in ("mean", "var"))
            scaling.count = float(numbers["scaling/count"])
        buffer = _buffer(found)
        if buffer is not None:
            for name in _BUFFER:
                rows = numbers[f"buffer/{name}"].numpy()
                getattr(buffer, name)[: len(rows)] = rows
            buffer.pos, buffer.full = int(numbers["buffer/pos"]), len(rows) == buffer.buffer_size
        curve.restore(numbers, read_curve(kept / CURVE))
    except (OSError, ValueError, KeyError, BadZipFile, SafetensorError) as error:
        raise TaskError(f"{kept} cannot be read ({error}); remove it to train from the start") from error
    found.set_random_seed(int(np.random.default_rng([seed, found.num_timesteps]).integers(2**31)))
    return found


def _scaling(model: BaseAlgorithm) -> RunningMeanStd | None:
    env = model.get_vec_normalize_env()
    if env is None or not env.norm_obs:
        return None
    assert isinstance(env.obs_rms, RunningMeanStd)
    return env.obs_rms


def _buffer(model: BaseAlgorithm) -> ReplayBuffer | None:
    return model.replay_buffer if isinstance(model, OffPolicyAlgorithm) else None
