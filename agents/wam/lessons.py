"""What a World Action Model learns from: the expert's episodes, recorded ones, or only what is to be seen in films.

With `labels=false` nobody has to know what was done: any folder of videos will do, EgoDex and LeRobot data sets of
other robots among them. Of episodes that PocketWorlds recorded with the model's own state and pictures, the states
count, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import DatasetError, TaskError
from ...world_models.trajectories import Trajectory, open_trajectories
from ...world_models.trajectories.clip import Clip
from ...world_models.trajectories.clips import find_clips
from ...world_models.trajectories.dataset import read_json, reading
from ...world_models.trajectories.formats import Notify, recognise
from ...world_models.trajectories.lerobot import EXTRAS
from ...world_models.trajectories.lerobot import INFO as LEROBOT
from ...world_models.wam.demonstrations import Demonstrations, from_trajectory
from ...world_models.wam.films import read_films
from ...world_models.wam.settings import WamSettings
from ..collect import Source
from ..keeping import digest
from ..recording import gather
from .course import WamCourse


def lessons(
    course: WamCourse, env_id: str, keywords: dict[str, Any], settings: WamSettings, work: Path, notify: Notify
) -> Demonstrations:
    """Collects or reads it; see the module.

    Args:
        course: says what. env_id, keywords: the environment. settings: of the model.
        work: folder for what is kept on the way. notify: is told a stage and how much of it is done.

    Raises:
        TaskError: settings do not go together. DatasetError: what is to be learned from cannot be read.
    """
    if course.camera is not None and (course.data is None or course.labels):
        raise TaskError("camera= chooses pictures of data=FOLDER with labels=false; leave it out otherwise")
    if course.data is None:
        return _unlabelled(course, _collected(course, env_id, keywords, work, notify), settings)
    clips = _clips(course, Path(course.data), settings)
    if not clips:
        return _unlabelled(course, open_trajectories(course.data), settings)
    told = digest([settings.image_size, settings.chunk * settings.period, settings.past])
    return Demonstrations([], settings, read_films(clips, work / f"films-{told}", settings, notify))


def _unlabelled(course: WamCourse, trajectories: Iterable[Trajectory], settings: WamSettings) -> Demonstrations:
    """Recorded episodes, without their actions if they are not to be known."""
    episodes = (from_trajectory(each, settings) for each in trajectories)
    silent = (replace(each, action=None, intended=None) for each in episodes)
    return Demonstrations(episodes if course.labels else silent, settings)


def _clips(course: WamCourse, path: Path, settings: WamSettings) -> list[Clip]:
    """The data if only their pictures and words count, as of videos and of episodes that do not suit the model; else
    nothing."""
    if course.labels:
        with suppress(DatasetError):
            recognise(path)
            return []
        if find_clips(path):
            raise DatasetError(
                f"{path} holds videos, and nobody knows what was done in them; learn what is seen with labels=false"
            )
        return []
    if (path / LEROBOT).is_file():
        return [] if course.camera is None and _suits(path, settings) else find_clips(path, course.camera)
    with suppress(DatasetError):
        if recognise(path)[0] == "minari":
            return []
    return find_clips(path, course.camera)


def _suits(path: Path, settings: WamSettings) -> bool:
    """Whether a LeRobot data set was recorded by PocketWorlds, with the state, pictures and rate of the model."""
    with reading(path, "lerobot"):
        info = read_json(path / LEROBOT)
        wanted = {"action": [settings.action_size], "observation.state": [settings.state_size]}
        wanted |= {f"observation.images.{camera}": [*settings.image_size, 3] for camera in settings.cameras}
        there = {name: info["features"].get(name, {}).get("shape") for name in wanted}
        ours = (path / EXTRAS).is_file() and round(1 / settings.period) == info["fps"]
        return ours and there == wanted


def _collected(
    course: WamCourse, env_id: str, keywords: dict[str, Any], work: Path, notify: Notify
) -> Iterator[Trajectory]:
    """Successful episodes of the scripted expert."""
    source = Source(env_id, keywords=keywords, seed=course.seed, noise=course.noise, states=False)
    folder = work / f"demonstrations-{digest([env_id, keywords, course.seed, course.noise])}"
    stage, chosen = gather(
        source,
        folder,
        episodes=course.demonstrations,
        num_envs=course.num_envs,
        only_successes=True,
        notify=lambda stage, share: notify("collecting demonstrations", share),
    )
    return stage.read(chosen)
