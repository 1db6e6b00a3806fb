"""Writes `docs/library.md`, its figures and its pictures, from the asset library itself.

    python -m pocketworlds.benchmarks.library_page --measure --pictures    # figures, pictures and the page
    python -m pocketworlds.benchmarks.library_page                         # the page from the figures kept

What the page says of a category is read off it; the figures are the worst of several things drawn from seeds. A test
compares the page with what this module would write.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..digital_cousins.library import CATEGORIES, Category
from ..digital_cousins.library.category import Range
from ..digital_cousins.library.checks import Checks, check_category
from ..digital_cousins.library.materials import MATERIALS
from ..progress import StageProgress

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, DATA, PICTURES = DOCS / "library.md", DOCS / "data" / "library.json", DOCS / "images" / "library"
SEEDS = 20

_HEAD = """\
# The asset library

Digital cousins replace the things of a scanned scene by others of the same category. These come from here: {count}
categories, each of which makes things of any plausible size and shape from a seed, and models of your own beside them.

![One thing of each category](images/library/all.png)

```python
import numpy as np
from pocketworlds.digital_cousins.library import category

mugs = category("mug")
asset = mugs.sample(np.random.default_rng(0), size=(0.12, 0.08, 0.095))  # exactly these extents, the rest drawn
asset.item  # a SceneObject: collision shapes, mass, inertia, friction, parts that move
asset.files  # its meshes and textures; asset.write(folder) puts them into a scene folder
mugs.fit((0.3, 0.2, 0.1))  # the nearest size that a mug may have
```

- **Sizes are met exactly**: outer extents along x, y, z, handles included; furniture has its front at -Y. What cannot
  be met is refused with the ranges; `fit` gives the nearest size that can.
