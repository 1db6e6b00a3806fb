"""A clip: a stretch of film of which nothing is known but what is seen and, perhaps, what was asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from .dataset import need
from .video import Picture

_NEAR = 1e-3  # of what lies between two pictures: times that differ by less are the same


@dataclass(frozen=True)
class Clip(ABC):
    """A stretch of film.

    Attributes:
        name: what it is called in messages. files: on which it depends; some may be missing.
    """

    name: str
    files: tuple[Path, ...]

    def key(self) -> list[Any]:
        """Another for another clip, and for the same once one of its files has changed: plain JSON."""
        return [self.name, *([str(file), *_written(file)] for file in self.files)]

    @abstractmethod
    def words(self) -> str:
        """What was asked for, or nothing.

        Raises:
            DatasetError: what says so cannot be read.
        """

    @abstractmethod
    def pictures(self) -> Iterator[Picture]:
        """All pictures in their order.

        Raises:
            DatasetError: they cannot be read, or are not all there.
        """


def in_time(pictures: Iterable[Picture], apart: float, name: str = "the film") -> Iterator[Picture]:
    """The pictures that are nearest to 0, `apart`, 2 `apart`, ... seconds, up to the last picture; the earlier of two.

    Raises:
        DatasetError: the same picture would be taken twice, as they lie farther from each other than that; `name` is
            what the message calls them.
    """
    before: Picture | None = None
    taken: Picture | None = None
    number = 0
    for picture in pictures:
        if before is not None and picture.seconds <= before.seconds:
            continue  # a second picture of the same moment
        while (wanted := number * apart) <= picture.seconds + _NEAR * apart:
            earlier = before is not None and wanted - before.seconds <= picture.seconds - wanted
            chosen = before if before is not None and earlier else picture
            if chosen is taken:
                raise DatasetError(
                    f"{name} has nothing new to see about second {wanted:.1f}, for more than {apart:g} s"
                )
            yield chosen
            taken, number = chosen, number + 1
        before = picture


def fitted(image: Any, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The middle of a `PIL.Image.Image`, as large as its shape allows, as uint8 (height, width, 3): every pixel is the
    mean of what it covers."""
    (wide, high), (height, width) = image.size, size
    scale = min(wide / width, high / height)
    left, top = (wide - width * scale) / 2, (high - height * scale) / 2
    box = (left, top, min(left + width * scale, wide), min(top + height * scale, high))
    mean = need("PIL.Image").Resampling.BOX
    return np.asarray(image.convert("RGB").resize((width, height), mean, box=box))


def _written(path: Path) -> tuple[int, int]:
    """Size [bytes] and time of the last change [ns] of a file, -1 if there is none."""
    try:
        told = path.stat()
    except OSError:
        return -1, -1
    return told.st_size, told.st_mtime_ns
