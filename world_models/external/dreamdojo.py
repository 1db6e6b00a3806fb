"""DreamDojo behind `NeuralSimulator`: it runs in a process of its own, with its own libraries; a socket leads there.

`dreamdojo_server` says what is sent. A world's last frames and actions are kept here, so a server that was started
anew goes on where the old one was. It says no states and no rewards, and sees through one camera; states come from a
probe, see `probed`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, Field, ValidationError
from torch import Tensor

from ...errors import CheckpointError, MissingDependencyError
from ..frames.settings import Strict
from ..frames.worlds import HeldWorlds
from ..simulator import Context, Prediction, Spec
from .dreamdojo_server import CONTEXT, PROTOCOL, WireError, decode, encode
from .poses import SCALES
from .slots import CHUNK, SIZE, packed, relative

KIND = "dreamdojo"
LICENCE = (
    "code Apache-2.0; weights: see https://huggingface.co/nvidia/DreamDojo (its base is under the NVIDIA Open Model "
    "License)"
)
_START = (
    "start one inside an installation of DreamDojo (https://github.com/NVIDIA/DreamDojo, code Apache-2.0; weights "
    "nvidia/DreamDojo on Hugging Face, and with them Cosmos-Predict2.5-2B, Cosmos-Reason1 and the Wan 2.1 tokeniser): "
    "python dreamdojo_server.py --checkpoint <folder> ..., a file of pocketworlds/world_models/external that says how"
)
_LARGEST = 1 << 30
_SEEDS = (1 << 31) - 1 - (1 << 20)  # the server adds the number of passes and wants 31 bits


class DreamDojoOptions(Strict):
    """Options of an address.

    Attributes:
        timeout: seconds to wait for an answer; a compiled model's first chunks take minutes. attempts: how often to
            knock at a server that is not there, or that went away. wait: seconds between them.
    """

    timeout: Annotated[float, Field(gt=0, le=3600)] = 300.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    wait: Annotated[float, Field(ge=0, le=60)] = 1.0


class Hello(BaseModel):
    """What a server says of its model."""

    protocol: int
    chunk: int
    slots: int
    image_size: tuple[Annotated[int, Field(ge=16, le=4096)], Annotated[int, Field(ge=16, le=4096)]]
    embodiment: str
    control_mode: str
    action_size: Annotated[int, Field(ge=1, le=SIZE)]
    period: Annotated[float, Field(gt=0, le=10)]
    robot: str = ""
    camera: str = "front"
    licence: str = LICENCE
    weights: str = ""

    def spec(self) -> Spec:
        """What the model takes and gives."""
        return Spec(
            kind=KIND,
            control_mode=self.control_mode,
            action_size=self.action_size,
            state={},
            scene_size=0,
            image_size=self.image_size,
            camera=self.camera,
            period=self.period,
            context=1,
            chunk=CHUNK,
            horizon=0,
            licence=self.licence,
            weights=self.weights,
            robot=self.robot,
        )


class ConnectionLost(Exception):
    """The server went away; what it knew of worlds is gone."""


class Connection:
    """Asks a server, and comes back to it after it was away.

    Attributes:
        visits: how often it was connected. hello: what the server said first.
    """

    def __init__(self, url: str, options: DreamDojoOptions) -> None:
        """Connects.

        Raises:
            CheckpointError: nobody answers, or not as they should. MissingDependencyError: a library is missing.
        """
        try:
            import msgpack  # noqa: F401
            import websockets.sync.client  # noqa: F401
        except ImportError as error:
            raise MissingDependencyError(
                f"DreamDojo is reached through {error.name}, which is missing: pip install pocketworlds[dreamdojo]"
            ) from error
        self.url, self._options = url, options
        self._socket: Any = None
        self._open = ExitStack()
        self.visits = 0
        self.hello = self._connect()

    def ask(self, message: Mapping[str, Any], wanted: str) -> dict[str, Any]:
        """The answer to a message, of type `wanted`.

        Raises:
            ConnectionLost: the server went away; it has been found again, and knows nothing. CheckpointError: it does
                not come back, takes too long, or refuses.
        """
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(encode(message))
            data = self._socket.recv(timeout=self._options.timeout)
        except TimeoutError as error:
            self.close()
            raise CheckpointError(
                f"DreamDojo's server {self.url} did not answer within {self._options.timeout:g} s; look at what it "
                "prints, or wait longer with ?timeout=<seconds> in the address"
            ) from error
        except (ConnectionClosed, OSError, AttributeError) as error:
            self.close()
            hello = self._connect()
            if hello != self.hello:
                self.close()
                raise CheckpointError(
                    f"DreamDojo's server {self.url} came back with another model; open it anew"
                ) from error
            raise ConnectionLost from error
        return self._read(data, wanted)

    def close(self) -> None:
        """Leaves."""
        self._open.close()
        self._socket = None

    def _connect(self) -> Hello:
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
        from websockets.sync.client import connect

        last: Exception | None = None
        for attempt in range(self._options.attempts):
            if attempt:
                time.sleep(self._options.wait)
            try:
                knock = connect(
                    self.url,
                    max_size=_LARGEST,
                    compression=None,
                    open_timeout=min(self._options.timeout, 10.0),
                    ping_interval=None,
                )
                self._socket = self._open.enter_context(knock)
                self._socket.send(encode({"type": "hello"}))
                told = self._read(self._socket.recv(timeout=self._options.timeout), "hello")
                self.visits += 1
                return self._checked(told)
            except InvalidURI as error:
                raise CheckpointError(f"{self.url!r} is no address of a server; write ws://host:port") from error
            except (OSError, EOFError, InvalidHandshake, ConnectionClosed) as error:  # TimeoutError is an OSError
                self.close()
                last = error
            except BaseException:  # it is there, and not what is wanted: nobody else could leave it
                self.close()
                raise
        raise CheckpointError(f"no DreamDojo server answers at {self.url} ({last}); {_START}") from last

    def _read(self, data: bytes | str, wanted: str) -> dict[str, Any]:
        try:
            found = decode(data)
        except WireError as error:
            raise CheckpointError(f"{self.url} is no DreamDojo server: {error}") from error
        if found["type"] == "error":
            raise CheckpointError(f"DreamDojo's server {self.url} refused: {found.get('message')}")
        if found["type"] != wanted:
            raise CheckpointError(
                f"{self.url} answered {found['type']!r} where {wanted!r} was due; is it of this version?"
            )
        return found

    def _checked(self, told: Mapping[str, Any]) -> Hello:
        try:
            hello = Hello.model_validate(told)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise CheckpointError(f"DreamDojo's server {self.url} gives {name}: {first['msg']}; update it") from error
        for name, theirs, ours in (
            ("protocol", hello.protocol, PROTOCOL),
            ("chunk", hello.chunk, CHUNK),
            ("slots", hello.slots, SIZE),
        ):
            if theirs != ours:
                raise CheckpointError(
                    f"DreamDojo's server {self.url} has {name} {theirs}, this version needs {ours}; use its "
                    "dreamdojo_server.py"
                )
        if hello.control_mode not in SCALES:
            raise CheckpointError(
                f"DreamDojo's server {self.url} is for control_mode={hello.control_mode!r}; what can be sent as "
                f"motions is {list(SCALES)}"
            )
        if len(SCALES[hello.control_mode]) != hello.action_size:
            raise CheckpointError(
                f"DreamDojo's server {self.url} has actions of {hello.action_size} numbers; {hello.control_mode} has "
                f"{len(SCALES[hello.control_mode])}"
            )
        packed(torch.zeros(hello.action_size), hello.embodiment)
        return hello


class DreamDojoModel(HeldWorlds):
    """`num_envs` worlds of a server's model, by chunks of 12; see `chunks.ChunkModel`.

    All worlds of a step go in one message; the server makes them one after the other, as DreamDojo has batches of one.
    """

    def __init__(self, connection: Connection, num_envs: int) -> None:
        hello = connection.hello
        super().__init__(num_envs, hello.spec(), torch.device("cpu"))
        self._connection, self._embodiment = connection, hello.embodiment
        self._scale = torch.tensor(SCALES[hello.control_mode])
        self._known: set[int] = set()  # worlds of which the server knows what is held here
        self._visit = connection.visits

    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`: from one frame; states and scenes are not looked at.

        Raises:
            CheckpointError: there is no picture, or it has another size.
        """
        size = self.spec.image_size
        assert size is not None
        if context.image is None or tuple(context.image.shape[2:4]) != size:
            told = None if context.image is None else tuple(context.image.shape[2:4])
            raise CheckpointError(f"DreamDojo's server makes pictures of {size}, the context has {told}")
        count = len(ids)
        images = torch.zeros(count, CONTEXT, *size, 3, dtype=torch.uint8)
        images[:, -1] = context.image[:, -1]
        command = torch.zeros(count, self.spec.action_size)
        command[:, -1] = 1.0  # episodes begin with the gripper open
        held = {
            "images": images,
            "frames": torch.ones(count, dtype=torch.int64),
            "past": torch.zeros(count, CONTEXT - 1, SIZE),
            "command": command,
            "seed": (context.seed & 0x7FFFFFFFFFFFFFFF) % _SEEDS,
            "counter": torch.zeros(count, dtype=torch.int64),
        }
        self.set_state(ids, held)

    def step_chunk(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `chunks.ChunkModel`.

        Raises:
            CheckpointError: the server does not answer, or refuses; the message says why, and what to do.
        """
        held = self._take(ids)
        commands = self._commands(held["command"], action.float())
        slots = packed(relative(commands, held["command"]), self._embodiment)
        images = self._asked(ids, held, slots)
        first = held["frames"] == 1
        passes = torch.where(first, 1, 3)
        changed = {
            "images": torch.cat([held["images"], images], 1)[:, -CONTEXT:],
            "frames": torch.full_like(held["frames"], CONTEXT),
            "past": slots[:, 1 - CONTEXT :],
            "command": commands[:, -1],
            "seed": held["seed"],
            "counter": held["counter"] + passes,
        }
        self._put(ids, changed)
        return Prediction(image=images, state=None, uncertainty=None)

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `NeuralSimulator`."""
        super().set_state(ids, state)
        self._known.difference_update(ids.tolist())

    def close(self) -> None:
        """Leaves the server."""
        self._connection.close()

    def _commands(self, before: Tensor, action: Tensor) -> Tensor:
        """Where the gripper is told to be (m, 12, A), relative to the episode's start, and how far open."""
        moved = before[:, None, :-1] + (action[..., :-1] * self._scale[:-1]).cumsum(1)
        return torch.cat([moved, action[..., -1:] * self._scale[-1:]], -1)

    def _asked(self, ids: Tensor, held: Mapping[str, Tensor], slots: Tensor) -> Tensor:
        """Frames (m, 12, height, width, 3) from the server, which is told first what it does not know."""
        message = {"type": "step", "worlds": ids.numpy(), "actions": slots.numpy().astype(np.float32)}
        for _ in range(2):
            try:
                self._tell(ids, held)
                found = self._connection.ask(message, "frames").get("images")
                break
            except ConnectionLost:
                continue
        else:
            raise CheckpointError(f"DreamDojo's server {self._connection.url} goes away at every step; {_START}")
        wanted = (len(ids), CHUNK, *(self.spec.image_size or ()), 3)
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8 or found.shape != wanted:
            told = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise CheckpointError(
                f"DreamDojo's server {self._connection.url} sent {told} for frames, not uint8 {wanted}"
            )
        self._known.update(ids.tolist())
        return torch.from_numpy(found.copy())

    def _tell(self, ids: Tensor, held: Mapping[str, Tensor]) -> None:
        if self._visit != self._connection.visits:
            self._known.clear()
            self._visit = self._connection.visits
        strange = torch.tensor([world not in self._known for world in ids.tolist()])
        for frames in (1, CONTEXT):
            rows = strange & (held["frames"] == frames)
            if rows.any():
                told = {
                    "worlds": ids[rows].numpy(),
                    "images": held["images"][rows, CONTEXT - frames :].numpy(),
                    "past": held["past"][rows, CONTEXT - frames :].numpy(),
                    "seeds": held["seed"][rows].numpy(),
                    "counts": held["counter"][rows].numpy(),
                }
                self._connection.ask({"type": "reset"} | told, "ready")
        self._known.difference_update(ids.tolist())  # until the step has been answered


def open_dreamdojo(url: str, num_envs: int, options: DreamDojoOptions) -> DreamDojoModel:
    """Worlds of the model that a server at `url` ("ws://host:port") has.

    Raises:
        CheckpointError, MissingDependencyError: see `Connection`.
    """
    return DreamDojoModel(Connection(url, options), num_envs)
