"""Real frames written in other apps' layouts (converted captures) come back the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pocketworlds.real2sim.capture import Capture, Frame
from pocketworlds.real2sim.readers import open_capture

from . import convert
from .checks import assert_capture, floor_height, world_points
from .convert import Original

NUMBERS = [0, 18, 36, 54, 72, 90]
WIDTH = 640

Files = dict[str, bytes]
Converter = Callable[[list[Original]], Files]


def stray_k(frames: list[Original]) -> Files:
    return convert.stray(frames, per_frame_k=True)


def stray_npy(frames: list[Original]) -> Files:
    """An old capture that lost its video, so that K must be taken as that of a 1920 x 1440 picture."""
    scale = 1920 / WIDTH
    large = [replace(frame, k=np.diag([scale, scale, 1]) @ frame.k) for frame in frames]
    return convert.stray(large, npy=True, mp4=False)


def record3d_old(frames: list[Original]) -> Files:
    return convert.record3d(frames, per_frame_k=False)


def polycam_plain(frames: list[Original]) -> Files:
    return convert.polycam(frames, corrected=False)


LAYOUTS: dict[str, tuple[Converter, str]] = {
    "scanner_app": (convert.scanner_app, "3d-scanner-app"),
    "stray": (convert.stray, "stray-scanner"),
    "stray_k": (stray_k, "stray-scanner"),
    "stray_npy": (stray_npy, "stray-scanner"),
    "record3d": (convert.record3d, "record3d"),
    "record3d_old": (record3d_old, "record3d"),
    "record3d_exr": (convert.record3d_exr, "record3d-exr"),
    "polycam": (convert.polycam, "polycam"),
    "polycam_plain": (polycam_plain, "polycam"),
    "arkitscenes": (convert.arkitscenes, "arkitscenes"),
    "nerfcapture": (convert.nerfcapture, "nerfcapture"),
}

PORTRAIT = {"record3d", "record3d_old", "record3d_exr"}
SHARED_K = {"stray", "stray_npy", "record3d_old", "record3d_exr"}
"""Layouts that store one K for all frames, where ARKit's changes by autofocus (0.3 % in this capture)."""


@pytest.fixture(scope="module")
def frames(captures: Path) -> list[Original]:
    return convert.originals(captures / "tabletop_charuco_3dscannerapp", NUMBERS, width=WIDTH)


@pytest.fixture(params=list(LAYOUTS))
def converted(
    request: pytest.FixtureRequest, frames: list[Original], tmp_path: Path
) -> tuple[str, Capture, list[Original]]:
    converter, form = LAYOUTS[request.param]
    files = converter(frames)
    if request.param in {"record3d", "nerfcapture"}:  # as these apps share them
        path = tmp_path / "scan.r3d"
        path.write_bytes(convert.zipped(files))
    else:
        path = convert.write(tmp_path / "scan", files)
    capture = open_capture(path)
    assert capture.format == form
    assert capture.path == path
    assert not capture.skipped
    assert assert_capture(capture) == len(frames)
    return request.param, capture, frames


def upright(layout: str, image: Any) -> Any:
    """Turns a portrait image back to landscape."""
    return np.rot90(image) if layout in PORTRAIT else image


def expected_pose(layout: str, frame: Original) -> Any:
    """Independent of the reader: axes of the camera and its place, turned to Z up by hand."""
    right, up, back, place = (frame.pose[:3, i] for i in range(4))
    x, y, z = (up, right, -back) if layout in PORTRAIT else (right, -up, -back)
    pose = np.eye(4)
    for column, vector in enumerate((x, y, z, place)):
        pose[:3, column] = [vector[0], -vector[2], vector[1]]
    return pose


def test_round_trip(converted: tuple[str, Capture, list[Original]]) -> None:
    layout, capture, frames = converted
    for original, frame in zip(frames, capture.frames, strict=True):
        assert frame.world_from_camera is not None
        np.testing.assert_allclose(frame.world_from_camera, expected_pose(layout, original), atol=2e-6)
        assert frame.load_depth is not None
        depth = upright(layout, frame.load_depth())
        np.testing.assert_allclose(depth, original.depth_mm / 1000, atol=1e-4)
        if frame.load_confidence is None:
            assert layout in {"record3d_exr", "nerfcapture"}
            assert any("confidence" in note for note in capture.notes)
        else:
            np.testing.assert_array_equal(upright(layout, frame.load_confidence()), original.confidence)
        _check_intrinsics(layout, frame, original)
        _check_color(layout, frame, original, frames)


