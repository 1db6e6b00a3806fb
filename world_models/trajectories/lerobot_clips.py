"""LeRobot data sets of versions 2 and 3 as clips: the pictures of one camera and the words of the task, of any robot.

Version 2 has one film an episode, `meta/episodes.jsonl` and `meta/tasks.jsonl`; version 3 has episodes one after the
other in a film, and says in `meta/episodes/` where. Pictures that are no film stand in the Parquet files of the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from ...errors import DatasetError
from . import video
from .clip import Clip
from .columns import read_table
from .dataset import need, read_json, reading
from .lerobot import INFO
from .video import Picture

_PICTURES = "observation.images."
_CHUNK = 1000  # episodes in a folder of version 2, where it does not say so
_EPISODES = ("episode_index", "tasks", "length", "data/chunk_index", "data/file_index")
_FILMS = ("chunk_index", "file_index", "from_timestamp")


@dataclass(frozen=True)
class EpisodeClip(Clip):
    """An episode.

    Attributes:
        task: what was asked for. rate: pictures a second. frames: of them.
    """

    task: str
    rate: float
    frames: int

    def words(self) -> str:
        """See `Clip`."""
        return self.task


@dataclass(frozen=True)
class Stretch(EpisodeClip):
    """One that is a part of a film, from second `start` on."""

    start: float

    def pictures(self) -> Iterator[Picture]:
        """See `Clip`."""
        number = 0
        for picture in video.watch(self.files[0], self.start - 0.5 / self.rate):
            yield Picture(number / self.rate, number / self.frames, picture.image)
            number += 1
            if number == self.frames:
                return
        raise DatasetError(f"{self.files[0]} has {number} of {self.frames} frames of {self.name}; copy it again")


@dataclass(frozen=True)
class Rows(EpisodeClip):
    """One whose pictures are a column of a table."""

    column: str
    episode: int

    def pictures(self) -> Iterator[Picture]:
        """See `Clip`."""
        with reading(self.files[0], "lerobot"):
            table = read_table(self.files[0], columns=[self.column], filters=[("episode_index", "=", self.episode)])
            if len(table) != self.frames:
                raise DatasetError(
                    f"{self.files[0]} has {len(table)} of {self.frames} rows of {self.name}; copy it again"
                )
            for number, stored in enumerate(table[self.column]):
                image = partial(_opened, self.files[0], stored.as_py())
                yield Picture(number / self.rate, number / self.frames, image)


def lerobot_clips(path: Path, camera: str | None = None) -> list[Clip]:
    """The episodes of a data set.

    Args:
        path: its folder. camera: whose pictures, "front" or "observation.images.front"; the first if not given.

    Raises:
        DatasetError: it is of another version, is damaged, or has no such pictures.
    """
    with reading(path, "lerobot"):
        info = read_json(path / INFO)
        version = str(info["codebase_version"])
        if not version.startswith(("v2.", "v3.")):
            raise DatasetError(f"{path} is a LeRobot data set of version {version}; convert it to version 2 or 3")
        key = _key(path, info["features"], camera)
        film = info["features"][key]["dtype"] == "video"
        rows = _rows_of_2(path, info, key) if version.startswith("v2.") else _rows_of_3(path, info, key, film)
        found: list[Clip] = []
        for row in rows:
            number = int(row["episode_index"])
            place = str(info["video_path" if film else "data_path"]).format(**row["place"])
            tasks = row.get("tasks") or [""]
            shared: dict[str, Any] = {
                "name": f"{key.removeprefix(_PICTURES)} of episode {number} of {path}",
                "files": (path / place,),
                "task": str(tasks[0]),
                "rate": float(info["fps"]),
                "frames": int(row["length"]),
            }
            found.append(
                Stretch(**shared, start=float(row["start"])) if film else Rows(**shared, column=key, episode=number)
            )
        return found


def _key(path: Path, features: dict[str, Any], camera: str | None) -> str:
    """The feature that has the pictures."""
    there = [key for key, feature in features.items() if feature["dtype"] in ("video", "image")]
    if camera is None:
        coloured = [key for key in there if not _is_depth(features[key])]
        if not coloured:
            raise DatasetError(f"{path} has no pictures, so there is nothing to see in it")
        return coloured[0]
    for key in there:
        if camera in (key, key.removeprefix(_PICTURES)):
            return key
    raise DatasetError(f"{path} has no pictures {camera!r}; it has {[key.removeprefix(_PICTURES) for key in there]}")


def _is_depth(feature: dict[str, Any]) -> bool:
    told = {**(feature.get("info") or {}), **(feature.get("video_info") or {})}
    return bool(told.get("is_depth_map") or told.get("video.is_depth_map"))


def _rows_of_2(path: Path, info: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
    size = int(info.get("chunks_size", _CHUNK))
    for line in (path / "meta" / "episodes.jsonl").read_text(encoding="utf-8").splitlines():
        if line.strip():
            row = json.loads(line)
            number = int(row["episode_index"])
            place = {"episode_chunk": number // size, "episode_index": number, "video_key": key}
            yield {**row, "start": 0.0, "place": place}


def _rows_of_3(path: Path, info: dict[str, Any], key: str, film: bool) -> Iterator[dict[str, Any]]:
    kind = f"videos/{key}" if film else "data"
    wanted = [*_EPISODES, *(f"videos/{key}/{name}" for name in _FILMS)]
    files = sorted((path / "meta" / "episodes").glob("*/*.parquet"))
    if not files:
        raise DatasetError(f"{path} has no meta/episodes; copy it again")
    for file in files:
        names = need("pyarrow.parquet").read_schema(file).names
        for row in read_table(file, columns=[name for name in wanted if name in names]).to_pylist():
            place = {name: row[f"{kind}/{name}"] for name in ("chunk_index", "file_index")}
            start = row[f"{kind}/from_timestamp"] if film else 0.0
            yield {**row, "start": start, "place": {**place, "video_key": key}}


def _opened(file: Path, stored: dict[str, Any]) -> Any:
    image = need("PIL.Image")
    if stored.get("bytes") is None:
        raise DatasetError(
            f"{file} names pictures that are not in it ({stored.get('path')}); copy the data set with them"
        )
    with reading(file, "lerobot"):
        return image.open(BytesIO(stored["bytes"])).convert("RGB")
