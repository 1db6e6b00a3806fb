"""Tries a task in a cousin: the robot reaches what it must, and the scripted expert solves it."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym

from ..digital_cousins.cousin import Cousin
from ..digital_cousins.rig import NO_DIFFERENCE
from ..envs.catalogue import known_ids
from ..errors import PocketWorldsError, TaskError
from ..registry import ENVIRONMENTS
from ..scenes import Scene
from .experts import make_expert

CHOICES = tuple(f"PocketWorlds/{task}-v0" for task in ("PickPlace", "Lift", "OpenDrawer", "OpenDoor", "PressButton"))
"""Tasks that `choose_check` tries in a twin, in this order."""
TRIES_IN_TWIN = 8
"""Episodes in the twin itself, where a task that suits is solved at once: that is not left to luck."""


@dataclass(frozen=True)
class ExpertCheck:
    """A check for `digital_cousins.build.make_cousins`.

    Attributes:
        env_id: the environment whose task and robot are tried, in full: "PocketWorlds/Lift-v0".
        object: its target; None for any that suits.
        tries: episodes of which the expert must solve one.
    """

    env_id: str
    object: str | None = None
    tries: int = 2

    @property
    def name(self) -> str:
        """See `Check`."""
        return self.env_id if self.object is None else f"{self.env_id} with {self.object}"

    def __call__(self, cousin: Cousin) -> tuple[str, str] | None:
        """See `Check`."""
        try:
            env = gym.make_vec(
                self.env_id, num_envs=self.tries, scene=cousin, object=self.object, num_threads=1, object_jitter=0.0
            )
        except PocketWorldsError as error:
            return "unsuitable", str(error)
        try:
            env.reset(seed=cousin.index)
            expert = make_expert(env)
            for _ in range(ENVIRONMENTS[self.env_id].steps - 1):
                info = env.step(expert.act())[4]
                if info["is_success"].any():
                    return None
        finally:
            env.close()
        return "unsolved", f"the expert of {self.env_id} did not solve it in {self.tries} episodes"


def choose_check(twin: Scene, env_id: str | None = None, object: str | None = None) -> ExpertCheck:
    """A check whose task the expert solves in the twin itself: one that fails there says nothing about cousins.

    Args:
        twin: the scene. env_id: the environment to try; None takes the first of `CHOICES` that does.
        object: its target; None for any that suits.

    Raises:
        TaskError: there is no such environment, or the expert solves none in the twin; the message says why.
    """
    choices = CHOICES if env_id is None else known_ids([env_id])
    itself = Cousin(0, "train", twin, NO_DIFFERENCE, {})
    failures = []
    for choice in choices:
        failed = ExpertCheck(choice, object, TRIES_IN_TWIN)(itself)
        if failed is None:
            return ExpertCheck(choice, object)
        failures.append(f"{choice}: {failed[1]}")
    raise TaskError(
        f"no cousin could pass, because the twin {twin.name!r} does not ({'; '.join(failures)}); choose another task "
        "or object, or --task none"
    )
