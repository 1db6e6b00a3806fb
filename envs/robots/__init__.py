"""Robots: models with documented sites, and where to put them in a scene."""

from ...errors import TaskError
from .hand import HAND, Hand
from .panda import PANDA
from .robot import PREFIX, Robot

__all__ = ["HAND", "PANDA", "PREFIX", "Hand", "Robot", "get_robot"]

_ROBOTS = {PANDA.name: PANDA}


def get_robot(name: str) -> Robot:
    """The robot called `name`.

    Raises:
        TaskError: there is no such robot; the message lists those there are.
    """
    try:
        return _ROBOTS[name]
    except (KeyError, TypeError):
        raise TaskError(f"robot={name!r} is not known; choose one of {sorted(_ROBOTS)}") from None
