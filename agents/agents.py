"""Agents by their address: those that come with PocketWorlds, trained files, code of one's own, servers elsewhere.

=========================================  ============================================================
`expert`, `random`                         the scripted expert of the task; actions at random
`expert@0.3`                               the expert, with noise of this standard deviation on its actions
`wam:Push`                                 the World Action Model that comes with PocketWorlds for a task
`out/wam/Push.safetensors`                 one of one's own, or another network of `train wam`
`out/ppo/Push`                             a folder of `agents.ppo` or `agents.sac`
`my_module:MyAgent`                        anything that, called without arguments, gives an `Agent`
`openpi:ws://host:8000`, ...               a server that speaks its own protocol, see `agents.remote`
=========================================  ============================================================

`{group}` in an address stands for the name of what is played, such as PickPlace-test, `{task}` for what stands before
its dash: an agent may be of many files.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import AgentError
from ..world_models.shipped import OURS, located
from .agent import SENSES, Agent, Assignment, Observed
from .experts import make_expert
from .remote.registry import REMOTE, remote_agent

_CODE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NOISY = re.compile(r"expert@(\d*\.?\d+)")
_STREAM = 5


class _Draws:
    """Numbers (n, A) for one control step after another, drawn for each episode by its number alone."""

    _AHEAD = 64

    def __init__(self, assignment: Assignment, draw: Callable[[np.random.Generator, tuple[int, int]], Any]) -> None:
        self._streams = [np.random.default_rng([_STREAM, int(number)]) for number in assignment.episodes]
        self._draw, self._size = draw, assignment.action_size
        self._left = np.zeros((0, len(self._streams), self._size), dtype=np.float32)

    def next(self) -> NDArray[np.float32]:
        if not len(self._left):
            drawn = [self._draw(stream, (self._AHEAD, self._size)) for stream in self._streams]
            self._left = np.stack(drawn, axis=1).astype(np.float32)
        found: NDArray[np.float32] = self._left[0]
        self._left = self._left[1:]
        return found


class RandomAgent:
    """Uniformly random actions, drawn by the number of an episode."""

    keywords: Mapping[str, Any] = {"obs_mode": "state"}

    def reset(self, assignment: Assignment) -> None:
        """See `Agent`."""
        self._draws = _Draws(assignment, lambda draw, shape: draw.uniform(-1, 1, shape))

    def act(self, observation: Observed) -> NDArray[np.float32]:
        """See `Agent`."""
        return self._draws.next()


class ExpertAgent:
    """The scripted expert of the task; it looks at the simulator. Noise makes it worse: to compare simulators takes
    agents of different skill."""

    keywords: Mapping[str, Any] = {"obs_mode": "state"}
    privileged = True

    def __init__(self, noise: float = 0.0) -> None:
        """`noise`: standard deviation of what is added to its actions."""
        self._noise = noise

    def reset(self, assignment: Assignment) -> None:
        """See `Agent`."""
        self._expert = make_expert(assignment.env)
        self._draws = _Draws(assignment, lambda draw, shape: draw.normal(0, 1, shape))

    def act(self, observation: Observed) -> NDArray[np.float32]:
        """See `Agent`."""
        return np.clip(self._expert.act() + np.float32(self._noise) * self._draws.next(), -1, 1)


class NetworkAgent:
    """A World Action Model, or a network that it is compared with; it decides as it did when it was tried out."""

    def __init__(self, path: Path) -> None:
        """Reads it.

        Raises:
            CheckpointError: it cannot be used. TaskError: its card says that it decides as it cannot.
        """
        from ..world_models.wam.model import load_model
        from .wam.policy import policy_of, tried_out

        net, card = load_model(path)
        self._policy, settings = policy_of(net, **tried_out(card.measured)), net.settings
        obs_mode = "+".join(["state", *(["rgb"] if settings.cameras else [])])
        self.keywords: dict[str, Any] = {"obs_mode": obs_mode, "control_mode": settings.control_mode}
        if settings.cameras:
            height, width = settings.image_size
            self.keywords["image_size"] = (width, height)

    def reset(self, assignment: Assignment) -> None:
        """See `Agent`."""
        from .wam.policy import check_place

        check_place(self._policy.settings, assignment.env)
        self._policy.reset(len(assignment.episodes), numbers=assignment.episodes)
        self._begun = np.ones(len(assignment.episodes), dtype=np.bool_)

    def act(self, observation: Observed) -> NDArray[np.float32]:
        """See `Agent`."""
        chunk = self._policy.act(observation, observation["instruction"], begun=self._begun)
        self._begun = np.zeros_like(self._begun)
        return chunk


class SB3Agent:
    """A policy of Stable-Baselines3, as `agents.sb3_policy` wrote it."""

    _ROWS = 16  # at a time, always: libraries multiply matrices of other sizes in other ways, to other last bits

    def __init__(self, folder: Path) -> None:
        """Reads it.

        Raises:
            TaskError: there is none.
        """
        from .sb3_policy import SB3Policy

        self._policy, self._folder = SB3Policy(folder), folder
        self._sees = "rgb" if self._policy.picture else "state"
        self.keywords: dict[str, Any] = {"obs_mode": self._sees}
        if self._policy.picture:
            self.keywords["image_size"] = self._policy.picture[::-1]

    def reset(self, assignment: Assignment) -> None:
        """See `Agent`.

        Raises:
            AgentError: it was trained in an environment of other states or actions.
        """
        size = sum(part.stop - part.start for part in assignment.state_layout.values())
        known = self._policy.size or size, self._policy.action_size
        if known != (size, assignment.action_size):
            raise AgentError(
                f"{self._folder} was trained with states of {known[0]} numbers and actions of {known[1]}; "
                f"{assignment.env_id} has {size} and {assignment.action_size}"
            )

    def act(self, observation: Observed) -> NDArray[np.float32]:
        """See `Agent`."""
        seen = np.asarray(observation[self._sees])
        missing = -len(seen) % self._ROWS
        blocks = np.concatenate([seen, np.repeat(seen[:1], missing, axis=0)]).reshape(-1, self._ROWS, *seen.shape[1:])
        return np.concatenate([self._policy.act(block) for block in blocks])[: len(seen)]


def filled(address: str, group: str) -> str:
    """An address with the names of a group and its task in place of `{group}` and `{task}`."""
    return address.replace("{group}", group).replace("{task}", group.partition("-")[0])


def load_agent(address: str, *, group: str) -> Agent:
    """The agent that an address means, for what is called `group`.

    Raises:
        AgentError: there is none, or what is there is no agent. CheckpointError: a file cannot be used.
    """
    from .sb3_policy import POLICY

    told = filled(address, group)
    known: dict[str, type[Agent]] = {"expert": ExpertAgent, "random": RandomAgent}
    if told in known:
        return known[told]()
    noisy = _NOISY.fullmatch(told)
    if noisy is not None:
        return ExpertAgent(float(noisy[1]))
    if told.partition(":")[0] in REMOTE:
        return remote_agent(told)
    path = located(told)
    if path.is_file():
        return NetworkAgent(path)
    if (path / POLICY).is_file():
        return SB3Agent(path)
    if _CODE.fullmatch(told) and not path.exists():
        return _own(told)
    raise AgentError(
        f"there is no agent {told!r}: it is neither {', '.join(known)}, nor {OURS}<task>, nor a checkpoint's file, nor "
        f"a folder with a {POLICY}, nor code (module:name), nor the address of a server ({', '.join(REMOTE)})"
    )


def runs_nothing(address: str) -> bool:
    """Whether whoever loads an agent runs no code but that of PocketWorlds, and asks nobody: true of what comes with it
    and of `.safetensors` files."""
    ours = address in ("expert", "random") or _NOISY.fullmatch(address) or address.startswith(OURS)
    return bool(ours) or Path(address).suffix == ".safetensors"


def agent_files(address: str, *, group: str) -> dict[str, str]:
    """SHA-256 of the files that an agent is made of, by name; none of servers and of what comes with PocketWorlds."""
    told = filled(address, group)
    path = located(told)
    files = [path] if path.is_file() else sorted(each for each in path.glob("*") if each.is_file())
    if _CODE.fullmatch(told) and not path.exists():
        source = inspect.getsourcefile(_module(told.partition(":")[0]))
        files = [Path(source)] if source else []
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def _module(name: str) -> Any:
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise AgentError(f"the module {name!r} cannot be imported: {error}; run where it can be found") from error


def _own(address: str) -> Agent:
    """What somebody's own code makes."""
    module, _, name = address.partition(":")
    made = getattr(_module(module), name, None)
    if made is None:
        raise AgentError(f"the module {module!r} has nothing that is called {name!r}")
    agent = made() if callable(made) else made
    for method in ("reset", "act"):
        if not callable(getattr(agent, method, None)):
            raise AgentError(f"{address} gives {agent!r}, which has no method {method!r}; see agents/agent.py")
    unknown = sorted(set(getattr(agent, "keywords", {})) - set(SENSES))
    if unknown:
        raise AgentError(f"{address} asks for the keyword {unknown[0]!r}; an agent may choose {list(SENSES)}")
    return agent  # type: ignore[no-any-return]
