"""Tries a task in a cousin: the robot reaches what it must, and the scripted expert solves it."""

from __future__ import annotations

from dataclasses import dataclass

import gymnasium as gym

from ..digital_cousins.cousin import Cousin
from ..errors import PocketWorldsError
from ..registry import ENVIRONMENTS
from .experts import make_expert


@dataclass(frozen=True)
class ExpertCheck:
    """A check for `digital_cousins.build.make_cousins`.

    Attributes:
        env_id: the environment whose task and robot are tried, such as "PocketWorlds/Lift-v0".
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
