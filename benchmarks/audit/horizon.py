"""The audited horizon: how many control steps a model may be left alone for, by a rule; and the checkpoint's card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...world_models.checkpoint import load_checkpoint, save_checkpoint

WRONG = 0.10
"""Optimism, pessimism and the share of worlds that diverge must be below."""
LATE = 5
"""Control steps from which on they are judged: a success that comes a step late is not one that is missed."""


def audited_horizon(replayed: Mapping[str, Any], steps: int) -> tuple[int, list[dict[str, Any]]]:
    """The largest horizon that passes together with all shorter ones, 0 if none does.

    Candidates are those of stretches (of whole episodes, where a model cannot be put mid-episode) and the length of an
    episode, `steps`. One passes if

    - less than a tenth of the model's worlds diverged;
    - the mean error of what moved is below copy-last's in the same worlds, or nothing moved;
    - of the worlds in which physics has no success at that step, the model has one in less than a tenth;
    - and of those in which physics has one, the model lacks it in less than a tenth; both from `LATE` steps on.

    Returns:
        The horizon, and for each candidate what was found: `horizon`, `moved` and `copied` [cm] or None, `diverged`,
        `optimism`, `pessimism`, `passed`.
    """
    short = replayed["windows"] or replayed["episodes"]
    rows = [_judged(int(h), short, h) for h in short["model"]["horizons"] if int(h) < steps]
    if str(steps) in replayed["episodes"]["model"]["horizons"]:
        rows.append(_judged(steps, replayed["episodes"], str(steps)))
    best = 0
    for row in sorted(rows, key=lambda row: int(row["horizon"])):
        if not row["passed"]:
            break
        best = int(row["horizon"])
    return best, rows


def write_card(file: Path, env_id: str, keywords: Mapping[str, Any], horizon: int, figures: Mapping[str, Any]) -> int:
    """Puts the figures of an audit into a checkpoint's card; its numbers stay as they are.

    A model that was audited in several environments, or with several keywords, has the shortest of their horizons.

    Returns:
        The horizon that the card tells now.

    Raises:
        CheckpointError: the file cannot be read.
    """
    card, tensors = load_checkpoint(file)
    where = f"{env_id} {json.dumps(dict(keywords), sort_keys=True, default=str)}" if keywords else env_id
    audits = {**card.measured.get("audit", {}), where: {"horizon": horizon, **figures}}
    shortest = min(int(each["horizon"]) for each in audits.values())
    save_checkpoint(file, replace(card, horizon=shortest, measured={**card.measured, "audit": audits}), tensors)
    return shortest


def _judged(horizon: int, rows: Mapping[str, Any], key: str) -> dict[str, Any]:
    model, copied = (rows[name]["horizons"][key] for name in ("model", "copy-last"))
    here, there = ((each["moved"] or {}).get("mean") for each in (model, copied))
    shares = [
        model[count] / model[total] if model[total] else 0.0
        for count, total in (("optimistic", "failed"), ("pessimistic", "succeeded"))
    ]
    diverged = rows["model"]["broken"] / rows["model"]["worlds"] if rows["model"]["worlds"] else 1.0
    better = diverged < WRONG and (here is None or there is None or here < there)
    return {
        "horizon": horizon,
        "moved": here,
        "copied": there,
        "diverged": diverged,
        "optimism": shares[0],
        "pessimism": shares[1],
        "passed": bool(better and (horizon < LATE or max(shares) < WRONG)),
    }
