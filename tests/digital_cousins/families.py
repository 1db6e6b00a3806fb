"""Scenes, families and sets of cousins for tests: small, and at rest."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path

from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import AXES, CousinConfig
from pocketworlds.digital_cousins.cousin_set import CousinSet
from pocketworlds.digital_cousins.draft import Family
from pocketworlds.digital_cousins.family import make_family
from pocketworlds.digital_cousins.library import CATEGORIES, Category
from pocketworlds.envs.builtin.authoring import TABLE_TOP, authored_object, table_surfaces
from pocketworlds.envs.builtin.tables import cube, tray
from pocketworlds.scenes import Scene
from pocketworlds.scenes.primitives import box, cylinder
from pocketworlds.scenes.settle import settle

FEW = {name: CATEGORIES[name] for name in ("block", "can")}
"""A library of two categories."""
COUNT = 20
"""Cousins in a small set."""


def laid_table() -> Scene:
    """A cube in a tray, a block on a board, and a can alone."""
    objects = (
        tray("tray", (0.24, 0.2, 0.04), at=(-0.3, 0.0)),
        cube("cube", at=(-0.3, 0.0), rgba=(0.8, 0.2, 0.2, 1), on="tray", top=TABLE_TOP + 0.012),
        authored_object("board", "board", [box(0.16, 0.12, 0.02)], (0.16, 0.12, 0.02), at=(0.0, 0.0)),
        cube("block", at=(0.0, 0.0), rgba=(0.2, 0.2, 0.8, 1), on="board", top=TABLE_TOP + 0.02),
        authored_object("can", "can", [cylinder(0.06, 0.1)], (0.06, 0.06, 0.1), at=(0.3, 0.05)),
    )
    return settle(Scene(name="laid", surfaces=table_surfaces(), objects=objects)).scene


def crowded() -> Scene:
    """A grid of cubes that fills its small table."""
    side, gap, count = 0.045, 0.004, 4
    places = [(side + gap) * (k - (count - 1) / 2) for k in range(count)]
    objects = tuple(
        cube(f"cube_{i}_{j}", at=(x, y), rgba=(0.5, 0.5, 0.5, 1))
        for i, x in enumerate(places)
        for j, y in enumerate(places)
    )
    width = (side + gap) * count
    return Scene(name="crowded", surfaces=table_surfaces((width, width)), objects=objects, settled=True)


def family(
    twin: Scene, folder: Path, library: Mapping[str, Category] | None = None, needed: Collection[str] = ()
) -> Family:
    """The family of a twin, by default without a library."""
    return make_family(twin, folder, library or {}, CousinConfig(), seed=0, needed=needed)


def small_set(out: Path, **settings: object) -> CousinSet:
    """Cousins of the laid table, the cube in the tray always among it."""
    return make_cousins(
        laid_table(),
        out,
        count=COUNT,
        config=CousinConfig.model_validate(settings),
        library=FEW,
        workers=1,
        needed=("cube",),
    )


def only(*axes: str, **more: object) -> CousinConfig:
    """Settings with these axes on and all others off."""
    return CousinConfig.model_validate({**{name: {"on": name in axes} for name in AXES}, **more})


def without(*axes: str, **more: object) -> CousinConfig:
    """Settings with these axes off and all others on."""
    return only(*(name for name in AXES if name not in axes), **more)


def yaw(quaternion: tuple[float, float, float, float]) -> float:
    """Turn about Z [rad] of an orientation that is nothing else."""
    w, _, _, z = quaternion
    return 2 * math.atan2(z, w)
