"""Where a training is, as numbers in a file: so that it can go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

_MODEL, _OPTIMIZER = "model/", "optimizer/"


def training_state(
    net: nn.Module, optimizer: torch.optim.Optimizer, done: int, random: torch.Generator | None = None
) -> dict[str, Tensor]:
    """A copy of everything that changes in `done` steps of a training, on the CPU; `random` draws its batches."""
    found = {f"{_MODEL}{name}": _copy(values) for name, values in net.state_dict().items()}
    for number, moments in optimizer.state_dict()["state"].items():
        found |= {f"{_OPTIMIZER}{number}/{name}": _copy(value) for name, value in moments.items()}
    if random is not None:
        found["random"] = random.get_state()
    return found | {"done": torch.tensor(done)}


def restore_training(
    state: Mapping[str, Tensor], net: nn.Module, optimizer: torch.optim.Optimizer, random: torch.Generator | None = None
) -> int:
    """Puts back what `training_state` gave; returns the steps done then."""
    net.load_state_dict({name.removeprefix(_MODEL): v for name, v in state.items() if name.startswith(_MODEL)})
    kept = optimizer.state_dict()
    for name, value in state.items():
        if name.startswith(_OPTIMIZER):
            _, number, what = name.split("/")
            kept["state"].setdefault(int(number), {})[what] = value
    optimizer.load_state_dict(kept)
    if random is not None:
        random.set_state(state["random"])
    return int(state["done"])


class Means:
    """Mean losses of the steps since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._count = 0

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Those () of a step, by name."""
        for name, loss in losses.items():
            told = loss.detach()
            self._sums[name] = self._sums[name] + told if name in self._sums else told
        self._count += 1

    def take(self) -> dict[str, float]:
        """By name; from here on others count."""
        found = {name: float(value) / self._count for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return found


def save_numbers(path: Path, numbers: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> None:
    """Writes numbers by name as safetensors, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    held = {name: values.contiguous() for name, values in numbers.items()}
    save_file(held, partial, metadata=None if metadata is None else dict(metadata))
    partial.replace(path)


def _copy(value: Any) -> Tensor:
    return torch.as_tensor(value).detach().clone().cpu()
