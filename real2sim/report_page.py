"""The page of a scan report: one jinja2 template with its style, filled from a `SceneReport` and pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .report import SceneReport


def page(report: SceneReport, pictures: dict[str, Any]) -> str:
    """The report as one HTML page.

    Args:
        report: the figures.
        pictures: data URIs "preview", "photo", "top", "thumbnails" {name: URI}; "outlines" {name: [[column, row], ...]}
            in pixels of the top view, "top_size" (width, height), "metres_per_pixel"; "missing": why there are none.
    """
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"mm": _mm, "cm": _cm, "kg": _kg, "degrees": _degrees, "number": _number, "time": _time}
    pictures = _NO_PICTURES | pictures
    labels = {name: _middle(outline) for name, outline in pictures["outlines"].items()}
    bar = _scale_bar(pictures["metres_per_pixel"])
    return environment.from_string(_TEMPLATE).render(r=report, pictures=pictures, labels=labels, bar=bar, style=_STYLE)


_NO_PICTURES: dict[str, Any] = {
    "missing": "",
    "photo": "",
    "preview": "",
    "top": "",
    "top_size": (0, 0),
    "metres_per_pixel": 0.0,
    "outlines": {},
    "thumbnails": {},
}


def _mm(metres: float | None) -> str:
    return "-" if metres is None else f"{metres * 1000:.1f} mm"


def _cm(metres: float) -> str:
    return f"{metres * 100:.1f}"


def _kg(kilograms: float) -> str:
    return f"{kilograms * 1000:.0f} g" if kilograms < 1 else f"{kilograms:.2f} kg"


def _degrees(radians: float) -> str:
    return f"{math.degrees(radians):.1f}°"


def _number(value: float | str) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _time(seconds: float) -> str:
    if seconds >= 60:
        return f"{int(seconds // 60)} min {seconds % 60:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _middle(outline: list[list[float]]) -> tuple[float, float]:
    columns, rows = [point[0] for point in outline], [point[1] for point in outline]
    return (min(columns) + max(columns)) / 2, (min(rows) + max(rows)) / 2


def _scale_bar(metres_per_pixel: float) -> tuple[str, float]:
    """A round length that takes about a fifth of the picture, as a label and in pixels."""
    if metres_per_pixel <= 0:
        return "", 0.0
    length = next((m for m in (5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02) if m / metres_per_pixel < 200), 0.01)
    return (f"{length:g} m" if length >= 1 else f"{length * 100:g} cm"), length / metres_per_pixel


_STYLE = """
:root { --ink: #1d2733; --soft: #5c6b7a; --line: #e3e8ee; --paper: #fff; --ground: #f5f7f9; --accent: #2563a8;
  --good: #1a7f4b; --fair: #a86a00; --poor: #b3372f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 12px; }
h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
p { margin: 6px 0; }
.lead { font-size: 17px; color: var(--soft); max-width: 70ch; }
.facts { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0; padding: 0; list-style: none; }
.facts li { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 8px 14px; }
.facts b { display: block; font-size: 20px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts span { color: var(--soft); font-size: 12.5px; }
figure { margin: 0; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
figure img, figure svg { display: block; width: 100%; height: auto; }
figcaption { padding: 8px 14px; color: var(--soft); font-size: 13px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); gap: 16px; align-items: start; }
.box { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; }
.box.trust { border-top: 4px solid var(--good); } .box.caution { border-top: 4px solid var(--fair); }
.box ul { margin: 8px 0 0; padding-left: 18px; } .box li { margin: 5px 0; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 16px; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; }
.card img { display: block; width: 100%; height: auto; }
.card .in { padding: 12px 16px 14px; }
.title { display: flex; align-items: center; gap: 8px; }
.title .n { flex: none; min-width: 24px; height: 24px; border-radius: 12px; background: var(--accent); color: #fff;
  font-size: 13px; line-height: 24px; text-align: center; }
.tag { margin-left: auto; flex: none; font-size: 12px; border-radius: 9px; padding: 1px 9px; color: #fff; }
.tag.good { background: var(--good); } .tag.fair { background: var(--fair); } .tag.poor { background: var(--poor); }
dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 10px 0; font-size: 13.5px; }
dt { color: var(--soft); } dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.source { color: var(--soft); font-size: 12px; display: block; overflow-wrap: anywhere; }
.seen { height: 6px; border-radius: 3px; background: var(--line); overflow: hidden; margin-top: 4px; }
.seen i { display: block; height: 100%; background: var(--accent); }
.notes { margin: 8px 0 0; padding-left: 17px; font-size: 13.5px; color: var(--soft); }
.scroll { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; font-size: 12.5px; }
th, td { padding: 7px 14px; border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; } td.r, th.r { text-align: right; white-space: nowrap; }
.bar { height: 5px; border-radius: 3px; background: var(--accent); margin-top: 4px; min-width: 2px; }
.muted { color: var(--soft); } footer { margin-top: 48px; color: var(--soft); font-size: 12.5px; }
@media print { body { background: #fff; } .card, .box, figure { break-inside: avoid; } }
"""

_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ r.scene }}: scan report</title>
<style>{{ style|safe }}</style>
</head>
<body>
<main>
<header>
<h1>{{ r.scene }}</h1>
<p class="lead">{{ r.summary }}</p>
<ul class="facts">
<li><b>{{ r.objects|selectattr("mobility", "equalto", "free")|list|length }}</b><span>free objects</span></li>
<li><b>{{ r.objects|selectattr("trust", "equalto", "good")|list|length }} of {{ r.objects|length }}</b>
<span>objects to trust</span></li>
<li><b>{{ r.capture.frames_used }} of {{ r.capture.frames_total }}</b><span>frames used</span></li>
<li><b>{{ r.seconds|time }}</b><span>computing</span></li>
{% if r.peak_memory_mb %}
<li><b>{{ "%.1f"|format(r.peak_memory_mb / 1024) }} GB</b><span>peak memory</span></li>
{% endif %}
</ul>
</header>

{% if pictures.missing %}<p class="box caution">No pictures: {{ pictures.missing }}.</p>{% endif %}
<div class="pair">
{% if pictures.photo %}
<figure><img src="{{ pictures.photo }}" alt="Photo from the capture"><figcaption>The capture</figcaption></figure>
{% endif %}
{% if pictures.preview %}
<figure><img src="{{ pictures.preview }}" alt="Preview of the scene"><figcaption>The scene</figcaption></figure>
{% endif %}
</div>

<h2>What to trust, and what not</h2>
<div class="pair">
<div class="box trust"><h3>You can rely on</h3><ul>
{% for line in r.trust %}<li>{{ line }}</li>{% else %}<li>Nothing in particular.</li>{% endfor %}
</ul></div>
<div class="box caution"><h3>Take with care</h3><ul>
{% for line in r.caution %}<li>{{ line }}</li>{% else %}<li>Nothing in particular.</li>{% endfor %}
</ul></div>
</div>

{% if r.objects %}
<h2>Objects</h2>
{% if pictures.top %}
<figure style="margin-bottom:16px">
{% set width, height = pictures.top_size %}
<svg viewBox="0 0 {{ width }} {{ height }}" role="img" aria-label="View from above with numbered footprints">
<image href="{{ pictures.top }}" width="{{ width }}" height="{{ height }}"/>
{% for item in r.objects if item.name in labels %}
{% set outline = pictures.outlines[item.name] %}
<polygon points="{% for x, y in outline %}{{ x }},{{ y }} {% endfor %}" fill="none" stroke="#fff" stroke-width="4"
 stroke-opacity=".8"/>
<polygon points="{% for x, y in outline %}{{ x }},{{ y }} {% endfor %}" fill="none" stroke="#2563a8" stroke-width="2"/>
{% endfor %}
{% for item in r.objects if item.name in labels %}
{% set x, y = labels[item.name] %}
<circle cx="{{ x }}" cy="{{ y }}" r="13" fill="#2563a8" stroke="#fff" stroke-width="2"/>
<text x="{{ x }}" y="{{ y + 5 }}" text-anchor="middle" font-size="14" font-weight="600"
 fill="#fff">{{ item.number }}</text>
{% endfor %}
{% if bar[1] %}
<g transform="translate(24 {{ height - 24 }})"><rect width="{{ bar[1] }}" height="5" fill="#fff" stroke="#1d2733"/>
<text x="0" y="-8" font-size="14" fill="#1d2733" stroke="#fff" stroke-width="3"
 paint-order="stroke">{{ bar[0] }}</text></g>
{% endif %}
</svg>
<figcaption>From above, with the footprint of every object.</figcaption>
</figure>
{% endif %}
<div class="cards">
{% for item in r.objects %}
<article class="card">
{% if item.name in pictures.thumbnails %}
<img src="{{ pictures.thumbnails[item.name] }}" alt="{{ item.name }}" loading="lazy">
{% endif %}
<div class="in">
<div class="title"><span class="n">{{ item.number }}</span><h3>{{ item.name }}</h3>
<span class="tag {{ item.trust }}">{{ item.trust }}</span></div>
<p class="muted">{{ item.category }}, {{ "can be moved" if item.mobility == "free" else "fixed" }}
{%- if item.support %}, on {{ item.support }}{% endif %}</p>
<dl>
<dt>Footprint</dt><dd>{{ item.footprint[0]|cm }} x {{ item.footprint[1]|cm }} cm</dd>
<dt>Height</dt><dd>{{ item.height|cm }} cm</dd>
<dt>Mass</dt><dd>{{ item.mass.value|kg }} <span class="muted">({{ item.mass.low|kg }} to {{ item.mass.high|kg }})</span>
<span class="source">{{ item.mass.source }}</span></dd>
<dt>Friction</dt><dd>{{ "%.2f"|format(item.friction.value) }}
<span class="muted">({{ "%.2f"|format(item.friction.low) }} to {{ "%.2f"|format(item.friction.high) }})</span>
<span class="source">{{ item.friction.source }}</span></dd>
{% if item.fit_error is not none %}<dt>Fit error</dt><dd>{{ item.fit_error|mm }}</dd>{% endif %}
{% if item.completion %}<dt>Unseen sides</dt><dd>{{ item.completion }}</dd>{% endif %}
<dt>Moved to rest</dt><dd>{{ item.settle_drift|mm }}, {{ item.settle_tilt|degrees }}</dd>
{% if item.parts %}<dt>Opens</dt><dd>{{ item.parts|join(", ") }}</dd>{% endif %}
</dl>
{% if item.observed_fraction is not none %}
<div class="muted" style="font-size:12.5px">{{ "%.0f"|format(100 * item.observed_fraction) }} % of the surface seen
<div class="seen"><i style="width:{{ "%.0f"|format(100 * item.observed_fraction) }}%"></i></div></div>
{% endif %}
{% if item.notes %}<ul class="notes">{% for note in item.notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
</div>
</article>
{% endfor %}
</div>
{% endif %}

<h2>Structure</h2>
<div class="scroll"><table><tr><th>Name</th><th>Kind</th><th class="r">Extents</th><th class="r">Top</th></tr>
{% for s in r.structure %}
<tr><td>{{ s.name }}</td><td>{{ s.kind }}</td>
<td class="r">{{ s.size|map("cm")|join(" x ") }} cm</td><td class="r">{{ s.top|cm }} cm</td></tr>
{% else %}<tr><td colspan="4" class="muted">None found.</td></tr>{% endfor %}
</table></div>

<h2>Stages</h2>
<div class="scroll"><table><tr><th>Stage</th><th class="r">Time</th><th class="r">Peak memory</th><th>Result</th></tr>
{% set longest = r.stages|map(attribute="seconds")|max if r.stages else 0 %}
{% for s in r.stages %}
<tr><td>{{ s.name }}{% if s.cached %} <span class="muted">(reused)</span>{% endif %}</td>
{% set share = 100 * s.seconds / longest if longest else 0 %}
<td class="r">{{ s.seconds|time }}<div class="bar" style="width:{{ "%.0f"|format(share) }}%"></div></td>
<td class="r">{{ "%.0f MB"|format(s.peak_memory_mb) if s.peak_memory_mb else "-" }}</td>
<td>{% for key, value in s.summary.items() %}
{{ key }}: {{ value|number }}{{ "; " if not loop.last }}
{% endfor %}</td></tr>
{% endfor %}
</table></div>

<h2>Capture</h2>
<div class="scroll"><table>
<tr><td>Source</td><td>{{ r.capture.path_name }}</td></tr>
<tr><td>Format</td><td>{{ r.capture.format }}</td></tr>
<tr><td>Frames</td><td>{{ r.capture.frames_used }} used of {{ r.capture.frames_total }}</td></tr>
<tr><td>Scale</td><td>{{ "metric" if r.capture.is_metric else "unknown" }}</td></tr>
<tr><td>Gravity</td><td>{{ "measured by the phone" if r.capture.has_gravity else "estimated" }}</td></tr>
{% for note in r.capture.notes %}<tr><td>Note</td><td>{{ note }}</td></tr>{% endfor %}
{% for what, reason in r.capture.skipped[:50] %}<tr><td>Left out: {{ what }}</td><td>{{ reason }}</td></tr>{% endfor %}
{% if r.capture.skipped|length > 50 %}
<tr><td colspan="2" class="muted">and {{ r.capture.skipped|length - 50 }} more, listed in report.json</td></tr>
{% endif %}
</table></div>

<footer>PocketWorlds.
{% for name, number in r.versions.items() %}{{ name }} {{ number }}{{ ", " if not loop.last }}{% endfor %}</footer>
</main>
</body>
</html>
"""
