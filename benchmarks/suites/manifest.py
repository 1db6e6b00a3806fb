"""Manifests: what a suite consists of, episode by episode, frozen in a file.

    suite = load_suite("core-v1")
    suite.groups[0].env_id, suite.groups[0].seeds()[:3]

An episode is the first one of its seed in a group's environment, so it can be played by hand:
`gym.make(group.env_id, **group.where()).reset(seed=group.seeds()[7])`.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import SuiteError
from ...folders import new_folder
from .sketch import STATE_TOLERANCE, WORLD_TOLERANCE, Sketch

FOLDER = Path(__file__).parent
SCENES = FOLDER / "scenes"
SCHEMA = 1
_SHIPPED = "suite:"


class Group(BaseModel):
    """Episodes of one environment.

    Attributes:
        name: in tables and files. env_id, keywords: of `gym.make_vec`; `scene="suite:<name>"` is a scene or a set of
            cousins that comes with the suites. seed: of the first episode, the others follow. steps: of an episode.
        about: what it is for, in a few words. worlds: by the name of a scene, sketches of what it is made of.
        looks: by the name of a scene, sketch of what it looks like. distances: by the name of a cousin's scene, how far
            it is from the one that it was made from, in [0, 1]. starts: of every episode, sketch of its initial state.
        scenes: of every episode, the name of its scene. model: SHA-256 of the model that plays physics, if one does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    env_id: str
    keywords: dict[str, Any]
    seed: Annotated[int, Field(ge=0)]
    steps: Annotated[int, Field(ge=1)]
    about: str
    worlds: dict[str, dict[str, Sketch]]
    looks: dict[str, Sketch]
    distances: dict[str, float]
    starts: tuple[Sketch, ...]
    scenes: tuple[str, ...]
    model: str = ""

    @property
    def tolerance(self) -> float:
        """How far sketches of the same initial state may be apart: models round to single precision."""
        return WORLD_TOLERANCE if self.model else STATE_TOLERANCE

    @property
    def episodes(self) -> int:
        """How many."""
        return len(self.starts)

    def seeds(self) -> list[int]:
        """Of every episode."""
        return list(range(self.seed, self.seed + self.episodes))

    def where(self) -> dict[str, Any]:
        """The keywords for `gym.make_vec`, with paths of what comes with the suites."""
        return found_scenes(self.keywords)


class Suite(BaseModel):
    """Groups of episodes; see the module.

    Attributes:
        name, about: for people. mujoco: the version of the engine that it was frozen with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+-v[0-9]+$")]
    about: str
    mujoco: str
    groups: tuple[Group, ...]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all of it: who played the same suite names the same."""
        told = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(told.encode()).hexdigest()

    def group(self, name: str) -> Group:
        """A group by its name.

        Raises:
            SuiteError: there is none.
        """
        for group in self.groups:
            if group.name == name:
                return group
        raise SuiteError(f"{self.name} has no group {name!r}; it has {[each.name for each in self.groups]}")

    def written(self) -> str:
        """As a file, a line an episode."""
        groups = []
        for group in self.groups:
            told = group.model_dump(mode="json")
            starts = ",\n   ".join(json.dumps(each) for each in told.pop("starts"))
            head = json.dumps(told)[:-1]
            groups.append(f'{head}, "starts": [\n   {starts}]}}')
        head = json.dumps(self.model_dump(mode="json", by_alias=True, exclude={"groups"}))[:-1]
        return f'{head}, "groups": [\n' + ",\n".join(groups) + "\n]}\n"


def found_scenes(keywords: dict[str, Any]) -> dict[str, Any]:
    """Keywords with the path of a scene that comes with the suites in place of its name; it is unpacked when it is
    needed first, below `$POCKETWORLDS_CACHE` (by default `~/.cache/pocketworlds`).

    Raises:
        SuiteError: none of this name does, or it cannot be unpacked.
    """
    scene = keywords.get("scene")
    if not isinstance(scene, str) or not scene.startswith(_SHIPPED):
        return dict(keywords)
    return {**keywords, "scene": str(_unpacked(SCENES / f"{scene.removeprefix(_SHIPPED)}.zip"))}


def _unpacked(packed: Path) -> Path:
    if not packed.is_file():
        raise SuiteError(f"{packed.stem!r} comes with no version of the suites that is here: {packed} is missing")
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    root = Path(os.environ.get("POCKETWORLDS_CACHE") or Path.home() / ".cache" / "pocketworlds")
    place = root / "suites" / f"{packed.stem}-{digest[:16]}"
    if not place.is_dir():
        try:
            with new_folder(place, replace=False, marks=(), noun="scene", error=SuiteError) as folder:
                zipfile.ZipFile(packed).extractall(folder)
        except SuiteError:
            if not place.is_dir():  # another process was quicker
                raise
    return place


def suite_names() -> list[str]:
    """Those that come with PocketWorlds."""
    return sorted(path.stem for path in FOLDER.glob("*-v*.json"))


def load_suite(name: str | Path) -> Suite:
    """A suite that comes with PocketWorlds, or that a file describes.

    Raises:
        SuiteError: there is none, or the file is damaged.
    """
    path = FOLDER / f"{name}.json" if str(name) in suite_names() else Path(name)
    if not path.is_file():
        raise SuiteError(f"there is no suite {str(name)!r}; there are {suite_names()}, or give a manifest's file")
    try:
        suite = Suite.model_validate_json(path.read_bytes())
    except (ValidationError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SuiteError(f"{path} is no manifest of a suite: {where}: {first['msg']}") from error
    for group in suite.groups:
        if len(group.scenes) != group.episodes or not set(group.scenes) <= set(group.worlds):
            raise SuiteError(f"{path}: group {group.name!r} has scenes and initial states that do not go together")
    return suite
