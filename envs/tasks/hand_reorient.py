"""HandReorient: turn a cube that lies in the hollow hand about the vertical."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...scenes import Scene
from .. import rotations
from ..rewards import tolerance
from ..robots.hand_mount import PalmUp
from ..robots.mount import Mounting
from ..simulator import Array, Ids, Sensors
from ..world import World
from .hand_task import HandTask
from .task import Draw, Start

SIZES = (0.0445, 0.0455)
"""Edges [m] of the cubes that suit: `REST` is for 45 mm, and 43 or 46 mm already cost the expert an eighth or more."""
REST = (0.11317012, 0.0040419, -0.03133253)
"""Where a cube of 45 mm comes to rest in `Hand.cradle`: its centre in the palm's frame [m],"""
REST_QUATERNION = (0.99999414, 0.00224534, 0.00032052, 0.00256311)
"""and its orientation in the world, the base's X along the world's. The cube's own quarter turns rest as well."""
MAX_MASS = 0.075
"""Heaviest cube [kg]: the expert turns 70 g nearly always, 100 g four times in five."""
SHIFT, TWIST = 0.001, 0.02
"""The cube starts up to so far [m], [rad] from where it rests."""
_EVEN = 1.05  # longest edge over shortest


class HandReorient(HandTask):
    """Turn the cube by the drawn angle, either way, and hold it there between the thumb and another finger, without
    dropping or tipping it; the hand's base does not move. The cube starts in the hollow hand, on any side. Random
    motion turns the cube too, now and then past the goal, but does not hold it still there.

    Reward terms: `hold` (the cube near its place in the hand), `upright` (one face of the cube up), `turn` (share of
    the turn done, while held), `success`.

    Settings: `turn` [rad], the range of angles; `tolerance` [rad]; `still` [rad/s], the angular speed below which the
    cube counts as held; `scales`.
    """

    name: ClassVar[str] = "hand_reorient"
    config: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {
            "turn": (0.45, 1.05),
            "tolerance": 0.2,
            "still": 0.05,
            "scales": MappingProxyType({"hold": 0.1, "upright": 0.1, "turn": 0.5, "success": 0.3}),
        }
    )

    def __init__(
        self, world: World, num_envs: int, *, object: str | int | None = None, config: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(world, num_envs, object=object, config=config or {})
        self.goal_yaw = np.zeros(num_envs)
        self._turn = np.ones(num_envs)

    @classmethod
    def mounting(cls, scene: Scene) -> Mounting:
        """See `Task`: palm up above a cube that fits."""
        return PalmUp(lambda name, shape: _fits(scene, name), REST)

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the target must be a small, light cube."""
        if not _fits(self.world.scene, name):
            return f"it is no cube of {1000 * SIZES[0]:.1f} to {1000 * SIZES[1]:.1f} mm"
        mass = float(self.world.model.body_subtreemass[self.world.model.body(name).id])
        return f"it weighs {mass:.3f} kg, more than {MAX_MASS} kg" if mass > MAX_MASS else None

    def draw(self, rng: np.random.Generator, start: Start) -> Draw:
        """See `Task`; puts the target into the hand, on any of its four sides, the joints exactly where it rests."""
        drawn = super().draw(rng, start)
        start.joint_pos[:] = self.world.home
        shift = np.array([*rng.uniform(-SHIFT, SHIFT, 2), 0.0])
        start.object_pos[drawn.target] = self.world.base_pos + self.world.base_mat @ (np.array(REST) + shift)
        turn = (rng.integers(4) * np.pi / 2 + rng.uniform(-TWIST, TWIST)) / 2
        c, s, (w, x, y, z) = np.cos(turn), np.sin(turn), REST_QUATERNION
        start.object_quat[drawn.target] = [w * c - z * s, x * c + y * s, y * c - x * s, w * s + z * c]
        return drawn

    def draw_goal(self, rng: np.random.Generator, target: int, position: Array) -> Array:
        """See `Task`: here a rotation vector about the vertical [rad]."""
        low, high = self.settings["turn"]
        return np.array([0.0, 0.0, rng.uniform(low, high) * (1 if rng.uniform() < 0.5 else -1)])

    def begin(self, ids: Ids, sensors: Sensors) -> None:
        """See `Task`."""
        super().begin(ids, sensors)
        self._turn[ids] = self.goal[ids, 2]
        self.goal_yaw[ids] = heading(self.frame(sensors))[ids] + self.goal[ids, 2]

    def left(self, sensors: Sensors) -> Array:
        """Angle (n,) still to turn about the vertical [rad], in [-pi, pi)."""
        return wrapped(self.goal_yaw - heading(self.frame(sensors)))

    def goal_part(self, sensors: Sensors) -> Array:
        """See `HandTask`: sine and cosine of the angle left."""
        left = self.left(sensors)
        return np.stack([np.sin(left), np.cos(left)], axis=1)

    def terms(self, sensors: Sensors) -> tuple[dict[str, Array], NDArray[np.bool_]]:
        """See `Task`."""
        left = np.abs(self.left(sensors))
        moved = rotations.norm(self.place(sensors) - self.start)
        up = self.frame(sensors)[:, 2, 2]
        held = (moved < 0.04) & (up > 0.9)
        success = held & self.pinched(sensors) & (left < float(self.settings["tolerance"]))
        success &= self.object_spin(sensors) < float(self.settings["still"])
        terms = {
            "hold": tolerance(moved, bounds=(0.0, 0.02), margin=0.04),
            "upright": tolerance(up, bounds=(0.97, 1.01), margin=0.3),
            "turn": np.where(held, np.clip(1 - left / np.maximum(np.abs(self._turn), 1e-6), 0.0, 1.0), 0.0),
        }
        return terms, success

    def get_state(self) -> dict[str, NDArray[Any]]:
        """See `Task`."""
        return {**super().get_state(), "goal_yaw": self.goal_yaw, "turn": self._turn}

    def sentence(self, draw: Draw) -> str:
        """See `Task`."""
        angle = np.degrees(draw.goal[2])
        side = "left" if angle > 0 else "right"
        name = self.names[draw.target]
        return f"turn the {name} in your hand about the vertical by {abs(angle):.0f} degrees to the {side}"


def _fits(scene: Scene, name: str) -> bool:
    size = np.asarray(scene.object(name).size)
    return bool(size.min() >= SIZES[0] and size.max() <= min(SIZES[1], _EVEN * size.min()))


def heading(matrix: Array) -> Array:
    """Direction (n,) of the X axis seen from above [rad] of orientations (n, 3, 3)."""
    return np.asarray(np.arctan2(matrix[:, 1, 0], matrix[:, 0, 0]))


def wrapped(angle: Array) -> Array:
    """Angles in [-pi, pi)."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)
