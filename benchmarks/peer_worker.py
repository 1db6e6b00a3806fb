"""Steps another library's environment on request: run by `throughput_peers` in an interpreter that has the library.

    python peer_worker.py fetch sync 8 25        python peer_worker.py robosuite single 1 25

Stands alone: imports nothing of PocketWorlds. The first line it prints is a JSON object that says what is run; then
for every line `<seconds>` it reads it steps for about that long with random actions, and prints `[steps, seconds]`,
counting the steps of every environment. It ends when its input ends.
"""

from __future__ import annotations

import contextlib
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

SEED = 0


class _Fetch:
    """One FetchPickAndPlace with its number of substeps set; made by name so that `spawn` can pickle it."""

    def __init__(self, substeps: int) -> None:
        self._substeps = substeps

    def __call__(self) -> Any:
        import gymnasium as gym
        import gymnasium_robotics

        gym.register_envs(gymnasium_robotics)
        env: Any = gym.make("FetchPickAndPlace-v4")
        env.unwrapped.n_substeps = self._substeps
        return env


def fetch(mode: str, count: int, substeps: int) -> tuple[Callable[[], None], dict[str, Any]]:
    """FetchPickAndPlace-v4 of gymnasium-robotics in Gymnasium's synchronous or asynchronous vector."""
    import gymnasium as gym

    kind = gym.vector.SyncVectorEnv if mode == "sync" else gym.vector.AsyncVectorEnv
    env = kind([_Fetch(substeps)] * count)
    env.reset(seed=SEED)
    env.action_space.seed(SEED)
    actions = [env.action_space.sample() for _ in range(16)]
    turn = [0]

    def step() -> None:
        env.step(actions[turn[0] % len(actions)])
        turn[0] += 1

    single = _Fetch(substeps)()
    about = {
        "task": "FetchPickAndPlace-v4",
        "timestep": float(single.unwrapped.model.opt.timestep),
        "substeps": int(single.unwrapped.n_substeps),
        "versions": {name: version(name) for name in ("gymnasium-robotics", "gymnasium", "mujoco", "numpy")},
        **_size(single.unwrapped.model, single.unwrapped.data),
    }
    return step, about


def robosuite(mode: str, count: int, substeps: int) -> tuple[Callable[[], None], dict[str, Any]]:
    """Lift of robosuite with its Panda and default controller, states only; `count` of them, one after another."""
    import numpy as np
    import robosuite as suite

    rng = np.random.default_rng(SEED)
    envs = [
        suite.make(
            "Lift",
            robots="Panda",
            has_renderer=False,
            has_offscreen_renderer=False,
            use_camera_obs=False,
            use_object_obs=True,
            control_freq=20,
            horizon=150,
        )
        for _ in range(count)
    ]
    left = [0] * count

    def step() -> None:
        for index, env in enumerate(envs):
            if left[index] == 0:
                env.reset()
                left[index] = 150
            env.step(rng.uniform(-1, 1, env.action_dim))
            left[index] -= 1

    first = envs[0]
    model = first.sim.model._model if hasattr(first.sim.model, "_model") else first.sim.model
    about = {
        "task": "Lift (Panda)",
        "timestep": float(first.model_timestep),
        "substeps": round(first.control_timestep / first.model_timestep),
        "versions": {name: version(name) for name in ("robosuite", "mujoco", "numpy")},
        **_size(model, first.sim.data),
    }
    if about["substeps"] != substeps:
        raise SystemExit(f"robosuite makes {about['substeps']} substeps, not {substeps}")
    return step, about


def _size(model: Any, data: Any) -> dict[str, int]:
    return {"nv": int(model.nv), "contacts": int(data.ncon)}


def main(name: str, mode: str, count: int, substeps: int) -> None:
    """Says what it is, then steps as long as it is told to."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        step, about = {"fetch": fetch, "robosuite": robosuite}[name](mode, count, substeps)
        step()
        about |= {"library": name, "mode": mode, "num_envs": count, "python": platform.python_version()}
        print(json.dumps(about), file=out, flush=True)
        for line in sys.stdin:
            steps, start = 0, time.perf_counter()
            while time.perf_counter() - start < float(line):
                step()
                steps += count
            print(json.dumps([steps, time.perf_counter() - start]), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
