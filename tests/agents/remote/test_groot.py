"""GR00T's client against a server that speaks its protocol."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pocketworlds import MissingDependencyError
from pocketworlds.agents.remote.registry import remote_agent
from pocketworlds.errors import AgentError

from .servers import (
    MODALITIES,
    Groot,
    Web,
    assignment,
    expected,
    groot_policy,
    modality,
    observation,
    openpi,
)

Serving = Callable[..., Groot]
WORDS = "annotation.human.action.task_description"


@pytest.fixture
def serving() -> Iterator[Serving]:
    running: list[Groot] = []

    def start(get_action: Any = groot_policy, modalities: Any = None, **options: Any) -> Groot:
        running.append(Groot(get_action, modalities, **options))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def address(server: Groot, options: str = "") -> str:
    return f"groot:tcp://127.0.0.1:{server.port}?image_size=16&wait=0.05{options}"


def test_all_worlds_go_in_one_request(serving: Serving):
    server = serving()
    agent = remote_agent(address(server))
    assert agent.keywords == {"obs_mode": "state+rgb", "image_size": (16, 16)}
    agent.reset(assignment(3))
    seen = observation(3)
    found = agent.act(seen)
    assert (found.shape, found.dtype) == ((3, 8, 7), np.float32)
    np.testing.assert_array_equal(found, expected(seen, 16)[:, :8])
    assert [request["endpoint"] for request in server.seen] == ["get_modality_config", "reset", "get_action"]
    sent = server.seen[-1]["data"]["observation"]
    assert sent["video"]["front"].shape == (3, 1, 16, 16, 3)
    assert sent["video"]["front"].dtype == np.uint8
    assert {name: (each.shape, each.dtype.name) for name, each in sent["state"].items()} == {
        "joint_pos": ((3, 1, 3), "float32"),
        "gripper_width": ((3, 1, 1), "float32"),
    }
    assert sent["language"] == {WORDS: [["lift the mug "], ["lift the mug !"], ["lift the mug !!"]]}


def test_a_policy_that_looks_back_sees_what_was_seen_before(serving: Serving):
    sent: list[Any] = []

    def get_action(seen: Any) -> Any:
        sent.append(seen)
        return groot_policy(seen)

    modalities = MODALITIES | {"video": modality(["front"], [-8, -4, 0]), "state": modality(["joint_pos"], [-1, 0])}
    server = serving(lambda seen: get_action(seen | {"state": seen["state"] | {"gripper_width": np.zeros((2, 1, 1))}}),
                     modalities)  # fmt: skip
    agent = remote_agent(address(server, "&execute=4"))
    agent.reset(assignment(2))
    looks = [observation(2, step=step) for step in range(12)]
    for look in looks:
        agent.act(look)
    for k, seen in enumerate(sent):
        frames = [looks[max(k - 2, 0)], looks[max(k - 1, 0)], looks[k]]
        np.testing.assert_array_equal(seen["video"]["front"], np.stack([f["rgb"] for f in frames], 1))
        states = [looks[max(k - 1, 0)], looks[k]]  # one step before lies between two looks: the one before it
        np.testing.assert_array_equal(seen["state"]["joint_pos"], np.stack([f["state"][:, :3] for f in states], 1))
    assert len(agent._past) <= 4
    agent.reset(assignment(2))
    agent.act(looks[5])
    np.testing.assert_array_equal(sent[-1]["video"]["front"][:, 0], looks[5]["rgb"])


def test_names_and_the_order_of_actions_are_options(serving: Serving):
    modalities = {
        "video": modality(["head", "wrist"], [0]),
        "state": modality(["arm", "everything"], [0]),
        "action": modality(["gripper", "arm", "base"], [0]),
        "language": modality(["task"], [0]),
    }

    def get_action(seen: Any) -> Any:
        assert not seen["video"]["wrist"].any()
        assert seen["state"]["everything"].shape == (2, 1, 7)
        arm = np.repeat(seen["state"]["arm"][:, :, :1], 6, axis=2)
        return [{"gripper": np.ones((2, 1, 1)), "arm": arm, "base": np.zeros((2, 1, 3))}, {"info": 1}]

    server = serving(get_action, modalities)
    names = "&state=arm:joint_vel%2Bjoint_pos,everything:all&action=arm,gripper"
    agent = remote_agent(address(server, names + "&blank=wrist"))
    agent.reset(assignment(2))
    seen = observation(2)
    found = agent.act(seen)
    np.testing.assert_allclose(found[:, 0, :6], np.repeat(seen["state"][:, 3:4], 6, axis=1))
    assert (found[:, 0, 6] == 1).all()
    with pytest.raises(AgentError, match=r"video \['head', 'wrist'\]; nothing fills \['wrist'\].*image or blank"):
        remote_agent(address(server, names))
    with pytest.raises(AgentError, match=r"state \['arm', 'everything'\]; nothing fills \['everything'\]"):
        remote_agent(address(server, "&state=arm:all&blank=wrist"))
    with pytest.raises(AgentError, match=r"it knows no \['rear'\]"):
        remote_agent(address(server, names + "&blank=wrist,rear"))
    with pytest.raises(AgentError, match=r"actions \['gripper', 'arm', 'base'\], but no \['legs'\]"):
        remote_agent(address(server, names + ",legs&blank=wrist"))
    mute = remote_agent(address(server, "&blank=wrist"))
    with pytest.raises(AgentError, match=r"no part 'arm' of a state for 'arm'; write state=arm:part\+part with any of"):
        mute.reset(assignment())


def test_flat_names_are_those_of_the_sim_policy_wrapper(serving: Serving):
    def get_action(seen: Any) -> Any:
        assert set(seen) == {"video.front", "state.joint_pos", "state.gripper_width", WORDS}
        assert seen[WORDS] == ["lift the mug "]
        nested = {
            "video": {"front": seen["video.front"]},
            "state": {name: seen[f"state.{name}"] for name in ("joint_pos", "gripper_width")},
            "language": {WORDS: [[word] for word in seen[WORDS]]},
        }
        actions, infos = groot_policy(nested)
        return [{f"action.{name}": value for name, value in actions.items()}, infos]

    agent = remote_agent(address(serving(get_action), "&flat=true"))
    agent.reset(assignment())
    np.testing.assert_array_equal(agent.act(observation()), expected(observation(), 16)[:, :8])


def test_a_token_is_taken_from_the_environment(serving: Serving, monkeypatch: pytest.MonkeyPatch):
    server = serving(token="s3cret")
    with pytest.raises(AgentError, match="refused: Unauthorized: Invalid API token"):
        remote_agent(address(server))
    monkeypatch.setenv("POLICY_KEY", "s3cret")
    agent = remote_agent(address(server, "&key=POLICY_KEY"))
    agent.reset(assignment())
    assert agent.act(observation()).shape == (1, 8, 7)


def test_errors_of_the_server_are_told(serving: Serving):
    agent = remote_agent(address(serving(lambda seen: {"error": "State key 'arm' must be in observation"})))
    agent.reset(assignment())
    with pytest.raises(AgentError, match="refused: State key 'arm' must be in observation"):
        agent.act(observation())


def test_a_server_that_comes_back_is_asked_again(serving: Serving):
    first = serving()
    agent = remote_agent(address(first, "&attempts=60"))
    agent.reset(assignment())
    agent.act(observation())
    first.stop()
    second = serving(port=first.port)
    np.testing.assert_array_equal(agent.act(observation(step=1)), expected(observation(step=1), 16)[:, :8])
    assert [request["endpoint"] for request in second.seen] == ["get_action"]


def test_a_server_that_dies_while_it_is_asked_is_asked_again(serving: Serving):
    first = serving(lambda seen: None)
    agent = remote_agent(address(first, "&attempts=60"))
    agent.reset(assignment())
    first_thread = first._thread

    def replace() -> None:
        first_thread.join(10)
        serving(port=first.port)

    replacing = threading.Thread(target=replace, daemon=True)
    replacing.start()
    np.testing.assert_array_equal(agent.act(observation()), expected(observation(), 16)[:, :8])
    replacing.join(10)


def test_a_server_that_is_gone_is_told_of(serving: Serving):
    server = serving()
    agent = remote_agent(address(server, "&attempts=2"))
    agent.reset(assignment())
    server.stop()
    with pytest.raises(AgentError, match=r"no ZeroMQ server answers at tcp://127.0.0.1:\d+: is it started"):
        agent.act(observation())
    with pytest.raises(AgentError, match="no ZeroMQ server answers"):
        agent.act(observation())


def test_a_server_that_takes_too_long_is_given_up_and_can_be_asked_again(serving: Serving):
    delays = iter([1.0, 0.0, 0.0])

    def slow(seen: Any) -> Any:
        time.sleep(next(delays))
        return groot_policy(seen)

    agent = remote_agent(address(serving(slow), "&timeout=0.3&attempts=20"))
    agent.reset(assignment())
    with pytest.raises(AgentError, match=r"did not answer within 0.3 s.*timeout=<seconds>"):
        agent.act(observation())
    time.sleep(1.0)
    np.testing.assert_array_equal(agent.act(observation(step=1)), expected(observation(step=1), 16)[:, :8])


def test_nobody_there_and_servers_of_other_protocols():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(AgentError, match="no ZeroMQ server answers"):
        remote_agent(f"groot:tcp://127.0.0.1:{port}?attempts=2&wait=0.05")
    assert time.monotonic() - begun < 5
    web = Web(openpi(lambda message: None))
    with pytest.raises(AgentError, match="no ZeroMQ server answers"):
        remote_agent(f"groot:tcp://127.0.0.1:{web.port}?attempts=1&timeout=1")
    web.stop()
    for url in ("ws://127.0.0.1:1", "tcp://127.0.0.1", "tcp://:5555", "tcp://127.0.0.1:x", "ipc:///tmp/x"):
        with pytest.raises(AgentError, match="write tcp://host:port"):
            remote_agent(f"groot:{url}?attempts=1")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_actions_of_other_numbers_of_worlds_are_refused(serving: Serving, count: int):
    found = [{"arm": np.zeros((count, 4, 6)), "gripper": np.zeros((count, 4, 1))}, {}]
    agent = remote_agent(address(serving(lambda seen: found)))
    agent.reset(assignment(2))
    with pytest.raises(
        AgentError, match=r"for the action 'arm' of 2 worlds, where numbers \(2, steps, size\) were due"
    ):
        agent.act(observation(2))


@pytest.mark.parametrize(
    ("modalities", "says"),
    [
        ([1], "does not say what its policy sees"),
        ({"video": MODALITIES["video"]}, "GR00T N1.6 or newer"),
        (MODALITIES | {"video": modality([], [0])}, "modality_keys"),
        (MODALITIES | {"video": modality(["front"], [-(10**9)])}, r"delta_indices.0"),
        (MODALITIES | {"state": {"__ModalityConfig_class__": True}}, "modalities"),
        (MODALITIES | {"state": 5}, "modalities"),
    ],
)
def test_modalities_that_make_no_sense_are_refused(serving: Serving, modalities: Any, says: str):
    with pytest.raises(AgentError, match=says):
        remote_agent(address(serving(modalities=modalities)))


def test_messages_that_are_too_large_are_refused(serving: Serving, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pocketworlds.agents.remote.zeromq.LARGEST", 5000)
    agent = remote_agent(address(serving(lambda seen: b"\0" * 6000), "&attempts=1"))
    agent.reset(assignment())
    with pytest.raises(AgentError, match="or answers with more than 5000 bytes"):
        agent.act(observation())


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(MissingDependencyError, match=r"zmq, which is missing: pip install pocketworlds\[remote\]"):
        remote_agent("groot:tcp://127.0.0.1:1")
