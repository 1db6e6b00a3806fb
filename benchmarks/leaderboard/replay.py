"""Plays some episodes of somebody's results again: did the agent do what the file says?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...agents.agent import leave
from ...agents.agents import agent_files, load_agent, runs_nothing
from ...errors import AgentError
from ..suites.manifest import Suite, load_suite
from .play import Stage
from .results import Episode, Results

EXACT = ("success", "ever", "error", "decisions")
CLOSE = ("reward", "first_success", "energy", "peak_force", "smoothness")


@dataclass(frozen=True)
class Replayed:
    """An episode that was played again: `said` is what the file says of it, `found` what came."""

    group: str
    said: Episode
    found: Episode

    @property
    def differs(self) -> list[str]:
        """What is not the same; numbers may be a thousandth apart, since processors round in different ways."""
        wrong = [name for name in EXACT if getattr(self.said, name) != getattr(self.found, name)]
        for name in CLOSE:
            a, b = getattr(self.said, name), getattr(self.found, name)
            if (a is None) != (b is None) or (a is not None and not np.isclose(a, b, rtol=1e-3, atol=1e-3)):
                wrong.append(name)
        return wrong


def replay(
    results: Results,
    count: int,
    *,
    seed: int,
    address: str | None = None,
    suite: Suite | None = None,
    notify: Callable[[str, float], None] = lambda stage, share: None,
) -> list[Replayed]:
    """Plays `count` episodes of every group again, drawn by `seed`.

    Args:
        results: that were loaded. suite: None: the one it names.
        address: of the agent here; None: as the file says, if that runs no code of anybody and asks no server.

    Raises:
        AgentError: the agent cannot be had, or is of other files than the one that played.
    """
    suite = load_suite(results.suite) if suite is None else suite
    if address is None:
        address = results.agent.address
        if not runs_nothing(address):
            raise AgentError(
                f"the file says that its agent is {address!r}: code, a server, or a file that may hold code. If you "
                "trust it, say so: --agent with its address"
            )
    rng = np.random.default_rng(seed)
    found = []
    for number, group in enumerate(suite.groups):
        files = results.agent.files.get(group.name, results.agent.files.get("", {}))
        if sorted(agent_files(address, group=group.name).values()) != sorted(files.values()):
            raise AgentError(f"{address} is of other files than the agent that played {group.name}; get those first")
        said = results.group(group.name)
        chosen = sorted(int(k) for k in rng.choice(len(said), min(count, len(said)), replace=False))
        agent = load_agent(address, group=group.name)
        stage = Stage.made(suite, group, agent, len(chosen))
        try:
            found += [Replayed(group.name, said[each.number], each) for each in stage.play(agent, chosen)]
        finally:
            stage.close()
            leave(agent)
        notify("playing again", (number + 1) / len(suite.groups))
    return found
