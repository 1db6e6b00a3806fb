"""Learning: windows are what they should be, losses leave out what is not known, and a law is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pocketworlds.errors import CheckpointError, DatasetError, TrainingError
from pocketworlds.world_models.frames.training import FrameTrainer, TrainConfig
from pocketworlds.world_models.wam.demonstrations import Demonstrations, Episode, Lessons
from pocketworlds.world_models.wam.flow import decide, draw_noise, imagine, infer
from pocketworlds.world_models.wam.learning import WamLearner
from pocketworlds.world_models.wam.model import load_wam, save_model
from pocketworlds.world_models.wam.network import Past, Wam
from pocketworlds.world_models.wam.words import letters
from safetensors.torch import save_file

from .conftest import LINE, settings_of, stirred


def counted(steps: int, cameras: int = 0) -> Episode:
    """An episode in which state, picture and action tell the time."""
    time = torch.arange(steps + 1.0)
    image = time.to(torch.uint8)[:, None, None, None, None].expand(-1, cameras, 16, 24, 3)
    return Episode(time[:, None].repeat(1, 5), image, time[:-1, None].repeat(1, 2) / 100, "count")


def test_windows_are_what_was_there_before_and_after() -> None:
    data = Demonstrations([counted(6, 1), counted(10, 1)], settings_of(cameras=1, past=3))
    found = data.windows(torch.tensor([[1, 7], [0, 1], [1, 9]]), 3)
    assert found.state[..., 0].tolist() == [[0, 3, 7], [0, 0, 1], [1, 5, 9]]
    assert found.next_state[..., 0].tolist() == [[3, 7, 10], [0, 1, 5], [5, 9, 10]]
    assert found.image[:, :, 0, 0, 0, 0].tolist() == [[0, 3, 7], [0, 0, 1], [1, 5, 9]]
    assert found.there.tolist() == [[False, True, False], [False, False, True], [True, True, False]]
    # Before frame 3 of the first window lie steps -1 to 2, before frame 7 steps 3 to 6.
    assert found.was_done[0].tolist() == [[False] * 4, [False, True, True, True], [True] * 4]
    torch.testing.assert_close(found.done[0, 2, :, 0], torch.tensor([0.03, 0.04, 0.05, 0.06]))
    # After frame 7 come steps 7 to 9, the last; after frame 9 one.
    assert found.will[0, 2].tolist() == [True, True, True, False]
    assert found.will[2, 2].tolist() == [True, False, False, False]
    torch.testing.assert_close(found.action[0, 2, :3, 0], torch.tensor([0.07, 0.08, 0.09]))
    assert bytes(found.told[0, :5].tolist()) == b"count"


def test_every_step_is_drawn_equally_often() -> None:
    data = Demonstrations([counted(2), counted(6)], settings_of())
    found = data.draw(80_000, 1, torch.Generator().manual_seed(0), lively=data.lively(1), share=0.5)
    times = {tuple(each): 0 for each in found.unique(dim=0).tolist()}
    assert set(times) == {(0, 0), (0, 1), *((1, k) for k in range(6))}
    counts = torch.unique(found, dim=0, return_counts=True)[1]
    assert (counts - 10_000).abs().max() < 5 * 100  # five standard deviations of a binomial count


def losses(net: Wam, lessons: Lessons, **more: Any) -> dict[str, torch.Tensor]:
    return WamLearner(net, **more)(lessons, torch.Generator().manual_seed(0), 0.5)


@pytest.mark.parametrize("cameras", [0, 1])
def test_what_is_not_known_is_not_learned(cameras: int) -> None:
    settings = settings_of(cameras=cameras, past=2)
    net = stirred(settings)
    video = replace(counted(10, cameras), action=None)
    lessons = Demonstrations([video], settings).windows(torch.tensor([[0, k] for k in range(10)]), 2)
    found = losses(net, lessons)
    assert found["action"] == 0
    assert found["state"] > 0
    silent = replace(lessons, action=lessons.action + 1, done=lessons.done + 1)
    assert all(torch.equal(a, b) for a, b in zip(found.values(), losses(net, silent).values(), strict=True))
    labelled = Demonstrations([counted(10, cameras)], settings).windows(torch.tensor([[0, 9]]), 2)
    beyond = torch.where(labelled.will[..., None], labelled.action, labelled.action + 1)
    # What is to be done after the end is noise to the network, and no loss: only what it sees of it may differ.
    assert losses(net, labelled)["action"] > 0
    assert not torch.equal(beyond, labelled.action)
    if cameras:
        wordless = replace(video, state=None)
        both = Demonstrations([wordless, counted(10, 1)], settings)
        other = both.windows(torch.tensor([[0, k] for k in range(10)]), 2)
        told = losses(net, other)
        assert told["state"] == told["action"] == 0
        assert told["image"] > 0


def test_times_of_the_two_flows_cover_all_uses() -> None:
    like, yes = torch.zeros(20_000, 2), torch.ones(20_000, dtype=torch.bool)
    world, act, _ = WamLearner._times(like, yes, torch.Generator().manual_seed(0))
    assert float((world == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float((act == 1).float().mean()) == pytest.approx(0.15, abs=0.01)
    assert float((world == 1).float().mean()) == pytest.approx(0.1, abs=0.01)
    both = (world > 0) & (world < 1) & (act < 1)
    assert float(world[both].mean()) == pytest.approx(0.25, abs=0.01)  # of Beta(1, 3)
    assert float(act[both].mean()) == pytest.approx(0.5, abs=0.01)
    _, act, _ = WamLearner._times(like, ~yes, torch.Generator().manual_seed(0))
    assert (act == 0).all()


def test_what_was_meant_is_done_and_what_was_done_is_inferred() -> None:
    """A demonstrator who means to stay is pushed to and fro: what is learned is to stay, and what the pushes did."""
    random = torch.Generator().manual_seed(0)
    episodes = []
    for _ in range(40):
        pushes = 2 * torch.rand(12, 1, generator=random) - 1
        path = torch.cat([torch.zeros(1, 1), pushes.cumsum(0)]).expand(-1, 2)
        none = torch.zeros(13, 0, 64, 64, 3, dtype=torch.uint8)
        episodes.append(Episode(path, none, pushes, intended=torch.zeros_like(pushes)))
    data, net = Demonstrations(episodes, LINE), Wam(LINE)
    net.scales.measure(*data.scales())
    trainer = FrameTrainer(WamLearner(net), data, TrainConfig(steps=600, rate=4e-3, batch=128, length=1, warmup=50))
    trainer.advance()
    trainer.settle()
    lessons = data.windows(data.draw(64, 1, random, lively=data.lively(1), share=0), 1)
    past = Past(
        state=lessons.state,
        known=lessons.known,
        image=lessons.image,
        action=lessons.done,
        acted=lessons.was_done,
        told=lessons.told,
    )
    noise = draw_noise(net, 64, random)
    with torch.no_grad():
        memory, whole = net.remember(past)
        chosen = decide(net, past, memory, whole, noise, steps=8, dream=False).action
        came = {"state": lessons.next_state[:, 0], "image": lessons.next_image[:, 0]}
        done = infer(net, past, memory, whole, noise, **came, steps=8).action
    assert chosen.abs().mean() < 0.15
    assert torch.corrcoef(torch.stack([done.flatten(), lessons.action.flatten()]))[0, 1] > 0.9


@pytest.fixture(scope="module")
def learned(lawful: list[Episode]) -> Wam:
    settings = settings_of()
    data = Demonstrations(lawful, settings)
    net = Wam(settings)
    net.scales.measure(*data.scales())
    trainer = FrameTrainer(WamLearner(net), data, TrainConfig(steps=1200, rate=4e-3, batch=128, length=1, warmup=50))
    assert trainer.advance()
    trainer.settle()
    return net


def present(at: torch.Tensor, asked: str) -> Past:
    count = len(at)
    state = torch.cat([torch.tensor([0.1, 0.2, 0.3]).expand(count, 3), at], 1)
    return Past(
        state=state[:, None],
        known=torch.ones(count, 1, dtype=torch.bool),
        image=torch.zeros(count, 1, 0, 16, 24, 3, dtype=torch.uint8),
        action=torch.zeros(count, 1, 4, 2),
        acted=torch.zeros(count, 1, 4, dtype=torch.bool),
        told=letters([asked] * count, 12),
    )


def seeking(at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the law does from here, without noise, and where that leads."""
    actions = []
    for _ in range(4):
        actions.append((-2 * at).clamp(-1, 1))
        at = at + 0.1 * actions[-1]
    return torch.stack(actions, 1), at


