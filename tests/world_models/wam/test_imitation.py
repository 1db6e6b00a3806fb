"""Networks to compare with: they learn what a law does, row by row the same in any batch; a style tells ways apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.frames.training import FrameTrainer, Learner, TrainConfig
from pocketworlds.world_models.wam.act import Act, ActLearner
from pocketworlds.world_models.wam.cloning import Cloning, CloningLearner
from pocketworlds.world_models.wam.demonstrations import Demonstrations, Episode
from pocketworlds.world_models.wam.model import load_model, load_wam, save_model
from pocketworlds.world_models.wam.words import letters

from .conftest import LINE, past_of, settings_of

KINDS = {"cloning": Cloning, "act": Act}


def trained(net: Cloning | Act, episodes: list[Episode], steps: int, price: float = 10.0) -> None:
    data = Demonstrations(episodes, net.settings)
    net.scales.measure(*data.scales())
    learner: Learner = ActLearner(net, price=price) if isinstance(net, Act) else CloningLearner(net)
    trainer = FrameTrainer(learner, data, TrainConfig(steps=steps, rate=3e-3, batch=128, length=1))
    trainer.advance()
    trainer.settle()


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_a_law_and_which_is_asked_for(kind: str, lawful: list[Episode]) -> None:
    net = KINDS[kind](settings_of())
    trained(net, lawful, 400)
    random = torch.Generator().manual_seed(7)
    at = 1.6 * torch.rand(256, 2, generator=random) - 0.8
    state = torch.cat([torch.tensor([0.1, 0.2, 0.3]).expand(256, 3), at], 1)
    none = torch.zeros(256, 0, 16, 24, 3, dtype=torch.uint8)
    with torch.no_grad():
        seek, wander = (net(state, none, letters([asked] * 256, 12)) for asked in ("seek", "wander"))
    assert (seek[:, 0] - (-2 * at).clamp(-1, 1)).abs().mean() < 0.1
    assert wander[:, 0].abs().mean() < 0.15  # the mean of what is drawn, and its median


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cameras", [0, 2])
@torch.no_grad()
def test_a_row_is_the_same_in_any_batch(kind: str, cameras: int) -> None:
    settings = settings_of(cameras=cameras, seen=("thing",))
    net, past = KINDS[kind](settings).eval(), past_of(settings, 40, 1)
    for value in net.parameters():
        value.add_(0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    seen = past.state[:, 0], past.image[:, 0], past.told
    expected = net(*seen)
    assert expected.shape == (40, 4, 2)
    assert not torch.allclose(expected[0], expected[1])
    for count in (1, 3, 17):
        assert torch.equal(net(*(each[:count] for each in seen)), expected[:count])


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_brings_it_back_and_is_none_of_another_kind(kind: str, tmp_path: Path) -> None:
    net = KINDS[kind](settings_of(cameras=1), seed=3)
    save_model(tmp_path / "a.safetensors", net)
    found, card = load_model(tmp_path / "a.safetensors")
    assert card.kind == kind
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), found.state_dict().values(), strict=True))
    with pytest.raises(CheckpointError, match=f"kind '{kind}', not 'wam'"):
        load_wam(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="none of"):
        load_model(tmp_path / "a.safetensors", "hybrid")


def test_a_style_tells_two_ways_apart() -> None:
    """Half of the episodes always go forth, half always back: what is seen says nothing, the style says all."""
    ways = [1.0, -1.0] * 20
    episodes = [Episode(torch.zeros(3, 2), torch.zeros(3, 0, 64, 64, 3, dtype=torch.uint8), torch.full((2, 1), way))
                for way in ways]  # fmt: skip
    net = Act(LINE)
    trained(net, episodes, 300, price=0.01)  # at the usual one, a single number is not worth a style
    state, told = torch.zeros(2, 2), letters(["", ""], LINE.net.letters)
    shown = torch.tensor([[[1.0]], [[-1.0]]])
    with torch.no_grad():
        mean, _ = net.style(state, shown, torch.ones(2, 1, dtype=torch.bool), told)
        none = torch.zeros(2, 0, 64, 64, 3, dtype=torch.uint8)
        said = net(state, none, told, mean)
    assert (said - shown).abs().max() < 0.2
