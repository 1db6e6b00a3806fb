"""What the throughput benchmark found, as text, Markdown, JSON and a picture."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mujoco
from PIL import Image, ImageDraw, ImageFont

from ..envs.backends.physics import SUBSTEPS
from ..envs.vector import WorldVectorEnv
from ..workers import processors
from .tables import Table

LIBRARIES = ("mujoco", "gymnasium", "numpy")


@dataclass(frozen=True)
class Goal:
    """Something measured and its bound; `at_least` says on which side of it is good."""

    name: str
    value: float
    bound: float
    at_least: bool
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the bound holds."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


@dataclass(frozen=True)
class PeerResult:
    """Another library's environment beside ours: steps per second, median ratio of the turns, or why it is missing.

    Attributes:
        worlds: of ours.
        mode: the peer's fastest way to run in one process of its own, of those in `tried` (steps per second).
        joined, joined_ratio: the same for its fastest way of all, workers of the benchmark's own included.
        about: what its process said.
    """

    title: str
    env_id: str
    worlds: int
    bound: float
    ours: float | None = None
    theirs: float | None = None
    ratio: float | None = None
    mode: str = ""
    joined: str = ""
    joined_ratio: float | None = None
    tried: dict[str, float] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    missing: str = ""

    @property
    def note(self) -> str:
        """What was compared with what."""
        return f"{self.place} beside {self.mode}; {_short(self.joined_ratio)} times {self.joined}"

    @property
    def place(self) -> str:
        """Ours."""
        return f"{self.env_id} x {self.worlds}"


@dataclass(frozen=True)
class Cost:
    """A row of a table: environment steps per second at one value of what is varied, and those of bare physics."""

    axis: str
    value: int
    steps_per_second: float
    bare_steps_per_second: float
    ratio: float
    worlds: int
    contacts: int
    nv: int


@dataclass(frozen=True)
class Throughput:
    """Everything one run found; `facts` says on what."""

    facts: dict[str, Any]
    goals: Sequence[Goal]
    peers: Sequence[PeerResult]
    costs: Sequence[Cost]
    quick: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """All figures, for JSON."""
        return {
            "facts": self.facts,
            "goals": [{**asdict(goal), "met": goal.met} for goal in self.goals],
            "peers": [asdict(peer) for peer in self.peers],
            "costs": [asdict(row) for row in self.costs],
            "quick": self.quick,
            "seconds": round(self.seconds, 1),
        }

    def tables(self) -> list[Table]:
        """The same in words."""
        found = [
            Table("What was run", ("", ""), [(name, _told(value)) for name, value in self.facts.items()]),
            Table(
                "Goals",
                ("measured", "value", "bound", "", "note"),
                [
                    (g.name, _short(g.value), f"{'>=' if g.at_least else '<='} {g.bound:g}", _verdict(g), g.note)
                    for g in self.goals
                ],
                "Quick: the figures only show that the benchmark works." if self.quick else "",
            ),
        ]
        if self.peers:
            lines = [
                (p.title, _short(p.theirs), p.mode, _short(p.ours), p.place, _short(p.ratio), _short(p.joined_ratio))
                if p.ratio is not None
                else (p.title, "-", f"missing: {p.missing}", "-", p.place, "-", "-")
                for p in self.peers
            ]
            titles = ("peer", "steps/s", "its fastest mode", "ours", "environment", "ratio", "to one a processor")
            found.append(Table("Peers", titles, lines, " ".join(self._notes())))
        for axis in dict.fromkeys(row.axis for row in self.costs):
            rows = [
                (
                    str(row.value),
                    _short(row.steps_per_second),
                    _short(1e6 / row.steps_per_second),
                    _short(row.ratio),
                    str(row.worlds),
                    str(row.nv),
                    str(row.contacts),
                )
                for row in self.costs
                if row.axis == axis
            ]
            heads = (axis, "steps/s", "us a step", "of bare", "worlds", "nv", "contacts")
            found.append(Table(f"Cost against {axis}", heads, rows))
        return found

    def text(self) -> str:
        """For a terminal."""
        return "\n\n".join(table.text() for table in self.tables())

    def write(self, folder: Path) -> None:
        """Writes `results.json`, `results.md` and `throughput.png`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(self.to_dict(), indent=1, allow_nan=False), encoding="utf-8")
        parts = ["# Throughput", *(table.markdown() for table in self.tables()), "![cost](throughput.png)"]
        (folder / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        plot(self.costs).save(folder / "throughput.png")

    def _notes(self) -> list[str]:
        notes = []
        for peer in self.peers:
            if peer.about:
                a = peer.about
                versions = ", ".join(f"{name} {number}" for name, number in a["versions"].items())
                ways = ", ".join(f"{way} {speed:.0f}" for way, speed in peer.tried.items())
                notes.append(
                    f"{peer.title}: {a['task']}, {a['substeps']} substeps of {1000 * a['timestep']:g} ms, "
                    f"nv {a['nv']}, {a['contacts']} contacts, {versions}; steps/s tried: {ways}."
                )
        return notes


def machine(env: WorldVectorEnv, seed: int) -> dict[str, Any]:
    """What is run, and on what."""
    simulator: Any = env.simulator
    model, contacts = env.world.model, count_contacts(env)
    return {
        "task": f"{env.config.task}, {env.config.control_mode}, state, {env.autoreset_mode.value} autoreset",
        "worlds": env.num_envs,
        "threads": int(simulator.batch.nthread),
        "substeps": f"{SUBSTEPS} of {1000 * model.opt.timestep:g} ms",
        "model": f"nv {model.nv}, {model.ngeom} geoms, {len(env.world.objects)} free objects, {contacts} contacts",
        "pictures": "64 x 64, one camera, one OpenGL context",
        "seed": seed,
        **host(),
    }


def host() -> dict[str, Any]:
    """The machine and the libraries."""
    return {
        "processor": _processor(),
        "processors": processors(),
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def count_contacts(env: WorldVectorEnv) -> int:
    """Contacts in the first world, those of sleeping objects included."""
    simulator: Any = env.simulator
    data = mujoco.MjData(env.world.model)
    data.qpos[:] = simulator.batch.bind("qpos")[0]
    mujoco.mj_forward(env.world.model, data)
    return int(data.ncon)


WIDTH, HEIGHT, EDGE = 360, 300, 56
"""Size of one panel of the plot, and the room for its labels, in pixels."""


def plot(costs: Sequence[Cost]) -> Image.Image:
    """Steps per second against what is varied, a panel each, both axes logarithmic: ours in blue, bare in grey."""
    import math

    axes = list(dict.fromkeys(row.axis for row in costs))
    image = Image.new("RGB", (WIDTH * max(len(axes), 1), HEIGHT), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default()
    for index, axis in enumerate(axes):
        rows = sorted((row for row in costs if row.axis == axis), key=lambda row: row.value)
        speeds = [speed for row in rows for speed in (row.steps_per_second, row.bare_steps_per_second)]
        low, high = 10 ** math.floor(math.log10(min(speeds))), 10 ** math.ceil(math.log10(max(speeds) * 1.01))
        right = max(rows[-1].value, rows[0].value + 1)
        span = math.log(right / rows[0].value)

        def place(
            value: float,
            speed: float,
            *,
            left: int = index * WIDTH,
            first: int = rows[0].value,
            span: float = span,
            low: float = low,
            high: float = high,
        ) -> tuple[float, float]:
            across = math.log(value / first) / span
            up = math.log(speed / low) / math.log(high / low)
            return left + EDGE + across * (WIDTH - 1.5 * EDGE), HEIGHT - EDGE - up * (HEIGHT - 1.6 * EDGE)

        speed = low
        while speed <= high:
            y = place(rows[0].value, speed)[1]
            draw.line([(index * WIDTH + EDGE, y), ((index + 1) * WIDTH - EDGE / 2, y)], fill="#dddddd")
            draw.text((index * WIDTH + EDGE - 6, y), f"{speed:g}", fill="black", font=font, anchor="rm")
            speed *= 10
        for row in rows:
            x = place(row.value, low)[0]
            draw.text((x, HEIGHT - EDGE + 6), str(row.value), fill="black", font=font, anchor="ma")
        for colour, values in (
            ("#999999", [row.bare_steps_per_second for row in rows]),
            ("#1f5fb4", [row.steps_per_second for row in rows]),
        ):
            points = [place(row.value, value) for row, value in zip(rows, values, strict=True)]
            draw.line(points, fill=colour, width=2)
            for x, y in points:
                draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
        middle = index * WIDTH + WIDTH / 2
        draw.text((middle, HEIGHT - EDGE / 2), axis, fill="black", font=font, anchor="mm")
        draw.text((middle, 14), "steps/s: blue environment, grey bare physics", fill="black", font=font, anchor="mm")
    return image


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _told(value: Any) -> str:
    return "" if value is None else str(value)


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _verdict(goal: Goal) -> str:
    return "met" if goal.met else "MISSED"
