"""How a person moves a phone around a table: a smooth orbit with a shaking hand, evaluated at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

_STROLL_HZ = (0.02, 0.10)
"""Band in which distance, height and pace change: once or twice in a scan of half a minute."""
_AIM_HZ = (0.04, 0.30)
"""Band in which the aimed-at point wanders."""
_SWAY_HZ = (0.4, 2.5)
"""Band of the hand's sway while walking slowly (steps come at 1 to 2 Hz); the 8 to 12 Hz tremor is below 0.1 mm."""


@dataclass(frozen=True, slots=True)
class HandheldPath:
    """A walk around `look_at`, as a person scans a table top.

    The defaults give a camera speed near 0.15 m/s. Two real scans (3D Scanner App, frame poses) moved at 0.07 m/s
    (blocks on a floor, camera 0.46 to 0.65 m above it) and 0.20 m/s (a chair from 1.4 m above its floor).

    Attributes:
        look_at: (x, y, z) of the middle of what is scanned, metres, Z-up world of the MuJoCo scene.
        start_azimuth_deg: direction from `look_at` to the first camera position, counter-clockwise from +X.
        sweep_deg: signed angle walked; less than 360 leaves a gap in the loop.
        distance: nearest and farthest camera distance from `look_at`, metres; varies smoothly between them.
        elevation_deg: lowest and highest viewing elevation above the horizontal; varies smoothly between them.
        frames: number of frames saved.
        duration: seconds of the walk; frames are evenly spaced over it.
        hold: "landscape" (sensor's long side horizontal) or "portrait" (phone upright, image lies on its side).
        sway: standard deviation of the hand's position error along each axis, metres.
        aim: standard deviation of the wander of the aimed-at point, metres.
        wobble_deg: standard deviation of each of the three rotation errors, degrees.
    """

    look_at: tuple[float, float, float] = (0.0, 0.0, 0.0)
    start_azimuth_deg: float = -90.0
    sweep_deg: float = 320.0
    distance: tuple[float, float] = (0.50, 0.80)
    elevation_deg: tuple[float, float] = (27.0, 60.0)
    frames: int = 100
    duration: float = 25.0
    hold: Literal["landscape", "portrait"] = "landscape"
    sway: float = 0.006
    aim: float = 0.02
    wobble_deg: float = 0.8

    def times(self) -> Float:
        """Seconds since the start, float64 [frames]."""
        return np.linspace(0.0, self.duration, self.frames)

    def walk(self, rng: np.random.Generator) -> Trajectory:
        """Draw one person's walk."""
        return Trajectory(self, rng)


class Trajectory:
    """One drawn walk along a `HandheldPath`: camera poses at any time, so that IMU and motion blur agree with them."""

    def __init__(self, path: HandheldPath, rng: np.random.Generator) -> None:
        self._path = path
        self._azimuth = _Sway(rng, _STROLL_HZ, 4)
        self._distance = _Sway(rng, _STROLL_HZ, 3)
        self._elevation = _Sway(rng, _STROLL_HZ, 3)
        self._aim = [_Sway(rng, _AIM_HZ, 4) for _ in range(3)]
        self._shift = [_Sway(rng, _SWAY_HZ, 8) for _ in range(3)]
        self._turn = [_Sway(rng, _SWAY_HZ, 8) for _ in range(3)]

    def poses(self, times: ArrayLike) -> Float:
        """Camera-to-world, float64 [T, 4, 4], OpenCV camera axes, Z-up world, at `times` in seconds."""
        path, t = self._path, np.atleast_1d(np.asarray(times, dtype=np.float64))
        azimuth = np.radians(
            path.start_azimuth_deg + path.sweep_deg * t / path.duration + 6.0 * self._azimuth(t)
        )  # people speed up and slow down: a few degrees around steady progress
        distance = _between(path.distance, self._distance(t))
        elevation = np.radians(_between(path.elevation_deg, self._elevation(t)))
        out = np.stack(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
        )
        middle = np.asarray(path.look_at, dtype=np.float64)
        target = middle + path.aim * np.stack([a(t) for a in self._aim], axis=-1) * np.array([1.0, 1.0, 0.5])
        position = middle + distance[:, None] * out + path.sway * np.stack([s(t) for s in self._shift], axis=-1)

        forward = _unit(target - position)
        right = _unit(np.cross(forward, np.array([0.0, 0.0, 1.0])))
        down = np.cross(forward, right)
        rotation = np.stack([right, down, forward], axis=-1)
        if (
            path.hold == "portrait"
        ):  # the sensor's +X then points down (home button to the right of the landscape image)
            rotation = np.stack([down, -right, forward], axis=-1)
        shake = _rotations(np.radians(path.wobble_deg) * np.stack([s(t) for s in self._turn], axis=-1))
        poses = np.tile(np.eye(4), (len(t), 1, 1))
        poses[:, :3, :3] = rotation @ shake
        poses[:, :3, 3] = position
        return poses


class _Sway:
    """A smooth zero-mean random function of time with unit variance: a few sines of random frequency and phase."""

    def __init__(self, rng: np.random.Generator, band: tuple[float, float], terms: int) -> None:
        self._omega = 2 * np.pi * rng.uniform(band[0], band[1], terms)
        self._phase = rng.uniform(0, 2 * np.pi, terms)
        weight = rng.uniform(0.5, 1.0, terms)
        self._weight = weight * np.sqrt(2 / np.sum(weight**2))

    def __call__(self, t: Float) -> Float:
        return np.asarray(np.sin(t[:, None] * self._omega + self._phase) @ self._weight)


def _between(limits: tuple[float, float], sway: Float) -> Float:
    """Map a unit-variance sway smoothly into `limits` (tanh: reaches for the ends without passing them)."""
    low, high = limits
    return np.asarray(low + (high - low) * 0.5 * (1 + np.tanh(sway)))


def _unit(v: Float) -> Float:
    return np.asarray(v / np.linalg.norm(v, axis=-1, keepdims=True))


def _rotations(rotvec: Float) -> Float:
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(rotvec).as_matrix())
