"""A scene with a robot in it, compiled: the model every world of a batch shares, and where things are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..digital_cousins.rig import NO_DIFFERENCE, Rig
from ..errors import TaskError
from ..scenes import Scene
from ..scenes.mjcf import build_spec, compiled
from ..scenes.outlines import Outline, body_points, outline
from .alignment import FILLER, align, align_drawn, compile_aligned, hide_fillers, with_fillers
from .rigging import move_camera, moved_mounts, prepare_servos, tune_servos
from .robots import PREFIX, Arm, Hand, Robot, need_arm, need_hand
from .robots.mount import BesideSupport, Mount, Mounting, Surroundings, free_objects, yaw_quaternion
from .viewpoint import FOVY, aim_camera

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SCENE_CAMERA = "front"
"""Name of the camera that is placed automatically, facing the robot and the objects in its reach."""

_STAND = PREFIX + "stand"
_WRAPS = (mujoco.mjtWrap.mjWRAP_SPHERE, mujoco.mjtWrap.mjWRAP_CYLINDER)

# Contacts that hold a grasp: see the manual, "Preventing slip". Elliptic cones come from the scene; friction this much
# stiffer than the normal force keeps a held object from creeping (measured in tests/envs/test_grasp.py).
IMPRATIO = 20.0
CONTACT_TIME = 0.006
"""Time constant [s] of contacts, three steps: at MuJoCo's 20 ms a thing dropped from 1 m sinks 3 cm into a table and a
flat one falls through it; so it sinks less than 1 cm."""


@dataclass(frozen=True)
class Gripper:
    """Where an arm's gripper is in the model: ids, and addresses in qpos and sensordata.

    Attributes:
        site: of the point between the pads. finger_qpos (F,): addresses. pad_geoms, pad_sites (2,): ids.
        pad_sensors (2,): addresses.
    """

    site: int
    finger_qpos: Ints
    pad_geoms: Ints
    pad_sites: Ints
    pad_sensors: Ints


@dataclass(frozen=True)
class World:
    """A compiled scene with its robot.

    Attributes:
        scene, robot, mount: what it is made of. rig: how it differs from the twin's, see `rigging`.
        layout: the scene as it is compiled: with fillers, where it is one of several.
        model: the compiled model, without what is only seen; see `drawn`.
        base_pos (3,), base_mat (3, 3): pose of the robot's base.
        objects: names of the free objects, in the scene's order; every array over objects has this order.
        joint_qpos, joint_dof, joint_ctrl (J,): addresses in qpos, qvel and ctrl of the joints that actions move one by
            one. other_ctrl (A,): of the robot's other actuators, a gripper's; other_start (A,): what they start with.
        home (J,): positions of these joints an episode starts near. held (J,): which of them no action moves.
        object_qpos (K, 7), object_dof (K, 6): addresses of the objects' poses and velocities. In a batch of several
            scenes K is that of the scene with most, and those after the last object belong to fillers.
        parts: names of the doors, drawers and buttons that have a handle, in the scene's order.
        part_qpos, part_dof (P,): addresses of their joints, handle_sites (P,): site ids; likewise filled up.
        part_range: limits of their joints.
        cameras: names of all cameras; the robot's own is called `wrist`.
        outlines: outline of every object at its scanned pose. surfaces: of every surface that collides.
    """

    scene: Scene
    layout: Scene
    robot: Robot
    mount: Mount
    model: mujoco.MjModel
    base_pos: Array
    base_mat: Array
    objects: tuple[str, ...]
    joint_qpos: Ints
    joint_dof: Ints
    joint_ctrl: Ints
    other_ctrl: Ints
    other_start: Array
    home: Array
    held: NDArray[np.bool_]
    object_qpos: Ints
    object_dof: Ints
    parts: tuple[str, ...]
    part_qpos: Ints
    part_dof: Ints
    part_range: Array
    handle_sites: Ints
    cameras: tuple[str, ...]
    outlines: dict[str, Outline]
    surfaces: dict[str, Outline]
    home_qpos: Array
    rig: Rig = NO_DIFFERENCE

    @property
    def arm(self) -> Arm:
        """The robot, where it must be an arm.

        Raises:
            TaskError: it is none.
        """
        return need_arm(self.robot)

    @property
    def hand(self) -> Hand:
        """The robot, where it must be a hand.

        Raises:
            TaskError: it is none.
        """
        return need_hand(self.robot)

    @cached_property
    def gripper(self) -> Gripper:
        """Where the arm's gripper is in the model.

        Raises:
            TaskError: the robot is no arm.
        """
        arm, model = self.arm, self.model
        return Gripper(
            site=model.site(PREFIX + "grip").id,
            finger_qpos=np.array([int(model.joint(PREFIX + name).qposadr[0]) for name in arm.finger_joints]),
            pad_geoms=np.array([model.geom(PREFIX + name).id for name in arm.pads]),
            pad_sites=np.array([model.site(PREFIX + name).id for name in arm.pad_sites]),
            pad_sensors=np.array([int(model.sensor(PREFIX + name).adr[0]) for name in arm.pad_sensors]),
        )

    @cached_property
    def drawn(self) -> mujoco.MjModel:
        """The model with its meshes and textures, for pictures: the same `qpos`, but bodies and geoms may be others.

        Compiled when it is first asked for: of a thousand cousins in one batch few are ever seen, and what is seen of
        one weighs ten times as much as what it is stepped with.

        Raises:
            SceneError: MuJoCo refuses it, a broken texture for example.
        """
        spec = _furnished(self.layout, visuals=True)
        align_drawn(spec, self.model)
        _attach(spec, self.robot, visuals=True)
        drawn = compiled(spec, self.scene.name)
        base = PREFIX + self.robot.root
        drawn.body(base).pos, drawn.body(base).quat = self.model.body(base).pos, self.model.body(base).quat
        _shape_stand(drawn, drawn.geom(_STAND).id, self.mount)
        for name in (drawn.camera(k).name for k in range(drawn.ncam)):
            for field in ("pos", "quat", "fovy"):
                getattr(drawn.camera(name), field)[:] = getattr(self.model.camera(name), field)
        mujoco.mj_setConst(drawn, mujoco.MjData(drawn))
        return drawn

    def index(self, name: str) -> int:
        """Position of a free object in arrays over objects."""
        return self.objects.index(name)

    def camera(self, name: str) -> str:
        """The model's name of a camera.

        Raises:
            TaskError: there is no such camera; the message lists those there are.
        """
        if name == self.robot.camera and name in self.cameras:
            return PREFIX + name
        if name not in self.cameras:
            raise TaskError(f"camera={name!r} is not in the scene; choose one of {list(self.cameras)}")
        return name


def build_world(scene: Scene, robot: Robot, *, mounting: Mounting | None = None) -> World:
    """Puts `robot` where it has work and compiles: a pure function of the arguments.

    Args:
        scene, robot: what to put together.
        mounting: how to find a place for the robot; None: beside the support with most free objects.

    Raises:
        TaskError: the scene has no free object, or nothing to work on is within the robot's reach.
    """
    return build_worlds([scene], robot, mountings=[mounting or BesideSupport()])[0]


def build_worlds(
    scenes: Sequence[Scene], robot: Robot, *, mountings: Sequence[Mounting], rigs: Sequence[Rig] | None = None
) -> tuple[World, ...]:
    """The same for several scenes, with models of one layout, so that one batch can step them; see `alignment`.

    Args:
        scenes, robot: what to put together. mountings: for each scene how to find a place for the robot. rigs: for each
            scene how its camera and robot differ; None: they do not.

    Raises:
        TaskError: as `build_world`, or the scenes cannot be brought to one layout.
    """
    for scene, mounting in zip(scenes, mountings, strict=True):
        if not mounting.work(scene):
            raise TaskError(
                f"scene {scene.name!r} has no free object to act on (it has {len(scene.objects)} fixed); "
                "scan a scene with something movable in it"
            )
    chosen = rigs or [NO_DIFFERENCE] * len(scenes)
    several = len(scenes) > 1
    most = max(len(free_objects(scene)) for scene in scenes)
    layouts = [with_fillers(scene, most) if several else scene for scene in scenes]
    specs = [_furnished(layout, visuals=False) for layout in layouts]
    if several:
        align(specs)
    for spec in specs:
        _attach(spec, robot, visuals=False)
        prepare_servos(spec, robot.servo_time, max(rig.latency for rig in chosen))
    models = compile_aligned(specs, [scene.name for scene in scenes])
    worlds = [_world(*each, robot) for each in zip(scenes, layouts, models, mountings, chosen, strict=True)]
    places = max(len(world.part_qpos) for world in worlds)
    return tuple(_with_places(world, places) for world in worlds)


def _furnished(scene: Scene, *, visuals: bool) -> mujoco.MjSpec:
    """A scene with all but the robot in it: its contacts, the stand that may carry it, a camera."""
    spec = build_spec(scene, visuals=visuals)
    hide_fillers(spec)
    spec.option.impratio = IMPRATIO
    for geom in spec.geoms:
        geom.solref = [CONTACT_TIME, 1.0]
    if visuals:
        spec.worldbody.add_geom(
            name=_STAND,
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[0.09, 0.09, 0.5],
            rgba=[0.25, 0.26, 0.28, 1],
            contype=0,
            conaffinity=0,
            group=1,
        )
    if _automatic(scene):
        spec.worldbody.add_camera(name=SCENE_CAMERA, fovy=FOVY)
    return spec


def _automatic(scene: Scene) -> bool:
    """Whether the scene brings no front camera of its own."""
    return all(camera.name != SCENE_CAMERA for camera in scene.cameras)


def _attach(spec: mujoco.MjSpec, robot: Robot, *, visuals: bool) -> None:
    """Puts the robot into a furnished scene, with or without what is only seen of it."""
    made = robot.build()
    if not visuals:
        used = _used_geoms(made)
        for geom in list(made.geoms):
            touches = geom.contype or geom.conaffinity or geom.name in used
            if not touches and geom.parent.explicitinertial:
                made.delete(geom)
        for seen in (*made.geoms, *made.sites, *made.tendons, *made.skins, *made.flexes):
            seen.material = ""
        shapes = {geom.meshname for geom in made.geoms}
        for mesh in list(made.meshes):
            if mesh.name not in shapes:
                made.delete(mesh)
        for kind in (made.materials, made.textures):
            for look in list(kind):
                made.delete(look)
    spec.worldbody.add_frame().attach_body(made.body(robot.root), PREFIX, "")


def _used_geoms(spec: mujoco.MjSpec) -> set[str]:
    """Names of the geoms that tendons wrap around, or that contact pairs or sensors are about."""
    wraps = (wrap for tendon in spec.tendons for wrap in tendon.path)
    used = {wrap.target.name for wrap in wraps if wrap.type in _WRAPS}
    used |= {name for pair in spec.pairs for name in (pair.geomname1, pair.geomname2)}
    return used | {name for sensor in spec.sensors for name in (sensor.objname, sensor.refname)}


def _world(scene: Scene, layout: Scene, model: mujoco.MjModel, mounting: Mounting, rig: Rig, robot: Robot) -> World:
    """Puts the robot where it has work."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    outlines = {item.name: outline(body_points(model, data, model.body(item.name).id)) for item in scene.objects}
    surfaces = {s.name: _surface_outline(model, data, s.name) for s in scene.surfaces if s.collides}
    around = Surroundings(scene, model, data, outlines, surfaces)
    mounts = moved_mounts(mounting.mounts(around, robot), rig)
    seen = [mounting.seen(around, mount) for mount in mounts]
    mount = _place(model, data, scene, robot, mounts, mounting.work(scene))
    if _automatic(scene):
        aim_camera(model, SCENE_CAMERA, mount, seen[mounts.index(mount)])
    world = _index(scene, layout, robot, mount, model, free_objects(scene), outlines, surfaces)
    if rig == NO_DIFFERENCE:
        return world
    move_camera(model, SCENE_CAMERA, rig)
    tune_servos(model, world.joint_ctrl, rig)
    return replace(world, rig=rig)


