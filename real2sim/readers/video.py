"""Random access to a phone video, fast when frames are read in order.

The presentation times of all pictures come from one pass over the packets (nothing is decoded), so that picture `i`
is the i-th shown, whatever the frame rate. One decoder is kept open: the next pictures are decoded on from the last,
and only a step back, or a jump past a key frame, seeks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from ...errors import CaptureError
from ..capture import Image
from .images import MAX_PIXELS

MAX_PICTURES = 1_000_000


class Video:
    """A video file; not safe to share between threads.

    Raises:
        CaptureError: if the file is no readable video (from the constructor, which reads the header only).
    """

    def __init__(self, path: Path, where: str) -> None:
        self.where = where
        self._path = path
        self._container: Any = None
        self._decoded: Iterator[Any] = iter(())
        self._last = -1
        self._times: list[int] | None = None
        self._keys: list[int] = []
        self._open()
        width, height = self._stream.codec_context.width, self._stream.codec_context.height
        if not 0 < width * height <= MAX_PIXELS:
            raise CaptureError(f"{where}: pictures of {width} x {height} pixels cannot be read")
        self.size: tuple[int, int] = (width, height)

    @property
    def count(self) -> int:
        """Number of pictures in the video."""
        return len(self._index())

    def picture(self, number: int) -> Image:
        """Uint8 [H, W, 3] of picture `number`, counted from 0 in the order shown.

        Raises:
            CaptureError: if the video has no such picture, or it cannot be decoded.
        """
        times = self._index()
        if not 0 <= number < len(times):
            raise CaptureError(f"{self.where}: picture {number} is missing, the video has {len(times)}")
        try:
            return self._decode(number, times)
        except av.FFmpegError as error:
            self._last = -1
            raise CaptureError(f"{self.where}: picture {number} cannot be decoded ({error})") from error

    def _decode(self, number: int, times: list[int]) -> Image:
        key = max(bisect_right(self._keys, times[number]) - 1, 0)
        jump = bool(self._keys) and self._last >= 0 and self._keys[key] > times[self._last]
        if self._last < 0 or number <= self._last or jump:
            self._seek(self._keys[key] if self._keys else times[0])
        for frame in self._decoded:
            if frame.pts is None or frame.pts < times[number]:
                continue
            if frame.pts > times[number]:
                break
            self._last = number
            if (frame.width, frame.height) != self.size:
                raise CaptureError(f"{self.where}: picture {number} changes size to {frame.width} x {frame.height}")
            pixels: Image = frame.to_ndarray(format="rgb24")
            return np.ascontiguousarray(pixels)
        self._last = -1
        raise CaptureError(f"{self.where}: picture {number} cannot be decoded (the stream is damaged there)")

    def _index(self) -> list[int]:
        """Presentation times of all pictures, ascending."""
        if self._times is None:
            times, keys = [], []
            try:
                self._open()
                for packet in self._container.demux(self._stream):
                    if packet.pts is None or packet.is_discard:
                        continue
                    times.append(packet.pts)
                    if packet.is_keyframe:
                        keys.append(packet.pts)
                    if len(times) > MAX_PICTURES:
                        raise CaptureError(f"{self.where}: more than {MAX_PICTURES:,} pictures")
            except av.FFmpegError as error:
                if not times:
                    raise CaptureError(f"{self.where}: cannot be read ({error})") from error
            self._times, self._keys = sorted(set(times)), sorted(keys)
            self._last = -1
        return self._times

    def _open(self) -> None:
        try:
            self._container = av.open(str(self._path), mode="r")
        except av.FFmpegError as error:
            raise CaptureError(
                f"{self.where}: not a readable video ({error.strerror}); copy it off the phone again"
            ) from error
        if not self._container.streams.video:
            raise CaptureError(f"{self.where}: has no video stream")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            raise CaptureError(f"{self.where}: its codec is not known")
        self._stream.thread_type = "AUTO"

    def _seek(self, time: int) -> None:
        self._container.seek(time, stream=self._stream, backward=True)
        self._decoded = iter(self._container.decode(self._stream))
