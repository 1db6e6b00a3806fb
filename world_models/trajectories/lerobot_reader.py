"""Reads LeRobotDataset v3: ours exactly, others' as far as their columns are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...errors import DatasetError
from . import video
from .columns import from_column, from_png, read_table
from .dataset import TrajectoryDataset, need, read_json
from .lerobot import EXTRAS, INFO, OUTCOMES, STATS, TASKS, feature_key
from .trajectory import Array, Origin, Trajectory

_PICTURES = "observation.images."
_OBSERVATION = "observation."


class LeRobotDataset(TrajectoryDataset):
    """A LeRobotDataset v3 in a folder.

    Attributes:
        stats: of all steps, by feature, as in `meta/stats.json`; empty if there are none.
    """

    format: ClassVar[str] = "lerobot"

    def __init__(self, path: Path) -> None:
        """Reads what `meta/` says about the episodes.

        Raises:
            DatasetError: it is of another version.
        """
        self.path = path
        self._info = read_json(path / INFO)
        version = str(self._info["codebase_version"])
        if not version.startswith("v3."):
            raise DatasetError(
                f"{path} is a LeRobot data set of version {version}; convert it with "
                "`python -m lerobot.scripts.convert_dataset_v21_to_v30`"
            )
        self.stats: dict[str, Any] = read_json(path / STATS) if (path / STATS).exists() else {}
        tables = [read_table(file) for file in sorted((path / "meta" / "episodes").glob("*/*.parquet"))]
        columns = [name for name in tables[0].column_names if not name.startswith("stats/")]
        rows = [row for table in tables for row in table.select(columns).to_pylist()]
        self._rows = sorted(rows, key=lambda row: int(row["episode_index"]))
        if len(self._rows) != int(self._info["total_episodes"]):
            raise ValueError(f"{len(self._rows)} of {self._info['total_episodes']} episodes are there")
        tasks = read_table(path / TASKS).to_pydict()
        sentences = tasks.get("task") or tasks.get("__index_level_0__") or []
        self._tasks = dict(zip(tasks["task_index"], sentences, strict=True))
        self._extras: Any = None
        self._kept: dict[str, Any] | None = None
        if (path / EXTRAS).exists():
            self._extras = need("pyarrow.parquet").ParquetFile(path / EXTRAS, page_checksum_verification=True)
            self._kept = json.loads(self._extras.schema_arrow.metadata[b"pocketworlds"])
        self._features: dict[str, dict[str, Any]] = self._info["features"]
        self._seen = self._observations()
        self.origin = (
            Origin.from_json(self._kept["origin"])
            if self._kept
            else Origin(env_id="", control_rate=int(self._info["fps"]), bare=len(self._seen) == 1)
        )

    def __len__(self) -> int:
        """Number of episodes."""
        return len(self._rows)

    def _observations(self) -> dict[str, tuple[str, tuple[int, ...], str]]:
        """By name: the feature's key, and the shape and type of one step."""
        if self._kept:
            return {
                name: (feature_key(name, tuple(shape), dtype), tuple(shape), dtype)
                for name, (shape, dtype) in self._kept["observations"].items()
            }
        found = {}
        for key, feature in self._features.items():
            if key.startswith(_OBSERVATION) and feature["dtype"] != "string":
                name = key.removeprefix(_PICTURES).removeprefix(_OBSERVATION).replace(".", "_").replace("-", "_")
                picture = feature["dtype"] in ("video", "image")
                found[name] = (key, tuple(feature["shape"]), "uint8" if picture else feature["dtype"])
        return found

    def _read(self, index: int) -> Trajectory:
        row = self._rows[index]
        steps = int(row["length"])
        file = self.path / self._info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        table = read_table(file, filters=[("episode_index", "=", int(row["episode_index"]))])
        if len(table) != steps:
            raise ValueError(f"episode {index} has {len(table)} of {steps} rows")
        observations = {name: self._observed(*where, table, row) for name, where in self._seen.items()}
        films = {name for name, (key, _, _) in self._seen.items() if self._features[key]["dtype"] == "video"}
        shape, dtype = self._action()
        done = self._flags(table, "next.done", np.zeros(steps, dtype=np.bool_))
        task = self._tasks.get(table["task_index"][0].as_py(), "") if "task_index" in table.column_names else ""
        reward = self._flags(table, "next.reward", np.zeros(steps))
        kept: dict[str, Any] = {}
        if self._extras is not None:
            observations, kept = self._exact(index, observations, films)
        defaults = {"next.terminated": done, "next.truncated": np.zeros_like(done), "next.success": done}
        flags: dict[str, Any] = {
            name: self._flags(table, key, defaults[key]).astype(np.bool_) for key, name in OUTCOMES.items()
        }
        return Trajectory(
            observations=observations,
            actions=from_column(table["action"], shape, dtype),
            rewards=reward.astype(np.float64),
            **flags,
            instruction=str(task),
            origin=self.origin,
            lossy=frozenset(films | set(kept.pop("lossy", ()))),
            **kept,
        )

    def _action(self) -> tuple[tuple[int, ...], str]:
        if self._kept:
            shape, dtype = self._kept["action"]
            return tuple(shape), dtype
        feature = self._features["action"]
        return tuple(feature["shape"]), feature["dtype"]

    def _observed(self, key: str, shape: tuple[int, ...], dtype: str, table: Any, row: dict[str, Any]) -> Array:
        kind = self._features[key]["dtype"]
        if kind == "video":
            place = self._info["video_path"].format(
                video_key=key,
                chunk_index=row[f"videos/{key}/chunk_index"],
                file_index=row[f"videos/{key}/file_index"],
            )
            start = float(row[f"videos/{key}/from_timestamp"])
            return video.read_frames(self.path / place, start, int(row["length"]), float(self._info["fps"]))
        if kind == "image":
            return np.stack([from_png(stored) for stored in table[key].to_pylist()])
        return from_column(table[key], shape, dtype)

    def _exact(
        self, index: int, observations: dict[str, Array], films: set[str]
    ) -> tuple[dict[str, Array], dict[str, Any]]:
        """Adds the last observations, and gives what else LeRobot has no place for."""
        row = self._extras.read_row_group(index).to_pylist()[0]
        assert self._kept is not None
        if row["episode_index"] != self._rows[index]["episode_index"]:
            raise ValueError(f"{EXTRAS} does not belong to these episodes")
        if self._kept["final"]:
            for name, (_, shape, dtype) in self._seen.items():
                last = np.frombuffer(row[f"final/{name}"], dtype=dtype).reshape(1, *shape)
                observations[name] = np.concatenate([observations[name], last])
        states = row["states"]
        return observations, {
            "seed": None if row["seed"] is None else int(row["seed"]),
            "episode": None if row["episode"] is None else int(row["episode"]),
            "lossy": row["lossy"],
            "states": None if states is None else np.frombuffer(states).reshape(-1, self._kept["states"]).copy(),
        }

    @staticmethod
    def _flags(table: Any, key: str, default: Array) -> Array:
        if key not in table.column_names:
            return default
        return from_column(table[key], (), default.dtype.name)
