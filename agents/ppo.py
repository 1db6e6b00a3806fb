"""PPO of Stable-Baselines3 on a batch of worlds: what each task was tuned to, and training.

env = make_sb3_env("PocketWorlds/Push-v0", settings.num_envs)
train_ppo(env, settings, seed=0, out=Path("out/push"))
policy = SB3Policy(Path("out/push"))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.preprocessing import is_image_space

from .keeping import plain
from .sb3 import SB3VecEnv
from .sb3_training import Tell, staggered, train_sb3


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
        # What is joined to a scene does not get lost, as loose things do.
        "PocketWorlds/OpenDrawer-v0": Settings(total_steps=600_000),
        "PocketWorlds/CloseDrawer-v0": Settings(total_steps=600_000),
        "PocketWorlds/OpenDoor-v0": Settings(total_steps=600_000),
        "PocketWorlds/PressButton-v0": Settings(total_steps=600_000),
    }
)
"""Other tasks take the default `Settings()`."""


def train_ppo(
    worlds: SB3VecEnv,
    settings: Settings,
    *,
    seed: int,
    out: Path,
    tell: Tell = lambda line: None,
    work: Path | None = None,
) -> tuple[int, float]:
    """Trains on the CPU and writes policy and curve; see `make_ppo` and `train_sb3`.

    Args:
        worlds: is closed at the end. settings: see there.
        seed: of the network, the noise and the episodes. out: a folder that is there. tell: see `Tell`.
        work: a folder in which it is kept where training is; None: nowhere.

    Returns:
        Control steps and seconds.
    """
    model, about = make_ppo(worlds, settings, seed=seed), plain(settings)
    return train_sb3(model, settings.total_steps, seed=seed, out=out, tell=tell, work=work, about=about)


def make_ppo(worlds: SB3VecEnv, settings: Settings, *, seed: int) -> PPO:
    """PPO before it has learned; the rate falls to a fifth, states are scaled as they come.

    Args:
        worlds: what `make_sb3_env` gives, `settings.num_envs` of them, with obs_mode="state" or "rgb".
        settings: see there; what `settings.ppo` leaves out is as in `DEFAULTS`.
        seed: of the network, the noise and the episodes.
    """
    pictures = is_image_space(worlds.observation_space)
    keywords = {**DEFAULTS, **settings.ppo}
    if pictures:
        keywords["policy_kwargs"] = {
            "features_extractor_kwargs": {"features_dim": _SEEN},
            **keywords["policy_kwargs"],
        }
    fastest = float(keywords.pop("learning_rate"))
    keywords["batch_size"] = min(keywords["batch_size"], worlds.num_envs * settings.rollout)
    return PPO(
        "CnnPolicy" if pictures else "MlpPolicy",
        staggered(worlds, seed),
        n_steps=settings.rollout,
        learning_rate=lambda left: fastest * (0.2 + 0.8 * left),
        device="cpu",
        seed=seed,
        **keywords,
    )
