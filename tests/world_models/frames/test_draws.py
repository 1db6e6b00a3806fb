"""Noise of worlds: SplitMix64 as published, normally distributed, and the same in a batch of any size."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.world_models.frames.draws import _GOLDEN, _mixed, normal
from scipy import stats

INT64 = st.integers(-(2**63), 2**63 - 1)


def test_the_generator_is_splitmix64():
    """The first numbers of seed 1234567, as the generator's author gives them."""
    seed = torch.tensor(1234567) + torch.arange(1, 6) * _GOLDEN
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert _mixed(seed).numpy().view(np.uint64).tolist() == expected


def test_numbers_are_normally_distributed_and_independent():
    found = normal(torch.arange(64), torch.full((64,), 3), (8, 33)).double().numpy()
    assert stats.kstest(found.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(found.reshape(64, -1)) - np.eye(64)).max() < 0.3
    other = normal(torch.arange(64), torch.full((64,), 4), (8, 33)).double().numpy()
    assert abs(np.corrcoef(found.ravel(), other.ravel())[0, 1]) < 0.03


@settings(max_examples=30, deadline=None)
@given(st.lists(INT64, min_size=1, max_size=9), INT64, st.integers(1, 20))
def test_a_world_draws_the_same_whatever_is_beside_it(seeds: list[int], counter: int, size: int):
    seed, counters = torch.tensor(seeds), torch.full((len(seeds),), counter)
    found = normal(seed, counters, (size,))
    assert found.dtype == torch.float32
    assert bool(found.isfinite().all())
    for k in range(len(seeds)):
        assert torch.equal(normal(seed[k : k + 1], counters[k : k + 1], (size,))[0], found[k])
