"""Plays in physics (`play`), so that a world model learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..digital_cousins.cousin import Cousin
from ..digital_cousins.rig import NO_DIFFERENCE
from ..envs import WorldVectorEnv
from ..envs.backends.physics import PhysicsSimulator
from ..envs.backends.places import Places
from ..envs.config import resolve_scenes
from ..world_models.hybrid.experience import Experience
from .play import make_play
from .sb3_policy import SB3Policy

Array = NDArray[Any]
Notify = Callable[[int, int], None]
"""Is told how many episodes there are, and how many there will be."""


@dataclass(frozen=True)
class Practice:
    """What to play.

    Attributes:
        env_id, keywords: of `gym.make_vec`. episodes: how many. seed: of the first; episode i has the seed after i
            others. num_envs: worlds at once; results do not depend on how many threads step them.
        players: folders of policies (`sb3_policy.SB3Policy`) that play it; nobody: it is play of mixed quality.
        servos: where the servos of cousins differ from their twin's, by how many times as much they do here: what was
            learned from is then on all sides of what there is.
    """

    env_id: str
    episodes: int
    seed: int = 0
    num_envs: int = 256
    keywords: Mapping[str, Any] = field(default_factory=dict)
    players: tuple[str, ...] = ()
    servos: float = 1.0

    def worlds(self) -> dict[str, Any]:
        """Keywords of `gym.make_vec` for the worlds that it is played in.

        Raises:
            TaskError, SceneError: the scene cannot be used.
        """
        found = dict(self.keywords)
        if self.servos != 1.0 and "scene" in found:
            scenes = resolve_scenes(found["scene"], found.get("split", "train"))
            if any(rig != NO_DIFFERENCE for _, rig in scenes):
                apart = [(scene, rig.with_servos_apart(self.servos)) for scene, rig in scenes]
                found["scene"] = [Cousin(k, "train", scene, rig, {}) for k, (scene, rig) in enumerate(apart)]
        return found

    def policies(self) -> list[SB3Policy]:
        """Those who play.

        Raises:
            TaskError: see `SB3Policy`.
        """
        return [SB3Policy(Path(folder)) for folder in self.players]


class Watcher(Protocol):
    """Sees what is played."""

    def begin(self) -> None:
        """One episode of every world has begun."""

    def add(self, action: NDArray[np.float32]) -> None:
        """Every world has gone on by one control step, with actions (num_envs, A)."""

    def drop(self, broken: NDArray[np.bool_]) -> None:
        """Episodes of some worlds (num_envs,) are to be forgotten: their physics diverged."""


def make_practice_env(practice: Practice) -> WorldVectorEnv:
    """The environment to practise in, with as many worlds as are played at once.

    Raises:
        TaskError: see `WorldVectorEnv`.
    """
    count = min(practice.num_envs, practice.episodes)
    env = gym.make_vec(practice.env_id, num_envs=count, autoreset_mode=AutoresetMode.DISABLED, **practice.worlds())
    assert isinstance(env, WorldVectorEnv)
    assert env.max_episode_steps is not None
    return env


def gather(practice: Practice, notify: Notify | None = None, *, kept: Path | None = None) -> Experience:
    """Plays and remembers, whole batches of episodes: at least as many as asked for.

    Args:
        practice, notify: see there. kept: folder, made if need be, for what each batch was like: those that are there
            are not played again.

    Raises:
        TaskError: see `WorldVectorEnv`.
    """
    env = make_practice_env(practice)
    count = env.num_envs
    assert isinstance(env.simulator, PhysicsSimulator)
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
    batches = []
    try:
        memory, policies = _Memory(env, env.simulator), practice.policies()
        for done in range(0, practice.episodes, count):
            file = None if kept is None else kept / f"{done:06d}.safetensors"
            if file is not None and file.exists():
                batches.append(Experience.load(file))
            else:
                play(env, memory, practice.seed + done, policies)
                batches.append(memory.experience())
                if file is not None:
                    batches[-1].save(file)
            if notify is not None:
                notify(min(done + count, practice.episodes), practice.episodes)
        return Experience.joined(batches, [0] * len(batches))
    finally:
        env.close()


def play(env: WorldVectorEnv, watcher: Watcher, seed: int, policies: Sequence[SB3Policy] = ()) -> None:
    """One episode of every world of an environment that does not reset by itself; see `make_play`."""
    observation, _ = env.reset(seed=seed)
    watcher.begin()
    players = make_play(env, seed, policies)
    for _ in range(int(env.max_episode_steps or 0)):
        action = players.act(observation)
        observation, *_, info = env.step(action)
        watcher.add(action)
        if info["physics_error"].any():
            watcher.drop(info["physics_error"])
            observation, _ = env.reset(options={"reset_mask": info["physics_error"]})


class _Memory:
    """States and targets of one batch of episodes, as they come."""

    def __init__(self, env: WorldVectorEnv, simulator: PhysicsSimulator) -> None:
        self._env, self._simulator = env, simulator
        self._places = Places(env.worlds)
        self._fields = {name: simulator.batch.bind(name) for name in ("qpos", "qvel", "ctrl", "act")}
        self._seen: dict[str, list[Array]] = {}
        self._scene, self._broken = simulator.members.copy(), np.zeros(env.num_envs, dtype=np.bool_)

    def begin(self) -> None:
        """See `Watcher`; what was seen before is forgotten."""
        self._seen = {name: [] for name in (*self._fields, "force")}
        self._scene, self._broken = self._simulator.members.copy(), np.zeros(self._env.num_envs, dtype=np.bool_)
        self._look()

    def add(self, action: NDArray[np.float32]) -> None:
        """See `Watcher`; what the servos were told says it all."""
        self._look()
        self._seen["ctrl"].append(self._fields["ctrl"].astype(np.float32))

    def drop(self, broken: NDArray[np.bool_]) -> None:
        """Forgets the episodes of some worlds (num_envs,): their physics diverged."""
        self._broken |= broken

    def _look(self) -> None:
        sensors = self._env.sensors()
        for name in ("qpos", "qvel", "act"):
            self._seen[name].append(self._fields[name].astype(np.float32))
        force = sensors["pad_force"] if "pad_force" in sensors else sensors["tip_force"]
        self._seen["force"].append(force.astype(np.float32))

    def experience(self) -> Experience:
        """What was seen since the last beginning, but for what is to be forgotten."""
        arrays = {name: np.stack(values, 1)[~self._broken] for name, values in self._seen.items()}
        scene = self._scene[~self._broken]
        count, frames = arrays["qpos"].shape[:2]
        told = np.concatenate([arrays["ctrl"], arrays["ctrl"][:, -1:]], 1)
        found = self._places.recorded(scene, arrays["qpos"], arrays["qvel"])
        found |= {"filtered": arrays["act"], "force": arrays["force"], "targets": told}
        flat = {name: torch.from_numpy(values).flatten(0, 1) for name, values in found.items()}
        return Experience(
            scene=torch.from_numpy(scene).repeat_interleave(frames),
            left=torch.arange(frames - 1, -1, -1).repeat(count),
            **flat,
        )
