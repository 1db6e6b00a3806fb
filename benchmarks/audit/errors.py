"""How far worlds of a model are off, at each horizon: errors of position and rotation, contacts, success."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics import cluster_interval, f1
from .trace import Array, Trace

MOVED = 0.005
"""[m]: what is further than this from where it was has moved."""
TOUCHING = 0.1
"""[N]: as the tasks have it."""

LENGTHS = ("target", "moved", "rotation", "part", "hand", "joints")
"""Errors, in the order of tables."""
UNITS = {"target": "cm", "moved": "cm", "rotation": "deg", "part": "cm", "hand": "cm", "joints": "mrad, mm"}
_SCALES = {"target": 100.0, "moved": 100.0, "rotation": 180 / np.pi, "part": 100.0, "hand": 100.0, "joints": 1000.0}


class Errors:
    """Gathers what a model got wrong, stretch by stretch.

    By horizon (control steps since model and physics were in the same state):

    - `target`: how far what the task is about is from where physics has it; `moved`: the same of all objects, and
      handles of parts, that moved since then in physics, and of the hand where the task is about nothing else;
    - `rotation`: the angle between the frames of each object that moved, there and here; `part`: how far handles that
      moved are off; `hand`: the point between the pads, or the palm; `joints`: the mean over the robot's joints;
    - contact: F1 of each pad or fingertip being pressed by more than 0.1 N, over all steps up to the horizon;
    - success: how often each says so at that very step; reward: mean difference of the dense reward there.

    Errors are of worlds that diverged nowhere; of the model's that did it is counted how many, and they are no success.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
        self._groups: dict[tuple[str, int], list[NDArray[np.int64]]] = {}
        self._touch: dict[int, list[tuple[Array, Array]]] = {}
        self._success: dict[int, list[tuple[Array, Array]]] = {}
        self._broken = self._all = 0

    def add(
        self,
        truth: Trace,
        found: Trace,
        horizons: tuple[int, ...],
        episodes: Array,
        *,
        lost: NDArray[np.bool_] | None = None,
    ) -> None:
        """More worlds; both traces begin where they were the same, and `episodes` (n,) tells the worlds apart.

        `lost`: (n,) worlds to leave out of errors as if they had diverged here, so that two rows are of the same ones.
        """
        known = ~truth.broken
        self._all += int(known.sum())
        self._broken += int((found.broken & known).sum())
        for h in horizons:
            said = found.success[h] & ~found.broken
            self._success.setdefault(h, []).append((truth.success[h][known], said[known]))
        good = known & ~found.broken if lost is None else known & ~found.broken & ~lost
        rows = np.flatnonzero(good)
        truth, found, groups = truth.worlds(rows), found.worlds(rows), episodes[rows]
        for h in horizons:
            for name, (values, owners) in _at(truth, found, h).items():
                self._values.setdefault((name, h), []).append(values.astype(np.float64))
                self._groups.setdefault((name, h), []).append(groups[owners])
            pressed = tuple(each.force[1 : h + 1] > TOUCHING for each in (truth, found))
            self._touch.setdefault(h, []).append((pressed[0].ravel(), pressed[1].ravel()))

    def figures(self) -> dict[str, Any]:
        """By horizon (as a word) all that was gathered."""
        found: dict[str, Any] = {"worlds": self._all, "broken": self._broken, "horizons": {}}
        for h in sorted(self._touch):
            row: dict[str, Any] = {}
            for name in (*LENGTHS, "reward"):
                row[name] = self._summary(name, h)
            truth, told = (np.concatenate(part) for part in zip(*self._touch[h], strict=True))
            row["contact_f1"] = f1(truth, told)
            real, said = (np.concatenate(part) for part in zip(*self._success[h], strict=True))
            row |= {
                "failed": int((~real).sum()),
                "optimistic": int((~real & said).sum()),
                "succeeded": int(real.sum()),
                "pessimistic": int((real & ~said).sum()),
            }
            found["horizons"][str(h)] = row
        return found

    def _summary(self, name: str, h: int) -> dict[str, Any] | None:
        parts = self._values.get((name, h), [])
        values = np.concatenate(parts) if parts else np.zeros(0)
        if len(values) == 0:
            return None
        scaled = values * _SCALES.get(name, 1.0)
        low, high = cluster_interval(scaled, np.concatenate(self._groups[name, h]))
        return {
            "mean": float(scaled.mean()),
            "interval": [low, high],
            "median": float(np.median(scaled)),
            "p90": float(np.quantile(scaled, 0.9)),
            "count": len(values),
        }


def thing_errors(truth: Trace, found: Trace) -> Array:
    """How far (F, n) the objects and handles of each world are off at most [m]: what an uncertainty is a bound of."""
    parts = [np.linalg.norm(truth.object_pos - found.object_pos, axis=-1)]
    parts.append(np.linalg.norm(truth.handle_pos - found.handle_pos, axis=-1))
    apart = np.concatenate(parts, axis=2)
    return np.asarray(apart.max(axis=2, initial=0.0))


def displaced(trace: Trace) -> Array:
    """How far (n, K) each object gets at most from where it was in the first frame [m]."""
    return np.asarray(np.linalg.norm(trace.object_pos - trace.object_pos[:1], axis=-1).max(axis=0))


def _at(truth: Trace, found: Trace, h: int) -> dict[str, tuple[Array, Array]]:
    """By name the errors after `h` steps and the worlds that they are of."""
    n = truth.hand.shape[1]
    every = np.arange(n)

    def apart(name: str) -> Array:
        return np.asarray(np.linalg.norm(getattr(truth, name)[h] - getattr(found, name)[h], axis=-1))

    def gone(name: str) -> Array:
        return np.asarray(np.linalg.norm(getattr(truth, name)[h] - getattr(truth, name)[0], axis=-1) > MOVED)

    world, body = np.nonzero(gone("object_pos"))
    owner, part = np.nonzero(gone("handle_pos"))
    objects, handles = apart("object_pos")[world, body], apart("handle_pos")[owner, part]
    moved, owners = np.concatenate([objects, handles]), np.concatenate([world, owner])
    # A task about the hand alone: its target is where the hand is, and neither an object nor a handle.
    things = np.concatenate([truth.object_pos[h], truth.handle_pos[h]], axis=1)
    alone = (np.linalg.norm(things - truth.target[h][:, None], axis=-1).min(axis=1, initial=np.inf) > 1e-6) & gone(
        "target"
    )
    moved, owners = np.concatenate([moved, apart("target")[alone]]), np.concatenate([owners, every[alone]])
    return {
        "target": (apart("target"), every),
        "moved": (moved, owners),
        "rotation": (angle(truth.object_mat[h], found.object_mat[h])[world, body], world),
        "part": (handles, owner),
        "hand": (apart("hand"), every),
        "joints": (np.abs(truth.joint_pos[h] - found.joint_pos[h]).mean(axis=1), every),
        "reward": (np.abs(truth.reward[h] - found.reward[h]), every),
    }


def angle(one: Array, other: Array) -> Array:
    """Angles (...) between frames (..., 3, 3) [rad]: exact for the same frames, unlike the arc cosine of a trace."""
    chord = np.sqrt(((one.astype(np.float64) - other.astype(np.float64)) ** 2).sum(axis=(-1, -2)))
    return np.asarray(2 * np.arcsin(np.clip(chord / np.sqrt(8.0), 0.0, 1.0)))
