"""One recorded episode in memory, whatever format it came from or goes to."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError

DTYPES = ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
"""Element types all formats keep exactly."""
_MOST_AXES = 5  # LeRobot has columns of up to five axes

Array = NDArray[Any]


@dataclass(frozen=True)
class StatePart:
    """One named array in a flattened simulator state: its path, its shape and its element type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """Numbers it takes in the flat state."""
        return int(np.prod(self.shape, dtype=np.int64))


@dataclass(frozen=True)
class Origin:
    """Where trajectories come from; the same for all of a data set.

    Attributes:
        env_id, keywords: make the environment anew, `gym.make(env_id, **keywords)`; the keywords are plain JSON.
        max_episode_steps: control steps after which episodes were truncated, None for never.
        control_rate: control steps per second. policy: what acted, in words.
        bare: the environment's observation is an array, the only entry of `observations`, and not a dict.
        bounds: (low, high) of `action` and of observations by name, None for infinite.
        state_layout: the parts of a row of `Trajectory.states` in their order.
        versions: of the packages that decide about exact replay.
    """

    env_id: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    max_episode_steps: int | None = None
    control_rate: int = 20
    policy: str = ""
    bare: bool = False
    bounds: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    state_layout: tuple[StatePart, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Origin:
        """The inverse of `to_json`; entries a newer version added are left out."""
        given = {item.name: data[item.name] for item in dataclasses.fields(cls) if item.name in data}
        given["state_layout"] = tuple(
            StatePart(part["name"], tuple(part["shape"]), part["dtype"]) for part in given.get("state_layout", ())
        )
        given["bounds"] = {name: (low, high) for name, (low, high) in given.get("bounds", {}).items()}
        return cls(**given)


@dataclass(frozen=True)
class Schema:
    """What all trajectories of a data set have in common: shapes of one step, element types, and what is there."""

    observations: dict[str, tuple[tuple[int, ...], str]]
    action: tuple[tuple[int, ...], str]
    final: bool
    states: int | None
    last_state: bool

    @classmethod
    def of(cls, trajectory: Trajectory) -> Schema:
        """The schema of one trajectory."""
        return cls(
            {name: (values.shape[1:], values.dtype.name) for name, values in trajectory.observations.items()},
            (trajectory.actions.shape[1:], trajectory.actions.dtype.name),
            trajectory.has_final,
            None if trajectory.states is None else trajectory.states.shape[1],
            trajectory.states is not None and len(trajectory.states) > len(trajectory),
        )


@dataclass(frozen=True, eq=False)
class Trajectory:
    """An episode of T steps.

    Attributes:
        observations: by name, (T + 1, ...): what was seen before each step, and after the last. Data sets of others may
            lack the last one: (T, ...).
        actions: (T, A), as executed. rewards: (T,) float64.
        terminated, truncated: (T,) bool, as `step` returned them. success: (T,) bool, `info["is_success"]`.
        instruction: what was asked for.
        seed, episode: `env.reset(seed=seed, options={"episode": episode})` starts it again; None if not known.
        states: (T + 1, D) float64, the simulator's and the task's full state at each observation; see
            `Origin.state_layout`; None if not recorded.
        origin: the environment and the policy.
        intended: (T, A), what the policy meant to do, where something else was added to what it did; None if that is
            the same, or not known. Formats of others do not keep it.
        lossy: names of the observations that went through a lossy video: close, and not exact.
    """

    observations: dict[str, Array]
    actions: Array
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    success: NDArray[np.bool_]
    instruction: str = ""
    seed: int | None = None
    episode: int | None = None
    states: NDArray[np.float64] | None = None
    origin: Origin = field(default_factory=Origin)
    intended: Array | None = None
    lossy: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Checks shapes and types.

        Raises:
            DatasetError: the parts do not fit together.
        """
        steps = len(self.actions)
        if self.actions.ndim < 2 or steps == 0:
            raise DatasetError(f"a trajectory needs actions (T, A) with T > 0, got {self.actions.shape}")
        if not self.observations:
            raise DatasetError("a trajectory needs at least one observation")
        if self.origin.bare and len(self.observations) != 1:
            raise DatasetError(f"an array observation is one entry, got {sorted(self.observations)}")
        if len({len(values) for values in self.observations.values()}) != 1:
            raise DatasetError(f"observations differ in length: { {k: len(v) for k, v in self.observations.items()} }")
        for name, values in {**self.observations, "action": self.actions}.items():
            if not name.isidentifier():
                raise DatasetError(f"observation name {name!r} must be letters, digits and underscores")
            if name == "action" and values is not self.actions:
                raise DatasetError("an observation cannot be called 'action'; rename it")
            if values.dtype.name not in DTYPES:
                raise DatasetError(f"{name} has elements of type {values.dtype}; supported are {', '.join(DTYPES)}")
            if values.ndim > 1 + _MOST_AXES or 0 in values.shape:
                raise DatasetError(f"{name} has shape {values.shape}; up to {_MOST_AXES} axes a step, none empty")
        if len(next(iter(self.observations.values()))) not in (steps, steps + 1):
            raise DatasetError(f"{steps} actions go with {steps + 1} observations, not with {self.num_observations}")
        for name in ("rewards", "terminated", "truncated", "success"):
            values = getattr(self, name)
            wanted = np.dtype(np.float64 if name == "rewards" else np.bool_)
            if values.shape != (steps,) or values.dtype != wanted:
                raise DatasetError(f"{name} must be {wanted} ({steps},), got {values.dtype} {values.shape}")
        if self.states is not None and (
            self.states.ndim != 2
            or len(self.states) not in (steps, steps + 1)
            or self.states.dtype != np.float64
            or self.states.shape[1] == 0
        ):
            raise DatasetError(f"states must be float64 ({steps + 1}, D), got {self.states.dtype} {self.states.shape}")

        if self.intended is not None and self.intended.shape != self.actions.shape:
            raise DatasetError(f"intended actions must be {self.actions.shape}, got {self.intended.shape}")

    def __len__(self) -> int:
        """Number of steps T."""
        return len(self.actions)

    @property
    def num_observations(self) -> int:
        """T + 1, or T if the last observation is missing."""
        return len(next(iter(self.observations.values())))

    @property
    def has_final(self) -> bool:
        """Whether the observation after the last step is there."""
        return self.num_observations == len(self) + 1

    @property
    def succeeded(self) -> bool:
        """Success at the end."""
        return bool(self.success[-1])

    def observation(self, step: int) -> Any:
        """What the environment gave before step `step`: an array, or a dict of arrays."""
        if self.origin.bare:
            return next(iter(self.observations.values()))[step]
        return {name: values[step] for name, values in self.observations.items()}

    def differences(self, other: Trajectory) -> tuple[str, ...]:
        """Names of the parts that are not the same bit for bit, NaNs included; empty if all are."""
        mine, theirs = _parts(self), _parts(other)
        return tuple(sorted(name for name in mine | theirs if not _same(mine.get(name), theirs.get(name))))


def _parts(trajectory: Trajectory) -> dict[str, Any]:
    parts = {item.name: getattr(trajectory, item.name) for item in dataclasses.fields(trajectory)}
    return {**{f"observations/{name}": values for name, values in parts.pop("observations").items()}, **parts}


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return type(a) is type(b) and bool(a == b)


def alike(trajectories: Iterable[Trajectory]) -> Iterator[Trajectory]:
    """Passes trajectories on and makes sure that they belong together.

    Raises:
        DatasetError: there are none, or one differs from the first in its origin, shapes or types.
    """
    first: Trajectory | None = None
    for index, trajectory in enumerate(trajectories):
        if first is None:
            first = trajectory
        elif Schema.of(trajectory) != Schema.of(first) or trajectory.origin != first.origin:
            raise DatasetError(
                f"trajectory {index} does not belong with the first: another environment, other shapes or element "
                "types; write them to data sets of their own"
            )
        yield trajectory
    if first is None:
        raise DatasetError("there are no trajectories to write")


def is_picture(shape: tuple[int, ...], dtype: str) -> bool:
    """Whether an observation is an RGB picture: uint8 (height, width, 3)."""
    return dtype == "uint8" and len(shape) == 3 and shape[2] == 3
