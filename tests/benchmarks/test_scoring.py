"""Scores against cases that can be worked out by hand, by sampling or by another library."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.benchmarks.scoring import (
    Box,
    box_around,
    box_iou,
    chamfer,
    match,
    match_overlaps,
    size_error,
    solid_iou,
    yaw_error,
    yaw_period,
)

lengths = st.floats(0.01, 0.5)
places = st.floats(-0.3, 0.3)
angles = st.floats(-7, 7)
boxes = st.builds(
    lambda c, s, yaw: Box(np.array(c), np.array(s), yaw),
    st.tuples(places, places, places),
    st.tuples(lengths, lengths, lengths),
    angles,
)


def unit(center: tuple[float, float, float] = (0, 0, 0), yaw: float = 0.0) -> Box:
    return Box(np.array(center, float), np.ones(3), yaw)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (unit(), 1.0),
        (unit((0.5, 0, 0)), 0.5 / 1.5),
        (unit((0.5, 0.5, 0)), 0.25 / 1.75),
        (unit((0.5, 0.5, 0.5)), 0.125 / 1.875),
        (unit((1.0, 0, 0)), 0.0),
        (unit((0, 0, 1.0)), 0.0),
        (unit((3, 0, 0)), 0.0),
        (unit(yaw=np.pi / 2), 1.0),
        # Two squares 45 degrees apart share a regular octagon of area 2 (sqrt(2) - 1).
        (unit(yaw=np.pi / 4), 2 * (np.sqrt(2) - 1) / (2 - 2 * (np.sqrt(2) - 1))),
        (Box(np.zeros(3), np.array([0.5, 0.5, 0.5]), 0.3), 0.125),
    ],
)
def test_box_iou_by_hand(other: Box, expected: float) -> None:
    assert box_iou(unit(), other) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(first=boxes, second=boxes)
def test_box_iou_by_sampling(first: Box, second: Box) -> None:
    """Points spread evenly in the first box: the share of them in the second gives the intersection."""
    grid = (np.stack(np.meshgrid(*[np.arange(40)] * 3), axis=-1).reshape(-1, 3) + 0.5) / 40 - 0.5

    def turn(yaw: float) -> np.ndarray:
        return np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])

    points = (grid * first.size) @ turn(first.yaw).T + first.center
    local = (points - second.center) @ turn(second.yaw)
    shared = np.mean(np.all(np.abs(local) <= second.size / 2, axis=1)) * np.prod(first.size)
    expected = shared / (np.prod(first.size) + np.prod(second.size) - shared)
    assert box_iou(first, second) == pytest.approx(expected, abs=0.06)


@settings(deadline=None)
@given(first=boxes, second=boxes)
def test_box_iou_is_symmetric_and_bounded(first: Box, second: Box) -> None:
    forth, back = box_iou(first, second), box_iou(second, first)
    assert 0 <= forth <= 1 + 1e-9
    assert forth == pytest.approx(back, abs=1e-9)


@settings(deadline=None)
@given(box=boxes)
def test_same_box_under_other_names(box: Box) -> None:
    assert box_iou(box, box) == pytest.approx(1)
    assert box_iou(box, Box(box.center, box.size, box.yaw + np.pi)) == pytest.approx(1)
    assert box_iou(box, box.long_side_first()) == pytest.approx(1)
    assert box.long_side_first().size[0] >= box.long_side_first().size[1]
    assert size_error(box, box.long_side_first()) == pytest.approx(np.zeros(3))


@settings(deadline=None)
@given(box=boxes)
def test_box_around_its_corners(box: Box) -> None:
    low, high = box.center[2] - box.size[2] / 2, box.center[2] + box.size[2] / 2
    points = np.array([[x, y, z] for x, y in box.corners() for z in (low, high)])
    again = box_around(points, box.yaw)
    assert again.center == pytest.approx(box.center, abs=1e-9)
    assert again.size == pytest.approx(box.size, abs=1e-9)


def test_chamfer_of_parallel_planes() -> None:
    plane = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    above = plane.copy()
    above.apply_translation([0, 0, 0.1])
    # Samples lie a hundredth apart: a distance of 0.1 grows by the half square of that.
    assert chamfer(plane, above, samples=10_000) == pytest.approx(0.1, abs=0.001)
    assert chamfer(plane, plane) == pytest.approx(0, abs=1e-9)


def test_chamfer_of_concentric_spheres() -> None:
    small, large = (trimesh.creation.icosphere(subdivisions=4, radius=radius) for radius in (0.10, 0.13))
    assert chamfer(small, large) == pytest.approx(0.03, abs=0.001)
    assert chamfer(large, small) == pytest.approx(chamfer(small, large), abs=1e-4)


def test_solid_iou_sees_what_boxes_do_not() -> None:
    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.5)
    assert solid_iou(ball, ball) == pytest.approx(1, abs=1e-5)
    assert solid_iou(trimesh.creation.box((1, 1, 1)), ball) == pytest.approx(np.pi / 6, abs=0.002)
    moved = trimesh.creation.box((1, 1, 1))
    moved.apply_translation([0.5, 0, 0])
    assert solid_iou(trimesh.creation.box((1, 1, 1)), moved) == pytest.approx(1 / 3, abs=1e-6)
    moved.apply_translation([1, 0, 0])
    assert solid_iou(trimesh.creation.box((1, 1, 1)), moved) == 0


def test_solid_iou_refuses_open_meshes() -> None:
    cube = trimesh.creation.box((1, 1, 1))
    opened = trimesh.Trimesh(cube.vertices, cube.faces[2:], process=False)
    with pytest.raises(ValueError, match="closed"):
        solid_iou(cube, opened)


@settings(deadline=None)
@given(yaw=angles, turn=st.floats(-1.5, 1.5), halves=st.integers(-3, 3))
def test_yaw_error_ignores_half_turns(yaw: float, turn: float, halves: int) -> None:
    assert yaw_error(yaw, yaw + turn + halves * np.pi) == pytest.approx(abs(turn), abs=1e-9)
    assert 0 <= yaw_error(yaw, turn, period=np.pi / 2) <= np.pi / 4 + 1e-12


def test_yaw_period_by_shape() -> None:
    long, square = np.array([0.2, 0.1, 0.1]), np.array([0.2, 0.19, 0.1])
    assert yaw_period("any", long) is None
    assert yaw_period("none", long) == yaw_period("180", long) == np.pi
    assert yaw_period("90", long) == yaw_period("none", square) == yaw_period("none", square[[1, 0, 2]]) == np.pi / 2


def test_match_takes_the_best_pairs_overall() -> None:
    """The first row's best would leave the second with nothing."""
    overlap = np.array([[0.6, 0.5], [0.55, 0.1]])
    assert match_overlaps(overlap, threshold=0.25) == [(0, 1, 0.5), (1, 0, 0.55)]
    assert match_overlaps(overlap, threshold=0.58) == [(0, 0, 0.6)]
    assert match_overlaps(np.zeros((0, 3)), threshold=0.25) == []
    assert match_overlaps(np.zeros((3, 0)), threshold=0.25) == []


def test_match_of_boxes() -> None:
    truth = [unit(), unit((3, 0, 0)), unit((6, 0, 0))]
    found = [unit((6.1, 0, 0)), unit((0, 0.1, 0)), unit((9, 0, 0))]
    assert [(i, j) for i, j, _ in match(truth, found)] == [(0, 1), (2, 0)]
    assert match([], found) == match(truth, []) == []


@settings(max_examples=40, deadline=None)
@given(truth=st.lists(boxes, max_size=6), found=st.lists(boxes, max_size=6), threshold=st.floats(0.01, 0.9))
def test_matches_are_one_to_one_and_good_enough(truth: list[Box], found: list[Box], threshold: float) -> None:
    pairs = match(truth, found, threshold=threshold)
    assert len({i for i, _, _ in pairs}) == len({j for _, j, _ in pairs}) == len(pairs)
    assert all(iou >= threshold for _, _, iou in pairs)
    assert len(match(truth, truth, threshold=threshold)) == len(truth)
