"""Films of `watch`: physics and dream side by side, with what is known at that moment, red once it rings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ..agents.wam.telling import BEFORE, ERROR, EXCESS
from ..envs.vector import CONTROL_RATE
from ..world_models.trajectories.video import FilmWriter

HEIGHT = 240
"""Of each of the two pictures [pixels]."""
_EDGE, _GAP, _LINE, _FONT = 6, 4, 22, 15  # of the frame, between pictures, of a line of words, of its letters [pixels]
_MARK = 2 / 3  # where on the bar the threshold is
_LINGER = CONTROL_RATE  # pictures for which the end stands still
_DARK, _BRIGHT, _DIM, _RED, _GREEN, _BLUE = "#16181d", "#ffffff", "#aab0bb", "#ff4d42", "#5ad18a", "#4d94e8"

Picture = NDArray[np.uint8]


@dataclass
class Footage:
    """What was seen of an episode.

    Attributes:
        physics: pictures, the start and one after every control step. decision: of each, counted from 0: what the
            robot is doing, or has just done. known: of each, decisions of which it is known what came.
        success: of each, whether the task is solved then. dreams: a picture a decision, of the end of its chunk.
        instruction: what is asked for.
    """

    physics: list[Picture] = field(default_factory=list)
    decision: list[int] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    success: list[bool] = field(default_factory=list)
    dreams: list[Picture] = field(default_factory=list)
    instruction: str = ""


@dataclass(frozen=True)
class Telling:
    """What is written on a film.

    Attributes:
        signals: by name, a number a decision. signal, score, threshold: of the alarm, `score` a number a decision.
        rang: the decision, counted from 1, that made it ring, or None. chunk: control steps of a decision.
        success: how the episode ended.
    """

    signals: Mapping[str, NDArray[np.float64]]
    signal: str
    score: NDArray[np.float64]
    threshold: float | None
    rang: int | None
    chunk: int
    success: bool

    def last(self, name: str, footage: Footage, at: int) -> int:
        """The last decision, counted from 1, of which a signal is known at picture number `at`; 0: none."""
        told = footage.decision[at] + 1 if name in BEFORE else footage.known[at]
        return min(told, len(self.score))

    def ringing(self, footage: Footage, at: int) -> bool:
        """Whether it has rung by picture number `at`."""
        return self.rang is not None and self.last(self.signal, footage, at) >= self.rang


def write_film(path: Path, footage: Footage, telling: Telling) -> None:
    """Writes an mp4 in real time, whose end stands still for a second, and beside it a picture of its middle (.jpg).

    Raises:
        MissingDependencyError: PyAV is not installed.
    """
    writer: FilmWriter | None = None
    for at, picture in enumerate(pictures(footage, telling)):
        writer = writer or FilmWriter(path, CONTROL_RATE, picture.shape)
        writer.append(picture[None])
        if at == len(footage.physics) // 2:
            Image.fromarray(picture).save(path.with_suffix(".jpg"), quality=85)
    assert writer is not None
    writer.append(np.repeat(picture[None], _LINGER, axis=0))
    writer.close()


def pictures(footage: Footage, telling: Telling) -> Iterator[Picture]:
    """The film's pictures, uint8 of one size, whose sides are even; words are above, as players cover what is below."""
    height, width = footage.physics[0].shape[:2]
    dreams = [_fitted(dream, height, width) for dream in footage.dreams]
    canvas = (2 * (width + _EDGE) + _GAP, height + 4 * _LINE + 2 * _EDGE)
    for at, seen in enumerate(footage.physics):
        rings = telling.ringing(footage, at)
        image = Image.new("RGB", canvas, _RED if rings else _DARK)
        draw = ImageDraw.Draw(image)
        draw.rectangle((_EDGE, _EDGE, canvas[0] - _EDGE - 1, canvas[1] - _EDGE - 1), fill=_DARK)
        top, right = _EDGE + 4 * _LINE, _EDGE + width + _GAP
        image.paste(Image.fromarray(seen), (_EDGE, top))
        image.paste(dreams[footage.decision[at]], (right, top))
        _write(draw, (_EDGE, _EDGE), footage.instruction, _BRIGHT, canvas[0] - 2 * _EDGE)
        _signals(draw, footage, telling, at, canvas[0] - 2 * _EDGE, rings)
        _titles(draw, footage, telling, at, right)
        yield np.asarray(image)


def _titles(draw: ImageDraw.ImageDraw, footage: Footage, telling: Telling, at: int, right: int) -> None:
    half, top = right - _EDGE - _GAP, _EDGE + 3 * _LINE
    ended = at == len(footage.physics) - 1
    said, colour = (", solved", _GREEN) if footage.success[at] else ("", _BRIGHT)
    if ended and not telling.success:
        said, colour = ", failed", _RED
    _write(draw, (_EDGE, top), f"physics, step {at}{said}", colour, half)
    goal = footage.decision[at] * telling.chunk + telling.chunk
    _write(draw, (right, top), f"dream of step {goal}", _BLUE, half)


def _signals(draw: ImageDraw.ImageDraw, footage: Footage, telling: Telling, at: int, width: int, rings: bool) -> None:
    top = _EDGE + _LINE
    parts = [f"decision {footage.decision[at] + 1}"]
    for name in (ERROR, EXCESS, "dreams apart"):
        last = telling.last(name, footage, at)
        parts.append(f"{name} {telling.signals[name][last - 1]:.3g}" if last else f"{name} -")
    _write(draw, (_EDGE, top), "   ".join(parts), _DIM, width)
    if telling.threshold is None:
        _write(draw, (_EDGE, top + _LINE), "no alarm", _DIM, width)
        return
    words = f"ALARM at decision {telling.rang}" if rings else f"alarm: {telling.signal}"
    _write(draw, (_EDGE, top + _LINE), words, _RED if rings else _DIM, width // 2)
    last = telling.last(telling.signal, footage, at)
    share = _share(telling.score[:last], telling.score[last - 1], telling.threshold) if last else 0.0
    left, line = _EDGE + width // 2, top + _LINE + 5
    draw.rectangle((left, line, _EDGE + width - 1, line + 11), fill="#30343c")
    draw.rectangle((left, line, left + round(share * (width // 2 - 1)), line + 11), fill=_RED if rings else _BLUE)
    mark = left + round(_MARK * (width // 2 - 1))
    draw.rectangle((mark - 1, line - 3, mark, line + 14), fill=_BRIGHT)


def _share(scores: NDArray[np.float64], now: float, threshold: float) -> float:
    """How full the bar is: nothing at zero or the least score so far, two thirds at the threshold."""
    least = min(0.0, float(scores.min()), threshold)
    if threshold <= least:
        return _MARK if now <= threshold else 1.0
    return float(np.clip(_MARK * (now - least) / (threshold - least), 0.0, 1.0))


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], words: str, colour: str, width: int) -> None:
    """A line of words, cut short where there is no room."""
    font = _font()
    if draw.textlength(words, font=font) > width:
        while words and draw.textlength(words + "...", font=font) > width:
            words = words[:-1]
        words += "..."
    draw.text((place[0] + 2, place[1] + 2), words, fill=colour, font=font)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_FONT)


def _fitted(dream: Picture, height: int, width: int) -> Image.Image:
    """A dream in the size of physics' pictures; small ones keep their pixels."""
    image = Image.fromarray(dream)
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.NEAREST)
