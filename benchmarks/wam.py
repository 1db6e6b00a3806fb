"""`bench wam`: what video, dreams and demonstrations are worth to a World Action Model, beside what does not dream.

Every arm (`ARMS`) is trained by as many steps on the same demonstrations, with several seeds, each of which has others;
all play the same episodes, which nothing was trained on. Models are kept as they are made: an interrupted run goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..agents.keeping import digest
from ..agents.wam.course import WamCourse, read_course
from ..agents.wam.training import train_wam
from ..errors import TaskError
from ..folders import write_texts
from ..world_models.checkpoint import read_card
from .statistics import wilson
from .tables import Table
from .throughput_result import host

Notify = Callable[[str, float], None]
Rows = Sequence[Mapping[str, Any]]

ARMS: dict[str, tuple[str, ...]] = {
    "video": (),  # first learns from what is seen in other episodes, without their actions
    "wam": (),
    "flow": ("world_loss=0",),
    "cloning": ("kind=cloning", "model.net.width=256"),
    "act": ("kind=act",),
}
TOLD = {
    "video": "World Action Model, after video of {clips} other episodes",
    "wam": "World Action Model",
    "flow": "the same without the loss of the dream",
    "cloning": "behaviour cloning",
    "act": "action chunking with a style",
}
_OTHERS = 1000  # the seed of video, beyond that of demonstrations


def measure(
    arms: Sequence[str],
    demonstrations: Sequence[int],
    seeds: int,
    *,
    settings: Sequence[str],
    clips: int,
    folder: Path,
    notify: Notify,
) -> list[dict[str, Any]]:
    """Trains and tries out every arm with every number of demonstrations, with seeds from 0 on.

    Args:
        arms: of `ARMS`. demonstrations: numbers of them. seeds: how many. settings: of all, as for `train wam`.
        clips: episodes of which the arm "video" sees the video first. folder: for models and what is kept on the way.
        notify: is told of every stage.

    Returns:
        For each: `arm`, `demonstrations`, `seed`, `episodes`, `exam` (successes), `seconds_a_decision`, `parameters`.

    Raises:
        TaskError: an arm or a setting is not known.
    """
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        raise TaskError(f"arm {unknown[0]!r} is not known; there are {list(ARMS)}")
    rows = []
    for seed in range(seeds):
        for count in demonstrations:
            for arm in arms:
                told = [*ARMS[arm], *settings, f"demonstrations={count}", f"seed={seed}"]
                if arm == "video":
                    first = [*settings, "labels=false", f"demonstrations={clips}", f"seed={seed + _OTHERS}"]
                    told.append(f"start={_made(read_course(first), folder, notify)}")
                file = _made(read_course(told), folder, notify)
                card = read_card(file)
                rows.append({"arm": arm, "demonstrations": count, "seed": seed, "model": file.name, **card.measured})
                notify("models", len(rows) / (len(arms) * len(demonstrations) * seeds))
    return rows


def _made(course: WamCourse, folder: Path, notify: Notify) -> Path:
    """The checkpoint of a course, which is made unless it is there."""
    # What a course starts from has a name that says what it was made of.
    file = folder / f"{course.kind}-{digest(course.model_dump())}.safetensors"
    if not file.exists():
        train_wam(course, folder / "work", file, notify)
    return file


def facts(settings: Sequence[str], clips: int) -> dict[str, Any]:
    """What was run, and where."""
    course = read_course(settings)
    train, net = course.train, course.model.net
    return {
        "environment": course.env,
        "settings": " ".join(settings),
        "training": f"{train.steps} steps of {train.batch} windows, noise {course.noise:g} on the expert's actions",
        "network": f"{course.size}, width {net.width}, depth {net.depth}",
        "video": f"{clips} episodes",
        "episodes": f"{course.exam.episodes}, from seed {course.exam.seed}, in physics; {course.exam.steps} flow steps",
        **host(),
    }


def tables(told: Mapping[str, Any], rows: Rows, clips: int) -> list[Table]:
    """In words."""
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows):
        for count in dict.fromkeys(row["demonstrations"] for row in rows):
            for where in ("exam", "held_out"):
                mine = [row for row in rows if (row["arm"], row["demonstrations"]) == (arm, count) and where in row]
                if not mine:
                    continue
                wins, tried = sum(row[where] for row in mine), sum(row["episodes"] for row in mine)
                low, high = wilson(wins, tried)
                seeds = " ".join(str(row[where]) for row in mine)
                name = TOLD[arm].format(clips=clips) + (", cousins held out" if where == "held_out" else "")
                share = f"{wins / tried:.3f} ({low:.3f} to {high:.3f})"
                took = f"{1000 * mine[0]['seconds_a_decision']:.0f}" if where == "exam" else ""
                lines.append((name, str(count), share, seeds, took))
    heads = ("model", "demonstrations", "success (95 %)", "of each seed", "decision [ms]")
    note = "Intervals are Wilson's over the episodes of all seeds; how far seeds are apart stands beside them."
    return [
        Table("What was run", ("", ""), [(name, str(value)) for name, value in told.items()]),
        Table("Success at the end of an episode", heads, lines, note),
    ]


def write(folder: Path, told: Mapping[str, Any], rows: Rows, clips: int) -> None:
    """Writes `wam.json` and `wam.md`."""
    text = "\n\n".join(
        ["# What demonstrations, dreams and video are worth", *(t.markdown() for t in tables(told, rows, clips))]
    )
    files = {
        "wam.json": json.dumps({"facts": dict(told), "rows": list(rows)}, indent=1, default=str) + "\n",
        "wam.md": text + "\n",
    }
    write_texts(folder, files)
