"""Models of frames as checkpoints: written and read, with everything checked on the way in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from torch import nn

from ...errors import CheckpointError
from ..checkpoint import Card, check_tensors, load_checkpoint, save_checkpoint
from .settings import FrameSettings

Settings = TypeVar("Settings", bound=BaseModel)
Model = TypeVar("Model", bound=nn.Module)


class FramedSettings(Protocol):
    """Settings of a model that say, beside its sizes, what frames it is for."""

    @property
    def frames(self) -> FrameSettings:
        """See `FrameSettings`."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """All of them as plain data."""


def save_frame_model(path: Path, kind: str, model: nn.Module, settings: FramedSettings, **told: Any) -> Card:
    """Writes a model, whole or not at all, and gives its card; `told` are further entries of it, see `Card`."""
    card = Card(kind=kind, robot=settings.frames.robot, settings=settings.model_dump(mode="json"), **told)
    save_checkpoint(path, card, model.state_dict())
    return card


def load_frame_model(
    path: str | Path, kind: str, settings: type[Settings], make: Callable[[Settings], Model]
) -> tuple[Model, Card]:
    """A model that `make` makes of the settings in its card, and the card.

    Raises:
        CheckpointError: the file cannot be used; the message says why, and what to do.
    """
    card, tensors = load_checkpoint(path)
    model = make(_settings(path, card, kind, settings))
    check_tensors(path, model.state_dict(), tensors)
    model.load_state_dict(tensors)
    return model.eval(), card


def _settings(path: str | Path, card: Card, kind: str, settings: type[Settings]) -> Settings:
    if card.kind != kind:
        raise CheckpointError(f"{path} is a model of kind {card.kind!r}, not {kind!r}")
    try:
        return settings.model_validate(_plain(card.settings))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        raise CheckpointError(
            f"{path}: its card gives {name} as {first['input']!r}: {first['msg']}; train it again"
        ) from error


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) if isinstance(value, Mapping) else value for name, value in told.items()}
