"""What a model of frames is for and how its numbers are scaled: shared by `latent_flow` and `pixel_edm`."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ..checkpoint import Card
from ..simulator import Spec

_LARGEST = 4096
_LEAST_SPREAD, _LEAST_STEP = 1e-3, 1e-6
_CUT = 8.0  # normalised numbers farther out than this say no more than that they are far out

Size = Annotated[int, Field(ge=1, le=_LARGEST)]


class Strict(BaseModel):
    """Settings that refuse what they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FrameSettings(Strict):
    """What goes into a model of frames and comes out of it.

    Attributes:
        robot: its name. control_mode: what actions mean, see `envs.control`. action_size: A.
        state: names and sizes of the parts of a state vector, in order; S is their sum. scene_size: D, may be 0.
        image_size: (height, width) [pixels]. camera: its name. period: of a control step [s].
        context: K, frames with which episodes begin.
    """

    robot: Annotated[str, Field(min_length=1)]
    control_mode: Annotated[str, Field(min_length=1)]
    action_size: Size
    state: Annotated[dict[str, Size], Field(min_length=1)]
    scene_size: Annotated[int, Field(ge=0, le=_LARGEST)] = 0
    image_size: tuple[Annotated[int, Field(ge=16, le=1024)], Annotated[int, Field(ge=16, le=1024)]] = (64, 64)
    camera: Annotated[str, Field(min_length=1)] = "front"
    period: Annotated[float, Field(gt=0, le=10)] = 0.05
    context: Annotated[int, Field(ge=1, le=64)] = 4

    @property
    def state_size(self) -> int:
        """S, numbers of a state vector."""
        return sum(self.state.values())

    def spec(self, card: Card, weights: str) -> Spec:
        """What a simulator made of this tells of itself."""
        return Spec(
            kind=card.kind,
            control_mode=self.control_mode,
            action_size=self.action_size,
            state=dict(self.state),
            scene_size=self.scene_size,
            image_size=self.image_size,
            camera=self.camera,
            period=self.period,
            context=self.context,
            chunk=1,
            horizon=card.horizon,
            licence="MIT",
            weights=weights,
            robot=self.robot,
        )


class Scales(nn.Module):
    """Brings states and scenes to even scale, as measured once on data; a part of every checkpoint.

    A next state is told as a residual over the last one, in units of how far states usually move in one period: what
    never moved in the data can hardly move in a prediction.
    """

    state_mean: Tensor
    state_scale: Tensor
    step_scale: Tensor
    scene_mean: Tensor
    scene_scale: Tensor

    def __init__(self, state_size: int, scene_size: int) -> None:
        super().__init__()
        for name, size in (("state", state_size), ("scene", scene_size)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_scale", torch.ones(size))
        self.register_buffer("step_scale", torch.ones(state_size))

    @property
    def measured(self) -> bool:
        """Whether scales were ever taken, of states at least: as made, they leave everything as it is."""
        scaled = bool((self.state_scale != 1).any() or (self.step_scale != 1).any())
        return scaled or bool((self.state_mean != 0).any())

    @torch.no_grad()
    def measure(self, state: Tensor, step: Tensor, scene: Tensor) -> None:
        """Takes scales from states (N, S), differences of successive states (M, S) and scenes (E, D)."""
        self.state_mean.copy_(state.mean(0))
        self.state_scale.copy_(state.std(0, correction=0).clamp_min(_LEAST_SPREAD))
        self.step_scale.copy_(step.square().mean(0).sqrt().clamp_min(_LEAST_STEP))
        if scene.shape[1]:
            self.scene_mean.copy_(scene.mean(0))
            self.scene_scale.copy_(scene.std(0, correction=0).clamp_min(_LEAST_SPREAD))

    def state(self, values: Tensor) -> Tensor:
        """States (..., S) of even scale."""
        return ((values - self.state_mean) / self.state_scale).clamp(-_CUT, _CUT)

    def scene(self, values: Tensor) -> Tensor:
        """Scenes (..., D) of even scale; one that differs where those of the data did not is cut off."""
        return ((values - self.scene_mean) / self.scene_scale).clamp(-_CUT, _CUT)

    def residual(self, before: Tensor, after: Tensor) -> Tensor:
        """What a network has to say for states to go from `before` to `after` (..., S)."""
        return (after - before) / self.step_scale

    def after(self, before: Tensor, residual: Tensor) -> Tensor:
        """States (..., S) after `before`; the inverse of `residual`."""
        return before + residual * self.step_scale
