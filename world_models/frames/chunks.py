"""Models that take several actions at once, behind a protocol that takes one: what is not known yet is guessed.

A policy acts once a control period and sees a frame after each. A chunked model makes C frames of C actions; so at the
k-th period of a chunk it is asked from the chunk's start with the k actions that there are, the last of them held for
those to come, and its k-th frame is shown. Nothing that is shown depends on actions that had not been played, if the
model itself is causal; a chunk costs C passes instead of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from ..simulator import Context, Prediction, Spec


class ChunkModel(Protocol):
    """A simulator that goes on by whole chunks; the rest is as in `NeuralSimulator`."""

    num_envs: int
    spec: Spec

    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`."""

    def step_chunk(self, ids: Tensor, action: Tensor) -> Prediction:
        """C control periods of worlds `ids` (m,) with actions (m, C, A): all of a prediction is (m, C, ...)."""

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        """See `NeuralSimulator`."""

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `NeuralSimulator`."""


class Buffered:
    """A `NeuralSimulator` from a `ChunkModel`; see the module.

    Attributes:
        num_envs, spec: see `NeuralSimulator`.
    """

    def __init__(self, model: ChunkModel) -> None:
        self.num_envs, self.spec = model.num_envs, model.spec
        self._model = model
        size, chunk = self.spec.action_size, self.spec.chunk
        self._action = torch.zeros(self.num_envs, chunk, size)
        self._count = torch.zeros(self.num_envs, dtype=torch.int64)
        self._start: dict[str, Tensor] = {}

    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`."""
        self._model.reset(ids, context)
        self._count[ids] = 0
        self._keep(ids, self._model.get_state(ids))

    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `NeuralSimulator`."""
        chunk, count = self.spec.chunk, self._count[ids]
        self._action[ids, count] = action.float()
        held = torch.minimum(torch.arange(chunk)[None], count[:, None])
        given = torch.gather(self._action[ids], 1, held[..., None].expand(-1, -1, action.shape[1]))
        self._model.set_state(ids, {name: values[ids] for name, values in self._start.items()})
        made = self._model.step_chunk(ids, given)
        rows = torch.arange(len(ids))
        shown = {name: None if value is None else value[rows, count] for name, value in vars(made).items()}
        good = torch.ones(len(ids), dtype=torch.bool)
        if shown["state"] is not None:
            good = shown["state"].isfinite().flatten(1).all(1)
        full = ids[(count == chunk - 1) & good]
        if len(full):
            self._keep(full, self._model.get_state(full))
        self._count[ids] = torch.where(good, (count + 1) % chunk, count)
        return replace(made, **shown)

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        """See `NeuralSimulator`."""
        found = {f"start/{name}": values[ids] for name, values in self._start.items()}
        return found | {"action": self._action[ids], "count": self._count[ids]}

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `NeuralSimulator`."""
        start = {name.removeprefix("start/"): v for name, v in state.items() if name.startswith("start/")}
        self._keep(ids, start)
        self._action[ids], self._count[ids] = state["action"], state["count"]

    def close(self) -> None:
        """Closes what the model holds open, if it does."""
        close = getattr(self._model, "close", None)
        if close is not None:
            close()

    def _keep(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """Remembers where the chunks of worlds `ids` (m,) start."""
        for name, values in state.items():
            if name not in self._start:
                self._start[name] = values.new_zeros(self.num_envs, *values.shape[1:])
            self._start[name][ids] = values
