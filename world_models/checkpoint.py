"""Checkpoints of world models: one safetensors file with numbers and a card; nothing in it is ever executed.

The card (JSON in the file's metadata) says what the model is, what it was made for and from, and what was measured.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import CheckpointError
from .shipped import located

FORMAT = 1
_KEY = "pocketworlds"
Settings = TypeVar("Settings", bound=BaseModel)
Network = TypeVar("Network", bound=nn.Module)

_UNSAFE = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin"}


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself.

    Attributes:
        kind: of model, "hybrid". robot: name of the robot it is for. settings: sizes that make the networks.
        trained_on: scenes or ids and numbers of episodes. horizon: control steps up to which it was audited.
        measured: figures of the audit and of calibration. format: of the file.
    """

    kind: str
    robot: str
    settings: Mapping[str, Any]
    trained_on: Mapping[str, Any] = field(default_factory=dict)
    horizon: int = 0
    measured: Mapping[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    def audited(self, env_id: str) -> int:
        """Control steps up to which it was audited in an environment, whatever its keywords (audits with keywords are
        kept under its id, a blank, and those); elsewhere, its shortest horizon."""
        try:
            audits = self.measured["audit"].items()
            found = [int(each["horizon"]) for where, each in audits if where.partition(" ")[0] == env_id]
        except (KeyError, TypeError, ValueError, AttributeError):
            return self.horizon
        return min(found, default=self.horizon)


def save_checkpoint(path: Path, card: Card, tensors: Mapping[str, Tensor]) -> None:
    """Writes a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {name: values.detach().contiguous().cpu() for name, values in tensors.items()}
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(held, temporary, metadata={_KEY: json.dumps(asdict(card))})
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def halved(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Numbers as they are stored in half the space: matrices, which are nearly all, at half precision."""
    return {name: each.half() if each.is_floating_point() and each.ndim > 1 else each for name, each in tensors.items()}


def save_network(
    path: Path, kind: str, robot: str, network: nn.Module, settings: BaseModel, *, half: bool = False, **told: Any
) -> Card:
    """Writes a network and the settings that make it, and gives its card; `told` are further entries, see `Card`.

    `half`: stores it as `halved`.
    """
    card = Card(kind=kind, robot=robot, settings=settings.model_dump(mode="json"), **told)
    save_checkpoint(path, card, halved(network.state_dict()) if half else network.state_dict())
    return card


def load_network(
    path: str | Path, kind: str, settings: type[Settings], make: Callable[[Settings], Network]
) -> tuple[Network, Card]:
    """A network that `make` makes of the settings in its card, and the card.

    Raises:
        CheckpointError: see `load_checkpoint`; or the card is of another kind, or its settings or numbers do not fit.
    """
    card, tensors = load_checkpoint(path)
    network = make(_settings(path, card, kind, settings))
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return network.eval(), card


def read_card(path: str | Path) -> Card:
    """The card of a file alone.

    Raises:
        CheckpointError: see `load_checkpoint`; numbers are not looked at.
    """
    return _read(path, numbers=False)[0]


def load_checkpoint(path: str | Path) -> tuple[Card, dict[str, Tensor]]:
    """The card and the numbers of a file; those that are stored at half precision come at single precision.

    Raises:
        CheckpointError: it is not there, not a safetensors file, cut short, of another format, or holds numbers that
            are not finite; the message says which, and what to do.
    """
    card, tensors = _read(path, numbers=True)
    for name, values in tensors.items():
        if values.is_floating_point() and not bool(torch.isfinite(values).all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite; train it again")
    return card, {name: each.float() if each.dtype == torch.float16 else each for name, each in tensors.items()}


def _read(path: str | Path, *, numbers: bool) -> tuple[Card, dict[str, Tensor]]:
    path = located(path)
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}; make one with `pocketworlds train`")
    if path.suffix in _UNSAFE:
        raise CheckpointError(
            f"{path} may hold code that runs when it is read; only .safetensors files are read: convert it where you "
            "trust it, with safetensors.torch.save_file"
        )
    try:
        with safe_open(path, framework="pt") as file:
            told = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys() if numbers}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file, or is damaged ({error}); fetch or make it anew"
        ) from error
    if told is None:
        raise CheckpointError(f"{path} has no card of this package; make a checkpoint with `pocketworlds train`")
    return _card(path, told), tensors


def _card(path: Path, told: str) -> Card:
    try:
        data = json.loads(told)
        found = Card(**{name: data[name] for name in Card.__dataclass_fields__})
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: its card cannot be read ({error!r}); train it again") from error
    if found.format != FORMAT:
        raise CheckpointError(
            f"{path} has format {found.format!r}, this version reads {FORMAT}; train it again, or take the version of "
            "pocketworlds that made it"
        )
    return found


def check_tensors(path: str | Path, wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """Compares names, shapes and types of a file's numbers with those of the model that its card describes.

    Raises:
        CheckpointError: they differ; the message names the first that does.
    """
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise CheckpointError(
                f"{path} lacks {name}; it was not written whole, or for another model: train it again"
            )
        if name not in wanted:
            raise CheckpointError(f"{path} holds {name}, which its model has not got; train it again")
        ours, theirs = wanted[name], found[name]
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            raise CheckpointError(
                f"{path}: {name} is {theirs.dtype} {tuple(theirs.shape)}, its model needs {ours.dtype} "
                f"{tuple(ours.shape)}; train it again"
            )


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
