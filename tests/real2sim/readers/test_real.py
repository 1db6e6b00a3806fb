"""Every real capture opens, and its geometry is right side up and metric."""

from __future__ import annotations

import gc
import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pocketworlds.real2sim.readers import open_capture, validate_frames

from . import convert
from .checks import assert_capture, floor_height, world_points

TABLETOP, CHAIR = "tabletop_charuco_3dscannerapp", "chair_3dscannerapp"


@pytest.mark.parametrize(("name", "frames", "pictures"), [(TABLETOP, 92, 31), (CHAIR, 70, 24)])
def test_scanner_app(captures: Path, name: str, frames: int, pictures: int) -> None:
    capture = open_capture(captures / name)
    assert capture.format == "3d-scanner-app"
    assert capture.path == captures / name
    assert not capture.skipped
    assert len(capture.frames) == frames
    assert sum(frame.load_color is not None for frame in capture.frames) == pictures
    assert assert_capture(capture, color=False) == frames
    assert validate_frames(capture).frames == capture.frames
    assert (capture.frames[0].intrinsics.width, capture.frames[0].intrinsics.height) == (1920, 1440)
    times = [frame.timestamp or 0 for frame in capture.frames]
    assert times == sorted(times)


def test_floor_is_level_and_shared_by_all_frames(captures: Path) -> None:
    capture = open_capture(captures / TABLETOP)
    heights, shares = zip(*(floor_height(world_points(frame)) for frame in capture.frames[::8]), strict=True)
    assert min(shares) > 0.5
    assert np.ptp(heights) < 0.012


def test_matrix_is_the_apps_own(captures: Path) -> None:
    data = json.loads((captures / TABLETOP / "frame_00007.json").read_text())
    arkit = np.array(data["cameraPoseARFrame"]).reshape(4, 4)
    frame = open_capture(captures / TABLETOP).frames[7]
    assert frame.world_from_camera is not None
    x, y, z = arkit[:3, 3]
    np.testing.assert_allclose(frame.world_from_camera[:3, 3], [x, -z, y])
    forward = -arkit[:3, 2]  # an ARKit camera looks along its -Z
    np.testing.assert_allclose(frame.world_from_camera[:3, 2], [forward[0], -forward[2], forward[1]], atol=1e-6)


def test_mesh_where_no_frame_has_depth(captures: Path, tmp_path: Path) -> None:
    for name in ("info.json", "textured_output.obj", "textured_output.mtl", "textured_output.jpg", "frame_00000.json"):
        (tmp_path / name).write_bytes((captures / TABLETOP / name).read_bytes())
    capture = open_capture(tmp_path)
    assert capture.format == "3d-scanner-app"
    assert any("No depth" in note for note in capture.notes)
    assert capture.mesh is not None
    assert capture.mesh.texture is not None
    assert_capture(capture)
    frames = open_capture(captures / TABLETOP)
    scanned = np.concatenate([world_points(frame) for frame in frames.frames[::10]])
    middle = (np.percentile(scanned, [2, 98], axis=0) - np.percentile(capture.mesh.vertices, [2, 98], axis=0)).mean(
        axis=0
    )
    assert np.abs(middle[:2]).max() < 0.02
    assert abs(middle[2]) < 0.06  # the app moved this mesh up by 44 mm


def test_obj_keeps_every_corner(captures: Path) -> None:
    path = captures / TABLETOP / "textured_output.obj"
    mesh = open_capture(path).mesh
    assert mesh is not None
    assert mesh.uv is not None
    lines = path.read_text().splitlines()
    points = [line.split()[1:4] for line in lines if line.startswith("v ")]
    uvs = [line.split()[1:3] for line in lines if line.startswith("vt ")]
    corners = [line.split()[1:] for line in lines if line.startswith("f ")]
    assert len(corners) == len(mesh.faces)
    for face in range(0, len(corners), 97):
        for corner in range(3):
            v, t = corners[face][corner].split("/")[:2]
            x, y, z = map(float, points[int(v) - 1])
            np.testing.assert_allclose(mesh.vertices[mesh.faces[face, corner]], [x, -z, y])
            np.testing.assert_allclose(mesh.uv[face, corner], [float(c) for c in uvs[int(t) - 1]])


