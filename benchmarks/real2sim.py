"""The reconstruction benchmark: simulated captures with exact truth, rebuilt by `scan` and compared.

    result = run_benchmark(count=24, out=Path("out/bench-real2sim"))
    print(result.table())

For every seed a scene is generated and scanned by the simulated phone, rebuilt, and scored (`real2sim_scene`). Each is
done in a process of its own, so that its peak memory is its own and a crash costs one scene. Everything finished is
kept in `out` and used again, as long as the code it depends on, the libraries' versions and the options are the same:

    <out>/<scene>/capture/      what the phone recorded     truth.json, meshes/   the truth
    <out>/<scene>/scene/        the rebuilt scene           score.json            its score
    <out>/results.json          all figures                 results.md            the same as tables
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..errors import SceneError
from ..real2sim.phone import PhoneModel
from ..workers import interrupts_blocked, processors
from .ground_truth_scenes import Layout, benchmark_set, generate_scene, truth_record, write_scene
from .real2sim_results import BenchmarkResult, Header
from .real2sim_scene import failed_scene, score_scene
from .real2sim_scores import SceneScore

Notify = Callable[[str, float], None]
"""Called with what is going on and its finished share in [0, 1]."""

LIBRARIES = ("mujoco", "open3d", "coacd", "manifold3d", "trimesh", "scikit-image", "scipy", "numpy")
SIMULATED, REBUILT = 0.35, 0.9
"""Shares of a scene's time after which it is simulated, and rebuilt: only for the progress bar."""
_STAGES = 9


@dataclass(frozen=True)
class _Job:
    """One scene to do."""

    seed: int
    layout: Layout
    support: Literal["table", "floor"]
    out: Path
    phone: PhoneModel
    texture: bool
    maximum_frames: int

    @property
    def name(self) -> str:
        return f"{self.layout}-{self.support}-{self.seed:04d}"


def run_benchmark(
    *,
    count: int = 24,
    out: str | Path = "out/bench-real2sim",
    seed: int = 0,
    notify: Notify | None = None,
    texture: bool = False,
    fresh: bool = False,
    workers: int = 2,
    phone: PhoneModel | None = None,
    maximum_frames: int = 400,
) -> BenchmarkResult:
    """Makes, rebuilds and scores `count` captures; writes `results.json` and `results.md` into `out`.

    Args:
        count: captures, half of them with objects apart and half in contact, a third on the floor.
        out: folder for everything; finished parts found there are used again.
        seed: of the first scene; the others follow.
        notify: progress.
        texture: bake textures too; changes no score.
        fresh: do everything again.
        workers: scenes at a time, each in a process of its own.
        phone: the simulated phone, the default `PhoneModel` if None.
        maximum_frames: depth frames that `scan` uses.

    Raises:
        SceneError: `out` cannot be written, or holds a folder of a scene's name that is not ours.
    """
    out, phone, notify = Path(out).absolute(), phone or PhoneModel(), notify or (lambda name, share: None)
    jobs = [
        _Job(s, layout, support, out, phone, texture, maximum_frames)
        for s, layout, support in benchmark_set(count, seed)
    ]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            _check_ours(out / job.name)
            if fresh:
                shutil.rmtree(out / job.name, ignore_errors=True)
        scores = [] if not jobs else _run_all(jobs, workers, notify)
        result = BenchmarkResult(_header(jobs, workers), tuple(scores))
        _write(out / "results.json", json.dumps(result.to_dict(), indent=1, allow_nan=False) + "\n")
        _write(out / "results.md", result.markdown())
    except OSError as error:
        raise SceneError(f"cannot write into {out}: {error.strerror or error}; choose a writable place") from error
    shutil.rmtree(out / ".stages", ignore_errors=True)
    return result


# One scene, in a process of its own -----------------------------------------------------------------------------------