def _place(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    scene: Scene,
    robot: Robot,
    mounts: Sequence[Mount],
    work: Sequence[str],
) -> Mount:
    """Moves the base to the first place where the robot at home touches nothing."""
    if not mounts:
        raise TaskError(
            f"scene {scene.name!r}: no place beside or on a support from which the {robot.name} reaches "
            f"what there is to do ({', '.join(work[:6])}{', ...' if len(work) > 6 else ''}) without touching "
            f"something; its reach is {robot.reach[0]:.2f} to {robot.reach[1]:.2f} m"
        )
    base = model.body(PREFIX + robot.root).id
    joints = [int(model.joint(PREFIX + name).qposadr[0]) for name in robot.joints]
    bodies = {b for b in range(model.nbody) if model.body(b).name.startswith(PREFIX)}
    for mount in mounts:
        model.body_pos[base] = mount.position
        model.body_quat[base] = mount.quaternion
        mujoco.mj_setConst(model, data)
        mujoco.mj_resetData(model, data)
        data.qpos[joints] = _home(robot, mount)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_collision(model, data)
        pairs = model.geom_bodyid[data.contact.geom]
        if not any((int(a) in bodies) != (int(b) in bodies) for a, b in pairs):
            return mount
    raise TaskError(
        f"scene {scene.name!r}: wherever the {robot.name} could stand, it touches something at the start; "
        "remove tall objects around the support"
    )


