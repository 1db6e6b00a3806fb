"""`bench`: reconstruction, experts, speed, cousins, neural simulators."""

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


def bench_audit(
    env_id: Annotated[str, typer.Argument(metavar="ENV_ID", help="Such as Push-v0.")],
    checkpoint: Annotated[
        str | None,
        typer.Option("--checkpoint", "-c", metavar="FILE|ADDRESS", help="The model; by default the shipped one."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Keyword of the environment, such as scene=my_kitchen."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder; an audit that is there goes on.")] = Path(
        "out/bench-audit"
    ),
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=2, help="Held-out episodes to replay.")] = 128,
    starts: Annotated[int, typer.Option(min=2, help="Paired starts of every ranked policy.")] = 100,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="SECTION", help="Only this (transfer: hours)."),
    ] = None,
    skip: Annotated[list[str] | None, typer.Option("--skip", metavar="SECTION", help="Not this; repeatable.")] = None,
    policies: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Trained policies to rank; by default some are trained.")
    ] = None,
    ppo_steps: Annotated[int, typer.Option(min=0, help="Control steps of each of these trainings; 0: none.")] = 60_000,
    cousins: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Set of cousins: ranks on its test split, too.")
    ] = None,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw and compare pictures.")] = True,
    transfer_seeds: Annotated[int, typer.Option(min=1, help="Trainings of each kind for transfer.")] = 5,
    transfer_steps: Annotated[
        int | None, typer.Option(min=1, help="Control steps of each; by default what the task takes.")
    ] = None,
    transfer_view: Annotated[str, typer.Option(help="What these policies see: state or rgb.")] = "state",
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of the first episode; by default far from training's.")
    ] = None,
    card: Annotated[bool, typer.Option("--write-card", help="Write horizon and figures into the checkpoint.")] = False,
    anew: Annotated[bool, typer.Option("--anew", help="Make again what is there.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes less; no figures to quote.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """How far a neural simulator can be trusted: beside physics, with its horizon, its optimism and its speed."""
    with Session(as_json, debug, "finished parts are kept: run the same command again to go on") as session:
        from ..benchmarks.audit.record import FIRST_SEED
        from ..benchmarks.audit.run import SECTIONS, USUAL, Plan, run_audit
        from ..benchmarks.audit.subject import Subject, read_keywords
        from ..errors import TaskError

        unknown = sorted({*(only or ()), *(skip or ())} - set(SECTIONS))
        if unknown:
            raise TaskError(f"there is no section {unknown[0]!r}; there are {', '.join(SECTIONS)}")
        plan = Plan(
            Subject(env_id, read_keywords(settings or []), checkpoint=checkpoint),
            sections=[name for name in SECTIONS if name in (only or USUAL) and name not in (skip or ())],
            episodes=episodes,
            starts=starts,
            policies=policies,
            ppo_steps=ppo_steps,
            cousins=cousins,
            transfer_seeds=transfer_seeds,
            transfer_steps=transfer_steps,
            transfer_view=transfer_view,
            size=64 if pictures else 0,
            seed=FIRST_SEED if seed is None else seed,
        )
        with StageProgress() as progress:
            audit = run_audit(
                plan.quick() if quick else plan,
                out,
                card=card,
                anew=anew,
                notify=session.watched(progress.notify),
            )
        if as_json:
            session.answer(audit.to_dict())
        else:
            session.console.print(audit.text(), markup=False, highlight=False, soft_wrap=True)
            session.console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)


def bench_dream(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A World Action Model: its file, or wam:<task>.")],
    env_id: Annotated[str | None, typer.Option("--env", help="Where; by default what it was trained for.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Keyword of the environment.")
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=4, help="To play; half of them calibrate.")] = 200,
    num_envs: Annotated[int, typer.Option(min=1, help="Worlds at once; changes but the speed.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Of the first episode.")] = 6_000_000,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results and the plot.")] = Path(
        "out/bench-dream"
    ),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Whether what a World Action Model dreams tells how episodes end, beside what needs no dream."""
    with Session(as_json, debug, "nothing was written") as session:
        from ..benchmarks.audit.report import plain
        from ..benchmarks.audit.subject import read_keywords
        from ..benchmarks.dream import dreamer, judge, listen, tables, write

        with StageProgress() as progress:
            who = dreamer(model, env_id=env_id, keywords=read_keywords(settings or []))
            facts = {**who.facts(), "episodes": episodes, "first seed": seed}
            watched = session.watched(progress.notify)
            told = listen(
                who, episodes=episodes, num_envs=num_envs, seed=seed, notify=lambda share: watched("playing", share)
            )
        found = judge(told)
        write(out, facts, found)
        if as_json:
            session.answer({"facts": facts, **plain(found)})
        else:
            text = "\n\n".join(table.text() for table in tables(facts, found))
            session.console.print(text, markup=False, highlight=False, soft_wrap=True)
            session.console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)


def bench_wam(
    env_id: Annotated[str, typer.Argument(metavar="ENV_ID", help="The environment, such as Lift-v0.")],
    demonstrations: Annotated[
        list[int] | None,
        typer.Option("--demonstrations", "-d", min=1, help="How many; repeatable. By default 25, 100."),
    ] = None,
    arms: Annotated[
        list[str] | None, typer.Option("--arm", help="video, wam, flow, cloning, act; repeatable. By default all.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each, with other demonstrations.")] = 3,
    clips: Annotated[int, typer.Option(min=1, help="Episodes that the arm `video` sees first.")] = 300,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Of all, as in `train wam`; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results and models.")] = Path("out/bench-wam"),
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """What video, dreams and demonstrations are worth to a World Action Model."""
    with Session(as_json, debug, "models are kept as they are made: run the same command again to go on") as session:
        from ..benchmarks.wam import ARMS, facts, measure, tables, write

        given = [f"env={env_id}", *(settings or [])]
        told = facts(given, clips)
        with StageProgress() as progress:
            rows = measure(
                arms or list(ARMS),
                demonstrations or [25, 100],
                seeds,
                settings=given,
                clips=clips,
                folder=out / "models",
                notify=session.watched(progress.notify),
            )
        write(out, told, rows, clips)
        if as_json:
            session.answer({"facts": told, "rows": rows})
        else:
            text = "\n\n".join(table.text() for table in tables(told, rows, clips))
            session.console.print(text, markup=False, highlight=False, soft_wrap=True)
            session.console.print(f"written to {out}", markup=False, highlight=False, soft_wrap=True)
