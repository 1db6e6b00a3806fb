"""The `pocketworlds` command: `scan`, `view`, `demo`, `envs`, `record`, `library`, `bench`, `check-robot`, `doctor`.

Answers go to stdout, everything else to stderr. Exit codes: 0 done, 1 something went wrong (`doctor` misses something,
the demo's lift failed), 2 bad input, 130 interrupted. Heavy libraries are imported inside the commands.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer
from rich.console import Console
from rich.table import Table

from . import __version__
from .errors import PocketWorldsError
from .progress import StageProgress

if TYPE_CHECKING:
    from .agents.recording import Recording
    from .demo import Demo
    from .doctor import Check
    from .real2sim.report import ObjectReport, SceneReport

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a phone scan to an interactive MuJoCo scene, and from there to a robot in Gymnasium.",
)
bench = typer.Typer(no_args_is_help=True, help="Benchmarks: reconstruction and speed.")
app.add_typer(bench, name="bench")
library = typer.Typer(no_args_is_help=True, help="The asset library: its categories, and things of your own.")
app.add_typer(library, name="library")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Debug = Annotated[
    bool, typer.Option("--debug", envvar="POCKETWORLDS_DEBUG", help="Show the traceback of unexpected errors.")
]


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except SystemExit as done:
        if done.code not in (130, 143):
            raise
        # Everything of ours is tidied up by now. Open3D, interrupted half-way, would find its tensors unreleased as the
        # interpreter ends, and turn the exit code into 1.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(done.code))


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    if version:
        print(f"pocketworlds {__version__}")
        raise typer.Exit


@app.command()
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
    with _Session(as_json, debug, "what was finished is kept: run the same command again to go on") as session:
        from .real2sim.pipeline import ScanOptions
        from .real2sim.pipeline import scan as run

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


@app.command()
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
    with _Session(False, debug, "the viewer is closed"):
        from .scenes.viewer import view as show

        show(scene, mode, port=port, public=public, open_browser=browser)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the scene and the film.")] = Path("out/demo"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Scan the embedded capture and let the arm lift one of its objects."""
    with _Session(as_json, debug, "what was finished is kept: run the same command again to go on") as session:
        from .demo import run_demo

        with StageProgress() as progress:
            result = run_demo(out, notify=session.watched(progress.notify))
        if as_json:
            session.answer(result.to_dict())
        else:
            _show_demo(session.console, result)
        if not result.success:
            raise typer.Exit(1)


