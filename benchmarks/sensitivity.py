"""On which factors a policy fails: it plays every cousin of a set, and success is held against each factor.

    python -m pocketworlds.benchmarks.sensitivity my_cousins --env-id PocketWorlds/Lift-v0 --episodes 2

Success is that of the last step. Every factor that varied is divided into ranges with equally many cousins; how much it
explains, and what chance would, is told by `digital_cousins.effects`. The distance to the twin is among the factors, of
the whole scene and of each object. Written are `sensitivity.json`, `.md` and `.html`, the latter with a plot a factor.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..agents.experts import make_expert
from ..digital_cousins.cousin import Cousin
from ..digital_cousins.cousin_set import CousinSet, load_cousins
from ..digital_cousins.effects import Effect, effects
from ..envs import WorldVectorEnv
from ..envs.catalogue import known_ids
from ..errors import PocketWorldsError, TaskError
from ..folders import check_free, new_folder
from ..progress import StageProgress
from ..registry import ENVIRONMENTS
from .scoring import wilson
from .sensitivity_page import page
from .tables import Table

REPORT = "sensitivity.json"
AT_ONCE = 32
"""Cousins whose worlds are stepped together; more take more memory."""
SHOWN = 30
"""Factors in the table of the Markdown file; the others are in the two other files."""

Notify = Callable[[str, float], None]


class Policy(Protocol):
    """What is tried: any object with these two."""

    def reset(self, num_envs: int) -> None:
        """Forgets; so many episodes begin."""

    def act(self, observations: Any) -> NDArray[Any]:
        """Actions (num_envs, action_size) in [-1, 1] for a batch of observations."""
        ...


@dataclass(frozen=True)
class Sensitivity:
    """How a policy fared in each cousin of a set.

    Attributes:
        cousins: the set. split: "train", "validation", "test" or "all". env_id, policy: what played.
        episodes: in each cousin. seed: of the first episode. table: by factor a value for each of n cousins.
        successes, trials: (n,) episodes. effects: of all factors that vary, the clearest and strongest first.
        unsuitable: cousins that the task could not be played in, and why.
    """

    cousins: str
    split: str
    env_id: str
    policy: str
    episodes: int
    seed: int
    table: dict[str, list[Any]]
    successes: NDArray[np.float64]
    trials: NDArray[np.float64]
    effects: tuple[Effect, ...]
    unsuitable: dict[int, str]

    @property
    def told(self) -> list[str]:
        """On which factors it fails, a sentence each; none where chance would explain it."""
        return [effect.told() for effect in self.effects if effect.clear]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable data; intervals of rates are Wilson's, of differences from a bootstrap, all 95 %."""
        solved, played = int(self.successes.sum()), int(self.trials.sum())
        return {
            "cousins": self.cousins,
            "split": self.split,
            "env_id": self.env_id,
            "policy": self.policy,
            "episodes_each": self.episodes,
            "seed": self.seed,
            "count": len(self.trials),
            "solved": solved,
            "played": played,
            "rate": _rounded(solved / played) if played else None,
            "interval": [_rounded(v) for v in wilson(solved, played)],
            "told": self.told,
            "factors": [_factor(effect) for effect in self.effects],
            "unsuitable": [{"cousin": index, "reason": reason} for index, reason in self.unsuitable.items()],
        }

    def markdown(self) -> str:
        """The report as text."""
        report = self.to_dict()
        rows = [
            [
                each["factor"],
                f"{each['explains']:.3f}",
                f"{each['chance']:.3f}",
                f"{each['difference']:.2f} ({each['interval'][0]:.2f} to {each['interval'][1]:.2f})",
                "; ".join(
                    f"{b['range']}: {b['rate']:.2f} ({b['interval'][0]:.2f}-{b['interval'][1]:.2f})" for b in bins
                ),
            ]
            for each in report["factors"][:SHOWN]
            for bins in [each["bins"]]
        ]
        left = len(report["factors"]) - len(rows)
        note = (
            "Explains: share of the uncertainty of success, less what chance gives. Chance: how often it does as well "
            "with any factor. Difference: best range less worst, 95 % bootstrap interval. Success by range: with 95 % "
            f"Wilson intervals.{f' {left} weaker factors are in {REPORT}.' if left else ''}"
        )
        columns = ["factor", "explains", "chance", "difference", "success by range"]
        share = f"{report['solved']}/{report['played']} solved"
        title = f"{self.policy} in {self.cousins} ({self.split}), {self.env_id}: {share}"
        told = "\n".join(f"- {sentence}" for sentence in self.told) or "- it fails on no factor clearly"
        return f"{Table(title, columns, rows, note).markdown()}\n\n{told}\n"

    def write(self, out: Path, *, replace: bool = False) -> None:
        """Writes JSON, Markdown and HTML into a new folder.

        Raises:
            TaskError: it exists, or cannot be written.
        """
        with new_folder(out, replace=replace, marks=[REPORT], noun="sensitivity report", error=TaskError) as folder:
            (folder / REPORT).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
            (folder / "sensitivity.md").write_text(self.markdown(), encoding="utf-8")
            (folder / "sensitivity.html").write_text(page(self.to_dict()), encoding="utf-8")


