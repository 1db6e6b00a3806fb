"""Stack: put one block on another."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from ..receptacles import Receptacle
from .place import PlaceTask
from .task import Draw


class Stack(PlaceTask):
    """Put the target on a flat-topped free object of about its own size, and let go.

    Settings: `scales`. Reward terms: see `PlaceTask`.
    """

    name: ClassVar[str] = "stack"
    limit: ClassVar[float] = 0.018
    config: ClassVar[Mapping[str, Any]] = MappingProxyType({"scales": MappingProxyType(dict(PlaceTask.scales))})

    def fits(self, name: str, place: Receptacle) -> bool:
        """See `PlaceTask`: onto the flat top of a free object as wide as itself."""
        own = float(self.world.outlines[name].half[1])
        return place.depth == 0 and place.index >= 0 and place.radius > max(0.8 * own, 0.015)

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"stack the {self.names[draw.target]} on the {self.receptacle(draw)}"
