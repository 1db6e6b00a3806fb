"""Films of a run: episodes of every group played once more, before a camera."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from ...agents.agent import Agent, leave
from ...agents.agents import load_agent
from ...envs import WorldVectorEnv
from ...errors import SuiteError
from ...folders import new_folder
from ...world_models.trajectories.video import FilmWriter
from ..suites.manifest import Suite
from .play import Stage
from .replay import Replayed
from .results import Episode, Results

FOLDER, LIST = "videos", "films.json"
_SIZE = (480, 360)


@dataclass(frozen=True)
class Films:
    """What was filmed.

    Attributes:
        files: films. left_out: group and number of episodes that ended in another way before the camera: the
            agent draws at random, or depends on who plays beside it.
    """

    files: tuple[str, ...]
    left_out: tuple[str, ...]


def film_run(
    results: Results,
    suite: Suite,
    folder: Path,
    *,
    address: str,
    count: int,
    notify: Callable[[str, float], None] = lambda stage, share: None,
) -> Films:
    """Films `count` episodes of every group, failures and successes in turn, in place of earlier films.

    Args:
        results: of the run. suite: that was played. folder: of the run; films go into its `videos`, an mp4 in real time
            each, named after group, number and end.
        address: of the agent. notify: is told of every group.

    Raises:
        SuiteError: the suite is not what it was. AgentError: the agent cannot be had.
    """
    files: list[str] = []
    left_out: list[str] = []
    with new_folder(folder / FOLDER, replace=True, marks=(LIST,), noun="folder of films", error=SuiteError) as place:
        for number, group in enumerate(suite.groups):
            notify("filming", number / len(suite.groups))
            agent = load_agent(address, group=group.name)
            stage = Stage.made(suite, group, agent, 1, filmed=_SIZE)
            try:
                for said in chosen(results.group(group.name), count):
                    name = f"{group.name}-{said.number:03d}-{'success' if said.success else 'failure'}.mp4"
                    found = _film(stage, agent, said.number, place / name)
                    if Replayed(group.name, said, found).differs:
                        (place / name).unlink()
                        left_out.append(f"{group.name} {said.number}")
                    else:
                        files.append(name)
            finally:
                stage.close()
                leave(agent)
        (place / LIST).write_text(json.dumps(files, indent=1) + "\n")
    notify("filming", 1.0)
    return Films(tuple(files), tuple(left_out))


def chosen(episodes: Sequence[Episode], count: int) -> list[Episode]:
    """The first failures and successes in turn, as far as there are any."""
    failed = [each for each in episodes if not each.success]
    solved = [each for each in episodes if each.success]
    return [each for each in chain(*zip_longest(failed, solved)) if each is not None][:count]


def _film(stage: Stage, agent: Agent, number: int, path: Path) -> Episode:
    """Plays an episode and writes what it looks like, a picture a control step."""
    writer: FilmWriter | None = None

    def watch(env: WorldVectorEnv) -> None:
        nonlocal writer
        drawn = env.render()
        assert drawn is not None
        picture = np.asarray(drawn[0])
        writer = writer or FilmWriter(path, round(1 / env.simulator.control_period), picture.shape)
        writer.append(picture[None])

    (found,) = stage.play(agent, [number], watch)
    assert writer is not None
    writer.close()
    return found
