"""Probes: small networks that say states from what another people's model makes, and how sure they are.

A probe is learned from physics (`probe_training`), while the model stays as it is. It reads either the last pictures
or the last latents, and what the scene is like. Several heads guess; how far they are apart is told beside the state
(`neural/spread` in infos). It is no bound on the error, and nothing calibrates it. A probe of latents draws pictures
too, so that there is something to see.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ...errors import CheckpointError
from ..checkpoint import Card, load_network, save_network
from ..frames.layers import Linear, filled_up
from ..frames.settings import FrameSettings, Scales, Size, Strict
from ..hybrid.networks import Ensemble

KIND = "probe"
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_ROWS = 8  # least side of a picture as a decoder begins it


class PixelSettings(Strict):
    """How a model of latents takes pictures and actions.

    Attributes:
        size: side [pixels]. mean, spread: of channels in [0, 1]; ImageNet's by default. action_mean, action_spread:
            of actions as it was trained, one number or one for each.
    """

    size: Size = 224
    mean: tuple[Finite, Finite, Finite] = (0.485, 0.456, 0.406)
    spread: tuple[Positive, Positive, Positive] = (0.229, 0.224, 0.225)
    action_mean: tuple[Finite, ...] = (0.0,)
    action_spread: tuple[Positive, ...] = (1.0,)

    def pictures(self, image: Tensor) -> Tensor:
        """Pictures uint8 (..., height, width, 3) as the model takes them: float32 (..., 3, size, size)."""
        flat = image.reshape(-1, *image.shape[-3:]).movedim(-1, 1).float() / 255
        sides = (self.size, self.size)
        if tuple(flat.shape[2:]) != sides:
            flat = nn.functional.interpolate(flat, sides, mode="bilinear", antialias=True, align_corners=False)
        mean, spread = (flat.new_tensor(each)[:, None, None] for each in (self.mean, self.spread))
        return ((flat - mean) / spread).reshape(*image.shape[:-3], 3, *sides)

    def actions(self, action: Tensor) -> Tensor:
        """Actions (..., A) as the model takes them."""
        return (action - action.new_tensor(self.action_mean)) / action.new_tensor(self.action_spread)

    def check(self, action_size: int) -> None:
        """That actions of so many numbers can be brought to the model's.

        Raises:
            CheckpointError: there are more or fewer means or spreads than numbers of an action.
        """
        for name, told in (("action_mean", self.action_mean), ("action_spread", self.action_spread)):
            if len(told) not in {1, action_size}:
                raise CheckpointError(
                    f"{name} has {len(told)} numbers, and actions have {action_size}; give one, or one for each, as "
                    "the model of latents was trained"
                )


class ProbeSettings(Strict):
    """What a probe reads and how large it is.

    Attributes:
        frames: the environment that it is for, as recorded. source: what it reads, "picture" or "latent". size: side
            that pictures are brought to [pixels], or length of a latent. history: how many of them it looks back on.
        width, members: of its heads, and how many. channels: of its picture networks. pixels: of models of latents.
        made_for: SHA-256 of the model's weights, "": of any model.
    """

    frames: FrameSettings
    source: Literal["picture", "latent"]
    size: Size = 64
    history: Annotated[int, Field(ge=1, le=8)] = 2
    width: Size = 256
    members: Annotated[int, Field(ge=1, le=16)] = 4
    channels: Size = 32
    pixels: PixelSettings = PixelSettings()
    made_for: str = ""


class Probe(nn.Module):
    """See the module.

    Attributes:
        settings: its sizes. scales: of states and scenes.
    """

    def __init__(self, settings: ProbeSettings, seed: int = 0) -> None:
        """Makes it, with random numbers.

        Raises:
            CheckpointError: see `PixelSettings.check`.
        """
        super().__init__()
        settings.pixels.check(settings.frames.action_size)
        self.settings = settings
        frames, generator = settings.frames, torch.Generator().manual_seed(seed)
        self.scales = Scales(frames.state_size, frames.scene_size)
        inputs = settings.size
        self.reader: nn.Module = nn.Identity()
        self.drawer: _Drawer | None = None
        if settings.source == "picture":
            self.reader = _Reader(settings.channels)
            inputs = _Reader.outputs(settings.channels)
        else:
            self.drawer = _Drawer(settings.size, settings.channels, frames.image_size)
        inputs = inputs * settings.history + frames.scene_size
        self.heads = Ensemble(settings.members, [inputs, settings.width, settings.width, frames.state_size], generator)

    def features(self, seen: Tensor) -> Tensor:
        """What it reads: pictures uint8 (n, height, width, 3), or latents (n, size), as features (n, F)."""
        if self.settings.source == "latent":
            return seen
        side = self.settings.size
        signal = seen.movedim(-1, 1).float() / 127.5 - 1
        if tuple(signal.shape[2:]) != (side, side):
            signal = nn.functional.interpolate(
                signal, (side, side), mode="bilinear", antialias=True, align_corners=False
            )
        found: Tensor = self.reader(signal)
        return found

    def guesses(self, features: Tensor, scene: Tensor) -> Tensor:
        """What each head says (M, n, S), of even scale, for histories of features (n, L, F) and scenes (n, D)."""
        found: Tensor = self.heads(torch.cat([features.flatten(1), self.scales.scene(scene)], 1))
        return found

    def tell(self, features: Tensor, scene: Tensor) -> tuple[Tensor, Tensor]:
        """States (n, S) and how far the heads are apart (n,), in standard deviations of the data."""
        guesses = self.guesses(features, scene)
        state = self.scales.state_mean + guesses.mean(0) * self.scales.state_scale
        return state, guesses.std(0, correction=0).square().mean(1).sqrt()

    def draw(self, latent: Tensor) -> Tensor:
        """Pictures (n, 3, height, width) in about [-1, 1] of latents (n, size)."""
        assert self.drawer is not None, "a probe of pictures draws none"
        found: Tensor = self.drawer(latent)
        return found


class _Reader(nn.Module):
    """Where features are in a picture, and how strong: convolutions and a soft argmax over places.

    As in Finn et al., "Deep spatial autoencoders for visuomotor learning" (arXiv:1509.06113).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, channels, 5, 2, 2),
            nn.GELU(),
            nn.Conv2d(channels, 2 * channels, 3, 1, 1),
            nn.GELU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, 2, 1),
            nn.GELU(),
            nn.Conv2d(2 * channels, 2 * channels, 3, 1, 1),
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @staticmethod
    def outputs(channels: int) -> int:
        """Numbers of its features: two places and a strength of each channel."""
        return 6 * channels

    def forward(self, signal: Tensor) -> Tensor:
        found = _run(self.layers, signal)
        height, width = found.shape[2:]
        share = found.flatten(2).softmax(2).reshape(found.shape)
        y, x = (torch.linspace(-1, 1, side, device=found.device) for side in (height, width))
        places = [(share.sum(3) * y).sum(2), (share.sum(2) * x).sum(2), found.mean((2, 3))]
        return torch.cat(places, 1)


