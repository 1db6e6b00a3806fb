"""Settings of latent flow models, as they stand in checkpoints' cards."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from ..frames.settings import FrameSettings, Strict

Width = Annotated[int, Field(ge=8, le=4096, multiple_of=8)]


class TokeniserSettings(Strict):
    """The autoencoder.

    Attributes:
        width: channels at full resolution; doubled once per halving, up to `most`. halvings: times that height and
            width are halved. blocks: residual blocks at each resolution. channels: of a latent.
        foreground: by how much more an error counts where a picture is not background, 0: not at all.
        similarity, gradient: weights of 1 - SSIM and of the distance of gradients, beside L1.
        noise: spread of noise on latents in training, which are in [-1, 1], so that pictures do not hang on a hair.
    """

    width: Width = 32
    most: Width = 64
    halvings: Annotated[int, Field(ge=1, le=6)] = 3
    blocks: Annotated[int, Field(ge=0, le=8)] = 1
    channels: Annotated[int, Field(ge=1, le=256)] = 8
    foreground: Annotated[float, Field(ge=0, le=100)] = 8.0
    similarity: Annotated[float, Field(ge=0, le=10)] = 0.1
    gradient: Annotated[float, Field(ge=0, le=10)] = 0.5
    noise: Annotated[float, Field(ge=0, le=1)] = 0.03


class DynamicsSettings(Strict):
    """The transformer.

    Attributes:
        width, depth, heads: of it. patch: sides of the square of latents that is one token. window: frames before its
            own that a frame sees. bins: of an action's number as it is told to the model, 0: as it is.
        changes: by how much more an error counts where a token changes, 0: not at all.
        state: weight of the state's loss.
        noise: highest level of noise on the past in training, 0: never; its level is told to the model.
        noise_from: share of the training after which there is noise.
    """

    width: Width = 128
    depth: Annotated[int, Field(ge=1, le=64)] = 4
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    patch: Annotated[int, Field(ge=1, le=8)] = 2
    window: Annotated[int, Field(ge=1, le=128)] = 6
    bins: Annotated[int, Field(ge=0, le=256)] = 21
    changes: Annotated[float, Field(ge=0, le=100)] = 4.0
    state: Annotated[float, Field(ge=0, le=100)] = 1.0
    noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    noise_from: Annotated[float, Field(ge=0, le=1)] = 0.6

    @model_validator(mode="after")
    def _divisible(self) -> DynamicsSettings:
        if self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of twice the number of heads, {self.heads}")
        if self.bins == 1:
            raise ValueError("bins must be 0, or 2 and more")
        return self


class SamplingSettings(Strict):
    """How next frames are made.

    Attributes:
        steps: of the flow, 1 to 4 (more are allowed). noise: spread of what the flow starts from; 0 makes the same
            frame every time. level: of noise on the past, at most the highest in training.
    """

    steps: Annotated[int, Field(ge=1, le=64)] = 2
    noise: Annotated[float, Field(ge=0, le=1)] = 1.0
    level: Annotated[float, Field(ge=0, lt=1)] = 0.0


class LatentFlowSettings(Strict):
    """All of a model."""

    frames: FrameSettings
    tokeniser: TokeniserSettings = TokeniserSettings()
    dynamics: DynamicsSettings = DynamicsSettings()
    sampling: SamplingSettings = SamplingSettings()

    @model_validator(mode="after")
    def _fits(self) -> LatentFlowSettings:
        side = 2**self.tokeniser.halvings * self.dynamics.patch
        if any(size % side for size in self.frames.image_size):
            raise ValueError(
                f"image_size {self.frames.image_size} must be a multiple of {side}, 2 ** halvings times patch"
            )
        if self.frames.context > self.dynamics.window:
            raise ValueError(f"context {self.frames.context} is more than frames see, {self.dynamics.window}")
        if self.sampling.level > self.dynamics.noise:
            raise ValueError(
                f"sampling.level {self.sampling.level} is more than the model has learned, {self.dynamics.noise}"
            )
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of tokens of a picture."""
        side = 2**self.tokeniser.halvings * self.dynamics.patch
        height, width = self.frames.image_size
        return height // side, width // side
