"""SAC of Stable-Baselines3 on a batch of worlds, from states.

train_sac(make_sb3_env("PocketWorlds/Push-v0", settings.num_envs), settings, seed=0, out=Path("out/push"))
policy = SB3Policy(Path("out/push"))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stable_baselines3 import SAC

from .keeping import plain
from .sb3 import SB3VecEnv
from .sb3_training import Tell, staggered, train_sb3


@dataclass(frozen=True)
class Settings:
    """What is tuned: control steps of all worlds together, worlds, updates after a step of all of them, and SAC's."""

    total_steps: int = 300_000
    num_envs: int = 32
    updates: int = 8
    sac: Mapping[str, Any] = field(default_factory=dict)


DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "batch_size": 256,
        "learning_rate": 7e-4,
        "gamma": 0.97,
        "tau": 0.01,
        "buffer_size": 300_000,
        "learning_starts": 5_000,
        "policy_kwargs": {"net_arch": [128, 128], "optimizer_kwargs": {"fused": True}},  # Adam in one pass
    }
)


def train_sac(
    worlds: SB3VecEnv,
    settings: Settings,
    *,
    seed: int,
    out: Path,
    tell: Tell = lambda line: None,
    work: Path | None = None,
) -> tuple[int, float]:
    """Trains on the CPU and writes policy and curve; see `train_sb3`.

    Args:
        worlds: what `make_sb3_env` gives, `settings.num_envs` of them; is closed at the end.
        settings: what `settings.sac` leaves out is as in `DEFAULTS`. seed: of the network, the noise and the episodes.
        out: a folder that is there. tell: see `Tell`.
        work: a folder in which it is kept where training is; None: nowhere.

    Returns:
        Control steps and seconds.
    """
    keywords = {**DEFAULTS, **settings.sac}
    model = SAC(
        "MlpPolicy",
        staggered(worlds, seed),
        train_freq=1,
        gradient_steps=settings.updates,
        device="cpu",
        seed=seed,
        **keywords,
    )
    total, about = settings.total_steps, plain(settings)
    return train_sb3(model, total, seed=seed, out=out, tell=tell, every=total // 100, work=work, about=about)
