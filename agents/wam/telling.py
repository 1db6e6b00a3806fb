"""Does the dream tell the truth? Signals of a World Action Model that acts, one of each for every decision.

Before it acts: how far several dreams of the same present are apart, in actions and in what comes of them, and how far
the actions that the model itself infers from its dream are from those that it chose (arXiv:2604.01985). Afterwards:
how far what came is from what was dreamed, and from the present: a dream is of use where it beats that nothing moves,
and who dreams of what does not come, again and again, is stuck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import TaskError
from ...world_models.backbone import Memory
from ...world_models.wam.flow import Dream, decide, draw_noise, infer
from ...world_models.wam.network import Coming, Past, Wam
from .course import PROPRIOCEPTION
from .policy import WamPolicy

BEFORE = ("actions apart", "dreams apart", "inverse apart")
ERROR, STILL, EXCESS = AFTER = ("dream error", "stillness", "excess error")
"""How far off the dream was; how little changed: less the error of a dream in which nothing moves; the sum of both: how
much better off one would have been to expect nothing. Of the whole state; of things that are not the robot, and of
pictures, " of things" and " of pictures" behind."""
_MOVED = 8  # a pixel that changes by more, of 255, has moved


class Teller:
    """Acts as a policy does, and tells; of every decision, all control steps are played.

    Attributes:
        names: of all signals that it tells, `BEFORE` and `AFTER`; those of things and pictures, if there are any.
        before: by name (n,) what was known of the last decision before it was played; see `BEFORE`.
        dreamed: what the last decision was to lead to.
    """

    def __init__(self, net: Wam, *, steps: int = 4, samples: int = 8, seed: int = 0) -> None:
        """Takes a model.

        Args:
            net: the model. steps: of its flow. samples: dreams that are compared. seed: of their noise.

        Raises:
            TaskError: there is nothing to compare.
        """
        if samples < 2:
            raise TaskError(f"samples must be from 2, got {samples}: they are compared")
        self.policy = WamPolicy(net, steps=steps, dream=True, seed=seed)
        self._noise = draw_noise(net, samples, torch.Generator().manual_seed(seed + 1))
        parts, start = [], 0
        for name, size in net.settings.state.items():
            if name not in PROPRIOCEPTION:
                parts += list(range(start, start + size))
            start += size
        self._things = torch.tensor(parts, dtype=torch.int64, device=net.device)
        self.before: dict[str, NDArray[np.float64]] = {}
        kinds = ["", *([" of things"] if parts else []), *([" of pictures"] if net.settings.cameras else [])]
        self.names = (*BEFORE, *(f"{name}{kind}" for kind in kinds for name in AFTER))
        self.dreamed: Dream | None = None
        self._now: tuple[Tensor, Tensor] | None = None

    def reset(self, num_envs: int, *, first: int = 0) -> None:
        """See `WamPolicy.reset`."""
        self.policy.reset(num_envs, first=first)

    @torch.no_grad()
    def act(self, observation: Any, instructions: Sequence[str], *, begun: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Actions (n, H, A); see `WamPolicy.act`."""
        policy, net = self.policy, self.policy.net
        here = policy.present(observation, instructions, begun=begun)
        given = here.past, here.memory, here.whole
        chosen = decide(net, *given, here.start, steps=policy.steps, dream=True)
        chunk = chosen.action.clamp(-1, 1)
        others = self._others(here.past, here.memory, here.whole)
        back = infer(net, *given, here.start, state=chosen.state, image=chosen.image, steps=policy.steps)
        scale = net.scales.step_scale
        states = others.state.reshape(len(chunk), -1, chosen.state.shape[1]) / scale
        actions = others.action.clamp(-1, 1).reshape(len(chunk), -1, *chunk.shape[1:])
        found = {
            "actions apart": (actions - actions.mean(1, keepdim=True)).square().mean((1, 2, 3)).sqrt(),
            "dreams apart": (states - states.mean(1, keepdim=True)).square().mean((1, 2)).sqrt(),
            "inverse apart": (back.action.clamp(-1, 1) - chunk).square().mean((1, 2)).sqrt(),
        }
        self.before = {name: value.double().cpu().numpy() for name, value in found.items()}
        self.dreamed, self._now = chosen, (here.whole[:, -1], here.past.image[:, -1])
        return policy.done(chunk)

    def after(self, observation: Any) -> dict[str, NDArray[np.float64]]:
        """By name (n,) how far off the last dream was, see `AFTER`: states in squares of usual changes, pictures in
        squares of full brightness, where they moved.

        Args:
            observation: what came of it; see `ChunkPolicy.act`.
        """
        assert self.dreamed is not None
        assert self._now is not None
        net = self.policy.net
        named = observation if isinstance(observation, Mapping) else {"state": observation}
        came = torch.from_numpy(np.array(named["state"], dtype=np.float32)).to(net.device)
        now, before = self._now
        squares = [((said - came) / net.scales.step_scale).square() for said in (self.dreamed.state, now)]
        told = _against("", *(square.mean(1) for square in squares))
        if len(self._things):
            told |= _against(" of things", *(square[:, self._things].mean(1) for square in squares))
        if net.settings.cameras:
            seen = np.stack([named[camera] for camera in net.settings.cameras], 1)
            image = torch.from_numpy(seen).to(net.device).int()
            moved = ((image - before.int()).abs() > _MOVED).any(-1)
            count = moved.flatten(1).sum(1).clamp_min(1)
            apart = [((drawn.int() - image) / 255.0).square().mean(-1) for drawn in (self.dreamed.image, before)]
            told |= _against(" of pictures", *((each * moved).flatten(1).sum(1) / count for each in apart))
        return told

    def _others(self, past: Past, memory: Memory, whole: Tensor) -> Dream:
        """Dreams of the same present, as many as `samples` in each world, world after world."""
        count, samples = len(whole), len(self._noise.change)

        def often(value: Tensor, axis: int = 0) -> Tensor:
            return value.repeat_interleave(samples, axis)

        many = Past(**{name: often(value) for name, value in vars(past).items()})
        held = Memory(often(memory.keys, 1), often(memory.values, 1), often(memory.there))
        noise = Coming(
            **{name: value.repeat(count, *[1] * (value.ndim - 1)) for name, value in vars(self._noise).items()}
        )
        return decide(self.policy.net, many, held, often(whole), noise, steps=self.policy.steps, dream=True)


def _against(kind: str, dream: Tensor, copy: Tensor) -> dict[str, NDArray[np.float64]]:
    """`AFTER` of one kind, from errors (n,) of the dream and of a copy of the present."""
    values = [each.double().cpu().numpy() for each in (dream, copy)]
    return dict(zip((f"{name}{kind}" for name in AFTER), (values[0], -values[1], values[0] - values[1]), strict=True))
