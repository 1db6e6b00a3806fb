"""Behaviour cloning: the plain network that a World Action Model has to beat, with the same eyes and the same data.

A multilayer perceptron says the whole chunk of actions at once, from what is seen now and from the instruction; it is
trained by squared error (Pomerleau, ALVINN, 1989; chunks as in Zhao et al., arXiv:2304.13705). It dreams of nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frames.layers import Linear
from ..frames.training import Learner
from .base import Model
from .demonstrations import Lessons
from .network import Stem
from .settings import WamSettings
from .words import Words


class Cloning(Model):
    """See the module.

    Attributes:
        settings: what it is for; of `net`, `width` (of three hidden layers), `patch` and `letters` count.
    """

    def _build(self, settings: WamSettings) -> None:
        width, eye = settings.net.width, 16
        self.words = Words(settings.net.letters, width)
        inputs = len(settings.seen_at) + width
        if settings.patches:
            self.stem, self.eye = Stem(settings.net.patch, width), Linear(width, eye)
            inputs += settings.patches * eye
        self.layers = nn.Sequential(
            Linear(inputs, width),
            nn.GELU(),
            Linear(width, width),
            nn.GELU(),
            Linear(width, width),
            nn.GELU(),
            Linear(width, settings.chunk * settings.action_size),
        )

    def forward(self, state: Tensor, image: Tensor, told: Tensor) -> Tensor:
        """Actions (n, H, A).

        Args:
            state: (n, R) what is seen of it. image: uint8 (n, C, height, width, 3). told: (n, letters).
        """
        parts = [self.even(state), self.words(told)]
        if self.settings.patches:
            seen = self.eye(nn.functional.gelu(self.stem(image[:, None])[:, 0]))
            parts.append(seen.flatten(1))
        found: Tensor = self.layers(torch.cat(parts, 1))
        return found.reshape(len(state), self.settings.chunk, self.settings.action_size)


class CloningLearner(Learner):
    """Trains a network to do as is shown."""

    needs = {}  # noqa: RUF012 - never changed

    def __init__(self, net: Cloning) -> None:
        super().__init__()
        self.net = net

    def forward(self, windows: Lessons, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        said = self.net(windows.state[:, -1, self.net.seen_at], windows.image[:, -1], windows.told)
        apart = (said.float() - windows.intended[:, -1]).square().mean(-1)
        will = windows.will[:, -1]
        return {"action": (apart * will).sum() / will.sum().clamp_min(1)}
