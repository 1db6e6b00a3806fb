"""The `Category`: a kind of thing, what it may be like, and how to make one of any size that it may have."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...errors import AssetError
from ...scenes.scene import Part, SceneObject
from .asset import Asset
from .materials import MATERIALS
from .pieces import Design, Finish, Moving, rigid_body

Range = tuple[float, float]
Size = tuple[float, float, float]
SLACK = 1e-9


@dataclass(frozen=True)
class Parameter:
    """A number that shapes a thing: its range, unit and meaning; whole ones are counts."""

    low: float
    high: float
    meaning: str
    unit: str = ""
    whole: bool = False

    def draw(self, rng: np.random.Generator) -> float:
        """A value of the range, all equally likely."""
        if self.whole:
            return float(rng.integers(int(self.low), int(self.high) + 1))
        return float(rng.uniform(self.low, self.high))


class Palette:
    """Draws materials and colours from a seeded generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def finish(self, *materials: str) -> Finish:
        """One of the materials named, in one of its colours."""
        substance = MATERIALS[materials[int(self._rng.integers(len(materials)))]]
        return Finish(substance, substance.colour(self._rng))

    def colour(self, finish: Finish) -> Finish:
        """The same material in another of its colours."""
        return Finish(finish.substance, finish.substance.colour(self._rng))


Make = Callable[[Size, Mapping[str, float], Palette], Design]


