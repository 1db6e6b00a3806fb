"""Arrays in HDF5 for the formats that are HDF5 files: compressed, and with checksums on data and structure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .dataset import need
from .trajectory import Array, Trajectory

_NOTE = "pocketworlds"


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


def put_note(group: Any, note: dict[str, Any]) -> None:
    """Writes a JSON object as the attribute `pocketworlds`.

    As text of fixed length: that lies under the header's checksum. Text of variable length lies in a heap without one,
    on which a flipped bit can hang the HDF5 library.
    """
    group.attrs[_NOTE] = np.bytes_(json.dumps(note))


def get_note(group: Any) -> dict[str, Any] | None:
    """The object `put_note` wrote; None if there is none."""
    return dict(json.loads(group.attrs[_NOTE])) if _NOTE in group.attrs else None


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


def episode_note(trajectory: Trajectory) -> dict[str, Any]:
    """What a trajectory is called and where it started, as the keywords `Trajectory` takes."""
    return {
        "instruction": trajectory.instruction,
        "seed": trajectory.seed,
        "episode": trajectory.episode,
        "lossy": sorted(trajectory.lossy),
    }


def from_episode_note(note: dict[str, Any]) -> dict[str, Any]:
    """The inverse of `episode_note`."""
    return {**note, "lossy": frozenset(note["lossy"])}
