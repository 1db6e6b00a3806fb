"""Latent flow models: what they learn, that worlds do not touch each other, and what checkpoints refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.checkpoint import Card
from pocketworlds.world_models.frames.evaluation import evaluate
from pocketworlds.world_models.frames.measures import to_pictures, to_signal
from pocketworlds.world_models.frames.training import FrameTrainer, TrainConfig
from pocketworlds.world_models.latent_flow.dynamics import DynamicsLearner, Frames
from pocketworlds.world_models.latent_flow.model import LatentFlow, load_model, open_simulator, save_model, simulate
from pocketworlds.world_models.latent_flow.settings import (
    DynamicsSettings,
    LatentFlowSettings,
    SamplingSettings,
    TokeniserSettings,
)
from pocketworlds.world_models.latent_flow.simulator import LatentFlowSimulator
from pocketworlds.world_models.latent_flow.tokeniser import TokeniserLearner
from pocketworlds.world_models.simulator import Context, NeuralSimulator
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file

from ..squares import SQUARES, recorded, squares

SMALL = LatentFlowSettings(
    frames=SQUARES,
    tokeniser=TokeniserSettings(width=16, most=16, halvings=1, blocks=0, channels=4),
    dynamics=DynamicsSettings(width=32, depth=2, heads=2, patch=2, window=3, bins=5, noise=0.3),
    sampling=SamplingSettings(steps=2),
)
CARD = Card("latent_flow", "toy", {})


def shaken(settings: LatentFlowSettings = SMALL, seed: int = 0) -> LatentFlow:
    """A model whose networks are random throughout: new ones repeat the last frame."""
    model = LatentFlow(settings, seed=seed).eval()
    draws = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in model.dynamics.parameters():
            values.add_(0.1 * torch.randn(values.shape, generator=draws))
        model.dynamics.scales.step_scale.fill_(0.02)
    return model


def context(count: int, seed: int = 0) -> Context:
    episodes = squares(count, 2, seed)
    return Context(
        image=episodes["image"],
        state=episodes["state"],
        action=episodes["action"][:, :1],
        scene=episodes["scene"],
        seed=torch.arange(count) + 7,
    )


def part(whole: Context, rows: Any) -> Context:
    return Context(**{name: value[rows] for name, value in vars(whole).items()})


def actions(count: int, steps: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(steps, count, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("level", [0.0, 0.2])
def test_a_world_is_the_same_in_any_batch(level: float):
    model = shaken(SMALL.model_copy(update={"sampling": SamplingSettings(steps=2, level=level)}))
    everything, given = context(7), actions(7, 6)
    whole = simulate(model, 7, card=CARD)
    assert isinstance(whole, NeuralSimulator)
    whole.reset(torch.arange(7), everything)
    made = [whole.step(torch.arange(7), each) for each in given]
    assert not torch.equal(made[-1].image, everything.image[:, -1])
    for rows in ([3], [1, 2], [0, 3, 4, 5, 6]):
        few = simulate(model, len(rows), card=CARD)
        few.reset(torch.arange(len(rows)), part(everything, rows))
        for t, each in enumerate(given):
            found = few.step(torch.arange(len(rows)), each[rows])
            assert torch.equal(found.image, made[t].image[rows])
            assert torch.equal(found.state, made[t].state[rows])


def test_worlds_that_wait_or_begin_anew_do_not_touch_the_others():
    model, given = shaken(), actions(3, 8)
    alone = simulate(model, 1, card=CARD)
    alone.reset(torch.tensor([0]), part(context(3), [1]))
    expected = [alone.step(torch.tensor([0]), each[1:2]).state[0] for each in given]
    together = simulate(model, 3, card=CARD)
    together.reset(torch.arange(3), context(3))
    for t, each in enumerate(given):
        ids = torch.tensor([1]) if t in {2, 5} else torch.tensor([0, 1]) if t == 3 else torch.arange(3)
        if t == 4:
            together.reset(torch.tensor([0, 2]), part(context(3, seed=9), [0, 2]))
        made = together.step(ids, each[ids])
        assert torch.equal(made.state[ids.tolist().index(1)], expected[t])


def test_states_come_back_exactly():
    model, given = shaken(), actions(3, 6)
    first, second = (simulate(model, 3, card=CARD) for _ in range(2))
    ids = torch.arange(3)
    first.reset(ids, context(3))
    for each in given[:3]:
        first.step(ids, each)
    second.set_state(torch.tensor([2, 0]), first.get_state(torch.tensor([0, 1])))
    for each in given[3:]:
        expected = first.step(ids, each)
        found = second.step(torch.tensor([0, 2]), each[[1, 0]])
        assert torch.equal(found.image, expected.image[[1, 0]])
        assert torch.equal(found.state, expected.state[[1, 0]])


def test_a_step_is_what_the_network_says_without_any_memory():
    """Two steps, computed anew from all frames: the flow is integrated by hand."""
    model, given = shaken(), actions(2, 2)
    net, begun = model.dynamics, context(2)
    simulator: LatentFlowSimulator = simulate(model, 2, card=CARD)
    simulator.reset(torch.arange(2), begun)
    made = [simulator.step(torch.arange(2), each) for each in given]
    from pocketworlds.world_models.frames.draws import normal

    with torch.no_grad():
        shape = (2, 2, 4, 8, 8)
        tokens = net.to_tokens(model.tokeniser.encode(to_signal(begun.image.flatten(0, 1))).reshape(shape))
        state = begun.state
        led_to = torch.cat([torch.zeros(2, 1, 2), begun.action], 1)
        for t, action in enumerate(given):
            count = tokens.shape[1]
            led = torch.ones(2, count, dtype=torch.bool)
            led[:, 0] = False
            zero, one = torch.zeros(2, count), torch.ones(2, count)
            memory, summary = net.remember(Frames(tokens, state, led_to, led, begun.scene, zero, one))
            residual = net.foresee(summary[:, -1:], action[:, None])
            after = net.scales.after(state[:, -1:], residual)
            z = normal(begun.seed, torch.full((2,), t + 1), (net.tokens, net.size))[:, None]
            yes, before = torch.ones(2, 1, dtype=torch.bool), tokens[:, -1:]
            for tau in (0.0, 0.5):
                frame = Frames(z, after, action[:, None], yes, begun.scene, zero[:, :1], one[:, :1] * tau)
                clean = net.make(frame, residual, before, memory)
                z = z + (clean - z) / (1 - tau) * 0.5
            tokens, state = torch.cat([tokens, z], 1), torch.cat([state, after], 1)
            led_to = torch.cat([led_to, action[:, None]], 1)
            torch.testing.assert_close(made[t].state, after[:, 0], atol=1e-5, rtol=1e-5)
            picture = to_pictures(model.tokeniser.decode(net.to_latent(z[:, 0])))
            assert (picture.int() - made[t].image.int()).abs().max() <= 1


def test_a_new_model_repeats_the_last_frame():
    model = LatentFlow(SMALL).eval()
    simulator, begun = simulate(model, 2, card=CARD), context(2)
    simulator.reset(torch.arange(2), begun)
    made = simulator.step(torch.arange(2), actions(2, 1)[0])
    assert torch.equal(made.state, begun.state[:, -1])
    again = to_pictures(model.tokeniser.decode(model.tokeniser.encode(to_signal(begun.image[:, -1]))))
    assert (made.image.int() - again.int()).abs().max() <= 1


def test_a_world_that_is_lost_stays_and_the_others_go_on():
    model, ids, given = shaken(), torch.arange(3), actions(3, 2)
    simulator = simulate(model, 3, card=CARD)
    simulator.reset(ids, context(3))
    before = simulator.get_state(ids)
    bad = given[0].clone()
    bad[1] = float("nan")
    made = simulator.step(ids, bad)
    assert made.state.isfinite().all(1).tolist() == [True, False, True]
    after = simulator.get_state(ids)
    assert all(torch.equal(before[name][1], values[1]) for name, values in after.items())
    assert not torch.equal(before["state"][0], after["state"][0])


def test_tokens_come_back():
    model = shaken()
    latent = torch.randn(3, 2, 4, 8, 8)
    with torch.no_grad():
        model.dynamics.measure(latent.flatten(0, 1) * 2 + 1)
    tokens = model.dynamics.to_tokens(latent)
    assert tokens.shape == (3, 2, 16, 16)
    torch.testing.assert_close(model.dynamics.to_latent(tokens), latent)


def test_it_learns_where_a_square_goes_and_heeds_actions(tmp_path: Path):
    """A square whose velocity is the action: where it moves, the model is much better than the last frame repeated."""
    data, test = recorded(tmp_path / "a", count=48, frames=12), recorded(tmp_path / "b", count=12, frames=12, seed=5)
    settings = SMALL.model_copy(update={"dynamics": SMALL.dynamics.model_copy(update={"noise": 0.0})})
    model = LatentFlow(settings)
    trainer = FrameTrainer(
        TokeniserLearner(model.tokeniser), data, TrainConfig(steps=120, rate=6e-3, batch=24, length=1, average=0.95)
    )
    trainer.advance()
    trainer.settle()
    latents = []
    for number, shard in enumerate(data.shards):
        with safe_open(shard, framework="pt") as file:
            image = file.get_tensor("image")
        with torch.no_grad():
            latent = model.tokeniser.encode(to_signal(image.flatten(0, 1)))
        latents.append(tmp_path / f"{number}.safetensors")
        save_file({"latent": latent.reshape(*image.shape[:2], *latent.shape[1:])}, latents[-1])
        model.dynamics.measure(latent)
    model.dynamics.scales.measure(*data.states())
    trainer = FrameTrainer(
        DynamicsLearner(model.dynamics),
        data.with_latents(latents),
        TrainConfig(steps=STEPS, rate=4e-3, warmup=20, batch=24, length=5, average=0.97),
    )
    trainer.advance()
    trainer.settle()
    found = evaluate(lambda count: simulate(model, count, card=CARD), test, horizons=(1, 4), most=64)
    near, far = found["1"], found["4"]
    assert near["moving"] > near["copy_moving"] + 2
    assert near["moving"] > near["shuffled_moving"] + 1.5
    assert far["moving"] > far["copy_moving"] + 1
    assert near["state"] < 0.3 * near["copy_state"]
    assert far["state"] < 0.3 * far["copy_state"]


STEPS = 280


def test_it_trains_with_fewer_bits_too(tmp_path: Path):
    data = recorded(tmp_path, count=4, frames=6)
    latents = [tmp_path / "x.safetensors", tmp_path / "y.safetensors"]
    for path in latents:
        save_file({"latent": torch.rand(2, 6, 4, 8, 8)}, path)
    model = LatentFlow(SMALL)
    config = TrainConfig(steps=2, warmup=0, batch=3, length=4, bf16=True)
    told: list[dict[str, float]] = []
    for learner, frames in (
        (TokeniserLearner(model.tokeniser), data),
        (DynamicsLearner(model.dynamics), data.with_latents(latents)),
    ):
        FrameTrainer(learner, frames, config).advance(lambda done, losses: told.append(losses), every=1)
    assert len(told) == 4
    assert all(0 < value < 100 for losses in told for value in losses.values())
    assert all(values.dtype == torch.float32 for values in model.state_dict().values())


# -- checkpoints -------------------------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_model(path, shaken(), trained_on={"Push-v0": 3}, horizon=20)
    return path


def test_what_is_written_comes_back(written: Path):
    model, card = load_model(written)
    assert (card.kind, card.robot, card.trained_on, model.settings) == ("latent_flow", "toy", {"Push-v0": 3}, SMALL)
    expected = shaken().state_dict()
    assert all(torch.equal(expected[name], values) for name, values in model.state_dict().items())
    spec = open_simulator(written, 2).spec
    assert (spec.control_mode, spec.state, spec.camera, spec.horizon) == ("velocity", {"place": 2}, "top", 20)
    assert len(spec.weights) == 64


def rewritten(path: Path, *, settings: dict | None = None, drop: str = "", **card: Any) -> None:
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys() if name != drop}  # noqa: SIM118
        told = json.loads(file.metadata()["pocketworlds"]) | card
    for name, value in (settings or {}).items():
        section, _, key = name.partition(".")
        if key:
            told["settings"][section][key] = value
        else:
            told["settings"][section] = value
    save_file(tensors, path, metadata={"pocketworlds": json.dumps(told)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "pixel_edm"}, "kind 'pixel_edm', not 'latent_flow'"),
        ({"settings": {"dynamics.width": 33}}, "dynamics.width as 33"),
        ({"settings": {"dynamics.heads": 5}}, "multiple of twice"),
        ({"settings": {"dynamics.width": 64}}, "its model needs"),
        ({"settings": {"frames.image_size": [16, 18]}}, "must be a multiple of 4"),
        ({"settings": {"frames.context": 4}}, "context 4 is more than frames see, 3"),
        ({"settings": {"sampling.level": 0.5}}, "more than the model has learned"),
        ({"settings": {"frames.state": {}}}, "frames.state"),
        ({"settings": {"more": 1}}, "more as 1"),
        ({"drop": "dynamics.scales.state_mean"}, "lacks dynamics.scales.state_mean"),
    ],
)
def test_a_mismatch_is_named(written: Path, changed: dict, message: str):
    rewritten(written, **changed)
    with pytest.raises(CheckpointError, match=message):
        load_model(written)


def test_settings_and_contexts_that_make_no_sense_are_refused():
    with pytest.raises(ValidationError, match="bins must be 0"):
        DynamicsSettings(bins=1)
    simulator = simulate(shaken(), 2, card=CARD)
    with pytest.raises(CheckpointError, match=r"needs state of shape \(2, 2, 2\), got \(2, 1, 2\)"):
        simulator.reset(torch.arange(2), replace(context(2), state=torch.zeros(2, 1, 2)))