def _surface_outline(model: mujoco.MjModel, data: mujoco.MjData, name: str) -> Outline:
    geom = model.geom(name).id
    half = model.geom_size[geom]
    rotation = data.geom_xmat[geom].reshape(3, 3)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * half
    points = corners @ rotation.T + data.geom_xpos[geom]
    found = outline(points)
    if abs(rotation[2, 2]) > 0.999:  # keep the exact rectangle of an upright box: its edges carry the robot
        yaw = float(np.arctan2(rotation[1, 0], rotation[0, 0]))
        return Outline(points[:, :2].mean(axis=0), half[:2].copy(), yaw, found.low, found.high)
    return found


def _shape_stand(model: mujoco.MjModel, geom: int, mount: Mount) -> None:
    half = np.array([0.09, 0.09, mount.pedestal / 2]) if mount.pedestal > 0.01 else np.full(3, 1e-4)
    model.geom_size[geom] = half
    model.geom_rbound[geom] = np.linalg.norm(half)
    model.geom_aabb[geom] = [0, 0, 0, *half]
    model.geom_pos[geom] = np.array(mount.position) - [0, 0, half[2]]
    model.geom_quat[geom] = yaw_quaternion(mount.yaw)


def _index(
    scene: Scene,
    layout: Scene,
    robot: Robot,
    mount: Mount,
    model: mujoco.MjModel,
    free: tuple[str, ...],
    outlines: dict[str, Outline],
    surfaces: dict[str, Outline],
) -> World:
    def joints(names: Sequence[str], field: str) -> Ints:
        return np.array([int(getattr(model.joint(PREFIX + name), field)[0]) for name in names])

    loose = [model.joint(i) for i in range(model.njnt) if model.jnt_type[i] == mujoco.mjtJoint.mjJNT_FREE]
    loose = [joint for joint in loose if joint.name.removesuffix("_joint") in free or joint.name.startswith(FILLER)]
    first, dof = ([int(getattr(joint, field)[0]) for joint in loose] for field in ("qposadr", "dofadr"))
    moved = joints(robot.joints, "qposadr")
    home = model.qpos0.copy()
    home[moved] = _home(robot, mount)
    for name, position in robot.other_joints.items():
        home[joints([name], "qposadr")] = position
    held = mount.posture.held if mount.posture is not None else ()
    names = [model.camera(i).name for i in range(model.ncam)]
    parts = tuple(part.name for item in scene.objects for part in item.parts if part.handle is not None)
    moving = [model.joint(f"{name}_joint") for name in parts]
    return World(
        scene=scene,
        layout=layout,
        robot=robot,
        mount=mount,
        model=model,
        base_pos=np.array(mount.position),
        base_mat=mount.matrix,
        objects=free,
        joint_qpos=moved,
        joint_dof=joints(robot.joints, "dofadr"),
        joint_ctrl=np.array([model.actuator(PREFIX + name).id for name in robot.actuators]),
        other_ctrl=np.array([model.actuator(PREFIX + name).id for name in robot.other_actuators], dtype=np.int64),
        other_start=np.array(list(robot.other_actuators.values())),
        home=home[moved],
        held=np.isin(robot.joints, held),
        object_qpos=np.array(first, dtype=np.int64)[:, None] + np.arange(7),
        object_dof=np.array(dof, dtype=np.int64)[:, None] + np.arange(6),
        parts=parts,
        part_qpos=np.array([int(joint.qposadr[0]) for joint in moving], dtype=np.int64),
        part_dof=np.array([int(joint.dofadr[0]) for joint in moving], dtype=np.int64),
        part_range=np.array([joint.range for joint in moving]).reshape(-1, 2),
        handle_sites=np.array([model.site(f"{name}_handle").id for name in parts], dtype=np.int64),
        cameras=tuple(name.removeprefix(PREFIX) for name in names if not name.startswith(FILLER)),
        outlines=outlines,
        surfaces=surfaces,
        home_qpos=home,
    )


def _with_places(world: World, count: int) -> World:
    """The world with room for `count` parts: joints that nobody works on stand for those it has not got."""
    missing = count - len(world.part_qpos)
    if missing == 0:
        return world
    model = world.model
    spare = [
        joint
        for joint in range(model.njnt)
        if model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE
        and not model.joint(joint).name.startswith(PREFIX)
        and model.jnt_qposadr[joint] not in world.part_qpos
    ][:missing]
    return replace(
        world,
        part_qpos=np.r_[world.part_qpos, model.jnt_qposadr[spare]],
        part_dof=np.r_[world.part_dof, model.jnt_dofadr[spare]],
        handle_sites=np.r_[world.handle_sites, np.zeros(missing, dtype=np.int64)],
    )


def _home(robot: Robot, mount: Mount) -> tuple[float, ...]:
    return robot.home if mount.posture is None else mount.posture.joints
