"""Stages that are timed, cached on disk and resumable: an interrupted scan goes on where it stopped."""

from __future__ import annotations

import hashlib
import os
import pickle
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .report import StageRecord

T = TypeVar("T")


def cache_root() -> Path:
    """Where unfinished scans keep their stages: `$POCKETWORLDS_CACHE`, else the user's cache folder."""
    if "POCKETWORLDS_CACHE" in os.environ:
        return Path(os.environ["POCKETWORLDS_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pocketworlds"


def _code_version() -> str:
    """A digest of the source of this room and of `scenes`: results of other code are not reused."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for source in (*sorted(here.glob("*.py")), *sorted((here.parent / "scenes").glob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def fingerprint(path: Path) -> str:
    """A digest of a capture's file names, sizes and times: changes when the capture does, costs no reading."""
    digest = hashlib.sha256(str(path.resolve()).encode())
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        status = file.stat()
        digest.update(
            f"{file.relative_to(path) if path.is_dir() else ''}|{status.st_size}|{status.st_mtime_ns}".encode()
        )
    return digest.hexdigest()


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far [MB]."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


class StageRunner:
    """Runs stages in order, each with its time, memory and figures, and keeps their results until the scan is
    finished."""

    def __init__(self, key: str, notify: Callable[[str, float], None] | None = None) -> None:
        self.folder = cache_root() / "scan" / hashlib.sha256(f"{_code_version()}|{key}".encode()).hexdigest()[:24]
        self.records: list[StageRecord] = []
        self._notify = notify or (lambda name, share: None)

    def run(
        self,
        name: str,
        work: Callable[[Callable[[float], None]], T],
        summarize: Callable[[T], dict[str, float | int | str]],
        *,
        cached: bool = True,
    ) -> T:
        """Gives the stage's result, from the cache if it was finished before. `work` gets a progress callback."""
        start = time.perf_counter()
        self._notify(name, 0.0)
        result = self._load(name) if cached else None
        reused = result is not None
        if result is None:
            result = work(lambda share: self._notify(name, min(share, 0.999)))
            if cached:
                self._save(name, result)
        self._notify(name, 1.0)
        self.records.append(
            StageRecord(
                name=name,
                seconds=time.perf_counter() - start,
                cached=reused,
                peak_memory_mb=peak_memory_mb(),
                summary=summarize(result),
            )
        )
        return result

    def finish(self) -> None:
        """Removes the cache of a scan that is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _load(self, name: str) -> T | None:  # type: ignore[type-var]
        try:
            with (self.folder / f"{name}.pickle").open("rb") as file:
                value: T = pickle.load(file)
                return value
        except FileNotFoundError:
            return None
        except Exception:
            # Whatever is wrong with a cache file, doing the work again is right.
            return None

    def _save(self, name: str, result: object) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / f"{name}.{os.getpid()}.partial"
        with partial.open("wb") as file:
            pickle.dump(result, file, protocol=pickle.HIGHEST_PROTOCOL)
        os.replace(partial, self.folder / f"{name}.pickle")
