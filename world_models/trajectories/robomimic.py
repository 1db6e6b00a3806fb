"""robomimic data sets: one HDF5 file that its `SequenceDataset` reads.

    data                    attributes total, env_args (JSON: env_name, type, env_kwargs)
    data/demo_<i>           attribute num_samples; actions, rewards, dones, states, obs/<name>, next_obs/<name>
    mask/train, mask/valid  names of the demonstrations to train on, and of every tenth, to validate on

`states` are rows of `Trajectory.states`, before each step; beside robomimic's own entries a demonstration has
`terminated`, `truncated`, `success` and `final_state`, which robomimic leaves alone.

Layout: robomimic 0.3, docs/datasets/overview.md, "Dataset Structure".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from . import hdf5
from .dataset import TrajectoryDataset
from .trajectory import Origin, Schema, Trajectory, alike

FILE = "dataset.hdf5"
_GYM = 2  # robomimic's `EnvType.GYM_TYPE` (robomimic/envs/env_base.py)
_VALID = 10  # every tenth demonstration validates


def write_robomimic(folder: Path, trajectories: Iterable[Trajectory]) -> None:
    """Writes `dataset.hdf5` into a folder.

    Raises:
        DatasetError: the trajectories differ, or there are none.
    """
    count = steps = 0
    with hdf5.create(folder / FILE) as file:
        data = file.create_group("data")
        for index, trajectory in enumerate(alike(trajectories)):
            if index == 0:
                origin = trajectory.origin
                data.attrs["env_args"] = json.dumps(
                    {"env_name": origin.env_id, "type": _GYM, "env_kwargs": dict(origin.keywords)}
                )
                schema = Schema.of(trajectory)
                hdf5.put_note(
                    data, {"origin": origin.to_json(), "final": schema.final, "last_state": schema.last_state}
                )
            _write_demonstration(data.create_group(f"demo_{index}"), trajectory)
            count, steps = index + 1, steps + len(trajectory)
        data.attrs["total"] = steps
        mask = file.create_group("mask")
        valid = [i for i in range(count) if i % _VALID == _VALID - 1] or ([count - 1] if count > 1 else [])
        for name, chosen in (("train", [i for i in range(count) if i not in set(valid)]), ("valid", valid)):
            mask.create_dataset(name, data=np.array([f"demo_{i}" for i in chosen], dtype="S16"))


def _write_demonstration(group: Any, trajectory: Trajectory) -> None:
    steps = len(trajectory)
    group.attrs["num_samples"] = steps
    hdf5.put_note(group, hdf5.episode_note(trajectory))
    states = trajectory.states
    hdf5.put(group, "actions", trajectory.actions)
    hdf5.put(group, "rewards", trajectory.rewards)
    hdf5.put(group, "dones", (trajectory.terminated | trajectory.truncated).astype(np.int64))
    hdf5.put(group, "states", np.zeros((steps, 0)) if states is None else states[:steps])
    if states is not None and len(states) > steps:
        hdf5.put(group, "final_state", states[steps:])
    for name in ("terminated", "truncated", "success"):
        hdf5.put(group, name, getattr(trajectory, name))
    seen = group.create_group("obs")
    for name, values in trajectory.observations.items():
        hdf5.put(seen, name, values[:steps])
    if trajectory.has_final:
        later = group.create_group("next_obs")
        for name, values in trajectory.observations.items():
            hdf5.put(later, name, values[1:])


class RobomimicDataset(TrajectoryDataset):
    """A robomimic file, ours or another's."""

    format: ClassVar[str] = "robomimic"

    def __init__(self, path: Path) -> None:
        """Opens the HDF5 file."""
        self.path = path
        with hdf5.open_file(path) as file:
            data = file["data"]
            self._demos = sorted((name for name in data if name.startswith("demo_")), key=lambda name: int(name[5:]))
            self._kept = hdf5.get_note(data)
            if self._kept is not None:
                self.origin = Origin.from_json(self._kept["origin"])
            else:
                made = json.loads(data.attrs.get("env_args", "{}"))
                self.origin = Origin(env_id=made.get("env_name", ""), keywords=made.get("env_kwargs", {}))
            total = data.attrs.get("total")
            if total is not None and int(total) != sum(int(data[name].attrs["num_samples"]) for name in self._demos):
                raise ValueError(f"demonstrations are missing: they do not add up to {total} samples")

    def __len__(self) -> int:
        """Number of demonstrations."""
        return len(self._demos)

    def _read(self, index: int) -> Trajectory:
        with hdf5.open_file(self.path) as file:
            group = file["data"][self._demos[index]]
            note = None if self._kept is None else hdf5.get_note(group)
            actions, done = hdf5.get(group, "actions"), hdf5.get(group, "dones").astype(np.bool_)

            def there(name: str, ours: bool = True) -> bool:
                # Ours must be there: a damaged link looks as if it were not.
                return name in group if self._kept is None else ours

            def flags(name: str, default: Any) -> Any:
                return hdf5.get(group, name) if there(name) else default

            final = there("next_obs", bool(self._kept and self._kept["final"]))
            states = hdf5.get(group, "states") if there("states") else np.zeros((len(actions), 0))
            if there("final_state", bool(self._kept and self._kept["last_state"])):
                states = np.concatenate([states, hdf5.get(group, "final_state")])
            observations = {name: hdf5.get(group, f"obs/{name}") for name in group["obs"]}
            if final:
                observations = {
                    name: np.concatenate([values, hdf5.get(group, f"next_obs/{name}")[-1:]])
                    for name, values in observations.items()
                }
            return Trajectory(
                observations=observations,
                actions=actions,
                rewards=hdf5.get(group, "rewards").astype(np.float64),
                terminated=flags("terminated", done),
                truncated=flags("truncated", np.zeros(len(actions), dtype=np.bool_)),
                success=flags("success", done),
                states=states.astype(np.float64) if states.ndim == 2 and states.shape[1] else None,
                origin=self.origin,
                **(hdf5.from_episode_note(note) if note else {}),
            )
