"""Read-only file trees: a folder, or a zip archive whose members are read in place.

A reader sees a `Source`: names with sizes, relative to the capture's own root. Only listed names can be opened, so a
path inside a capture file ("../../secret", "/etc/passwd") can never leave it. Archives are checked before anything is
read: names that escape, links, encryption, too many entries, and sizes or ratios of a zip bomb.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tempfile
import weakref
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from ...errors import CaptureError
from ..capture import Skipped

MAX_FILES = 500_000
"""Ten minutes of Stray Scanner at 60 Hz are 72,000 files."""

MAX_UNPACKED = 32 << 30
MAX_RATIO = 100
RATIO_FLOOR = 256 << 20
"""A zip may unpack to 32 GiB, and beyond 256 MiB to at most 100 times its own size (pictures hardly compress)."""

MAX_READ = 256 << 20
"""Largest file read into memory whole: meshes; pictures, tables and JSON are far smaller."""

FOLDER_DEPTH = 8


class Store(Protocol):
    """Where bytes come from: a folder or an archive."""

    path: Path
    files: Mapping[str, int]
    skipped: tuple[Skipped, ...]

    def open(self, name: str) -> IO[bytes]:
        """Opens a listed file."""

    def local_path(self, name: str) -> Path:
        """The file on disk, for libraries that want a path."""


class FolderStore:
    """The regular files below a folder; linked folders are not followed, links out of the folder are skipped."""

    def __init__(self, path: Path, *, depth: int = FOLDER_DEPTH) -> None:
        self.path = path.resolve()
        files: dict[str, int] = {}
        skipped: list[Skipped] = []
        for folder, folders, names in os.walk(self.path):
            here = Path(folder)
            relative = here.relative_to(self.path)
            folders[:] = sorted(name for name in folders if not _is_clutter(name))
            if len(relative.parts) >= depth:
                folders.clear()
            for name in sorted(names):
                if _is_clutter(name):
                    continue
                full, key = here / name, (relative / name).as_posix()
                if full.is_symlink() and not full.resolve().is_relative_to(self.path):
                    skipped.append(Skipped(key, "a link that leaves the capture folder"))
                    continue
                try:
                    status = full.stat()
                except OSError:
                    skipped.append(Skipped(key, "unreadable or a broken link"))
                    continue
                if stat.S_ISREG(status.st_mode):  # a pipe or device would block for ever
                    files[key] = status.st_size
            if len(files) > MAX_FILES:
                raise CaptureError(f"{path}: more than {MAX_FILES:,} files; name the folder of one capture")
        self.files: Mapping[str, int] = files
        self.skipped = tuple(skipped)

    def open(self, name: str) -> IO[bytes]:
        """Opens a listed file."""
        return (self.path / name).open("rb")

    def local_path(self, name: str) -> Path:
        """The file itself."""
        return self.path / name


class FileStore:
    """One file, and the files that lie beside it (an OBJ names its materials and pictures)."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve().parent
        beside = [item for item in self.path.iterdir() if item.is_file() and not item.is_symlink()]
        self.files: Mapping[str, int] = {item.name: item.stat().st_size for item in (path.resolve(), *sorted(beside))}
        self.skipped: tuple[Skipped, ...] = ()

    def open(self, name: str) -> IO[bytes]:
        """Opens a listed file."""
        return (self.path / name).open("rb")

    def local_path(self, name: str) -> Path:
        """The file itself."""
        return self.path / name


class ZipStore:
    """The members of a zip archive, read in place; files that need a path are unpacked to a temporary folder.

    The folder lives as long as the store, which the capture's loaders keep alive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = zipfile.ZipFile(path)
        self.files: Mapping[str, int] = _checked_members(path, self._zip)
        self.skipped: tuple[Skipped, ...] = ()
        self._folder: Path | None = None

    def open(self, name: str) -> IO[bytes]:
        """Opens a listed member."""
        return self._zip.open(name)

    def local_path(self, name: str) -> Path:
        """Unpacks the member on first use."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="pocketworlds-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        target = self._folder / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(target.name + ".partial")
            with self.open(name) as source, partial.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            partial.rename(target)
        return target


