"""Scripted experts, one for every task; `make_expert` chooses."""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from .expert import Expert
from .hand_lift import HandLiftExpert
from .hand_reorient import HandReorientExpert
from .lift import LiftExpert
from .parts import PressExpert, PullExpert
from .place import PlaceExpert
from .push import PushExpert
from .reach import ReachExpert

__all__ = ["Expert", "make_expert"]

_EXPERTS: dict[str, type[Expert]] = {
    "close_drawer": PressExpert,
    "hand_lift": HandLiftExpert,
    "hand_reorient": HandReorientExpert,
    "insert": PlaceExpert,
    "lift": LiftExpert,
    "open_door": PullExpert,
    "open_drawer": PullExpert,
    "pick_place": PlaceExpert,
    "press_button": PressExpert,
    "push": PushExpert,
    "reach": ReachExpert,
    "stack": PlaceExpert,
    "tidy_table": PlaceExpert,
}


def make_expert(env: gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]) -> Expert:
    """The scripted expert for the task of a (wrapped) environment.

    Raises:
        TaskError: see `Expert`.
    """
    inner = env.unwrapped
    task = getattr(getattr(inner, "vector", inner), "task", None)
    return _EXPERTS.get(getattr(task, "name", ""), LiftExpert)(env)
