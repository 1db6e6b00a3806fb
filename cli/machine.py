"""`doctor`: what this machine lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say

if TYPE_CHECKING:
    from ..doctor import Check


def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Say what is missing on this machine, and how to install it."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..doctor import examine, is_healthy

        with StageProgress() as progress:
            checks = examine(notify=session.watched(progress.notify))
        healthy = is_healthy(checks)
        if as_json:
            session.answer({"ok": healthy, "checks": [check.to_dict() for check in checks]})
        else:
            _show_checks(session.console, checks, healthy)
        if not healthy:
            raise typer.Exit(1)


def _show_checks(console: Console, checks: list[Check], healthy: bool) -> None:
    for check in checks:
        say(console, f"{check.status:8} {check.name}: {check.found}")
        if check.fix:
            say(console, f"         -> {check.fix}")
    say(console, "\nEverything needed is here." if healthy else "\nSomething needed is missing; see above.")
