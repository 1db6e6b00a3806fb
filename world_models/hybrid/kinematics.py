"""Where a robot's links are, for many robots at once: a tree of hinges and slides, in torch, differentiable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tree:
    """L links, each moved by one joint against its parent; all in the frame of the robot's base.

    Attributes:
        parent: (L,) index of the link it hangs on, -1 for the base; parents come first.
        slides: (L,) whether the joint slides; otherwise it turns.
        position: (L, 3), rotation: (L, 3, 3): frame of the link in its parent's where the joint stands at `zero`: the
            origin is on the joint's axis.
        axis: (L, 3) of the joint, in the link's frame. zero: (L,) joint positions [rad], of slides [m].
    """

    parent: NDArray[np.int64]
    slides: NDArray[np.bool_]
    position: Array
    rotation: Array
    axis: Array
    zero: Array


class Kinematics(nn.Module):
    """Poses of all links of a `Tree`.

    With a constant axis a, the turn by an angle q is I + sin q K + (1 - cos q) K K, K the cross product with a
    (Rodrigues), so that every link's local matrix is a sum of three constant ones.
    """

    constant: Tensor
    sine: Tensor
    cosine: Tensor
    offset: Tensor
    slide: Tensor
    zero: Tensor

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        count = len(tree.parent)
        cross = np.zeros((count, 3, 3))
        x, y, z = tree.axis.T
        cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
        cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
        turning = ~tree.slides[:, None, None]
        square = cross @ cross
        for name, values in {
            "constant": tree.rotation @ (np.eye(3) + turning * square),
            "sine": tree.rotation @ (turning * cross),
            "cosine": tree.rotation @ (turning * -square),
            "offset": tree.position,
            "slide": tree.slides[:, None] * (tree.rotation @ tree.axis[:, :, None])[:, :, 0],
            "zero": tree.zero,
        }.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32), persistent=False)
        self._levels = _levels(tree.parent)
        self._parent = tree.parent.tolist()

    def forward(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        """Origins (n, L, 3) [m] and frames (n, L, 3, 3) of the links at joint positions (n, L)."""
        angle = joints - self.zero
        local = self.constant + torch.sin(angle)[..., None, None] * self.sine
        local = local + torch.cos(angle)[..., None, None] * self.cosine
        moved = self.offset + angle[..., None] * self.slide
        position: list[Tensor] = [moved[:, 0]] * len(self._parent)
        rotation: list[Tensor] = [local[:, 0]] * len(self._parent)
        for level, above in self._levels:
            if above is None:
                where, turned = moved[:, level], local[:, level]
            else:
                stem, base = torch.stack([rotation[k] for k in above], 1), torch.stack([position[k] for k in above], 1)
                where, turned = base + turn(stem, moved[:, level]), matmul(stem, local[:, level])
            for column, link in enumerate(level):
                position[link], rotation[link] = where[:, column], turned[:, column]
        return torch.stack(position, 1), torch.stack(rotation, 1)


def _levels(parent: NDArray[np.int64]) -> list[tuple[list[int], list[int] | None]]:
    """Links that can be placed together, level by level, and what they hang on."""
    depth: list[int] = []
    for above in parent:
        depth.append(0 if above < 0 else depth[above] + 1)
    found: list[tuple[list[int], list[int] | None]] = []
    for level in range(max(depth) + 1):
        links = [k for k, d in enumerate(depth) if d == level]
        found.append((links, [int(parent[k]) for k in links] if level else None))
    return found


# Sums of three terms are written out: sums along axes this short take three to four times as long. The result for a row
# does not depend on the number of rows; that of `torch.matmul` neither, which has a plain loop for matrices this small.


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products (...) of vectors (..., 3)."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def turn(matrix: Tensor, vector: Tensor) -> Tensor:
    """Vectors (..., 3) turned by matrices (..., 3, 3)."""
    x, y, z = vector[..., 0:1], vector[..., 1:2], vector[..., 2:3]
    return matrix[..., 0] * x + matrix[..., 1] * y + matrix[..., 2] * z


def turn_back(matrix: Tensor, vector: Tensor) -> Tensor:
    """Vectors (..., 3) turned by the inverse of rotations (..., 3, 3)."""
    x, y, z = vector[..., 0:1], vector[..., 1:2], vector[..., 2:3]
    return matrix[..., 0, :] * x + matrix[..., 1, :] * y + matrix[..., 2, :] * z


def matmul(a: Tensor, b: Tensor) -> Tensor:
    """Products (..., 3, 3) of small matrices."""
    return torch.matmul(a, b)


def matmul_back(a: Tensor, b: Tensor) -> Tensor:
    """Products (..., 3, 3) of the inverse of rotations with matrices: `b` seen from `a`."""
    return torch.matmul(a.transpose(-1, -2), b)


def from_vector(vector: Tensor) -> Tensor:
    """Matrices (..., 3, 3) of rotation vectors (..., 3) [rad]: Rodrigues' formula."""
    square = dot(vector, vector).clamp_min(1e-16)
    angle = square.sqrt()
    a, b = torch.sin(angle) / angle, (1 - torch.cos(angle)) / square
    x, y, z = vector.unbind(-1)
    xy, xz, yz = b * x * y, b * x * z, b * y * z
    ax, ay, az = a * x, a * y, a * z
    xx, yy, zz = b * x * x, b * y * y, b * z * z
    flat = [1 - yy - zz, xy - az, xz + ay, xy + az, 1 - xx - zz, yz - ax, xz - ay, yz + ax, 1 - xx - yy]
    return torch.stack(flat, -1).reshape(*vector.shape[:-1], 3, 3)


def to_vector(matrix: Tensor) -> Tensor:
    """Rotation vectors (..., 3) [rad] of matrices (..., 3, 3); meant for angles clearly below pi."""
    skew = torch.stack(
        [
            matrix[..., 2, 1] - matrix[..., 1, 2],
            matrix[..., 0, 2] - matrix[..., 2, 0],
            matrix[..., 1, 0] - matrix[..., 0, 1],
        ],
        -1,
    )
    sine = dot(skew, skew).clamp_min(1e-16).sqrt() / 2
    cosine = (matrix[..., 0, 0] + matrix[..., 1, 1] + matrix[..., 2, 2] - 1) / 2
    return skew * (torch.atan2(sine, cosine) / (2 * sine))[..., None]


def orthonormal(matrix: Tensor) -> Tensor:
    """The matrices (..., 3, 3) with their first two columns made orthonormal and the third their product."""
    x, y = matrix[..., :, 0], matrix[..., :, 1]
    x = x / (x * x).sum(-1, keepdim=True).sqrt()
    y = y - x * (x * y).sum(-1, keepdim=True)
    y = y / (y * y).sum(-1, keepdim=True).sqrt()
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)
