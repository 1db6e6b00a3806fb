"""Building blocks of rewards."""

from __future__ import annotations

import numpy as np
import pytest
from pocketworlds.envs.rewards import nearness, reaching, tolerance

FAR = np.linspace(0, 2, 201)


def test_each_is_one_at_the_goal_and_falls_from_there():
    for term in (tolerance(FAR, bounds=(0.0, 0.0), margin=0.4), nearness(FAR, margin=0.4), reaching(FAR)):
        assert term[0] == 1
        assert (np.diff(term) < 0).all()
        assert (term > 0).all()


def test_margin_is_where_a_tenth_is_left():
    assert tolerance(np.array([0.4]), bounds=(0.0, 0.0), margin=0.4)[0] == pytest.approx(0.1)
    assert nearness(np.array([0.4]), margin=0.4)[0] == pytest.approx(0.1)


def test_the_last_centimetre_counts_most():
    gain = -np.diff(reaching(FAR))
    assert (np.diff(gain) < 0).all()
    assert gain[0] > 10 * gain[40]
