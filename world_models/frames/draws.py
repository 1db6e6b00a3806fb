"""Noise that is a pure function of a seed and a counter: the same in a batch of any size, on any device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64
_FIRST, _SECOND = -4658895280553007687, -7723592293110705685  # 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_BITS = 53


def normal(seed: Tensor, counter: Tensor, shape: Sequence[int]) -> Tensor:
    """Normally distributed numbers, float32 (m, *shape), for seeds (m,) and counters (m,), int64.

    SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014) and the transform of Box and
    Muller (1958), in double precision, so that last bits of a device's logarithm do not show.
    """
    count = math.prod(shape)
    half = (count + 1) // 2
    start = _mixed(_mixed(seed + _GOLDEN) + counter * _GOLDEN)
    places = torch.arange(2 * half, device=seed.device, dtype=torch.int64)
    bits = _right(_mixed(start[:, None] + places * _GOLDEN), 64 - _BITS)
    even = (bits.double() + 0.5) * 2.0**-_BITS
    radius, angle = (-2 * even[:, :half].log()).sqrt(), 2 * math.pi * even[:, half:]
    found = torch.cat([radius * angle.cos(), radius * angle.sin()], 1)[:, :count]
    return found.float().reshape(len(seed), *shape)


def _mixed(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64; wraps around, as meant."""
    x = (x ^ _right(x, 30)) * _FIRST
    x = (x ^ _right(x, 27)) * _SECOND
    return x ^ _right(x, 31)


def _right(x: Tensor, bits: int) -> Tensor:
    """Shifted right as unsigned numbers are."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
