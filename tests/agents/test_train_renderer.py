"""The learned renderer is made from still lifes: what is learned, going on after an interruption, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pocketworlds import TaskError
from pocketworlds.agents.still_lifes import StillLife
from pocketworlds.agents.train_renderer import (
    RendererSettings,
    look_around,
    psnr,
    read_renderer_settings,
    train_renderer,
)
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.checkpoint import Card, save_checkpoint
from pocketworlds.world_models.hybrid.reflectance import Reflectance, Sightings, load_renderer, save_renderer
from pocketworlds.world_models.hybrid.reflectance_training import ReflectanceTrainer, ShadingConfig

SHORT = RendererSettings.model_validate(
    {"still_lifes": 6, "held_out": 2, "pixels": 128, "width": 8, "train": {"steps": 80, "batch": 512, "rate": 0.02}}
)


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sightings, Sightings]:
    return look_around(SHORT, tmp_path_factory.mktemp("seen"), quiet)


def test_a_still_life_follows_from_its_seed():
    one, two, other = (StillLife(seed, cameras=2).sightings(50) for seed in (3, 3, 4))
    assert torch.equal(one.target, two.target)
    assert torch.equal(one.angles, two.angles)
    assert one.target.shape != other.target.shape or not torch.equal(one.target, other.target)
    torch.testing.assert_close(one.share.sum(1), torch.ones(len(one)), atol=1e-4, rtol=0)


def test_a_renderer_is_made_and_better_than_matt_surfaces(tmp_path: Path):
    out = tmp_path / "made.safetensors"
    stages: list[str] = []
    network = train_renderer(SHORT, tmp_path / "work", out, lambda stage, share: stages.append(stage))
    again, card = load_renderer(out)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    assert card.kind == "renderer"
    assert card.measured["psnr"] > card.measured["psnr_matt"] + 2
    assert dict.fromkeys(stages).keys() == {"drawing still lifes", "drawing others to measure with", "training"}


def test_training_that_was_interrupted_ends_as_if_it_had_not_been(seen: tuple[Sightings, Sightings]):
    config = ShadingConfig(steps=8, batch=256, warmup=2)

    def trainer() -> tuple[Reflectance, ReflectanceTrainer]:
        network = Reflectance(8)
        return network, ReflectanceTrainer(network, seen[0], config)

    whole, first = trainer()
    assert first.advance()
    _, second = trainer()
    states = []
    second.advance(lambda done, losses: states.append(second.state()) if done == 5 else None, every=1)
    again, third = trainer()
    third.restore(states[0])
    assert third.done == 5
    assert third.advance()
    for name, values in whole.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


def test_a_network_that_was_spoilt_is_found_out(seen: tuple[Sightings, Sightings]):
    network = Reflectance(8)
    with torch.no_grad():
        network.biases[-1].add_(0.3)
    assert psnr(seen[1], network) < psnr(seen[1], None) - 3


def test_files_that_cannot_be_used_are_refused(tmp_path: Path):
    path = tmp_path / "renderer.safetensors"
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_renderer(path)
    numbers = Reflectance(8).state_dict()
    save_checkpoint(path, Card(kind="hybrid", robot="panda", settings={}), numbers)
    with pytest.raises(CheckpointError, match="kind 'hybrid', not 'renderer'"):
        load_renderer(path)
    for width in (0, "8", True, None, 10**9):
        save_checkpoint(path, Card(kind="renderer", robot="", settings={"width": width}), numbers)
        with pytest.raises(CheckpointError, match="gives width as"):
            load_renderer(path)
    save_checkpoint(path, Card(kind="renderer", robot="", settings={"width": 9}), numbers)
    with pytest.raises(CheckpointError, match="its model needs"):
        load_renderer(path)
    save_renderer(path, Reflectance(8))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="damaged"):
        load_renderer(path)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["fast"], "no setting"),
        (["train.stepz=3"], r"train\.stepz"),
        (["train.steps=0"], r"train\.steps=0"),
        (["width=wide"], "width='wide'"),
    ],
)
def test_settings_that_make_no_sense_are_named(overrides: list[str], told: str):
    with pytest.raises(TaskError, match=told):
        read_renderer_settings(overrides)
    assert read_renderer_settings(["width=24"]).width == 24
