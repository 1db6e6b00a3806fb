"""Checkpoints of the World Action Model, and of the networks that it is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ..checkpoint import Card, load_network, read_card, save_network
from .act import Act
from .base import Model
from .cloning import Cloning
from .network import Wam
from .settings import WamSettings

MODELS: dict[str, type[Model]] = {"wam": Wam, "cloning": Cloning, "act": Act}


def save_model(path: Path, net: Model, **told: Any) -> Card:
    """Writes a model; see `save_network`."""
    kind = next(name for name, made in MODELS.items() if type(net) is made)
    return save_network(path, kind, net.settings.robot, net, net.settings, **told)


def load_model(path: str | Path, kind: str | None = None) -> tuple[Model, Card]:
    """A model and its card.

    Args:
        path: of the file, or `wam:<task>`. kind: it must be of, one of `MODELS`; None: any of them.

    Raises:
        CheckpointError: see `load_network`.
    """
    kind = read_card(path).kind if kind is None else kind
    if kind not in MODELS:
        raise CheckpointError(f"{path} is a model of kind {kind!r}, none of {list(MODELS)}")
    return load_network(path, kind, WamSettings, MODELS[kind])


def load_wam(path: str | Path) -> tuple[Wam, Card]:
    """A World Action Model and its card.

    Raises:
        CheckpointError: see `load_network`.
    """
    return load_network(path, "wam", WamSettings, Wam)
