"""Insert: put a slender thing upright into a hole that is little wider."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from ..receptacles import Receptacle
from .place import PlaceTask
from .task import Draw

CLEARANCE = (0.001, 0.025)
"""Least and greatest room [m] between the thing and the hole, in diameter."""
DEEP = 0.3
"""The hole must take this share of the thing's height."""


class Insert(PlaceTask):
    """Put a peg into a holder, a pen into a cup: down to the bottom, and let go.

    Settings: `scales`. Reward terms: see `PlaceTask`.
    """

    name: ClassVar[str] = "insert"
    limit: ClassVar[float] = 0.02
    config: ClassVar[Mapping[str, Any]] = MappingProxyType({"scales": MappingProxyType(dict(PlaceTask.scales))})

    def fits(self, name: str, place: Receptacle) -> bool:
        """See `PlaceTask`: a thing that stands taller than wide, a hole a little wider and deep enough."""
        shape = self.world.outlines[name]
        height = shape.high - shape.low
        # Round things are as wide as their sides, others as their diagonal; the outline does not tell which.
        width = 2 * float(np.min(shape.half))
        room = 2 * place.radius - width
        return height > 1.5 * width and CLEARANCE[0] <= room <= CLEARANCE[1] and place.depth > DEEP * height

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        return f"insert the {self.names[draw.target]} into the {self.receptacle(draw)}"
