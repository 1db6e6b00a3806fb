"""`bench run`, `check`, `compare`, `trust`, `site`: the leaderboard."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say

if TYPE_CHECKING:
    from ..benchmarks.leaderboard.results import Results
    from ..benchmarks.leaderboard.run import Order
    from ..benchmarks.suites.manifest import Suite

Manifests = Annotated[
    list[Path] | None,
    typer.Option(
        "--suite", metavar="FILE", help="Manifest of a suite that does not come with PocketWorlds; repeatable."
    ),
]


def bench_run(
    suite: Annotated[str, typer.Option("--suite", help="core-v1, hand-v1, cousins-v1, swap-v1, scan-v1, or a file.")],
    agent: Annotated[
        str, typer.Option("--agent", help="expert, random, a checkpoint, module:name, or a server's address.")
    ],
    name: Annotated[str, typer.Option("--name", help="Of the agent on the leaderboard; by default its address.")] = "",
    num_envs: Annotated[int, typer.Option(min=1, help="Worlds at once; changes nothing but the speed.")] = 50,
    workers: Annotated[int, typer.Option(min=1, help="Processes; change nothing but the speed.")] = 1,
    videos: Annotated[int, typer.Option(min=0, help="Episodes of every group to film afterwards.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for results.", show_default="out/leaderboard/SUITE-NAME"),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Play a suite of the leaderboard with an agent; an interrupted run goes on."""
    kept = "what was played is kept: run the same command again to go on"
    with Session(as_json, debug, kept) as session:
        from ..benchmarks.leaderboard.run import Order
        from ..benchmarks.words import slug

        place = out or Path("out/leaderboard") / f"{Path(suite).stem}-{slug(name or agent)}"
        order = Order(
            suite=suite,
            agent=agent,
            name=name,
            num_envs=num_envs,
            workers=workers,
            command=command_line(suite, agent, name, num_envs, workers, place),
        )
        _play(session, order, place, as_json, videos)


