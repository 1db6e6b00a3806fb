"""`train neural`: a learned simulator of a robot, for the scenes that come with the package or for one's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import TaskError
from ..progress import StageProgress
from .session import AsJson, Debug, Session, say

Found = dict[str, Any]


def train_neural(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="scene=my_kitchen, model=latent_flow, train.steps=20000, ..."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FILE.safetensors", help="The checkpoint to make.")
    ] = Path("out/neural/model.safetensors"),
    calibrate: Annotated[
        Path | None,
        typer.Option(metavar="FILE.safetensors", help="Learn nothing, rehearse this model again: how sure it may be."),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a neural simulator: play in physics, learn from it, write a checkpoint for backend="neural"."""
    with Session(as_json, debug, "what was played and learned is kept: run the same command again to go on") as session:
        from ..agents.overrides import given
        from ..world_models.checkpoint import read_card

        start, told = time.monotonic(), settings or []
        if calibrate is not None and told:
            raise TaskError(f"--calibrate takes no settings, got {told[0]!r}: the model's card says what to rehearse")
        make = _hybrid if given(told, "model", "hybrid") == "hybrid" else _frames
        with StageProgress() as progress:
            notify = session.watched(progress.notify)
            if calibrate is not None:
                size, measured = _rehearsed(calibrate, out, notify)
            else:
                size, measured = make(told, out.parent / f"{out.stem}.work", out, notify)
        seconds = time.monotonic() - start
        if as_json:
            session.answer({"checkpoint": str(out), "seconds": seconds, "parameters": size, **measured})
        else:
            say(session.console, f"written to {out} after {seconds:.0f} s ({size:,} numbers)")
            for horizon, found in measured.get("measured", {}).items():
                if isinstance(found, dict):
                    say(
                        session.console,
                        f"  {horizon:>3} steps ahead, where something moves: {found['moving']:.1f} dB, "
                        f"repeating the last frame {found['copy_moving']:.1f}, "
                        f"with other actions {found['shuffled_moving']:.1f}",
                    )
            env_id = read_card(out).trained_on["practices"][0]["env_id"]
            say(session.console, f'  gym.make("{env_id}", backend="neural", checkpoint="{out}", ...)')


def _rehearsed(checkpoint: Path, out: Path, notify: Callable[[str, float], None]) -> tuple[int, Found]:
    from ..agents.calibration import recalibrate

    dynamics = recalibrate(checkpoint, out, lambda done, count: notify("rehearsing", done / count))
    notify("rehearsing", 1.0)
    return dynamics.size, {}


def _hybrid(settings: list[str], work: Path, out: Path, notify: Callable[[str, float], None]) -> tuple[int, Found]:
    from ..agents.course import make_course, read_settings
    from ..agents.train_neural import train_neural

    return train_neural(make_course(read_settings(settings)), work, out, notify).size, {}


def _frames(settings: list[str], work: Path, out: Path, notify: Callable[[str, float], None]) -> tuple[int, Found]:
    from ..agents.frame_course import make_frame_course, read_frame_settings
    from ..agents.train_frames import train_frames

    model, measured = train_frames(make_frame_course(read_frame_settings(settings)), work, out, notify)
    return model.size, {"measured": measured}
