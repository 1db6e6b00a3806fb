"""Addresses of other people's models: `<scheme>:<target>[?name=value&...][#probe=FILE]`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from ...errors import CheckpointError

_SCHEME = re.compile(r"([a-z][a-z0-9_-]+):(.+)", re.DOTALL)  # two letters at least: "c:" is a drive of Windows
_PROBE = "#probe="
Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class Address:
    """Where a model is.

    Attributes:
        scheme: of model, "cosmos3" for example. target: folder, id or server. options: as they were written.
        probe: the file that says states from what the model makes, None: there is none. text: the whole address.
    """

    scheme: str
    target: str
    options: Mapping[str, str]
    probe: Path | None
    text: str


def is_external(checkpoint: Any) -> bool:
    """Whether a `checkpoint` keyword is the address of another people's model, and not a file's path."""
    if not isinstance(checkpoint, str) or _SCHEME.fullmatch(checkpoint) is None:
        return False
    return not os.path.exists(checkpoint)  # of `Path` it would raise where an address is too long for a file's name


def parse_address(text: str) -> Address:
    """The parts of an address.

    Raises:
        CheckpointError: it is none; the message says what it should look like.
    """
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise CheckpointError(
            f"{text!r} is no address of a model; it should look like 'cosmos3:nvidia/Cosmos3-Nano#probe=my.safetensors'"
        )
    rest, marked, probe = found[2].partition(_PROBE)
    if marked and not probe:
        raise CheckpointError(f"{text!r} names no file after '{_PROBE}'")
    target, asked, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, strict_parsing=True, keep_blank_values=True) if asked else []
    except ValueError as error:
        raise CheckpointError(f"{text!r}: {query!r} should be name=value, several joined by '&'") from error
    if not target:
        raise CheckpointError(f"{text!r} says of what kind the model is, but not where; write {found[1]}:<where>")
    return Address(found[1], target, dict(pairs), Path(probe).expanduser() if probe else None, text)


def read_options(address: Address, options: type[Options]) -> Options:
    """The options of an address, checked.

    Raises:
        CheckpointError: one is unknown, or its value makes no sense; the message names it and lists those there are.
    """
    try:
        return options.model_validate(dict(address.options))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "options"
        raise CheckpointError(
            f"{address.text!r}: {name}={first['input']!r}: {first['msg']}; {address.scheme} takes "
            f"{list(options.model_fields)}"
        ) from error
