"""DreamDojo's client against a server on this machine, whose model is simple enough to be known exactly."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pocketworlds import CheckpointError
from pocketworlds.world_models.external import dreamdojo_server as server
from pocketworlds.world_models.external.dreamdojo import DreamDojoModel, Hello
from pocketworlds.world_models.external.registry import open_external
from pocketworlds.world_models.external.slots import SLOTS, relative
from pocketworlds.world_models.frames.chunks import Buffered
from pocketworlds.world_models.simulator import Context, NeuralSimulator

INFO = {
    "image_size": (16, 24),
    "embodiment": "own",
    "control_mode": "ee_delta",
    "action_size": 7,
    "period": 0.05,
    "robot": "panda",
    "licence": "a licence",
}
OWN = SLOTS["own"][0]


class Fake:
    """The next frame is the last one, brighter by 10 for a relative command of 2.5 cm along x; seeds show in blue."""

    def __init__(self, info: dict[str, Any] | None = None, delay: float = 0.0) -> None:
        self.info = INFO | (info or {})
        self.delay = delay
        self.seen: list[tuple[int, np.ndarray, int, int]] = []

    def run(self, images: np.ndarray, actions: np.ndarray, seed: int, count: int) -> np.ndarray:
        assert images.dtype == np.uint8
        assert actions.shape == (12, 384)
        self.seen.append((len(images), actions.copy(), seed, count))
        time.sleep(self.delay)
        start = len(images) - 1
        base = images[-1].astype(np.float64)
        made = []
        for k in range(start, 12):
            frame = base.copy()
            frame[..., 0] += 10 * actions[start : k + 1, OWN].sum() / 0.025
            frame[..., 1] += count
            frame[..., 2] = seed % 256
            made.append(frame)
        return np.clip(np.stack(made).round(), 0, 255).astype(np.uint8)


class Running:
    """A server in a thread."""

    def __init__(self, engine: Fake, port: int = 0) -> None:
        ready = threading.Event()

        def started(found: Any) -> None:
            self.server = found
            ready.set()

        self.engine = engine
        self.thread = threading.Thread(target=server.serve, args=(engine, "127.0.0.1", port, started), daemon=True)
        self.thread.start()
        assert ready.wait(10)
        self.port = self.server.socket.getsockname()[1]
        self.address = f"dreamdojo:ws://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join(10)


class Shy(Running):
    """A server that hangs up on its first visitors, before they have said a word."""

    def __init__(self, engine: Fake, visitors: int, port: int = 0) -> None:
        from websockets.sync import server as library

        self.visits = 0

        def talk(connection: Any) -> None:
            self.visits += 1
            if self.visits > visitors:
                worlds = server._Worlds(engine)
                for data in connection:
                    connection.send(server.encode(server._answer(worlds, data, threading.Lock())))

        self.engine = engine
        self.server = library.serve(talk, "127.0.0.1", port, max_size=None, compression=None, ping_interval=None)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.port = self.server.socket.getsockname()[1]
        self.address = f"dreamdojo:ws://127.0.0.1:{self.port}"


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    """Whatever is connected within goes away again, on both sides."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + 10
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.02)
    assert not left


@pytest.fixture
def running() -> Iterator[Running]:
    found = Running(Fake())
    yield found
    found.stop()


def context(count: int, level: int = 40) -> Context:
    image = torch.full((count, 1, 16, 24, 3), level, dtype=torch.uint8)
    seed = torch.arange(count) + 7
    return Context(image, torch.zeros(count, 1, 0), torch.zeros(count, 0, 7), torch.zeros(count, 0), seed)


def test_it_is_a_simulator_that_says_what_it_has_not(running: Running):
    model = open_external(running.address, 2)
    assert isinstance(model, NeuralSimulator)
    spec = model.spec
    assert (spec.kind, spec.chunk, spec.context, spec.image_size) == ("dreamdojo", 12, 1, (16, 24))
    assert (spec.period, spec.robot, spec.licence, spec.control_mode) == (0.05, "panda", "a licence", "ee_delta")
    assert dict(spec.state) == {}
    made = (model.reset(torch.arange(2), context(2)), model.step(torch.arange(2), torch.zeros(2, 7)))[1]
    assert made.state is None
    assert made.uncertainty is None
    assert made.image.shape == (2, 16, 24, 3)


