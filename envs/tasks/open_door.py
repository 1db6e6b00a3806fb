"""OpenDoor: take a door by its handle and swing it open."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from .part_task import PartTask
from .task import Draw


class OpenDoor(PartTask):
    """Swing a closed door open by `angle`.

    Settings: `angle` [rad]; `scales`. Reward terms: see `PartTask`.
    """

    name: ClassVar[str] = "open_door"
    noun: ClassVar[str] = "door"
    kinds: ClassVar[tuple[str, ...]] = ("door",)
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"angle": 0.7, "scales": MappingProxyType({"reach": 0.2, "progress": 0.5, "success": 0.3})}
    )

    def bounds(self, name: str) -> tuple[float, float]:
        """See `PartTask`."""
        high = self.world.part_range[self.world.parts.index(name), 1]
        return 0.0, float(np.minimum(float(self.settings["angle"]), 0.9 * high))

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"open the {self.names[draw.target].replace('_', ' ')}"
