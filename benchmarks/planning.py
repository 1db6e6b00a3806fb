"""How far planning gets in physics, in a learned simulator, and what acting at random does.

    python -m pocketworlds.benchmarks.planning --checkpoint out/neural/model.safetensors --episodes 20

What is acted in is physics; what is planned in differs. A planner that plans in physics knows what will happen: it
bounds what a model can do for the same search. All play the same episodes (seeds s, s + 1, ...). Rows are kept in the
report as they are found: the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..agents.imagination import ImaginedWorlds
from ..agents.planning import CEM, MPPI, Method, Planner, Sequences, Shooting
from ..envs import WorldVectorEnv
from ..envs.catalogue import known_ids
from ..errors import PocketWorldsError, TaskError
from ..progress import StageProgress
from .statistics import wilson
from .tables import Table

Notify = Callable[[str, float], None]
Act = Callable[[], NDArray[np.float32]]

METHODS: dict[str, Callable[[], Method]] = {"cem": CEM, "mppi": MPPI, "shooting": Shooting}
SEQUENCES = {"PocketWorlds/Reach-v0": Sequences(12, 3), "PocketWorlds/Push-v0": Sequences(24, 5)}
"""What plans look like; `USUAL` where nothing is said."""
USUAL = Sequences(20, 5)
CONTROL_MODE = "ee_delta_pos"
"""Four numbers an action instead of seven: the hand stays as it is turned."""


@dataclass(frozen=True)
class Setup:
    """What is measured.

    Attributes:
        env_ids: environments. episodes: of each planner. seed: of the first. samples: sequences tried at once for each
            world. method: a key of `METHODS`. commit: periods of a plan that are done before the next.
        at_once: worlds side by side; changes nothing but the speed. checkpoint: of the learned simulator, None: that
            of the package. neural: whether to plan in it.
    """

    env_ids: tuple[str, ...] = tuple(SEQUENCES)
    episodes: int = 20
    seed: int = 0
    samples: int = 64
    method: str = "cem"
    commit: int = 4
    at_once: int = 10
    checkpoint: str | None = None
    neural: bool = True

    def __post_init__(self) -> None:
        """Checks.

        Raises:
            TaskError: a value makes no sense.
        """
        known_ids(self.env_ids)
        if min(self.episodes, self.samples, self.at_once, self.commit) < 1 or self.seed < 0:
            raise TaskError("episodes, samples, at_once and commit must be from 1, seed from 0")
        if self.method not in METHODS:
            raise TaskError(f"method={self.method!r} is not known; choose one of {list(METHODS)}")


@dataclass(frozen=True)
class Row:
    """One planner in one environment.

    Attributes:
        env_id, planner: what played. episodes: how many. solved: ended in success. ever: saw it at any step.
        milliseconds: for one action of one world. rate: imagined control steps a second; None where there are none.
    """

    env_id: str
    planner: str
    episodes: int
    solved: int
    ever: int
    milliseconds: float
    rate: float | None


def run_planning(setup: Setup, *, out: Path | None = None, notify: Notify = lambda stage, share: None) -> list[Row]:
    """Plays everything.

    Args:
        setup: what to measure. out: report (JSON) that rows are kept in; what it has already is not played again.
        notify: told what is going on.

    Raises:
        TaskError: the report at `out` is of another setup. CheckpointError: the learned simulator cannot be used.
    """
    rows = _kept(out, setup)
    done = {(row.env_id, row.planner) for row in rows}
    planners = ["physics", *(["neural"] if setup.neural else []), "random"]
    if setup.neural:  # nobody wants to hear after an hour that there is no model
        for env_id in known_ids(setup.env_ids):
            _made(env_id, 1, "neural", setup).close()
    for env_id in known_ids(setup.env_ids):
        for planner in planners:
            if (env_id, planner) in done:
                continue
            stage = f"{env_id.partition('/')[2]}, {planner}"
            rows.append(play(setup, env_id, planner, lambda share, stage=stage: notify(stage, share)))  # type: ignore[misc]
            if out is not None:
                _keep(out, setup, rows)
    return rows


def play(setup: Setup, env_id: str, planner: str, notify: Callable[[float], None] = lambda share: None) -> Row:
    """All episodes of one planner: "physics", "neural" or "random"."""
    solved, ever, seconds, steps, imagined = 0, 0, 0.0, 0, 0
    notify(0.0)
    for first in range(0, setup.episodes, setup.at_once):
        seeds = list(range(setup.seed + first, setup.seed + min(first + setup.at_once, setup.episodes)))
        env = _made(env_id, len(seeds))
        plan_env = None if planner == "random" else _made(env_id, len(seeds) * setup.samples, planner, setup)
        try:
            env.reset(seed=seeds)
            length = int(env.max_episode_steps or 0)
            act = _random(seeds, length, env.simulator.action_size)
            if plan_env is not None:
                act, each = _planned(setup, env_id, env, plan_env)
                imagined += each * plan_env.num_envs * -(-length // setup.commit)
            seen, broken = (np.zeros(len(seeds), dtype=np.bool_) for _ in range(2))
            for step in range(length):
                start = time.perf_counter()
                action = act()
                seconds += time.perf_counter() - start
                _, _, _, truncated, info = env.step(action)
                broken |= info["physics_error"]
                success = info["is_success"] & ~broken
                seen |= success
                if step < length - 1 and truncated.any():  # diverged: counts as failed, and goes on for nobody
                    env.reset(options={"reset_mask": truncated})
                notify((first + len(seeds) * (step + 1) / length) / setup.episodes * 0.999)
            solved, ever, steps = solved + int(success.sum()), ever + int(seen.sum()), steps + length * len(seeds)
        finally:
            env.close()
            if plan_env is not None:
                plan_env.close()
    notify(1.0)
    rate = imagined / seconds if imagined else None
    return Row(env_id, planner, setup.episodes, solved, ever, 1e3 * seconds / steps, rate)


def table(rows: Sequence[Row]) -> Table:
    """The rows, for people."""
    cells = []
    for row in rows:
        low, high = wilson(row.solved, row.episodes)
        cells.append(
            [
                row.env_id.partition("/")[2],
                row.planner,
                f"{row.solved}/{row.episodes}",
                f"{row.solved / row.episodes:.2f} ({low:.2f}-{high:.2f})",
                f"{row.ever / row.episodes:.2f}",
                f"{row.milliseconds:.1f}",
                "-" if row.rate is None else f"{row.rate:.0f}",
            ]
        )
    columns = ["environment", "plans in", "solved", "at the end (95 %)", "ever", "ms an action", "imagined steps/s"]
    return Table("Planning, acted out in physics", columns, cells)


def _made(env_id: str, worlds: int, backend: str = "physics", setup: Setup | None = None) -> WorldVectorEnv:
    checkpoint = setup.checkpoint if setup is not None and backend == "neural" else None
    env = gym.make_vec(
        env_id,
        num_envs=worlds,
        autoreset_mode=AutoresetMode.DISABLED,
        control_mode=CONTROL_MODE,
        backend=backend,
        checkpoint=checkpoint,
    ).unwrapped
    assert isinstance(env, WorldVectorEnv)
    return env


def _planned(setup: Setup, env_id: str, env: WorldVectorEnv, plan_env: WorldVectorEnv) -> tuple[Act, int]:
    """What acts, and how many periods each world of `plan_env` steps for a plan."""
    method, sequences = METHODS[setup.method](), SEQUENCES.get(env_id, USUAL)
    planner = Planner(ImaginedWorlds(env, plan_env), method, sequences, commit=setup.commit, seed=setup.seed)
    return planner.act, method.iterations * sequences.horizon


def _random(seeds: Sequence[int], steps: int, size: int) -> Act:
    """Uniform actions, a stream for each episode: one world and twenty play the same."""
    drawn = [np.random.default_rng((seed, 1)).uniform(-1, 1, (steps, size)).astype(np.float32) for seed in seeds]
    stream = iter(np.stack(drawn, axis=1))
    return lambda: next(stream)


def _told(setup: Setup) -> dict[str, Any]:
    """What a report is of; how many worlds were side by side changes nothing."""
    told: dict[str, Any] = json.loads(json.dumps(asdict(setup)))
    del told["at_once"]
    return told


def _kept(out: Path | None, setup: Setup) -> list[Row]:
    if out is None or not out.exists():
        return []
    try:
        report = json.loads(out.read_text(encoding="utf-8"))
        rows = [Row(**row) for row in report["rows"]]
        same = report["setup"] == _told(setup)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TaskError(f"{out} cannot be read as a report of this benchmark ({error}); choose another --out") from None
    if not same:
        raise TaskError(f"{out} is of another setup; choose another --out, or remove it")
    return rows


def _keep(out: Path, setup: Setup, rows: Sequence[Row]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial")
    partial.write_text(json.dumps({"setup": _told(setup), "rows": [asdict(row) for row in rows]}, indent=1))
    partial.replace(out)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketworlds.benchmarks.planning", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--ids", nargs="+", default=list(SEQUENCES), metavar="ENV_ID", help="Reach and Push by default")
    parser.add_argument("--checkpoint", help="of the learned simulator; by default the one of the package")
    parser.add_argument("--without-neural", action="store_true", help="plan in physics only")
    parser.add_argument("--episodes", type=int, default=Setup.episodes, help="of each planner")
    parser.add_argument("--samples", type=int, default=Setup.samples, help="sequences tried at once for each world")
    parser.add_argument("--method", choices=list(METHODS), default=Setup.method)
    parser.add_argument("--commit", type=int, default=Setup.commit, help="periods of a plan that are done")
    parser.add_argument("--at-once", type=int, default=Setup.at_once, help="worlds side by side")
    parser.add_argument("--seed", type=int, default=Setup.seed, help="of the first episode")
    parser.add_argument("--out", type=Path, help="report (JSON) that rows are kept in")
    given = parser.parse_args(arguments)
    try:
        setup = Setup(
            env_ids=tuple(known_ids(given.ids)),
            episodes=given.episodes,
            seed=given.seed,
            samples=given.samples,
            method=given.method,
            commit=given.commit,
            at_once=given.at_once,
            checkpoint=given.checkpoint,
            neural=not given.without_neural,
        )
        with StageProgress() as progress:
            rows = run_planning(setup, out=given.out, notify=progress.notify)
    except PocketWorldsError as error:
        print(error, file=sys.stderr)
        return 2
    print(table(rows).text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
