"""LeRobotDataset v3, written and read with pyarrow and PyAV; lerobot is not imported.

    meta/info.json, meta/stats.json, meta/tasks.parquet, meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-000.parquet             a row a step, a row group an episode
    videos/<key>/chunk-000/file-000.mp4         episodes one after the other
    meta/pocketworlds.parquet                   what LeRobot has no place for: seeds, last observations, states

A row is a step: `observation.<name>` before it (`observation.images.<name>` for pictures), `action`, and after it
`next.reward`, `next.done`, `next.terminated`, `next.truncated`, `next.success`. Numbers are stored exactly. Pictures
are H.264 films, which is lossy, or PNG, which is not.

Layout: lerobot 0.6, `src/lerobot/datasets/{dataset_writer,dataset_metadata,feature_utils,io_utils}.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import lerobot_stats, video
from .columns import FileCounter, TableWriter, to_column, to_png
from .dataset import need, write_json
from .trajectory import Schema, Trajectory, alike, is_picture

INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EXTRAS = "meta/pocketworlds.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
OUTCOMES = {"next.terminated": "terminated", "next.truncated": "truncated", "next.success": "success"}
_CHUNK, _DATA_MB, _VIDEO_MB = 1000, 100, 200
_EPISODES_AT_ONCE = 100

Pictures = Literal["video", "png"]


def feature_key(name: str, shape: tuple[int, ...], dtype: str) -> str:
    """What an observation is called in LeRobot."""
    return f"observation.images.{name}" if is_picture(shape, dtype) else f"observation.{name}"


def write_lerobot(
    folder: Path,
    trajectories: Iterable[Trajectory],
    *,
    pictures: Pictures = "video",
    data_mb: int = _DATA_MB,
    video_mb: int = _VIDEO_MB,
) -> None:
    """Writes a data set.

    Args:
        folder: where to; exists and is empty. trajectories: alike; read once.
        pictures: "video" (lossy; pictures of odd sides become PNG) or "png".
        data_mb, video_mb: size after which a new file is begun.

    Raises:
        DatasetError: the trajectories differ, or there are none. MissingDependencyError: pyarrow is not installed.
    """
    writer: _Writer | None = None
    for trajectory in alike(trajectories):
        if writer is None:
            writer = _Writer(folder, trajectory, pictures, data_mb, video_mb)
        writer.append(trajectory)
    assert writer is not None
    writer.close()


class _Writer:
    """What is open while a data set is being written."""

    def __init__(self, folder: Path, first: Trajectory, pictures: Pictures, data_mb: int, video_mb: int) -> None:
        self._folder = folder
        self._schema, self._origin = Schema.of(first), first.origin
        self._sizes = (data_mb, video_mb)
        self._keys = {name: feature_key(name, *kind) for name, kind in self._schema.observations.items()}
        self._pictures = [name for name, kind in self._schema.observations.items() if is_picture(*kind)]
        films = [n for n in self._pictures if pictures == "video" and video.fits(self._schema.observations[n][0])]
        self._films = {
            name: _Films(folder, self._keys[name], first.origin.control_rate, self._schema.observations[name][0])
            for name in films
        }
        self._data = TableWriter(folder, DATA_PATH, data_mb * 2**20, _CHUNK)
        self._episodes = TableWriter(folder, EPISODES_PATH, data_mb * 2**20, _CHUNK)
        self._extras = TableWriter(folder, EXTRAS, 2**62, 1)
        self._rows: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._stats = lerobot_stats.PooledStats()
        self._count = self._steps = 0

    def append(self, trajectory: Trajectory) -> None:
        """Writes one episode."""
        steps = len(trajectory)
        task = self._tasks.setdefault(trajectory.instruction, len(self._tasks))
        values: dict[str, Any] = {
            **{self._keys[name]: seen[:steps] for name, seen in trajectory.observations.items()},
            "action": trajectory.actions,
            "next.reward": trajectory.rewards,
            "next.done": trajectory.terminated | trajectory.truncated,
            **{key: getattr(trajectory, name) for key, name in OUTCOMES.items()},
            "timestamp": (np.arange(steps) / self._origin.control_rate).astype(np.float32),
            "frame_index": np.arange(steps),
            "episode_index": np.full(steps, self._count),
            "index": np.arange(self._steps, self._steps + steps),
            "task_index": np.full(steps, task),
        }
        pictures = {self._keys[name] for name in self._pictures}
        stats = {
            key: lerobot_stats.picture_stats(column) if key in pictures else lerobot_stats.array_stats(column)
            for key, column in values.items()
        }
        row: dict[str, Any] = {
            "episode_index": self._count,
            "tasks": [trajectory.instruction],
            "length": steps,
            "dataset_from_index": self._steps,
            "dataset_to_index": self._steps + steps,
        }
        for name, films in self._films.items():
            row |= films.append(values.pop(self._keys[name]), self._sizes[1] * 2**20)
        self._data.append(_table(values, pictures))
        row |= {"data/chunk_index": self._data.counter.chunk, "data/file_index": self._data.counter.file}
        row |= {f"stats/{key}/{name}": value.tolist() for key, s in stats.items() for name, value in s.items()}
        self._rows.append(row)
        self._stats.add(stats)
        self._extras.append(self._extra(trajectory))
        self._count, self._steps = self._count + 1, self._steps + steps
        if len(self._rows) == _EPISODES_AT_ONCE:
            self._flush()

    def close(self) -> None:
        """Writes what is left and the files that describe the whole."""
        self._flush()
        for writer in (self._data, self._episodes, self._extras):
            writer.close()
        for films in self._films.values():
            films.close()
        need("pyarrow.parquet").write_table(_tasks(list(self._tasks)), self._folder / TASKS)
        write_json(self._folder / STATS, self._stats.to_json())
        write_json(self._folder / INFO, self._info())

    def _flush(self) -> None:
        if self._rows:
            place = {
                "meta/episodes/chunk_index": self._episodes.counter.chunk,
                "meta/episodes/file_index": self._episodes.counter.file,
            }
            self._episodes.append(need("pyarrow").Table.from_pylist([row | place for row in self._rows]))
            self._rows = []

    def _extra(self, trajectory: Trajectory) -> Any:
        pa = need("pyarrow")
        steps = len(trajectory)
        final = {
            f"final/{name}": pa.array([seen[steps:].tobytes()], pa.large_binary())
            for name, seen in trajectory.observations.items()
            if trajectory.has_final
        }
        states = trajectory.states
        columns = {
            "episode_index": pa.array([self._count], pa.int64()),
            # As text: seeds from entropy have 128 bits.
            "seed": pa.array([None if trajectory.seed is None else str(trajectory.seed)], pa.string()),
            "episode": pa.array([None if trajectory.episode is None else str(trajectory.episode)], pa.string()),
            "lossy": pa.array([sorted(trajectory.lossy)], pa.list_(pa.string())),
            "states": pa.array([None if states is None else states.tobytes()], pa.large_binary()),
            **final,
        }
        kept = {
            "origin": self._origin.to_json(),
            "observations": {name: [list(shape), dtype] for name, (shape, dtype) in self._schema.observations.items()},
            "action": [list(self._schema.action[0]), self._schema.action[1]],
            "final": self._schema.final,
            "states": self._schema.states,
        }
        return pa.table(columns).replace_schema_metadata({"pocketworlds": json.dumps(kept)})

    def _info(self) -> dict[str, Any]:
        robot = self._origin.keywords.get("robot")
        return {
            "codebase_version": "v3.0",
            "robot_type": robot if isinstance(robot, str) else None,
            "total_episodes": self._count,
            "total_frames": self._steps,
            "total_tasks": len(self._tasks),
            "chunks_size": _CHUNK,
            "data_files_size_in_mb": self._sizes[0],
            "video_files_size_in_mb": self._sizes[1],
            "fps": self._origin.control_rate,
            "splits": {"train": f"0:{self._count}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if self._films else None,
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        features: dict[str, Any] = {}
        for name, (shape, dtype) in self._schema.observations.items():
            if name in self._films:
                details = {
                    "video.height": shape[0],
                    "video.width": shape[1],
                    "video.codec": video.CODEC,
                    "video.pix_fmt": video.PIXELS,
                    "video.fps": self._origin.control_rate,
                    "video.channels": 3,
                    "is_depth_map": False,
                    "has_audio": False,
                }
                features[self._keys[name]] = _feature("video", shape) | {"info": details}
            else:
                features[self._keys[name]] = _feature("image" if name in self._pictures else dtype, shape)
        features["action"] = _feature(self._schema.action[1], self._schema.action[0])
        features["next.reward"] = _feature("float64", ())
        for key in ("next.done", *OUTCOMES):
            features[key] = _feature("bool", ())
        features["timestamp"] = _feature("float32", ())
        for key in ("frame_index", "episode_index", "index", "task_index"):
            features[key] = _feature("int64", ())
        return features


class _Films:
    """The films of one camera: a new file begins with an episode once the last is big."""

    def __init__(self, folder: Path, key: str, rate: int, shape: tuple[int, ...]) -> None:
        self._folder, self._key, self._rate, self._shape = folder, key, rate, shape
        self._counter = FileCounter(_CHUNK)
        self._film: video.FilmWriter | None = None

    def append(self, pictures: Any, most: int) -> dict[str, Any]:
        """Writes the pictures of an episode; says where they are."""
        if self._film is not None and self._film.size >= most:
            self.close()
            self._counter.next()
        if self._film is None:
            place = VIDEO_PATH.format(
                video_key=self._key, chunk_index=self._counter.chunk, file_index=self._counter.file
            )
            self._film = video.FilmWriter(self._folder / place, self._rate, self._shape)
        start = self._film.frames
        self._film.append(pictures)
        return {
            f"videos/{self._key}/chunk_index": self._counter.chunk,
            f"videos/{self._key}/file_index": self._counter.file,
            f"videos/{self._key}/from_timestamp": start / self._rate,
            f"videos/{self._key}/to_timestamp": self._film.frames / self._rate,
        }

    def close(self) -> None:
        """Finishes the current film."""
        if self._film is not None:
            self._film.close()
            self._film = None


def _feature(dtype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    names = ["height", "width", "channels"] if dtype in ("video", "image") else None
    return {"dtype": dtype, "shape": list(shape) or [1], "names": names}


def _table(values: dict[str, Any], pictures: set[str]) -> Any:
    pa = need("pyarrow")
    stored = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.table(
        {
            key: pa.array([to_png(picture) for picture in column], stored) if key in pictures else to_column(column)
            for key, column in values.items()
        }
    )


def _tasks(tasks: list[str]) -> Any:
    """The table of tasks with the note that makes pandas take the sentences as its index, as LeRobot expects."""
    pa = need("pyarrow")
    columns = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for name, kind, numpy in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    note = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(note)})
