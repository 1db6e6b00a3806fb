"""Action chunking with a style, after ACT (Zhao et al., arXiv:2304.13705): a second network to compare with.

A transformer reads what is seen and says a chunk of actions at once, as `cloning` does. In training it is told, in few
numbers with a price (a conditional variational autoencoder, Sohn et al., 2015), in which of several ways the chunk was
done, so that it need not say the mean of all; when it acts the style is zero. Unlike the paper's, one stack of layers
reads tokens and queries together, and pictures are patches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..backbone import Backbone
from ..frames.layers import Linear
from ..frames.training import Learner
from .base import Model
from .demonstrations import Lessons
from .network import Stem
from .settings import WamSettings
from .words import Words

_STYLE = 32  # as in the paper


class Act(Model):
    """See the module."""

    def _build(self, settings: WamSettings) -> None:
        net, seen, size = settings.net, len(settings.seen_at), settings.action_size
        width = net.width
        self.words = Words(net.letters, width)
        self.state = Linear(seen, net.state_tokens * width)
        if settings.patches:
            self.stem = Stem(net.patch, width)
        self.place = nn.Parameter(torch.randn(settings.tokens, width) * 0.02)
        self.backbone = Backbone(width=width, depth=net.depth, heads=net.heads, window=1)
        self.head = Linear(width, size)
        self.reader = Backbone(width=width, depth=max(net.depth // 2, 1), heads=net.heads, window=1)
        self.read_state, self.read_action = Linear(seen, width), Linear(size, width)
        self.read_place = nn.Parameter(torch.randn(2 + settings.chunk, width) * 0.02)
        self.no_action = nn.Parameter(torch.randn(width) * 0.02)
        self.style_out, self.style_in = Linear(width, 2 * _STYLE), Linear(_STYLE, width)

    def forward(self, state: Tensor, image: Tensor, told: Tensor, style: Tensor | None = None) -> Tensor:
        """Actions (n, H, A).

        Args:
            state: (n, R) what is seen of it. image: uint8 (n, C, height, width, 3). told: (n, letters).
            style: (n, 32) in which way; None: the usual one, zero.
        """
        count, settings = len(state), self.settings
        if style is None:
            style = state.new_zeros(count, _STYLE)
        parts = [self.state(self.even(state)).reshape(count, settings.net.state_tokens, -1)]
        if settings.patches:
            parts.append(self.stem(image[:, None])[:, 0])
        parts.append(parts[0].new_zeros(count, settings.chunk, settings.net.width))
        tokens = torch.cat(parts, 1) + self.place
        condition = self.words(told) + self.style_in(style)
        _, found = self.backbone.remember(tokens[:, None], condition[:, None])
        said: Tensor = self.head(found[:, 0, -settings.chunk :])
        return said

    def style(self, state: Tensor, action: Tensor, will: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of variances (n, 32) of the style of chunks (n, H, A), of which `will` (n, H) count."""
        done = torch.where(will[..., None], self.read_action(action), self.no_action.to(action.dtype))
        first = self.read_state(self.even(state))[:, None]
        tokens = torch.cat([torch.zeros_like(first), first, done], 1) + self.read_place
        _, found = self.reader.remember(tokens[:, None], self.words(told)[:, None])
        mean, spread = self.style_out(found[:, 0, 0]).chunk(2, -1)
        return mean, spread


class ActLearner(Learner):
    """Trains a network to do as is shown, in the way that is shown."""

    needs = {}  # noqa: RUF012 - never changed

    def __init__(self, net: Act, *, price: float = 10.0) -> None:
        """With the weight of the style's divergence from a normal distribution, the paper's, beside that of errors."""
        super().__init__()
        self.net, self._price = net, price

    def forward(self, windows: Lessons, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        state, action, will = windows.state[:, -1, self.net.seen_at], windows.intended[:, -1], windows.will[:, -1]
        mean, spread = (value.float() for value in self.net.style(state, action, will, windows.told))
        noise = torch.randn(mean.shape, generator=draws).to(mean.device)
        said = self.net(state, windows.image[:, -1], windows.told, mean + (spread / 2).exp() * noise)
        apart = (said.float() - action).abs().mean(-1)
        divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).sum(-1).mean()
        return {"action": (apart * will).sum() / will.sum().clamp_min(1), "style": self._price * divergence}
