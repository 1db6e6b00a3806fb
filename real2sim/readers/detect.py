"""Recognises a capture by what is in it, never by its name, and hands it to the reader of its format."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from ...errors import CaptureError
from ..capture import Capture
from . import scanner_app, stray
from .archive import FolderStore, Source, ZipStore
from .guard import reading

Reader = tuple[Callable[[Source], bool], Callable[[Source], Capture]]

FOLDER_FORMATS: tuple[Reader, ...] = (
    (scanner_app.detect, scanner_app.read),
    (stray.detect, stray.read),
)

SUPPORTED = "3D Scanner App (All Data), Stray Scanner"

NESTING = 4
"""Folders between the path given and the capture (zips often hold the capture in a folder, in a folder)."""


def open_capture(path: str | Path) -> Capture:
    """Opens a phone capture of any supported format.

    Args:
        path: a folder, a zip archive of it, or a single file.

    Returns:
        The capture, frames not yet decoded. Loaders of its frames raise nothing but `CaptureError`.

    Raises:
        CaptureError: if the path does not exist, the format is unknown, or nothing usable is in it; the message says
            what was wrong, where, and what to do.
    """
    path = Path(path)
    with reading(str(path)):
        if not path.exists():
            raise CaptureError(f"{path}: no such file or folder")
        if path.is_dir():
            return _open_tree(Source(FolderStore(path)))
        if zipfile.is_zipfile(path):
            return _open_tree(Source(ZipStore(path)))
    raise CaptureError(f"{path}: not a capture PocketWorlds knows; supported are {SUPPORTED}")


def _open_tree(source: Source) -> Capture:
    """Looks for a known layout here, then in the only folder below."""
    here = source
    for _ in range(NESTING):
        for detect, read in FOLDER_FORMATS:
            if detect(here):
                return read(here)
        folders = here.folders()
        if len(folders) != 1:
            break
        here = here.folder(folders[0])
    raise CaptureError(f"{source.path}: not a capture PocketWorlds knows; supported are {SUPPORTED}")
