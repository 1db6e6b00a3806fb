"""Compiles a `Scene` to MJCF through MjSpec.

Layout of the model: every surface is a fixed geom of the world body; every object is a body named as in the scene, with
a free joint `<name>_joint` if it is free; parts are child bodies with their joint `<part>_joint` and a site
`<part>_handle` where it is known how to take them. Collision geoms are in group 3 (hidden by default) where there is a
visual mesh, visual geoms in group 2 without mass or contacts. Mass and inertia are always written explicitly: MuJoCo
never infers them from a scanned mesh.

Two things in contact slide on one another at the larger of their two friction coefficients, which is MuJoCo's rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import SceneError
from .scene import Body, Camera, CollisionGeom, Handle, Material, Part, Scene, SceneObject, Surface, Visual

VISUAL_GROUP = 2
COLLISION_GROUP = 3

# Contact model: elliptic cones with impratio 10 hold grasps without creep (MuJoCo manual, "Preventing slip").
TIMESTEP = 0.002
LIMIT = (2 * TIMESTEP, 1.0)
"""Time constant [s] and damping ratio of joint limits: as hard as the time step allows, since MuJoCo's give way the
more the lighter a part is: a button's by millimetres."""
SLIDING_TORSION_ROLLING = (1.0, 0.005, 0.0001)
"""Ratios of torsional [m] and rolling [m] friction that go with a sliding coefficient (MuJoCo's own defaults)."""


def build_spec(scene: Scene, *, visuals: bool = True) -> mujoco.MjSpec:
    """An editable MjSpec of the scene, for compiling, or for attaching a robot to.

    Asset names are relative, in the spec and in the XML it writes; `spec.modelfiledir` says to which folder.

    Args:
        scene: what to compile.
        visuals: False leaves out visual meshes, textures and lights: the same physics, compiled many times faster.
    """
    if not visuals:
        scene = _without_visuals(scene)
    spec = mujoco.MjSpec()
    spec.modelname = scene.name
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    spec.option.timestep = TIMESTEP
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960
    spec.visual.headlight.ambient = scene.lighting.ambient
    spec.visual.headlight.diffuse = scene.lighting.camera
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    if scene.folder is not None:
        spec.modelfiledir = str(Path(scene.folder).resolve())
    if visuals:
        _add_sky_and_light(spec, scene)
    for surface in scene.surfaces:
        _add_surface(spec, surface)
    for item in scene.objects:
        body = spec.worldbody.add_body(name=item.name, pos=item.body.pose.position, quat=item.body.pose.quaternion)
        if item.mobility == "free":
            body.add_freejoint(name=f"{item.name}_joint")
        _fill_body(spec, body, item.name, item.body)
        for part in item.parts:
            child = body.add_body(name=part.name, pos=part.body.pose.position, quat=part.body.pose.quaternion)
            kind = mujoco.mjtJoint.mjJNT_HINGE if part.joint.kind == "hinge" else mujoco.mjtJoint.mjJNT_SLIDE
            child.add_joint(
                name=f"{part.name}_joint",
                type=kind,
                axis=part.joint.axis,
                pos=part.joint.anchor,
                range=part.joint.range,
                damping=[part.joint.damping, 0, 0],
                frictionloss=part.joint.friction_loss,
                stiffness=[part.joint.stiffness, 0, 0],
                springref=_unloaded(item, part, spec.option.gravity),
                solref_limit=LIMIT,
            )
            _fill_body(spec, child, part.name, part.body)
            if part.handle is not None:
                add_handle(child, part.name, part.handle)
            # A closed door touches its own frame: parent and child must not push each other apart.
            spec.add_exclude(name=f"{item.name}__{part.name}", bodyname1=item.name, bodyname2=part.name)
    for camera in scene.cameras:
        add_camera(spec.worldbody, camera)
    return spec


