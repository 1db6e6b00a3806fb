"""A toy that is known exactly: a square on a small picture, whose velocity is the action."""

from __future__ import annotations

from pathlib import Path

import torch
from pocketworlds.world_models.frames.episodes import FrameData, save_frames
from pocketworlds.world_models.frames.settings import FrameSettings
from torch import Tensor

SIDE = 16
SQUARES = FrameSettings(
    robot="toy",
    control_mode="velocity",
    action_size=2,
    state={"place": 2},
    scene_size=1,
    image_size=(SIDE, SIDE),
    camera="top",
    context=2,
)


def squares(count: int, frames: int, seed: int = 0) -> dict[str, Tensor]:
    """Episodes: the square moves by twice the action [pixels], and stops at the edge."""
    draws = torch.Generator().manual_seed(seed)
    action = torch.rand(count, frames, 2, generator=draws) * 2 - 1
    place = torch.zeros(count, frames, 2)
    place[:, 0] = torch.rand(count, 2, generator=draws) * 8 + 4
    for t in range(1, frames):
        place[:, t] = (place[:, t - 1] + 2 * action[:, t - 1]).clamp(2.5, SIDE - 2.5)
    action[:, -1] = 0
    motion = torch.zeros(count, frames)
    motion[:, :-1] = place.diff(dim=1).norm(dim=-1)
    return {
        "image": drawn(place),
        "state": place / SIDE,
        "action": action,
        "scene": torch.ones(count, 1),
        "motion": motion,
    }


def drawn(place: Tensor) -> Tensor:
    """Pictures, uint8 (..., SIDE, SIDE, 3), of squares at places (..., 2)."""
    middle = torch.arange(SIDE) + 0.5
    covered = (2.5 - (middle - place[..., None]).abs()).clamp(0, 1)
    shape = covered[..., 1, :, None] * covered[..., 0, None, :]
    colours = torch.stack([shape * 200 + 20, shape * 120 + 40, 90 - shape * 60], -1)
    return colours.round().to(torch.uint8)


def recorded(folder: Path, count: int = 12, frames: int = 10, seed: int = 0) -> FrameData:
    """The same as a recording of two shards."""
    folder.mkdir(parents=True, exist_ok=True)
    episodes = squares(count, frames, seed)
    shards = [folder / "a.safetensors", folder / "b.safetensors"]
    for k, shard in enumerate(shards):
        save_frames(shard, SQUARES, {name: values[k::2] for name, values in episodes.items()})
    return FrameData(shards)
