"""`envs`, `record` and `check-robot`: what one can act in, with what, and data sets of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from ..progress import StageProgress
from .session import AsJson, Debug, Session, say

if TYPE_CHECKING:
    from ..agents.recording import Recording


def envs(
    env_ids: Annotated[list[str] | None, typer.Argument(metavar="[ENV_ID]...", help="By default all of them.")] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List the environment ids: task, scene, episode length, instruction, sizes of actions and observations."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..envs.catalogue import catalogue, catalogue_table

        found = catalogue(env_ids or None)
        if as_json:
            session.answer({"environments": [description.to_dict() for description in found]})
        else:
            session.console.print(catalogue_table(found), markup=False, highlight=False, soft_wrap=True)


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
    with Session(as_json, debug, "what was collected is kept: run the same command again to go on") as session:
        from ..agents.collect import Source
        from ..agents.recording import parse_settings
        from ..agents.recording import record as run

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


def check_robot(
    robot: Annotated[str, typer.Argument(help="Path of an MJCF file, or menagerie:<name>.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what a robot model lacks, and prove that the rest works."""
    with Session(as_json, debug, "nothing was changed") as session:
        from ..envs.robots.checker import check_robot as run

        report = run(robot)
        if as_json:
            session.answer(report.to_dict())
        else:
            for line in report.lines():
                say(session.console, line)
        if not report.ok:
            raise typer.Exit(2)


def _show_recording(console: Console, result: Recording) -> None:
    told = f"{result.episodes} episodes, {result.steps} steps, {result.successes} ended in success"
    say(console, f"{told}\ndata set  {result.path} ({result.format})")
