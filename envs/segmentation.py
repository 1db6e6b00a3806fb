"""Segmentation pictures: which thing each pixel shows, by a table that follows from the scenes alone.

=====  ==============================================================================================
id     what
=====  ==============================================================================================
0      `background`: nothing, the sky
1      `structure`: floor, walls, tables and whatever else of the scene is no object
2      `robot`: the robot and the stand under it
3 ...  the scene's objects in their order, free and fixed, each under its name; a fixed object's id stands
       for its frame where it has parts
... n  the parts (doors, drawers, buttons) of all objects in their order, each under its name
=====  ==============================================================================================

The table is the same for every world of a batch, every episode, camera, size and renderer. With several scenes it has
the objects of all, then the parts of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from .robots import PREFIX
from .world import World

BACKGROUND, STRUCTURE, ROBOT = 0, 1, 2
_FIRST = ("background", "structure", "robot")


@dataclass(frozen=True)
class Segmentation:
    """What the things of a world's drawn model show.

    Attributes:
        geoms, sites: ids int32 (ngeom,), (nsite,) of the model's geoms and sites.
    """

    geoms: NDArray[np.int32]
    sites: NDArray[np.int32]


def segmentation_names(worlds: Sequence[World]) -> tuple[str, ...]:
    """What each id stands for in a batch of these scenes; what has the same name in two has the same id."""
    objects = [item.name for world in worlds for item in world.scene.objects]
    parts = [part.name for world in worlds for item in world.scene.objects for part in item.parts]
    return tuple(dict.fromkeys((*_FIRST, *objects, *parts)))


def segmentation(model: mujoco.MjModel, names: tuple[str, ...]) -> Segmentation:
    """Where the things of a world's model, the drawn one, are in the table `names`."""
    ids = {name: index for index, name in enumerate(names) if index >= len(_FIRST)}
    bodies = np.full(model.nbody, STRUCTURE, dtype=np.int32)
    for body in range(1, model.nbody):
        name = model.body(body).name
        inherited = int(bodies[model.body_parentid[body]])
        bodies[body] = ROBOT if name.startswith(PREFIX) else ids.get(name, inherited)
    geoms = bodies[model.geom_bodyid]
    for geom in np.flatnonzero(geoms == STRUCTURE):
        if model.geom(geom).name.startswith(PREFIX):  # the stand is fixed to the world
            geoms[geom] = ROBOT
    return Segmentation(geoms, bodies[model.site_bodyid])
