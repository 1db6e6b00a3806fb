"""Draws learning curves: of the tables given, or those of docs/training.md in docs/data; needs matplotlib.

pip install matplotlib && python docs/images/learning_curves.py [out/reach/curve.csv ...]

Writes `learning_curves.png` beside this file, or in the current folder if tables are given.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).parent
WINDOW = 5
"""Lines of the table that are averaged: one line's success is that of the last episodes only."""


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    """A column of the table, averaged over the last `WINDOW` lines."""
    values = [float(row[name]) for row in rows]
    return [sum(values[max(0, k - WINDOW + 1) : k + 1]) / min(k + 1, WINDOW) for k in range(len(values))]


def main() -> None:
    """Writes the picture and says where."""
    given = [Path(name) for name in sys.argv[1:]]
    tables = given or sorted((HERE.parent / "data").glob("curve_*.csv"))
    picture = (Path() if given else HERE) / "learning_curves.png"
    figure, axes = plt.subplots(1, len(tables), figsize=(4.2 * len(tables), 2.8), dpi=100, squeeze=False)
    for axis, table in zip(axes[0], tables, strict=True):
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        steps = [float(row["steps"]) / 1000 for row in rows]
        axis.plot(steps, column(rows, "success"), label="episodes that end in success")
        axis.plot(steps, column(rows, "reward"), label="reward a step")
        axis.set(
            title=table.parent.name if given else table.stem.removeprefix("curve_"),
            xlabel="thousand control steps",
            ylim=(0, 1.02),
        )
        axis.grid(alpha=0.3)
    axes[0][0].legend(loc="center right", fontsize=8)
    figure.tight_layout()
    figure.savefig(picture)
    print(f"{picture}: {picture.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
