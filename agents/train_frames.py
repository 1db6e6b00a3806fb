"""Makes a learned simulator of frames: plays in physics, films it, learns from that, examines it, writes a checkpoint.

Everything is kept as it is made: what was filmed, batch by batch, what the tokeniser made of it, and where training is.
The same command goes on after an interruption, and a change of what was asked for begins anew from where it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ..errors import TaskError
from ..world_models.checkpoint import Card
from ..world_models.frames.episodes import FrameData
from ..world_models.frames.evaluation import evaluate
from ..world_models.frames.measures import to_signal
from ..world_models.frames.settings import FrameSettings
from ..world_models.frames.training import FrameTrainer, Learner, TrainConfig, chief_first
from ..world_models.latent_flow import model as latent_flow
from ..world_models.latent_flow.dynamics import DynamicsLearner
from ..world_models.latent_flow.settings import (
    DynamicsSettings,
    LatentFlowSettings,
    SamplingSettings,
    TokeniserSettings,
)
from ..world_models.latent_flow.tokeniser import Tokeniser, TokeniserLearner
from ..world_models.pixel_edm import model as pixel_edm
from ..world_models.pixel_edm.network import PixelEdm, PixelEdmLearner
from ..world_models.pixel_edm.settings import NoiseSettings, PixelEdmSettings, UNetSettings
from ..world_models.resuming import save_numbers
from .experience import Practice
from .frame_experience import look, record
from .keeping import digest, plain, train_on

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""
Model = latent_flow.LatentFlow | PixelEdm

HELD_OUT = 0.1
"""Share of each recording's episodes that nothing is learned from: the last."""
_AT_ONCE = 256  # pictures that are encoded at once


@dataclass(frozen=True)
class LatentFlowCourse:
    """How a latent flow model is made and learned: first its tokeniser, then its dynamics."""

    tokeniser: TokeniserSettings
    dynamics: DynamicsSettings
    sampling: SamplingSettings
    train_tokeniser: TrainConfig
    train: TrainConfig


@dataclass(frozen=True)
class PixelEdmCourse:
    """How a pixel diffusion model is made and learned."""

    network: UNetSettings
    noise: NoiseSettings
    train: TrainConfig


@dataclass(frozen=True)
class FrameCourse:
    """What a model of frames is made from.

    Attributes:
        practices: what is played. model: how it is made and learned. camera, size, context: of its pictures
            [pixels, frames]. log: whether TensorBoard's files are written. examined: windows of its examination.
    """

    practices: tuple[Practice, ...]
    model: LatentFlowCourse | PixelEdmCourse
    camera: str = "front"
    size: int = 64
    context: int = 4
    log: bool = False
    examined: int = 128


def train_frames(course: FrameCourse, work: Path, out: Path, notify: Notify) -> tuple[Model, dict[str, Any]]:
    """Plays, films, trains and writes the checkpoint `out`; `work` is a folder for what is kept on the way.

    Returns:
        The model, and what the examination on held-out episodes found; see `world_models.frames.evaluation.evaluate`.

    Raises:
        TaskError: the practices are not of one layout, or a keyword makes no sense. DatasetError: what was filmed is
            too little. MissingDependencyError: a log is asked for without TensorBoard.
    """
    with chief_first(course.model.train):
        lesson, held_out = film(
            course.practices, work, notify, camera=course.camera, size=course.size, context=course.context
        )
    desk = _Desk(work, work / "log" if course.log else None, notify)
    model: Model
    if isinstance(course.model, LatentFlowCourse):
        model = _latent_flow(course.model, lesson, desk)
    else:
        model = _pixel_edm(course.model, lesson, desk)
    if not desk.chief:
        return model, {}
    trained_on = {
        "practices": [plain(each) for each in course.practices],
        "episodes": len(lesson),
        "frames": lesson.frames,
    }
    measured = _examined(model, held_out, course.examined, notify)
    if isinstance(model, latent_flow.LatentFlow):
        latent_flow.save_model(out, model, trained_on=trained_on, measured={"held_out": measured})
    else:
        pixel_edm.save_model(out, model, trained_on=trained_on, measured={"held_out": measured})
    return model, measured


def film(
    practices: Sequence[Practice], work: Path, notify: Notify, *, camera: str, size: int, context: int
) -> tuple[FrameData, FrameData]:
    """Plays and films what is not there yet: episodes to learn from, and others to examine with.

    Raises:
        TaskError: see `train_frames`.
    """
    if not practices:
        raise TaskError("there is nothing to practise; give at least one environment")
    work.mkdir(parents=True, exist_ok=True)
    first: FrameSettings | None = None
    shards: list[Path] = []
    held: list[int] = []
    learned: list[int] = []
    for practice in practices:
        settings = look(practice, camera=camera, size=size, context=context)
        first = first or settings
        _check(practice, first, settings)
        folder = work / f"filmed-{digest([plain(practice), settings.model_dump()])}"
        stage = f"filming {practice.env_id.removeprefix('PocketWorlds/')}"
        shards += record(practice, settings, folder, lambda done, count, stage=stage: notify(stage, done / count))  # type: ignore[misc]
        before = len(learned) + len(held)
        count = len(FrameData(shards)) - before
        cut = before + count - max(round(HELD_OUT * count), 1)
        learned += range(before, cut)
        held += range(cut, before + count)
    data = FrameData(shards)
    return data.chosen(learned), data.chosen(held)


