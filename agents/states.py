"""The full state of worlds as plain numbers: one row a world, with a layout that names its parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..envs import EnvState, WorldVectorEnv
from ..errors import DatasetError
from ..world_models.trajectories import StatePart

_PARTS = ("simulator", "task")  # of EnvState; the rest are counters, which a trajectory knows


def flatten_state(state: EnvState) -> NDArray[np.float64]:
    """Rows (num_envs, D) with every number of the simulator's and the task's state; whole numbers stay exact."""
    return np.concatenate([values.reshape(len(values), -1).astype(np.float64) for _, values in _leaves(state)], axis=1)


def state_layout(state: EnvState) -> tuple[StatePart, ...]:
    """The parts of a row of `flatten_state`, in their order."""
    return tuple(StatePart(name, values.shape[1:], values.dtype.name) for name, values in _leaves(state))


def restore_state(
    env: WorldVectorEnv, row: NDArray[np.float64], layout: tuple[StatePart, ...], *, seed: int, episode: int, step: int
) -> None:
    """Puts a flat state into an environment of one world, which then goes on bit for bit.

    Args:
        env: with the keywords the state was recorded with, reset at least once.
        row: (D,) from `flatten_state`. layout: from `state_layout`.
        seed, episode, step: which episode it is from, and the control steps since its start.

    Raises:
        DatasetError: the environment's state has another layout.
    """
    now = env.get_state()
    if env.num_envs != 1 or state_layout(now) != layout:
        raise DatasetError("the recorded states do not fit this environment; make it with the recorded keywords")
    parts: dict[str, NDArray[Any]] = {}
    start = 0
    for part in layout:
        parts[part.name] = row[start : start + part.size].reshape(1, *part.shape).astype(part.dtype)
        start += part.size
    env.set_state(
        dataclasses.replace(
            now,
            **{name: _rebuilt(getattr(now, name), name, parts) for name in _PARTS},
            seeds=(seed,),
            episodes=np.array([episode]),
            elapsed=np.array([step]),
            done=np.zeros(1, dtype=np.bool_),
        )
    )


def _leaves(state: EnvState) -> Iterator[tuple[str, NDArray[Any]]]:
    for name in _PARTS:
        yield from _walk(getattr(state, name), name)


def _walk(value: Any, name: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for key, inner in _items(value):
        if _is_leaf(inner):
            yield f"{name}/{key}", np.asarray(inner)
        else:
            yield from _walk(inner, f"{name}/{key}")


def _rebuilt(value: Any, name: str, parts: Mapping[str, NDArray[Any]]) -> Any:
    built = {
        key: parts[f"{name}/{key}"] if _is_leaf(inner) else _rebuilt(inner, f"{name}/{key}", parts)
        for key, inner in _items(value)
    }
    return built if isinstance(value, Mapping) else dataclasses.replace(value, **built)


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return sorted(value.items())
    return [(item.name, getattr(value, item.name)) for item in dataclasses.fields(value)]


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, Mapping) and not dataclasses.is_dataclass(value)
