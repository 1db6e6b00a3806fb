"""Actions of `ee_delta` as motions of a gripper, and as other people's models want them.

An action is (dx, dy, dz, drx, dry, drz, gripper), each in [-1, 1], in the axes of the robot's base: the gripper's
target moves by `POSITION_STEP` and turns by a rotation vector of `ROTATION_STEP` times it; -1 closes, +1 opens.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import CheckpointError
from ..simulator import Context

POSITION_STEP, ROTATION_STEP = 0.025, 0.15
"""A full action [m], [rad] a control period; as in `envs.control`."""
SCALES: Mapping[str, tuple[float, ...]] = {
    "ee_delta": (POSITION_STEP,) * 3 + (ROTATION_STEP,) * 3 + (1.0,),
    "ee_delta_pos": (POSITION_STEP,) * 3 + (1.0,),
}
"""By control mode, what a full action is [m], [rad]; the gripper's is a place, not a motion."""

_FRAME, _BASE = "grip_mat", 6


def rotation(vector: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) [rad]: their exponential (Rodrigues)."""
    zero = torch.zeros_like(vector[..., 0])
    x, y, z = vector.unbind(-1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)
    angle = vector.square().sum(-1).sqrt()[..., None, None]
    first = torch.sinc(angle / torch.pi)
    second = 0.5 * torch.sinc(angle / (2 * torch.pi)).square()
    return torch.eye(3, dtype=vector.dtype) + first * cross + second * (cross @ cross)


def poses10(action: Tensor, frame: Tensor, *, closed_is_one: bool) -> tuple[Tensor, Tensor]:
    """Actions as steps of a pose, one a frame, each in the gripper's axes before it ("backward framewise").

    As Cosmos 3's bridge, DROID, Fractal and UMI domains have them: inverse(T_i) T_(i+1), of which the translation [m]
    and the first two columns of the rotation (Zhou et al., arXiv:1812.07035), then the gripper.

    Args:
        action: (m, T, 7) in [-1, 1], see the module. frame: (m, 3, 3) of the gripper in the base's axes at the start.
        closed_is_one: the gripper's number is 1 where it is closed and 0 where it is open, else the other way round.

    Returns:
        Steps (m, T, 10), and the gripper's frames (m, T + 1, 3, 3) that the actions ask for, from the given one on.
    """
    turns = rotation(ROTATION_STEP * action[..., 3:6].to(frame.dtype))
    frames = [frame]
    for turn in turns.unbind(1):
        frames.append(turn @ frames[-1])
    frames_ = torch.stack(frames, 1)
    back = frames_[:, :-1].mT
    moved = (back @ (POSITION_STEP * action[..., :3].to(frame.dtype))[..., None])[..., 0]
    turned = back @ frames_[:, 1:]
    opened = (action[..., 6:7].to(frame.dtype) + 1) / 2
    columns = turned[..., :2].mT.flatten(-2)
    return torch.cat([moved, columns, 1 - opened if closed_is_one else opened], -1), frames_


def gripper_frame(context: Context, layout: Mapping[str, int]) -> Tensor:
    """The gripper's frame (m, 3, 3) float64 in the base's axes at the end of a context.

    State vectors hold the first two columns of `grip_mat` in the world's axes, scene vectors end with the first two of
    the base's; see `envs.backends.frame_vectors`.

    Raises:
        CheckpointError: `layout`, names and sizes of a state vector's parts, has no gripper, or the scene is missing.
    """
    if _FRAME not in layout or context.scene.shape[1] < _BASE:
        raise CheckpointError(
            "the model moves in its gripper's axes, and neither state nor scene say where they point: open it with a "
            "probe (#probe=FILE) that was trained for this robot and scene"
        )
    start = sum(layout[name] for name in list(layout)[: list(layout).index(_FRAME)])
    grip = _frame(context.state[:, -1, start : start + 6])
    return _frame(context.scene[:, -_BASE:]).mT @ grip


def _frame(columns: Tensor) -> Tensor:
    """Frames (m, 3, 3), columns orthonormal, from their first two columns, one after the other (m, 6)."""
    first, second = columns.double().reshape(-1, 2, 3).unbind(1)
    x = torch.nn.functional.normalize(first, dim=-1)
    y = torch.nn.functional.normalize(second - (x * second).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)
