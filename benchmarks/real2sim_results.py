"""What the reconstruction benchmark says: figures over all scenes, judged against what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .real2sim_scores import ObjectScore, SceneScore
from .real2sim_tables import FIGURES, LAYOUTS, about, factor, median, report_tables, statistics
from .statistics import wilson


@dataclass(frozen=True)
class Header:
    """What was run and on what. `code` is a digest of the sources the scores depend on."""

    seeds: tuple[int, ...]
    texture: bool
    maximum_frames: int
    phone: dict[str, Any]
    standard_phone: bool
    processor: str
    cores: int
    workers: int
    platform: str
    versions: dict[str, str]
    code: str


@dataclass(frozen=True)
class Check:
    """One requirement: the statistic it is judged by, value, 95 % interval of a proportion, and verdict."""

    name: str
    statistic: str
    value: float | None
    interval: tuple[float, float] | None
    required: str
    passed: bool


@dataclass(frozen=True)
class BenchmarkResult:
    """All scores of a run."""

    header: Header
    scenes: tuple[SceneScore, ...]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-serialisable data, without infinities."""
        return {
            "header": {**self.header.__dict__, "seeds": list(self.header.seeds)},
            "checks": [check.__dict__ for check in self.checks()],
            "passed": all(check.passed for check in self.checks()),
            "figures": {
                name: {"unit": unit}
                | {
                    layout or "all": statistics([get(o) for _, o in self.objects(layout)], more_is_better)
                    for layout in (None, *LAYOUTS)
                }
                for name, unit, get, more_is_better in FIGURES
            },
            "scenes": [scene.model_dump(mode="json") for scene in self.scenes],
        }

    def table(self) -> str:
        """Everything worth reading, as plain text."""
        return "\n\n".join([about(self), *(table.text() for table in report_tables(self))]) + "\n"

    def markdown(self) -> str:
        """The same in Markdown."""
        facts = "\n".join(f"- {line}" for line in about(self).splitlines())
        return "\n\n".join(["# Reconstruction benchmark", facts, *(t.markdown() for t in report_tables(self))]) + "\n"

    def objects(self, layout: str | None = None, category: str | None = None) -> list[tuple[SceneScore, ObjectScore]]:
        """Matched objects with their scenes, of one layout and category or of all."""
        return [
            (scene, item)
            for scene in self.scenes
            for item in scene.objects
            if layout in (None, scene.layout) and category in (None, item.category)
        ]

    # Against what is asked for ----------------------------------------------------------------------------------------

    def checks(self) -> list[Check]:
        """The acceptance criteria of the reconstruction, each with the statistic it is judged by."""
        objects = [o for _, o in self.objects()]
        checks = [_at_least("scenes", "count", len(self.scenes), 20)]
        for layout, least in zip(LAYOUTS, (0.97, 0.80), strict=True):
            scenes = [s for s in self.scenes if s.layout == layout]
            hits = sum(len(s.objects) for s in scenes)
            checks += [
                _share(f"{layout}: recall", "found / true objects", hits, sum(s.true_objects for s in scenes), least),
                _share(
                    f"{layout}: precision", "found / rebuilt objects", hits, sum(s.found_objects for s in scenes), least
                ),
            ]
        checks += [
            _at_least("box IoU", "median", median(o.box_iou for o in objects), 0.75),
            _at_most("centre error, mm", "median", median(o.center_mm for o in objects), 10),
            _at_most("yaw error, deg", "median", median(o.yaw_deg for o in objects if o.yaw_deg is not None), 5),
            _at_most("chamfer, mm", "median", median(o.chamfer_mm for o in objects), 5),
        ]
        depths = [s.penetration_mm for s in self.scenes if s.penetration_mm is not None]
        deepest = max(depths, default=None)
        checks.append(
            Check("initial penetration, mm", "worst scene", deepest, None, "< 1", deepest is not None and deepest < 1)
        )
        rebuilt = sum(s.found_objects for s in self.scenes)
        restless = sum(len({*s.unstable, *s.frozen}) for s in self.scenes)
        checks.append(_share("stable", "stable, not frozen / rebuilt objects", rebuilt - restless, rebuilt, 0.97))
        checks.append(_at_most("mass, factor off", "median", median(factor(o.mass_ratio) for o in objects), 2))
        return checks


def _at_least(name: str, statistic: str, value: float | None, least: float) -> Check:
    return Check(name, statistic, value, None, f">= {least:g}", value is not None and value >= least)


def _at_most(name: str, statistic: str, value: float | None, most: float) -> Check:
    return Check(name, statistic, value, None, f"<= {most:g}", value is not None and value <= most)


def _share(name: str, statistic: str, hits: int, total: int, least: float) -> Check:
    value = hits / total if total else None
    passed = value is not None and value >= least
    return Check(name, f"{statistic} ({hits}/{total})", value, wilson(hits, total), f">= {least:g}", passed)
