"""The settings of `pocketworlds train neural`: from YAML in `conf/neural/`, overridden on the command line, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import gymnasium as gym
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..envs.catalogue import known_ids
from ..errors import TaskError
from ..world_models.hybrid.training import TrainConfig
from .experience import Practice
from .train_neural import Course

FOLDER = Path(__file__).parents[1] / "conf" / "neural"
_APART = 100_000  # seeds between two practices; those of tests and training of policies are far below the first
FIRST_SEED = 10_000_000
ALONE = 3
"""How many times as many episodes a practice has that is the only one."""
_JITTER = 0.03  # [m]: things are seen in other places than where they were scanned, too
_SCAN = "PocketWorlds/Scan-v0"
Settings = TypeVar("Settings", bound=BaseModel)


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


def settings_file(folder: Path, overrides: Sequence[str], name: str, otherwise: str) -> Path:
    """The file in a folder that `overrides` name by one of its settings, such as size=state_nano.

    Raises:
        TaskError: there is none of that name, or an override is no setting.
    """
    chosen = given(overrides, name, otherwise)
    file = folder / f"{chosen}.yaml"
    if not file.is_file():
        known = sorted(each.stem for each in folder.glob("*.yaml"))
        raise TaskError(f"{name}={chosen!r} is not known; there are {known}")
    return file


def given(overrides: Sequence[str], name: str, otherwise: str) -> str:
    """What `overrides` say of a setting.

    Raises:
        TaskError: one of them is no setting.
    """
    bad = next((each for each in overrides if "=" not in each), None)
    if bad is not None:
        raise TaskError(f"{bad!r} is no setting; write NAME=VALUE, such as scene=my_kitchen or train.steps=20000")
    try:
        return str(OmegaConf.from_dotlist(list(overrides)).get(name, otherwise))
    except OmegaConfBaseException as error:
        raise TaskError(f"the settings {list(overrides)} cannot be read: {error}") from error


def merged(file: Path, overrides: Sequence[str], settings: type[Settings]) -> Settings:
    """The settings of a file, overridden and checked.

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    try:
        found = OmegaConf.merge(OmegaConf.load(file), OmegaConf.from_dotlist(list(overrides)))
        return settings.model_validate(OmegaConf.to_container(found, resolve=True))
    except OmegaConfBaseException as error:
        raise TaskError(f"the settings {list(overrides)} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "model"
        raise TaskError(f"setting {name}={first['input']!r}: {first['msg']}; see {file}") from error


def make_course(settings: NeuralSettings) -> Course:
    """What is played and how it is learned.

    Raises:
        TaskError: there is no such environment, or the scene suits none of the tasks.
    """
    practices = make_practices(settings)
    train = TrainConfig(steps=settings.train.steps, rate=settings.train.rate, seed=settings.seed)
    return Course(practices, train, members=settings.members, width=settings.width)


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