def run_sensitivity(
    cousins: CousinSet,
    *,
    env_id: str = "PocketWorlds/Lift-v0",
    policy: Policy | None = None,
    name: str = "expert",
    episodes: int = 2,
    split: str = "all",
    seed: int = 0,
    at_once: int = AT_ONCE,
    notify: Notify = lambda stage, share: None,
    **keywords: Any,
) -> Sensitivity:
    """Plays `episodes` episodes in every cousin.

    Args:
        cousins: the set. env_id: the task. policy: what plays; None: the scripted expert. name: of the policy.
        episodes: in each cousin. split: which cousins. seed: cousin k plays seeds from seed + k * episodes on.
        at_once: cousins that are stepped together. notify: called with (stage, share done).
        keywords: of the environment.

    Raises:
        TaskError: an argument makes no sense, or no cousin suits the task. SceneError: a cousin cannot be read.
    """
    if episodes < 1 or at_once < 1 or seed < 0:
        raise TaskError(f"episodes and at_once must be from 1, seed from 0; got {episodes}, {at_once} and {seed}")
    (env_id,) = known_ids([env_id])
    positions = cousins.indices(None if split == "all" else split)  # type: ignore[arg-type]
    successes, trials = np.zeros(len(positions)), np.zeros(len(positions))
    unsuitable: dict[int, str] = {}
    for first in range(0, len(positions), at_once):
        rows = np.arange(first, min(first + at_once, len(positions)))
        loaded = {int(row): cousins.load(int(positions[row])) for row in rows}
        env, lacking = _environment(env_id, loaded, episodes, keywords)
        unsuitable |= lacking
        if env is not None:
            kept = [row for row, cousin in loaded.items() if cousin.index not in lacking]
            seeds = [seed + row * episodes + k for row in kept for k in range(episodes)]
            try:
                solved = _play(env, policy, seeds, np.repeat(np.arange(len(kept)), episodes))
            finally:
                env.close()
            successes[kept], trials[kept] = solved.reshape(len(kept), episodes).sum(axis=1), episodes
        notify("cousins", (int(rows[-1]) + 1) / len(positions))
    if not trials.any():
        raise TaskError(f"no cousin suits {env_id}; of the first: {next(iter(unsuitable.values()))}")
    entries = cousins.manifest.entries
    table = {
        "distance": [entries[k].distance for k in positions],
        **{factor: [column[k] for k in positions] for factor, column in cousins.table.items()},
    }
    found = tuple(effects(table, successes, trials, seed=seed))
    return Sensitivity(
        str(cousins.folder.name),
        split,
        env_id,
        name,
        episodes,
        seed,
        table,
        successes,
        trials,
        found,
        unsuitable,
    )


