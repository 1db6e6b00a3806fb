"""Behaviour cloning: the plain network that a World Action Model has to beat, with the same eyes and the same data.

A multilayer perceptron says the whole chunk of actions at once, from what is seen now and from the instruction; it is
trained by squared error (Pomerleau, ALVINN, 1989; chunks as in Zhao et al., arXiv:2304.13705). It dreams of nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frames.layers import Linear
from ..frames.settings import Scales
from ..frames.training import Learner
from .demonstrations import Lessons
from .network import Stem
from .settings import WamSettings
from .words import Words


class Cloning(nn.Module):
    """See the module.

    Attributes:
        settings: what it is for; of `net`, `width` (of three hidden layers), `patch` and `letters` count.
    """

    seen_at: Tensor

    def __init__(self, settings: WamSettings, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build(settings)

    def _build(self, settings: WamSettings) -> None:
        width, eye = settings.net.width, 16
        self.settings = settings
        self.register_buffer("seen_at", torch.tensor(settings.seen_at), persistent=False)
        self.scales = Scales(settings.state_size, 0)
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

    @property
    def size(self) -> int:
        """Numbers that are learned."""
        return sum(value.numel() for value in self.parameters())

    def forward(self, state: Tensor, image: Tensor, told: Tensor) -> Tensor:
        """Actions (n, H, A).

        Args:
            state: (n, R) what is seen of it. image: uint8 (n, C, height, width, 3). told: (n, letters).
        """
        mean, scale = (value[self.seen_at] for value in (self.scales.state_mean, self.scales.state_scale))
        parts = [((state - mean) / scale).clamp(-8, 8), self.words(told)]
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
