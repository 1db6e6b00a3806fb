"""How surfaces throw light back: a small network, what it learns from, and its checkpoint.

The network says how much of a light's colour a surface shows by its own colour, and how much as gloss, from how it is
turned to the light and to the camera (a neural reflectance function, as in A. Sztrajman et al., "Neural BRDF
Representation and Importance Sampling", 2021). It knows nothing of scenes, things, robots, cameras, colours or numbers
of lights, so that one serves them all.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ...errors import CheckpointError
from ..checkpoint import Card, check_tensors, load_checkpoint, save_checkpoint
from ..resuming import save_numbers
from .surfaces import Lights

KIND = "renderer"
ANGLES = 5
"""Numbers that the network is told: cosines between the normal and the direction to the light, to the camera, and
halfway between the two; how strongly and how sharply the surface shines."""
_SHARP = 128.0  # exponent of the sharpest highlight
_ROWS = 1024  # go through the network at once, always as many: results then do not depend on how many there are


class Reflectance(nn.Module):
    """How surfaces throw light back: (n, ANGLES) to (n, 2), the shares shown in their own colour, and as gloss.

    What it says is added to Lambert's law: the first share is the cosine between normal and light, the second 0. Beside
    the angles it is told of Blinn's highlight, a power of a cosine that is too steep for a small network to find.
    """

    def __init__(self, width: int = 16, *, seed: int = 0) -> None:
        super().__init__()
        self.width = width
        generator = torch.Generator().manual_seed(seed)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in itertools.pairwise((ANGLES + 1, width, width, 2)):
            weight = torch.randn(inputs, outputs, generator=generator) * (2 / inputs) ** 0.5
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(outputs)))
        with torch.no_grad():
            self.weights[-1].mul_(0.1)

    def forward(self, angles: Tensor) -> Tensor:
        """See the class; the result for a row does not depend on the number of rows."""
        rows = len(angles)
        blinn = angles[:, 3] * angles[:, 2].clamp_min(1e-6) ** (_SHARP * angles[:, 4])
        x = torch.cat([angles, blinn[:, None]], 1)
        x = torch.cat([x, x.new_zeros(-rows % _ROWS, ANGLES + 1)]).view(-1, _ROWS, ANGLES + 1)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.bmm(x, weight.expand(len(x), *weight.shape)).add_(bias)
            if layer < last:
                x = x.relu_()
        return lambert(angles) + x.view(-1, 2)[:rows]


def lambert(angles: Tensor) -> Tensor:
    """The shares (n, 2) of matt surfaces."""
    share = angles[:, 0].clamp_min(0)
    return torch.stack([share, torch.zeros_like(share)], 1)


def lighten(share: Tensor, tint: Tensor, lights: Lights) -> Tensor:
    """Colours (V, 4, 3) of corners of V faces.

    Args:
        share: (V, 4, S, 2) of each light's colour that they show in their own colour, and of its gloss.
        tint: (V, 3) their own colours. lights: S of them.
    """
    colour, gloss, ambient = lights.colour, lights.gloss, lights.ambient
    shown = sum((share[:, :, k, :1] * colour[k] for k in range(len(colour))), start=ambient)
    shine = sum(share[:, :, k, 1:] * gloss[k] for k in range(len(gloss)))
    return (tint[:, None] * shown + shine).clamp(0, 1)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Sightings:
    """Pixels of another renderer's pictures, and what is known of the surfaces that they show.

    Attributes:
        target: (P, 3) colours in [0, 1]. face: (P,) which of V faces they show. share: (P, 4) of its corners in them.
        angles: (V, 4, S, ANGLES), tint: (V, 3): see `Corners`. scene: (V,) which of N scenes they are in.
        ambient: (N, 3), colour, gloss: (N, S, 3) of the scenes' lights, see `Lights`.
    """

    target: Tensor
    face: Tensor
    share: Tensor
    angles: Tensor
    tint: Tensor
    scene: Tensor
    ambient: Tensor
    colour: Tensor
    gloss: Tensor

    def __len__(self) -> int:
        return len(self.target)

    def predict(self, network: Reflectance | None, rows: Tensor) -> Tensor:
        """Colours (n, 3) of pixels `rows` (n,); without a network as if all surfaces were matt."""
        face = self.face[rows]
        angles, scene = self.angles[face], self.scene[face]
        respond = lambert if network is None else network
        share = respond(angles.reshape(-1, ANGLES)).view(*angles.shape[:3], 2)
        lit = self.tint[face][:, None] * self.ambient[scene][:, None]
        lit = lit + self.tint[face][:, None] * (share[..., :1] * self.colour[scene][:, None]).sum(2)
        lit = lit + (share[..., 1:] * self.gloss[scene][:, None]).sum(2)
        # Where a colour is beyond what can be shown, still a little of the slope is left to learn from.
        shown = lit.clamp(0, 1) + 0.01 * (lit - lit.clamp(0, 1))
        return (self.share[rows][..., None] * shown).sum(1)

    def save(self, path: Path) -> None:
        """Writes a file, whole or not at all."""
        save_numbers(path, {item.name: getattr(self, item.name) for item in fields(self)})

    @staticmethod
    def load(path: Path) -> Sightings:
        """What `save` wrote."""
        return Sightings(**load_file(path))

    @staticmethod
    def joined(parts: Sequence[Sightings]) -> Sightings:
        """Several as one."""
        found: dict[str, Any] = {}
        for item in fields(Sightings):
            values = [getattr(part, item.name) for part in parts]
            offset = {"face": "angles", "scene": "ambient"}.get(item.name)
            if offset is not None:
                counts = [len(getattr(part, offset)) for part in parts]
                starts = itertools.accumulate([0, *counts[:-1]])
                values = [each + start for each, start in zip(values, starts, strict=True)]
            found[item.name] = torch.cat(values)
        return Sightings(**found)


def save_renderer(path: Path, network: Reflectance, **told: Any) -> None:
    """Writes a network, whole or not at all; `told` are further entries of its card, see `Card`."""
    save_checkpoint(path, Card(kind=KIND, robot="", settings={"width": network.width}, **told), network.state_dict())


def load_renderer(path: str | Path) -> tuple[Reflectance, Card]:
    """A network and its card.

    Raises:
        CheckpointError: the file cannot be used; the message says why, and what to do.
    """
    card, tensors = load_checkpoint(path)
    if card.kind != KIND:
        raise CheckpointError(
            f"{path} is a model of kind {card.kind!r}, not {KIND!r}; make one with `pocketworlds train renderer`"
        )
    width = card.settings.get("width")
    if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= 1024:
        raise CheckpointError(f"{path}: its card gives width as {width!r}; train it again")
    network = Reflectance(width)
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return network.eval().requires_grad_(False), card
