"""A World Action Model that acts in a batch of worlds, a chunk of actions at a time.

Example:
    >>> policy = WamPolicy(load_wam("push.safetensors")[0])
    >>> env = gym.make_vec("PocketWorlds/Push-v0", num_envs=16)
    >>> observation, info = env.reset(seed=0)
    >>> policy.reset(16)
    >>> chunk = policy.act(observation, info["instruction"], begun=np.ones(16, dtype=bool))
    >>> observation, *_, info = env.step_chunk(chunk)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...envs import WorldVectorEnv
from ...errors import TaskError
from ...world_models.backbone import Memory
from ...world_models.wam.act import Act
from ...world_models.wam.base import Model
from ...world_models.wam.cloning import Cloning
from ...world_models.wam.flow import Dream, decide, draw_noise
from ...world_models.wam.network import Coming, Past, Wam
from ...world_models.wam.settings import WamSettings
from ...world_models.wam.words import letters

Ints = NDArray[np.int64]

_NOISES = 1024
"""Starts of flows that decisions choose from: a table, so that a world's do not depend on who else is there."""


def check_place(settings: WamSettings, env: WorldVectorEnv) -> None:
    """Compares what the model was made for with an environment.

    Raises:
        TaskError: they differ in robot, actions, or what a state tells; the message says how.
    """
    there = {name: part.stop - part.start for name, part in env.state_layout.items()}
    pairs = {
        "robot": (settings.robot, env.world.robot.name),
        "control_mode": (settings.control_mode, env.config.control_mode),
        "action_size": (settings.action_size, env.simulator.action_size),
        "state": (_told(settings.state), _told(there)),
    }
    for name, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise TaskError(
                f"the model is for {name}={ours}, this environment has {name}={theirs}; choose the environment and "
                "the keywords that it was trained for"
            )


