"""Minari data sets in its HDF5 layout, which `minari.MinariDataset(folder / "data")` loads; minari is not imported.

    <folder>/data/metadata.json    spaces, `env_spec` (so that `recover_environment` works), totals
    <folder>/data/main_data.hdf5   one group `episode_<i>`: observations, actions, rewards, terminations, truncations,
                                   infos/success (and infos/state), attributes id, seed, total_steps, options/episode

`minari.load_dataset("<namespace>/<name>-v0")` finds a folder of that path below `$MINARI_DATASETS_PATH`. Pictures are
stored as they are (`"jpeg_encoding": false`, Minari 0.5.4 and later), so that nothing is lost.

Layout: Minari 0.5.4, `minari/dataset/_storages/hdf5_storage.py` and `minari/dataset/minari_storage.py`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from ...errors import DatasetError
from . import hdf5
from .dataset import TrajectoryDataset, read_json, write_json
from .trajectory import Array, Origin, Schema, Trajectory, alike

METADATA = "data/metadata.json"
_MAIN = "data/main_data.hdf5"
_VERSION = "0.5.4"  # the oldest Minari that reads pictures stored without JPEG


def write_minari(folder: Path, trajectories: Iterable[Trajectory], *, name: str) -> None:
    """Writes a data set.

    Args:
        folder: where to; exists and is empty. trajectories: alike; read once.
        name: of the data set: `<namespace>/<name>-v<number>`, or anything to be made into one.

    Raises:
        DatasetError: the trajectories differ, or lack their last observation, without which Minari has no episodes.
    """
    (folder / "data").mkdir()
    first: Trajectory | None = None
    episodes = steps = 0
    with hdf5.create(folder / _MAIN) as file:
        for episode, trajectory in enumerate(alike(trajectories)):
            if not trajectory.has_final:
                raise DatasetError(
                    f"trajectory {episode} lacks the observation after its last step, which Minari needs; "
                    "write it as 'lerobot' or 'robomimic'"
                )
            _write_episode(file.create_group(f"episode_{episode}"), episode, trajectory)
            first = first or trajectory
            episodes, steps = episode + 1, steps + len(trajectory)
    assert first is not None
    write_json(folder / METADATA, _metadata(first, name, episodes, steps, (folder / _MAIN).stat().st_size))


def _write_episode(group: Any, index: int, trajectory: Trajectory) -> None:
    group.attrs["id"] = index
    group.attrs["total_steps"] = len(trajectory)
    group.attrs["instruction"] = trajectory.instruction
    hdf5.put_note(group, hdf5.episode_note(trajectory))
    if trajectory.seed is not None:
        hdf5.put_number(group, "seed", trajectory.seed)
    if trajectory.episode is not None:
        hdf5.put_number(group, "options/episode", trajectory.episode)
    if trajectory.origin.bare:
        hdf5.put(group, "observations", next(iter(trajectory.observations.values())))
    else:
        seen = group.create_group("observations")
        for name, values in trajectory.observations.items():
            hdf5.put(seen, name, values)
    for name, values in (
        ("actions", trajectory.actions),
        ("rewards", trajectory.rewards),
        ("terminations", trajectory.terminated),
        ("truncations", trajectory.truncated),
    ):
        hdf5.put(group, name, values)
    infos = group.create_group("infos")
    # Infos have a row for the reset too, as Minari's own collector writes them.
    hdf5.put(infos, "success", np.concatenate([[False], trajectory.success]))
    if trajectory.states is not None:
        hdf5.put(infos, "state", trajectory.states)


def _metadata(first: Trajectory, name: str, episodes: int, steps: int, size: int) -> dict[str, Any]:
    schema, origin = Schema.of(first), first.origin
    spaces = {
        key: _box(shape, dtype, origin.bounds.get(key, (None, None)))
        for key, (shape, dtype) in schema.observations.items()
    }
    observed = next(iter(spaces.values())) if origin.bare else {"type": "Dict", "subspaces": spaces}
    metadata: dict[str, Any] = {
        "dataset_id": dataset_id(name),
        "total_episodes": episodes,
        "total_steps": steps,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": _compact(observed),
        "action_space": _compact(_box(*schema.action, origin.bounds.get("action", (None, None)))),
        "minari_version": _VERSION,
        "algorithm_name": origin.policy,
        "author": [],
        "author_email": [],
        "requirements": [f"{package}=={version}" for package, version in origin.versions.items()],
        "dataset_size": round(size / 1e6, 1),
        "pocketworlds": {
            "origin": origin.to_json(),
            "observations": list(schema.observations),
            "states": schema.states,
        },
    }
    spec = _environment(origin)
    if spec is not None:
        metadata["env_spec"] = spec
    return metadata


def dataset_id(name: str) -> str:
    """A Minari id: namespace, name and version, from a path or a word."""
    parts = [re.sub(r"[^-\w]", "-", part) or "-" for part in Path(name).parts if part != Path(name).anchor]
    last = parts[-1] if parts else "data"
    if re.fullmatch(r"[-\w]+-v\d+", last):
        # Minari takes no namespace of a single letter.
        return "/".join(part for part in (*parts[-2:-1], last) if len(part) > 1)
    return f"pocketworlds/{last}-v0"


def _box(shape: tuple[int, ...], dtype: str, bounds: tuple[float | None, float | None]) -> dict[str, Any]:
    """A `Box` in Minari's JSON (`minari/serialization.py`); unknown bounds are those of the element type."""
    kind = np.dtype(dtype)
    least: float | int | bool
    most: float | int | bool
    if kind.kind == "f":
        least, most = -np.inf, np.inf
    elif kind.kind == "b":
        least, most = False, True
    else:
        least, most = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
    low, high = (given if given is not None else own for given, own in zip(bounds, (least, most), strict=True))
    if kind.kind in "iu":
        low, high = int(low), int(high)
    filled = [np.full(shape, value, dtype=kind).tolist() for value in (low, high)]
    return {"type": "Box", "dtype": dtype, "shape": list(shape), "low": filled[0], "high": filled[1]}


