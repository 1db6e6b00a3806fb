"""`contact_sheet.jpg`: the twin and some of its cousins, of all splits and from near to far, seen from one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..scenes import Scene
from ..scenes.preview import Photographer, Picture
from .cousin_set import Entry
from .draws import Split

SHOWN = 24
_FEW: dict[Split, int] = {"validation": 3, "test": 7}  # the rest are for training
COLOURS: dict[str, str] = {"twin": "#1d2733", "train": "#2563a8", "validation": "#5c6b7a", "test": "#c2570c"}
_COLUMNS, _TILE, _BAND, _GAP, _MARGIN = 5, (224, 168), 22, 6, 1.35


def chosen(entries: Sequence[Entry]) -> list[int]:
    """Positions of the cousins to show: of each split from the nearest to the farthest, evenly by rank."""
    there = Counter(entry.split for entry in entries)
    few = {split: min(most, there[split]) for split, most in _FEW.items()}
    found: list[int] = []
    for split, most in {"train": SHOWN - sum(few.values()), **few}.items():
        ranked = sorted((k for k, e in enumerate(entries) if e.split == split), key=lambda k: entries[k].distance)
        ranks = {round(rank) for rank in np.linspace(0, len(ranked) - 1, most)} if ranked else set()
        found += [ranked[rank] for rank in sorted(ranks)]
    return found


def write_contact_sheet(
    path: Path,
    twin: Scene,
    cousins: Sequence[tuple[Entry, Scene]],
    *,
    notify: Callable[[float], None] = lambda share: None,
) -> None:
    """Renders the twin and cousins and puts them on one sheet, with number, split and distance below.

    Raises:
        MissingDependencyError: nothing on this machine can render.
    """
    with Photographer(twin, _doubled()) as photographer:
        azimuth = photographer.freest(margin=_MARGIN)
        tiles = [_tile(photographer.view(azimuth=azimuth, margin=_MARGIN), "twin", "the twin")]
    for number, (entry, scene) in enumerate(cousins):
        with Photographer(scene, _doubled()) as photographer:
            picture = photographer.view(azimuth=azimuth, margin=_MARGIN)
        tiles.append(_tile(picture, entry.split, f"{entry.index}   {entry.split}   {entry.distance:.3f}"))
        notify((number + 1) / len(cousins))
    width, height = tiles[0].size
    rows = -(-len(tiles) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP), "white")
    for number, tile in enumerate(tiles):
        row, column = divmod(number, _COLUMNS)
        sheet.paste(tile, (_GAP + column * (width + _GAP), _GAP + row * (height + _GAP)))
    sheet.save(path, quality=78, optimize=True)


def _doubled() -> tuple[int, int]:
    return 2 * _TILE[0], 2 * _TILE[1]


def _tile(picture: Picture, split: str, label: str) -> Image.Image:
    """A picture scaled down, which smooths it, over a band with a label."""
    tile = Image.new("RGB", (_TILE[0], _TILE[1] + _BAND), COLOURS[split])
    tile.paste(Image.fromarray(picture).resize(_TILE, Image.Resampling.LANCZOS), (0, 0))
    ImageDraw.Draw(tile).text((8, _TILE[1] + 4), label, fill="white", font=ImageFont.load_default(13))
    return tile
