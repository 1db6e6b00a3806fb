"""`bench dream`: does what a World Action Model dreams tell how an episode will end?

Episodes are played in physics, and each decision's signals (`agents.wam.telling`) are recorded. A signal is judged by
its running mean: by how well it ranks episodes that will fail above those that will not (AUROC), after every decision;
by how well the probabilities that it gives, after isotonic regression on one half of the episodes, hold on the other
(expected calibration error); and as an alarm, whose threshold is such that at most a tenth of successful episodes raise
it (conformal, one half of the episodes; Vovk et al. 2005), by how many failures it finds and how early. Two signals
know nothing of dreams: how little changed (stillness), and whether the task got on, as the reward says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from .. import __version__
from ..agents.wam.policy import check_place
from ..agents.wam.telling import ERROR, EXCESS, STILL, Teller
from ..envs import WorldVectorEnv
from ..envs.catalogue import known_ids
from ..errors import TaskError
from ..folders import write_texts
from ..world_models.shipped import located
from ..world_models.wam.model import load_wam
from ..world_models.wam.network import Wam
from .audit.plots import lines
from .audit.report import plain
from .audit.subject import file_digest
from .statistics import auroc, auroc_interval
from .tables import Table
from .throughput_result import host

Array = NDArray[Any]
Play = Callable[[WorldVectorEnv, NDArray[np.float32]], tuple[Any, Array, Any, Any, dict[str, Any]]]

PROGRESS = "no progress"
ALARM = 0.1
"""Share of successful episodes that may raise the alarm."""
_BINS = 10
_PLOTTED = (EXCESS, "dreams apart", STILL, PROGRESS)


@dataclass(frozen=True)
class Told:
    """Of n episodes of T decisions: signals by name (T, n), and whether each (n,) failed."""

    signals: Mapping[str, Array]
    failed: NDArray[np.bool_]


@dataclass(frozen=True)
class Dreamer:
    """A model that is listened to, and where.

    Attributes:
        file, net: the model. env_id, keywords: of `gym.make_vec`.
    """

    file: Path
    net: Wam
    env_id: str
    keywords: Mapping[str, Any]

    def env(self, num_envs: int) -> WorldVectorEnv:
        """So many worlds, whose episodes are played to their end.

        Raises:
            TaskError: a keyword makes no sense, the model is not for this environment, or no dream of it would be held
                against what comes.
        """
        given = {**self.keywords, "autoreset_mode": AutoresetMode.DISABLED}
        env = gym.make_vec(self.env_id, num_envs=num_envs, **given).unwrapped
        assert isinstance(env, WorldVectorEnv)
        try:
            check_place(self.net.settings, env)
            chunk = self.net.settings.chunk
            if env.max_episode_steps is None or env.max_episode_steps < chunk:
                raise TaskError(
                    f"episodes of {self.env_id} must have an end, and at least the {chunk} control steps of one "
                    f"decision; max_episode_steps is {env.max_episode_steps}"
                )
            if env.config.terminate_on_success:
                raise TaskError("dreams are judged over whole episodes; leave terminate_on_success out")
        except TaskError:
            env.close()
            raise
        return env

    def facts(self) -> dict[str, Any]:
        """What is run, and on what."""
        told = {"model": str(self.file), "model sha256": file_digest(self.file), "environment": self.env_id}
        return {**told, "keywords": dict(self.keywords), "pocketworlds": __version__, **host()}


def dreamer(address: str | Path, *, env_id: str | None, keywords: Mapping[str, Any]) -> Dreamer:
    """A model (see `located`), where its card says or in `env_id`; `keywords` override the card's.

    Raises:
        CheckpointError: the model cannot be used. TaskError: no environment is named, or there is no such.
    """
    file = located(address)
    net, card = load_wam(file)
    name = env_id or card.trained_on.get("env_id")
    if name is None:
        raise TaskError(f"the card of {file} names no environment; name one")
    return Dreamer(file, net, known_ids([str(name)])[0], {**dict(card.trained_on.get("keywords", {})), **keywords})


def listen(who: Dreamer, *, episodes: int, num_envs: int, seed: int, notify: Callable[[float], None]) -> Told:
    """Plays episodes of seeds from `seed` on, `num_envs` at once; gives the signals.

    Raises:
        TaskError: see `Dreamer.env`.
    """
    teller, parts = Teller(who.net), []
    for first in range(0, episodes, num_envs):
        count = min(num_envs, episodes - first)
        env = who.env(count)
        decisions = -(-(env.max_episode_steps or 0) // who.net.settings.chunk)
        shares = iter(np.linspace(first, first + count, decisions + 1) / episodes)

        def play(env: WorldVectorEnv, chunk: NDArray[np.float32], shares: Iterator[float] = shares) -> Any:
            notify(float(next(shares)))
            return env.step_chunk(chunk)

        try:
            teller.reset(count, first=first)
            parts.append(played(env, teller, seed + first, play))
        finally:
            env.close()
    notify(1.0)
    signals = {each: np.concatenate([part.signals[each] for part in parts], 1) for each in parts[0].signals}
    return Told(signals, np.concatenate([part.failed for part in parts]))


def played(env: WorldVectorEnv, teller: Teller, seed: int, play: Play = WorldVectorEnv.step_chunk) -> Told:
    """An episode in each world, of seeds from `seed` on.

    Args:
        env: see `Dreamer.env`. teller: listened to; it was reset. seed: of the first world.
        play: does what `step_chunk` of the environment does, and may look on.
    """
    assert env.max_episode_steps is not None
    count, chunk = env.num_envs, teller.policy.execute
    observation, info = env.reset(seed=list(range(seed, seed + count)))
    begun, failed = np.ones(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    found: dict[str, list[Array]] = {}
    best = np.zeros(count)
    for _ in range(env.max_episode_steps // chunk):
        actions = teller.act(observation, list(info["instruction"]), begun=begun)
        observation, reward, _, _, info = play(env, actions)
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
        *_, info = play(env, actions[:, :left])
    solved = np.asarray(info["is_success"], dtype=np.bool_) & ~failed
    return Told({name: np.stack(values) for name, values in found.items()}, ~solved)


def scores(name: str, signal: Array) -> Array:
    """What is judged of a signal (T, n) after every decision: its running mean, of progress itself."""
    if name == PROGRESS:
        return signal
    return np.asarray(np.cumsum(signal, axis=0) / np.arange(1, len(signal) + 1)[:, None])


def judge(told: Told) -> dict[str, Any]:
    """What the signals are worth; see the module. The first half of the episodes calibrates, the second is judged."""
    failed, count = told.failed, len(told.failed)
    half = count // 2
    rows: dict[str, Any] = {}
    for name, signal in told.signals.items():
        score = scores(name, signal)
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
    known = {"all": "", "things": " of things", "pictures": " of pictures"}
    skills = {name: skill(told, kind) for name, kind in known.items() if f"{ERROR}{kind}" in told.signals}
    return {"episodes": count, "failures": int(failed.sum()), "skill": skills, "signals": rows}


def skill(told: Told, kind: str = "") -> float:
    """Of what changes, the share that was foreseen: 1 less the ratio of the dream's error to a copy's, of sums over all
    decisions; NaN where nothing changes. `kind`: " of things", " of pictures", or of the whole state."""
    dream, copy = (abs(float(told.signals[f"{name}{kind}"].mean())) for name in (ERROR, STILL))
    return 1 - dream / copy if copy > 0 else math.nan


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
    skills = ", ".join(f"{number(value)} ({what})" for what, value in found["skill"].items())
    note = (
        f"{found['failures']} of {found['episodes']} episodes failed. The dream's skill, the share of changes that it "
        f"foresaw: {skills}. Signals are running means; ECE and the alarm are of the second half of the episodes, "
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
        "dream.json": json.dumps({"facts": dict(facts), **plain(found)}, indent=1, default=str) + "\n",
        "dream.md": text + "\n",
        **{name: plot for name, plot in plots.items() if plot},
    }
    write_texts(folder, files)
