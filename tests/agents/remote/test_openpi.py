"""openpi's and RoboArena's client against servers that speak their protocols."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pocketworlds import MissingDependencyError, PocketWorldsError
from pocketworlds.agents.remote.registry import remote_agent
from pocketworlds.errors import AgentError

from .servers import Web, assignment, expected, observation, openpi, openpi_pack, policy

Serving = Callable[..., Web]


def answer(message: Any) -> Any:
    chunk = policy(message["observation/image"], message["observation/state"], message["prompt"], 10)
    return {"actions": chunk, "server_timing": {"infer_ms": np.float64(3.0).item()}}


@pytest.fixture
def serving() -> Iterator[Serving]:
    running: list[Web] = []

    def start(talk: Any = None, **options: Any) -> Web:
        running.append(Web(talk or openpi(answer), **options))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def address(web: Web, options: str = "", scheme: str = "openpi") -> str:
    return f"{scheme}:ws://127.0.0.1:{web.port}?image_size=16&wait=0.05{options}"


def test_actions_are_the_policys_for_every_world(serving: Serving):
    web = serving()
    agent = remote_agent(address(web))
    agent.reset(assignment(3))
    for step in range(3):
        seen = observation(3, step=step)
        found = agent.act(seen)
        assert (found.shape, found.dtype) == ((3, 5, 7), np.float32)
        np.testing.assert_array_equal(found, expected(seen, 10)[:, :5])
    assert agent.metadata == {"robot": "panda"}
    assert agent.keywords == {"obs_mode": "state+rgb", "image_size": (16, 16)}
    assert len(web.connections) == 1
    assert set(web.seen[0]) == {"observation/image", "observation/wrist_image", "observation/state", "prompt"}
    assert not web.seen[0]["observation/wrist_image"].any()
    assert web.seen[0]["observation/wrist_image"].shape == (16, 16, 3)


def test_names_parts_scales_and_steps_are_options(serving: Serving):
    def other(message: Any) -> Any:
        assert set(message) == {"cam", "cam2", "black", "q", "all"}
        np.testing.assert_array_equal(message["cam"], message["cam2"])
        assert message["all"].shape == (7,)
        return {"actions": np.full((4, 7), message["q"][0])}

    agent = remote_agent(
        address(
            serving(openpi(other)),
            "&image=cam,cam2&blank=black&state=q:gripper_width%2Bjoint_vel,all:all&prompt="
            "&execute=3&scale=2,2,2,2,2,2,0&offset=0,0,0,0,0,0,-1&camera=wrist&control_mode=joint_pos&renderer=gl",
        )
    )
    assert agent.keywords == {
        "obs_mode": "state+rgb", "image_size": (16, 16), "camera": "wrist", "control_mode": "joint_pos",
        "renderer": "gl",
    }  # fmt: skip
    agent.reset(assignment(2))
    seen = observation(2)
    found = agent.act(seen)
    assert found.shape == (2, 3, 7)
    np.testing.assert_allclose(found[:, 0, 0], seen["state"][:, 6] * 2, rtol=1e-6)
    assert (found[..., 6] == -1).all()


def test_without_pictures_or_states_none_are_asked_for(serving: Serving):
    agent = remote_agent(address(serving(openpi(lambda m: {"actions": np.zeros(7)})), "&image=&blank=&state=s:all"))
    assert agent.keywords == {"obs_mode": "state"}
    agent.reset(assignment())
    assert agent.act({"state": np.zeros((1, 7), np.float32)}).shape == (1, 1, 7)
    blind = remote_agent(address(serving(openpi(lambda m: {"actions": np.zeros(7)})), "&state="))
    assert blind.keywords == {"obs_mode": "rgb", "image_size": (16, 16)}
    blind.reset(assignment())
    with pytest.raises(AgentError, match="needs pictures: make the environment with"):
        blind.act({"state": np.zeros((1, 7), np.float32)})


def test_shorter_answers_are_played_whole(serving: Serving):
    lengths = iter([3, 2])
    agent = remote_agent(address(serving(openpi(lambda m: {"actions": np.zeros((next(lengths), 7))}))))
    agent.reset(assignment(2))
    assert agent.act(observation(2)).shape == (2, 2, 7)


def test_a_key_is_taken_from_the_environment(serving: Serving, monkeypatch: pytest.MonkeyPatch):
    web = serving()
    with pytest.raises(AgentError, match="POLICY_KEY names an environment variable that is not set"):
        remote_agent(address(web, "&key=POLICY_KEY"))
    monkeypatch.setenv("POLICY_KEY", "s3cret")
    remote_agent(address(web, "&key=POLICY_KEY"))
    assert web.headers[-1]["Authorization"] == "Api-Key s3cret"
    remote_agent(address(web))
    assert "Authorization" not in web.headers[-1]


def test_a_refusal_at_the_door_is_told(serving: Serving):
    web = serving(process_request=lambda connection, request: connection.respond(401, "no key\n"))
    with pytest.raises(AgentError, match=r"HTTP 401.*does it want a key"):
        remote_agent(address(web, "&attempts=1"))


def test_text_is_the_servers_error(serving: Serving):
    agent = remote_agent(address(serving(openpi(lambda m: "Traceback\x1b[31m:\nKeyError: 'observation/state'"))))
    agent.reset(assignment())
    with pytest.raises(AgentError, match=r"refused: Traceback \[31m:\nKeyError: 'observation/state'") as caught:
        agent.act(observation())
    assert isinstance(caught.value, PocketWorldsError)


def test_a_server_that_comes_back_is_asked_again(serving: Serving):
    first = serving()
    agent = remote_agent(address(first, "&attempts=40"))
    agent.reset(assignment(2))
    agent.act(observation(2))
    first.drop()
    np.testing.assert_array_equal(agent.act(observation(2)), expected(observation(2), 5))
    first.stop()
    second = serving(port=first.port)
    np.testing.assert_array_equal(agent.act(observation(2, step=1)), expected(observation(2, step=1), 5))
    assert len(second.connections) == 1


def test_a_server_that_hangs_up_at_every_question_is_given_up(serving: Serving):
    web = serving(openpi(lambda m: None))
    agent = remote_agent(address(web, "&attempts=2"))
    agent.reset(assignment())
    with pytest.raises(AgentError, match="goes away whenever it is asked"):
        agent.act(observation())
    assert len(web.connections) == 3


def test_a_server_that_is_gone_is_told_of(serving: Serving):
    web = serving()
    agent = remote_agent(address(web, "&attempts=2"))
    agent.reset(assignment())
    web.stop()
    with pytest.raises(AgentError, match=r"no server of policies answers at ws://127.0.0.1:\d+ \(.*is it started"):
        agent.act(observation())


def test_nobody_there(serving: Serving):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(AgentError, match=r"refused\): is it started"):
        remote_agent(f"openpi:ws://127.0.0.1:{port}?attempts=1")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "ws:///x", "ws://127.0.0.1:99999", "ws://127.0.0.1", "127.0.0.1:8000", "ws://[::1"]
)
def test_what_is_no_address_of_a_server_is_refused(url: str):
    with pytest.raises(AgentError, match="write ws://host:port"):
        remote_agent(f"openpi:{url}?attempts=1")


def test_a_server_that_takes_too_long_is_given_up(serving: Serving):
    def slow(message: Any) -> Any:
        time.sleep(1.5)
        return answer(message)

    agent = remote_agent(address(serving(openpi(slow)), "&timeout=0.3"))
    agent.reset(assignment())
    begun = time.monotonic()
    with pytest.raises(AgentError, match=r"did not answer within 0.3 s.*timeout=<seconds>"):
        agent.act(observation())
    assert time.monotonic() - begun < 3

    def silent(web: Web, connection: Any) -> None:
        time.sleep(1.5)

    with pytest.raises(AgentError, match=r"did not answer within 0.3 s"):
        remote_agent(address(serving(silent), "&timeout=0.3&attempts=1"))


def test_a_server_that_does_not_listen_is_given_up():
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def deaf() -> None:
            line, _ = door.accept()
            asked = line.recv(4096).decode()
            key = re.search(r"Sec-WebSocket-Key: (\S+)", asked)[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            line.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n" + b"\x82\x01\x80"  # an empty map
            )
            done.wait(10)
            line.close()

        thread = threading.Thread(target=deaf, daemon=True)
        thread.start()
        url = f"ws://127.0.0.1:{door.getsockname()[1]}"
        agent = remote_agent(f"openpi:{url}?image_size=2048&timeout=0.5&attempts=1")
        agent.reset(assignment())
        begun = time.monotonic()
        with pytest.raises(AgentError, match=r"did not take a message within 0.5 s"):
            agent.act({**observation(), "rgb": np.zeros((1, 2048, 2048, 3), np.uint8)})
        assert time.monotonic() - begun < 5
        done.set()
        thread.join(10)


def test_messages_that_are_too_large_are_refused(serving: Serving, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pocketworlds.agents.remote.connection.LARGEST", 1000)
    agent = remote_agent(address(serving(openpi(lambda m: {"actions": np.zeros((100, 7))}))))
    agent.reset(assignment())
    with pytest.raises(AgentError, match=r"cannot be understood: its message has more than"):
        agent.act(observation())


def test_a_server_that_takes_no_large_messages_says_so(serving: Serving):
    def small(web: Web, connection: Any) -> None:
        connection.send(openpi_pack({}))
        connection.recv()
        connection.close(1009, "too big")

    agent = remote_agent(address(serving(small)))
    agent.reset(assignment())
    with pytest.raises(AgentError, match="takes no messages as large as this one; make image_size smaller"):
        agent.act(observation())


def test_parts_that_there_are_not_are_told_at_reset(serving: Serving):
    agent = remote_agent(address(serving(), "&state=s:joint_pos%2Bfoot"))
    with pytest.raises(AgentError, match=r"has no part 'foot' of a state for 's'; write .*'joint_pos', 'joint_vel'"):
        agent.reset(assignment())
    scaled = remote_agent(address(serving(), "&scale=1,2"))
    with pytest.raises(AgentError, match="scale has to be one number or 7"):
        scaled.reset(assignment())
    with pytest.raises(AgentError, match="reset the agent first"):
        scaled.act(observation())


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "websockets.sync.client", None)
    with pytest.raises(MissingDependencyError, match=r"pip install pocketworlds\[remote\]"):
        remote_agent("openpi:ws://127.0.0.1:1")


# -- RoboArena ---------------------------------------------------------------------------------------------------------

CONFIG = {
    "image_resolution": [12, 20],
    "needs_wrist_camera": True,
    "n_external_cameras": 2,
    "needs_stereo_camera": False,
    "needs_session_id": True,
    "action_space": "joint_position",
}


def arena(message: Any) -> Any:
    if message["endpoint"] == "reset":
        return "reset successful"
    assert message["endpoint"] == "infer"
    state = np.concatenate([message["observation/joint_position"], message["observation/gripper_position"]])
    chunk = policy(message["observation/exterior_image_0_left"], state, message["prompt"], 4)
    return chunk if len(message["prompt"]) % 2 else {"actions": chunk}


def test_roboarena_is_told_of_episodes_and_sessions(serving: Serving):
    web = serving(openpi(arena, CONFIG))
    agent = remote_agent(f"roboarena:ws://127.0.0.1:{web.port}?parallel=true")
    assert agent.keywords["image_size"] == (20, 12)
    assert remote_agent(f"roboarena:ws://127.0.0.1:{web.port}?image_size=30x40").keywords["image_size"] == (30, 40)
    for _ in range(2):
        agent.reset(assignment(2))
        found = agent.act(observation(2))
        np.testing.assert_array_equal(found, expected(observation(2), 4))
    kinds = [message["endpoint"] for message in web.seen]
    assert kinds == ["reset", "reset", "infer", "infer"] * 2
    sessions = [message["session_id"] for message in web.seen]
    assert sessions[:2] == sessions[2:4]
    assert sessions[4:6] == sessions[6:]
    assert len(set(sessions)) == 4
    web.drop()
    agent.act(observation(2))
    assert web.seen[-1]["session_id"] == sessions[-1]


def test_roboarena_servers_with_one_history_play_one_world(serving: Serving):
    web = serving(openpi(arena, CONFIG))
    agent = remote_agent(f"roboarena:ws://127.0.0.1:{web.port}")
    with pytest.raises(AgentError, match=r"history of one episode, and 2 worlds.*parallel=true"):
        agent.reset(assignment(2))
    agent.reset(assignment(1))
    free = serving(openpi(arena, CONFIG | {"needs_session_id": False, "image_resolution": None}))
    agent = remote_agent(f"roboarena:ws://127.0.0.1:{free.port}?image_size=16")
    agent.reset(assignment(2))
    np.testing.assert_array_equal(agent.act(observation(2)), expected(observation(2), 4))
    assert [message["endpoint"] for message in free.seen] == ["reset", "infer", "infer"]
    assert not any("session_id" in message for message in free.seen)


def test_roboarena_servers_that_cannot_begin_or_say_nonsense(serving: Serving):
    web = serving(openpi(lambda m: "Traceback: out of memory", CONFIG))
    agent = remote_agent(f"roboarena:ws://127.0.0.1:{web.port}")
    with pytest.raises(AgentError, match="refused to begin an episode: Traceback: out of memory"):
        agent.reset(assignment())
    odd = serving(openpi(arena, CONFIG | {"image_resolution": [0, 10**9]}))
    with pytest.raises(AgentError, match="says that it wants image_resolution"):
        remote_agent(f"roboarena:ws://127.0.0.1:{odd.port}")


def test_roboarena_servers_that_come_back_as_others_are_refused(serving: Serving):
    wishes = iter([CONFIG, CONFIG | {"needs_session_id": False}])
    web = serving(lambda web, connection: openpi(arena, next(wishes))(web, connection))
    agent = remote_agent(f"roboarena:ws://127.0.0.1:{web.port}")
    agent.reset(assignment())
    web.drop()
    with pytest.raises(AgentError, match="came back as another one"):
        agent.act(observation())