@torch.no_grad()
def test_one_network_learns_to_act_to_dream_and_to_tell_what_was_done(learned: Wam) -> None:
    random = torch.Generator().manual_seed(7)
    at = 1.6 * torch.rand(256, 2, generator=random) - 0.8
    past = present(at, "seek")
    memory, whole = learned.remember(past)
    noise = draw_noise(learned, 256, random)
    wanted, there = seeking(at)
    for dream in (False, True):
        found = decide(learned, past, memory, whole, noise, steps=4, dream=dream)
        # Demonstrations scatter by 0.2 about the law; it is within that, on average.
        assert (found.action - wanted).abs().mean() < 0.2
    assert (found.state[:, 3:] - there).norm(dim=1).mean() < 0.06
    assert (at - there).norm(dim=1).mean() > 0.2  # nothing moved would be far off
    past = present(at, "wander")
    memory, whole = learned.remember(past)
    action = (0.6 * torch.randn(256, 4, 2, generator=random)).clamp(-1, 1)
    led = at + 0.1 * action.sum(1)
    dreamed = imagine(learned, past, memory, whole, noise, action=action, steps=4)
    expected = imagine(learned, past, memory, whole, noise, action=None, steps=4)
    wrong, unaware = ((each.state[:, 3:] - led).norm(dim=1).mean() for each in (dreamed, expected))
    assert wrong < 0.5 * unaware
    state = torch.cat([past.state[:, 0, :3], led], 1)
    told = infer(learned, past, memory, whole, noise, state=state, image=past.image[:, 0], steps=4)
    # A sum of actions tells only their mean.
    agree = torch.corrcoef(torch.stack([told.action.mean(1).flatten(), action.mean(1).flatten()]))[0, 1]
    assert agree > 0.7


