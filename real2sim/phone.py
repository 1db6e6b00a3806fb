"""A simulated iPhone: walk around any MuJoCo scene and get the folder that Stray Scanner would have written.

    rng = np.random.default_rng(0)
    scan_scene(model, data, Path("capture"), rng=rng, path=HandheldPath(look_at=(0, 0, 0.75)))

Because the scene is known exactly, so is the truth: `truth=` writes it beside the capture. Layout of the folder (Stray
Scanner, github.com/strayrobots/scanner, docs/format.md): `rgb.mp4`, `depth/%06d.png` (uint16 millimetres, 256x192),
`confidence/%06d.png` (0, 1, 2), `camera_matrix.csv` (at the resolution of the video; the principal point is measured
from the image's corner, as ARKit does: the centre of pixel u lies at u + 0.5), `odometry.csv` (camera-to-world, OpenCV
camera axes, ARKit's +Y-up world that starts at the first pose) and `imu.csv`. Unlike the app, which records 60 frames a
second, this keeps about four a second of a slow walk; the video has exactly one picture for each depth map.

Not simulated: rolling shutter, lens distortion (ARKit's pictures are close to pinhole), relocalisation jumps, glass.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from scipy.spatial.transform import Rotation

from ..errors import CaptureError, MissingDependencyError
from ..scenes.gl import ensure_gl
from .capture import Z_UP_FROM_Y_UP
from .phone_path import HandheldPath, Trajectory
from .phone_sensor import DEPTH_HEIGHT, DEPTH_WIDTH, ColorSensor, DepthSensor, PhoneModel

__all__ = ["HandheldPath", "PhoneModel", "PhoneRenderer", "scan_scene"]

Float = NDArray[np.float64]
Progress = Callable[[int, int], None]

GRAVITY = 9.81
IMU_HZ = 100.0
"""Rate at which Stray Scanner samples CoreMotion."""


def scan_scene(
    model: Any,
    data: Any,
    out: Path,
    *,
    rng: np.random.Generator,
    path: HandheldPath | None = None,
    phone: PhoneModel | None = None,
    truth: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Walk around a scene and write the capture.

    Everything but the compressed video is a pure function of the scene, `path`, `phone` and the state of `rng`.

    Args:
        model: the `mujoco.MjModel`; not changed. Visible are the geom groups that MuJoCo shows by default (0, 1, 2).
        data: its `mujoco.MjData`, with positions up to date (`mj_forward`); not changed.
        out: the folder to make; must not exist. It appears complete or not at all.
        rng: source of every random number.
        path: the walk; None walks once around the free bodies of the scene.
        phone: the phone; None is the default `PhoneModel`.
        truth: where to write a JSON file with `world_from_arkit_zup` (4x4, the capture's Z-up world, after
            (x, y, z) -> (x, -z, y), to the MuJoCo world, as at the first frame and before drift) and
            `world_from_camera` (N x 4 x 4, true poses, OpenCV camera to MuJoCo world); None writes none.
        progress: called with (frames done, frames in all).

    Returns:
        `out`.

    Raises:
        CaptureError: `out` exists already.
        MissingDependencyError: no OpenGL that can render off screen, or no video encoder.
    """
    out = Path(out)
    if out.exists():
        raise CaptureError(f"{out} exists already: name another folder, or delete it first")
    phone = phone or PhoneModel()
    path = path or walk_around(model, data, rng)
    walk_rng, depth_rng, color_rng, pose_rng, imu_rng = rng.spawn(5)
    walk = path.walk(walk_rng)
    times = path.times()
    poses = walk.poses(times)
    zup_from_world = _arkit_frame(poses[0])
    reported = zup_from_world @ _drifted(poses, phone, pose_rng)

    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.{os.getpid()}.partial")
    shutil.rmtree(building, ignore_errors=True)
    try:
        (building / "depth").mkdir(parents=True)
        (building / "confidence").mkdir()
        _write_frames(building, model, data, walk, path, phone, depth_rng, color_rng, progress)
        _write_matrix(building / "camera_matrix.csv", phone.camera_matrix(phone.width, phone.height))
        _write_odometry(building / "odometry.csv", times, np.linalg.inv(Z_UP_FROM_Y_UP) @ reported)
        _write_imu(building / "imu.csv", walk, path.duration, imu_rng)
        if truth is not None:
            facts = {
                "world_from_arkit_zup": np.linalg.inv(zup_from_world).tolist(),
                "world_from_camera": poses.tolist(),
            }
            truth.write_text(json.dumps(facts))
        building.rename(out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return out


def walk_around(model: Any, data: Any, rng: np.random.Generator) -> HandheldPath:
    """A walk once around the free bodies of a scene, at a distance from which all of them are seen."""
    import mujoco

    free = model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]
    points = data.xipos[free] if len(free) else data.xipos[1:] if model.nbody > 1 else np.zeros((1, 3))
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    reach = float(np.max(np.linalg.norm(points - middle, axis=1)))
    near = float(np.clip(0.45 + 0.4 * reach, 0.45, 1.5))
    return HandheldPath(
        look_at=(float(middle[0]), float(middle[1]), float(middle[2])),
        start_azimuth_deg=float(rng.uniform(0, 360)),
        distance=(near, near + 0.25),
    )


