"""A suite and results that were never played, for tests of what is done with results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pocketworlds.benchmarks.leaderboard.results import FILE, AgentTold, Episode, Latency, Played, Results
from pocketworlds.benchmarks.suites.manifest import Group, Suite

COUSINS = {"kitchen_cousin_000001": 0.31, "kitchen_cousin_000004": 0.12, "kitchen_cousin_000009": 0.58}


def small_suite(name: str = "small-v1", *, episodes: int = 6) -> Suite:
    """Two groups: one in one scene, the other in three cousins whose distances are known."""
    rng = np.random.default_rng(3)
    groups = []
    for number, (title, scenes) in enumerate((("Push", ["one_cube"]), ("OpenDrawer-test", list(COUSINS)))):
        groups.append(
            Group(
                name=title,
                env_id=f"PocketWorlds/{title.partition('-')[0]}-v0",
                keywords={},
                seed=100 * (number + 1),
                steps=40,
                about=f"what {title} is for",
                worlds={scene: {"masses": (0.5, 0.25)} for scene in scenes},
                looks=dict.fromkeys(scenes, (0.1, 0.2)),
                distances=COUSINS if len(scenes) > 1 else {},
                starts=tuple((float(a), float(b)) for a, b in rng.normal(size=(episodes, 2))),
                scenes=tuple(scenes[k % len(scenes)] for k in range(episodes)),
            )
        )
    return Suite(name=name, about="A small one.", mujoco="4.0.0", groups=tuple(groups))


def episode(group: Group, number: int, rng: np.random.Generator, *, success: bool) -> Episode:
    """One of a group, with figures drawn at random; one that fails at its end may have succeeded before."""
    ever = success or bool(rng.random() < 0.2)
    return Episode(
        number=number,
        seed=group.seed + number,
        scene=group.scenes[number],
        start=group.starts[number],
        success=success,
        ever=ever,
        error=not ever and bool(rng.random() < 0.1),
        reward=float(rng.uniform(0, group.steps)),
        first_success=float(rng.integers(1, group.steps) * 0.05) if ever else None,
        energy=float(rng.uniform(1, 30)),
        smoothness=float(-rng.uniform(5, 25)),
        peak_force=float(rng.uniform(0, 60)),
        decisions=int(rng.integers(1, group.steps + 1)),
    )


def small_results(
    suite: Suite,
    name: str = "somebody",
    *,
    share: float = 0.6,
    seed: int = 0,
    agent: Mapping[str, Any] | None = None,
    **other: Any,
) -> Results:
    """A run, signed; `agent` and `other` replace what it says."""
    rng = np.random.default_rng(seed)
    told = {
        "name": name,
        "address": "somebodys.module:Agent",
        "privileged": False,
        "keywords": {"obs_mode": "state", "control_mode": "joint_delta"},
        "files": {"": {"module.py": "ab" * 32}},
        **(agent or {}),
    }
    played = tuple(
        Played(
            name=group.name,
            episodes=tuple(episode(group, k, rng, success=bool(rng.random() < share)) for k in range(group.episodes)),
        )
        for group in suite.groups
    )
    said = {
        "schema": 1,
        "suite": suite.name,
        "suite_sha256": suite.digest,
        "agent": AgentTold(**told),
        "played": played,
        "latency": Latency(median=0.004 * (seed + 1), slow=0.01 * (seed + 1), steps=8.0, decisions=29),
        "machine": {"cpu": "a processor", "cores": 2, "mujoco": "4.0.0"},
        "command": f"pocketworlds bench run --suite {suite.name} --agent somebodys.module:Agent",
        "seconds": 12.5,
        **other,
    }
    return Results(**said).signed()


def kept(results: Results, folder: Path) -> Path:
    """Writes results as `bench run` does; gives the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    file.write_text(results.written(), encoding="utf-8")
    return file


def forged(told: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a digest that fits."""
    rest = {name: value for name, value in told.items() if name != "sha256"}
    return {**rest, "sha256": hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()}


def paths(value: Any, before: tuple[Any, ...] = ()) -> Sequence[tuple[Any, ...]]:
    """Where every part of JSON data is, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(path for key, part in inner for path in paths(part, (*before, key)))]
