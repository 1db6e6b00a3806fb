"""Signals of a model that acts: what they are of, and that listening changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pocketworlds.agents.wam.policy import WamPolicy
from pocketworlds.agents.wam.telling import AFTER, BEFORE, Teller
from pocketworlds.errors import TaskError
from pocketworlds.world_models.wam.network import Wam

from .test_policy import made, stirred


@pytest.mark.parametrize("past", [1, 2])
def test_who_is_listened_to_acts_the_same_and_tells_the_same_in_any_batch(past: int) -> None:
    net, env = stirred(past=past), made(3)
    observation, info = env.reset(seed=[1, 2, 3])
    asked, begun = list(info["instruction"]), np.ones(3, dtype=bool)
    policy, teller, alone = WamPolicy(net, dream=True), Teller(net, samples=3), Teller(net, samples=3)
    for each, count in ((policy, 3), (teller, 3), (alone, 1)):
        each.reset(count)
    for _ in range(2):
        expected = policy.act(observation, asked, begun=begun)
        np.testing.assert_array_equal(teller.act(observation, asked, begun=begun), expected)
        np.testing.assert_array_equal(alone.act(observation[:1], asked[:1], begun=begun[:1]), expected[:1])
        for name in BEFORE:
            assert teller.before[name].shape == (3,)
            assert (teller.before[name] > 0).all()
            np.testing.assert_array_equal(alone.before[name], teller.before[name][:1])
        observation = env.step_chunk(expected)[0]
        told = teller.after(observation)
        assert set(told) == {f"{name}{what}" for name in AFTER for what in ("", " of things")}
        assert set(teller.names) == {*BEFORE, *told}
        begun = ~begun & False
    env.close()


def test_errors_are_in_squares_of_usual_changes() -> None:
    net, env = stirred(), made(2)
    with torch.no_grad():
        net.scales.step_scale.fill_(0.5)
    observation, info = env.reset(seed=[1, 2])
    teller = Teller(net)
    teller.reset(2)
    teller.act(observation, list(info["instruction"]), begun=np.ones(2, dtype=bool))
    assert teller.dreamed is not None
    dreamed = teller.dreamed.state.numpy()
    still = teller.after(observation)
    np.testing.assert_allclose(still["stillness"], 0, atol=1e-12)
    there = teller.after(dreamed)
    np.testing.assert_allclose(there["dream error"], 0, atol=1e-12)
    expected = (((dreamed - observation) / 0.5) ** 2).mean(axis=1)
    np.testing.assert_allclose(-there["stillness"], expected, rtol=1e-4)
    np.testing.assert_allclose(still["dream error"], expected, rtol=1e-4)
    np.testing.assert_allclose(still["excess error"], expected, rtol=1e-4)  # it dreamed of what did not come
    np.testing.assert_allclose(there["excess error"], -expected, rtol=1e-4)  # it foresaw all that changed
    env.close()


def test_pictures_count_where_they_moved() -> None:
    """A model that repeats the present, as made: its dream is a copy, and errs by as much as changed where it did."""
    settings = stirred().settings.model_copy(update={"cameras": ("rgb",), "image_size": (16, 16)})
    teller = Teller(Wam(settings))
    teller.reset(2)
    picture = np.full((2, 16, 16, 3), 100, dtype=np.uint8)
    seen = {"state": np.zeros((2, settings.state_size), dtype=np.float32), "rgb": picture}
    teller.act(seen, ["", ""], begun=np.ones(2, dtype=bool))
    came = picture.copy()
    came[0, :4, :4, 0] += 51  # a fifth of full brightness, in one of three colours
    came[0, 8:, 8:] += 8  # noise
    told = teller.after({**seen, "rgb": came})
    for name, sign in zip(AFTER, (1, -1, 0), strict=True):
        np.testing.assert_allclose(told[f"{name} of pictures"], [sign * 0.2**2 / 3, 0], atol=2e-4)


def test_dreams_of_one_mind_are_not_apart() -> None:
    """As made, a model repeats the present whatever the noise: its dreams agree, its actions are the noise."""
    settings = stirred().settings
    net, env = Wam(settings), made(2)
    observation, info = env.reset(seed=[1, 2])
    teller = Teller(net)
    teller.reset(2)
    teller.act(observation, list(info["instruction"]), begun=np.ones(2, dtype=bool))
    np.testing.assert_allclose(teller.before["dreams apart"], 0, atol=1e-6)
    assert (teller.before["actions apart"] > 0.2).all()
    with pytest.raises(TaskError, match="samples must be from 2"):
        Teller(net, samples=1)
    env.close()
