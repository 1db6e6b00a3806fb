"""Plots: axes end at round numbers, and points lie where the axes say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds.benchmarks.audit.plots import lines

UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
SPACE = "{http://www.w3.org/2000/svg}"


def read(label: str) -> float:
    """A number as an axis tells it."""
    found = re.fullmatch(r"(-?[\d.]+(?:e[+-]?\d+)?)([kMG]?)", label)
    assert found, label
    return float(found[1]) * UNITS[found[2]]


def ticks(plot: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """What stands along both axes: pixels and numbers, across and up."""
    texts = ElementTree.fromstring(plot).findall(f"{SPACE}text")
    numbers = [each for each in texts if each.text and re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?[kMG]?", each.text)]
    up = [(float(each.attrib["y"]) - 4, read(each.text or "")) for each in numbers if each.get("text-anchor") == "end"]
    across = [
        (float(each.attrib["x"]), read(each.text or "")) for each in numbers if each.get("text-anchor") == "middle"
    ]
    return across, up


@given(
    xs=st.lists(st.floats(1e-3, 1e11), min_size=1, max_size=8),
    scale=st.sampled_from([1e-6, 1e-2, 1.0, 250.0, 7e6]),
    data=st.data(),
)
def test_points_lie_where_the_axes_say(xs: list[float], scale: float, data: st.DataObject) -> None:
    ys = [scale * data.draw(st.floats(0.01, 1.0)) for _ in xs]
    plot = lines("of Push", "steps", "loss", {"": list(zip(xs, ys, strict=True))})
    across, up = ticks(plot)
    assert len(across) == len(up) == 5
    for axis, values in ((across, xs), (up, ys)):
        numbers = [number for _, number in axis]
        assert numbers[0] == 0
        np.testing.assert_allclose(np.diff(numbers), numbers[1], rtol=1e-6)
        assert max(values) <= numbers[-1] * (1 + 1e-6)
        assert float(f"{numbers[1]:.1e}") == pytest.approx(numbers[1])  # two digits
    circles = ElementTree.fromstring(plot).findall(f"{SPACE}circle")
    for circle, x, y in zip(circles, xs, ys, strict=True):
        for name, axis, value in (("cx", across, x), ("cy", up, y)):
            (first, low), (last, high) = axis[0], axis[-1]
            place = first + (last - first) * (value - low) / (high - low)
            assert float(circle.attrib[name]) == pytest.approx(place, abs=0.2)


def test_axes_below_zero_and_logarithmic_ones_end_where_numbers_do() -> None:
    across, up = ticks(lines("t", "x", "y", {"a": [(-3.0, -1.0), (2.0, 4.0)]}))
    assert [number for _, number in across] == pytest.approx([-3, -1.75, -0.5, 0.75, 2])
    assert [number for _, number in up] == pytest.approx([-1, 0.25, 1.5, 2.75, 4])
    across, _ = ticks(lines("t", "x", "y", {"a": [(1.0, 1.0), (5.0, 2.0), (50.0, 3.0)]}, logarithmic=True))
    assert [number for _, number in across] == [1, 5, 50]
