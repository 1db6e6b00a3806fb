"""`scan`, `view` and `demo`: from a capture to a scene, and a look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say

if TYPE_CHECKING:
    from ..demo import Demo
    from ..real2sim.report import ObjectReport, SceneReport


def scan(
    capture: Annotated[Path, typer.Argument(help="Folder, zip or file that came off the phone.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Scene folder to make.")],
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the scene folder if there is one.")] = False,
    no_texture: Annotated[bool, typer.Option("--no-texture", help="Plain colours: faster.")] = False,
    voxel: Annotated[
        float | None,
        typer.Option("--voxel", metavar="MM", min=0.5, max=200, help="Voxel edge in millimetres [default: by capture]"),
    ] = None,
    max_frames: Annotated[int, typer.Option("--max-frames", min=1, help="Depth frames used, evenly spread.")] = 400,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Rebuild a phone capture as an interactive scene."""
    with Session(as_json, debug, "what was finished is kept: run the same command again to go on") as session:
        from ..real2sim.pipeline import ScanOptions
        from ..real2sim.pipeline import scan as run

        options = ScanOptions(
            texture=not no_texture, voxel=None if voxel is None else voxel / 1000, maximum_frames=max_frames
        )
        with StageProgress() as progress:
            result = run(
                capture, out, options=options, replace_existing=replace, notify=session.watched(progress.notify)
            )
        folder = out.absolute()
        if as_json:
            session.answer({"scene_folder": str(folder), **result.report.model_dump(mode="json")})
        else:
            _show_report(session.console, result.report, folder)


def view(
    scene: Annotated[Path, typer.Argument(help="Scene folder.")],
    mode: Annotated[
        Literal["auto", "native", "web"], typer.Option(help="A window, a page for the browser, or what fits here.")
    ] = "auto",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; 0 takes a free one.")] = 0,
    public: Annotated[bool, typer.Option("--public", help="Let other machines reach the page (no password).")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    debug: Debug = False,
) -> None:
    """Open a scene in MuJoCo's own viewer."""
    with Session(False, debug, "the viewer is closed"):
        from ..scenes.viewer import view as show

        show(scene, mode, port=port, public=public, open_browser=browser)


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the scene and the film.")] = Path("out/demo"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Scan the embedded capture and let the arm lift one of its objects."""
    with Session(as_json, debug, "what was finished is kept: run the same command again to go on") as session:
        from ..demo import run_demo

        with StageProgress() as progress:
            result = run_demo(out, notify=session.watched(progress.notify))
        if as_json:
            session.answer(result.to_dict())
        else:
            _show_demo(session.console, result)
        if not result.success:
            raise typer.Exit(1)


def _show_report(console: Console, report: SceneReport, folder: Path) -> None:
    _show_stages(console, report)
    if report.objects:
        _show_objects(console, report.objects)
    say(console, report.summary)
    for sentence in report.caution:
        say(console, f"! {sentence}")
    say(console, f"\nscene   {folder}\nreport  {folder / 'report.html'}\nlook    pocketworlds view {folder}")


def _show_stages(console: Console, report: SceneReport) -> None:
    table = Table("stage", "seconds", "peak memory", "result", box=None, pad_edge=False)
    for stage in report.stages:
        figures = ", ".join(f"{name} {value}" for name, value in stage.summary.items())
        if stage.cached:
            figures = f"(kept from before) {figures}"
        table.add_row(stage.name, f"{stage.seconds:.1f}", f"{stage.peak_memory_mb:.0f} MB", figures)
    table.add_row("all", f"{report.seconds:.1f}", f"{report.peak_memory_mb:.0f} MB", "")
    console.print(table)


def _show_objects(console: Console, objects: tuple[ObjectReport, ...]) -> None:
    table = Table("object", "size (cm)", "mass (g)", "seen", "fit (mm)", "trust", box=None, pad_edge=False)
    for item in objects:
        size = " x ".join(f"{100 * side:.1f}" for side in (*item.footprint, item.height))
        mass = f"{1000 * item.mass.value:.0f} ({1000 * item.mass.low:.0f}-{1000 * item.mass.high:.0f})"
        seen = "" if item.observed_fraction is None else f"{item.observed_fraction:.0%}"
        fit = "" if item.fit_error is None else f"{1000 * item.fit_error:.1f}"
        table.add_row(item.name, size, mass, seen, fit, item.trust)
    console.print()
    console.print(table)
    console.print()


def _show_demo(console: Console, result: Demo) -> None:
    for line in result.lines():
        say(console, line)
