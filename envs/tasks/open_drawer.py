"""OpenDrawer: take a drawer by its handle and pull it out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from .part_task import PartTask
from .task import Draw


class OpenDrawer(PartTask):
    """Pull a closed drawer out by `share` of its travel.

    Settings: `share` of the range; `scales`. Reward terms: see `PartTask`.
    """

    name: ClassVar[str] = "open_drawer"
    noun: ClassVar[str] = "drawer"
    kinds: ClassVar[tuple[str, ...]] = ("drawer",)
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"share": 0.6, "scales": MappingProxyType({"reach": 0.2, "progress": 0.5, "success": 0.3})}
    )

    def bounds(self, name: str) -> tuple[float, float]:
        """See `PartTask`."""
        low, high = self.world.part_range[self.world.parts.index(name)]
        return 0.0, float(low + float(self.settings["share"]) * (high - low))

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"open the {self.names[draw.target].replace('_', ' ')}"