@dataclass(frozen=True)
class Source:
    """A capture's files, seen from its own root.

    Attributes:
        store: the folder or archive.
        prefix: the capture's root inside the store, "" or ending in "/".
        files: name relative to the root -> bytes.
    """

    store: Store
    prefix: str = ""
    files: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        cut = len(self.prefix)
        inside = {name[cut:]: size for name, size in self.store.files.items() if name.startswith(self.prefix)}
        object.__setattr__(self, "files", inside)

    def __contains__(self, name: str) -> bool:
        return name in self.files

    @property
    def path(self) -> Path:
        """The capture's root, for messages and `Capture.path`."""
        return self.store.path / self.prefix if self.prefix else self.store.path

    def where(self, name: str) -> str:
        """How messages name a file."""
        return str(self.path / name)

    def folder(self, name: str) -> Source:
        """The same files seen from a folder below."""
        return Source(self.store, f"{self.prefix}{name}/")

    def folders(self) -> list[str]:
        """Names of the folders right below the root, sorted."""
        return sorted({name.split("/", 1)[0] for name in self.files if "/" in name})

    def under(self, folder: str, *suffixes: str) -> list[str]:
        """Sorted names of the files directly in `folder` ("" is the root) that end in one of `suffixes` (any case)."""
        start = f"{folder}/" if folder else ""
        return sorted(
            name
            for name in self.files
            if name.startswith(start)
            and "/" not in name[len(start) :]
            and (not suffixes or name.lower().endswith(suffixes))
        )

    def find(self, reference: str, *, beside: str = "") -> str | None:
        """Resolves a path written in a capture file to a listed name, or None: it cannot leave the capture."""
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(beside), reference.replace("\\", "/")))
        return joined if joined in self.files else None

    def read(self, name: str, *, limit: int = MAX_READ) -> bytes:
        """The whole file.

        Raises:
            CaptureError: if it is missing or larger than `limit` bytes.
        """
        self._require(name)
        if self.files[name] > limit:
            raise CaptureError(f"{self.where(name)}: {self.files[name]:,} bytes are more than {limit:,}; damaged?")
        with self.store.open(self.prefix + name) as stream:
            return stream.read(limit)

    def head(self, name: str, count: int) -> bytes:
        """The first `count` bytes."""
        self._require(name)
        with self.store.open(self.prefix + name) as stream:
            return stream.read(count)

    def local_path(self, name: str) -> Path:
        """The file on disk (unpacked if it lies in an archive)."""
        self._require(name)
        return self.store.local_path(self.prefix + name)

    def _require(self, name: str) -> None:
        if name not in self.files:
            raise CaptureError(f"{self.where(name)}: missing; copy the whole capture off the phone again")


def _is_clutter(name: str) -> bool:
    return name in {"__MACOSX", ".DS_Store", "Thumbs.db", ".git"} or name.startswith("._")


def _checked_members(path: Path, archive: zipfile.ZipFile) -> dict[str, int]:
    """Names and sizes of a zip's files, or a `CaptureError` if the archive is not to be trusted."""
    entries = archive.infolist()
    if len(entries) > MAX_FILES:
        raise CaptureError(f"{path}: {len(entries):,} entries, more than {MAX_FILES:,}; refused as a zip bomb")
    files: dict[str, int] = {}
    total = 0
    for entry in entries:
        parts = PurePosixPath(entry.filename).parts
        if (
            entry.filename.startswith("/")
            or ".." in parts
            or "\\" in entry.filename
            or "\0" in entry.orig_filename
            or (parts and parts[0].endswith(":"))
        ):
            raise CaptureError(f"{path}: entry {entry.filename!r} leads out of the archive; refused")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise CaptureError(f"{path}: entry {entry.filename!r} is a link; zip the capture again without links")
        if entry.is_dir() or any(_is_clutter(part) for part in parts):
            continue
        if entry.flag_bits & 1:
            raise CaptureError(f"{path}: entry {entry.filename!r} is encrypted; zip the capture without a password")
        if entry.filename in files:
            raise CaptureError(f"{path}: two entries are named {entry.filename!r}; zip the capture again")
        files[entry.filename] = entry.file_size
        total += entry.file_size
    packed = max(path.stat().st_size, 1)
    if total > MAX_UNPACKED or (total > RATIO_FLOOR and total > MAX_RATIO * packed):
        raise CaptureError(f"{path}: {packed:,} bytes would unpack to {total:,}; refused as a zip bomb")
    return files
