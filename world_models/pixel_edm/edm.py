"""Preconditioning, levels of noise and sampling after Karras et al., "Elucidating the design space of diffusion-based
generative models" (EDM, arXiv:2206.00364, table 1), in few Euler steps as DIAMOND does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from .settings import NoiseSettings


class Scaling(NamedTuple):
    """D(x; sigma) = skip x + out F(into x; level), each () or (n,)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    level: Tensor


def scaling(sigma: Tensor, data: float) -> Scaling:
    """Scaling at levels of noise; the loss of D weighted by 1 / out ** 2 is that of F, unweighted."""
    total = sigma**2 + data**2
    return Scaling(data**2 / total, sigma * data / total.sqrt(), 1 / total.sqrt(), sigma.log() / 4)


def training_levels(settings: NoiseSettings, count: int, draws: torch.Generator) -> Tensor:
    """Levels of noise (count,): log-normal, cut off."""
    drawn = torch.randn(count, generator=draws) * settings.spread + settings.mean
    return drawn.exp().clamp(settings.lowest, settings.highest)


def sampling_levels(settings: NoiseSettings) -> Tensor:
    """Levels (steps + 1,) that sampling goes through: (5) of the paper, and 0 at the end."""
    if settings.steps == 1:
        return torch.tensor([settings.start, 0.0])
    first, last = settings.start ** (1 / settings.rho), settings.end ** (1 / settings.rho)
    ramp = torch.linspace(0, 1, settings.steps, dtype=torch.float64)
    return torch.cat([(first + ramp * (last - first)) ** settings.rho, ramp.new_zeros(1)]).float()


def sample(denoise: Callable[[Tensor, Tensor], Tensor], noise: Tensor, levels: Tensor) -> Tensor:
    """Euler's method from noise (n, ...) of spread 1.

    Args:
        denoise: says D(x; sigma) for x (n, ...) and sigma (). noise: to start from. levels: falling, the last 0.
    """
    x = noise * levels[0]
    for level, following in itertools.pairwise(levels):
        slope = (x - denoise(x, level)) / level
        x = x + slope * (following - level)
    return x
