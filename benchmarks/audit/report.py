"""What an audit found, as JSON, Markdown, plots and a page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...folders import write_texts
from ..tables import Table
from . import tables
from .goals import goals
from .horizon import audited_horizon
from .page import page
from .plots import diagonal, lines

REPORT = "audit.json"


@dataclass(frozen=True)
class Audit:
    """Everything that is known of a model in an environment.

    Attributes:
        facts: what was run, and on what. sections: by name what each found. steps: of an episode.
    """

    facts: Mapping[str, Any]
    sections: Mapping[str, Any]
    steps: int

    @property
    def horizon(self) -> int | None:
        """The audited horizon [control steps]; None without a replay."""
        return audited_horizon(self.sections["replay"], self.steps)[0] if "replay" in self.sections else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable data."""
        judged = [{**asdict(goal), "met": goal.met} for goal in goals(self.sections)]
        told: dict[str, Any] = plain(
            {
                "facts": dict(self.facts),
                "horizon": self.horizon,
                "goals": judged,
                "missed": [goal["name"] for goal in judged if not goal["met"]],
                "sections": dict(self.sections),
            }
        )
        return told

    def figures(self) -> dict[str, Any]:
        """The few that a checkpoint's card tells."""
        told = self.to_dict()
        return {
            "checkpoint sha256": told["facts"].get("checkpoint sha256"),
            "pocketworlds": told["facts"].get("pocketworlds"),
            "keywords": told["facts"].get("keywords"),
            "episodes": told["facts"].get("episodes"),
            "goals": {goal["name"]: goal["value"] for goal in told["goals"]},
        }

    def tables(self) -> list[Table]:
        """The same in words."""
        told, found = self.facts, self.sections
        result = [Table("What was run", ("", ""), [(name, _told(value)) for name, value in told.items()])]
        judged = goals(found)
        if judged:
            result.append(tables.goals_table(judged))
        if "replay" in found:
            result.append(tables.horizon_table(*audited_horizon(found["replay"], self.steps)))
            result += tables.replay_tables(found["replay"])
        if "control" in found:
            result += tables.control_tables(found["control"])
        for name in ("ranking", "ranking on cousins"):
            if name in found:
                result += tables.ranking_tables(found[name], name)
        for name, made in (
            ("transfer", tables.transfer_tables),
            ("exploit", tables.exploit_tables),
            ("ood", tables.ood_tables),
            ("speed", tables.speed_tables),
        ):
            if name in found:
                result += made(found[name])
        if "films" in found:
            result.append(tables.films_table(found["films"]))
        return result

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join(table.text() for table in self.tables())

    def plots(self) -> dict[str, str]:
        """SVGs by file name."""
        found: dict[str, str] = {}
        if "replay" in self.sections:
            replayed = self.sections["replay"]
            stretch = replayed["windows"] or replayed["episodes"]
            moved = {
                name: [(float(h), row["moved"]["mean"]) for h, row in each["horizons"].items() if row["moved"]]
                for name, each in stretch.items()
            }
            found["errors.svg"] = lines(
                "How far off things are that moved", "control steps", "cm", moved, logarithmic=True
            )
            if replayed["pictures"]:
                rows = replayed["pictures"]["rows"]
                series = {
                    name: [
                        (float(h), float(row["moving"]["psnr"]))
                        for h, row in rows[name].items()
                        if isinstance(row["moving"]["psnr"], float) and math.isfinite(row["moving"]["psnr"])
                    ]
                    for name in ("model", "copy-last", "shuffled actions")
                    if rows[name]
                }
                found["pictures.svg"] = lines(
                    "PSNR of what moves", "control steps", "dB", series, logarithmic=True, low=None
                )
        for name in ("ranking", "ranking on cousins"):
            if name in self.sections:
                title = f"Policies: {name}"
                found[f"{name.replace(' ', '_')}.svg"] = diagonal(title, self.sections[name]["rows"])
        own = self.sections.get("ood", {})
        if own and not own.get("missing"):
            curve = own["risk_coverage"]
            found["risk.svg"] = lines(
                "Error of the surest share",
                "share kept, the surest first",
                "cm",
                {
                    "by uncertainty": list(zip(curve["share"], curve["error_cm"], strict=True)),
                    "by the error itself": list(zip(curve["share"], curve["oracle_cm"], strict=True)),
                },
            )
        if "transfer" in self.sections:
            curves = {
                f"{way}: in {side}": [(row["steps"], row[side]) for row in curve]
                for way, curve in self.sections["transfer"]["exploitation"].items()
                for side in ("model", "physics")
            }
            found["exploitation.svg"] = lines("Success along training", "control steps", "success", curves)
        return {name: svg for name, svg in found.items() if svg}

    def write(self, folder: Path) -> None:
        """Writes `audit.json`, `audit.md`, `audit.html` and the plots into a folder that is there."""
        plots = self.plots()
        text = [f"# Audit of {self.facts['environment']}", *(table.markdown() for table in self.tables())]
        files = {
            REPORT: json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n",
            "audit.md": "\n\n".join([*text, *(f"![{name}]({name})" for name in plots)]) + "\n",
            "audit.html": page(str(self.facts["environment"]), self.tables(), plots, self.sections.get("films", {})),
            **plots,
        }
        write_texts(folder, files)


def plain(value: Any) -> Any:
    """Data that JSON can tell: infinite numbers become "inf", what is no number None."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    return value


def _told(value: Any) -> str:
    return "" if value is None else str(value)
