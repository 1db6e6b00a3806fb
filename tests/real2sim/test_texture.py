from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest
import trimesh
from PIL import Image as PILImage
from pocketworlds.errors import CaptureError, MissingDependencyError
from pocketworlds.real2sim.capture import Capture, Float, Frame, Image, Intrinsics
from pocketworlds.real2sim.meshing import ObjectMesh, body_frame
from pocketworlds.real2sim.texture import (
    Picture,
    TexturedMesh,
    bake,
    fill_unseen,
    load_pictures,
    orthophoto,
    texture_mesh,
)
from pocketworlds.real2sim.views import load_views
from pocketworlds.scenes.gl import ensure_gl
from pocketworlds.scenes.obj import obj_text

from . import synthetic

SIZE = (0.12, 0.08, 0.06)
CENTER, YAW = np.array([0.05, -0.02, 0.03]), 0.5
FACES: dict[tuple[int, int, int], tuple[int, int, int]] = {
    (1, 0, 0): (220, 30, 30),
    (-1, 0, 0): (30, 220, 30),
    (0, 1, 0): (30, 30, 220),
    (0, -1, 0): (220, 220, 30),
    (0, 0, 1): (220, 30, 220),
    (0, 0, -1): (30, 220, 220),
}
"""Colour of each face of the box; the last one lies on the table and is never seen."""
CAMERA = Intrinsics(600, 600, 320, 240, 640, 480)


def painted_box() -> synthetic.Thing:
    """The box above; the half of its top at +X and +Y of its own frame is white, so that a mirrored picture shows."""
    mesh = trimesh.creation.box(SIZE)
    mesh = mesh.subdivide().subdivide()
    colors = np.array([FACES[tuple(int(v) for v in n.round())] for n in mesh.face_normals], np.uint8)
    middle = mesh.triangles_center
    colors[(mesh.face_normals[:, 2] > 0.5) & (middle[:, 0] > 0) & (middle[:, 1] > 0)] = 250
    mesh.apply_transform(body_frame(CENTER, YAW))
    return synthetic.Thing(mesh, colors)


def object_mesh() -> ObjectMesh:
    mesh = trimesh.creation.box(SIZE)
    return ObjectMesh(
        np.asarray(mesh.vertices), np.asarray(mesh.faces, np.int64), np.array(SIZE), body_frame(CENTER, YAW)
    )


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    things = [synthetic.table(), painted_box()]
    result = []
    for pose in synthetic.orbit(CENTER, count=12, distance=0.5, elevations=(20, 50)):
        depth, color = synthetic.shoot(things, pose, CAMERA)
        result.append(Picture(color, CAMERA, pose, depth, 1.0))
    return result


@pytest.fixture(scope="module")
def textured(pictures: list[Picture]) -> TexturedMesh:
    return texture_mesh(object_mesh(), pictures)


def sample(item: TexturedMesh, point: Float) -> Image:
    """The texture's colour at a point of the surface, by the rules of OBJ: V upwards, (0, 0) at the lower left."""
    mesh = item.mesh.trimesh()
    _, distance, face = trimesh.proximity.closest_point(mesh, [point])
    assert distance[0] < 1e-6
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[face], [point])[0]
    u, v = weights @ item.uv[face[0]]
    height, width = item.image.shape[:2]
    return np.asarray(item.image[int((1 - v) * height), int(u * width)])


def face_points(normal: tuple[int, int, int]) -> Float:
    """Points [4, 3] of a face of the box, one in each quarter: (-, -), (-, +), (+, -), (+, +)."""
    n = np.array(normal)
    a, b = (np.eye(3)[i] for i in range(3) if n[i] == 0)
    return np.array([(n + 0.6 * i * a + 0.55 * j * b) * np.array(SIZE) / 2 for i in (-1, 1) for j in (-1, 1)])


@pytest.mark.parametrize("normal", [n for n in FACES if n[2] == 0], ids=str)
def test_sides_have_their_colors(textured: TexturedMesh, normal: tuple[int, int, int]) -> None:
    for point in face_points(normal):
        np.testing.assert_allclose(sample(textured, point).astype(int), FACES[normal], atol=25)


def test_top_is_not_mirrored(textured: TexturedMesh) -> None:
    colors = [sample(textured, point).astype(int) for point in face_points((0, 0, 1))]
    for color in colors[:3]:
        np.testing.assert_allclose(color, FACES[0, 0, 1], atol=25)
    np.testing.assert_allclose(colors[3], 250, atol=25)


