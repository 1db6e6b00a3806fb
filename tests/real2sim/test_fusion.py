from __future__ import annotations

import numpy as np
import pytest
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Float, Intrinsics
from pocketworlds.real2sim.fusion import Surface, choose_voxel, fuse
from pocketworlds.real2sim.views import DepthView, load_views
from scipy import optimize
from scipy.spatial.transform import Rotation

from . import synthetic

VOXEL = 0.004
RADIUS = 0.06
CENTER = np.array([0.02, -0.01, 0.10])
"""A ball that hovers above a plane at z = 0."""


def hovering_ball() -> list[synthetic.Thing]:
    ball = synthetic.ball(2 * RADIUS, CENTER[:2], base=CENTER[2] - RADIUS)
    return [synthetic.table((2.0, 2.0)), ball]


@pytest.fixture(scope="module")
def surface() -> Surface:
    poses = synthetic.orbit((0, 0, 0.06), elevations=(20, 50, 75), distance=0.5)
    views, _ = load_views(synthetic.capture_of(hovering_ball(), poses))
    return fuse(views, voxel=VOXEL)


def on_ball(surface: Surface) -> tuple[Float, Float]:
    """Vertices [N, 3] that belong to the ball, and their signed distance [N] to it."""
    distance = np.linalg.norm(surface.vertices - CENTER, axis=1) - RADIUS
    mine = (np.abs(distance) < 0.02) & (surface.vertices[:, 2] > 0.05)
    return surface.vertices[mine], distance[mine]


def test_surface_lies_on_the_true_one(surface: Surface) -> None:
    vertices, distance = on_ball(surface)
    assert len(vertices) > 1000
    assert np.percentile(np.abs(distance), 99) < VOXEL / 2
    assert abs(distance.mean()) < 0.0004, "the ball is systematically too big or too small"
    near = (np.abs(surface.vertices[:, :2]) < 0.3).all(axis=1)
    away = np.linalg.norm(surface.vertices[:, :2] - CENTER[:2], axis=1) > 0.12
    height = surface.vertices[near & away & (surface.vertices[:, 2] < 0.03), 2]
    assert len(height) > 5000
    assert np.percentile(np.abs(height), 99) < VOXEL / 2
    assert abs(height.mean()) < 0.0003


def test_normals_point_outwards(surface: Surface) -> None:
    vertices, _ = on_ball(surface)
    normals = surface.normals[np.linalg.norm(surface.vertices - CENTER, axis=1) < RADIUS + 0.01]
    vertices = surface.vertices[np.linalg.norm(surface.vertices - CENTER, axis=1) < RADIUS + 0.01]
    true = (vertices - CENTER) / np.linalg.norm(vertices - CENTER, axis=1, keepdims=True)
    upper = vertices[:, 2] > CENTER[2] - 0.02
    cosine = (normals * true).sum(axis=1)[upper]
    assert np.median(cosine) > 0.99
    assert (cosine > 0.8).mean() > 0.99


def test_faces_wind_like_the_normals(surface: Surface) -> None:
    a, b, c = (surface.vertices[surface.faces[:, i]] for i in range(3))
    wound = np.cross(b - a, c - a)
    assert ((wound * surface.normals[surface.faces[:, 0]]).sum(axis=1) > 0).mean() > 0.99


def test_nothing_is_shifted_sideways() -> None:
    # All cameras are turned alike, so that half a depth pixel (1.3 mm at 0.55 m) could not average out.
    target = np.array([0, 0, 0.06])
    poses = [
        synthetic.look_at(target + np.array([0.03 * dx, 0.55 * np.cos(1.0) + 0.02 * dy, 0.55 * np.sin(1.0)]), target)
        for dx in (-2, -1, 0, 1, 2)
        for dy in (-1, 0, 1)
    ]
    views, _ = load_views(synthetic.capture_of(hovering_ball(), poses))
    vertices, _ = on_ball(fuse(views, voxel=VOXEL))
    rays = vertices - CENTER
    facing = vertices[(rays @ (poses[7][:3, 3] - CENTER)) / np.linalg.norm(rays, axis=1) > 0.6 * 0.55]

    def residual(sphere: Float) -> Float:
        return np.asarray(np.linalg.norm(facing - sphere[:3], axis=1) - sphere[3])

    fit = optimize.least_squares(residual, [*CENTER, RADIUS], loss="soft_l1", f_scale=0.001).x
    np.testing.assert_allclose(fit[:3], CENTER, atol=0.0003)
    assert fit[3] == pytest.approx(RADIUS, abs=0.0004)


