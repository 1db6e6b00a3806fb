"""Rotations of a batch, one row a world.

Only elementwise operations and stacked matrix products: their result for a row does not depend on the number of rows,
so a batch of N equals N singles bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def norm(v: Array) -> Array:
    """Length (n,) of vectors (n, 3)."""
    return np.asarray(np.sqrt(v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1] + v[:, 2] * v[:, 2]))


def flat_norm(v: Array) -> Array:
    """Horizontal length (n,) of vectors (n, 2) or (n, 3)."""
    return np.asarray(np.sqrt(v[:, 0] * v[:, 0] + v[:, 1] * v[:, 1]))


def from_vector(w: Array) -> Array:
    """Matrices (n, 3, 3) of rotation vectors (n, 3) [rad]: Rodrigues' formula."""
    angle = np.maximum(norm(w), 1e-8)  # below that, sine is the angle, and b meets squares too small to matter
    a, b = np.sin(angle) / angle, (1 - np.cos(angle)) / (angle * angle)
    x, y, z = w.T
    xx, yy, zz = b * x * x, b * y * y, b * z * z
    xy, xz, yz = b * x * y, b * x * z, b * y * z
    ax, ay, az = a * x, a * y, a * z
    out = np.empty((len(w), 3, 3))
    out[:, 0, 0], out[:, 1, 1], out[:, 2, 2] = 1 - (yy + zz), 1 - (xx + zz), 1 - (xx + yy)
    out[:, 0, 1], out[:, 1, 0] = xy - az, xy + az
    out[:, 0, 2], out[:, 2, 0] = xz + ay, xz - ay
    out[:, 1, 2], out[:, 2, 1] = yz - ax, yz + ax
    return out


def to_vector(matrix: Array) -> Array:
    """Rotation vectors (n, 3) [rad] of matrices (n, 3, 3); meant for angles clearly below pi."""
    flat = matrix.reshape(-1, 9)
    skew = flat[:, [7, 2, 3]] - flat[:, [5, 6, 1]]
    sine = norm(skew) / 2
    cosine = (flat[:, 0] + flat[:, 4] + flat[:, 8] - 1) / 2
    angle = np.arctan2(sine, cosine)
    scale = np.where(sine < 1e-9, 0.5, angle / np.maximum(2 * sine, 1e-12))
    return np.asarray(skew * scale[:, None])


def from_quaternion(q: Array) -> Array:
    """Matrices (..., 3, 3) of unit quaternions (..., 4), (w, x, y, z)."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    twice_x, twice_y, twice_z = x + x, y + y, z + z
    xx, yy, zz = x * twice_x, y * twice_y, z * twice_z
    xy, xz, yz = x * twice_y, x * twice_z, y * twice_z
    wx, wy, wz = w * twice_x, w * twice_y, w * twice_z
    out = np.empty((*q.shape[:-1], 3, 3))
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2] = 1 - (yy + zz), 1 - (xx + zz), 1 - (xx + yy)
    out[..., 0, 1], out[..., 1, 0] = xy - wz, xy + wz
    out[..., 0, 2], out[..., 2, 0] = xz + wy, xz - wy
    out[..., 1, 2], out[..., 2, 1] = yz - wx, yz + wx
    return out


def to_quaternion(matrix: Array) -> Array:
    """Unit quaternions (..., 4), (w, x, y, z), of rotations (..., 3, 3)."""
    turned = Rotation.from_matrix(matrix.reshape(-1, 3, 3)).as_quat(canonical=True)
    return np.asarray(turned[:, [3, 0, 1, 2]].reshape(*matrix.shape[:-2], 4))


def rotate(matrix: Array, v: Array) -> Array:
    """Vectors (n, 3) turned by matrices (n, 3, 3) or by one (3, 3)."""
    return np.asarray(
        matrix[..., :, 0] * v[:, :1] + matrix[..., :, 1] * v[:, 1:2] + matrix[..., :, 2] * v[:, 2:],
    )


def orthonormal(matrix: Array) -> Array:
    """The matrices (n, 3, 3) with their first two columns made orthonormal and the third their product."""
    out = np.empty_like(matrix)
    x = matrix[:, :, 0] / norm(matrix[:, :, 0])[:, None]
    y = matrix[:, :, 1]
    y = y - x * (x[:, 0] * y[:, 0] + x[:, 1] * y[:, 1] + x[:, 2] * y[:, 2])[:, None]
    y = y / norm(y)[:, None]
    out[:, :, 0], out[:, :, 1] = x, y
    out[:, 0, 2] = x[:, 1] * y[:, 2] - x[:, 2] * y[:, 1]
    out[:, 1, 2] = x[:, 2] * y[:, 0] - x[:, 0] * y[:, 2]
    out[:, 2, 2] = x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]
    return out


def half_turned(matrix: Array) -> Array:
    """Frames (n, 3, 3) turned by half a turn about their own Z: the other way to hold the same thing."""
    return np.asarray(matrix * np.array([-1.0, -1.0, 1.0]))