def test_training_that_was_interrupted_goes_on_as_if_it_had_not_been(lawful: list[Episode]) -> None:
    settings = settings_of(past=2)
    data = Demonstrations(lawful[:20], settings)

    def trainer() -> tuple[FrameTrainer, Wam]:
        net = Wam(settings)
        net.scales.measure(*data.scales())
        return FrameTrainer(WamLearner(net), data, TrainConfig(steps=6, batch=8, length=2, ahead=False)), net

    whole, net = trainer()
    whole.advance()
    first, _ = trainer()
    first._config = first._config.model_copy(update={"steps": 6})
    while first.done < 3:
        first._step()
    second, other = trainer()
    second.restore(first.state())
    second.advance()
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def test_losses_that_are_not_finite_and_memory_that_is_used_up_are_told(
    lawful: list[Episode], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of()
    broken = replace(lawful[0], state=torch.full_like(lawful[0].state, torch.nan))  # type: ignore[type-var]
    net = Wam(settings)
    net.scales.measure(*Demonstrations(lawful[:3], settings).scales())
    config = TrainConfig(steps=5, batch=8, length=1, ahead=False)
    trainer = FrameTrainer(WamLearner(net), Demonstrations([broken], settings), config)
    with pytest.raises(TrainingError, match=r"after 1 steps the loss .* no longer finite.*train\.rate"):
        trainer.advance()
    trainer = FrameTrainer(WamLearner(net), Demonstrations(lawful[:3], settings), config)

    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "_step", full)
    with pytest.raises(TrainingError, match=r"used up by a batch of 8 windows of 1 frames.*train\.batch"):
        trainer.advance()


def test_a_checkpoint_brings_the_model_back(tmp_path: Path) -> None:
    net = stirred(settings_of(cameras=1, seen=("robot",)))
    path = tmp_path / "wam.safetensors"
    save_model(path, net, trained_on={"demonstrations": 3})
    found, card = load_wam(path)
    assert (card.kind, card.robot, card.trained_on["demonstrations"]) == ("wam", "panda", 3)
    assert found.settings == net.settings
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), found.state_dict().values(), strict=True))
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no card"):
        load_wam(tmp_path / "other.safetensors")


def test_too_little_is_refused() -> None:
    with pytest.raises(DatasetError, match="no episodes"):
        Demonstrations([], settings_of())
    with pytest.raises(DatasetError, match="nothing tells their scale"):
        Demonstrations([replace(counted(5), state=None)], settings_of()).scales()
