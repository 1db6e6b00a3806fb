"""Replay: the same starts and the same actions in physics and in the model, whole episodes and stretches of them.

Two things are asked. Of whole episodes, what they end in: a model that is alone from the start to the end may call a
failed episode a success (optimism) or the other way round (pessimism). Of stretches that begin mid-episode, in the very
state of physics, how far off it is after 1, 5, 10, 20 and 50 control steps. Beside the model are two others that know
less: copy-last (nothing moves any more) and the model under another episode's actions. And one that knows all: physics
again, with every joint of the robot nudged by next to nothing at every step. What it makes of whole episodes is as much
as can be asked of a model: where things roll and slip, the same actions do not lead to the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...envs import WorldVectorEnv
from ...envs.backends.physics import PhysicsSimulator
from ...errors import MissingDependencyError
from ..statistics import f1, wilson
from .adopt import adopt
from .errors import Errors
from .pictures import Likeness, Pictures, lpips_distance, moving
from .record import Notify, Record, Window, both
from .subject import Subject
from .trace import Aim, Array, Trace, follow

ROWS = ("model", "copy-last", "shuffled actions")
NUDGE = 1e-4
"""Standard deviation [rad] of the nudges; of an arm's fingertip, about 0.1 mm."""


def replay(subject: Subject, record: Record, *, size: int, camera: str, notify: Notify) -> dict[str, Any]:
    """Replays what was recorded.

    Args:
        subject: what is audited. record: of it. size: of pictures [pixels], 0: none are drawn. camera: they are from.
        notify: told how far it is.

    Returns:
        `episodes`, `windows`, `success`, `nudged` and `pictures` (None without), see docs/audit.md.
    """
    whole, stretches = {row: Errors() for row in ROWS}, {row: Errors() for row in ROWS}
    gallery = Gallery(camera, size) if size else None
    ends: list[Trace] = []
    nudged: list[Trace] = []
    told, mid = record.shuffled, True  # mid-episode, if the model can be put there
    reach = tuple(sorted({*record.horizons, record.steps}))
    for number, chunk in enumerate(record.chunks):
        physics, model = both(subject, len(chunk.seeds))
        try:
            actions, others = record.actions[:, chunk.rows], told[:, chunk.rows]
            truth = record.trace.worlds(chunk.rows)
            model.reset(seed=chunk.seeds)
            found = follow(model, actions)
            model.reset(seed=chunk.seeds)
            other = follow(model, others)
            for row, trace in zip(ROWS, (found, truth.frozen(), other), strict=True):
                whole[row].add(truth, trace, reach, chunk.episodes, lost=found.broken)
            ends.append(found)
            physics.reset(seed=chunk.seeds)
            nudged.append(follow(physics, actions, after=_Nudges(physics, chunk.seeds, record.steps).give))
            physics.reset(seed=chunk.seeds)
            begun = Window(np.zeros(len(chunk.seeds), dtype=np.int64), physics.get_state())
            for place, window in enumerate(chunk.windows):
                physics.set_state(window.state)
                mid = mid and adopt(model, physics)
                if not mid:
                    break
                stretch = _Stretch(physics, model, window, record.horizons, gallery)
                real, mine = stretch.real(actions), stretch.foreseen("model", actions)
                another = stretch.foreseen("shuffled actions", others)
                for row, trace in zip(ROWS, (mine, real.frozen(), another), strict=True):
                    stretches[row].add(real, trace, record.horizons, chunk.episodes, lost=mine.broken)
                if gallery is not None:
                    gallery.compare(real.broken | mine.broken | another.broken)
                share = (place + 1) / len(chunk.windows)
                notify("replaying", min((number + share) / len(record.chunks), 0.999))
            if not mid and gallery is not None:
                physics.set_state(begun.state)
                stretch = _Stretch(physics, model, begun, record.horizons, gallery, seeds=chunk.seeds)
                stretch.real(actions)
                stretch.foreseen("model", actions)
                stretch.foreseen("shuffled actions", others)
                gallery.compare(truth.broken | found.broken | other.broken)
        finally:
            physics.close()
            model.close()
    notify("replaying", 1.0)
    return {
        "episodes": {row: errors.figures() for row, errors in whole.items()},
        "windows": {row: errors.figures() for row, errors in stretches.items()} if mid else None,
        "success": outcomes(record.trace, Trace.joined(ends)),
        "nudged": {"rad": NUDGE, **outcomes(record.trace, Trace.joined(nudged))},
        "pictures": None if gallery is None else gallery.figures(),
        "no_pictures": "" if gallery is None else gallery.missing,
    }


def outcomes(truth: Trace, found: Trace) -> dict[str, Any]:
    """What whole episodes end in, there and here: counts, F1, optimism and pessimism with 95 % Wilson intervals."""
    good = np.asarray(~truth.broken)
    result: dict[str, Any] = {"episodes": int(good.sum()), "broken": int((found.broken & good).sum())}
    ends: dict[str, tuple[Array, Array]] = {
        "at_end": (truth.success[-1], np.asarray(found.success[-1] & ~found.broken)),
        "ever": (np.asarray(truth.success.any(axis=0)), np.asarray(found.success.any(axis=0))),
    }
    for name, sides in ends.items():
        real, said = (side[good] for side in sides)
        failed, succeeded = int((~real).sum()), int(real.sum())
        rosy, bleak = int((~real & said).sum()), int((real & ~said).sum())
        result[name] = {
            "physics": succeeded,
            "model": int(said.sum()),
            "f1": f1(real, said),
            "agree": float((real == said).mean()) if len(real) else None,
            "optimism": _share(rosy, failed),
            "pessimism": _share(bleak, succeeded),
        }
    return result


