from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Capture, Depth, Float, Frame, Image, Intrinsics
from pocketworlds.real2sim.views import DepthView, filter_depth, load_views, project, resize, transformed, unproject
from scipy.spatial.transform import Rotation

CAMERA = Intrinsics(40.0, 42.0, 15.3, 11.8, 32, 24)


def flat(value: float = 1.0) -> Depth:
    return np.full((24, 32), value, np.float32)


def frame(index: int, depth: Depth, confidence: Image | None = None) -> Frame:
    return Frame(
        index,
        None,
        np.eye(4),
        CAMERA,
        load_depth=lambda: depth,
        load_confidence=None if confidence is None else (lambda: confidence),
    )


def failing(index: int, reason: str) -> Frame:
    def load() -> Depth:
        raise CaptureError(reason)

    return Frame(index, None, np.eye(4), CAMERA, load_depth=load)


def capture(*frames: Frame) -> Capture:
    return Capture(Path("somewhere"), "test", frames)


def test_filter_keeps_smooth_surface_exactly() -> None:
    depth = (0.5 + 0.004 * np.arange(32, dtype=np.float32))[None].repeat(24, axis=0)
    np.testing.assert_array_equal(filter_depth(depth, None, minimum_confidence=2), depth)


def test_filter_drops_both_sides_of_a_border_and_nothing_else() -> None:
    depth = flat(0.5)
    depth[:, 16:] = 1.0
    clean = filter_depth(depth, None, minimum_confidence=2)
    assert not clean[:, 15:17].any()
    np.testing.assert_array_equal(clean[:, :15], depth[:, :15])
    np.testing.assert_array_equal(clean[:, 17:], depth[:, 17:])


def test_filter_drops_what_is_unsure_or_out_of_range() -> None:
    confidence = np.full((24, 32), 2, np.uint8)
    confidence[3, 4], confidence[3, 20] = 1, 0
    clean = filter_depth(flat(), confidence, minimum_confidence=2)
    assert {(3, 4), (3, 20)} == {(int(v), int(u)) for v, u in np.argwhere(clean == 0)}
    clean = filter_depth(flat(), confidence, minimum_confidence=1)
    assert [(int(v), int(u)) for v, u in np.argwhere(clean == 0)] == [(3, 20)]
    assert not filter_depth(flat(0.1), None, minimum_confidence=2).any()
    assert not filter_depth(flat(6.0), None, minimum_confidence=2).any()
    assert not filter_depth(flat(-1.0), None, minimum_confidence=2).any()


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf])
def test_filter_treats_every_way_of_writing_unknown_alike(unknown: float) -> None:
    depth = flat(0.5)
    depth[:, 16:] = 1.0
    holes = ((5, 5), (10, 15), (12, 16), (20, 30), (0, 0))
    as_zero, as_written = depth.copy(), depth.copy()
    for hole in holes:
        as_zero[hole], as_written[hole] = 0, unknown
    clean = filter_depth(as_written, None, minimum_confidence=2)
    assert np.isfinite(clean).all()
    assert not clean[:, 15:17].any(), "a hole in a border hid the border"
    np.testing.assert_array_equal(clean, filter_depth(as_zero, None, minimum_confidence=2))


def test_filter_leaves_its_input_alone() -> None:
    depth = flat()
    depth[4, 4] = np.nan
    before = depth.copy()
    filter_depth(depth, np.zeros((24, 32), np.uint8), minimum_confidence=2)
    np.testing.assert_array_equal(depth, before)


