"""PPO of Stable-Baselines3 on a batch of worlds in one process.

    python examples/ppo_sb3.py --env-id PocketWorlds/Push-v0

`make_sb3_env` makes the batch SB3's `VecEnv`; `VecNormalize` scales observations. `SETTINGS` holds what each task was
tuned to; other tasks take the default. Every ten updates prints control steps of all worlds so far, seconds, mean
reward a step and the share of the last episodes that ended in success; at the end prints that share for the policy's
mean actions in episodes nobody trained on. Writes to `--out`: `curve.csv`, and the policy and its scaling of
observations, which `PPO.load` and `VecNormalize.load` read again.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import torch
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.benchmarks.scoring import wilson
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize


@dataclass(frozen=True)
class Settings:
    """What is tuned: control steps of all worlds together, worlds, steps of each between two updates, and PPO's own."""

    total_steps: int = 2_000_000
    num_envs: int = 128
    rollout: int = 32
    ppo: dict[str, Any] = field(default_factory=dict)


PPO_DEFAULTS: dict[str, Any] = {
    "batch_size": 512,
    "n_epochs": 8,
    "learning_rate": 7e-4,
    "gamma": 0.97,
    "gae_lambda": 0.95,
    "target_kl": 0.05,
    # Lets the noise on the gripper grow while opening it changes nothing: else who holds a thing never tries to let go.
    "ent_coef": 0.003,
    "policy_kwargs": {"net_arch": [128, 128], "log_std_init": -0.5},
}
SETTINGS = {
    # Easy enough for many small, noisy updates.
    "PocketWorlds/Reach-v0": Settings(
        total_steps=100_000,
        num_envs=64,
        rollout=24,
        ppo={"batch_size": 256, "learning_rate": 1e-3, "target_kl": 0.03, "ent_coef": 0.0},
    ),
    "PocketWorlds/Push-v0": Settings(total_steps=1_000_000),
    "PocketWorlds/PickPlace-v0": Settings(total_steps=2_000_000),
}


class Curve(BaseCallback):
    """Writes a line of `curve.csv` after each rollout; prints every tenth and saves the policy."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self._out, self._start, self._lines = out, time.perf_counter(), 0
        self._rewards: list[float] = []
        self._solved: deque[bool] = deque(maxlen=256)

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
        with (self._out / "curve.csv").open("a" if self._lines else "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(line), lineterminator="\n")
            if not self._lines:
                writer.writeheader()
            writer.writerow(line)
        self._lines += 1
        if self._lines % 10 == 0:
            print(", ".join(f"{name} {value:g}" for name, value in line.items()), flush=True)
            save(self.model, self.training_env, self._out)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env-id", default="PocketWorlds/Reach-v0")
    parser.add_argument("--total-steps", type=int, help="control steps of all worlds together; the task's by default")
    parser.add_argument("--num-envs", type=int, help="the task's by default")
    parser.add_argument("--eval-episodes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/ppo_sb3"))
    return parser.parse_args()


def save(model: BaseAlgorithm, env: Any, out: Path) -> None:
    """Writes the policy and the scaling of its observations."""
    model.save(out / "policy")
    env.save(str(out / "normalize.pkl"))


def evaluate(model: PPO, normalizer: VecNormalize, env_id: str, episodes: int, seed: int) -> int:
    """How many of `episodes` episodes that nobody trained on the policy's mean actions end in success."""
    env: Any = make_sb3_env(env_id, episodes)
    env.seed(seed)
    observation, solved = env.reset(), 0
    done = np.zeros(episodes, dtype=np.bool_)
    while not done.all():  # all episodes have the same length
        action, _ = model.predict(normalizer.normalize_obs(observation), deterministic=True)
        observation, _, done, infos = env.step(action)
        solved = sum(info["is_success"] for info in infos)
    env.close()
    return int(solved)


def main() -> None:
    """Trains, evaluates, saves."""
    args = arguments()
    torch.set_num_threads(1)  # small networks are no faster on more, and physics uses the others
    args.out.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS.get(args.env_id, Settings())
    n, total = args.num_envs or settings.num_envs, args.total_steps or settings.total_steps
    worlds = make_sb3_env(args.env_id, n)
    # All episodes have the same length: first ones of different lengths, lest a batch be nothing but beginnings.
    length = worlds.get_attr("max_episode_steps")[0]
    worlds.set_options({"elapsed": (np.random.default_rng(args.seed).permutation(n) * length // n).tolist()})
    env = VecNormalize(worlds, norm_reward=False)
    keywords = {**PPO_DEFAULTS, **settings.ppo}
    fastest = keywords.pop("learning_rate")
    keywords["batch_size"] = min(keywords["batch_size"], n * settings.rollout)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=settings.rollout,
        learning_rate=lambda left: fastest * (0.2 + 0.8 * left),
        device="cpu",
        seed=args.seed,
        **keywords,
    )
    start = time.perf_counter()
    model.learn(total, callback=Curve(args.out))
    seconds = time.perf_counter() - start
    print(f"{model.num_timesteps} steps in {seconds:.0f} s, {model.num_timesteps / seconds:.0f} a second")
    save(model, env, args.out)
    env.close()
    solved = evaluate(model, env, args.env_id, args.eval_episodes, seed=1_000_000)
    low, high = wilson(solved, args.eval_episodes)
    print(
        f"{args.env_id}: {solved} of {args.eval_episodes} episodes end in success, "
        f"{solved / args.eval_episodes:.2f} ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main()
