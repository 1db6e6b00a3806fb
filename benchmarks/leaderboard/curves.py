"""Learning curves beside results: how an agent became what it is, as told by who trained it.

A folder `curves` of tables (`Push.csv`), one of each training: two columns of numbers, whose names say what they are,
such as `control steps` and `success in training`.
"""

from __future__ import annotations

import csv
import math
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ...agents.keeping import write_curve
from ...errors import SuiteError
from ..words import printable

FOLDER = "curves"
_MOST = 40
"""Of a run; further ones are left out."""
_LARGEST = 1 << 20
_LONGEST = 60  # characters of a name
_FARTHEST = 1e12


@dataclass(frozen=True)
class LearningCurve:
    """Of one training.

    Attributes:
        name: what was trained. across, up: what the numbers are. points: (across, up), from the first to the last.
    """

    name: str
    across: str
    up: str
    points: Sequence[tuple[float, float]]

    def thinned(self, most: int) -> list[tuple[float, float]]:
        """At most so many points: means of neighbours."""
        size = math.ceil(len(self.points) / most)
        parts = [self.points[k : k + size] for k in range(0, len(self.points), size)]
        return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in parts]


def write_curves(folder: Path, curves: Sequence[LearningCurve]) -> None:
    """Writes them into the folder `curves` of a run; makes none for none."""
    if not curves:
        return
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    for curve in curves:
        write_curve(place / f"{curve.name}.csv", [{curve.across: x, curve.up: y} for x, y in curve.points])


def read_curves(folder: Path) -> tuple[list[LearningCurve], dict[Path, str]]:
    """The curves of a run's folder, in the order of their names, and the reason for each that cannot be shown.

    Links are left out, lest they lead out of the submission.
    """
    place = folder / FOLDER
    if place.is_symlink() or not place.is_dir():
        return [], {}
    files = sorted(each for each in place.iterdir() if each.suffix == ".csv" and stat.S_ISREG(each.lstat().st_mode))
    shown: list[LearningCurve] = []
    refused: dict[Path, str] = {}
    for file in files[:_MOST]:
        try:
            shown.append(read_curve(file))
        except SuiteError as error:
            refused[file] = str(error)
    return shown, refused


def read_curve(file: Path) -> LearningCurve:
    """One of them.

    Raises:
        SuiteError: it cannot be read, is damaged, too long, or no curve.
    """
    try:
        if file.stat().st_size > _LARGEST:
            raise SuiteError(f"{file} is larger than a learning curve can be ({_LARGEST >> 20} MiB); write fewer lines")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SuiteError(f"{file} cannot be read ({error}); write it again") from error
    try:
        heads, *rows = csv.reader(text.splitlines(), strict=True)
        across, up = heads
        points = [(float(x), float(y)) for x, y in rows]
    except (ValueError, csv.Error) as error:
        raise SuiteError(
            f"{file} is no learning curve: it needs two columns with a line of names above them, then numbers ({error})"
        ) from error
    if not points or max(len(file.stem), len(across), len(up)) > _LONGEST:
        raise SuiteError(f"{file} is no learning curve: it has no numbers, or a name of over {_LONGEST} characters")
    if not all(abs(value) <= _FARTHEST for point in points for value in point):  # neither do infinities and NaN
        raise SuiteError(f"{file} is no learning curve: it has numbers that are not finite, or beyond {_FARTHEST:g}")
    if any(later <= earlier for (earlier, _), (later, _) in pairwise(points)):
        raise SuiteError(f"{file} is no learning curve: its first column, {printable(across)!r}, does not rise")
    return LearningCurve(file.stem, across, up, points)
