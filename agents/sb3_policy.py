"""Policies of Stable-Baselines3 in folders: written as they are trained, read back to act.

train_ppo(make_sb3_env("PocketWorlds/Push-v0", settings.num_envs), settings, seed=0, out=Path("out/push"))
policy = SB3Policy(Path("out/push"))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.running_mean_std import RunningMeanStd

from ..errors import TaskError

POLICY, SCALING, ABOUT = "policy.zip", "scaling.npz", "policy.json"
"""What a training writes beside its curve: SB3's own file, the scaling of observations, if those are states, and which
algorithm it was."""

ALGORITHMS: Mapping[str, type[BaseAlgorithm]] = {"PPO": PPO, "SAC": SAC}


def save_policy(model: BaseAlgorithm, out: Path) -> None:
    """Writes a policy that learns in `staggered` worlds as it is now into a folder, for `SB3Policy`."""
    env = model.get_vec_normalize_env()
    assert env is not None
    if env.norm_obs:
        assert isinstance(env.obs_rms, RunningMeanStd)
        np.savez(out / SCALING, mean=env.obs_rms.mean, scale=np.sqrt(env.obs_rms.var + env.epsilon), clip=env.clip_obs)
    model.save(out / POLICY)
    (out / ABOUT).write_text(json.dumps({"algorithm": type(model).__name__}) + "\n")


class SB3Policy:
    """The mean actions of a policy that `save_policy` wrote.

    Attributes:
        picture: (height, width) of the pictures that it sees; None: it sees states.
        size: of a state, or 0. action_size: A.
    """

    def __init__(self, folder: Path) -> None:
        """Reads it. Files of Stable-Baselines3 hold code: read those alone that somebody you trust has made.

        Raises:
            TaskError: there is none, or it is damaged.
        """
        path = self._find(folder, POLICY)
        try:
            about = folder / ABOUT
            kind = json.loads(about.read_text())["algorithm"] if about.exists() else "PPO"
            self._model = ALGORITHMS[kind].load(path, device="cpu")
        except Exception as error:  # whatever comes of reading half a file
            raise TaskError(f"{path} cannot be read ({error}); train it again, or copy it again") from error
        space, actions = self._model.observation_space, self._model.action_space
        assert space.shape is not None
        assert actions.shape is not None
        # Stable-Baselines3 has put the colours first.
        self.picture = (space.shape[1], space.shape[2]) if is_image_space(space) else None
        self.size, self.action_size = 0 if self.picture else space.shape[0], actions.shape[0]
        if not self.picture:
            with np.load(self._find(folder, SCALING)) as found:
                self._mean, self._scale, self._clip = found["mean"], found["scale"], float(found["clip"])

    def reset(self, num_envs: int) -> None:
        """So many episodes begin: nothing to forget."""

    def act(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """Actions (n, action_size) in [-1, 1] for states (n, size), or for pictures (n, height, width, 3)."""
        seen = observations
        if not self.picture:
            seen = np.clip((seen - self._mean) / self._scale, -self._clip, self._clip).astype(np.float32)
        action, _ = self._model.predict(seen, deterministic=True)
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)

    @staticmethod
    def _find(folder: Path, name: str) -> Path:
        if not (folder / name).is_file():
            raise TaskError(f"{folder} holds no trained policy: {name} is missing; train one into it first")
        return folder / name