def _unloaded(item: SceneObject, part: Part, gravity: Sequence[float]) -> float:
    """Where the spring of a part's joint pulls with no force: so far that a part that slides is at 0 with its weight.

    Dry friction does not hold it there: MuJoCo's is soft, and what is loaded creeps.
    """
    if part.joint.kind != "slide" or not part.joint.stiffness:
        return 0.0
    axis = np.zeros(3)
    mujoco.mju_rotVecQuat(axis, np.array(part.joint.axis) / np.linalg.norm(part.joint.axis), part.body.pose.quaternion)
    mujoco.mju_rotVecQuat(axis, axis.copy(), item.body.pose.quaternion)
    return -part.body.inertial.mass.value * float(np.dot(axis, gravity)) / part.joint.stiffness


def _add_sky_and_light(spec: mujoco.MjSpec, scene: Scene) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.9, 0.92, 0.95],
        rgb2=[0.6, 0.65, 0.7],
        width=64,
        height=384,
    )
    spec.worldbody.add_light(
        name="light",
        pos=[0, 0, 3],
        dir=scene.lighting.direction,
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        diffuse=scene.lighting.far,
        castshadow=False,
    )


def to_xml(spec: mujoco.MjSpec) -> str:
    """Plain MJCF of a spec, whose assets are named relative to `spec.modelfiledir`.

    MuJoCo writes six digits, which would move a settled object two metres away by 5 micrometres; poses, sizes and
    masses of bodies and geoms are written in full here, so that the file compiles to the same state as the spec.
    """
    compiled(spec, spec.modelname)
    root = ElementTree.fromstring(spec.to_xml())
    for element in root.iterfind("worldbody//body"):
        body = spec.body(element.get("name"))
        _in_full(element, body)
        inertial = element.find("inertial")
        if inertial is not None and body.explicitinertial:
            inertial.attrib.clear()
            values = {"pos": body.ipos, "mass": [body.mass], "fullinertia": body.fullinertia}
            inertial.attrib.update({key: _digits(value) for key, value in values.items()})
    for element in root.iterfind("worldbody//geom"):
        _in_full(element, spec.geom(element.get("name")))
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _in_full(element: ElementTree.Element, item: mujoco.MjsBody | mujoco.MjsGeom) -> None:
    for key in ("pos", "quat", "size"):
        short = [float(word) for word in element.get(key, "").split()]
        exact = np.asarray(getattr(item, key, ()), dtype=float)[: len(short)]
        # Where they differ by more than rounding, the compiler has moved the element's frame: its word counts.
        if short and np.allclose(short, exact, rtol=1e-5, atol=1e-6):
            element.set(key, _digits(exact))


def _digits(values: Sequence[float] | NDArray[np.float64]) -> str:
    return " ".join(repr(float(value)) for value in values)


def _without_visuals(scene: Scene) -> Scene:
    plain = Visual()

    def bare(body: Body) -> Body:
        return body.model_copy(update={"visual": plain})

    objects = tuple(
        item.model_copy(
            update={
                "body": bare(item.body),
                "parts": tuple(part.model_copy(update={"body": bare(part.body)}) for part in item.parts),
            }
        )
        for item in scene.objects
    )
    surfaces = tuple(surface.model_copy(update={"material": Material()}) for surface in scene.surfaces)
    return scene.model_copy(update={"objects": objects, "surfaces": surfaces})


def compile_scene(scene: Scene, *, visuals: bool = True) -> mujoco.MjModel:
    """The model of a scene; see `build_spec`.

    Raises:
        SceneError: MuJoCo refuses it (a broken mesh file, an impossible inertia, ...); the message names the element.
    """
    return compiled(build_spec(scene, visuals=visuals), scene.name)


def compiled(spec: mujoco.MjSpec, name: str) -> mujoco.MjModel:
    """Compiles a spec; a refusal becomes a `SceneError` that names the scene."""
    try:
        return spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())
        raise SceneError(f"scene {name!r} cannot be simulated: {reason}; repair it, or scan again") from error


def add_camera(body: mujoco.MjsBody, camera: Camera) -> mujoco.MjsCamera:
    """Adds a scene camera to a body of a spec."""
    return body.add_camera(
        name=camera.name,
        pos=camera.pose.position,
        quat=camera.pose.quaternion,
        fovy=camera.fovy * 180.0 / 3.141592653589793,  # MJCF fovy is always in degrees
        resolution=[camera.width, camera.height],
    )


