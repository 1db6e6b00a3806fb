"""What suites are made of. A suite that was published is never changed: what is new gets another version."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...registry import ENVIRONMENTS, JITTER

EPISODES = 100
"""Of every group."""
_SEED = 7_000_000
"""Of the first episode: far from where training, demonstrations and exams begin."""


@dataclass(frozen=True)
class Part:
    """A group before it is frozen; see `Group`."""

    name: str
    env_id: str
    about: str
    keywords: dict[str, Any] = field(default_factory=dict)
    seed: int = _SEED
    episodes: int = EPISODES


@dataclass(frozen=True)
class Definition:
    """A suite before it is frozen."""

    name: str
    about: str
    parts: tuple[Part, ...]


def short(env_id: str) -> str:
    """The name of a group of an environment."""
    return env_id.partition("/")[2].partition("-")[0]


def _tasks(robot: str) -> list[str]:
    return [
        env_id
        for env_id, entry in ENVIRONMENTS.items()
        if "task" in entry.keywords and entry.keywords.get("robot", "panda") == robot
    ]


def _alone(env_id: str) -> Part:
    return Part(short(env_id), env_id, f"{short(env_id)} in the scene {ENVIRONMENTS[env_id].keywords['scene']}")


def _cousins(env_id: str, family: str, twin: str) -> list[Part]:
    scene, name = f"suite:{family}", short(env_id)
    return [
        Part(f"{name}-twin", env_id, "the scene that the cousins were made from", {"scene": twin}),
        Part(f"{name}-train", env_id, "cousins to train in", {"scene": scene, "split": "train"}),
        Part(f"{name}-test", env_id, "cousins that are held out", {"scene": scene, "split": "test"}),
    ]


def _both(env_id: str) -> list[Part]:
    name = short(env_id)
    return [
        Part(f"{name}-{backend}", env_id, told, {} if backend == "physics" else {"backend": backend})
        for backend, told in (("physics", "MuJoCo"), ("neural", "the neural simulator that comes with PocketWorlds"))
    ]


def _scans(scene: str, objects: dict[str, str]) -> list[Part]:
    """By task, the object that it is about; see `scans`."""
    return [
        Part(
            f"{task}_{scene}-{where}",
            "PocketWorlds/Scan-v0",
            f"{told}: {name}",
            {
                "scene": f"suite:scan-{scene}-{kind}",
                "task": ENVIRONMENTS[f"PocketWorlds/{task}-v0"].keywords["task"],
                "object": name,
                "object_jitter": JITTER,
            },
        )
        for task, name in objects.items()
        for where, kind, told in (("physics", "truth", "a scene as it is"), ("scan", "scan", "a scan of it"))
    ]


DEFINITIONS = {
    each.name: each
    for each in (
        Definition(
            "core-v1", "Every task of the arm in its own scene.", tuple(_alone(name) for name in _tasks("panda"))
        ),
        Definition("hand-v1", "Tasks of the five-fingered hand.", tuple(_alone(name) for name in _tasks("hand"))),
        Definition(
            "swap-v1",
            "The same agents in physics and in the neural simulator: does the one rank them as the other does?",
            tuple(part for name in ("Reach", "Push", "Lift", "PickPlace") for part in _both(f"PocketWorlds/{name}-v0")),
        ),
        Definition(
            "cousins-v1",
            "What was learned in some digital cousins, in others and in the scene that all were made from.",
            (
                *_cousins("PocketWorlds/PickPlace-v0", "blocks", "blocks"),
                *_cousins("PocketWorlds/OpenDrawer-v0", "kitchen", "kitchen"),
            ),
        ),
        Definition(
            "scan-v1",
            "The same agents in scenes that a simulated phone filmed and in scans of them: does a scan rank them as "
            "the scene itself does?",
            (
                *_scans("a", {"Lift": "box_2", "PickPlace": "box_2"}),
                *_scans("b", {"Lift": "box_2", "Push": "book_1"}),
                *_scans("c", {"Lift": "box_1", "Push": "bottle_1", "PickPlace": "box_1"}),
            ),
        ),
    )
}
