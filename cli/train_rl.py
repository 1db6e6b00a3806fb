"""`train rl`: a World Action Model that goes on learning by reinforcement, in physics or in a neural simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say, solved


def train_rl(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="start=FILE, backend=neural, num_envs=512, total_steps=4000000, ..."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="The checkpoint to make.")
    ] = Path("out/rl/model.safetensors"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Let a World Action Model learn by reinforcement, and try it out in physics."""
    left = "the last good state is kept: run the same command again to go on"
    with Session(as_json, debug, left) as session:
        from ..agents.rl.course import read_course
        from ..agents.rl.training import train_rl

        with StageProgress() as progress:
            course = read_course(settings or [])
            work = out.parent / f"{out.stem}.work"
            net, found = train_rl(course, work, out, session.watched(progress.notify))
        if not found:  # one of several processes, which did not write it
            return
        if as_json:
            session.answer({"checkpoint": str(out), "parameters": net.size, **found})
        else:
            say(
                session.console,
                f"written to {out}: {found['steps']:,} control steps in {found['backend']}, {found['seconds']:.0f} s",
            )
            for when in ("before", "after"):
                for line in solved(found[when], found["episodes"]):
                    say(session.console, f"  {when}: {line}")
