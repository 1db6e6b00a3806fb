"""What a run of a suite leaves behind: `results.json`, and what makes another one refuse it.

Everything that is told of an episode can be computed anew by playing it (`bench check --replay`), so a file that was
changed is found out. What needs no playing is checked whenever a file is read: its schema, its digest, that it has the
very episodes of its suite with their initial states, and that what it says of each makes sense.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...errors import SuiteError
from ..suites.manifest import Suite, load_suite, suite_names
from ..suites.sketch import Sketch, same
from ..words import printable

FILE = "results.json"
SCHEMA = 1
_LARGEST = 64 << 20
_DEEPEST, _WIDEST, _LONGEST = 12, 100, 4000  # nested values, names of an object, characters of a text
Text = Annotated[str, Field(max_length=2000)]
Finite = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Episode(_Strict):
    """One episode.

    Attributes:
        number, seed, scene: which it was. start: sketch of its initial state. success: at its end. ever: at any step.
        error: the physics diverged, which counts as a failure. reward: sum of all rewards. first_success: [s].
        energy: [J], None where no physics tells it. smoothness, peak_force [N]: see `Measures`.
        decisions: how often the agent was asked.
    """

    number: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]
    scene: Text
    start: Annotated[Sketch, Field(strict=False)]
    success: bool
    ever: bool
    error: bool
    reward: Positive
    first_success: Positive | None
    energy: Positive | None
    smoothness: Finite | None
    peak_force: Positive
    decisions: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _sensible(self) -> Episode:
        if self.success and not self.ever:
            raise ValueError("it succeeds at the end and at no step")
        if self.ever != (self.first_success is not None):
            raise ValueError("the time of its first success does not go with whether it had one")
        if self.success and self.error:
            raise ValueError("it succeeds although its physics diverged")
        return self


class Played(_Strict):
    """A group's episodes, in their order."""

    name: Text
    episodes: Annotated[tuple[Episode, ...], Field(strict=False)]