def _run_scene(job: _Job, progress: Callable[[float], None]) -> SceneScore:
    """Simulates, rebuilds and scores one scene, or takes from its folder what is there already."""
    home = job.out / job.name
    keys = _keys(job)
    score = _kept_score(home, keys["score"])
    if score is not None:
        return score
    start = time.perf_counter()
    truth = generate_scene(job.seed, job.layout, job.support)
    expected = json.loads(json.dumps(truth_record(truth)))
    record = _kept_truth(home, keys["capture"])
    if record is None or any(record.get(key) != value for key, value in expected.items()):
        shutil.rmtree(home, ignore_errors=True)
        partial = job.out / f".{job.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        made = write_scene(truth, partial, phone=job.phone)
        _write(made / "capture.key", keys["capture"])
        made.rename(home)
        partial.rmdir()
        record = json.loads((home / "truth.json").read_text())
    simulated = time.perf_counter() - start
    progress(SIMULATED)

    from ..errors import CaptureError
    from ..real2sim.pipeline import ScanOptions, scan
    from ..real2sim.report import SceneReport
    from ..scenes import load_scene

    done: set[str] = set()

    def notify(stage: str, share: float) -> None:
        done.update([stage] if share >= 1 else [])
        progress(SIMULATED + (REBUILT - SIMULATED) * min(1.0, len(done) / _STAGES))

    folder, left = home / "scene", home / "scene.key"
    if not (folder.is_dir() and left.is_file() and left.read_text() == keys["scene"]):
        # Stages that an interrupted scan left behind are only good for the code that made them.
        os.environ["POCKETWORLDS_CACHE"] = str(job.out / ".stages" / keys["scene"][:16])
        left.unlink(missing_ok=True)
        options = ScanOptions(texture=job.texture, maximum_frames=job.maximum_frames)
        try:
            scan(home / "capture", folder, options=options, replace_existing=True, notify=notify)
        except (CaptureError, SceneError) as error:
            return failed_scene(truth, " ".join(str(error).split()))
        _write(left, keys["scene"])
    progress(REBUILT)
    start = time.perf_counter()
    report = SceneReport.model_validate_json((folder / "report.json").read_text())
    score = score_scene(truth, load_scene(folder), np.array(record["world_from_arkit_zup"])).model_copy(
        update={
            "stages": report.stages,
            "left_out": tuple(note for note in report.capture.notes if note.startswith("Left out")),
            "simulate_seconds": simulated,
        }
    )
    score = score.model_copy(update={"score_seconds": time.perf_counter() - start})
    _write(home / "score.json", json.dumps({"key": keys["score"], "score": score.model_dump(mode="json")}, indent=1))
    return score


def _check_ours(home: Path) -> None:
    """What this benchmark has not made it must not replace."""
    if home.exists() and not (home / "capture.key").is_file():
        raise SceneError(f"{home} was not made by this benchmark and will not be overwritten; choose another folder")


def _kept_score(home: Path, key: str) -> SceneScore | None:
    try:
        kept = json.loads((home / "score.json").read_text())
        return SceneScore.model_validate(kept["score"]) if kept["key"] == key else None
    except (OSError, ValueError, KeyError):
        return None


def _kept_truth(home: Path, key: str) -> dict[str, Any] | None:
    try:
        if (home / "capture.key").read_text() != key or not (home / "capture").is_dir():
            return None
        record: dict[str, Any] = json.loads((home / "truth.json").read_text())
        return record
    except (OSError, ValueError):
        return None


def _keys(job: _Job) -> dict[str, str]:
    """What a capture, a rebuilt scene and a score depend on: source files, library versions, options."""
    root = Path(__file__).resolve().parent.parent
    simulator = [*root.glob("real2sim/phone*.py"), *root.glob("benchmarks/ground_truth*.py")]
    rebuilding = [*root.glob("real2sim/**/*.py"), *root.glob("scenes/*.py")]
    scoring = [
        *root.glob("benchmarks/real2sim_sc*.py"),
        root / "benchmarks/scoring.py",
        root / "benchmarks/trajectories.py",
    ]
    capture = _digest(simulator, [job.name, asdict(job.phone), _versions(("mujoco", "numpy", "scipy"))])
    scene = _digest(rebuilding, [capture, job.texture, job.maximum_frames, _versions(LIBRARIES)])
    return {"capture": capture, "scene": scene, "score": _digest(scoring, [scene])}


