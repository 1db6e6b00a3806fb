"""Serves a LeRobot policy to PocketWorlds, from inside LeRobot's own virtual environment.

This file needs nothing of PocketWorlds: copy it to where LeRobot is installed, and there

    pip install msgpack websockets
    python serve_lerobot.py --checkpoint outputs/train/act/checkpoints/last/pretrained_model --port 8001

Then `vla_eval:ws://127.0.0.1:8001?image_size=96` is an agent of PocketWorlds, with pictures of the policy's size. The
protocol is that of vla-eval (https://github.com/allenai/vla-evaluation-harness), whose harness can ask this server too.
It listens on this machine only; who can reach it can use the GPU, so open it to others through ssh alone.

A policy that looks at one observation gives the chunk of actions that it was trained to play. One that looks back
(diffusion), or that blends its chunks, is asked at every step, and keeps a history for every connection.
"""

from __future__ import annotations

import argparse
import copy
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

PROTOCOL = 1
_PREFIX = "observation.images."
_LARGEST = 1 << 28  # bytes of a message

Array = np.ndarray[Any, Any]


class Trouble(ValueError):
    """What a client asks for cannot be done; the text says why."""


class Session(Protocol):
    """One world."""

    def begin(self) -> None:
        """Forgets the episode before."""

    def act(self, images: Mapping[str, Array], state: Array | None, task: str) -> Array:
        """Actions (H, A) or (A,), from pictures (height, width, 3) uint8, a state (D,) float32 and a sentence."""


class Engine(Protocol):
    """What has a policy.

    Attributes:
        info: what it tells of itself.
    """

    info: Mapping[str, Any]

    def session(self) -> Session:
        """A world of its own."""


def serve(
    engine: Engine, host: str = "127.0.0.1", port: int = 8001, started: Callable[[Any], None] | None = None
) -> None:
    """Serves until it is shut down; `started` is told the server (`socket`, `shutdown()`) once it listens."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve as listen

    lock = threading.Lock()  # one GPU: one pass at a time

    def talk(connection: Any) -> None:
        session = engine.session()
        try:
            for data in connection:
                answer = _answer(engine, session, data, lock)
                if answer is not None:
                    connection.send(encode(answer | {"timestamp": time.time()}))
        except ConnectionClosed:
            pass

    with listen(talk, host, port, max_size=_LARGEST, compression=None) as server:
        if started is not None:
            started(server)
        server.serve_forever()


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as bytes."""
    import msgpack

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            data = np.ascontiguousarray(value).tobytes()
            return {"__ndarray__": True, "data": data, "dtype": value.dtype.str, "shape": list(value.shape)}
        raise TypeError(f"{type(value).__name__} cannot be sent")

    found: bytes = msgpack.packb(dict(message), default=plain, use_bin_type=True)
    return found


def decode(data: bytes | str) -> dict[str, Any]:
    """The message of bytes.

    Raises:
        Trouble: they are none.
    """
    import msgpack

    if isinstance(data, str):
        raise Trouble("messages are bytes, not text")
    try:
        found = msgpack.unpackb(data, raw=False, object_hook=_array)
    except Trouble:
        raise
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise Trouble(f"the message is no msgpack ({error})") from error
    if not isinstance(found, dict) or not isinstance(found.get("payload"), dict):
        raise Trouble("a message is a map of type, payload, seq and timestamp")
    return found


def _array(found: dict[Any, Any]) -> Any:
    if "__image__" in found and found.get("format") != "raw":
        raise Trouble("pictures have to be sent raw (vla_eval.protocol.numpy_codec.set_image_format('raw'))")
    if "__ndarray__" not in found and "__image__" not in found:
        return found
    shape, data = found.get("shape"), found.get("data")
    if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
        raise Trouble("an array has no shape")
    try:
        kind = np.dtype(str(found.get("dtype")))
    except (TypeError, ValueError) as error:
        raise Trouble("an array has no type") from error
    if kind.kind not in "biuf" or not isinstance(data, bytes) or math.prod(shape) * kind.itemsize != len(data):
        raise Trouble(f"an array is no {kind} of shape {shape}")
    return np.frombuffer(data, dtype=kind).reshape(shape)