def test_what_arrives_is_what_was_played(running: Running):
    model = open_external(running.address, 1)
    one = torch.zeros(1, dtype=torch.int64)
    model.reset(one, context(1))
    draws = torch.Generator().manual_seed(0)
    action = torch.rand(1, 24, 7, generator=draws) * 2 - 1
    for t in range(24):
        model.step(one, action[:, t])
    whole = [each for each in running.engine.seen if each[0] == 1][11]
    scale = torch.tensor([0.025] * 3 + [0.15] * 3)
    places = (action[..., :6] * scale).cumsum(1)
    commands = torch.cat([places, action[..., 6:]], -1)
    before = torch.tensor([[0.0] * 6 + [1.0]])
    told = relative(commands, before).numpy()[0]
    np.testing.assert_allclose(whole[1][:, OWN : OWN + 7], told[:12], atol=1e-6)
    assert not whole[1][:, :OWN].any()
    last = running.engine.seen[-1]  # four new frames: eight actions before them, and theirs
    assert (last[0], last[2], last[3]) == (9, 7, 3)
    np.testing.assert_allclose(last[1][:, OWN : OWN + 7], told[12:], atol=1e-6)


def test_worlds_do_not_touch_one_another(running: Running):
    together, alone = open_external(running.address, 3), open_external(running.address, 3)
    draws = torch.Generator().manual_seed(1)
    action = (torch.rand(15, 3, 7, generator=draws) * 2 - 1) * 0.1
    everyone, started = torch.arange(3), context(3)
    together.reset(everyone, started)
    for row in range(3):
        ids = everyone[row : row + 1]
        own = Context(*(None if v is None else v[row : row + 1] for v in vars(started).values()))
        alone.reset(ids, own)
    for t in range(15):
        made = together.step(everyone, action[t]).image
        for row in range(3):
            ids = everyone[row : row + 1]
            assert torch.equal(alone.step(ids, action[t, ids]).image[0], made[row])
        assert made[:, 0, 0, 2].tolist() == [7, 8, 9]


def test_states_come_back(running: Running):
    model = open_external(running.address, 1)
    one = torch.zeros(1, dtype=torch.int64)
    model.reset(one, context(1))
    action = torch.tensor([[0.3, 0, 0, 0, 0, 0, 1.0]])
    for _ in range(14):
        model.step(one, action)
    kept = model.get_state(one)
    expected = [model.step(one, action).image for _ in range(12)]
    model.set_state(one, kept)
    assert all(torch.equal(model.step(one, action).image, each) for each in expected)


def test_a_server_that_comes_back_is_told_again():
    first = Running(Fake())
    model = open_external(f"{first.address}?attempts=20&wait=0.1", 1)
    other = open_external(f"{first.address}?attempts=1", 1)
    one = torch.zeros(1, dtype=torch.int64)
    action = torch.tensor([[0.2, 0, 0, 0, 0, 0, 1.0]])
    for each in (model, other):
        each.reset(one, context(1))
    expected = [other.step(one, action).image for _ in range(30)]
    for t in range(20):
        assert torch.equal(model.step(one, action).image, expected[t])
    first.stop()
    with pytest.raises(CheckpointError, match=r"no DreamDojo server answers.*dreamdojo_server.py --checkpoint"):
        other.step(one, action)
    second = Running(Fake(), first.port)
    try:
        for t in range(20, 30):
            assert torch.equal(model.step(one, action).image, expected[t])
    finally:
        second.stop()


def test_nobody_there_slow_and_foreign_servers_are_told_of():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CheckpointError, match=r"no DreamDojo server answers.*Apache-2.0"):
        open_external(f"dreamdojo:ws://127.0.0.1:{port}?attempts=1", 1)
    with pytest.raises(CheckpointError, match="ws://host:port"):
        open_external("dreamdojo:http//nowhere?attempts=1", 1)
    slow = Running(Fake(delay=2.0))
    try:
        model = open_external(f"{slow.address}?timeout=0.3", 1)
        model.reset(torch.zeros(1, dtype=torch.int64), context(1))
        with pytest.raises(CheckpointError, match=r"did not answer within 0.3 s.*timeout=<seconds>"):
            model.step(torch.zeros(1, dtype=torch.int64), torch.zeros(1, 7))
    finally:
        slow.stop()


