"""The template of a set's `index.html`, with its style."""

from __future__ import annotations

TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ m.twin }}: {{ m.entries|length }} cousins</title>
<style>
:root { --ink: #1d2733; --soft: #5c6b7a; --line: #e3e8ee; --paper: #fff; --ground: #f5f7f9;
  --train: {{ colours.train }}; --validation: {{ colours.validation }}; --test: {{ colours.test }}; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 28px; margin: 0; letter-spacing: -.01em; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 40px 0 8px; } h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
p { margin: 6px 0; max-width: 90ch; } .soft { color: var(--soft); }
h3 .n { color: var(--soft); font-weight: 400; font-size: 12.5px; } .lead { font-size: 17px; color: var(--soft); }
.facts { display: flex; flex-wrap: wrap; gap: 10px; margin: 18px 0; padding: 0; list-style: none; }
.facts li, .box { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 8px 14px; }
.facts b { display: block; font-size: 20px; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts span { color: var(--soft); font-size: 12.5px; }
figure { margin: 12px 0 0; background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  overflow: hidden; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding: 8px 14px; color: var(--soft); font-size: 13px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 12px; margin-top: 12px; }
.box svg { display: block; width: 100%; height: 74px; margin-top: 6px; }
.ends { display: flex; justify-content: space-between; font-size: 12px; color: var(--soft);
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; background: var(--paper); border: 1px solid var(--line); border-radius: 12px; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--soft); font-weight: 600; font-size: 12px; }
th, td { padding: 5px 12px; border-bottom: 1px solid var(--line); white-space: nowrap; }
tr:last-child td { border-bottom: 0; } td.r, th.r { text-align: right; } td.w { white-space: normal; }
.bar { display: inline-block; height: 9px; border-radius: 3px; background: var(--train); min-width: 2px;
  vertical-align: middle; }
details { margin-top: 10px; } summary { cursor: pointer; padding: 6px 0; }
.key { display: inline-block; width: 11px; height: 11px; border-radius: 3px; vertical-align: -1px;
  margin: 0 4px 0 12px; }
pre { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 12px 16px;
  overflow-x: auto; font-size: 13px; }
