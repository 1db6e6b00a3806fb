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
from .trajectory import Origin, Trajectory, alike

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
                data.attrs["pocketworlds"] = json.dumps(origin.to_json())
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
    group.attrs["instruction"] = trajectory.instruction
    group.attrs["lossy"] = ",".join(sorted(trajectory.lossy))
    for name in ("seed", "episode"):
        if getattr(trajectory, name) is not None:
            group.attrs[name] = str(getattr(trajectory, name))
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
            self._ours = "pocketworlds" in data.attrs
            if self._ours:
                self.origin = Origin.from_json(json.loads(data.attrs["pocketworlds"]))
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
            attributes = dict(group.attrs)
            actions, done = hdf5.get(group, "actions"), hdf5.get(group, "dones").astype(np.bool_)
            observations = {name: hdf5.get(group["obs"], name) for name in group["obs"]}
            if "next_obs" in group:
                observations = {
                    name: np.concatenate([values, hdf5.get(group["next_obs"], name)[-1:]])
                    for name, values in observations.items()
                }
            states = hdf5.get(group, "states") if "states" in group else np.zeros((len(actions), 0))
            if "final_state" in group:
                states = np.concatenate([states, hdf5.get(group, "final_state")])

            def flags(name: str, default: Any) -> Any:
                return hdf5.get(group, name) if name in group else default

            return Trajectory(
                observations=observations,
                actions=actions,
                rewards=hdf5.get(group, "rewards").astype(np.float64),
                terminated=flags("terminated", done),
                truncated=flags("truncated", np.zeros(len(actions), dtype=np.bool_)),
                success=flags("success", done),
                instruction=str(attributes.get("instruction", "")),
                seed=int(attributes["seed"]) if self._ours and "seed" in attributes else None,
                episode=int(attributes["episode"]) if self._ours and "episode" in attributes else None,
                states=states.astype(np.float64) if states.ndim == 2 and states.shape[1] else None,
                origin=self.origin,
                lossy=frozenset(filter(None, str(attributes.get("lossy", "")).split(","))),
            )
