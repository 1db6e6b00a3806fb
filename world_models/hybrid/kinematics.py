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
    (Rodrigues), so that every link's local matrix is a sum of three constant ones. Robots come last in memory: numbers
    that are reckoned alike lie side by side, as processors like it.
    """

    constant: Tensor
    sine: Tensor
    cosine: Tensor
    slide: Tensor
    zero: Tensor
    order: Tensor
    place: Tensor

    def __init__(self, tree: Tree) -> None:
        super().__init__()
        count = len(tree.parent)
        cross = np.zeros((count, 3, 3))
        x, y, z = tree.axis.T
        cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
        cross[:, 1, 0], cross[:, 2, 0], cross[:, 2, 1] = z, -y, x
        turning = ~tree.slides[:, None, None]
        square = cross @ cross
        order = [link for level in _levels(tree.parent) for link in level]
        offset = tree.position[:, :, None]
        none = np.zeros_like(offset)
        for name, values in {
            "constant": np.concatenate([tree.rotation @ (np.eye(3) + turning * square), offset], 2),
            "sine": np.concatenate([tree.rotation @ (turning * cross), none], 2),
            "cosine": np.concatenate([tree.rotation @ (turning * -square), none], 2),
            "slide": tree.slides[:, None] * (tree.rotation @ tree.axis[:, :, None])[:, :, 0],
            "zero": tree.zero,
        }.items():
            held = torch.as_tensor(values[order], dtype=torch.float32)
            self.register_buffer(name, held.movedim(0, -1)[..., None].contiguous(), persistent=False)
        self.register_buffer("order", torch.tensor(order), persistent=False)
        self.register_buffer("place", torch.tensor(order).argsort(), persistent=False)
        self._ordered = order == sorted(order)
        self._spans: list[slice] = []
        self._stems: list[list[int] | None] = []  # what they hang on in the level before, None: one on each
        start, before = 0, list[int]()
        for level in _levels(tree.parent):
            stems = [before.index(int(tree.parent[link])) for link in level] if start else []
            self._spans.append(slice(start, start + len(level)))
            one = stems[:1] if len(set(stems)) == 1 else stems
            self._stems.append(None if one == list(range(len(before))) else one)
            start, before = start + len(level), level

    def forward(self, joints: Tensor) -> tuple[Tensor, Tensor]:
        """Origins (n, L, 3) [m] and frames (n, L, 3, 3) of the links at joint positions (n, L)."""
        pose = self.poses(joints).permute(3, 2, 0, 1)
        return pose[..., 3], pose[..., :3]

    def poses(self, joints: Tensor) -> Tensor:
        """The same, with the n robots last: (3, 4, L, n), frames and then origins."""
        angle = (joints.T if self._ordered else joints.T[self.order]) - self.zero
        local = self.constant + torch.sin(angle) * self.sine + torch.cos(angle) * self.cosine
        local[:, 3] += angle * self.slide
        found = [local[:, :, self._spans[0]]]
        for span, stems in zip(self._spans[1:], self._stems[1:], strict=True):
            stem = found[-1] if stems is None else found[-1][:, :, stems]
            x, y, z, base = stem[:, :, None].unbind(1)
            a, b, c = local[:, :, span]
            pose = x * a + y * b + z * c
            pose[:, 3] += base[:, 0]
            found.append(pose)
        pose = torch.cat(found, 2)
        return pose if self._ordered else pose.index_select(2, self.place)


def _levels(parent: NDArray[np.int64]) -> list[list[int]]:
    """Links that can be placed together, level by level: each hangs on one of the level before."""
    depth: list[int] = []
    for above in parent:
        depth.append(0 if above < 0 else depth[above] + 1)
    return [[k for k, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]


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