- **Shapes** are primitives and convex hulls, an open vessel twelve staves on a bottom; what is drawn is closed.
- **Mass** is density times volume of what a thing is really made of: a bottle weighs its wall and what is in it
  (`fill`). Densities and friction carry their range and source; see [materials](#materials).
- **Doors, drawers, lids, knobs and buttons** move, and say where a hand takes them.
- **The same arguments give the same bytes**, and files are named after their contents: cousins share them.

## Figures

{summary}

The worst of {seeds} things of each category, drawn with seeds 0 to {last}; `checks.py` measures them and every one
passes. *Volume*: union of the collision shapes over the look. *Inertia*: largest error of mass and principal moments
against an integration by slices. *Drift* and *tilt*: how far it moves by itself in two seconds on a floor. *Opens*:
least share of its range that a part comes under 22 N at its handle (5 N where the thing stands loosely), and back,
without getting into the rest. *Shapes* and *vertices*: most of them, parts included; none: the shapes are the look.

## A library of your own

```sh
pocketworlds library add models/ --out my-library                # GLB, OBJ, PLY, STL, USD, USDZ
pocketworlds library add models/cups --out my-library --category cup --material ceramic
pocketworlds library list my-library
pocketworlds library picture --out pictures
```

Each file becomes an asset, or is refused with the reason. Units and the axis that is up are taken from the format (glTF
and USD tell them) or guessed from the size, and said; holes are closed where they can be; the solid is cut into convex
parts as a scan's objects are; it weighs as its category or `--material` does, all through; and it must stand. It is
drawn in its mean colour, without its texture. A folder or file name such as `mug/3.glb` or `mug_3.glb` tells the
category. `load_library("my-library")` gives these categories beside the built-in ones; things of your own are scaled
evenly to the size asked for, those of about its proportions only.
"""


def measure(seeds: int = SEEDS) -> dict[str, Any]:
    """Figures of every category: the worst of `seeds` things drawn."""
    figures = {}
    with StageProgress() as progress:
        for number, (name, kind) in enumerate(CATEGORIES.items()):
            figures[name] = _worst([check_category(kind, seed)[1] for seed in range(seeds)])
            progress.notify("categories", (number + 1) / len(CATEGORIES))
    return {"seeds": seeds, "categories": figures}


def _worst(found: Sequence[Checks]) -> dict[str, Any]:
    return {
        "volume": max((c.volume_ratio for c in found), key=lambda ratio: abs(ratio - 1)),
        "inertia": max(c.inertia_error or 0.0 for c in found),
        "drift": max(c.drift for c in found),
        "tilt": max(c.tilt for c in found),
        "opening": min(c.opening for c in found),
        "shapes": max(c.shapes for c in found),
        "vertices": max(c.vertices for c in found),
        "problems": sorted({problem for c in found for problem in c.problems}),
    }


def page(data: Mapping[str, Any]) -> str:
    """The whole page as Markdown, from what `measure` gave."""
    seeds = data["seeds"]
    head = _HEAD.format(count=len(CATEGORIES), summary=_summary(data["categories"]), seeds=seeds, last=seeds - 1)
    sections = [_section(kind) for kind in CATEGORIES.values()]
    return "\n".join([head, "## Categories\n", *sections, _materials(), ""])


def _summary(figures: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            f"[{name.replace('_', ' ')}](#{name})",
            f"{100 * row['volume']:.0f} %",
            f"{100 * row['inertia']:.2f} %",
            f"{1000 * row['drift']:.1f} mm",
            f"{math.degrees(row['tilt']):.2f}°" if not CATEGORIES[name].rolls else "rolls",
            f"{100 * row['opening']:.0f} %" if _moves(name) else "",
            str(row["shapes"]),
            str(row["vertices"] or ""),
        ]
        for name, row in figures.items()
    ]
    columns = ["category", "volume", "inertia", "drift", "tilt", "opens", "shapes", "vertices"]
    return _table(columns, rows)


def _moves(name: str) -> bool:
    tags = CATEGORIES[name].tags
    return any(tag in tags for tag in ("openable", "turnable", "pressable"))


def _section(kind: Category) -> str:
    summary = " ".join((kind.make.__doc__ or "").split("\n\n")[0].split())
    extents = ", ".join(f"{axis} {_cm(bounds)}" for axis, bounds in zip("xyz", kind.sizes, strict=True))
    limits = [
        f"{told} from {bounds[0]:g} to {bounds[1]:g}"
        for told, bounds in (("x / y", kind.x_over_y), ("z / x", kind.z_over_x))
        if bounds is not None
    ]
    shape = [
        [f"`{name}`", f"{p.low:g} to {p.high:g}{f' {p.unit}' if p.unit else ''}", p.meaning]
        for name, p in kind.shape.items()
    ]
    return "\n\n".join(
        [
            f"### {kind.name}",
            f"![{kind.name}](images/library/{kind.name}.png)",
            f"{summary} *{', '.join(kind.tags)}*",
            f"{extents} cm{'; ' if limits else ''}{', '.join(limits)}. Of {', '.join(kind.materials)}.",
            _table(["parameter", "range", "meaning"], shape) + "\n",
        ]
    )


def _materials() -> str:
    rows = [
        [
            name,
            f"{m.density.value:g} ({m.density.low:g}-{m.density.high:g})",
            m.density.source,
            f"{m.friction.value:g} ({m.friction.low:g}-{m.friction.high:g})",
            m.friction.source,
        ]
        for name, m in MATERIALS.items()
    ]
    return "## Materials\n\n" + _table(["material", "density [kg/m³]", "source", "friction", "source"], rows)


def _cm(bounds: Range) -> str:
    return f"{100 * bounds[0]:g}-{100 * bounds[1]:g}"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, ["---"] * len(columns), *rows))


def main() -> None:
    """Writes the page; with `--measure` its figures first, with `--pictures` its pictures too."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measure", action="store_true", help="measure the figures anew")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures too")
    options = parser.parse_args()
    if options.measure:
        DATA.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    if options.pictures:
        from ..digital_cousins.library.pictures import draw_pictures

        with StageProgress() as progress:
            draw_pictures(PICTURES, notify=progress.notify)
    PAGE.write_text(page(json.loads(DATA.read_text(encoding="utf-8"))), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
