"""From a compiled world to what the hybrid neural simulator is told of it; see `world_models.hybrid.scene`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...scenes.outlines import geom_points
from ...world_models.hybrid.dynamics import PERIOD, Shape
from ...world_models.hybrid.fields import sample
from ...world_models.hybrid.kinematics import Tree
from ...world_models.hybrid.scene import PROBES, BodyForm, PartForm, RobotForm, SceneForm, ServoForm, no_body
from ..alignment import FILLER
from ..robots import PREFIX
from ..world import World
from .distances import Distance, geom_distance, union

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_FINEST, _FINE, _COARSE = 0.003, 0.004, 0.02  # cells [m] around handles, of bodies, and of what stands still
_MARGIN = 0.02  # [m] around a body
_GRASP = 0.09  # [m] around a handle
_ROOM = np.array([[-0.9, -0.9, -0.3], [0.9, 0.9, 1.0]])  # around the robot's base [m]
_POINTS = 51  # with which a hand feels, as many on each link
# Of a gripper: on its body; of each finger on the face of its pad, around the pad, and above it.
_PALM_POINTS, _FACE_POINTS, _TIP_POINTS, _FINGER_POINTS = 3, 5, 4, 3
_FACE, _NEAR = 0.0015, 0.017  # [m]: how deep a pad's face is, and how large a pad
_FREE, _SLIDE = int(mujoco.mjtJoint.mjJNT_FREE), int(mujoco.mjtJoint.mjJNT_SLIDE)


def robot_joints(world: World) -> Ints:
    """Ids of all joints of the robot, in the model's order."""
    model = world.model
    return np.array([j for j in range(model.njnt) if model.joint(j).name.startswith(PREFIX)])


def part_joints(world: World) -> Ints:
    """Ids of all joints of doors, drawers and buttons, in the model's order."""
    model = world.model
    return np.array(
        [
            j
            for j in range(model.njnt)
            if model.jnt_type[j] != _FREE and not model.joint(j).name.startswith((PREFIX, FILLER))
        ],
        dtype=np.int64,
    )


def model_shape(world: World, robot: RobotForm) -> Shape:
    """What a hybrid model for this robot, and for scenes such as this one, looks like."""
    model, beyond = world.model, np.flatnonzero(_below_hand(robot))
    arm = world.robot.kind == "arm"
    addresses = model.jnt_qposadr[robot_joints(world)].tolist()
    moved = {addresses[link] for link in beyond}
    alone = {int(k): addresses.index(int(q)) for k, q in zip(world.joint_ctrl, world.joint_qpos, strict=True)}
    servos = [int(k) for k, q in zip(world.joint_ctrl, world.joint_qpos, strict=True) if int(q) in moved]
    return Shape(
        links=len(robot.tree.parent),
        points=len(robot.point_link),
        actuators=int(model.nu),
        forces=2 if arm else 5,
        fingers=tuple(int(k) for k in beyond),
        grips=tuple(int(k) for k in world.other_ctrl) + tuple(servos),
        keep=math.exp(-PERIOD / world.robot.servo_time),
        parts=len(part_joints(world)) > 0,
        servos=tuple(alone.get(number, -1) for number in range(int(model.nu))),
    )


def _below_hand(robot: RobotForm) -> NDArray[np.bool_]:
    """(L,) which links hang on the hand's."""
    found = np.zeros(len(robot.tree.parent), dtype=np.bool_)
    for link, above in enumerate(robot.tree.parent):
        found[link] = above >= 0 and (above == robot.frame_link or found[above])
    return found


