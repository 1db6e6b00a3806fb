"""`cousins` and `cousins-check`: variants of a scene, and whether they are what they should be."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say

if TYPE_CHECKING:
    from ..digital_cousins.cousin_set import CousinSet


def cousins(
    scene: Annotated[str, typer.Argument(help="Scene folder, or the name of a built-in scene.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of cousins to make.")],
    count: Annotated[
        int, typer.Option("--count", "-n", help="Cousins to make; a tenth each for validation, test.")
    ] = 1000,
    kinship: Annotated[
        Literal["twin", "near", "mid", "far"] | None, typer.Option(help="How different they may be [default: near]")
    ] = None,
    spread: Annotated[
        float | None, typer.Option(metavar="X", help="Factor of all ranges, 0 to 4 [default: of the kinship]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="AXIS.NAME=VALUE", help="pose.shift=0.05, clutter.on=false; repeatable."),
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE.yaml", help="The same from a file.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="ENV_ID", help="An expert must solve this in each; none for no try [default: one that suits]"
        ),
    ] = None,
    object: Annotated[str | None, typer.Option(metavar="NAME", help="The object that the task is for.")] = None,
    library: Annotated[
        Path | None, typer.Option(metavar="LIB", help="A library folder of your own, beside the built-in things.")
    ] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for all processors. Changes but the speed.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the set if there is one.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make digital cousins of a scene: variants that are simulated, at rest, and can be solved."""
    with Session(as_json, debug, "what was found is kept: run the same command again to go on") as session:
        from ..agents.cousin_check import choose_check
        from ..digital_cousins.build import make_cousins
        from ..digital_cousins.config import read_config
        from ..digital_cousins.library.user import load_library
        from ..envs.config import resolve_twin

        start = time.monotonic()
        twin = resolve_twin(scene)
        overrides = [*(settings or [])]
        overrides += [f"kinship={kinship}"] if kinship is not None else []
        overrides += [f"spread={spread}"] if spread is not None else []
        chosen = read_config(overrides, file=config)
        check = None if task == "none" else choose_check(twin, task, object)
        with StageProgress() as progress:
            if check is not None and not as_json:
                say(session.aside, f"tried in every cousin: {check.name}")

            def counted(valid: int, tried: int) -> None:
                progress.detail("cousins", f"{valid} of {tried} tried")

            made = make_cousins(
                twin,
                out,
                count=count,
                config=chosen,
                seed=seed,
                library=None if library is None else load_library(library),
                check=check,
                needed=() if object is None else (object,),
                workers=workers,
                replace=replace,
                notify=session.watched(progress.notify),
                counted=counted,
            )
        seconds = time.monotonic() - start
        if as_json:
            session.answer(_summary(made, seconds))
        else:
            _show(session.console, made, seconds)


def cousins_check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that `pocketworlds cousins` made.")],
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0 for all processors.")] = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check a set of cousins again, by other means than those that made it."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..benchmarks.cousin_check import check_set

        with StageProgress() as progress:
            result = check_set(folder, workers=workers, notify=session.watched(progress.notify))
        if as_json:
            session.answer(result.to_dict())
        else:
            say(session.console, result.text())
        if not result.ok:
            raise typer.Exit(1)


def _summary(made: CousinSet, seconds: float) -> dict[str, Any]:
    manifest = made.manifest
    splits = [entry.split for entry in manifest.entries]
    return {
        "folder": str(made.folder.absolute()),
        "twin": manifest.twin,
        "task": manifest.task,
        "cousins": len(made),
        "splits": {split: splits.count(split) for split in ("train", "validation", "test")},
        "tried": manifest.tried,
        "rejected": manifest.rejected,
        "distance": sum(entry.distance for entry in manifest.entries) / len(made),
        "seconds": round(seconds, 1),
    }


def _show(console: Console, made: CousinSet, seconds: float) -> None:
    found = _summary(made, seconds)
    splits = ", ".join(f"{count} {split}" for split, count in found["splits"].items())
    rejected = ", ".join(
        f"{count} {reason}" for reason, count in sorted(found["rejected"].items(), key=lambda r: -r[1])
    )
    say(console, f"{found['cousins']} cousins of {found['twin']} ({splits}) in {seconds:.0f} s")
    say(console, f"tried     {found['tried']} candidates; not valid: {rejected or 'none'}")
    if found["task"]:
        say(console, f"task      {found['task']}, solved by its expert in each")
    say(console, f"distance  {found['distance']:.3f} to the twin on average")
    folder = found["folder"]
    say(console, f'\nset       {folder}\nlook      {folder}/index.html\ntrain     scene="{made.folder}", split="train"')
