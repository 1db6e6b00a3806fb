"""Held-out episodes of mixed quality, played in physics and recorded: what an audit holds a model against.

Beside the episodes there are stretches of them, from which a model is to foresee what comes. Every second begins at any
time, the others where something is about to move within `SOON` control steps, if it ever does: mostly, nothing moves
but the robot. Both are drawn by the episode's seed from what physics did, and know nothing of a model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ...envs import EnvState, WorldVectorEnv
from .errors import MOVED
from .players import Cast, Player, mixed_players
from .subject import Subject, length
from .trace import Array, Recorder, Trace, follow

Notify = Callable[[str, float], None]

FIRST_SEED = 5_000_000
"""Of held-out episodes: policies train on lower seeds, and models on those from `agents.course.FIRST_SEED` on."""
HORIZONS = (1, 5, 10, 20, 50)
"""Control steps after which a model is looked at."""
SOON = 5


@dataclass(frozen=True)
class Window:
    """A stretch of each of n episodes.

    Attributes:
        starts: (n,) control steps at which it begins in each. state: of all worlds there.
    """

    starts: Array
    state: EnvState

    def cut(self, actions: Array, steps: int) -> Array:
        """The stretch's actions (steps, n, size) out of those of whole episodes (T, n, size)."""
        return np.asarray(actions[self.starts + np.arange(steps)[:, None], np.arange(actions.shape[1])])


@dataclass(frozen=True)
class Chunk:
    """Some of the episodes, in worlds of one batch: which rows of all, their seeds, and stretches of them."""

    rows: slice
    seeds: list[int]
    windows: tuple[Window, ...]

    @property
    def episodes(self) -> Array:
        """(n,) which of all episodes the worlds have."""
        return np.arange(self.rows.start, self.rows.stop)


@dataclass(frozen=True)
class Record:
    """N episodes of T control steps.

    Attributes:
        actions: (T, N, action_size). trace: T + 1 frames of N worlds. chunks: which batch played which.
    """

    actions: Array
    trace: Trace
    chunks: tuple[Chunk, ...]

    @property
    def steps(self) -> int:
        """Control steps of an episode."""
        return len(self.actions)

    @property
    def shuffled(self) -> Array:
        """Actions (T, N, action_size) in which every episode has those of the next."""
        return np.roll(self.actions, -1, axis=1)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Those that an episode is long enough for."""
        return tuple(h for h in HORIZONS if h <= self.steps)


def record(
    subject: Subject,
    *,
    episodes: int,
    num_envs: int,
    windows: int,
    seed: int,
    notify: Notify,
    player: Player | None = None,
) -> Record:
    """Plays episodes of seeds `seed`, `seed` + 1, ... in physics, `num_envs` at a time; `player`: not the usual mix."""
    actions, traces, chunks = [], [], []
    players = mixed_players(episodes, seed) if player is None else [player] * episodes
    for rows in batches(episodes, num_envs):
        env = subject.physics(rows.stop - rows.start)
        try:
            seeds = list(range(seed + rows.start, seed + rows.stop))
            env.reset(seed=seeds)
            cast, recorder, told = Cast(env, players[rows], seeds), Recorder(env), []
            for _ in range(length(env)):
                told.append(cast.act())
                recorder.step(told[-1])
            played, trace = np.stack(told), recorder.trace()
            starts = np.stack([window_starts(trace.worlds(slice(k, k + 1)), windows, s) for k, s in enumerate(seeds)])
            chunks.append(Chunk(rows, seeds, _windows(env, seeds, played, starts.T)))
        finally:
            env.close()
        actions.append(played)
        traces.append(trace)
        notify("playing in physics", rows.stop / episodes)
    return Record(np.concatenate(actions, axis=1), Trace.joined(traces), tuple(chunks))


def window_starts(trace: Trace, count: int, seed: int) -> Array:
    """Control steps (count,) at which stretches of one episode begin; see the module."""
    rng = np.random.default_rng([seed, 13])
    things = np.concatenate([trace.object_pos, trace.handle_pos], axis=2)[:, 0]
    last = max(len(things) - 1 - HORIZONS[-1], 0)
    soon = np.minimum(np.arange(last + 1) + SOON, len(things) - 1)
    lively = np.linalg.norm(things[soon] - things[: last + 1], axis=-1).max(axis=1, initial=0.0) > MOVED
    found = rng.integers(last + 1, size=count)
    if lively.any():
        found[1::2] = rng.choice(np.flatnonzero(lively), size=len(found[1::2]))
    return found


def _windows(env: WorldVectorEnv, seeds: list[int], actions: Array, starts: Array) -> tuple[Window, ...]:
    """The states at control steps `starts` (W, n): plays once more and takes each world's when it is there."""
    env.reset(seed=seeds)
    held = [env.get_state() for _ in starts]

    def look(step: int) -> None:
        if (starts == step).any():
            now = env.get_state()
            for state, when in zip(held, starts, strict=True):
                _put(state, now, np.flatnonzero(when == step))

    look(0)
    follow(env, actions, after=look)
    return tuple(Window(when, state) for when, state in zip(starts, held, strict=True))


def _put(into: object, other: object, rows: Array) -> None:
    """Copies rows of all arrays of one state into another's."""
    for item in dataclasses.fields(into):  # type: ignore[arg-type]
        mine, theirs = getattr(into, item.name), getattr(other, item.name)
        if item.name == "scene_weights":
            continue
        if dataclasses.is_dataclass(mine):
            _put(mine, theirs, rows)
        elif isinstance(mine, dict):
            for name, values in mine.items():
                values[rows] = theirs[name][rows]
        elif isinstance(mine, np.ndarray):
            mine[rows] = theirs[rows]


def batches(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that make up `count`."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def both(subject: Subject, num_envs: int, **more: object) -> tuple[WorldVectorEnv, WorldVectorEnv]:
    """Worlds of physics and as many of the model."""
    physics = subject.physics(num_envs, **more)
    try:
        return physics, subject.model(num_envs, **more)
    except BaseException:
        physics.close()
        raise
