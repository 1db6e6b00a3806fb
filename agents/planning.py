"""Planning in imagination: sequences of actions are tried in a simulator, and what came out best is done.

    env = gym.make_vec("PocketWorlds/Push-v0", num_envs=4)
    plan_env = gym.make_vec("PocketWorlds/Push-v0", num_envs=4 * 128, backend="neural")
    planner = Planner(ImaginedWorlds(env, plan_env), CEM())
    env.reset(seed=0)
    env.step(planner.act())

The simulator is one keyword of `plan_env`; with `backend="physics"` the planner knows what will happen, which bounds
what any model can do for it. All worlds plan at once, in one batch of worlds times samples, and what one world plans
depends on neither the others nor how many there are.

A sequence has few knots, so that there is little to search: H control periods are a piecewise linear function of K.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..envs.measuring import episode_keys, normal
from ..errors import TaskError
from .imagination import Imagination

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sequences:
    """Sequences of H actions that K knots say.

    Attributes:
        horizon: H, control periods. knots: K, from 1 to H; as many as H leaves every action free.
        between: knots are joined by lines ("linear"), or each is repeated ("hold"), for H / K periods.
    """

    horizon: int = 16
    knots: int = 4
    between: Literal["linear", "hold"] = "linear"

    def __post_init__(self) -> None:
        """Checks.

        Raises:
            TaskError: a value makes no sense.
        """
        _whole("horizon", self.horizon, 1)
        _whole("knots", self.knots, 1)
        if self.knots > self.horizon:
            raise TaskError(f"knots={self.knots} are more than the horizon has periods; give at most {self.horizon}")
        if self.between not in ("linear", "hold"):
            raise TaskError(f"between={self.between!r} is not known; choose 'linear' or 'hold'")

    @cached_property
    def basis(self) -> Array:
        """(H, K): actions are this times the knots. Rows are not negative and add up to 1."""
        periods, knots = np.arange(self.horizon), np.arange(self.knots)
        if self.between == "hold" or self.knots == 1:
            return np.asarray((periods * self.knots // self.horizon)[:, None] == knots, dtype=np.float64)
        place = periods * ((self.knots - 1) / (self.horizon - 1))
        return np.asarray(np.maximum(1.0 - np.abs(place[:, None] - knots), 0.0))

    def shift(self, periods: int) -> Array:
        """(K, K): the knots of what is left of a sequence after so many periods, its last action repeated.

        Where knots cannot say it exactly, those that come closest (least squares).
        """
        later = self.basis[np.minimum(np.arange(self.horizon) + periods, self.horizon - 1)]
        return np.asarray(np.linalg.lstsq(self.basis, later, rcond=None)[0])


@dataclass
class Search:
    """Where the search for W worlds' sequences is.

    Attributes:
        mean, std: (W, K, A) of the knots that are drawn. kept: (W, E, K, A) sequences that are tried again, E being
            what `Method.keep` says.
    """

    mean: Array
    std: Array
    kept: Array


class Method(Protocol):
    """How a search goes on from what its samples are worth.

    Attributes:
        iterations: batches of samples for one plan. std: of the knots that are drawn first. colour: exponent b of their
            spectrum 1 / f^b along a sequence: 0 is white, with more they change less from knot to knot.
        keep: sequences that are tried again, in the next iteration and, shifted, in the next plan.
        play: what is done in the end: the mean, or the best sequence that was tried.
    """

    @property
    def iterations(self) -> int: ...  # noqa: D102
    @property
    def std(self) -> float: ...  # noqa: D102
    @property
    def colour(self) -> float: ...  # noqa: D102
    @property
    def keep(self) -> int: ...  # noqa: D102
    @property
    def play(self) -> Literal["mean", "best"]: ...  # noqa: D102

    def improve(self, search: Search, knots: Array, scores: Array) -> Search:
        """The search after samples (W, S, K, A) that are worth finite scores (W, S)."""


@dataclass(frozen=True)
class CEM:
    """The cross-entropy method: draw from a normal distribution, fit it to the elites, again.

    With what Pinneri et al., "Sample-efficient cross-entropy method for real-time planning", CoRL 2020 (iCEM) added:
    coloured noise, elites that are kept, in the next iteration and the next plan, and doing the best.

    Attributes:
        iterations, std, colour, keep, play: see `Method`. elites: samples that the distribution is fitted to.
        smoothing: share of the old mean and std that stays. least_std: bound below.
    """

    iterations: int = 3
    std: float = 0.6
    colour: float = 1.0
    keep: int = 3
    play: Literal["mean", "best"] = "best"
    elites: int = 8
    smoothing: float = 0.1
    least_std: float = 0.05

    def __post_init__(self) -> None:
        """Checks.

        Raises:
            TaskError: a value makes no sense.
        """
        _check(self)
        _whole("elites", self.elites, 1)
        if self.keep > self.elites:
            raise TaskError(f"keep={self.keep} is more than there are elites; give at most {self.elites}")
        _between("smoothing", self.smoothing, 0, 1)
        _between("least_std", self.least_std, 0, self.std)

    def improve(self, search: Search, knots: Array, scores: Array) -> Search:
        """See `Method`."""
        elites = _first(knots, scores, self.elites)
        old, new = self.smoothing, 1 - self.smoothing
        return Search(
            mean=old * search.mean + new * elites.mean(axis=1),
            std=np.maximum(old * search.std + new * elites.std(axis=1), self.least_std),
            kept=elites[:, : self.keep],
        )


@dataclass(frozen=True)
class MPPI:
    """Model predictive path integral control: the mean of all samples, weighed by what they are worth.

    Williams et al., "Information theoretic MPC for model-based reinforcement learning", ICRA 2017, with coloured noise.

    Attributes:
        iterations, std, colour, keep, play: see `Method`.
        temperature: weights are exp(score / temperature), with scores in standard deviations of a world's samples, so
            that it means the same for every task: little follows the best sample, much averages all.
    """

    iterations: int = 3
    std: float = 0.5
    colour: float = 1.0
    keep: int = 0
    play: Literal["mean", "best"] = "mean"
    temperature: float = 0.3

    def __post_init__(self) -> None:
        """Checks.

        Raises:
            TaskError: a value makes no sense.
        """
        _check(self)
        _positive("temperature", self.temperature)

    def improve(self, search: Search, knots: Array, scores: Array) -> Search:
        """See `Method`."""
        spread = np.maximum(scores.std(axis=1, keepdims=True), 1e-9)
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / (self.temperature * spread))
        weights /= weights.sum(axis=1, keepdims=True)
        mean = weights[:, None] @ knots.reshape(*scores.shape, -1)
        return Search(mean.reshape(search.mean.shape), search.std, _first(knots, scores, self.keep))


@dataclass(frozen=True)
class Shooting:
    """Random shooting, the baseline: nothing is fitted; the best sequence that was tried is kept and played.

    Attributes:
        iterations, std, colour, keep, play: see `Method`.
    """

    iterations: int = 1
    std: float = 1.0
    colour: float = 1.0
    keep: int = 1
    play: Literal["mean", "best"] = "best"

    def __post_init__(self) -> None:
        """Checks.

        Raises:
            TaskError: a value makes no sense.
        """
        _check(self)

    def improve(self, search: Search, knots: Array, scores: Array) -> Search:
        """See `Method`."""
        return Search(search.mean, search.std, _first(knots, scores, self.keep))


class Planner:
    """Plans for all worlds of an imagination, and acts; like an expert, it goes with the episodes by itself.

    Attributes:
        expected: (W,) what the best sequences that were tried are worth, as far as the imagination can tell.
        plans: (W, H, A) these plans.
    """

    def __init__(
        self,
        imagination: Imagination,
        method: Method | None = None,
        sequences: Sequences | None = None,
        *,
        commit: int = 1,
        seed: int = 0,
    ) -> None:
        """Takes what plans are tried in.

        Args:
            imagination: see `ImaginedWorlds`. method: CEM by default. sequences: what plans look like.
            commit: control periods of a plan that are done before the next one. With `commit` equal to the horizon
                plans are replayed to their end, blindly.
            seed: of all that is drawn. What a world plans is a function of it, the episode and the step.

        Raises:
            TaskError: a value makes no sense.
        """
        self._imagination, self._method = imagination, method or CEM()
        self._sequences = sequences = sequences or Sequences()
        if sequences.horizon > imagination.longest:
            raise TaskError(
                f"horizon={sequences.horizon} is longer than an episode of plan_env; give at most {imagination.longest}"
            )
        if _whole("commit", commit, 1) > sequences.horizon:
            raise TaskError(f"commit={commit} is longer than a plan; give at most {sequences.horizon}")
        method = self._method
        least = max(method.keep + 2, method.elites if isinstance(method, CEM) else 0)
        if imagination.num_samples < least:
            raise TaskError(
                f"there are {imagination.num_samples} samples for each world, this method needs {least}; give plan_env "
                "more worlds, such as 64 for each"
            )
        self._commit, self._seed = commit, episode_keys([_whole("seed", seed, 0)], np.zeros(1, dtype=np.int64))
        self._shift, self._mix = sequences.shift(commit), coloured(sequences.knots, method.colour)
        worlds, size = imagination.num_worlds, imagination.action_size
        shape = (worlds, sequences.knots, size)
        self._search = Search(np.zeros(shape), np.zeros(shape), np.zeros((worlds, method.keep, *shape[1:])))
        self.plans, self.expected = np.zeros((worlds, sequences.horizon, size)), np.zeros(worlds)
        self._age = np.full(worlds, commit)
        self._keys = np.zeros(worlds, dtype=np.uint64)
        self._last = np.full(worlds, -2)

    def act(self) -> NDArray[np.float32]:
        """The next action: (size,) for a single environment, (num_envs, size) for a batch, in [-1, 1]."""
        keys, elapsed = self._imagination.look()
        fresh = (keys != self._keys) | (elapsed != self._last + 1)
        self._keys, self._last = keys, elapsed
        due = fresh | (self._age >= self._commit)
        if due.any():
            self._plan(due, fresh)
        action: NDArray[np.float32] = self.plans[np.arange(len(due)), self._age].astype(np.float32)
        self._age += 1
        return action[0] if self._imagination.single else action

    def _plan(self, due: Mask, fresh: Mask) -> None:
        """New plans for the worlds `due` (W,); those `fresh` (W,) begin with nothing in mind."""
        imagination, method, old = self._imagination, self._method, self._search
        worlds, samples, size = imagination.num_worlds, imagination.num_samples, imagination.action_size
        knots_shape = (samples, self._sequences.knots, size)
        count = method.iterations * int(np.prod(knots_shape))
        drawn = normal(self._keys + self._seed, self._last, count)
        noise = self._mix @ drawn.reshape(worlds, method.iterations, *knots_shape)
        mean = np.clip(self._shift @ old.mean, -1, 1)
        mean[fresh] = 0.0
        search = Search(mean, np.full(mean.shape, method.std), np.clip(self._shift @ old.kept, -1, 1))
        best, worth = mean.copy(), np.full(worlds, -np.inf)
        for number in range(method.iterations):
            knots = search.mean[:, None] + search.std[:, None] * noise[:, number]
            # The mean, and what was kept, unless it is of another episode.
            knots[:, 0] = search.mean
            old_too = ~fresh if number == 0 else np.ones_like(fresh)
            knots[old_too, 1 : 1 + method.keep] = search.kept[old_too]
            np.clip(knots, -1, 1, out=knots)
            scores = _finite(imagination.score(self._sequences.basis @ knots))
            first = scores.argmax(axis=1)
            better = scores.max(axis=1) > worth
            best[better], worth[better] = knots[better, first[better]], scores[better, first[better]]
            search = method.improve(search, knots, scores)
        chosen = best if method.play == "best" else search.mean
        for name in ("mean", "std", "kept"):
            getattr(old, name)[due] = getattr(search, name)[due]
        self.plans[due] = (self._sequences.basis @ chosen)[due]
        self.expected[due] = worth[due]
        self._age[due] = 0


def coloured(count: int, colour: float) -> Array:
    """(count, count): turns as many independent normal numbers into such with a spectrum 1 / f^colour, variance one.

    The autocovariance is that of a periodic signal of twice the length, so that ends do not meet; see Timmer & König,
    "On generating power law noise", Astronomy and Astrophysics 300, 1995.
    """
    frequencies = np.arange(1, count + 1) / (2 * count)
    lags = np.arange(count)
    power = frequencies**-colour
    power[:-1] *= 2.0  # all but the highest are there twice, as f and -f
    # The mean too: without it no sequence could keep going one way.
    power = np.r_[power[0] / 2, power]
    correlation = np.cos(2 * np.pi * lags[:, None] * np.r_[0.0, frequencies]) @ power
    correlation /= correlation[0]
    values, vectors = np.linalg.eigh(correlation[np.abs(lags[:, None] - lags)])
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def _first(knots: Array, scores: Array, count: int) -> Array:
    """The best `count` of samples (W, S, K, A) by their scores (W, S), best first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count, None, None]
    return np.take_along_axis(knots, order, axis=1)


def _finite(scores: Array) -> Array:
    """Scores (W, S) with what is not known to be good counted as a little worse than the worst that is known."""
    known = np.isfinite(scores)
    if known.all():
        return scores
    worst = np.min(scores, axis=1, where=known, initial=np.inf, keepdims=True)
    worst = np.where(np.isfinite(worst), worst, 0.0)
    return np.where(known, scores, worst - 1.0)


def _check(method: CEM | MPPI | Shooting) -> None:
    _whole("iterations", method.iterations, 1)
    _positive("std", method.std)
    _between("colour", method.colour, 0, 4)
    _whole("keep", method.keep, 0)
    if method.play not in ("mean", "best"):
        raise TaskError(f"play={method.play!r} is not known; choose 'mean' or 'best'")


def _whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TaskError(f"{name} must be a whole number from {least}, got {value!r}")
    return int(value)


def _number(value: float) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _between(name: str, value: float, low: float, high: float) -> None:
    if not _number(value) or not low <= value <= high:
        raise TaskError(f"{name} must be a number from {low} to {high}, got {value!r}")


def _positive(name: str, value: float) -> None:
    if not _number(value) or value <= 0:
        raise TaskError(f"{name} must be a number above 0, got {value!r}")
