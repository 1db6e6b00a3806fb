"""Worker processes: Ctrl+C, which a terminal sends to all of them, is their parent's to answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""

_PASSED_ON_EVERY = 0.2  # seconds


class WorkerPool(ProcessPoolExecutor):
    """Processes that start afresh (no fork) and never see Ctrl+C.

    Leaving the `with` block drops what waits, tells workers that what they are at is needed no more (`unwanted`), and
    waits for them. No signal ends them: one that dies while it sends would leave the pool waiting for the rest.

    Args:
        workers: how many. initializer, initargs: called first in each of them.
    """

    def __init__(self, workers: int, initializer: Callable[..., None] | None = None, initargs: tuple[Any, ...] = ()):
        context = get_context("spawn")
        self._unwanted = context.RawValue("b", 0)
        super().__init__(workers, context, _start, (self._unwanted, workers, initializer, initargs))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As of every executor."""
        with interrupts_blocked():  # workers start as they are needed
            return super().submit(fn, *args, **kwargs)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unwanted.value = 1
        self.shutdown(cancel_futures=True)


def work_off(jobs: Sequence[T], work: Callable[[T, Notify], None], workers: int, notify: Notify) -> None:
    """Has `work(job, notify)` done for all jobs, by so many processes, and passes on what they tell.

    Raises:
        BrokenProcessPool: a worker died. What `work` raises; the others end when they tell something next.
    """
    told = get_context("spawn").SimpleQueue()  # what is told is there before its job is said to be done
    with WorkerPool(min(workers, len(jobs)) or 1, _enlist, (told,)) as pool:
        waiting = {pool.submit(_work, work, job) for job in jobs}
        while waiting:
            done, waiting = wait(waiting, _PASSED_ON_EVERY, FIRST_COMPLETED)
            while not told.empty():
                notify(*told.get())
            for each in done:
                each.result()


def processors() -> int:
    """Processors this process may run on, a worker's share of them: more threads only get in each other's way."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(there // _TOGETHER[0], 1)


_TOGETHER = [1]  # workers that share the processors with this one
_UNWANTED: list[Any] = []
_TOLD: list[Any] = []  # of a worker of `work_off`: where it tells


def unwanted() -> bool:
    """Whether nobody waits any more for what this worker is at; False in a process that is none."""
    return any(flag.value for flag in _UNWANTED)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Processes that are started in here never see Ctrl+C, not even while they import what they need."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # what else would start it would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(unwanted: Any, workers: int, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    _UNWANTED[:] = [unwanted]
    _TOGETHER[:] = [workers]
    if initializer is not None:
        initializer(*initargs)


def _enlist(told: Any) -> None:
    _TOLD[:] = [told]


def _work(work: Callable[[T, Notify], None], job: T) -> None:
    def notify(stage: str, share: float) -> None:
        if unwanted():
            raise InterruptedError
        _TOLD[0].put((stage, share))

    work(job, notify)
