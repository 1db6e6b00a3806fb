"""PPO of Stable-Baselines3 on a batch of worlds in one process.

    python examples/ppo_sb3.py --env-id PocketWorlds/Reach-v0 --total-steps 200000

`make_sb3_env` makes the batch SB3's `VecEnv`; `VecNormalize` scales observations. Saves the policy and the scaling to
`--out`, both of which `PPO.load` and `VecNormalize.load` read again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import torch
from pocketworlds.agents.sb3 import make_sb3_env
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--env-id", default="PocketWorlds/Reach-v0")
    parser.add_argument("--total-steps", type=int, default=200_000, help="control steps of all worlds together")
    parser.add_argument("--num-envs", type=int, default=64)
    parser.add_argument("--rollout", type=int, default=32, help="steps of each world between two updates")
    parser.add_argument("--eval-episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/ppo_sb3"))
    return parser.parse_args()


def evaluate(model: PPO, normalizer: VecNormalize, env_id: str, episodes: int, seed: int) -> float:
    """Share of `episodes` episodes that nobody trained on that the policy's mean actions end in success."""
    env: Any = make_sb3_env(env_id, episodes)
    env.seed(seed)
    observation, solved = env.reset(), np.zeros(episodes)
    done = np.zeros(episodes, dtype=np.bool_)
    while not done.all():  # all episodes have the same length
        action, _ = model.predict(normalizer.normalize_obs(observation), deterministic=True)
        observation, _, done, infos = env.step(action)
        solved = np.array([info["is_success"] for info in infos])
    env.close()
    return float(solved.mean())


def main() -> None:
    """Trains, evaluates, saves."""
    args = arguments()
    torch.set_num_threads(1)  # small networks are no faster on more, and physics uses the others
    env = VecNormalize(make_sb3_env(args.env_id, args.num_envs), norm_reward=False)
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=args.rollout,
        batch_size=min(512, args.num_envs * args.rollout),
        n_epochs=8,
        learning_rate=lambda left: 1e-3 * (0.1 + 0.9 * left),
        gamma=0.97,
        target_kl=0.03,
        policy_kwargs={"net_arch": [128, 128], "log_std_init": -0.7},
        device="cpu",
        seed=args.seed,
    )
    start = time.perf_counter()
    model.learn(args.total_steps)
    seconds = time.perf_counter() - start
    print(f"{model.num_timesteps} steps in {seconds:.0f} s, {model.num_timesteps / seconds:.0f} a second")
    args.out.mkdir(parents=True, exist_ok=True)
    model.save(args.out / "policy")
    env.save(str(args.out / "normalize.pkl"))
    env.close()
    solved = evaluate(model, env, args.env_id, args.eval_episodes, seed=1_000_000)
    print(f"{args.env_id}: {solved:.2f} of {args.eval_episodes} episodes end in success")


if __name__ == "__main__":
    main()
