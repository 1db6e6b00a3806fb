"""What every opened capture must satisfy."""

from __future__ import annotations

import numpy as np
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Capture, CaptureMesh, Float, Frame


def assert_rigid(pose: Float) -> None:
    assert pose.shape == (4, 4)
    assert np.isfinite(pose).all()
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(pose[:3, :3]) > 0
    np.testing.assert_array_equal(pose[3], [0, 0, 0, 1])


def assert_mesh(mesh: CaptureMesh) -> None:
    assert np.isfinite(mesh.vertices).all()
    assert mesh.vertices.shape[1] == 3
    assert mesh.faces.shape[1] == 3
    assert 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices)
    if mesh.uv is not None:
        assert mesh.uv.shape == (len(mesh.faces), 3, 2)
        assert np.isfinite(mesh.uv).all()
        assert mesh.texture is not None
    if mesh.texture is not None:
        assert mesh.texture.dtype == np.uint8
        assert mesh.texture.ndim == 3
    if mesh.colors is not None:
        assert mesh.colors.shape == mesh.vertices.shape


def frame_loads(frame: Frame, *, color: bool = True) -> bool:
    """Whether every image of the frame loads; anything but a `CaptureError` is a failure of the test."""
    k = frame.intrinsics
    assert min(k.fx, k.fy, k.cx, k.cy, k.width, k.height) > 0
    assert np.isfinite(k.matrix).all()
    if frame.world_from_camera is not None:
        assert_rigid(frame.world_from_camera)
    try:
        if frame.load_depth:
            depth = frame.load_depth()
            assert depth.dtype == np.float32
            assert depth.ndim == 2
            assert depth.size
            assert np.isfinite(depth).all()
            assert (depth >= 0).all()
        if frame.load_confidence:
            confidence = frame.load_confidence()
            assert confidence.dtype == np.uint8
            assert confidence.ndim == 2
            assert confidence.max() <= 2
        if frame.load_color and color:
            picture = frame.load_color()
            assert picture.dtype == np.uint8
            assert picture.shape == (k.height, k.width, 3)
    except CaptureError as error:
        if not str(error):
            raise AssertionError("an error without a message") from error
        return False
    return True


def assert_capture(capture: Capture, *, color: bool = True) -> int:
    """Checks everything in a capture and returns how many frames load."""
    assert capture.frames or capture.mesh or capture.room
    assert len({frame.index for frame in capture.frames}) == len(capture.frames)
    if capture.mesh:
        assert_mesh(capture.mesh)
    for element in capture.room:
        assert_rigid(element.world_from_local)
        assert np.isfinite(element.size).all()
        assert (element.size >= 0).all()
    return sum(frame_loads(frame, color=color) for frame in capture.frames)


def world_points(frame: Frame, *, best_only: bool = True) -> Float:
    """Depth pixels of a frame as points [N, 3] in the world."""
    assert frame.load_depth is not None
    assert frame.world_from_camera is not None
    depth = frame.load_depth()
    k = frame.intrinsics.scaled(depth.shape[1], depth.shape[0])
    keep = depth > 0
    if best_only and frame.load_confidence:
        keep &= frame.load_confidence() == 2
    v, u = np.nonzero(keep)
    z = depth[v, u].astype(np.float64)
    camera = np.stack([(u + 0.5 - k.cx) / k.fx * z, (v + 0.5 - k.cy) / k.fy * z, z], axis=1)
    return camera @ frame.world_from_camera[:3, :3].T + frame.world_from_camera[:3, 3]


def floor_height(points: Float) -> tuple[float, float]:
    """Height of the largest horizontal layer of 2 cm, and the share of the points in it."""
    heights = points[:, 2]
    low = np.sort(heights)
    counts = np.searchsorted(low, low + 0.02) - np.arange(len(low))
    start = low[counts.argmax()]
    inside = heights[(heights >= start) & (heights <= start + 0.02)]
    return float(np.median(inside)), len(inside) / len(heights)
