"""Makes a set of cousins: candidate after candidate on all cores, resumable, the same for any number of workers.

    make_cousins(load_scene("my_kitchen"), Path("my_kitchen_cousins"), count=1000)

Candidates are tried in chunks, each of which is a pure function of the request; what a chunk found is kept beside the
set in the making, so that an interrupted run goes on where it was. Valid ones are taken in the order of their numbers
until every split has enough.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import SceneError
from ..folders import check_free, new_folder
from ..scenes import Scene
from ..scenes.folder import assets
from ..workers import WorkerPool, processors, unwanted
from .candidate import Rejected, make_cousin
from .config import CousinConfig
from .cousin import MANIFEST, Cousin
from .cousin_set import TABLE, TWIN, CousinFile, CousinSet, Entry, Manifest, file_hash, load_cousins, write_table
from .draft import Family
from .draws import SPLITS, Split
from .family import make_family, scene_hash
from .features import describe
from .library import CATEGORIES
from .library.own import Kind, OwnCategory
from .matching import distance
from .report import write_report
from .rig import NO_DIFFERENCE

CHUNK = 16
"""Candidates in one piece of work."""
PATIENCE = 25
"""So many candidates are tried for each cousin wanted, and a chunk at least, before giving up."""
SHARES: dict[Split, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}

Notify = Callable[[str, float], None]
Counted = Callable[[int, int], None]


class Check(Protocol):
    """Tries a task in a cousin; must pickle."""

    @property
    def name(self) -> str:
        """What it tries, for the manifest."""
        ...

    def __call__(self, cousin: Cousin) -> tuple[str, str] | None:
        """Why the cousin does not do, as a word to count by and a sentence; None if it does."""
        ...


def make_cousins(
    twin: Scene,
    out: Path,
    *,
    count: int,
    config: CousinConfig | None = None,
    seed: int = 0,
    library: Mapping[str, Kind] | None = None,
    check: Check | None = None,
    needed: Collection[str] = (),
    workers: int = 0,
    replace: bool = False,
    notify: Notify = lambda stage, share: None,
    counted: Counted = lambda valid, tried: None,
) -> CousinSet:
    """Makes `count` cousins of a scene, and writes them to the folder `out`.

    Args:
        twin: the scene, at rest. out: the folder to make. count: number of cousins, at least 6.
        config: what varies; None for the defaults. seed: of everything that is drawn.
        library: categories that may stand in; None for the built-in ones.
        check: tries a task in each. needed: names of objects that no cousin may lack.
        workers: processes, 0 for all processors; 1 works in this one. replace: whether a set that is there may go.
        notify: called with what is going on and its finished share in [0, 1]. counted: called after every candidate
            with how many were taken so far, and how many were tried.

    Raises:
        SceneError: the scene does not do, `out` exists or cannot be written, or too few candidates are valid; the
            message says why.
    """
    if count < len(SPLITS) * 2:
        raise SceneError(f"a set has at least {len(SPLITS) * 2} cousins, to have some for each split; got {count}")
    config = config or CousinConfig()
    out = Path(os.path.abspath(out))
    check_free(out, replace=replace, marks=[MANIFEST], noun="set of cousins", error=SceneError)
    request: dict[str, Any] = {
        "twin": scene_hash(twin),
        "config": config.model_dump(mode="json"),
        "seed": seed,
        "check": check.name if check is not None else "",
        "needed": sorted(needed),
        "library": _told_apart(library or CATEGORIES),
        "versions": _versions(),
    }
    making = out.parent / f".{out.name}.making"
    with _told_of_trouble(out):
        _resume(making, request)
        notify("family", 0.0)
        family = make_family(twin, making, library or CATEGORIES, config, seed=seed, needed=needed)
        (making / TWIN).write_bytes(CousinFile(scene=twin, rig=NO_DIFFERENCE).encoded())
        notify("family", 1.0)
        records = _records(family, config, seed, check, making, workers or processors())
        with closing(records):
            found = _find(records, making, count, notify, counted)
        notify("writing", 0.0)
        write_table(making / TABLE, [record["factors"] for record in found.records])
        manifest = Manifest(
            twin=twin.name,
            twin_sha256=request["twin"],
            config=config,
            seed=seed,
            task=request["check"],
            needed=tuple(request["needed"]),
            entries=tuple(_entry(record) for record in found.records),
            rejected=dict(sorted(found.rejected.items())),
            tried=found.tried,
            versions=request["versions"],
            files=_files(making, twin, found.records),
        )
        with new_folder(out, replace=replace, marks=[MANIFEST], noun="set of cousins", error=SceneError) as folder:
            _write(folder, making, manifest, found.records)
            notify("writing", 0.5)
            write_report(folder, manifest, [r["factors"] for r in found.records], family.pools, notify=notify)
    shutil.rmtree(making, ignore_errors=True)
    notify("writing", 1.0)
    return load_cousins(out)


@contextmanager
def _told_of_trouble(out: Path) -> Iterator[None]:
    """Says in a sentence what the system refuses; what was found so far stays for the next run."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise SceneError(
            f"cannot write the set of cousins {out}: {error.strerror or error}{where}; "
            "mend that and run again, which goes on where this ended"
        ) from error
    except BrokenProcessPool as error:
        raise SceneError(
            "a process that makes cousins ended unexpectedly; there may be too little memory for so many workers, or "
            "the script lacks `if __name__ == '__main__':`. Run again, with fewer workers, to go on"
        ) from error


