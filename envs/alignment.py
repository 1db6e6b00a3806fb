"""Different scenes in one batch: their models are padded to one layout.

`Batch.set_models` lets every world have a model of its own if all give `mjData` the same sizes. So scenes with fewer
objects get fillers, which are never drawn, never collide and do not fall: free bodies among the objects, sliding bodies
for missing doors and drawers, empty bodies, geoms, sites, cameras, and meshes that stand for missing nodes of
bounding-volume trees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import mujoco
import numpy as np

from ..errors import TaskError
from ..scenes import Scene
from ..scenes.mjcf import compiled
from ..scenes.primitives import exact
from ..scenes.scene import Body, CollisionGeom, Inertial, Pose, SceneObject

FILLER = "filler__"
"""Begins the names of fillers."""
_SLIDE = FILLER + "slide_"
_HIDDEN = 5  # a group of geoms and sites that nobody draws
_SMALL = 0.005  # [m]
_FEWEST = 4  # faces of a mesh
_OFFSET = 2e-6  # [m]: MuJoCo takes 1e-6 for zero
_SIZES = ("nq", "nv", "nu", "nbody", "njnt", "ngeom", "nsite", "ncam", "nlight", "ntree", "nM", "nC", "nD", "nbvh")


def with_fillers(scene: Scene, free: int) -> Scene:
    """The scene with its free objects first, filled up to `free` of them: so they lie at the same places in `qpos`."""
    moving = [item for item in scene.objects if item.mobility == "free"]
    fixed = [item for item in scene.objects if item.mobility != "free"]
    fillers = [_free_filler(k) for k in range(free - len(moving))]
    return scene.model_copy(update={"objects": (*moving, *fillers, *fixed)})


def hide_fillers(spec: mujoco.MjSpec) -> None:
    """Makes the free fillers of a spec untouchable and invisible, and keeps them where they are."""
    for body in spec.worldbody.bodies:
        if body.name.startswith(FILLER):
            body.gravcomp = 1.0
            for geom in body.geoms:
                geom.contype, geom.conaffinity, geom.group = 0, 0, _HIDDEN


def align(specs: Sequence[mujoco.MjSpec]) -> None:
    """Pads specs of scenes that `with_fillers` made, in place, until they have equally many of everything.

    The robot comes after that: its joints and sites then have the same places in all models.
    """
    for spec in specs:
        for body in spec.worldbody.bodies:
            # MuJoCo stores fewer numbers for a body whose frame is, within 1e-6, that of its inertia; here none is.
            if any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in body.joints):
                body.ipos = body.ipos + np.array([math.copysign(_OFFSET, body.ipos[0]), 0, 0])
    _pad(specs, lambda spec: sum(joint.type != mujoco.mjtJoint.mjJNT_FREE for joint in spec.joints), _add_slide)
    _pad(specs, lambda spec: len(spec.bodies), lambda spec, k: spec.worldbody.add_body(name=f"{FILLER}body_{k}"))
    _pad(specs, lambda spec: len(spec.geoms), _add_geom)
    _pad(specs, lambda spec: len(spec.sites), _add_site)
    _pad(specs, lambda spec: len(spec.cameras), lambda spec, k: spec.worldbody.add_camera(name=f"{FILLER}camera_{k}"))


def compile_aligned(specs: Sequence[mujoco.MjSpec], names: Sequence[str]) -> list[mujoco.MjModel]:
    """The last step, with the robot in them: the models of the specs, of one layout.

    Args:
        specs: changed in place. names: of their scenes, for messages.

    Raises:
        SceneError: MuJoCo refuses a scene.
        TaskError: their joints are connected in different ways, so that no padding helps.
    """
    models = [compiled(*each) for each in zip(specs, names, strict=True)]
    nodes = [int(model.nbvh) for model in models]
    if len(set(nodes)) > 1:
        most = max(nodes) + 4 * _FEWEST  # every gap is then zero or large enough for one mesh, or two
        for spec, count in zip(specs, nodes, strict=True):
            _add_nodes(spec, most - count)
        models = [compiled(*each) for each in zip(specs, names, strict=True)]
    for size in _SIZES:
        found = [int(getattr(model, size)) for model in models]
        if len(set(found)) > 1:
            told = ", ".join(f"{name!r}: {value}" for name, value in zip(names, found, strict=True))
            raise TaskError(
                f"these scenes cannot be stepped in one batch: {size} of their models differs ({told}), which happens "
                "where doors or lids belong to free objects of some of them only; make an environment of each"
            )
    return models


def align_drawn(spec: mujoco.MjSpec, model: mujoco.MjModel) -> None:
    """Gives the spec of what is drawn, without its robot, the sliding bodies of `model`: both then have one `qpos`."""
    names = (model.joint(k).name for k in range(model.njnt))
    for k in range(sum(name.startswith(_SLIDE) for name in names)):
        _add_slide(spec, k)


def _pad(
    specs: Sequence[mujoco.MjSpec], count: Callable[[mujoco.MjSpec], int], add: Callable[[mujoco.MjSpec, int], object]
) -> None:
    counts = [count(spec) for spec in specs]
    for spec, have in zip(specs, counts, strict=True):
        for k in range(max(counts) - have):
            add(spec, k)


def _free_filler(index: int) -> SceneObject:
    ball = CollisionGeom(shape="sphere", size=(2 * _SMALL,) * 3)
    inertia = (1e-4, 1e-4, 1e-4, 0.0, 0.0, 0.0)
    return SceneObject(
        name=f"{FILLER}{index}",
        category="filler",
        mobility="free",
        size=(2 * _SMALL,) * 3,
        body=Body(
            pose=Pose(position=(0.1 * index, 0.0, -0.5)),
            collision=(ball,),
            inertial=Inertial(mass=exact(0.1), com=(0, 0, 0), inertia=inertia),
            friction=exact(0.5),
        ),
    )


def _add_slide(spec: mujoco.MjSpec, index: int) -> None:
    body = spec.worldbody.add_body(
        name=f"{_SLIDE}{index}", mass=0.1, inertia=[1e-4] * 3, explicitinertial=True, gravcomp=1.0
    )
    body.add_joint(name=f"{_SLIDE}{index}", type=mujoco.mjtJoint.mjJNT_SLIDE, damping=[1.0, 0, 0])


def _add_site(spec: mujoco.MjSpec, index: int) -> None:
    spec.worldbody.add_site(name=f"{FILLER}site_{index}", group=_HIDDEN)


def _add_geom(spec: mujoco.MjSpec, index: int) -> None:
    spec.worldbody.add_geom(
        name=f"{FILLER}geom_{index}",
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        size=[_SMALL, 0, 0],
        contype=0,
        conaffinity=0,
        group=_HIDDEN,
    )


def _add_nodes(spec: mujoco.MjSpec, count: int) -> None:
    """Meshes that nothing uses: one of F faces has a tree of 2 F - 1 nodes."""
    faces = [(count + 1) // 2] if count % 2 else [_FEWEST, (count + 2) // 2 - _FEWEST]
    for index, number in enumerate(faces):
        around = np.linspace(0, 2 * np.pi, number, endpoint=False)
        ring = np.stack([np.cos(around), np.sin(around), np.zeros(number)], axis=1)
        vertices = np.concatenate([ring, [[0, 0, 1.0]]]) * _SMALL
        cone = np.stack([np.arange(number), (np.arange(number) + 1) % number, np.full(number, number)], axis=1)
        spec.add_mesh(
            name=f"{FILLER}mesh_{index}",
            uservert=vertices.ravel().tolist(),
            userface=cone.ravel().tolist(),
            inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
        )
