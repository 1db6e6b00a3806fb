"""Pictures as H.264 films: written frame by frame, read back by frame number. Lossy, and small."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import DatasetError
from .dataset import need, reading

CODEC, PIXELS = "h264", "yuv420p"
_KEYFRAMES = 10  # a keyframe every so many frames: random access decodes at most as many
_SLACK = 0.5  # seconds that a film may be shorter than it says: its sound is longer, or that was rounded
_QUALITY = "18"  # x264's constant rate factor: hardly told from the original by eye


def fits(shape: tuple[int, ...]) -> bool:
    """Whether pictures (height, width, 3) can be a film: every player's pixel format needs even sides."""
    return shape[0] % 2 == 0 and shape[1] % 2 == 0 and min(shape[:2]) >= 16


class FilmWriter:
    """Appends uint8 (height, width, 3) pictures to an mp4.

    Attributes:
        frames: written so far. size: encoded bytes so far.
    """

    def __init__(self, path: Path, rate: int, shape: tuple[int, ...]) -> None:
        """Opens the file; makes its folder."""
        av = need("av")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frames = self.size = 0
        self._frame, self._tick = av.VideoFrame, Fraction(1, rate)
        self._container = av.open(str(path), "w")
        self._stream: Any = self._container.add_stream("libx264", rate=Fraction(rate))
        self._stream.height, self._stream.width = shape[:2]
        self._stream.pix_fmt = PIXELS
        # Without B-frames the pictures are stored in their order, from time 0 on.
        self._stream.options = {"crf": _QUALITY, "g": str(_KEYFRAMES), "bf": "0", "preset": "fast"}

    def append(self, pictures: NDArray[np.uint8]) -> None:
        """Encodes pictures (n, height, width, 3)."""
        for picture in pictures:
            frame = self._frame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            frame.pts = self.frames
            frame.time_base = self._tick
            self._mux(self._stream.encode(frame))
            self.frames += 1

    def close(self) -> None:
        """Writes what is left and closes the file."""
        self._mux(self._stream.encode(None))
        self._container.close()

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            self.size += packet.size
            self._container.mux(packet)


def read_frames(path: Path, start: float, count: int, rate: float) -> NDArray[np.uint8]:
    """Pictures (count, height, width, 3) from second `start` on.

    Raises:
        ValueError: the film ends before.
    """
    av = need("av")
    found: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        container.seek(max(int(start / stream.time_base) - 1, 0), stream=stream, backward=True)
        for frame in container.decode(stream):
            if frame.pts is None or float(frame.pts * stream.time_base) < start - 0.5 / rate:
                continue
            found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == count:
                break
    if len(found) < count:
        raise ValueError(f"{path.name} has {len(found)} of {count} frames after {start:.2f} s")
    return np.stack(found)


class Picture(NamedTuple):
    """A picture of a film or a part of one: seconds since the first, the share in [0, 1] that lies before it as far as
    that can be told, and what gives it as a `PIL.Image.Image`: most are never asked for."""

    seconds: float
    share: float
    image: Callable[[], Any]


def watch(path: Path, start: float | None = None) -> Iterator[Picture]:
    """A film picture by picture, upright.

    Args:
        path: the film. start: second of it from which on pictures are wanted; none for the whole film.

    Raises:
        DatasetError: it is no film, is damaged, or, if it is wanted whole, was cut off.
    """
    av = need("av")
    with reading(path, "a film"), av.open(str(path)) as container:
        if not container.streams.video:
            raise DatasetError(f"{path} has sound and no pictures; give a film")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        told = [float(stream.duration * stream.time_base)] if stream.duration else []
        told += [container.duration / av.time_base] if container.duration else []
        length = min(told, default=0.0)
        if start is not None and start > 0:
            container.seek(max(int(start / stream.time_base) - 1, 0), stream=stream, backward=True)
        first: float | None = None
        count, seconds = 0, 0.0
        for frame in container.decode(stream):
            if frame.time is None:
                raise DatasetError(f"{path} does not say when its pictures were taken; convert it to mp4")
            if start is None or frame.time >= start:
                first = frame.time if first is None else first
                count, seconds = count + 1, frame.time - first
                yield Picture(
                    seconds, min(max(seconds / length, 0.0), 1.0) if length else 0.0, partial(_upright, frame)
                )
        if start is None and not count:
            raise DatasetError(f"{path} has no pictures in it; record it again")
        if start is None and length - seconds * (1 + 1 / count) > _SLACK:
            raise DatasetError(f"{path} was cut off: of {length:.1f} s only {seconds:.1f} s are there; copy it again")


def _upright(frame: Any) -> Any:
    """A frame as an image, turned as its film says: telephones that are held upright film lying down."""
    image, turn = frame.to_image(), getattr(frame, "rotation", 0)
    return image.rotate(turn, expand=True) if turn else image
