"""What is kept of a long job beside its result, so that the same command goes on after an interruption."""

from __future__ import annotations

import csv
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load_file
from torch import Tensor

from ..digital_cousins.cousin import MANIFEST
from ..scenes.folder import SCENE_FILE
from ..world_models.resuming import save_numbers

KEEP = 60.0
"""Seconds between two records of where a training is."""
CURVE = "curve.csv"
"""How a training went: a line now and then, the steps until there first."""


class Training(Protocol):
    """What is trained step by step; `chief`: whether this process is the one that writes files; `done`: steps made."""

    chief: bool
    done: int

    def advance(self, notify: Callable[[int, dict[str, float]], None], *, until: float) -> bool:
        """Goes on to the end, or until a time (`time.monotonic`); says whether it is finished."""

    def state(self) -> dict[str, Tensor]:
        """Where it is."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back there."""


def train_on(training: Training, kept: Path, steps: int, notify: Callable[[float], None]) -> None:
    """Trains to the end, from where the file `kept` says it was; `notify` is told the share of `steps` that is done.

    A file beside `kept`, of the same name but for its ending `.csv`, has the mean losses on the way.
    """
    curve = kept.with_suffix(".csv")
    lines: list[dict[str, Any]] = []
    if kept.exists():
        training.restore(load_file(kept))
        lines = [line for line in read_curve(curve) if int(line["steps"]) <= training.done]

    def told(done: int, losses: dict[str, float]) -> None:
        lines.append({"steps": done, **{name: f"{loss:.6g}" for name, loss in losses.items()}})
        notify(done / steps)

    finished = False
    while not finished:
        finished = training.advance(told, until=time.monotonic() + KEEP)
        if training.chief:
            write_curve(curve, lines)  # first: what is there of it beyond the numbers is left out when they are read
            save_numbers(kept, training.state())
    notify(1.0)


def read_curve(file: Path) -> list[dict[str, str]]:
    """The lines of a curve, by their columns' names; none, if it is not there."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as text:
        return list(csv.DictReader(text))


def write_curve(file: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Writes lines of the same columns, whole or not at all; nothing, if there are none."""
    if not lines:
        return
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    partial.replace(file)


def plain(told: Any) -> Any:
    """The same as plain JSON."""
    return json.loads(json.dumps(asdict(told) if is_dataclass(told) else told, default=str))  # type: ignore[arg-type]


def digest(told: Any) -> str:
    """What something depends on, in a few letters: another for anything else, and where a scene, a set of cousins, a
    policy or a checkpoint that it names by its path is another by now."""
    text = json.dumps(told, sort_keys=True, default=str)
    inside = [found for word in _words(json.loads(text)) if (found := contents(Path(word)))]
    return hashlib.sha256("".join([text, *inside]).encode()).hexdigest()[:12]


def contents(path: Path, *, deep: bool = False) -> str:
    """What a scene's folder, a set of cousins, a policy's folder or a checkpoint holds, in a few letters; nothing of
    other paths. `deep`: policies are looked for in all that a folder holds."""
    files = [path] if path.suffix == ".safetensors" and path.is_file() else []
    if path.is_dir():
        from .sb3_policy import POLICY  # Stable-Baselines3 takes its time

        files = [path / name for name in (SCENE_FILE, MANIFEST) if (path / name).is_file()]
        files = files or sorted(path.rglob(POLICY) if deep else path.glob(POLICY))
    if not files:
        return ""
    held = [[str(file.relative_to(path)), hashlib.sha256(file.read_bytes()).hexdigest()] for file in files]
    return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:16]


def _words(told: Any) -> Iterator[str]:
    """All that may be a path, wherever it stands."""
    if isinstance(told, str):
        if 0 < len(told) < 1000 and told.isprintable():
            yield told
    elif isinstance(told, (list, dict)):
        for each in told.values() if isinstance(told, dict) else told:
            yield from _words(each)
