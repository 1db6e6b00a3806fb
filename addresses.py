"""Addresses of what others made and serve: `<scheme>:<target>[?name=value&...]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from .errors import PocketWorldsError

Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True)
class Address:
    """Where something is.

    Attributes:
        scheme: of what kind it is, "openpi" for example. target: a server's URL, a folder, an id.
        options: as they were written. text: the whole address.
    """

    scheme: str
    target: str
    options: Mapping[str, str]
    text: str


def parse_address(text: str, *, noun: str, example: str, error: type[PocketWorldsError]) -> Address:
    """The parts of an address. Options are percent-decoded; "+" is a plus.

    Args:
        text: the address. noun: what it should be of, and `example`: such a one, for the message. error: what to raise.

    Raises:
        error: it is none; the message says what it should look like.
    """
    scheme, colon, rest = text.partition(":")
    target, asked, query = rest.partition("?")
    if not colon or not scheme or not target:
        raise error(f"{text!r} is no address of {noun}; it should look like {example!r}")
    options: dict[str, str] = {}
    for entry in query.split("&") if asked else []:
        name, equals, value = entry.partition("=")
        if not equals or not name or name in options:
            raise error(f"{text!r}: {entry!r} should be name=value, each name once, several joined by '&'")
        options[name] = unquote(value)
    return Address(scheme, target, options, text)


def read_options(address: Address, kind: type[Options], *, error: type[PocketWorldsError]) -> Options:
    """The options of an address, checked.

    Raises:
        error: one is unknown, or its value makes no sense; the message names it and lists those there are.
    """
    try:
        return kind.model_validate(dict(address.options))
    except ValidationError as wrong:
        first = wrong.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "options"
        raise error(
            f"{address.text!r}: {name}={address.options.get(name)!r}: {first['msg']}; {address.scheme} takes "
            f"{list(kind.model_fields)}"
        ) from wrong
