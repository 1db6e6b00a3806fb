"""Arrays in HDF5 for the formats that are HDF5 files: compressed, and with checksums on data and structure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .dataset import need
from .trajectory import Array


def create(path: Path) -> Any:
    """A new `h5py.File` whose structure carries checksums (HDF5 1.10 and later read it)."""
    return need("h5py").File(path, "w", libver=("v110", "v110"), track_order=True)


def open_file(path: Path) -> Any:
    """An `h5py.File` to read from."""
    return need("h5py").File(path, "r")


def put(group: Any, name: str, values: Array) -> None:
    """Writes one array, losslessly."""
    if values.size == 0:
        group.create_dataset(name, data=values)
        return
    group.create_dataset(
        name, data=values, chunks=True, compression="gzip", compression_opts=3, shuffle=True, fletcher32=True
    )


def put_number(group: Any, name: str, value: int) -> None:
    """Writes an attribute: as a number if it has up to 64 bits, as seeds from entropy do not, else as text."""
    group.attrs[name] = value if value < 2**63 else str(value)


def get(group: Any, name: str) -> Array:
    """Reads one array.

    Raises:
        KeyError: it is not there. OSError: a checksum does not match.
    """
    values: Array = group[name][()]
    return values