# -- candidates --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """What became of the candidates: the valid ones that are taken, and how many were tried and rejected, by reason."""

    records: list[dict[str, Any]]
    rejected: Counter[str]
    tried: int


def _find(candidates: Iterator[dict[str, Any]], making: Path, count: int, notify: Notify, counted: Counted) -> _Found:
    """Takes candidates in the order of their numbers until every split has enough."""
    wanted = _quotas(count)
    taken: dict[Split, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    rejected: Counter[str] = Counter()
    tried = 0
    most = max(PATIENCE * count, 10 * CHUNK)
    for record in candidates:
        tried += 1
        split: Split = record["split"]
        if "reason" in record:
            rejected[record["reason"]] += 1
        elif len(taken[split]) < wanted[split]:
            taken[split].append(record)
        have = sum(len(found) for found in taken.values())
        counted(have, tried)
        notify("cousins", have / count)
        if have == count:
            break
        if tried >= most:
            told = ", ".join(f"{reason}: {number}" for reason, number in rejected.most_common())
            raise SceneError(
                f"only {have} of {count} cousins after {tried} candidates ({told}); vary less (a nearer kinship, or "
                f"single axes off), or ask for fewer. What was found is kept in {making}"
            )
    records = sorted((r for found in taken.values() for r in found), key=lambda record: record["index"])
    return _Found(records, rejected, tried)


# -- chunks ------------------------------------------------------------------------------------------------------------


def _records(
    family: Family, config: CousinConfig, seed: int, check: Check | None, making: Path, workers: int
) -> Generator[dict[str, Any], None, None]:
    """What became of candidate after candidate, without end; several chunks are under way at a time."""
    with _pool(workers, pickle.dumps((family, config, seed, check))) as pool:
        ahead: list[tuple[Path, Future[list[dict[str, Any]]] | None]] = []
        number = 0
        while True:
            while len(ahead) < (2 * workers if workers > 1 else 1):
                path = making / "chunks" / f"{number:06d}.json"
                ahead.append((path, None if path.exists() else pool.submit(_chunk, number)))
                number += 1
            path, future = ahead.pop(0)
            if future is not None:
                partial = path.with_suffix(".partial")
                partial.write_text(json.dumps(future.result()))
                os.replace(partial, path)
            yield from json.loads(path.read_text())


def _pool(workers: int, common: bytes) -> Executor:
    if workers == 1:
        _start(common)
        return _Here()
    return WorkerPool(workers, _start, (common,))


class _Here(Executor):
    """Does at once, in this process, what it is given: one worker needs no other."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


_COMMON: list[tuple[Family, CousinConfig, int, Check | None]] = []


def _start(common: bytes) -> None:
    """Where chunks are worked on: what they have in common."""
    _COMMON[:] = [pickle.loads(common)]


def _chunk(number: int) -> list[dict[str, Any]]:
    """What became of the candidates of one chunk; less where nobody wants it any more."""
    family, config, seed, check = _COMMON[0]
    numbers = itertools.takewhile(lambda _: not unwanted(), range(CHUNK * number, CHUNK * (number + 1)))
    return [_record(family, config, seed, check, index) for index in numbers]


def _record(family: Family, config: CousinConfig, seed: int, check: Check | None, index: int) -> dict[str, Any]:
    found = make_cousin(family, config, seed, index)
    if isinstance(found, Cousin) and check is not None:
        failed = check(found)
        if failed is not None:
            found = Rejected(index, found.split, *failed)
    if isinstance(found, Rejected):
        return {"index": index, "split": found.split, "reason": found.reason, "detail": found.detail}
    file = CousinFile(scene=found.scene, rig=found.rig).encoded().decode()
    far = {f"distance.{name}": value for name, value in _distances(family, found.scene).items()}
    return {"index": index, "split": found.split, "file": file, "factors": {**found.factors, **far}}


def _distances(family: Family, scene: Scene) -> dict[str, float]:
    """How far each object is from that of the twin, in [0, 1]."""
    found = {}
    for item in scene.objects:
        target = family.pools[item.name].target if item.name in family.pools else None
        if target is not None:
            found[item.name] = distance(target, describe(item, scene.folder or family.twin.folder))
    return found


# -- the folder --------------------------------------------------------------------------------------------------------


def _resume(making: Path, request: dict[str, Any]) -> None:
    """Readies the folder of the set in the making: as a run with the same request left it, else empty."""
    note = making / "request.json"
    told = json.dumps(request, sort_keys=True)
    if making.exists() and (not note.exists() or note.read_text() != told):
        shutil.rmtree(making)
    (making / "chunks").mkdir(parents=True, exist_ok=True)
    note.write_text(told)


def _told_apart(library: Mapping[str, Kind]) -> dict[str, list[str]]:
    """Names of the categories, and of a user's own things in them."""
    return {
        name: [asset.name for asset in kind.assets] if isinstance(kind, OwnCategory) else []
        for name, kind in sorted(library.items())
    }


def _quotas(count: int) -> dict[Split, int]:
    few = {name: max(1, round(count * SHARES[name])) for name in SPLITS[1:]}
    return {SPLITS[0]: count - sum(few.values()), **few}


def _entry(record: dict[str, Any]) -> Entry:
    far = [value for name, value in record["factors"].items() if name.startswith("distance.")]
    return Entry(
        index=record["index"],
        split=record["split"],
        sha256=hashlib.sha256(record["file"].encode()).hexdigest(),
        distance=float(np.mean(far)) if far else 0.0,
    )


def _files(making: Path, twin: Scene, records: list[dict[str, Any]]) -> dict[str, str]:
    """Hashes of twin and table, and of the meshes and textures that the twin and the cousins name, by path."""
    used = {name for r in records for name in assets(CousinFile.model_validate_json(r["file"]).scene)}
    return {name: file_hash(making / name) for name in sorted({TWIN, TABLE, *assets(twin), *used})}


def _write(folder: Path, making: Path, manifest: Manifest, records: list[dict[str, Any]]) -> None:
    for name in manifest.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(making / name, folder / name)
    (folder / "cousins").mkdir()
    for entry, record in zip(manifest.entries, records, strict=True):
        (folder / entry.file).write_text(record["file"])
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("pocketworlds", "mujoco", "numpy")}
