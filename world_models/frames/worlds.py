"""What every learned simulator of frames does alike: it holds tensors of `num_envs` rows and goes on with some."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..simulator import Context, Spec


class HeldWorlds:
    """Worlds as tensors of one row each; see `NeuralSimulator`.

    Attributes:
        num_envs, spec: see `NeuralSimulator`. device: that it computes on.
    """

    def __init__(self, num_envs: int, spec: Spec, device: torch.device) -> None:
        self.num_envs, self.spec, self.device = num_envs, spec, device
        self._held: dict[str, Tensor] = {}

    def get_state(self, ids: Tensor) -> dict[str, Tensor]:
        """See `NeuralSimulator`."""
        return {name: values[ids.to(self.device)].cpu() for name, values in self._held.items()}

    def set_state(self, ids: Tensor, state: Mapping[str, Tensor]) -> None:
        """See `NeuralSimulator`."""
        self._put(ids.to(self.device), {name: values.to(self.device) for name, values in state.items()})

    def _put_good(self, rows: Tensor, values: Mapping[str, Tensor], state: Tensor) -> None:
        """As `_put`, but worlds whose `state` (m, S) is not finite stay as they were."""
        good = state.isfinite().all(1)
        if bool(good.all()):
            self._put(rows, values)
        else:
            self._put(rows[good], {name: value[good] for name, value in values.items()})

    def _take(self, rows: Tensor) -> dict[str, Tensor]:
        """The tensors of worlds `rows` (m,); to be read, not written."""
        if len(rows) == self.num_envs and bool((rows == torch.arange(len(rows), device=rows.device)).all()):
            return dict(self._held)
        return {name: values[rows] for name, values in self._held.items()}

    def _put(self, rows: Tensor, values: Mapping[str, Tensor]) -> None:
        """Puts tensors of m rows into worlds `rows` (m,); places are made as they are first needed."""
        for name, value in values.items():
            if len(rows) == self.num_envs and bool((rows == torch.arange(len(rows), device=rows.device)).all()):
                self._held[name] = value.clone()
                continue
            if name not in self._held:
                self._held[name] = value.new_zeros(self.num_envs, *value.shape[1:])
            self._held[name][rows] = value


def check_context(context: Context, spec: Spec) -> None:
    """Compares a context with what a model takes.

    Raises:
        CheckpointError: something is missing or has another shape.
    """
    m, frames, size = len(context.state), spec.context, sum(spec.state.values())
    wanted: dict[str, tuple[int, ...]] = {
        "state": (m, frames, size),
        "action": (m, frames - 1, spec.action_size),
        "scene": (m, spec.scene_size),
        "seed": (m,),
    }
    if spec.image_size is not None:
        wanted["image"] = (m, frames, *spec.image_size, 3)
    for name, shape in wanted.items():
        found = getattr(context, name)
        if found is None or tuple(found.shape) != shape:
            told = None if found is None else tuple(found.shape)
            raise CheckpointError(f"the model's context needs {name} of shape {shape}, got {told}")
