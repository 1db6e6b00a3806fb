"""Settings from YAML, overridden by words such as "train.steps=100" on the command line, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from ..errors import TaskError

Settings = TypeVar("Settings", bound=BaseModel)


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
    return str(_read(overrides).get(name, otherwise))


def merged(file: Path, overrides: Sequence[str], settings: type[Settings]) -> Settings:
    """The settings of a file, overridden and checked.

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    told = _read(overrides)
    try:
        found = OmegaConf.merge(OmegaConf.load(file), told)
        return settings.model_validate(OmegaConf.to_container(found, resolve=True))
    except OmegaConfBaseException as error:
        raise TaskError(f"the settings {list(overrides)} cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "model"
        raise TaskError(f"setting {name}={first['input']!r}: {first['msg']}; see {file}") from error


def _read(overrides: Sequence[str]) -> DictConfig:
    bad = next((each for each in overrides if "=" not in each), None)
    if bad is not None:
        raise TaskError(f"{bad!r} is no setting; write NAME=VALUE, such as scene=my_kitchen or train.steps=20000")
    try:
        return OmegaConf.from_dotlist(list(overrides))
    except OmegaConfBaseException as error:
        raise TaskError(f"the settings {list(overrides)} cannot be read: {error}") from error
