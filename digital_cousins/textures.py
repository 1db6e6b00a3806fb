"""Procedural textures: wood, stone, cloth, tiles and specks, as small pictures made from a seed."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Array = NDArray[np.float64]

SIZE = 128
"""Width and height of a picture [pixels]; it repeats without a seam."""


def make_textures(folder: Path, count: int, seed: int) -> tuple[str, ...]:
    """Writes `count` pictures into `folder/textures`; gives their paths below `folder`, named after their contents."""
    kinds = list(_KINDS.values())
    paths = []
    for number in range(count):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, number)))
        value = kinds[number % len(kinds)](rng)
        light = 0.45 + 0.55 * (value - value.min()) / max(float(np.ptp(value)), 1e-9)
        tint = 1 - 0.25 * rng.uniform(0, 1, 3)
        pixels = np.clip(255 * light[:, :, None] * tint, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        contents = buffer.getvalue()
        path = f"textures/{hashlib.sha256(contents).hexdigest()[:16]}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(contents)
        paths.append(path)
    return tuple(paths)


def _noise(rng: np.random.Generator, sigma: float | tuple[float, float]) -> Array:
    """Smooth periodic noise (SIZE, SIZE) of standard deviation 1."""
    found = ndimage.gaussian_filter(rng.normal(size=(SIZE, SIZE)), sigma, mode="wrap")
    return np.asarray(found / found.std())


def _wood(rng: np.random.Generator) -> Array:
    across = np.arange(SIZE)[:, None] / SIZE
    rings = across * int(rng.integers(6, 16)) + 0.25 * _noise(rng, (6.0, 40.0))
    return np.asarray(np.sin(2 * math.pi * rings) + 0.15 * _noise(rng, (0.5, 12.0)))


def _stone(rng: np.random.Generator) -> Array:
    veins = -np.abs(_noise(rng, float(rng.uniform(6, 14))))
    return np.asarray(veins + 0.3 * _noise(rng, 3.0) + 0.1 * _noise(rng, 1.0))


def _cloth(rng: np.random.Generator) -> Array:
    threads = int(rng.choice([16, 32]))
    wave = np.sin(2 * math.pi * threads * np.arange(SIZE) / SIZE)
    over = np.where((np.arange(SIZE)[:, None] + np.arange(SIZE)) * threads // SIZE % 2 == 0, wave[:, None], wave)
    return np.asarray(over + 0.3 * _noise(rng, 1.0))


def _tiles(rng: np.random.Generator) -> Array:
    count = int(rng.choice([2, 4, 8]))
    cells = np.arange(SIZE) * count // SIZE
    checks = (cells[:, None] + cells) % 2 * float(rng.uniform(0.2, 1.0))
    edge = np.arange(SIZE) % (SIZE // count) < 2
    return np.asarray(checks - 0.8 * (edge[:, None] | edge) + 0.05 * _noise(rng, 2.0))


def _specks(rng: np.random.Generator) -> Array:
    spots = _noise(rng, float(rng.uniform(0.8, 2.5))) > float(rng.uniform(1.0, 2.0))
    return np.asarray(-1.0 * spots + 0.1 * _noise(rng, 8.0))


_KINDS: dict[str, Callable[[np.random.Generator], Array]] = {
    "wood": _wood,
    "stone": _stone,
    "cloth": _cloth,
    "tiles": _tiles,
    "specks": _specks,
}
