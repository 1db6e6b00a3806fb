"""What happens in worlds, frame by frame: in physics, and where the same actions are played elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs import WorldVectorEnv
from ...envs.tasks.object_task import ObjectTask
from ...envs.tasks.part_task import PartTask

Array = NDArray[Any]

UNCERTAINTY, STRANGENESS, FLAG = "neural/uncertainty", "neural/strangeness", "neural/ood"
"""Infos of a model that says how sure it is: a bound [m] on how far things are off, how strange it finds them, and
whether it is out of its depth, for either reason: what `on_ood` goes by."""


@dataclass(frozen=True)
class Trace:
    """F frames of n worlds; the first is where they began.

    Attributes:
        object_pos: (F, n, K, 3) [m]. object_mat: (F, n, K, 3, 3). handle_pos: (F, n, P, 3) [m].
        joint_pos: (F, n, J). hand: (F, n, 3) the grip or the palm [m]. force: (F, n, C) on pads or tips [N].
        target: (F, n, 3) what the task is about [m]. success: (F, n). reward: (F, n), the dense one.
        uncertainty, strangeness, flagged: (F, n), NaN where the model does not say. broken: (n,) worlds that diverged,
            whose frames from there on mean nothing.
    """

    object_pos: Array
    object_mat: Array
    handle_pos: Array
    joint_pos: Array
    hand: Array
    force: Array
    target: Array
    success: Array
    reward: Array
    uncertainty: Array
    strangeness: Array
    flagged: Array
    broken: Array

    def worlds(self, rows: Any) -> Trace:
        """Some of its worlds."""
        return Trace(**{f.name: getattr(self, f.name)[:, rows] for f in fields(self)[:-1]}, broken=self.broken[rows])

    def frozen(self) -> Trace:
        """The same if nothing had moved since the first frame: copy-last."""
        count = len(self.hand)
        held = {f.name: np.repeat(getattr(self, f.name)[:1], count, axis=0) for f in fields(self)[:-1]}
        return Trace(**held, broken=np.zeros_like(self.broken))

    @classmethod
    def joined(cls, several: Sequence[Trace]) -> Trace:
        """Worlds of several, one after another."""
        names = [f.name for f in fields(cls)]
        found = {name: [getattr(each, name) for each in several] for name in names}
        return cls(**{name: np.concatenate(parts, axis=0 if name == "broken" else 1) for name, parts in found.items()})


class Aim:
    """What the episodes that have just begun are about, for as long as they last: tasks with several things go on."""

    def __init__(self, env: WorldVectorEnv) -> None:
        """Looks at the task's targets now."""
        self._rows, task = np.arange(env.num_envs), env.task
        self._object = task.target.copy() if isinstance(task, ObjectTask) else None
        self._part = task.part_index().copy() if isinstance(task, PartTask) else None

    def place(self, env: WorldVectorEnv) -> Array:
        """Where the targets are, (n, 3) [m]."""
        sensors = env.sensors()
        if self._object is not None:
            return sensors["object_pos"][self._rows, self._object]
        if self._part is not None:
            return sensors["handle_pos"][self._rows, self._part]
        return env.task.place(sensors)


class Recorder:
    """Appends frames of an environment."""

    def __init__(self, env: WorldVectorEnv, aim: Aim | None = None) -> None:
        """Begins with the frame that there is now; `aim` is that of the episodes' beginnings."""
        self._env, self._aim = env, aim or Aim(env)
        self._frames: list[dict[str, Array]] = []
        self.broken = np.zeros(env.num_envs, dtype=np.bool_)
        now = env.task.evaluate(env.sensors())
        self._look({}, now.success, now.dense)

    def step(self, action: Array) -> tuple[Any, dict[str, Any]]:
        """Plays one action (num_envs, action_size); gives the observation and infos.

        A world that diverges is begun anew and counts as broken.
        """
        observation, _, _, _, info = self._env.step(action)
        reward = self._env.task.evaluate(self._env.sensors()).dense  # whatever the environment rewards
        failed = np.asarray(info["physics_error"], dtype=np.bool_)
        self._look(info, info["is_success"] & ~self.broken, reward)
        if failed.any():
            self.broken |= failed
            observation, _ = self._env.reset(options={"reset_mask": failed})
        return observation, info

    def trace(self) -> Trace:
        """What was seen."""
        found = {name: np.stack([frame[name] for frame in self._frames]) for name in self._frames[0]}
        return Trace(**found, broken=self.broken.copy())

    def _look(self, info: dict[str, Any], success: Array, reward: Array) -> None:
        env, s = self._env, self._env.sensors()
        arm = "grip_pos" in s
        frame = {
            "object_pos": s["object_pos"],
            "object_mat": s["object_mat"],
            "handle_pos": s["handle_pos"],
            "joint_pos": s["joint_pos"],
            "hand": s["grip_pos"] if arm else s["palm_pos"],
            "force": s["pad_force"] if arm else s["tip_force"],
            "target": self._aim.place(env),
            "reward": reward,
            "uncertainty": info.get(UNCERTAINTY, np.full(env.num_envs, np.nan)),
            "strangeness": info.get(STRANGENESS, np.full(env.num_envs, np.nan)),
            "flagged": info.get(FLAG, np.full(env.num_envs, np.nan)),
        }
        kept = {name: np.array(values, dtype=np.float32) for name, values in frame.items()}
        self._frames.append(kept | {"success": np.array(success, dtype=np.bool_)})


def follow(
    env: WorldVectorEnv,
    actions: Array,
    aim: Aim | None = None,
    *,
    after: Callable[[int], None] | None = None,
) -> Trace:
    """Plays actions (T, num_envs, action_size), whatever comes, from where the worlds are: T + 1 frames.

    `after` is called with the number of steps played, 1 to T.
    """
    recorder = Recorder(env, aim)
    for number, action in enumerate(actions):
        recorder.step(action)
        if after is not None:
            after(number + 1)
    return recorder.trace()
