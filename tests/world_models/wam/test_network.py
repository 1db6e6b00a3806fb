"""The network: what it remembers, what it sees, and what it is before it has learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from pocketworlds.world_models.wam.flow import decide, draw_noise
from pocketworlds.world_models.wam.network import Coming, Past, Wam
from pocketworlds.world_models.wam.settings import NetSettings, WamSettings
from pocketworlds.world_models.wam.words import Words, letters
from pydantic import ValidationError

from .conftest import past_of, rows, settings_of, stirred

VARIANTS = pytest.mark.parametrize(
    "settings",
    [settings_of(), settings_of(cameras=2, seen=("robot",)), settings_of(cameras=1, past=3)],
    ids=["state", "blind", "long"],
)


def coming_of(settings: WamSettings, count: int, length: int, seed: int = 1) -> Coming:
    random = torch.Generator().manual_seed(seed)
    pixels = 3 * settings.net.patch**2
    return Coming(
        change=torch.randn(count, length, settings.state_size, generator=random),
        image=torch.randn(count, length, settings.patches, pixels, generator=random),
        action=torch.randn(count, length, settings.chunk, settings.action_size, generator=random),
        world=torch.rand(count, length, generator=random),
        act=torch.rand(count, length, generator=random),
    )


@VARIANTS
def test_a_new_network_repeats_the_present_and_does_nothing(settings: WamSettings) -> None:
    net, past, coming = Wam(settings), past_of(settings, 3, settings.past), coming_of(settings, 3, settings.past)
    memory, _ = net.remember(past)
    made = net.make(coming, past, memory)
    assert made.change.abs().max() == 0
    assert made.velocity.abs().max() == 0
    torch.testing.assert_close(net.pictures(made.image), past.image, rtol=0, atol=0)


@VARIANTS
@torch.no_grad()
def test_what_is_kept_of_the_past_equals_computing_all_anew(settings: WamSettings) -> None:
    net, length = stirred(settings), 7
    past, coming = past_of(settings, 2, length), coming_of(settings, 2, length)
    memory, whole = net.remember(past)
    expected = net.make(coming, past, memory)
    kept = net.backbone.blank(2, settings.tokens)
    for k in range(length):
        frame = rows(past, slice(None), slice(k, k + 1))
        newer, here = net.remember(frame, kept)
        kept = kept.pushed(newer)
        one = Coming(**{name: value[:, k : k + 1] for name, value in vars(coming).items()})
        found = net.make(one, frame, kept)
        torch.testing.assert_close(here, whole[:, k : k + 1], rtol=1e-4, atol=1e-4)
        for name in ("change", "image", "velocity"):
            ours, theirs = getattr(found, name), getattr(expected, name)[:, k : k + 1]
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@VARIANTS
@torch.no_grad()
def test_frames_see_no_later_ones_and_none_too_old(settings: WamSettings) -> None:
    net, length, looked = stirred(settings), 9, 7
    past, coming = past_of(settings, 1, length), coming_of(settings, 1, length)
    past = replace(past, known=torch.ones_like(past.known))
    # What is made sees `past` frames, and each of these as many before itself, once a layer but the last.
    oldest = looked - (settings.past - 1) - settings.past * (settings.net.depth - 1)

    def made(known: Past) -> torch.Tensor:
        return net.make(coming, known, net.remember(known)[0]).velocity[:, looked]

    expected = made(past)
    for k in range(length):
        state = past.state.clone()
        state[:, k] += 1.0
        assert torch.equal(made(replace(past, state=state)), expected) == (not oldest <= k <= looked), k


@VARIANTS
@torch.no_grad()
def test_a_world_is_the_same_in_any_batch(settings: WamSettings) -> None:
    net, past, noise = stirred(settings), past_of(settings, 40, settings.past), draw_noise(stirred(settings), 40)
    memory, whole = net.remember(past)
    many = decide(net, past, memory, whole, noise, steps=2, dream=True)
    for count in (1, 3):
        few = rows(past, slice(count))
        memory, whole = net.remember(few)
        some = Coming(**{name: value[:count] for name, value in vars(noise).items()})
        found = decide(net, few, memory, whole, some, steps=2, dream=True)
        assert torch.equal(found.action, many.action[:count])
        assert torch.equal(found.state, many.state[:count])
        assert torch.equal(found.image, many.image[:count])


@torch.no_grad()
def test_what_is_not_known_does_not_matter() -> None:
    settings = settings_of()
    net, past, coming = stirred(settings), past_of(settings, 4, 1), coming_of(settings, 4, 1)
    past = replace(past, known=torch.zeros_like(past.known))
    state, action = past.state + 1, torch.where(past.acted[..., None], past.action, past.action + 1)
    other = replace(past, state=state, action=action)
    expected, found = (net.make(coming, each, net.remember(each)[0]) for each in (past, other))
    assert torch.equal(expected.velocity, found.velocity)
    known = replace(other, known=torch.ones_like(past.known))
    assert not torch.equal(net.make(coming, known, net.remember(known)[0]).velocity, found.velocity)


@torch.no_grad()
def test_the_hidden_state_is_guessed_and_the_seen_kept() -> None:
    settings = settings_of(cameras=1, seen=("thing",))
    net, past = stirred(settings), past_of(settings, 5, 1)
    past = replace(past, known=torch.ones_like(past.known))
    _, whole = net.remember(past)
    assert torch.equal(whole[..., 3:], past.state)
    _, other = net.remember(replace(past, image=255 - past.image))
    assert (whole[..., :3] - other[..., :3]).abs().min() > 0


@torch.no_grad()
def test_patches_are_pictures_cut_up() -> None:
    settings = settings_of(cameras=2)
    net = Wam(settings)
    image = torch.randint(0, 256, (3, 1, 2, 16, 24, 3), dtype=torch.uint8)
    patches = net.patches(image)
    assert patches.shape == (3, 1, 12, 192)
    # Row by row, camera after camera: number 2 * 3 + 3 + 1 is the second camera's, second row, second column.
    expected = image[0, 0, 1, 8:16, 8:16].float() / 127.5 - 1
    torch.testing.assert_close(patches[0, 0, 10].reshape(8, 8, 3), expected)
    assert torch.equal(net.pictures(patches), image)


def test_instructions_are_told_apart() -> None:
    told = letters(["push", "pull", "ühp", "", "push and something too long"], 6)
    assert told.shape == (5, 6)
    assert told[0].tolist() == [*b"push", 256, 256]
    assert told[2].tolist() == [*"ühp".encode(), 256, 256]
    assert bytes(told[4].tolist()) == b"push a"
    found = Words(6, 32)(told)
    assert found.isfinite().all()
    assert (torch.cdist(found, found) + torch.eye(5)).min() > 1e-3
    mirrored = Words(6, 32)(letters(["ab", "ba"], 6))
    assert (mirrored[0] - mirrored[1]).abs().max() > 1e-3


def test_instructions_are_read_in_threes() -> None:
    """As a linear layer over each three letters does, with nothing before the first and after the last."""
    words, told = Words(8, 16), letters(["push it", "", "pull", "push it", "eight...and more"], 8)
    blank = torch.zeros(5, 1, 16)
    x = torch.cat([blank, words.letter(told), blank], 1)
    threes = words.three(torch.cat([x[:, :-2], x[:, 1:-1], x[:, 2:]], 2))
    there = (told < 256)[..., None]
    read = torch.nn.functional.gelu(threes + words.where) * there
    mean = read.sum(1) / there.sum(1).clamp_min(1)
    torch.testing.assert_close(words(told), words.out(mean), rtol=1e-5, atol=1e-6)


def test_settings_that_make_no_sense_are_named() -> None:
    good = settings_of().model_dump()
    for name, value, said in (
        ("seen", ("robot", "hand"), "different parts of the state"),
        ("seen", ("robot", "robot"), "different parts of the state"),
        ("cameras", ("a", "a"), "must be different"),
        ("chunk", 0, "greater than or equal to 1"),
        ("speed", 1, "Extra inputs"),
    ):
        with pytest.raises(ValidationError, match=said):
            WamSettings.model_validate({**good, name: value})
    with pytest.raises(ValidationError, match=r"multiples of net\.patch"):
        WamSettings.model_validate({**good, "cameras": ("a",), "image_size": (20, 24)})
    with pytest.raises(ValidationError, match="twice heads"):
        NetSettings(width=48, heads=5)
    with pytest.raises(ValidationError, match="power of two"):
        NetSettings(patch=12)


def test_places_of_what_is_seen() -> None:
    assert settings_of().seen_at == [0, 1, 2, 3, 4]
    assert settings_of(seen=("thing",)).seen_at == [3, 4]
    assert settings_of(cameras=2).tokens == 2 + 12 + 4
    np.testing.assert_equal(settings_of(seen=("robot",)).blind, True)


def test_the_same_seed_makes_the_same_network() -> None:
    settings = settings_of(cameras=1)
    state = torch.get_rng_state()
    one, two, other = (Wam(settings, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["place"], other["place"])
    assert isinstance(past_of(settings, 1, 1), Past)
