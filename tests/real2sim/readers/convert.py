"""Writes frames of a 3D Scanner App capture in the layouts of other apps.

No lawful public captures of these apps exist, so their readers are tested on **converted** captures: real pixels,
depth and poses, in the on-disk layout that the app's own code or documentation describes.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

Array = NDArray[Any]

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenGL <-> OpenCV camera axes."""


@dataclass(frozen=True)
class Original:
    """A frame as 3D Scanner App stored it: OpenGL camera-to-world, Y up; K of the colour picture."""

    number: int
    time: float
    pose: Array
    k: Array
    color: Array
    depth_mm: Array
    confidence: Array


def originals(folder: Path, numbers: list[int], *, width: int | None = None) -> list[Original]:
    """Reads frames straight from the app's files; pictures are shrunk to `width` (K with them) to keep tests fast."""
    frames = []
    for number in numbers:
        data = json.loads((folder / f"frame_{number:05d}.json").read_text())
        picture = Image.open(folder / f"frame_{number:05d}.jpg").convert("RGB")
        k = np.array(data["intrinsics"]).reshape(3, 3)
        if width is not None and width != picture.width:
            scale = width / picture.width
            picture = picture.resize((width, round(picture.height * scale)), Image.Resampling.BOX)
            k = np.diag([scale, scale, 1]) @ k
        frames.append(
            Original(
                number=number,
                time=data["time"],
                pose=np.array(data["cameraPoseARFrame"]).reshape(4, 4),
                k=k,
                color=np.asarray(picture),
                depth_mm=np.asarray(Image.open(folder / f"depth_{number:05d}.png")).astype(np.uint16),
                confidence=np.asarray(Image.open(folder / f"conf_{number:05d}.png")).astype(np.uint8),
            )
        )
    return frames


def synthetic(
    count: int = 3, size: tuple[int, int] = (32, 24), depth_size: tuple[int, int] = (16, 12)
) -> list[Original]:
    """Tiny frames of a floor seen from above, for fuzzing."""
    rng = np.random.default_rng(7)
    frames = []
    for number in range(count):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("xyz", [-80 + number, 3, 5], degrees=True).as_matrix()
        pose[:3, 3] = [0.1 * number, 0.6, 0.2]
        frames.append(
            Original(
                number=number,
                time=10.0 + number / 10,
                pose=pose,
                k=np.array([[24.0, 0, 16.2], [0, 24.0, 11.8], [0, 0, 1]]),
                color=rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8),
                depth_mm=rng.integers(500, 700, (depth_size[1], depth_size[0]), dtype=np.uint16),
                confidence=rng.integers(0, 3, (depth_size[1], depth_size[0]), dtype=np.uint8),
            )
        )
    return frames


