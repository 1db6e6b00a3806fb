"""The page of an audit: tables, plots and films in one HTML file, without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..tables import Table


def page(title: str, tables: Sequence[Table], plots: Mapping[str, str], films: Mapping[str, Any]) -> str:
    """The HTML; plots (SVG) are part of it, films lie beside it."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(_TEMPLATE).render(
        title=title, tables=tables, plots=plots, films=films.get("films", []), style=_STYLE
    )


_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:84rem;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;font-size:13px;margin:.5rem 0}td,th{padding:.2rem .6rem;border-bottom:1px solid #ddd}
th{text-align:left}.scroll{overflow-x:auto}.missed{color:#b3261e;font-weight:bold}.note{font-size:13px;color:#555}
figure{display:inline-block;margin:0 1rem 1rem 0;vertical-align:top}figcaption{font-size:13px}
"""

_TEMPLATE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Audit of {{ title }}</title><style>{{ style | safe }}</style></head>
<body>
<h1>Audit of {{ title }}</h1>
{% for svg in plots.values() %}
<figure>{{ svg | safe }}</figure>
{% endfor %}
{% for film in films %}
<figure><video src="{{ film.file }}" controls loop muted width="400"></video>
<figcaption>{{ film.player }}, seed {{ film.seed }}: physics | model | difference</figcaption></figure>
{% endfor %}
{% for table in tables %}
<h2>{{ table.title }}</h2>
<div class="scroll"><table>
<tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in table.rows %}
<tr>{% for cell in row %}<td{% if cell == "MISSED" %} class="missed"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% if table.note %}
<p class="note">{{ table.note }}</p>
{% endif %}
{% endfor %}
</body></html>
"""
