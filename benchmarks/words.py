"""Words and numbers as pages show them."""

from __future__ import annotations

import math
import re
from typing import Any

from markupsafe import Markup

_REPLACEMENT = "�"


def printable(value: Any) -> Any:
    """Text without what cannot be seen: control characters, marks that turn the direction of writing, half surrogates.

    What is no text, and markup that is made here, stays as it is.
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(each if each.isprintable() or each == "\n" else _REPLACEMENT for each in value)


def slug(text: str) -> str:
    """Lower-case letters, digits and dashes, at most 40, for names of files; "agent" if nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-") or "agent"


def shortened(text: str, length: int = 300) -> str:
    """The beginning of a text that is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def number(value: float | None, form: str) -> str:
    """In a format; "-" where there is none."""
    return "-" if value is None or not math.isfinite(value) else format(value, form)


def between(interval: tuple[float, float], form: str = ".3f") -> str:
    """An interval."""
    low, high = interval
    return f"{number(low, form)} to {number(high, form)}"
