"""What a data set on disk offers whatever its format, and how every failure to read one ends in one sentence."""

from __future__ import annotations

import importlib
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, overload

from ... import folders
from ...errors import DatasetError, MissingDependencyError, PocketWorldsError
from .trajectory import Origin, Trajectory


class TrajectoryDataset(Sequence[Trajectory]):
    """Trajectories of one data set, read one at a time when they are asked for.

    Attributes:
        format: "lerobot", "minari" or "robomimic". path: what was opened. origin: environment and policy.
    """

    format: ClassVar[str]
    path: Path
    origin: Origin

    @abstractmethod
    def _read(self, index: int) -> Trajectory:
        """Reads trajectory `index` in [0, len)."""

    @overload
    def __getitem__(self, index: int) -> Trajectory: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trajectory]: ...
    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        """Reads one trajectory, or those of a slice.

        Raises:
            IndexError: there is no such trajectory. DatasetError: the data set is damaged.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} trajectories, no number {index}")
        with reading(self.path, self.format):
            return self._read(index % len(self))

    def __iter__(self) -> Iterator[Trajectory]:
        """Reads one after the other."""
        return (self[i] for i in range(len(self)))


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turns whatever a damaged file makes the libraries raise into one sentence.

    Raises:
        DatasetError: names the file and the first reason.
    """
    try:
        yield
    except PocketWorldsError:
        raise
    except Exception as error:
        told = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise DatasetError(
            f"{path} cannot be read as {kind} ({told}); it is damaged or was cut off: copy or record it again"
        ) from error


@contextmanager
def new_folder(out: Path, *, replace: bool = False, marks: Sequence[str] = ()) -> Iterator[Path]:
    """Gives a temporary folder beside `out` which takes its place when all went well.

    Args:
        out: the folder to make. replace: whether one that is there may go.
        marks: it may go only if it is empty or has one of these files in it.

    Raises:
        DatasetError: `out` exists and may not go, or cannot be written.
    """
    try:
        with folders.new_folder(out, replace=replace, marks=marks, noun="data set", error=DatasetError) as partial:
            yield partial
    except OSError as error:
        raise DatasetError(f"cannot write {out}: {error}; is the disk full?") from error


def need(module: str) -> Any:
    """Imports a library of the extra `data`.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"this data set format needs {package}: `pip install 'pocketworlds[data]'`"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        ValueError: it is something else.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise ValueError(f"{path.name} is not a JSON object")
    return data


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Writes a JSON object; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
