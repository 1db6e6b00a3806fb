"""Swaps the simulator: the same environment, policies and code, in physics and in a learned model, by one keyword.

    python examples/swap.py --task PickPlace-v0 --film out/swap.mp4

docs/neural.md says more.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
from numpy.typing import NDArray
from pocketworlds import PocketWorldsError
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs.catalogue import known_ids
from pocketworlds.envs.vector import CONTROL_RATE
from scipy.stats import binomtest

BACKENDS = ("physics", "neural")
POLICIES = ("expert", "random")
WIDTH, HEIGHT = 320, 240


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="Push-v0", help="an id of `pocketworlds envs`; Push-v0 by default")
    parser.add_argument("--checkpoint", type=Path, help="the model; by default the one that comes with the package")
    parser.add_argument("--episodes", type=int, default=50, help="of each policy in each simulator; 50 by default")
    parser.add_argument("--film", type=Path, help="write both simulators side by side, with the expert, to this mp4")
    return parser.parse_args()


def make(args: argparse.Namespace, backend: str, worlds: int) -> Any:
    """The environment: what differs is the keyword `backend`, and the file that a learned simulator is read from."""
    checkpoint = args.checkpoint if backend == "neural" else None
    (env_id,) = known_ids([args.task])
    return gym.make_vec(env_id, num_envs=worlds, backend=backend, checkpoint=checkpoint, render_size=(WIDTH, HEIGHT))


def make_policy(name: str, envs: Any) -> Callable[[], Any]:
    """What acts in all worlds of an environment."""
    envs.action_space.seed(0)
    act: Callable[[], Any] = make_expert(envs).act if name == "expert" else envs.action_space.sample
    return act


def play(envs: Any, policy: str) -> str:
    """One episode of every world; tells how many ended in success, and how fast that was."""
    act = make_policy(policy, envs)
    envs.reset(seed=0)
    steps, failed = envs.unwrapped.max_episode_steps, np.zeros(envs.num_envs, dtype=np.bool_)
    start = time.perf_counter()
    for _ in range(steps):
        _, _, _, _, info = envs.step(act())
        failed |= info["physics_error"]
    rate = steps * envs.num_envs / (time.perf_counter() - start)
    solved = int((info["is_success"] & ~failed).sum())
    interval = binomtest(solved, envs.num_envs).proportion_ci(method="wilson")
    share = f"{solved / envs.num_envs:.2f} ({interval.low:.2f}-{interval.high:.2f})"
    return f"{share:<18}  {rate:>7.0f}"


def frames(args: argparse.Namespace) -> Iterator[NDArray[np.uint8]]:
    """Pictures of one episode in both simulators, side by side."""
    both = [make(args, backend, 1) for backend in BACKENDS]
    acts = [make_policy("expert", envs) for envs in both]
    for envs in both:
        envs.reset(seed=0)
    for _ in range(both[0].unwrapped.max_episode_steps):
        yield np.concatenate([envs.unwrapped.picture(0) for envs in both], axis=1)
        for envs, act in zip(both, acts, strict=True):
            envs.step(act())
    for envs in both:
        envs.close()


def write_film(path: Path, pictures: Iterator[NDArray[np.uint8]]) -> None:
    """Writes an H.264 mp4; leaves no half film behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial.mp4")
    try:
        with av.open(str(partial), "w") as container:
            stream: Any = container.add_stream("libx264", rate=Fraction(CONTROL_RATE), options={"crf": "20"})
            stream.width, stream.height, stream.pix_fmt = len(BACKENDS) * WIDTH, HEIGHT, "yuv420p"
            for picture in pictures:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode(None))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def main() -> int:
    """Plays both policies in both simulators; returns the exit code."""
    args = arguments()
    try:
        batches = {backend: make(args, backend, args.episodes) for backend in BACKENDS}
        print(f"{args.task}, {args.episodes} episodes each\n\nsimulator  policy  success (95 %)      steps/s")
        for backend, envs in batches.items():
            for policy in POLICIES:
                print(f"{backend:<9}  {policy:<6}  {play(envs, policy)}", flush=True)
            envs.close()
        if args.film:
            write_film(args.film, frames(args))
            print(f"\nfilm       {args.film}: {BACKENDS[0]} on the left, {BACKENDS[1]} on the right")
    except (PocketWorldsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
