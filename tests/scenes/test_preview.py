"""Pictures: everything in the frame, textures upright, nothing between the camera and the content."""

from __future__ import annotations

import math
from pathlib import Path

import mujoco
import numpy as np
import pytest
from PIL import Image
from pocketworlds.errors import MissingDependencyError, SceneError
from pocketworlds.scenes import Scene, SceneObject, Surface
from pocketworlds.scenes.gl import ensure_gl
from pocketworlds.scenes.preview import Photographer, render_preview, render_view
from pocketworlds.scenes.scene import Material, Pose, Visual

from .builders import estimate, floor, scene, table, textured, thing

SIZE = (320, 240)
RED = (1.0, 0.0, 0.0, 1.0)


@pytest.fixture(autouse=True)
def _needs_gl() -> None:
    try:
        ensure_gl()
    except MissingDependencyError as error:
        pytest.skip(str(error))


def painted(item: SceneObject, rgba: tuple[float, float, float, float] = RED) -> SceneObject:
    return item.model_copy(
        update={"body": item.body.model_copy(update={"visual": Visual(material=Material(rgba=rgba))})}
    )


def turned(yaw: float) -> tuple[float, float, float, float]:
    return (math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2))


def room(*objects: SceneObject) -> Scene:
    """A table in the corner of a closed room of 4 m x 4 m with a ceiling."""
    walls = tuple(
        Surface(
            name=f"wall_{i}",
            kind="wall",
            pose=Pose(position=(2.05 * math.cos(a), 2.05 * math.sin(a), 1.2), quaternion=turned(a)),
            size=(0.1, 4.2, 2.4),
            friction=estimate(0.8),
        )
        for i, a in enumerate((0.0, math.pi / 2, math.pi, 3 * math.pi / 2))
    )
    ceiling = Surface(
        name="ceiling", kind="ceiling", pose=Pose(position=(0, 0, 2.45)), size=(4.2, 4.2, 0.1), friction=estimate(0.8)
    )
    desk = table().model_copy(update={"pose": Pose(position=(1.4, 1.6, 0.68))})
    return scene(*objects, surfaces=(floor(), desk, *walls, ceiling))


