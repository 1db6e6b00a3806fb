"""The `CousinSet`: a folder of cousins, loaded one by one as they are asked for.

    cousins = load_cousins("my_kitchen_cousins")
    cousins.indices("train")        # which are for training
    cousins.load(17)                # a `Cousin`: scene, rig, factors

What is in the folder: `cousins.json` (what it was made from, and of every cousin its split, its distance to the twin
and the hash of its file), `twin.json` and `cousins/000017.json` (scene and rig), `meshes/` and `textures/` that they
share, `factors.parquet` (a row a cousin, a column a factor), `contact_sheet.jpg` and `index.html`. It is written
beside its place and renamed when it is complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import SceneError
from ..scenes import Scene
from .config import CousinConfig
from .cousin import MANIFEST, Cousin, Factor, is_cousin_set
from .draws import SPLITS, Split
from .rig import Rig

SCHEMA_VERSION = 1
TWIN = "twin.json"
"""The file with the twin itself."""
TABLE = "factors.parquet"
"""The table of factors: a row a cousin, a column a factor."""
Ints = NDArray[np.int64]


class Entry(BaseModel):
    """One cousin in the manifest.

    Attributes:
        index: number of the candidate it was. split: what it is for. sha256: of its file.
        distance: mean distance of its objects to those of the twin, in [0, 1], see `matching`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    index: int
    split: Split
    sha256: str
    distance: float

    @property
    def file(self) -> str:
        """Path below the set's folder."""
        return f"cousins/{self.index:06d}.json"


class Manifest(BaseModel):
    """What a set of cousins is.

    Attributes:
        twin: name of the scene. twin_sha256: hash of its description and files.
        config, seed: what was varied, how. task: what every cousin was tried with, "" if with nothing.
        needed: names of objects that no cousin lacks. entries: the cousins. rejected: how many candidates were not
            valid, by reason. tried: number of candidates. versions: of what made them.
        files: hash of the twin's file, of the table of factors and of every mesh and texture, by path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: int = SCHEMA_VERSION
    twin: str
    twin_sha256: str
    config: CousinConfig
    seed: int
    task: str
    needed: tuple[str, ...]
    entries: tuple[Entry, ...]
    rejected: dict[str, int]
    tried: int
    versions: dict[str, str]
    files: dict[str, str]


class CousinFile(BaseModel):
    """Contents of a cousin's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    scene: Scene
    rig: Rig

    def encoded(self) -> bytes:
        """As it is written: the same for the same cousin."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")) + "\n").encode()


@dataclass(frozen=True)
class CousinSet:
    """A folder of cousins; see the module.

    Attributes:
        folder: where it is. manifest: what it is.
    """

    folder: Path
    manifest: Manifest

    def __len__(self) -> int:
        """Number of cousins."""
        return len(self.manifest.entries)

    def indices(self, split: Split | None = None) -> Ints:
        """Positions (m,) of the cousins of a split, of all for None.

        Raises:
            SceneError: there is none.
        """
        found = [k for k, entry in enumerate(self.manifest.entries) if split in (None, entry.split)]
        if not found:
            have = ", ".join(f"{name}: {len(self._of(name))}" for name in SPLITS)
            raise SceneError(f"{self.folder}: no cousin of split {split!r} ({have}); make a larger set")
        return np.array(found, dtype=np.int64)

    def load(self, position: int) -> Cousin:
        """The cousin at a position, checked against its hash.

        Raises:
            SceneError: its file is missing, damaged or was changed.
        """
        entry = self.manifest.entries[position]
        found = CousinFile.model_validate_json(_original(self.folder / entry.file, entry.sha256))
        return Cousin(entry.index, entry.split, found.scene.in_folder(self.folder), found.rig, self.factors(position))

    @cached_property
    def twin(self) -> Scene:
        """The scene that all are cousins of.

        Raises:
            SceneError: its file is missing, damaged or was changed.
        """
        contents = _original(self.folder / TWIN, self.manifest.files.get(TWIN))
        return CousinFile.model_validate_json(contents).scene.in_folder(self.folder)

    def factors(self, position: int) -> dict[str, Factor]:
        """What was drawn for the cousin at a position, by `axis.name`."""
        return {name: column[position] for name, column in self.table.items() if column[position] is not None}

    @cached_property
    def table(self) -> dict[str, list[Any]]:
        """The table of factors: a list over cousins for every factor, None where a cousin has none of it.

        Raises:
            SceneError: the file is missing, damaged or was changed.
        """
        path = self.folder / TABLE
        contents = _original(path, self.manifest.files.get(TABLE))
        try:
            columns: dict[str, list[Any]] = pyarrow.parquet.read_table(pyarrow.BufferReader(contents)).to_pydict()
        except pyarrow.ArrowException as error:
            raise SceneError(f"{path} cannot be read: {error}; make the set again") from error
        return columns

    def damaged(self) -> list[str]:
        """Files that are missing or were changed; reads them all."""
        expected = {entry.file: entry.sha256 for entry in self.manifest.entries} | self.manifest.files
        return [name for name, digest in expected.items() if file_hash(self.folder / name) != digest]

    def _of(self, split: str) -> list[Entry]:
        return [entry for entry in self.manifest.entries if entry.split == split]


def load_cousins(folder: str | Path) -> CousinSet:
    """Opens a set; cousins are read when they are asked for.

    Raises:
        SceneError: it is none, is damaged, or is of another version of the format.
    """
    path = Path(folder)
    if not is_cousin_set(path):
        raise SceneError(f"{path} is no set of cousins: it has no {MANIFEST}; make one with 'pocketworlds cousins'")
    try:
        written = json.loads((path / MANIFEST).read_bytes())
        found = written.get("schema_version") if isinstance(written, dict) else None
        if found != SCHEMA_VERSION:  # what else another format holds, nobody knows
            raise SceneError(f"{path} is of format {found}, this version reads {SCHEMA_VERSION}; make the set again")
        return CousinSet(path, Manifest.model_validate(written))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, ValidationError) as error:
        told = " ".join(str(error).split())[:300]
        raise SceneError(f"{path / MANIFEST} cannot be read: {told}; copy it again") from error


def write_table(path: Path, rows: Sequence[Mapping[str, Factor]]) -> None:
    """Writes `factors.parquet`: the columns in the order in which the rows name them."""
    names: dict[str, None] = {name: None for row in rows for name in row}
    columns = {name: [row.get(name) for row in rows] for name in names}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _original(path: Path, digest: str | None) -> bytes:
    """Contents of a file, which must have this SHA-256."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror}; copy the whole folder of cousins again") from error
    if hashlib.sha256(contents).hexdigest() != digest:
        raise SceneError(f"{path} is not the file that the set was made with; copy it again, or make the set again")
    return contents


def file_hash(path: Path) -> str:
    """SHA-256 of a file in hex digits, "" if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