def test_unseen_face_takes_a_neighbours_color(textured: TexturedMesh) -> None:
    for point in face_points((0, 0, -1)):
        color = sample(textured, point).astype(int)
        nearest = min(np.abs(color - np.array(FACES[n])).max() for n in FACES if n[2] == 0)
        assert nearest < 120, "neither a neighbour's colour nor a mixture of two"
        assert np.abs(color - np.array(FACES[0, 0, -1])).max() > 60, "nobody has seen that colour"
    share = np.prod(SIZE[:2]) / (2 * (SIZE[0] * SIZE[1] + SIZE[0] * SIZE[2] + SIZE[1] * SIZE[2]))
    assert textured.seen == pytest.approx(1 - share, abs=0.06)


def test_texture_is_square_within_limits_and_mapped_inside(textured: TexturedMesh) -> None:
    height, width, channels = textured.image.shape
    assert height == width
    assert channels == 3
    assert 64 <= width <= 512
    assert textured.uv.shape == (len(textured.mesh.faces), 3, 2)
    assert (textured.uv >= 0).all()
    assert (textured.uv <= 1).all()
    # Charts do not overlap: no two faces own the same texel.
    area = 0.0
    for corners in textured.uv:
        (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[0]
        area += abs(ax * by - ay * bx) / 2
    assert 0.3 < area < 1.0


def test_mujoco_draws_every_face_in_its_color(textured: TexturedMesh, tmp_path: Path) -> None:
    """What counts is the drawn picture: MuJoCo's own reading of the OBJ and the PNG as they are written."""
    try:
        ensure_gl()
    except MissingDependencyError as error:
        pytest.skip(str(error))
    (tmp_path / "box.obj").write_text(obj_text(textured.mesh.vertices, textured.mesh.faces, textured.uv))
    PILImage.fromarray(textured.image).save(tmp_path / "box.png")
    (tmp_path / "box.xml").write_text("""
<mujoco><visual><headlight ambient="1 1 1" diffuse="0 0 0" specular="0 0 0"/></visual>
<asset><texture name="t" type="2d" file="box.png"/><material name="m" texture="t"/>
<mesh name="b" file="box.obj"/></asset>
<worldbody><geom type="mesh" mesh="b" material="m"/></worldbody></mujoco>""")
    model = mujoco.MjModel.from_xml_path(str(tmp_path / "box.xml"))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    views = {(1, 0, 0): (180, 0), (-1, 0, 0): (0, 0), (0, 1, 0): (270, 0), (0, -1, 0): (90, 0), (0, 0, 1): (90, -90)}
    with mujoco.Renderer(model, 120, 160) as renderer:
        for normal, (azimuth, elevation) in views.items():
            camera = mujoco.MjvCamera()
            camera.distance, camera.azimuth, camera.elevation = 0.4, azimuth, elevation
            renderer.update_scene(data, camera)
            picture = renderer.render().astype(int)
            # The middle of the face; of the top, left (-X) and right (+X) in the far half (+Y), right in the near one.
            spots = [(60, 80)] if normal[2] == 0 else [(50, 68), (50, 92), (70, 92)]
            expected = [FACES[normal]] if normal[2] == 0 else [FACES[normal], (250, 250, 250), FACES[normal]]
            for (row, column), color in zip(spots, expected, strict=True):
                np.testing.assert_allclose(picture[row, column], color, atol=30, err_msg=f"face {normal}")


# --------------------------------------------------------------------------------------------------------------- baking


def level_picture(color: Image, depth: float, *, sharpness: float = 1.0, height: float = 0.5) -> Picture:
    """A camera straight above the origin, its picture's right side at +X and its upper side at +Y."""
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    pose[2, 3] = height
    h, w = color.shape[:2]
    return Picture(color, Intrinsics(200, 200, w / 2, h / 2, w, h), pose, np.full((h, w), depth, np.float32), sharpness)


def plain(value: int) -> Image:
    return np.full((80, 100, 3), value, np.uint8)


UP = np.array([[0.0, 0.0, 1.0]])


def test_what_is_hidden_does_not_paint() -> None:
    point = np.zeros((1, 3))
    colors, seen = bake(point, UP, [level_picture(plain(10), 0.3), level_picture(plain(200), 0.5)])
    assert seen.all()
    np.testing.assert_allclose(colors, 200)
    assert not bake(point, UP, [level_picture(plain(10), 0.3)])[1].any()


def test_what_faces_away_is_not_seen() -> None:
    for normal in ([0, 0, -1.0], [1.0, 0, 0]):
        assert not bake(np.zeros((1, 3)), np.array([normal]), [level_picture(plain(10), 0.5)])[1].any()


def test_sharp_pictures_win() -> None:
    blurred = [level_picture(plain(0), 0.5, sharpness=0.1)] * 3
    colors, _ = bake(np.zeros((1, 3)), UP, [*blurred, level_picture(plain(200), 0.5, sharpness=5)])
    assert colors[0, 0] > 195


def test_baked_colors_follow_the_picture_to_a_fraction_of_a_pixel() -> None:
    """A ramp of 2 levels a pixel: a shift by half a pixel (1.25 mm here) would show as one level."""
    ramp = np.zeros((80, 100, 3), np.uint8)
    ramp[:, :, 0] = 20 + 2 * np.arange(100)
    ramp[:, :, 1] = (20 + 2 * np.arange(80))[:, None]
    rng = np.random.default_rng(0)
    points = np.zeros((200, 3))
    points[:, :2] = rng.uniform(-0.08, 0.08, (200, 2))
    colors, seen = bake(points, np.tile(UP, (200, 1)), [level_picture(ramp, 0.5)])
    assert seen.all()
    # Pixel i is centred at i + 0.5: position x [pixels] has the level 20 + 2 (x - 0.5).
    x, y = 50 + 200 * points[:, 0] / 0.5, 40 - 200 * points[:, 1] / 0.5
    np.testing.assert_allclose(colors[:, 0], 20 + 2 * (x - 0.5), atol=0.01)
    np.testing.assert_allclose(colors[:, 1], 20 + 2 * (y - 0.5), atol=0.01)


def test_orthophoto_has_plus_y_on_top_and_follows_the_yaw() -> None:
    quarters = np.zeros((80, 100, 3), np.uint8)
    quarters[:40, :50], quarters[:40, 50:], quarters[40:, :50], quarters[40:, 50:] = 50, 100, 150, 200
    picture = level_picture(quarters, 0.5)
    image, seen = orthophoto(np.zeros(2), np.array([0.16, 0.12]), 0.0, 0.0, [picture])
    assert image.shape == (60, 80, 3)
    assert seen == 1.0
    values = [int(image[r, c, 0]) for r, c in ((15, 20), (15, 60), (45, 20), (45, 60))]
    assert values == [50, 100, 150, 200]
    # Turned by 90 degrees, the rectangle's +Y points to world -X: its upper right corner is the world's upper left.
    turned, _ = orthophoto(np.zeros(2), np.array([0.12, 0.16]), np.pi / 2, 0.0, [picture])
    assert [int(turned[r, c, 0]) for r, c in ((20, 15), (20, 45), (60, 15), (60, 45))] == [150, 50, 200, 100]


def test_unseen_points_take_the_nearest_colors() -> None:
    points = np.array([[0.0, 0, 0], [0.001, 0, 0], [1, 0, 0]])
    colors = np.array([[10.0, 20, 30], [0, 0, 0], [200, 200, 200]])
    filled = fill_unseen(points, colors, np.array([True, False, True]))
    np.testing.assert_array_equal(filled[[0, 2]], [[10, 20, 30], [200, 200, 200]])
    assert not (filled[1] == 0).all()
    grey = fill_unseen(points, colors, np.zeros(3, bool))
    assert len(np.unique(grey)) == 1


# ------------------------------------------------------------------------------------------------------------- pictures


def frames_with_pictures(count: int) -> Capture:
    rng = np.random.default_rng(1)
    depth = np.ones((24, 32), np.float32)

    def frame(number: int) -> Frame:
        noisy = rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)
        flat = np.full((48, 64, 3), 100, np.uint8)
        # Every third picture is sharp, the others are smeared out; number 4 cannot be decoded a second time.
        color = noisy if number % 3 == 1 else flat
        calls: list[int] = []

        def load() -> Image:
            calls.append(number)
            if number == 4 and len(calls) > 1:
                raise CaptureError("frame 4: cannot be decoded")
            return color

        return Frame(number, None, np.eye(4), Intrinsics(60, 60, 32, 24, 64, 48), load, lambda: depth)

    return Capture(Path("test"), "test", tuple(frame(i) for i in range(count)))


def test_the_sharpest_picture_of_each_stretch_is_taken() -> None:
    capture = frames_with_pictures(9)
    views, _ = load_views(capture)
    shares: list[float] = []
    pictures = load_pictures(capture, views, maximum=3, progress=shares.append)
    # Of three stretches the sharp pictures are 1, 4 and 7; 4 is broken.
    assert len(pictures) == 2
    assert all(np.ptp(picture.color) > 200 for picture in pictures)
    assert pictures[0].color.shape == (48, 64, 3)
    assert pictures[0].intrinsics.width == 64


def test_capture_without_pictures_gives_none() -> None:
    depth = np.ones((24, 32), np.float32)
    frame = Frame(0, None, np.eye(4), Intrinsics(60, 60, 32, 24, 64, 48), None, lambda: depth)
    capture = Capture(Path("test"), "test", (frame,))
    assert load_pictures(capture, load_views(capture)[0]) == []
