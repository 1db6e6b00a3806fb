"""Small servers that speak the protocols of openpi, RoboArena, vla-eval and GR00T, written after their documentation.

Nothing of `agents.remote` is used, so that a misunderstanding on one side is not shared by the other. What a server
answers is a function of what it was sent; `policy` shows every input in the actions.
"""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgpack
import numpy as np
import zmq
from pocketworlds.agents.agent import Assignment
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

SIZE = 7
LAYOUT = {"joint_pos": slice(0, 3), "joint_vel": slice(3, 6), "gripper_width": slice(6, 7)}

# -- what agents are given ---------------------------------------------------------------------------------------------


def assignment(count: int = 1, **changes: Any) -> Assignment:
    """Episodes of an environment that there is not."""
    given: dict[str, Any] = {
        "env_id": "PocketWorlds/Lift-v0",
        "episodes": np.arange(count),
        "instructions": [f"lift the mug {'!' * j}" for j in range(count)],
        "action_size": SIZE,
        "control_rate": 20.0,
        "state_layout": LAYOUT,
        "env": None,
    }
    return Assignment(**(given | changes))


def observation(count: int = 1, side: int = 16, step: int = 0) -> dict[str, Any]:
    """What worlds show; no two are alike."""
    draws = np.random.default_rng([count, step])
    return {
        "rgb": draws.integers(0, 256, (count, side, side, 3)).astype(np.uint8),
        "state": draws.normal(size=(count, 7)).astype(np.float32),
        "instruction": [f"lift the mug {'!' * j}" for j in range(count)],
    }


def policy(picture: np.ndarray, state: np.ndarray, words: str, steps: int) -> np.ndarray:
    """Actions (steps, 7) in which every input shows."""
    row = [picture.mean() / 255, state[0], state[-1], len(words) / 100, 0, len(state) / 10, picture.shape[0] / 1000]
    chunk = np.tile(np.array(row, dtype=np.float32), (steps, 1))
    chunk[:, 4] = np.arange(steps) / 100
    return chunk


def expected(seen: Mapping[str, Any], steps: int) -> np.ndarray:
    """What `policy` does in all worlds that are seen, from `joint_pos` and `gripper_width`."""
    return np.stack(
        [
            policy(seen["rgb"][j], seen["state"][j][[0, 1, 2, 6]], seen["instruction"][j], steps)
            for j in range(len(seen["rgb"]))
        ]
    )


# -- websockets --------------------------------------------------------------------------------------------------------


