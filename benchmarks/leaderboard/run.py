"""Plays a suite with an agent, in as many processes as wanted, and goes on where it was interrupted.

Every batch of episodes is written down as it is done, so that nothing that was played is lost. What comes of an
episode depends neither on the batch it was played in, nor on who played it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ...agents.agent import Agent, leave, senses
from ...agents.agents import agent_files, filled, load_agent
from ...envs import WorldVectorEnv
from ...errors import AgentError, SuiteError
from ...folders import write_texts
from ...workers import WorkerPool, processors, unwanted
from ..suites.manifest import Group, Suite, load_suite
from ..throughput_result import host
from .play import Stage
from .results import FILE, AgentTold, Episode, Latency, Played, Results, check_results, load_results

Notify = Callable[[str, float], None]

_EPISODES = TypeAdapter(list[Episode])
_RUN, _BATCHES = "run.json", "episodes"
_TIMED = 30


@dataclass(frozen=True)
class Order:
    """What is to be played.

    Attributes:
        suite: its name or its manifest. agent: its address, see `load_agent`. name: of the agent, for people.
        num_envs: worlds at once, workers: processes; neither changes what comes out.
        command: that was given, for others to repeat.
    """

    suite: str
    agent: str
    name: str = ""
    num_envs: int = 50
    workers: int = 1
    command: str = ""


def run_suite(order: Order, out: Path, notify: Notify = lambda stage, share: None) -> Results:
    """Plays what has not been played yet, and writes `results.json` into the folder `out`.

    Args:
        order: what is to be played. out: a folder, new or of the same run. notify: is told of every group.

    Raises:
        SuiteError: the suite is not what it was, or `out` is of another run. AgentError: the agent cannot be had, or
            does not do what agents do; what was played is kept.
    """
    if order.num_envs < 1 or order.workers < 1:
        raise SuiteError(f"num_envs and workers must be from 1, got {order.num_envs} and {order.workers}")
    for name, most in (("name", 200), ("agent", 2000), ("command", 2000)):
        if len(getattr(order, name) or order.agent) > most:
            raise SuiteError(f"the {name} of a run has {most} characters at most; give it a shorter one")
    suite = load_suite(order.suite)
    told = _agent_told(order, suite)
    run = {"suite": suite.digest, "agent": told.model_dump(mode="json")}
    out.mkdir(parents=True, exist_ok=True)
    _claim(out / _RUN, run)
    kept, spent = _kept(out / _BATCHES, suite)
    begun = time.monotonic()
    missing = {group.name: [k for k in range(group.episodes) if k not in kept[group.name]] for group in suite.groups}
    if not any(missing.values()) and (out / FILE).is_file():
        return load_results(out, {suite.name: suite})
    for group, episodes in _batches(order, suite, missing):
        rows = kept[group.name]
        rows |= {each.number: each for each in episodes}
        seconds, begun = time.monotonic() - begun, time.monotonic()
        spent += seconds
        name = f"{group.name}-{episodes[0].number:05d}-{episodes[-1].number:05d}.json"
        batch = {"seconds": seconds, "episodes": [each.model_dump(mode="json") for each in episodes]}
        write_texts(out / _BATCHES, {name: json.dumps(batch) + "\n"})
        notify(group.name, len(rows) / group.episodes)
    results = Results(
        suite=suite.name,
        suite_sha256=suite.digest,
        agent=told,
        played=tuple(
            Played(name=group.name, episodes=tuple(kept[group.name][k] for k in range(group.episodes)))
            for group in suite.groups
        ),
        latency=_latency(order, suite),
        machine={name: value if isinstance(value, (int, float)) else str(value) for name, value in host().items()},
        command=order.command,
        seconds=spent,
    ).signed()
    check_results(results, {suite.name: suite})
    write_texts(out, {FILE: results.written()})
    return results


def _agent_told(order: Order, suite: Suite) -> AgentTold:
    """Who plays; an agent of several files is looked at for every group, so that what is missing is told at once."""
    several = len({filled(order.agent, group.name) for group in suite.groups}) > 1
    names = [group.name for group in suite.groups] if several else [suite.groups[0].name]
    told: list[Agent] = []
    for name in names:
        agent = load_agent(order.agent, group=name)
        leave(agent)
        told.append(agent)
    files = {name if several else "": agent_files(order.agent, group=name) for name in names}
    return AgentTold(
        name=order.name or order.agent,
        address=order.agent,
        privileged=any(getattr(each, "privileged", False) for each in told),
        keywords=json.loads(json.dumps(dict(senses(told[0])))),
        files={name: each for name, each in files.items() if each},
    )


def _claim(path: Path, run: dict[str, Any]) -> None:
    """Refuses a folder in which something else was played."""
    if path.exists():
        try:
            earlier = dict(json.loads(path.read_bytes()))
        except (ValueError, TypeError) as error:
            raise SuiteError(f"{path} is damaged; choose another folder, or remove this one") from error
        other = [name for name in run if earlier.get(name) != run[name]]
        if other:
            raise SuiteError(f"{path.parent} holds a run of another {other[0]}; choose another folder, or remove it")
        return
    write_texts(path.parent, {path.name: json.dumps(run, indent=1) + "\n"})


def _kept(folder: Path, suite: Suite) -> tuple[dict[str, dict[int, Episode]], float]:
    """What was played already, by group and number, and the seconds it took."""
    found: dict[str, dict[int, Episode]] = {group.name: {} for group in suite.groups}
    spent = 0.0
    for path in sorted(folder.glob("*.json")):
        name = path.stem.rsplit("-", 2)[0]
        try:
            batch = json.loads(path.read_bytes())
            episodes = _EPISODES.validate_python(batch["episodes"])
            spent += float(batch["seconds"])
            found[name] |= {each.number: each for each in episodes}
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise SuiteError(f"{path} is damaged; remove it, and its episodes are played again") from error
    return found, spent


def _batches(order: Order, suite: Suite, missing: dict[str, list[int]]) -> Iterator[tuple[Group, list[Episode]]]:
    """Batches of episodes as they are done."""
    jobs = [
        (name, numbers[k : k + order.num_envs])
        for name, numbers in missing.items()
        for k in range(0, len(numbers), order.num_envs)
    ]
    if not jobs:
        return
    if order.workers == 1:
        player = _Player(suite, order)
        try:
            for name, numbers in jobs:
                yield suite.group(name), player.play(name, numbers)
        finally:
            player.close()
        return
    with WorkerPool(order.workers, _enlist, (order,)) as pool:
        waiting: dict[Future[list[Episode]], str] = {pool.submit(_play, name, numbers): name for name, numbers in jobs}
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    name = waiting.pop(future)
                    yield suite.group(name), future.result()
        except BrokenProcessPool as error:
            raise AgentError("a worker died (out of memory?); the same command goes on with what is left") from error


class _Player:
    """Plays batches one after another, and keeps the last group's environment and agent."""

    def __init__(self, suite: Suite, order: Order) -> None:
        self._suite, self._order = suite, order
        self._stage: Stage | None = None
        self._agent: Agent | None = None

    def play(self, name: str, numbers: Sequence[int]) -> list[Episode]:
        stage, agent = self._stage, self._agent
        if stage is None or agent is None or stage.group.name != name or stage.env.num_envs < len(numbers):
            self.close()
            group = self._suite.group(name)
            self._agent = agent = load_agent(self._order.agent, group=name)
            count = min(self._order.num_envs, group.episodes)
            self._stage = stage = Stage.made(self._suite, group, agent, count)
        return stage.play(agent, numbers, _go_on)

    def close(self) -> None:
        if self._stage is not None:
            self._stage.close()
        if self._agent is not None:
            leave(self._agent)
        self._stage = self._agent = None


_PLAYERS: list[_Player] = []  # of a worker: one


def _enlist(order: Order) -> None:
    """Makes this process a worker."""
    import torch

    torch.set_num_threads(processors())
    _PLAYERS[:] = [_Player(load_suite(order.suite), order)]


def _go_on(env: WorldVectorEnv) -> None:
    """Ends what a worker plays when nobody waits for it any more."""
    if unwanted():
        raise InterruptedError


def _play(name: str, numbers: Sequence[int]) -> list[Episode]:
    return _PLAYERS[0].play(name, numbers)


def _latency(order: Order, suite: Suite) -> Latency:
    """Of decisions for one world alone."""
    group = suite.groups[0]
    agent = load_agent(order.agent, group=group.name)
    stage = Stage.made(suite, group, agent, 1)
    episodes = 0
    try:
        while len(stage.seconds) < _TIMED:
            (episode,) = stage.play(agent, [episodes])
            episodes += 1
        seconds = np.array(stage.seconds[1:])  # the first one warms up
    finally:
        stage.close()
        leave(agent)
    return Latency(
        median=float(np.median(seconds)),
        slow=float(np.quantile(seconds, 0.95)),
        steps=group.steps / episode.decisions,
        decisions=len(seconds),
    )
