"""Signed distances to shapes, looked up: how a network feels what is near, whatever its shape.

A field is a grid of cells around one rigid thing; a cell holds the distance at its centre and the gradient there, and a
look-up goes on linearly from the nearest centre: exact at flat faces, and one memory access a point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
Distance = Callable[[Array], Array]
"""Signed distances (n,) [m], negative inside, of points (n, 3)."""

_MOST = 400_000  # cells of a field


@dataclass(frozen=True)
class Field:
    """The field of one thing, in its own frame.

    Attributes:
        low: (3,) corner of the grid [m]. cell: edge of a cell [m].
        values: (X, Y, Z, 4) distance [m] at each cell's centre, and the gradient.
        inset: a finer field of the same thing, which counts inside of its grid: around what is thin.
    """

    low: Array
    cell: float
    values: NDArray[np.float32]
    inset: Field | None = None


def sample(distance: Distance, low: Array, high: Array, *, cell: float) -> Field:
    """The field of a shape in a box, in cells of `cell` [m], or larger where those would be too many."""
    cell = max(cell, float(np.prod(high - low) / _MOST) ** (1 / 3))
    counts = np.maximum(np.ceil((high - low) / cell - 1e-9).astype(int), 1)
    axes = [start + cell * np.arange(count + 1) for start, count in zip(low, counts, strict=True)]
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    at = distance(corners.reshape(-1, 3)).reshape(counts + 1)
    # The plane that fits a cell's eight corners best.
    parts = []
    for axis in (None, 0, 1, 2):
        found = at
        for other in range(3):
            after, before = _shifted(found, other, 1), _shifted(found, other, 0)
            found = (after - before) / cell if other == axis else (after + before) / 2
        parts.append(found)
    return Field(low, cell, np.stack(parts, -1).astype(np.float32))


def _shifted(values: Array, axis: int, first: int) -> Array:
    return np.take(values, np.arange(first, values.shape[axis] - 1 + first), axis=axis)


class Fields(nn.Module):
    """Many fields in one table; a look-up is of any of them, row by row."""

    table: Tensor
    low: Tensor
    cell: Tensor
    last: Tensor
    strides: Tensor
    starts: Tensor
    insets: Tensor

    def __init__(self, fields: Sequence[Field]) -> None:
        super().__init__()
        fine = [field.inset for field in fields if field.inset is not None]
        insets, number = list(range(len(fields))), len(fields)
        for k, field in enumerate(fields):
            if field.inset is not None:
                insets[k], number = number, number + 1
        self._fine, fields = bool(fine), [*fields, *fine]
        sizes = [int(np.prod(field.values.shape[:3])) for field in fields]
        table = np.concatenate([field.values.reshape(-1, 4) for field in fields])
        last = np.array([field.values.shape[:3] for field in fields]) - 1
        strides = np.stack([(last[:, 1] + 1) * (last[:, 2] + 1), last[:, 2] + 1, np.ones(len(fields))], 1)
        numbers = {
            "table": table,
            "low": np.array([field.low for field in fields]).T,
            "cell": np.array([field.cell for field in fields]),
            "last": last.T,
            "strides": strides.T,
        }
        for name, values in numbers.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32), persistent=False)
        starts = torch.as_tensor(np.cumsum([0, *sizes[:-1]]), dtype=torch.int64)
        self.register_buffer("starts", starts, persistent=False)
        self.register_buffer("insets", torch.tensor(insets), persistent=False)

    def forward(self, which: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (n, P) [m] and gradients (n, P, 3) of points (n, P, 3) to the things number `which` (n,).

        Points outside of a grid get the distance at its border, and the way there on top.
        """
        which, at = which[:, None], points.movedim(-1, 0)
        if self._fine:
            inner = self.insets[which]
            apart = (at - self.low[:, inner]) / self.cell[inner]
            within = ((apart >= 0) & (apart <= self.last[:, inner] + 1)).all(0)
            which = torch.where(within, inner, which)
        last, strides = self.last[:, which], self.strides[:, which]
        place = (at - self.low[:, which]) / self.cell[which]
        index = torch.minimum(place.detach().floor().clamp_min(0.0), last)
        x, y, z = index * strides
        flat = ((x + y + z).long() + self.starts[which]).clamp(0, len(self.table) - 1)  # what is not finite is nowhere
        found = self.table.index_select(0, flat.flatten()).view(*flat.shape, 4)
        apart = place - index
        inside = apart.clamp(0.0, 1.0)
        (a, b, c), (x, y, z) = inside - 0.5, apart - inside
        beyond = (x * x + y * y + z * z).clamp_min(1e-20).sqrt()
        near, along, across, up = found.unbind(-1)
        return near + (along * a + across * b + up * c + beyond) * self.cell[which], found[..., 1:]
