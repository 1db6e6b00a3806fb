"""Sensors as a robot would measure them: with noise, and seen from where it believes to stand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from . import rotations
from .simulator import Array, Ids, Sensors
from .world import World

Keys = NDArray[np.uint64]

_PLACES, _FRAMES = ("object_pos", "handle_pos"), ("object_mat", "handle_mat")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Measuring:
    """What worlds' rigs make of their sensors; see `digital_cousins.rig`.

    Noise is a pure function of a world's key and of the control steps since its episode began: whoever looks twice sees
    the same, in a batch of any size.
    """

    def __init__(self, worlds: Sequence[World], num_envs: int) -> None:
        """All worlds have the first scene until `assign`."""
        rigs = [world.rig for world in worlds]
        self._joint = np.array([rig.joint_noise for rig in rigs])
        self._pose = np.array([rig.pose_noise for rig in rigs])
        self._turn = np.array([rotations.from_vector(np.array([[0, 0, rig.calibration_yaw]]))[0] for rig in rigs])
        self._shift = np.array([world.base_mat @ np.array(world.rig.calibration_shift) for world in worlds])
        self._base = np.array([world.base_pos for world in worlds])
        self._member = np.zeros(num_envs, dtype=np.int64)
        self._noisy = bool((self._joint > 0).any() or (self._pose > 0).any())
        self._wrong = bool((self._shift != 0).any() or any(rig.calibration_yaw for rig in rigs))

    def assign(self, ids: Ids, members: Ids) -> None:
        """Gives worlds `ids` (m,) the scenes `members` (m,)."""
        self._member[ids] = members

    def measured(self, sensors: Sensors, keys: Keys, elapsed: NDArray[np.int64]) -> Sensors:
        """The sensors of all n worlds as measured; those given, if nothing is wrong with any.

        Args:
            sensors: true ones. keys: (n,) different for different episodes. elapsed: (n,) control steps.
        """
        if not (self._noisy or self._wrong):
            return sensors
        found, member = dict(sensors), self._member
        if self._wrong:
            turn, base, shift = self._turn[member], self._base[member], self._shift[member]
            for name in _PLACES:
                apart = sensors[name] - base[:, None]
                found[name] = base[:, None] + shift[:, None] + np.einsum("nij,nkj->nki", turn, apart)
            for name in _FRAMES:
                found[name] = turn[:, None] @ sensors[name]
            found["object_vel"] = sensors["object_vel"].copy()  # its angular half is in the body's frame
            found["object_vel"][:, :, :3] = np.einsum("nij,nkj->nki", turn, sensors["object_vel"][:, :, :3])
        if self._noisy:
            for stream, (name, sigma) in enumerate((("joint_pos", self._joint), *((n, self._pose) for n in _PLACES))):
                values = found[name]
                noise = normal(_mixed(keys + np.uint64(stream)), elapsed, int(np.prod(values.shape[1:])))
                scale = sigma[member].reshape(-1, *[1] * (values.ndim - 1))
                found[name] = values + scale * noise.reshape(values.shape)
        return found


def normal(keys: Keys, elapsed: NDArray[np.int64], count: int) -> Array:
    """Normally distributed numbers (n, count), a pure function of keys (n,) and counters (n,).

    SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators", 2014) through Box-Muller.
    """
    start = _mixed(keys + elapsed.astype(np.uint64) * _GOLDEN)
    places = start[:, None] + np.arange(2 * count, dtype=np.uint64) * _GOLDEN
    uniform = (_mixed(places) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    first, second = uniform[:, :count], uniform[:, count:]
    return np.asarray(np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second))


def episode_keys(seeds: Sequence[int], episodes: NDArray[np.int64]) -> Keys:
    """Keys (n,) of episodes, from the worlds' seeds and the numbers of their episodes."""
    seeded = np.array([seed & 0xFFFFFFFFFFFFFFFF for seed in seeds], dtype=np.uint64)
    return _mixed(_mixed(seeded + _GOLDEN) + episodes.astype(np.uint64) * _GOLDEN)


def _mixed(x: Keys) -> Keys:
    """The finaliser of SplitMix64; wraps around, as meant."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
