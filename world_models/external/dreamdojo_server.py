"""Serves DreamDojo to `dreamdojo.DreamDojoModel`, from inside an installation of DreamDojo.

This file needs nothing else of this package: copy it into a checkout of https://github.com/NVIDIA/DreamDojo that runs,
install `msgpack` and `websockets` there, and start it where the checkout's root is the working folder:

    python dreamdojo_server.py --checkpoint checkpoints/iter_000006000 --embodiment own --control-mode ee_delta \\
        --action-size 7 --period 0.05

It listens on this machine only; who can reach it can use the GPU, so open it to others through ssh alone.

Messages are msgpack maps over a websocket, one answer to each; arrays are maps of `dtype`, `shape` and `data`:

* {type: hello} -> {type: hello, protocol, chunk, slots, image_size, embodiment, control_mode, action_size, ...}
* {type: reset, worlds (m,), images (m, T, height, width, 3) uint8, past (m, P, 384), seeds (m,), counts (m,)} ->
  {type: ready}: worlds whose last T frames were these, with the actions between them; T is 1 and P is 0, or T is 9
  and P is 8. `counts` are the passes that the model made before.
* {type: step, worlds (m,), actions (m, 12, 384)} -> {type: frames, images (m, 12, height, width, 3) uint8}
* what cannot be done -> {type: error, message}

Worlds belong to a connection and end with it.
"""

from __future__ import annotations

import argparse
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

PROTOCOL = 1
SLOTS, CHUNK, GROUP = 384, 12, 4
CONTEXT = CHUNK - GROUP + 1
"""Frames that the model looks back on, once there are so many."""
_TYPES = ("uint8", "float32", "int64")
_LARGEST = 1 << 30  # bytes of a message

Array = np.ndarray[Any, Any]


class WireError(ValueError):
    """A message that makes no sense."""


class Engine(Protocol):
    """What makes frames.

    Attributes:
        info: what it is: `image_size` (height, width), `embodiment`, `control_mode`, `action_size`, `period` [s],
            `licence`, `weights`, `robot`, `camera`; any may be missing but the first.
    """

    info: Mapping[str, Any]

    def run(self, images: Array, actions: Array, seed: int, count: int) -> Array:
        """The frames (13 - T, height, width, 3) uint8 after T others, with all 12 actions (12, 384) since the first.

        `count` is the number of passes before this one, for what is drawn by chance.
        """


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as bytes."""
    import msgpack

    found: bytes = msgpack.packb({name: _plain(value) for name, value in message.items()}, use_bin_type=True)
    return found


def decode(data: bytes | str) -> dict[str, Any]:
    """The message of bytes.

    Raises:
        WireError: they are none.
    """
    import msgpack

    if isinstance(data, str):
        raise WireError("messages are bytes, not text")
    try:
        found = msgpack.unpackb(data, raw=False, max_bin_len=_LARGEST)
    except (ValueError, msgpack.UnpackException) as error:
        raise WireError(f"the message is no msgpack ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise WireError("a message is a map with a type")
    return {str(name): _value(name, value) for name, value in found.items()}


def serve(
    engine: Engine, host: str = "127.0.0.1", port: int = 8765, started: Callable[[Any], None] | None = None
) -> None:
    """Serves until it is shut down; `started` is told the server (`socket`, `shutdown()`) once it listens."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve as listen

    lock = threading.Lock()  # one GPU: one pass at a time

    def talk(connection: Any) -> None:
        worlds = _Worlds(engine)
        try:
            for data in connection:
                connection.send(encode(_answer(worlds, data, lock)))
        except ConnectionClosed:
            pass

    with listen(talk, host, port, max_size=_LARGEST, compression=None, ping_interval=None) as server:
        if started is not None:
            started(server)
        server.serve_forever()


