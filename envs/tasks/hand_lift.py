"""HandLift: take object k from above with a human-like hand and hold it above its start."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...scenes import Scene
from ...scenes.outlines import Outline
from .. import rotations
from ..rewards import tolerance
from ..robots import PREFIX
from ..robots.hand_mount import BehindObjects
from ..robots.mount import Mounting
from ..simulator import Array, Sensors
from ..world import World
from .hand_task import HandTask
from .task import Draw

WIDTHS = (0.028, 0.068)
"""Width [m] an object may have across its narrow side: what fits between the thumb and the stretched fingers."""
HEIGHTS = (0.035, 0.12)
"""Height [m] an object may have."""
MAX_MASS = 0.5
_BELOW_TOP = 0.025  # tall objects are taken so far [m] below their top, so that the palm stays clear of them
_WAY = (0.0, 0.06, 0.12)  # heights [m] above the grasp at which the hand must have room
_DEEP = 0.002  # contacts less deep [m] than this are none: the fingers give way
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
        self._point = np.zeros((len(world.objects), 3))
        self._axis = np.zeros((len(world.objects), 3))
        for index, name in enumerate(world.objects):
            shape = world.outlines[name]
            pose = world.home_qpos[world.object_qpos[index]]
            scanned = rotations.from_quaternion(pose[None, 3:])[0]
            height = max((shape.low + shape.high) / 2, shape.high - _BELOW_TOP)
            self._point[index] = (np.array([*shape.center, height]) - pose[:3]) @ scanned
            self._axis[index] = np.array([*shape.axes[1], 0.0]) @ scanned
        super().__init__(world, num_envs, object=object, config=config or {})

    @classmethod
    def mounting(cls, scene: Scene) -> Mounting:
        """See `Task`: behind the objects that fit."""
        return BehindObjects(lambda name, shape: _misfit(shape) is None)

    def unsuitable(self, name: str) -> str | None:
        """See `Task`: the target must fit between thumb and fingers, be light, and leave room for the hand."""
        reason = _misfit(self.world.outlines[name])
        if reason is not None:
            return reason
        if name not in self.world.mount.in_reach:
            return "it is out of the hand's reach"
        mass = float(self.world.model.body_subtreemass[self.world.model.body(name).id])
        if mass > MAX_MASS:
            return f"it weighs {mass:.2f} kg, more than {MAX_MASS} kg"
        touched = self._in_the_way(name)
        return f"the hand would touch {touched} while taking it" if touched is not None else None

    def _in_the_way(self, name: str) -> str | None:
        """What the open hand would touch, but for the target and what that stands on, where it takes it and above."""
        world, model, hand = self.world, self.world.model, self.world.hand
        pose = world.home_qpos[world.object_qpos[world.index(name)]]
        scanned = rotations.from_quaternion(pose[None, 3:])[0]
        point = (pose[:3] + scanned @ self._point[world.index(name)] - world.base_pos) @ world.base_mat
        yaw = hand_yaw((scanned @ self._axis[world.index(name)] @ world.base_mat)[None])
        wrist = wrist_for(point[None], yaw, hand.pinch)[0]
        fingers = hand.home[len(hand.base_joints) :]
        geoms = [model.geom(geom) for geom in range(model.ngeom)]
        names = [model.body(int(geom.bodyid[0])).name if geom.bodyid[0] else geom.name for geom in geoms]
        allowed = (name, world.mount.support)
        data = mujoco.MjData(model)
        data.qpos[:] = world.home_qpos
        for height in _WAY:
            data.qpos[world.joint_qpos] = np.r_[wrist + np.array([0, 0, height]), yaw, fingers]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_collision(model, data)
            for contact in data.contact:
                touching = [names[geom] for geom in contact.geom]
                others = [other for other in touching if not other.startswith(PREFIX)]
                if contact.dist < -_DEEP and len(others) == 1 and others[0] not in allowed:
                    return str(others[0])
        return None

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


def hand_yaw(axis: Array) -> Array:
    """Turn (n,) of the wrist that closes along horizontal directions (n, 3), in the base's frame [rad].

    Either way round will do: the one that turns the wrist less.
    """
    return np.asarray((np.arctan2(axis[:, 1], axis[:, 0]) + np.pi / 2) % np.pi - np.pi / 2)


def wrist_for(point: Array, yaw: Array, pinch: tuple[float, float, float]) -> Array:
    """Where (n, 3) the gantry must be for the pinch (in the palm's frame) to be at points (n, 3) in the base's."""
    c, s, (x, y, z) = np.cos(yaw), np.sin(yaw), pinch
    return np.asarray(point - np.stack([c * x - s * y, s * x + c * y, np.full(len(c), z)], axis=1))


def _misfit(shape: Outline) -> str | None:
    """Why the hand cannot span an object of this outline."""
    width, height = 2 * float(shape.half[1]), shape.high - shape.low
    if not WIDTHS[0] <= width <= WIDTHS[1]:
        return f"it is {100 * width:.1f} cm wide; the hand takes {100 * WIDTHS[0]:.1f} to {100 * WIDTHS[1]:.1f} cm"
    if not HEIGHTS[0] <= height <= HEIGHTS[1]:
        return f"it is {100 * height:.1f} cm tall; the hand takes {100 * HEIGHTS[0]:.1f} to {100 * HEIGHTS[1]:.0f} cm"
    return None