def robot_form(world: World) -> RobotForm:
    """The robot's links: one a joint, at rest where its joint is at 0; its contact points."""
    model, base = world.model, _Base(world)
    data = mujoco.MjData(model)
    joints = robot_joints(world)
    data.qpos[model.jnt_qposadr[joints]] = 0.0
    mujoco.mj_kinematics(model, data)
    last: dict[int, int] = {}  # link that carries a body
    parent, position, rotation, axis = [], [], [], []
    frames: list[tuple[Array, Array]] = []
    for link, joint in enumerate(joints):
        body = int(model.jnt_bodyid[joint])
        above = last[body] if body in last else _carrier(model, int(model.body_parentid[body]), last)
        at, turned = base.inside(data.xanchor[joint]), base.turned(data.xmat[body].reshape(3, 3))
        stem = frames[above] if above >= 0 else (np.zeros(3), np.eye(3))
        parent.append(above)
        position.append(stem[1].T @ (at - stem[0]))
        rotation.append(stem[1].T @ turned)
        axis.append(data.xmat[body].reshape(3, 3).T @ data.xaxis[joint])
        frames.append((at, turned))
        last[body] = link
    slides = model.jnt_type[joints] == _SLIDE
    tree = Tree(np.array(parent), slides, np.array(position), np.array(rotation), np.array(axis), np.zeros(len(joints)))
    site = model.site(PREFIX + ("grip" if world.robot.kind == "arm" else "palm")).id
    body = int(model.site_bodyid[site])
    frame = _carrier(model, body, last)
    at, turned = base.inside(data.site_xpos[site]), base.turned(data.site_xmat[site].reshape(3, 3))
    touching = [g for g in range(model.ngeom) if _feels(model, g, body)]
    clouds, places, links = [], [], []
    for geom in touching:
        points = base.inside(_surface(model, geom) @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom])
        link = _carrier(model, int(model.geom_bodyid[geom]), last)
        clouds.append((points - frames[link][0]) @ frames[link][1])
        places.append(points)
        links.append(np.full(len(points), link))
    points, owners = np.concatenate(clouds), np.concatenate(links)
    marks = [model.site(PREFIX + name).id for name in _markers(world)]
    holders = np.array([_carrier(model, int(model.site_bodyid[mark]), last) for mark in marks])
    spots = base.inside(data.site_xpos[marks])
    marked = [(spot - frames[k][0]) @ frames[k][1] for spot, k in zip(spots, holders, strict=True)]
    if world.robot.kind == "arm":
        chosen = _gripper_points(np.concatenate(places), owners, holders, spots)
    else:
        mine = [np.flatnonzero(owners == link) for link in np.unique(owners)]
        chosen = np.concatenate([rows[_spread(points[rows], _POINTS // len(mine))] for rows in mine])
    return RobotForm(
        tree=tree,
        frame_link=frame,
        frame_position=frames[frame][1].T @ (at - frames[frame][0]),
        frame_rotation=frames[frame][1].T @ turned,
        point_link=owners[chosen],
        point_position=points[chosen],
        reach=_span(world, site, touching) + _MARGIN,
        marker_link=holders,
        marker_position=np.array(marked),
    )


def _gripper_points(points: Array, owners: Ints, holders: Ints, spots: Array) -> Ints:
    """Which of a gripper's surface points (n, 3) on links (n,) feel: those on the faces of its pads above all.

    The pads, at `spots` (2, 3), are on the links `holders` (2,).
    """
    chosen = []
    for link in np.unique(owners):
        rows = np.flatnonzero(owners == link)
        if link not in holders:
            chosen.append(rows[_spread(points[rows], _PALM_POINTS)])
            continue
        side = int(np.flatnonzero(holders == link)[0])
        inward = spots[1 - side] - spots[side]
        near = rows[((points[rows] - spots[side]) ** 2).sum(1) < _NEAR**2]
        depth = points[near] @ (inward / np.linalg.norm(inward))
        face = near[depth > depth.max() - _FACE]
        rest = np.setdiff1d(rows, face)
        mine = face[_spread(points[face], _FACE_POINTS)]
        for others, count in ((np.intersect1d(rest, near), _TIP_POINTS), (rest, _FINGER_POINTS)):
            mine = np.concatenate([mine, others[_spread(points[others], count, beside=points[mine])]])
        chosen.append(mine)
    return np.concatenate(chosen)


def scene_form(world: World) -> SceneForm:
    """What stands still and what moves in a scene."""
    model, base, rig = world.model, _Base(world), world.rig
    period = float(model.opt.timestep)  # of MuJoCo's steps: commands come with one of them
    data = mujoco.MjData(model)
    data.qpos[:] = world.home_qpos
    parts = part_joints(world)
    data.qpos[model.jnt_qposadr[parts]] = 0.0
    mujoco.mj_kinematics(model, data)
    free = [int(model.jnt_bodyid[j]) for j in range(model.njnt) if model.jnt_type[j] == _FREE]
    moved = [int(model.jnt_bodyid[j]) for j in parts]
    owner = {body: _owner(model, body, {*free, *moved}) for body in range(model.nbody)}
    still = [g for g in range(model.ngeom) if owner[int(model.geom_bodyid[g])] == 0 and _collides(model, g)]
    still = [g for g in still if not model.body(int(model.geom_bodyid[g])).name.startswith(PREFIX)]
    whole = union([geom_distance(model, g, data.geom_xpos[g], data.geom_xmat[g].reshape(3, 3)) for g in still])
    static = sample(lambda points: whole(base.outside(points)), *_ROOM, cell=_COARSE)
    geoms: dict[int, list[int]] = {body: [] for body in (*free, *moved)}
    for geom in range(model.ngeom):
        geoms.setdefault(owner[int(model.geom_bodyid[geom])], []).append(geom)
    return SceneForm(
        static=static,
        bodies=tuple(_body(model, data, body, geoms[body]) for body in free),
        parts=tuple(_part(world, data, int(j), geoms[body]) for j, body in zip(parts, moved, strict=True)),
        gravity=base.matrix.T @ model.opt.gravity,
        servos=ServoForm(rig.stiffness, rig.damping, rig.strength, math.ceil(rig.latency / period - 1e-9) * period),
    )


class _Base:
    """The frame of the robot's base."""

    def __init__(self, world: World) -> None:
        self.position, self.matrix = world.base_pos, world.base_mat

    def inside(self, points: Array) -> Array:
        return np.asarray((points - self.position) @ self.matrix)

    def outside(self, points: Array) -> Array:
        return np.asarray(points @ self.matrix.T + self.position)

    def turned(self, matrix: Array) -> Array:
        return np.asarray(self.matrix.T @ matrix)


def _body(
    model: mujoco.MjModel, data: mujoco.MjData, body: int, geoms: Sequence[int], handle: Array | None = None
) -> BodyForm:
    geoms = [g for g in geoms if _collides(model, g)]
    at, turned = data.xpos[body], data.xmat[body].reshape(3, 3)
    center = np.asarray(model.body_ipos[body], dtype=np.float64)
    if not geoms:
        return no_body()  # a filler

    def pose(g: int) -> tuple[Array, Array]:
        return turned.T @ (data.geom_xpos[g] - at), turned.T @ data.geom_xmat[g].reshape(3, 3)

    shape: Distance = union([geom_distance(model, g, *pose(g)) for g in geoms])
    cloud = np.concatenate([_surface(model, g) @ pose(g)[1].T + pose(g)[0] for g in geoms])
    outer = cloud[np.abs(shape(cloud)) < 1e-3]
    low, high = cloud.min(0), cloud.max(0)
    field = sample(shape, low - _MARGIN, high + _MARGIN, cell=_FINE)
    if handle is not None:
        corners = np.maximum(low - _MARGIN, handle - _GRASP), np.minimum(high + _MARGIN, handle + _GRASP)
        field = replace(field, inset=sample(shape, *corners, cell=_FINEST))
    return BodyForm(
        field=field,
        probes=outer[_spread(outer, PROBES)],
        center=center,
        middle=(low + high) / 2,
        extent=(high - low) / 2,
        mass=float(model.body_subtreemass[body]),
        friction=float(max(model.geom_friction[g, 0] for g in geoms)),
    )


def _part(world: World, data: mujoco.MjData, joint: int, geoms: Sequence[int]) -> PartForm:
    model, base = world.model, _Base(world)
    body, dof = int(model.jnt_bodyid[joint]), int(model.jnt_dofadr[joint])
    limited = bool(model.jnt_limited[joint])
    low, high = model.jnt_range[joint] if limited else (-10.0, 10.0)
    number = {int(j): k for k, j in enumerate(world.part_qpos)}.get(int(model.jnt_qposadr[joint]))
    at, turned = data.xpos[body], data.xmat[body].reshape(3, 3)
    taken = None if number is None else turned.T @ (data.site_xpos[world.handle_sites[number]] - at)
    form = _body(model, data, body, geoms, taken)
    return PartForm(
        **form.__dict__,
        position=base.inside(at),
        rotation=base.turned(turned),
        axis=base.matrix.T @ data.xaxis[joint],
        anchor=base.inside(data.xanchor[joint]),
        slides=bool(model.jnt_type[joint] == _SLIDE),
        low=float(low),
        high=float(high),
        damping=float(model.dof_damping[dof]),
        stiffness=float(model.jnt_stiffness[joint]),
        rest=float(model.qpos_spring[model.jnt_qposadr[joint]]),
        loss=float(model.dof_frictionloss[dof]),
        inertia=float(model.dof_M0[dof]),
        handle=form.middle if taken is None else taken,
    )


def _span(world: World, site: int, geoms: Sequence[int]) -> float:
    """How far [m] the hand's geoms get from its frame with the fingers open and closed."""
    model = world.model
    data, farthest = mujoco.MjData(model), 0.0
    for limit in (0, 1):
        data.qpos[:] = world.home_qpos
        for joint in robot_joints(world):
            if model.jnt_limited[joint] and model.jnt_qposadr[joint] not in world.joint_qpos:
                data.qpos[model.jnt_qposadr[joint]] = model.jnt_range[joint, limit]
        mujoco.mj_kinematics(model, data)
        for geom in geoms:
            points = _surface(model, geom) @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
            farthest = max(farthest, float(np.linalg.norm(points - data.site_xpos[site], axis=1).max()))
    return farthest


def _markers(world: World) -> tuple[str, ...]:
    """Sites whose places the robot's sensors tell."""
    return world.arm.pad_sites if world.robot.kind == "arm" else world.hand.tips


def _collides(model: mujoco.MjModel, geom: int) -> bool:
    return bool(model.geom_contype[geom] or model.geom_conaffinity[geom])


def _feels(model: mujoco.MjModel, geom: int, palm: int) -> bool:
    """Whether a geom belongs to the palm or to what hangs on it, and collides."""
    body = int(model.geom_bodyid[geom])
    while body not in (palm, 0):
        body = int(model.body_parentid[body])
    return body == palm and _collides(model, geom)


def _carrier(model: mujoco.MjModel, body: int, last: dict[int, int]) -> int:
    """The link that carries a body, -1 for the base."""
    while body and body not in last:
        body = int(model.body_parentid[body])
    return last.get(body, -1)


def _owner(model: mujoco.MjModel, body: int, moving: set[int]) -> int:
    """The moving body that a body belongs to, 0 for none."""
    while body and body not in moving:
        body = int(model.body_parentid[body])
    return body


def _surface(model: mujoco.MjModel, geom: int) -> Array:
    """Points (n, 3) on a geom, in its frame, about as dense everywhere."""
    kind, size = int(model.geom_type[geom]), np.asarray(model.geom_size[geom])
    if kind in (mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_ELLIPSOID):
        ball = _fibonacci(64)
        if kind == mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            return np.asarray(ball * size)
        ends = ball * size[0]
        if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
            rings = ball * [1, 1, 0]
            rings = rings / np.maximum(np.linalg.norm(rings, axis=1, keepdims=True), 1e-9) * size[0]
            rings[:, 2] = ball[:, 2] * size[1]
            ends = np.concatenate([ends + np.sign(ends) * [0, 0, size[1]], rings])
        return np.asarray(ends)
    if kind == mujoco.mjtGeom.mjGEOM_BOX:
        steps = np.linspace(-1, 1, 5)
        grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        return np.asarray(grid[np.abs(grid).max(1) == 1] * size)
    if kind == mujoco.mjtGeom.mjGEOM_CYLINDER:
        turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = np.stack([np.cos(turn), np.sin(turn)], 1) * size[0]
        sides = [np.c_[ring, np.full(16, z)] for z in np.linspace(-1, 1, 5) * size[1]]
        caps = [np.c_[ring * r, np.full(16, z)] for z in (-size[1], size[1]) for r in (0.0, 0.5)]
        return np.concatenate([*sides, *caps])
    return geom_points(model, geom)


def _fibonacci(count: int) -> Array:
    """Points (count, 3) spread evenly over the unit sphere."""
    k = np.arange(count) + 0.5
    z, turn = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], 1)


def _spread(points: Array, count: int, beside: Array | None = None) -> Ints:
    """Indices (count,) of points as far from each other, and from those `beside` them, as can be: each the farthest
    from those before."""
    chosen: list[int] = []
    nearest = ((points - points.mean(0)) ** 2).sum(1)
    if beside is not None:
        nearest = ((points[:, None] - beside) ** 2).sum(2).min(1)
    else:
        chosen.append(int(np.argmax(nearest)))
        nearest = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(1))
    return np.array(chosen)
