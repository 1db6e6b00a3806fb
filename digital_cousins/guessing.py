"""What a scanned object whose category is just "object" may be: a ranked list of categories with their shares.

`GeometricGuesser` reads it off the descriptor and downloads nothing. Whatever else gives shares for a `SceneObject` can
take its place: an encoder of pictures and words, for instance, which can draw the object from its mesh and texture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..scenes.scene import SceneObject
from .features import Descriptor, describe
from .taxonomy import UNKNOWN


@dataclass(frozen=True)
class Guess:
    """A category and the share of belief in it, in (0, 1]."""

    category: str
    share: float


class CategoryGuesser(Protocol):
    """Says what an object may be."""

    def guess(self, item: SceneObject, descriptor: Descriptor, folder: Path | None) -> Sequence[Guess]:
        """Categories, the likeliest first, with shares that add up to 1.

        Args:
            item: the object. descriptor: of it. folder: of its scene, for its mesh and texture.
        """
        ...


class GeometricGuesser:
    """Guesses from proportions, hollows and roundness: what a box of book proportions is, a hollow of revolution, ...

    Each category has a few soft conditions; its score is their product. Sizes are those of household goods.
    """

    def guess(self, item: SceneObject, descriptor: Descriptor, folder: Path | None) -> Sequence[Guess]:
        """See `CategoryGuesser`."""
        scores = {name: score for name, score in _scores(descriptor).items() if score > 0.02}
        if not scores:
            return (Guess(UNKNOWN, 1.0),)
        total = sum(scores.values())
        ranked = sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))
        return tuple(Guess(name, score / total) for name, score in ranked)


def describe_guessed(
    item: SceneObject, folder: Path | None = None, *, guesser: CategoryGuesser | None = None, seed: int = 0
) -> Descriptor:
    """The descriptor of an object whose `beliefs` are guessed where its category is "object".

    Args:
        item, folder, seed: see `describe`. guesser: None for `GeometricGuesser`.
    """
    found = describe(item, folder, seed=seed)
    if item.category != UNKNOWN:
        return found
    guesses = (guesser or GeometricGuesser()).guess(item, found, folder)
    return replace(found, beliefs=tuple((g.category, g.share) for g in guesses))


def _scores(d: Descriptor) -> dict[str, float]:
    if d.parts:
        kinds = {part.partition(":")[0] for part in d.parts}
        return {"button": 1.0} if kinds == {"button"} else {"cabinet": 1.0}
    long, short, height = d.size
    small, middle, large = sorted(d.size)
    stretch, tall = long / short, height / math.sqrt(long * short)
    is_open = _over(d.opening, 0.12, 0.05) * _over(d.hollow, 0.22, 0.08)
    closed = 1 - is_open
    round_hole, round_plan = _under(d.opening_square, 0.92, 0.04), _under(d.plan_square, 0.88, 0.05)
    disc = round_plan * _under(stretch, 1.2, 0.15)
    flat_sides = _over(d.plan_square, 0.9, 0.05) * _over(d.fill, 0.86, 0.08)
    # A stick, or something flat with arms (a hammer): long in any case, and thin.
    slender = _over(large / middle, 2.6, 0.6) * max(
        _under(middle, 0.05, 0.02), _under(small, 0.035, 0.015) * _under(d.fill, 0.45, 0.1)
    )
    handled = _over(stretch, 1.15, 0.1)
    return {
        # hollow, open at the top
        "mug": is_open * round_hole * _band(tall, 0.7, 1.5, 0.15) * _under(long, 0.16, 0.05) * (0.6 + 0.4 * handled),
        "cup": is_open * round_hole * _band(tall, 0.7, 1.5, 0.15) * _under(long, 0.1, 0.03) * (0.5 - 0.4 * handled),
        "vase": is_open * round_hole * _over(tall, 1.5, 0.2) * (1 - handled),
        "bowl": is_open * round_hole * _band(tall, 0.2, 0.7, 0.1) * _under(stretch, 1.3, 0.2),
        "plate": disc * _under(tall, 0.18, 0.06) * _over(long, 0.12, 0.04),
        "tray": is_open * (1 - round_hole) * _under(tall, 0.3, 0.08),
        "basket": is_open * (1 - round_hole) * _over(tall, 0.3, 0.08),
        # closed
        "can": closed * disc * _band(tall, 0.65, 2.2, 0.2) * _over(d.taper, 0.88, 0.06) * _over(d.fill, 0.7, 0.06),
        "bottle": closed * disc * _over(tall, 1.9, 0.3) * _under(d.taper, 0.8, 0.1),
        "jar": closed * disc * _band(tall, 0.8, 1.9, 0.2) * _band(d.taper, 0.55, 0.92, 0.08),
        "ball": closed * disc * _under(large / small, 1.15, 0.1) * _under(d.fill, 0.6, 0.06),
        "book": closed * flat_sides * (1 - slender) * _under(tall, 0.32, 0.08) * _band(long, 0.12, 0.32, 0.03)
        * _under(stretch, 2.0, 0.3),
        "box": closed * flat_sides * (1 - slender) * _over(large, 0.06, 0.02) * (0.9 * _over(tall, 0.28, 0.1) + 0.1),
        "block": closed * flat_sides * (1 - slender) * _under(large, 0.07, 0.02) * 0.8,
        "tool": closed * slender,
    }  # fmt: skip


def _over(value: float, limit: float, margin: float) -> float:
    """1 above the limit, 0 below `limit - margin` and linear between."""
    return min(max((value - limit) / margin + 1, 0.0), 1.0)


def _under(value: float, limit: float, margin: float) -> float:
    """1 below the limit, 0 above `limit + margin` and linear between."""
    return min(max((limit - value) / margin + 1, 0.0), 1.0)


def _band(value: float, low: float, high: float, margin: float) -> float:
    return _over(value, low, margin) * _under(value, high, margin)
