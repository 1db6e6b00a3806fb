"""Each kind of bad input gives one clear error, or a counted skip."""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Capture
from pocketworlds.real2sim.readers import archive, open_capture, validate_frames

from . import convert
from .checks import assert_capture

Files = dict[str, bytes]


@pytest.fixture
def scan() -> Files:
    return convert.scanner_app(convert.synthetic())


def edited(files: Files, name: str, **fields: object) -> Files:
    return {**files, name: json.dumps({**json.loads(files[name]), **fields}).encode()}


def refused(path: Path, match: str) -> None:
    with pytest.raises(CaptureError, match=match) as caught:
        open_capture(path)
    assert path.name in str(caught.value)


def one_skipped(path: Path, match: str) -> Capture:
    capture = open_capture(path)
    assert len(capture.frames) == 2
    assert len(capture.skipped) == 1
    assert match in capture.skipped[0].reason
    return capture


# what is not a capture


def test_nothing_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no such file")


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\0" * 100, b"[]", b"{}", b"{", b'{"walls": 1}', b"\x89PNG\r\n\x1a\n"]
)
def test_unknown_files(tmp_path: Path, data: bytes) -> None:
    for name in ("a.bin", "a.json", "a.r3d", "a.png"):
        path = tmp_path / name
        path.write_bytes(data)
        refused(path, ".")


def test_unknown_folder(tmp_path: Path) -> None:
    refused(tmp_path, "Supported: 3D Scanner App")
    (tmp_path / "readme.txt").write_text("hello")
    refused(tmp_path, "Supported: 3D Scanner App")


def test_several_captures(tmp_path: Path, scan: Files) -> None:
    convert.write(tmp_path / "one", scan)
    convert.write(tmp_path / "two", scan)
    refused(tmp_path, "one, two; name one of them")


def test_plain_photo_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(convert.jpeg(convert.synthetic(1)[0].color))
    refused(path, "Portrait")


def test_pipes_are_not_opened(tmp_path: Path, scan: Files) -> None:
    convert.write(tmp_path, scan)
    os.mkfifo(tmp_path / "frame_00009.json")
    assert len(open_capture(tmp_path).frames) == 3
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "neither")


def test_json_nested_too_deep(tmp_path: Path, scan: Files) -> None:
    path = tmp_path / "room.json"
    path.write_text('{"walls": ' + "[" * 100_000 + "]" * 100_000 + "}")
    refused(path, "nested too deep")
    one_skipped(convert.write(tmp_path / "scan", {**scan, "frame_00001.json": path.read_bytes()}), "nested too deep")


# archives


def entry(name: str, **fields: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/etc/evil.txt", "C:/evil.txt", "..\\evil.txt", "a\\..\\..\\evil"]
)
def test_zip_slip(tmp_path: Path, scan: Files, name: str) -> None:
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped({**scan, name: b"x"}))
    refused(path, "out of the archive")


def test_zip_with_a_link(tmp_path: Path, scan: Files) -> None:
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped(scan))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr(entry("rgb.mp4", external_attr=0o120777 << 16), "/etc/passwd")
    refused(path, "is a link")


def test_zip_with_two_equal_names(tmp_path: Path, scan: Files) -> None:
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped(scan))
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("info.json", "{}")
    refused(path, "two entries")


def test_encrypted_zip(tmp_path: Path, scan: Files) -> None:
    data = bytearray(convert.zipped(scan))
    at = data.find(b"PK\x01\x02")
    data[at + 8] |= 1
    path = tmp_path / "scan.zip"
    path.write_bytes(data)
    refused(path, "encrypted")


def test_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped({"odometry.csv": b"0" * 10_000_000}))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(archive, "RATIO_FLOOR", 1_000_000)
    refused(path, "zip bomb")
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1_000_000)
    refused(path, "zip bomb")


