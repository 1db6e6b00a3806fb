"""What the hybrid simulator learns from: frames of many episodes, one after another in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ..resuming import save_numbers
from .geometry import Rows, State

SLOW, CREEP = 2e-3, 2e-2
"""Slower than this [m/s], [rad/s] counts as standing still."""
_AWAY = (9.0, 9.0, -9.0)  # where bodies are that a scene has not got


@dataclass(frozen=True)
class Experience(Rows):
    """N frames; a frame is a state and what the servos were told then, for one control period.

    All as in `State`, but poses are (N, K, 7): position and unit quaternion (w, x, y, z) of each free body.

    Attributes:
        targets: (N, U). left: (N,) int64, frames of the same episode that follow: 0 in its last, whose targets mean
            nothing.
    """

    scene: Tensor
    joints: Tensor
    speeds: Tensor
    filtered: Tensor
    poses: Tensor
    velocity: Tensor
    part: Tensor
    part_speed: Tensor
    force: Tensor
    targets: Tensor
    left: Tensor

    def __len__(self) -> int:
        return len(self.left)

    @property
    def age(self) -> Tensor:
        """(N,) frames of the same episode that came before."""
        count = torch.arange(len(self))
        first = torch.cat([count.new_zeros(1), (self.left == 0).nonzero()[:-1, 0] + 1])
        return count - torch.repeat_interleave(first, self.left[first] + 1)

    @property
    def episodes(self) -> Tensor:
        """(E, 2) first frame of each episode, and the first after it."""
        last = (self.left == 0).nonzero()[:, 0] + 1
        return torch.stack([torch.cat([last.new_zeros(1), last[:-1]]), last], 1)

    def parted(self, share: float) -> tuple[Experience, Experience]:
        """The first episodes, and the last `share` of them."""
        episodes = self.episodes
        cut = int(episodes[len(episodes) - max(round(share * len(episodes)), 1), 0])
        return self[:cut], self[cut:]

    def state(self, frame: Tensor) -> State:
        """States (n,) of frames (n,); what is as good as still stands still."""
        before = (frame - 1).clamp_min(0)
        first = (self.left[before] == 0) | (frame == 0)
        pose, velocity, speed = self.poses[frame], self.velocity[frame], self.part_speed[frame]
        return State(
            scene=self.scene[frame],
            joints=self.joints[frame],
            speeds=self.speeds[frame],
            filtered=self.filtered[frame],
            told=torch.where(first[:, None], self.filtered[frame], self.targets[before]),
            position=pose[..., :3],
            rotation=rotation(pose[..., 3:]),
            velocity=velocity * ~standing(velocity)[..., None],
            part=self.part[frame],
            part_speed=speed * (speed.abs() >= SLOW),
            force=self.force[frame],
        )

    def lively(self, span: int) -> Tensor:
        """Frames within `span` of which something moves that is not the robot."""
        moves = ~standing(self.velocity).all(-1)
        if self.part.shape[1]:
            moves |= (self.part_speed.abs() >= CREEP).any(-1)
        wide = torch.nn.functional.max_pool1d(moves.float()[None], 2 * span + 1, 1, span)[0]
        return ((wide > 0) & (self.left > 0)).nonzero()[:, 0]

    @classmethod
    def joined(cls, several: Sequence[Experience], firsts: Sequence[int]) -> Experience:
        """Frames of several sets, whose scenes are numbered on from `firsts`.

        Where one has fewer things than another, it is filled up.
        """
        bodies, parts = max(each.poses.shape[1] for each in several), max(each.part.shape[1] for each in several)
        filled = [each._filled(first, bodies, parts) for each, first in zip(several, firsts, strict=True)]
        return cls(**{item.name: torch.cat([getattr(each, item.name) for each in filled]) for item in fields(cls)})

    def _filled(self, first: int, bodies: int, parts: int) -> Experience:
        count, more, less = len(self), bodies - self.poses.shape[1], parts - self.part.shape[1]
        nowhere = torch.tensor([*_AWAY, 1.0, 0.0, 0.0, 0.0]).expand(count, more, 7)
        none = torch.zeros(count, less)
        held = {item.name: getattr(self, item.name) for item in fields(self)}
        return Experience(
            **held
            | {
                "scene": self.scene + first,
                "poses": torch.cat([self.poses, nowhere], 1),
                "velocity": torch.cat([self.velocity, torch.zeros(count, more, 6)], 1),
                "part": torch.cat([self.part, none], 1),
                "part_speed": torch.cat([self.part_speed, none], 1),
            }
        )

    def save(self, path: Path) -> None:
        """Writes a safetensors file, whole or not at all."""
        save_numbers(path, {item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Experience:
        """Reads what `save` wrote."""
        return cls(**load_file(path))


def standing(velocity: Tensor) -> Tensor:
    """(...) whether velocities (..., 6) are as good as none."""
    return (velocity[..., :3].abs() < SLOW).all(-1) & (velocity[..., 3:].abs() < CREEP).all(-1)


def rotation(quaternion: Tensor) -> Tensor:
    """Matrices (..., 3, 3) of unit quaternions (..., 4), (w, x, y, z)."""
    w, x, y, z = quaternion.unbind(-1)
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)
