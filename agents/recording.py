"""Records data sets: episodes are collected in a folder beside the data set, so that an interruption loses none."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DatasetError, TaskError
from ..world_models.trajectories import FORMATS, Origin, Trajectory, write_trajectories
from ..world_models.trajectories.formats import Notify
from ..world_models.trajectories.lerobot import Pictures
from .collect import Source, collect, versions

TRIES = 20
"""With `only_successes`, give up after so many episodes for each one wanted."""
_JOB = "job.json"
_FLAGS = ("terminated", "truncated", "success")
_OPTIONAL = ("states", "intended")


@dataclass(frozen=True)
class Recording:
    """What was recorded.

    Attributes:
        path, format: the data set. episodes: in it. steps: of all of them. successes: that ended in success.
        tried: episodes played to get them.
    """

    path: Path
    format: str
    episodes: int
    steps: int
    successes: int
    tried: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {**asdict(self), "path": str(self.path.absolute())}


def record(
    source: Source,
    out: str | Path,
    *,
    episodes: int,
    format: str = "lerobot",
    num_envs: int = 8,
    only_successes: bool = False,
    pictures: Pictures = "video",
    replace: bool = False,
    notify: Notify | None = None,
) -> Recording:
    """Collects episodes 0, 1, 2, ... and writes them in their order; run again after an interruption, it goes on.

    Args:
        source: environment and policy. out: folder to make. episodes: how many. format: one of `FORMATS`.
        num_envs: worlds at once; what is recorded does not depend on it.
        only_successes: leave out episodes that do not end in success.
        pictures, replace: see `write_trajectories`. notify: called with (stage, share in [0, 1]).

    Raises:
        TaskError: a setting makes no sense, or the policy hardly ever succeeds.
        DatasetError: `out` exists or cannot be written, or an interrupted recording of other settings is in the way.
    """
    tell: Notify = notify or (lambda stage, share: None)
    out = Path(os.path.abspath(out))
    if episodes < 1:
        raise TaskError(f"episodes must be a whole number from 1, got {episodes}")
    if format not in FORMATS:
        raise DatasetError(f"format {format!r} is not known; choose one of {', '.join(FORMATS)}")
    if out.exists() and not replace:
        raise DatasetError(f"{out} exists already; choose another folder, or pass --replace to overwrite it")
    stage, chosen = gather(
        source,
        out.with_name(f".{out.name}.collected"),
        episodes=episodes,
        num_envs=num_envs,
        only_successes=only_successes,
        notify=tell,
    )
    data = write_trajectories(
        out, stage.read(chosen), format, pictures=pictures, replace=replace, total=episodes, notify=tell
    )
    steps = sum(stage.outcomes[i][1] for i in chosen)
    done = Recording(out, format, len(data), steps, sum(stage.outcomes[i][0] for i in chosen), chosen[-1] + 1)
    stage.remove()
    return done


def gather(
    source: Source, folder: Path, *, episodes: int, num_envs: int, only_successes: bool, notify: Notify
) -> tuple[Stage, list[int]]:
    """Collects what is not there yet of episodes 0, 1, 2, ... into a folder; see `record`.

    Returns:
        What was collected, and the numbers of the episodes that count.

    Raises:
        TaskError, DatasetError: see `record`.
    """
    stage = Stage(folder, _job(source, only_successes))
    notify("collect", 0.0)
    wanted = _wanted(stage, episodes, only_successes)
    for index, trajectory in collect(source, wanted, num_envs=min(num_envs, episodes), skip=stage.outcomes.keys()):
        stage.add(index, trajectory, keep=trajectory.succeeded or not only_successes)
        counted = stage.successes if only_successes else len(stage.outcomes)
        notify("collect", min(counted / episodes, 0.999))
    chosen = stage.chosen(only_successes)[:episodes]
    if len(chosen) < episodes:
        raise TaskError(
            f"only {len(chosen)} of {len(stage.outcomes)} episodes succeeded, {episodes} are wanted; check the policy "
            "and the task, or record failures too"
        )
    notify("collect", 1.0)
    return stage, chosen


def _wanted(stage: Stage, episodes: int, only_successes: bool) -> Iterator[int]:
    """Numbers of the episodes to play, until enough are done."""
    if not only_successes:
        yield from range(episodes)
        return
    for index in range(TRIES * episodes):
        # All before this one are done or being played, so the first successes by number are among them. An
        # interruption may have left gaps: fill those below what it finished.
        if stage.successes >= episodes and index > max(stage.outcomes):
            return
        yield index


def _job(source: Source, only_successes: bool) -> dict[str, Any]:
    return {
        "only_successes": only_successes,
        "versions": versions(),
        "env_id": source.env_id,
        "keywords": dict(source.keywords),
        "policy": source.title,
        "seed": source.seed,
        "states": source.states,
    }


class Stage:
    """A folder of collected episodes, one file each, that belong to one job.

    Attributes:
        outcomes: (success, steps) of each episode played, by number. successes: how many succeeded.
    """

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        """Opens the folder, which is made with the first episode.

        Raises:
            DatasetError: it holds another job, or is damaged.
        """
        self._folder, self._job = folder, json.dumps(job, sort_keys=True, indent=1)
        self.outcomes: dict[int, tuple[bool, int]] = {}
        self.successes = 0
        try:
            for file in folder.glob("*.json"):
                if file.stem.isdigit():
                    outcome = json.loads(file.read_text(encoding="utf-8"))
                    self._count(int(file.stem), bool(outcome["success"]), int(outcome["steps"]))
            if self.outcomes and (folder / _JOB).read_text(encoding="utf-8") != self._job:
                raise DatasetError(
                    f"{folder} holds an interrupted recording with other settings; finish it with those, or remove it"
                )
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, DatasetError):
                raise
            raise DatasetError(f"{folder} is damaged ({error}); remove it") from error

    def add(self, index: int, trajectory: Trajectory, *, keep: bool) -> None:
        """Stores an episode, or only that it was played.

        Raises:
            DatasetError: the folder cannot be written.
        """
        try:
            self._add(index, trajectory, keep)
        except OSError as error:
            raise DatasetError(f"cannot write {self._folder}: {error.strerror}; choose a writable place") from error

    def _add(self, index: int, trajectory: Trajectory, keep: bool) -> None:
        if not self.outcomes:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._write(_JOB, self._job.encode())
        if keep:
            arrays: dict[str, Any] = {name: getattr(trajectory, name) for name in ("actions", "rewards", *_FLAGS)}
            arrays |= {f"observation.{name}": values for name, values in trajectory.observations.items()}
            arrays |= {name: getattr(trajectory, name) for name in _OPTIONAL if getattr(trajectory, name) is not None}
            partial = self._folder / f"{index}.partial"
            with partial.open("wb") as file:
                np.savez(file, **arrays)
            partial.replace(self._folder / f"{index}.npz")
        outcome = {
            "success": trajectory.succeeded,
            "steps": len(trajectory),
            "instruction": trajectory.instruction,
            "seed": trajectory.seed,
            "episode": trajectory.episode,
            "origin": trajectory.origin.to_json(),
        }
        # After the arrays: what has its outcome is whole.
        self._write(f"{index}.json", json.dumps(outcome).encode())
        self._count(index, trajectory.succeeded, len(trajectory))

    def _count(self, index: int, success: bool, steps: int) -> None:
        self.outcomes[index] = (success, steps)
        self.successes += success

    def chosen(self, only_successes: bool) -> list[int]:
        """Numbers of the episodes that count, in their order."""
        return sorted(i for i, (success, _) in self.outcomes.items() if success or not only_successes)

    def read(self, indices: Sequence[int]) -> Iterator[Trajectory]:
        """Reads episodes back, one at a time.

        Raises:
            DatasetError: a file is damaged.
        """
        return map(self._read, indices)

    def _read(self, index: int) -> Trajectory:
        try:
            outcome = json.loads((self._folder / f"{index}.json").read_text(encoding="utf-8"))
            with np.load(self._folder / f"{index}.npz") as stored:
                arrays = {name: stored[name] for name in stored.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DatasetError(f"{self._folder} is damaged at episode {index} ({error}); remove it") from error
        prefix = "observation."
        return Trajectory(
            observations={k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)},
            **{name: arrays[name] for name in ("actions", "rewards", *_FLAGS)},
            states=arrays.get("states"),
            intended=arrays.get("intended"),
            instruction=outcome["instruction"],
            seed=outcome["seed"],
            episode=outcome["episode"],
            origin=Origin.from_json(outcome["origin"]),
        )

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, name: str, content: bytes) -> None:
        partial = self._folder / f"{name}.partial"
        partial.write_bytes(content)
        partial.replace(self._folder / name)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Keywords from `key=value` texts; a value that is JSON is taken as such, else as text.

    Raises:
        TaskError: one is not of that form, or comes twice.
    """
    found: dict[str, Any] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key.isidentifier():
            raise TaskError(f"setting {setting!r} is not of the form key=value")
        if key in found:
            raise TaskError(f"setting {key!r} is given twice")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