class ChunkPolicy(ABC):
    """What acts in many worlds at once, a chunk of control steps at a time, and what it sees and did.

    Attributes:
        settings: of its model. device: that is on. execute: control steps E of a chunk that are played.
    """

    def __init__(self, settings: WamSettings, device: torch.device, *, execute: int | None) -> None:
        """Checks `execute`; None: the whole chunk.

        Raises:
            TaskError: it makes no sense.
        """
        self.settings, self.device = settings, device
        self.execute = settings.chunk if execute is None else execute
        if not 1 <= self.execute <= settings.chunk:
            raise TaskError(f"execute must be from 1 to the chunk's {settings.chunk} control steps, got {execute}")
        self._seen_at = torch.tensor(settings.seen_at, device=device)
        self.reset(0)

    def reset(self, num_envs: int, *, first: int = 0, numbers: Ints | None = None) -> None:
        """Forgets everything; so many worlds follow, with `numbers` (num_envs,), or from `first` on, that noise is
        drawn by."""
        shape = (num_envs, 1, self.settings.chunk)
        self._action = torch.zeros(*shape, self.settings.action_size, device=self.device)
        self._acted = torch.zeros(shape, dtype=torch.bool, device=self.device)
        self._told = torch.zeros(num_envs, self.settings.net.letters, dtype=torch.int64, device=self.device)
        self._asked = np.full(num_envs, None, dtype=object)

    @abstractmethod
    def act(self, observation: Any, instructions: Sequence[str], *, begun: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Actions (n, E, A) in [-1, 1].

        Args:
            observation: of n worlds: an array of states, or a dict with "state" and pictures.
            instructions: (n,) what is asked for. begun: (n,) worlds whose episode has just begun.

        Raises:
            TaskError: the observation is not what the model was made for.
        """

    def look(self, observation: Any, instructions: Sequence[str], *, begun: NDArray[np.bool_]) -> Past:
        """What the model sees of all worlds now, and what it did before; see `act`. `done` must follow."""
        self._forget(np.asarray(begun))
        asked = np.asarray(instructions, dtype=object)
        changed = np.flatnonzero(self._asked != asked)
        if len(changed):
            self._asked[changed] = asked[changed]
            self._told = self._told.clone()  # what was looked at before stays as it was
            self._told[changed] = letters(list(asked[changed]), self.settings.net.letters).to(self.device)
        return self._see(observation)

    def done(self, chunk: Tensor) -> NDArray[np.float32]:
        """Remembers what is played now, actions (n, E, A), and gives it as an array."""
        yes = torch.ones(chunk.shape[:2], dtype=torch.bool, device=chunk.device)[:, None]
        self._action = torch.cat([self._action, chunk[:, None]], 2)[:, :, chunk.shape[1] :]
        self._acted = torch.cat([self._acted, yes], 2)[:, :, chunk.shape[1] :]
        return np.asarray(chunk.cpu().numpy(), dtype=np.float32)

    def _forget(self, begun: NDArray[np.bool_]) -> None:
        """Worlds (n,) begin anew."""
        rows = torch.from_numpy(np.flatnonzero(begun)).to(self.device)
        self._action[rows], self._acted[rows] = 0, False

    def _see(self, observation: Any) -> Past:
        settings, device, count = self.settings, self.device, len(self._asked)
        named: Mapping[str, Any] = observation if isinstance(observation, Mapping) else {"state": observation}
        wanted: dict[str, tuple[int, ...]] = {"state": (count, settings.state_size)}
        wanted |= dict.fromkeys(settings.cameras, (count, *settings.image_size, 3))
        for name, shape in wanted.items():
            found = None if name not in named else np.shape(named[name])
            if found != shape:
                told = f"has {name!r} of shape {found}" if found else f"lacks {name!r}"
                raise TaskError(
                    f"the observation {told}, this model sees {shape}; make the environment with "
                    f'obs_mode="{"+".join(wanted)}", its task and its picture size'
                )
        state = torch.from_numpy(np.asarray(named["state"], dtype=np.float32)).to(device)
        height, width = settings.image_size
        pictures = [torch.from_numpy(np.ascontiguousarray(named[name])).to(device) for name in settings.cameras]
        blank = torch.zeros(count, 0, height, width, 3, dtype=torch.uint8, device=device)
        return Past(
            state=state[:, None, self._seen_at],
            known=torch.ones(count, 1, dtype=torch.bool, device=device),
            image=(torch.stack(pictures, 1) if pictures else blank)[:, None],
            action=self._action,
            acted=self._acted,
            told=self._told,
        )


@dataclass(frozen=True)
class Present:
    """What a model sees of n worlds and remembers, the whole states (n, 1, S) as far as it can tell, and the noise that
    its flow begins with."""

    past: Past
    memory: Memory
    whole: Tensor
    start: Coming


class WamPolicy(ChunkPolicy):
    """Decides for many worlds at once; what it does in one does not depend on the others.

    Attributes:
        net: the model. steps: of its flow. dreamed: the last decision's `Dream`.
    """

    def __init__(
        self, net: Wam, *, steps: int = 4, execute: int | None = None, dream: bool = False, seed: int = 0
    ) -> None:
        """Takes a model.

        Args:
            net: the model. steps: of its flow. execute: control steps of a decision that are played; None: all.
            dream: let the world flow along; slower, and `dreamed` then says what is to come.
            seed: of the noise that flows begin with.

        Raises:
            TaskError: `steps` or `execute` make no sense.
        """
        if steps < 1:
            raise TaskError(f"steps of the flow must be from 1, got {steps}")
        self.net, self.steps, self._dream = net.eval(), steps, dream
        self._noise = draw_noise(net, _NOISES, torch.Generator().manual_seed(seed))
        self.dreamed: Dream | None = None
        super().__init__(net.settings, net.device, execute=execute)
        if net.settings.past > 1 and self.execute != net.settings.chunk:
            raise TaskError(f"this model's frames lie {net.settings.chunk} control steps apart: execute all of them")

    def reset(self, num_envs: int, *, first: int = 0, numbers: Ints | None = None) -> None:
        """See `ChunkPolicy.reset`."""
        super().reset(num_envs)
        self._numbers = (np.arange(first, first + num_envs) if numbers is None else numbers).astype(np.uint64)
        self._count, self._begun = np.zeros(num_envs, dtype=np.int64), np.zeros(num_envs, dtype=np.int64)
        long = self.settings.past > 1
        self._memory = self.net.backbone.blank(num_envs, self.settings.tokens) if long else None

    @torch.no_grad()
    def act(self, observation: Any, instructions: Sequence[str], *, begun: NDArray[np.bool_]) -> NDArray[np.float32]:
        """See `ChunkPolicy.act`."""
        here = self.present(observation, instructions, begun=begun)
        steer = self.net.steer
        return self.play(here, None if steer is None else steer(self.net.scales.state(here.whole[:, -1])))

    @torch.no_grad()
    def play(self, here: Present, chosen: Tensor | None) -> NDArray[np.float32]:
        """Actions (n, E, A) that are played now; `chosen` (n, 2 A), if the model is steered, see `Steer`."""
        start, residual = here.start, None
        if chosen is not None:
            assert self.net.steer is not None
            shift, residual = self.net.steer.steered(chosen)
            start = replace(start, action=start.action + shift[:, None])
        self.dreamed = decide(self.net, here.past, here.memory, here.whole, start, steps=self.steps, dream=self._dream)
        action = self.dreamed.action if residual is None else self.dreamed.action + residual
        return self.done(action[:, : self.execute].clamp(-1, 1))

    @torch.no_grad()
    def present(self, observation: Any, instructions: Sequence[str], *, begun: NDArray[np.bool_]) -> Present:
        """Everything that a decision is made of; `done` must follow it. See `act`."""
        past = self.look(observation, instructions, begun=begun)
        newer, whole = self.net.remember(past, self._memory)
        memory = newer if self._memory is None else self._memory.pushed(newer)
        self._memory = None if self._memory is None else memory
        return Present(past, memory, whole, self._starts())

    def _forget(self, begun: NDArray[np.bool_]) -> None:
        super()._forget(begun)
        if self._memory is not None:
            there = self._memory.there.clone()
            there[torch.from_numpy(np.flatnonzero(begun)).to(self.device)] = False
            self._memory = replace(self._memory, there=there)
        self._begun[begun] += 1
        self._count[begun] = 0
        self._count += 1

    def _starts(self) -> Coming:
        """Noise for every world, drawn by its number, its episode's and its decision's."""
        mixed = self._numbers
        for numbers in (self._begun, self._count):
            mixed = (mixed ^ numbers.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
            mixed = mixed ^ (mixed >> np.uint64(29))
        which = torch.from_numpy((mixed % np.uint64(_NOISES)).astype(np.int64)).to(self.device)
        return Coming(**{name: value[which] for name, value in vars(self._noise).items()})


class CloningPolicy(ChunkPolicy):
    """A network that says chunks at once, what it was shown or about that."""

    def __init__(self, net: Cloning | Act, *, execute: int | None = None) -> None:
        """Takes a model; see `ChunkPolicy`."""
        self.net = net.eval()
        super().__init__(net.settings, net.seen_at.device, execute=execute)

    @torch.no_grad()
    def act(self, observation: Any, instructions: Sequence[str], *, begun: NDArray[np.bool_]) -> NDArray[np.float32]:
        """See `ChunkPolicy.act`."""
        past = self.look(observation, instructions, begun=begun)
        chunk = self.net(past.state[:, -1], past.image[:, -1], past.told)
        return self.done(chunk[:, : self.execute].clamp(-1, 1))


def policy_of(net: Model, *, steps: int = 4, execute: int | None = None) -> ChunkPolicy:
    """The policy that a model is; `steps` of its flow, if it has one. See `ChunkPolicy`."""
    if isinstance(net, Wam):
        return WamPolicy(net, steps=steps, execute=execute)
    assert isinstance(net, (Cloning, Act))
    return CloningPolicy(net, execute=execute)


def tried_out(measured: Mapping[str, Any]) -> dict[str, Any]:
    """How a model decides, for `policy_of`: as it did when what its card says was measured."""
    steps, execute = measured.get("flow_steps"), measured.get("execute")
    found = {"steps": steps} if isinstance(steps, int) and steps >= 1 else {}
    return {**found, "execute": execute} if isinstance(execute, int) else found


def _told(state: Mapping[str, int]) -> str:
    """A state's parts in words."""
    return "(" + ", ".join(f"{name} {size}" for name, size in state.items()) + ")"