def test_colors_are_not_shifted_sideways() -> None:
    red, blue = (synthetic.box((1.0, 2.0, 0.04), (x, 0), base=-0.04) for x in (-0.5, 0.5))
    red.colors[:], blue.colors[:] = (255, 0, 0), (0, 0, 255)
    poses = [
        synthetic.look_at((0.03 * dx, 0.02 * dy - 0.1, 0.5), (0.03 * dx, 0.02 * dy, 0.0))
        for dx in (-2, -1, 0, 1, 2)
        for dy in (-1, 0, 1)
    ]
    views, _ = load_views(synthetic.capture_of([red, blue], poses))
    surface = fuse(views, voxel=VOXEL)
    strip = (np.abs(surface.vertices[:, 0]) < 0.05) & (np.abs(surface.vertices[:, 1]) < 0.05)
    share = surface.colors[strip, 0] / 255.0
    # The vertices are spread evenly over the strip, so the share of red says where red ends.
    edge = -0.05 + 0.1 * share.mean()
    assert abs(edge) < 0.0007
    assert (surface.colors[strip, 1] < 5).all()


def views_at(depth: float, fx: float = 213.0) -> list[DepthView]:
    camera = Intrinsics(fx, fx, 16, 12, 32, 24)
    image = np.full((24, 32), depth, np.float32)
    image[0] = 0
    return [DepthView(0, np.eye(4), camera, image, None, image)]


@pytest.mark.parametrize(
    ("depth", "voxel"),
    [(0.3, 0.003), (0.9, 0.005), (1.6, 0.009), (4.5, 0.012)],
    ids=["near: lower bound", "0.9 m: 5.07 mm", "1.6 m: 9.01 mm", "far: upper bound"],
)
def test_voxel_follows_the_resolution(depth: float, voxel: float) -> None:
    assert choose_voxel(views_at(depth)) == pytest.approx(voxel)


def test_voxel_is_chosen_when_none_is_given(surface: Surface) -> None:
    assert surface.voxel == VOXEL
    poses = synthetic.orbit(count=8, distance=1.2)
    views, _ = load_views(synthetic.capture_of([synthetic.table((3.0, 3.0))], poses))
    chosen = fuse(views).voxel
    assert chosen == choose_voxel(views)
    # A pixel covers 1.2 m / 213 = 5.6 mm at the middle; half of the picture is farther.
    assert 0.006 <= chosen <= 0.009


def test_contradictory_poses_are_an_error() -> None:
    rng = np.random.default_rng(0)
    views, _ = load_views(synthetic.capture_of([synthetic.table()], synthetic.orbit(count=40, distance=0.5)))
    scattered = []
    for number, view in enumerate(views):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.random(random_state=number).as_matrix()
        pose[:3, 3] = rng.uniform(-200, 200, 3)
        scattered.append(DepthView(view.index, pose, view.intrinsics, view.depth, None, view.edges))
    with pytest.raises(CaptureError, match="contradict"):
        fuse(scattered, voxel=0.012)


def test_surface_without_pictures_is_grey_and_progress_ends_at_one() -> None:
    shares: list[float] = []
    views, _ = load_views(synthetic.capture_of([synthetic.table()], synthetic.orbit(count=6)))
    bare = [DepthView(v.index, v.world_from_camera, v.intrinsics, v.depth, None, v.edges) for v in views]
    surface = fuse(bare, voxel=0.008, progress=shares.append)
    assert np.ptp(surface.colors) == 0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
