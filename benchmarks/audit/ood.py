"""Out of distribution: does the model know when it is wrong?

A model may give `info["neural/uncertainty"]`, a bound [m] that holds 90 % of the time on how far things are off by now,
and `info["neural/strangeness"]`, more than 1 where it is out of its depth. Both are held against what physics says, in
the environment as it is and in others: things elsewhere, heavier or slippery things, extreme actions, scenes that it
has not seen, cousins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...envs.builtin import builtin_names
from ...errors import TaskError
from ...registry import ENVIRONMENTS
from ...scenes import Scene
from ..statistics import auroc, auroc_interval, coverage_error, risk_coverage
from .adopt import adopt
from .errors import thing_errors
from .players import Player
from .ranking import on_cousins
from .record import Notify, Record, both, record
from .subject import Subject
from .trace import Array, follow

TAU = 0.02
"""[m]: things that are further off are wrong."""
LEVEL = 0.9
SHARES = tuple(k / 20 for k in range(1, 21))
SEED_SHIFT = 2_000_000
USUAL = "usual"


@dataclass(frozen=True)
class Shift:
    """What is different: keywords of the environment, and who plays if not the usual mix."""

    name: str
    told: str
    keywords: Mapping[str, Any] = field(default_factory=dict)
    player: Player | None = None


def shifts(subject: Subject, seen: frozenset[str], cousins: Path | None = None) -> list[Shift]:
    """What is tried, the environment as it is first; `seen`: names of scenes that the model was made from."""
    env = subject.physics(1)
    scenes, robot = env.config.scene, env.config.robot
    task, kind = env.config.task, env.world.robot.kind
    env.close()
    heavy, slippery = ([_changed(scene, **how) for scene in scenes] for how in ({"mass": 4.0}, {"friction": 0.25}))
    found = [
        Shift(USUAL, "the environment as it is"),
        Shift("places", "things up to 15 cm from their places", {"object_jitter": 0.15, "joint_noise": 0.1}),
        Shift("extreme actions", "every action at its limits, held for 8 control steps", player=_EXTREME),
        Shift("heavy", "free objects of four times the mass", {"scene": heavy}),
        Shift(
            "slippery",
            "free objects of a quarter of the friction",
            {"scene": slippery},
        ),
    ]
    if kind == "arm":
        for name in builtin_names():
            keywords = {"task": task, "scene": name, "robot": robot}
            if name not in seen and name not in {scene.name for scene in scenes} and _playable(subject, keywords):
                found.append(Shift("new scene", f"the built-in scene {name}", {"scene": name}))
                break
    if cousins is not None:
        moved, told = on_cousins(subject, cousins)
        found.append(Shift("cousins", f"{told['cousins']} held-out cousins of {told['set']}", moved.keywords))
    return found


_EXTREME = Player("extreme", "extreme")


def measure_ood(
    subject: Subject, chosen: list[Shift], *, episodes: int, num_envs: int, seed: int, notify: Notify
) -> dict[str, Any]:
    """Plays every shift in both and compares what the model says of itself with what is so; see docs/audit.md."""
    sets: dict[str, _Seen] = {}
    unplayed: dict[str, str] = {}
    for number, shift in enumerate(chosen):
        moved = replace(subject, keywords={**subject.keywords, **shift.keywords})
        try:
            told = record(
                moved,
                episodes=episodes,
                num_envs=num_envs,
                windows=2,
                seed=seed,
                notify=lambda stage, share: None,
                player=shift.player,
            )
        except TaskError as error:
            if shift.name == USUAL:
                raise
            unplayed[shift.name] = str(error)
            continue
        seen = _look(moved, told)
        if seen is None:
            notify("shifts", 1.0)
            return {"missing": "the model does not say how sure it is: no info neural/uncertainty, or not calibrated"}
        sets[shift.name] = seen
        notify("shifts", (number + 1) / len(chosen))
    return {**_compared(sets), "told": {shift.name: shift.told for shift in chosen}, "unplayed": unplayed}


@dataclass
class _Seen:
    """Bounds and errors [m] by horizon of stretches, and of each whole episode what the model said of itself.

    Attributes:
        bound, error: by horizon, (m,). sure: (n,) mean bound over an episode [m]. score: (n,) mean strangeness, or
            bound of a model that does not say. flagged: (n,) share of steps it called out of its depth. ends: (n,)
            error at the end.
    """

    bound: dict[int, Array]
    error: dict[int, Array]
    sure: Array
    score: Array
    flagged: Array
    ends: Array


def _look(subject: Subject, told: Record) -> _Seen | None:
    """None where the model does not say how sure it is, or nothing finite."""
    bounds: dict[int, list[Array]] = {}
    errors: dict[int, list[Array]] = {}
    sure, scores, flagged, ends = [], [], [], []
    for chunk in told.chunks:
        physics, model = both(subject, len(chunk.seeds))
        try:
            model.reset(seed=chunk.seeds)
            found = follow(model, told.actions[:, chunk.rows])
            if not np.isfinite(found.uncertainty[1:]).any():
                return None
            truth = told.trace.worlds(chunk.rows)
            good = ~(truth.broken | found.broken)
            strange = found.strangeness[1:, good]
            sure.append(found.uncertainty[1:, good].mean(axis=0))
            scores.append(strange.mean(axis=0) if np.isfinite(strange).all() else sure[-1])
            flagged.append(found.flagged[1:, good].mean(axis=0))
            apart = thing_errors(truth, found)[:, good]
            ends.append(apart[-1])
            whole = told.steps
            if whole not in told.horizons:
                bounds.setdefault(whole, []).append(found.uncertainty[-1, good])
                errors.setdefault(whole, []).append(apart[-1])
            physics.reset(seed=chunk.seeds)
            for window in chunk.windows:
                physics.set_state(window.state)
                if not adopt(model, physics):
                    break
                course = window.cut(told.actions[:, chunk.rows], max(told.horizons))
                said, real = follow(model, course), follow(physics, course)
                good = ~(real.broken | said.broken)
                apart = thing_errors(real, said)
                for h in told.horizons:
                    bounds.setdefault(h, []).append(said.uncertainty[h, good])
                    errors.setdefault(h, []).append(apart[h, good])
        finally:
            physics.close()
            model.close()
    bound, error = (
        {h: np.concatenate(parts).astype(np.float64) for h, parts in each.items()} for each in (bounds, errors)
    )
    told_of = (np.concatenate(parts).astype(np.float64) for parts in (sure, scores, flagged, ends))
    return _Seen(bound, error, *told_of)


def _compared(sets: Mapping[str, _Seen]) -> dict[str, Any]:
    usual = sets[USUAL]
    rows: dict[str, Any] = {}
    for name, seen in sets.items():
        row: dict[str, Any] = {
            "episodes": len(seen.score),
            "bound_cm": float(100 * seen.sure.mean()),
            "error_cm": float(100 * seen.ends.mean()),
            "flagged": float(seen.flagged.mean()),
            "coverage": {str(h): _share(seen.error[h] <= seen.bound[h]) for h in sorted(seen.bound)},
        }
        if name != USUAL:
            score = np.concatenate([usual.score, seen.score])
            shifted = np.arange(len(score)) >= len(usual.score)
            area = auroc(score, shifted)
            row |= {"auroc": area, "auroc_interval": list(auroc_interval(area, len(seen.score), len(usual.score)))}
        rows[name] = row
    bound, error = (
        np.concatenate([values for seen in sets.values() for values in getattr(seen, name).values()])
        for name in ("bound", "error")
    )
    own_bound, own_error = (np.concatenate(list(getattr(usual, name).values())) for name in ("bound", "error"))
    return {
        "tau_cm": 100 * TAU,
        "level": LEVEL,
        "sets": rows,
        "wrong": {"usual": _wrong([usual]), "all": _wrong(list(sets.values()))},
        "coverage": _share(own_error <= own_bound),
        "ece": coverage_error(own_bound, own_error, LEVEL),
        "risk_coverage": {
            "share": list(SHARES),
            "error_cm": [100 * v for v in risk_coverage(bound, error, SHARES)],
            "oracle_cm": [100 * v for v in risk_coverage(error, error, SHARES)],
            "all_cm": float(100 * error.mean()),
        },
    }


def _wrong(seen: Sequence[_Seen]) -> dict[str, Any]:
    """How well bounds tell what is wrong, among all stretches and episodes, and among those of the same length.

    The longer a model goes on, the more it is off, so that time alone tells something: `time`. `auroc` compares only
    what is equally long; its `interval` is that of as many independent pairs.
    """
    lengths = sorted({h for each in seen for h in each.bound})
    bounds, errors = (
        [np.concatenate([getattr(each, name)[h] for each in seen if h in each.bound]) for h in lengths]
        for name in ("bound", "error")
    )
    wrong = [values > TAU for values in errors]
    pairs = np.array([float(each.sum()) * float((~each).sum()) for each in wrong])
    areas = np.array([auroc(b, w) for b, w in zip(bounds, wrong, strict=True)])
    told = pairs > 0
    area = float(np.average(areas[told], weights=pairs[told])) if told.any() else float("nan")
    ages = np.repeat(np.array(lengths, dtype=np.float64), [len(each) for each in wrong])
    every, count = np.concatenate(wrong), int(sum(each.sum() for each in wrong))
    return {
        "auroc": area,
        "interval": list(auroc_interval(area, count, len(every) - count)),
        "mixed": auroc(np.concatenate(bounds), every),
        "time": auroc(ages, every),
        "wrong": count,
        "of": len(every),
    }


def _share(held: Array) -> float | None:
    return float(held.mean()) if len(held) else None


def _changed(scene: Scene, *, mass: float = 1.0, friction: float = 1.0) -> Scene:
    """The scene with the mass and friction of its free objects multiplied."""

    def times(estimate: Any, factor: float) -> Any:
        return estimate.model_copy(update={name: factor * getattr(estimate, name) for name in ("value", "low", "high")})

    objects = []
    for item in scene.objects:
        if item.mobility == "free":
            own = item.body.inertial
            inertia = tuple(mass * v for v in own.inertia)
            inertial = own.model_copy(update={"mass": times(own.mass, mass), "inertia": inertia})
            body = item.body.model_copy(update={"inertial": inertial, "friction": times(item.body.friction, friction)})
            item = item.model_copy(update={"body": body})
        objects.append(item)
    return scene.model_copy(update={"objects": tuple(objects)})


def _playable(subject: Subject, keywords: Mapping[str, Any]) -> bool:
    try:
        replace(subject, keywords={**subject.keywords, **keywords}).physics(1).close()
    except TaskError:
        return False
    return True


def seen_scenes(trained_on: Mapping[str, Any]) -> frozenset[str]:
    """Names of the scenes that a card says its model was made from."""
    found = set()
    for practice in trained_on.get("practices", ()):
        entry = ENVIRONMENTS.get(practice.get("env_id", ""))
        usual = entry.keywords.get("scene", "tabletop") if entry else "tabletop"
        found.add(str(practice.get("keywords", {}).get("scene") or usual))
    return frozenset(found)
