"""Settings of pixel diffusion models, as they stand in checkpoints' cards."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ..frames.settings import FrameSettings, Strict

Width = Annotated[int, Field(ge=8, le=2048, multiple_of=8)]


class UNetSettings(Strict):
    """The network.

    Attributes:
        widths: channels at each resolution, halved from one to the next. blocks: residual blocks at each.
        condition: numbers of what says noise level, actions and scene. bins: see `latent_flow`. head: hidden width of
            the networks that predict states.
    """

    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)] = (32, 32, 64, 64)
    blocks: Annotated[int, Field(ge=1, le=8)] = 1
    condition: Width = 128
    bins: Annotated[int, Field(ge=0, le=256)] = 21
    head: Width = 128


class NoiseSettings(Strict):
    """Noise in training and sampling; the defaults are DIAMOND's.

    Attributes:
        data: spread of the data. mean, spread: of the logarithm of the level in training. lowest, highest: levels that
            occur in training. offset: spread of noise that is the same for all pixels.
        steps: Euler steps of sampling, from `start` to `end` with exponent `rho`. amount: of what sampling starts from,
            0 makes the same picture every time.
        past: spread of noise on past pictures in training, 0: none, in its last part from `past_from` on.
    """

    data: Annotated[float, Field(gt=0)] = 0.5
    mean: float = -0.4
    spread: Annotated[float, Field(gt=0)] = 1.2
    lowest: Annotated[float, Field(gt=0)] = 2e-3
    highest: Annotated[float, Field(gt=0)] = 20.0
    offset: Annotated[float, Field(ge=0)] = 0.3
    steps: Annotated[int, Field(ge=1, le=64)] = 3
    start: Annotated[float, Field(gt=0)] = 5.0
    end: Annotated[float, Field(gt=0)] = 2e-3
    rho: Annotated[float, Field(gt=0)] = 7.0
    amount: Annotated[float, Field(ge=0, le=1)] = 1.0
    past: Annotated[float, Field(ge=0, le=1)] = 0.0
    past_from: Annotated[float, Field(ge=0, le=1)] = 0.6

    @model_validator(mode="after")
    def _ordered(self) -> NoiseSettings:
        if self.lowest >= self.highest or self.end >= self.start:
            raise ValueError("levels must fall: lowest < highest and end < start")
        return self


class PixelEdmSettings(Strict):
    """All of a model."""

    frames: FrameSettings
    network: UNetSettings = UNetSettings()
    noise: NoiseSettings = NoiseSettings()

    @model_validator(mode="after")
    def _fits(self) -> PixelEdmSettings:
        side = 2 ** (len(self.network.widths) - 1)
        if any(size % side for size in self.frames.image_size):
            raise ValueError(f"image_size {self.frames.image_size} must be a multiple of {side}")
        return self
