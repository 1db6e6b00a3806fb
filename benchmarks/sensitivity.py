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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digital_cousins.cousin_set import CousinSet, load_cousins
from ..digital_cousins.effects import Effect, effects
from ..errors import PocketWorldsError, TaskError
from ..folders import check_free, new_folder
from ..progress import StageProgress
from .cousin_play import AT_ONCE, Notify, Policy, play_cousins
from .sensitivity_page import page
from .statistics import wilson
from .tables import Table

REPORT = "sensitivity.json"
SHOWN = 30
"""Factors in the table of the Markdown file; the others are in the two other files."""


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
    played = play_cousins(
        cousins,
        env_id=env_id,
        policy=policy,
        episodes=episodes,
        split=split,
        seed=seed,
        at_once=at_once,
        notify=notify,
        **keywords,
    )
    successes, trials, positions = played.successes, played.trials, played.positions
    table = {
        "distance": played.distances.tolist(),
        **{factor: [column[k] for k in positions] for factor, column in cousins.table.items()},
    }
    found = tuple(effects(table, successes, trials, seed=seed))
    return Sensitivity(
        str(cousins.folder.name),
        split,
        played.env_id,
        name,
        episodes,
        seed,
        table,
        successes,
        trials,
        found,
        played.unsuitable,
    )


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