@dataclass
class _Desk:
    """Where training happens: what is kept, logged and told."""

    work: Path
    log: Path | None
    notify: Notify
    chief: bool = True

    def train(self, stage: str, learner: Learner, data: FrameData, config: TrainConfig, key: Any) -> None:
        """Trains to the end, from where it was; the learner then has the average of its weights."""
        kept = self.work / f"{stage.replace(' ', '-')}-{digest(key)}.safetensors"
        log = None if self.log is None else self.log / kept.stem
        trainer = FrameTrainer(learner, data, config, log=log)
        self.chief = trainer.chief
        train_on(trainer, kept, config.steps, lambda share: self.notify(stage, share))
        trainer.settle()


def _latent_flow(course: LatentFlowCourse, data: FrameData, desk: _Desk) -> latent_flow.LatentFlow:
    settings = LatentFlowSettings(
        frames=data.settings, tokeniser=course.tokeniser, dynamics=course.dynamics, sampling=course.sampling
    )
    model = latent_flow.LatentFlow(settings, seed=course.train.seed)
    about = [_seen(data), course.tokeniser.model_dump(), _matters(course.train_tokeniser)]
    desk.train("training the tokeniser", TokeniserLearner(model.tokeniser), data, course.train_tokeniser, about)
    with chief_first(course.train):
        latents = _encoded(model.tokeniser, data, desk, digest(about))
    some = data.with_latents(latents)
    model.dynamics.scales.to("cpu").measure(*data.states())
    every = torch.arange(0, len(some), max(len(some) // 64, 1))
    sample = some.windows(torch.stack([every, torch.zeros_like(every)], 1), int(some.lengths.min()), latent=True)
    assert sample.latent is not None
    model.dynamics.to("cpu").measure(sample.latent.flatten(0, 1))
    about += [course.dynamics.model_dump(), course.sampling.model_dump(), _matters(course.train)]
    desk.train("training the dynamics", DynamicsLearner(model.dynamics), some, course.train, about)
    return model.to("cpu").eval()


def _pixel_edm(course: PixelEdmCourse, data: FrameData, desk: _Desk) -> PixelEdm:
    settings = PixelEdmSettings(frames=data.settings, network=course.network, noise=course.noise)
    model = PixelEdm(settings, seed=course.train.seed)
    model.scales.measure(*data.states())
    about = [_seen(data), course.network.model_dump(), course.noise.model_dump(), _matters(course.train)]
    desk.train("training", PixelEdmLearner(model), data, course.train, about)
    return model.to("cpu").eval()


def _encoded(tokeniser: Tokeniser, data: FrameData, desk: _Desk, key: str) -> list[Path]:
    """Files of what a tokeniser makes of the pictures of each shard, made where they are missing."""
    folder = desk.work / f"latents-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    device = next(tokeniser.parameters()).device
    files = [folder / f"{number:05d}.safetensors" for number in range(len(data.shards))]
    for number, (shard, file) in enumerate(zip(data.shards, files, strict=True)):
        if file.exists():
            continue
        image = load_file(shard)["image"]
        with torch.no_grad():
            parts = [
                tokeniser.encode(to_signal(part.to(device))).half().cpu()
                for part in torch.split(image.flatten(0, 1), _AT_ONCE)
            ]
        save_numbers(file, {"latent": torch.cat(parts).reshape(*image.shape[:2], *parts[0].shape[1:])})
        desk.notify("encoding", (number + 1) / len(files))
    return files


def _examined(model: Model, data: FrameData, most: int, notify: Notify) -> dict[str, Any]:
    card = Card("", "", {})
    if isinstance(model, latent_flow.LatentFlow):
        return evaluate(
            lambda count: latent_flow.simulate(model, count, card=card),
            data,
            most=most,
            notify=lambda share: notify("examining", share),
        )
    return evaluate(
        lambda count: pixel_edm.simulate(model, count, card=card),
        data,
        most=most,
        notify=lambda share: notify("examining", share),
    )


def _check(practice: Practice, first: FrameSettings, found: FrameSettings) -> None:
    for name in ("robot", "control_mode", "state", "scene_size", "action_size"):
        ours, theirs = getattr(first, name), getattr(found, name)
        if ours != theirs:
            raise TaskError(
                f"a model of frames is for one layout; {practice.env_id} has {name}={theirs}, the first practice {ours}"
            )


def _matters(config: TrainConfig) -> dict[str, Any]:
    """What of a training's settings changes its result."""
    told = config.model_dump()
    return {name: value for name, value in told.items() if name not in {"ahead", "compile", "device"}}


def _seen(data: FrameData) -> Sequence[Any]:
    return [[path.parent.name, path.name] for path in data.shards]
