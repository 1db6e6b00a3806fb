"""openpi's servers: `openpi:ws://host:8000`, and those of RoboArena and DreamZero: `roboarena:ws://host:8000`.

openpi (`packages/openpi-client` of https://github.com/Physical-Intelligence/openpi): a websocket with messages of
msgpack, in which an array is a map of `__ndarray__`, `data`, `dtype` and `shape`. The server's first message tells of
itself. Each further one answers an observation, a flat map such as

    observation/image (224, 224, 3) uint8, observation/state (8,), prompt: a sentence

with `actions` (H, A); text in place of bytes is an error. A server keeps nothing of an episode, so all worlds share a
connection, and a request that was lost is sent again.

RoboArena (https://github.com/robo-arena/roboarena, `policy_server.py`; DreamZero's is a copy): its first message says
which pictures it wants, an observation names an `endpoint`, "infer" or "reset", and may carry a `session_id`, and an
answer may be the array itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from ...errors import AgentError
from ..agent import Assignment
from .client import RemoteAgent, View
from .connection import Connection, insisting
from .options import Names, Parts, RemoteOptions
from .wire import Array, WireError, array_of, pack, told, unpack

_MARKS = {b"__ndarray__", "__ndarray__", b"__npgeneric__", "__npgeneric__"}  # bytes, as openpi's packer writes them


class OpenPiOptions(RemoteOptions):
    """Options of `openpi:`; see `RemoteOptions`. Names are those of openpi's LIBERO policies.

    Attributes:
        prompt: their name for the instruction; "": none is sent.
    """

    execute: Annotated[int, Field(ge=0, le=1024)] = 5
    state: Parts = (("observation/state", ("joint_pos", "gripper_width")),)
    image: Names = ("observation/image",)
    blank: Names = ("observation/wrist_image",)
    prompt: str = "prompt"


class RoboArenaOptions(OpenPiOptions):
    """Options of `roboarena:`; see `OpenPiOptions`.

    Attributes:
        parallel: that the server keeps the histories of several sessions apart, so that worlds can be played at once.
    """

    execute: Annotated[int, Field(ge=0, le=1024)] = 0
    state: Parts = (
        ("observation/joint_position", ("joint_pos",)),
        ("observation/gripper_position", ("gripper_width",)),
    )
    image: Names = ("observation/exterior_image_0_left", "observation/exterior_image_1_left")
    blank: Names = ("observation/wrist_image_left",)
    parallel: bool = False


class OpenPiAgent(RemoteAgent):
    """Worlds that an openpi server plays.

    Attributes:
        metadata: what the server says of itself.
    """

    _PROJECT = "openpi"

    def __init__(self, url: str, options: OpenPiOptions) -> None:
        """Connects.

        Raises:
            AgentError: nobody answers, or not as they should. MissingDependencyError: a library is missing.
        """
        super().__init__(f"the {self._PROJECT} server {url}", options)
        self._names = options
        self.metadata: Mapping[str, Any] = {}
        secret = options.secret()
        headers = {"Authorization": f"Api-Key {secret}"} if secret else {}
        self._connection = Connection(url, options, self._greet, headers)

    def begin(self, assignment: Assignment) -> None:
        """A server keeps nothing of episodes: nothing is told."""

    def ask(self, views: Sequence[View]) -> list[Any]:
        """See `RemoteAgent`."""
        return [self._actions(self._request(self.message(view, world))) for world, view in enumerate(views)]

    def message(self, view: View, world: int) -> dict[str, Any]:
        """The observation of a world, as it is sent."""
        words = {self._names.prompt: view.instruction} if self._names.prompt else {}
        return {**view.pictures, **view.states, **words}

    def close(self) -> None:
        """See `RemoteAgent`."""
        self._connection.close()

    def _request(self, message: Mapping[str, Any]) -> Any:
        data = pack(message, encode)
        return insisting(self._connection, self._options, partial(self._exchange, data))

    def _exchange(self, data: bytes) -> Any:
        self._connection.send(data)
        return self._read(self._connection.receive())

    def _read(self, data: bytes | str) -> Any:
        if isinstance(data, str):
            raise AgentError(f"{self.server} refused: {told(data)}")
        try:
            return unpack(data, decode)
        except WireError as error:
            raise AgentError(f"{self.server} sent a message that makes no sense: {error}") from error

    def _greet(self, connection: Connection) -> None:
        found = self._read(connection.receive())
        if not isinstance(found, dict):
            raise AgentError(f"{self.server} began with {type(found).__name__}, where a map that tells of it was due")
        self.metadata = found

    def _actions(self, found: Any) -> Any:
        if not isinstance(found, dict) or "actions" not in found:
            names = [str(name)[:40] for name in found][:20] if isinstance(found, dict) else type(found).__name__
            raise AgentError(f"{self.server} answered {names}, where a map with 'actions' was due")
        return found["actions"]


class _Wishes(BaseModel):
    """What a RoboArena server says that it wants."""

    image_resolution: tuple[Annotated[int, Field(ge=8, le=2048)], Annotated[int, Field(ge=8, le=2048)]] | None = None
    needs_session_id: bool = False


class RoboArenaAgent(OpenPiAgent):
    """Worlds that a server of RoboArena's protocol plays."""

    _PROJECT = "RoboArena"

    def __init__(self, url: str, options: RoboArenaOptions) -> None:
        """Connects; see `OpenPiAgent`."""
        self._wishes: _Wishes | None = None
        self._sessions = [""]
        self._parallel = options.parallel
        super().__init__(url, options)

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of pictures: what the address says, or else the server."""
        wished = None if self._wishes is None else self._wishes.image_resolution
        if wished is None or "image_size" in self._options.model_fields_set:
            return self._options.image_size
        return wished[1], wished[0]

    def begin(self, assignment: Assignment) -> None:
        """See `RemoteAgent`."""
        count = len(assignment.episodes) if self._remembers else 1
        if count > 1 and not self._parallel:
            raise AgentError(
                f"{self.server} keeps the history of one episode, and {count} worlds are to be played at once: play "
                "them one at a time, or write parallel=true in the address if it keeps sessions apart"
            )
        self._sessions = [str(uuid.uuid4()) for _ in range(count)]
        for session in self._sessions:
            data = pack({"endpoint": "reset", **self._session(session)}, encode)
            insisting(self._connection, self._options, partial(self._reset, data))

    def message(self, view: View, world: int) -> dict[str, Any]:
        """See `OpenPiAgent`."""
        session = self._sessions[world if self._remembers else 0]
        return {**super().message(view, world), "endpoint": "infer", **self._session(session)}

    def _session(self, session: str) -> dict[str, str]:
        return {"session_id": session} if self._remembers else {}

    def _reset(self, data: bytes) -> None:
        self._connection.send(data)
        found = self._connection.receive()
        if isinstance(found, str) and "success" not in found:  # "reset successful"; anything else is a trace of calls
            raise AgentError(f"{self.server} refused to begin an episode: {told(found)}")

    def _greet(self, connection: Connection) -> None:
        super()._greet(connection)
        try:
            wishes = _Wishes.model_validate(self.metadata)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise AgentError(f"{self.server} says that it wants {name}: {first['msg']}") from error
        if self._wishes not in (None, wishes):
            raise AgentError(f"{self.server} came back as another one; make the agent anew")
        self._wishes = wishes

    @property
    def _remembers(self) -> bool:
        return self._wishes is not None and self._wishes.needs_session_id

    def _actions(self, found: Any) -> Any:
        if isinstance(found, dict):
            return super()._actions(
                {"actions": found["action"]} if "actions" not in found and "action" in found else found
            )
        return found


def encode(array: Array) -> dict[bytes, Any]:
    """An array as openpi's `msgpack_numpy` writes it."""
    return {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": array.dtype.str, b"shape": array.shape}


def decode(found: dict[Any, Any]) -> Any:
    """What a map of a message stands for: an array, a number, or itself.

    Raises:
        WireError: an array that is none.
    """
    if not _MARKS & found.keys():
        return found
    named = {name.decode("latin-1") if isinstance(name, bytes) else name: value for name, value in found.items()}
    if "__ndarray__" in named:
        return array_of(named.get("dtype"), named.get("shape"), named.get("data"))
    value = named.get("data")
    if not isinstance(value, bool | int | float | str):
        raise WireError(f"a number is {type(value).__name__}")
    return value
