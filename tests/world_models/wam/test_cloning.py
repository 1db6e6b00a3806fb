"""Behaviour cloning: it learns what a law does, row by row the same in any batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.frames.training import FrameTrainer, TrainConfig
from pocketworlds.world_models.wam.cloning import Cloning, CloningLearner, load_cloning, save_cloning
from pocketworlds.world_models.wam.demonstrations import Demonstrations, Episode
from pocketworlds.world_models.wam.model import load_wam
from pocketworlds.world_models.wam.words import letters

from .conftest import past_of, settings_of


def test_it_learns_a_law_and_which_is_asked_for(lawful: list[Episode]) -> None:
    data = Demonstrations(lawful, settings_of())
    net = Cloning(settings_of())
    net.scales.measure(*data.scales())
    trainer = FrameTrainer(CloningLearner(net), data, TrainConfig(steps=400, rate=3e-3, batch=128, length=1))
    trainer.advance()
    trainer.settle()
    random = torch.Generator().manual_seed(7)
    at = 1.6 * torch.rand(256, 2, generator=random) - 0.8
    state = torch.cat([torch.tensor([0.1, 0.2, 0.3]).expand(256, 3), at], 1)
    none = torch.zeros(256, 0, 16, 24, 3, dtype=torch.uint8)
    with torch.no_grad():
        seek, wander = (net(state, none, letters([asked] * 256, 12)) for asked in ("seek", "wander"))
    assert (seek[:, 0] - (-2 * at).clamp(-1, 1)).abs().mean() < 0.1
    assert wander[:, 0].abs().mean() < 0.15  # the mean of what is drawn


@pytest.mark.parametrize("cameras", [0, 2])
@torch.no_grad()
def test_a_row_is_the_same_in_any_batch(cameras: int) -> None:
    settings = settings_of(cameras=cameras, seen=("thing",))
    net, past = Cloning(settings).eval(), past_of(settings, 40, 1)
    seen = past.state[:, 0], past.image[:, 0], past.told
    expected = net(*seen)
    assert expected.shape == (40, 4, 2)
    for count in (1, 3, 17):
        assert torch.equal(net(*(each[:count] for each in seen)), expected[:count])


def test_a_checkpoint_brings_it_back_and_is_none_of_another_kind(tmp_path: Path) -> None:
    net = Cloning(settings_of(cameras=1), seed=3)
    save_cloning(tmp_path / "a.safetensors", net)
    found, card = load_cloning(tmp_path / "a.safetensors")
    assert card.kind == "cloning"
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), found.state_dict().values(), strict=True))
    with pytest.raises(CheckpointError, match="kind 'cloning', not 'wam'"):
        load_wam(tmp_path / "a.safetensors")
