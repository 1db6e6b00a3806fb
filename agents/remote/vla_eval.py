"""Model servers of vla-eval: `vla_eval:ws://host:8000`; `examples/serve_lerobot.py` speaks its protocol too.

vla-eval (https://github.com/allenai/vla-evaluation-harness, `vla_eval.protocol`, version 1 of its protocol): a
websocket with messages of msgpack, maps of `type`, `payload`, `seq` (which an answer repeats) and `timestamp`. A
connection is one session, which keeps what it needs of one episode, so each world has a connection of its own; all are
asked before the first answer is awaited, so that a server can batch them.

    hello {harness_version, protocol_version} -> hello {model_server, ...}
    episode_start {task: {name, suite}}
    observation {images: {name: (height, width, 3) uint8}, states (D,), state (D,), task_description}
        -> action {actions (A,) or (H, A)}
    episode_end {}
    what cannot be done -> error {error}
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import AgentError
from ..agent import Assignment
from .client import RemoteAgent, View
from .connection import Connection, ConnectionLost, insisting
from .options import Parts, RemoteOptions
from .wire import Array, WireError, array_of, pack, told, unpack

PROTOCOL = 1


class VlaEvalOptions(RemoteOptions):
    """Options of `vla_eval:`; see `RemoteOptions`. Servers of vla-eval read "states", or else "state"."""

    state: Parts = tuple((name, ("joint_pos", "gripper_width")) for name in ("states", "state"))


class VlaEvalAgent(RemoteAgent):
    """Worlds that a model server of vla-eval plays.

    Attributes:
        hello: what the server says of itself.
    """

    def __init__(self, url: str, options: RemoteOptions) -> None:
        """Connects.

        Raises:
            AgentError: nobody answers, or not as they should. MissingDependencyError: a library is missing.
        """
        super().__init__(f"the vla-eval server {url}", options)
        self._url = url
        self.hello: Mapping[str, Any] = {}
        self._sessions = [self._session()]

    def begin(self, assignment: Assignment) -> None:
        """See `RemoteAgent`."""
        count = len(assignment.episodes)
        for extra in self._sessions[count:]:
            extra.close()
        self._sessions = self._sessions[:count]
        self._sessions += [self._session() for _ in range(count - len(self._sessions))]
        for session, words in zip(self._sessions, assignment.instructions, strict=True):
            session.begin({"task": {"name": str(words), "suite": assignment.env_id}})

    def ask(self, views: Sequence[View]) -> list[Any]:
        """See `RemoteAgent`."""
        for session, view in zip(self._sessions, views, strict=True):
            session.put(
                {"images": dict(view.pictures), **view.states, "task_description": view.instruction},
            )
        return [session.take() for session in self._sessions]

    def close(self) -> None:
        """See `RemoteAgent`."""
        for session in self._sessions:
            session.close()
        self._sessions = []

    def _session(self) -> _Session:
        return _Session(self._url, self.server, self._options, self._met)

    def _met(self, hello: Mapping[str, Any]) -> None:
        theirs = hello.get("protocol_version", PROTOCOL)
        if theirs != PROTOCOL:
            raise AgentError(
                f"{self.server} speaks version {str(theirs)[:20]} of its protocol, this is for version {PROTOCOL}"
            )
        self.hello = hello


class _Session:
    """One connection: one world."""

    def __init__(self, url: str, server: str, options: RemoteOptions, met: Callable[[Mapping[str, Any]], None]) -> None:
        self._server, self._options, self._met = server, options, met
        self._seq = 0
        self._episode: dict[str, Any] | None = None
        self._observation: dict[str, Any] = {}
        self._due: int | None = None  # None: what was put has not arrived
        self._connection = Connection(url, options, self._greet)

    def begin(self, episode: dict[str, Any]) -> None:
        """Ends the episode that runs, and begins another."""
        self._forsake()
        ended, self._episode = self._episode is not None, None

        def tell() -> None:
            if ended:
                self._send(self._connection, "episode_end", {})
            self._send(self._connection, "episode_start", episode)

        insisting(self._connection, self._options, tell)
        self._episode = episode

    def put(self, observation: dict[str, Any]) -> None:
        """Sends an observation, if the server is there."""
        self._forsake()
        self._observation = observation
        try:
            self._due = self._send(self._connection, "observation", observation)
        except ConnectionLost:
            self._due = None

    def take(self) -> Any:
        """The actions that answer what was put; it is put again if the server went away and came back."""

        def answer() -> Any:
            if self._due is None:
                self._due = self._send(self._connection, "observation", self._observation)
            due, self._due = self._due, None
            return self._receive(self._connection, "action", due)

        found = insisting(self._connection, self._options, answer)
        if "actions" not in found:
            raise AgentError(
                f"{self._server} answered {[str(name)[:40] for name in found][:20]}, where 'actions' were due"
            )
        return found["actions"]

    def close(self) -> None:
        """Leaves."""
        self._connection.close()

    def _forsake(self) -> None:
        """Hangs up on an answer that nobody took, lest it be taken for the next one's."""
        if self._due is not None:
            self._connection.close()
            self._due = None

    def _greet(self, connection: Connection) -> None:
        seq = self._send(connection, "hello", {"harness_version": "pocketworlds", "protocol_version": PROTOCOL})
        self._met(self._receive(connection, "hello", seq))
        if self._episode is not None:
            self._send(connection, "episode_start", self._episode)

    def _send(self, connection: Connection, kind: str, payload: dict[str, Any]) -> int:
        self._seq += 1
        message = {"type": kind, "payload": payload, "seq": self._seq, "timestamp": time.time()}
        connection.send(pack(message, encode))
        return self._seq

    def _receive(self, connection: Connection, kind: str, seq: int) -> dict[str, Any]:
        data = connection.receive()
        try:
            if isinstance(data, str):
                raise WireError("it is text, not bytes")
            found = unpack(data, decode)
            if not isinstance(found, dict) or not isinstance(found.get("payload"), dict):
                raise WireError("it is no map with a type, a payload and a seq")
        except WireError as error:
            raise AgentError(f"{self._server} sent a message that makes no sense: {error}") from error
        if found.get("type") == "error":
            raise AgentError(f"{self._server} refused: {told(found['payload'].get('error', found['payload']))}")
        if found.get("type") != kind or found.get("seq") != seq:
            raise AgentError(
                f"{self._server} sent {str(found.get('type'))[:40]!r} number {str(found.get('seq'))[:20]}, where "
                f"{kind!r} number {seq} was due"
            )
        payload: dict[str, Any] = found["payload"]
        return payload


def encode(array: Array) -> dict[str, Any]:
    """An array as vla-eval's codec writes it; pictures are sent raw as well."""
    return {"__ndarray__": True, "data": array.tobytes(), "dtype": array.dtype.str, "shape": list(array.shape)}


def decode(found: dict[Any, Any]) -> Any:
    """What a map of a message stands for: an array, or itself.

    Raises:
        WireError: an array that is none.
    """
    if "__ndarray__" not in found:
        return found
    return array_of(found.get("dtype"), found.get("shape"), found.get("data"))
