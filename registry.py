"""Every environment id, as a table: importing it loads nothing but Gymnasium."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium

JITTER = 0.04
"""How far [m] objects are moved from their places at the start of an episode of the tasks' own ids."""


class Entry(NamedTuple):
    """What an id stands for: keywords of the environment, and the control steps after which episodes are truncated."""

    keywords: dict[str, Any]
    steps: int


def _task(name: str, scene: str, steps: int, **keywords: Any) -> Entry:
    return Entry({"task": name, "scene": scene, "object_jitter": JITTER, **keywords}, steps)


ENVIRONMENTS: dict[str, Entry] = {
    "PocketWorlds/Scan-v0": Entry({}, 150),
    "PocketWorlds/Reach-v0": _task("reach", "tabletop", 60),
    "PocketWorlds/Push-v0": _task("push", "one_cube", 150),
    "PocketWorlds/Lift-v0": _task("lift", "tabletop", 150),
    "PocketWorlds/PickPlace-v0": _task("pick_place", "blocks", 150),
    "PocketWorlds/Stack-v0": _task("stack", "blocks", 150),
    "PocketWorlds/Insert-v0": _task("insert", "sockets", 150),
    "PocketWorlds/TidyTable-v0": _task("tidy_table", "clutter", 500),
    "PocketWorlds/OpenDrawer-v0": _task("open_drawer", "kitchen", 150),
    "PocketWorlds/CloseDrawer-v0": _task("close_drawer", "kitchen", 150),
    "PocketWorlds/OpenDoor-v0": _task("open_door", "kitchen", 150),
    "PocketWorlds/PressButton-v0": _task("press_button", "kitchen", 100),
    "PocketWorlds/HandLift-v0": _task("hand_lift", "tabletop", 160, robot="hand"),
    "PocketWorlds/HandReorient-v0": _task("hand_reorient", "one_cube", 200, robot="hand"),
}


def register_envs() -> None:
    """Registers every environment id with Gymnasium; done on import, harmless to repeat."""
    package = __name__.rpartition(".")[0]
    for env_id, (keywords, steps) in ENVIRONMENTS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=f"{package}.envs.env:WorldEnv",
                vector_entry_point=f"{package}.envs.vector:WorldVectorEnv",
                max_episode_steps=steps,
                kwargs=dict(keywords),
            )
