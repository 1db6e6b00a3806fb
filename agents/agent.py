"""What can play a suite of the leaderboard: anything with `reset` and `act`, for all worlds of a batch at once.

Example:
    >>> class Still:
    ...     keywords = {"obs_mode": "state"}
    ...
    ...     def reset(self, assignment: Assignment) -> None:
    ...         self.shape = (len(assignment.episodes), assignment.action_size)
    ...
    ...     def act(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
    ...         return np.zeros(self.shape, dtype=np.float32)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs import WorldVectorEnv

Observed = Mapping[str, Any]
"""What an agent sees of n worlds: "state", float32 (n, S), and pictures such as "rgb", uint8 (n, height, width, 3), as
its `obs_mode` asks for; and "instruction", n sentences."""


@dataclass(frozen=True)
class Assignment:
    """The n episodes that are about to begin, one a world.

    Attributes:
        env_id: what is played. episodes: (n,) their numbers, another for each episode of a group: whoever draws at
            random should draw by these, so that a run does not depend on who plays beside it.
        instructions: (n,) what is asked for. action_size: A, of an action in [-1, 1]. control_rate: actions a second.
        state_layout: where each named part lies in "state".
        env: the environment itself. Only who is `privileged` may look at it.
    """

    env_id: str
    episodes: NDArray[np.int64]
    instructions: Sequence[str]
    action_size: int
    control_rate: float
    state_layout: Mapping[str, slice]
    env: WorldVectorEnv


class Agent(Protocol):
    """What plays; see the module.

    More may be there. `keywords`: how it sees and acts, those of `gym.make_vec` among `SENSES`; `privileged`: True if
    it looks at the environment behind its observations, which the leaderboard then says; `close()`: called at the end.
    """

    def reset(self, assignment: Assignment) -> None:
        """Begins n episodes; none of those before goes on."""

    def act(self, observation: Observed) -> NDArray[np.floating[Any]]:
        """What to do next: actions (n, A), or chunks (n, H, A) of which all H are played before it is asked again."""


SENSES = ("obs_mode", "control_mode", "image_size", "camera", "renderer")
"""Keywords of an environment that are an agent's own affair; all others are the suite's."""


def senses(agent: Agent) -> Mapping[str, Any]:
    """The keywords an agent asks for."""
    return MappingProxyType(dict(getattr(agent, "keywords", {})))


def leave(agent: Agent) -> None:
    """Closes an agent that can be closed."""
    close = getattr(agent, "close", None)
    if callable(close):
        close()
