"""A hybrid model as a checkpoint: written and read, with everything checked on the way in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..checkpoint import Card, check_tensors, load_checkpoint, save_checkpoint
from .dynamics import Dynamics, Shape
from .trust import Trust

KIND = "hybrid"
_DYNAMICS, _TRUST = "dynamics/", "trust/"
_USUAL = f"{_TRUST}usual"
_SEEN_SERVOS = f"{_DYNAMICS}seen_servos"
_LATER: Mapping[str, Any] = {"servos": (), "depth": 2, "tuned": False}
"""What cards of models do not say that were made before there was a choice."""


def save_model(path: Path, dynamics: Dynamics, trust: Trust | None = None, *, robot: str, **told: Any) -> None:
    """Writes a model, whole or not at all; `told` are further entries of its card, see `Card`.

    Without `trust`, nobody has measured yet how far it can be trusted.
    """
    card = Card(kind=KIND, robot=robot, settings=asdict(dynamics.shape), **told)
    save_checkpoint(path, card, _tensors(dynamics, trust or Trust()))


def load_model(path: str | Path) -> tuple[Dynamics, Trust, Card]:
    """A model, how far to trust it, and its card.

    Raises:
        CheckpointError: the file cannot be used; the message says why, and what to do.
    """
    card, tensors = load_checkpoint(path)
    if card.kind != KIND:
        raise CheckpointError(f"{path} is a model of kind {card.kind!r}, not {KIND!r}")
    shape = _shape(path, card.settings)
    least, held = shape.members * shape.width**2 * max(shape.depth - 1, 1), sum(map(torch.numel, tensors.values()))
    if least > held:  # before room is made for what a card claims
        raise CheckpointError(f"{path}: its model needs more than {least} numbers, it holds {held}; copy it again")
    dynamics, trust = Dynamics(shape), Trust()
    usual = tensors.get(_USUAL)
    if usual is not None and usual.shape == (2,):  # made before the robot's motion was looked at: never unusual
        tensors[_USUAL] = torch.cat([usual, trust.usual[2:]])
    if "tuned" not in card.settings:  # made before servos were looked at: it knows the robot's own
        tensors.setdefault(_SEEN_SERVOS, dynamics.seen_servos)
    check_tensors(path, _tensors(dynamics, trust), tensors)
    for prefix, module in ((_DYNAMICS, dynamics), (_TRUST, trust)):
        module.load_state_dict(
            {name.removeprefix(prefix): values for name, values in tensors.items() if name.startswith(prefix)}
        )
    return dynamics.eval(), trust.eval(), card


def _tensors(dynamics: Dynamics, trust: Trust) -> dict[str, Tensor]:
    parts = ((_DYNAMICS, dynamics), (_TRUST, trust))
    return {f"{prefix}{name}": values for prefix, module in parts for name, values in module.state_dict().items()}


def check_shape(path: str | Path, model: Shape, wanted: Shape) -> None:
    """Compares what a model is for with the robot and the scenes it is to be used in.

    Raises:
        CheckpointError: they do not go together; the message says what differs.
    """
    for item in fields(Shape):
        if item.name in {"parts", "members", "width", "depth", "tuned"} or (item.name == "servos" and not model.servos):
            continue
        ours, theirs = getattr(wanted, item.name), getattr(model, item.name)
        if ours != theirs:
            raise CheckpointError(
                f"{path} is for another robot: {item.name} is {theirs}, here it is {ours}; train a model for this one "
                "with `pocketworlds train neural`"
            )
    if wanted.parts and not model.parts:
        raise CheckpointError(
            f"{path} has seen no doors, drawers or buttons, this scene has some; train a model for it with "
            "`pocketworlds train neural`"
        )


def _shape(path: str | Path, settings: Mapping[str, Any]) -> Shape:
    found: dict[str, Any] = {}
    for item in fields(Shape):
        value = settings.get(item.name, _LATER.get(item.name))
        if item.name == "servos":
            good = isinstance(value, (list, tuple)) and all(_whole(entry, 4096) or entry == -1 for entry in value)
            value = tuple(value) if good else value
        elif item.name in {"fingers", "grips"}:
            good = isinstance(value, (list, tuple)) and all(_whole(entry, 4096) for entry in value)
            value = tuple(value) if good and value is not None else value
        elif item.name == "keep":
            good = isinstance(value, float) and 0 <= value < 1
        elif item.name in {"parts", "tuned"}:
            good = isinstance(value, bool)
        else:
            good = _whole(value, 4096)
        if not good:
            raise CheckpointError(f"{path}: its card gives {item.name} as {value!r}; train it again")
        found[item.name] = value
    return Shape(**found)


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
