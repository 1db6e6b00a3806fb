"""A ZeroMQ socket of requests and answers: with limits on time and size, and opened anew after a server was lost."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from ...errors import AgentError
from .options import RemoteOptions, check_url
from .wire import LARGEST, need

_GREETING = 10.0  # seconds for a handshake


class Channel:
    """A socket.

    ZeroMQ itself would connect again behind the scenes, and a request that was lost would wait for ever; so it is told
    not to, and what it says of its connection is listened to.

    Attributes:
        url: of the server.
    """

    def __init__(self, url: str, options: RemoteOptions) -> None:
        """Connects.

        Raises:
            AgentError: nobody is there. MissingDependencyError: a library is missing.
        """
        self._zmq, self._monitoring = need("zmq"), need("zmq.utils.monitor")
        self.url, self._options = check_url(url, ("tcp",)), options
        self._context = self._zmq.Context()
        self._socket: Any = None
        self._events: Any = None
        self._connect()

    def exchange(self, request: bytes) -> list[bytes]:
        """The parts of the answer to a request, asked anew of a server that went away and came back.

        Raises:
            AgentError: the server does not answer in time, goes away every time, or does not come back.
        """
        for attempt in range(self._options.attempts + 1):
            if attempt or self._socket is None:
                self._connect()
            found = self._asked(request)
            if found is not None:
                return found
            self.close()
        raise AgentError(
            f"the server {self.url} goes away whenever it is asked, or answers with more than {LARGEST} bytes; look at "
            "what it prints"
        )

    def close(self) -> None:
        """Leaves the server."""
        if self._socket is not None:
            with suppress(self._zmq.ZMQError):
                self._socket.disable_monitor()
            self._events.close(linger=0)
            self._socket.close(linger=0)
            self._socket = self._events = None

    def _connect(self) -> None:
        for attempt in range(self._options.attempts):
            if attempt:
                time.sleep(self._options.wait)
            self._open()
            if self._met():
                return
        self.close()
        raise AgentError(
            f"no ZeroMQ server answers at {self.url}: is it started (of GR00T: python gr00t/eval/run_gr00t_server.py), "
            "and is the port its own?"
        )

    def _open(self) -> None:
        self.close()
        zmq = self._zmq
        self._socket = self._context.socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, LARGEST)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        kinds = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED
        kinds |= zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        self._events = self._socket.get_monitor_socket(kinds)
        self._socket.connect(self.url)

    def _met(self) -> bool:
        """Whether somebody who speaks ZeroMQ is there."""
        if not self._events.poll(int(1000 * min(self._options.timeout, _GREETING))):
            return False
        found = self._monitoring.recv_monitor_message(self._events)["event"]
        return bool(found == self._zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def _asked(self, request: bytes) -> list[bytes] | None:
        """The answer; None: the server went away."""
        zmq = self._zmq
        try:
            self._socket.send(request, flags=zmq.NOBLOCK)
        except zmq.ZMQError:  # nobody is there to send to
            return None
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        ready = dict(poller.poll(int(1000 * self._options.timeout)))
        if self._socket in ready:
            frames: list[bytes] = self._socket.recv_multipart()
            return frames
        if self._events in ready:  # all that can have happened is that the server went away
            return None
        self.close()
        raise AgentError(
            f"the server {self.url} did not answer within {self._options.timeout:g} s; look at what it prints, or wait "
            "longer with timeout=<seconds> in the address"
        )
