"""Makes the renderer that needs no OpenGL: looks at still lifes that OpenGL draws, learns, and writes a checkpoint.

Everything is kept as it is made, as in `train_neural`: the same command goes on after an interruption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field

from ..world_models.hybrid.reflectance import Reflectance, Sightings, save_renderer
from ..world_models.hybrid.reflectance_training import ReflectanceTrainer, ShadingConfig
from .course import FOLDER
from .keeping import digest, train_on
from .overrides import merged
from .still_lifes import StillLife
from .train_neural import Notify

_SET = 20  # still lifes that are kept together
_APART = 1_000_000  # seeds between courses, and of those that are only looked at to measure
_MEASURED = 20_000  # pixels at once


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RendererTraining(_Strict):
    """How long and how fast; see `ShadingConfig`."""

    steps: Annotated[int, Field(ge=1)] = 2000
    rate: Annotated[float, Field(gt=0, lt=1)] = 5e-3
    batch: Annotated[int, Field(ge=1, le=1 << 20)] = 2048


class RendererSettings(_Strict):
    """All settings; `conf/neural/renderer.yaml` says what they mean."""

    seed: Annotated[int, Field(ge=0, le=1000)] = 0
    still_lifes: Annotated[int, Field(ge=1, le=100_000)] = 120
    held_out: Annotated[int, Field(ge=1, le=100_000)] = 20
    pixels: Annotated[int, Field(ge=1, le=4096)] = 256
    width: Annotated[int, Field(ge=1, le=1024)] = 16
    train: RendererTraining = RendererTraining()


def read_renderer_settings(overrides: Sequence[str]) -> RendererSettings:
    """The settings of `conf/neural/renderer.yaml`, with `overrides` such as "train.steps=100".

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    return merged(FOLDER / "renderer.yaml", overrides, RendererSettings)


def train_renderer(settings: RendererSettings, work: Path, out: Path, notify: Notify) -> Reflectance:
    """Looks, learns and writes the checkpoint `out`; `work` is a folder for what is kept on the way.

    Raises:
        MissingDependencyError: nothing on this machine can draw the pictures to learn from.
    """
    seen, held_out = look_around(settings, work, notify)
    train = settings.train
    config = ShadingConfig(steps=train.steps, rate=train.rate, batch=train.batch, seed=settings.seed)
    network = Reflectance(settings.width, seed=settings.seed)
    trainer = ReflectanceTrainer(network, seen, config)
    kept = work / f"training-{digest(settings.model_dump())}.safetensors"
    train_on(trainer, kept, config.steps, lambda share: notify("training", share))
    measured = {"psnr": psnr(held_out, network), "psnr_matt": psnr(held_out, None), "pixels": len(held_out)}
    told = {"settings": settings.model_dump(), "config": asdict(config), "pixels": len(seen)}
    save_renderer(out, network, trained_on=told, measured=measured)
    return network


def look_around(settings: RendererSettings, work: Path, notify: Notify) -> tuple[Sightings, Sightings]:
    """What OpenGL shows of still lifes: to learn from, and to measure with."""
    work.mkdir(parents=True, exist_ok=True)
    first = settings.seed * 2 * _APART
    found = []
    for stage, start, count in (
        ("drawing still lifes", first, settings.still_lifes),
        ("drawing others to measure with", first + _APART, settings.held_out),
    ):
        sets = []
        for begin in range(0, count, _SET):
            seeds = range(start + begin, start + min(begin + _SET, count))
            file = work / f"seen-{digest([seeds.start, seeds.stop, settings.pixels])}.safetensors"
            if not file.exists():
                Sightings.joined([StillLife(seed).sightings(settings.pixels) for seed in seeds]).save(file)
            sets.append(Sightings.load(file))
            notify(stage, min(1.0, (begin + _SET) / count))
        found.append(Sightings.joined(sets))
    return found[0], found[1]


def psnr(seen: Sightings, network: Reflectance | None) -> float:
    """Peak signal-to-noise ratio [dB] of predicted colours; without a network as if all surfaces were matt."""
    with torch.no_grad():
        square = 0.0
        for first in range(0, len(seen), _MEASURED):
            rows = torch.arange(first, min(first + _MEASURED, len(seen)))
            error = seen.predict(network, rows).clamp(0, 1) - seen.target[rows]
            square += float(error.square().sum(dtype=torch.float64))
    return -10 * math.log10(max(square / (3 * len(seen)), 1e-12))
