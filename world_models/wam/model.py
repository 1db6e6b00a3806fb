"""The World Action Model as a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..checkpoint import Card, load_network, save_network
from .network import Wam
from .settings import WamSettings

KIND = "wam"


def save_wam(path: Path, net: Wam, **told: Any) -> Card:
    """Writes a model; see `save_network`."""
    return save_network(path, KIND, net.settings.robot, net, net.settings, **told)


def load_wam(path: str | Path) -> tuple[Wam, Card]:
    """A model and its card.

    Raises:
        CheckpointError: see `load_network`.
    """
    return load_network(path, KIND, WamSettings, Wam)
