"""`watch`: films of a World Action Model, physics beside its dreams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say


def watch(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A World Action Model: its file, or wam:<task>.")],
    env_id: Annotated[str | None, typer.Option("--env", help="Where; by default what it was trained for.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Keyword of the environment.")
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="To film.")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Of the first episode.")] = 9_000_000,
    calibrate: Annotated[
        int | None,
        typer.Option(min=0, help="Episodes that calibrate the alarm first; 0: no alarm.", show_default="50"),
    ] = None,
    alarm: Annotated[
        Path | None, typer.Option(metavar="FILE", help="dream.json of `bench dream`: take its alarm instead.")
    ] = None,
    signal: Annotated[
        str | None, typer.Option(help="That rings the alarm.", show_default="excess error of things")
    ] = None,
    num_envs: Annotated[int, typer.Option(min=1, help="Worlds at once while calibrating.")] = 50,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the page and the films.")] = Path("out/watch"),
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the folder if there is one.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Watch a World Action Model act: films of physics beside what it dreamed, and an alarm that may ring."""
    with Session(as_json, debug, "nothing was written") as session:
        from ..benchmarks.audit.subject import read_keywords
        from ..benchmarks.dream import dreamer
        from ..benchmarks.watch import watch
        from ..benchmarks.watch_page import alarm_told
        from ..errors import TaskError

        if calibrate is not None and alarm is not None:
            raise TaskError("--calibrate and --alarm exclude each other: an alarm that is there needs no calibration")
        with StageProgress() as progress:
            report = watch(
                dreamer(model, env_id=env_id, keywords=read_keywords(settings or [])),
                out,
                episodes=episodes,
                seed=seed,
                calibrate=50 if calibrate is None else calibrate,
                heard=alarm,
                signal=signal,
                num_envs=num_envs,
                replace=replace,
                notify=session.watched(progress.notify),
            )
        if as_json:
            session.answer({"folder": str(out), **report})
            return
        say(session.console, alarm_told(report["alarm"]))
        for each in report["episodes"]:
            rang = f"alarm at decision {each['alarm']}" if each["alarm"] else "no alarm"
            ends = "success" if each["success"] else "failure"
            say(session.console, f"  {each['film']}: seed {each['seed']}, {each['instruction']}: {ends}, {rang}")
        say(session.console, f"written to {out}; open {out / 'index.html'}")
