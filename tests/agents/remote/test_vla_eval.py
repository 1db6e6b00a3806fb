"""vla-eval's client against a server that speaks its protocol."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pocketworlds.agents.remote.registry import remote_agent
from pocketworlds.errors import AgentError

from .servers import Web, assignment, expected, observation, policy, vla_eval, vla_pack

Serving = Callable[..., Web]


def answer(payload: Any, step: int) -> Any:
    np.testing.assert_array_equal(payload["state"], payload["states"])
    chunk = policy(payload["images"]["rgb"], payload["states"], payload["task_description"], 4)
    return {"payload": {"actions": chunk}}


@pytest.fixture
def serving() -> Iterator[Serving]:
    running: list[Web] = []

    def start(talk: Any = None, **options: Any) -> Web:
        running.append(Web(talk or vla_eval(answer), **options))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def address(web: Web, options: str = "") -> str:
    return f"vla_eval:ws://127.0.0.1:{web.port}?image_size=16&wait=0.05{options}"


def kinds(web: Web) -> list[tuple[int, str]]:
    return [(connection, kind) for connection, kind, _ in web.seen]


def test_every_world_is_a_session_of_its_own(serving: Serving):
    web = serving()
    agent = remote_agent(address(web))
    assert agent.hello["model_server"] == "Test"
    agent.reset(assignment(3))
    assert len(web.connections) == 3
    for step in range(2):
        seen = observation(3, step=step)
        np.testing.assert_array_equal(agent.act(seen), expected(seen, 4))
    begun = [payload for _, kind, payload in web.seen if kind == "episode_start"]
    # Which connection's message is read first is the server's business.
    assert sorted(each["task"]["name"] for each in begun) == sorted(assignment(3).instructions)
    assert begun[0]["task"]["suite"] == "PocketWorlds/Lift-v0"
    agent.reset(assignment(2))
    agent.act(observation(2))
    deadline = time.monotonic() + 5
    while [kind for _, kind in kinds(web)].count("episode_end") < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [kind for _, kind in kinds(web)].count("episode_end") == 2
    assert len(web.connections) == 3


def test_servers_that_buffer_their_chunks_give_one_action_at_a_time(serving: Serving):
    web = serving(vla_eval(lambda payload, step: {"payload": {"actions": np.full(7, step / 100, np.float32)}}))
    agent = remote_agent(address(web))
    agent.reset(assignment(2))
    for step in range(3):
        found = agent.act(observation(2))
        assert found.shape == (2, 1, 7)
        np.testing.assert_allclose(found, step / 100, rtol=1e-6)
    agent.reset(assignment(2))
    assert not agent.act(observation(2)).any()


def test_all_worlds_are_asked_before_one_answers(serving: Serving):
    together = threading.Barrier(3, timeout=10)

    def batch(payload: Any, step: int) -> Any:
        together.wait()
        return answer(payload, step)

    agent = remote_agent(address(serving(vla_eval(batch))))
    agent.reset(assignment(3))
    np.testing.assert_array_equal(agent.act(observation(3)), expected(observation(3), 4))


def test_a_server_that_comes_back_is_told_of_the_episode_again(serving: Serving):
    first = serving()
    agent = remote_agent(address(first, "&attempts=40"))
    agent.reset(assignment(2))
    agent.act(observation(2))
    first.stop()
    second = serving(port=first.port)
    np.testing.assert_array_equal(agent.act(observation(2, step=1)), expected(observation(2, step=1), 4))
    for connection in (1, 2):
        order = [kind for number, kind in kinds(second) if number == connection]
        assert order[:3] == ["hello", "episode_start", "observation"]


def test_a_world_whose_line_is_cut_while_it_waits_is_asked_again(serving: Serving):
    cut = threading.Event()

    def once(payload: Any, step: int) -> Any:
        if not cut.is_set():
            cut.set()
            return None
        return answer(payload, step)

    web = serving(vla_eval(once))
    agent = remote_agent(address(web))
    agent.reset(assignment(3))
    np.testing.assert_array_equal(agent.act(observation(3)), expected(observation(3), 4))
    assert len(web.connections) == 4


def test_errors_of_the_server_are_told_even_if_they_are_late(serving: Serving):
    def fails(payload: Any, step: int) -> Any:
        return {"type": "error", "payload": {"error": "observation_failed: KeyError: 'wrist'"}}

    agent = remote_agent(address(serving(vla_eval(fails))))
    agent.reset(assignment())
    with pytest.raises(AgentError, match=r"refused: observation_failed: KeyError: 'wrist'"):
        agent.act(observation())

    def late(payload: Any, step: int) -> Any:
        return {"type": "error", "payload": {"error": "episode_start_failed: no suite"}, "seq": 2}

    agent = remote_agent(address(serving(vla_eval(late))))
    agent.reset(assignment())
    with pytest.raises(AgentError, match="refused: episode_start_failed: no suite"):
        agent.act(observation())


def test_after_an_error_no_old_answer_is_taken_for_a_new_one(serving: Serving):
    failing = threading.Event()

    def sometimes(payload: Any, step: int) -> Any:
        if failing.is_set() and payload["task_description"] == "lift the mug ":
            return {"type": "error", "payload": {"error": "out of memory"}}
        return answer(payload, step)

    agent = remote_agent(address(serving(vla_eval(sometimes))))
    agent.reset(assignment(3))
    failing.set()
    with pytest.raises(AgentError, match="out of memory"):
        agent.act(observation(3))
    failing.clear()
    np.testing.assert_array_equal(agent.act(observation(3, step=1)), expected(observation(3, step=1), 4))
    failing.set()
    with pytest.raises(AgentError, match="out of memory"):
        agent.act(observation(3))
    failing.clear()
    agent.reset(assignment(3))
    np.testing.assert_array_equal(agent.act(observation(3, step=2)), expected(observation(3, step=2), 4))


def test_answers_to_something_else_are_refused(serving: Serving):
    agent = remote_agent(address(serving(vla_eval(lambda p, s: answer(p, s) | {"seq": 77}))))
    agent.reset(assignment())
    with pytest.raises(AgentError, match=r"sent 'action' number 77, where 'action' number 3 was due"):
        agent.act(observation())


def test_servers_of_another_protocol_are_refused(serving: Serving):
    with pytest.raises(AgentError, match="version 2 of its protocol, this is for version 1"):
        remote_agent(address(serving(vla_eval(answer, {"protocol_version": 2}))))

    def first(words: str | bytes) -> Callable[[Web, Any], None]:
        def talk(web: Web, connection: Any) -> None:
            connection.send(words)
            for _ in connection:
                pass

        return talk

    with pytest.raises(AgentError, match="makes no sense: it is text"):
        remote_agent(address(serving(first("hello"))))
    with pytest.raises(AgentError, match="makes no sense: it is no map with a type"):
        remote_agent(address(serving(first(vla_pack({"robot": "panda"})))))


def test_a_server_that_takes_too_long_is_given_up(serving: Serving):
    def slow(payload: Any, step: int) -> Any:
        time.sleep(1.5)
        return answer(payload, step)

    agent = remote_agent(address(serving(vla_eval(slow)), "&timeout=0.3"))
    agent.reset(assignment(2))
    with pytest.raises(AgentError, match=r"did not answer within 0.3 s"):
        agent.act(observation(2))
