"""`library`: the categories of the asset library, and a user's own things in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say


def library_add(
    folder: Annotated[Path, typer.Argument(help="Folder with GLB, OBJ, PLY, STL, USD or USDZ files, or one file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Library folder to make, or to add to.")],
    category: Annotated[str | None, typer.Option(help="What they are [default: by folder or file name].")] = None,
    material: Annotated[str | None, typer.Option(help="What they are made of [default: by category].")] = None,
    units: Annotated[
        Literal["m", "cm", "mm", "inch"] | None, typer.Option(help="Units of the files [default: by format and size].")
    ] = None,
    up: Annotated[Literal["x", "y", "z"] | None, typer.Option(help="Axis that is up [default: by format].")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Turn model files into assets: closed, convex parts, mass, and checked to stand."""
    with Session(as_json, debug, "the library is as it was") as session:
        from ..digital_cousins.library.user import add_assets

        with StageProgress() as progress:
            notify = session.watched(progress.notify)
            report = add_assets(folder, out, category=category, material=material, units=units, up=up, notify=notify)
        if as_json:
            session.answer({"library": str(out.absolute()), **report.to_dict()})
        else:
            for line in (*report.lines(), f"library  {out.absolute()}"):
                say(session.console, line)


def library_list(
    folder: Annotated[Path | None, typer.Argument(metavar="[LIB]", help="A library folder of your own.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the categories: sizes, tags, and how many of your own there are."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..digital_cousins.library.user import describe

        rows = describe(folder)
        if as_json:
            session.answer({"categories": rows})
        else:
            table = Table("category", "x (cm)", "y (cm)", "z (cm)", "own", "tags", box=None, pad_edge=False)
            for row in rows:
                spans = (f"{100 * low:.1f}-{100 * high:.1f}" for low, high in row["sizes"])
                table.add_row(row["name"], *spans, str(row["own"] or ""), ", ".join(row["tags"]))
            session.console.print(table)


def library_picture(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path("out/library"),
    debug: Debug = False,
) -> None:
    """Draw three things of each category, and one sheet of everything."""
    with Session(False, debug, "the pictures that are finished are kept") as session:
        from ..digital_cousins.library.pictures import draw_pictures

        with StageProgress() as progress:
            files = draw_pictures(out, notify=session.watched(progress.notify))
        say(session.console, f"{len(files)} pictures  {out.absolute()}")
