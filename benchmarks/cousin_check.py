"""Are cousins what they should be? Checked again through plain MuJoCo, by nothing that decided about them before.

    pocketworlds cousins-check my_kitchen_cousins
    python -m pocketworlds.benchmarks.cousin_check my_kitchen_cousins

Every cousin is read from its file, compiled and simulated here: its bodies may overlap by less than 1 mm at the start,
and move by less than 2 mm in 2 s, drawers and doors included (but not what a spring holds). Its relations must be those
of the twin, and every file must be the one that the set was made with.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from ..digital_cousins.cousin_set import TWIN, CousinSet, load_cousins
from ..digital_cousins.graph import SceneGraph
from ..digital_cousins.relations import scene_graph
from ..errors import PocketWorldsError, SceneError
from ..scenes import Scene
from ..scenes.mjcf import compile_scene
from ..workers import WorkerPool, processors
from .tables import Table

MAX_PENETRATION, MAX_DRIFT, SECONDS = 1e-3, 2e-3, 2.0
"""What is promised: [m], and [m] within so many seconds."""
_DIVERGED = [int(getattr(mujoco.mjtWarning, f"mjWARN_BAD{what}")) for what in ("QPOS", "QVEL", "QACC")]


@dataclass(frozen=True)
class Checked:
    """One cousin.

    Attributes:
        index: its number. split: what it is for. penetration: deepest [m] of one thing into another at the start.
        drift: farthest [m] that anything moved. broken: relations of the twin that do not hold.
        error: why it could not be looked at, else "".
    """

    index: int
    split: str
    penetration: float = 0.0
    drift: float = 0.0
    broken: tuple[str, ...] = ()
    error: str = ""

    @property
    def failures(self) -> tuple[str, ...]:
        """What is wrong, in plain sentences; none if it is valid."""
        found = [self.error] if self.error else []
        if not self.penetration < MAX_PENETRATION:
            found.append(f"things overlap by {1000 * self.penetration:.2f} mm")
        if not self.drift < MAX_DRIFT:
            found.append(f"something moves by {1000 * self.drift:.2f} mm in {SECONDS:g} s")
        return (*found, *self.broken)


@dataclass(frozen=True)
class SetCheck:
    """What became of a set.

    Attributes:
        folder: where it is. cousins: of each what was found. damaged: files that are missing or were changed.
    """

    folder: str
    cousins: tuple[Checked, ...]
    damaged: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.damaged and not any(cousin.failures for cousin in self.cousins)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        failed = [asdict(c) | {"failures": c.failures} for c in self.cousins if c.failures]
        return {
            "ok": self.ok,
            "folder": self.folder,
            "cousins": len(self.cousins),
            "penetration": max(c.penetration for c in self.cousins),
            "drift": max(c.drift for c in self.cousins),
            "failed": failed,
            "damaged": list(self.damaged),
        }

    def text(self) -> str:
        """Tables for people."""
        rows = []
        for split in dict.fromkeys(c.split for c in self.cousins):
            those = [c for c in self.cousins if c.split == split]
            rows.append(
                [
                    split,
                    str(len(those)),
                    str(sum(bool(c.failures) for c in those)),
                    *(f"{1000 * f(c.penetration for c in those):.3f}" for f in (_median, max)),
                    *(f"{1000 * f(c.drift for c in those):.3f}" for f in (_median, max)),
                    str(sum(bool(c.broken) for c in those)),
                ]
            )
        columns = ["split", "cousins", "failed", "overlap (mm)", "worst", "drift (mm)", "worst", "relations broken"]
        limits = (
            f"limits: overlap {1000 * MAX_PENETRATION:g} mm, drift {1000 * MAX_DRIFT:g} mm in {SECONDS:g} s; medians"
        )
        parts = [Table(self.folder, columns, rows, f"{limits} and worst of all").text()]
        failed = [[str(c.index), c.split, "; ".join(c.failures)] for c in self.cousins if c.failures]
        if failed:
            parts.append(Table("\nfailed", ["cousin", "split", "why"], failed).text())
        if self.damaged:
            parts.append(Table("\nmissing or changed files", ["file"], [[name] for name in self.damaged]).text())
        parts.append("everything holds" if self.ok else "not everything holds")
        return "\n".join(parts)


def check_set(
    folder: str | Path, *, workers: int = 0, notify: Callable[[str, float], None] = lambda stage, share: None
) -> SetCheck:
    """Checks every cousin of a set.

    Args:
        folder: of the set. workers: processes, 0 for all processors. notify: called with the finished share.

    Raises:
        SceneError: it is no set, or its twin cannot be read: then nothing can be compared.
    """
    cousins = load_cousins(folder)
    notify("files", 0.0)
    damaged = tuple(cousins.damaged())
    notify("files", 1.0)
    if TWIN in damaged:
        raise SceneError(f"{cousins.folder / TWIN} is missing or was changed; copy the whole folder of cousins again")
    check = partial(_check, cousins, scene_graph(cousins.twin))
    found = []
    with WorkerPool(workers or processors()) as pool:
        for checked in pool.map(check, range(len(cousins)), chunksize=4):
            found.append(checked)
            notify("cousins", len(found) / len(cousins))
    return SetCheck(str(folder), tuple(found), damaged)


def penetration(model: mujoco.MjModel, data: mujoco.MjData) -> float:
    """Deepest overlap [m] between things of different trees, the world being one; leaves `data` forwarded."""
    mujoco.mj_forward(model, data)
    trees = model.body_rootid[model.geom_bodyid[data.contact.geom.reshape(-1, 2)]]
    other = trees[:, 0] != trees[:, 1]
    return float(max(-data.contact.dist[other].min(), 0.0)) if other.any() else 0.0


def drift(model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> float:
    """Farthest [m] that the origin or the centre of mass of a body gets from its start; inf if the world diverges.

    What a spring holds, such as the cap of a button, is left out: it gives way to its own weight.
    """
    mujoco.mj_forward(model, data)
    watched = np.setdiff1d(np.arange(model.nbody), model.jnt_bodyid[model.jnt_stiffness > 0])
    start = np.concatenate([data.xpos[watched], data.xipos[watched]])
    farthest = 0.0
    for _ in range(round(seconds / model.opt.timestep)):
        mujoco.mj_step(model, data)
        now = np.linalg.norm(np.concatenate([data.xpos[watched], data.xipos[watched]]) - start, axis=1)
        if any(data.warning[kind].number for kind in _DIVERGED) or not np.isfinite(now).all():
            return float("inf")
        farthest = max(farthest, float(now.max()))
    return farthest


def _check(cousins: CousinSet, twin: SceneGraph, position: int) -> Checked:
    entry = cousins.manifest.entries[position]
    try:
        scene: Scene = cousins.load(position).scene
        model = compile_scene(scene, visuals=True)  # what is drawn must compile too
        gone = set(twin.order) - {item.name for item in scene.objects} - set(cousins.manifest.needed)
        broken = twin.without(gone).broken(scene_graph(scene))
    except PocketWorldsError as error:
        return Checked(entry.index, entry.split, error=str(error))
    depth = penetration(model, mujoco.MjData(model))
    return Checked(entry.index, entry.split, depth, drift(model, mujoco.MjData(model), SECONDS), tuple(broken))


def _median(values: Any) -> float:
    return float(np.median(list(values)))


def main(arguments: list[str] | None = None) -> None:
    """Check a set of cousins."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="what `pocketworlds cousins --out` made")
    parser.add_argument("--workers", type=int, default=0, help="processes, 0 for all processors")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    result = check_set(given.folder, workers=given.workers)
    print(json.dumps(result.to_dict(), indent=1) if given.json else result.text())
    sys.exit(0 if result.ok else 1)


if __name__ == "__main__":
    main()
