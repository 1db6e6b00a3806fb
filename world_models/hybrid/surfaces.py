"""What a renderer is told of a scene: flat faces with their looks, what carries them, lights and cameras.

Plain arrays in the frames of carriers; carrier 0 is the world, then come the links that joints move, then free bodies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .kinematics import Kinematics, Tree, matmul, turn

Array = NDArray[np.float32]
Ints = NDArray[np.int64]

SKY = 6
"""The first textures of a scene: the sky in directions +x, -x, +y, -y, +z and -z of the world."""


@dataclass(frozen=True)
class Faces:
    """F flat convex faces of three or four corners.

    Attributes:
        vertex: (V, 3) [m], carrier: (V,): corners and what they belong to; all corners of a face have one carrier.
        corner: (F, 4) indices of vertices, counter-clockwise as seen from outside; a triangle's last one comes twice.
        normal: (F, 4, 3) unit normals of the smooth surface at the corners.
        map: (F, 4, 2) where the corners are on its texture, in shares of the whole; textures repeat.
        texture: (F,) index of texture. label: (F,) what segmentation pictures show.
        gloss: (F, 2) how strongly it shines, and how sharply, from 0 to 1.
    """

    vertex: Array
    carrier: Ints
    corner: Ints
    normal: Array
    map: Array
    texture: Ints
    label: Ints
    gloss: Array

    @cached_property
    def owner(self) -> Ints:
        """(F,) carriers of the faces."""
        return np.asarray(self.carrier[self.corner[:, 0]])

    @cached_property
    def weight(self) -> Array:
        """(F, 4, 4) how much the corners count at a place on the face: row k times (place, 1) is corner k's weight."""
        place = self.vertex[self.corner].astype(np.float64)
        middle = place.mean(1)
        slope = np.linalg.pinv(place - middle[:, None], rcond=1e-4).swapaxes(1, 2)
        slope = slope - slope.mean(1, keepdims=True)
        rest = 0.25 - (slope * middle[:, None]).sum(2)
        return np.concatenate([slope, rest[:, :, None]], 2).astype(np.float32)


@dataclass(frozen=True)
class Textures:
    """Colours of surfaces: of one colour, or pictures.

    Attributes:
        texel: (T, 3) in [0, 1], row by row, all textures one after the other. start, width, height: (N,) of each.
    """

    texel: Array
    start: Ints
    width: Ints
    height: Ints


@dataclass(frozen=True)
class Lights:
    """Light in a scene: from everywhere, and S lights from far away.

    Attributes:
        ambient: float32 (3,). direction: (S, 3) where light comes from, the first in the camera's frame, others in
            the world's. colour: (S, 3). gloss: (S, 3) of its reflections.
    """

    ambient: Tensor
    direction: Tensor
    colour: Tensor
    gloss: Tensor


@dataclass(frozen=True)
class Camera:
    """A camera looks along its -z, y is up.

    Attributes:
        carrier: what it is fixed to. position: (3,), rotation: (3, 3) there. slope: tangent of half its vertical field
            of view. near, far: nothing nearer or farther [m] is seen.
    """

    carrier: int
    position: Array
    rotation: Array
    slope: float
    near: float
    far: float


@dataclass(frozen=True)
class Skeleton:
    """What carries surfaces, from positions (nq,) of everything.

    Attributes:
        tree: L links that joints move; those without a parent are placed in the frame of their root.
        root: (L,) -1 for the world, else the number of a free body. joint: (L,) addresses of joints in `qpos`.
        free: (K,) addresses of the free bodies' poses: 3 of places, 4 of quaternions (w, x, y, z).
    """

    tree: Tree
    root: Ints
    joint: Ints
    free: Ints


@dataclass(frozen=True)
class Appearance:
    """All that a renderer is told of a scene."""

    skeleton: Skeleton
    faces: Faces
    textures: Textures
    lights: Lights
    cameras: dict[str, Camera]


class Bones(nn.Module):
    """Poses of a `Skeleton`'s carriers: (n, nq) to places (n, C, 3) and frames (n, C, 3, 3) in the world."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self._links = Kinematics(skeleton.tree) if len(skeleton.joint) else None
        self._joint = torch.from_numpy(skeleton.joint)
        self._pose = torch.from_numpy(skeleton.free[:, None] + np.arange(7))
        # Carriers in the order free bodies, world: -1 is then the world.
        self._root = torch.from_numpy(skeleton.root % (len(skeleton.free) + 1))
        self._hanging = bool((skeleton.root >= 0).any())

    def forward(self, qpos: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        n = len(qpos)
        still, upright = qpos.new_zeros(n, 1, 3), torch.eye(3, dtype=qpos.dtype).expand(n, 1, 3, 3)
        pose = qpos[:, self._pose]
        place, frame = pose[..., :3], from_quaternion(pose[..., 3:])
        if self._links is None:
            return torch.cat([still, place], 1), torch.cat([upright, frame], 1)
        at, turned = self._links(qpos[:, self._joint])
        if self._hanging:
            stem = torch.cat([frame, upright], 1)[:, self._root]
            at = torch.cat([place, still], 1)[:, self._root] + turn(stem, at)
            turned = matmul(stem, turned)
        return torch.cat([still, at, place], 1), torch.cat([upright, turned, frame], 1)


def from_quaternion(quaternion: Tensor) -> Tensor:
    """Rotations (..., 3, 3) of quaternions (..., 4), (w, x, y, z), of any length but 0."""
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True).clamp_min(1e-12)).unbind(-1)
    flat = [
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    ]
    return torch.stack(flat, -1).reshape(*quaternion.shape[:-1], 3, 3)
