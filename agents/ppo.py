"""PPO of Stable-Baselines3 on a batch of worlds: what each task was tuned to, training, and the policy that comes out.

env = make_sb3_env("PocketWorlds/Push-v0", settings.num_envs)
train_ppo(env, settings, seed=0, out=Path("out/push"))
policy = PPOPolicy(Path("out/push"))
"""

from __future__ import annotations

import csv
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from ..errors import TaskError
from .sb3 import SB3VecEnv

CURVE, POLICY, SCALING = "curve.csv", "policy.zip", "scaling.npz"
"""What `train_ppo` writes: a line a rollout, SB3's own file, and the scaling of observations, if those are states."""

FINEST = 0.01
"""The least that observations are divided by: what hardly varies in training, such as the sizes of the things in a
single scene, would else be magnified wherever it is different, and a policy lost one millimetre from home."""

Tell = Callable[[Mapping[str, float]], None]
"""Told after a rollout: control steps, seconds, mean reward a step and the share of the last episodes that succeed."""


@dataclass(frozen=True)
class Settings:
    """What is tuned: control steps of all worlds together, worlds, steps of each between two updates, and PPO's own."""

    total_steps: int = 2_000_000
    num_envs: int = 128
    rollout: int = 32
    ppo: Mapping[str, Any] = field(default_factory=dict)


DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "batch_size": 512,
        "n_epochs": 8,
        "learning_rate": 7e-4,
        "gamma": 0.97,
        "gae_lambda": 0.95,
        "target_kl": 0.05,
        # Lets the noise on the gripper grow while opening it changes nothing: else who holds a thing never lets go.
        "ent_coef": 0.003,
        "policy_kwargs": {"net_arch": [128, 128], "log_std_init": -0.5},
    }
)
_SEEN = 128
"""Numbers that a policy of pictures sums a picture up in."""
SETTINGS: Mapping[str, Settings] = MappingProxyType(
    {
        # Easy enough for many small, noisy updates.
        "PocketWorlds/Reach-v0": Settings(
            total_steps=100_000,
            num_envs=64,
            rollout=24,
            ppo={"batch_size": 256, "learning_rate": 1e-3, "target_kl": 0.03, "ent_coef": 0.0},
        ),
        "PocketWorlds/Push-v0": Settings(total_steps=1_400_000),
        "PocketWorlds/PickPlace-v0": Settings(total_steps=2_000_000),
        "PocketWorlds/OpenDrawer-v0": Settings(total_steps=600_000),
    }
)
"""Other tasks take the default `Settings()`."""


def train_ppo(
    worlds: SB3VecEnv, settings: Settings, *, seed: int, out: Path, tell: Tell = lambda line: None
) -> tuple[int, float]:
    """Trains on the CPU and writes policy and curve; see `make_ppo`.

    Args:
        worlds: is closed at the end. settings: see there.
        seed: of the network, the noise and the episodes. out: a folder that is there. tell: see `Tell`.

    Returns:
        Control steps and seconds.
    """
    model = make_ppo(worlds, settings, seed=seed)
    start = time.perf_counter()
    model.learn(settings.total_steps, callback=_Curve(out / CURVE, tell))
    seconds = time.perf_counter() - start
    save_ppo(model, out)
    worlds.close()
    return model.num_timesteps, seconds


