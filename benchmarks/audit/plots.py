"""Plots as SVG: lines with a legend, points against the diagonal, and points with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 460, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 34, 44
_COLOURS = ("#1f5fb4", "#8a8a8a", "#c77d1a", "#1b7f4d", "#b3261e", "#7a4fa3")

Points = Sequence[tuple[float, float]]


def lines(
    title: str,
    across: str,
    up: str,
    series: Mapping[str, Points],
    *,
    logarithmic: bool = False,
    low: float | None = 0.0,
    high: float = 0.0,
) -> str:
    """An SVG of lines by name ("": not told); the vertical axis begins at `low` (None: at the least value) and reaches
    `high` at least."""
    points = [point for each in series.values() for point in each]
    if not points:
        return ""
    xs, ys = zip(*points, strict=True)
    across_ends = _ends(xs) if logarithmic or min(xs) < 0 else (0.0, _even(max(xs)))
    least = min(ys) if low is None else min(low, *ys)
    most = max(high, *ys)
    frame = _Frame(across_ends, (least, _even(most) if least == 0 else most), logarithmic)
    parts = [*_begun(title, across, up, frame, sorted(set(xs)) if logarithmic else frame.across_ticks())]
    for number, (name, each) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        way = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in each)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        told = f"{name}: " if name else ""
        parts += [_dot(frame.x(x), frame.y(y), colour, f"{told}{y:.3g} at {x:g}") for x, y in each]
        if not name:
            continue
        place = _LEFT + 4 + number * (WIDTH - _LEFT) / max(len(series), 3)
        parts.append(f'<rect x="{place:.0f}" y="{_TOP - 12}" width="9" height="3" fill="{colour}"/>')
        parts.append(f'<text x="{place + 13:.0f}" y="{_TOP - 7}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def diagonal(title: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Success of policies in the model against that in physics, with 95 % intervals; the line is where both agree."""
    frame = _Frame((0.0, 1.0), (0.0, 1.0), False)
    parts = [*_begun(title, "success in physics", "success in the model", frame, frame.across_ticks())]
    parts.append(_line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "#bbb"))
    kinds = list(dict.fromkeys(str(row["kind"]) for row in rows))
    for row in rows:
        colour = _COLOURS[kinds.index(str(row["kind"])) % len(_COLOURS)]
        x, y = frame.x(row["physics"]), frame.y(row["model"])
        low, high = row["physics_interval"]
        parts.append(_line(frame.x(low), y, frame.x(high), y, colour + "66"))
        low, high = row["model_interval"]
        parts.append(_line(x, frame.y(low), x, frame.y(high), colour + "66"))
        parts.append(
            _dot(x, y, colour, f"{row['name']}: {row['physics']:.2f} in physics, {row['model']:.2f} in the model")
        )
    return "\n".join([*parts, "</svg>", ""])


def points(title: str, across: str, up: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Points with intervals upwards, which begins at 0 and ends at 1.

    Args:
        rows: `x`, `y`, `interval` of y, `name` to read, and `mark`, a few characters to write beside the point.
    """
    if not rows:
        return ""
    frame = _Frame((0.0, _even(1.05 * max(float(row["x"]) for row in rows))), (0.0, 1.0), False)
    parts = _begun(title, across, up, frame, frame.across_ticks())
    for row in rows:
        x, y = frame.x(row["x"]), frame.y(row["y"])
        low, high = row["interval"]
        parts.append(_line(x, frame.y(low), x, frame.y(high), _COLOURS[0]))
        told = f"{row['name']}: {row['y']:.3f} ({low:.3f} to {high:.3f}) at {row['x']:.3g}"
        parts.append(_dot(x, y, _COLOURS[0], told))
        parts.append(f'<text x="{x + 6:.1f}" y="{y - 5:.1f}">{escape(str(row["mark"]))}</text>')
    return "\n".join([*parts, "</svg>", ""])


class _Frame:
    """From values to pixels."""

    def __init__(self, across: tuple[float, float], up: tuple[float, float], logarithmic: bool) -> None:
        self._log = logarithmic
        self.across, self.up = across, (up[0], up[1] if up[1] > up[0] else up[0] + 1)

    def x(self, value: float) -> float:
        """Of a value across."""
        low, high = self.across
        if self._log:
            low, high, value = (math.log(v) for v in (low, high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Of a value up."""
        low, high = self.up
        return HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM)

    def across_ticks(self) -> list[float]:
        """Five values across."""
        low, high = self.across
        return [low + (high - low) * k / 4 for k in range(5)]


def _begun(title: str, across: str, up: str, frame: _Frame, ticks: Sequence[float]) -> list[str]:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title, quote=True)}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="13" font-weight="bold">{escape(title)}</text>',
    ]
    low, high = frame.up
    for k in range(5):
        value = low + (high - low) * k / 4
        parts.append(_line(_LEFT, frame.y(value), WIDTH - _RIGHT, frame.y(value), "#ddd"))
        parts.append(f'<text x="{_LEFT - 5}" y="{frame.y(value) + 4:.1f}" text-anchor="end">{_label(value)}</text>')
    for value in ticks:
        parts.append(
            f'<text x="{frame.x(value):.1f}" y="{HEIGHT - _BOTTOM + 15}" text-anchor="middle">{_label(value)}</text>'
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(across)}</text>')
    half = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text x="12" y="{half:.0f}" text-anchor="middle" transform="rotate(-90 12 {half:.0f})">{escape(up)}</text>'
    )
    return parts


def _label(value: float) -> str:
    """Of an axis: 20k for 20,000, 1.5M for 1,500,000."""
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"


def _even(most: float) -> float:
    """An end of an axis from 0 that is beyond `most`, a quarter of which is a round number."""
    return 4 * _round(most / 4)


def _round(step: float) -> float:
    """The next larger one of 1, 1.5, 2, 2.5, 3, 4, 5 and 10 times a power of ten; 0.25 of next to nothing."""
    if step < 1e-300:
        return 0.25
    power: float = 10.0 ** math.floor(math.log10(step))
    return power * next(each for each in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0) if each >= step / power * (1 - 1e-9))


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _dot(x: float, y: float, colour: str, told: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{escape(told)}</title></circle>'


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"/>'
