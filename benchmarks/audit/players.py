"""Who plays in an audit: experts that are good, noisy, slow, late, biased or lose control; random motions, and none.

What a world does depends on its player, its seed and what it senses, never on the batch it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agents.experts import make_expert
from ...envs import WorldVectorEnv

Array = NDArray[np.float64]

_MEMORY = 0.85  # of the noise, from one control step to the next, as in `agents.experience`
_HELD = 8  # control steps for which extreme actions are held
_FLIP = 0.04  # how often a random gripper changes its mind


@dataclass(frozen=True)
class Player:
    """A way of playing.

    Attributes:
        name: what it is called.
        kind: "expert" (with faults), "random", "still" or "extreme" (at the limits, held for 8 control steps).
        noise: on an expert's actions. gain: its actions are scaled by it. bias: so far [full actions] off, in a
            direction of the seed's. lost: (first, last) share of the episode in which it moves at random. until: share
            of the episode after which it does nothing. hold: control steps for which it repeats an action.
    """

    name: str
    kind: str = "expert"
    noise: float = 0.0
    gain: float = 1.0
    bias: float = 0.0
    lost: tuple[float, float] = (0.0, 0.0)
    until: float = 1.0
    hold: int = 1


def ranked_players() -> tuple[Player, ...]:
    """The scripted policies that are ranked: 24, of eight kinds."""
    return (
        *(Player(f"noise {noise:g}", noise=noise) for noise in (0.0, 0.05, 0.1, 0.2, 0.35, 0.6)),
        *(Player(f"biased {bias:g}", bias=bias) for bias in (0.05, 0.1, 0.2, 0.35)),
        *(Player(f"lost {a:g}-{b:g}", lost=(a, b)) for a, b in ((0.1, 0.4), (0.25, 0.6), (0.35, 0.9), (0.6, 1.0))),
        *(Player(f"stops at {until:g}", until=until) for until in (0.25, 0.3, 0.35, 0.5)),
        *(Player(f"slow {gain:g}", gain=gain) for gain in (0.35, 0.6)),
        *(Player(f"repeats {hold}", hold=hold) for hold in (4, 8)),
        Player("random", "random"),
        Player("still", "still"),
    )


def mixed_players(count: int, seed: int) -> list[Player]:
    """Players of `count` episodes of mixed quality, in the shares of `agents.experience`; the k-th is of seed + k."""
    found = []
    for k in range(count):
        rng = np.random.default_rng([seed + k, 11])
        kind = rng.choice(["noisy", "disturbed", "random", "still"], p=[0.45, 0.25, 0.2, 0.1])
        noise, first, span = (
            float(rng.choice([0.0, 0.1, 0.25, 0.5])),
            float(rng.random()),
            float(rng.uniform(0.03, 0.3)),
        )
        if kind in {"random", "still"}:
            found.append(Player(str(kind), str(kind)))
        elif kind == "disturbed":
            found.append(Player("disturbed", noise=noise, lost=(first, first + span)))
        else:
            found.append(Player("noisy", noise=noise))
    return found


class Cast:
    """The players of a batch, one a world, from the moment an episode has begun in all of them."""

    def __init__(self, env: WorldVectorEnv, players: Sequence[Player], seeds: Sequence[int]) -> None:
        """Takes the environment that they play in, just reset with `seeds`."""
        count, size, steps = env.num_envs, env.simulator.action_size, int(env.max_episode_steps or 0)
        self._expert, self._players, self._step = make_expert(env), players, 0
        self._held = np.zeros((count, size))
        arm = env.world.robot.kind == "arm"
        self._drift, self._wild, self._far = (np.zeros((steps, count, size)) for _ in range(3))
        self._faint, self._bias = np.zeros((steps, count, size)), np.zeros((count, size))
        for j, (player, seed) in enumerate(zip(players, seeds, strict=True)):
            noise = _Noise(np.random.default_rng([seed, 12]), steps, size)
            self._drift[:, j], way = noise.drift, noise.way
            self._wild[:, j] = 0.6 * noise.drift + 0.3 * noise.offset
            self._far[:, j] = np.where(noise.drift[np.arange(steps) // _HELD * _HELD] > 0, 1.0, -1.0)
            self._faint[:, j] = 0.15 * noise.drift * noise.some[:, None]
            if arm:
                self._wild[:, j, -1] = self._faint[:, j, -1] = noise.grip
                way[-1] = 0.0
            self._bias[j] = player.bias * way / max(float(np.linalg.norm(way)), 1e-9)
        first, last = np.array([player.lost for player in players]).T
        self._lost = first * steps, last * steps
        self._until = np.array([player.until for player in players]) * steps
        self._kind = np.array([player.kind for player in players])
        self._noise, self._gain = (
            np.array([getattr(player, name) for player in players])[:, None] for name in ("noise", "gain")
        )
        self._hold = np.array([player.hold for player in players])

    def act(self, observation: Any = None) -> NDArray[np.float32]:
        """The next actions (num_envs, action_size) in [-1, 1]."""
        step = self._step
        own = self._expert.act().astype(np.float64)
        own = self._gain * own + self._bias + self._noise * self._drift[step]
        self._held = np.where((step % self._hold == 0)[:, None], own, self._held)
        lost = (self._kind == "random") | ((step >= self._lost[0]) & (step < self._lost[1]))
        action = np.where(lost[:, None], self._wild[step], self._held)
        action = np.where((self._kind == "extreme")[:, None], self._far[step], action)
        action = np.where((self._kind == "still")[:, None], self._faint[step], action)
        action = np.where((step >= self._until)[:, None], 0.0, action)
        self._step += 1
        return np.asarray(np.clip(action, -1, 1), dtype=np.float32)


class _Noise:
    """All that is drawn for one world's episode."""

    def __init__(self, rng: np.random.Generator, steps: int, size: int) -> None:
        white = rng.normal(0, np.sqrt(1 - _MEMORY**2), (steps, size))
        self.drift = np.zeros((steps, size))
        last = np.zeros(size)
        for step in range(steps):
            last = self.drift[step] = _MEMORY * last + white[step]
        self.offset, self.way = rng.normal(0, 0.4, size), rng.normal(0, 1, size)
        self.some = rng.random(steps) < 0.5
        self.grip = rng.choice([-1.0, 1.0]) * np.where(np.cumsum(rng.random(steps) < _FLIP) % 2 == 0, 1.0, -1.0)