footer { margin-top: 48px; color: var(--soft); font-size: 12.5px; }
@media print { body { background: #fff; } .box, figure { break-inside: avoid; } }
</style>
</head>
<body>
<main>
{% macro histogram(bars, held=()) %}
<svg viewBox="0 0 200 60" preserveAspectRatio="none" role="img" aria-label="Histogram of train and test">
{% for start, end in held %}
<rect x="{{ "%.1f"|format(200 * start) }}" width="{{ "%.1f"|format(200 * (end - start)) }}" height="60"
 fill="{{ colours.test }}" fill-opacity=".1"/>
{% endfor %}
{% for split, path in bars.items() %}<path fill="{{ colours[split] }}" d="{{ path }}"/>{% endfor %}
<path stroke="#c5ced8" stroke-width="1" d="M0 59.5H200"/>
</svg>
{% endmacro %}
<header>
<h1>Cousins of {{ m.twin }}</h1>
<p class="lead">{{ m.entries|length }} variants of one scene, every one simulated and at rest
{%- if m.task %}, and solved by the scripted expert of {{ m.task }}{% endif %}.
Kinship {{ m.config.kinship }}, spread {{ "%g"|format(m.config.width) }}, seed {{ m.seed }}.</p>
<ul class="facts">
{% for split in ("train", "validation", "test") %}
<li><b style="color:var(--{{ split }})">{{ counts[split] }}</b><span>{{ split }}</span></li>
{% endfor %}
<li><b>{{ m.tried }}</b><span>candidates tried</span></li>
<li><b>{{ m.rejected.values()|sum }}</b><span>of them not valid</span></li>
<li><b>{{ "%.3f"|format(distances.mean) }}</b><span>mean distance to the twin</span></li>
</ul>
</header>

{% if missing %}
<p class="box">There are no pictures, because this machine cannot render: {{ missing }}.</p>
{% else %}
<figure><a href="contact_sheet.jpg"><img src="contact_sheet.jpg" alt="The twin and some cousins"></a>
<figcaption>The twin and some of its cousins, seen from one side. Below each: its number, its split, and its distance to
the twin (0: the same, 1: nothing in common); of every split from near to far.</figcaption></figure>
{% endif %}

<h2>Which candidates were not valid</h2>
{% if rejected %}
<div class="scroll"><table><tr><th>Reason</th><th class="r">Candidates</th><th style="width:70%"></th></tr>
{% for reason, count in rejected %}
<tr><td>{{ reason }}</td><td class="r">{{ count }}</td>
<td><span class="bar" style="width:{{ "%.1f"|format(100 * count / m.tried) }}%;background:#b3372f"></span>
{{ "%.1f"|format(100 * count / m.tried) }} %</td></tr>
{% endfor %}
</table></div>
{% else %}
<p>All {{ m.tried }} candidates were valid.</p>
{% endif %}
<p class="soft">Valid is what comes to rest, stays there, overlaps nowhere by a millimetre, keeps the relations of the
twin (what stands on and in what, what is beside, aligned with and facing what)
{%- if m.task %}, and lets the expert of {{ m.task }} succeed{% endif %}. Candidates that were valid but not needed
any more for their split are not counted as invalid.</p>

<h2>What varied, and where</h2>
<p class="soft"><span class="key" style="background:var(--train);margin-left:0"></span>train
<span class="key" style="background:var(--test)"></span>test
<span class="key" style="background:var(--test);opacity:.15"></span>held out: the outer
{{ "%.0f"|format(100 * (1 - inner)) }} % of every range is for testing only. Histograms of what the cousins of both
splits have (validation draws as train does), over the whole range of the setting; factors on a logarithmic scale,
discs by area. Things that have little room move by less than they might, so that some poses of the test split are not
in its held-out part.</p>
<div class="grid">
<div class="box"><h3>distance to the twin</h3>{{ histogram(distances.bars) }}
<div class="ends"><span>0</span><span>{{ "%.3f"|format(distances.top / 2) }}</span>
<span>{{ "%.3f"|format(distances.top) }}</span></div></div>
{% for d in drawn %}
<div class="box"><h3>{{ d.name }} <span class="n">{{ d.count }} drawn</span></h3>
{{ histogram(d.bars, d.held) }}
<div class="ends"><span>{{ d.low }}</span><span>{{ d.middle }}</span><span>{{ d.high }}</span></div></div>
{% endfor %}
</div>

<h2>What stood in for what</h2>
<p class="soft">The nearest things of the library, of what kinship {{ m.config.kinship }} allows and no farther than
{{ "%.2f"|format(reach) }}. The distance that they are matched by is the mean of the terms, weighted by
{% for name, weight in weights.items() %}{{ name }} {{ "%.2f"|format(weight) }}{{ ", " if not loop.last }}{% endfor %}.
The last third of every pool of three and more is for testing only.</p>
{% for pool in pools %}
<details{% if loop.first %} open{% endif %}>
<summary><b>{{ pool.name }}</b> ({{ pool.category }}): {{ pool.candidates|length or "no" }} stand-in
{{- "" if pool.candidates|length == 1 else "s" }}; mean distance of the cousins'
{{ "%.3f"|format(pool.distance) }}</summary>
<div class="scroll"><table><tr><th>Stand-in</th><th class="r">Size (mm)</th><th class="r">Distance</th>
{% for term in weights %}<th class="r">{{ term }}</th>{% endfor %}
<th class="r">Train</th><th class="r">Validation</th><th class="r">Test</th></tr>
<tr><td>{{ pool.name }} of the twin</td><td></td><td class="r">0.000</td>
{% for term in weights %}<td class="r soft">0.00</td>{% endfor %}
{% for n in pool.kept %}<td class="r">{{ n }}</td>{% endfor %}</tr>
{% for c in pool.candidates %}
<tr><td>{{ c.name }}</td>
<td class="r">{% for v in c.size %}{{ "%.0f"|format(1000 * v) }}{{ " x " if not loop.last }}{% endfor %}</td>
<td class="r"><span class="bar" style="width:{{ "%.0f"|format(160 * c.distance) }}px"></span>
<b>{{ "%.3f"|format(c.distance) }}</b></td>
{% for term in weights %}<td class="r">{{ "%.2f"|format(c.terms[term]) }}</td>{% endfor %}
{% for n in c.used %}<td class="r">{{ n }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
</details>
{% endfor %}

<h2>Settings</h2>
<div class="scroll"><table><tr><th>Axis</th><th>On</th><th>Ranges at a spread of 1</th></tr>
{% for name, on, text in axes %}
<tr><td>{{ name }}</td><td>{{ "yes" if on else "no" }}</td><td class="w">{{ text }}</td></tr>
{% endfor %}
</table></div>

<h2>Use it</h2>
<pre>import gymnasium as gym
import pocketworlds

envs = gym.make_vec(
    "{{ m.task.split(" ")[0] or "PocketWorlds/Scan-v0" }}", scene="path/of/this/folder", split="train", num_envs=256
)</pre>
<footer>PocketWorlds. Twin {{ m.twin_sha256[:12] }}.
{% for name, number in m.versions.items() %}{{ name }} {{ number }}{{ ", " if not loop.last }}{% endfor %}</footer>
</main>
</body>
</html>
"""