def _answer(engine: Engine, session: Session, data: bytes | str, lock: threading.Lock) -> dict[str, Any] | None:
    seq = 0
    try:
        message = decode(data)
        seq, kind, payload = message.get("seq", 0), message.get("type"), message["payload"]
        if kind == "hello":
            told = {"harness_version": "serve_lerobot", "protocol_version": PROTOCOL, "capabilities": {}}
            return {"type": "hello", "payload": told | dict(engine.info), "seq": seq}
        if kind == "episode_start":
            with lock:
                session.begin()
            return None
        if kind == "episode_end":
            return None
        if kind == "observation":
            images, state, task = _seen(payload)
            with lock:
                actions = session.act(images, state, task)
            return {"type": "action", "payload": {"actions": actions.astype(np.float32)}, "seq": seq}
        raise Trouble(f"{kind!r} is no type of message; there are hello, episode_start, observation and episode_end")
    except Trouble as error:
        return {"type": "error", "payload": {"error": str(error)}, "seq": seq}
    except Exception as error:  # the policy's own faults are told, and the server goes on
        return {"type": "error", "payload": {"error": f"the policy failed: {error!r}"}, "seq": seq}


def _seen(payload: Mapping[str, Any]) -> tuple[dict[str, Array], Array | None, str]:
    images = payload.get("images") or {}
    if not isinstance(images, dict) or not all(_is_picture(image) for image in images.values()):
        raise Trouble("images are arrays (height, width, 3) of uint8 by name")
    state = payload.get("states", payload.get("state"))
    if state is not None and (not isinstance(state, np.ndarray) or state.ndim != 1 or not np.isfinite(state).all()):
        raise Trouble("a state is an array of finite numbers (D,)")
    task = str(payload.get("task_description") or "")
    return images, None if state is None else state.astype(np.float32), task


def _is_picture(image: Any) -> bool:
    return isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3


