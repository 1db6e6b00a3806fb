"""What a person sees of a set of cousins: `index.html`, which opens from the disk, and `contact_sheet.jpg`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError
from .contact_sheet import COLOURS, chosen, write_contact_sheet
from .cousin import Factor
from .cousin_set import TWIN, CousinFile, Manifest
from .draws import INNER, SPLITS
from .factors import SETTINGS, Setting, Shares, shares
from .matching import KINSHIP, Weights
from .pools import Pool
from .report_page import TEMPLATE

BINS = 20
"""Bars of a histogram."""
UNITS: dict[str, tuple[float, str]] = {
    "": (1.0, ""),
    "m": (1000.0, " mm"),
    "rad": (180 / math.pi, "°"),
    "s": (1000.0, " ms"),
}


def write_report(
    folder: Path,
    manifest: Manifest,
    rows: Sequence[Mapping[str, Factor]],
    pools: Mapping[str, Pool],
    *,
    notify: Callable[[str, float], None] = lambda stage, share: None,
) -> None:
    """Writes `index.html`, and `contact_sheet.jpg` if this machine can render.

    Args:
        folder: of the set, with everything else in it. manifest: what the set is.
        rows: factors of every cousin. pools: what could stand in for each object, by name; "" is clutter.
        notify: called with "pictures" and its finished share.
    """
    import jinja2

    missing = ""
    notify("pictures", 0.0)
    try:
        shown = [(manifest.entries[k], _scene(folder, manifest.entries[k].file)) for k in chosen(manifest.entries)]
        write_contact_sheet(
            folder / "contact_sheet.jpg",
            _scene(folder, TWIN),
            shown,
            notify=lambda share: notify("pictures", min(share, 0.999)),
        )
    except MissingDependencyError as error:
        missing = str(error)
    notify("pictures", 1.0)
    table = {name: [row.get(name) for row in rows] for name in dict.fromkeys(n for row in rows for n in row)}
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(TEMPLATE).render(
        m=manifest,
        counts=Counter(entry.split for entry in manifest.entries),
        missing=missing,
        colours=COLOURS,
        rejected=sorted(manifest.rejected.items(), key=lambda found: -found[1]),
        distances=_distances(manifest),
        drawn=_drawn(manifest, table),
        pools=_pools(manifest, table, pools),
        weights=asdict(Weights()),
        reach=KINSHIP[manifest.config.kinship].reach,
        inner=INNER,
        axes=_axes(manifest),
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _scene(folder: Path, name: str) -> Any:
    return CousinFile.model_validate_json((folder / name).read_bytes()).scene.in_folder(folder)


# What the page shows --------------------------------------------------------------------------------------------------


def _distances(manifest: Manifest) -> dict[str, Any]:
    values = np.array([entry.distance for entry in manifest.entries])
    top = max(float(values.max()), 1e-6)
    return {
        "mean": float(values.mean()),
        "top": top,
        "bars": _bars(values / top, np.array([e.split for e in manifest.entries]), 0.0),
    }


def _drawn(manifest: Manifest, table: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Of every setting that varied its range in words, and histograms of train and test."""
    found = shares(table, manifest.config)
    splits = np.array([entry.split for entry in manifest.entries])
    return [_histogram(setting, found[setting.name], splits, manifest) for setting in SETTINGS if setting.name in found]


def _histogram(setting: Setting, drawn: Shares, splits: NDArray[np.str_], manifest: Manifest) -> dict[str, Any]:
    lowest, config = setting.lowest, manifest.config
    return {
        "name": setting.name,
        "count": len(drawn.share),
        "low": _told(setting, setting.value(lowest, config)),
        "middle": _told(setting, setting.value((lowest + 1) / 2, config)),
        "high": _told(setting, setting.value(1.0, config)),
        "bars": _bars(drawn.share, splits[drawn.position], lowest),
        "held": [((INNER - lowest) / (1 - lowest), 1.0), *([(0.0, (1 - INNER) / 2)] if lowest < 0 else [])],
    }


def _bars(share: NDArray[np.float64], splits: NDArray[np.str_], lowest: float) -> dict[str, str]:
    """SVG paths in a box of 200 x 60: histograms of train and test side by side, each split of the same area."""
    counts = {s: np.histogram(share[splits == s].clip(lowest, 1.0), BINS, (lowest, 1.0))[0] for s in ("train", "test")}
    parts = {split: count / max(int(count.sum()), 1) for split, count in counts.items()}
    top = max(float(part.max()) for part in parts.values()) or 1.0
    step = 200 / BINS
    return {
        split: "".join(
            f"M{step * (k + 0.06 + 0.44 * side):.1f} 60v{-58 * height / top:.1f}h{0.44 * step:.1f}V60z"
            for k, height in enumerate(part)
            if height > 0
        )
        for side, (split, part) in enumerate(parts.items())
    }


def _told(setting: Setting, value: float) -> str:
    factor, unit = UNITS[setting.unit]
    if setting.how == "factor":
        return f"\N{MULTIPLICATION SIGN} {value:.3g}"
    return f"{value * factor:.3g}{unit}"


def _pools(manifest: Manifest, table: Mapping[str, Sequence[Any]], pools: Mapping[str, Pool]) -> list[dict[str, Any]]:
    """Of every object what could stand in for it, how near it is, by which terms, and how often it did, by split."""
    found = []
    for name, pool in pools.items():
        if pool.target is None:
            continue
        used = Counter(
            (entry.split, value)
            for entry, value in zip(manifest.entries, table.get(f"instance.{name}", ()), strict=False)
        )
        candidates = [
            {
                "name": candidate.asset.name,
                "category": candidate.asset.category,
                "distance": candidate.match.distance,
                "terms": candidate.match.terms,
                "size": candidate.asset.item.size,
                "used": [used[split, candidate.asset.name] for split in SPLITS],
            }
            for candidate in pool.candidates
            if candidate.match is not None
        ]
        far = [value for value in table.get(f"distance.{name}", ()) if value is not None]
        found.append(
            {
                "name": name,
                "category": pool.target.category,
                "candidates": candidates,
                "kept": [used[split, "twin"] for split in SPLITS],
                "distance": float(np.mean(far)) if far else 0.0,
            }
        )
    return found


def _axes(manifest: Manifest) -> list[tuple[str, bool, str]]:
    """Name, whether it is on, and its settings in words, of every axis."""
    given = manifest.config.model_dump(exclude={"kinship", "spread"})
    return [
        (name, section.pop("on"), ", ".join(f"{key} {value:g}" for key, value in section.items()))
        for name, section in given.items()
    ]
