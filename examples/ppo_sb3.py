"""PPO of Stable-Baselines3 on a batch of worlds in one process.

    python examples/ppo_sb3.py --env-id PocketWorlds/Push-v0

`make_sb3_env` makes the batch SB3's `VecEnv`; `agents.ppo` holds what each task was tuned to and trains: other tasks
take its default. Every ten updates prints control steps of all worlds so far, seconds, mean reward a step and the share
of the last episodes that ended in success; at the end prints that share for the policy's mean actions in episodes
nobody trained on. Writes to `--out`: `curve.csv`, and the policy and its scaling of observations, which `SB3Policy`
reads again.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import torch
from pocketworlds.agents.ppo import SETTINGS, Settings, train_ppo
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.agents.sb3_policy import SB3Policy
from pocketworlds.benchmarks.statistics import wilson


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


def evaluate(policy: SB3Policy, env_id: str, episodes: int, seed: int) -> int:
    """How many of `episodes` episodes that nobody trained on end in success."""
    env = gym.make_vec(env_id, num_envs=episodes, autoreset_mode="Disabled")
    observation, info = env.reset(seed=seed)
    done = np.zeros(episodes, dtype=np.bool_)
    while not done.all():  # all episodes have the same length
        observation, _, terminated, truncated, info = env.step(policy.act(observation))
        done = terminated | truncated
    env.close()
    return int(info["is_success"].sum())


def main() -> None:
    """Trains, evaluates, saves."""
    args = arguments()
    torch.set_num_threads(1)  # small networks are no faster on more, and physics uses the others
    args.out.mkdir(parents=True, exist_ok=True)
    settings = SETTINGS.get(args.env_id, Settings())
    settings = replace(
        settings, num_envs=args.num_envs or settings.num_envs, total_steps=args.total_steps or settings.total_steps
    )
    lines = 0

    def tell(line: Mapping[str, float]) -> None:
        nonlocal lines
        lines += 1
        if lines % 10 == 0:
            print(", ".join(f"{name} {value:g}" for name, value in line.items()), flush=True)

    worlds = make_sb3_env(args.env_id, settings.num_envs)
    steps, seconds = train_ppo(
        worlds,
        settings,
        seed=args.seed,
        out=args.out,
        tell=tell,
        work=args.out / "work",  # where it goes on from
    )
    print(f"{steps} steps in {seconds:.0f} s, {steps / seconds:.0f} a second")
    solved = evaluate(SB3Policy(args.out), args.env_id, args.eval_episodes, seed=1_000_000)
    low, high = wilson(solved, args.eval_episodes)
    print(
        f"{args.env_id}: {solved} of {args.eval_episodes} episodes end in success, "
        f"{solved / args.eval_episodes:.2f} ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main()
