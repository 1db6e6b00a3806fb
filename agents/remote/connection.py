"""A websocket to a server of policies: with limits on time and size, and found again after it was lost."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from ...errors import AgentError
from .options import RemoteOptions, check_url
from .wire import LARGEST, need

_GREETING = 10.0  # seconds for a handshake
_FAREWELL = 1.0
_TOO_LARGE = 1009
_OURS = {
    1002: "it breaks the websocket protocol",
    1007: "it sent text that is none",
    _TOO_LARGE: f"its message has more than {LARGEST} bytes",
}
"""Codes with which this side hangs up, and why: no use to try again."""


class ConnectionLost(Exception):
    """The server went away."""


class Connection:
    """A websocket.

    Attributes:
        url: of the server.
    """

    def __init__(
        self,
        url: str,
        options: RemoteOptions,
        greet: Callable[[Connection], None],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Connects, and `greet`s: says and hears what the protocol wants of every new connection.

        Raises:
            AgentError: nobody answers, or not as they should. MissingDependencyError: a library is missing.
        """
        self.url = check_url(url, ("ws", "wss"))
        self._options, self._greet, self._headers = options, greet, dict(headers or {})
        self._socket: Any = None
        self._open = ExitStack()
        self.connect()

    def connect(self) -> None:
        """Leaves, if it is there, and connects anew.

        Raises:
            AgentError: see `__init__`.
        """
        client, errors = need("websockets.sync.client"), need("websockets.exceptions")
        self.close()
        last: Exception | None = None
        for attempt in range(self._options.attempts):
            if attempt:
                time.sleep(self._options.wait)
            try:
                knock = client.connect(
                    self.url,
                    additional_headers=self._headers,
                    max_size=LARGEST,
                    compression=None,
                    open_timeout=min(self._options.timeout, _GREETING),
                    close_timeout=_FAREWELL,
                    ping_interval=None,  # who computes an action may not answer meanwhile
                )
                self._socket = self._open.enter_context(knock)
                self._greet(self)
                return
            except errors.InvalidURI as error:
                raise AgentError(f"{self.url!r} is no address of a server; write ws://host:port") from error
            except AgentError:
                self.close()
                raise
            except (OSError, EOFError, errors.InvalidHandshake, ConnectionLost) as error:  # TimeoutError is an OSError
                self.close()
                last = error
        raise AgentError(
            f"no server of policies answers at {self.url} ({last or 'it hangs up'}): is it started, is it of this "
            "protocol, and does it want a key?"
        ) from last

    def send(self, data: bytes) -> None:
        """Sends a message.

        Raises:
            ConnectionLost: the server went away. AgentError: it does not take the message in time.
        """
        errors = need("websockets.exceptions")
        there, cut = self._there(), threading.Event()

        def hang_up() -> None:
            cut.set()
            with suppress(OSError):
                there.socket.shutdown(socket.SHUT_RDWR)

        watch = threading.Timer(self._options.timeout, hang_up)
        watch.daemon = True
        watch.start()
        try:
            there.send(data)
        except (errors.ConnectionClosed, OSError) as error:
            self.close()
            if cut.is_set():
                raise self._late("take a message") from error
            raise ConnectionLost(str(error)) from error
        finally:
            watch.cancel()

    def receive(self) -> bytes | str:
        """The next message.

        Raises:
            ConnectionLost: the server went away. AgentError: it takes too long, or sends what is no message.
        """
        errors = need("websockets.exceptions")
        try:
            found: bytes | str = self._there().recv(timeout=self._options.timeout)
            return found
        except TimeoutError as error:
            self.close()
            raise self._late("answer") from error
        except (errors.ConnectionClosed, OSError) as error:
            self.close()
            self._judge(getattr(error, "sent", None), getattr(error, "rcvd", None), error)
            raise ConnectionLost(str(error)) from error

    def close(self) -> None:
        """Leaves the server."""
        with suppress(OSError):
            self._open.close()
        self._socket = None

    def _there(self) -> Any:
        if self._socket is None:
            raise ConnectionLost("it hung up")
        return self._socket

    def _judge(self, sent: Any, received: Any, error: Exception) -> None:
        """Raises, if to ask again is no use: `sent` and `received` are the reasons with which the two sides hung up."""
        if received is not None:
            if received.code == _TOO_LARGE:
                raise AgentError(
                    f"the server {self.url} takes no messages as large as this one; make image_size smaller"
                ) from error
        elif sent is not None and sent.code in _OURS:
            raise AgentError(f"the server {self.url} cannot be understood: {_OURS[sent.code]}") from error

    def _late(self, what: str) -> AgentError:
        return AgentError(
            f"the server {self.url} did not {what} within {self._options.timeout:g} s; look at what it prints, or wait "
            "longer with timeout=<seconds> in the address"
        )


def insisting(connection: Connection, options: RemoteOptions, ask: Callable[[], Any]) -> Any:
    """What `ask` finds on a connection, asked anew of a server that went away and came back.

    Raises:
        AgentError: it goes away every time, or does not come back.
    """
    last = ConnectionLost()
    for attempt in range(options.attempts + 1):
        if attempt:
            connection.connect()
        try:
            return ask()
        except ConnectionLost as error:
            last = error
    raise AgentError(
        f"the server {connection.url} goes away whenever it is asked ({last}); look at what it prints"
    ) from last
