"""Collects the frames of a capture: bad ones are left out with a reason, and none left is an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from ...errors import CaptureError
from ..capture import Capture, Frame, Skipped

MAX_REASONS = 3


class FrameCollector:
    """Frames in time order and what was skipped on the way."""

    def __init__(self, where: str, skipped: tuple[Skipped, ...] = ()) -> None:
        self.where = where
        self.skipped = list(skipped)
        self._frames: dict[int, Frame] = {}

    def add(self, index: int, build: Callable[[], Frame]) -> None:
        """Adds the frame that `build` makes, or the reason why it could not."""
        if index in self._frames:
            self.skip(index, "a frame with this number came before")
            return
        try:
            self._frames[index] = build()
        except CaptureError as error:
            self.skip(index, str(error))

    def skip(self, index: int | str, reason: str) -> None:
        """Counts a frame or file left out."""
        self.skipped.append(Skipped(index, reason))

    def frames(self) -> tuple[Frame, ...]:
        """The good frames by time (by number where the format has no times).

        Raises:
            CaptureError: if no frame is left.
        """
        frames = [self._frames[index] for index in sorted(self._frames)]
        if frames and all(frame.timestamp is not None for frame in frames):
            frames.sort(key=lambda frame: (frame.timestamp, frame.index))
            frames = self._without_repeats(frames)
        if not frames:
            reasons = "; ".join(dict.fromkeys(skipped.reason for skipped in self.skipped[:MAX_REASONS]))
            raise CaptureError(f"{self.where}: no usable frame ({reasons or 'the capture is empty'})")
        return tuple(frames)

    def _without_repeats(self, frames: list[Frame]) -> list[Frame]:
        kept = frames[:1]
        for frame in frames[1:]:
            if frame.timestamp == kept[-1].timestamp:
                self.skip(frame.index, f"repeats the time of frame {kept[-1].index}")
            else:
                kept.append(frame)
        return kept


def validate_frames(capture: Capture, *, color: bool = False) -> Capture:
    """Decodes every depth and confidence image once (and every picture with `color`), and skips the frames that fail.

    A pipeline that loads each frame anyway may instead catch `CaptureError` from the loaders and count it.

    Returns:
        The capture without its broken frames; `skipped` grew by one entry for each.

    Raises:
        CaptureError: if the capture had frames and none is left.
    """
    collector = FrameCollector(str(capture.path), capture.skipped)
    for frame in capture.frames:
        collector.add(frame.index, partial(_loaded, frame, color))
    if not capture.frames:
        return capture
    frames = collector.frames()
    return replace(capture, frames=frames, skipped=tuple(collector.skipped))


def _loaded(frame: Frame, color: bool) -> Frame:
    depth = frame.load_depth() if frame.load_depth else None
    confidence = frame.load_confidence() if frame.load_confidence else None
    if depth is not None and confidence is not None and depth.shape != confidence.shape:
        raise CaptureError(f"depth is {depth.shape} but confidence is {confidence.shape}")
    if depth is not None and not np.any(depth):
        raise CaptureError("depth is empty: no pixel has a reading")
    if color and frame.load_color:
        frame.load_color()
    return frame