class AgentTold(_Strict):
    """Who played.

    Attributes:
        name: for people. address: for `load_agent`. privileged: whether it looks behind observations.
        keywords: how it sees and acts. files: SHA-256 of what it is made of, by group and name.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    address: Text
    privileged: bool
    keywords: dict[str, Any]
    files: dict[str, dict[str, Text]]


class Latency(_Strict):
    """Seconds of a decision for one world, and the control steps it lasts.

    Attributes:
        median, slow: [s], the second exceeded by one in twenty. steps: control steps of a decision.
        decisions: how many were timed.
    """

    median: Positive
    slow: Positive
    steps: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    decisions: Annotated[int, Field(ge=1)]


class Results(_Strict):
    """A run.

    Attributes:
        suite, suite_sha256: what was played. agent: by whom. played: group by group. latency: of a decision.
        machine: hardware and versions. command: that makes the same. seconds: of wall time, all runs of it together.
        sha256: of all the rest.
    """

    schema_version: Annotated[int, Field(alias="schema")] = SCHEMA
    suite: Text
    suite_sha256: Text
    agent: AgentTold
    played: Annotated[tuple[Played, ...], Field(strict=False)]
    latency: Latency
    machine: dict[Text, Text | int | float | None]
    command: Text
    seconds: Positive
    sha256: Text = ""

    def digest(self) -> str:
        """SHA-256 of all but itself."""
        told = json.dumps(self.model_dump(mode="json", by_alias=True, exclude={"sha256"}), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    def signed(self) -> Results:
        """The same with its digest."""
        return self.model_copy(update={"sha256": self.digest()})

    def written(self) -> str:
        """As a file, a line an episode."""
        told = self.model_dump(mode="json", by_alias=True)
        groups = [
            f'  {{"name": {json.dumps(each["name"])}, "episodes": [\n   '
            + ",\n   ".join(json.dumps(row) for row in each["episodes"])
            + "\n  ]}"
            for each in told.pop("played")
        ]
        return json.dumps(told, indent=1)[:-2] + ',\n "played": [\n' + ",\n".join(groups) + "\n ]\n}\n"

    def group(self, name: str) -> tuple[Episode, ...]:
        """Episodes of a group."""
        return next(each.episodes for each in self.played if each.name == name)


def load_results(path: str | Path, suites: Mapping[str, Suite] | None = None) -> Results:
    """Reads results, and checks all that can be checked without playing.

    Args:
        path: of the file, or of the folder that it is in. suites: by name, those that do not come with PocketWorlds.

    Raises:
        SuiteError: it is no such file, damaged, incomplete, was changed, or is of another suite; the message says why,
            and can be printed on any terminal.
    """
    try:
        return _load(Path(path), suites or {})
    except SuiteError as error:
        raise SuiteError(printable(str(error))) from error


def _load(file: Path, suites: Mapping[str, Suite]) -> Results:
    try:
        file = file / FILE if file.is_dir() else file
        told = file.stat()
        if not stat.S_ISREG(told.st_mode):
            raise SuiteError(f"{file} is no ordinary file")  # a pipe would never end
        if told.st_size > _LARGEST:
            raise SuiteError(f"{file} is larger than {_LARGEST >> 20} MiB: no results are")
        found = json.loads(file.read_bytes(), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once)
        _sane(found)
        results = Results.model_validate(found)
        missing = {"schema", "sha256"} - set(found)
        if missing:
            raise ValueError(f"it has no {missing.pop()!r}")
    except OSError as error:
        raise SuiteError(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SuiteError(f"{file} is no valid results file: {where}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:  # no JSON, no text
        if isinstance(error, SuiteError):
            raise
        raise SuiteError(f"{file} is no valid results file: {error}") from error
    try:
        check_results(results, suites)
    except SuiteError as error:
        raise SuiteError(f"{file} is refused: {error}") from error
    return results


def check_results(results: Results, suites: Mapping[str, Suite]) -> None:
    """Compares results with their suite; see `load_results`.

    Raises:
        SuiteError: they do not go together.
    """
    if results.schema_version != SCHEMA:
        raise SuiteError(f"its schema is version {results.schema_version}, this program reads {SCHEMA}")
    if results.digest() != results.sha256:
        raise SuiteError("its digest does not match what it says: it was changed or cut off after it was written")
    suite = suites.get(results.suite)
    if suite is None:
        if results.suite not in suite_names():  # a name alone: a submission brings no suite of its own
            raise SuiteError(f"there is no suite {results.suite[:100]!r}; there are {[*suite_names(), *suites]}")
        suite = load_suite(results.suite)
    if results.suite_sha256 != suite.digest:
        raise SuiteError(f"it is of a {suite.name} that is not the {suite.name} known here")
    names = [each.name for each in results.played]
    if names != [each.name for each in suite.groups]:
        raise SuiteError(f"it has the groups {names}, {suite.name} has {[each.name for each in suite.groups]}")
    for played in results.played:
        group = suite.group(played.name)
        if len(played.episodes) != group.episodes:
            raise SuiteError(f"{group.name} has {len(played.episodes)} episodes of {group.episodes}")
        for number, episode in enumerate(played.episodes):
            where = f"{group.name}, episode {number}"
            if (episode.number, episode.seed) != (number, group.seed + number):
                raise SuiteError(f"{where}: it says number {episode.number} and seed {episode.seed}")
            if episode.scene != group.scenes[number]:
                raise SuiteError(f"{where}: it was played in {episode.scene!r}, should be {group.scenes[number]!r}")
            if not same(episode.start, group.starts[number], group.tolerance):
                raise SuiteError(f"{where}: it did not begin in the suite's initial state")
            if episode.reward > group.steps or episode.decisions > group.steps:
                raise SuiteError(f"{where}: an episode of {group.steps} steps cannot have such a return or decisions")
            if not math.isfinite(sum(episode.start)):
                raise SuiteError(f"{where}: its initial state is not finite")


def _no_constant(name: str) -> float:
    raise ValueError(f"it has the number {name}")


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"it has the number {text[:40]}, which is beyond all numbers")
    return found


def _sane(value: Any, depth: int = 0) -> None:
    """Refuses what nobody could show: deep nests, endless lists of names, halves of characters."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, str):
        if len(value) > _LONGEST:
            raise ValueError(f"it has a text of {len(value)} characters")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError("it has half a character") from error
    elif isinstance(value, dict):
        if len(value) > _WIDEST:
            raise ValueError(f"it has an object of {len(value)} names")
        for name, inner in value.items():
            _sane(name, depth + 1)
            _sane(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _sane(inner, depth + 1)


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """An object none of whose names comes twice: readers would differ in which counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice in an object")
    return found