def red_box(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of red pixels."""
    wide = picture.astype(int)
    return np.nonzero((wide[..., 0] > 60) & (wide[..., 0] > 3 * wide[..., 1]) & (wide[..., 0] > 3 * wide[..., 2]))


def test_preview_shows_the_whole_object_large_and_in_the_middle(tmp_path: Path) -> None:
    path = render_preview(scene(painted(thing("box", (0.7, -0.3, 0.05)))), tmp_path / "preview.png", SIZE)
    picture = np.asarray(Image.open(path))
    assert picture.shape == (240, 320, 3)
    rows, columns = red_box(picture)
    assert rows.min() > 0
    assert rows.max() < 239
    assert columns.min() > 0
    assert columns.max() < 319
    assert np.ptp(rows) > 90
    assert abs((rows.min() + rows.max()) / 2 - 120) < 25
    assert abs((columns.min() + columns.max()) / 2 - 160) < 25


def test_walls_and_ceiling_do_not_hide_the_content() -> None:
    box = painted(thing("box", (1.5, 1.7, 0.75), support="table"))
    alone = red_box(render_view(room(box), size=SIZE))[0].size
    open_air = red_box(render_view(scene(painted(thing("box", (0, 0, 0.05)))), size=SIZE))[0].size
    assert alone > 0.8 * open_air > 0


def test_camera_goes_round_what_stands_in_front() -> None:
    box = painted(thing("box", (0, 0, 0.05)))
    # In the camera's preferred direction, 135 degrees, a screen hides the box.
    screen = thing("screen", (0.1, -0.1, 0.2), size=(0.02, 0.3, 0.4), yaw=-math.pi / 4, mobility="fixed")
    assert red_box(render_view(scene(box, screen), azimuth=135.0, size=SIZE))[0].size < 2000
    assert red_box(render_view(scene(box, screen), size=SIZE))[0].size > 12000


def test_camera_does_not_sit_inside_furniture() -> None:
    box = painted(thing("box", (0, 0, 0.05)))
    cupboard = thing("cupboard", (0.4, -0.4, 0.5), size=(0.5, 0.5, 1.0), mobility="fixed")
    picture = render_view(scene(box, cupboard), size=SIZE)
    np.testing.assert_array_equal(picture, render_view(scene(box, cupboard), azimuth=45.0, size=SIZE))


def test_every_free_object_is_in_the_frame() -> None:
    many = [painted(thing(f"b{i}", (math.cos(i), math.sin(i), 0.05))) for i in range(6)]
    rows, columns = red_box(render_view(scene(*many), size=SIZE))
    assert rows.min() > 2
    assert rows.max() < 237
    assert columns.min() > 2
    assert columns.max() < 317


def test_texture_is_upright(tmp_path: Path) -> None:
    made = textured(tmp_path)
    with Photographer(made, SIZE) as photographer:
        picture = photographer.camera("front").astype(int)
        with pytest.raises(SceneError, match="no camera 'back'"):
            photographer.camera("back")
    red = np.argwhere((picture[..., 0] > 100) & (picture[..., 2] < 50) & (picture[..., 1] < 50))
    blue = np.argwhere((picture[..., 2] > 100) & (picture[..., 0] < 50) & (picture[..., 1] < 50))
    green = np.argwhere((picture[..., 1] > 100) & (picture[..., 0] < 50) & (picture[..., 2] < 50))
    assert red[:, 0].mean() < blue[:, 0].mean() - 5
    assert green[:, 1].mean() < red[:, 1].mean() - 5


def test_top_view_maps_metres_to_pixels() -> None:
    made = scene(painted(thing("a", (0.5, 0.25, 0.05))), thing("b", (-0.2, -0.4, 0.05), shape="cylinder"))
    with Photographer(made, SIZE) as photographer:
        view = photographer.top()
        outline = view.pixels(photographer.footprint("a"))
        circle = photographer.footprint("b")
    rows, columns = red_box(view.picture)
    np.testing.assert_allclose([columns.min(), columns.max() + 1], [outline[:, 0].min(), outline[:, 0].max()], atol=1.5)
    np.testing.assert_allclose([rows.min(), rows.max() + 1], [outline[:, 1].min(), outline[:, 1].max()], atol=1.5)
    np.testing.assert_allclose(np.linalg.norm(circle - [-0.2, -0.4], axis=1), 0.05, atol=1e-9)


def test_thumbnail_shows_one_object_alone() -> None:
    made = scene(painted(thing("a", (0, 0, 0.05))), painted(thing("b", (0.12, 0, 0.05)), (0.0, 0.0, 1.0, 1.0)))
    with Photographer(made, SIZE) as photographer:
        picture = photographer.thumbnail("a", (160, 120)).astype(int)
        both = photographer.overview().astype(int)
    assert picture.shape == (120, 160, 3)
    assert red_box(picture)[0].size > 1000
    assert not ((picture[..., 2] > 100) & (picture[..., 0] < 50)).any()
    assert ((both[..., 2] > 80) & (both[..., 0] < 50)).any()


def test_shadows_darken_the_floor_beside_the_object() -> None:
    made = scene(painted(thing("box", (0, 0, 0.05))))
    plain, shaded = (render_view(made, size=SIZE, shadows=shadows).astype(int) for shadows in (False, True))
    assert (plain.sum(axis=2) - shaded.sum(axis=2) > 30).sum() > 200


def test_scene_without_objects_is_drawn() -> None:
    assert render_view(scene(), size=SIZE).std() > 1


def test_failing_context_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise mujoco.FatalError("an OpenGL platform library has not been loaded")

    monkeypatch.setattr(mujoco, "Renderer", refuse)
    with pytest.raises(MissingDependencyError, match="libegl1"):
        render_view(scene())
