"""Checked values out of JSON and CSV: each wrong one is a `CaptureError` that names the file and the field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CaptureError
from ..capture import Float
from .archive import Source

MAX_TABLE = 64 << 20
"""Largest JSON or CSV file, bytes: an hour of poses at 60 Hz is about 30 MB of text."""

JsonObject = Mapping[str, Any]


def json_object(source: Source, name: str) -> JsonObject:
    """Reads a JSON file whose top level must be an object.

    Raises:
        CaptureError: if the file is missing, is not JSON, is nested too deep, or holds something else.
    """
    where = source.where(name)
    try:
        value = json.loads(source.read(name, limit=MAX_TABLE).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else error
        raise CaptureError(f"{where}: not valid JSON ({reason}); export the capture again") from error
    return as_object(value, where)


def as_object(value: object, where: str) -> JsonObject:
    """`value` if it is a JSON object."""
    if not isinstance(value, dict):
        raise CaptureError(f"{where}: expected a JSON object, found {_kind(value)}")
    return value


def as_list(value: object, where: str) -> list[Any]:
    """`value` if it is a JSON array; null counts as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise CaptureError(f"{where}: expected a list, found {_kind(value)}")
    return value


def as_text(value: object, where: str) -> str:
    """`value` if it is a string."""
    if not isinstance(value, str):
        raise CaptureError(f"{where}: expected text, found {_kind(value)}")
    return value


def as_number(value: object, where: str) -> float:
    """A finite number (JSON number or CSV text)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise CaptureError(f"{where}: expected a number, found {_kind(value)}")
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise CaptureError(f"{where}: {str(value)[:40]!r} is not a usable number") from None
    if not math.isfinite(number):
        raise CaptureError(f"{where}: {number} is not finite")
    return number


def as_count(value: object, where: str, *, most: int = 1 << 31) -> int:
    """An integer in [0, most]."""
    number = as_number(value, where)
    if number != int(number) or not 0 <= number <= most:
        raise CaptureError(f"{where}: {number:g} is not a count up to {most:,}")
    return int(number)


def as_numbers(value: object, count: int, where: str) -> Float:
    """Float64 [count] of finite numbers."""
    values = as_list(value, where)
    if len(values) != count:
        raise CaptureError(f"{where}: expected {count} numbers, found {len(values)}")
    return np.array([as_number(item, where) for item in values], dtype=np.float64)


def table(source: Source, name: str) -> list[list[str]]:
    """Rows of a comma-separated file, cells stripped, blank lines dropped."""
    text = source.read(name, limit=MAX_TABLE).decode("utf-8-sig")
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true/false", type(None): "nothing"}
    return names.get(type(value), "a number")
