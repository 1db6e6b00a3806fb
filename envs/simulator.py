"""What every backend offers to tasks: batched reset, step and named sensors.

Tasks, rewards and observations read nothing but `sensors()`, so that they are the same on every backend. NumPy in and
out; row i of every array is world i.

Sensors of every robot (n worlds, J joints that actions move one by one, K free objects, P parts with a handle: doors,
drawers, buttons; all in the world frame, float64):

==================  =============  ==========================================================
joint_pos           (n, J)         joint positions [rad], of slides [m]
joint_vel           (n, J)         joint velocities [rad/s], [m/s]
object_pos          (n, K, 3)      positions of the free objects' frames [m]
object_mat          (n, K, 3, 3)   and these frames
object_vel          (n, K, 6)      linear [m/s, world frame], angular [rad/s, body frame]
part_pos            (n, P)         joint positions of the parts [rad] or [m]
part_vel            (n, P)         and their velocities
handle_pos          (n, P, 3)      where to take each part [m]
handle_mat          (n, P, 3, 3)   a hand's frame there: Z from the hand into the part, X along the bar
==================  =============  ==========================================================

Of an arm:

==================  =============  ==========================================================
gripper_width       (n,)           distance between the pads [m]
pad_force           (n, 2)         sum of normal forces on each pad [N]
grip_pos            (n, 3)         point between the pads [m]
grip_mat            (n, 3, 3)      its frame: Z approaches, Y closes
==================  =============  ==========================================================

Of a hand (tips: thumb, index, middle, ring and little finger):

==================  =============  ==========================================================
joint_target        (n, J)         what the joints' servos were told last [rad], of slides [m]
tip_pos             (n, 5, 3)      centres of the fingertips [m]
tip_force           (n, 5)         sum of normal forces on each tip [N]
palm_pos            (n, 3)         centre of the palm's surface [m]
palm_mat            (n, 3, 3)      its frame: X along the fingers, Y to the thumb, Z out of the back
==================  =============  ==========================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .marks import Mark

Array = NDArray[np.float64]
Ids = NDArray[np.int64]
Sensors = Mapping[str, Array]
Images = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Episodes:
    """Initial states of m worlds, already drawn: a backend only has to assume them.

    Attributes:
        joint_pos: (m, J) joint positions [rad], of slides [m].
        object_pos: (m, K, 3) [m]. object_quat: (m, K, 4).
        part_pos: (m, P) joint positions of the parts [rad] or [m].
        member: (m,) which of the batch's scenes each world has.
    """

    joint_pos: Array
    object_pos: Array
    object_quat: Array
    part_pos: Array
    member: Ids


@dataclass(frozen=True)
class SimulatorState:
    """Everything a backend needs to go on bit for bit: scenes, physics, controller and the last sensors of m worlds."""

    member: Ids
    physics: Array
    controller: dict[str, Array]
    sensors: dict[str, Array]


@dataclass(frozen=True)
class RendererInfo:
    """What draws: the `renderer` keyword, what that draws through ("egl", "osmesa", "warp", ...), and its device."""

    renderer: str
    backend: str
    device: str


@runtime_checkable
class Simulator(Protocol):
    """A batch of worlds. `step` is one control period; `segmentation_names` say what segmentation pictures show."""

    num_envs: int
    control_period: float
    action_size: int
    segmentation_names: tuple[str, ...]

    def reset(self, ids: Ids, episodes: Episodes) -> None:
        """Starts worlds `ids` (m,), sorted, at the states `episodes` of m rows."""

    def step(self, action: Array, ids: Ids | None = None) -> NDArray[np.bool_]:
        """Advances worlds `ids` (all by default) by one control period.

        Args:
            action: (n, action_size) in [-1, 1]; rows of other worlds are not read.
            ids: sorted indices of the worlds to advance.

        Returns:
            (n,) True where the physics diverged: that world kept its previous state and sensors and must be reset.
        """

    def diagnostics(self) -> Mapping[str, NDArray[Any]]:
        """What infos are to tell of the simulation itself, (num_envs,) by name, live; nothing with physics."""

    def audited(self, env_id: str) -> int | None:
        """Control steps for which an audit found it to be like physics in an environment; None: it is physics."""

    def sensors(self) -> Sensors:
        """Named quantities of all worlds (see the module); live arrays, to be read and not written."""

    def meter(self) -> Array | None:
        """(num_envs,) the work of all motors, driving or braking [J], live, counted from each world's last reset, or
        from the first call; slower from then on, with the same results. None: nobody knows it."""

    def get_state(self, ids: Ids | None = None) -> SimulatorState:
        """A copy of the full state of worlds `ids` (all by default)."""

    def set_state(self, state: SimulatorState, ids: Ids | None = None) -> None:
        """Puts a state from `get_state` into worlds `ids`; continuing is then bit-identical."""

    def mark(self, mark: Mark | None) -> None:
        """Pictures show a mark from now on, or none."""

    def images(
        self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool = False
    ) -> Images:
        """Pictures of worlds `ids` (m,) from one camera, fresh arrays by kind.

        `kinds` are of "rgb", uint8 (m, height, width, 3); "depth", float32 (m, height, width, 1), distances along the
        camera's axis [m]; "segmentation", int32 (m, height, width, 1), indices into `segmentation_names`.
        `fine` asks for smooth edges, for films; without it pictures are drawn as fast as possible, for observations.
        """

    def renderer_info(self, *, width: int, height: int) -> RendererInfo:
        """What draws pictures of this size; makes it ready where it did not draw before."""

    def show(self, world: int, camera: str) -> None:
        """Shows a world in a window, at most one picture a control period.

        The first call opens the window, with the view of `camera`; once the user has closed it, nothing happens.
        """

    def close(self) -> None:
        """Frees windows, threads and graphics contexts."""
