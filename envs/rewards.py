"""Building blocks of rewards: every term lies in [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_VALUE_AT_MARGIN = 0.1


def tolerance(x: Array, *, bounds: tuple[float, float], margin: float = 0.0) -> Array:
    """1 where x lies within `bounds`, falling smoothly to 0.1 at a distance of `margin` outside and on towards 0.

    The Gaussian form of dm_control's helper of the same name (Tassa et al., "DeepMind Control Suite", 2018).

    Args:
        x: values of any shape. bounds: (low, high). margin: distance at which the value is 0.1; 0 makes a step.

    Raises:
        ValueError: bounds or margin make no sense.
    """
    low, high = bounds
    if not low <= high:
        raise ValueError(f"bounds must be (low, high), got {bounds}")
    if not margin >= 0:
        raise ValueError(f"margin must not be negative, got {margin}")
    outside = np.maximum(np.maximum(low - x, x - high), 0)
    if margin == 0:
        return np.asarray(outside == 0, dtype=np.float64)
    scale = np.sqrt(-2 * np.log(_VALUE_AT_MARGIN))
    return np.asarray(np.exp(-0.5 * (outside / margin * scale) ** 2))


def nearness(distance: Array, *, margin: float) -> Array:
    """1 at a distance of 0, falling to 0.1 at `margin`: 1 - tanh, steepest at 0, so that the last centimetre counts.

    The shape of the reaching rewards of robosuite (Zhu et al., 2020) and ManiSkill (Mu et al., 2021).

    Args:
        distance: not negative, of any shape. margin: distance at which the value is 0.1, positive.
    """
    return np.asarray(1 - np.tanh(distance / margin * np.arctanh(1 - _VALUE_AT_MARGIN)))


def reaching(distance: Array) -> Array:
    """1 at a distance of 0 [m], felt from half a metre and more strongly from ten centimetres."""
    return (nearness(distance, margin=0.6) + nearness(distance, margin=0.1)) / 2
