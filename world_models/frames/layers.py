"""Layers whose result for one world does not depend, on a CPU, on how many others are computed with it.

Matrix and convolution libraries take other paths for very few rows, with other last bits; so these layers never show
them few. Widths that are multiples of 16 keep elementwise functions on one path too, and GELU is on one path at any
width where SiLU is not. Graphics cards choose paths by shape all the same: there, results agree up to rounding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FEWEST_ROWS = 16
"""As many rows of a matrix take the path that many take."""
_FEWEST_PICTURES = 2


class Linear(nn.Linear):
    """`nn.Linear` for (..., inputs), with at least 16 rows."""

    def forward(self, input: Tensor) -> Tensor:
        """See the class."""
        rows = input.numel() // max(input.shape[-1], 1)
        if rows >= FEWEST_ROWS or self.training:
            return super().forward(input)
        flat = input.reshape(rows, input.shape[-1])
        filled = torch.cat([flat, flat.new_zeros(FEWEST_ROWS - rows, flat.shape[1])])
        return super().forward(filled)[:rows].reshape(*input.shape[:-1], -1)


def filled_up(pictures: Tensor) -> Tensor:
    """Pictures (n, ...) with zero ones after them, so that they are at least two, for layers of convolutions."""
    missing = _FEWEST_PICTURES - len(pictures)
    if missing <= 0:
        return pictures
    return torch.cat([pictures, pictures.new_zeros(missing, *pictures.shape[1:])])


def waves(value: Tensor, size: int) -> Tensor:
    """Sines and cosines (..., size) of numbers (...) at frequencies from 1 to 1000, for networks to read."""
    frequencies = torch.exp(torch.linspace(0, math.log(1000.0), size // 2, dtype=torch.float64)).to(value.device)
    angle = value.double()[..., None] * frequencies
    return torch.cat([angle.sin(), angle.cos()], -1).float()


def two_hot(values: Tensor, bins: int) -> Tensor:
    """Numbers (..., A) in [-1, 1] as weights on the two nearest of `bins` places each: (..., A * bins).

    As World4RL gives actions to its diffusion model (arXiv:2509.19080, K = 21).
    """
    place = (values.clamp(-1, 1)[..., None] + 1) * ((bins - 1) / 2)
    apart = (place - torch.arange(bins, device=values.device, dtype=values.dtype)).abs()
    return (1 - apart).clamp_min(0).flatten(-2)
