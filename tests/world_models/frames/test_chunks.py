"""Models that take several actions at once, one action at a time."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from pocketworlds.world_models.frames.chunks import Buffered
from pocketworlds.world_models.simulator import Context, NeuralSimulator, Prediction, Spec
from torch import Tensor

CHUNK = 3
SPEC = Spec("sum", "delta", 1, {"sum": 1}, 0, None, "none", 0.05, 1, CHUNK, 0, "MIT", "")


class Sums:
    """Adds actions up, three at a time."""

    def __init__(self, num_envs: int) -> None:
        self.num_envs, self.spec = num_envs, SPEC
        self.sum = torch.zeros(num_envs, 1)

    def reset(self, ids: Tensor, context: Context) -> None:
        self.sum[ids] = context.state[:, -1]

    def step_chunk(self, ids: Tensor, action: Tensor) -> Prediction:
        assert action.shape == (len(ids), CHUNK, 1)
        states = self.sum[ids][:, None] + action.cumsum(1)
        self.sum[ids] = states[:, -1]
        return Prediction(image=None, state=states, uncertainty=None)

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        return {"sum": self.sum[ids]}

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        self.sum[ids] = state["sum"]


def context(start: Tensor) -> Context:
    m = len(start)
    none = torch.zeros(m, 0)
    return Context(None, start.reshape(m, 1, 1), torch.zeros(m, 0, 1), none, torch.zeros(m, dtype=torch.int64))


def test_what_is_shown_is_what_was_played_so_far():
    simulator = Buffered(Sums(4))
    assert isinstance(simulator, NeuralSimulator)
    everyone = torch.arange(4)
    start = torch.tensor([0.0, 10.0, 20.0, 30.0])
    simulator.reset(everyone, context(start))
    action = torch.rand(11, 4, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = start[:, None].clone()
    for t in range(11):
        ids = everyone if t % 3 else torch.tensor([0, 2])  # worlds are at different places of their chunks
        if t == 4:
            simulator.reset(torch.tensor([1]), context(torch.tensor([5.0])))
            expected[1] = 5.0
        expected[ids] += action[t, ids]
        made = simulator.step(ids, action[t, ids])
        torch.testing.assert_close(made.state, expected[ids])
        assert made.image is None


def test_states_come_back_within_a_chunk():
    simulator, other = Buffered(Sums(2)), Buffered(Sums(2))
    both = torch.arange(2)
    simulator.reset(both, context(torch.zeros(2)))
    one = torch.ones(2, 1)
    for _ in range(4):
        simulator.step(both, one)
    kept = simulator.get_state(torch.tensor([1]))
    other.set_state(torch.tensor([0]), kept)
    for _ in range(4):
        expected = simulator.step(both, one).state[1]
        assert torch.equal(other.step(torch.tensor([0]), one[:1]).state[0], expected)


def test_a_world_that_is_lost_stays():
    simulator = Buffered(Sums(1))
    ids = torch.zeros(1, dtype=torch.int64)
    simulator.reset(ids, context(torch.zeros(1)))
    simulator.step(ids, torch.ones(1, 1))
    assert simulator.step(ids, torch.full((1, 1), float("nan"))).state.isnan().all()
    assert simulator.step(ids, torch.ones(1, 1)).state.item() == pytest.approx(2.0)
