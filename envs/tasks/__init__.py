"""Tasks: one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import TaskError
from ..world import World
from .close_drawer import CloseDrawer
from .hand_lift import HandLift
from .hand_reorient import HandReorient
from .insert import Insert
from .lift import Lift
from .open_door import OpenDoor
from .open_drawer import OpenDrawer
from .pick_place import PickPlace
from .press_button import PressButton
from .push import Push
from .reach import Reach
from .stack import Stack
from .task import Draw, Evaluation, Start, Task
from .tidy_table import TidyTable

__all__ = ["TASKS", "Draw", "Evaluation", "Start", "Task", "make_task", "task_type"]

TASKS: dict[str, type[Task]] = {
    cls.name: cls
    for cls in (
        CloseDrawer,
        HandLift,
        HandReorient,
        Insert,
        Lift,
        OpenDoor,
        OpenDrawer,
        PickPlace,
        PressButton,
        Push,
        Reach,
        Stack,
        TidyTable,
    )
}


def task_type(name: str) -> type[Task]:
    """The class of the task called `name`.

    Raises:
        TaskError: there is no such task; the message lists those there are.
    """
    if name not in TASKS:
        raise TaskError(f"task={name!r} is not known; choose one of {sorted(TASKS)}")
    return TASKS[name]


def make_task(
    name: str, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
) -> Task:
    """The task called `name` in `world`.

    Raises:
        TaskError: there is no such task, no such setting, or no target suits it.
    """
    return task_type(name)(world, num_envs, object=object, config=config or {})
