"""The `pocketworlds` command: `scan`, `view`, `demo`, `cousins`, `library`, `envs`, `record`, `train`, `bench`,
`watch`.

Answers go to stdout, everything else to stderr. Exit codes: 0 done, 1 something went wrong (`doctor` misses something,
the demo's lift or a check of cousins failed), 2 bad input, 130 interrupted. Heavy libraries are imported inside the
commands.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from . import (
    bench,
    cousins,
    environments,
    leaderboard,
    library,
    machine,
    scans,
    train,
    train_renderer,
    train_rl,
    train_wam,
    watch,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From a phone scan to an interactive MuJoCo scene, and from there to a robot in Gymnasium.",
)
app.command()(scans.scan)
app.command()(scans.view)
app.command()(scans.demo)
app.command()(cousins.cousins)
app.command()(cousins.cousins_check)
app.command()(environments.envs)
app.command()(environments.record)
app.command()(environments.check_robot)
app.command()(watch.watch)
app.command()(machine.doctor)
things = typer.Typer(no_args_is_help=True, help="The asset library: its categories, and things of your own.")
things.command("add")(library.library_add)
things.command("list")(library.library_list)
things.command("picture")(library.library_picture)
app.add_typer(things, name="library")
training = typer.Typer(
    no_args_is_help=True,
    help="Training: neural simulators, the renderer, World Action Models, by demonstrations and by reinforcement.",
)
training.command("neural")(train.train_neural)
training.command("renderer")(train_renderer.train_renderer)
training.command("wam")(train_wam.train_wam)
training.command("rl")(train_rl.train_rl)


@training.callback()
def _training() -> None:
    """What can be trained."""


app.add_typer(training, name="train")
benchmarks = typer.Typer(
    no_args_is_help=True,
    help="Benchmarks: the leaderboard, reconstruction, experts, speed, cousins, neural simulators.",
)
benchmarks.command("run")(leaderboard.bench_run)
benchmarks.command("baseline")(leaderboard.bench_baseline)
benchmarks.command("freeze")(leaderboard.bench_freeze)
benchmarks.command("check")(leaderboard.bench_check)
benchmarks.command("compare")(leaderboard.bench_compare)
benchmarks.command("factors")(leaderboard.bench_factors)
benchmarks.command("trust")(leaderboard.bench_trust)
benchmarks.command("site")(leaderboard.bench_site)
benchmarks.command("real2sim")(bench.bench_real2sim)
benchmarks.command("experts")(bench.bench_experts)
benchmarks.command("throughput")(bench.bench_throughput)
benchmarks.command("cousins")(bench.bench_cousins)
benchmarks.command("audit")(bench.bench_audit)
benchmarks.command("dream")(bench.bench_dream)
benchmarks.command("wam")(bench.bench_wam)
app.add_typer(benchmarks, name="bench")


def main() -> None:
    """Runs the command line."""
    try:
        app()
    except SystemExit as done:
        if done.code not in (130, 143):
            raise
        code = int(done.code)
    else:
        return
    # Everything of ours is tidied up by now, but for what the exception held: pools of processes, for one, and their
    # semaphores. Open3D, interrupted half-way, would find its tensors unreleased as the interpreter ends, and turn the
    # exit code into 1.
    gc.collect()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version.")] = False,
) -> None:
    if version:
        print(f"pocketworlds {__version__}")
        raise typer.Exit
