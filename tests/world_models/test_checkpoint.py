"""Checkpoints: what is written comes back, and what is damaged, foreign or dangerous is refused in a sentence."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.checkpoint import Card, load_checkpoint, save_checkpoint
from pocketworlds.world_models.hybrid.dynamics import Dynamics, Shape
from pocketworlds.world_models.hybrid.model import check_shape, load_model, save_model
from safetensors import safe_open
from safetensors.torch import save_file

SHAPE = Shape(9, 6, 8, 2, (7, 8), (7,), 0.08, parts=True, members=2, width=8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, Dynamics(SHAPE, seed=3), robot="panda", trained_on={"Push-v0": 10})
    return path


def test_what_is_written_comes_back(model: Path):
    dynamics, trust, card = load_model(model)
    assert (dynamics.shape, card.robot, card.trained_on) == (SHAPE, "panda", {"Push-v0": 10})
    expected = Dynamics(SHAPE, seed=3).state_dict()
    assert all(torch.equal(expected[name], values) for name, values in dynamics.state_dict().items())
    assert not dynamics.training
    assert not trust.fitted
    assert list(model.parent.iterdir()) == [model]


def rewritten(model: Path, *, card: dict | None = None, **changed: torch.Tensor | None) -> None:
    """Writes the file again with other numbers (None: without them) or other entries of the card."""
    with safe_open(model, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told = json.loads(file.metadata()["pocketworlds"])
    for name, values in changed.items():
        tensors.pop(name, None)
        if values is not None:
            tensors[name] = values
    save_file(tensors, model, metadata={"pocketworlds": json.dumps(told | (card or {}))})


BIAS = "dynamics/robot_linear.bias"


def test_models_made_before_there_was_a_choice_are_still_read(model: Path, tmp_path: Path):
    seeing = replace(SHAPE, servos=(0, 1, 2, 3, 4, 5, 6, -1), depth=3)
    save_model(tmp_path / "seeing.safetensors", Dynamics(seeing), robot="panda")
    assert load_model(tmp_path / "seeing.safetensors")[0].shape == seeing
    old = {name: value for name, value in asdict(SHAPE).items() if name not in {"servos", "depth"}}
    rewritten(model, card={"settings": old})
    assert load_model(model)[0].shape == SHAPE
    check_shape(model, SHAPE, seeing)
    with pytest.raises(CheckpointError, match="servos is"):
        check_shape(model, replace(SHAPE, servos=(1, 0, 2, 3, 4, 5, 6, -1)), seeing)


@pytest.mark.parametrize(
    ("changed", "card", "told"),
    [
        ({BIAS: torch.full((18,), float("nan"))}, {}, "not finite"),
        ({BIAS: torch.full((18,), float("inf"))}, {}, "not finite"),
        ({BIAS: torch.zeros(17)}, {}, r"robot_linear.bias is torch.float32 \(17,\), its model needs .* \(18,\)"),
        ({BIAS: torch.zeros(18, dtype=torch.float64)}, {}, "torch.float64"),
        ({BIAS: None}, {}, "lacks dynamics/robot_linear.bias"),
        ({"more": torch.zeros(1)}, {}, "holds more"),
        ({}, {"format": 99}, "format 99"),
        ({}, {"kind": "pixel"}, "kind 'pixel'"),
        ({}, {"settings": {}}, "its card gives links as None"),
        ({}, {"settings": asdict(SHAPE) | {"width": 10**9}}, "gives width as 1000000000"),
        ({}, {"settings": asdict(SHAPE) | {"fingers": "7"}}, "gives fingers as '7'"),
        ({}, {"settings": asdict(SHAPE) | {"width": 16}}, "its model needs"),
        ({}, {"settings": asdict(SHAPE) | {"depth": 3}}, "its model needs"),
        ({}, {"settings": asdict(SHAPE) | {"depth": "3"}}, "gives depth as '3'"),
        ({}, {"settings": asdict(SHAPE) | {"depth": 4096, "width": 4096}}, "its model needs more than"),
        ({}, {"settings": asdict(SHAPE) | {"servos": [0, -2]}}, "gives servos as"),
        ({}, {"settings": asdict(SHAPE) | {"servos": "7"}}, "gives servos as '7'"),
    ],
)
def test_a_mismatch_is_named(model: Path, changed: dict, card: dict, told: str):
    rewritten(model, card=card, **changed)
    with pytest.raises(CheckpointError, match=told):
        load_model(model)


def test_nothing_is_unpickled(tmp_path: Path):
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return (Path.touch, (ran,))

    for name in ("model.pt", "model.pkl", "model.safetensors"):
        (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(CheckpointError, match=r"safetensors"):
            load_model(tmp_path / name)
    assert not ran.exists()


def test_a_file_that_is_not_there_or_not_ours(tmp_path: Path):
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_model(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="has no card"):
        load_model(tmp_path / "other.safetensors")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_are_refused_or_whole(model: Path, data: st.DataObject):
    whole = model.read_bytes()
    broken = bytearray(whole)
    if data.draw(st.booleans()):
        del broken[data.draw(st.integers(0, len(whole) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            broken[data.draw(st.integers(0, 2000))] = data.draw(st.integers(0, 255))
    path = model.with_name("broken.safetensors")
    path.write_bytes(bytes(broken))
    try:
        load_model(path)
    except CheckpointError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_an_interrupted_write_leaves_the_old_file(model: Path, monkeypatch: pytest.MonkeyPatch):
    before = model.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("pocketworlds.world_models.checkpoint.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(model, Card("hybrid", "panda", {}), {})
    assert model.read_bytes() == before
    assert list(model.parent.iterdir()) == [model]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [(replace(SHAPE, links=10), "links is 9, here it is 10"), (replace(SHAPE, points=30), "another robot")],
)
def test_models_are_for_one_robot(wanted: Shape, told: str):
    with pytest.raises(CheckpointError, match=told):
        check_shape("m", SHAPE, wanted)


def test_scenes_with_parts_need_a_model_that_has_seen_some():
    none = replace(SHAPE, parts=False)
    check_shape("m", SHAPE, none)
    with pytest.raises(CheckpointError, match="doors, drawers or buttons"):
        check_shape("m", none, SHAPE)


def test_the_card_alone_says_what_it_is(model: Path):
    card, tensors = load_checkpoint(model)
    assert card.kind == "hybrid"
    assert sum(values.numel() for values in tensors.values()) > 1000