def make_ppo(worlds: SB3VecEnv, settings: Settings, *, seed: int) -> PPO:
    """PPO before it has learned; the rate falls to a fifth, states are scaled as they come.

    Args:
        worlds: what `make_sb3_env` gives, `settings.num_envs` of them, with obs_mode="state" or "rgb".
        settings: see there; what `settings.ppo` leaves out is as in `DEFAULTS`.
        seed: of the network, the noise and the episodes.
    """
    # All episodes have the same length: first ones of different lengths, lest a batch be nothing but beginnings.
    n, length = worlds.num_envs, worlds.get_attr("max_episode_steps")[0]
    worlds.set_options({"elapsed": (np.random.default_rng(seed).permutation(n) * length // n).tolist()})
    pictures = is_image_space(worlds.observation_space)
    env = VecNormalize(worlds, norm_obs=not pictures, norm_reward=False, epsilon=FINEST**2)
    keywords = {**DEFAULTS, **settings.ppo}
    if pictures:
        keywords["policy_kwargs"] = {
            "features_extractor_kwargs": {"features_dim": _SEEN},
            **keywords["policy_kwargs"],
        }
    fastest = float(keywords.pop("learning_rate"))
    keywords["batch_size"] = min(keywords["batch_size"], n * settings.rollout)
    return PPO(
        "CnnPolicy" if pictures else "MlpPolicy",
        env,
        n_steps=settings.rollout,
        learning_rate=lambda left: fastest * (0.2 + 0.8 * left),
        device="cpu",
        seed=seed,
        **keywords,
    )


def save_ppo(model: PPO, out: Path) -> None:
    """Writes the policy of `make_ppo` as it is now into a folder, for `PPOPolicy`."""
    env = model.get_vec_normalize_env()
    assert env is not None
    if env.norm_obs:
        assert isinstance(env.obs_rms, RunningMeanStd)
        np.savez(out / SCALING, mean=env.obs_rms.mean, scale=np.sqrt(env.obs_rms.var + env.epsilon), clip=env.clip_obs)
    model.save(out / POLICY)


class PPOPolicy:
    """The mean actions of a policy that `train_ppo` wrote.

    Attributes:
        picture: (height, width) of the pictures that it sees; None: it sees states.
        size: of a state, or 0. action_size: A.
    """

    def __init__(self, folder: Path) -> None:
        """Reads it. Files of Stable-Baselines3 hold code: read those alone that somebody you trust has made.

        Raises:
            TaskError: there is none, or it is damaged.
        """
        path = self._find(folder, POLICY)
        try:
            self._model = PPO.load(path, device="cpu")
        except Exception as error:  # whatever comes of reading half a file
            raise TaskError(f"{path} cannot be read ({error}); train it again, or copy it again") from error
        space, actions = self._model.observation_space, self._model.action_space
        assert space.shape is not None
        assert actions.shape is not None
        # Stable-Baselines3 has put the colours first.
        self.picture = (space.shape[1], space.shape[2]) if is_image_space(space) else None
        self.size, self.action_size = 0 if self.picture else space.shape[0], actions.shape[0]
        if not self.picture:
            with np.load(self._find(folder, SCALING)) as found:
                self._mean, self._scale, self._clip = found["mean"], found["scale"], float(found["clip"])

    def reset(self, num_envs: int) -> None:
        """So many episodes begin: nothing to forget."""

    def act(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (n, action_size) in [-1, 1] for states (n, size), or for pictures (n, height, width, 3)."""
        seen = observations
        if not self.picture:
            seen = np.clip((seen - self._mean) / self._scale, -self._clip, self._clip).astype(np.float32)
        action, _ = self._model.predict(seen, deterministic=True)
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)

    @staticmethod
    def _find(folder: Path, name: str) -> Path:
        if not (folder / name).is_file():
            raise TaskError(f"{folder} holds no trained policy: {name} is missing; train one into it first")
        return folder / name


class _Curve(BaseCallback):
    """Writes a line after each rollout."""

    def __init__(self, path: Path, tell: Tell) -> None:
        super().__init__()
        self._path, self._tell, self._start = path, tell, time.perf_counter()
        self._rewards: list[float] = []
        self._solved: deque[bool] = deque(maxlen=256)

    def _on_training_start(self) -> None:
        self._path.unlink(missing_ok=True)

    def _on_step(self) -> bool:
        self._rewards.append(float(self.training_env.get_original_reward().mean()))  # type: ignore[attr-defined]
        for j in np.flatnonzero(self.locals["dones"]):
            self._solved.append(self.locals["infos"][j]["is_success"])
        return True

    def _on_rollout_end(self) -> None:
        line = {
            "steps": self.num_timesteps,
            "seconds": round(time.perf_counter() - self._start, 1),
            "reward": round(float(np.mean(self._rewards)), 4),
            "success": round(float(np.mean(self._solved)), 4) if self._solved else 0.0,
        }
        self._rewards.clear()
        begins = not self._path.exists()
        with self._path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(line), lineterminator="\n")
            if begins:
                writer.writeheader()
            writer.writerow(line)
        self._tell(line)
