"""The page of a sensitivity report: success against every factor, drawn as inline SVG, without a script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

WIDTH, HEIGHT = 360, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 12, 44
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:78rem;padding:0 1rem;color:#222;background:#fff}
figure{display:inline-block;margin:0 1rem 1.5rem 0;vertical-align:top}
figcaption{font-size:13px;max-width:360px}figcaption b{font-size:14px}
.clear figcaption b{color:#b3261e}svg text{font:11px system-ui,sans-serif;fill:#444}
"""


def page(report: Mapping[str, Any]) -> str:
    """The HTML of a report as `Sensitivity.to_dict` gives it."""
    title = f"{report['policy']} in {report['cousins']}"
    low, high = report["interval"]
    told = [f"<li>{escape(sentence)}</li>" for sentence in report["told"]] or ["<li>it fails on no factor clearly</li>"]
    figures = [_figure(each, report["rate"]) for each in report["factors"]]
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(report['env_id'])}, split {escape(report['split'])}: {report['solved']} of {report['played']} "
            f"episodes in {report['count']} cousins end in success ({low:.2f} to {high:.2f}).</p>",
            f"<ul>{''.join(told)}</ul>",
            "<p>Dots: share of episodes that end in success, with 95 % Wilson intervals; grey line: all episodes. "
            "Red: more than chance explains.</p>",
            *figures,
            "</body></html>",
            "",
        ]
    )


def _figure(factor: Mapping[str, Any], overall: float) -> str:
    caption = (
        f"<b>{escape(factor['factor'])}</b><br>explains {factor['explains']:.1%} (chance {factor['chance']:.3f}); "
        f"best less worst {factor['difference']:.2f} ({factor['interval'][0]:.2f} to {factor['interval'][1]:.2f})"
    )
    kind = ' class="clear"' if factor["clear"] else ""
    return f"<figure{kind}>{_plot(factor, overall)}<figcaption>{caption}</figcaption></figure>"


def _plot(factor: Mapping[str, Any], overall: float) -> str:
    bins = factor["bins"]
    colour = "#b3261e" if factor["clear"] else "#35618e"
    step = (WIDTH - _LEFT - _RIGHT) / len(bins)
    parts = [
        f'<svg role="img" aria-label="success against {escape(factor["factor"], quote=True)}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
    ]
    for share in (0.0, 0.5, 1.0):
        parts.append(_line(_LEFT, _up(share), WIDTH - _RIGHT, _up(share), "#ddd"))
        parts.append(f'<text x="{_LEFT - 6}" y="{_up(share) + 4:.1f}" text-anchor="end">{share:.1f}</text>')
    parts.append(_line(_LEFT, _up(overall), WIDTH - _RIGHT, _up(overall), "#999"))
    middles = [(_LEFT + step * (k + 0.5), _up(each["rate"])) for k, each in enumerate(bins)]
    if bins[0]["low"] is not None:
        way = " ".join(f"{x:.1f},{y:.1f}" for x, y in middles)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>')
    for k, ((x, y), each) in enumerate(zip(middles, bins, strict=True)):
        low, high = each["interval"]
        told = escape(f"{each['range']}: {each['solved']} of {each['played']}")
        short = each["range"].rpartition("/")[2]  # of textures, whose names are paths
        label = escape(short if len(short) <= 16 else short[:15] + "…")
        parts.append(_line(x, _up(low), x, _up(high), colour))
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{told}</title></circle>')
        parts.append(
            f'<text x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16 + 13 * (k % 2)}" text-anchor="middle">{label}</text>'
        )
    return "".join([*parts, "</svg>"])


def _up(share: float) -> float:
    return _TOP + (1 - share) * (HEIGHT - _TOP - _BOTTOM)


def _line(x: float, y: float, to_x: float, to_y: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{colour}"/>'
