"""The settings of `pocketworlds train neural`: from YAML in `conf/neural/`, overridden on the command line, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import gymnasium as gym
from pydantic import BaseModel, ConfigDict, Field

from ..envs.catalogue import known_ids
from ..errors import TaskError
from ..world_models.hybrid.training import TrainConfig
from .experience import Practice
from .learners import Learning
from .overrides import given, merged
from .train_neural import Course

FOLDER = Path(__file__).parents[1] / "conf" / "neural"
_APART = 100_000  # seeds between two practices; those of tests and training of policies are far below the first
FIRST_SEED = 10_000_000
ALONE = 3
"""How many times as many episodes a practice has that is the only one."""
_JITTER = 0.03  # [m]: things are seen in other places than where they were scanned, too
_SCAN = "PocketWorlds/Scan-v0"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainSettings(_Strict):
    """How long and how fast; see `TrainConfig`."""

    steps: Annotated[int, Field(ge=1)] = 9000
    rate: Annotated[float, Field(gt=0, lt=1)] = 1.5e-3


class PracticeSettings(_Strict):
    """What is played; `conf/neural/panda.yaml` says what the settings mean."""

    robot: str
    seed: Annotated[int, Field(ge=0)] = 0
    scene: str | None = None
    only: str | None = None
    practice: dict[str, int]
    scene_practice: dict[str, int]


class NeuralSettings(PracticeSettings):
    """All settings; `conf/neural/panda.yaml` says what they mean."""

    model: Literal["hybrid"] = "hybrid"
    train: TrainSettings = TrainSettings()
    members: Annotated[int, Field(ge=1, le=16)] = 3
    width: Annotated[int, Field(ge=8, le=2048)] = 192
    depth: Annotated[int, Field(ge=1, le=16)] = 3
    servos: Annotated[float, Field(ge=1, le=3)] = 1.5
    rounds: Annotated[int, Field(ge=0, le=3)] = 0
    learner_steps: Annotated[int, Field(ge=1)] = Learning.steps


def read_settings(overrides: Sequence[str]) -> NeuralSettings:
    """The settings of the robot that `overrides` ("robot=hand", "train.steps=100", ...) name, the Panda's by default.

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    robot = given(overrides, "robot", "panda")
    file = FOLDER / f"{robot}.yaml"
    if not file.is_file():
        file = FOLDER / "panda.yaml"  # any other arm learns the same way
    return merged(file, overrides, NeuralSettings)


def make_course(settings: NeuralSettings) -> Course:
    """What is played and how it is learned.

    Raises:
        TaskError: there is no such environment, or the scene suits none of the tasks.
    """
    practices = make_practices(settings, servos=settings.servos)
    train = TrainConfig(steps=settings.train.steps, rate=settings.train.rate, seed=settings.seed)
    sizes = {name: getattr(settings, name) for name in ("members", "width", "depth", "rounds")}
    return Course(practices, train, learning=Learning(steps=settings.learner_steps), **sizes)


def make_practices(settings: PracticeSettings, **more: Any) -> tuple[Practice, ...]:
    """What is played; `more` is given to each `Practice`.

    Raises:
        TaskError: see `make_course`.
    """
    table = settings.practice if settings.scene is None else settings.scene_practice
    if settings.only is not None and settings.only not in table:
        raise TaskError(f"only={settings.only!r} is nothing to practise; choose one of {list(table)}")
    reasons: dict[str, str] = {}
    practices = tuple(
        Practice(env_id, episodes, seed=FIRST_SEED + settings.seed + _APART * number, keywords=keywords, **more)
        for number, (name, env_id, keywords, episodes) in enumerate(_chosen(settings, reasons))
        if episodes > 0 and settings.only in {None, name}
    )
    if not practices:
        wanted = [settings.only] if settings.only is not None else list(settings.scene_practice)
        why = next((f" ({reasons[name]})" for name in wanted if name in reasons), "")
        raise TaskError(f"nothing to practise: scene={settings.scene!r} suits none of {wanted}{why}")
    if settings.only is None:
        return practices
    return tuple(replace(each, episodes=ALONE * each.episodes) for each in practices)


def _chosen(settings: PracticeSettings, reasons: dict[str, str]) -> Iterator[tuple[str, str, dict[str, Any], int]]:
    """Names in the settings, environments, keywords and numbers of episodes; `reasons` why others are left out."""
    if settings.scene is None:
        robot = {} if settings.robot in {"panda", "hand"} else {"robot": settings.robot}
        for name, episodes in settings.practice.items():
            yield name, known_ids([name])[0], dict(robot), episodes
        return
    for task, episodes in settings.scene_practice.items():
        keywords: dict[str, Any] = {
            "scene": settings.scene,
            "task": task,
            "robot": settings.robot,
            "object_jitter": _JITTER,
        }
        try:
            gym.make_vec(_SCAN, num_envs=1, **keywords).close()
        except TaskError as error:
            reasons[task] = str(error)
            continue
        yield task, _SCAN, keywords, episodes
