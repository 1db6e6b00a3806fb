"""Things that touch: what is one object, what are two, and what stands on what."""

from __future__ import annotations

import numpy as np
import pytest

from . import synthetic
from .synthetic import Rebuilt, Thing

BOOK, ACROSS = (-0.25, 0.2), (-0.25, 0.21)
BOWL, BOTTLE = (0.1, 0.2), (0.221, 0.2)
"""A bowl of 160 mm and a bottle of 80 mm with a millimetre between them."""
RED_BOX, BLUE_BOX = (-0.25, -0.2), (-0.13, -0.185)
"""Two flat boxes of one height, side by side, one 3 cm further back."""
HANDLE, SHAFT = (0.15, -0.2), (0.25, -0.2)
RED, BLUE = (190, 40, 40), (40, 60, 190)


def painted(item: Thing, color: tuple[int, int, int]) -> Thing:
    return synthetic.thing(item.mesh, color)


def owner(rebuilt: Rebuilt, *point: float) -> int:
    """The object whose surface is nearest to a point of the synthetic world; -1 for none within 1 cm."""
    labels = rebuilt.labels()
    known = np.flatnonzero(labels >= 0)
    distance = np.linalg.norm(rebuilt.surface.vertices[known] - rebuilt.truth(point), axis=1)
    return int(labels[known[distance.argmin()]]) if distance.min() < 0.01 else -1


@pytest.fixture(scope="module")
def crowded() -> Rebuilt:
    things = [
        synthetic.table(),
        synthetic.box((0.22, 0.14, 0.03), BOOK),
        # Longer than the book is deep: its cover shows as two separate areas.
        painted(synthetic.box((0.07, 0.17, 0.06), ACROSS, base=0.03), RED),
        synthetic.revolved(synthetic.bowl_profile(), BOWL),
        painted(synthetic.can(0.08, 0.2, BOTTLE), BLUE),
        painted(synthetic.box((0.12, 0.16, 0.04), RED_BOX), RED),
        painted(synthetic.box((0.12, 0.10, 0.04), BLUE_BOX), BLUE),
        painted(synthetic.box((0.10, 0.03, 0.026), HANDLE), RED),
        synthetic.box((0.11, 0.012, 0.014), SHAFT),
    ]
    poses = synthetic.orbit(count=32, distance=0.75, elevations=(30, 50, 70))
    return synthetic.rebuild(synthetic.capture_of(things, poses))


def test_nothing_is_lost_and_nothing_made_up(crowded: Rebuilt) -> None:
    assert len(crowded.segmentation.instances) == 7


def test_book_under_a_box_laid_across_it_is_one_book(crowded: Rebuilt) -> None:
    book, other_side = (owner(crowded, BOOK[0] + side * 0.08, BOOK[1], 0.03) for side in (-1, 1))
    box = owner(crowded, *ACROSS, 0.09)
    assert book == other_side
    assert -1 not in (book, box)
    assert crowded.segmentation.instances[box].on == book
    assert crowded.segmentation.instances[box].base == pytest.approx(0.03, abs=0.004)
    # Neither owns the other's surface: the cover ends at the book, the box begins on it.
    assert crowded.bounds(book)[1, 2] == pytest.approx(0.03, abs=0.007)
    assert crowded.bounds(box)[0, 2] > 0.02


@pytest.mark.parametrize(
    ("one", "two"),
    [((BOWL[0], BOWL[1] - 0.078, 0.07), (*BOTTLE, 0.2)), ((*RED_BOX, 0.04), (*BLUE_BOX, 0.04))],
    ids=["bowl-bottle", "flush boxes"],
)
def test_neighbours_are_two_things(crowded: Rebuilt, one: tuple[float, ...], two: tuple[float, ...]) -> None:
    first, second = owner(crowded, *one), owner(crowded, *two)
    assert -1 not in (first, second)
    assert first != second
    for number in (first, second):
        assert crowded.segmentation.instances[number].on is None


def test_flush_boxes_are_parted_at_their_common_wall(crowded: Rebuilt) -> None:
    red, blue = (crowded.bounds(owner(crowded, *xy, 0.04)) for xy in (RED_BOX, BLUE_BOX))
    wall = crowded.truth((-0.19, 0, 0))[0]
    assert red[1, 0] == pytest.approx(wall, abs=0.01)
    assert blue[0, 0] == pytest.approx(wall, abs=0.01)


def test_shaft_belongs_to_its_handle(crowded: Rebuilt) -> None:
    handle, shaft = owner(crowded, *HANDLE, 0.026), owner(crowded, *SHAFT, 0.014)
    assert handle == shaft != -1
    low, high = crowded.bounds(handle)
    assert (high - low)[0] == pytest.approx(0.205, abs=0.02)
