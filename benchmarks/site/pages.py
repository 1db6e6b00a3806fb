"""The pages: an index, a page a suite, a page a run. Templates lie beside this file; what they are given is escaped."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ... import __version__
from ...errors import SceneError, SuiteError
from ..audit.plots import lines, points
from ..leaderboard.curves import LearningCurve
from ..leaderboard.factors import Influence, influences
from ..leaderboard.results import Results
from ..leaderboard.trust import FEWEST, Trust, compared, trust
from ..suites.manifest import Group, Suite, suite_names
from ..words import between, number, printable, shortened
from .board import Pair, Standing, failures, nearness, scenes
from .shade import shade

_FOLDER = Path(__file__).parent
_BEST = 5
"""Runs of each suite on the index."""
COMPARED = 12
"""Runs of a suite that are compared two by two."""
_POINTS = 50
"""Of a learning curve that are drawn."""
_STRONGEST = 8
"""Factors of cousins that are shown."""
_FACTS = 60
"""Told of a machine, and of an agent's files: a submission may say more than anybody reads."""


def index_page(boards: Sequence[tuple[Suite, Sequence[Standing]]]) -> str:
    """Of all suites."""
    suites = [{"suite": suite, "standings": found, "episodes": _episodes(suite)} for suite, found in boards]
    return _rendered("index.html.j2", suites=suites, most=_BEST)


def suite_page(suite: Suite, found: Sequence[Standing], pairs: Sequence[Pair]) -> str:
    """Of a suite and its runs, best first."""
    rows = [
        {
            "x": run.whole.energy,
            "y": run.total.mean,
            "interval": run.total.mean_interval,
            "name": run.label,
            "mark": run.rank,
        }
        for run in found
        if _tells_energy(run)
    ]
    return _rendered(
        "suite.html.j2",
        suite=suite,
        standings=found,
        pairs=pairs,
        compared=COMPARED,
        episodes=_episodes(suite),
        energy=Markup(points("Energy against success", "energy of an episode [J]", "success", rows)),
        without_energy=[run.label for run in found if not _tells_energy(run)],
        trusted=_trusted([run.results for run in found]),
        fewest=FEWEST,
        swapped=bool(compared([group.name for group in suite.groups])),
    )


def _trusted(runs: Sequence[Results]) -> list[Trust]:
    """What the runs say of what stands in for physics; nothing, if they are too few or play in one alone."""
    try:
        return trust(runs)
    except SuiteError:
        return []


def run_page(
    suite: Suite, run: Standing, count: int, films: Sequence[dict[str, str]], curves: Sequence[LearningCurve] = ()
) -> str:
    """Of a run, one of `count` of its suite; `films`: their files below `videos` and what to call them; `curves`: how
    the agent learned."""
    return _rendered(
        "run.html.j2",
        suite=suite,
        run=run,
        count=count,
        films=films,
        curves=_plots(curves),
        facts=_facts(run),
        files=_files(run),
        groups=[_group(suite, group, run) for group in suite.groups],
    )


def _plots(curves: Sequence[LearningCurve]) -> list[Markup]:
    """Learning curves; those of the same thing are as high, so that little does not look like much."""
    drawn = [(curve, curve.thinned(_POINTS)) for curve in curves]
    high: dict[str, float] = {}
    for curve, each in drawn:
        high[curve.up] = max(high.get(curve.up, 0.0), *(y for _, y in each))
    found = []
    for curve, each in drawn:
        name, across, up = (str(printable(told)) for told in (curve.name, curve.across, curve.up))
        found.append(Markup(lines(name, across, up, {"": each}, high=high[curve.up])))
    return found


def _group(suite: Suite, group: Group, run: Standing) -> dict[str, Any]:
    results = run.results
    near, failed = nearness(results, group), failures(results, group)
    rows = [
        {
            "x": part.middle,
            "y": part.line.share,
            "interval": part.line.interval,
            "name": f"{part.scenes} cousins",
            "mark": part.scenes,
        }
        for part in near
    ]
    plot = points(f"{group.name} by distance", "distance to the original scene", "success", rows)
    begins, plays = _again(suite, group, results, failed[0].number) if failed else ("", "")
    return {
        "group": group,
        "line": run.lines[group.name],
        "near": near,
        "plot": Markup(plot),
        "scenes": scenes(results, group),
        "factors": _factors(results, group)[:_STRONGEST],
        "failures": failed,
        "begins": begins,
        "plays": plays,
    }


