"""GR00T's servers: `groot:tcp://host:5555`.

`gr00t/policy/server_client.py` of https://github.com/NVIDIA/Isaac-GR00T (N1.6 and N1.7): ZeroMQ, one answer to each
request, messages of msgpack in which an array is a map of `__ndarray_class__` and `as_npy`, the bytes of a .npy file.
A request names an `endpoint`, and has `data` and, where a server wants one, an `api_token`:

    ping; get_modality_config: of "video", "state", "language" and "action", their `modality_keys` and `delta_indices`,
        the control steps before (or after) now that a policy sees (or gives)
    reset {options}
    get_action {observation: {video: {name: (n, T, height, width, 3) uint8}, state: {name: (n, T, D) float32},
        language: {name: n lists of one sentence}}, options} -> [{name: (n, H, D)}, {...}]
    what cannot be done -> {error}

All n worlds go in one request. An action is what stands under the names of "action", one after the other.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from ...errors import AgentError
from ..agent import Assignment
from .client import RemoteAgent, View
from .options import Names, Parts, RemoteOptions
from .wire import Array, WireError, from_npy, pack, to_npy, told, unpack
from .zeromq import Channel

_FURTHEST = 1024  # control steps that a policy may look back
_PREFIX = {"video": "video.", "state": "state.", "language": ""}


class GrootOptions(RemoteOptions):
    """Options of `groot:`; see `RemoteOptions`.

    Attributes:
        state: their names for states; by default the server's own, where they are names of parts of ours.
        image: their names for the picture; by default the server's first. action: names of what makes an action, in
            order; by default the server's. flat: that it was started with --use-sim-policy-wrapper.
    """

    execute: Annotated[int, Field(ge=0, le=1024)] = 8
    state: Parts = ()
    image: Names = ()
    action: Names = ()
    flat: bool = False


class Modality(BaseModel):
    """What a server says of one kind of its inputs, or of its actions."""

    modality_keys: Annotated[tuple[Annotated[str, Field(max_length=200)], ...], Field(min_length=1, max_length=200)]
    delta_indices: Annotated[
        tuple[Annotated[int, Field(ge=-_FURTHEST, le=_FURTHEST)], ...], Field(min_length=1, max_length=_FURTHEST)
    ]


class GrootAgent(RemoteAgent):
    """Worlds that a GR00T server plays.

    Attributes:
        modalities: what the server says of its inputs and actions.
    """

    def __init__(self, url: str, options: GrootOptions) -> None:
        """Connects.

        Raises:
            AgentError: nobody answers, or not as they should; or an input of the policy has nothing to fill it.
            MissingDependencyError: a library is missing.
        """
        super().__init__(f"the GR00T server {url}", options)
        self._groot, self._token = options, options.secret()
        self._past: list[tuple[int, Sequence[View]]] = []
        self._step = 0
        self._channel = Channel(url, options)
        try:
            self.modalities = self._modalities()
            self._fill()
        except AgentError:
            self.close()
            raise

    @property
    def states(self) -> Mapping[str, Sequence[str]]:
        """See `RemoteAgent`."""
        return dict(self._groot.state) or {name: (name,) for name in self._keys("state")}

    @property
    def images(self) -> Sequence[str]:
        """See `RemoteAgent`."""
        return self._groot.image or self._keys("video")[:1]

    def begin(self, assignment: Assignment) -> None:
        """See `RemoteAgent`."""
        self._past, self._step = [], 0
        self._request("reset", {"options": None})

    def ask(self, views: Sequence[View]) -> list[Any]:
        """See `RemoteAgent`."""
        self._past.append((self._step, views))
        data = {"observation": self.observation(), "options": None}
        return self._actions(self._request("get_action", data), len(views))

    def played(self, steps: int) -> None:
        """See `RemoteAgent`."""
        self._step += steps
        oldest = self._step + min(min(self.modalities[kind].delta_indices) for kind in ("video", "state"))
        while len(self._past) > 1 and self._past[1][0] <= oldest:
            self._past.pop(0)

    def observation(self) -> dict[str, Any]:
        """What worlds show now and showed before, as it is sent.

        A policy that looks back sees, of every control step that it asks for, what was seen last before it: worlds are
        looked at only between chunks of actions.
        """
        found: dict[str, dict[str, Any]] = {"video": {}, "state": {}, "language": {}}
        for kind in ("video", "state"):
            times = [self._view(delta) for delta in self.modalities[kind].delta_indices]
            for name in self._keys(kind):
                frames = [[(v.pictures if kind == "video" else v.states)[name] for v in views] for views in times]
                found[kind][name] = np.stack([np.stack(each) for each in frames], axis=1)
        now = self._past[-1][1]
        for name in self._keys("language"):
            found["language"][name] = [v.instruction if self._groot.flat else [v.instruction] for v in now]
        if not self._groot.flat:
            return found
        return {_PREFIX[kind] + name: value for kind, values in found.items() for name, value in values.items()}

    def close(self) -> None:
        """See `RemoteAgent`."""
        self._channel.close()

    def _view(self, delta: int) -> Sequence[View]:
        place = bisect.bisect_right([step for step, _ in self._past], self._step + delta)
        return self._past[max(place - 1, 0)][1]

    def _keys(self, kind: str) -> tuple[str, ...]:
        return self.modalities[kind].modality_keys

    def _request(self, endpoint: str, data: Mapping[str, Any] | None = None) -> Any:
        message: dict[str, Any] = {"endpoint": endpoint}
        if data is not None:
            message["data"] = data
        if self._token is not None:
            message["api_token"] = self._token
        frames = self._channel.exchange(pack(message, encode))
        try:
            if len(frames) != 1:
                raise WireError(f"it has {len(frames)} parts")
            found = unpack(frames[0], decode)
        except WireError as error:
            raise AgentError(f"{self.server} sent a message that makes no sense: {error}") from error
        if isinstance(found, dict) and "error" in found:
            raise AgentError(f"{self.server} refused: {told(found['error'])}")
        return found

    def _modalities(self) -> dict[str, Modality]:
        found = self._request("get_modality_config")
        kinds = ("video", "state", "language", "action")
        if not isinstance(found, dict) or not set(kinds) <= found.keys():
            raise AgentError(f"{self.server} does not say what its policy sees and does; is it of GR00T N1.6 or newer?")
        try:
            return {kind: Modality.model_validate(found[kind]) for kind in kinds}
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise AgentError(f"{self.server} says of its policy's {name or 'modalities'}: {first['msg']}") from error

    def _fill(self) -> None:
        """Checks that every input of the policy has something to fill it."""
        for kind, ours in (("video", {*self.images, *self.blanks}), ("state", {*self.states})):
            theirs = self._keys(kind)
            missing, unknown = [n for n in theirs if n not in ours], sorted(ours - {*theirs})
            option = "image or blank" if kind == "video" else "state"
            if missing or unknown:
                raise AgentError(
                    f"{self.server} has a policy that sees {kind} {list(theirs)}; "
                    + (f"nothing fills {missing}" if missing else f"it knows no {unknown}")
                    + f": name each of them once in the option {option}"
                )
        unknown = [name for name in self._groot.action if name not in self._keys("action")]
        if unknown:
            raise AgentError(f"{self.server} has a policy with actions {list(self._keys('action'))}, but no {unknown}")

    def _actions(self, found: Any, count: int) -> list[Any]:
        if not isinstance(found, list) or len(found) != 2 or not isinstance(found[0], dict):
            raise AgentError(
                f"{self.server} answered {type(found).__name__}, where a pair of actions and infos was due"
            )
        parts: list[Array] = []
        for name in self._groot.action or self._keys("action"):
            part = found[0].get(f"action.{name}" if self._groot.flat else name)
            if not isinstance(part, np.ndarray) or part.ndim != 3 or len(part) != count or part.dtype.kind not in "iuf":
                shape = part.shape if isinstance(part, np.ndarray) else type(part).__name__
                raise AgentError(
                    f"{self.server} gave {shape} for the action {name!r} of {count} worlds, where numbers "
                    f"({count}, steps, size) were due; it gave {[str(n)[:40] for n in found[0]][:20]}"
                )
            parts.append(part)
        if len({part.shape[1] for part in parts}) != 1:
            raise AgentError(f"{self.server} gave actions of different lengths: {[part.shape for part in parts]}")
        return list(np.concatenate(parts, axis=2))


def encode(array: Array) -> dict[str, Any]:
    """An array as GR00T's `MsgSerializer` writes it."""
    return {"__ndarray_class__": True, "as_npy": to_npy(array)}


def decode(found: dict[Any, Any]) -> Any:
    """What a map of a message stands for: an array, what is said of a modality, or itself.

    Raises:
        WireError: an array that is none.
    """
    if "__ndarray_class__" in found:
        return from_npy(found.get("as_npy"))
    if "__ModalityConfig_class__" in found:
        return found.get("as_json")
    return found
