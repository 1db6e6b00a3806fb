"""Which setting each factor of the table was drawn from, and where in that setting's range it lies.

    found = shares(cousins.table, cousins.manifest.config)
    found["mass.factor"].share          # of all objects' masses: -1 lightest, 0 as the twin's, 1 heaviest

What is drawn from one setting for several objects is looked at together: it has one range.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .config import CousinConfig

How = Literal["factor", "shift", "amount", "less", "disc"]
Unit = Literal["", "m", "rad", "s"]


@dataclass(frozen=True)
class Setting:
    """A range of the settings that numbers are drawn from; see `draws.Draws` for how.

    Attributes:
        name: "axis.field". how: the way of drawing: a "factor" or a "shift" to both sides, an "amount" from 0 on,
            "less" for what is taken off 1, or a point of a "disc". unit: of its values. pattern: of its factors' names.
    """

    name: str
    how: How
    unit: Unit
    pattern: str

    @property
    def lowest(self) -> float:
        """Least share: -1, or 0 if there is one side only."""
        return -1.0 if self.how in ("factor", "shift") else 0.0

    def limit(self, config: CousinConfig) -> float:
        """The end of the range, as it was widened or narrowed by the spread; 0 (factors: 1) if nothing varies."""
        axis, field = self.name.split(".")
        section = getattr(config, axis)
        most, width = float(getattr(section, field)), config.width if section.on else 0.0
        return most**width if self.how == "factor" else most * width

    def varies(self, config: CousinConfig) -> bool:
        """Whether anything is drawn."""
        return self.limit(config) != (1.0 if self.how == "factor" else 0.0)

    def value(self, share: float, config: CousinConfig) -> float:
        """The value at a share; of discs the distance from the middle."""
        limit = self.limit(config)
        if self.how == "disc":
            return math.sqrt(share) * limit
        if self.how == "less":
            return 1.0 - share * limit
        return float(limit**share) if self.how == "factor" else share * limit


@dataclass(frozen=True)
class Shares:
    """Where drawn numbers lie in their range.

    Attributes:
        position: int64 (n,), of the cousin. share: float64 (n,), in [-1, 1] or [0, 1].
    """

    position: NDArray[np.int64]
    share: NDArray[np.float64]


SETTINGS: tuple[Setting, ...] = (
    Setting("shape.factor", "factor", "", r"shape\..+\.[xyz]"),
    Setting("scale.factor", "factor", "", r"scale\..+"),
    Setting("articulation.damping", "factor", "", r"articulation\..+\.damping"),
    Setting("articulation.friction", "factor", "", r"articulation\..+\.friction"),
    Setting("articulation.travel", "less", "", r"articulation\..+\.travel"),
    Setting("mass.factor", "factor", "", r"mass\..+"),
    Setting("friction.factor", "factor", "", r"friction\..+"),
    Setting("pose.shift", "disc", "m", r"pose\..+\.x"),
    Setting("pose.turn", "shift", "rad", r"pose\..+\.turn"),
    Setting("look.hue", "shift", "rad", r"look\..+\.hue"),
    Setting("look.lightness", "factor", "", r"look\..+\.lightness"),
    Setting("light.lean", "amount", "rad", r"light\.lean"),
    Setting("light.strength", "factor", "", r"light\.strength"),
    Setting("light.warmth", "shift", "", r"light\.warmth"),
    Setting("camera.shift", "shift", "m", r"camera\.shift\.[xyz]"),
    Setting("camera.turn", "shift", "rad", r"camera\.turn\.[xyz]"),
    Setting("camera.zoom", "factor", "", r"camera\.zoom"),
    Setting("mount.shift", "disc", "m", r"mount\.x"),
    Setting("mount.yaw", "shift", "rad", r"mount\.yaw"),
    Setting("mount.calibration_shift", "shift", "m", r"mount\.calibration\.[xyz]"),
    Setting("mount.calibration_yaw", "shift", "rad", r"mount\.calibration_yaw"),
    Setting("servo.stiffness", "factor", "", r"servo\.stiffness"),
    Setting("servo.damping", "factor", "", r"servo\.damping"),
    Setting("servo.strength", "factor", "", r"servo\.strength"),
    Setting("servo.latency", "amount", "s", r"servo\.latency"),
    Setting("noise.joint", "amount", "rad", r"noise\.joint"),
    Setting("noise.pose", "amount", "m", r"noise\.pose"),
)
"""Every setting that numbers are drawn from. The others are counts, pools and probabilities of drawing at all."""


def shares(table: Mapping[str, Sequence[Any]], config: CousinConfig) -> dict[str, Shares]:
    """Where all numbers lie in their ranges, by setting; settings that vary nothing are left out.

    Args:
        table: factors by name, a value for every cousin, None where it has none (see `CousinSet.table`).
        config: that they were drawn with.
    """
    found = {}
    for setting in SETTINGS:
        if not setting.varies(config):
            continue
        limit = setting.limit(config)
        positions: list[int] = []
        values: list[float] = []
        for name, column in table.items():
            if re.fullmatch(setting.pattern, name) is None:
                continue
            other = table[name[:-1] + "y"] if setting.how == "disc" else column
            for position, (value, second) in enumerate(zip(column, other, strict=True)):
                if value is not None:
                    positions.append(position)
                    values.append(_share(setting.how, float(value), float(second), limit))
        if positions:
            found[setting.name] = Shares(np.array(positions, dtype=np.int64), np.array(values))
    return found


def _share(how: How, value: float, second: float, limit: float) -> float:
    if how == "factor":
        return math.log(value) / math.log(limit)
    if how == "disc":
        return (value * value + second * second) / (limit * limit)
    return (1.0 - value if how == "less" else value) / limit
