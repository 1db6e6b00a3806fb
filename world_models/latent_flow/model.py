"""Latent flow models as a whole, and as checkpoints: written and read, with everything checked on the way in."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoint import Card, load_network, save_network
from .dynamics import Dynamics
from .settings import LatentFlowSettings
from .simulator import LatentFlowSimulator
from .tokeniser import Tokeniser

KIND = "latent_flow"


class LatentFlow(nn.Module):
    """A tokeniser and dynamics; new networks are drawn by `seed`."""

    def __init__(self, settings: LatentFlowSettings, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tokeniser, self.dynamics = Tokeniser(settings.tokeniser), Dynamics(settings)

    @property
    def size(self) -> int:
        """Numbers that are learned."""
        return sum(each.numel() for each in self.parameters())


def simulate(
    model: LatentFlow, num_envs: int, *, card: Card, weights: str = "", device: str = "cpu"
) -> LatentFlowSimulator:
    """Worlds of a model."""
    spec = model.settings.frames.spec(card, weights)
    return LatentFlowSimulator(model.tokeniser, model.dynamics, num_envs, spec, torch.device(device))


def save_model(path: Path, model: LatentFlow, **told: Any) -> Card:
    """Writes a model; see `save_network`."""
    return save_network(path, KIND, model.settings.frames.robot, model, model.settings, **told)


def load_model(path: str | Path) -> tuple[LatentFlow, Card]:
    """A model and its card.

    Raises:
        CheckpointError: see `load_network`.
    """
    return load_network(path, KIND, LatentFlowSettings, LatentFlow)


def open_simulator(path: str | Path, num_envs: int, *, device: str = "cpu") -> LatentFlowSimulator:
    """Worlds of a checkpoint's model.

    Raises:
        CheckpointError: see `load_model`.
    """
    model, card = load_model(path)
    weights = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return simulate(model, num_envs, card=card, weights=weights, device=device)
