"""Measures of pictures agree with scikit-image's, and signals with pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pocketworlds.world_models.frames.measures import (
    gradients_apart,
    moving,
    psnr,
    squared_error,
    ssim,
    to_pictures,
    to_signal,
)
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    first = torch.randint(0, 256, (3, 24, 31, 3), generator=draws, dtype=torch.uint8)
    noise = torch.randint(-40, 40, first.shape, generator=draws)
    return first, (first.int() + noise).clamp(0, 255).to(torch.uint8)


def test_psnr_is_scikit_images(pair: tuple[torch.Tensor, torch.Tensor]):
    first, second = pair
    expected = peak_signal_noise_ratio(first.numpy(), second.numpy(), data_range=255)
    assert psnr(float(squared_error(first, second).mean())) == pytest.approx(expected, abs=1e-9)
    assert psnr(0.0) == 99.0


def test_ssim_is_scikit_images(pair: tuple[torch.Tensor, torch.Tensor]):
    first, second = pair
    found = ssim(*(each.movedim(-1, 1).double() / 255 for each in pair))
    for k in range(3):
        expected, full = structural_similarity(
            first[k].numpy() / 255,
            second[k].numpy() / 255,
            channel_axis=2,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        assert float(found[k]) == pytest.approx(float(full[5:-5, 5:-5].mean()), abs=1e-9)
        assert float(found[k]) == pytest.approx(float(expected), abs=1e-9)


def test_gradients_are_those_of_numpy():
    draws = np.random.default_rng(0)
    first, second = (draws.normal(size=(2, 3, 5, 7)) for _ in range(2))
    expected = np.abs(np.diff(first - second, axis=2)).mean() + np.abs(np.diff(first - second, axis=3)).mean()
    assert float(gradients_apart(torch.tensor(first), torch.tensor(second))) == pytest.approx(expected)


def test_what_moves_is_found_with_a_little_around_it():
    first = torch.zeros(1, 9, 9, 3, dtype=torch.uint8)
    second = first.clone()
    second[0, 4, 5, 1] = 9
    second[0, 0, 0, 0] = 8  # too little
    found = moving(first, second)[0]
    assert found.sum() == 25
    assert found[2:7, 3:8].all()
    nearer = moving(first, second, around=1)[0]
    assert nearer.sum() == 9
    assert nearer[3:6, 4:7].all()


def test_pictures_come_back(pair: tuple[torch.Tensor, torch.Tensor]):
    assert torch.equal(to_pictures(to_signal(pair[0])), pair[0])
    bad = to_signal(pair[0])
    bad[0] = float("nan")
    assert int(to_pictures(bad)[0].max()) == 0
