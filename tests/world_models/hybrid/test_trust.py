"""Bounds that are to hold nine times in ten, on errors whose distribution is known."""

from __future__ import annotations

import numpy as np
import torch
from pocketworlds.world_models.hybrid.trust import Signs, Trust
from torch import Tensor


def episodes(seed: int, count: int = 200, steps: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Signs, errors and recent disagreement of episodes in which errors grow with disagreement, more or less."""
    generator = torch.Generator().manual_seed(seed)
    signs, numbers, recent, error = Signs(count), [], [], []
    rows = torch.arange(count)
    level = 1e-4 + 1e-3 * torch.rand(count, generator=generator)
    luck = torch.randn(count, generator=generator)
    for _ in range(steps):
        things = level * torch.rand(count, generator=generator)
        signs.add(rows, torch.stack([things, *torch.ones(4, count)], 1))
        numbers.append(signs.numbers(rows))
        recent.append(signs.recent.clone())
        error.append(signs.sums[:, 0] * (0.8 * luck).exp())
    return torch.stack(numbers, 1), torch.stack(error, 1), torch.stack(recent, 1)


def fitted() -> Trust:
    trust = Trust()
    sets = [episodes(seed) for seed in (0, 1)]
    trust.fit([n for n, _, _ in sets], [e for _, e, _ in sets], [r for _, _, r in sets])
    return trust


def test_the_bound_holds_nine_times_in_ten_on_other_episodes_early_and_late():
    trust = fitted()
    numbers, error, _ = episodes(7, count=2000)
    for first, last in ((0, 10), (10, 25), (25, 40)):
        inside = error[:, first:last] <= trust.bound(numbers[:, first:last].flatten(0, 1)).view(2000, -1)
        assert 0.85 < inside.float().mean() < 0.95


def test_the_bound_is_not_wide_where_little_was_unsure():
    """It must tell apart: the true quantile is exp(0.8 * 1.28) times the sum of disagreement."""
    trust = fitted()
    numbers, _, _ = episodes(8)
    late = numbers[:, 20:].flatten(0, 1)
    ratio = trust.bound(late) / (late[:, 1] * np.exp(0.8 * 1.2816))
    assert abs(float(ratio.median()) - 1) < 0.25
    assert ratio.quantile(0.9) / ratio.quantile(0.1) < 1.8


def test_unusual_is_what_one_episode_in_twenty_sees():
    trust = fitted()
    _, _, recent = episodes(9, count=2000)
    ever = (trust.strangeness(recent.flatten(0, 1)).view(2000, -1) > 1).any(1).float().mean()
    assert 0.02 < ever < 0.09
    assert float(trust.strangeness(torch.tensor([[1.0, 1.0, 1.0, 1.0]]))) > 100


def test_who_was_never_calibrated_promises_nothing():
    trust = Trust()
    assert not trust.fitted
    assert torch.isinf(trust.bound(torch.zeros(3, 6))).all()
    assert (trust.strangeness(torch.full((3, 4), 1e6)) <= 1).all()


def test_rows_are_the_same_in_a_batch_of_any_size():
    trust = fitted()
    numbers = episodes(3)[0][:, 10]
    whole = trust.bound(numbers)
    for count in (1, 2, 17, 100):
        assert torch.equal(trust.bound(numbers[:count]), whole[:count])


def test_signs_are_saved_and_put_back():
    signs, rows = Signs(5), torch.tensor([1, 3])
    signs.add(torch.arange(5), torch.rand(5, 5, generator=torch.Generator().manual_seed(0)))
    kept = signs.save(rows)
    before = signs.numbers(torch.arange(5)).clone()
    signs.reset(rows)
    assert (signs.numbers(rows) == 0).all()
    signs.restore(rows, kept)
    assert torch.equal(signs.numbers(torch.arange(5)), before)
