"""Folders that appear complete or not at all: written beside their place, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .errors import PocketWorldsError


def check_free(out: Path, *, replace: bool, marks: Sequence[str], noun: str, error: type[PocketWorldsError]) -> None:
    """Refuses a place that `new_folder` would refuse, before the work that goes into it; see there."""
    if out.exists():
        if not replace:
            raise error(f"{out} exists already; choose another folder, or pass --replace to overwrite it")
        if not out.is_dir() or (any(out.iterdir()) and not any((out / mark).exists() for mark in marks)):
            raise error(f"{out} is not a {noun} and will not be overwritten; choose another folder")


@contextmanager
def new_folder(
    out: Path, *, replace: bool, marks: Sequence[str], noun: str, error: type[PocketWorldsError]
) -> Iterator[Path]:
    """Gives a temporary folder beside `out`; it takes that place on success and is removed on failure.

    Args:
        out: the folder to make. replace: whether one that is there may go.
        marks: it may go only if it is empty or has one of these files in it.
        noun: what the folder is, in words, and `error`: what to raise.

    Raises:
        error: `out` exists and may not go, or its parent cannot be written to.
    """
    out = Path(os.path.abspath(out))
    check_free(out, replace=replace, marks=marks, noun=noun, error=error)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.partial-", dir=out.parent))
    except OSError as reason:
        raise error(f"cannot write beside {out}: {reason.strerror}; choose a writable place") from reason
    try:
        yield partial
        umask = os.umask(0)
        os.umask(umask)
        partial.chmod(0o777 & ~umask)
        if out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old-", dir=out.parent))
            os.replace(out, old / out.name)
            os.replace(partial, out)
            shutil.rmtree(old)
        else:
            os.replace(partial, out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_texts(folder: Path, files: Mapping[str, str]) -> None:
    """Writes texts by name into a folder, which is made if need be; each appears completely or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, words in files.items():
        partial = folder / f".{name}.partial"
        partial.write_text(words, encoding="utf-8")
        os.replace(partial, folder / name)
