"""Sketches: two numbers that tell whether many numbers are what they were, on any machine.

A hash of floats differs where a processor rounds another way. A sketch of n numbers is their weighted sum instead,
over the root of n: rounding moves it by no more than it moves one of them, and one that is changed by d moves it by
about d over the root of n. Weights never repeat, so that what was swapped is noticed, too. They are no secret: sketches
tell of accidents (another engine, a changed asset), not of bad faith.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ...envs import WorldVectorEnv
from ...envs.world import World

Sketch = tuple[float, float]

STATE_TOLERANCE, WORLD_TOLERANCE = 1e-8, 1e-6
"""Sketches of the same differ by less: states are in double precision, points of meshes in single."""
_STEPS = (0.6180339887498949, 0.7548776662466927)  # fractions of their multiples never repeat
_STATE = ("joint_pos", "joint_vel", "object_pos", "object_mat", "object_vel", "part_pos", "part_vel", "handle_pos")
_PARTS: Mapping[str, tuple[str, ...]] = {
    "masses": ("body_mass", "body_ipos", "body_gravcomp"),
    "bodies": ("body_pos", "body_quat", "body_parentid"),
    "joints": (
        *("jnt_type", "jnt_axis", "jnt_pos", "jnt_range", "jnt_limited", "jnt_stiffness"),
        *("dof_armature", "dof_damping", "dof_frictionloss"),
    ),
    "contacts": (
        *("geom_type", "geom_friction", "geom_solref", "geom_solimp", "geom_condim", "geom_margin", "geom_priority"),
        *("geom_contype", "geom_conaffinity"),
    ),
    "actuators": (
        *("actuator_ctrlrange", "actuator_gainprm", "actuator_biasprm", "actuator_dynprm", "actuator_forcerange"),
        *("actuator_gear", "actuator_delay"),
    ),
}
_OPTIONS = (
    *("timestep", "integrator", "cone", "jacobian", "solver", "iterations", "ls_iterations", "tolerance"),
    *("ls_tolerance", "impratio", "gravity", "disableflags", "enableflags"),
)
_LOOKS = (
    *("geom_rgba", "mat_rgba", "mat_specular", "mat_shininess", "light_pos", "light_dir", "light_diffuse"),
    *("light_ambient", "cam_pos", "cam_quat", "cam_fovy"),
)


def sketch(*arrays: Any) -> Sketch:
    """Of all numbers of some arrays, in their order; (0, 0) of nothing."""
    numbers = np.concatenate([np.asarray(each, dtype=np.float64).ravel() for each in (np.zeros(0), *arrays)])
    if not len(numbers):
        return 0.0, 0.0
    place = np.arange(1, len(numbers) + 1)
    first, second = (float((numbers * (0.5 + (place * step) % 1.0)).sum() / len(numbers) ** 0.5) for step in _STEPS)
    return round(first, 12), round(second, 12)


def same(found: Sketch, kept: Sketch, tolerance: float) -> bool:
    """Whether two sketches are of the same numbers, as far as machines agree."""
    return all(abs(a - b) <= tolerance * max(1.0, abs(b)) for a, b in zip(found, kept, strict=True))


def of_world(world: World) -> dict[str, Sketch]:
    """Of all that moves as it does because of it, by kind: masses, joints, contacts, actuators, ..."""
    model = world.model
    found = {name: sketch(*(_even(getattr(model, each)) for each in parts)) for name, parts in _PARTS.items()}
    # Axes of inertia are not unique where a thing is symmetric: they could be others elsewhere.
    turns = _matrices(model.body_iquat)
    inertia = np.einsum("bij,bj,bkj->bik", turns, model.body_inertia, turns)
    options = (_even(getattr(model.opt, name)) for name in _OPTIONS)
    return {**found, "inertia": sketch(1e3 * inertia), "shapes": _shapes(model), "options": sketch(*options)}


def of_looks(world: World) -> Sketch:
    """Of all that pictures show beside shapes: colours, materials, textures, lights, cameras."""
    model = world.drawn
    some = model.tex_data[:: max(len(model.tex_data) // 100_000, 1)]
    return sketch(*(_even(getattr(model, name)) for name in _LOOKS), some / 255)


def of_starts(env: WorldVectorEnv) -> list[Sketch]:
    """Of the present state of every world: where the robot and all things are, and what the task chose."""
    sensors, task = env.sensors(), env.task.get_state()
    scenes = env.get_state().simulator.member
    columns = [np.asarray(sensors[name]).reshape(env.num_envs, -1) for name in _STATE if name in sensors]
    columns += [values.astype(np.float64).reshape(env.num_envs, -1) for _, values in sorted(task.items())]
    return [sketch(*row, [scenes[k]]) for k, row in enumerate(zip(*columns, strict=True))]


def _even(values: Any) -> NDArray[np.float64]:
    """Signed logarithms (1 + |x|): lest what is far from 1 drown the others."""
    found = np.asarray(values, dtype=np.float64)
    return np.asarray(np.sign(found) * np.log1p(np.abs(found)))


def _shapes(model: mujoco.MjModel) -> Sketch:
    """Sizes and places of geoms; those of meshes by their points, in the frame of the body."""
    parts: list[NDArray[np.float64]] = []
    turns = _matrices(model.geom_quat)
    for geom in range(model.ngeom):
        mesh = int(model.geom_dataid[geom]) if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH else -1
        if mesh < 0:
            parts += [model.geom_size[geom], model.geom_pos[geom], turns[geom]]
            continue
        first, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        points = model.mesh_vert[first : first + count].astype(np.float64)
        parts.append(points @ turns[geom].T + model.geom_pos[geom])
    return sketch(*parts)


def _matrices(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotations (n, 3, 3) of quaternions (n, 4)."""
    found = np.zeros((len(quaternions), 9))
    for row, quaternion in zip(found, quaternions, strict=True):
        mujoco.mju_quat2Mat(row, quaternion)
    return found.reshape(-1, 3, 3)
