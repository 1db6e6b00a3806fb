"""Pictures of what a state observation tells, of one that was dreamed for example: the robot and the thing it is about.

A state tells where the robot and its target are, and of the rest of the scene nothing: that stands in the picture as it
stands in the environment when the picture is drawn. Drawn is the state alone, by kinematics: no physics keeps things
from floating or from being inside each other, if that is what the state says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import TaskError
from . import rotations
from .backends.physics import PhysicsSimulator
from .pictures import Pictures
from .simulator import Array, Ids
from .tasks.part_task import PartTask
from .vector import WorldVectorEnv

READ = (
    "joint_pos",
    "gripper_width",
    "object_pos",
    "object_from_palm",
    "palm_pos",
    "palm_axes",
    "object_axes",
    "part_share",
)
"""Parts of a state that can be seen in a picture; speeds and contacts cannot, goals are marked where they are."""


class StatePictures:
    """Draws worlds of an environment as given states say they are.

    Attributes:
        shown: names of the parts of its states that the pictures show.
    """

    def __init__(self, env: WorldVectorEnv) -> None:
        """Draws nothing yet.

        Args:
            env: whose scenes, cameras and renderer are used, and whose target the states are about.

        Raises:
            TaskError: behind it is no physics, which says where everything else is.
        """
        if not isinstance(env.simulator, PhysicsSimulator):
            raise TaskError(
                f"pictures of states are drawn beside physics, not beside backend={env.config.backend!r}; leave it out"
            )
        self._env, self._simulator = env, env.simulator
        self._layout = env.state_layout
        self.shown = tuple(name for name in self._layout if name in READ)
        self._qpos = np.zeros((env.num_envs, env.world.model.nq))
        self._pictures = Pictures(
            env.worlds,
            self._qpos,
            env.simulator.members,
            renderer=env.config.renderer,
            period=env.simulator.control_period,
        )
        self._pictures.mark = env.task.mark()

    def draw(self, ids: Ids, state: NDArray[np.floating], *, width: int, height: int) -> NDArray[np.uint8]:
        """Smooth pictures uint8 (m, height, width, 3) from the environment's camera.

        Args:
            ids: (m,) worlds, sorted. state: (m, S) of them, as the environment observes it. width, height: [pixels].
        """
        self._qpos[ids] = self.qpos(ids, state)
        camera = self._env.config.camera
        return self._pictures.draw(ids, camera, ("rgb",), width=width, height=height, fine=True)["rgb"]

    def qpos(self, ids: Ids, state: NDArray[np.floating]) -> Array:
        """Positions (m, nq) of everything in the order of the scenes' models; see `draw`."""
        env, world, task = self._env, self._env.world, self._env.task
        told = {name: np.asarray(state[:, self._layout[name]], dtype=np.float64) for name in self.shown}
        found = np.array(self._simulator.batch.bind("qpos")[ids])
        found[:, world.joint_qpos] = told["joint_pos"]
        if "gripper_width" in told:
            widths = told["gripper_width"][:, 0]
            found[:, world.gripper.finger_qpos] = [world.arm.finger_positions(float(width)) for width in widths]
        if "object_axes" in told:
            turned = task.look("base_mat")[ids]
            at = told["object_pos"] if "object_pos" in told else _from_palm(told)
            rows, where = np.arange(len(ids))[:, None], world.object_qpos[task.target[ids]]
            found[rows, where[:, :3]] = task.look("base_pos")[ids] + rotations.rotate(turned, at)
            found[rows, where[:, 3:]] = rotations.to_quaternion(turned @ _frame(told["object_axes"]))
        if "part_share" in told:
            assert isinstance(task, PartTask)
            low, high = task.limits()[ids].T
            places = np.stack([each.part_qpos for each in env.worlds])[self._simulator.members[ids]]
            column = np.take_along_axis(places, task.part_index()[ids, None], axis=1)
            share = np.clip(told["part_share"], 0.0, 1.0)
            np.put_along_axis(found, column, low[:, None] + share * (high - low)[:, None], axis=1)
        return found

    def close(self) -> None:
        """Frees graphics contexts."""
        self._pictures.close()


def _from_palm(told: dict[str, Array]) -> Array:
    """Positions (m, 3) of targets, in the frame of the base as the palm's is, that are told from the palm."""
    return told["palm_pos"] + rotations.rotate(_frame(told["palm_axes"]), told["object_from_palm"])


def _frame(axes: Array) -> Array:
    """Frames (m, 3, 3) of their first two columns (m, 6), which need be neither of length one nor square."""
    return rotations.orthonormal(np.stack([axes[:, :3], axes[:, 3:], np.zeros_like(axes[:, :3])], axis=2))
