"""The tokeniser: an autoencoder from a picture to a small grid of latents in [-1, 1], and back."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ..frames.episodes import Windows
from ..frames.layers import filled_up
from ..frames.measures import gradients_apart, ssim, to_pictures, to_signal
from ..frames.training import Learner
from .settings import TokeniserSettings

_FAR = 24.0  # levels, of 255, that a pixel must be off the background to count fully as foreground


class Tokeniser(nn.Module):
    """Pictures (n, 3, height, width) in [-1, 1] to latents (n, channels, rows, columns) in [-1, 1], and back."""

    def __init__(self, settings: TokeniserSettings) -> None:
        super().__init__()
        self.settings = settings
        widths = [min(settings.width * 2**k, settings.most) for k in range(settings.halvings + 1)]
        down: list[nn.Module] = [nn.Conv2d(3, widths[0], 3, padding=1)]
        for first, second in itertools.pairwise(widths):
            down += [nn.Conv2d(first, second, 4, 2, 1), nn.GELU()]
            down += [_Residual(second) for _ in range(settings.blocks)]
        down += [nn.Conv2d(widths[-1], settings.channels, 3, padding=1), nn.Tanh()]
        up: list[nn.Module] = [nn.Conv2d(settings.channels, widths[-1], 3, padding=1)]
        for first, second in itertools.pairwise(widths[::-1]):
            up += [_Residual(first) for _ in range(settings.blocks)]
            up += [nn.Upsample(scale_factor=2), nn.Conv2d(first, second, 3, padding=1), nn.GELU()]
        up += [nn.Conv2d(widths[0], 3, 3, padding=1)]
        self.encoder, self.decoder = nn.Sequential(*down), nn.Sequential(*up)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, signal: Tensor) -> Tensor:
        """Latents of pictures."""
        return _run(self.encoder, signal)

    def decode(self, latent: Tensor) -> Tensor:
        """Pictures of latents."""
        return _run(self.decoder, latent)


class TokeniserLearner(Learner):
    """Trains a tokeniser on single frames: L1, SSIM and gradients, with more weight on what is not background."""

    needs = {"image": True, "background": True}  # noqa: RUF012 - never changed

    def __init__(self, tokeniser: Tokeniser) -> None:
        super().__init__()
        self.tokeniser = tokeniser

    def forward(self, windows: Windows, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        assert windows.image is not None
        assert windows.background is not None
        settings = self.tokeniser.settings
        picture = to_signal(windows.image.flatten(0, 1))
        behind = to_signal(windows.background).repeat_interleave(windows.image.shape[1], 0)
        latent = self.tokeniser.encode(picture)
        noise = torch.randn(latent.shape, generator=draws).to(latent)
        again = self.tokeniser.decode(latent + settings.noise * noise).float()
        weight = 1 + settings.foreground * ((picture - behind).abs().amax(1) * (127.5 / _FAR)).clamp_max(1)
        found = {"pixels": ((picture - again).abs().mean(1) * weight).mean() / weight.mean()}
        if settings.similarity:
            apart = 1 - ssim((picture + 1) / 2, (again.clamp(-1, 1) + 1) / 2).mean()
            found["similarity"] = settings.similarity * apart
        if settings.gradient:
            found["gradient"] = settings.gradient * gradients_apart(picture, again)
        return found

    def pictures(self, windows: Windows) -> Tensor | None:
        """Pictures above, what comes back of them below."""
        assert windows.image is not None
        seen = windows.image[:8, 0]
        again: Tensor = to_pictures(self.tokeniser.decode(self.tokeniser.encode(to_signal(seen))))
        return torch.cat([torch.cat(list(seen), 1), torch.cat(list(again), 1)])


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        groups = max(width // 16, 1)
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.GroupNorm(groups, width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x + self.second(nn.functional.gelu(self.first(self.norm(x))))
        return found


def _run(network: nn.Module, x: Tensor) -> Tensor:
    """The network's answer, the same for a picture whatever stands beside it."""
    rows = len(x)
    found: Tensor = network(filled_up(x).contiguous(memory_format=torch.channels_last))
    return found[:rows].contiguous()
