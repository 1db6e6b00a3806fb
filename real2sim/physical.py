"""Stage 8, physical properties: category from shape, then mass, inertia and friction, each with source and range.

A phone cannot weigh. What it can see is the shape, which says what kind of thing it is; kinds have typical
densities. Every value therefore carries a range that digital cousins sample from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..scenes.mass import homogeneous
from ..scenes.scene import Estimate, Inertial
from .completion import Solid
from .meshing import ObjectMesh

MIN_MASS, MAX_MASS = 0.005, 40.0


@dataclass(frozen=True)
class Kind:
    """What a category of things is made of.

    Attributes:
        density: kg per m^3 of the closed volume (bulk: packages are partly air), or of the wall for vessels.
        spread: factor by which mass may be off either way.
        friction: sliding coefficient; friction_range around it.
        wall: wall thickness [m] of a vessel (mass = area / 2 * wall * density), None for a filled volume.
        source: where the figures come from.
    """

    density: float
    spread: float
    friction: float
    friction_range: tuple[float, float]
    wall: float | None
    source: str


_MATERIALS = "material densities: SceneSmith material table (wood 600, cardboard 700, ceramic 2400, steel 7800 kg/m^3)"
KINDS: dict[str, Kind] = {
    "box": Kind(500.0, 2.0, 0.4, (0.25, 0.6), None, f"bulk of packed goods and soft wood; {_MATERIALS}"),
    "book": Kind(800.0, 1.5, 0.4, (0.25, 0.6), None, "paper blocks, 700-900 kg/m^3"),
    "can": Kind(1000.0, 1.6, 0.4, (0.25, 0.7), None, "filled can: close to water"),
    "bottle": Kind(900.0, 2.0, 0.35, (0.2, 0.6), None, "mostly filled bottle: close to water"),
    "bowl": Kind(2400.0, 1.8, 0.35, (0.2, 0.6), 0.004, f"ceramic wall of 4 mm; {_MATERIALS}"),
    "mug": Kind(2400.0, 1.7, 0.35, (0.2, 0.6), 0.0045, f"ceramic wall of 4-5 mm; {_MATERIALS}"),
    "ball": Kind(400.0, 3.0, 0.6, (0.3, 0.9), None, "between foam and solid rubber"),
    "tool": Kind(2500.0, 2.5, 0.4, (0.25, 0.7), None, f"steel with a wooden or plastic handle; {_MATERIALS}"),
    "chair": Kind(150.0, 2.0, 0.5, (0.3, 0.8), None, "chairs weigh 3-8 kg"),
    "furniture": Kind(150.0, 2.5, 0.5, (0.3, 0.8), None, "hollow wooden furniture"),
    "object": Kind(
        600.0, 2.5, 0.45, (0.25, 0.8), None, f"unknown kind: between packed goods and plastic; {_MATERIALS}"
    ),
}


def classify(solid: Solid, mesh: ObjectMesh) -> str:
    """The category of a completed object, from its shape alone."""
    length, width, height = (float(v) for v in (mesh.size[0], mesh.size[1], mesh.size[2]))
    length, width = max(length, width), min(length, width)
    if max(length, height) > 0.5:
        return "chair" if height > 0.5 and max(length, width) < 1.0 and solid.method == "carved" else "furniture"
    if solid.method == "sphere":
        return "ball"
    if solid.method == "lying cylinder":
        return "tool" if length > 5 * width else "can"
    if solid.method == "box":
        flat = height < 0.35 * width and 0.1 < length < 0.4 and width > 0.07 and width / length > 0.5
        if flat:
            return "book" if height > 0.008 and length > 0.13 else "box"
        if length > 4 * width and length > 0.12 and width < 0.05:
            return "tool"
        return "box"
    profile = _profile(solid)
    lower, upper, hollow = profile
    diameter = (length + width) / 2
    if hollow > 0.35 and length < 1.9 * width:
        return "bowl" if height < 0.72 * diameter else "mug"
    if solid.method == "revolution" or (solid.method == "carved" and length < 1.25 * width):
        if height > 1.5 * diameter and upper < 0.75 * lower:
            return "bottle"
        if solid.method == "revolution":
            return "can"
    if solid.method == "cylinder":
        return "can"
    if length > 2.5 * width and height < 0.08 and length > 0.1:
        return "tool"
    return "object"


def _profile(solid: Solid) -> tuple[float, float, float]:
    """Mean radius of the lower and of the upper quarter [voxels], and how much of the middle of the top is empty."""
    area = solid.occupied.sum(axis=(0, 1)).astype(float)
    levels = np.flatnonzero(area)
    if len(levels) < 4:
        return 1.0, 1.0, 0.0
    area = area[levels[0] : levels[-1] + 1]
    quarter = max(1, len(area) // 4)
    lower, upper = np.sqrt(area[:quarter].mean() / np.pi), np.sqrt(area[-quarter:].mean() / np.pi)
    plan = solid.occupied.any(axis=2)
    x, y = np.nonzero(plan)
    middle = (int(x.mean().round()), int(y.mean().round()))
    reach = max(1, int(0.3 * np.sqrt(plan.sum() / np.pi)))
    core = solid.occupied[
        middle[0] - reach : middle[0] + reach + 1, middle[1] - reach : middle[1] + reach + 1, levels[0] : levels[-1] + 1
    ]
    return float(lower), float(upper), float(1 - core.mean()) if core.size else 0.0


def physical_properties(category: str, mesh: ObjectMesh) -> tuple[Inertial, Estimate]:
    """Mass with range, centre of mass and inertia (of the homogeneous solid), and friction of an object."""
    kind = KINDS[category]
    solid = mesh.trimesh()
    volume = float(solid.volume)
    if kind.wall is None:
        mass = volume * kind.density
        source = f"{kind.density:.0f} kg/m^3 x {volume * 1e6:.0f} cm^3 ({kind.source})"
    else:
        # Both faces of the wall are in the mesh's area.
        material = min(volume, float(solid.area) / 2 * kind.wall)
        mass = material * kind.density
        source = f"{kind.density:.0f} kg/m^3 x {material * 1e6:.0f} cm^3 of wall ({kind.source})"
    mass = float(np.clip(mass, MIN_MASS, MAX_MASS))
    estimate = Estimate(value=mass, low=mass / kind.spread, high=mass * kind.spread, source=source)
    inertial = homogeneous(solid, estimate)
    friction = Estimate(
        value=kind.friction,
        low=kind.friction_range[0],
        high=kind.friction_range[1],
        source=f"typical for a {category} (SceneSmith material table, dry contact)",
    )
    return inertial, friction
