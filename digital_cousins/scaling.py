"""Objects stretched along the axes of their own frame: shapes, look, mass and inertia, parts and handles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..scenes.scene import Body, CollisionGeom, Estimate, Handle, Inertial, Joint, Part, Pose, SceneObject, Vec3

Array = NDArray[np.float64]


def stretched(item: SceneObject, factors: Vec3) -> SceneObject:
    """The object with its X, Y and Z stretched by three factors; of the same density, with its frame where it was.

    Shapes whose axes are not those of the object (a leaning board, a turned stave) keep being what they are: each of
    their sides grows by as much as a line in its direction would. Round shapes stay round: their diameters grow by the
    mean of their two directions.

    Args:
        item: any object. factors: positive, of its body's X, Y and Z.
    """
    if factors == (1.0, 1.0, 1.0):
        return item
    scale = np.array(factors)
    size = _vector(np.array(item.size) * scale)
    body = _body(item.body, scale)
    parts = tuple(_part(part, scale) for part in item.parts)
    return item.model_copy(update={"size": size, "body": body, "parts": parts})


def with_mass(body: Body, factor: float) -> Body:
    """The body with its mass and inertia multiplied."""
    old = body.inertial
    mass = old.mass.model_copy(update={k: getattr(old.mass, k) * factor for k in ("value", "low", "high")})
    xx, yy, zz, xy, xz, yz = (value * factor for value in old.inertia)
    return body.model_copy(update={"inertial": Inertial(mass=mass, com=old.com, inertia=(xx, yy, zz, xy, xz, yz))})


def heavier_part(part: Part, factor: float) -> Part:
    """The part with its mass and inertia multiplied, and with the spring that bears it."""
    joint = part.joint.model_copy(update={"stiffness": part.joint.stiffness * factor})
    return part.model_copy(update={"body": with_mass(part.body, factor), "joint": joint})


def rotation(pose: Pose) -> Array:
    """Matrix (3, 3) of a pose's orientation."""
    w, x, y, z = np.array(pose.quaternion) / math.sqrt(sum(v * v for v in pose.quaternion))
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _body(body: Body, scale: Array) -> Body:
    visual = body.visual
    if visual.mesh is not None:
        visual = visual.model_copy(update={"scale": _vector(np.array(visual.scale) * scale)})
    return body.model_copy(
        update={
            "collision": tuple(_shape(geom, scale) for geom in body.collision),
            "visual": visual,
            "inertial": _inertial(body.inertial, scale),
        }
    )


def _shape(geom: CollisionGeom, scale: Array) -> CollisionGeom:
    pose = _moved(geom.pose, scale)
    along = _along(rotation(geom.pose), scale)
    size = np.array(geom.size) * along
    if geom.shape == "sphere":
        size[:] = size.mean()
    elif geom.shape in ("cylinder", "capsule"):
        size[:2] = size[:2].mean()
    update = {"pose": pose, "size": _vector(size)}
    if geom.shape == "mesh":
        update["scale"] = _vector(np.array(geom.scale) * along)
    return geom.model_copy(update=update)


def _along(turned: Array, scale: Array) -> Array:
    """How much (3,) a line along each axis of a frame (3, 3) grows when its surroundings are stretched."""
    return np.asarray(np.linalg.norm(scale[:, None] * turned, axis=0))


def _inertial(inertial: Inertial, scale: Array) -> Inertial:
    """Second moments grow with the square of the stretch: M' = k S M S, k = det S at equal density."""
    xx, yy, zz, xy, xz, yz = inertial.inertia
    inertia = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    moments = np.trace(inertia) / 2 * np.eye(3) - inertia
    volume = float(np.prod(scale))
    moments = volume * scale[:, None] * moments * scale
    grown = np.trace(moments) * np.eye(3) - moments
    mass = inertial.mass
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = grown.tolist()
    return Inertial(
        mass=Estimate(value=mass.value * volume, low=mass.low * volume, high=mass.high * volume, source=mass.source),
        com=_vector(np.array(inertial.com) * scale),
        inertia=(xx, yy, zz, xy, xz, yz),
    )


def _part(part: Part, scale: Array) -> Part:
    local = _along(rotation(part.body.pose), scale)
    body = _body(part.body, local).model_copy(update={"pose": _moved(part.body.pose, scale)})
    joint, handle = part.joint, part.handle
    axis = np.array(joint.axis) / np.linalg.norm(joint.axis)
    stiffness = joint.stiffness * float(np.prod(local))  # a spring bears a part that weighs more
    update: dict[str, object] = {"anchor": _vector(np.array(joint.anchor) * local), "stiffness": stiffness}
    if joint.kind == "slide":
        growth = float(np.linalg.norm(local * axis))
        update["range"] = (joint.range[0] * growth, joint.range[1] * growth)
    moved: Joint = joint.model_copy(update=update)
    if handle is not None:
        handle = Handle(position=_vector(np.array(handle.position) * local), axis=handle.axis, outward=handle.outward)
    return part.model_copy(update={"body": body, "joint": moved, "handle": handle})


def _moved(pose: Pose, scale: Array) -> Pose:
    return pose.model_copy(update={"position": _vector(np.array(pose.position) * scale)})


def _vector(values: Array) -> Vec3:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