class PhoneRenderer:
    """Renders a scene through exactly the phone's pinhole camera; a context manager that frees its GL contexts."""

    def __init__(self, model: Any, phone: PhoneModel) -> None:
        ensure_gl()
        import mujoco

        self._phone = phone
        self._model = copy.copy(model)
        visual = self._model.vis
        # A depth buffer resolves best with a near plane no closer than a phone ever gets; extent 1 makes them metres.
        self._model.stat.extent = 1.0
        visual.map.znear, visual.map.zfar = 0.04, 50.0
        visual.global_.offwidth = max(phone.width, DEPTH_WIDTH * phone.supersample)
        visual.global_.offheight = max(phone.height, DEPTH_HEIGHT * phone.supersample)
        # Shadow maps draw the scene again for every light: many times the cost in software GL.
        visual.quality.shadowsize = 0
        visual.quality.offsamples = 4
        self._color = mujoco.Renderer(self._model, phone.height, phone.width)
        visual.quality.offsamples = 0  # averaging samples would mix depths across edges
        self._depth = mujoco.Renderer(self._model, DEPTH_HEIGHT * phone.supersample, DEPTH_WIDTH * phone.supersample)
        self._depth.enable_depth_rendering()
        self._camera = mujoco.MjvCamera()

    def color(self, data: Any, world_from_camera: Float) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] from `world_from_camera` (4x4, OpenCV axes)."""
        self._aim(self._color, data, world_from_camera)
        return np.asarray(self._color.render())

    def depth(self, data: Any, world_from_camera: Float) -> NDArray[np.float32]:
        """float32 [192 s, 256 s] metres along the optical axis, s = supersample; 50 where nothing is hit."""
        self._aim(self._depth, data, world_from_camera)
        return np.asarray(self._depth.render())

    def _aim(self, renderer: Any, data: Any, pose: Float) -> None:
        renderer.update_scene(data, self._camera)
        near, far = self._model.vis.map.znear, self._model.vis.map.zfar
        k = self._phone.camera_matrix(1, 1)  # over width and height: the frustum is the same at every resolution
        aspect = self._phone.height / self._phone.width
        focal, cx, cy = k[0, 0], self._phone.principal[0], self._phone.principal[1] * aspect
        left, right = -cx / focal * near, (1 - cx) / focal * near
        top, bottom = cy / focal * near, -(aspect - cy) / focal * near
        for camera in renderer.scene.camera:
            camera.pos = pose[:3, 3]
            camera.forward = pose[:3, 2]
            camera.up = -pose[:3, 1]
            camera.orthographic = 0
            camera.frustum_near, camera.frustum_far = near, far
            camera.frustum_center, camera.frustum_width = (left + right) / 2, (right - left) / 2
            camera.frustum_top, camera.frustum_bottom = top, bottom
        for light in renderer.scene.lights[: renderer.scene.nlight]:
            if light.headlight:  # MuJoCo put it at its own camera, which is not ours
                light.pos, light.dir = pose[:3, 3], pose[:3, 2]

    def close(self) -> None:
        """Free both GL contexts."""
        self._color.close()
        self._depth.close()

    def __enter__(self) -> PhoneRenderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _write_frames(
    folder: Path,
    model: Any,
    data: Any,
    walk: Trajectory,
    path: HandheldPath,
    phone: PhoneModel,
    depth_rng: np.random.Generator,
    color_rng: np.random.Generator,
    progress: Progress | None,
) -> None:
    times, depth_sensor, color_sensor = path.times(), DepthSensor(phone, depth_rng), ColorSensor(phone, color_rng)
    poses, closing = walk.poses(times), walk.poses(times + phone.exposure_time)
    blur = _project(phone, closing, path.look_at) - _project(phone, poses, path.look_at)
    rate = Fraction(max(path.frames - 1, 1) / path.duration).limit_denominator(1000)
    with PhoneRenderer(model, phone) as renderer, _Video(folder / "rgb.mp4", phone.width, phone.height, rate) as video:
        for index, (pose, time) in enumerate(zip(poses, times, strict=True)):
            rendered = renderer.color(data, pose)
            video.write(color_sensor.read(rendered, float(time), blur[index]))
            depth, confidence = depth_sensor.read(renderer.depth(data, pose), _luminance(rendered))
            PilImage.fromarray(depth).save(folder / "depth" / f"{index:06d}.png", compress_level=3)
            PilImage.fromarray(confidence).save(folder / "confidence" / f"{index:06d}.png", compress_level=3)
            if progress is not None:
                progress(index + 1, path.frames)


def _luminance(picture: NDArray[np.uint8]) -> Float:
    """Linear luminance at depth resolution, float64 [192, 256] in [0, 1] (Rec. 709 weights, gamma 2.2)."""
    small = PilImage.fromarray(picture).resize((DEPTH_WIDTH, DEPTH_HEIGHT), PilImage.Resampling.BOX)
    linear = (np.asarray(small, dtype=np.float64) / 255) ** 2.2
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def _project(phone: PhoneModel, poses: Float, point: tuple[float, float, float]) -> Float:
    """Pixels [N, 2] at which a world point appears in each colour picture."""
    local = np.einsum("nji,nj->ni", poses[:, :3, :3], np.asarray(point) - poses[:, :3, 3])
    k = phone.camera_matrix(phone.width, phone.height)
    return np.asarray(local[:, :2] / local[:, 2:] * k[0, 0] + k[:2, 2])


def _arkit_frame(first: Float) -> Float:
    """Maps the MuJoCo world to the Z-up form of ARKit's: origin at the first camera, -Z (here +Y) where it looks."""
    heading = first[:3, 2] if np.hypot(*first[:2, 2]) > 1e-3 else -first[:3, 1]
    yaw = np.pi / 2 - np.arctan2(heading[1], heading[0])
    frame = np.eye(4)
    frame[:3, :3] = Rotation.from_euler("z", yaw).as_matrix()
    frame[:3, 3] = -frame[:3, :3] @ first[:3, 3]
    return frame