@app.command()
def envs(
    env_ids: Annotated[list[str] | None, typer.Argument(metavar="[ENV_ID]...", help="By default all of them.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the environment ids: task, scene, episode length, instruction, sizes of actions and observations."""
    with _Session(as_json, debug, "nothing was changed") as session:
        from .envs.catalogue import catalogue, catalogue_table

        found = catalogue(env_ids or None)
        if as_json:
            session.answer({"environments": [description.to_dict() for description in found]})
        else:
            session.console.print(catalogue_table(found), markup=False, highlight=False, soft_wrap=True)


@app.command()
def record(
    env_id: Annotated[str, typer.Argument(metavar="ENV_ID", help="PocketWorlds/Scan-v0, for example.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Data set folder to make.")],
    expert: Annotated[bool, typer.Option("--expert/--random", help="A scripted expert, or random actions.")] = True,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="Episodes to record.")] = 10,
    format: Annotated[
        Literal["lerobot", "minari", "robomimic"], typer.Option(help="LeRobotDataset v3, or Minari or robomimic HDF5.")
    ] = "lerobot",
    num_envs: Annotated[int, typer.Option(min=1, help="Worlds at once; changes nothing but the speed.")] = 8,
    obs_mode: Annotated[str, typer.Option(help="state, rgb, depth, segmentation, or several joined by +.")] = "state",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Keyword of the environment; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the episodes.")] = 0,
    noise: Annotated[float, typer.Option(min=0, max=1, help="Standard deviation added to actions in [-1, 1].")] = 0.0,
    only_successes: Annotated[bool, typer.Option("--only-successes", help="Leave failed episodes out.")] = False,
    states: Annotated[bool, typer.Option(help="Record the simulator's full state at every step.")] = True,
    lossless: Annotated[bool, typer.Option("--lossless", help="LeRobot: pictures as PNG, not as lossy video.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the data set if there is one.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Record episodes of an environment as a data set."""
    with _Session(as_json, debug, "what was collected is kept: run the same command again to go on") as session:
        from .agents.collect import Source
        from .agents.recording import parse_settings
        from .agents.recording import record as run

        keywords = {"obs_mode": obs_mode, **parse_settings(settings or [])}
        source = Source(
            env_id, "expert" if expert else "random", keywords=keywords, seed=seed, noise=noise, states=states
        )
        with StageProgress() as progress:
            result = run(
                source,
                out,
                episodes=episodes,
                format=format,
                num_envs=num_envs,
                only_successes=only_successes,
                pictures="png" if lossless else "video",
                replace=replace,
                notify=session.watched(progress.notify),
            )
        if as_json:
            session.answer(result.to_dict())
        else:
            _show_recording(session.console, result)


@bench.command("real2sim")
def bench_real2sim(
    count: Annotated[int, typer.Option(min=1, help="Simulated captures to make and rebuild.")] = 24,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for captures, scenes and results.")] = Path(
        "out/bench-real2sim"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first capture.")] = 0,
    texture: Annotated[bool, typer.Option("--texture", help="Bake textures too (slower).")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Rebuild simulated captures and compare with the truth."""
    with _Session(as_json, debug, "finished scenes are kept: run the same command again to go on") as session:
        from .benchmarks.real2sim import run_benchmark

        with StageProgress() as progress:
            result = run_benchmark(
                count=count, out=out, seed=seed, notify=session.watched(progress.notify), texture=texture
            )
        if as_json:
            session.answer(result.to_dict())
        else:
            session.console.print(result.table(), markup=False, highlight=False, soft_wrap=True)


@app.command("check-robot")
def check_robot(
    robot: Annotated[str, typer.Argument(help="Path of an MJCF file, or menagerie:<name>.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what a robot model lacks, and prove that the rest works."""
    with _Session(as_json, debug, "nothing was changed") as session:
        from .envs.robots.checker import check_robot as run

        report = run(robot)
        if as_json:
            session.answer(report.to_dict())
        else:
            for line in report.lines():
                _say(session.console, line)
        if not report.ok:
            raise typer.Exit(2)


@bench.command("experts")
def bench_experts(
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="Of each environment and policy.")] = 200,
    ids: Annotated[list[str] | None, typer.Option("--ids", metavar="ENV_ID", help="Only this id; repeatable.")] = None,
    scenes: Annotated[
        int, typer.Option(min=0, metavar="N", help="Every expert in each other built-in scene too: N episodes.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first episode.")] = 0,
    num_envs: Annotated[int, typer.Option(min=1, help="Worlds at once; changes nothing but the speed.")] = 50,
    merge: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --json: an earlier report to put the figures into.")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Count how often scripted experts, and random actions, solve the tasks."""
    with _Session(as_json, debug, "nothing is kept") as session:
        from .benchmarks.experts import read_report, run_experts

        earlier = None if merge is None else read_report(merge)
        with StageProgress() as progress:
            result = run_experts(
                episodes=episodes,
                env_ids=ids,
                scenes=scenes,
                seed=seed,
                num_envs=num_envs,
                notify=session.watched(progress.notify),
            )
        if as_json:
            session.answer(result.to_dict() if earlier is None else result.merged(earlier))
        else:
            session.console.print(result.table(), markup=False, highlight=False, soft_wrap=True)


@bench.command("throughput")
def bench_throughput(
    peers: Annotated[bool, typer.Option("--peers", help="Compare with other libraries' environments too.")] = False,
    peer_python: Annotated[
        list[str] | None,
        typer.Option("--peer-python", help="Interpreter that has a peer library; may be given several times."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results and the plot.")] = Path(
        "out/bench-throughput"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Seconds instead of minutes; no figures to quote.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Steps and pictures per second, beside bare physics and other libraries."""
    with _Session(as_json, debug, "nothing was written") as session:
        from .benchmarks.throughput import run_throughput

        with StageProgress() as progress:
            result = run_throughput(
                out=out,
                peers=peers or bool(peer_python),
                peer_pythons=peer_python or (),
                quick=quick,
                notify=session.watched(progress.notify),
            )
        if as_json:
            session.answer(result.to_dict())
        else:
            session.console.print(result.text(), markup=False, highlight=False, soft_wrap=True)


@library.command("add")
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
    with _Session(as_json, debug, "the library is as it was") as session:
        from .digital_cousins.library.user import add_assets

        with StageProgress() as progress:
            notify = session.watched(progress.notify)
            report = add_assets(folder, out, category=category, material=material, units=units, up=up, notify=notify)
        if as_json:
            session.answer({"library": str(out.absolute()), **report.to_dict()})
        else:
            for line in (*report.lines(), f"library  {out.absolute()}"):
                _say(session.console, line)


@library.command("list")
def library_list(
    folder: Annotated[Path | None, typer.Argument(metavar="[LIB]", help="A library folder of your own.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the categories: sizes, tags, and how many of your own there are."""
    with _Session(as_json, debug, "nothing was changed") as session:
        from .digital_cousins.library.user import describe

        rows = describe(folder)
        if as_json:
            session.answer({"categories": rows})
        else:
            table = Table("category", "x (cm)", "y (cm)", "z (cm)", "own", "tags", box=None, pad_edge=False)
            for row in rows:
                spans = (f"{100 * low:.1f}-{100 * high:.1f}" for low, high in row["sizes"])
                table.add_row(row["name"], *spans, str(row["own"] or ""), ", ".join(row["tags"]))
            session.console.print(table)


@library.command("picture")
def library_picture(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pictures.")] = Path("out/library"),
    debug: Debug = False,
) -> None:
    """Draw three things of each category, and one sheet of everything."""
    with _Session(False, debug, "the pictures that are finished are kept") as session:
        from .digital_cousins.library.pictures import draw_pictures

        with StageProgress() as progress:
            files = draw_pictures(out, notify=session.watched(progress.notify))
        _say(session.console, f"{len(files)} pictures  {out.absolute()}")


@app.command()
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Say what is missing on this machine, and how to install it."""
    with _Session(as_json, debug, "nothing was changed") as session:
        from .doctor import examine, is_healthy

        with StageProgress() as progress:
            checks = examine(notify=session.watched(progress.notify))
        healthy = is_healthy(checks)
        if as_json:
            session.answer({"ok": healthy, "checks": [check.to_dict() for check in checks]})
        else:
            _show_checks(session.console, checks, healthy)
        if not healthy:
            raise typer.Exit(1)


# What is printed ------------------------------------------------------------------------------------------------------


def _show_report(console: Console, report: SceneReport, folder: Path) -> None:
    _show_stages(console, report)
    if report.objects:
        _show_objects(console, report.objects)
    _say(console, report.summary)
    for sentence in report.caution:
        _say(console, f"! {sentence}")
    _say(console, f"\nscene   {folder}\nreport  {folder / 'report.html'}\nlook    pocketworlds view {folder}")


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
        _say(console, line)


def _show_recording(console: Console, result: Recording) -> None:
    told = f"{result.episodes} episodes, {result.steps} steps, {result.successes} ended in success"
    _say(console, f"{told}\ndata set  {result.path} ({result.format})")


def _show_checks(console: Console, checks: list[Check], healthy: bool) -> None:
    for check in checks:
        _say(console, f"{check.status:8} {check.name}: {check.found}")
        if check.fix:
            _say(console, f"         -> {check.fix}")
    _say(console, "\nEverything needed is here." if healthy else "\nSomething needed is missing; see above.")


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


# How a command ends ---------------------------------------------------------------------------------------------------


class _Session:
    """One command: its answer on stdout, and every way it can end as one sentence and an exit code."""

    def __init__(self, as_json: bool, debug: bool, if_interrupted: str) -> None:
        self._as_json, self._debug, self._if_interrupted = as_json, debug, if_interrupted
        self._stack = contextlib.ExitStack()
        self._stdout: TextIO = sys.stdout
        self._answered = False
        self._interrupted = False

    @property
    def console(self) -> Console:
        """Prints on stdout."""
        return Console(file=self._stdout)

    def watched(self, notify: Callable[[str, float], None]) -> Callable[[str, float], None]:
        """`notify` that also ends the run if an interruption was swallowed, as one in a destructor is."""

        def watch(stage: str, share: float) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            notify(stage, share)

        return watch

    def answer(self, data: dict[str, Any]) -> None:
        """Prints the command's one JSON object."""
        if not self._answered:
            self._answered = True
            self._stdout.write(json.dumps(data, indent=1, allow_nan=False, default=str) + "\n")
            self._stdout.flush()

    def __enter__(self) -> _Session:
        # `kill` then ends a run as cleanly as Ctrl+C: half-made folders are removed.
        for number, handler in ((signal.SIGINT, self._interrupt), (signal.SIGTERM, _terminate)):
            with contextlib.suppress(ValueError):  # not the main thread
                self._stack.callback(signal.signal, number, signal.signal(number, handler))
        if self._as_json:
            self._stdout = self._stack.enter_context(_only_ours())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                self._end(error)
        finally:
            self._stack.close()

    def _end(self, error: BaseException) -> None:
        if isinstance(error, (typer.Exit, SystemExit)):
            return
        # A library that is being imported turns the interruption into an error of its own.
        if self._interrupted or isinstance(error, KeyboardInterrupt):
            self._fail(130, f"interrupted; {self._if_interrupted}", error)
        elif isinstance(error, PocketWorldsError):
            self._fail(2, " ".join(str(error).split()), error)
        elif isinstance(error, Exception) and not self._debug:
            told = " ".join(f"{type(error).__name__}: {error}".split())
            if isinstance(error, (ImportError, OSError)) and ".so" in told:
                self._fail(1, f"{told}; `pocketworlds doctor` says what to install", error)
            self._fail(1, f"unexpected {told} (run again with --debug for the traceback)", error)

    def _interrupt(self, number: int, frame: object) -> None:
        if not self._interrupted:  # once: pressed again, it must not stop the tidying up
            self._interrupted = True
            raise KeyboardInterrupt

    def _fail(self, code: int, sentence: str, error: BaseException) -> None:
        print(f"pocketworlds: {sentence}", file=sys.stderr, flush=True)
        if self._as_json:
            self.answer({"error": sentence, "exit_code": code})
        raise typer.Exit(code) from error


def _terminate(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _only_ours() -> Iterator[TextIO]:
    """Gives stdout, and sends to stderr what anything else writes there, C++ libraries included."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # replaced by something without a descriptor, as tests do
        ours = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield ours
        return
    sys.stdout.flush()
    copy = os.dup(descriptor)
    os.dup2(2, descriptor)
    try:
        with open(copy, "w", encoding="utf-8", closefd=False) as ours:
            yield ours
    finally:
        sys.stdout.flush()
        os.dup2(copy, descriptor)
        os.close(copy)


if __name__ == "__main__":
    main()
