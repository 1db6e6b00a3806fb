"""Steps a batch of copies of a scene with random actions, and says how fast that is.

python examples/random_batch.py [scene folder or built-in name] [number of copies]
"""

from __future__ import annotations

import sys
import time

import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments

STEPS = 50


def main(scene: str = "tabletop", copies: str = "16") -> None:
    """Runs the batch."""
    envs = gym.make_vec("PocketWorlds/Scan-v0", num_envs=int(copies), scene=scene, task="push")
    envs.reset(seed=0)
    envs.action_space.seed(0)
    start, total = time.perf_counter(), np.zeros(envs.num_envs)
    for _ in range(STEPS):
        _, reward, _, _, _ = envs.step(envs.action_space.sample())
        total += reward
    rate = STEPS * envs.num_envs / (time.perf_counter() - start)
    envs.close()
    print(f"{envs.num_envs} worlds, {rate:.0f} control steps of 50 ms a second; mean return {total.mean():.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:3])
