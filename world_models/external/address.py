"""Addresses of other people's models: `<scheme>:<target>[?name=value&...][#probe=FILE]`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import addresses
from ...addresses import Address, Options
from ...errors import CheckpointError

_SCHEME = re.compile(r"([a-z][a-z0-9_-]+):(.+)", re.DOTALL)  # two letters at least: "c:" is a drive of Windows
_PROBE = "#probe="


@dataclass(frozen=True)
class ModelAddress(Address):
    """Where a model is; `probe`: the file that says states from what the model makes, None: there is none."""

    probe: Path | None = None


def is_external(checkpoint: Any) -> bool:
    """Whether a `checkpoint` keyword is the address of another people's model, and not a file's path."""
    if not isinstance(checkpoint, str) or _SCHEME.fullmatch(checkpoint) is None:
        return False
    return not os.path.exists(checkpoint)  # of `Path` it would raise where an address is too long for a file's name


def parse_address(text: str) -> ModelAddress:
    """The parts of an address.

    Raises:
        CheckpointError: it is none; the message says what it should look like.
    """
    rest, marked, probe = text.partition(_PROBE)
    if marked and not probe:
        raise CheckpointError(f"{text!r} names no file after '{_PROBE}'")
    example = "cosmos3:nvidia/Cosmos3-Nano#probe=my.safetensors"
    found = addresses.parse_address(rest, noun="a model", example=example, error=CheckpointError)
    file = Path(probe).expanduser() if probe else None
    return ModelAddress(found.scheme, found.target, found.options, text, file)


def read_options(address: ModelAddress, kind: type[Options]) -> Options:
    """The options of an address, checked.

    Raises:
        CheckpointError: one is unknown, or its value makes no sense; the message names it and lists those there are.
    """
    return addresses.read_options(address, kind, error=CheckpointError)
