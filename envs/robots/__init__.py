"""Robots: models with documented sites, and where to put them in a scene."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from ...errors import TaskError
from .hand import HAND, Hand, need_hand
from .panda import PANDA
from .robot import PREFIX, Arm, GripTable, Posture, Robot, need_arm

__all__ = [
    "HAND",
    "MENAGERIE",
    "PANDA",
    "PREFIX",
    "Arm",
    "GripTable",
    "Hand",
    "Posture",
    "Robot",
    "get_robot",
    "need_arm",
    "need_hand",
]

MENAGERIE = "menagerie:"
"""Put before the name of a robot of MuJoCo Menagerie."""
_ROBOTS: dict[str, Robot] = {PANDA.name: PANDA, HAND.name: HAND}


def get_robot(name: str | Path) -> Robot:
    """The robot called `name`.

    Args:
        name: "panda", "hand", the path of an MJCF file (see docs/robots.md), or "menagerie:<name>".

    Raises:
        TaskError: there is no such robot, or its model lacks something; the message says what and how to add it.
        MissingDependencyError: "menagerie:..." without the package `mujoco-menagerie`.
    """
    if isinstance(name, str) and name in _ROBOTS:
        return _ROBOTS[name]
    if isinstance(name, str) and name.startswith(MENAGERIE):
        from .menagerie import menagerie_robot

        return menagerie_robot(name.removeprefix(MENAGERIE))
    if is_model_path(name):
        # Measuring takes up to a second: once for each state of the file.
        path = Path(os.path.abspath(name))
        stat = path.stat() if path.is_file() else None
        return _from_file(path, (stat.st_mtime_ns, stat.st_size) if stat else (0, 0))
    raise TaskError(
        f"robot={name!r} is not known; choose one of {sorted(_ROBOTS)}, the path of an MJCF file (robot.xml), "
        f'or "{MENAGERIE}<name>", such as "{MENAGERIE}franka_emika_panda"'
    )


def is_model_path(name: object) -> bool:
    """Whether `name` means a file rather than a word."""
    if isinstance(name, Path):
        return True
    return isinstance(name, str) and (name.lower().endswith((".xml", ".mjcf")) or "/" in name or os.sep in name)


@lru_cache(maxsize=8)
def _from_file(path: Path, state: tuple[int, int]) -> Arm:
    from .custom import load_robot

    robot: Arm = load_robot(path)
    return robot
