"""HandLift: take object k from above with a human-like hand and hold it above its start."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..rewards import tolerance
from ..simulator import Array, Sensors
from ..world import World
from .hand_task import HandTask
from .task import Draw

WIDTHS = (0.03, 0.068)
"""Width [m] an object may have across its narrow side: what fits between the thumb and the stretched fingers."""
HEIGHTS = (0.035, 0.12)
"""Height [m] an object may have."""
MAX_MASS = 0.5
_BELOW_TOP = 0.025  # tall objects are taken so far [m] below their top, so that the palm stays clear of them
_NEAR = 0.05  # distance [m] between the pinch and the grasp point within which a touch is a grasp


class HandLift(HandTask):
    """Raise the target by `height` and hold it still between the thumb and another finger.

    Reward terms: `reach` (the pinch near the grasp point), `grasp` (thumb and another finger touch, the target between
    them), `lift` (share of the height, while grasped), `success`.

    Settings: `height` [m]; `still` [m/s], the speed below which the target counts as held; `scales`.
    """

    name: ClassVar[str] = "hand_lift"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "height": 0.10,
            "still": 0.15,
            "scales": MappingProxyType({"reach": 0.15, "grasp": 0.2, "lift": 0.45, "success": 0.2}),
        }
    )

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(world, num_envs, object=object, config=config or {})
        self._point = np.zeros((len(world.objects), 3))
        self._axis = np.zeros((len(world.objects), 3))
        for index, name in enumerate(world.objects):
            shape = world.outlines[name]
            pose = world.home_qpos[world.object_qpos[index]]
            scanned = rotations.from_quaternion(pose[None, 3:])[0]
            height = max((shape.low + shape.high) / 2, shape.high - _BELOW_TOP)
            self._point[index] = (np.array([*shape.center, height]) - pose[:3]) @ scanned
            self._axis[index] = np.array([*shape.axes[1], 0.0]) @ scanned

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the target must fit between thumb and fingers, and be light."""
        shape = self.world.outlines[name]
        width, height = 2 * float(shape.half[1]), shape.high - shape.low
        if name not in self.world.mount.in_reach:
            return "it is out of the hand's reach"
        if not WIDTHS[0] <= width <= WIDTHS[1]:
            return f"it is {100 * width:.1f} cm wide; the hand takes {100 * WIDTHS[0]:.0f} to {100 * WIDTHS[1]:.1f} cm"
        if not HEIGHTS[0] <= height <= HEIGHTS[1]:
            return (
                f"it is {100 * height:.1f} cm tall; the hand takes {100 * HEIGHTS[0]:.1f} to {100 * HEIGHTS[1]:.0f} cm"
            )
        mass = float(self.world.model.body(name).mass[0])
        return f"it weighs {mass:.2f} kg, more than {MAX_MASS} kg" if mass > MAX_MASS else None

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `Task`: straight above the start."""
        return np.asarray(position + np.array([0, 0, float(self.settings["height"])]))

    def grasp_point(self, sensors: Sensors) -> tuple[Array, Array]:
        """Where (n, 3) to take each target now [m], and the direction (n, 3) across its narrow side."""
        rotation = self.frame(sensors)
        point = self.place(sensors) + rotations.rotate(rotation, self._point[self.target])
        return point, rotations.rotate(rotation, self._axis[self.target])

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        height = float(self.settings["height"])
        tips = sensors["tip_pos"]
        pinch = tips[:, 0] / 2 + (tips[:, 1] + tips[:, 2] + tips[:, 3]) / 6
        distance = rotations.norm(self.grasp_point(sensors)[0] - pinch)
        grasped = self.pinched(sensors) & (distance < _NEAR)
        raised = self.place(sensors)[:, 2] - self.start[:, 2]
        success = grasped & (raised >= height) & (self.speed(sensors) < float(self.settings["still"]))
        terms = {
            "reach": tolerance(distance, bounds=(0.0, 0.03), margin=0.25),
            "grasp": grasped.astype(np.float64),
            "lift": np.where(grasped, np.clip(raised / height, 0.0, 1.0), 0.0),
        }
        return terms, success

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        name = self.names[draw.target]
        return f"lift the {name} with your fingers and hold it {100 * float(self.settings['height']):.0f} cm up"
