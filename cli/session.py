"""How a command answers and ends: its answer on stdout, one sentence and an exit code on every other end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from ..errors import PocketWorldsError

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Debug = Annotated[
    bool, typer.Option("--debug", envvar="POCKETWORLDS_DEBUG", help="Show the traceback of unexpected errors.")
]


class Session:
    """One command.

    Args:
        as_json: the answer is one JSON object. debug: unexpected errors show their traceback.
        if_interrupted: what an interruption leaves, as the end of a sentence.
    """

    def __init__(self, as_json: bool, debug: bool, if_interrupted: str) -> None:
        self._as_json, self._debug, self._if_interrupted = as_json, debug, if_interrupted
        self._stack = contextlib.ExitStack()
        self._stdout: TextIO = sys.stdout
        self._answered = False
        self._interrupted = False

    @property
    def console(self) -> Console:
        """Prints on stdout."""
        return Console(file=self._stdout)

    @property
    def aside(self) -> Console:
        """Prints on stderr: what is told on the way."""
        return Console(file=sys.stderr)

    def watched(self, notify: Callable[[str, float], None]) -> Callable[[str, float], None]:
        """`notify` that also ends the run if an interruption was swallowed, as one in a destructor is."""

        def watch(stage: str, share: float) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            notify(stage, share)

        return watch

    def answer(self, data: dict[str, Any]) -> None:
        """Prints the command's one JSON object."""
        if not self._answered:
            self._answered = True
            self._stdout.write(json.dumps(data, indent=1, allow_nan=False, default=str) + "\n")
            self._stdout.flush()

    def __enter__(self) -> Session:
        # `kill` then ends a run as cleanly as Ctrl+C: half-made folders are removed.
        for number, handler in ((signal.SIGINT, self._interrupt), (signal.SIGTERM, _terminate)):
            with contextlib.suppress(ValueError):  # not the main thread
                self._stack.callback(signal.signal, number, signal.signal(number, handler))
        if self._as_json:
            self._stdout = self._stack.enter_context(_only_ours())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._end(error)
        finally:
            self._stack.close()

    def _end(self, error: BaseException) -> None:
        if isinstance(error, (typer.Exit, SystemExit)):
            return
        # A library that is being imported turns the interruption into an error of its own.
        if self._interrupted or isinstance(error, KeyboardInterrupt):
            self._fail(130, f"interrupted; {self._if_interrupted}", error)
        elif isinstance(error, PocketWorldsError):
            self._fail(2, " ".join(str(error).split()), error)
        elif isinstance(error, Exception) and not self._debug:
            told = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, (ImportError, OSError)) and ".so" in told:
                self._fail(1, f"{told}; `pocketworlds doctor` says what to install", error)
            self._fail(1, f"unexpected {told} (run again with --debug for the traceback)", error)

    def _interrupt(self, number: int, frame: object) -> None:
        if not self._interrupted:  # once: pressed again, it must not stop the tidying up
            self._interrupted = True
            raise KeyboardInterrupt

    def _fail(self, code: int, sentence: str, error: BaseException) -> None:
        print(f"pocketworlds: {sentence}", file=sys.stderr, flush=True)
        if self._as_json:
            self.answer({"error": sentence, "exit_code": code})
        raise typer.Exit(code) from error


def solved(found: Mapping[str, Any], episodes: int) -> list[str]:
    """Sentences about successes in an exam, and in cousins that were held out if there were any."""
    from ..benchmarks.statistics import wilson

    told = []
    for name, where in (("exam", "episodes"), ("held_out", "episodes in cousins that were held out")):
        if name in found:
            low, high = wilson(found[name], episodes)
            share = f"{found[name] / episodes:.2f} ({low:.2f} to {high:.2f})"
            told.append(f"{found[name]} of {episodes} {where} end in success: {share}")
    return told


def _terminate(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _only_ours() -> Iterator[TextIO]:
    """Gives stdout, and sends to stderr what anything else writes there, C++ libraries included."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # replaced by something without a descriptor, as tests do
        ours = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield ours
        return
    sys.stdout.flush()
    copy = os.dup(descriptor)
    os.dup2(2, descriptor)
    try:
        with open(copy, "w", encoding="utf-8", closefd=False) as ours:
            yield ours
    finally:
        sys.stdout.flush()
        os.dup2(copy, descriptor)
        os.close(copy)


def say(console: Console, text: str) -> None:
    """Prints text as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
