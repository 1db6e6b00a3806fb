"""What the hybrid simulator is told of a robot and of a scene: plain arrays, all in the frame of the robot's base."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .fields import Field
from .kinematics import Tree

Array = NDArray[np.float64]

PROBES = 16
"""Points on the surface of a body with which it feels what is around it."""


@dataclass(frozen=True)
class RobotForm:
    """A robot's links, and where it touches things.

    Attributes:
        tree: its links. frame_link: the link that carries the frame in which contacts are seen: an arm's grip or a
            hand's palm. frame_position: (3,), frame_rotation: (3, 3): that frame in its link's.
        point_link: (C,) links of the points with which it feels things, point_position: (C, 3) there.
        reach: no point is farther than this [m] from the frame, whatever the fingers do.
        marker_link: (M,), marker_position: (M, 3): likewise points whose places sensors tell: pads or fingertips.
    """

    tree: Tree
    frame_link: int
    frame_position: Array
    frame_rotation: Array
    point_link: NDArray[np.int64]
    point_position: Array
    reach: float
    marker_link: NDArray[np.int64]
    marker_position: Array


@dataclass(frozen=True)
class BodyForm:
    """A thing that moves: a free body or a part with a joint.

    Attributes:
        field: distances to its surface, in its frame. probes: (PROBES, 3) points on its surface.
        center: (3,) of mass [m]. middle: (3,) of its box, extent: (3,) half its sides [m]. mass: [kg].
        friction: of its surface.
    """

    field: Field
    probes: Array
    center: Array
    middle: Array
    extent: Array
    mass: float
    friction: float


@dataclass(frozen=True)
class PartForm(BodyForm):
    """A part that turns or slides against what stands still.

    Attributes:
        position: (3,), rotation: (3, 3): pose of its frame where the joint is at 0. axis: (3,), anchor: (3,) of the
            joint there, in the base's frame. slides: whether it slides. low, high: limits [rad], [m].
        damping, stiffness, rest, loss, inertia: of the joint: N m s / rad, N m / rad, rad, N m, kg m^2 (slides: in N,
            m and kg).
        handle: (3,) where to take it, in its frame.
    """

    position: Array
    rotation: Array
    axis: Array
    anchor: Array
    slides: bool
    low: float
    high: float
    damping: float
    stiffness: float
    rest: float
    loss: float
    inertia: float
    handle: Array


@dataclass(frozen=True)
class ServoForm:
    """How the robot's servos differ from what they usually are.

    Attributes:
        stiffness, damping, strength: factors of the gains and of the force limits of its joints'.
        latency: commands reach all of them so much later [s], at most a control period.
    """

    stiffness: float = 1.0
    damping: float = 1.0
    strength: float = 1.0
    latency: float = 0.0


@dataclass(frozen=True)
class SceneForm:
    """A scene: what stands still, the free bodies, the parts, where gravity pulls, and the robot's servos there.

    Attributes:
        static: distances to what stands still. bodies: K free ones. parts: P. gravity: (3,) [m/s^2]. servos: see there.
    """

    static: Field
    bodies: tuple[BodyForm, ...]
    parts: tuple[PartForm, ...]
    gravity: Array
    servos: ServoForm = ServoForm()


_NOWHERE = Field(np.zeros(3), 1.0, np.array([[[[1.0, 0.0, 0.0, 0.0]]]], dtype=np.float32))
_LITTLE = 1e-3  # [m], [kg]


def no_body() -> BodyForm:
    """Stands for a free body that a scene has not got, where others have more: nothing ever feels it."""
    middle, extent = np.zeros(3), np.full(3, _LITTLE)
    return BodyForm(_NOWHERE, np.zeros((PROBES, 3)), np.zeros(3), middle, extent, _LITTLE, 1.0)


def no_part() -> PartForm:
    """Stands for a part that a scene has not got."""
    return PartForm(
        **no_body().__dict__,
        position=np.array([0.0, 0.0, -9.0]),
        rotation=np.eye(3),
        axis=np.array([0.0, 0.0, 1.0]),
        anchor=np.array([0.0, 0.0, -9.0]),
        slides=True,
        low=0.0,
        high=0.0,
        damping=1.0,
        stiffness=0.0,
        rest=0.0,
        loss=0.0,
        inertia=1.0,
        handle=np.zeros(3),
    )
