"""What things are made of: density and friction with their sources, and the colours such things come in.

Friction coefficients are those of a dry, clean object on furniture; pairings scatter by a factor of two between
publications, which the ranges say.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...scenes.scene import Estimate, Rgba

_ASHBY = "Ashby & Jones, Engineering Materials 1, 5th ed., tables of densities"
_POLYMERS = "resin data by ISO 1183"
_WOOD = "USDA Wood Handbook FPL-GTR-282, chapters 4 and 5"
_PAPER = "Kirwan, Handbook of Paper and Paperboard Packaging Technology, 2nd ed."
_FRUIT = "Mohsenin, Physical Properties of Plant and Animal Materials, 2nd ed."
_SLIDING = "static friction tables for engineering materials (Lust CDA3000 Engineering Guide, table 7.21)"
_PLASTICS = "static friction of plastics, dry: PP 0.35-0.45, PE 0.4-0.5, ABS up to 0.75"


@dataclass(frozen=True)
class Substance:
    """A material.

    Attributes:
        name: word for it.
        density: of the material itself [kg/m^3]; of panels and foams the bulk density.
        friction: sliding coefficient of a dry object made of it on furniture.
        colours: RGB in [0, 1] that things of it come in.
    """

    name: str
    density: Estimate
    friction: Estimate
    colours: tuple[tuple[float, float, float], ...]

    def colour(self, rng: np.random.Generator) -> Rgba:
        """One of its colours, a little lighter or darker."""
        r, g, b = (float(v) for v in self.colours[int(rng.integers(len(self.colours)))])
        shade = float(rng.uniform(0.93, 1.05))
        return (*(round(min(1.0, shade * v), 4) for v in (r, g, b)), 1.0)  # type: ignore[return-value]


_NEUTRAL = ((0.93, 0.92, 0.9), (0.2, 0.21, 0.23), (0.62, 0.63, 0.64))
_BRIGHT = (
    (0.82, 0.25, 0.2),
    (0.2, 0.42, 0.75),
    (0.3, 0.6, 0.42),
    (0.93, 0.72, 0.22),
    (0.9, 0.5, 0.2),
    (0.5, 0.35, 0.62),
    (0.25, 0.58, 0.62),
)
_MUTED = (
    (0.92, 0.91, 0.88),
    (0.84, 0.83, 0.8),
    (0.55, 0.57, 0.58),
    (0.3, 0.36, 0.42),
    (0.55, 0.62, 0.55),
    (0.28, 0.28, 0.3),
)
_METAL = ((0.72, 0.73, 0.75), (0.62, 0.64, 0.66))
_BROWN = ((0.72, 0.56, 0.38), (0.8, 0.66, 0.47), (0.55, 0.38, 0.25), (0.4, 0.27, 0.18), (0.86, 0.77, 0.62))


def _substance(
    name: str,
    density: tuple[float, float, float],
    source: str,
    friction: tuple[float, float, float],
    friction_source: str,
    colours: tuple[tuple[float, float, float], ...],
) -> Substance:
    def estimate(values: tuple[float, float, float], told: str) -> Estimate:
        low, value, high = values
        return Estimate(value=value, low=low, high=high, source=told)

    return Substance(name, estimate(density, source), estimate(friction, friction_source), colours)


MATERIALS: dict[str, Substance] = {
    material.name: material
    for material in (
        _substance("wood", (450, 620, 750), _WOOD, (0.3, 0.45, 0.6), _WOOD, _BROWN),
        _substance("painted_wood", (450, 620, 750), _WOOD, (0.25, 0.4, 0.6), _SLIDING, (*_BRIGHT, (0.92, 0.9, 0.86))),
        _substance("lacquered_wood", (450, 620, 750), _WOOD, (0.25, 0.4, 0.6), _SLIDING, _MUTED),
        _substance(
            "chipboard", (600, 680, 750), "EN 312 furniture boards", (0.25, 0.4, 0.6), _SLIDING, (*_BROWN, *_MUTED[:3])
        ),
        _substance("bamboo", (600, 700, 800), _WOOD, (0.3, 0.45, 0.6), _WOOD, ((0.82, 0.68, 0.45), (0.75, 0.6, 0.38))),
        _substance("wicker", (300, 400, 500), "woven rattan, half air", (0.3, 0.45, 0.6), _WOOD, _BROWN),
        _substance(
            "glass",
            (2450, 2500, 2550),
            f"soda-lime glass; {_ASHBY}",
            (0.2, 0.4, 0.6),
            _SLIDING,
            ((0.78, 0.88, 0.88), (0.62, 0.78, 0.68), (0.55, 0.38, 0.2), (0.72, 0.82, 0.9)),
        ),
        _substance(
            "ceramic",
            (2200, 2350, 2500),
            f"stoneware and porcelain; {_ASHBY}",
            (0.25, 0.4, 0.6),
            _SLIDING,
            (*_BRIGHT, *_NEUTRAL, (0.9, 0.86, 0.77), (0.36, 0.46, 0.5)),
        ),
        _substance("steel", (7750, 7850, 8000), f"stainless steel; {_ASHBY}", (0.2, 0.35, 0.6), _SLIDING, _METAL),
        _substance(
            "painted_steel", (7750, 7850, 8000), _ASHBY, (0.25, 0.4, 0.6), _SLIDING, (*_NEUTRAL, (0.3, 0.36, 0.42))
        ),
        _substance("aluminium", (2640, 2700, 2800), _ASHBY, (0.25, 0.35, 0.5), _SLIDING, (*_METAL, (0.28, 0.29, 0.3))),
        _substance("cast_iron", (7050, 7150, 7250), _ASHBY, (0.25, 0.4, 0.6), _SLIDING, ((0.16, 0.16, 0.17),)),
        _substance(
            "pp", (890, 905, 920), f"polypropylene; {_POLYMERS}", (0.25, 0.4, 0.5), _PLASTICS, _BRIGHT + _NEUTRAL
        ),
        _substance(
            "pet",
            (1330, 1380, 1400),
            _POLYMERS,
            (0.2, 0.35, 0.5),
            _PLASTICS,
            ((0.8, 0.9, 0.95), (0.5, 0.75, 0.6), (0.35, 0.55, 0.8)),
        ),
        _substance("abs", (1020, 1050, 1080), f"ABS; {_POLYMERS}", (0.3, 0.45, 0.65), _PLASTICS, _BRIGHT + _NEUTRAL),
        _substance(
            "bakelite",
            (1300, 1360, 1460),
            f"phenolic resin; {_POLYMERS}",
            (0.3, 0.4, 0.6),
            _PLASTICS,
            ((0.13, 0.13, 0.14), (0.3, 0.3, 0.32), (0.35, 0.2, 0.13)),
        ),
        _substance("rubber", (930, 1100, 1250), _ASHBY, (0.6, 0.8, 1.0), _SLIDING, (*_BRIGHT, (0.2, 0.2, 0.2))),
        _substance(
            "cardboard",
            (120, 170, 250),
            f"corrugated board with its air; {_PAPER}",
            (0.3, 0.45, 0.6),
            _PAPER,
            ((0.76, 0.6, 0.42), (0.7, 0.54, 0.37)),
        ),
        _substance(
            "paperboard",
            (650, 750, 850),
            f"folding boxboard; {_PAPER}",
            (0.25, 0.4, 0.55),
            _PAPER,
            (*_BRIGHT, (0.93, 0.92, 0.88)),
        ),
        _substance("paper", (700, 800, 950), f"book paper; {_PAPER}", (0.3, 0.45, 0.6), _PAPER, ((0.95, 0.93, 0.86),)),
        _substance(
            "apple_flesh",
            (800, 850, 900),
            _FRUIT,
            (0.3, 0.45, 0.6),
            _FRUIT,
            ((0.75, 0.2, 0.17), (0.55, 0.7, 0.25), (0.86, 0.68, 0.28)),
        ),
        _substance(
            "citrus_flesh", (900, 960, 1020), _FRUIT, (0.3, 0.45, 0.65), _FRUIT, ((0.95, 0.6, 0.15), (0.95, 0.85, 0.3))
        ),
        _substance(
            "pear_flesh", (950, 1000, 1040), _FRUIT, (0.3, 0.45, 0.6), _FRUIT, ((0.75, 0.75, 0.35), (0.68, 0.6, 0.28))
        ),
        _substance(
            "fabric",
            (180, 300, 500),
            "lampshade cloth on film",
            (0.3, 0.5, 0.7),
            _SLIDING,
            ((0.93, 0.88, 0.77), (0.8, 0.55, 0.42), (0.55, 0.62, 0.66), (0.9, 0.9, 0.88)),
        ),
        _substance(
            "foam_panel",
            (120, 180, 260),
            "30 kg/m^3 polyurethane foam between steel sheets",
            (0.25, 0.4, 0.6),
            _SLIDING,
            ((0.93, 0.93, 0.92), (0.7, 0.71, 0.72), (0.25, 0.26, 0.28)),
        ),
        _substance(
            "stone",
            (2400, 2600, 2750),
            f"granite and composites; {_ASHBY}",
            (0.3, 0.45, 0.6),
            _SLIDING,
            ((0.3, 0.3, 0.32), (0.8, 0.79, 0.76), (0.55, 0.53, 0.5)),
        ),
        _substance(
            "water", (980, 1000, 1050), "drinks and preserves", (0.3, 0.4, 0.5), "of what holds it", ((0.6, 0.7, 0.8),)
        ),
        _substance(
            "goods",
            (150, 350, 700),
            "packed goods: cereal 150, flour 600 kg/m^3",
            (0.3, 0.4, 0.5),
            "of what holds it",
            ((0.8, 0.7, 0.5),),
        ),
    )
}
"""Every material by its name."""