class Web:
    """A websocket server in threads.

    Attributes:
        seen: what was received, decoded, in order. connections: those that there are or were. headers: of each.
    """

    def __init__(self, talk: Callable[[Web, Any], None], port: int = 0, **options: Any) -> None:
        self.seen: list[Any] = []
        self.connections: list[Any] = []
        self.headers: list[Any] = []
        self._talk = talk
        self._server = serve(self._met, "127.0.0.1", port, max_size=None, compression=None, **options)
        self.port = self._server.socket.getsockname()[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Dies: nobody is told."""
        self._server.shutdown()
        self.drop()
        self._thread.join(10)

    def drop(self) -> None:
        """Cuts every line."""
        for connection in self.connections:
            with suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)

    def _met(self, connection: Any) -> None:
        self.connections.append(connection)
        self.headers.append(connection.request.headers)
        with suppress(ConnectionClosed, OSError):
            self._talk(self, connection)


def openpi_pack(message: Any) -> bytes:
    def plain(array: np.ndarray) -> Any:
        return {b"__ndarray__": True, b"data": array.tobytes(), b"dtype": array.dtype.str, b"shape": array.shape}

    return msgpack.packb(message, default=plain)


def openpi_unpack(data: bytes) -> Any:
    def array(found: Any) -> Any:
        if b"__ndarray__" not in found:
            return found
        return np.ndarray(buffer=found[b"data"], dtype=np.dtype(found[b"dtype"]), shape=found[b"shape"])

    return msgpack.unpackb(data, object_hook=array)


def openpi(answer: Callable[[Any], Any], metadata: Any = None) -> Callable[[Web, Any], None]:
    """A server of openpi whose policy is `answer`; what is text or bytes is sent as it is."""

    def talk(web: Web, connection: Any) -> None:
        connection.send(openpi_pack({"robot": "panda"} if metadata is None else metadata))
        for data in connection:
            message = openpi_unpack(data)
            web.seen.append(message)
            found = answer(message)
            if found is None:
                return
            connection.send(found if isinstance(found, str | bytes) else openpi_pack(found))

    return talk


def vla_pack(message: Any) -> bytes:
    def plain(array: np.ndarray) -> Any:
        return {
            "__ndarray__": True,
            "data": array.tobytes(),
            "dtype": array.dtype.str,
            "shape": list(array.shape),
        }

    return msgpack.packb(message, default=plain, use_bin_type=True)


def vla_unpack(data: bytes) -> Any:
    def array(found: Any) -> Any:
        if "__ndarray__" not in found:
            return found
        return np.frombuffer(found["data"], dtype=np.dtype(found["dtype"])).reshape(found["shape"])

    return msgpack.unpackb(data, object_hook=array, raw=False)


def vla_eval(answer: Callable[[Any, int], Any], hello: Any = None) -> Callable[[Web, Any], None]:
    """A server of vla-eval's protocol; `answer` gets a payload and how many there were in the episode before."""

    def talk(web: Web, connection: Any) -> None:
        step = 0
        for data in connection:
            message = vla_unpack(data)
            assert set(message) == {"type", "payload", "seq", "timestamp"}
            web.seen.append((len(web.connections), message["type"], message["payload"]))
            kind, seq = message["type"], message["seq"]
            if kind == "hello":
                told = {"harness_version": "0.8.0", "protocol_version": 1, "model_server": "Test", "capabilities": {}}
                told = told if hello is None else hello
                connection.send(vla_pack({"type": "hello", "payload": told, "seq": seq, "timestamp": 0.0}))
            elif kind == "episode_start":
                step = 0
            elif kind == "observation":
                found = answer(message["payload"], step)
                step += 1
                if found is None:
                    return
                if not isinstance(found, str | bytes):
                    found = vla_pack({"type": "action", "seq": seq, "timestamp": 0.0} | found)
                connection.send(found)

    return talk


# -- ZeroMQ ------------------------------------------------------------------------------------------------------------


def groot_pack(message: Any) -> bytes:
    def plain(array: np.ndarray) -> Any:
        file = io.BytesIO()
        np.save(file, array, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": file.getvalue()}

    return msgpack.packb(message, default=plain)


def groot_unpack(data: bytes) -> Any:
    def array(found: Any) -> Any:
        if "__ndarray_class__" not in found:
            return found
        return np.load(io.BytesIO(found["as_npy"]), allow_pickle=False)

    return msgpack.unpackb(data, object_hook=array)


def modality(names: list[str], deltas: list[int]) -> Any:
    """What GR00T says of one: with fields of a `ModalityConfig` that nobody here asks for."""
    told = {"delta_indices": deltas, "modality_keys": names, "sin_cos_embedding_keys": None, "action_configs": None}
    return {"__ModalityConfig_class__": True, "as_json": told}


MODALITIES = {
    "video": modality(["front"], [0]),
    "state": modality(["joint_pos", "gripper_width"], [0]),
    "action": modality(["arm", "gripper"], list(range(16))),
    "language": modality(["annotation.human.action.task_description"], [0]),
}


class Groot:
    """A GR00T server in a thread: one request at a time, as theirs.

    Attributes:
        seen: the requests, decoded.
    """

    def __init__(
        self,
        get_action: Callable[[Any], Any],
        modalities: Any = None,
        *,
        port: int = 0,
        token: str | None = None,
    ) -> None:
        self.seen: list[Any] = []
        self._get_action, self._token = get_action, token
        self._modalities = MODALITIES if modalities is None else modalities
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(f"tcp://127.0.0.1:{port or '*'}")
        self.port = int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Dies: nobody is told."""
        self._stopped.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._socket.poll(20):
                request = groot_unpack(self._socket.recv())
                self.seen.append(request)
                found = self._answer(request)
                if found is None:  # the request is lost
                    break
                if isinstance(found, list) and all(isinstance(part, bytes) for part in found):
                    self._socket.send_multipart(found)
                else:
                    self._socket.send(found if isinstance(found, bytes) else groot_pack(found))
        self._socket.close(linger=0)
        self._context.term()

    def _answer(self, request: Any) -> Any:
        if self._token is not None and request.get("api_token") != self._token:
            return {"error": "Unauthorized: Invalid API token"}
        if request["endpoint"] == "get_modality_config":
            return self._modalities
        if request["endpoint"] == "reset":
            assert request["data"] == {"options": None}
            return {}
        assert request["endpoint"] == "get_action"
        return self._get_action(request["data"]["observation"])


def groot_policy(seen: Any) -> Any:
    """`policy` in a batch, 16 steps, in two parts."""
    state = np.concatenate([seen["state"]["joint_pos"][:, -1], seen["state"]["gripper_width"][:, -1]], axis=1)
    words = seen["language"]["annotation.human.action.task_description"]
    chunks = [policy(seen["video"]["front"][j, -1], state[j], words[j][0], 16) for j in range(len(state))]
    whole = np.stack(chunks)
    return [{"arm": whole[:, :, :6], "gripper": whole[:, :, 6:]}, {}]