def _compact(space: dict[str, Any]) -> str:
    return json.dumps(space)


def _environment(origin: Origin) -> str | None:
    """The environment as Gymnasium's `EnvSpec` in JSON; None if it is not registered here."""
    if origin.env_id not in gym.registry:
        return None
    spec = copy.deepcopy(gym.spec(origin.env_id))
    spec.kwargs = {**spec.kwargs, **origin.keywords}
    spec.max_episode_steps = origin.max_episode_steps
    return spec.to_json()


class MinariDataset(TrajectoryDataset):
    """A Minari data set in HDF5: ours, or another's whose observations are arrays or a flat dict of arrays."""

    format: ClassVar[str] = "minari"

    def __init__(self, path: Path) -> None:
        """Opens the folder that holds `data/`.

        Raises:
            DatasetError: it is stored in another way than HDF5.
        """
        self.path = path
        metadata = read_json(path / METADATA)
        if metadata["data_format"] != "hdf5":
            raise DatasetError(
                f"{path} is a Minari data set in {metadata['data_format']!r}; convert it to its 'hdf5' format"
            )
        ours = metadata.get("pocketworlds")
        if ours is not None:
            self.origin = Origin.from_json(ours["origin"])
            self._names: list[str] | None = [str(name) for name in ours["observations"]]
            self._infos = {"success", *(["state"] if ours["states"] else [])}
        else:
            self.origin = _foreign(metadata)
            self._names, self._infos = None, set()
        self._length = int(metadata["total_episodes"])
        with hdf5.open_file(path / _MAIN) as file:
            missing = [i for i in range(self._length) if f"episode_{i}" not in file]
        if missing:
            raise ValueError(f"episode {missing[0]} of {self._length} is missing")

    def __len__(self) -> int:
        """Number of episodes."""
        return self._length

    def _read(self, index: int) -> Trajectory:
        with hdf5.open_file(self.path / _MAIN) as file:
            group = file[f"episode_{index}"]
            note = hdf5.get_note(group) if self._names is not None else None
            rewards = hdf5.get(group, "rewards").astype(np.float64)
            # Ours must be there: a damaged link looks as if it were not.
            infos = {name: hdf5.get(group, f"infos/{name}") for name in self._infos}
            success = infos.get("success", np.zeros(len(rewards) + 1))[-len(rewards) :]
            actions = hdf5.get(group, "actions")
            return Trajectory(
                observations=self._observations(group["observations"]),
                actions=actions[:, None] if actions.ndim == 1 else actions,
                rewards=rewards,
                terminated=hdf5.get(group, "terminations").astype(np.bool_),
                truncated=hdf5.get(group, "truncations").astype(np.bool_),
                success=success.astype(np.bool_),
                states=infos.get("state"),
                origin=self.origin,
                **(_told(group.attrs) if note is None else hdf5.from_episode_note(note)),
            )

    def _observations(self, found: Any) -> dict[str, Array]:
        if not hasattr(found, "keys"):
            return {self._names[0] if self._names else "observation": found[()]}
        names = self._names or list(found.keys())
        if any(hasattr(found[name], "keys") for name in names):
            raise DatasetError(f"{self.path} has observations nested in each other; flatten them first")
        return {name: hdf5.get(found, name) for name in names}


def _told(attributes: Any) -> dict[str, Any]:
    """What a data set of others says about an episode."""
    told: dict[str, Any] = {"instruction": str(attributes.get("instruction", ""))}
    for name, key in (("seed", "seed"), ("episode", "options/episode")):
        if key in attributes:
            told[name] = int(attributes[key])
    return told


def _foreign(metadata: dict[str, Any]) -> Origin:
    """What a data set of others says about its environment."""
    spec = json.loads(metadata.get("env_spec") or "{}")
    space = json.loads(metadata.get("observation_space") or "{}")
    return Origin(
        env_id=spec.get("id", ""),
        keywords=spec.get("kwargs", {}),
        max_episode_steps=spec.get("max_episode_steps"),
        policy=str(metadata.get("algorithm_name", "")),
        bare=space.get("type") != "Dict",
    )
