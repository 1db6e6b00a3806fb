"""The tables of the reconstruction benchmark, and the figures they are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .real2sim_scene import DROPPED_WRONG, FOUND, LANDED_WRONG, PUSHED_WRONG, TIPPED_WRONG, WELL_FOUND
from .real2sim_scores import Fault, MotionScore, ObjectScore, SceneScore
from .statistics import wilson
from .tables import Table
from .trajectories import DROP_HEIGHT, DROP_TILT, PUSH_LENGTH, PUSH_SECONDS

if TYPE_CHECKING:
    from .real2sim_results import BenchmarkResult, Check

LAYOUTS = ("apart", "contact")
WORST = 5
"""How many of the worst objects are listed for each figure."""

FIGURES: tuple[tuple[str, str, Callable[[ObjectScore], float | None], bool], ...] = (
    ("box IoU", "", lambda o: o.box_iou, True),
    ("solid IoU", "", lambda o: o.solid_iou, True),
    ("chamfer", "mm", lambda o: o.chamfer_mm, False),
    ("centre error", "mm", lambda o: o.center_mm, False),
    ("yaw error", "deg", lambda o: o.yaw_deg, False),
    ("size error", "mm", lambda o: o.size_mm, False),
    ("mass, factor off", "x", lambda o: factor(o.mass_ratio), False),
    ("settle drift", "mm", lambda o: o.settle_drift_mm, False),
)
"""Name, unit, how to read it off an object, and whether more is better."""


def report_tables(result: BenchmarkResult) -> list[Table]:
    """All tables, in the order in which they are printed."""
    return [
        _checks_table(result),
        _detection_table(result),
        _figures_table(result),
        _category_table(result),
        _motion_table(result),
        *_fault_tables(result),
        _worst_table(result),
        _scene_table(result),
        _stage_table(result),
    ]


def _checks_table(result: BenchmarkResult) -> Table:
    rows = [
        [c.name, c.statistic, _number(c.value), _interval(c.interval), c.required, _verdict(c)] for c in result.checks()
    ]
    within = [factor(o.mass_ratio) <= 2 for _, o in result.objects()]
    return Table(
        "Acceptance",
        ["figure", "statistic", "value", "95 %", "asked for", ""],
        rows,
        f"Found: box overlap >= {FOUND}. Box IoU, centre, yaw, chamfer and mass are over found objects only. "
        "Intervals: Wilson, objects taken as independent, which those of one scene are not quite. "
        f"Mass within a factor of 2 for {sum(within)} of {len(within)} found objects.",
    )


# Figures ----------------------------------------------------------------------------------------------------------


def _detection_table(result: BenchmarkResult) -> Table:
    rows = []
    for name in (*LAYOUTS, "all"):
        scenes = [s for s in result.scenes if name in (s.layout, "all")]
        true, rebuilt = sum(s.true_objects for s in scenes), sum(s.found_objects for s in scenes)
        row = [name, str(len(scenes)), str(true), str(rebuilt)]
        for hits in (sum(len(s.objects) for s in scenes), sum(s.well_found for s in scenes)):
            for total in (true, rebuilt):
                row.append(f"{_ratio(hits, total)} ({_interval(wilson(hits, total))})")
        rows.append(row)
    columns = ["layout", "scenes", "true", "rebuilt"]
    columns += [f"{what} @{at}" for at in (FOUND, WELL_FOUND) for what in ("recall", "precision")]
    return Table("What was found", columns, rows)


def _figures_table(result: BenchmarkResult) -> Table:
    rows = []
    for name, unit, get, more in FIGURES:
        for layout in (None, *LAYOUTS):
            values = statistics([get(o) for _, o in result.objects(layout)], more)
            label = f"{name}, {unit}" if unit else name
            rows.append([label if layout is None else "", layout or "all", str(values["count"])])
            rows[-1] += [_number(values[key]) for key in ("mean", "median", "tenth", "worst")]
    return Table(
        "How well (found objects)",
        ["figure", "layout", "n", "mean", "median", "worst 10 %", "worst"],
        rows,
        "Yaw: modulo what the shape repeats after; none for round objects. Size: mean of the three extents' "
        "errors. Worst 10 %: nine of ten objects are better.",
    )


def _category_table(result: BenchmarkResult) -> Table:
    true = Counter(o.category for s in result.scenes for o in s.objects)
    true.update(f.category for s in result.scenes for f in s.missed)
    rows = []
    for category in sorted(true):
        objects = [o for _, o in result.objects(category=category)]
        row = [category, _ratio(len(objects), true[category]), f"{len(objects)}/{true[category]}"]
        row += [_number(median(v for v in map(get, objects) if v is not None)) for _, _, get, _ in FIGURES[:7]]
        named = sum(o.found_category == category for o in objects)
        rows.append([*row, f"{named}/{len(objects)}"])
    columns = ["category", "recall", "found", *(f"{n}, {u}" if u else n for n, u, _, _ in FIGURES[:7]), "named so"]
    return Table("By category (medians of found objects)", columns, rows)


_MOTION_COLUMNS = ["path: mean", "median", "worst", "end: median", "worst", "yaw", "tilt", "wrong", "95 %"]


def _motion_table(result: BenchmarkResult) -> Table:
    rows = []
    motions = [(s, m) for s, o in result.objects() for m in o.motions]
    for kind in ("push", "drop", "tilted drop"):
        for name in ("all", *LAYOUTS, "clear way"):
            if name == "clear way" and kind != "push":
                continue
            some = [
                m
                for s, m in motions
                if (m.kind.startswith("push") if kind == "push" else m.kind == kind)
                and (name in ("all", s.layout) or (name == "clear way" and not m.touched))
            ]
            rows.append(_motion_row(kind if name == "all" else "", name, some))
    return Table(
        "The same push and the same drop, rebuilt against original",
        ["", "", "n", "moved", *_MOTION_COLUMNS],
        rows,
        f"Found objects that stand on the support, all others in their places. Push: at half height along +x and +y, "
        f"{100 * PUSH_LENGTH:.0f} cm in {PUSH_SECONDS:.0f} s (clear way: the original touches no other object). Drop: "
        f"from {100 * DROP_HEIGHT:.0f} cm, level or leaning {np.degrees(DROP_TILT):.0f} degrees. In mm and degrees. "
        "Moved: median travel of the original, the error of a scene in which nothing moves. Path: distance of the two "
        "paths, averaged over time. Yaw, tilt: medians at the end. Wrong: ends more than "
        f"{1000 * PUSHED_WRONG:.0f} mm or {np.degrees(TIPPED_WRONG):.0f} degrees of tilt apart (level drop: "
        f"{1000 * DROPPED_WRONG:.0f} mm, {np.degrees(LANDED_WRONG):.0f} degrees), or could not be done.",
    )


# Where it fails ---------------------------------------------------------------------------------------------------


def _fault_tables(result: BenchmarkResult) -> list[Table]:
    def rows(faults: Iterable[tuple[SceneScore, Fault]]) -> list[list[str]]:
        return [[s.name, f.name, " x ".join(f"{v:.0f}" for v in f.size_mm), f.reason] for s, f in faults]

    columns = ["scene", "object", "size, mm", "reason"]
    missed = rows((s, f) for s in result.scenes for f in s.missed)
    false = rows((s, f) for s in result.scenes for f in s.false)
    restless = [
        [s.name, name, "fixed in place: would not stay" if name in s.frozen else "moves under gravity"]
        for s in result.scenes
        for name in sorted({*s.unstable, *s.frozen})
    ]
    notes = [[s.name, note] for s in result.scenes if s.missed for note in s.left_out]
    notes += [[s.name, f"not rebuilt: {s.error}"] for s in result.scenes if s.error]
    wrong = [[s.name, o.truth, o.found, m.kind, m.failure] for s, o in result.objects() for m in o.motions if m.failure]
    return [
        Table(f"Missed ({len(missed)})", columns, missed),
        Table(f"False ({len(false)})", columns, false),
        Table(f"Not stable ({len(restless)})", ["scene", "object", "why"], restless),
        Table("What the scan itself reports of scenes with missed objects", ["scene", "note"], notes),
        Table(f"Pushes and drops that went wrong ({len(wrong)})", ["scene", "object", "as", "what", "how"], wrong),
    ]


def _worst_table(result: BenchmarkResult) -> Table:
    rows = []
    for name, unit, get, more in FIGURES:
        values = [(v, s, o) for s, o in result.objects() if (v := get(o)) is not None]
        values.sort(key=lambda item: item[0] if more else -item[0])
        for rank, (value, s, o) in enumerate(values[:WORST]):
            label = f"{name}, {unit}" if unit else name
            rows.append(
                ["" if rank else label, _number(value), s.name, o.truth, o.found, o.completion, f"{o.seen:.0%}"]
            )
    return Table(
        f"The worst {WORST} of each",
        ["figure", "value", "scene", "object", "found as", "completed by", "seen"],
        rows,
    )


# Scenes and cost --------------------------------------------------------------------------------------------------


_SCENE_COLUMNS = ["scene", "true", "rebuilt", "found", "box IoU", "centre, mm", "penetration, mm"]
_SCENE_COLUMNS += ["unstable", "frozen", "shift, mm", "scan, s"]


def _scene_table(result: BenchmarkResult) -> Table:
    rows = [
        [
            s.name,
            str(s.true_objects),
            str(s.found_objects),
            str(len(s.objects)),
            _number(median(o.box_iou for o in s.objects)),
            _number(median(o.center_mm for o in s.objects)),
            _number(s.penetration_mm),
            str(len(s.unstable)),
            str(len(s.frozen)),
            _number(s.support_shift_mm),
            f"{sum(stage.seconds for stage in s.stages):.0f}",
        ]
        for s in result.scenes
    ]
    return Table(
        "Scenes",
        _SCENE_COLUMNS,
        rows,
        "Shift: the rebuilt scene was moved vertically by this before scoring, so that its support has the true "
        "height (drift and scale of the phone); horizontal drift counts as centre error.",
    )


def _stage_table(result: BenchmarkResult) -> Table:
    rows = []
    names = list(dict.fromkeys(stage.name for s in result.scenes for stage in s.stages))
    for name in names:
        stages = [stage for s in result.scenes for stage in s.stages if stage.name == name]
        seconds = [stage.seconds for stage in stages]
        peak = max(stage.peak_memory_mb for stage in stages)
        rows.append(
            [name, f"{np.mean(seconds):.1f}", f"{np.median(seconds):.1f}", f"{max(seconds):.1f}", f"{peak:.0f}"]
        )
    totals = [sum(stage.seconds for stage in s.stages) for s in result.scenes if s.stages]
    if totals:
        rows.append(["whole scan", *(f"{v:.1f}" for v in (np.mean(totals), np.median(totals), max(totals))), ""])
    return Table(
        "Time and memory of the scan",
        ["stage", "mean, s", "median, s", "longest, s", "peak memory, MB"],
        rows,
        f"{result.header.workers} scenes at a time on {result.header.cores} cores. Memory: largest of the "
        "process up to the end of the stage, the simulation of the capture included.",
    )


def about(result: BenchmarkResult) -> str:
    """What was run and on what, a few lines."""
    h = result.header
    counts = Counter(f"{s.layout} on {s.support}" for s in result.scenes)
    phone = "the standard simulated phone" if h.standard_phone else "a simulated phone with its own settings"
    figures = ", ".join(f"{key} {h.phone[key]}" for key in ("width", "height", "drift", "tilt_deg") if key in h.phone)
    return "\n".join(
        [
            f"{len(result.scenes)} scenes: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())),
            f"seeds {', '.join(map(str, h.seeds))}; {sum(s.true_objects for s in result.scenes)} objects",
            f"captured by {phone} ({figures}); at most {h.maximum_frames} frames used, "
            + ("with textures" if h.texture else "without textures"),
            f"{h.processor}, {h.cores} cores, {h.workers} scenes at a time; {h.platform}",
            ", ".join(f"{name} {number}" for name, number in h.versions.items()) + f"; code {h.code}",
        ]
    )


# Statistics -----------------------------------------------------------------------------------------------------------


def _motion_row(kind: str, name: str, motions: Sequence[MotionScore]) -> list[str]:
    def values(key: str) -> list[float]:
        return [float(v) for m in motions if (v := getattr(m, key)) is not None]

    path, end = values("mean_mm"), values("final_mm")
    wrong = sum(bool(m.failure) for m in motions)
    return [
        kind,
        name,
        str(len(motions)),
        _number(median(values("travel_mm"))),
        _number(float(np.mean(path)) if path else None),
        _number(median(path)),
        _number(max(path, default=None)),
        _number(median(end)),
        _number(max(end, default=None)),
        _number(median(values("yaw_deg"))),
        _number(median(values("tilt_deg"))),
        _ratio(wrong, len(motions)),
        _interval(wilson(wrong, len(motions))),
    ]


def factor(ratio: float) -> float:
    """How many times too much or too little."""
    return max(ratio, 1 / ratio)


def median(values: Iterable[float]) -> float | None:
    """The median, None of nothing."""
    known = list(values)
    return float(np.median(known)) if known else None


def statistics(values: Sequence[float | None], more_is_better: bool) -> dict[str, Any]:
    """Count, mean, median, the value that nine of ten beat, and the worst; without the unknown ones."""
    known = np.array([v for v in values if v is not None])
    if not len(known):
        return {"count": 0, "mean": None, "median": None, "tenth": None, "worst": None}
    return {
        "count": len(known),
        "mean": float(known.mean()),
        "median": float(np.median(known)),
        "tenth": float(np.quantile(known, 0.1 if more_is_better else 0.9)),
        "worst": float(known.min() if more_is_better else known.max()),
    }


def _verdict(check: Check) -> str:
    return "not run" if check.value is None else "PASS" if check.passed else "FAIL"


def _ratio(hits: int, total: int) -> str:
    return f"{hits / total:.3f}" if total else "-"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.3f}-{interval[1]:.3f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
