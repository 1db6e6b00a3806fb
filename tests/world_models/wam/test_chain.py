"""Chains of Gaussian steps: their density is one, and it is the density of what is drawn."""

from __future__ import annotations

import math

import pytest
import torch
from pocketworlds.world_models.wam.chain import LEAST, MOST, Sigma, chain_log_prob, mean_actions, sample_chain
from pocketworlds.world_models.wam.flow import decide, draw_noise
from pocketworlds.world_models.wam.network import Past, Wam

from .conftest import LINE, past_of, rows, settings_of, stirred


def stirred_sigma(net: Wam, steps: int) -> Sigma:
    found = Sigma(net, steps=steps)
    with torch.no_grad():
        found.out.weight.copy_(torch.randn(found.out.weight.shape, generator=torch.Generator().manual_seed(1)) * 0.3)
    return found


def repeated(past: Past, count: int) -> Past:
    return Past(**{name: value.expand(count, *value.shape[1:]) for name, value in vars(past).items()})


@torch.no_grad()
def test_the_density_of_a_chain_integrates_to_one_and_has_the_moments_of_what_is_drawn() -> None:
    net = stirred(LINE)
    sigma, past = stirred_sigma(net, 2), past_of(LINE, 1, 1, seed=3)
    start = torch.tensor([[[0.4]]])
    noise = torch.randn(40_000, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    drawn = sample_chain(net, sigma, repeated(past, 40_000), start.expand(40_000, 1, 1), noise, played=1).actions[
        :, :, 0, 0
    ]
    spread = drawn.std(0)
    axes = [drawn[:, k].mean() + spread[k] * torch.linspace(-6, 6, 121) for k in (1, 2)]
    grid = torch.cartesian_prod(*axes)
    chains = torch.cat([torch.full((len(grid), 1), 0.4), grid], 1)[..., None, None]
    density = chain_log_prob(net, sigma, repeated(past, len(grid)), chains, played=1).sum((1, 2)).double().exp()
    cell = math.prod(float(axis[1] - axis[0]) for axis in axes)
    assert float(density.sum() * cell) == pytest.approx(1.0, abs=2e-3)
    mean = (density[:, None] * grid).sum(0) * cell
    wide = ((density[:, None] * (grid - mean).square()).sum(0) * cell).sqrt()
    error = spread / math.sqrt(len(drawn))
    assert ((mean - drawn[:, 1:].mean(0)).abs() < 5 * error[1:]).all()
    assert ((wide - spread[1:]).abs() < 0.02 * spread[1:]).all()


@pytest.mark.parametrize("cameras", [0, 1])
@torch.no_grad()
def test_what_was_drawn_has_the_probability_that_it_was_drawn_with(cameras: int) -> None:
    settings = settings_of(cameras=cameras)
    net, past = stirred(settings), past_of(settings, 6, 1)
    sigma = stirred_sigma(net, 3)
    start, *noise = torch.randn(4, 6, 4, 2, generator=torch.Generator().manual_seed(2))
    for played in (4, 2):
        chain = sample_chain(net, sigma, past, start, torch.stack(noise, 1), played=played)
        again = chain_log_prob(net, sigma, past, chain.actions, played=played)
        torch.testing.assert_close(again, chain.log_prob, rtol=1e-5, atol=1e-4)
        few = chain_log_prob(net, sigma, rows(past, slice(2)), chain.actions[:2], played=played)
        torch.testing.assert_close(few, again[:2], rtol=1e-5, atol=1e-4)
    beyond = chain.actions.clone()
    beyond[:, -1, 2:] += 1.0  # the last step's actions that are never played
    torch.testing.assert_close(chain_log_prob(net, sigma, past, beyond, played=2), again)


def test_gradients_are_those_of_differences() -> None:
    net = stirred(LINE)
    sigma, past = stirred_sigma(net, 2), past_of(LINE, 8, 1)
    actions = torch.randn(8, 3, 1, 1, generator=torch.Generator().manual_seed(5)) * 0.5
    chain_log_prob(net, sigma, past, actions, played=1).sum().backward()
    for value in (net.action_head.bias, net.action_head.weight, sigma.out.bias):
        assert value.grad is not None
        way = value.grad / value.grad.norm()
        sums = []
        for side in (1, -1):
            with torch.no_grad():
                value += side * 1e-3 * way
                sums.append(float(chain_log_prob(net, sigma, past, actions, played=1).double().sum()))
                value -= side * 1e-3 * way
        assert (sums[0] - sums[1]) / 2e-3 == pytest.approx(float(value.grad.norm()), rel=0.02)


@torch.no_grad()
def test_without_noise_it_is_the_flow() -> None:
    settings = settings_of()
    net, past = stirred(settings), past_of(settings, 3, 1)
    noise = draw_noise(net, 1, torch.Generator().manual_seed(0))  # the one at which the dream is held
    memory, whole = net.remember(rows(past, slice(1)))
    expected = decide(net, rows(past, slice(1)), memory, whole, noise, steps=3, dream=False).action
    torch.testing.assert_close(mean_actions(net, rows(past, slice(1)), noise.action[:, 0], steps=3), expected)


@torch.no_grad()
def test_noise_keeps_within_bounds_and_begins_where_it_is_told() -> None:
    net = stirred(settings_of())
    sigma = Sigma(net, steps=2, begin=0.12)
    torch.testing.assert_close(sigma(torch.randn(5, 5)), torch.full((5, 2, 4, 2), 0.12))
    for bias, bound in ((50.0, MOST), (-50.0, LEAST)):
        sigma.out.bias.fill_(bias)
        torch.testing.assert_close(sigma(torch.zeros(1, 5)), torch.full((1, 2, 4, 2), bound))
