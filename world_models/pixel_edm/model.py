"""Pixel diffusion models as checkpoints: written and read, with everything checked on the way in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import Card, check_tensors, load_checkpoint, save_checkpoint
from ..frames.settings import read_settings
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
    """Writes a model, whole or not at all, and gives its card; `told` are further entries of it, see `Card`."""
    settings = model.settings.model_dump(mode="json")
    card = Card(kind=KIND, robot=model.settings.frames.robot, settings=settings, **told)
    save_checkpoint(path, card, model.state_dict())
    return card


def load_model(path: str | Path) -> tuple[PixelEdm, Card]:
    """A model and its card.

    Raises:
        CheckpointError: the file cannot be used; the message says why, and what to do.
    """
    card, tensors = load_checkpoint(path)
    model = PixelEdm(read_settings(path, card, KIND, PixelEdmSettings))
    check_tensors(path, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    return model.eval(), card


def open_simulator(path: str | Path, num_envs: int, *, device: str = "cpu") -> PixelEdmSimulator:
    """Worlds of a checkpoint's model.

    Raises:
        CheckpointError: see `load_model`.
    """
    model, card = load_model(path)
    weights = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return simulate(model, num_envs, card=card, weights=weights, device=device)
