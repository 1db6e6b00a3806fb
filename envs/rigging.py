"""How a world's servos follow what they are told, and what a cousin's rig changes of them, of its camera and robot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..digital_cousins.rig import Rig
from .robots.mount import Mount


def prepare_servos(spec: mujoco.MjSpec, time_constant: float, latency: float) -> None:
    """Gives all actuators of a spec, position servos without a state, a filter and room for commands that wait.

    Servos follow their targets, which jump once a control period, through a low-pass filter, as those of real robots.

    Args:
        spec: the world's, in place. time_constant: of the filter [s].
        latency: the longest of all worlds of its batch [s].
    """
    for actuator in spec.actuators:
        actuator.dyntype = mujoco.mjtDyn.mjDYN_FILTEREXACT
        actuator.dynprm[0] = time_constant
        if latency > 0:
            actuator.nsample = math.ceil(latency / spec.option.timestep) + 1


def moved_mounts(mounts: Sequence[Mount], rig: Rig) -> list[Mount]:
    """Places for the base, each shifted along its own axes and turned."""
    found = []
    for mount in mounts:
        x, y = mount.matrix[:2, :2] @ np.array(rig.mount_shift)
        position = (mount.position[0] + float(x), mount.position[1] + float(y), mount.position[2])
        found.append(replace(mount, position=position, yaw=mount.yaw + rig.mount_yaw))
    return found


def move_camera(model: mujoco.MjModel, name: str, rig: Rig) -> None:
    """Shifts, turns and zooms a camera of a model."""
    camera = model.camera(name).id
    frame, turn, new = np.zeros(9), np.zeros(4), np.zeros(4)
    mujoco.mju_quat2Mat(frame, model.cam_quat[camera])
    model.cam_pos[camera] += frame.reshape(3, 3) @ np.array(rig.camera_shift)
    vector = np.array(rig.camera_turn)
    angle = float(np.linalg.norm(vector))
    mujoco.mju_axisAngle2Quat(turn, vector / max(angle, 1e-12), angle)
    mujoco.mju_mulQuat(new, model.cam_quat[camera], turn)
    model.cam_quat[camera] = new
    half = math.radians(model.cam_fovy[camera]) / 2
    model.cam_fovy[camera] = 2 * math.degrees(math.atan(math.tan(half) * rig.camera_zoom))


def tune_servos(model: mujoco.MjModel, servos: NDArray[np.int64], rig: Rig) -> None:
    """Multiplies gains, damping and force limits of position servos (J,), and makes all actuators late."""
    model.actuator_delay[:] = rig.latency
    model.actuator_gainprm[servos, 0] *= rig.stiffness
    model.actuator_biasprm[servos, 1] *= rig.stiffness
    model.actuator_biasprm[servos, 2] *= rig.damping
    model.actuator_forcerange[servos] *= rig.strength
