"""How far pictures are apart: PSNR, SSIM, gradients, and where something moves."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MOVED = 8
"""Levels, of 255, by which some channel of a pixel must change to count as moving."""

_TAPS, _SIGMA = 11, 1.5
_FIRST, _SECOND = 0.01**2, 0.03**2


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio [dB] of a mean squared error of pictures in [0, 1]; 99 at most."""
    return min(-10 * math.log10(max(error, 1e-12)), 99.0)


def moving(first: Tensor, second: Tensor, *, around: int = 2) -> Tensor:
    """Where two pictures, uint8 (n, height, width, 3), differ, and pixels around it: bool (n, height, width)."""
    apart = (first.int() - second.int()).abs().amax(-1) > MOVED
    wide = nn.functional.max_pool2d(apart[:, None].float(), 2 * around + 1, 1, around)
    return wide[:, 0] > 0


def squared_error(first: Tensor, second: Tensor) -> Tensor:
    """Mean over channels (n, height, width) of squared differences of pictures uint8, as if in [0, 1]."""
    return ((first.double() - second.double()) / 255).square().mean(-1)


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity (n,) of pictures (n, channels, height, width) in [0, 1].

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004: a Gaussian
    window of 11 x 11 pixels with sigma 1.5, K = (.01, .03), where the window lies inside.
    """
    taps = torch.arange(_TAPS, dtype=first.dtype, device=first.device) - _TAPS // 2
    window = torch.exp(-(taps**2) / (2 * _SIGMA**2))
    window = window / window.sum()
    channels = first.shape[1]

    def blurred(x: Tensor) -> Tensor:
        rows = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
        columns = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
        x = nn.functional.conv2d(x, rows, groups=channels)
        return nn.functional.conv2d(x, columns, groups=channels)

    a, b = blurred(first), blurred(second)
    aa, bb, ab = blurred(first * first) - a * a, blurred(second * second) - b * b, blurred(first * second) - a * b
    found = (2 * a * b + _FIRST) * (2 * ab + _SECOND) / ((a * a + b * b + _FIRST) * (aa + bb + _SECOND))
    return found.mean((1, 2, 3))


def gradients_apart(first: Tensor, second: Tensor) -> Tensor:
    """Mean distance () of the differences between neighbouring pixels of pictures (n, channels, height, width)."""
    apart = first - second
    return (apart[..., 1:, :] - apart[..., :-1, :]).abs().mean() + (apart[..., 1:] - apart[..., :-1]).abs().mean()


def to_signal(pictures: Tensor) -> Tensor:
    """Pictures uint8 (..., height, width, 3) as networks take them: float32 (..., 3, height, width) in [-1, 1]."""
    return pictures.movedim(-1, -3).float() / 127.5 - 1


def to_pictures(signal: Tensor) -> Tensor:
    """The inverse of `to_signal`, rounded; what is not finite becomes black."""
    levels = torch.nan_to_num((signal.float().clamp(-1, 1) + 1) * 127.5, nan=0.0)
    return levels.round().to(torch.uint8).movedim(-3, -1).contiguous()
