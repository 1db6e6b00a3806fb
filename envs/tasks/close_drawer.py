"""CloseDrawer: push an open drawer shut."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from .part_task import PartTask
from .task import Draw, Start


class CloseDrawer(PartTask):
    """Push a drawer shut that stands open by `least` to `most` of its travel.

    Settings: `least`, `most` shares of the range; `scales`. Reward terms: see `PartTask`.
    """

    name: ClassVar[str] = "close_drawer"
    noun: ClassVar[str] = "drawer"
    kinds: ClassVar[tuple[str, ...]] = ("drawer",)
    approach_opening: ClassVar[float] = 0.0
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"least": 0.5, "most": 0.8, "scales": MappingProxyType({"reach": 0.2, "progress": 0.5, "success": 0.3})}
    )

    def bounds(self, name: str) -> tuple[float, float]:
        """See `PartTask`: from the widest opening drawn."""
        high = self.world.part_range[self.world.parts.index(name), 1]
        return float(self.settings["most"]) * float(high), 0.0

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`."""
        draw = super().draw(rng, start)
        index, (most, _) = self.world.parts.index(self.names[draw.target]), self.bounds(self.names[draw.target])
        share = float(self.settings["least"]) / float(self.settings["most"])
        start.part_pos[index] = most * rng.uniform(share, 1.0)
        return Draw(draw.target, np.array([0.0, start.part_pos[index], 0.0]))

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"close the {self.names[draw.target].replace('_', ' ')}"