class _Drawer(nn.Module):
    """Pictures of latents: a small grid, doubled until it is large enough."""

    def __init__(self, size: int, channels: int, image_size: tuple[int, int]) -> None:
        super().__init__()
        self._size = image_size
        doublings = max((min(image_size) // _ROWS).bit_length() - 1, 0)
        self._grid = tuple(-(-side // 2**doublings) for side in image_size)
        wide = channels * 4
        self._wide = wide
        self.first = Linear(size, wide * self._grid[0] * self._grid[1])
        layers: list[nn.Module] = []
        for k in range(doublings):
            after = max(wide >> (k + 1), 16)
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(max(wide >> k, 16) if k else wide, after, 3, 1, 1),
                nn.GELU(),
            ]
        last = max(wide >> doublings, 16) if doublings else wide
        self.layers = nn.Sequential(*layers, nn.Conv2d(last, 3, 3, 1, 1))
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, latent: Tensor) -> Tensor:
        rows = len(latent)
        grid = self.first(latent).reshape(rows, self._wide, *self._grid)
        found = _run(self.layers, grid)
        return found[:, :, : self._size[0], : self._size[1]]


def _run(network: nn.Module, x: Tensor) -> Tensor:
    """The network's answer, the same for a picture whatever stands beside it."""
    found: Tensor = network(filled_up(x).contiguous(memory_format=torch.channels_last))
    return found[: len(x)].contiguous()


def save_probe(path: Path, probe: Probe, **told: Any) -> Card:
    """Writes a probe; see `save_network`."""
    return save_network(path, KIND, probe.settings.frames.robot, probe, probe.settings, **told)


def load_probe(path: str | Path) -> tuple[Probe, Card]:
    """A probe and its card.

    Raises:
        CheckpointError: see `load_network`.
    """
    return load_network(path, KIND, ProbeSettings, Probe)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
