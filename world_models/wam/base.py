"""What a World Action Model and the networks that it is compared with have in common."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frames.settings import Scales
from .settings import WamSettings


class Model(nn.Module):
    """A network that sees a state, pictures and an instruction, and says actions.

    Attributes:
        settings: what it is for, and how large it is. scales: of states.
    """

    seen_at: Tensor

    def __init__(self, settings: WamSettings, *, seed: int = 0) -> None:
        """As made; its numbers are drawn by `seed`."""
        super().__init__()
        self.settings = settings
        self.register_buffer("seen_at", torch.tensor(settings.seen_at), persistent=False)
        self.scales = Scales(settings.state_size, 0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._build(settings)

    def _build(self, settings: WamSettings) -> None:
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Numbers that are learned."""
        return sum(value.numel() for value in self.parameters())

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.seen_at.device

    def even(self, state: Tensor) -> Tensor:
        """What is seen of states (n, R), at even scale."""
        mean, scale = (value[self.seen_at] for value in (self.scales.state_mean, self.scales.state_scale))
        return ((state - mean) / scale).clamp(-8, 8)
