"""Pixel diffusion models as checkpoints: written and read, with everything checked on the way in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import Card, load_network, save_network
from .network import PixelEdm
from .settings import PixelEdmSettings
from .simulator import PixelEdmSimulator

KIND = "pixel_edm"


def simulate(
    model: PixelEdm, num_envs: int, *, card: Card, weights: str = "", device: str = "cpu"
) -> PixelEdmSimulator:
    """Worlds of a model."""
    spec = model.settings.frames.spec(card, weights)
    return PixelEdmSimulator(model, num_envs, spec, torch.device(device))


def save_model(path: Path, model: PixelEdm, **told: Any) -> Card:
    """Writes a model; see `save_network`."""
    return save_network(path, KIND, model.settings.frames.robot, model, model.settings, **told)


def load_model(path: str | Path) -> tuple[PixelEdm, Card]:
    """A model and its card.

    Raises:
        CheckpointError: see `load_network`.
    """
    return load_network(path, KIND, PixelEdmSettings, PixelEdm)


def open_simulator(path: str | Path, num_envs: int, *, device: str = "cpu") -> PixelEdmSimulator:
    """Worlds of a checkpoint's model.

    Raises:
        CheckpointError: see `load_model`.
    """
    model, card = load_model(path)
    weights = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return simulate(model, num_envs, card=card, weights=weights, device=device)
