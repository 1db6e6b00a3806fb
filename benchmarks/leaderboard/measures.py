"""What is measured of an episode beside success: return, time, smoothness, force and energy, for n worlds at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...envs import WorldVectorEnv
from ...envs.simulator import Sensors

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Measures:
    """Follows the worlds of an environment from a reset on.

    Attributes:
        returns: (n,) sums of rewards. success: (n,) now. ever: (n,) so far. error: (n,) the physics diverged; what
            comes after that counts for nothing. first: (n,) seconds until success first came, NaN before.
        energy: (n,) work of all motors [J], see `Simulator.meter`, or None.
        force: (n,) largest sum of normal forces on the gripper's pads or the fingertips [N].
    """

    def __init__(self, env: WorldVectorEnv) -> None:
        """Begins, right after a reset."""
        count = env.num_envs
        self._env, self._period = env, env.simulator.control_period
        self.returns, self.force, self.first = np.zeros(count), np.zeros(count), np.full(count, np.nan)
        self.success, self.ever, self.error = (np.zeros(count, dtype=np.bool_) for _ in range(3))
        self._meter = env.simulator.meter()
        self.energy = None if self._meter is None else np.zeros(count)
        self._places = [_place(env.sensors())]
        self._steps = 0

    def follow(self, reward: Array, success: Mask, error: Mask) -> None:
        """Takes what a control step gave, each (n,)."""
        self._steps += 1
        self.error |= error
        going = ~self.error
        self.returns[going] += reward[going]
        self.success = success & going
        new = self.success & ~self.ever
        self.first[new] = self._steps * self._period
        self.ever |= self.success
        sensors = self._env.sensors()
        self.force[going] = np.maximum(self.force, _force(sensors))[going]
        if self._meter is not None and self.energy is not None:
            self.energy[going] = self._meter[going]
        self._places.append(_place(sensors))

    def smoothness(self) -> Array:
        """(n,) logarithmic dimensionless jerk of the hand, from -infinity (jerky) to 0; NaN if it never moved."""
        return jerk(np.stack(self._places, axis=1), self._period)


def jerk(places: Array, period: float) -> Array:
    """Logarithmic dimensionless jerk (n,) of paths (n, T, 3) [m] that are told every `period` [s].

    -ln(D^3 / v^2 * integral of |jerk|^2) for a path of D seconds whose greatest speed is v (Balasubramanian et al.,
    "On the analysis of movement smoothness", 2015, eq. 5); derivatives are differences of neighbours.
    """
    speed = np.linalg.norm(np.diff(places, axis=1), axis=2).max(axis=1, initial=0.0) / period
    third = np.linalg.norm(np.diff(places, n=3, axis=1), axis=2) / period**3
    lasting = (places.shape[1] - 1) * period
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -np.log(lasting**3 / speed**2 * (third**2).sum(axis=1) * period)
    return np.asarray(np.where(speed > 1e-6, found, np.nan), dtype=np.float64)


def _place(sensors: Sensors) -> Array:
    """Where the hands are (n, 3) [m]."""
    return np.array(sensors["grip_pos"] if "grip_pos" in sensors else sensors["palm_pos"], dtype=np.float64)


def _force(sensors: Sensors) -> Array:
    found: Array = (sensors["pad_force"] if "pad_force" in sensors else sensors["tip_force"]).sum(axis=1)
    return found
