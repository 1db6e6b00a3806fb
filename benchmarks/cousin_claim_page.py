"""The plot of `cousin_claim`: success against the distance to the twin, a line for each way of training, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 150, 16, 44
_COLOURS = ("#777777", "#c77d1a", "#35618e", "#1b7f4d")


def plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """The SVG of `cousin_claim.summary`; bars are 95 % intervals, small dots the seeds."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    farthest = max(row["high"] for row in rows) or 1.0

    def across(distance: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * distance / farthest

    def up(share: float) -> float:
        return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="success against distance to the twin" '
        f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = up(share)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{share:.2f}</text>')
    spans = sorted({(row["low"], row["high"]) for row in rows})
    for low, high in spans:
        told = "twin" if high == 0 else f"{low:.2f}-{high:.2f}"
        parts.append(f'<text x="{across((low + high) / 2):.1f}" y="{HEIGHT - 24}" text-anchor="middle">{told}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 6}" text-anchor="middle">distance to the twin</text>')
    for number, way in enumerate(ways):
        colour = _COLOURS[number % len(_COLOURS)]
        own = sorted((row for row in rows if row["way"] == way), key=lambda row: float(row["low"] + row["high"]))
        places = [across((row["low"] + row["high"]) / 2) + 4 * (number - (len(ways) - 1) / 2) for row in own]
        line = " ".join(f"{x:.1f},{up(row['rate']):.1f}" for x, row in zip(places, own, strict=True))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for x, row in zip(places, own, strict=True):
            low, high = row["interval"]
            parts.append(f'<line x1="{x:.1f}" y1="{up(low):.1f}" x2="{x:.1f}" y2="{up(high):.1f}" stroke="{colour}"/>')
            parts += [f'<circle cx="{x:.1f}" cy="{up(s):.1f}" r="1.5" fill="{colour}"/>' for s in row["seeds"]]
            told = escape(f"{way}: {row['solved']} of {row['played']}")
            parts.append(
                f'<circle cx="{x:.1f}" cy="{up(row["rate"]):.1f}" r="4" fill="{colour}"><title>{told}</title></circle>'
            )
        y = _TOP + 14 + 18 * number
        parts.append(f'<circle cx="{WIDTH - _RIGHT + 16}" cy="{y - 4}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - _RIGHT + 26}" y="{y}">{escape(way)}</text>')
    return "\n".join([*parts, "</svg>", ""])
