"""`train wam`: a World Action Model for an environment, from demonstrations."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say, solved


def train_wam(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="env=Push-v0, size=rgb_nano, demonstrations=300, start=FILE, ..."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="The checkpoint to make.")
    ] = Path("out/wam/model.safetensors"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a World Action Model: collect demonstrations, learn to dream and to act, try it out in physics."""
    with Session(
        as_json, debug, "what was collected and learned is kept: run the same command again to go on"
    ) as session:
        from ..agents.wam.course import read_course
        from ..agents.wam.training import train_wam

        start = time.monotonic()
        with StageProgress() as progress:
            course = read_course(settings or [])
            work = out.parent / f"{out.stem}.work"
            net, found = train_wam(course, work, out, session.watched(progress.notify))
        seconds = time.monotonic() - start
        if as_json:
            session.answer({"checkpoint": str(out), "seconds": seconds, "parameters": net.size, **found})
        else:
            say(session.console, f"written to {out} after {seconds:.0f} s ({net.size:,} numbers)")
            for line in solved(found, found["episodes"]) if found else ():
                say(session.console, f"  {line}")
