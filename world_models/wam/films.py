"""Films that a World Action Model learns from: decoded once, kept on disk, and read from there while it is trained.

    clips.jsonl     a line a clip: what it is, where its pictures lie and how many, its words, or why it cannot be used
    pictures.raw    pictures uint8 (height, width, 3), one after the other

An interrupted reading goes on behind the last clip that has its line. Ten hours of 64 x 64 pictures, 0.4 s apart, take
1.1 GB of disk, and of memory what the operating system can spare.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import DatasetError
from ..trajectories.clip import Clip, fitted, in_time
from ..trajectories.dataset import reading
from .settings import WamSettings

Notify = Callable[[str, float], None]
_STAGE = "reading videos"
_NAMED = 10  # clips that cannot be used and are named; the others are counted


@dataclass(frozen=True)
class Films:
    """E clips, whose pictures lie a decision of the model apart.

    Attributes:
        pictures: uint8 (N, 1, height, width, 3), of all clips and perhaps of others, mapped from disk.
        first: int64 (E,), where those of a clip begin. frames: int64 (E,), how many they are.
        words: what was asked for in each clip.
    """

    pictures: Tensor
    first: Tensor
    frames: Tensor
    words: tuple[str, ...]


def read_films(clips: Sequence[Clip], folder: Path, settings: WamSettings, notify: Notify) -> Films:
    """The clips as a model sees them; what is not in `folder` yet is decoded into it.

    Clips that cannot be used are left out with a warning that names them.

    Raises:
        DatasetError: the model sees no pictures or those of several cameras, no clip can be used, or `folder` cannot be
            written.
    """
    if len(settings.cameras) != 1:
        raise DatasetError(
            f"videos show what one camera sees, the model has {len(settings.cameras)} of them; train one that sees "
            "pictures, as with size=rgb_nano"
        )
    try:
        store = _Store(folder, settings.image_size)
        apart, least = settings.chunk * settings.period, max(settings.past, 2)
        keys = [json.dumps(clip.key()) for clip in clips]
        notify(_STAGE, 0.0)
        for number, (clip, key) in enumerate(zip(clips, keys, strict=True)):
            if key not in store.lines:
                store.add(clip, key, apart, least, partial(_tell, notify, number, len(clips)))
        notify(_STAGE, 1.0)
        lines = [store.lines[key] for key in keys]
        good = [line for line in lines if not line["problem"]]
        _complain([line["problem"] for line in lines if line["problem"]], len(clips), folder)
        return Films(
            pictures=store.pictures(),
            first=torch.tensor([line["first"] for line in good]),
            frames=torch.tensor([line["frames"] for line in good]),
            words=tuple(line["words"] for line in good),
        )
    except OSError as error:
        raise DatasetError(f"cannot write {folder}: {error.strerror}; make room, or choose another place") from error


class _Store:
    """The folder.

    Attributes:
        lines: what is there, by clip.
    """

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        """Opens it, and forgets what an interruption left half done."""
        self._index, self._raw, self._size = folder / "clips.jsonl", folder / "pictures.raw", size
        self._bytes = size[0] * size[1] * 3
        self.lines: dict[str, dict[str, Any]] = {}
        self._frames = self._kept = 0
        folder.mkdir(parents=True, exist_ok=True)
        there = self._raw.stat().st_size // self._bytes if self._raw.exists() else 0
        for text in self._index.read_bytes().splitlines(keepends=True) if self._index.exists() else ():
            try:
                line = json.loads(text)
                end = line["first"] + line["frames"]
            except (ValueError, KeyError, TypeError):
                break
            if end > there or not text.endswith(b"\n"):
                break
            self.lines[line["clip"]] = line
            self._frames, self._kept = max(self._frames, end), self._kept + len(text)

    def add(self, clip: Clip, key: str, apart: float, least: int, notify: Callable[[float], None]) -> None:
        """Decodes a clip; its line is written when its pictures are."""
        line: dict[str, Any] = {"clip": key, "first": self._frames, "frames": 0, "words": "", "problem": ""}
        with self._raw.open("r+b" if self._raw.exists() else "wb") as raw:
            raw.truncate(self._frames * self._bytes)
            raw.seek(0, os.SEEK_END)
            try:
                line["words"] = clip.words()
                for picture in in_time(clip.pictures(), apart, clip.name):
                    with reading(clip.files[0], "a film"):
                        pixels = fitted(picture.image(), self._size)
                    raw.write(pixels.tobytes())
                    line["frames"] += 1
                    notify(picture.share)
                if line["frames"] < least:
                    raise DatasetError(
                        f"{clip.name} is too short: it has {line['frames']} pictures that are {apart:g} s apart, the "
                        f"model learns from {least} and more"
                    )
            except DatasetError as error:
                line |= {"frames": 0, "words": "", "problem": str(error)}
        self.lines[key] = line
        self._frames += line["frames"]
        with self._index.open("r+b" if self._index.exists() else "wb") as index:
            index.truncate(self._kept)
            index.seek(self._kept)
            self._kept += index.write(json.dumps(line).encode() + b"\n")

    def pictures(self) -> Tensor:
        """All pictures; nothing that is written into them reaches the disk."""
        shape = (self._frames, 1, *self._size, 3)
        return torch.from_numpy(np.memmap(self._raw, dtype=np.uint8, mode="c", shape=shape))


def _tell(notify: Notify, number: int, count: int, share: float) -> None:
    notify(_STAGE, (number + share) / count)


def _complain(problems: Sequence[str], count: int, folder: Path) -> None:
    """Warns of clips that cannot be used; there must be others."""
    if not problems:
        return
    told = "; ".join(problems[:_NAMED])
    more = f"; and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
    if len(problems) == count:
        raise DatasetError(f"none of {count} clip(s) can be learned from: {told}{more}")
    warnings.warn(
        f"{len(problems)} of {count} clips are left out: {told}{more} (to have them tried again, remove {folder})",
        stacklevel=3,
    )
