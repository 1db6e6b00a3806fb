"""SAC of Stable-Baselines3 with hindsight experience replay: sparse rewards, goals reached by accident.

    python examples/her_sac.py --env-id PocketWorlds/Push-v0 --total-steps 200000

`GoalVectorEnv` turns a task with goals (`push`, `lift`) into observations with `achieved_goal` and `desired_goal`, and
gives SB3's `HerReplayBuffer` the reward of any pair of them. One step of the batch is followed by `--updates` updates.
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
from pocketworlds.envs.goals import GoalVectorEnv
from stable_baselines3 import SAC, HerReplayBuffer


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--env-id", default="PocketWorlds/Push-v0")
    parser.add_argument("--total-steps", type=int, default=200_000, help="control steps of all worlds together")
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--updates", type=int, default=8, help="gradient steps after each step of the batch")
    parser.add_argument("--eval-episodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/her_sac"))
    return parser.parse_args()


def evaluate(model: SAC, env_id: str, episodes: int, seed: int) -> float:
    """Share of `episodes` episodes that nobody trained on that the policy's mean actions end in success."""
    env: Any = make_sb3_env(env_id, episodes, wrapper=GoalVectorEnv, reward_mode="sparse")
    env.seed(seed)
    observation, solved = env.reset(), np.zeros(episodes)
    done = np.zeros(episodes, dtype=np.bool_)
    while not done.all():  # all episodes have the same length
        action, _ = model.predict(observation, deterministic=True)
        observation, _, done, infos = env.step(action)
        solved = np.array([info["is_success"] for info in infos])
    env.close()
    return float(solved.mean())


def main() -> None:
    """Trains, evaluates, saves."""
    args = arguments()
    torch.set_num_threads(1)
    env = make_sb3_env(args.env_id, args.num_envs, wrapper=GoalVectorEnv, reward_mode="sparse")
    length = env.get_attr("max_episode_steps")[0]
    model = SAC(
        "MultiInputPolicy",
        env,
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        # Goals can only be relabelled in episodes that have ended.
        learning_starts=(length + 1) * args.num_envs,
        buffer_size=1_000_000,
        batch_size=256,
        gamma=0.95,
        tau=0.01,
        train_freq=1,
        gradient_steps=args.updates,
        policy_kwargs={"net_arch": [256, 256]},
        device="cpu",
        seed=args.seed,
    )
    start = time.perf_counter()
    model.learn(args.total_steps, log_interval=args.num_envs)
    seconds = time.perf_counter() - start
    print(f"{model.num_timesteps} steps in {seconds:.0f} s, {model.num_timesteps / seconds:.0f} a second")
    args.out.mkdir(parents=True, exist_ok=True)
    model.save(args.out / "policy")
    env.close()
    solved = evaluate(model, args.env_id, args.eval_episodes, seed=1_000_000)
    print(f"{args.env_id}: {solved:.2f} of {args.eval_episodes} episodes end in success")


if __name__ == "__main__":
    main()