def jpeg(pixels: Array, quality: int = 95) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def png(pixels: Array) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes a capture's files into a folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def zipped(files: dict[str, bytes], *, under: str = "", stored: bool = False) -> bytes:
    """A zip of a capture's files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(under + name, data)
    return stream.getvalue()


def scanner_app(frames: list[Original]) -> dict[str, bytes]:
    files = {"info.json": b'{"title": "converted"}'}
    for f in frames:
        stem = f"{f.number:05d}"
        data = {"time": f.time, "cameraPoseARFrame": f.pose.ravel().tolist(), "intrinsics": f.k.ravel().tolist()}
        files[f"frame_{stem}.json"] = json.dumps({**data, "frame_index": f.number}).encode()
        files[f"frame_{stem}.jpg"] = jpeg(f.color)
        files[f"depth_{stem}.png"] = png(f.depth_mm)
        files[f"conf_{stem}.png"] = png(f.confidence)
    return files


def video(pictures: list[Array], *, codec: str = "libx264", gop: int = 4) -> bytes:
    """An MP4 with B-frames and several key frames, to test seeking."""
    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        track: Any = container.add_stream(codec, rate=60)
        track.width, track.height, track.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        track.options = {"crf": "12", "preset": "ultrafast", "g": str(gop), "bf": "2"}
        for picture in pictures:
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(track.encode())
    return stream.getvalue()


def stray(
    frames: list[Original], *, per_frame_k: bool = False, npy: bool = False, mp4: bool = True
) -> dict[str, bytes]:
    """Stray Scanner: OpenCV camera-to-world in a Y-up world, blanks after the commas."""
    header = "timestamp, frame, x, y, z, qx, qy, qz, qw" + (", fx, fy, cx, cy" if per_frame_k else "")
    rows, files = [header], {}
    for i, f in enumerate(frames):
        pose = f.pose @ FLIP
        values: list[object] = [f.time, f"{i:06d}", *pose[:3, 3], *Rotation.from_matrix(pose[:3, :3]).as_quat()]
        if per_frame_k:
            values += [f.k[0, 0], f.k[1, 1], f.k[0, 2], f.k[1, 2]]
        rows.append(", ".join(map(str, values)))
        if npy:
            stream = io.BytesIO()
            np.save(stream, f.depth_mm)
            files[f"depth/{i:06d}.npy"] = stream.getvalue()
        else:
            files[f"depth/{i:06d}.png"] = png(f.depth_mm)
        files[f"confidence/{i:06d}.png"] = png(f.confidence)
    files["odometry.csv"] = "\n".join(rows).encode()
    files["camera_matrix.csv"] = "\n".join(", ".join(map(str, row)) for row in frames[-1].k).encode()
    if mp4:
        files["rgb.mp4"] = video([f.color for f in frames])
    return files


def _portrait(f: Original) -> tuple[Array, Array, Array, Array, Array]:
    """Pose (OpenGL), K, colour, depth and confidence of the frame turned clockwise by 90 degrees."""
    turn = np.eye(4)
    turn[:3, :3] = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]  # portrait x is landscape -y, portrait y is landscape x
    pose = f.pose @ FLIP @ turn @ FLIP
    height = f.color.shape[0]
    k = np.array([[f.k[1, 1], 0, height - f.k[1, 2]], [0, f.k[0, 0], f.k[0, 2]], [0, 0, 1]])
    color, depth, confidence = (np.ascontiguousarray(np.rot90(i, -1)) for i in (f.color, f.depth_mm, f.confidence))
    return pose, k, color, depth, confidence


def _record3d_metadata(frames: list[Original], *, per_frame_k: bool) -> dict[str, Any]:
    poses, coefficients = [], []
    for f in frames:
        pose, k, color, depth, _ = _portrait(f)
        poses.append([*Rotation.from_matrix(pose[:3, :3]).as_quat(), *pose[:3, 3]])
        coefficients.append([k[0, 0], k[1, 1], k[0, 2], k[1, 2]])
    metadata = {
        "w": color.shape[1],
        "h": color.shape[0],
        "dw": depth.shape[1],
        "dh": depth.shape[0],
        "K": k.T.ravel().tolist(),  # column by column
        "fps": 10,
        "poses": poses,
        "frameTimestamps": [f.time - frames[0].time for f in frames],
        "initPose": poses[0],
        "cameraType": 1,
    }
    return {**metadata, "perFrameIntrinsicCoeffs": coefficients} if per_frame_k else metadata


def record3d(frames: list[Original], *, per_frame_k: bool = True) -> dict[str, bytes]:
    """Record3D's .r3d (to be zipped): portrait pictures, LZFSE depth in metres with NaN where unknown."""
    files = {"metadata": json.dumps(_record3d_metadata(frames, per_frame_k=per_frame_k)).encode()}
    for i, f in enumerate(frames):
        _, _, color, depth, confidence = _portrait(f)
        metres = np.where(depth > 0, depth / 1000, np.nan).astype("<f4")
        files[f"rgbd/{i}.jpg"] = jpeg(color)
        files[f"rgbd/{i}.depth"] = bytes(imagecodecs.lzfse_encode(metres.tobytes()))
        files[f"rgbd/{i}.conf"] = bytes(imagecodecs.lzfse_encode(confidence.tobytes()))
    return files


