"""Pixel diffusion: the paper's formulas, a case that is known exactly, learning, batches, checkpoints."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.checkpoint import Card
from pocketworlds.world_models.frames.evaluation import evaluate
from pocketworlds.world_models.frames.training import FrameTrainer, TrainConfig
from pocketworlds.world_models.latent_flow.model import load_model as load_latent_flow
from pocketworlds.world_models.pixel_edm.edm import sample, sampling_levels, scaling, training_levels
from pocketworlds.world_models.pixel_edm.model import load_model, open_simulator, save_model, simulate
from pocketworlds.world_models.pixel_edm.network import PixelEdm, PixelEdmLearner
from pocketworlds.world_models.pixel_edm.settings import NoiseSettings, PixelEdmSettings, UNetSettings
from pocketworlds.world_models.simulator import NeuralSimulator

from ..latent_flow.test_latent_flow import actions, context, part
from ..squares import SQUARES, recorded

SMALL = PixelEdmSettings(
    frames=SQUARES, network=UNetSettings(widths=(16, 32), condition=32, bins=5, head=32), noise=NoiseSettings(start=2.0)
)
CARD = Card("pixel_edm", "toy", {})


def shaken(seed: int = 0) -> PixelEdm:
    model = PixelEdm(SMALL, seed=seed).eval()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in model.parameters():
            values.add_(0.05 * torch.randn(values.shape, generator=draws))
        model.scales.step_scale.fill_(0.02)
    return model


@pytest.mark.parametrize("sigma", [0.002, 0.3, 1.0, 80.0])
@pytest.mark.parametrize("data", [0.5, 1.7])
def test_scaling_is_the_papers(sigma: float, data: float):
    """Table 1 of Karras et al. (2022), "Ours"; and (114) to (144): inputs and targets of unit variance."""
    by = scaling(torch.tensor(sigma, dtype=torch.float64), data)
    assert float(by.skip) == pytest.approx(data**2 / (sigma**2 + data**2))
    assert float(by.out) == pytest.approx(sigma * data / math.sqrt(data**2 + sigma**2))
    assert float(by.into) == pytest.approx(1 / math.sqrt(sigma**2 + data**2))
    assert float(by.level) == pytest.approx(math.log(sigma) / 4)
    assert float(by.into) ** 2 * (data**2 + sigma**2) == pytest.approx(1)
    target = ((1 - float(by.skip)) ** 2 * data**2 + float(by.skip) ** 2 * sigma**2) / float(by.out) ** 2
    assert target == pytest.approx(1)
    weight = (sigma**2 + data**2) / (sigma * data) ** 2  # lambda of table 1
    assert 1 / float(by.out) ** 2 == pytest.approx(weight)


def test_levels_are_the_papers():
    settings = NoiseSettings()
    drawn = training_levels(settings, 20_000, torch.Generator().manual_seed(0)).log()
    assert float(drawn.mean()) == pytest.approx(-0.4, abs=0.03)
    assert float(drawn.std()) == pytest.approx(1.2, abs=0.03)
    found = sampling_levels(settings.model_copy(update={"steps": 5, "start": 80.0}))
    k = np.arange(5)
    expected = (80 ** (1 / 7) + k / 4 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    np.testing.assert_allclose(found.numpy(), [*expected, 0.0], rtol=1e-5)
    assert sampling_levels(settings.model_copy(update={"steps": 1})).tolist() == [5.0, 0.0]


def test_sampling_follows_the_known_flow_of_a_normal_distribution():
    """For data of spread s around m, D is known, and noise x0 of level t0 ends at m + x0 s / sqrt(s^2 + t0^2)."""
    spread, mean = 0.7, 0.3
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)
    levels = sampling_levels(NoiseSettings().model_copy(update={"steps": 400})).double()

    def denoise(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return mean + (x - mean) * spread**2 / (spread**2 + sigma**2)

    found = sample(denoise, noise, levels)
    start = float(levels[0])
    expected = mean + (noise * start - mean) * spread / math.sqrt(spread**2 + start**2)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0.02)
    one = sample(denoise, noise, torch.tensor([start, 0.0], dtype=torch.float64))
    torch.testing.assert_close(one, denoise(noise * start, torch.tensor(start)))


def test_a_perfect_network_denoises_perfectly():
    """What training asks of the network is what `denoise` makes a clean picture of."""
    model = PixelEdm(SMALL).eval()
    draws = torch.Generator().manual_seed(0)
    clean = torch.rand(3, 3, 16, 16, generator=draws) * 2 - 1
    sigma = torch.tensor([0.01, 0.5, 4.0])
    noisy = clean + sigma[:, None, None, None] * torch.randn(clean.shape, generator=draws)
    by = scaling(sigma, SMALL.noise.data)
    wanted = (clean - by.skip[:, None, None, None] * noisy) / by.out[:, None, None, None]
    model.raw = lambda *_: wanted
    found = model.denoise(noisy, sigma, torch.zeros(3, 6, 16, 16), torch.zeros(3, 32))
    torch.testing.assert_close(found, clean, atol=1e-5, rtol=1e-5)


def test_a_world_is_the_same_in_any_batch_and_states_come_back():
    model, everything, given = shaken(), context(5), actions(5, 4)
    whole = simulate(model, 5, card=CARD)
    assert isinstance(whole, NeuralSimulator)
    ids = torch.arange(5)
    whole.reset(ids, everything)
    states, made = [], []
    for each in given:
        states.append(whole.get_state(ids))
        made.append(whole.step(ids, each))
    for rows in ([3], [1, 2], [0, 2, 4]):
        few, some = simulate(model, len(rows), card=CARD), torch.arange(len(rows))
        few.reset(some, part(everything, rows))
        for t, each in enumerate(given):
            found = few.step(some, each[rows])
            assert torch.equal(found.image, made[t].image[rows])
            assert torch.equal(found.state, made[t].state[rows])
    again = simulate(model, 5, card=CARD)
    again.set_state(ids, states[2])
    assert torch.equal(again.step(ids, given[2]).image, made[2].image)
    assert torch.equal(again.step(ids, given[3]).state, made[3].state)


def test_it_learns(tmp_path: Path):
    data = recorded(tmp_path, count=24, frames=8)
    model = PixelEdm(SMALL)
    model.scales.measure(*data.states())
    told: list[dict[str, float]] = []
    trainer = FrameTrainer(
        PixelEdmLearner(model), data, TrainConfig(steps=80, rate=6e-3, warmup=5, batch=16, length=3, average=0.95)
    )
    trainer.advance(lambda done, losses: told.append(losses), every=20)
    assert told[-1]["denoising"] < 0.6 * told[0]["denoising"]
    assert told[-1]["state"] < 0.8 * told[0]["state"]
    trainer.settle()
    found = evaluate(lambda count: simulate(model, count, card=CARD), data, horizons=(1,), most=16)["1"]
    assert found["state"] < 0.6 * found["copy_state"]


def test_checkpoints_come_back_and_are_refused(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    save_model(path, shaken())
    model, card = load_model(path)
    assert (model.settings, card.kind, card.robot) == (SMALL, "pixel_edm", "toy")
    assert all(torch.equal(shaken().state_dict()[name], values) for name, values in model.state_dict().items())
    assert open_simulator(path, 3).spec.image_size == (16, 16)
    with pytest.raises(CheckpointError, match="kind 'pixel_edm', not 'latent_flow'"):
        load_latent_flow(path)
