"""Distances that are looked up, held against exact ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds.world_models.hybrid.fields import Fields, sample


def ball(center: list[float], radius: float):
    return lambda points: np.linalg.norm(points - np.array(center), axis=1) - radius


LOW, HIGH = np.full(3, -0.1), np.full(3, 0.1)


def test_flat_faces_are_exact_inside_and_beyond_the_grid():
    slope = np.array([0.6, 0.0, 0.8])
    fields = Fields([sample(lambda points: points @ slope - 0.03, LOW, HIGH, cell=0.02)])
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 200, 3))
    distance, gradient = fields(torch.zeros(1, dtype=torch.int64), torch.tensor(points, dtype=torch.float32))
    np.testing.assert_allclose(distance[0], points[0] @ slope - 0.03, atol=1e-6)
    np.testing.assert_allclose(gradient[0], np.broadcast_to(slope, (200, 3)), atol=1e-4)


def test_a_ball_is_felt_within_a_tenth_of_a_cell_and_rows_look_up_their_own():
    exact = [ball([0.02, 0, 0], 0.04), ball([0, -0.03, 0.01], 0.03)]
    fields = Fields([sample(each, LOW, HIGH, cell=0.004) for each in exact])
    points = np.random.default_rng(1).uniform(-0.09, 0.09, (2, 300, 3))
    distance, gradient = fields(torch.tensor([0, 1]), torch.tensor(points, dtype=torch.float32))
    for row in (0, 1):
        expected = exact[row](points[row])
        off = expected > -0.02  # its middle is a point where the distance has no slope
        np.testing.assert_allclose(distance[row][off], expected[off], atol=4e-4)
        np.testing.assert_allclose(np.linalg.norm(gradient[row][off], axis=1), 1, atol=0.02)


@given(st.lists(st.floats(-5, 5), min_size=3, max_size=3))
def test_what_is_far_away_is_far(place: list[float]):
    fields = Fields([sample(ball([0, 0, 0], 0.05), LOW, HIGH, cell=0.01)])
    distance, _ = fields(torch.tensor([0]), torch.tensor([[place]], dtype=torch.float32))
    exact = np.linalg.norm(place) - 0.05
    assert distance[0, 0] > exact - 0.01
    assert distance[0, 0] < exact + 0.2


def test_large_things_get_larger_cells():
    field = sample(ball([0, 0, 0], 0.5), np.full(3, -2.0), np.full(3, 2.0), cell=0.001)
    assert field.values[..., 0].size <= 500_000
    assert field.cell == pytest.approx((64 / 400_000) ** (1 / 3))


def test_an_inset_counts_inside_of_its_grid_and_only_for_its_thing():
    plain = sample(ball([0, 0, 0], 0.05), LOW, HIGH, cell=0.02)
    fine = replace(plain, inset=sample(ball([0, 0, 0], 0.05), np.full(3, -0.06), np.full(3, 0.0), cell=0.002))
    points = torch.tensor(np.random.default_rng(2).uniform(-0.09, 0.09, (1, 4000, 3)), dtype=torch.float32)
    inside = ((points[0] > -0.06) & (points[0] < 0)).all(1).numpy()
    exact = np.linalg.norm(points[0].numpy(), axis=1) - 0.05
    both = Fields([plain, fine])
    without, _ = both(torch.tensor([0]), points)
    having, _ = both(torch.tensor([1]), points)
    np.testing.assert_array_equal(without[0][~inside], having[0][~inside])
    shell = inside & (exact > -0.03)
    assert np.abs(having[0].numpy() - exact)[shell].max() < 4e-4 < np.abs(without[0].numpy() - exact)[shell].max()
