"""Films the scripted expert lifting an object of a scene.

python examples/lift.py [scene folder or built-in name] [film]
"""

from __future__ import annotations

import sys

import gymnasium as gym
import pocketworlds  # noqa: F401 - registers the environments
from pocketworlds.agents.experts import make_expert
from pocketworlds.agents.record import record_episode


def main(scene: str = "tabletop", film: str = "out/lift.mp4") -> None:
    """Plays and films one episode."""
    env = gym.make("PocketWorlds/Scan-v0", scene=scene, task="lift")
    try:
        episode = record_episode(env, make_expert(env), film, seed=0)
    finally:
        env.close()
    print(
        f"{episode.instruction}: {'done' if episode.success else 'failed'} after {episode.steps} steps; {episode.path}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
