"""Rotations of a batch, one row a world.

Only elementwise operations and stacked matrix products: their result for a row does not depend on the number of rows,
so a batch of N equals N singles bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def norm(v: Array) -> Array:
    """Length (n,) of vectors (n, 3)."""
    return np.asarray(np.sqrt(v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1] + v[:, 2] * v[:, 2]))


def flat_norm(v: Array) -> Array:
    """Horizontal length (n,) of vectors (n, 2) or (n, 3)."""
    return np.asarray(np.sqrt(v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1]))


def from_vector(w: Array) -> Array:
    """Matrices (n, 3, 3) of rotation vectors (n, 3) [rad]: Rodrigues' formula."""
    angle = norm(w)
    small = angle < 1e-8
    safe = np.where(small, 1.0, angle)
    a = np.where(small, 1.0, np.sin(safe) / safe)
    b = np.where(small, 0.5, (1 - np.cos(safe)) / (safe * safe))
    x, y, z = w[:, 0], w[:, 1], w[:, 2]
    out = np.empty((len(w), 3, 3))
    out[:, 0, 0] = 1 - b * (y * y + z * z)
    out[:, 1, 1] = 1 - b * (x * x + z * z)
    out[:, 2, 2] = 1 - b * (x * x + y * y)
    out[:, 0, 1], out[:, 1, 0] = b * x * y - a * z, b * x * y + a * z
    out[:, 0, 2], out[:, 2, 0] = b * x * z + a * y, b * x * z - a * y
    out[:, 1, 2], out[:, 2, 1] = b * y * z - a * x, b * y * z + a * x
    return out


def to_vector(matrix: Array) -> Array:
    """Rotation vectors (n, 3) [rad] of matrices (n, 3, 3); meant for angles clearly below pi."""
    skew = np.stack(
        [
            matrix[:, 2, 1] - matrix[:, 1, 2],
            matrix[:, 0, 2] - matrix[:, 2, 0],
            matrix[:, 1, 0] - matrix[:, 0, 1],
        ],
        axis=1,
    )
    sine = norm(skew) / 2
    cosine = (matrix[:, 0, 0] + matrix[:, 1, 1] + matrix[:, 2, 2] - 1) / 2
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine < 1e-9, 0.5, angle / np.maximum(2 * sine, 1e-12))
    return np.asarray(skew * scale[:, None])


def from_quaternion(q: Array) -> Array:
    """Matrices (..., 3, 3) of unit quaternions (..., 4), (w, x, y, z)."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    out = np.empty((*q.shape[:-1], 3, 3))
    out[..., 0, 0] = 1 - 2 * (y * y + z * z)
    out[..., 1, 1] = 1 - 2 * (x * x + z * z)
    out[..., 2, 2] = 1 - 2 * (x * x + y * y)
    out[..., 0, 1], out[..., 1, 0] = 2 * (x * y - w * z), 2 * (x * y + w * z)
    out[..., 0, 2], out[..., 2, 0] = 2 * (x * z + w * y), 2 * (x * z - w * y)
    out[..., 1, 2], out[..., 2, 1] = 2 * (y * z - w * x), 2 * (y * z + w * x)
    return out


def rotate(matrix: Array, v: Array) -> Array:
    """Vectors (n, 3) turned by matrices (n, 3, 3) or by one (3, 3)."""
    return np.asarray(
        matrix[..., :, 0] * v[:, :1] + matrix[..., :, 1] * v[:, 1:2] + matrix[..., :, 2] * v[:, 2:],
    )


def orthonormal(matrix: Array) -> Array:
    """The matrices (n, 3, 3) with their first two columns made orthonormal and the third their product."""
    x = matrix[:, :, 0] / norm(matrix[:, :, 0])[:, None]
    y = matrix[:, :, 1]
    y = y - x * (x[:, 0] * y[:, 0] + x[:, 1] * y[:, 1] + x[:, 2] * y[:, 2])[:, None]
    y = y / norm(y)[:, None]
    return np.stack([x, y, np.cross(x, y)], axis=2)


def half_turned(matrix: Array) -> Array:
    """Frames (n, 3, 3) turned by half a turn about their own Z: the other way to hold the same thing."""
    return np.asarray(matrix * np.array([-1.0, -1.0, 1.0]))
