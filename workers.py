"""Worker processes: Ctrl+C, which a terminal sends to all of them, is their parent's to answer."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


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
        super().__init__(workers, context, _start, (self._unwanted, initializer, initargs))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As of every executor."""
        with interrupts_blocked():  # workers start as they are needed
            return super().submit(fn, *args, **kwargs)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._unwanted.value = 1
        self.shutdown(cancel_futures=True)


_UNWANTED: list[Any] = []


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


def _start(unwanted: Any, initializer: Callable[..., None] | None, initargs: tuple[Any, ...]) -> None:
    _UNWANTED[:] = [unwanted]
    if initializer is not None:
        initializer(*initargs)
