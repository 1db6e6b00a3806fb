"""Masses and inertias against textbook formulas, and that what is glued or hollow is weighed as such."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pocketworlds.digital_cousins.library import category
from pocketworlds.digital_cousins.library.materials import MATERIALS
from pocketworlds.digital_cousins.library.packages import hollow
from pocketworlds.digital_cousins.library.pieces import Finish, Piece, board, disc, mass_of, shifted
from pocketworlds.digital_cousins.library.shapes import ball, block, rod
from pocketworlds.scenes.scene import Inertial

WOOD, STEEL = (Finish(MATERIALS[name], (0.5, 0.5, 0.5, 1.0)) for name in ("wood", "steel"))
ROUND = 1e-3
"""What a circle of 96 sides lacks of a round one, in mass."""


def moments(inertial: Inertial) -> tuple[float, float, float]:
    assert np.allclose(inertial.inertia[3:], 0, atol=1e-9)
    return inertial.inertia[:3]


def test_solid_box() -> None:
    x, y, z = 0.3, 0.2, 0.1
    found = mass_of([board(x, y, z, (0.0, 0.0, 0.0), WOOD)])
    mass = 620 * x * y * z
    assert found.mass.value == pytest.approx(mass)
    assert (found.mass.low, found.mass.high) == pytest.approx((450 * x * y * z, 750 * x * y * z))
    wanted = [mass / 12 * (a * a + b * b) for a, b in ((y, z), (x, z), (x, y))]
    assert moments(found) == pytest.approx(wanted)


def test_solid_ball() -> None:
    d = 0.08
    found = mass_of([Piece(ball(d), STEEL)])
    mass = 7850 * math.pi / 6 * d**3
    assert found.mass.value == pytest.approx(mass, rel=5 * ROUND)
    assert moments(found) == pytest.approx([mass * d * d / 10] * 3, rel=5 * ROUND)


def test_hollow_cylinder() -> None:
    """A tube without ends: 1/2 m (R^2 + r^2) about its axis, 1/12 m (3 (R^2 + r^2) + h^2) across it."""
    outer, inner, height = 0.05, 0.04, 0.3
    tube = rod(2 * outer, height) - rod(2 * inner, 2 * height)
    found = mass_of([Piece(tube, STEEL)])
    mass = 7850 * math.pi * (outer**2 - inner**2) * height
    across = mass / 12 * (3 * (outer**2 + inner**2) + height**2)
    assert found.mass.value == pytest.approx(mass, rel=ROUND)
    assert moments(found) == pytest.approx([across, across, mass / 2 * (outer**2 + inner**2)], rel=3 * ROUND)


def test_inertia_is_about_the_centre_of_mass() -> None:
    """It is the same wherever the pieces are."""
    piece = board(0.3, 0.2, 0.1, (1.0, -2.0, 0.5), WOOD)
    found = mass_of([piece])
    assert found.com == pytest.approx((1.0, -2.0, 0.5))
    assert moments(found) == pytest.approx(moments(mass_of([shifted(piece, -1.0, 2.0, -0.5)])))


def test_what_two_pieces_share_counts_once_for_the_first() -> None:
    first, second = board(0.2, 0.1, 0.1, (0.0, 0, 0), STEEL), board(0.2, 0.1, 0.1, (0.1, 0, 0), WOOD)
    half = 0.1 * 0.1 * 0.1
    assert mass_of([first, second]).mass.value == pytest.approx(7850 * 2 * half + 620 * half)
    assert mass_of([second, first]).mass.value == pytest.approx(620 * 2 * half + 7850 * half)


def test_hollow_package_weighs_its_wall_and_what_is_in_it() -> None:
    wall, steel = 0.001, MATERIALS["steel"]
    inside = 0.098 * 0.058 * 0.028
    can = block(0.1, 0.06, 0.03)

    def weigh(fill: float) -> float:
        return mass_of([Piece(can, STEEL, (), tuple(hollow(can, wall, steel, fill, "water")))]).mass.value

    empty = 7850 * (0.1 * 0.06 * 0.03 - inside)
    assert weigh(0.0) == pytest.approx(empty)
    assert weigh(1.0) == pytest.approx(empty + 1000 * inside)
    assert weigh(0.25) == pytest.approx(empty + 250 * inside)


def test_oval_disc_is_felt_as_it_looks() -> None:
    piece = disc(0.2, 0.1, 0.02, (0.0, 0.0, 0.0), WOOD)
    assert piece.look.bounds.ravel() == pytest.approx([-0.1, -0.05, -0.01, 0.1, 0.05, 0.01])
    assert mass_of([piece]).mass.value == pytest.approx(620 * math.pi / 4 * 0.2 * 0.1 * 0.02, rel=ROUND)


# Things of everyday life, weighed by their makers (typical product data), in kilograms.
@pytest.mark.parametrize(
    ("name", "size", "shape", "low", "high"),
    [
        ("can", (0.066, 0.066, 0.115), {"wall": 0.0003, "rim": 0.004, "fill": 1.0}, 0.3, 0.5),
        ("cup", (0.075, 0.075, 0.1), {"wall": 0.003, "foot": 0.8}, 0.04, 0.6),
        ("book", (0.13, 0.2, 0.025), {"cover": 0.002, "edge": 0.002}, 0.3, 0.7),
        ("knife", (0.22, 0.02, 0.008), {"handle": 0.45, "blade": 0.002}, 0.05, 0.15),
        ("plate", (0.26, 0.26, 0.025), {"wall": 0.0045, "well": 0.65}, 0.2, 0.9),
    ],
)  # fmt: skip
def test_things_weigh_what_such_things_weigh(
    name: str, size: tuple[float, float, float], shape: dict[str, float], low: float, high: float
) -> None:
    for seed in range(3):
        mass = category(name).build(size, shape, np.random.default_rng(seed)).item.body.inertial.mass
        assert low < mass.value < high
        assert mass.low < mass.value < mass.high