def _factors(results: Results, group: Group) -> list[Influence]:
    """What decides in a group's cousins; nothing where they are not at hand."""
    try:
        return influences(results, group)
    except (SceneError, SuiteError):
        return []


def _again(suite: Suite, group: Group, results: Results, number: int) -> tuple[str, str]:
    """Python that shows how an episode begins, and that plays it with the agent."""
    manifest = suite.name if suite.name in suite_names() else f"{suite.name}.json"  # the second: wherever it is
    load = f"from pocketworlds.benchmarks.suites.manifest import load_suite\nsuite = load_suite({manifest!r})"
    begins = (
        f"import gymnasium as gym\n{load}\ngroup = suite.group({group.name!r})\n"
        "env = gym.make(group.env_id, **group.where())\n"
        f"env.reset(seed={group.seed + number})"
    )
    plays = (
        "from pocketworlds.agents.agents import load_agent\n"
        "from pocketworlds.benchmarks.leaderboard.play import Stage\n"
        f"{load}\ngroup = suite.group({group.name!r})\n"
        f"agent = load_agent({results.agent.address!r}, group=group.name)\n"
        f"print(Stage.made(suite, group, agent, 1).play(agent, [{number}]))"
    )
    return begins, plays


def _facts(run: Standing) -> list[tuple[str, str]]:
    results = run.results
    agent, latency = results.agent, results.latency
    machine = [(shortened(name, 100), str(value)) for name, value in results.machine.items()]
    found = [
        ("agent", agent.name),
        ("address", agent.address),
        ("privileged", "yes: it looks into the simulator" if agent.privileged else "no"),
        (
            "sees and acts",
            ", ".join(f"{name}={value}" for name, value in agent.keywords.items()) or "as the suite has it",
        ),
        (
            "decision, one world",
            f"{number(1e3 * latency.median, '.2f')} ms (one in twenty above {number(1e3 * latency.slow, '.2f')}), for "
            f"{latency.steps:g} control steps: {number(run.rate, ',.0f')} control steps/s; {latency.decisions} timed",
        ),
        ("wall time", f"{results.seconds:,.0f} s"),
        *machine[:_FACTS],
        ("SHA-256 of the suite", results.suite_sha256),
        ("SHA-256 of the results", results.sha256),
    ]
    found += _left(machine)
    return [(name, shortened(told, 400)) for name, told in found]


def _files(run: Standing) -> list[tuple[str, str]]:
    """What the agent was read from, and the SHA-256 of each."""
    files = [
        (shortened(name, 100) + (f" ({shortened(group, 60)})" if group else ""), digest)
        for group, each in run.results.agent.files.items()
        for name, digest in each.items()
    ]
    return [*files[:_FACTS], *_left(files)]


def _left(told: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("and", f"{len(told) - _FACTS} more, in results.json")] if len(told) > _FACTS else []


def _tells_energy(run: Standing) -> bool:
    return run.whole.energy is not None and math.isfinite(run.whole.energy)


def _episodes(suite: Suite) -> int:
    return sum(group.episodes for group in suite.groups)


def _sees(run: Standing) -> str:
    told = run.results.agent.keywords
    return shortened(", ".join(str(told[name]) for name in ("obs_mode", "control_mode") if name in told) or "-", 60)


def _exact(value: float | None) -> str:
    """For sorting."""
    return "" if value is None or not math.isfinite(value) else repr(float(value))


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}"


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


@cache
def _environment() -> Any:
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=printable,
    )
    made.filters |= {
        "between": between,
        "chance": _chance,
        "exact": _exact,
        "figure": number,
        "percent": _percent,
        "sees": _sees,
        "sentence": _sentence,
        "shade": shade,
    }
    script = (_FOLDER / "site.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Nothing but this very script runs and nothing is loaded from elsewhere, should ever something slip through.
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "media-src 'self'; base-uri 'none'; form-action 'none'"
    )
    style = (_FOLDER / "site.css").read_text(encoding="utf-8")
    made.globals |= {"policy": policy, "script": Markup(script), "style": Markup(style), "version": __version__}
    return made


def _rendered(template: str, **told: Any) -> str:
    page: str = _environment().get_template(template).render(**told)
    return page
