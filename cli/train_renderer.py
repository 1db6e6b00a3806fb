"""`train renderer`: the learned renderer that needs no OpenGL."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say


def train_renderer(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="still_lifes=500, train.steps=8000, ...")
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="The checkpoint to make.")
    ] = Path("out/neural/renderer.safetensors"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a renderer that needs no OpenGL: look at what OpenGL draws, learn from it, write a checkpoint."""
    with Session(as_json, debug, "what was seen and learned is kept: run the same command again to go on") as session:
        from ..agents.train_renderer import read_renderer_settings, train_renderer
        from ..world_models.hybrid.reflectance import load_renderer

        start = time.monotonic()
        told = read_renderer_settings(settings or [])
        with StageProgress() as progress:
            train_renderer(told, out.parent / f"{out.stem}.work", out, session.watched(progress.notify))
        seconds = time.monotonic() - start
        measured = load_renderer(out)[1].measured
        if as_json:
            session.answer({"checkpoint": str(out), "seconds": seconds, **measured})
        else:
            say(session.console, f"written to {out} after {seconds:.0f} s")
            say(
                session.console,
                f"  other still lifes: {measured['psnr']:.1f} dB, as if all were matt {measured['psnr_matt']:.1f}",
            )
            say(session.console, f'  gym.make("PocketWorlds/Lift-v0", obs_mode="rgb", renderer="neural:{out}", ...)')
