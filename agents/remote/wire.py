"""Messages between processes: msgpack with NumPy arrays. Nothing that arrives is unpickled, evaluated or trusted."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingDependencyError

LARGEST = 1 << 26
"""Bytes of an answer; actions are some kilobytes."""

_DTYPE = re.compile(r"[<>=|]?[biuf][1248]")
"""Truth values, whole and real numbers: no objects, no records, no complex numbers, no text."""
_AXES = 8
_NPY = re.compile(
    rb"\{'descr': '([^']{2,4})', 'fortran_order': (True|False), 'shape': \(((?:\d{1,15}, ?)*(?:\d{1,15})?)\), \} *\n"
)
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_TOLD = 1000  # characters of what a server says of itself that go into an error

Array = NDArray[Any]


class WireError(ValueError):
    """A message that makes no sense; the text says why."""


def need(name: str) -> Any:
    """A library of the extra "remote".

    Raises:
        MissingDependencyError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"servers of policies are reached through {error.name}, which is missing: pip install pocketworlds[remote]"
        ) from error


def pack(message: Any, encode: Callable[[Array], Any]) -> bytes:
    """A message as bytes; `encode` says what an array becomes."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return encode(value)
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"{type(value).__name__} cannot be sent")

    found: bytes = need("msgpack").packb(message, default=plain, use_bin_type=True)
    return found


def unpack(data: bytes, decode: Callable[[dict[Any, Any]], Any]) -> Any:
    """The message of bytes; `decode` says what a map becomes.

    Raises:
        WireError: they are none, or `decode` says so.
    """
    msgpack = need("msgpack")

    def extension(code: int, _: bytes) -> Any:
        raise WireError(f"it holds an extension of msgpack (type {code}), which nobody asked for")

    if len(data) > LARGEST:
        raise WireError(f"it has {len(data)} bytes, {LARGEST} at most are taken")
    try:
        return msgpack.unpackb(data, raw=False, object_hook=decode, ext_hook=extension, strict_map_key=True)
    except WireError:
        raise
    # A stray TypeError is a map as a key; a RecursionError, a nest of thousands of lists.
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise WireError(f"it is no msgpack ({str(error)[:100] or type(error).__name__})") from error


def array_of(dtype: Any, shape: Any, data: Any) -> Array:
    """An array from what a message says of it: its type as NumPy writes it ("<f4"), its sides, its bytes in C order.

    Raises:
        WireError: a type of no plain numbers, sides that are none, or bytes that do not fill them.
    """
    if not isinstance(dtype, str) or _DTYPE.fullmatch(dtype) is None:
        raise WireError(f"an array is of type {str(dtype)[:40]!r}; only truth values and numbers are taken")
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise WireError(f"an array is of type {dtype!r}, which there is not") from error
    sides = tuple(shape) if isinstance(shape, (list, tuple)) else None
    if sides is None or len(sides) > _AXES or not all(type(side) is int and side >= 0 for side in sides):
        raise WireError(f"an array has the shape {str(shape)[:80]}")
    if not isinstance(data, bytes):
        raise WireError(f"an array's data are {type(data).__name__}, not bytes")
    if math.prod(sides) * kind.itemsize != len(data) or max(sides, default=0) > LARGEST:
        raise WireError(f"an array has {len(data)} bytes, which are no {dtype} of shape {str(sides)[:80]}")
    return np.frombuffer(data, dtype=kind).reshape(sides)


def to_npy(array: Array) -> bytes:
    """An array as a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def from_npy(data: Any) -> Array:
    """The array of a .npy file (version 1.0, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).

    Its header is a Python expression; it is matched against what NumPy writes and never evaluated.

    Raises:
        WireError: it is no such file, or see `array_of`.
    """
    if not isinstance(data, bytes) or not data.startswith(_NPY_MAGIC) or len(data) < 10:
        raise WireError("an array is no .npy file of version 1.0")
    end = 10 + int.from_bytes(data[8:10], "little")
    found = _NPY.fullmatch(data[10:end])
    if found is None or len(data) < end:
        raise WireError(f"an array's .npy header is {data[10 : min(end, 90)]!r}")
    sides = [int(side) for side in found[3].split(b",") if side.strip()]
    dtype, fortran = found[1].decode("latin-1"), found[2] == b"True"
    array = array_of(dtype, sides[::-1] if fortran else sides, data[end:])
    return array.T if fortran else array


def told(text: Any) -> str:
    """What a server said of its trouble, fit for an error: without control characters, its end if it is long."""
    plain = "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in str(text)).strip()
    return plain if len(plain) <= _TOLD else f"... {plain[-_TOLD:]}"


def mapping(value: Any, what: str) -> Mapping[Any, Any]:
    """A value that has to be a map.

    Raises:
        WireError: it is none.
    """
    if not isinstance(value, dict):
        raise WireError(f"{what} is {type(value).__name__}, not a map")
    return value