def _digest(files: Sequence[Path], more: object) -> str:
    digest = hashlib.sha256(json.dumps(more, sort_keys=True).encode())
    for file in sorted(files):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


# Processes ------------------------------------------------------------------------------------------------------------


def _run_all(jobs: Sequence[_Job], workers: int, notify: Notify) -> list[SceneScore]:
    """The scores of all jobs, in order."""
    context = multiprocessing.get_context("spawn")
    waiting = list(jobs)
    running: dict[Connection, tuple[_Job, Any]] = {}
    scores: dict[str, SceneScore] = {}
    shares: dict[str, float] = {}
    total = f"{len(jobs)} scenes"
    notify(total, 0.0)
    with _threads(workers):
        try:
            while waiting or running:
                while waiting and len(running) < max(1, workers):
                    job = waiting.pop(0)
                    ours, theirs = context.Pipe(duplex=False)
                    process = context.Process(target=_work, args=(theirs, job), name=job.name)
                    with (
                        interrupts_blocked()
                    ):  # only the parent answers Ctrl+C, and ends its children in an orderly way
                        process.start()
                    theirs.close()
                    running[ours] = (job, process)
                    shares[job.name] = 0.0
                for pipe in wait(list(running), timeout=1.0):
                    assert isinstance(pipe, Connection)
                    job, process = running[pipe]
                    message = _received(pipe)
                    if isinstance(message, float):
                        shares[job.name] = min(message, 0.999)
                        continue
                    process.join()
                    del running[pipe]
                    if not isinstance(message, SceneScore):
                        reason = message or f"its process ended with code {process.exitcode}"
                        message = failed_scene(generate_scene(job.seed, job.layout, job.support), reason)
                    scores[job.name] = message
                    notify(job.name, 1.0)
                    notify(total, len(scores) / len(jobs))
                # Once a second, so that the caller can stop the run even while nothing is heard of the workers.
                for job, _ in running.values():
                    notify(job.name, shares[job.name])
        finally:
            for _, process in running.values():
                process.terminate()
            for _, process in running.values():
                process.join()
    return [scores[job.name] for job in jobs]


def _received(pipe: Connection) -> float | SceneScore | str:
    """A share of progress, the score, or why there is none ("": the process ended without a word)."""
    try:
        message: float | SceneScore | str = pipe.recv()
        return message
    except (EOFError, OSError):
        return ""


def _work(pipe: Connection, job: _Job) -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        pipe.send(_run_scene(job, lambda share: pipe.send(float(share))))
    except Exception as error:
        import traceback

        traceback.print_exc()
        pipe.send(f"{type(error).__name__}: {' '.join(str(error).split())}")


@contextmanager
def _threads(workers: int) -> Iterator[None]:
    """Shares the processors between the workers, unless the user has said how many threads to use."""
    share = str(max(1, processors() // max(1, workers)))
    names = [name for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, share))
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)


# What was run ---------------------------------------------------------------------------------------------------------


def _header(jobs: Sequence[_Job], workers: int) -> Header:
    return Header(
        seeds=tuple(job.seed for job in jobs),
        texture=any(job.texture for job in jobs),
        maximum_frames=max((job.maximum_frames for job in jobs), default=0),
        phone=asdict(jobs[0].phone) if jobs else {},
        standard_phone=all(job.phone == PhoneModel() for job in jobs),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        workers=workers,
        platform=platform.platform(terse=True),
        versions=_versions(("pocketworlds", *LIBRARIES)),
        code=_keys(jobs[0])["score"][:12] if jobs else "",
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _versions(names: Sequence[str]) -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
