"""The backbone: a rollout with its bounded memory is what computing everything anew gives; nothing sees the future."""

from __future__ import annotations

import pytest
import torch
from pocketworlds.world_models.backbone import Backbone
from torch import Tensor

BATCH, FRAMES, TOKENS, WIDTH, WINDOW = 3, 9, 5, 32, 3


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    made = Backbone(width=WIDTH, depth=3, heads=2, window=WINDOW).eval()
    for name, values in made.named_parameters():  # new ones change nothing: what is zero must do something here
        if "modulation" in name or "last" in name:
            torch.nn.init.normal_(values, std=0.3)
    return made


def numbers(seed: int, frames: int = FRAMES) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    tokens = torch.randn(BATCH, frames, TOKENS, WIDTH, generator=draws)
    return tokens, torch.randn(BATCH, frames, WIDTH, generator=draws)


@torch.no_grad()
def test_a_rollout_with_memory_is_the_same_as_one_without(backbone: Backbone):
    tokens, condition = numbers(1)
    _, whole = backbone.remember(tokens, condition)
    memory = backbone.blank(BATCH, TOKENS)
    for t in range(FRAMES):
        newer, last = backbone.remember(tokens[:, t : t + 1], condition[:, t : t + 1], memory)
        torch.testing.assert_close(last[:, 0], whole[:, t], atol=2e-5, rtol=1e-4)
        memory = memory.pushed(newer)
        assert memory.there.sum(1).tolist() == [min(t + 1, WINDOW)] * BATCH


@torch.no_grad()
def test_frames_to_be_made_are_the_same_in_a_sequence_and_in_a_rollout(backbone: Backbone):
    past, past_condition = numbers(1)
    wanted, condition = numbers(2)
    known, _ = backbone.remember(past, past_condition)
    whole = backbone.make(wanted, condition, known)
    memory = backbone.blank(BATCH, TOKENS)
    for t in range(FRAMES):
        newer, _ = backbone.remember(past[:, t : t + 1], past_condition[:, t : t + 1], memory)
        memory = memory.pushed(newer)
        made = backbone.make(wanted[:, t : t + 1], condition[:, t : t + 1], memory)
        torch.testing.assert_close(made[:, 0], whole[:, t], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_no_frame_sees_those_after_it_and_frames_to_be_made_not_each_other(backbone: Backbone):
    past, past_condition = numbers(1)
    wanted, condition = numbers(2)
    later, changed = past.clone(), wanted.clone()
    later[:, 5:] *= -1  # to add a number would not do: layers do not see the mean of a token
    changed[:, 5:] *= -2
    first, second = (backbone.remember(each, past_condition) for each in (past, later))
    torch.testing.assert_close(first[1][:, :5], second[1][:, :5])
    assert not torch.allclose(first[1][:, 5], second[1][:, 5])
    one, two = (backbone.make(each, condition, first[0]) for each in (wanted, changed))
    torch.testing.assert_close(one[:, :5], two[:, :5])
    three = backbone.make(wanted, condition, second[0])
    torch.testing.assert_close(one[:, :5], three[:, :5])
    assert not torch.allclose(one[:, 6], three[:, 6])


@torch.no_grad()
def test_a_layer_sees_no_farther_than_its_window():
    torch.manual_seed(1)
    shallow = Backbone(width=WIDTH, depth=1, heads=2, window=WINDOW).eval()
    for values in shallow.parameters():
        torch.nn.init.normal_(values, std=0.2)
    tokens, condition = numbers(3)
    old = tokens.clone()
    old[:, 0] *= -1
    first, second = (shallow.remember(each, condition)[1] for each in (tokens, old))
    assert not torch.allclose(first[:, WINDOW], second[:, WINDOW])
    torch.testing.assert_close(first[:, WINDOW + 1 :], second[:, WINDOW + 1 :])


@torch.no_grad()
def test_only_how_far_frames_are_apart_matters_not_when_they_are(backbone: Backbone):
    tokens, condition = numbers(4, frames=WINDOW + 1)
    twice = torch.cat([torch.zeros_like(tokens), tokens], 1)
    conditions = torch.cat([condition, condition], 1)
    shallow = Backbone(width=WIDTH, depth=1, heads=2, window=WINDOW).eval()
    for values in shallow.parameters():
        torch.nn.init.normal_(values, std=0.2)
    alone, after = shallow.remember(tokens, condition)[1], shallow.remember(twice, conditions)[1]
    torch.testing.assert_close(alone[:, -1], after[:, -1], atol=2e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("count", [1, 2])
def test_a_world_is_the_same_whatever_is_beside_it(backbone: Backbone, count: int):
    tokens, condition = numbers(5)
    memory = backbone.remember(tokens, condition)[0]
    whole = backbone.make(tokens, condition, memory)
    few = backbone.remember(tokens[:count], condition[:count])[0]
    assert torch.equal(few.keys, memory.keys[:, :count])
    assert torch.equal(backbone.make(tokens[:count], condition[:count], few), whole[:count])


def test_in_fewer_bits_numbers_and_gradients_stay_near():
    """Matrices in bfloat16 (8 bits of mantissa), attention in full on a processor."""
    torch.manual_seed(0)
    net = Backbone(width=WIDTH, depth=2, heads=2, window=WINDOW)
    for name, values in net.named_parameters():
        if "modulation" in name or "last" in name:
            torch.nn.init.normal_(values, std=0.3)
    tokens, condition = numbers(1)
    told = []
    for bits in (False, True):
        net.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bits):
            _, found = net.remember(tokens, condition)
        found.float().square().mean().backward()
        gradient = torch.cat([values.grad.flatten() for values in net.parameters() if values.grad is not None])
        told.append((found.float(), gradient))
    for full, few in zip(*told, strict=True):
        apart = (full - few).norm() / full.norm()
        assert 0 < apart < 0.03