def _environment(
    env_id: str, cousins: Mapping[int, Cousin], episodes: int, keywords: Mapping[str, Any]
) -> tuple[WorldVectorEnv | None, dict[int, str]]:
    """Worlds of all cousins that the task can be played in, and why it cannot in the others, by their numbers."""
    try:
        return _made(env_id, list(cousins.values()), episodes, keywords), {}
    except TaskError as error:
        if len(cousins) == 1:
            return None, {cousin.index: str(error) for cousin in cousins.values()}
    lacking: dict[int, str] = {}
    for row, cousin in cousins.items():
        env, reasons = _environment(env_id, {row: cousin}, 1, keywords)
        lacking |= reasons
        if env is not None:
            env.close()
    kept = [cousin for cousin in cousins.values() if cousin.index not in lacking]
    return _made(env_id, kept, episodes, keywords) if kept else None, lacking


def _made(env_id: str, scenes: list[Cousin], episodes: int, keywords: Mapping[str, Any]) -> WorldVectorEnv:
    entry = ENVIRONMENTS[env_id]
    given = {**entry.keywords, "object_jitter": 0.0, **keywords, "scene": scenes}
    return WorldVectorEnv(
        len(scenes) * episodes, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=entry.steps, **given
    )


def _play(env: WorldVectorEnv, policy: Policy | None, seeds: list[int], scenes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """One episode of every world: success (num_envs,) at its end; where physics diverged there is none."""
    observation, _ = env.reset(seed=seeds, options={"scene": scenes})
    expert = make_expert(env) if policy is None else None
    if policy is not None:
        policy.reset(env.num_envs)
    solved, over = (np.zeros(env.num_envs, dtype=np.bool_) for _ in range(2))
    for _ in range(int(env.max_episode_steps or 0)):
        action = expert.act() if expert is not None else policy.act(observation)  # type: ignore[union-attr]
        observation, _, terminated, truncated, info = env.step(action)
        ended = (terminated | truncated) & ~over
        solved = np.where(over, solved, info["is_success"])
        over |= ended
        if over.all():
            break
        if ended.any():  # it goes on for nobody
            observation, _ = env.reset(options={"reset_mask": ended, "scene": scenes})
    return solved


def _factor(effect: Effect) -> dict[str, Any]:
    bins = [
        {
            "range": each.label,
            "low": each.low,
            "high": each.high,
            "solved": int(each.successes),
            "played": int(each.trials),
            "rate": _rounded(each.rate),
            "interval": [_rounded(v) for v in wilson(int(each.successes), int(each.trials))],
        }
        for each in effect.bins
    ]
    return {
        "factor": effect.factor,
        "explains": _rounded(effect.explains),
        "chance": _rounded(effect.chance),
        "clear": effect.clear,
        "difference": _rounded(effect.difference),
        "interval": [_rounded(v) for v in effect.interval],
        "bins": bins,
    }


def _rounded(value: float) -> float:
    return round(value, 4)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m pocketworlds.benchmarks.sensitivity", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("cousins", type=Path, help="folder of the set")
    parser.add_argument("--env-id", default="PocketWorlds/Lift-v0")
    parser.add_argument("--episodes", type=int, default=2, help="episodes in each cousin")
    parser.add_argument("--split", default="all", choices=["train", "validation", "test", "all"])
    parser.add_argument("--object", help="the task's target; by default any that suits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="cousins that are stepped together")
    parser.add_argument("--out", type=Path, default=Path("out/sensitivity"), help="folder of the report")
    parser.add_argument("--replace", action="store_true", help="overwrite a report that is there")
    given = parser.parse_args(arguments)
    try:
        check_free(given.out, replace=given.replace, marks=[REPORT], noun="sensitivity report", error=TaskError)
        with StageProgress() as progress:
            found = run_sensitivity(
                load_cousins(given.cousins),
                env_id=given.env_id,
                episodes=given.episodes,
                split=given.split,
                seed=given.seed,
                at_once=given.at_once,
                notify=progress.notify,
                object=given.object,
            )
        found.write(given.out, replace=given.replace)
    except PocketWorldsError as error:
        print(error, file=sys.stderr)
        return 2
    print(found.markdown())
    print(f"written to {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
