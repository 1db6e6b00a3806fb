"""The settings of `train neural` with `model=latent_flow` or `model=pixel_edm`: from YAML, overridden, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ..errors import TaskError
from ..world_models.frames.settings import FrameSettings
from ..world_models.frames.training import TrainConfig
from ..world_models.latent_flow import settings as latent_flow
from ..world_models.latent_flow.settings import DynamicsSettings, SamplingSettings, TokeniserSettings
from ..world_models.pixel_edm import settings as pixel_edm
from ..world_models.pixel_edm.settings import NoiseSettings, UNetSettings
from .course import FOLDER, PracticeSettings, make_practices
from .overrides import given, merged
from .train_frames import FrameCourse, LatentFlowCourse, PixelEdmCourse

MODELS = ("latent_flow", "pixel_edm")
"""Kinds of model of frames that can be trained."""


class _FrameSettings(PracticeSettings):
    """What every model of frames is asked."""

    size: str
    camera: str = "front"
    image_size: Annotated[int, Field(ge=16, le=1024)] = 64
    context: Annotated[int, Field(ge=1, le=64)] = 4
    num_envs: Annotated[int, Field(ge=1, le=4096)] = 32
    log: bool = False
    examined: Annotated[int, Field(ge=1)] = 128
    train: TrainConfig


class LatentFlowSettings(_FrameSettings):
    """All settings; `conf/neural/latent_flow_nano.yaml` says what they mean."""

    model: Literal["latent_flow"]
    tokeniser: TokeniserSettings
    dynamics: DynamicsSettings
    sampling: SamplingSettings
    train_tokeniser: TrainConfig


class PixelEdmSettings(_FrameSettings):
    """All settings; `conf/neural/pixel_edm_nano.yaml` says what they mean."""

    model: Literal["pixel_edm"]
    network: UNetSettings
    noise: NoiseSettings


def read_frame_settings(overrides: Sequence[str]) -> LatentFlowSettings | PixelEdmSettings:
    """The settings that `overrides` ("model=latent_flow", "size=base", "train.steps=100", ...) name.

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    model, size = given(overrides, "model", "latent_flow"), given(overrides, "size", "nano")
    if model not in MODELS:
        raise TaskError(f"model={model!r} is not known; choose one of {['hybrid', *MODELS]}")
    file = FOLDER / f"{model}_{size}.yaml"
    if not file.is_file():
        sizes = sorted(each.stem.removeprefix(f"{model}_") for each in FOLDER.glob(f"{model}_*.yaml"))
        raise TaskError(f"size={size!r} is not known; model={model} comes as {sizes}")
    if model == "latent_flow":
        return merged(file, overrides, LatentFlowSettings)
    return merged(file, overrides, PixelEdmSettings)


def make_frame_course(settings: LatentFlowSettings | PixelEdmSettings) -> FrameCourse:
    """What is played, filmed and learned.

    Raises:
        TaskError: there is no such environment, or the scene suits none of the tasks.
    """
    _check(settings)
    train = settings.train.model_copy(update={"seed": settings.seed})
    model: LatentFlowCourse | PixelEdmCourse
    if isinstance(settings, LatentFlowSettings):
        model = LatentFlowCourse(
            settings.tokeniser,
            settings.dynamics,
            settings.sampling,
            settings.train_tokeniser.model_copy(update={"seed": settings.seed}),
            train,
        )
    else:
        model = PixelEdmCourse(settings.network, settings.noise, train)
    return FrameCourse(
        practices=make_practices(settings, num_envs=settings.num_envs),
        model=model,
        camera=settings.camera,
        size=settings.image_size,
        context=settings.context,
        log=settings.log,
        examined=settings.examined,
    )


def _check(settings: LatentFlowSettings | PixelEdmSettings) -> None:
    """Looks at what settings must agree on, before anything is played for them.

    Raises:
        TaskError: they do not.
    """
    frames = FrameSettings(
        robot=settings.robot,
        control_mode="any",
        action_size=1,
        state={"any": 1},
        image_size=(settings.image_size, settings.image_size),
        context=settings.context,
    )
    least = 2 if isinstance(settings, LatentFlowSettings) else settings.context + 1
    if settings.train.length < least:
        raise TaskError(f"setting train.length={settings.train.length}: windows must have at least {least} frames")
    try:
        if isinstance(settings, LatentFlowSettings):
            latent_flow.LatentFlowSettings(
                frames=frames, tokeniser=settings.tokeniser, dynamics=settings.dynamics, sampling=settings.sampling
            )
        else:
            pixel_edm.PixelEdmSettings(frames=frames, network=settings.network, noise=settings.noise)
    except ValidationError as error:
        raise TaskError(f"the settings do not go together: {error.errors()[0]['msg']}") from error
