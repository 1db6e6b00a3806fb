"""Both halves of `check_lerobot.sh`: what we read from a data set, and whether LeRobot reads the same.

python scripts/check_lerobot.py reference DATASET FILE.npz    in our environment
python scripts/check_lerobot.py compare DATASET FILE.npz      in LeRobot's environment
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

_FILM_ERROR = 0.001  # of full scale, on average: other decoders may round colours otherwise


def reference(folder: Path, file: Path) -> None:
    """Writes what PocketWorlds reads, by LeRobot's names, all steps after one another."""
    from pocketworlds.world_models.trajectories import open_trajectories
    from pocketworlds.world_models.trajectories.lerobot import feature_key

    data = list(open_trajectories(folder))
    first = data[0]
    columns: dict[str, Any] = {
        feature_key(name, values.shape[1:], values.dtype.name): [item.observations[name][: len(item)] for item in data]
        for name, values in first.observations.items()
    }
    columns["action"] = [item.actions for item in data]
    columns["next.reward"] = [item.rewards for item in data]
    columns["next.success"] = [item.success for item in data]
    columns["next.done"] = [item.terminated | item.truncated for item in data]
    stacked: dict[str, Any] = {key: np.concatenate(values) for key, values in columns.items()}
    lengths = [len(item) for item in data]
    np.savez(file, **stacked, lengths=lengths, tasks=np.repeat([item.instruction for item in data], lengths))


def compare(folder: Path, file: Path) -> None:
    """Reads the data set with LeRobot, step by step, and exits with a sentence at the first difference."""
    import lerobot
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    wanted = dict(np.load(file))
    lengths, tasks = wanted.pop("lengths"), wanted.pop("tasks")
    data = LeRobotDataset("pocketworlds/check", root=folder)
    _expect("episodes", data.num_episodes, len(lengths))
    _expect("steps", len(data), int(lengths.sum()))
    _expect("frames per second", data.fps, 20)
    films = set(data.meta.video_keys)
    for step in range(len(data)):
        item = data[step]
        _expect(f"task of step {step}", item["task"], str(tasks[step]))
        for key, values in wanted.items():
            value, read = values[step], item[key].numpy()
            if key in data.meta.camera_keys:  # LeRobot gives (3, height, width) in [0, 1]
                error = np.abs(read.transpose(1, 2, 0) - value / 255).mean()
                if error > (_FILM_ERROR if key in films else 1e-6):
                    sys.exit(f"{key} of step {step} differs by {error:.4f} of full scale")
            elif not np.array_equal(read, value.astype(read.dtype)):
                sys.exit(f"{key} of step {step} is {read}, not {value}")
    # Windows of several steps, as policies are trained on; they must stop at the ends of episodes.
    window = LeRobotDataset("pocketworlds/check", root=folder, delta_timestamps={"action": [0.0, 0.05, 0.10]})
    item = window[int(lengths[0]) - 1]
    _expect("padding at the end of an episode", item["action_is_pad"].tolist(), [False, True, True])
    chosen = LeRobotDataset("pocketworlds/check", root=folder, episodes=[len(lengths) - 1])
    _expect("steps of the last episode", len(chosen), int(lengths[-1]))
    mean = np.asarray(data.meta.stats["action"]["mean"])
    if not np.allclose(mean, wanted["action"].astype(np.float64).mean(axis=0), atol=1e-6):
        sys.exit(f"the mean action is {mean}")
    version = getattr(lerobot, "__version__", "of unknown version")
    print(
        f"{folder.name}: LeRobot {version} reads {len(lengths)} episodes, {len(data)} steps, {sorted(wanted)}: the same"
    )


def _expect(name: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        sys.exit(f"{name}: {found!r}, not {wanted!r}")


if __name__ == "__main__":
    {"reference": reference, "compare": compare}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
