"""Pictures of the library: a strip of three examples of each category, and one sheet of everything."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...scenes import Scene, Surface
from ...scenes.preview import Photographer
from ...scenes.primitives import exact
from ...scenes.scene import Material, Pose
from . import CATEGORIES
from .asset import Asset

Picture = NDArray[np.uint8]

TILE = (256, 200)
"""Width and height [pixels] of one thing."""
EXAMPLES = 3
COLUMNS = 8
OPENED = 0.6
"""Share of their range by which moving parts stand open in the second picture of a strip."""


def photograph(asset: Asset, *, opened: float = 0.0, size: tuple[int, int] = TILE) -> Picture:
    """An asset on a plain floor, its front towards the camera: uint8 [H, W, 3].

    Args:
        asset: what to show. opened: share of their range by which its parts stand open. size: (width, height).
    """
    floor = Surface(
        name="floor",
        kind="floor",
        pose=Pose(position=(0, 0, -0.05)),
        size=(60, 60, 0.1),
        material=Material(rgba=(0.8, 0.79, 0.77, 1)),
        friction=exact(0.6),
    )
    with tempfile.TemporaryDirectory() as folder:
        asset.write(Path(folder))
        scene = Scene(name="picture", surfaces=(floor,), objects=(asset.item,)).in_folder(Path(folder))
        with Photographer(scene, (2 * size[0], 2 * size[1])) as photographer:
            model, data = photographer.model, photographer.data
            for part in asset.item.parts:
                low, high = part.joint.range
                share = 0.0 if part.joint.stiffness and part.kind == "button" else opened
                data.qpos[model.joint(f"{part.name}_joint").qposadr[0]] = low + share * (high - low)
            mujoco.mj_forward(model, data)
            picture = photographer.view([asset.item.name], azimuth=65.0, elevation=-24.0, margin=1.15)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)


def draw_pictures(
    folder: Path, names: Iterable[str] | None = None, *, notify: Callable[[str, float], None] | None = None
) -> list[Path]:
    """Writes `<category>.png` of each category, and `all.png` where all are drawn; gives the files.

    Raises:
        MissingDependencyError: nothing on this machine can render.
    """
    chosen = list(CATEGORIES if names is None else names)
    folder.mkdir(parents=True, exist_ok=True)
    files, first = [], []
    for number, name in enumerate(chosen):
        assets = [CATEGORIES[name].sample(np.random.default_rng(seed)) for seed in range(EXAMPLES)]
        tiles = [photograph(asset, opened=OPENED if k == 1 else 0.0) for k, asset in enumerate(assets)]
        first.append(tiles[0])
        files.append(_save(np.concatenate(tiles, axis=1), folder / f"{name}.png"))
        if notify:
            notify("pictures", (number + 1) / len(chosen))
    if names is None:
        rows = [first[k : k + COLUMNS] for k in range(0, len(first), COLUMNS)]
        blank = np.full_like(first[0], 255)
        sheet = [np.concatenate([*row, *[blank] * (COLUMNS - len(row))], axis=1) for row in rows]
        files.append(_save(np.concatenate(sheet), folder / "all.png"))
    return files


def _save(picture: Picture, path: Path) -> Path:
    image = Image.fromarray(picture).quantize(255, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
    image.save(path, optimize=True)
    return path