def exr(depth: Array) -> bytes:
    """A float32 grey OpenEXR image."""
    codec: Any = av.CodecContext.create("exr", "w")
    codec.width, codec.height, codec.pix_fmt = depth.shape[1], depth.shape[0], "grayf32le"
    codec.time_base = Fraction(1, 1)
    frame = av.VideoFrame(depth.shape[1], depth.shape[0], "grayf32le")
    plane = frame.planes[0]
    rows = np.zeros((depth.shape[0], plane.line_size // 4), np.float32)
    rows[:, : depth.shape[1]] = depth
    plane.update(rows.tobytes())
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


def record3d_exr(frames: list[Original]) -> dict[str, bytes]:
    """Record3D's EXR + RGBD export."""
    files = {"EXR_RGBD/metadata.json": json.dumps(_record3d_metadata(frames, per_frame_k=False)).encode()}
    for i, f in enumerate(frames):
        _, _, color, depth, _ = _portrait(f)
        files[f"EXR_RGBD/rgb/{i}.jpg"] = jpeg(color)
        files[f"EXR_RGBD/depth/{i}.exr"] = exr(np.where(depth > 0, depth / 1000, np.nan).astype(np.float32))
    return files


def polycam(frames: list[Original], *, corrected: bool = True) -> dict[str, bytes]:
    """Polycam raw data; with `corrected`, the plain cameras are 5 cm off, so that a test sees which were read."""
    files = {"mesh_info.json": json.dumps({"alignmentTransform": np.eye(4).ravel().tolist()}).encode()}
    for f in frames:
        stamp = round(f.time * 1e6)
        camera = {"fx": f.k[0, 0], "fy": f.k[1, 1], "cx": f.k[0, 2], "cy": f.k[1, 2], "blur_score": 100.0}
        camera.update(width=f.color.shape[1], height=f.color.shape[0])
        for kind in ("corrected_", "") if corrected else ("",):
            pose = f.pose.copy()
            pose[:3, 3] += 0.05 if corrected and not kind else 0.0
            entries = {f"t_{row}{column}": pose[row, column] for row in range(3) for column in range(4)}
            files[f"keyframes/{kind}cameras/{stamp}.json"] = json.dumps({**camera, **entries}).encode()
            files[f"keyframes/{kind}images/{stamp}.jpg"] = jpeg(f.color)
        files[f"keyframes/depth/{stamp}.png"] = png(f.depth_mm)
        files[f"keyframes/confidence/{stamp}.png"] = png(np.array([0, 127, 255], np.uint8)[f.confidence])
    return files


def arkitscenes(frames: list[Original]) -> dict[str, bytes]:
    """ARKitScenes: world-to-camera axis-angle in a Z-up world, pictures as small as the depth, times rounded to ms."""
    z_up = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    lines, files = [], {}
    for f in frames:
        extrinsic = np.linalg.inv(z_up @ f.pose @ FLIP)
        vector = Rotation.from_matrix(extrinsic[:3, :3]).as_rotvec()
        lines.append(" ".join(map(str, [f.time, *vector, *extrinsic[:3, 3]])))
        height, width = f.depth_mm.shape
        scale = width / f.color.shape[1]
        k = [width, height, f.k[0, 0] * scale, f.k[1, 1] * scale, f.k[0, 2] * scale, f.k[1, 2] * scale]
        small = np.asarray(Image.fromarray(f.color).resize((width, height), Image.Resampling.BOX))
        stem = f"41_frames/%s/41_{f.time:.3f}"
        files[stem % "lowres_wide" + ".png"] = png(small)
        files[stem % "lowres_depth" + ".png"] = png(f.depth_mm)
        files[stem % "confidence" + ".png"] = png(f.confidence)
        files[stem % "lowres_wide_intrinsics" + ".pincam"] = " ".join(map(str, k)).encode()
    files["41_frames/lowres_wide.traj"] = "\n".join(lines).encode()
    return files


def nerfcapture(frames: list[Original], *, depth_range: float = 10.0) -> dict[str, bytes]:
    """NeRFCapture's desktop script: depth in counts of `depth_range` / 65535 metres."""
    entries, files = [], {}
    for i, f in enumerate(frames):
        entry = {"fl_x": f.k[0, 0], "fl_y": f.k[1, 1], "cx": f.k[0, 2], "cy": f.k[1, 2]}
        entry.update(w=f.color.shape[1], h=f.color.shape[0], timestamp=f.time, transform_matrix=f.pose.tolist())
        entries.append({**entry, "file_path": f"images/{i}.jpg", "depth_path": f"images/{i}.depth.png"})
        files[f"images/{i}.jpg"] = jpeg(f.color)
        files[f"images/{i}.depth.png"] = png((f.depth_mm / 1000 / depth_range * 65535).round().astype(np.uint16))
    manifest = {"integer_depth_scale": depth_range / 65535, "frames": entries}
    return {"transforms.json": json.dumps(manifest).encode(), **files}


def roomplan_usdz(room: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """RoomPlan's USDZ of a CapturedRoom: a root layer that refers to one small layer per box."""
    from pxr import Gf, Usd, UsdGeom

    folder.mkdir(parents=True, exist_ok=True)
    groups = {"walls": "Wall", "doors": "Door", "windows": "Window", "openings": "Opening", "floors": "Floor"}
    boxes = []
    for key in (*groups, "objects"):
        for number, entry in enumerate(room.get(key, [])):
            category = groups.get(key) or next(iter(entry["category"])).capitalize()
            boxes.append(
                (f"assets/Mesh/{key.capitalize()}/{category}{number}.usda", f"{category}{number}", category, entry)
            )
    root: Any = Usd.Stage.CreateNew(str(folder / "room.usda"))
    UsdGeom.SetStageUpAxis(root, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(root, 1)
    root.SetDefaultPrim(UsdGeom.Xform.Define(root, "/Room").GetPrim())
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = [0, 1, 3, 2, 4, 6, 7, 5, 0, 4, 5, 1, 2, 3, 7, 6, 0, 2, 6, 4, 1, 5, 7, 3]
    names = ["room.usda"]
    for path, name, category, entry in boxes:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        layer: Any = Usd.Stage.CreateNew(str(folder / path))
        mesh = UsdGeom.Mesh.Define(layer, f"/{name}")
        layer.SetDefaultPrim(mesh.GetPrim())
        mesh.CreatePointsAttr((corners * entry["dimensions"]).tolist())
        mesh.CreateFaceVertexCountsAttr([4] * 6)
        mesh.CreateFaceVertexIndicesAttr(quads)
        mesh.AddTransformOp().Set(Gf.Matrix4d(*entry["transform"]))  # column-major = USD's row vectors
        mesh.GetPrim().SetCustomDataByKey("Category", category)
        mesh.GetPrim().SetCustomDataByKey("UUID", entry["identifier"])
        layer.Save()
        root.DefinePrim(f"/Room/{name}").GetReferences().AddReference(f"./{path}")
        names.append(path)
    root.Save()
    return {name: (folder / name).read_bytes() for name in names}
