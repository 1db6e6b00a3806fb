"""Other libraries' environments, stepped in processes of their own and by turns with ours."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

WORKER = Path(__file__).with_name("peer_worker.py")

PEERS: dict[str, tuple[str, str, float]] = {
    "fetch": ("gymnasium-robotics FetchPickAndPlace", "PocketWorlds/PickPlace-v0", 5.0),
    "robosuite": ("robosuite Lift", "PocketWorlds/Lift-v0", 50.0),
}
"""What each peer is called, the environment of ours it is compared with, and how many times faster ours is to be than
the peer's own fastest mode; a user who starts one peer a processor and joins them himself is compared with beside."""


@dataclass(frozen=True)
class Mode:
    """A way to run a peer: `processes` workers, each with `count` environments in vector mode `vector`."""

    vector: str
    count: int
    processes: int = 1

    def __str__(self) -> str:
        together = f" in each of {self.processes} processes" if self.processes > 1 else ""
        return f"{self.vector} x {self.count}{together}"


def modes(peer: str, processors: int) -> list[Mode]:
    """The ways worth trying; the fastest of one process, and the fastest of all, are compared with."""
    if peer == "fetch":
        return [
            Mode("sync", 1),
            Mode("sync", 8),
            Mode("sync", 8, processors),
            Mode("async", processors),
            Mode("async", 2 * processors),
            Mode("async", 4 * processors),
        ]
    return [Mode("single", 1), Mode("single", 1, processors)]


class PeerError(RuntimeError):
    """A peer cannot be run; the message says why."""


class Peer:
    """A peer in one mode: its workers wait, using no processor, until `run`."""

    def __init__(self, name: str, mode: Mode, python: str, substeps: int) -> None:
        """Starts the workers.

        Raises:
            PeerError: the interpreter has not got the library, or the library does not run there.
        """
        self.mode = mode
        command = [python, str(WORKER), name, mode.vector, str(mode.count), str(substeps)]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        environment.pop("PYTHONPATH", None)  # ours, which may hide the peer's own libraries
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 - closed by `close`
        self._workers: list[subprocess.Popen[str]] = []
        try:
            for _ in range(mode.processes):
                worker = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._log,
                    text=True,
                )
                self._workers.append(worker)
            self.about: dict[str, Any] = [self._answer(worker) for worker in self._workers].pop()
        except OSError as error:
            self.close()
            raise PeerError(f"{python}: {error}") from error
        except PeerError:
            self.close()
            raise

    def run(self, seconds: float) -> float:
        """Environment steps per second over about `seconds`, all workers together."""
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{seconds}\n")
            worker.stdin.flush()
        return float(sum(steps / taken for steps, taken in (self._answer(worker) for worker in self._workers)))

    def close(self) -> None:
        """Ends the workers."""
        for worker in self._workers:
            assert worker.stdin is not None
            assert worker.stdout is not None
            with contextlib.suppress(OSError):
                worker.stdin.close()
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            worker.stdout.close()
        self._log.close()

    def _answer(self, worker: subprocess.Popen[str]) -> Any:
        assert worker.stdout is not None
        line = worker.stdout.readline()
        if not line:
            self._log.seek(0)
            told = [part.strip() for part in self._log.read().splitlines() if part.strip()]
            raise PeerError(told[-1] if told else "its process ended without a word")
        return json.loads(line)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find_python(name: str, pythons: Sequence[str], substeps: int) -> str:
    """The first interpreter that runs a peer; our own is tried last.

    Raises:
        PeerError: none does; the message gives each one's reason.
    """
    reasons = []
    for python in [*pythons, sys.executable]:
        try:
            with Peer(name, modes(name, 1)[0], python, substeps):
                return python
        except PeerError as error:
            reasons.append(f"{python}: {error}")
    raise PeerError("; ".join(reasons))
