"""Plays in physics so that a world model learns from it: experts, experts that are disturbed, and random motions.

A model that has seen success alone paints success. So every episode mixes: an expert with more or less noise, an expert
that loses control for a while, at any time, and goes on from where that led, random motions, and hardly any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..envs import WorldVectorEnv
from ..envs.backends.physics import PhysicsSimulator
from ..envs.backends.places import Places
from ..world_models.hybrid.experience import Experience
from .experts import make_expert

Array = NDArray[Any]
Notify = Callable[[int, int], None]
"""Is told how many episodes there are, and how many there will be."""

_KINDS = ("noisy", "disturbed", "random", "still")
_SHARES = (0.45, 0.25, 0.2, 0.1)
_NOISES = (0.0, 0.1, 0.25, 0.5)
_MEMORY = 0.85  # of the noise, from one control step to the next
_FLIP = 0.04  # how often a random gripper changes its mind
_SPAN = (5, 40)  # how long [control steps] an expert loses control


@dataclass(frozen=True)
class Practice:
    """What to play.

    Attributes:
        env_id, keywords: of `gym.make_vec`. episodes: how many. seed: of the first; episode i has the seed after i
            others. num_envs: worlds at once; results do not depend on how many threads step them.
    """

    env_id: str
    episodes: int
    seed: int = 0
    num_envs: int = 256
    keywords: Mapping[str, Any] = field(default_factory=dict)


def gather(practice: Practice, notify: Notify | None = None) -> Experience:
    """Plays and remembers, whole batches of episodes: at least as many as asked for.

    Raises:
        TaskError: see `WorldVectorEnv`.
    """
    count = min(practice.num_envs, practice.episodes)
    env = gym.make_vec(
        practice.env_id, num_envs=count, autoreset_mode=AutoresetMode.DISABLED, **dict(practice.keywords)
    )
    assert isinstance(env, WorldVectorEnv)
    assert isinstance(env.simulator, PhysicsSimulator)
    assert env.max_episode_steps is not None
    try:
        memory = _Memory(env, env.simulator)
        done = 0
        while done < practice.episodes:
            _play(env, memory, practice.seed + done)
            done += count
            if notify is not None:
                notify(min(done, practice.episodes), practice.episodes)
        return memory.experience()
    finally:
        env.close()


def _play(env: WorldVectorEnv, memory: _Memory, seed: int) -> None:
    """One episode of every world."""
    rng = np.random.default_rng([seed, 1])
    count, size, steps = env.num_envs, env.simulator.action_size, int(env.max_episode_steps or 0)
    env.reset(seed=seed)
    memory.begin()
    expert = make_expert(env)
    arm = env.world.robot.kind == "arm"
    kind = np.array(_KINDS)[rng.choice(len(_KINDS), count, p=_SHARES)]
    noise = rng.choice(_NOISES, (count, 1))
    drift, bias = np.zeros((count, size)), rng.normal(0, 0.4, (count, size))
    first, span = rng.integers(0, steps, count), rng.integers(*_SPAN, count)
    grip = rng.choice([-1.0, 1.0], count)
    for step in range(steps):
        drift = _MEMORY * drift + np.sqrt(1 - _MEMORY**2) * rng.normal(0, 1, (count, size))
        grip = np.where(rng.random(count) < _FLIP, -grip, grip)
        wild = 0.6 * drift + 0.3 * bias
        faint = 0.15 * drift * (rng.random((count, 1)) < 0.5)
        if arm:
            wild[:, -1] = faint[:, -1] = grip
        lost = (kind == "random") | ((kind == "disturbed") & (step >= first) & (step < first + span))
        action = np.where(lost[:, None], wild, expert.act() + noise * drift)
        action = np.where((kind == "still")[:, None], faint, action)
        *_, info = env.step(np.clip(action, -1, 1).astype(np.float32))
        memory.add()
        if info["physics_error"].any():
            memory.drop(info["physics_error"])
            env.reset(options={"reset_mask": info["physics_error"]})


class _Memory:
    """States and targets of all episodes, as they come."""

    def __init__(self, env: WorldVectorEnv, simulator: PhysicsSimulator) -> None:
        self._env, self._simulator = env, simulator
        self._places = Places(env.worlds)
        self._fields = {name: simulator.batch.bind(name) for name in ("qpos", "qvel", "ctrl", "act")}
        self._episodes: list[dict[str, list[Array]]] = []
        self._broken: list[NDArray[np.bool_]] = []

    def begin(self) -> None:
        self._episodes.append({name: [] for name in (*self._fields, "force", "scene")})
        self._broken.append(np.zeros(self._env.num_envs, dtype=np.bool_))
        self._look()

    def add(self) -> None:
        self._look()
        self._episodes[-1]["ctrl"].append(self._fields["ctrl"].astype(np.float32))

    def drop(self, broken: NDArray[np.bool_]) -> None:
        """Forgets the episodes of some worlds (num_envs,): their physics diverged."""
        self._broken[-1] |= broken

    def _look(self) -> None:
        episode, sensors = self._episodes[-1], self._env.sensors()
        for name in ("qpos", "qvel", "act"):
            episode[name].append(self._fields[name].astype(np.float32))
        force = sensors["pad_force"] if "pad_force" in sensors else sensors["tip_force"]
        episode["force"].append(force.astype(np.float32))
        episode["scene"] = [self._simulator.members.copy()]

    def experience(self) -> Experience:
        """All that was seen."""

        parts = []
        for episode, broken in zip(self._episodes, self._broken, strict=True):
            arrays = {name: np.stack(values, 1)[~broken] for name, values in episode.items()}
            scene = arrays["scene"][:, 0]
            count, frames = arrays["qpos"].shape[:2]
            told = np.concatenate([arrays["ctrl"], arrays["ctrl"][:, -1:]], 1)
            found = self._places.recorded(scene, arrays["qpos"], arrays["qvel"])
            found |= {"filtered": arrays["act"], "force": arrays["force"], "targets": told}
            flat = {name: torch.from_numpy(values).flatten(0, 1) for name, values in found.items()}
            parts.append(
                Experience(
                    scene=torch.from_numpy(scene).repeat_interleave(frames),
                    left=torch.arange(frames - 1, -1, -1).repeat(count),
                    **flat,
                )
            )
        return Experience.joined(parts, [0] * len(parts))
