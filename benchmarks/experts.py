"""How often the scripted experts solve their tasks, and how often a random policy does.

    pocketworlds bench experts --episodes 200 --scenes 50

With `--ids` only some ids play, and `--merge FILE` puts their figures among those of an earlier report.

Every environment id plays the same episodes (seeds s, s + 1, ...) with its expert and with uniformly random actions.
Counted is success at the last step of an episode, and at any step. With `scenes` every task's expert also plays so many
episodes in each other built-in scene; where a scene has nothing that suits a task, the reason is kept. The figures
depend on neither the number of worlds at once nor the number of threads.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from .. import __version__
from ..agents.experts import make_expert
from ..envs import WorldVectorEnv
from ..envs.builtin import builtin_names
from ..envs.catalogue import known_ids
from ..envs.vector import CONTROL_RATE
from ..errors import TaskError
from ..registry import ENVIRONMENTS
from .statistics import wilson
from .tables import Table

Policy = Literal["expert", "random"]
Notify = Callable[[str, float], None]

EXPERT_LEAST, HAND_LEAST, RANDOM_MOST = 0.95, 0.80, 0.05
"""What is asked for: of the expert at the end of an episode, and of random actions at any step."""
EASY = ("reach",)
"""Tasks that random actions may solve by passing by."""


@dataclass(frozen=True)
class Score:
    """One policy in one environment.

    Attributes:
        env_id, task, scene, policy: what played. episodes: how many.
        solved: those that ended in success. ever: those that saw success at any step. errors: whose physics diverged.
        median_seconds: simulated time until success first came, over `ever`; None where it never did.
        failed: seeds of the first episodes that did not end in success.
    """

    env_id: str
    task: str
    scene: str
    policy: Policy
    episodes: int
    solved: int
    ever: int
    errors: int
    median_seconds: float | None
    failed: tuple[int, ...]

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the share of episodes that end in success."""
        return wilson(self.solved, self.episodes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable data."""
        bounds = {"interval": _rounded(self.interval), "ever_interval": _rounded(wilson(self.ever, self.episodes))}
        return {**asdict(self), "failed": list(self.failed), **bounds}


@dataclass(frozen=True)
class ExpertsResult:
    """All scores of a run; `unsuitable` holds (task, scene, reason)."""

    episodes: int
    scenes: int
    seed: int
    seconds: float
    scores: tuple[Score, ...]
    elsewhere: tuple[Score, ...]
    unsuitable: tuple[tuple[str, str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-serialisable data."""
        return {
            "command": f"pocketworlds bench experts --episodes {self.episodes} --scenes {self.scenes}",
            "episodes": self.episodes,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "versions": {"pocketworlds": __version__, "mujoco": version("mujoco"), "numpy": version("numpy")},
            "cores": os.cpu_count() or 1,
            "platform": platform.platform(terse=True),
            "asked_for": {"expert": EXPERT_LEAST, "hand expert": HAND_LEAST, "random": RANDOM_MOST},
            "short": self.short(),
            "scores": [score.to_dict() for score in self.scores],
            "elsewhere": [score.to_dict() for score in self.elsewhere],
            "unsuitable": [dict(zip(("task", "scene", "reason"), row, strict=True)) for row in self.unsuitable],
        }

    def short(self) -> list[str]:
        """What falls short of what is asked for, in words."""
        told = []
        for score in self.scores:
            least = HAND_LEAST if score.task.startswith("hand") else EXPERT_LEAST
            if score.policy == "expert" and score.solved < least * score.episodes:
                told.append(f"{score.env_id}: the expert solves {score.solved}/{score.episodes}")
            if score.policy == "random" and score.task not in EASY and score.ever >= RANDOM_MOST * score.episodes:
                told.append(f"{score.env_id}: random actions solve {score.ever}/{score.episodes}")
        return told

    def merged(self, earlier: Mapping[str, Any]) -> dict[str, Any]:
        """`to_dict` of an earlier run with this run's figures put in, or in place of those of the same name.

        Raises:
            TaskError: it was another number of episodes, or the report is of something else.
        """
        new = self.to_dict()
        for name in ("episodes", "seed", "asked_for"):
            if earlier.get(name) != new[name]:
                raise TaskError(
                    f"the earlier report has {name}={earlier.get(name)!r}, this run {new[name]!r}; run with the same"
                )
        keys = {"scores": ("env_id", "policy"), "elsewhere": ("env_id", "scene"), "unsuitable": ("task", "scene")}
        result = {**earlier, "seconds": round(earlier["seconds"] + new["seconds"], 1)}
        for name, key in keys.items():
            rows = {tuple(row[part] for part in key): row for row in (*earlier[name], *new[name])}
            result[name] = list(rows.values())
        anew = {score["env_id"] for score in new["scores"]}
        kept = [told for told in earlier["short"] if told.partition(":")[0] not in anew]
        return {**result, "short": [*kept, *new["short"]]}

    def table(self) -> str:
        """The whole report as text."""
        tables = [_main_table(self)]
        if self.elsewhere or self.unsuitable:
            tables += [_scenes_table(self), _reasons_table(self)]
        return "\n\n".join(table.text() for table in tables)


def run_experts(
    *,
    episodes: int = 200,
    env_ids: Sequence[str] | None = None,
    scenes: int = 0,
    seed: int = 0,
    num_envs: int = 50,
    notify: Notify = lambda stage, share: None,
) -> ExpertsResult:
    """Plays `episodes` episodes of every id with its expert and with random actions.

    Args:
        episodes: of each policy. env_ids: by default all but `Scan-v0`, which has neither task nor scene of its own.
        scenes: episodes of every task's expert in each other built-in scene; 0: none. seed: of the first episode.
        num_envs: worlds at once; changes nothing but the speed. notify: called with (stage, share done).

    Raises:
        TaskError: an argument makes no sense, or there is no such id.
    """
    if episodes < 1 or num_envs < 1 or seed < 0 or scenes < 0:
        raise TaskError(
            "episodes and num_envs must be from 1, scenes and seed from 0; "
            f"got {episodes}, {num_envs}, {scenes} and {seed}"
        )
    chosen = known_ids(env_ids or [name for name in ENVIRONMENTS if "task" in ENVIRONMENTS[name].keywords])
    start = time.perf_counter()
    scores: list[Score] = []
    for env_id in chosen:
        for policy in ("expert", "random"):
            stage = f"{env_id.partition('/')[2]} {policy}"
            scores.append(play(env_id, policy, episodes, seed=seed, num_envs=num_envs, notify=_named(notify, stage)))
    elsewhere: list[Score] = []
    unsuitable: list[tuple[str, str, str]] = []
    for env_id in chosen if scenes else ():
        for scene in builtin_names():
            if scene == ENVIRONMENTS[env_id].keywords.get("scene"):
                continue
            stage = f"{env_id.partition('/')[2]} in {scene}"
            try:
                elsewhere.append(
                    play(
                        env_id,
                        "expert",
                        scenes,
                        scene=scene,
                        seed=seed,
                        num_envs=num_envs,
                        notify=_named(notify, stage),
                    )
                )
            except TaskError as error:
                unsuitable.append((ENVIRONMENTS[env_id].keywords.get("task", "lift"), scene, str(error)))
    seconds = time.perf_counter() - start
    return ExpertsResult(episodes, scenes, seed, seconds, tuple(scores), tuple(elsewhere), tuple(unsuitable))


def read_report(path: Path) -> dict[str, Any]:
    """What `pocketworlds bench experts --json` printed.

    Raises:
        TaskError: it cannot be read, or is something else.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError(f"{path} cannot be read as an earlier report ({error}); give what --json printed") from None
    if not isinstance(report, dict) or not {"scores", "elsewhere", "unsuitable", "short", "seconds"} <= set(report):
        raise TaskError(f"{path} is no report of this benchmark; give what `pocketworlds bench experts --json` printed")
    return report


def play(
    env_id: str,
    policy: Policy,
    episodes: int,
    *,
    seed: int = 0,
    num_envs: int = 50,
    notify: Callable[[float], None] = lambda share: None,
    **keywords: Any,
) -> Score:
    """Plays whole episodes of seeds `seed`, `seed + 1`, ... and counts; `keywords`: of the environment (`scene`).

    Raises:
        TaskError: nothing in the scene suits the task.
    """
    entry = ENVIRONMENTS[env_id]
    parts = []
    for first in range(0, episodes, num_envs):
        seeds = list(range(seed + first, seed + min(first + num_envs, episodes)))
        env = WorldVectorEnv(
            len(seeds),
            autoreset_mode=AutoresetMode.DISABLED,
            max_episode_steps=entry.steps,
            **{**entry.keywords, **keywords},
        )
        if first == 0:
            notify(0.0)  # only now: where nothing suits the task, no stage begins
        try:
            parts.append(_episodes(env, policy, seeds))
            task, name = env.task.name, env.world.scene.name
        finally:
            env.close()
        notify((first + len(seeds)) / episodes)
    end, first_step, failed = (np.concatenate(values) for values in zip(*parts, strict=True))
    ever = first_step > 0
    return Score(
        env_id=env_id,
        task=task,
        scene=name,
        policy=policy,
        episodes=episodes,
        solved=int(end.sum()),
        ever=int(ever.sum()),
        errors=int(failed.sum()),
        median_seconds=float(np.median(first_step[ever])) / CONTROL_RATE if ever.any() else None,
        failed=tuple((seed + np.flatnonzero(~end)[:10]).tolist()),
    )


def _episodes(
    env: WorldVectorEnv, policy: Policy, seeds: list[int]
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.bool_]]:
    """One episode of every world: success at its end, step at which it first came (0: never), physics diverged."""
    steps = int(env.max_episode_steps or 0)
    size = env.simulator.action_size
    # A stream of actions for each episode: one world and fifty play the same.
    noise = [np.random.default_rng((seed, 1)).uniform(-1, 1, (steps, size)) for seed in seeds]
    random = np.stack(noise, axis=1).astype(np.float32)
    env.reset(seed=seeds)
    expert = make_expert(env) if policy == "expert" else None
    count = len(seeds)
    end, broken = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    first = np.zeros(count, dtype=np.int64)
    for step in range(steps):
        action = random[step] if expert is None else expert.act()
        _, _, terminated, truncated, info = env.step(action)
        success = info["is_success"] & ~broken
        first[success & (first == 0)] = step + 1
        end = success
        broken |= info["physics_error"]
        early = (terminated | truncated) & (step < steps - 1)
        if early.any():  # only diverged physics ends an episode early: it counts as failed, and goes on for nobody
            env.reset(options={"reset_mask": early})
    return end, first, broken


def _named(notify: Notify, stage: str) -> Callable[[float], None]:
    return lambda share: notify(stage, share)


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(value, 4) for value in values]


# Tables ---------------------------------------------------------------------------------------------------------------


def _main_table(result: ExpertsResult) -> Table:
    rows = []
    for score in result.scores:
        low, high = score.interval
        rows.append(
            [
                score.env_id.partition("/")[2],
                score.scene,
                score.policy,
                f"{score.solved}/{score.episodes}",
                f"{score.solved / score.episodes:.3f} ({low:.3f}-{high:.3f})",
                f"{score.ever / score.episodes:.3f}",
                "-" if score.median_seconds is None else f"{score.median_seconds:.1f}",
            ]
        )
    note = (
        f"{result.episodes} episodes each, seeds from {result.seed}, {result.seconds:.0f} s in all. Solved: success at "
        "the last step; ever: at any step; seconds: simulated, until it first came (median). Intervals: Wilson, 95 %. "
        f"Asked for: experts {EXPERT_LEAST:.2f} at the end, {HAND_LEAST:.2f} with a hand, random actions below "
        f"{RANDOM_MOST:.2f} at any step but for {', '.join(EASY)}. "
        + (f"Short: {'; '.join(result.short())}." if result.short() else "All of it holds.")
    )
    columns = ["id", "scene", "policy", "solved", "share (95 %)", "ever", "seconds"]
    return Table("Scripted experts and random actions", columns, rows, note)


def _scenes_table(result: ExpertsResult) -> Table:
    everywhere = [score for score in (*result.scores, *result.elsewhere) if score.policy == "expert"]
    scenes = sorted({score.scene for score in everywhere} | {scene for _, scene, _ in result.unsuitable})
    found = {(score.task, score.scene): score for score in everywhere}
    rows = []
    for task in dict.fromkeys(score.task for score in everywhere):
        cells = [found.get((task, scene)) for scene in scenes]
        rows.append([task, *("-" if cell is None else f"{cell.solved / cell.episodes:.2f}" for cell in cells)])
    count = min((score.episodes for score in everywhere), default=0)
    note = f"Share of {count} or more episodes that end in success; -: nothing in the scene suits the task."
    return Table("Experts in the built-in scenes", ["task", *scenes], rows, note)


def _reasons_table(result: ExpertsResult) -> Table:
    rows = [
        [task, scene, reason if len(reason) < 160 else reason[:157] + "..."]
        for task, scene, reason in result.unsuitable
    ]
    return Table("Scenes that do not suit", ["task", "scene", "reason"], rows)
