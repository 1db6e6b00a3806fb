"""`examples/serve_lerobot.py`: its protocol is the one that our agent speaks; LeRobot itself is not needed for that."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from pocketworlds.agents.remote.registry import remote_agent
from pocketworlds.errors import AgentError
from websockets.sync.client import connect

from ..agents.remote.servers import assignment, expected, observation, policy, vla_pack, vla_unpack

SCRIPT = Path(__file__).parents[2] / "examples" / "serve_lerobot.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("serve_lerobot", SCRIPT)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    assert spec.loader is not None
    spec.loader.exec_module(module)
    return module


script = load()


class Counting:
    """A world whose third action number is how many steps its episode has had."""

    def __init__(self) -> None:
        self.steps = -1

    def begin(self) -> None:
        self.steps = 0

    def act(self, images: Mapping[str, np.ndarray], state: np.ndarray | None, task: str) -> np.ndarray:
        if task == "fail":
            raise RuntimeError("CUDA out of memory")
        if state is None:
            raise script.Trouble("the policy wants a state of (4,) numbers, it was sent None")
        found = policy(images["rgb"], state, task, 4)
        found[:, 2] = self.steps
        self.steps += 1
        return found


class Engine:
    info: Mapping[str, Any] = {"model_server": "counting"}

    def session(self) -> Counting:
        return Counting()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    ready = threading.Event()
    found: list[Any] = []

    def started(server: Any) -> None:
        found.append(server)
        ready.set()

    thread = threading.Thread(target=script.serve, args=(Engine(), "127.0.0.1", 0, started), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield found[0].socket.getsockname()[1]
    found[0].shutdown()
    thread.join(10)


def test_our_agent_plays_what_it_serves(port: int):
    agent = remote_agent(f"vla_eval:ws://127.0.0.1:{port}?image_size=16")
    assert agent.hello["model_server"] == "counting"
    for _ in range(2):
        agent.reset(assignment(2))
        for step in range(3):
            wanted = expected(observation(2, step=step), 4)
            wanted[..., 2] = step
            np.testing.assert_array_equal(agent.act(observation(2, step=step)), wanted)
    agent.close()


def test_faults_are_told_and_the_server_goes_on(port: int):
    agent = remote_agent(f"vla_eval:ws://127.0.0.1:{port}?image_size=16")
    agent.reset(assignment())
    with pytest.raises(AgentError, match=r"refused: the policy failed: RuntimeError\('CUDA out of memory'\)"):
        agent.act({**observation(), "instruction": ["fail"]})
    assert agent.act(observation()).shape == (1, 4, 7)
    stateless = remote_agent(f"vla_eval:ws://127.0.0.1:{port}?image_size=16&state=")
    stateless.reset(assignment())
    with pytest.raises(AgentError, match="the policy wants a state of"):
        stateless.act(observation())


PICTURE = np.zeros((4, 4, 3), np.uint8)


def of_array(part: dict[str, Any]) -> bytes:
    """A message with an array of which a part is false."""
    return msgpack.packb({"payload": {"__ndarray__": True, "dtype": "<f4", "shape": [1], "data": b"1234"} | part})


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"\xc1", "no msgpack"),
        ("text", "not text"),
        (vla_pack([1]), "a message is a map"),
        (vla_pack({"type": "hello", "payload": 1}), "a message is a map"),
        (vla_pack({"type": "dance", "payload": {}}), "'dance' is no type of message"),
        (vla_pack({"type": "observation", "payload": {"images": [PICTURE]}}), "images are arrays"),
        (vla_pack({"type": "observation", "payload": {"images": {"a": PICTURE[0]}}}), "images are arrays"),
        (vla_pack({"type": "observation", "payload": {"states": np.full(3, np.nan)}}), "finite numbers"),
        (vla_pack({"type": "observation", "payload": {"images": {"a": {"__image__": True, "format": "png"}}}}), "raw"),
        (of_array({"dtype": "O"}), "an array is no"),
        (of_array({"dtype": "(("}), "no type"),
        (of_array({"shape": [-1]}), "no shape"),
        (of_array({"shape": [2**40]}), "an array is no"),
        (of_array({"data": "1234"}), "an array is no"),
    ],
)  # fmt: skip
def test_messages_that_make_no_sense_are_told(port: int, message: Any, says: str):
    with connect(f"ws://127.0.0.1:{port}") as line:
        line.send(message)
        found = vla_unpack(line.recv(timeout=10))
    assert found["type"] == "error"
    assert says in found["payload"]["error"]


def test_it_needs_nothing_of_this_package_and_says_what_it_needs(tmp_path: Path):
    helped = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "--checkpoint" in helped.stdout
    if importlib.util.find_spec("lerobot") is None:
        failed = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), "--checkpoint", str(tmp_path)],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert failed.returncode == 1
        assert "LeRobot cannot be imported here" in failed.stderr
        assert "Traceback" not in failed.stderr
