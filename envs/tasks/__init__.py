"""Tasks: one file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import TaskError
from ..world import World
from .lift import Lift
from .push import Push
from .task import Draw, Evaluation, Task

__all__ = ["TASKS", "Draw", "Evaluation", "Lift", "Push", "Task", "make_task"]

TASKS: dict[str, type[Lift] | type[Push]] = {cls.name: cls for cls in (Lift, Push)}


def make_task(
    name: str, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
) -> Task:
    """The task called `name` in `world`.

    Raises:
        TaskError: there is no such task, no such setting, or no object suits it.
    """
    if name not in TASKS:
        raise TaskError(f"task={name!r} is not known; choose one of {sorted(TASKS)}")
    return TASKS[name](world, num_envs, object=object, config=config)
