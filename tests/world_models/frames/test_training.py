"""The training loop: going on after an interruption, averages, several processes, logs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pocketworlds.errors import DatasetError, MissingDependencyError
from pocketworlds.world_models.frames import training as frame_training
from pocketworlds.world_models.frames.episodes import FrameData, Windows
from pocketworlds.world_models.frames.training import FrameTrainer, Learner, TrainConfig
from torch import Tensor, nn

from ..squares import recorded

SHORT = TrainConfig(steps=14, rate=0.03, warmup=3, batch=8, length=4, average=0.9)


class Velocity(Learner):  # type: ignore[misc]
    """Learns how far a square goes for an action: 2 pixels of 16."""

    needs: dict[str, bool] = {}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, windows: Windows, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        noise = 0.001 * torch.randn(windows.state[:, 1:].shape, generator=draws)
        moved = windows.state.diff(dim=1) + noise
        return {"error": (moved - self.linear(windows.action[:, :-1])).square().mean() * 100}

    def pictures(self, windows: Windows) -> Tensor | None:
        return torch.zeros(4, 6, 3, dtype=torch.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FrameData:
    return recorded(tmp_path_factory.mktemp("squares"))


@pytest.mark.parametrize("ahead", [True, False])
def test_training_that_was_interrupted_ends_as_if_it_had_not_been(data: FrameData, ahead: bool):
    config = SHORT.model_copy(update={"ahead": ahead})
    first = FrameTrainer(Velocity(), data, SHORT)
    assert first.advance()
    states: list[dict[str, Tensor]] = []
    second = FrameTrainer(Velocity(), data, config)
    second.advance(lambda done, losses: states.append(second.state()) if done == 5 else None, every=1)
    third = FrameTrainer(Velocity(), data, config)
    assert not third.advance(until=0.0)
    third.restore(states[0])
    assert third.done == 5
    assert third.advance()
    for name, values in first.state().items():
        assert torch.equal(values, third.state()[name]), name


def test_it_learns_and_the_average_is_kept_apart(data: FrameData):
    trainer = FrameTrainer(Velocity(), data, SHORT.model_copy(update={"steps": 80}))
    told: list[float] = []
    trainer.advance(lambda done, losses: told.append(losses["error"]), every=20)
    assert told[-1] < 0.5 * told[0]
    own = trainer.learner.linear.weight.detach().clone()
    torch.testing.assert_close(own, torch.eye(2) * 2 / 16, atol=0.02, rtol=0)
    with trainer.averaged():
        inside = trainer.learner.linear.weight.detach().clone()
    assert not torch.equal(inside, own)
    torch.testing.assert_close(inside, own, atol=0.02, rtol=0)
    assert torch.equal(trainer.learner.linear.weight, own)
    trainer.settle()
    assert torch.equal(trainer.learner.linear.weight, inside)


def test_episodes_shorter_than_windows_are_refused(data: FrameData):
    with pytest.raises(DatasetError, match="has 10 frames, windows are to have 11"):
        FrameTrainer(Velocity(), data, SHORT.model_copy(update={"length": 11}))


def test_a_log_needs_tensorboard(data: FrameData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame_training.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install tensorboard"):
        FrameTrainer(Velocity(), data, SHORT, log=tmp_path)


def test_a_log_has_scalars_and_pictures(data: FrameData, tmp_path: Path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    FrameTrainer(Velocity(), data, SHORT, log=tmp_path).advance(every=7)
    found = EventAccumulator(str(tmp_path)).Reload()
    assert {"loss/error", "rate"} <= set(found.Tags()["scalars"])
    assert [event.step for event in found.Scalars("loss/error")] == [7, 14]
    assert found.Tags()["images"] == ["pictures"]


_RANK = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from pocketworlds.world_models.frames.episodes import FrameData
from pocketworlds.world_models.frames.training import FrameTrainer
import torch
from tests.world_models.frames.test_training import SHORT, Velocity
folder = Path(sys.argv[1])
data = FrameData([folder / "a.safetensors", folder / "b.safetensors"])
trainer = FrameTrainer(Velocity(), data, SHORT.model_copy(update={"distributed": True, "device": "cpu"}))
assert trainer.advance(until=1e18)
torch.save(trainer.learner.linear.weight.detach(), folder / f"{torch.distributed.get_rank()}.pt")
torch.distributed.destroy_process_group()
"""


def test_several_processes_learn_one_model(data: FrameData):
    """Gradients are averaged over processes that draw windows of their own; as `torchrun` starts them."""
    folder, root = data.shards[0].parent, Path(__file__).parents[2]
    common = os.environ | {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29517",
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }
    started = [
        subprocess.Popen([sys.executable, "-c", _RANK, str(folder), str(root)], env=common | {"RANK": str(rank)})
        for rank in range(2)
    ]
    assert [each.wait(timeout=240) for each in started] == [0, 0]
    first, second = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert torch.equal(first, second)
    alone = FrameTrainer(Velocity(), data, SHORT)
    alone.advance()
    assert not torch.equal(first, alone.learner.linear.weight)
    torch.testing.assert_close(first, alone.learner.linear.weight.detach(), atol=0.05, rtol=0)