class _Nudges:
    """Nudges the joints that the robot is driven by, in each world as its seed says."""

    def __init__(self, physics: WorldVectorEnv, seeds: Sequence[int], steps: int) -> None:
        assert isinstance(physics.simulator, PhysicsSimulator)
        joints = physics.world.joint_qpos
        self._positions, self._joints = physics.simulator.batch.bind("qpos"), joints
        drawn = [np.random.default_rng([seed, 21]).normal(0.0, NUDGE, (steps, len(joints))) for seed in seeds]
        self._nudges = np.stack(drawn, axis=1)

    def give(self, step: int) -> None:
        """After `step` control steps."""
        self._positions[:, self._joints] += self._nudges[step - 1]


class Gallery:
    """Draws a stretch as several saw it, and measures how alike the pictures are."""

    def __init__(self, camera: str, size: int) -> None:
        self._camera, self._size = camera, size
        distance, self.lpips_missing = lpips_distance()
        self._rows: dict[tuple[str, int], Likeness] = {}
        self._distance = distance
        self._held: dict[str, dict[int, Pictures]] = {}
        self.missing = ""

    def see(self, who: str, step: int, env: WorldVectorEnv) -> None:
        """Draws all worlds after `step` control steps; without a renderer here, nothing from then on."""
        if self.missing:
            return
        try:
            drawn = env.simulator.images(
                np.arange(env.num_envs), self._camera, ("rgb",), width=self._size, height=self._size
            )
        except MissingDependencyError as error:
            self.missing = str(error)
            return
        self._held.setdefault(who, {})[step] = drawn["rgb"].copy()

    def compare(self, broken: Array) -> None:
        """Measures what was drawn, but of the worlds `broken` (n,), and forgets it."""
        good = ~broken
        held, self._held = self._held, {}
        if self.missing or "truth" not in held:
            return
        first = held["truth"][0][good]
        if len(first) == 0:
            return
        for step, pictures in held["truth"].items():
            if step == 0:
                continue
            truth = pictures[good]
            mask = moving(first, truth)
            rows = {who: drawn[step][good] for who, drawn in held.items() if who != "truth" and step in drawn}
            for who, found in {**rows, "copy-last": first}.items():
                likeness = self._rows.setdefault((who, step), Likeness(self._distance))
                likeness.add(truth, found, mask)

    def figures(self) -> dict[str, Any] | None:
        """By row and horizon; see `Likeness`."""
        if self.missing or not self._rows:
            return None
        found: dict[str, Any] = {"size": self._size, "camera": self._camera, "lpips": self.lpips_missing, "rows": {}}
        for who in (*ROWS, "ceiling"):
            steps = sorted(step for name, step in self._rows if name == who)
            found["rows"][who] = {str(step): self._rows[who, step].figures() for step in steps} or None
        return found


class _Stretch:
    """One stretch of each world, played again and again from the same states."""

    def __init__(
        self,
        physics: WorldVectorEnv,
        model: WorldVectorEnv,
        window: Window,
        horizons: tuple[int, ...],
        gallery: Gallery | None,
        seeds: list[int] | None = None,
    ) -> None:
        """`physics` is in the window's state now; `seeds` where that is how episodes of these seeds begin."""
        self._physics, self._model, self._window, self._horizons = physics, model, window, horizons
        self._seeds = seeds
        self._gallery, self._aim = gallery, Aim(physics)

    def real(self, actions: Array) -> Trace:
        """What physics does under actions (T, n, size) of whole episodes, and how the model's renderer draws that."""
        self._see("truth", 0, self._physics)
        found = self._play(self._physics, actions, "truth")
        if self._gallery is not None:
            self._physics.set_state(self._window.state)
            follow(self._physics, self._window.cut(actions, max(self._horizons)), after=self._ceiling)
        return found

    def foreseen(self, who: str, actions: Array) -> Trace:
        """What the model says of actions (T, n, size) of whole episodes."""
        if self._seeds is None:
            self._physics.set_state(self._window.state)
            adopt(self._model, self._physics)
        else:
            self._model.reset(seed=self._seeds)
        return self._play(self._model, actions, who)

    def _play(self, env: WorldVectorEnv, actions: Array, who: str) -> Trace:
        def look(step: int) -> None:
            if step in self._horizons:
                self._see(who, step, env)

        return follow(env, self._window.cut(actions, max(self._horizons)), self._aim, after=look)

    def _ceiling(self, step: int) -> None:
        if step in self._horizons and adopt(self._model, self._physics):
            self._see("ceiling", step, self._model)

    def _see(self, who: str, step: int, env: WorldVectorEnv) -> None:
        if self._gallery is not None:
            self._gallery.see(who, step, env)


def _share(count: int, total: int) -> dict[str, Any]:
    low, high = wilson(count, total)
    return {"count": count, "of": total, "share": count / total if total else None, "interval": [low, high]}
