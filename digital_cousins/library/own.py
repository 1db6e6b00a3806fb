"""Assets of a user's own as a category: drawn like the built-in ones, scaled evenly to the size asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import AssetError
from ...scenes.scene import Pose
from .asset import Asset, stored
from .category import Category, Range, Size

MISFIT = 1.25
"""Factor by which an extent of a scaled asset may miss what is asked for."""


@dataclass(frozen=True)
class OwnCategory:
    """Assets of a user's library, and the built-in category of that name if there is one.

    Attributes:
        name: of the category. assets: the user's. built_in: drawn from as often as from each of them, or None.
    """

    name: str
    assets: tuple[Asset, ...]
    built_in: Category | None = None

    @property
    def tags(self) -> tuple[str, ...]:
        """What such things are and afford."""
        return self.built_in.tags if self.built_in else ()

    @property
    def sizes(self) -> tuple[Range, Range, Range]:
        """Outer extents along x, y, z [m]: of the user's assets as they are, and of the built-in ones."""
        found = np.array([asset.item.size for asset in self.assets])
        bounds = np.stack([found.min(axis=0), found.max(axis=0)], axis=1)
        if self.built_in:
            own = np.array(self.built_in.sizes)
            bounds = np.column_stack([np.minimum(bounds[:, 0], own[:, 0]), np.maximum(bounds[:, 1], own[:, 1])])
        x, y, z = ((float(low), float(high)) for low, high in bounds)
        return x, y, z

    @property
    def mobility(self) -> Literal["free", "fixed"]:
        """That of the built-in category, else "free": a user's things stand on their own."""
        return self.built_in.mobility if self.built_in else "free"

    def fit(self, size: Size) -> Size:
        """The nearest size [m] that the built-in category may have; without one any, see `sample`."""
        return self.built_in.fit(size) if self.built_in else size

    def sample(self, rng: np.random.Generator, size: Size | None = None) -> Asset:
        """One of them. With a size [m], one that has about its proportions, scaled evenly to its volume.

        Raises:
            AssetError: none has such proportions, or the built-in category cannot be of that size.
        """
        fitting = self.assets if size is None else [a for a in self.assets if _misfit(a, size) < MISFIT]
        if self.built_in and (not fitting or rng.integers(len(fitting) + 1) == len(fitting)):
            return self.built_in.sample(rng, size)
        if not fitting:
            asked = " x ".join(f"{1000 * v:.0f}" for v in size or ())
            raise AssetError(f"no {self.name} of the library has about the proportions of {asked} mm; "
                             "ask for another size, or add one that does")  # fmt: skip
        asset = fitting[int(rng.integers(len(fitting)))]
        return asset if size is None else scaled(asset, _scale(asset, size))


Kind = Category | OwnCategory
"""What a library consists of."""


def scaled(asset: Asset, scale: float) -> Asset:
    """The same thing `scale` times as large, of the same density."""
    files: dict[str, bytes] = {}

    def mesh(path: str | None) -> str | None:
        if path is None:
            return None
        lines = asset.files[path].decode().splitlines()
        text = [
            " ".join(["v", *(f"{scale * float(word):.8f}" for word in line.split()[1:])])
            if line.startswith("v ")
            else line
            for line in lines
        ]
        return stored("\n".join(text) + "\n", files)

    item, body = asset.item, asset.item.body
    collision = tuple(
        shape.model_copy(
            update={"size": _times(shape.size, scale), "pose": _moved(shape.pose, scale), "mesh": mesh(shape.mesh)}
        )
        for shape in body.collision
    )
    mass, inertial = body.inertial.mass, body.inertial
    grown = {key: getattr(mass, key) * scale**3 for key in ("value", "low", "high")}
    update = {
        "pose": _moved(body.pose, scale),
        "collision": collision,
        "visual": body.visual.model_copy(update={"mesh": mesh(body.visual.mesh)}),
        "inertial": inertial.model_copy(
            update={
                "mass": mass.model_copy(update=grown),
                "com": _times(inertial.com, scale),
                "inertia": tuple(value * scale**5 for value in inertial.inertia),
            }
        ),
    }
    size = _times(item.size, scale)
    item = item.model_copy(update={"size": size, "body": body.model_copy(update=update)})
    return Asset(asset.category, asset.name, dict(zip("xyz", size, strict=True)), item, files)


def _scale(asset: Asset, size: Size) -> float:
    return float(np.prod(np.array(size) / np.array(asset.item.size)) ** (1 / 3))


def _misfit(asset: Asset, size: Size) -> float:
    """The factor by which the worst extent misses, once the asset is scaled."""
    shares = _scale(asset, size) * np.array(asset.item.size) / np.array(size)
    return float(np.exp(np.abs(np.log(shares)).max()))


def _times(values: tuple[float, ...], scale: float) -> tuple[float, float, float]:
    x, y, z = (scale * value for value in values)
    return x, y, z


def _moved(pose: Pose, scale: float) -> Pose:
    return pose.model_copy(update={"position": _times(pose.position, scale)})


def _longer(line: str, scale: float) -> str:
    """A vertex line of an OBJ, scaled."""
    return " ".join(["v", *(f"{scale * float(word):.8f}" for word in line.split()[1:])])