def _drifted(poses: Float, phone: PhoneModel, rng: np.random.Generator) -> Float:
    """The poses ARKit would report: dead reckoning with a slowly turning heading, a random walk, a tilt and jitter."""
    count = len(poses)
    yaw = np.radians(phone.yaw_drift_deg) * _random_walk(rng, count)
    turn = Rotation.from_rotvec(yaw[:, None] * np.array([0.0, 0.0, 1.0])).as_matrix()
    steps = np.diff(poses[:, :3, 3], axis=0)
    walked = np.concatenate([np.zeros((1, 3)), np.cumsum(np.einsum("nij,nj->ni", turn[:-1], steps), axis=0)])
    walked += phone.drift / np.sqrt(3) * np.stack([_random_walk(rng, count) for _ in range(3)], axis=-1)
    tilt = np.radians(phone.tilt_deg) * rng.standard_normal(2)
    lean = Rotation.from_rotvec([tilt[0], tilt[1], 0.0]).as_matrix()
    shake = Rotation.from_rotvec(np.radians(phone.jitter_deg) * rng.standard_normal((count, 3))).as_matrix()
    reported = poses.copy()
    reported[:, :3, :3] = lean @ turn @ poses[:, :3, :3] @ shake
    reported[:, :3, 3] = poses[0, :3, 3] + walked @ lean.T + phone.jitter * rng.standard_normal((count, 3))
    return reported


