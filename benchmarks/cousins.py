"""How diverse are sets of cousins, and how faithful to their twins? Counted from what is in their folders.

    pocketworlds bench cousins near/ mid/ far/
    python -m pocketworlds.benchmarks.cousins near/ mid/ far/

- *Coverage*: of ten equal bins of that part of a range which a split may draw from, the share that it fills. Training
  has the inner part of every range, testing the outer one.
- *Distance* to the twin, which must grow with kinship: twin, near, mid, far.
- *Relations* of the twin that hold, hard ones (on, in) and soft ones (beside, aligned, facing).
- *Categories*: stand-ins are of the category, the group or the use of what they stand in for, as the kinship asks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..digital_cousins.config import SPREADS, Kin
from ..digital_cousins.cousin_set import CousinSet, load_cousins
from ..digital_cousins.draws import INNER
from ..digital_cousins.factors import SETTINGS, Setting, Shares, shares
from ..digital_cousins.guessing import describe_guessed
from ..digital_cousins.matching import KINSHIP
from ..digital_cousins.relations import scene_graph
from ..digital_cousins.taxonomy import affordance_of, canonical, group_of
from .tables import Table

BINS = 10
SHARED: dict[str, Callable[[str], str]] = {"category": canonical, "group": group_of, "affordance": affordance_of}


@dataclass(frozen=True)
class Coverage:
    """What a set has of one setting's range.

    Attributes:
        train, test: how many numbers were drawn. train_filled, test_filled: share of the bins of their own part of the
            range with one in them. leaked: numbers of train in the held-out part. inner: numbers of test that are not
            in it: things that have little room move by less than they might.
    """

    train: int
    test: int
    train_filled: float
    test_filled: float
    leaked: int
    inner: int


@dataclass(frozen=True)
class StandIns:
    """What stood in for an object: numbers of different things, in train, in test, and in both."""

    train: int
    test: int
    both: int


@dataclass(frozen=True)
class SetFigures:
    """One set of cousins.

    Attributes:
        folder, twin, kinship, spread, cousins, tried, rejected: see `Manifest`.
        distance, farthest: to the twin, mean and largest.
        coverage: by setting. stand_ins: by object.
        hard, soft: relations asked about; hard_kept, soft_kept: of these, those that hold.
        swapped: stand-ins in all cousins; same: of these, those of the same category, group and affordance.
        asked: which of them the kinship asks for.
    """

    folder: str
    twin: str
    twin_sha256: str
    kinship: Kin
    spread: float
    cousins: int
    tried: int
    rejected: Mapping[str, int]
    distance: float
    farthest: float
    coverage: Mapping[str, Coverage]
    stand_ins: Mapping[str, StandIns]
    hard: int
    hard_kept: int
    soft: int
    soft_kept: int
    swapped: int
    same: Mapping[str, int]
    asked: str


@dataclass(frozen=True)
class CousinsResult:
    """Figures of several sets."""

    sets: tuple[SetFigures, ...]

    @property
    def monotone(self) -> dict[str, bool]:
        """Of every twin with sets of several kinships: whether the farther kin is farther away on average."""
        found = {}
        for twin in dict.fromkeys(s.twin_sha256 for s in self.sets):
            those = sorted((s for s in self.sets if s.twin_sha256 == twin), key=lambda s: [*SPREADS].index(s.kinship))
            if len({s.kinship for s in those}) > 1:
                pairs = [(a, b) for a, b in pairwise(those) if a.kinship != b.kinship]
                found[those[0].twin] = all(a.distance < b.distance for a, b in pairs)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"sets": [asdict(figures) for figures in self.sets], "monotone": self.monotone}

    def text(self) -> str:
        """Tables for people."""
        tables = [self._sets(), self._faithful(), self._coverage(), self._stand_ins()]
        return "\n\n".join(table.text() for table in tables)

    def _sets(self) -> Table:
        rows = []
        for s in self.sets:
            lost = sum(s.rejected.values())
            why = ", ".join(f"{reason} {count}" for reason, count in sorted(s.rejected.items(), key=lambda r: -r[1]))
            cells = [s.folder, s.twin, s.kinship, f"{s.spread:g}", str(s.cousins), f"{lost}/{s.tried}", why]
            rows.append([*cells, f"{s.distance:.3f}", f"{s.farthest:.3f}"])
        told = ", ".join(f"{twin}: {'yes' if right else 'NO'}" for twin, right in self.monotone.items())
        note = f"The mean distance grows with kinship: {told}." if told else ""
        columns = ["set", "twin", "kinship", "spread", "cousins", "not valid", "why", "distance", "farthest"]
        return Table("Sets", columns, rows, note)

    def _faithful(self) -> Table:
        rows = [
            [
                s.folder,
                f"{s.hard_kept}/{s.hard}",
                f"{s.soft_kept}/{s.soft}",
                str(s.swapped),
                *(f"{s.same[word]}/{s.swapped}" for word in SHARED),
                s.asked,
            ]
            for s in self.sets
        ]
        columns = ["set", "on, in", "beside, aligned, facing", "stand-ins", *(f"same {word}" for word in SHARED)]
        return Table("Faithful: relations that hold, and what stands in", [*columns, "asked for"], rows)

    def _coverage(self) -> Table:
        rows = [
            [
                s.folder,
                name,
                f"{c.train_filled:.1f}",
                str(c.train),
                f"{c.test_filled:.1f}",
                str(c.test),
                str(c.leaked),
                str(c.inner),
            ]
            for s in self.sets
            for name, c in s.coverage.items()
        ]
        columns = ["set", "setting", "train", "of numbers", "test", "of numbers", "train held out", "test not"]
        note = (
            f"Share of {BINS} equal bins that are filled: of the inner {INNER:.0%} of the range for train, of the rest "
            "for test. Train held out: numbers of train in the part for test; test not: numbers of test outside it."
        )
        return Table("Coverage", columns, rows, note)

    def _stand_ins(self) -> Table:
        rows = [
            [s.folder, name, str(found.train), str(found.test), str(found.both)]
            for s in self.sets
            for name, found in s.stand_ins.items()
        ]
        return Table("Different stand-ins", ["set", "object", "train", "test", "in both"], rows)


def run_cousins(
    folders: Sequence[str | Path], *, notify: Callable[[str, float], None] = lambda stage, share: None
) -> CousinsResult:
    """Looks at sets of cousins.

    Raises:
        SceneError: a folder is no set, or a file of it is missing or damaged.
    """
    return CousinsResult(tuple(_figures(cousins, notify) for cousins in [load_cousins(folder) for folder in folders]))


def _figures(cousins: CousinSet, notify: Callable[[str, float], None]) -> SetFigures:
    manifest, splits = cousins.manifest, np.array([entry.split for entry in cousins.manifest.entries])
    drawn = shares(cousins.table, manifest.config)
    settings = {setting.name: setting for setting in SETTINGS}
    twin = cousins.twin
    graph = scene_graph(twin)
    categories = {
        item.name: max(describe_guessed(item, twin.folder).beliefs, key=lambda belief: belief[1])[0]
        for item in twin.objects
    }
    hard = hard_lost = soft = soft_lost = swapped = 0
    same = dict.fromkeys(SHARED, 0)
    used: dict[str, dict[str, set[str]]] = {item.name: {"train": set(), "test": set()} for item in twin.objects}
    for position in range(len(cousins)):
        cousin = cousins.load(position)
        here = {item.name for item in cousin.scene.objects}
        expected, found = graph.without(set(categories) - here), scene_graph(cousin.scene)
        hard += len(expected.on) + len(expected.inside)
        soft += len(expected.beside) + len(expected.aligned) + len(expected.facing)
        lost = len(expected.broken(found, soft=False))
        hard_lost += lost
        soft_lost += len(expected.broken(found)) - lost
        for name in here & set(categories):
            stand_in = cousin.factors.get(f"instance.{name}", "twin")
            if stand_in == "twin":
                continue
            swapped += 1
            if cousin.split in used[name]:
                used[name][cousin.split].add(str(stand_in))
            category = cousin.scene.object(name).category
            for word, key in SHARED.items():
                same[word] += key(category) == key(categories[name])
        notify(cousins.folder.name, (position + 1) / len(cousins))
    distances = [entry.distance for entry in manifest.entries]
    return SetFigures(
        folder=str(cousins.folder),
        twin=manifest.twin,
        twin_sha256=manifest.twin_sha256,
        kinship=manifest.config.kinship,
        spread=manifest.config.width,
        cousins=len(cousins),
        tried=manifest.tried,
        rejected=manifest.rejected,
        distance=float(np.mean(distances)),
        farthest=max(distances),
        coverage={name: coverage(settings[name], found, splits) for name, found in drawn.items()},
        stand_ins={
            name: StandIns(len(those["train"]), len(those["test"]), len(those["train"] & those["test"]))
            for name, those in used.items()
            if any(those.values())
        },
        hard=hard,
        hard_kept=hard - hard_lost,
        soft=soft,
        soft_kept=soft - soft_lost,
        swapped=swapped,
        same=same,
        asked=KINSHIP[manifest.config.kinship].shared,
    )


def coverage(setting: Setting, drawn: Shares, splits: NDArray[np.str_]) -> Coverage:
    """What the splits have of a setting's range.

    Args:
        setting: the setting. drawn: where its numbers lie. splits: of the cousins, by position.
    """
    of = splits[drawn.position]
    train, test = drawn.share[of == "train"], drawn.share[of == "test"]
    outer = test[np.abs(test) >= INNER - 1e-9]
    # The part of test is on both sides of a range that has two: put them together, the lower end first.
    beyond = np.sign(outer) * (np.abs(outer) - INNER)
    return Coverage(
        train=len(train),
        test=len(test),
        train_filled=_filled(train, max(setting.lowest, -INNER), INNER),
        test_filled=_filled(beyond, (1 - INNER) * setting.lowest, 1 - INNER),
        leaked=int((np.abs(train) > INNER + 1e-9).sum()),
        inner=len(test) - len(outer),
    )


def _filled(values: NDArray[np.float64], low: float, high: float) -> float:
    """Share of the bins of a range with a value in them; rounding puts none outside."""
    within = values[(values >= low - 1e-9) & (values <= high + 1e-9)].clip(low, high)
    return float((np.histogram(within, BINS, (low, high))[0] > 0).mean())


def main(arguments: list[str] | None = None) -> None:
    """Count how diverse and how faithful sets of cousins are."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="what `pocketworlds cousins --out` made")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    result = run_cousins(given.folders)
    print(json.dumps(result.to_dict(), indent=1) if given.json else result.text())


if __name__ == "__main__":
    main()
