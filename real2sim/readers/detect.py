"""Recognises a capture by what is in it, never by its name, and hands it to the reader of its format."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...errors import CaptureError
from ..capture import Capture
from . import arkitscenes, mesh_file, nerfcapture, photo, polycam, record3d, rgbd_pair, roomplan, scanner_app, stray
from .archive import FileStore, FolderStore, Source, ZipStore
from .guard import reading
from .parse import MAX_TABLE

FRAME_FORMATS: tuple[tuple[Callable[[Source], bool], Callable[[Source], Capture]], ...] = (
    (scanner_app.detect, scanner_app.read),
    (stray.detect, stray.read),
    (record3d.detect, record3d.read),
    (polycam.detect, polycam.read),
    (arkitscenes.detect, arkitscenes.read),
    (nerfcapture.detect, nerfcapture.read),
)
"""Formats of many files: (is it this one?, read it)."""

SUPPORTED = (
    "3D Scanner App (All Data), Stray Scanner, Record3D (.r3d or EXR), Polycam raw data, ARKitScenes, NeRFCapture, "
    "RoomPlan JSON, USDZ, GLB, OBJ, PLY, HEIC portrait photos, and one picture with its depth PNG"
)

NESTING = 4
"""Folders between the path given and the capture (zips often hold the capture in a folder, in a folder)."""

HEAD = 1 << 16
"""Bytes looked at to tell a file's type; long comments may precede the first vertex of an OBJ."""

MAX_CANDIDATES = 64
"""Files looked into when a folder has no known layout."""

PLAIN = (".mov", ".mp4", ".m4v", ".jpg", ".jpeg", ".png")
"""What phones make without a scanning app; for a better message only."""


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
            capture = _open_tree(Source(FolderStore(path)))
        elif not path.is_file():
            raise CaptureError(f"{path}: neither a file nor a folder")
        elif zipfile.is_zipfile(path):
            capture = _open_tree(Source(ZipStore(path)))
        else:
            capture = _open_file(Source(FileStore(path)), path.name)
    return replace(capture, path=path)


def _open_tree(source: Source, *, nested: bool = False) -> Capture:
    """Looks for a known layout at the root and in the only folder below, then for a single known file."""
    levels = [source]
    while len(levels) <= NESTING and len(folders := levels[-1].folders()) == 1:
        levels.append(levels[-1].folder(folders[0]))
    for level in levels:
        for detect, read in FRAME_FORMATS:
            if detect(level):
                return read(level)
    for level in levels:
        capture = _lone_file(level, nested=nested)
        if capture is not None:
            return capture
    folders = levels[-1].folders()
    below = {name: levels[-1].folder(name) for name in folders[:MAX_CANDIDATES]}
    captures = [name for name, folder in below.items() if any(detect(folder) for detect, _ in FRAME_FORMATS)]
    if captures:
        raise CaptureError(f"{source.path}: captures in {', '.join(captures[:8])}; name one of them")
    raise CaptureError(f"{source.path}: not a capture that can be read. Supported: {SUPPORTED}")


def _lone_file(source: Source, *, nested: bool) -> Capture | None:
    """The only room, mesh or photo among the files of a folder, or its picture with depth."""
    root = next(iter(source.files), "")  # of a USDZ the first file, by its specification
    if isinstance(source.store, ZipStore) and root.lower().endswith((".usda", ".usdc", ".usd")):
        return _read_usd(source, root)
    names = [name for name in source.under("") if _is_scan(source, name)][: MAX_CANDIDATES + 1]
    if len(names) > 1:
        raise CaptureError(f"{source.path}: several scans ({', '.join(names[:8])}); name one of them")
    if names:
        return _open_file(source, names[0], nested=nested)
    pair = rgbd_pair.find_pair(source)
    return rgbd_pair.read(source, *pair) if pair else None


def _is_scan(source: Source, name: str) -> bool:
    kind = _kind(source, name)
    if kind == "json":
        return source.files[name] <= MAX_TABLE and b'"walls"' in source.read(name)
    return kind is not None


def _open_file(source: Source, name: str, *, nested: bool = False) -> Capture:
    """Opens one file by its first bytes."""
    kind = _kind(source, name)
    if kind == "heif":
        return photo.read(source, name)
    if kind == "usd":
        return _read_usd(source, name)
    if kind == "json":
        return roomplan.read(source, name)
    if kind == "zip":
        if nested:
            raise CaptureError(f"{source.where(name)}: an archive in an archive in an archive; unpack it first")
        return _open_tree(Source(ZipStore(source.local_path(name))), nested=True)
    if kind is not None:
        return mesh_file.read(source, name, kind)
    hint = ""
    if name.lower().endswith(PLAIN):
        hint = ". A plain picture or video has no depth: scan with one of these apps, or take a Portrait photo (HEIC)"
    raise CaptureError(f"{source.where(name)}: not a capture that can be read. Supported: {SUPPORTED}{hint}")


def _kind(source: Source, name: str) -> str | None:
    """Type of a file by content: "heif", "usd", "zip", "json", "glb", "ply" or "obj"."""
    head = source.head(name, HEAD)
    if photo.is_heif(head):
        return "heif"
    if head.startswith((b"PXR-USDC", b"#usda")):
        return "usd"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        return "json"
    return mesh_file.kind_of(head)


def _read_usd(source: Source, root: str) -> Capture:
    from . import usdz  # OpenUSD takes a quarter of a second to import

    return usdz.read(source, root)
