"""Sensors as a robot would measure them: with noise, and seen from where it believes to stand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from .simulator import Array, Ids, Sensors
from .world import World

Keys = NDArray[np.uint64]

_PLACES = ("object_pos", "handle_pos")
_TURNED = (*_PLACES, "object_mat", "handle_mat", "object_vel")
"""What a robot is wrong about that errs about its base; the angular half of a velocity is in the body's frame."""
_NOISY = ("joint_pos", *_PLACES)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_STEPS = 4096
"""Pieces of equal probability that the quantile function of the normal distribution is cut into."""
_LAST = 0.2
"""The outermost pieces end where this share of their probability is left, 3.9 standard deviations from the middle."""


class _Measured(dict[str, Array]):
    """Sensors by name, each measured when it is first looked at: a task looks at few."""

    def __init__(self, measure: Callable[[str], Array]) -> None:
        super().__init__()
        self._measure = measure

    def __missing__(self, name: str) -> Array:
        self[name] = found = self._measure(name)
        return found


class Measuring:
    """What worlds' rigs make of their sensors; see `digital_cousins.rig`.

    Noise is a pure function of a world's key and of the control steps since its episode began: whoever looks twice sees
    the same, in a batch of any size.
    """

    def __init__(self, worlds: Sequence[World], num_envs: int) -> None:
        """All worlds have the first scene until `assign`."""
        rigs = [world.rig for world in worlds]
        self._sigmas = np.array([[rig.joint_noise, rig.pose_noise] for rig in rigs])
        yaw = np.array([rig.calibration_yaw for rig in rigs])
        self._noisy = bool((self._sigmas > 0).any())
        shift = np.array([world.base_mat @ np.array(world.rig.calibration_shift) for world in worlds])
        self._wrong = bool((shift != 0).any() or yaw.any())
        # Turned about the base and shifted: turned about the origin and shifted by so much.
        base = np.array([world.base_pos for world in worlds])
        self._turns = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
        self._shifts = base + shift - _turned(base[:, None], self._turns)[:, 0]
        self._sigma, self._turn, self._shift = (
            np.repeat(values[:1], num_envs, axis=0) for values in (self._sigmas, self._turns, self._shifts)
        )

    def assign(self, ids: Ids, members: Ids) -> None:
        """Gives worlds `ids` (m,) the scenes `members` (m,)."""
        self._sigma[ids], self._turn[ids] = self._sigmas[members], self._turns[members]
        self._shift[ids] = self._shifts[members]

    def measured(self, sensors: Sensors, keys: Keys, elapsed: NDArray[np.int64]) -> Sensors:
        """The sensors of all n worlds as measured; those given, if nothing is wrong with any. To be read at once.

        Args:
            sensors: true ones. keys: (n,) different for different episodes. elapsed: (n,) control steps.
        """
        if not (self._noisy or self._wrong):
            return sensors
        return _Measured(lambda name: self._measure(name, sensors[name], keys, elapsed))

    def _measure(self, name: str, values: Array, keys: Keys, elapsed: NDArray[np.int64]) -> Array:
        """One sensor (n, ...) as measured."""
        if self._wrong and name in _TURNED and values.size:
            values = _turned(values, self._turn)
            if name in _PLACES:
                values += self._shift[:, None]
        if self._noisy and name in _NOISY and values.size:
            noise = normal(keys + np.uint64(_NOISY.index(name)), elapsed, int(np.prod(values.shape[1:])))
            noise *= self._sigma[:, int(name in _PLACES), None]
            values = values + noise.reshape(values.shape)
        return values


def _turned(vectors: Array, turns: Array) -> Array:
    """Vectors (n, k, 3 or more) or frames (n, k, 3, 3), turned about the vertical: cosines and sines `turns` (n, 2)."""
    c, s = (turns[:, k].reshape(-1, *[1] * (vectors.ndim - 2)) for k in (0, 1))
    x, y = vectors[:, :, 0], vectors[:, :, 1]
    found = vectors.copy()
    found[:, :, 0], found[:, :, 1] = c * x - s * y, s * x + c * y
    return found


def normal(keys: Keys, elapsed: NDArray[np.int64], count: int) -> Array:
    """Normally distributed numbers (n, count), a pure function of keys (n,) and counters (n,).

    SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014), through the quantile function
    of the normal distribution, interpolated between a few thousand of its values.
    """
    start = _mixed(_mixed(keys) + elapsed.astype(np.uint64) * _GOLDEN)
    bits = _mixed(start[:, None] + np.arange(count, dtype=np.uint64) * _GOLDEN) >> np.uint64(11)
    place = bits.astype(np.float64) * (_STEPS * 2.0**-53)
    piece = place.astype(np.int64)
    place -= piece
    return np.asarray(_LOW[piece] + _HEIGHT[piece] * place)


def _quantiles() -> tuple[Array, Array]:
    """Where each piece of the quantile function starts, and how far it goes: scaled to a variance of one."""
    shares = np.arange(_STEPS + 1) / _STEPS
    shares[0], shares[-1] = _LAST / _STEPS, 1 - _LAST / _STEPS
    ends = np.array([NormalDist().inv_cdf(share) for share in shares])
    low, high = ends[:-1], ends[1:]
    ends /= np.sqrt(((low * low + low * high + high * high) / 3).mean())
    return ends[:-1], np.diff(ends)


_LOW, _HEIGHT = _quantiles()


def episode_keys(seeds: Sequence[int], episodes: NDArray[np.int64]) -> Keys:
    """Keys (n,) of episodes, from the worlds' seeds and the numbers of their episodes."""
    seeded = np.array([seed & 0xFFFFFFFFFFFFFFFF for seed in seeds], dtype=np.uint64)
    return _mixed(_mixed(seeded + _GOLDEN) + episodes.astype(np.uint64) * _GOLDEN)


def _mixed(x: Keys) -> Keys:
    """The finaliser of SplitMix64; wraps around, as meant."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
