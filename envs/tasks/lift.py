"""Lift: take object k from above and hold it above its start."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..rewards import reaching
from ..simulator import Array, Sensors
from .object_task import GraspTask
from .task import Draw, upright


class Lift(GraspTask):
    """Raise the target by `height` and hold it still between the pads.

    Reward terms: `reach` (grip near the grasp point), `upright` (hand pointing down), `grasp` (both pads on something,
    the target between them), `lift` (share of the height, while grasped), `success`.

    Settings: `height` [m]; `still` [m/s], the speed below which the target counts as held; `scales`.
    """

    name: ClassVar[str] = "lift"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "height": 0.10,
            "still": 0.15,
            "scales": MappingProxyType({"reach": 0.2, "upright": 0.05, "grasp": 0.2, "lift": 0.35, "success": 0.2}),
        }
    )

    @property
    def rise(self) -> float:
        """See `GraspTask`."""
        return float(self.settings["height"]) + 0.02

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `ObjectTask`: straight above the start."""
        return np.asarray(position + np.array([0, 0, float(self.settings["height"])]))

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        height = float(self.settings["height"])
        distance, grasped = self.holding(sensors)
        raised = self.place(sensors)[:, 2] - self.start[:, 2]
        success = grasped & (raised >= height) & (self.speed(sensors) < float(self.settings["still"]))
        terms = {
            "reach": reaching(distance),
            "upright": upright(sensors),
            "grasp": grasped.astype(np.float64),
            "lift": np.where(grasped, np.clip(raised / height, 0.0, 1.0), 0.0),
        }
        return terms, success

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        name = self.names[draw.target]
        return f"lift the {name} and hold it {100 * float(self.settings['height']):.0f} cm above its place"