def test_a_server_that_hangs_up_is_asked_again():
    shy = Shy(Fake(), visitors=2)
    try:
        model = open_external(f"{shy.address}?attempts=3&wait=0.01", 1)
        assert shy.visits == 3
        model.close()
    finally:
        shy.stop()
    rude = Shy(Fake(), visitors=99)
    try:
        with nothing_left_open(), pytest.raises(CheckpointError, match=r"no DreamDojo server answers.*--checkpoint"):
            open_external(f"{rude.address}?attempts=3&wait=0.01", 1)
        assert rude.visits == 3
    finally:
        rude.stop()


def test_a_server_that_hangs_up_as_it_comes_back_is_asked_again():
    first = Running(Fake())
    one, action = torch.zeros(1, dtype=torch.int64), torch.tensor([[0.2, 0, 0, 0, 0, 0, 1.0]])
    model = open_external(f"{first.address}?attempts=20&wait=0.1", 1)
    model.reset(one, context(1))
    model.step(one, action)
    first.stop()
    second = Shy(Fake(), 2, first.port)
    try:
        assert model.step(one, action).image.shape == (1, 16, 24, 3)
        assert second.visits == 3
        model.close()
    finally:
        second.stop()


def test_a_server_that_comes_back_with_another_model_is_not_asked():
    first = Running(Fake())
    one, action = torch.zeros(1, dtype=torch.int64), torch.zeros(1, 7)
    model = open_external(f"{first.address}?attempts=20&wait=0.1", 1)
    model.reset(one, context(1))
    model.step(one, action)
    first.stop()
    second = Running(Fake({"licence": "another"}), first.port)
    try:
        for _ in range(2):
            with pytest.raises(CheckpointError, match="another model"):
                model.step(one, action)
        assert not second.engine.seen
    finally:
        second.stop()


@pytest.mark.parametrize(
    ("info", "says"),
    [
        ({"control_mode": "joint_pos"}, "joint_pos"),
        ({"action_size": 6}, "6 numbers"),
        ({"embodiment": "gr1"}, "29 numbers, got 7"),
        ({"period": -1.0}, "period"),
        ({"protocol": 99}, "protocol 99"),
    ],
)
def test_servers_of_something_else_are_refused(info: dict[str, Any], says: str):
    running = Running(Fake(info))
    try:
        with nothing_left_open(), pytest.raises(CheckpointError, match=says):
            open_external(running.address, 1)
    finally:
        running.stop()


def test_faults_of_the_model_are_told(running: Running, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: Any) -> np.ndarray:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(running.engine, "run", broken)
    model = open_external(running.address, 1)
    model.reset(torch.zeros(1, dtype=torch.int64), context(1))
    with pytest.raises(CheckpointError, match="CUDA out of memory"):
        model.step(torch.zeros(1, dtype=torch.int64), torch.zeros(1, 7))


def test_pictures_of_another_size_are_refused(running: Running):
    model = open_external(running.address, 1)
    small = Context(
        torch.zeros(1, 1, 8, 8, 3, dtype=torch.uint8), torch.zeros(1, 1, 0), torch.zeros(1, 0, 7), torch.zeros(1, 0),
        torch.zeros(1, dtype=torch.int64),
    )  # fmt: skip
    with pytest.raises(CheckpointError, match=r"\(16, 24\).*\(8, 8\)"):
        model.reset(torch.zeros(1, dtype=torch.int64), small)


def test_a_step_that_was_not_begun_is_refused():
    worlds = server._Worlds(Fake())
    zero = np.zeros(1, np.int64)
    with pytest.raises(server.WireError, match="has not begun"):
        worlds.step({"worlds": zero, "actions": np.zeros((1, 12, 384), np.float32)})
    with pytest.raises(server.WireError, match="1 or 9 frames, not 2"):
        worlds.reset({"worlds": zero, "images": np.zeros((1, 2, 16, 24, 3), np.uint8)})


