"""Columns of the arrays of a batch: as slices where they can be, because NumPy copies those many times faster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Columns = slice | NDArray[np.int64]


def columns(indices: NDArray[np.int64]) -> Columns:
    """The same columns as `indices` (c,), as a slice if each is the one after the last."""
    if len(indices) and (np.diff(indices) == 1).all():
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices
