"""Checked poses and intrinsics: every reader turns what an app wrote into `Capture` conventions here.

The constants of the conversion (`Z_UP_FROM_Y_UP`, `OPENCV_FROM_OPENGL`) are in `capture`; this module applies them.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ...errors import CaptureError
from ..capture import OPENCV_FROM_OPENGL, Z_UP_FROM_Y_UP, Float, Intrinsics

ORTHONORMAL_TOLERANCE = 1e-2
"""Largest |R^T R - I| taken for rounding (apps print 4 to 17 digits); more is a scaled, sheared or damaged pose."""

MAX_DISTANCE = 1e4
"""Metres from the origin of the session beyond which a position is damaged: nobody walks 10 km with a scanner."""

ARKIT_SIZE = (1920, 1440)
"""Width and height of ARKit's LiDAR-mode video, which apps use for K when they store no size."""

FOCAL_RANGE = (0.2, 5.0)
"""Focal length over image width: 0.36 (ultra-wide) to 2.2 (telephoto, 77 mm equivalent) exist on phones."""


def rigid(matrix: Float, where: str) -> Float:
    """Checks a 4x4 pose and returns it with an exactly orthonormal rotation (nearest, by SVD).

    Raises:
        CaptureError: if it is not finite, not rigid, mirrored, or absurdly far away.
    """
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise CaptureError(f"{where}: pose is not a finite 4x4 matrix")
    if np.abs(matrix).max() > MAX_DISTANCE:
        raise CaptureError(f"{where}: pose lies more than {MAX_DISTANCE:g} m from the origin")
    rotation = matrix[:3, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > ORTHONORMAL_TOLERANCE or np.linalg.det(rotation) < 0:
        raise CaptureError(f"{where}: pose is not rigid (its rotation part is not orthonormal)")
    if np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-3:
        raise CaptureError(f"{where}: pose is not rigid (its last row is not 0 0 0 1; row and column order mixed up?)")
    u, _, vt = np.linalg.svd(rotation)
    pose = np.eye(4)
    pose[:3, :3] = u @ vt
    pose[:3, 3] = matrix[:3, 3]
    return pose


def inverse(pose: Float) -> Float:
    """The inverse of a rigid 4x4 pose."""
    result = np.eye(4)
    result[:3, :3] = pose[:3, :3].T
    result[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
    return result


def pose_from_quaternion(xyzw: Float, position: Float, where: str) -> Float:
    """A 4x4 pose from a quaternion (x, y, z, w) and a position in metres."""
    norm = float(np.linalg.norm(xyzw))
    if not abs(norm - 1) < 0.05:
        raise CaptureError(f"{where}: quaternion has length {norm:.3g} instead of 1")
    x, y, z, w = xyzw / norm
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = position
    return rigid(pose, where)


def pose_from_axis_angle(vector: Float, position: Float, where: str) -> Float:
    """A 4x4 pose from an axis-angle vector (radians) and a position in metres."""
    angle = float(np.linalg.norm(vector))
    if angle > 100:
        raise CaptureError(f"{where}: rotation of {angle:.3g} rad is damaged")
    axis = vector / angle if angle > 1e-12 else np.array([0.0, 0.0, 1.0])
    half = angle / 2
    return pose_from_quaternion(np.append(axis * np.sin(half), np.cos(half)), position, where)


def from_arkit_opengl(world_from_camera: Float, where: str) -> Float:
    """OpenGL camera in ARKit's Y-up world -> OpenCV camera in the Z-up world."""
    return Z_UP_FROM_Y_UP @ rigid(world_from_camera, where) @ OPENCV_FROM_OPENGL


def from_arkit_opencv(world_from_camera: Float, where: str) -> Float:
    """OpenCV camera in ARKit's Y-up world -> OpenCV camera in the Z-up world."""
    return Z_UP_FROM_Y_UP @ rigid(world_from_camera, where)


def checked_intrinsics(fx: float, fy: float, cx: float, cy: float, width: int, height: int, where: str) -> Intrinsics:
    """Intrinsics that a phone camera can have.

    Raises:
        CaptureError: for an empty image, a focal length outside `FOCAL_RANGE`, or a centre outside the image.
    """
    if not (0 < width <= 1 << 16 and 0 < height <= 1 << 16):
        raise CaptureError(f"{where}: image size {width} x {height} is impossible")
    low, high = FOCAL_RANGE
    side = max(width, height)
    if not (low * side < fx < high * side and low * side < fy < high * side and 0.5 < fx / fy < 2):
        raise CaptureError(f"{where}: focal lengths {fx:g}, {fy:g} px do not suit a {width} x {height} image")
    if not (0 < cx < width and 0 < cy < height):
        raise CaptureError(f"{where}: optical centre ({cx:g}, {cy:g}) lies outside the {width} x {height} image")
    return Intrinsics(fx, fy, cx, cy, width, height)


def intrinsics_at(
    fx: float, fy: float, cx: float, cy: float, sizes: Iterable[tuple[int, int]], where: str
) -> Intrinsics:
    """Intrinsics whose file names no image size: the first of `sizes` whose middle is near the optical centre.

    The result is scaled to the first of `sizes`, the pictures that are loaded.
    """
    candidates = list(dict.fromkeys(sizes))
    for width, height in candidates:
        if abs(cx / width - 0.5) < 0.1 and abs(cy / height - 0.5) < 0.1:
            return checked_intrinsics(fx, fy, cx, cy, width, height, where).scaled(*candidates[0])
    listed = " or ".join(f"{width} x {height}" for width, height in candidates)
    raise CaptureError(f"{where}: optical centre ({cx:g}, {cy:g}) is not near the middle of a {listed} image")
