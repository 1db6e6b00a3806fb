"""How far off a prediction may be, learned from rehearsals beside physics.

Networks that disagree about a step do not say how far off the world has got since the episode began; that depends on
what was touched, for how long, and how unsure the robot's own motion was near it. A small network learns the quantile
of the error from these (Koenker and Bassett, "Regression Quantiles", Econometrica 46, 1978), and split conformal
prediction on other episodes makes it hold (Romano, Patterson and Candes, "Conformalized Quantile Regression", NeurIPS
2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .networks import Ensemble

COVERAGE = 0.9
"""Share of times at which the bound is to hold."""
USUAL = 0.95
"""Share of episodes in which nothing is ever called strange."""
SIGNS = 6
"""Numbers that the bound depends on; see `Signs`."""
USUALS = 3
"""Numbers of which `Trust` knows how much is usual: the first of `Signs.recent`."""
UNKNOWN = torch.finfo(torch.float32).max
"""Stands for what is usual where nobody has measured it: nothing is more."""
_LEAST = 1e-4  # [m]: smaller errors are none
_FINEST = 1e-3  # [m]: nobody is promised better than that
_WIDTH, _STEPS, _RATE = 32, 600, 5e-3
_MEMORY = 0.7  # of disagreement, from one control period to the next: one step alone is noise


class Signs:
    """What happened in `n` episodes so far that bears on trust.

    Attributes:
        doubt: (n, 5) of the last step: see `Dynamics.step`. recent: (n, 4) of the last few steps: disagreement about
            things [m] and about the robot, how unusual its motion is, and how unlike others things or servos are.
        sums: (n, SIGNS - 1) since the episode began: disagreement about things, about the robot, about the robot while
            it was near things, control periods near things, and all of them.
    """

    def __init__(self, n: int) -> None:
        self.doubt, self.recent, self.sums = torch.zeros(n, 5), torch.zeros(n, 4), torch.zeros(n, SIGNS - 1)

    def reset(self, rows: Tensor) -> None:
        """Begins episodes in rows (m,)."""
        for held in (self.doubt, self.recent, self.sums):
            held[rows] = 0.0

    def add(self, rows: Tensor, doubt: Tensor) -> None:
        """Takes what a step said (m, 5) in rows (m,)."""
        self.doubt[rows] = doubt
        things, robot, near, novelty, unrest = doubt.unbind(1)
        strange = torch.stack([things, robot, unrest, novelty], 1)
        self.recent[rows] = _MEMORY * self.recent[rows] + (1 - _MEMORY) * strange
        self.sums[rows] += torch.stack([things, robot, robot * near, near, torch.ones_like(near)], 1)

    def numbers(self, rows: Tensor) -> Tensor:
        """What `Trust` is told of rows (m,): (m, SIGNS)."""
        return torch.cat([self.recent[rows, :1], self.sums[rows]], 1)

    def save(self, rows: Tensor) -> Tensor:
        """All of rows (m,): (m, 9 + SIGNS - 1)."""
        return torch.cat([self.doubt[rows], self.recent[rows], self.sums[rows]], 1)

    def restore(self, rows: Tensor, kept: Tensor) -> None:
        """Puts back what `save` gave."""
        self.doubt[rows], self.recent[rows], self.sums[rows] = kept[:, :5], kept[:, 5:9], kept[:, 9:]


class Trust(nn.Module):
    """The bound, and how much disagreement and motion are usual.

    Before `fit` there is no bound, and nothing is unusual.
    """

    mean: Tensor
    scale: Tensor
    excess: Tensor
    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("mean", torch.zeros(SIGNS))
        self.register_buffer("scale", torch.ones(SIGNS))
        self.register_buffer("excess", torch.tensor(0.0))
        self.register_buffer("usual", torch.full((USUALS,), UNKNOWN))
        self.network = Ensemble(1, [SIGNS, _WIDTH, _WIDTH, 1], generator)

    @property
    def fitted(self) -> bool:
        """Whether it knows anything."""
        return bool(self.usual[0] < UNKNOWN)

    def forward(self, numbers: Tensor) -> Tensor:
        """Logarithms (n,) of the bounds [m] at `Signs.numbers` (n, SIGNS)."""
        found: Tensor = self.network((_log(numbers) - self.mean) * self.scale)
        return found[0, :, 0]

    @torch.no_grad()
    def bound(self, numbers: Tensor) -> Tensor:
        """How far (n,) [m] the position of any thing is off at most, nine times in ten; infinite before `fit`."""
        if not self.fitted:
            return numbers.new_full((len(numbers),), torch.inf)
        found: Tensor = (self(numbers) + self.excess).exp() - _LEAST
        return found.clamp_min(_FINEST)

    def strangeness(self, recent: Tensor) -> Tensor:
        """How strange (n,) the last steps are, see `Signs.recent` (n, 4): 1 is the most that is usual."""
        return torch.maximum((recent[:, :USUALS] / self.usual).amax(1), recent[:, USUALS] * self.fitted)

    def fit(self, numbers: Sequence[Tensor], error: Sequence[Tensor], recent: Sequence[Tensor]) -> None:
        """Learns from several sets of E episodes of T steps: half of them for the network, the others to make it hold.

        Args:
            numbers: (E, T, SIGNS). error: (E, T) [m]. recent: (E, T, 4).
        """
        most = torch.cat([each.amax(1) for each in recent])
        self.usual.copy_(most[:, :USUALS].quantile(USUAL, 0).clamp_min(1e-6))
        self.usual.mul_(self.strangeness(most).quantile(USUAL).clamp_min(1.0))
        inputs, others = (torch.cat([each[k::2].flatten(0, 1) for each in numbers]) for k in (0, 1))
        targets, rest = (torch.cat([(each[k::2].flatten() + _LEAST).log() for each in error]) for k in (0, 1))
        self.mean.copy_(_log(inputs).mean(0))
        self.scale.copy_(1 / _log(inputs).std(0).clamp_min(1e-3))
        generator = torch.Generator().manual_seed(0)
        optimizer = torch.optim.AdamW(self.parameters(), lr=_RATE, weight_decay=1e-4)
        for step in range(_STEPS):
            for group in optimizer.param_groups:
                group["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * step / _STEPS))
            rows = torch.randint(0, len(inputs), (4096,), generator=generator)
            apart = targets[rows] - self(inputs[rows])
            loss = torch.maximum(COVERAGE * apart, (COVERAGE - 1) * apart).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            apart, touched = rest - self(others), others[:, 1] > 0
            apart = apart[touched] if bool(touched.any()) else apart
            self.excess.copy_(apart.sort().values[min(math.ceil(COVERAGE * (len(apart) + 1)), len(apart)) - 1])


def _log(numbers: Tensor) -> Tensor:
    return (numbers + 1e-5).log()
