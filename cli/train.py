"""`train neural`: a learned simulator of a robot, for the scenes that come with the package or for one's own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say


def train_neural(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="scene=my_kitchen, robot=hand, train.steps=20000, ..."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="The checkpoint to make.")
    ] = Path("out/neural/model.safetensors"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a neural simulator: play in physics, learn from it, write a checkpoint for backend="neural"."""
    with Session(as_json, debug, "what was played and learned is kept: run the same command again to go on") as session:
        from ..agents.course import make_course, read_settings
        from ..agents.train_neural import train_neural

        start = time.monotonic()
        course = make_course(read_settings(settings or []))
        with StageProgress() as progress:
            made = train_neural(course, out.parent / f"{out.stem}.work", out, session.watched(progress.notify))
        seconds = time.monotonic() - start
        if as_json:
            session.answer({"checkpoint": str(out), "seconds": seconds, "parameters": made.size})
        else:
            say(session.console, f"written to {out} after {seconds:.0f} s ({made.size:,} numbers)")
            say(session.console, f'  gym.make("PocketWorlds/Scan-v0", backend="neural", checkpoint="{out}", ...)')
