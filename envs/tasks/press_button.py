"""PressButton: press a button down with closed fingers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from .part_task import PartTask
from .task import Draw


class PressButton(PartTask):
    """Hold a button pressed by `share` of its travel; a spring brings it back.

    Settings: `share` of the range; `scales`. Reward terms: see `PartTask`.
    """

    name: ClassVar[str] = "press_button"
    noun: ClassVar[str] = "button"
    kinds: ClassVar[tuple[str, ...]] = ("button",)
    approach_opening: ClassVar[float] = 0.0
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"share": 0.8, "scales": MappingProxyType({"reach": 0.3, "progress": 0.4, "success": 0.3})}
    )

    def bounds(self, name: str) -> tuple[float, float]:
        """See `PartTask`."""
        return 0.0, float(self.settings["share"]) * float(self.world.part_range[self.world.parts.index(name), 1])

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"press the {self.names[draw.target].replace('_cap', '').replace('_', ' ')}"
