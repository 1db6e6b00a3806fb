"""Where the hand's gantry stands: behind what it is to lift, or palm up above where a thing was found."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...scenes import Scene
from ...scenes.outlines import Outline
from .hand import need_hand
from .mount import GRID, Mount, Surroundings, free_objects, on_supports
from .robot import Robot

Array = NDArray[np.float64]
Fits = Callable[[str, Outline], bool]
"""Whether an object, by name and outline, is of a size the task is for."""

BEHIND = 0.12
"""An object is at its best so far [m] in front of the base: straight below the fingers of the waiting hand."""
LIFTED = 0.3
"""Height [m] above the support at which the palm is turned up."""
_TRIED = 200  # places whose surroundings are looked at


class BehindObjects:
    """For a hand that takes things from above: the base at the height of the support's top, behind the objects.

    A place is as good as the number of objects that fit and are in reach of it; among equals, the one that has them
    nearest to where the waiting hand hangs.
    """

    def __init__(self, fits: Fits) -> None:
        self._fits = fits

    def work(self, scene: Scene) -> tuple[str, ...]:
        """See `Mounting`."""
        return free_objects(scene)

    def mounts(self, around: Surroundings, robot: Robot) -> list[Mount]:
        """See `Mounting`."""
        rated: list[tuple[float, Mount]] = []
        for support, names in on_supports(around.scene)[1].items():
            fitting = [name for name in names if self._fits(name, around.objects[name])] or names
            centers = np.array([around.objects[name].center for name in fitting]).reshape(-1, 2)
            for point, quarter in itertools.product(_places(centers), range(4)):
                yaw = quarter * math.pi / 2
                forward = np.array([math.cos(yaw), math.sin(yaw)])
                apart = centers - point
                reached = np.abs(apart).max(axis=1) <= robot.reach[1]
                if not reached.any():
                    continue
                off = float(np.hypot(*(apart[reached] - BEHIND * forward).T).mean())
                mount = Mount(
                    position=(float(point[0]), float(point[1]), around.surfaces[support].high),
                    yaw=yaw,
                    support=support,
                    pedestal=0.0,
                    in_reach=tuple(name for name, ok in zip(fitting, reached, strict=True) if ok),
                    height=0.35,
                )
                useful = sum(self._fits(name, around.objects[name]) for name in mount.in_reach)
                rated.append((useful - off, mount))
        rated.sort(key=lambda item: -item[0])
        return [mount for _, mount in rated[:_TRIED]]

    def seen(self, around: Surroundings, mount: Mount) -> Array:
        """See `Mounting`: the tops of the objects in reach."""
        return np.array([[*around.objects[name].center, around.objects[name].high] for name in mount.in_reach])


class PalmUp:
    """For a hand that works on what lies in it: palm up above the place where that was found.

    Args:
        fits: see `Fits`. rest: where the thing lies, in the base's frame (3,) [m].
    """

    def __init__(self, fits: Fits, rest: tuple[float, float, float]) -> None:
        self._fits, self._rest = fits, rest

    def work(self, scene: Scene) -> tuple[str, ...]:
        """See `Mounting`."""
        return free_objects(scene)

    def mounts(self, around: Surroundings, robot: Robot) -> list[Mount]:
        """See `Mounting`."""
        found, posture = [], need_hand(robot).cradle
        for support, names in on_supports(around.scene)[1].items():
            fitting = [name for name in names if self._fits(name, around.objects[name])]
            for name in fitting or names:
                x, y = around.objects[name].center - [self._rest[0], -self._rest[1]]
                place = (float(x), float(y), around.surfaces[support].high + LIFTED)
                mount = Mount(place, 0.0, support, 0.0, tuple(fitting or names), 0.08, posture)
                found.append((len(fitting), mount))
        found.sort(key=lambda item: -item[0])
        return [mount for _, mount in found[:_TRIED]]

    def seen(self, around: Surroundings, mount: Mount) -> Array:
        """See `Mounting`: the thing in the hand, and twice as far, where the fingers are."""
        rest = np.array(self._rest)
        return np.stack([mount.position + mount.matrix @ rest, mount.position + mount.matrix @ (rest * [2, 1, 1])])


def _places(centers: Array) -> Array:
    """Places (n, 2) about objects (m, 2), each of them straight in front of one, and those of a grid between."""
    steps = np.arange(-3, 4) * GRID
    offsets = np.array([[BEHIND * c, BEHIND * s] for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))])
    grid = np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)
    near = centers[:, None] + np.concatenate([offsets, grid])
    return np.asarray(near.reshape(-1, 2))
