"""Transfer and exploitation: PPO that has never seen physics, tested in physics, beside PPO that learned there.

A policy learns whatever its simulator rewards, its mistakes too. So along training every policy of the model is tried
in both: what it gains in the model alone is exploitation. Compared are equal steps and equal seconds of training.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...agents.ppo import Settings
from ...agents.snapshots import Snapshot, train
from ..statistics import interquartile_mean, stratified_bootstrap
from .exploit import has_guard
from .ranking import Entrant, succeed
from .record import Notify
from .subject import Subject, guard

SEED_SHIFT = 3_000_000
PHYSICS, MODEL, UNGUARDED = "physics", "model", "model, guard off"


def ways(subject: Subject) -> dict[str, dict[str, Any]]:
    """Where policies learn: keywords by name. Without its guard the model is tried if it has one."""
    model = subject.model_keywords()
    found = {PHYSICS: {}, MODEL: {**guard("penalise"), **model}}
    if has_guard(subject):
        found[UNGUARDED] = {**model, **guard("ignore")}
    return found


def transfer(
    subject: Subject,
    settings: Settings,
    *,
    view: Mapping[str, Any],
    seeds: int,
    snapshots: int,
    episodes: int,
    seed: int,
    kept: Path,
    notify: Notify,
) -> dict[str, Any]:
    """Trains `seeds` policies each way, keeps and tries `snapshots` of each; what is done is kept in `kept`.

    Args:
        subject: the environment and the model. settings: of the trainings. view: keywords that say what policies see.
        seeds: trainings each way. snapshots: policies kept of each. episodes: that each plays, of seeds from `seed` on.
        kept: folder. notify: told a stage and how much of it is done.

    Returns:
        `curves`: by way, of each seed a row a snapshot (steps, seconds, success in `physics` and in `model`);
        `equal_steps` and `equal_seconds`: by way IQM of success in physics with its interval, and the model's share of
        physics's; `exploitation`: by way and snapshot, success in the model less that in physics.
    """
    curves: dict[str, list[list[dict[str, Any]]]] = {}
    held_out = list(range(seed, seed + episodes))
    for way, keywords in ways(subject).items():
        for number in range(seeds):
            stage = f"learning in {way}, seed {number}"
            folder = kept / f"{way.replace(', ', '-').replace(' ', '_')}-{number}"
            found = train(
                subject.env_id,
                {**subject.keywords, **keywords, **view},
                settings,
                seed=number,
                count=snapshots,
                out=folder,
                notify=lambda share, stage=stage: notify(stage, share),  # type: ignore[misc]
            )
            file = folder.with_name(f"{folder.name}.json")
            curves.setdefault(way, []).append(_tried(subject, view, found, held_out, file, way != PHYSICS))
            notify(stage, 1.0)
    return {**summary(curves), "episodes": episodes, "steps": settings.total_steps, "view": dict(view)}


def summary(curves: Mapping[str, Sequence[Sequence[Mapping[str, Any]]]]) -> dict[str, Any]:
    """What follows from the curves; see `transfer`."""
    ends = {way: [run[-1] for run in runs] for way, runs in curves.items()}
    budget = min(row["seconds"] for rows in ends.values() for row in rows)
    timed = {
        way: [
            max((row for row in run if row["seconds"] <= budget), key=lambda row: row["steps"], default=None)
            for run in runs
        ]
        for way, runs in curves.items()
    }
    exploitation = {
        way: [
            {
                "steps": rows[0]["steps"],
                "physics": float(np.mean([row["physics"] for row in rows])),
                "model": float(np.mean([row["model"] for row in rows])),
                "gap_points": float(100 * np.mean([row["model"] - row["physics"] for row in rows])),
            }
            for rows in zip(*runs, strict=True)
        ]
        for way, runs in curves.items()
        if way != PHYSICS
    }
    return {
        "curves": {way: [list(run) for run in runs] for way, runs in curves.items()},
        "equal_steps": _equal(ends),
        "equal_seconds": {**_equal(timed), "seconds": budget},
        "exploitation": exploitation,
    }


def _steps(row: Mapping[str, Any]) -> int:
    return int(row["steps"])


def _equal(rows: Mapping[str, Sequence[Mapping[str, Any] | None]]) -> dict[str, Any]:
    """By way the interquartile mean of success in physics over seeds; 0 for who has no policy yet."""
    scores = {way: np.array([[0.0 if row is None else row["physics"]] for row in runs]) for way, runs in rows.items()}
    found: dict[str, Any] = {
        way: {
            "iqm": interquartile_mean(values),
            "interval": list(stratified_bootstrap(values)),
            "seeds": values[:, 0].tolist(),
        }
        for way, values in scores.items()
    }
    real = scores[PHYSICS]
    for way, values in scores.items():
        if way != PHYSICS and interquartile_mean(real) > 0:
            found[way]["of_physics"] = interquartile_mean(values) / interquartile_mean(real)
    return found


def _tried(
    subject: Subject, view: Mapping[str, Any], found: Sequence[Snapshot], seeds: list[int], file: Path, learned: bool
) -> list[dict[str, Any]]:
    """Success of each snapshot in physics and, of those that learned in the model, there too."""
    asked = {"seeds": [seeds[0], len(seeds)], "count": len(found)}
    if file.is_file():
        there = json.loads(file.read_text())
        if there["asked"] == asked:
            return list(there["rows"])
    physics = subject.physics(len(seeds), **view)
    model = subject.model(len(seeds), **view) if learned else None
    try:
        rows = []
        for each in found:
            entrant = Entrant(each.folder.name, "trained", folder=each.folder)
            row = {"steps": each.steps, "seconds": each.seconds}
            row["physics"] = float(succeed(physics, entrant, seeds).mean())
            if model is not None:
                row["model"] = float(succeed(model, entrant, seeds).mean())
            rows.append(row)
    finally:
        physics.close()
        if model is not None:
            model.close()
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({"asked": asked, "rows": rows}) + "\n")
    os.replace(partial, file)
    return rows