class LeRobotEngine:
    """A policy of LeRobot (0.4 or newer) with the processors that were saved with it."""

    def __init__(self, checkpoint: str, device: str, names: Mapping[str, str], every_step: bool) -> None:
        """Loads a policy.

        Args:
            checkpoint: its folder, or its id on the Hugging Face Hub. device: to compute on; "" for what there is.
            names: the policy's names for pictures, by the client's. every_step: that it is asked at every step.
        """
        import torch
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors  # knows of every policy

        from lerobot.configs.policies import PreTrainedConfig  # isort: skip

        self._torch, self._names = torch, dict(names)
        config = PreTrainedConfig.from_pretrained(checkpoint)
        config.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._policy = get_policy_class(config.type).from_pretrained(checkpoint, config=config)
        self._policy.to(config.device).eval()
        self._device = torch.device(config.device)
        self._before, self._after = make_pre_post_processors(
            config,
            pretrained_path=checkpoint,
            preprocessor_overrides={"device_processor": {"device": str(self._device)}},
        )
        looks_back = (getattr(config, "n_obs_steps", 1) or 1) > 1
        blends = getattr(config, "temporal_ensemble_coeff", None) is not None
        self.every_step = every_step or looks_back or blends
        self._steps = getattr(config, "n_action_steps", None)
        self._pictures = {name: tuple(feature.shape) for name, feature in config.image_features.items()}
        self._state = config.robot_state_feature
        self.info: Mapping[str, Any] = {
            "model_server": f"LeRobot {config.type}",
            "observation_params": {"send_state": self._state is not None},
            "images": {name: list(shape) for name, shape in self._pictures.items()},
            "state": None if self._state is None else list(self._state.shape),
            "every_step": self.every_step,
        }

    def session(self) -> LeRobotSession:
        """See `Engine`: weights are shared, what a policy remembers is not."""
        policy = copy.copy(self._policy)
        if hasattr(policy, "temporal_ensembler"):  # which `reset` empties in place
            policy.temporal_ensembler = copy.deepcopy(policy.temporal_ensembler)
        policy.reset()
        return LeRobotSession(self, policy)

    def actions(self, policy: Any, images: Mapping[str, Array], state: Array | None, task: str) -> Array:
        """What a policy, or a session's copy of it, does: (H, A)."""
        torch = self._torch
        frame: dict[str, Any] = {"task": task, "robot_type": ""}
        for name, picture in self._matched(images).items():
            channels = torch.from_numpy(picture.copy()).permute(2, 0, 1).contiguous()
            frame[name] = (channels.float() / 255)[None].to(self._device)
        if self._state is not None:
            if state is None or state.shape != tuple(self._state.shape):
                told = None if state is None else state.shape
                raise Trouble(f"the policy wants a state of {tuple(self._state.shape)} numbers, it was sent {told}")
            frame["observation.state"] = torch.from_numpy(state)[None].to(self._device)
        with torch.inference_mode():
            batch = self._before(frame)
            if self.every_step:
                chunk = self._after(policy.select_action(batch))[:, None]
            else:
                chunk = self._after(policy.predict_action_chunk(batch)[:, : self._steps])
        found: Array = chunk[0].float().cpu().numpy()
        return found

    def _matched(self, images: Mapping[str, Array]) -> dict[str, Array]:
        """Pictures by the policy's names."""
        found: dict[str, Array] = {}
        for name, picture in images.items():
            theirs = self._names.get(name, name if name in self._pictures else _PREFIX + name)
            if theirs not in self._pictures and len(images) == len(self._pictures) == 1:
                theirs = next(iter(self._pictures))
            found[theirs] = picture
        if set(found) != set(self._pictures):
            raise Trouble(
                f"the policy wants pictures {sorted(self._pictures)}, it was sent {sorted(images)}; start this server "
                "with --image SENT=WANTED for each, and name what is sent with image=... and blank=..."
            )
        for name, picture in found.items():
            wanted = self._pictures[name]
            if (picture.shape[2], *picture.shape[:2]) != wanted:
                raise Trouble(
                    f"the policy wants {name} of {wanted[2]} x {wanted[1]} pixels, it was sent {picture.shape[1]} x "
                    f"{picture.shape[0]}; write image_size={wanted[2]}x{wanted[1]} in the address"
                )
        return found


class LeRobotSession:
    """One world; see `Session`."""

    def __init__(self, engine: LeRobotEngine, policy: Any) -> None:
        self._engine, self._policy = engine, policy

    def begin(self) -> None:
        """See `Session`."""
        self._policy.reset()

    def act(self, images: Mapping[str, Array], state: Array | None, task: str) -> Array:
        """See `Session`."""
        return self._engine.actions(self._policy, images, state, task)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serves a LeRobot policy to PocketWorlds.")
    parser.add_argument("--checkpoint", required=True, help="folder of a trained policy, or its id on the Hub")
    parser.add_argument("--device", default="", help="to compute on; by default a GPU if there is one")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="SENT=WANTED",
        help="a picture's name as it is sent, and as the policy wants it; by default names are the same, but for "
        "'observation.images.'",
    )
    parser.add_argument("--every-step", action="store_true", help="ask the policy at every step, not for chunks")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    found = parser.parse_args()
    if not all(name.count("=") == 1 for name in found.image):
        parser.error("--image is SENT=WANTED")
    return found


def main() -> None:
    """Loads the policy and serves it."""
    args = _arguments()
    try:
        engine = LeRobotEngine(
            args.checkpoint, args.device, dict(name.split("=") for name in args.image), args.every_step
        )
    except ImportError as error:
        raise SystemExit(
            f"LeRobot cannot be imported here ({error}): install https://github.com/huggingface/lerobot (Apache-2.0), "
            "and start this file in that environment"
        ) from error
    print(f"{engine.info}", flush=True)
    serve(engine, args.host, args.port, lambda _: print(f"serving on ws://{args.host}:{args.port}", flush=True))


if __name__ == "__main__":
    main()
