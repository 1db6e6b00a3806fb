"""The statistics LeRobot normalises with, per episode and pooled over all.

The keys, shapes and conventions are those of LeRobot's `compute_stats.py`: per last axis for arrays, per channel with
shape (3, 1, 1) and in [0, 1] for pictures; quantiles of a data set are the mean of its episodes' weighted by length.
Here every frame counts and quantiles are exact within an episode, where LeRobot samples and bins.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .trajectory import Array

Stats = dict[str, NDArray[np.float64] | NDArray[np.int64]]

_QUANTILES = (0.01, 0.10, 0.50, 0.90, 0.99)
QUANTILES = tuple(f"q{int(100 * q):02d}" for q in _QUANTILES)


def array_stats(values: Array) -> Stats:
    """Statistics of (T, ..., k) over all but the last axis: each (k,); of (T,): each (1,). `count` is T."""
    flat = values.reshape(-1, 1) if values.ndim == 1 else values.reshape(-1, values.shape[-1])
    flat = flat.astype(np.float64)
    with np.errstate(all="ignore"):
        found: Stats = {
            "min": flat.min(axis=0),
            "max": flat.max(axis=0),
            "mean": flat.mean(axis=0),
            "std": flat.std(axis=0),
            "count": np.array([len(values)]),
        }
        found.update(zip(QUANTILES, np.quantile(flat, _QUANTILES, axis=0), strict=True))
    return found


def picture_stats(pictures: NDArray[np.uint8]) -> Stats:
    """Statistics of uint8 (T, height, width, 3) by channel: each (3, 1, 1), in [0, 1]. `count` is T."""
    counts = np.stack([np.bincount(pictures[..., c].ravel(), minlength=256) for c in range(3)])
    total = counts.sum(axis=1)
    levels = np.arange(256) / 255
    mean = counts @ levels / total
    spread = np.sqrt(np.maximum(counts @ levels**2 / total - mean**2, 0))
    share = counts.cumsum(axis=1) / total[:, None]
    columns = {
        "min": levels[np.argmax(counts > 0, axis=1)],
        "max": levels[255 - np.argmax(counts[:, ::-1] > 0, axis=1)],
        "mean": mean,
        "std": spread,
        **{key: levels[np.argmax(share >= q, axis=1)] for key, q in zip(QUANTILES, _QUANTILES, strict=True)},
    }
    found: Stats = {key: column.reshape(3, 1, 1) for key, column in columns.items()}
    found["count"] = np.array([len(pictures)])
    return found


class PooledStats:
    """Adds up the statistics of episodes."""

    def __init__(self) -> None:
        self._pooled: dict[str, Stats] = {}

    def add(self, episode: Mapping[str, Stats]) -> None:
        """Takes in one more episode."""
        for key, stats in episode.items():
            self._pooled[key] = _pool(self._pooled[key], stats) if key in self._pooled else dict(stats)

    def to_json(self) -> dict[str, dict[str, object]]:
        """Nested lists."""
        return {key: {name: value.tolist() for name, value in stats.items()} for key, stats in self._pooled.items()}


def _pool(a: Stats, b: Stats) -> Stats:
    n, m = float(a["count"][0]), float(b["count"][0])
    with np.errstate(all="ignore"):
        mean = (n * a["mean"] + m * b["mean"]) / (n + m)
        # Chan et al. 1979: variances add, and so does what the means differ by.
        variance = (n * (a["std"] ** 2 + (a["mean"] - mean) ** 2) + m * (b["std"] ** 2 + (b["mean"] - mean) ** 2)) / (
            n + m
        )
        return {
            "min": np.minimum(a["min"], b["min"]),
            "max": np.maximum(a["max"], b["max"]),
            "mean": mean,
            "std": np.sqrt(variance),
            "count": a["count"] + b["count"],
            **{key: (n * a[key] + m * b[key]) / (n + m) for key in QUANTILES},
        }