def bench_baseline(
    name: Annotated[str, typer.Argument(help="bc, act, flow, wam, wam-rl, ppo or sac.")],
    suite: Annotated[str, typer.Option("--suite", help="core-v1, hand-v1, cousins-v1, swap-v1, scan-v1, or a file.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of the training, instead of its recipe's; repeatable."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the training.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes, that train a task each.")] = 1,
    models: Annotated[
        Path | None, typer.Option("--models", help="Folder for models.", show_default="out/baselines/SUITE")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for results.", show_default="out/leaderboard/SUITE-NAME")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Train an agent that others are measured against for every task of a suite, and play the suite with it."""
    with Session(as_json, debug, "what was trained and played is kept: run the same command again to go on") as session:
        from ..benchmarks.baselines import learning_curves, train_baseline
        from ..benchmarks.leaderboard.curves import write_curves
        from ..benchmarks.leaderboard.run import Order
        from ..benchmarks.suites.manifest import load_suite

        played = load_suite(suite)
        folder = models or Path("out/baselines") / played.name
        place = out or Path("out/leaderboard") / f"{played.name}-{name}"
        words = ["pocketworlds", "bench", "baseline", name, "--suite", suite]
        words += [word for each in settings or [] for word in ("--set", each)]
        words += ["--seed", str(seed), "--workers", str(workers)]
        with StageProgress() as progress:
            notify = session.watched(progress.notify)
            agent = train_baseline(
                name, played, folder, settings=settings or [], seed=seed, workers=workers, notify=notify
            )
        order = Order(suite, agent, name, workers=workers, command=shlex.join(words))
        _play(session, order, place, as_json)
        write_curves(place, learning_curves(name, played, folder))


def bench_freeze(
    env_ids: Annotated[list[str], typer.Argument(metavar="ENV_ID...", help="Environments, such as Lift-v0.")],
    name: Annotated[str, typer.Option("--name", help="Of the suite, with its version, such as kitchen-v1.")],
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Keywords of all of them, such as scene=my_kitchen; repeatable."
        ),
    ] = None,
    episodes: Annotated[int, typer.Option("--episodes", "-n", min=1, help="Of each.")] = 100,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File for the manifest.", show_default="NAME.json")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make a suite of one's own: write down what its episodes begin with, so that whoever plays it plays the same."""
    with Session(as_json, debug, "nothing was written") as session:
        from ..benchmarks.audit.subject import read_keywords
        from ..benchmarks.suites.freeze import freeze, own_definition
        from ..errors import SuiteError
        from ..folders import write_texts

        place = out or Path(f"{name}.json")
        if place.exists():
            raise SuiteError(f"{place} is there: a suite that was played is not changed; give it another version")
        definition = own_definition(name, env_ids, read_keywords(settings or []), episodes)
        with StageProgress() as progress:
            watched = session.watched(progress.notify)
            suite = freeze(definition, lambda group: watched(f"freezing {group}", 0.0))
        write_texts(place.parent, {place.name: suite.written()})
        if as_json:
            session.answer({"suite": suite.name, "file": str(place), "sha256": suite.digest})
            return
        say(session.console, f"{suite.name} written to {place}; play it with `bench run --suite {place} --agent ...`")


def bench_check(
    files: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Files, or folders that have some.")],
    manifests: Manifests = None,
    again: Annotated[
        int, typer.Option("--replay", min=0, metavar="N", help="Play N episodes of every group again, with the agent.")
    ] = 0,
    agent: Annotated[
        str | None, typer.Option("--agent", help="With --replay: where it is here; by default as the file says.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="With --replay: draws the episodes.", show_default="drawn, and told"),
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Check results: whole, unchanged, and of the very episodes of their suite. Ends with 2 if any is refused."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..benchmarks.leaderboard.results import load_results
        from ..benchmarks.site.collect import found_files
        from ..benchmarks.words import printable
        from ..errors import SuiteError

        suites = _suites(manifests)
        valid: list[str] = []
        refused: dict[str, str] = {}
        drawn = secrets.randbelow(2**31) if seed is None else seed
        for file in [each for given in files for each in (list(found_files([given])) or [given])]:
            shown = printable(str(file))
            try:
                results = load_results(file, suites)
                if again:
                    _play_again(session, results, again, seed=drawn, agent=agent, suite=suites.get(results.suite))
            except SuiteError as error:
                refused[shown] = " ".join(printable(str(error)).split())
                told = f"refused: {refused[shown]}"
            else:
                valid.append(shown)
                told = f"valid: {shown}: {printable(results.agent.name)} in {results.suite}"
                if again:
                    told += f", and {again} episodes of every group (--seed {drawn}) end as it says"
            if not as_json:
                say(session.console, told)
        if as_json:
            session.answer({"valid": valid, "refused": refused, **({"seed": drawn} if again else {})})
        if refused:
            raise typer.Exit(2)


def bench_compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Results, or their folder.")],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Results of the same suite.")],
    manifests: Manifests = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Compare two runs of a suite on the same episodes."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..benchmarks.leaderboard.results import load_results
        from ..benchmarks.leaderboard.summary import compare, lines
        from ..benchmarks.tables import Table
        from ..benchmarks.words import between, printable

        suites = _suites(manifests)
        a, b = (load_results(file, suites) for file in (first, second))
        found = compare(a, b)
        if as_json:
            session.answer({"groups": {name or "all": asdict(each) for name, each in found.items()}})
            return
        shares = [{name: each.share for name, each in lines(results).items()} for results in (a, b)]
        rows = []
        for name, each in found.items():
            own = [f"{side[name]:.3f}" if name else "" for side in shares]
            apart = f"{each.apart:+.3f} ({between(each.interval, '+.3f')})"
            rows.append((name or "all", *own, apart, f"{each.p:.3g}", f"{each.improvement:.3f}"))
        title = printable(f"{a.agent.name} less {b.agent.name}, {a.suite}")
        heads = ("group", "first", "second", "difference (95 %)", "p", "first better")
        note = (
            "Difference: share of successes, over all episodes (paired bootstrap). p: of so large a difference if both "
            "succeed as often (McNemar). First better: how likely an episode of the first ends better, ties half."
        )
        say(session.console, Table(title, heads, rows, note).text())


def bench_factors(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Of a run, or its folder.")],
    manifests: Manifests = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say which of the factors that cousins differ in decides whether the agent succeeds."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..benchmarks.leaderboard.factors import influences, table
        from ..benchmarks.leaderboard.results import load_results
        from ..benchmarks.suites.manifest import load_suite
        from ..errors import SuiteError

        suites = _suites(manifests)
        run = load_results(results, suites)
        suite = suites.get(run.suite) or load_suite(run.suite)
        found = {group.name: influences(run, group) for group in suite.groups}
        told = {name: rows for name, rows in found.items() if rows}
        if not told:
            raise SuiteError(
                f"{run.suite} has no cousins in which this run both succeeds and fails; take a run of cousins-v1"
            )
        if as_json:
            session.answer({"factors": {name: [asdict(each) for each in rows] for name, rows in told.items()}})
            return
        say(session.console, "\n\n".join(table(name, rows).text() for name, rows in told.items()))


def bench_trust(
    files: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Files, or folders that have some.")],
    manifests: Manifests = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say whether a neural simulator (swap-v1) or a scan (scan-v1) ranks agents as physics does, from runs of both."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..benchmarks.leaderboard.trust import compared, table, trust
        from ..benchmarks.site.collect import collect
        from ..errors import SuiteError

        shown, refused = collect(files, _suites(manifests))
        _left_out(session, refused)
        runs: dict[str, list[Results]] = {}
        for each in shown:
            if compared([group.name for group in each.suite.groups]):
                runs.setdefault(each.suite.name, []).append(each.results)
        if not runs:
            raise SuiteError("no run among these is of a suite in physics and elsewhere; take runs of swap-v1, scan-v1")
        found = {name: trust(several) for name, several in runs.items()}
        if as_json:
            session.answer({"trust": {name: [asdict(each) for each in rows] for name, rows in found.items()}})
            return
        for name, rows in found.items():
            say(session.console, f"{name}: {table(rows).text()}")


def bench_site(
    files: Annotated[list[Path], typer.Argument(metavar="RESULTS...", help="Files, or folders that have some.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the pages.")] = Path("site"),
    manifests: Manifests = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an earlier site.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write the leaderboard's pages from results; what is refused is told on stderr and left out."""
    with Session(as_json, debug, "nothing was written") as session:
        from ..benchmarks.site.write import write_site

        with StageProgress() as progress:
            told = write_site(files, out, session.watched(progress.notify), suites=_suites(manifests), replace=replace)
        _left_out(session, told.refused)
        if as_json:
            session.answer(told.to_dict())
            return
        runs = f"{len(told.shown)} run{'' if len(told.shown) == 1 else 's'} of {', '.join(told.suites)}"
        say(session.console, f"{runs} written to {out}; open {out / 'index.html'}")


def command_line(suite: str, agent: str, name: str, num_envs: int, workers: int, out: Path) -> str:
    """The command that makes the same results, for a shell."""
    words = ["pocketworlds", "bench", "run", "--suite", suite, "--agent", agent]
    if name:
        words += ["--name", name]
    return shlex.join([*words, "--num-envs", str(num_envs), "--workers", str(workers), "--out", str(out)])


def _play(session: Session, order: Order, out: Path, as_json: bool, videos: int = 0) -> None:
    """Plays a suite and says what came of it."""
    from ..benchmarks.leaderboard.films import film_run
    from ..benchmarks.leaderboard.run import run_suite
    from ..benchmarks.leaderboard.summary import tables, total
    from ..benchmarks.suites.manifest import load_suite

    with StageProgress() as progress:
        notify = session.watched(progress.notify)
        results = run_suite(order, out, notify)
        if videos:
            films = film_run(results, load_suite(order.suite), out, address=order.agent, count=videos, notify=notify)
            for each in films.left_out:
                say(session.aside, f"no film of {each}: it ended in another way before the camera")
    if as_json:
        session.answer({"folder": str(out), "sha256": results.sha256, **asdict(total(results))})
        return
    say(session.console, "\n\n".join(table.text() for table in tables(results)))
    say(session.console, f"written to {out}")


def _play_again(
    session: Session, results: Results, count: int, *, seed: int, agent: str | None, suite: Suite | None
) -> None:
    """Plays episodes again.

    Raises:
        SuiteError: one of them ends in another way than the results say. AgentError: see `replay`.
    """
    from ..benchmarks.leaderboard.replay import replay
    from ..errors import SuiteError

    with StageProgress() as progress:
        notify = session.watched(progress.notify)
        found = replay(results, count, seed=seed, address=agent, suite=suite, notify=notify)
    wrong = [each for each in found if each.differs]
    if wrong:
        first = wrong[0]
        raise SuiteError(
            f"{len(wrong)} of {len(found)} episodes (--seed {seed}) end in another way when they are played again, "
            f"{first.group} {first.said.number} (seed {first.said.seed}) among them: its {', '.join(first.differs)}"
        )


def _left_out(session: Session, refused: Mapping[Path, str]) -> None:
    """Says on stderr what is not counted, and why."""
    from ..benchmarks.words import printable

    for file, why in refused.items():
        say(session.aside, f"left out: {printable(str(file))}: {' '.join(why.split())}")


def _suites(manifests: list[Path] | None) -> dict[str, Suite]:
    """By name."""
    from ..benchmarks.suites.manifest import load_suite

    return {suite.name: suite for suite in map(load_suite, manifests or [])}
