"""Cousins in one batch beside copies of their twin: steps per second, and what drawing others at a reset costs.

    python -m pocketworlds.benchmarks.cousin_speed my_kitchen my_kitchen_cousins --worlds 1024

Both are stepped by turns in one run, with the same random actions; resets that draw other cousins are compared with
resets in the same ones. What counts is the median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ..digital_cousins.cousin_set import load_cousins
from ..envs.config import resolve_scene
from ..envs.vector import WorldVectorEnv
from .throughput_result import machine

TURNS, STEPS = 9, 20
STEPS_BOUND, RESET_BOUND = 0.9, 1.2


class Side:
    """One environment of the comparison."""

    def __init__(self, env_id: str, worlds: int, scene: Any, **keywords: Any) -> None:
        """Makes it; every world has a scene of its own where there are enough."""
        start = time.perf_counter()
        endless: dict[str, Any] = {"autoreset_mode": "Disabled", "max_episode_steps": 10**6}
        env = gym.make_vec(env_id, num_envs=worlds, scene=scene, **endless, **keywords).unwrapped
        assert isinstance(env, WorldVectorEnv)
        self.env, self.made = env, time.perf_counter() - start
        self.scenes = len(env.worlds)
        self.env.reset(seed=0, options={"scene": np.arange(worlds) % self.scenes})

    def steps(self, actions: np.ndarray) -> float:
        """Seconds for steps with actions (T, worlds, size)."""
        start = time.perf_counter()
        for action in actions:
            self.env.step(action)
        return time.perf_counter() - start

    def reset(self, mask: np.ndarray, *, redraw: bool) -> float:
        """Seconds to begin the next episodes of some worlds (worlds,): in scenes that they draw, or where they are."""
        options: dict[str, Any] = {"reset_mask": mask}
        if not redraw:
            options["scene"] = self.env.get_state().simulator.member
        start = time.perf_counter()
        self.env.reset(options=options)
        return time.perf_counter() - start


def main() -> None:
    """Prints what was run and found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("twin")
    parser.add_argument("cousins", type=Path)
    parser.add_argument("--env-id", default="PocketWorlds/Lift-v0")
    parser.add_argument("--worlds", type=int, default=1024)
    parser.add_argument("--object", help="the target; any that suits by default")
    args = parser.parse_args()
    found = load_cousins(args.cousins)
    count = min(args.worlds, len(found))
    keywords: dict[str, Any] = {"object": args.object, "object_jitter": 0.0}
    cousins = Side(args.env_id, args.worlds, [found.load(k) for k in range(count)], **keywords)
    twins = Side(args.env_id, args.worlds, resolve_scene(args.twin)[0][0], **keywords)
    rng = np.random.default_rng(0)
    ratios, resets = [], []
    tenth = np.arange(args.worlds) % 10 == 0
    for turn in range(TURNS):
        shape = (STEPS, args.worlds, cousins.env.simulator.action_size)
        actions = rng.uniform(-1, 1, shape).astype(np.float32)
        first, second = (cousins, twins) if turn % 2 else (twins, cousins)
        seconds = {id(side): side.steps(actions) for side in (first, second)}
        ratios.append(seconds[id(twins)] / seconds[id(cousins)])
        order = (True, False) if turn % 2 else (False, True)
        again = {redraw: cousins.reset(tenth, redraw=redraw) for redraw in order}
        resets.append((again[True], again[False]))
    rate = args.worlds * STEPS * TURNS
    ratio = statistics.median(ratios)
    cost = statistics.median(a / b for a, b in resets)
    for name, value in machine(cousins.env, 0).items():
        print(f"{name:12} {value}")
    model = cousins.env.world.model
    print(f"{args.env_id}, {args.worlds} worlds of {count} cousins beside as many of {args.twin}, seed 0")
    print(f"model        cousins nv {model.nv}, {model.ngeom} geoms; twin nv {twins.env.world.model.nv}, "
          f"{twins.env.world.model.ngeom} geoms")  # fmt: skip
    print(f"made in      cousins {cousins.made:.1f} s, twin {twins.made:.1f} s")
    print(f"steps        {ratio:.3f} of the twin's ({min(ratios):.3f} to {max(ratios):.3f}), {rate} steps of each")
    took = [1e3 * statistics.median(column) for column in zip(*resets, strict=True)]
    told = f"{took[0]:.1f} beside {took[1]:.1f} ms for {int(tenth.sum())} worlds"
    print(f"redrawing    {cost:.2f} times a reset in the same cousins: {told}")
    print(f"steps >= {STEPS_BOUND} of the twin's: {'met' if ratio >= STEPS_BOUND else 'MISSED'}; "
          f"redrawing <= {RESET_BOUND} times: {'met' if cost <= RESET_BOUND else 'MISSED'}")  # fmt: skip


if __name__ == "__main__":
    main()
