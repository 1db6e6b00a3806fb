"""`bench dream`: does what a World Action Model dreams tell how an episode will end?

Episodes are played in physics, and each decision's signals (`agents.wam.telling`) are recorded. A signal is judged by
its running mean: by how well it ranks episodes that will fail above those that will not (AUROC), after every decision;
by how well the probabilities that it gives, after isotonic regression on one half of the episodes, hold on the other
(expected calibration error); and as an alarm, whose threshold is such that at most a tenth of successful episodes raise
it (conformal, one half of the episodes; Vovk et al. 2005), by how many failures it finds and how early. Two signals
know nothing of dreams: how much changed (copy error), and whether the task got on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from ..agents.wam.telling import AFTER, Teller
from ..envs import WorldVectorEnv
from ..errors import TaskError
from ..folders import write_texts
from ..world_models.wam.model import load_wam
from .audit.plots import lines
from .audit.statistics import auroc, auroc_interval
from .tables import Table
from .throughput_result import host

Array = NDArray[Any]
Notify = Callable[[str, float], None]

PROGRESS = "no progress"
ALARM = 0.1
"""Share of successful episodes that may raise the alarm."""
_BINS = 10
_PLOTTED = ("dream error", "dreams apart", "copy error", PROGRESS)


@dataclass(frozen=True)
class Told:
    """Of n episodes of T decisions: signals by name (T, n), and whether each (n,) failed."""

    signals: Mapping[str, Array]
    failed: NDArray[np.bool_]


def listen(
    file: Path,
    *,
    env_id: str | None,
    keywords: Mapping[str, Any],
    episodes: int,
    num_envs: int,
    seed: int,
    notify: Notify,
) -> tuple[Told, dict[str, Any]]:
    """Plays episodes of seeds from `seed` on with the model in a file; gives the signals, and what was run.

    Raises:
        CheckpointError: the model cannot be used. TaskError: it is not for the environment, or none is named.
    """
    net, card = load_wam(file)
    name = env_id or card.trained_on.get("env_id")
    if name is None:
        raise TaskError(f"the card of {file} names no environment; name one")
    given = {**dict(card.trained_on.get("keywords", {})), **keywords}
    teller, parts = Teller(net), []
    for first in range(0, episodes, num_envs):
        count = min(num_envs, episodes - first)
        env = gym.make_vec(str(name), num_envs=count, autoreset_mode=AutoresetMode.DISABLED, **given).unwrapped
        assert isinstance(env, WorldVectorEnv)
        try:
            teller.reset(count, first=first)
            parts.append(_played(env, teller, seed + first))
        finally:
            env.close()
        notify("playing", min(first + count, episodes) / episodes)
    signals = {each: np.concatenate([part.signals[each] for part in parts], 1) for each in parts[0].signals}
    facts = {"model": str(file), "environment": str(name), "keywords": given, "episodes": episodes, "first seed": seed}
    return Told(signals, np.concatenate([part.failed for part in parts])), {**facts, **host()}


def _played(env: WorldVectorEnv, teller: Teller, seed: int) -> Told:
    assert env.max_episode_steps is not None
    count, chunk = env.num_envs, teller.policy.execute
    observation, info = env.reset(seed=list(range(seed, seed + count)))
    begun, failed = np.ones(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    found: dict[str, list[Array]] = {}
    best = np.zeros(count)
    for _ in range(env.max_episode_steps // chunk):
        actions = teller.act(observation, list(info["instruction"]), begun=begun)
        observation, reward, _, _, info = env.step_chunk(actions)
        best = np.maximum(best, reward / chunk)
        told = {**teller.before, **teller.after(observation)}
        told[PROGRESS] = -best
        for name, values in told.items():
            found.setdefault(name, []).append(values)
        begun = np.asarray(info["physics_error"], dtype=np.bool_)
        failed |= begun
        if begun.any():
            observation, info = env.reset(options={"reset_mask": begun})
    left = env.max_episode_steps % chunk
    if left:  # too short for a dream to be held against, but a part of the episode
        actions = teller.act(observation, list(info["instruction"]), begun=begun)
        *_, info = env.step_chunk(actions[:, :left])
    solved = np.asarray(info["is_success"], dtype=np.bool_) & ~failed
    return Told({name: np.stack(values) for name, values in found.items()}, ~solved)


def judge(told: Told) -> dict[str, Any]:
    """What the signals are worth; see the module. The first half of the episodes calibrates, the second is judged."""
    failed, count = told.failed, len(told.failed)
    half = count // 2
    rows: dict[str, Any] = {}
    for name, signal in told.signals.items():
        score = np.cumsum(signal, axis=0) / np.arange(1, len(signal) + 1)[:, None]
        if name == PROGRESS:
            score = signal
        area = auroc(score[-1], failed)
        wins = int(failed.sum())
        chance = calibrated(score[-1, :half], failed[:half], score[-1, half:])
        rows[name] = {
            "auroc": area,
            "interval": list(auroc_interval(area, wins, count - wins)),
            "along": [auroc(each, failed) for each in score],
            "ece": calibration_error(chance, failed[half:]),
            "calibration": reliability(chance, failed[half:]),
            "alarm": alarm(score[:, :half], failed[:half], score[:, half:], failed[half:]),
        }
    skill = {}
    for what in ("", " of things", " of pictures"):
        if f"dream error{what}" in told.signals:
            dream, copy = (told.signals[name + what].mean() for name in AFTER)
            skill["all" if not what else what.removeprefix(" of ")] = float(1 - dream / copy)
    return {"episodes": count, "failures": int(failed.sum()), "skill": skill, "signals": rows}


def calibrated(score: Array, failed: NDArray[np.bool_], asked: Array) -> Array:
    """Probabilities (m,) of failure at scores (m,), by isotonic regression on scores (n,) and what they ended in."""
    order = np.argsort(score, kind="stable")
    if len(order) == 0:
        return np.full(len(asked), np.nan)
    fitted = isotonic_regression(failed[order].astype(np.float64)).x
    return np.asarray(np.interp(asked, score[order], fitted))


def calibration_error(chance: Array, failed: NDArray[np.bool_]) -> float:
    """Expected calibration error: pairs in ten bins of equal width; how far their means are apart (Guo et al. 2017)."""
    if len(chance) == 0:
        return math.nan
    return sum(share * abs(said - came) for said, came, share in reliability(chance, failed))


def reliability(chance: Array, failed: NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """Of bins of equal width that hold any: mean probability, share that failed, share of all that is in it."""
    bins = np.minimum((chance * _BINS).astype(np.int64), _BINS - 1)
    found = []
    for k in np.unique(bins):
        inside = bins == k
        found.append((float(chance[inside].mean()), float(failed[inside].mean()), float(inside.mean())))
    return found


def alarm(score: Array, failed: NDArray[np.bool_], asked: Array, ends: NDArray[np.bool_]) -> dict[str, Any]:
    """An alarm that rings when a score (T, m) passes a threshold, which successes of other episodes (T, n) give.

    Returns:
        `threshold`; `false`: share of the successes that ring; `found`: share of the failures that do; `early`: mean
        share of the episode that is left when it rings for a failure. None where there is nothing to count.
    """
    highest = np.sort(score[:, ~failed].max(axis=0)) if (~failed).any() else np.empty(0)
    place = math.ceil((len(highest) + 1) * (1 - ALARM))
    threshold = float(highest[place - 1]) if 0 < place <= len(highest) else math.inf
    rings: NDArray[np.bool_] = asked > threshold
    ever: NDArray[np.bool_] = np.asarray(rings.any(axis=0))
    first = rings.argmax(axis=0)
    left = 1 - (first + 1) / len(asked)
    return {
        "threshold": threshold if math.isfinite(threshold) else None,
        "false": float(ever[~ends].mean()) if (~ends).any() else None,
        "found": float(ever[ends].mean()) if ends.any() else None,
        "early": float(left[ends & ever].mean()) if (ends & ever).any() else None,
    }


def tables(facts: Mapping[str, Any], found: Mapping[str, Any]) -> list[Table]:
    """In words."""

    def number(value: float | None) -> str:
        return "-" if value is None or not math.isfinite(value) else f"{value:.3f}"

    rows = []
    for name, each in sorted(found["signals"].items(), key=lambda pair: -(np.nan_to_num(pair[1]["auroc"]))):
        low, high = each["interval"]
        bell = each["alarm"]
        along = each["along"]
        rows.append(
            (
                name,
                f"{number(each['auroc'])} ({number(low)} to {number(high)})",
                number(along[len(along) // 2]),
                number(each["ece"]),
                *(number(bell[key]) for key in ("found", "false", "early")),
            )
        )
    heads = ("signal", "AUROC (95 %)", "half-way", "ECE", "failures found", "false alarms", "left of the episode")
    skill = ", ".join(f"{value:.3f} ({what})" for what, value in found["skill"].items())
    note = (
        f"{found['failures']} of {found['episodes']} episodes failed. The dream's skill, 1 - dream error / copy error: "
        f"{skill}. Signals are running means; ECE and the alarm are of the second half of the episodes, "
        f"calibrated on the first; at most {100 * ALARM:.0f} % of successes should ring."
    )
    run = Table("What was run", ("", ""), [(name, str(value)) for name, value in facts.items()])
    return [run, Table("Does the dream tell how it ends?", heads, rows, note)]


def write(folder: Path, facts: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Writes `dream.json`, `dream.md` and plots: AUROC along the episode, and calibration."""
    along = {
        name: [(float(k + 1), value) for k, value in enumerate(each["along"]) if math.isfinite(value)]
        for name, each in found["signals"].items()
    }
    said = {
        name: [(chance, came) for chance, came, _ in each["calibration"]] for name, each in found["signals"].items()
    }
    plots = {
        "auroc.svg": lines("AUROC for failure, along the episode", "decisions", "AUROC", along),
        "calibration.svg": lines(
            "calibration: as often as said?",
            "probability of failure",
            "share that failed",
            {"as said": [(0.0, 0.0), (1.0, 1.0)], **{name: said[name] for name in _PLOTTED if name in said}},
        ),
    }
    shown = [f"![{name}]({name})" for name, plot in plots.items() if plot]
    text = "\n\n".join(["# Dreams and outcomes", *(table.markdown() for table in tables(facts, found)), *shown])
    files = {
        "dream.json": json.dumps({"facts": dict(facts), **_plain(found)}, indent=1, default=str) + "\n",
        "dream.md": text + "\n",
        **{name: plot for name, plot in plots.items() if plot},
    }
    write_texts(folder, files)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
