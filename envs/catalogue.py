"""What every registered id is: its task, scene, instruction and spaces, read off the environment itself.

>>> from pocketworlds.envs.catalogue import describe
>>> describe("PocketWorlds/Reach-v0").observation_size
32
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import TaskError
from ..registry import ENVIRONMENTS
from .vector import CONTROL_RATE, WorldVectorEnv


@dataclass(frozen=True)
class Description:
    """An environment id with its default keywords.

    Attributes:
        env_id, task, scene, robot: names. kind: of robot, "arm" or "hand".
        steps: control steps after which an episode is truncated; `seconds` they last.
        instruction: that of the first episode of seed 0. targets: what an instruction may be about.
        action_size, control_mode: of the action, all in [-1, 1]. observation_size: of a state observation.
        observation: its parts and their sizes, in their order. rewards: the terms of the dense reward and their
            weights, which sum to 1. keywords: with which the id was registered.
    """

    env_id: str
    task: str
    scene: str
    robot: str
    kind: str
    steps: int
    seconds: float
    instruction: str
    targets: tuple[str, ...]
    control_mode: str
    action_size: int
    observation_size: int
    observation: dict[str, int]
    rewards: dict[str, float]
    keywords: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable data."""
        return {**asdict(self), "targets": list(self.targets)}


def describe(env_id: str) -> Description:
    """Makes the environment once and says what it is.

    Raises:
        TaskError: there is no such id; the message lists those there are.
    """
    (env_id,) = known_ids([env_id])
    entry = ENVIRONMENTS[env_id]
    env = WorldVectorEnv(1, max_episode_steps=entry.steps, **entry.keywords)
    try:
        _, info = env.reset(seed=0)
        layout = {name: part.stop - part.start for name, part in env.state_layout.items()}
        return Description(
            env_id=env_id,
            task=env.task.name,
            scene=env.world.scene.name,
            robot=env.world.robot.name,
            kind=env.world.robot.kind,
            steps=entry.steps,
            seconds=entry.steps / CONTROL_RATE,
            instruction=str(info["instruction"][0]),
            targets=tuple(env.task.names[k] for k in env.task.targets),
            control_mode=env.config.control_mode,
            action_size=env.simulator.action_size,
            observation_size=sum(layout.values()),
            observation=layout,
            rewards=dict(env.task.settings["scales"]),
            keywords=dict(entry.keywords),
        )
    finally:
        env.close()


def catalogue(env_ids: Iterable[str] | None = None) -> list[Description]:
    """Descriptions of the given ids, by default of all registered ones.

    Raises:
        TaskError: see `describe`.
    """
    return [describe(env_id) for env_id in known_ids(ENVIRONMENTS if env_ids is None else env_ids)]


def known_ids(env_ids: Iterable[str]) -> list[str]:
    """The ids in full: "Lift-v0" means "PocketWorlds/Lift-v0".

    Raises:
        TaskError: there is no such id; the message lists those there are.
    """
    found = []
    for env_id in env_ids:
        full = env_id if "/" in env_id else f"PocketWorlds/{env_id}"
        if full not in ENVIRONMENTS:
            close = difflib.get_close_matches(full, ENVIRONMENTS, n=1, cutoff=0.3)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise TaskError(f"{env_id!r} is not an environment of this package{hint}; there are {list(ENVIRONMENTS)}")
        found.append(full)
    return found


def catalogue_table(found: Iterable[Description]) -> str:
    """The descriptions as a plain text table, one line an id."""
    head = ("id", "task", "scene", "steps", "action", "state", "for example")
    rows = [
        head,
        *(
            (d.env_id, d.task, d.scene, str(d.steps), str(d.action_size), str(d.observation_size), d.instruction)
            for d in found
        ),
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