def _check_intrinsics(layout: str, frame: Frame, original: Original) -> None:
    height, width = original.depth_mm.shape
    if layout in PORTRAIT:
        height, width = width, height
    k = frame.intrinsics.scaled(width, height)
    scale = original.depth_mm.shape[1] / original.color.shape[1]
    fx, fy, cx, cy = (
        original.k[0, 0] * scale,
        original.k[1, 1] * scale,
        original.k[0, 2] * scale,
        original.k[1, 2] * scale,
    )
    if layout in PORTRAIT:
        fx, fy, cx, cy = fy, fx, original.depth_mm.shape[0] - cy, cx
    np.testing.assert_allclose([k.fx, k.fy, k.cx, k.cy], [fx, fy, cx, cy], rtol=0.02 if layout in SHARED_K else 1e-6)


def _check_color(layout: str, frame: Frame, original: Original, frames: list[Original]) -> None:
    """The picture is that of this frame, the right way round."""
    if frame.load_color is None:
        assert layout == "stray_npy"
        return
    picture = upright(layout, frame.load_color())

    def difference(other: Original) -> float:
        pixels = other.color
        if pixels.shape != picture.shape:
            resized = Image.fromarray(pixels).resize((picture.shape[1], picture.shape[0]), Image.Resampling.BOX)
            pixels = np.asarray(resized)
        return float(np.abs(picture.astype(int) - pixels).mean())

    own = difference(original)
    assert own < 8
    assert own < 0.7 * min(difference(other) for other in frames if other is not original)


def test_all_frames_share_one_level_floor(converted: tuple[str, Capture, list[Original]]) -> None:
    """Needs pose, axes, K, depth and their orientation to be right at once."""
    _, capture, _ = converted
    heights, shares = zip(*(floor_height(world_points(frame)) for frame in capture.frames), strict=True)
    assert min(shares) > 0.5
    assert np.ptp(heights) < 0.012
    assert abs(np.median(heights) - 0.002) < 0.01


def test_polycam_prefers_corrected_cameras(frames: list[Original], tmp_path: Path) -> None:
    files = convert.polycam(frames)
    lost = next(name for name in files if name.startswith("keyframes/corrected_cameras/"))
    del files[lost]
    capture = open_capture(convert.write(tmp_path, files))
    assert len(capture.frames) == len(frames) - 1
    assert [skip.reason for skip in capture.skipped] == ["has no corrected camera"]


def test_old_r3d_without_depth_size(frames: list[Original], tmp_path: Path) -> None:
    files = convert.record3d(frames[:1])
    metadata = json.loads(files["metadata"])
    del metadata["dw"], metadata["dh"]
    files["metadata"] = json.dumps(metadata).encode()
    capture = open_capture(convert.write(tmp_path, files))
    load = capture.frames[0].load_depth
    assert load is not None
    np.testing.assert_allclose(np.rot90(load()), frames[0].depth_mm / 1000, atol=1e-6)


def test_truedepth_sized_r3d(frames: list[Original], tmp_path: Path) -> None:
    large = np.asarray(Image.fromarray(frames[0].depth_mm).resize((640, 480), Image.Resampling.NEAREST))
    frame = replace(frames[0], depth_mm=large, confidence=np.full(large.shape, 2, np.uint8))
    capture = open_capture(convert.write(tmp_path, convert.record3d([frame])))
    load = capture.frames[0].load_depth
    assert load is not None
    assert load().shape == (640, 480)


@pytest.mark.parametrize("as_folder", [False, True])
def test_roomplan_usdz(captures: Path, tmp_path: Path, as_folder: bool) -> None:
    source = captures / "roomplan_living_room" / "test-roomplan.json"
    files = convert.roomplan_usdz(json.loads(source.read_text()), tmp_path / "parts")
    path = tmp_path / "parts"
    if not as_folder:
        path = tmp_path / "room.usdz"
        path.write_bytes(convert.zipped(files, stored=True))
    capture = open_capture(path)
    assert capture.format == "roomplan-usdz"
    assert_capture(capture)
    expected = {element.identifier: element for element in open_capture(source).room}
    assert {element.identifier for element in capture.room} == set(expected)
    for element in capture.room:
        other = expected[element.identifier]
        assert (element.kind, element.category) == (other.kind, other.category)
        np.testing.assert_allclose(element.size, other.size, atol=1e-6)
        np.testing.assert_allclose(element.world_from_local, other.world_from_local, atol=1e-5)


def test_polycam_mesh_is_turned_back(tmp_path: Path) -> None:
    import trimesh

    turn = trimesh.transformations.rotation_matrix(0.4, [0, 1, 0])
    turn[:3, 3] = [0.1, 0.2, 0.3]
    box = trimesh.creation.box((1, 2, 3))
    box.apply_transform(turn)
    files = {
        "keyframes/cameras/1.json": b"{}",
        "raw.glb": trimesh.Scene(box).export(file_type="glb"),
        "mesh_info.json": json.dumps({"alignmentTransform": turn.T.ravel().tolist()}).encode(),
    }
    mesh = open_capture(convert.write(tmp_path, files)).mesh
    assert mesh is not None
    np.testing.assert_allclose(mesh.vertices.max(axis=0), [0.5, 1.5, 1], atol=1e-6)  # (x, y, z) -> (x, -z, y)
