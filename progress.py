"""Progress on stderr: bars on a terminal, plain lines elsewhere, nothing on stdout."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 15.0
"""Off a terminal, a long stage says this often how far it is."""


class StageProgress:
    """Shows stages as they go on; its `notify(stage, share)` is the callback of `scan` and of the benchmarks.

    A stage is known by its name; a share of 1 finishes it. A name that comes again after that is a new stage.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._bars = (
            Progress(
                SpinnerColumn(finished_text="[green]✓[/]" if self._unicode() else "-"),
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=30),
                TaskProgressColumn(),
                TimeElapsedColumn(),
                console=self._console,
            )
            if self._console.is_terminal
            else None
        )
        self._tasks: dict[str, TaskID] = {}
        self._started: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._details: dict[str, str] = {}

    def detail(self, stage: str, text: str) -> None:
        """What to show beside a stage from its next `notify` on, such as counts."""
        self._details[stage] = text

    def notify(self, stage: str, share: float) -> None:
        """Says that `stage` is done by `share` in [0, 1]."""
        if self._bars is None:
            self._say(stage, share)
        else:
            self._draw(self._bars, stage, share)

    def _draw(self, bars: Progress, stage: str, share: float) -> None:
        task = self._tasks.get(stage)
        if task is None:
            # Without a total the bar pulses: many stages cannot tell how far they are.
            task = self._tasks[stage] = bars.add_task(stage, total=None)
        if stage in self._details:
            bars.update(task, description=f"{stage}: {self._details[stage]}")
        if share > 0:
            bars.update(task, total=1.0, completed=share)
        if share >= 1:
            del self._tasks[stage]

    def _say(self, stage: str, share: float) -> None:
        now = time.monotonic()
        start = self._started.setdefault(stage, now)
        detail = f" ({self._details[stage]})" if stage in self._details else ""
        if share >= 1:
            self._line(f"{stage}: done in {now - start:.1f} s{detail}")
            del self._started[stage]
            self._said.pop(stage, None)
        elif now - self._said.setdefault(stage, start) >= QUIET_SECONDS:
            self._line(f"{stage}: {share:.0%} after {now - start:.0f} s{detail}")
            self._said[stage] = now

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _unicode(self) -> bool:
        return (self._console.encoding or "").lower().startswith("utf")

    def __enter__(self) -> StageProgress:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