class _Worlds:
    """What each world has shown last."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._size = tuple(int(each) for each in engine.info["image_size"])
        self._images: dict[int, Array] = {}
        self._past: dict[int, Array] = {}
        self._seed: dict[int, int] = {}
        self._count: dict[int, int] = {}

    def hello(self) -> dict[str, Any]:
        told = {"type": "hello", "protocol": PROTOCOL, "chunk": CHUNK, "slots": SLOTS}
        return told | dict(self.engine.info) | {"image_size": list(self._size)}

    def reset(self, message: Mapping[str, Any]) -> dict[str, Any]:
        worlds = _array(message, "worlds", np.int64, (None,))
        m = len(worlds)
        images = _array(message, "images", np.uint8, (m, None, *self._size, 3))
        frames = images.shape[1]
        if frames not in (1, CONTEXT):
            raise WireError(f"a world begins with 1 or {CONTEXT} frames, not {frames}")
        past = _array(message, "past", np.float32, (m, frames - 1, SLOTS))
        seeds, counts = (_array(message, name, np.int64, (m,)) for name in ("seeds", "counts"))
        for row, world in enumerate(worlds.tolist()):
            self._images[world], self._past[world] = images[row], past[row]
            self._seed[world], self._count[world] = int(seeds[row]), int(counts[row])
        return {"type": "ready"}

    def step(self, message: Mapping[str, Any]) -> dict[str, Any]:
        worlds = _array(message, "worlds", np.int64, (None,))
        actions = _array(message, "actions", np.float32, (len(worlds), CHUNK, SLOTS))
        unknown = [world for world in worlds.tolist() if world not in self._images]
        if unknown:
            raise WireError(f"world {unknown[0]} has not begun; send a reset first")
        made = [self._go_on(world, actions[row]) for row, world in enumerate(worlds.tolist())]
        return {"type": "frames", "images": np.stack(made)}

    def _go_on(self, world: int, actions: Array) -> Array:
        """Twelve frames: at once after the first, else by fours, each with the eight actions before."""
        images, past, made = self._images[world], self._past[world], []
        while len(actions):
            fresh = CHUNK - len(past)
            now = np.concatenate([past, actions[:fresh]])
            new = self.engine.run(images, now, self._seed[world], self._count[world])
            made.append(new)
            images = np.concatenate([images, new])[-CONTEXT:]
            past, actions = now[GROUP:], actions[fresh:]
            self._count[world] += 1
        self._images[world], self._past[world] = images, past
        return np.concatenate(made)


def _answer(worlds: _Worlds, data: bytes | str, lock: threading.Lock) -> dict[str, Any]:
    try:
        message = decode(data)
        kinds = {"hello": lambda _: worlds.hello(), "reset": worlds.reset, "step": worlds.step}
        if message["type"] not in kinds:
            raise WireError(f"{message['type']!r} is no type of message; there are {list(kinds)}")
        with lock:
            return kinds[message["type"]](message)
    except WireError as error:
        return {"type": "error", "message": str(error)}
    except Exception as error:  # the model's own faults are told, and the server goes on
        return {"type": "error", "message": f"the model failed: {error!r}"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.name not in _TYPES:
            raise WireError(f"arrays are of {list(_TYPES)}, not {value.dtype.name}")
        return {"dtype": value.dtype.name, "shape": list(value.shape), "data": np.ascontiguousarray(value).tobytes()}
    return value


def _value(name: str, value: Any) -> Any:
    if not (isinstance(value, dict) and set(value) == {"dtype", "shape", "data"}):
        return value
    kind, shape, data = value["dtype"], value["shape"], value["data"]
    sane = isinstance(shape, list) and all(isinstance(side, int) and side >= 0 for side in shape)
    if kind not in _TYPES or not sane or not isinstance(data, bytes):
        raise WireError(f"{name} is no array")
    if math.prod(shape) * np.dtype(kind).itemsize != len(data):
        raise WireError(f"{name} has {len(data)} bytes, which are no {kind} of shape {tuple(shape)}")
    return np.frombuffer(data, dtype=kind).reshape(shape)


def _array(message: Mapping[str, Any], name: str, kind: type[Any], shape: tuple[int | None, ...]) -> Array:
    value = message.get(name)
    if not isinstance(value, np.ndarray) or value.dtype != kind:
        raise WireError(f"{name} must be an array of {np.dtype(kind).name}")
    if len(value.shape) != len(shape) or any(b is not None and a != b for a, b in zip(value.shape, shape, strict=True)):
        raise WireError(f"{name} has shape {value.shape}, it should be {shape}")
    if kind is np.float32 and not np.isfinite(value).all():
        raise WireError(f"{name} holds numbers that are not finite")
    return value


class DreamDojoEngine:
    """The distilled, real-time DreamDojo (`interactive.inference.action_video2world_teleop` of its repository)."""

    def __init__(self, args: argparse.Namespace) -> None:
        try:
            import torch
            from cosmos_predict2._src.predict2.interactive.inference.action_video2world_teleop import (
                RealtimeStreamingInference,
            )
        except ImportError as error:
            raise SystemExit(
                f"DreamDojo cannot be imported here ({error}): install https://github.com/NVIDIA/DreamDojo (code "
                "Apache-2.0, CUDA only, tested on an H100 with 80 GB) as its README says, and start this file in the "
                "root of that checkout"
            ) from error
        if not torch.cuda.is_available():
            raise SystemExit("DreamDojo runs on NVIDIA GPUs only, and torch sees none here")
        torch._dynamo.config.recompile_limit = 64
        self._torch, self._steps = torch, args.steps
        self._model = RealtimeStreamingInference(
            config_path=args.config,
            experiment_name=args.experiment,
            ckpt_path=args.checkpoint,
            s3_credential_path="",
            cr1_embeddings_path=args.embeddings,
            compile_model=args.compile,
        )
        frames = int(self._model.config.model.config.cache_frame_size)
        if frames * GROUP != CHUNK:
            raise SystemExit(f"{args.experiment} takes {frames * GROUP} actions at once, this server is for {CHUNK}")
        self.info: Mapping[str, Any] = {
            "model": "DreamDojo",
            "image_size": tuple(args.resolution),
            "embodiment": args.embodiment,
            "control_mode": args.control_mode,
            "action_size": args.action_size,
            "period": args.period,
            "robot": args.robot,
            "camera": args.camera,
            "licence": args.licence,
        }

    def run(self, images: Array, actions: Array, seed: int, count: int) -> Array:
        """See `Engine`."""
        torch = self._torch
        start = (len(images) - 1) // GROUP + 1
        with torch.inference_mode():
            seen = torch.from_numpy(images.copy()).permute(3, 0, 1, 2)[None].contiguous()
            _, video = self._model._run_single_chunk(seen, actions[None], count, seed, self._steps, start)
            new = video[0, :, (start - 1) * GROUP + 1 :].float()
            levels = ((new + 1) * 127.5).clamp(0, 255).to(torch.uint8)
            found: Array = levels.permute(1, 2, 3, 0).cpu().numpy()
        return found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serves DreamDojo to backend='neural'.")
    parser.add_argument("--checkpoint", required=True, help="folder of the distilled model, iter_000006000 for example")
    parser.add_argument("--config", default="cosmos_predict2/_src/predict2/interactive/configs/config_distill.py")
    parser.add_argument("--experiment", default="cosmos_predict2p5_2B_action_gr00t_gr1_self_forcing_no_s3")
    parser.add_argument("--embeddings", default="datasets/cr1_dreamdojo_text_embeddings.pt", help="of the empty prompt")
    parser.add_argument("--resolution", type=int, nargs=2, default=(480, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--steps", type=int, default=4, help="denoising steps")
    parser.add_argument("--compile", action="store_true", help="faster; the first chunks then take minutes")
    parser.add_argument("--embodiment", required=True, help="whose slots the actions go into, 'own' for a new robot")
    parser.add_argument("--control-mode", required=True, help="what actions mean here, 'ee_delta' for example")
    parser.add_argument("--action-size", type=int, required=True)
    parser.add_argument("--period", type=float, default=0.1, help="seconds between frames of its training data")
    parser.add_argument("--robot", default="", help="name of the robot it was trained on")
    parser.add_argument("--camera", default="front", help="that it was trained on")
    parser.add_argument(
        "--licence",
        default="see https://huggingface.co/nvidia/DreamDojo; its base is under the NVIDIA Open Model License",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    return parser.parse_args()


def main() -> None:
    """Loads the model and serves it."""
    args = _arguments()
    engine = DreamDojoEngine(args)
    serve(engine, args.host, args.port, lambda _: print(f"serving on ws://{args.host}:{args.port}", flush=True))


if __name__ == "__main__":
    main()