def test_zip_that_lies_about_its_sizes(tmp_path: Path) -> None:
    """A central directory that promises little cannot unpack to much: members are cut at the promised size."""
    data = bytearray(convert.zipped({"odometry.csv": b"0" * 1_000_000, "camera_matrix.csv": b"1"}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", data, data.find(signature) + offset, 10)
    path = tmp_path / "scan.zip"
    path.write_bytes(data)
    refused(path, ".")


def test_too_many_entries(tmp_path: Path, scan: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped(scan))
    refused(path, "zip bomb")
    refused(convert.write(tmp_path / "folder", scan), "more than 5 files")


def test_archives_in_archives(tmp_path: Path, scan: Files) -> None:
    inner = convert.zipped(scan)
    path = tmp_path / "scan.zip"
    path.write_bytes(convert.zipped({"scan.r3d": inner}))
    assert assert_capture(open_capture(path)) == 3
    for _ in range(3):
        inner = convert.zipped({"scan.zip": inner})
    path.write_bytes(inner)
    with pytest.raises(CaptureError, match="archive in an archive"):
        open_capture(path)


def test_links_out_of_a_folder_are_skipped(tmp_path: Path, scan: Files) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(scan["frame_00000.jpg"])
    folder = convert.write(tmp_path / "scan", scan)
    (folder / "frame_00001.jpg").unlink()
    (folder / "frame_00001.jpg").symlink_to(secret)
    (folder / "frame_00002.jpg").unlink()
    (folder / "frame_00002.jpg").symlink_to("frame_00000.jpg")
    capture = open_capture(folder)
    assert [frame.load_color is not None for frame in capture.frames] == [True, False, True]
    assert [skip.index for skip in capture.skipped] == ["frame_00001.jpg"]


@pytest.mark.parametrize("reference", ["../secret.png", "/etc/passwd", "images/../../secret.png"])
def test_manifest_paths_cannot_leave(tmp_path: Path, reference: str) -> None:
    (tmp_path / "secret.png").write_bytes(convert.png(convert.synthetic(1)[0].depth_mm))
    files = convert.nerfcapture(convert.synthetic())
    data = json.loads(files["transforms.json"])
    data["frames"][0]["depth_path"] = reference
    files["transforms.json"] = json.dumps(data).encode()
    one_skipped(convert.write(tmp_path / "scan", files), "depth image is missing")


def test_usd_references_cannot_leave(tmp_path: Path) -> None:
    (tmp_path / "secret.usda").write_text('#usda 1.0\ndef Xform "a" {}\n')
    layer = f'#usda 1.0\ndef "b" (references = @{tmp_path}/secret.usda@</a>) {{}}\n'
    path = tmp_path / "scan.usdz"
    path.write_bytes(convert.zipped({"a.usda": layer.encode()}, stored=True))
    refused(path, "not in the archive")


# frames


def test_bad_poses_are_skipped(tmp_path: Path, scan: Files) -> None:
    rigid = convert.synthetic()[1].pose
    mirrored, scaled, far = rigid.copy(), rigid.copy(), rigid.copy()
    mirrored[:3, 0] *= -1
    scaled[:3, :3] *= 1.05
    far[0, 3] = 1e9
    cases: list[tuple[object, str]] = [
        (mirrored.ravel().tolist(), "not rigid"),
        (scaled.ravel().tolist(), "not rigid"),
        (rigid.T.ravel().tolist(), "not rigid"),
        (far.ravel().tolist(), "from the origin"),
        ([float("nan")] * 16, "not finite"),
        ([float("inf")] * 16, "not finite"),
        ([10**400] * 16, "not a usable number"),
        ([0.0] * 16, "not rigid"),
        ([None] * 16, "expected a number"),
        ([True] * 16, "expected a number"),
        ([1.0] * 15, "expected 16 numbers"),
        ("no", "expected a list"),
        (None, "expected 16 numbers"),
    ]
    for number, (pose, match) in enumerate(cases):
        files = edited(scan, "frame_00001.json", cameraPoseARFrame=pose)
        one_skipped(convert.write(tmp_path / str(number), files), match)


def test_bad_intrinsics_are_skipped(tmp_path: Path, scan: Files) -> None:
    cases = [
        ([0.0, 0, 16, 0, 24, 12, 0, 0, 1], "focal"),
        ([-24.0, 0, 16, 0, 24, 12, 0, 0, 1], "focal"),
        ([24.0, 0, 16, 0, 2400, 12, 0, 0, 1], "focal"),
        ([24.0, 0, 0, 0, 24, 0, 16, 12, 1], "optical centre"),  # column by column
        ([24.0, 0, 500, 0, 24, 12, 0, 0, 1], "optical centre"),
        ([float("nan")] * 9, "not finite"),
    ]
    for number, (k, match) in enumerate(cases):
        files = edited(scan, "frame_00001.json", intrinsics=k)
        one_skipped(convert.write(tmp_path / str(number), files), match)


def test_missing_and_empty_depth_are_skipped(tmp_path: Path, scan: Files) -> None:
    one_skipped(convert.write(tmp_path / "empty", {**scan, "depth_00001.png": b""}), "missing or empty")
    del scan["depth_00001.png"]
    one_skipped(convert.write(tmp_path / "missing", scan), "missing or empty")


def test_repeated_frames_are_skipped(tmp_path: Path, scan: Files) -> None:
    again = {name.replace("00001", "00007"): data for name, data in scan.items() if "00001" in name}
    capture = open_capture(convert.write(tmp_path, {**scan, **again}))
    assert [frame.index for frame in capture.frames] == [0, 1, 2]
    assert [(skip.index, skip.reason) for skip in capture.skipped] == [(7, "repeats the time of frame 1")]
    rows = convert.stray(convert.synthetic())
    rows["odometry.csv"] += b"\n" + rows["odometry.csv"].splitlines()[1]
    capture = open_capture(convert.write(tmp_path / "stray", rows))
    assert len(capture.frames) == 3
    assert "came before" in capture.skipped[0].reason


def test_counts_that_do_not_match(tmp_path: Path) -> None:
    files = convert.stray(convert.synthetic(5))
    files["odometry.csv"] = b"\n".join(files["odometry.csv"].splitlines()[:4])
    del files["depth/000001.png"], files["confidence/000002.png"]
    files["rgb.mp4"] = convert.video([frame.color for frame in convert.synthetic(2)])
    capture = open_capture(convert.write(tmp_path, files))
    assert [frame.index for frame in capture.frames] == [0, 2]
    assert sorted(str(skip.index) for skip in capture.skipped) == ["1", "3", "4"]
    assert any("1 of 2 frames have no confidence" in note for note in capture.notes)
    load = capture.frames[1].load_color
    assert load is not None
    with pytest.raises(CaptureError, match="picture 2 is missing, the video has 2"):
        load()


def test_no_frame_left_is_an_error(tmp_path: Path, scan: Files) -> None:
    for number in range(3):
        scan[f"frame_{number:05d}.json"] = b"{}"
    refused(convert.write(tmp_path, scan), "no usable frame")
    files = convert.stray(convert.synthetic())
    files["odometry.csv"] = files["odometry.csv"].splitlines()[0]
    refused(convert.write(tmp_path / "stray", files), "no usable frame")
    files["odometry.csv"] = b""
    refused(convert.write(tmp_path / "stray", files), "no frame has a pose")


@pytest.mark.parametrize("missing", ["odometry.csv", "camera_matrix.csv"])
def test_stray_without_a_file_names_it(tmp_path: Path, missing: str) -> None:
    files = convert.stray(convert.synthetic())
    del files[missing]
    refused(convert.write(tmp_path, files), missing)


def test_stray_without_a_good_video_keeps_its_geometry(tmp_path: Path) -> None:
    files = convert.stray(convert.synthetic())
    size = len(files["rgb.mp4"])
    for name, video in {"cut": files["rgb.mp4"][: size // 2], "empty": b"", "noise": os.urandom(500)}.items():
        frames = [replace(f, k=np.diag([60.0, 60.0, 1]) @ f.k) for f in convert.synthetic()]
        capture = open_capture(convert.write(tmp_path / name, {**convert.stray(frames), "rgb.mp4": video}))
        assert len(capture.frames) == 3
        assert capture.frames[0].load_color is None
        assert any("no texture" in note for note in capture.notes)


# pixels


def with_depth(scan: Files, depth: convert.Array) -> Files:
    return {**scan, "depth_00001.png": convert.png(depth)}


@pytest.mark.parametrize(
    ("depth", "match"),
    [
        (np.full((12, 16), 1, np.uint16), "1 m|0.001 m"),
        (np.full((16, 12), 900, np.uint16), "portrait"),
        (np.full((12, 16), 90, np.uint8), "16-bit"),
        (np.full((12, 16, 3), 90, np.uint8), "16-bit"),
        (np.zeros((12, 16), np.uint16), "empty"),
    ],
)
def test_bad_depth_is_found_on_loading(tmp_path: Path, scan: Files, depth: convert.Array, match: str) -> None:
    capture = open_capture(convert.write(tmp_path, with_depth(scan, depth)))
    assert len(capture.frames) == 3
    checked = validate_frames(capture)
    assert len(checked.frames) == 2
    assert [skip.index for skip in checked.skipped] == [1]
    assert re.search(match, checked.skipped[0].reason)


def test_millimetres_as_metres(tmp_path: Path) -> None:
    frames = convert.synthetic()
    files = convert.record3d_exr(frames)
    for i, frame in enumerate(frames):
        files[f"EXR_RGBD/depth/{i}.exr"] = convert.exr(frame.depth_mm.T.astype(np.float32))
    with pytest.raises(CaptureError, match="millimetres"):
        validate_frames(open_capture(convert.write(tmp_path, files)))


def test_npy_depth_units(tmp_path: Path) -> None:
    frames = convert.synthetic(1)
    files = convert.stray(frames, npy=True)
    for name, array in {
        "mm": frames[0].depth_mm,
        "float mm": frames[0].depth_mm.astype(np.float64),
        "metres": frames[0].depth_mm.astype(np.float32) / 1000,
    }.items():
        stream = io.BytesIO()
        np.save(stream, array)
        capture = open_capture(convert.write(tmp_path / name, {**files, "depth/000000.npy": stream.getvalue()}))
        load = capture.frames[0].load_depth
        assert load is not None
        np.testing.assert_allclose(load(), frames[0].depth_mm / 1000, rtol=1e-6)


def test_npy_cannot_hold_objects(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([[{"evil": 1}]], dtype=object), allow_pickle=True)
    files = {**convert.stray(convert.synthetic(1), npy=True), "depth/000000.npy": stream.getvalue()}
    with pytest.raises(CaptureError, match="no depth image"):
        validate_frames(open_capture(convert.write(tmp_path, files)))


def test_confidence_must_fit_its_depth(tmp_path: Path, scan: Files) -> None:
    scan["conf_00001.png"] = convert.png(np.zeros((6, 8), np.uint8))
    scan["conf_00002.png"] = convert.png(np.full((12, 16), 9, np.uint8))
    checked = validate_frames(open_capture(convert.write(tmp_path, scan)))
    assert [(skip.index, skip.reason.split(": ", 1)[1][:10]) for skip in checked.skipped] == [
        (1, "(8, 6) pix"),
        (2, "confidence"),
    ]


def test_broken_pictures(tmp_path: Path, scan: Files) -> None:
    scan["frame_00001.jpg"] = scan["frame_00001.jpg"][:-200]
    scan["frame_00002.jpg"] = convert.jpeg(np.zeros((10, 10, 3), np.uint8))
    checked = validate_frames(open_capture(convert.write(tmp_path, scan)), color=True)
    assert [skip.index for skip in checked.skipped] == [1, 2]


def test_picture_bomb(tmp_path: Path, scan: Files) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 16, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    scan["depth_00001.png"] = b"\x89PNG\r\n\x1a\n" + chunk + scan["depth_00001.png"][33:]
    checked = validate_frames(open_capture(convert.write(tmp_path, scan)))
    assert "too many" in checked.skipped[0].reason or "exceeds limit" in checked.skipped[0].reason


def test_damaged_lzfse(tmp_path: Path) -> None:
    files = convert.record3d(convert.synthetic(4))
    files["rgbd/0.depth"] = files["rgbd/0.depth"][:-20]
    files["rgbd/1.depth"] = b"bvx2 is no lzfse"
    files["rgbd/2.depth"] = bytes(imagecodecs.lzfse_encode(bytes(10**7)))  # ten kilobytes that want to be ten megabytes
    checked = validate_frames(open_capture(convert.write(tmp_path, files)))
    assert [skip.index for skip in checked.skipped] == [0, 1, 2]
    assert all("damaged" in skip.reason for skip in checked.skipped)


# meshes and rooms


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\n", "no triangles"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "not there"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 0\n", "not there"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n", "not understood"),
        ("v 0 0 0\nv 1 0\nv 0 1 0\nf 1 2 3\n", "numbers"),
        ("v 0 0 0\nv 1 0 nan\nv 0 1 0\nf 1 2 3\n", "not finite"),
        ("v 0 0 0\nv 1000 0 0\nv 0 1000 0\nf 1 2 3\n", "millimetres"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1 3/2\n", "not there"),
    ],
)
def test_bad_obj(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "mesh.obj"
    path.write_text(text)
    with pytest.raises(CaptureError, match=match):
        open_capture(path)


def test_glb_that_promises_too_much(tmp_path: Path) -> None:
    tree = {"asset": {"version": "2.0"}, "accessors": [{"componentType": 5126, "count": 2_000_000_000, "type": "VEC3"}]}
    body = json.dumps(tree).encode()
    body += b" " * (-len(body) % 4)
    path = tmp_path / "mesh.glb"
    path.write_bytes(b"glTF" + struct.pack("<II", 2, 20 + len(body)) + struct.pack("<I4s", len(body), b"JSON") + body)
    refused(path, "promises")


def test_point_cloud_is_no_mesh(tmp_path: Path) -> None:
    path = tmp_path / "cloud.ply"
    path.write_text(
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
        "end_header\n0 0 0\n1 1 1\n"
    )
    refused(path, "no triangles")


def test_room_boxes_are_skipped_one_by_one(captures: Path, tmp_path: Path) -> None:
    room = json.loads((captures / "roomplan_living_room" / "test-roomplan.json").read_text())
    room["walls"][0]["dimensions"] = [4, -1, 0]
    room["walls"][1]["transform"] = room["walls"][1]["transform"][:12]
    room["doors"][0]["identifier"] = room["walls"][2]["identifier"]
    room["objects"][0] = "sofa"
    path = tmp_path / "room.json"
    path.write_text(json.dumps(room))
    capture = open_capture(path)
    assert len(capture.room) == 10
    assert [skip.index for skip in capture.skipped] == ["walls[0]", "walls[1]", "doors[0]", "objects[0]"]
    assert any("parent" in note for note in capture.notes)
    path.write_text(json.dumps({"walls": [], "objects": []}))
    refused(path, "no usable wall")
