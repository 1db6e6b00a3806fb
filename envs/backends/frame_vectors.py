"""Sensors and scenes as plain vectors, for models of frames: a fixed layout, there and back.

A state vector is made of the sensors of `envs.simulator`, in the order of `ORDER`, flattened, float32:

* frames (`*_mat`) are their first two columns, one after the other: 6 numbers each, made orthonormal on the way back;
* forces are log(1 + newtons);
* everything else is as it is, in metres, radians and seconds, in the world's frame;
* sensors that are empty in a scene (no parts, say) are left out.

A scene vector says what a model cannot see move:

* of each free object, in order: half extents of its upright box as scanned (3) [m], logarithm of its mass [kg], sliding
  friction, mean colour (3) in [0, 1]; zeros where a scene has fewer objects than others of its batch;
* of the camera, at the robot's home: position (3) [m], first two columns of its frame (6), vertical field of view
  [rad]; and the position (3) [m] and the first two columns of the frame (6) of the robot's base.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from .. import rotations
from ..simulator import Array, Sensors
from ..world import World

ORDER = (
    "joint_pos",
    "joint_vel",
    "joint_target",
    "gripper_width",
    "pad_force",
    "tip_force",
    "grip_pos",
    "grip_mat",
    "palm_pos",
    "palm_mat",
    "tip_pos",
    "object_pos",
    "object_mat",
    "object_vel",
    "part_pos",
    "part_vel",
    "handle_pos",
    "handle_mat",
)
_FORCES = ("pad_force", "tip_force")
_OBJECT, _CAMERA = 8, 19  # numbers of each object, and of camera and base
_COLOUR = int(mujoco.mjtTextureRole.mjTEXROLE_RGB)


class SensorVectors:
    """Between sensors and state vectors; see the module.

    Attributes:
        layout: names and sizes of the parts, in order. size: their sum.
    """

    def __init__(self, sensors: Sensors) -> None:
        """Reads the layout off sensors of any number of worlds."""
        unknown = sorted(set(sensors) - set(ORDER))
        if unknown:
            raise ValueError(f"sensor {unknown[0]!r} has no place in state vectors; give it one in `ORDER`")
        self._shapes = {name: sensors[name].shape[1:] for name in ORDER if name in sensors}
        sizes = {name: int(np.prod(shape)) for name, shape in self._shapes.items()}
        self.layout = {n: size // 9 * 6 if n.endswith("_mat") else size for n, size in sizes.items() if size}
        self.size = sum(self.layout.values())

    def packed(self, sensors: Mapping[str, Array]) -> NDArray[np.float32]:
        """State vectors (n, S) of sensors of n worlds."""
        parts = []
        for name in self.layout:
            values = sensors[name]
            if name.endswith("_mat"):
                values = values[..., :2].swapaxes(-1, -2)
            elif name in _FORCES:
                values = np.log1p(np.maximum(values, 0.0))
            parts.append(values.reshape(len(values), -1))
        return np.concatenate(parts, axis=1, dtype=np.float32, casting="same_kind")

    def unpacked(self, vector: NDArray[np.float32]) -> dict[str, Array]:
        """Sensors of n worlds from state vectors (n, S); what is not finite, or no frame, gives NaN."""
        found: dict[str, Array] = {}
        start = 0
        for name, shape in self._shapes.items():
            size = self.layout.get(name, 0)
            values = vector[:, start : start + size].astype(np.float64)
            start += size
            if name.endswith("_mat") and size:
                columns = values.reshape(-1, 2, 3)
                frames = np.stack([columns[:, 0], columns[:, 1], columns[:, 1]], axis=2)
                with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                    values = rotations.orthonormal(frames)
            elif name in _FORCES:
                with np.errstate(over="ignore"):
                    values = np.expm1(np.maximum(values, 0.0))
            elif name == "gripper_width":
                values = np.maximum(values, 0.0)
            found[name] = values.reshape(len(vector), *shape)
        return found


def scene_size(world: World) -> int:
    """D, numbers of a scene vector."""
    return _OBJECT * len(world.object_qpos) + _CAMERA


def scene_vector(world: World, camera: str) -> NDArray[np.float32]:
    """What a scene is like (D,), seen by a camera; see the module.

    Raises:
        TaskError: there is no such camera. SceneError: the scene cannot be drawn.
    """
    objects = np.zeros((len(world.object_qpos), _OBJECT))
    for row, name in enumerate(world.objects):
        box, body = world.outlines[name], world.model.body(name).id
        geoms = np.flatnonzero(world.model.geom_bodyid == body)
        objects[row, :3] = *box.half, (box.high - box.low) / 2
        objects[row, 3] = np.log(max(float(world.model.body_mass[body]), 1e-6))
        objects[row, 4] = float(world.model.geom_friction[geoms, 0].mean()) if len(geoms) else 0.0
        objects[row, 5:] = _colour(world.drawn, name)
    data = mujoco.MjData(world.model)
    data.qpos[:] = world.home_qpos
    mujoco.mj_kinematics(world.model, data)
    mujoco.mj_comPos(world.model, data)
    mujoco.mj_camlight(world.model, data)
    number = world.model.camera(world.camera(camera)).id
    eye = data.cam_xmat[number].reshape(3, 3)
    view = [
        data.cam_xpos[number],
        eye[:, 0],
        eye[:, 1],
        [np.radians(world.model.cam_fovy[number])],
        world.base_pos,
        world.base_mat[:, 0],
        world.base_mat[:, 1],
    ]
    return np.concatenate([objects.ravel(), *view]).astype(np.float32)


def _colour(model: mujoco.MjModel, name: str) -> Array:
    """Mean colour (3,) of what is drawn of a body, each geom as much as the others."""
    body = model.body(name).id
    colours = []
    for geom in np.flatnonzero((model.geom_bodyid == body) & (model.geom_group < 3)):
        colour, material = model.geom_rgba[geom, :3].astype(np.float64), int(model.geom_matid[geom])
        if material >= 0:
            colour = model.mat_rgba[material, :3].astype(np.float64)
            texture = int(model.mat_texid[material, _COLOUR])
            if texture >= 0:
                colour = colour * _texture_mean(model, texture)
        colours.append(colour)
    return np.mean(colours, axis=0) if colours else np.zeros(3)


def _texture_mean(model: mujoco.MjModel, texture: int) -> Array:
    channels = int(model.tex_nchannel[texture])
    count = int(model.tex_height[texture]) * int(model.tex_width[texture])
    start = int(model.tex_adr[texture])
    texels = model.tex_data[start : start + count * channels].reshape(count, channels)
    mean = texels[:, :3].mean(axis=0) / 255
    return np.asarray(mean if channels >= 3 else np.repeat(mean[:1], 3))
