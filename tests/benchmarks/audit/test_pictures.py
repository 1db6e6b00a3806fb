"""How alike pictures are: against scikit-image, on pictures made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pocketworlds.benchmarks.audit.pictures import CHANGED, Likeness, lpips_distance, moving
from pocketworlds.world_models.frames import measures
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

RNG = np.random.default_rng(0)


def pictures(count: int = 1) -> np.ndarray:
    return RNG.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_one_picture_is_as_scikit_image_says():
    truth = pictures()
    found = np.clip(truth.astype(int) + RNG.integers(-20, 21, truth.shape), 0, 255).astype(np.uint8)
    likeness = Likeness()
    likeness.add(truth, found, np.ones((1, 32, 32), dtype=bool))
    told = likeness.figures()
    assert told["psnr"] == pytest.approx(peak_signal_noise_ratio(truth[0], found[0], data_range=255))
    assert told["moving"]["psnr"] == pytest.approx(told["psnr"])
    alike = structural_similarity(
        truth[0],
        found[0],
        channel_axis=2,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert told["ssim"] == pytest.approx(alike)


def test_similarity_is_that_of_models_of_frames():
    """Where the window lies inside: at a border that is worse than the rest, not on pixels made up."""
    truth = pictures(3)
    found = truth.copy()
    found[:, :3] = 255 - found[:, :3]
    likeness = Likeness()
    likeness.add(truth, found, np.zeros((3, 32, 32), dtype=bool))
    signals = (torch.from_numpy(each).movedim(-1, 1).double() / 255 for each in (truth, found))
    assert likeness.figures()["ssim"] == pytest.approx(float(measures.ssim(*signals).mean()), abs=1e-9)


def test_what_moves_is_what_changed_and_its_neighbours():
    first = np.zeros((1, 9, 9, 3), dtype=np.uint8)
    then = first.copy()
    then[0, 4, 4, 1] = CHANGED + 1
    then[0, 0, 8, 0] = CHANGED  # too little
    mask = moving(first, then)[0]
    assert mask.sum() == 9
    assert mask[3:6, 3:6].all()


def test_errors_elsewhere_do_not_count_on_what_moves():
    """Copy-last looks good on the whole picture, and is worst where something moves."""
    first = np.full((1, 32, 32, 3), 100, dtype=np.uint8)
    truth = first.copy()
    truth[0, 10:14, 10:14] = 250
    off = truth.copy()
    off[0, 25:, 25:] = 140
    mask = moving(first, truth)
    frozen, other = Likeness(), Likeness()
    frozen.add(truth, first, mask)
    other.add(truth, off, mask)
    assert other.figures()["moving"]["psnr"] == float("inf")
    assert np.isfinite(other.figures()["psnr"])
    assert frozen.figures()["moving"]["psnr"] < frozen.figures()["psnr"] - 10


def test_exact_pictures_do_not_make_all_of_them_exact():
    truth = pictures(3)
    found = truth.copy()
    found[2] = 255 - found[2]
    likeness = Likeness()
    for k in range(3):
        likeness.add(truth[[k]], found[[k]], np.ones((1, 32, 32), dtype=bool))
    together = Likeness()
    together.add(truth, found, np.ones((3, 32, 32), dtype=bool))
    square = ((truth.astype(float) - found) ** 2).mean()
    assert likeness.figures() == together.figures()
    assert together.figures()["psnr"] == pytest.approx(10 * np.log10(255**2 / square))
    assert together.figures()["pictures"] == 3


def test_lpips_is_measured_or_says_what_it_lacks():
    distance, missing = lpips_distance()
    if distance is None:
        assert missing.startswith("not measured: ")
    else:
        truth = RNG.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
        assert distance(truth, truth) == pytest.approx([0, 0], abs=1e-4)
