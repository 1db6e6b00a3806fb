"""The virtual phone: depth and pictures against closed forms, where it stands, and what the later stages make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Capture, CaptureMesh, Float
from pocketworlds.real2sim.completion import complete
from pocketworlds.real2sim.fusion import fuse
from pocketworlds.real2sim.instances import find_instances
from pocketworlds.real2sim.readers import open_capture
from pocketworlds.real2sim.structure import find_structure, moved
from pocketworlds.real2sim.views import load_views, transformed, unproject
from pocketworlds.real2sim.virtual import look_at, view_mesh
from pocketworlds.real2sim.virtual_world import COLOR_CAMERA, DEPTH_CAMERA, VirtualWorld

BOXES = {
    (0.30, 0.20, 0.15): (-0.30, -0.10),
    (0.12, 0.08, 0.06): (0.10, 0.15),
    (0.10, 0.10, 0.22): (0.35, -0.15),
}
"""Sizes and centres [m] of the boxes on the table."""
TABLE = 0.74


def box(size: tuple[float, float, float], center: tuple[float, float, float]) -> trimesh.Trimesh:
    return trimesh.creation.box(size, trimesh.transformations.translation_matrix(center))


def table() -> list[trimesh.Trimesh]:
    parts = [box((1.3, 0.8, 0.04), (0, 0, TABLE - 0.02))]
    parts += [box((0.1, 0.1, 0.7), (0, 0, 0.35)), box((0.5, 0.5, 0.02), (0, 0, 0.01))]
    return parts + [box(size, (*xy, TABLE + size[2] / 2)) for size, xy in BOXES.items()]


def room() -> trimesh.Trimesh:
    """A closed room of 5 x 4 x 2.6 m, faces inwards, with a cupboard and the table."""
    shell = box((5, 4, 2.6), (0, 0, 1.3))
    shell.invert()
    items = [*table(), box((1.2, 0.5, 1.8), (-1.5, 1.6, 0.9))]
    return trimesh.util.concatenate([shell, *items])


def as_mesh(parts: trimesh.Trimesh | list[trimesh.Trimesh], **more: object) -> CaptureMesh:
    joined = parts if isinstance(parts, trimesh.Trimesh) else trimesh.util.concatenate(parts)
    return CaptureMesh(np.asarray(joined.vertices, np.float64), np.asarray(joined.faces, np.int64), **more)  # type: ignore[arg-type]


def capture_of(mesh: CaptureMesh, **more: object) -> Capture:
    return Capture(Path("scan.glb"), "mesh-glb", mesh=mesh, **{"has_gravity": False, **more})  # type: ignore[arg-type]


def seen(capture: Capture) -> Float:
    views, skipped = load_views(capture, maximum=30)
    assert not skipped
    return np.concatenate([unproject(view)[0][::7] for view in views])


def test_depth_of_a_plane_is_exact_and_back_faces_are_unknown() -> None:
    square = CaptureMesh(np.array([[-5, -5, 0], [5, -5, 0], [5, 5, 0], [-5, 5, 0.0]]), np.array([[0, 1, 2], [0, 2, 3]]))
    eye = np.array([0.0, -1.0, 1.0])
    depth = VirtualWorld(square).depth(look_at(eye, np.zeros(3)))
    v = np.arange(DEPTH_CAMERA.height) + 0.5
    # The ray (0, y, 1) of a camera pitched down by 45 degrees falls by (y + 1) / sqrt(2) per metre of depth.
    expected = np.sqrt(2) / ((v - DEPTH_CAMERA.cy) / DEPTH_CAMERA.fy + 1)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth[:, 128], expected, rtol=1e-4)
    assert not VirtualWorld(square).depth(look_at(-eye, np.zeros(3))).any()
    assert not VirtualWorld(square).depth(look_at(eye, 2 * eye)).any()


def test_picture_shows_the_texture_the_right_way_round() -> None:
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32] = (255, 0, 0)  # u < 0.5, v > 0.5: the (-x, +y) quarter
    texture[:32, 32:] = (0, 255, 0)
    texture[32:, :32] = (0, 0, 255)
    corner = np.array([[0, 0], [1, 0], [1, 1], [0, 1.0]])
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    square = CaptureMesh(np.column_stack([corner - 0.5, np.zeros(4)]), faces, uv=corner[faces], texture=texture)
    pose = look_at(np.array([0.0, -1e-3, 1.0]), np.zeros(3))  # from above, +y is up in the picture
    picture = VirtualWorld(square).color(pose)
    assert picture.shape == (720, 960, 3)
    middle, step = np.array([360, 480]), int(0.2 * COLOR_CAMERA.fx)
    for (up, right), colour in {(1, -1): (255, 0, 0), (1, 1): (0, 255, 0), (-1, -1): (0, 0, 255)}.items():
        row, column = middle + np.array([-up, right]) * step
        assert tuple(picture[row, column]) == colour
    colored = CaptureMesh(square.vertices, faces, colors=np.array([[200, 0, 0]] * 2 + [[0, 0, 100]] * 2, np.uint8))
    picture = VirtualWorld(colored).color(pose)
    np.testing.assert_allclose(picture[360, 480], (100, 0, 50), atol=2)


def test_object_without_ground_gets_a_floor_and_says_so() -> None:
    mesh = as_mesh(trimesh.creation.cylinder(0.05, 0.2))
    views = view_mesh(capture_of(mesh), mesh)
    assert 60 <= len(views.frames) <= 110
    assert views.has_gravity
    assert any("virtual floor" in note for note in views.notes)
    points = seen(views)
    floor = points[points[:, 2] < -0.0995]
    assert np.ptp(floor[:, :2], axis=0).min() > 0.4
    side = points[(points[:, 2] > -0.09) & (points[:, 2] < 0.09)]
    np.testing.assert_allclose(np.hypot(side[:, 0], side[:, 1]), 0.05, atol=5e-4)
    assert np.ptp(side[:, 2]) > 0.17


def test_ball_is_seen_down_to_where_it_touches_the_floor() -> None:
    mesh = as_mesh(trimesh.creation.icosphere(4, 0.1))
    points = seen(view_mesh(capture_of(mesh), mesh))
    radius = np.linalg.norm(points, axis=1)
    assert points[np.abs(radius - 0.1) < 0.0004, 2].min() < -0.094


def test_scale_is_noted_or_refused() -> None:
    mesh = as_mesh(box((0.3, 0.2, 0.1), (0, 0, 0)))
    views = view_mesh(capture_of(mesh, is_metric=False), mesh)
    assert not views.is_metric
    assert any("0.30 x 0.20 x 0.10 m" in note for note in views.notes)
    for scale, word in ((400.0, "millimetres"), (0.01, "3.0 mm")):
        wrong = CaptureMesh(mesh.vertices * scale, mesh.faces)
        with pytest.raises(CaptureError, match=word):
            view_mesh(capture_of(wrong), wrong)
    flat = CaptureMesh(mesh.vertices, np.array([[0, 0, 1]]))
    with pytest.raises(CaptureError, match="no area"):
        view_mesh(capture_of(flat), flat)


def test_inverted_mesh_is_turned_round() -> None:
    mesh = as_mesh(box((0.3, 0.2, 0.1), (0, 0, 0)))
    inverted = CaptureMesh(mesh.vertices, mesh.faces[:, ::-1])
    views = view_mesh(capture_of(inverted), inverted)
    assert any("turned round" in note for note in views.notes)
    assert seen(views)[:, 2].max() == pytest.approx(0.05, abs=1e-4)


def test_object_of_unknown_up_axis_is_laid_down() -> None:
    turn = trimesh.transformations.rotation_matrix(0.6, (1, 1, 0))[:3, :3]
    mesh = as_mesh(box((0.3, 0.2, 0.06), (0, 0, 0)))
    tilted = CaptureMesh(mesh.vertices @ turn.T, mesh.faces)
    points = seen(view_mesh(capture_of(tilted, is_metric=False), tilted))
    assert np.ptp(points[:, 2]) == pytest.approx(0.0605, abs=1e-3)


def test_ground_in_another_axis_is_turned_level() -> None:
    scan = [box((0.1, 0.1, 0.1), (0.1, 0, 0.05)), box((0.15, 0.1, 0.05), (-0.2, 0.1, 0.025))]
    plate = trimesh.Trimesh([[-0.5, -0.4, 0], [0.5, -0.4, 0], [0.5, 0.4, 0], [-0.5, 0.4, 0]], [[0, 1, 2], [0, 2, 3]])
    mesh = as_mesh([*scan, plate])
    for turn in (np.eye(3), np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0.0]]), np.diag([1.0, -1.0, -1.0])):
        turned = CaptureMesh(mesh.vertices @ turn.T, mesh.faces)
        views = view_mesh(capture_of(turned), turned)
        assert not any("virtual floor" in note for note in views.notes)
        points = seen(views)
        assert np.mean(np.abs(points[:, 2] - points[:, 2].min()) < 2e-3) > 0.5
        assert np.ptp(points[:, 2]) == pytest.approx(0.1, abs=2e-3)


def test_room_is_seen_from_within() -> None:
    mesh = as_mesh(room())
    views = view_mesh(capture_of(mesh), mesh)
    eyes = np.array([frame.world_from_camera[:3, 3] for frame in views.frames if frame.world_from_camera is not None])
    assert 60 <= len(eyes) <= 130
    assert (np.abs(eyes[:, :2]) < (2.5, 2.0)).all()
    assert np.mean(np.abs(eyes[:, 2] - 1.4) < 1e-3) > 0.4
    points = seen(views)
    np.testing.assert_allclose(points.min(axis=0), (-2.5, -2.0, 0.0), atol=0.02)
    floor = np.unique((points[points[:, 2] < 0.01, :2] / 0.25).round(), axis=0)
    assert len(floor) * 0.25**2 > 0.7 * 5 * 4


def test_boxes_on_a_glb_table_come_out_at_their_sizes(tmp_path: Path) -> None:
    scene = trimesh.Scene(table())
    scene.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))  # glTF is +Y up
    scene.export(tmp_path / "table.glb")
    capture = open_capture(tmp_path / "table.glb")
    assert capture.mesh is not None
    viewed = view_mesh(capture, capture.mesh)
    views, _ = load_views(viewed, maximum=60)
    surface = fuse(views, voxel=0.005)
    structure = find_structure(surface, has_gravity=viewed.has_gravity)
    table_top = structure.supports[0]
    assert table_top.kind == "table"
    assert table_top.height == pytest.approx(TABLE, abs=0.004)
    surface = moved(surface, structure.world_from_capture)
    views = transformed(views, structure.world_from_capture)
    on_top = [item for item in find_instances(surface, structure, views).instances if item.support == 0]
    assert len(on_top) == len(BOXES)
    labels = np.full(len(surface.vertices), -1, np.int64)
    for number, item in enumerate(on_top):
        labels[item.vertices] = number
    sizes = [np.sort(complete(item, surface, views, labels, number, 0.0).size) for number, item in enumerate(on_top)]
    for size in BOXES:
        assert min(np.abs(measured - np.sort(size)).max() for measured in sizes) < 0.006
