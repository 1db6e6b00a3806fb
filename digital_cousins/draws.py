"""Random numbers of cousins: what may vary by how much, and what is held out for testing.

Every number is drawn as a share u in [-1, 1] of its range. Training and validation draw from the inner `INNER` of it,
testing from the rest: held-out ranges. Likewise the last third of every pool of shapes is only used for testing.
"""

from __future__ import annotations

import math
import zlib
from typing import Literal

import numpy as np

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
INNER = 0.8
"""Share of every range that training sees."""


class Draws:
    """The random numbers of one axis of one cousin, or of one thing under that axis.

    Attributes:
        rng: their generator: no other axis, cousin or thing has the same, so that switching one off changes no other.
        held_out: whether the cousin belongs to the test split.
        spread: by how much ranges are wider than configured; 0 varies nothing.
    """

    def __init__(self, sequence: np.random.SeedSequence, split: Split, spread: float) -> None:
        """Takes where the numbers come from, see `axis_seed`."""
        self._sequence = sequence
        self.rng = np.random.default_rng(sequence)
        self._split: Split = split
        self.held_out = split == "test"
        self.spread = spread

    def of(self, name: str) -> Draws:
        """The random numbers of one thing: whichever others there are, it draws the same."""
        old = self._sequence
        key = (*old.spawn_key, zlib.crc32(name.encode()))
        return Draws(np.random.SeedSequence(old.entropy, spawn_key=key), self._split, self.spread)

    def share(self) -> float:
        """u in [-1, 1]: the inner part for training, the outer for testing."""
        if not self.held_out:
            return float(self.rng.uniform(-INNER, INNER))
        return float(self.rng.choice((-1.0, 1.0)) * self.rng.uniform(INNER, 1.0))

    def shift(self, most: float) -> float:
        """A number in [-most, most] times the spread."""
        return self.share() * most * self.spread

    def factor(self, most: float) -> float:
        """A factor in [1 / most, most], to the power of the spread; its logarithm is uniform."""
        return math.exp(self.share() * math.log(most) * self.spread)

    def amount(self, most: float) -> float:
        """A number in [0, most] times the spread."""
        return abs(self.share()) * most * self.spread

    def disc(self, radius: float) -> tuple[float, float]:
        """A point (x, y) of a disc, uniform in its inner part, or in its rim."""
        r = math.sqrt(abs(self.share())) * radius * self.spread
        angle = float(self.rng.uniform(0, 2 * math.pi))
        return r * math.cos(angle), r * math.sin(angle)

    def count(self, most: int) -> int:
        """A whole number from 0 to most times the spread."""
        return int(self.rng.integers(0, max(0, round(most * self.spread)) + 1))

    def chance(self, probability: float) -> bool:
        """Whether something happens; never if nothing is to vary."""
        return bool(self.spread > 0 and self.rng.uniform() < probability)

    def pick(self, size: int) -> int:
        """An index into a pool of `size`: one of the last third for testing, of the others else; any of one or two."""
        held = size // 3
        if held == 0:
            return int(self.rng.integers(size))
        return int(self.rng.integers(size - held, size) if self.held_out else self.rng.integers(size - held))


def axis_seed(seed: int, index: int, axis: str) -> np.random.SeedSequence:
    """Where the random numbers of an axis of cousin `index` under `seed` come from."""
    return np.random.SeedSequence(seed, spawn_key=(index, zlib.crc32(axis.encode())))
