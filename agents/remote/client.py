"""What agents that ask a server have in common: what they see, and what becomes of the answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import AgentError
from ..agent import Assignment, Observed
from .options import EVERYTHING, RemoteOptions

_LONGEST = 1024  # actions of an answer

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """What is sent of one world.

    Attributes:
        pictures: uint8 (height, width, 3) by their names. states: float32 (D,) by their names.
        instruction: a sentence.
    """

    pictures: Mapping[str, NDArray[np.uint8]]
    states: Mapping[str, Floats]
    instruction: str


class RemoteAgent(ABC):
    """n worlds that a server plays; see `agents.agent.Agent`.

    Attributes:
        server: what it is called in errors.
    """

    def __init__(self, server: str, options: RemoteOptions) -> None:
        self.server = server
        self._options = options
        self._assignment: Assignment | None = None

    @property
    def keywords(self) -> Mapping[str, Any]:
        """How it sees and acts, as keywords of `gym.make_vec`."""
        options = self._options
        kinds = [kind for kind, wanted in (("state", self.states), ("rgb", self.images)) if wanted]
        found: dict[str, Any] = {"obs_mode": "+".join(kinds or ["state"])}
        if self.images:
            found["image_size"] = self.image_size
        for name in ("camera", "control_mode", "renderer"):
            if getattr(options, name):
                found[name] = getattr(options, name)
        return found

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of pictures."""
        return self._options.image_size

    @property
    def states(self) -> Mapping[str, Sequence[str]]:
        """Their names for states, and the parts that stand there."""
        return dict(self._options.state)

    @property
    def images(self) -> Sequence[str]:
        """Their names for the picture."""
        return self._options.image

    @property
    def blanks(self) -> Sequence[str]:
        """Their names for pictures that there are none of."""
        return self._options.blank

    def reset(self, assignment: Assignment) -> None:
        """Begins n episodes.

        Raises:
            AgentError: the server does not answer, or the environment is not what it needs.
        """
        layout = assignment.state_layout
        for theirs, parts in self.states.items():
            for part in parts:
                if part != EVERYTHING and part not in layout:
                    raise AgentError(
                        f"{self.server}: {assignment.env_id} has no part {part!r} of a state for {theirs!r}; write "
                        f"state={theirs}:part+part with any of {[*layout, EVERYTHING]}"
                    )
        size = assignment.action_size
        for name in ("scale", "offset"):
            if len(getattr(self._options, name)) not in (1, size):
                raise AgentError(f"{self.server}: {name} has to be one number or {size}, as many as an action here has")
        self._assignment = assignment
        self.begin(assignment)

    def act(self, observation: Observed) -> Floats:
        """The next actions of every world (n, H, A), as the server gives them, times `scale` plus `offset`.

        Raises:
            AgentError: the server does not answer in time, goes away, or answers nonsense.
        """
        if self._assignment is None:
            raise AgentError(f"{self.server} is asked before an episode has begun; reset the agent first")
        views = self._views(observation, self._assignment)
        answers = self.ask(views)
        size = self._assignment.action_size
        chunks = [actions_of(answer, size, self.server) for answer in answers]
        steps = min(len(chunk) for chunk in chunks)
        steps = min(steps, self._options.execute or steps)
        played = np.stack([chunk[:steps] for chunk in chunks])
        found: Floats = (played * np.array(self._options.scale) + np.array(self._options.offset)).astype(np.float32)
        if not np.isfinite(found).all():
            raise AgentError(f"{self.server} gave actions that are not finite after scale and offset")
        self.played(steps)
        return found

    @abstractmethod
    def begin(self, assignment: Assignment) -> None:
        """Tells the server that n episodes begin."""

    @abstractmethod
    def ask(self, views: Sequence[View]) -> Sequence[Any]:
        """The server's answers (n), one a world: what should be arrays (H, A) or (A,)."""

    def played(self, steps: int) -> None:  # noqa: B027 - most servers have no use for it
        """What was answered last is played for so many control steps."""

    @abstractmethod
    def close(self) -> None:
        """Leaves the server."""

    def _views(self, observation: Observed, assignment: Assignment) -> list[View]:
        n = len(assignment.episodes)
        states = {theirs: self._state(parts, observation, assignment) for theirs, parts in self.states.items()}
        pictures: dict[str, NDArray[np.uint8]] = {}
        if self.images:
            seen = observation.get("rgb")
            if not isinstance(seen, np.ndarray) or seen.dtype != np.uint8 or seen.ndim != 4 or len(seen) != n:
                raise AgentError(f"{self.server} needs pictures: make the environment with {dict(self.keywords)}")
            pictures = dict.fromkeys(self.images, seen) | dict.fromkeys(self.blanks, np.zeros_like(seen))
        elif self.blanks:
            width, height = self.image_size
            pictures = dict.fromkeys(self.blanks, np.zeros((n, height, width, 3), dtype=np.uint8))
        words = observation.get("instruction", assignment.instructions)
        return [
            View(
                {name: values[j] for name, values in pictures.items()},
                {name: values[j] for name, values in states.items()},
                str(words[j]),
            )
            for j in range(n)
        ]

    def _state(self, parts: Sequence[str], observation: Observed, assignment: Assignment) -> Floats:
        seen = observation.get("state")
        if not isinstance(seen, np.ndarray) or seen.ndim != 2 or len(seen) != len(assignment.episodes):
            raise AgentError(f"{self.server} needs states: make the environment with {dict(self.keywords)}")
        chosen = [seen if part == EVERYTHING else seen[:, assignment.state_layout[part]] for part in parts]
        return np.concatenate(chosen, axis=1).astype(np.float32)


def actions_of(found: Any, size: int, server: str) -> Floats:
    """Actions (H, A) as a server gave them: an array (A,) or (H, A).

    Raises:
        AgentError: they are none, of the wrong size, or not finite; the message says which.
    """
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iuf":
        kind = found.dtype.name if isinstance(found, np.ndarray) else type(found).__name__
        raise AgentError(f"{server} gave {kind} for actions, where an array of numbers was due")
    chunk = found[None] if found.ndim == 1 else found
    if chunk.ndim != 2 or not 1 <= len(chunk) <= _LONGEST or chunk.shape[1] != size:
        raise AgentError(
            f"{server} gave actions of shape {found.shape}; an action has {size} numbers here, so ({size},) or "
            f"(steps, {size}) was due, with {_LONGEST} steps at most: a policy has to be trained for this robot and "
            "its control_mode"
        )
    with np.errstate(over="ignore"):
        chunk = chunk.astype(np.float32)
    if not np.isfinite(chunk).all():
        raise AgentError(f"{server} gave actions that are not finite; look at the policy's normalisation")
    return chunk
