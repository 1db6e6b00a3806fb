"""Ranking: does the model order policies as physics does, and are its scores those of physics?

Many different policies play the same starts in both, each acting on what it sees there. What counts is success at an
episode's end, by the task's own definition. A model may rank well and still be rosy: so beside correlations stand the
slope and the bias.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agents.sb3_policy import POLICY, SB3Policy
from ...digital_cousins.cousin_set import load_cousins
from ...envs import WorldVectorEnv
from ...errors import TaskError
from ..statistics import correspondence, spearman, wilson
from .players import Cast, Player, ranked_players
from .record import Notify, both
from .subject import Subject, length

SEED_SHIFT = 1_000_000
"""Seeds of ranked episodes come so far after those of replayed ones."""


@dataclass(frozen=True)
class Entrant:
    """A policy that is ranked: a scripted player, or the folder of a trained one; `kind` says what it is in a word."""

    name: str
    kind: str
    player: Player | None = None
    folder: Path | None = None

    def acts(self, env: WorldVectorEnv, seeds: Sequence[int]) -> Callable[[Any], NDArray[np.float32]]:
        """What maps observations to actions in episodes that have just begun."""
        if self.player is not None:
            return Cast(env, [self.player] * env.num_envs, seeds).act
        assert self.folder is not None
        policy = SB3Policy(self.folder)
        policy.reset(env.num_envs)
        return policy.act


def scripted() -> list[Entrant]:
    """The scripted policies."""
    kinds = {"noise": "noisy", "lost": "loses control", "stops": "stops", "slow": "slow", "repeats": "repeats"}
    return [
        Entrant(player.name, kinds.get(player.name.split()[0], player.name.split()[0]), player)
        for player in ranked_players()
    ]


def trained(folder: Path, kind: str) -> list[Entrant]:
    """All policies that `agents.ppo` wrote anywhere in a folder.

    Raises:
        TaskError: there are none.
    """
    found = sorted(path.parent for path in folder.rglob(POLICY))
    if not found:
        raise TaskError(f"there is no {POLICY} anywhere in {folder}; give a folder of policies of agents.ppo")
    return [Entrant(f"{kind} {path.relative_to(folder)}", kind, folder=path) for path in found]


def rank(
    subject: Subject,
    entrants: Sequence[Entrant],
    *,
    starts: int,
    seed: int,
    kept: Path,
    key: str,
    notify: Notify,
    stage: str = "ranking",
) -> dict[str, Any]:
    """Plays `starts` episodes of seeds `seed`, ... with every policy in both, and compares.

    Args:
        subject, entrants: who plays where. kept: folder for what each did, under `key`: what all depends on.

    Raises:
        TaskError: a trained policy sees or does something else than what there is here.
    """
    seeds = list(range(seed, seed + starts))
    kept.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    envs: tuple[WorldVectorEnv, ...] = ()
    try:
        for number, entrant in enumerate(entrants):
            file = kept / f"{number:03d}.json"
            asked: dict[str, Any] = {
                "key": key,
                "name": entrant.name,
                "player": str(entrant.player),
                "seeds": [seed, starts],
            }
            if entrant.folder is not None:
                asked["modified"] = (entrant.folder / POLICY).stat().st_mtime_ns
            earlier = json.loads(file.read_text()) if file.is_file() else {}
            if earlier.get("asked") != asked:
                if not envs:
                    envs = both(subject, starts)
                    _check(envs[0], entrants)  # before anybody plays
                ends = ["".join("01"[int(v)] for v in succeed(env, entrant, seeds)) for env in envs]
                earlier = {"asked": asked, "physics": ends[0], "model": ends[1]}
                partial = file.with_suffix(".partial")
                partial.write_text(json.dumps(earlier) + "\n")
                os.replace(partial, file)
            rows.append({"name": entrant.name, "kind": entrant.kind, **{k: earlier[k] for k in ("physics", "model")}})
            notify(stage, (number + 1) / len(entrants))
    finally:
        for env in envs:
            env.close()
    return {**compare(rows), "starts": starts, "seed": seed}


def _check(env: WorldVectorEnv, entrants: Sequence[Entrant]) -> None:
    """Whether all trained policies can play here, where states are seen."""
    shape, actions = env.single_observation_space.shape, env.simulator.action_size
    assert shape is not None
    for folder in (entrant.folder for entrant in entrants if entrant.folder is not None):
        policy = SB3Policy(folder)
        if policy.picture or (policy.size, policy.action_size) != (shape[0], actions):
            seen = "pictures" if policy.picture else f"states of {policy.size} numbers"
            raise TaskError(
                f"{folder} was trained with {seen} and actions of {policy.action_size}; what is audited has states of "
                f"{shape[0]} numbers and actions of {actions}: leave this policy out"
            )


def succeed(env: WorldVectorEnv, entrant: Entrant, seeds: Sequence[int]) -> NDArray[np.bool_]:
    """Whether (n,) each of the episodes with `seeds` ends in success; not where a world diverged."""
    observation, _ = env.reset(seed=list(seeds))
    act = entrant.acts(env, seeds)
    over, solved = (np.zeros(env.num_envs, dtype=np.bool_) for _ in range(2))
    for _ in range(length(env)):
        observation, _, _, _, info = env.step(act(observation))
        failed = np.asarray(info["physics_error"], dtype=np.bool_)
        over |= failed
        solved = np.asarray(info["is_success"], dtype=np.bool_) & ~over
        if failed.any():
            observation, _ = env.reset(options={"reset_mask": failed})
    return solved


def compare(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The statistics of policies, each with its ends ("0" and "1", a start each) in `physics` and in `model`."""
    ends = {side: [np.array([c == "1" for c in row[side]]) for row in rows] for side in ("physics", "model")}
    real, said = (np.array([each.mean() for each in ends[side]]) for side in ("physics", "model"))
    found, starts = correspondence(real, said), len(rows[0]["physics"])
    equal = [float((a == b).mean()) for a, b in zip(ends["physics"], ends["model"], strict=True)]
    told = [
        {
            **{name: row[name] for name in ("name", "kind")},
            "physics": float(a),
            "model": float(b),
            "physics_interval": list(wilson(round(a * starts), starts)),
            "model_interval": list(wilson(round(b * starts), starts)),
            "agreement": same,
        }
        for row, a, b, same in zip(rows, real, said, equal, strict=True)
    ]
    return {
        "policies": len(rows),
        "kinds": len({row["kind"] for row in rows}),
        "pearson": found.r,
        "pearson_interval": list(found.r_interval),
        "pearson_drop_one": list(found.r_range),
        "spearman": spearman(real, said),
        "mmrv": found.mmrv,
        "slope": found.slope,
        "bias_points": 100 * found.bias,
        "largest_bias_points": float(100 * np.abs(said - real).max()),
        "agreement": float(np.mean(equal)),
        "rows": told,
    }


def on_cousins(subject: Subject, folder: Path, *, most: int = 32) -> tuple[Subject, dict[str, Any]]:
    """The same task in held-out cousins (split "test") that it can be played in, at most so many.

    Raises:
        SceneError: the set cannot be read. TaskError: none of them suits the task.
    """
    cousins = load_cousins(folder)
    chosen = [int(k) for k in cousins.indices("test")][:most]
    kept, reasons = [], {}
    for position in chosen:
        cousin = cousins.load(position)
        try:
            replace(subject, keywords={**subject.keywords, "scene": cousin}).physics(1).close()
        except TaskError as error:
            reasons[cousin.index] = str(error)
        else:
            kept.append(cousin)
    if not kept:
        raise TaskError(f"no cousin of {folder} suits {subject.env_id}: {next(iter(reasons.values()), 'it is empty')}")
    told = {"set": folder.name, "split": "test", "cousins": len(kept), "unsuitable": len(reasons)}
    return replace(subject, keywords={**subject.keywords, "scene": kept}), told
