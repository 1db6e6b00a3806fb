"""What is kept of a long job beside its result, so that the same command goes on after an interruption."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load_file
from torch import Tensor

from ..world_models.resuming import save_numbers

KEEP = 60.0
"""Seconds between two records of where a training is."""


class Training(Protocol):
    """What is trained step by step; `chief`: whether this process is the one that writes files."""

    chief: bool

    def advance(self, notify: Callable[[int, dict[str, float]], None], *, until: float) -> bool:
        """Goes on to the end, or until a time (`time.monotonic`); says whether it is finished."""

    def state(self) -> dict[str, Tensor]:
        """Where it is."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back there."""


def train_on(training: Training, kept: Path, steps: int, notify: Callable[[float], None]) -> None:
    """Trains to the end, from where the file `kept` says it was; `notify` is told the share of `steps` that is done."""
    if kept.exists():
        training.restore(load_file(kept))
    finished = False
    while not finished:
        finished = training.advance(lambda done, losses: notify(done / steps), until=time.monotonic() + KEEP)
        if training.chief:
            save_numbers(kept, training.state())
    notify(1.0)


def plain(told: Any) -> Any:
    """The same as plain JSON."""
    return json.loads(json.dumps(asdict(told) if is_dataclass(told) else told, default=str))  # type: ignore[arg-type]


def digest(told: Any) -> str:
    """What something depends on, in a few letters: another for anything else."""
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:12]
