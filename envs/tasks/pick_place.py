"""PickPlace: put an object into or onto another one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..receptacles import Receptacle
from ..simulator import Array
from .place import PlaceTask
from .task import Draw

_MARGIN = 0.004  # room [m] between a thing and the rim of what it goes into


class PickPlace(PlaceTask):
    """Take the target, put it into a tray, a mug, ..., or onto something flat, and let go.

    Settings: `scales`. Reward terms: see `PlaceTask`.
    """

    name: ClassVar[str] = "pick_place"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType({"scales": MappingProxyType(dict(PlaceTask.scales))})

    def fits(self, name: str, place: Receptacle) -> bool:
        """See `PlaceTask`: into or onto what holds all of it."""
        return self.world.outlines[name].radius + _MARGIN < place.radius

    def allowed(self, target: NDArray[np.int64], place: NDArray[np.int64]) -> Array:
        """See `PlaceTask`: anywhere in or on it."""
        return self.look("place_radius", place)

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        word = "into" if self.receptacles[draw.other].depth > 0 else "onto"
        thing, place = self.names[draw.target], self.receptacle(draw)
        return f"put the {thing} {word} the {place}"
