"""Control: do actions decide what happens in the model, and does nothing happen without them?

- No-op drift: 50 control steps of zero actions; how far do objects get that physics leaves where they are?
- Counterfactual pairs: from one state two courses of actions, the episode's own and another episode's; is what they
  make different in physics different in the model, and the same way?

The third question, how much worse the model foresees pictures under another episode's actions, is told by `replay`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..statistics import pearson
from .adopt import adopt
from .errors import MOVED, displaced
from .record import Notify, Record, both
from .subject import Subject
from .trace import Aim, Array, Trace, follow

STILL = 0.002
"""[m]: what physics moves by less than this it leaves in place."""
APART = 0.01
"""[m]: what the model moves apart by more than this, and physics by less than `STILL`, it made up."""
IDLE = 50
"""Control steps of zero actions."""
PAIR_HORIZONS = (10, 20, 50)


def control(subject: Subject, record: Record, notify: Notify) -> dict[str, Any]:
    """Measures drift and pairs; see docs/audit.md for what is returned."""
    drifts: dict[str, list[Array]] = {"starts": [], "mid-episode": []}
    pairs, told = _Pairs(), record.shuffled
    idle = min(IDLE, record.steps)
    for number, chunk in enumerate(record.chunks):
        physics, model = both(subject, len(chunk.seeds))
        try:
            none = np.zeros((idle, len(chunk.seeds), record.actions.shape[2]))
            physics.reset(seed=chunk.seeds)
            model.reset(seed=chunk.seeds)
            drifts["starts"].append(_drift(follow(physics, none), follow(model, none)))
            for place, window in enumerate(chunk.windows):
                physics.reset(seed=chunk.seeds)
                physics.set_state(window.state)
                if not adopt(model, physics):
                    break
                aim, idle_there = Aim(physics), follow(model, none)
                drifts["mid-episode"].append(_drift(follow(physics, none), idle_there))
                found: list[Trace] = []
                courses = [window.cut(each[:, chunk.rows], max(record.horizons)) for each in (record.actions, told)]
                for course in courses:
                    physics.set_state(window.state)
                    adopt(model, physics)
                    found += [follow(physics, course, aim), follow(model, course, aim)]
                pairs.add(*found)
                share = (number + (place + 1) / len(chunk.windows)) / len(record.chunks)
                notify("controlling", min(share, 0.999))
        finally:
            physics.close()
            model.close()
    notify("controlling", 1.0)
    return {
        "idle_steps": idle,
        "drift": {name: _summary(parts) for name, parts in drifts.items()},
        "pairs": pairs.figures(),
    }


class _Pairs:
    """How far two courses of actions bring the target and the hand apart, in physics and in the model."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], list[tuple[Array, Array]]] = {}

    def add(self, real: Trace, said: Trace, real_other: Trace, said_other: Trace) -> None:
        """More worlds, under one course and under another."""
        good = ~(real.broken | said.broken | real_other.broken | said_other.broken)
        for name in ("target", "hand"):
            for h in PAIR_HORIZONS:
                if h >= len(real.hand):
                    continue
                there, here = (
                    (getattr(one, name)[h] - getattr(other, name)[h])[good].astype(np.float64)
                    for one, other in ((real, real_other), (said, said_other))
                )
                self._found.setdefault((name, h), []).append((there, here))

    def figures(self) -> dict[str, Any]:
        """By thing and horizon; of pairs that physics brings further apart than it takes to have moved."""
        result: dict[str, Any] = {}
        for (name, h), parts in self._found.items():
            there, here = (np.concatenate(side) for side in zip(*parts, strict=True))
            result.setdefault(name, {})[str(h)] = agreement(there, here)
        return result


def agreement(there: Array, here: Array) -> dict[str, Any]:
    """How alike differences of outcomes (n, 3) [m] are in physics (`there`) and in the model.

    Returns:
        `pairs` that differ in physics by more than 5 mm; of these `correlation` of all coordinates, `signs`: share of
        coordinates beyond 5 mm with the same sign, `cosine`: mean, `error` [cm]: mean length of the difference of
        differences; `same`: pairs that hardly differ in physics, and `made_up`: how many the model moves apart.
    """
    size = np.linalg.norm(there, axis=1)
    some = size > MOVED
    result: dict[str, Any] = {"pairs": int(some.sum()), "same": int((size < STILL).sum())}
    result["made_up"] = int(((size < STILL) & (np.linalg.norm(here, axis=1) > APART)).sum())
    if not some.any():
        return {**result, "correlation": None, "signs": None, "cosine": None, "error": None}
    a, b = there[some], here[some]
    clear = np.abs(a) > MOVED
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.divide((a * b).sum(axis=1), lengths, out=np.zeros(len(a)), where=lengths > 1e-9)
    return {
        **result,
        "correlation": pearson(a.ravel(), b.ravel()),
        "signs": float((np.sign(a) == np.sign(b))[clear].mean()) if clear.any() else None,
        "cosine": float(cosine.mean()),
        "error": float(100 * np.linalg.norm(a - b, axis=1).mean()),
    }


def _drift(real: Trace, said: Trace) -> Array:
    """How far the model moves the objects that physics leaves in place, of worlds that are sound [cm]."""
    good = ~(real.broken | said.broken)
    still = (displaced(real) < STILL) & good[:, None]
    return np.asarray(100 * displaced(said)[still], dtype=np.float64)


def _summary(parts: list[Array]) -> dict[str, Any] | None:
    values = np.concatenate(parts) if parts else np.zeros(0)
    if len(values) == 0:
        return None
    return {
        "mean": float(values.mean()),
        "p90": float(np.quantile(values, 0.9)),
        "max": float(values.max()),
        "count": len(values),
    }
