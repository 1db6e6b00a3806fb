"""Probes: what is learned from a toy that is known exactly, files that are refused, models of pictures with states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from pocketworlds import CheckpointError, TaskError
from pocketworlds.agents.experience import Practice
from pocketworlds.agents.train_probe import ProbeCourse, make_probe, train_probe
from pocketworlds.errors import DatasetError
from pocketworlds.world_models.checkpoint import Card, save_checkpoint
from pocketworlds.world_models.external.probe import Probe, ProbeSettings, load_probe, save_probe
from pocketworlds.world_models.external.probe_training import examine
from pocketworlds.world_models.external.probed import Probed
from pocketworlds.world_models.frames.training import TrainConfig
from pocketworlds.world_models.simulator import Context, NeuralSimulator, Prediction, Spec
from torch import Tensor

from ..squares import SIDE, SQUARES, drawn, recorded, squares

TRAIN = TrainConfig(steps=120, rate=4e-3, batch=24, length=2, warmup=5, average=0.9, device="cpu", lively=0.0)
COURSE = ProbeCourse("picture", TRAIN, size=SIDE, history=1, width=32, members=2, channels=8)
SPEC = Spec("toy", "velocity", 2, {}, 0, (SIDE, SIDE), "top", 0.05, 1, 1, 0, "none", "")


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


class Moving:
    """Draws the square where it truly is, and says no states."""

    def __init__(self, num_envs: int, spec: Spec = SPEC) -> None:
        self.num_envs, self.spec = num_envs, spec
        self.place = torch.zeros(num_envs, 2)

    def reset(self, ids: Tensor, context: Context) -> None:
        assert context.image is not None
        weight = context.image[:, -1, ..., 0].float() - 20
        middle = torch.arange(SIDE) + 0.5
        total = weight.sum((1, 2))
        self.place[ids] = (
            torch.stack([(weight.sum(1) * middle).sum(1), (weight.sum(2) * middle).sum(1)], 1) / total[:, None]
        )

    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        self.place[ids] = (self.place[ids] + 2 * action).clamp(2.5, SIDE - 2.5)
        return Prediction(drawn(self.place[ids]), None, None)

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        return {"place": self.place[ids]}

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        self.place[ids] = state["place"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("probe")
    lesson, held_out = recorded(folder / "a", 40, 10), recorded(folder / "b", 8, 10, seed=1)
    out = folder / "probe.safetensors"
    _, measured = train_probe(COURSE, lesson, held_out, folder / "work", out, quiet)
    return out, measured


def test_it_reads_where_the_square_is(trained: tuple[Path, dict[str, Any]]):
    path, measured = trained
    assert measured["share"] > 0.97
    assert measured["parts"]["place"] < 0.3 * measured["mean_parts"]["place"]
    probe, card = load_probe(path)
    assert card.kind == "probe"
    assert card.measured["share"] == measured["share"]
    assert card.trained_on["episodes"] == 40
    episodes = squares(4, 6, seed=9)
    seen, true = episodes["image"][:, 2], episodes["state"][:, 2]
    with torch.no_grad():
        told, doubt = probe.tell(probe.features(seen)[:, None], episodes["scene"])
        alone = probe.tell(probe.features(seen[:1])[:, None], episodes["scene"][:1])[0]
    assert float((told - true).abs().max()) * SIDE < 1.5  # pixels
    assert doubt.shape == (4,)
    assert torch.equal(alone[0], told[0])


def test_training_goes_on_where_it_was(trained: tuple[Path, dict[str, Any]], tmp_path: Path):
    lesson, held_out = recorded(tmp_path / "a", 40, 10), recorded(tmp_path / "b", 8, 10, seed=1)
    again = tmp_path / "again.safetensors"
    train_probe(COURSE, lesson, held_out, trained[0].parent / "work", again, quiet)  # nothing is left to do
    assert again.read_bytes() == trained[0].read_bytes()


def test_a_model_of_pictures_gets_states(trained: tuple[Path, dict[str, Any]]):
    probe, card = load_probe(trained[0])
    model = Probed(Moving(3), probe, card, "probe.safetensors")
    assert isinstance(model, NeuralSimulator)
    assert dict(model.spec.state) == {"place": 2}
    assert (model.spec.scene_size, model.spec.robot) == (1, "toy")
    assert model.spec.uncertainty  # two heads are apart
    episodes = squares(3, 8, seed=3)
    everyone = torch.arange(3)
    context = Context(
        episodes["image"][:, :1], episodes["state"][:, :1], torch.zeros(3, 0, 2), episodes["scene"], torch.arange(3)
    )
    model.reset(everyone, context)
    for t in range(4):
        made = model.step(everyone, episodes["action"][:, t])
        assert made.state is not None
        assert made.uncertainty is not None
        assert float((made.state - episodes["state"][:, t + 1]).abs().max()) * SIDE < 2
    kept = model.get_state(torch.tensor([1]))
    expected = model.step(everyone, episodes["action"][:, 4])
    model.set_state(torch.tensor([1]), kept)
    again = model.step(torch.tensor([1]), episodes["action"][1:2, 4])
    assert torch.equal(again.state[0], expected.state[1])
    assert torch.equal(again.uncertainty[0], expected.uncertainty[1])


def test_one_head_alone_says_nothing_of_how_sure_it_is():
    alone = Probe(ProbeSettings(frames=SQUARES, source="picture", size=16, channels=8, width=16, members=1))
    assert not Probed(Moving(1), alone, Card("probe", "toy", {}), "probe.safetensors").spec.uncertainty


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"control_mode": "ee_delta"}, "control_mode"),
        ({"period": 0.1}, "period is 0.05, the model has 0.1"),
        ({"camera": "front"}, "camera"),
        ({"robot": "panda"}, "robot"),
        ({"image_size": (480, 640)}, "another shape"),
    ],
)
def test_models_of_something_else_are_refused(changed: dict[str, Any], says: str):
    from dataclasses import replace

    probe = Probe(ProbeSettings(frames=SQUARES, source="picture", size=16, channels=8, width=16))
    with pytest.raises(CheckpointError, match=says):
        Probed(Moving(1, replace(SPEC, **changed)), probe, Card("probe", "toy", {}), "probe.safetensors")


def test_files_that_do_not_fit_are_refused(tmp_path: Path):
    small = Probe(ProbeSettings(frames=SQUARES, source="latent", size=8, width=16, channels=8))
    path = tmp_path / "probe.safetensors"
    save_probe(path, small)
    load_probe(path)
    with pytest.raises(CheckpointError, match="reads latents"):
        Probed(Moving(1), small, Card("probe", "toy", {}), "probe.safetensors")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match="damaged"):
        load_probe(path)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_probe(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        ({"action_mean": [0.0, 0.0, 0.0]}, "action_mean has 3 numbers, and actions have 2"),
        ({"action_spread": [1.0, 1.0, 1.0]}, "action_spread has 3 numbers, and actions have 2"),
        ({"action_mean": []}, "action_mean has 0 numbers"),
        ({"action_spread": [1.0, 0.0]}, r"action_spread\.1 as 0\.0: Input should be greater than 0"),
        ({"spread": [1.0, 1.0, 0.0]}, r"pixels\.spread\.2 as 0\.0: Input should be greater than 0"),
    ],
)
def test_actions_that_cannot_be_scaled_are_refused_when_it_is_read(pixels: dict[str, Any], says: str, tmp_path: Path):
    probe = Probe(ProbeSettings(frames=SQUARES, source="latent", size=8, width=16, channels=8))
    path = tmp_path / "probe.safetensors"
    settings = probe.settings.model_dump(mode="json")
    settings["pixels"] |= pixels
    save_checkpoint(path, Card("probe", "toy", settings), probe.state_dict())
    with pytest.raises(CheckpointError, match=says):
        load_probe(path)


def test_courses_that_make_no_sense_are_refused(tmp_path: Path):
    data = recorded(tmp_path / "a", 4, 4)
    out = tmp_path / "out.safetensors"
    for course, says in (
        (ProbeCourse("latent", TRAIN), "give its address"),
        (ProbeCourse("latent", TRAIN, model="cosmos3:a"), "makes no latents"),
        (ProbeCourse("picture", TRAIN, model="cosmos3:a"), "leave model out"),
    ):
        with pytest.raises(TaskError, match=says):
            train_probe(course, data, data, tmp_path, out, quiet)
    probe = Probe(ProbeSettings(frames=SQUARES, source="picture", size=16, history=8, channels=8, width=16))
    with pytest.raises(DatasetError, match="record 8 at least"):
        examine(probe, data)


def test_a_probe_is_made_from_play(tmp_path: Path):
    practice = Practice("PocketWorlds/Push-v0", 4, seed=3, num_envs=2, keywords={"max_episode_steps": 4})
    train = TRAIN.model_copy(update={"steps": 2, "batch": 2})
    course = ProbeCourse("picture", train, size=16, width=16, members=2, channels=8)
    out = tmp_path / "push.safetensors"
    probe, measured = make_probe([practice], course, tmp_path / "work", out, quiet, size=16)
    frames = probe.settings.frames
    assert (frames.robot, frames.image_size, frames.period) == ("panda", (16, 16), 0.05)
    assert set(measured["parts"]) == set(frames.state)
    assert load_probe(out)[1].trained_on["episodes"] == 3
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("frames-*")}
    make_probe([practice], course, tmp_path / "work", out, quiet, size=16)
    assert before == {path: path.stat().st_mtime_ns for path in before}  # what was filmed is kept
    with pytest.raises(TaskError, match="nothing to practise"):
        make_probe([], course, tmp_path, out, quiet)