@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.one_of(
            st.integers(-9, 9),
            st.text(max_size=5),
            arrays.arrays(
                st.sampled_from([np.uint8, np.float32, np.int64]),
                arrays.array_shapes(max_dims=3, max_side=4),
                elements=st.integers(0, 9),
            ),
        ),
    )
)
def test_messages_come_back(message: dict[str, Any]):
    found = server.decode(server.encode({"type": "x"} | message))
    for name, value in message.items():
        np.testing.assert_array_equal(found[name], value)
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_refused(data: bytes):
    with contextlib.suppress(server.WireError):
        assert isinstance(server.decode(data)["type"], str)


def test_the_server_says_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.argv", ["x", "--checkpoint", "c", "--embodiment", "own", "--control-mode", "ee_delta",
                                     "--action-size", "7"])  # fmt: skip
    with pytest.raises(SystemExit, match=r"github.com/NVIDIA/DreamDojo.*Apache-2.0"):
        server.main()


def test_what_is_asked_of_dreamdojo_itself(monkeypatch: pytest.MonkeyPatch):
    """The calls of `interactive.inference.action_video2world_teleop`, against one that has its signatures."""
    asked: list[dict[str, Any]] = []

    class RealtimeStreamingInference:
        def __init__(
            self,
            config_path: str,
            experiment_name: str,
            ckpt_path: str,
            s3_credential_path: str,
            cr1_embeddings_path: str,
            context_parallel_size: int = 1,
            compile_model: bool = False,
        ) -> None:
            asked.append({"ckpt_path": ckpt_path, "experiment": experiment_name})
            inner = types.SimpleNamespace(cache_frame_size=3)
            self.config = types.SimpleNamespace(model=types.SimpleNamespace(config=inner))

        def _run_single_chunk(
            self,
            cond_frames: torch.Tensor,
            actions_np: np.ndarray,
            chunk_idx: int,
            seed: int,
            num_steps: int,
            start_idx: int,
        ) -> tuple[torch.Tensor, torch.Tensor]:
            asked.append(
                {"frames": cond_frames, "actions": actions_np, "told": (chunk_idx, seed, num_steps, start_idx)}
            )
            video = torch.linspace(-1, 1, 13)[None, None, :, None, None].expand(1, 3, 13, *cond_frames.shape[3:])
            return torch.zeros(1), video

    name = "cosmos_predict2._src.predict2.interactive.inference.action_video2world_teleop"
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:count]), types.ModuleType(parts[count - 1]))
    monkeypatch.setattr(sys.modules[name], "RealtimeStreamingInference", RealtimeStreamingInference, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("sys.argv", ["x", "--checkpoint", "iter_000006000", "--embodiment", "own", "--control-mode",
                                     "ee_delta", "--action-size", "7", "--resolution", "16", "24"])  # fmt: skip
    engine = server.DreamDojoEngine(server._arguments())
    assert asked[0]["ckpt_path"] == "iter_000006000"
    levels = ((torch.linspace(-1, 1, 13) + 1) * 127.5).to(torch.uint8).numpy()
    for frames, start in ((1, 1), (9, 3)):
        images = np.random.default_rng(0).integers(0, 256, (frames, 16, 24, 3)).astype(np.uint8)
        made = engine.run(images, np.ones((12, 384), np.float32), 5, 2)
        assert (made.shape, made.dtype) == ((13 - frames, 16, 24, 3), np.uint8)
        np.testing.assert_array_equal(made[:, 0, 0, 0], levels[frames:])
        call = asked[-1]
        assert call["told"] == (2, 5, 4, start)
        assert call["actions"].shape == (1, 12, 384)
        np.testing.assert_array_equal(call["frames"][0].permute(1, 2, 3, 0), images)
    worlds = server._Worlds(engine)
    assert Hello.model_validate(worlds.hello()).image_size == (16, 24)


def test_the_server_needs_nothing_of_this_package():
    found = subprocess.run(
        [sys.executable, "-I", server.__file__, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "--embodiment" in found.stdout


def test_buffered_is_what_the_registry_gives(running: Running):
    model = open_external(running.address, 1)
    assert isinstance(model, Buffered)
    assert isinstance(model._model, DreamDojoModel)