def add_handle(body: mujoco.MjsBody, name: str, handle: Handle) -> mujoco.MjsSite:
    """Adds the site `<name>_handle`: its frame is that of a hand that takes the part.

    Z points from the hand into the part, X along the bar, Y is the closing direction, as in a robot's `grip` site.
    """
    x, z = np.array(handle.axis), -np.array(handle.outward)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([x, np.cross(z, x), z], axis=1).ravel())
    return body.add_site(name=f"{name}_handle", pos=handle.position, quat=quat, group=4)


def _add_surface(spec: mujoco.MjSpec, surface: Surface) -> None:
    spec.worldbody.add_geom(
        name=surface.name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[v / 2 for v in surface.size],
        pos=surface.pose.position,
        quat=surface.pose.quaternion,
        friction=_friction(surface.friction.value),
        condim=4,
        contype=int(surface.collides),
        conaffinity=int(surface.collides),
        **_appearance(spec, surface.name, surface.material),
    )


def _fill_body(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, content: Body) -> None:
    inertial = content.inertial
    body.explicitinertial = True
    body.mass = inertial.mass.value
    body.ipos = inertial.com
    body.fullinertia = inertial.inertia
    hidden = content.visual.mesh is not None
    appearance = _appearance(spec, name, content.visual.material, cube=not hidden)
    for index, geom in enumerate(content.collision):
        _add_collision(
            spec,
            body,
            f"{name}_collision_{index}",
            geom,
            content.friction.value,
            {} if hidden else appearance,
            COLLISION_GROUP if hidden else VISUAL_GROUP,
        )
    if hidden:
        mesh = f"{name}_visual"
        spec.add_mesh(
            name=mesh,
            file=content.visual.mesh,
            scale=content.visual.scale,
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
        body.add_geom(
            name=mesh,
            type=mujoco.mjtGeom.mjGEOM_MESH,
            meshname=mesh,
            contype=0,
            conaffinity=0,
            group=VISUAL_GROUP,
            mass=0,
            **appearance,
        )


def _add_collision(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    geom: CollisionGeom,
    friction: float,
    appearance: dict[str, object],
    group: int,
) -> None:
    shape: dict[str, object]
    x, y, z = geom.size
    if geom.shape == "mesh":
        spec.add_mesh(name=name, file=geom.mesh, scale=geom.scale, inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX)
        shape = {"type": mujoco.mjtGeom.mjGEOM_MESH, "meshname": name}
    elif geom.shape == "box":
        shape = {"type": mujoco.mjtGeom.mjGEOM_BOX, "size": [x / 2, y / 2, z / 2]}
    elif geom.shape == "cylinder":
        shape = {"type": mujoco.mjtGeom.mjGEOM_CYLINDER, "size": [x / 2, z / 2, 0]}
    elif geom.shape == "capsule":
        shape = {"type": mujoco.mjtGeom.mjGEOM_CAPSULE, "size": [x / 2, max(z - x, 1e-6) / 2, 0]}
    else:
        shape = {"type": mujoco.mjtGeom.mjGEOM_SPHERE, "size": [x / 2, 0, 0]}
    body.add_geom(
        name=name,
        pos=geom.pose.position,
        quat=geom.pose.quaternion,
        group=group,
        mass=0,
        friction=_friction(friction),
        condim=4,
        **shape,
        **appearance,
    )


def _friction(sliding: float) -> list[float]:
    return [sliding, *SLIDING_TORSION_ROLLING[1:]]


def _appearance(spec: mujoco.MjSpec, name: str, material: Material, *, cube: bool = False) -> dict[str, object]:
    """Keywords of a geom; `cube`: each side of it shows the texture whole."""
    if material.texture is None:
        return {"rgba": material.rgba}
    kind = mujoco.mjtTexture.mjTEXTURE_CUBE if cube else mujoco.mjtTexture.mjTEXTURE_2D
    spec.add_texture(name=name, type=kind, file=material.texture)
    textures = [""] * int(mujoco.mjtTextureRole.mjNTEXROLE)
    textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = name
    spec.add_material(name=name, textures=textures, rgba=material.rgba, specular=0.1, shininess=0.1)
    return {"material": name}
