"""Records play as frames: pictures, sensors and actions, for models of frames to learn from.

What is played is the mix of `experience`. A recording is a folder of shards (`world_models.frames.episodes`), one a
batch of episodes, each written whole: a recording that was interrupted goes on with the next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..envs import WorldVectorEnv
from ..envs.backends.frame_vectors import SensorVectors, scene_size, scene_vector
from ..envs.backends.physics import PhysicsSimulator
from ..world_models.frames.episodes import save_frames
from ..world_models.frames.settings import FrameSettings
from .experience import Notify, Practice, make_practice_env, play

_THINGS = ("object_pos", "part_pos", "joint_pos")


def look(practice: Practice, *, camera: str, size: int, context: int) -> FrameSettings:
    """What recordings of a practice are about.

    Raises:
        TaskError: see `WorldVectorEnv`, or there is no such camera.
    """
    env = make_practice_env(Practice(practice.env_id, 1, keywords=practice.keywords))
    try:
        return frame_settings(env, camera=camera, size=size, context=context)
    finally:
        env.close()


def record(practice: Practice, settings: FrameSettings, folder: Path, notify: Notify | None = None) -> list[Path]:
    """Plays and records what is not there yet, whole batches of episodes; gives all shards, in order.

    Raises:
        TaskError: see `WorldVectorEnv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = min(practice.num_envs, practice.episodes)
    starts = range(0, practice.episodes, count)
    shards = [folder / f"frames-{start // count:05d}.safetensors" for start in starts]
    missing = [(start, shard) for start, shard in zip(starts, shards, strict=True) if not shard.exists()]
    if not missing:
        return shards
    env = make_practice_env(practice)
    try:
        film = _Film(env, settings)
        for start, shard in missing:
            play(env, film, practice.seed + start)
            save_frames(shard, settings, film.episodes())
            if notify is not None:
                notify(min(start + count, practice.episodes), practice.episodes)
    finally:
        env.close()
    return shards


def frame_settings(env: WorldVectorEnv, *, camera: str, size: int, context: int) -> FrameSettings:
    """What a model of frames of an environment sees and does: pictures of `size` pixels a side, `context` frames."""
    env.world.camera(camera)
    return FrameSettings(
        robot=env.world.robot.name,
        control_mode=env.config.control_mode,
        action_size=env.simulator.action_size,
        state=SensorVectors(env.sensors()).layout,
        scene_size=scene_size(env.world),
        image_size=(size, size),
        camera=camera,
        period=env.simulator.control_period,
        context=context,
    )


class _Film:
    """Frames of one batch of episodes, as they come; see `experience.Watcher`."""

    def __init__(self, env: WorldVectorEnv, settings: FrameSettings) -> None:
        self._env, self._settings = env, settings
        self._vectors, self._all = SensorVectors(env.sensors()), np.arange(env.num_envs)
        self._scenes: dict[int, NDArray[np.float32]] = {}
        self._image: list[NDArray[Any]] = []
        self._state: list[NDArray[np.float32]] = []
        self._things: list[dict[str, NDArray[np.float64]]] = []
        self._action: list[NDArray[np.float32]] = []
        self._good = np.ones(env.num_envs, dtype=np.bool_)
        self._member = np.zeros(env.num_envs, dtype=np.int64)

    def begin(self) -> None:
        self._image, self._state, self._action, self._things = [], [], [], []
        self._good[:] = True
        assert isinstance(self._env.simulator, PhysicsSimulator)
        self._member = self._env.simulator.members.copy()
        self._look()

    def add(self, action: NDArray[np.float32]) -> None:
        self._action.append(action)
        self._look()

    def drop(self, broken: NDArray[np.bool_]) -> None:
        self._good &= ~broken

    def episodes(self) -> dict[str, torch.Tensor]:
        """All that was seen, as a shard holds it."""
        image, state, action = (np.stack(each, 1) for each in (self._image, self._state, self._action))
        action = np.concatenate([action, np.zeros_like(action[:, :1])], axis=1)
        scene = np.stack([self._scene(int(member)) for member in self._member])
        found = {"image": image, "state": state, "action": action, "scene": scene, "motion": self._motion()}
        return {name: torch.from_numpy(values[self._good]) for name, values in found.items()}

    def _look(self) -> None:
        height, width = self._settings.image_size
        sensors = self._env.sensors()
        drawn = self._env.simulator.images(self._all, self._settings.camera, ("rgb",), width=width, height=height)
        self._image.append(drawn["rgb"])
        self._state.append(self._vectors.packed(sensors))
        self._things.append({name: sensors[name].copy() for name in _THINGS})

    def _motion(self) -> NDArray[np.float32]:
        """How far (num_envs, T) what moved most got until the next frame [m], [rad]: things, or the robot if none."""
        seen = {name: np.stack([each[name] for each in self._things], 1) for name in _THINGS}
        apart = {name: np.abs(np.diff(values, axis=1)) for name, values in seen.items()}
        things = [values.reshape(*values.shape[:2], -1) for name, values in apart.items() if name != "joint_pos"]
        moved = np.concatenate(things, axis=2)
        if not moved.shape[2]:
            moved = apart["joint_pos"]
        found = moved.max(axis=2)
        return np.concatenate([found, np.zeros_like(found[:, :1])], axis=1).astype(np.float32)

    def _scene(self, member: int) -> NDArray[np.float32]:
        if member not in self._scenes:
            self._scenes[member] = scene_vector(self._env.worlds[member], self._settings.camera)
        return self._scenes[member]
