"""Makes a probe for another people's model: plays in physics, films it, learns states from what the model makes of it.

See `world_models.external.probe`. What is filmed and where training is are kept: the same command goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from ..errors import TaskError
from ..world_models.external.address import parse_address, read_options
from ..world_models.external.probe import PixelSettings, Probe, ProbeSettings, save_probe
from ..world_models.external.probe_training import LatentProbeLearner, PictureProbeLearner, examine
from ..world_models.external.stable_worldmodel import KIND, Latents, StableWorldModelOptions, load_latents
from ..world_models.frames.episodes import FrameData
from ..world_models.frames.training import FrameTrainer, Learner, TrainConfig
from .experience import Practice
from .keeping import digest, train_on
from .train_frames import film

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""


@dataclass(frozen=True)
class ProbeCourse:
    """How a probe is made.

    Attributes:
        source: what it reads, "picture" or "latent". model: the address of a model of latents, "" for pictures.
        train: how it learns. size: side that pictures are brought to [pixels]. history: frames that it looks back on.
        width, members, channels: see `ProbeSettings`. pixels: how the model of latents takes pictures and actions.
    """

    source: Literal["picture", "latent"]
    train: TrainConfig
    model: str = ""
    size: int = 64
    history: int = 2
    width: int = 256
    members: int = 4
    channels: int = 32
    pixels: PixelSettings = field(default_factory=PixelSettings)


def make_probe(
    practices: Sequence[Practice],
    course: ProbeCourse,
    work: Path,
    out: Path,
    notify: Notify,
    *,
    camera: str = "front",
    size: int = 64,
    context: int = 4,
) -> tuple[Probe, dict[str, Any]]:
    """Plays and films what is not there yet, and trains a probe on it; see `train_probe`.

    Args:
        practices: what is played, all of one layout; of each, the last tenth of its episodes is held out. course, work,
            out, notify: see `train_probe`. camera, size, context: of the pictures [pixels, frames].

    Raises:
        TaskError: there is nothing to practise, practices are not of one layout, or see `train_probe`. DatasetError:
            see `train_probe`.
    """
    lesson, held_out = film(practices, work, notify, camera=camera, size=size, context=context)
    return train_probe(course, lesson, held_out, work, out, notify)


def train_probe(
    course: ProbeCourse,
    lesson: FrameData,
    held_out: FrameData,
    work: Path,
    out: Path,
    notify: Notify,
    *,
    latents: Latents | None = None,
) -> tuple[Probe, dict[str, Any]]:
    """Trains and examines a probe, and writes it.

    Args:
        course: how. lesson, held_out: recorded frames to learn from and to examine with.
        work: folder for where training is. out: the file to write. notify: is told what is done.
        latents: the model of latents, None: the one at `course.model`.

    Returns:
        The probe and what the examination found; see `probe_training.examine`.

    Raises:
        TaskError: source and model do not go together. DatasetError: episodes are too short. CheckpointError,
        MissingDependencyError: the model cannot be opened.
    """
    latents = _latents(course, latents)
    size = course.size
    if latents is not None:
        size = latents.encode(lesson.windows(torch.zeros(1, 2, dtype=torch.int64), 1, image=True).image).shape[-1]  # type: ignore[arg-type]
    settings = ProbeSettings(
        frames=lesson.settings,
        source=course.source,
        size=size,
        history=course.history,
        width=course.width,
        members=course.members,
        channels=course.channels,
        pixels=course.pixels if latents is None else latents.pixels,
        made_for="" if latents is None else latents.weights,
    )
    probe = Probe(settings, seed=course.train.seed)
    probe.scales.measure(*lesson.states())
    learner: Learner = PictureProbeLearner(probe) if latents is None else LatentProbeLearner(probe, latents)
    _train(learner, lesson, course.train, work / f"probe-{_digest(settings, course.train, lesson)}.safetensors", notify)
    probe = probe.to("cpu").eval()
    if latents is not None:
        latents.model.to("cpu")
    measured = examine(probe, held_out, latents, lambda share: notify("examining the probe", share))
    trained_on = {"episodes": len(lesson), "frames": lesson.frames, "model": course.model}
    save_probe(out, probe, trained_on=trained_on, measured=measured)
    return probe, measured


def _latents(course: ProbeCourse, latents: Latents | None) -> Latents | None:
    if course.source == "picture":
        if course.model or latents is not None:
            raise TaskError("a probe of pictures reads any model's pictures; leave model out")
        return None
    if latents is not None:
        return latents
    if not course.model:
        raise TaskError("a probe of latents is for one model; give its address as model, stable-worldmodel:<folder>")
    address = parse_address(course.model)
    if address.scheme != KIND:
        raise TaskError(f"model={course.model!r} makes no latents; {KIND}:<folder or id> does")
    return load_latents(address.target, course.pixels, read_options(address, StableWorldModelOptions))


def _train(learner: Learner, data: FrameData, config: TrainConfig, kept: Path, notify: Notify) -> None:
    """Trains to the end, from where it was."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    trainer = FrameTrainer(learner, data, config)
    train_on(trainer, kept, config.steps, lambda share: notify("training the probe", share))
    trainer.settle()


def _digest(settings: ProbeSettings, config: TrainConfig, data: FrameData) -> str:
    """What the result depends on, in a few letters."""
    matters = config.model_dump(exclude={"ahead", "compile", "device"})
    seen = [[path.parent.name, path.name] for path in data.shards]
    return digest([settings.model_dump(), matters, seen])