def test_roomplan_json(captures: Path) -> None:
    path = captures / "roomplan_living_room" / "test-roomplan.json"
    room = json.loads(path.read_text())
    for capture in (open_capture(path), open_capture(path.parent)):
        assert capture.format == "roomplan-json"
        assert not capture.skipped
        assert_capture(capture)
        kinds = [element.kind for element in capture.room]
        assert [kinds.count(kind) for kind in ("wall", "door", "window", "floor", "object")] == [4, 2, 2, 1, 5]
    exported = {e["identifier"]: e for key in ("walls", "doors", "windows", "floors", "objects") for e in room[key]}
    assert {element.identifier for element in capture.room} == set(exported)
    for element in capture.room:
        entry = exported[element.identifier]
        np.testing.assert_array_equal(element.size, entry["dimensions"])
        columns = np.array(entry["transform"]).reshape(4, 4)
        for local in (np.zeros(3), np.array(entry["dimensions"]) / 2):
            x, y, z = local[0] * columns[0, :3] + local[1] * columns[1, :3] + local[2] * columns[2, :3] + columns[3, :3]
            placed = element.world_from_local @ [*local, 1]
            np.testing.assert_allclose(placed[:3], [x, -z, y], atol=1e-4)
        assert element.parent == entry["parentIdentifier"]
    storage = next(element for element in capture.room if element.category == "storage")
    assert storage.attributes == {"StorageType": "cabinet"}
    doors = [element.attributes["isOpen"] for element in capture.room if element.kind == "door"]
    assert sorted(doors) == [False, True]
    floor = next(element for element in capture.room if element.kind == "floor")
    assert floor.polygon is not None
    corners = floor.polygon @ floor.world_from_local[:3, :3].T + floor.world_from_local[:3, 3]
    assert np.ptp(corners[:, 2]) < 1e-3  # level


def test_object_capture_usdz(captures: Path) -> None:
    path = captures / "object_capture_usdz" / "saeukkang.usdz"
    capture = open_capture(path)
    assert capture.format == "usdz-mesh"
    assert not capture.is_metric
    assert capture.mesh is not None
    assert capture.mesh.vertices.shape == (12502, 3)
    assert capture.mesh.faces.shape == (25000, 3)
    assert capture.mesh.uv is not None
    assert capture.mesh.texture is not None
    assert capture.mesh.texture.shape == (1024, 1024, 3)
    assert_capture(capture)
    # independent of OpenUSD: the text of the layer
    layer = zipfile.ZipFile(path).read("baked_mesh.usda").decode()
    first = layer.split("point3f[] points = [(", 1)[1].split(")", 1)[0]
    x, y, z = (float(value) for value in first.split(","))
    np.testing.assert_allclose(capture.mesh.vertices[0], [x, -z, y], atol=1e-6)
    np.testing.assert_array_equal(capture.mesh.faces[0], [1331, 1328, 1148])
    uvs = layer.split("texCoord2f[] primvars:st = [", 1)[1].split("]", 1)[0].strip("()").split("), (")
    indices = [int(i) for i in layer.split("int[] primvars:st:indices = [", 1)[1].split("]", 1)[0].split(",")]
    for corner in range(3):
        np.testing.assert_allclose(
            capture.mesh.uv[0, corner], [float(value) for value in uvs[indices[corner]].split(",")], atol=1e-6
        )


def test_portrait_photo(captures: Path) -> None:
    capture = open_capture(captures / "iphone_heic_depth" / "pug.heic")
    (frame,) = capture.frames
    assert capture.format == "heic-depth"
    assert not capture.is_metric
    assert not capture.has_gravity
    assert frame.world_from_camera is None
    assert assert_capture(capture) == 1
    assert frame.load_depth is not None
    depth = frame.load_depth()
    assert depth.shape == (576, 768)
    # d_min = 1.498 and d_max = 4.383 in 1/m
    np.testing.assert_allclose([depth.min(), depth.max()], [1 / 4.3828125, 1 / 1.498046875], rtol=1e-5)
    # iPhone 13 Pro wide camera: 5.7 mm lens, 1.9 micrometre pixels: 3000 px
    assert abs(frame.intrinsics.fx / 3000 - 1) < 0.02


def test_picture_with_depth(captures: Path) -> None:
    capture = open_capture(captures / "arkit_single_frame_promptda")
    (frame,) = capture.frames
    assert frame.world_from_camera is None
    assert capture.is_metric
    assert any("assumed" in note for note in capture.notes)
    assert assert_capture(capture) == 1
    assert frame.load_depth is not None
    depth = frame.load_depth()
    assert depth.shape == (192, 256)
    np.testing.assert_allclose([depth[depth > 0].min(), depth.max()], [1.57, 3.51], atol=0.01)


def test_zip_of_a_folder_cleans_up(captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    archive = tmp_path / "scan.zip"
    archive.write_bytes(convert.zipped(convert.stray(convert.synthetic()), under="deep/inside/"))
    capture = open_capture(archive)
    assert capture.format == "stray-scanner"
    assert assert_capture(capture) == 3
    assert list(scratch.iterdir())  # the video needs a file
    del capture
    gc.collect()
    assert not list(scratch.iterdir())