@dataclass(frozen=True)
class Category:
    """A kind of thing.

    Attributes:
        name: as in `SceneObject.category`. make: the function that designs one.
        tags: what it is and affords: "container", "flat", "graspable", "openable", "stackable", ...
        sizes: plausible outer extents along x, y, z [m], handles included. Furniture has its front at -Y, long things
            lie along X.
        shape: named parameters.
        materials: names of materials it may mainly be made of.
        x_over_y, z_over_x: allowed proportions, None where anything goes.
        natural: proportions x / y that are drawn where no size is given, None as `x_over_y`; (1, 1) is round.
        mobility: "free", or "fixed" for what stays where it stands.
        rolls: it may roll in place.
        solid: what a solid model of one weighs like, "" for its first material.
    """

    name: str
    make: Make
    tags: tuple[str, ...]
    sizes: tuple[Range, Range, Range]
    shape: Mapping[str, Parameter]
    materials: tuple[str, ...]
    x_over_y: Range | None = None
    z_over_x: Range | None = None
    natural: Range | None = None
    mobility: Literal["free", "fixed"] = "free"
    rolls: bool = False
    solid: str = ""

    @property
    def like(self) -> str:
        """The material that a model of one weighs like if it is filled all through: a can like water."""
        return self.solid or self.materials[0]

    def build(self, size: Size, shape: Mapping[str, float], rng: np.random.Generator) -> Asset:
        """One of exactly these outer extents [m] and shape; `rng` chooses materials and colours.

        Raises:
            AssetError: a size or parameter is out of range, missing or unknown; the message gives the ranges.
        """
        size = (float(size[0]), float(size[1]), float(size[2]))
        design = self.design(size, shape, rng)
        low, high = design.bounds
        if not np.allclose(high - low, size, rtol=0, atol=1e-6):
            made = " x ".join(f"{1000 * v:.1f}" for v in high - low)
            asked = " x ".join(f"{1000 * v:.1f}" for v in size)
            raise AssetError(f"{self.name}: {asked} mm cannot be met with this shape (it would be {made} mm); "
                             "choose another size or shape")  # fmt: skip
        files: dict[str, bytes] = {}
        middle = (low + high) / 2
        body = rigid_body(design.pieces, middle, (0.0, 0.0, size[2] / 2), files)
        item = SceneObject(
            name=self.name,
            category=self.name,
            mobility=self.mobility,
            size=size,
            body=body,
            parts=tuple(self._part(part, middle, files) for part in design.parts),
        )
        parameters = {**dict(zip("xyz", size, strict=True)), **{key: float(shape[key]) for key in self.shape}}
        told = json.dumps([parameters, item.model_dump(mode="json")], sort_keys=True)
        name = f"{self.name}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
        return Asset(self.name, name, parameters, item, files)

    def design(self, size: Size, shape: Mapping[str, float], rng: np.random.Generator) -> Design:
        """The pieces that `build` makes an asset of; raises as it does where size or shape are out of range."""
        self._check(size, shape)
        return self.make(size, shape, Palette(rng))

    def sample(self, rng: np.random.Generator, size: Size | None = None) -> Asset:
        """One with everything drawn that is not given.

        A size that is drawn may be out of reach for the shape that is drawn; then both are drawn again.

        Raises:
            AssetError: the size given is out of range, or cannot be met by any of 20 shapes drawn.
        """
        for attempt in range(20):
            extents = self._draw_size(rng) if size is None else size
            try:
                return self.build(extents, {key: value.draw(rng) for key, value in self.shape.items()}, rng)
            except AssetError:
                if size is not None:
                    self._check_size(size)
                if attempt == 19:
                    raise
        raise AssertionError

    def fit(self, size: Size) -> Size:
        """The nearest size [m] that it may have: extents within their ranges, then proportions within theirs."""
        x, y, z = (min(max(v, low), high) for v, (low, high) in zip(size, self.sizes, strict=True))
        if self.x_over_y is not None:
            x, y = _in_proportion(x, y, self.x_over_y, self.sizes[0], self.sizes[1])
        if self.z_over_x is not None:
            z = min(max(z, self.z_over_x[0] * x), self.z_over_x[1] * x)
        return x, y, z

    def _draw_size(self, rng: np.random.Generator) -> Size:
        # Factors of two are equally likely: there are more small boxes than large ones.
        x, y, z = (math.exp(rng.uniform(math.log(low), math.log(high))) for low, high in self.sizes)
        proportion = self.natural or self.x_over_y
        if proportion is not None:
            x = y * float(rng.uniform(*proportion))
        if self.z_over_x is not None:
            z = x * float(rng.uniform(*self.z_over_x))
        return self.fit((x, y, z))

    def _part(self, part: Moving, middle: np.ndarray, files: dict[str, bytes]) -> Part:
        origin = np.asarray(part.origin)
        x, y, z = (float(v) for v in origin - middle)
        handle = part.handle
        if handle is not None:
            hx, hy, hz = (float(v) for v in np.asarray(handle.position) - origin)
            handle = handle.model_copy(update={"position": (hx, hy, hz)})
        return Part(
            name=f"{self.name}_{part.name}",
            kind=part.kind,
            joint=part.joint,
            body=rigid_body(part.pieces, origin, (x, y, z), files),
            handle=handle,
        )

    def _check(self, size: Size, shape: Mapping[str, float]) -> None:
        self._check_size(size)
        unknown, missing = sorted(set(shape) - set(self.shape)), sorted(set(self.shape) - set(shape))
        if unknown or missing:
            told = [f"unknown {unknown}"] * bool(unknown) + [f"missing {missing}"] * bool(missing)
            raise AssetError(f"{self.name}: shape parameters {' and '.join(told)}; it takes {sorted(self.shape)}")
        for key, parameter in self.shape.items():
            value = shape[key]
            if not parameter.low - SLACK <= value <= parameter.high + SLACK or (parameter.whole and value % 1):
                kind = "a whole number" if parameter.whole else "a number"
                raise AssetError(
                    f"{self.name}: {key}={value:g} must be {kind} from {parameter.low:g} to {parameter.high:g}"
                )

    def _check_size(self, size: Size) -> None:
        for axis, value, (low, high) in zip("xyz", size, self.sizes, strict=True):
            if not (math.isfinite(value) and low - SLACK <= value <= high + SLACK):
                raise AssetError(
                    f"{self.name}: {axis}={value:g} m is not a size of a {self.name}, which measures {low:g} to "
                    f"{high:g} m there; choose another category, or take the nearest size with fit()"
                )
        for told, share, bounds in (
            ("x / y", size[0] / size[1], self.x_over_y),
            ("z / x", size[2] / size[0], self.z_over_x),
        ):
            if bounds is not None and not bounds[0] - 1e-6 <= share <= bounds[1] + 1e-6:
                raise AssetError(
                    f"{self.name}: {told}={share:.2f} must be from {bounds[0]:g} to {bounds[1]:g}; "
                    "choose another size, or take the nearest one with fit()"
                )


def _in_proportion(x: float, y: float, bounds: Range, x_range: Range, y_range: Range) -> tuple[float, float]:
    """The nearest x and y of that proportion: their product stays where the ranges let it."""
    share = min(max(x / y, bounds[0]), bounds[1])
    area = x * y
    x = min(max(math.sqrt(area * share), x_range[0], share * y_range[0]), x_range[1], share * y_range[1])
    return x, x / share