@given(seed=st.integers(0, 2**32 - 1))
def test_project_undoes_unproject(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    pose[:3, 3] = rng.uniform(-3, 3, 3)
    camera = Intrinsics(*rng.uniform(20, 60, 2), *rng.uniform(5, 25, 2), 32, 24)
    depth = rng.uniform(0.2, 4.9, (24, 32)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.3] = 0
    view = DepthView(0, pose, camera, depth, None, depth)
    points, mask = unproject(view)
    np.testing.assert_array_equal(mask, depth > 0)
    v, u = np.nonzero(depth)
    expected = ray_points(view, u + 0.5, v + 0.5, depth[v, u].astype(float))
    np.testing.assert_allclose(points, expected, atol=1e-9)
    pixels, z, inside = project(points, view)
    assert inside.all()
    np.testing.assert_array_equal(pixels, np.stack([u, v], axis=1))
    np.testing.assert_allclose(z, depth[v, u], rtol=1e-6)


def ray_points(view: DepthView, x: Float, y: Float, z: Float) -> Float:
    """World points of picture positions (x, y) [pixels from the corner] at depth z, by the inverted camera matrix."""
    homogeneous = np.stack([x, y, np.ones_like(z)])
    camera = np.linalg.solve(view.intrinsics.matrix, homogeneous) * z
    return np.asarray((view.world_from_camera @ np.vstack([camera, np.ones_like(z)]))[:3].T)


def test_project_tells_outside_from_inside() -> None:
    view = DepthView(0, np.eye(4), CAMERA, flat(), None, flat())
    just = 1e-6
    inside = np.array([[just, just], [32 - just, 24 - just]])
    outside = np.array([[-just, 5], [5, -just], [32 + just, 5], [5, 24 + just]])
    spots = np.concatenate([inside, outside])
    points = ray_points(view, spots[:, 0], spots[:, 1], np.ones(6))
    behind = np.array([[0, 0, -1.0], [0, 0, 0.0]])
    pixels, _, seen = project(np.concatenate([points, behind]), view)
    assert seen.tolist() == [True, True, False, False, False, False, False, False]
    assert (pixels >= 0).all()
    assert (pixels < [32, 24]).all()


def test_skips_bad_frames_and_says_why() -> None:
    nearly_empty = np.zeros((24, 32), np.float32)
    nearly_empty[0, :10] = 1
    good, no_pose = frame(1, flat()), Frame(7, None, None, CAMERA, load_depth=flat)
    views, skipped = load_views(
        capture(
            good,
            failing(2, "frame 2: the file is cut short"),
            frame(3, flat(), np.full((12, 16), 2, np.uint8)),
            frame(4, nearly_empty),
            frame(5, flat(), np.zeros((24, 32), np.uint8)),
            Frame(6, None, np.eye(4), CAMERA),
            no_pose,
        )
    )
    assert [view.index for view in views] == [1]
    reasons = {item.index: item.reason for item in skipped}
    assert reasons.keys() == {2, 3, 4, 5}
    assert reasons[2] == "frame 2: the file is cut short"
    assert "confidence is (12, 16)" in reasons[3]
    assert "2 %" in reasons[4]
    assert "2 %" in reasons[5]


def test_nothing_usable_is_one_error_with_the_first_reason() -> None:
    with pytest.raises(CaptureError, match=r"somewhere.*none of 2 frames.*first reason: frame 1: broken"):
        load_views(capture(failing(1, "frame 1: broken"), failing(2, "frame 2: broken too")))
    with pytest.raises(CaptureError, match="none of 0 frames"):
        load_views(capture())


def test_takes_frames_evenly_and_reports_progress() -> None:
    shares: list[float] = []
    views, _ = load_views(capture(*(frame(i, flat()) for i in range(101))), maximum=5, progress=shares.append)
    assert [view.index for view in views] == [0, 25, 50, 75, 100]
    np.testing.assert_allclose(shares, [0.2, 0.4, 0.6, 0.8, 1.0])


def test_view_has_color_and_camera_at_depth_resolution() -> None:
    color = np.zeros((48, 64, 3), np.uint8)
    color[:, :32, 0] = 200
    color[::2, 32:, 2] = 100
    camera = Intrinsics(80.0, 84.0, 30.6, 23.6, 64, 48)
    item = Frame(0, None, np.eye(4), camera, lambda: color, flat)
    ((view,), _) = load_views(capture(item))
    assert view.color is not None
    assert view.color.shape == (24, 32, 3)
    np.testing.assert_array_equal(view.color[:, :16], np.broadcast_to([200, 0, 0], (24, 16, 3)))
    np.testing.assert_array_equal(view.color[:, 16:], np.broadcast_to([0, 0, 50], (24, 16, 3)))
    k = view.intrinsics
    np.testing.assert_allclose([k.fx, k.fy, k.cx, k.cy], [40, 42, 15.3, 11.8])
    assert (k.width, k.height) == (32, 24)


def test_edges_keep_borders_and_middle_confidence() -> None:
    depth = flat(0.5)
    depth[:, 16:] = 1.0
    depth[0, 0] = np.nan
    confidence = np.full((24, 32), 2, np.uint8)
    confidence[5, 5], confidence[6, 6] = 1, 0
    ((view,), _) = load_views(capture(frame(0, depth, confidence)))
    assert {(0, 0), (6, 6)} == {(int(v), int(u)) for v, u in np.argwhere(view.edges == 0)}
    assert view.depth[5, 5] == 0


def test_resize_is_the_area_mean() -> None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
    expected = image.reshape(6, 2, 8, 2, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, 8, 6).astype(float) - expected).max() <= 1


def test_moving_the_world_moves_the_points() -> None:
    view = DepthView(0, np.eye(4), CAMERA, flat(), None, flat())
    transform = np.eye(4)
    transform[:3, :3] = Rotation.from_euler("xyz", [0.3, -0.2, 1.0]).as_matrix()
    transform[:3, 3] = [1, 2, 3]
    (changed,) = transformed([view], transform)
    before, after = unproject(view)[0], unproject(changed)[0]
    np.testing.assert_allclose(after, before @ transform[:3, :3].T + [1, 2, 3], atol=1e-9)
