"""How probes are learned from recorded frames, and how well they do on others.

A probe of latents is to read what a model foretells, which is not quite what it makes of a picture: so it learns from
both, from latents of frames and from those that the model rolls out beside them, with the true states as targets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import DatasetError
from ..frames.episodes import FrameData, Windows
from ..frames.measures import psnr, to_pictures, to_signal
from ..frames.training import Learner
from .probe import Probe
from .stable_worldmodel import Latents

_EXAMINED = 256
_AT_ONCE = 32
_LEVEL = 0.02  # of noise on pictures: a model's are not physics'


class PictureProbeLearner(Learner):
    """Trains a probe of pictures: mean squared error of states, of even scale."""

    needs = {"image": True}  # noqa: RUF012 - never changed

    def __init__(self, probe: Probe) -> None:
        super().__init__()
        self.probe = probe

    def forward(self, windows: Windows, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`: the state after each run of `history` frames."""
        assert windows.image is not None
        noise = torch.randn(windows.image.shape, generator=draws).to(windows.image.device)
        image = (windows.image.float() + 255 * _LEVEL * noise).clamp(0, 255)
        features = self.probe.features(image.flatten(0, 1)).reshape(*image.shape[:2], -1)
        return {"state": _error(self.probe, features, windows.state, windows.scene)}


class LatentProbeLearner(Learner):
    """Trains a probe of latents, and what draws them."""

    needs = {"image": True}  # noqa: RUF012 - never changed

    def __init__(self, probe: Probe, latents: Latents) -> None:
        super().__init__()
        self.probe = probe
        self._latents = (latents,)  # not a part of what is trained and kept

    def forward(self, windows: Windows, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        assert windows.image is not None
        latents = self._latents[0]
        latents.model.to(windows.image.device)
        latent = latents.encode(windows.image)
        found = {"state": _error(self.probe, latent, windows.state, windows.scene)}
        rolled = rolled_out(latents, latent, windows.action)
        found["foretold"] = _error(self.probe, rolled, windows.state, windows.scene)
        image = to_signal(windows.image)
        for name, given in (("picture", latent), ("foretold_picture", rolled)):
            drawn = self.probe.draw(given.flatten(0, 1))
            found[name] = (drawn - image.flatten(0, 1)).abs().mean()
        return found

    def pictures(self, windows: Windows) -> Tensor | None:
        """Pictures above, what is drawn of their latents below."""
        assert windows.image is not None
        seen = windows.image[:8, 0]
        again = to_pictures(self.probe.draw(self._latents[0].encode(seen[:, None])[:, 0]))
        return torch.cat([torch.cat(list(seen), 1), torch.cat(list(again), 1)])


def rolled_out(latents: Latents, latent: Tensor, action: Tensor) -> Tensor:
    """Latents (B, T, size) of which only the first `history` are given, and the others foretold from actions."""
    found = latent[:, : latents.history]
    for t in range(found.shape[1], latent.shape[1]):
        back = max(t - latents.history, 0)
        found = torch.cat([found, latents.step(found[:, back:], action[:, back:t])[:, None]], 1)
    return found


def _error(probe: Probe, features: Tensor, state: Tensor, scene: Tensor) -> Tensor:
    """Mean squared error of all heads, for features (B, T, F) of frames with states (B, T, S)."""
    history = probe.settings.history
    runs = features.unfold(1, history, 1).movedim(-1, 2)  # (B, T - L + 1, L, F)
    count = runs.shape[1]
    guesses = probe.guesses(runs.flatten(0, 1), scene.repeat_interleave(count, 0))
    target = probe.scales.state(state[:, history - 1 :]).flatten(0, 1)
    return nn.functional.smooth_l1_loss(guesses, target.expand_as(guesses), beta=0.1)


@torch.no_grad()
def examine(
    probe: Probe, data: FrameData, latents: Latents | None = None, notify: Callable[[float], None] | None = None
) -> dict[str, Any]:
    """How far a probe is off on held-out episodes.

    Returns:
        By part of the state vector, root mean square errors in its own units (`parts`), and the same of saying the
        mean of what was learned from (`mean_parts`); `share`, of the variance that is explained, over all; `windows`.
        Of latents also `foretold`: the errors after `history` frames were given and the others foretold, and `psnr`
        [dB] of pictures drawn.

    Raises:
        DatasetError: episodes are too short.
    """
    settings = probe.settings
    history = settings.history
    length = max(history, latents.history + 4 if latents is not None else 0)
    if int(data.lengths.min()) < length:
        raise DatasetError(
            f"held-out episodes of {int(data.lengths.min())} frames are too short; record {length} at least"
        )
    which = _evenly(data, length)
    sums: dict[str, Tensor] = {}
    for start in range(0, len(which), _AT_ONCE):
        windows = data.windows(which[start : start + _AT_ONCE], length, image=True)
        assert windows.image is not None
        last = windows.state[:, -1].double()
        mean = probe.scales.state_mean.cpu().double()
        if latents is None:
            features = probe.features(windows.image[:, -history:].flatten(0, 1)).reshape(len(last), history, -1)
        else:
            encoded = latents.encode(windows.image)
            features = encoded[:, -history:]
            rolled = rolled_out(latents, encoded, windows.action)
            told = probe.tell(rolled[:, -history:], windows.scene)[0].double()
            _add(sums, "foretold", (told - last).square().sum(0))
            drawn = to_pictures(probe.draw(encoded[:, -1]))
            apart = (drawn.double() - windows.image[:, -1].double()) / 255
            _add(sums, "picture", apart.square().mean((1, 2, 3)).sum())
        told = probe.tell(features, windows.scene)[0].double()
        _add(sums, "parts", (told - last).square().sum(0))
        _add(sums, "mean_parts", (mean - last).square().sum(0))
        if notify is not None:
            notify(min(start + _AT_ONCE, len(which)) / len(which))
    count = len(which)
    spread = probe.scales.state_scale.cpu().double().square()
    found: dict[str, Any] = {
        "windows": count,
        "share": 1 - float((sums["parts"] / spread).sum() / (sums["mean_parts"] / spread).sum().clamp_min(1e-12)),
    }
    for name in ("parts", "mean_parts", "foretold"):
        if name in sums:
            found[name] = _by_part(settings.frames.state, sums[name] / count)
    if "picture" in sums:
        found["psnr"] = round(psnr(float(sums["picture"]) / count), 2)
    return found


def _by_part(layout: dict[str, int], squares: Tensor) -> dict[str, float]:
    parts = torch.split(squares, list(layout.values()))
    return {name: float(part.mean().sqrt()) for name, part in zip(layout, parts, strict=True)}


def _evenly(data: FrameData, length: int) -> Tensor:
    """Windows (n, 2) of so many frames, spread over all episodes."""
    room = (data.lengths - length).tolist()
    everything = [(number, first) for number, most in enumerate(room) for first in range(most + 1)]
    return torch.tensor(everything[:: max(len(everything) // _EXAMINED, 1)][:_EXAMINED])


def _add(sums: dict[str, Tensor], name: str, value: Tensor) -> None:
    sums[name] = sums.get(name, torch.zeros_like(value)) + value