def _random_walk(rng: np.random.Generator, count: int) -> Float:
    """A smooth random walk from 0, unit standard deviation at its end, float64 [count]."""
    steps = rng.standard_normal(max(count - 1, 1)) / np.sqrt(max(count - 1, 1))
    walk = np.concatenate([[0.0], np.cumsum(steps)])[:count]
    width = max(count // 25, 1)
    kernel = np.ones(width) / width
    return np.asarray(np.convolve(np.pad(walk, width, mode="edge"), kernel, mode="same")[width : width + count])


def _write_matrix(file: Path, k: Float) -> None:
    file.write_text("\n".join(", ".join(repr(float(v)) for v in row) for row in k) + "\n")


def _write_odometry(file: Path, times: Float, poses: Float) -> None:
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    quaternions = Rotation.from_matrix(poses[:, :3, :3]).as_quat()
    for index, (time, position, quaternion) in enumerate(zip(times, poses[:, :3, 3], quaternions, strict=True)):
        numbers = ", ".join(repr(float(v)) for v in (*position, *quaternion))
        lines.append(f"{float(time)!r}, {index:06d}, {numbers}")
    file.write_text("\n".join(lines) + "\n")


def _write_imu(file: Path, walk: Trajectory, duration: float, rng: np.random.Generator) -> None:
    """CoreMotion's view: user acceleration plus gravity (m/s^2) and angular rate (rad/s) in the device's axes.

    Device axes (Apple, CMDeviceMotion): +X right and +Y up on the upright screen, +Z out of it. The sensor's landscape
    +X points along device -Y, its +Y (down) along device -X, its +Z (into the scene) along device -Z. The noise is that
    of phone-grade MEMS (about 0.01 m/s^2 and 0.002 rad/s rms at 100 Hz).
    """
    dt = 1 / IMU_HZ
    times = np.arange(0.0, duration, dt)
    poses = walk.poses(np.concatenate([times[:1] - dt, times, times[-1:] + dt]))
    position, rotation = poses[:, :3, 3], Rotation.from_matrix(poses[:, :3, :3])
    acceleration = (position[2:] - 2 * position[1:-1] + position[:-2]) / dt**2
    total = acceleration + np.array([0.0, 0.0, -GRAVITY])
    device_from_camera = np.array([[0.0, -1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    linear = rotation[1:-1].inv().apply(total) @ device_from_camera.T
    rate = (rotation[1:-1].inv() * rotation[2:]).as_rotvec() / dt @ device_from_camera.T
    linear += 0.01 * rng.standard_normal(linear.shape)
    rate += 0.002 * rng.standard_normal(rate.shape)
    rows = ["timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z"]
    for time, a, w in zip(times, linear, rate, strict=True):
        rows.append(f"{time:.4f}, " + ", ".join(f"{v:.6f}" for v in (*a, *w)))
    file.write_text("\n".join(rows) + "\n")


class _Video:
    """One HEVC (else H.264) picture a call; no B-frames, whose edit lists make readers lose the first picture."""

    def __init__(self, file: Path, width: int, height: int, rate: Fraction) -> None:
        import av

        self._av = av
        self._container = av.open(str(file), "w")
        self._stream = self._open_stream(width, height, rate)

    def _open_stream(self, width: int, height: int, rate: Fraction) -> Any:
        for codec, private in (
            ("libx265", {"x265-params": "bframes=0:log-level=error", "tag": "hvc1"}),
            ("libx264", {}),
        ):
            if codec in self._av.codecs_available:
                options = {"preset": "ultrafast", "crf": "20", **private}
                stream: Any = self._container.add_stream(codec, rate=rate, options=options)
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.codec_context.max_b_frames = 0
                return stream
        raise MissingDependencyError("PyAV has neither libx265 nor libx264: install the `av` wheel from PyPI")

    def write(self, picture: NDArray[np.uint8]) -> None:
        frame = self._av.VideoFrame.from_ndarray(picture, format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __enter__(self) -> _Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
