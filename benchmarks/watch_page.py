"""The page of `watch`: films, signals and a table of episodes in one HTML file; it opens from a disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .audit.plots import lines


def page(report: Mapping[str, Any]) -> str:
    """The HTML of what `watch.json` says; films lie beside it."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    bell, episodes = report["alarm"], report["episodes"]
    return environment.from_string(_TEMPLATE).render(
        facts=report["facts"],
        shown=report["dream"],
        told=alarm_told(bell),
        alarmed=bell["threshold"] is not None,
        rung=sum(each["alarm"] is not None for each in episodes),
        solved=sum(each["success"] for each in episodes),
        signal=bell["signal"],
        episodes=[{**each, "plots": plots(each["signals"], bell)} for each in episodes],
        style=_STYLE,
    )


def alarm_told(bell: Mapping[str, Any]) -> str:
    """When it rings, in words."""
    source = bell["source"]
    if bell["threshold"] is None:
        why = f"too few of {source['episodes']} episodes succeed" if source else "no episodes calibrate it"
        return f"There is no alarm: {why}."
    words = "the running mean of " if bell["averaged"] else ""
    told = (
        f"The alarm rings when {words}“{bell['signal']}” passes {bell['threshold']:.4g}, which at most a tenth of the "
        f"episodes that succeed should; {source['episodes']} episodes of seeds from {source['first seed']} on gave it"
    )
    if not source["elsewhere"]:
        return f"{told}."
    return f"{told}, in {source['environment']} with {source['keywords']}: what it promises, it promises there."


def plots(signals: Mapping[str, Mapping[str, Any]], bell: Mapping[str, Any]) -> dict[str, str]:
    """SVGs by signal: every decision, the running mean that is judged, and the threshold."""
    found = {}
    for name, told in signals.items():
        signal, score = told["signal"], told["score"]
        series = {"each decision": _points(signal)}
        if score != signal:
            series["running mean"] = _points(score)
        threshold = bell["thresholds"].get(name)
        if threshold is not None:
            series["threshold"] = [(1.0, threshold), (float(len(score)), threshold)]
        found[name] = lines(name, "decision", "", series)
    return found


def _points(values: list[float]) -> list[tuple[float, float]]:
    return [(float(k), value) for k, value in enumerate(values, 1)]


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:1.5rem auto;max-width:76rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.15rem;margin:2rem 0 .5rem}
h1,h2,p,td{overflow-wrap:anywhere}
table{border-collapse:collapse;font-size:14px}td,th{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:left}
.scroll{overflow-x:auto}.scroll td{overflow-wrap:normal}.facts td{overflow-wrap:anywhere}
.note{font-size:14px;color:#555}
.rang{color:#b3261e;font-weight:bold}
.row{display:flex;flex-wrap:wrap;gap:1rem;align-items:flex-start}
video{flex:1 1 20rem;min-width:0;max-width:656px;width:100%;height:auto;background:#16181d}
@media(max-width:40rem){.asked{display:none}td,th{padding:.25rem;font-size:13px}}
svg{max-width:100%;height:auto;flex:0 1 auto}summary{cursor:pointer;padding:.5rem 0}
"""

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Watching {{ facts["environment"] }}</title><style>{{ style | safe }}</style></head>
<body>
<h1>{{ facts["environment"] }}, and what the model dreamed of it</h1>
<p>{{ solved }} of {{ episodes | length }} episodes end in success{% if alarmed %}; the alarm rings in {{ rung }}{%
endif %}. {{ told }}</p>
<p class="note">Left: physics. Right: how the model dreamed that its present chunk of actions ends, {{ shown }}. When
the chunk has been played, the two are of the same moment. Errors are told of the last chunk that has been played, in
squares of usual changes; the white mark on the bar is where the alarm rings, and the frame is red from then on.</p>
<div class="scroll"><table>
<tr><th>episode</th><th>seed</th><th class="asked">asked for</th><th>ends in</th><th>alarm</th><th>skill</th></tr>
{% for each in episodes %}
<tr><td><a href="#episode-{{ loop.index }}">{{ loop.index }}</a></td><td>{{ each.seed }}</td>
<td class="asked">{{ each.instruction }}</td>
<td>{{ "success" if each.success else "failure" }}</td>
<td{% if each.alarm %} class="rang"{% endif %}>{{ "decision %d" % each.alarm if each.alarm else "never" }}</td>
<td>{{ "-" if each.skill is none else "%.2f" % each.skill }}</td></tr>
{% endfor %}
</table></div>
<p class="note">Skill: of what changes, the share that was foreseen.</p>
{% for each in episodes %}
<h2 id="episode-{{ loop.index }}">Episode {{ loop.index }}: {{ each.instruction }}</h2>
<div class="row">
<video src="{{ each.film }}" controls loop muted playsinline preload="metadata"
poster="{{ each.film | replace(".mp4", ".jpg") }}"
aria-label="episode {{ loop.index }}, physics beside the dream"></video>
{{ each.plots[signal] | safe }}
</div>
<details><summary>The other signals of episode {{ loop.index }}</summary><div class="row">
{% for name, svg in each.plots.items() if name != signal %}
{{ svg | safe }}
{% endfor %}
</div></details>
{% endfor %}
<h2>What was run</h2>
<div class="facts"><table>
{% for name, value in facts.items() %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table></div>
</body></html>
"""
