"""Rehearses episodes in physics and in a neural simulator side by side, and learns how far to trust the latter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..envs import WorldVectorEnv
from ..envs.backends.neural import NeuralSimulator
from ..envs.simulator import Array, Sensors
from ..errors import CheckpointError
from ..world_models.hybrid.dynamics import Dynamics
from ..world_models.hybrid.model import load_model, save_model
from ..world_models.hybrid.trust import Trust
from .experience import Practice
from .play import make_play

Notify = Callable[[int, int], None]
"""Is told how many practices were rehearsed, and how many there are."""

EPISODES = 256
"""Most episodes of a practice that are rehearsed."""
_LATER = 50_000  # seeds after a practice's first: nothing was learned from these


@dataclass(frozen=True)
class Rehearsal:
    """n episodes of T control steps, played in physics and, with the same actions, in a model.

    Attributes:
        error: (n, T) how far off [m] the thing is that is off most: an object, or the handle of a part.
        numbers: (n, T, SIGNS), recent: (n, T, 4): see `world_models.hybrid.trust.Signs`.
        good: (n,) episodes in which neither diverged.
    """

    error: Array
    numbers: NDArray[np.float32]
    recent: NDArray[np.float32]
    good: NDArray[np.bool_]


def calibrate(practices: Sequence[Practice], checkpoint: Path, notify: Notify | None = None) -> Trust:
    """How far to trust a model, from rehearsals of practices with seeds that nothing was learned from.

    Raises:
        TaskError, CheckpointError: see `rehearse`.
    """
    error, numbers, recent = [], [], []
    for done, practice in enumerate(practices):
        if notify is not None:
            notify(done, len(practices))
        seed, episodes = practice.seed + _LATER, min(practice.episodes, EPISODES)
        found = rehearse(replace(practice, seed=seed, episodes=episodes), checkpoint)
        error.append(torch.from_numpy(found.error[found.good].astype(np.float32)))
        numbers.append(torch.from_numpy(found.numbers[found.good]))
        recent.append(torch.from_numpy(found.recent[found.good]))
    trust = Trust()
    trust.fit(numbers, error, recent)
    return trust


def recalibrate(checkpoint: Path, out: Path, notify: Notify | None = None) -> Dynamics:
    """Writes a model anew that is rehearsed again, in what its card says it was made from; it learns nothing more.

    What policies played that had learned in it is not rehearsed: they are not on the card. It then doubts more there.

    Raises:
        CheckpointError: it cannot be used, or its card does not say what it was made from. TaskError: see `rehearse`.
    """
    dynamics, _, card = load_model(checkpoint)
    told = card.trained_on.get("practices") or ()
    try:
        practices = [Practice(**each) for each in told]
    except TypeError:
        practices = []
    if not practices:
        raise CheckpointError(f"{checkpoint}: its card does not say what it was made from; train it again")
    trust = calibrate(practices, checkpoint, notify)
    kept = {name: getattr(card, name) for name in ("trained_on", "horizon", "measured")}
    save_model(out, dynamics, trust, robot=card.robot, **kept)
    return dynamics


def rehearse(practice: Practice, checkpoint: Path) -> Rehearsal:
    """Plays a practice's episodes on both backends; actions are what was played in physics (`play.make_play`).

    Raises:
        TaskError: see `WorldVectorEnv`. CheckpointError: the model cannot be used.
    """
    keywords = {**practice.worlds(), "num_envs": practice.episodes, "autoreset_mode": AutoresetMode.DISABLED}
    real = gym.make_vec(practice.env_id, **keywords).unwrapped
    dreamt = gym.make_vec(
        practice.env_id, **keywords, backend="neural", checkpoint=checkpoint, on_ood="ignore"
    ).unwrapped
    assert isinstance(real, WorldVectorEnv)
    assert isinstance(dreamt, WorldVectorEnv)
    assert isinstance(dreamt.simulator, NeuralSimulator)
    try:
        dreamt.reset(seed=practice.seed)
        observation, _ = real.reset(seed=practice.seed)
        play = make_play(real, practice.seed, practice.policies())
        signs, rows = dreamt.simulator.confidence.signs, torch.arange(real.num_envs)
        error, numbers, recent = [], [], []
        good = np.ones(practice.episodes, dtype=np.bool_)
        for _ in range(int(real.max_episode_steps or 0)):
            action = play.act(observation)
            for env in (dreamt, real):  # whoever plays sees physics
                observation, *_, info = env.step(action)
                if info["physics_error"].any():
                    good &= ~info["physics_error"]
                    observation, _ = env.reset(options={"reset_mask": info["physics_error"]})
            error.append(_apart(real.sensors(), dreamt.sensors()))
            numbers.append(signs.numbers(rows).numpy())
            recent.append(signs.recent.numpy().copy())
    finally:
        real.close()
        dreamt.close()
    return Rehearsal(np.stack(error, 1), np.stack(numbers, 1), np.stack(recent, 1), good)


def _apart(one: Sensors, other: Sensors) -> Array:
    """How far (n,) [m] the thing is off that is off most."""
    apart = [np.linalg.norm(one[name] - other[name], axis=2) for name in ("object_pos", "handle_pos")]
    return np.asarray(np.concatenate(apart, axis=1).max(axis=1, initial=0.0))
