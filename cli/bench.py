"""`bench`: reconstruction, experts, speed, cousins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session


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
    with Session(as_json, debug, "finished scenes are kept: run the same command again to go on") as session:
        from ..benchmarks.real2sim import run_benchmark

        with StageProgress() as progress:
            result = run_benchmark(
                count=count, out=out, seed=seed, notify=session.watched(progress.notify), texture=texture
            )
        if as_json:
            session.answer(result.to_dict())
        else:
            session.console.print(result.table(), markup=False, highlight=False, soft_wrap=True)


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
    with Session(as_json, debug, "nothing is kept") as session:
        from ..benchmarks.experts import read_report, run_experts

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
    with Session(as_json, debug, "nothing was written") as session:
        from ..benchmarks.throughput import run_throughput

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


def bench_cousins(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Sets of cousins.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """How diverse sets of cousins are, and how faithful to their twins."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..benchmarks.cousins import run_cousins

        with StageProgress() as progress:
            result = run_cousins(folders, notify=session.watched(progress.notify))
        if as_json:
            session.answer(result.to_dict())
        else:
            session.console.print(result.text(), markup=False, highlight=False, soft_wrap=True)
