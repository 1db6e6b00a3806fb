"""The simulated phone, checked against ray casting, its own noise model and the layout it claims to write."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import av
import mujoco
import numpy as np
import pytest
from PIL import Image
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.phone import HandheldPath, PhoneModel, PhoneRenderer, scan_scene, walk_around
from pocketworlds.real2sim.phone_sensor import ColorSensor, DepthSensor
from scipy.spatial.transform import Rotation

SCENE = """
<mujoco>
  <visual><headlight ambient=".6 .6 .6"/></visual>
  <worldbody>
    <light type="directional" dir="0.4 0.3 -1"/>
    <geom name="floor" type="box" size="2 2 .01" pos="0 0 -.01" rgba=".6 .5 .4 1"/>
    <geom name="table" type="box" size=".5 .4 .02" pos="0 0 .48" rgba=".5 .5 .5 1"/>
    <body name="box" pos="0 0 .56"><freejoint/><geom type="box" size=".06 .08 .06" rgba=".8 .2 .2 1"/></body>
    <body name="can" pos=".18 .1 .55"><freejoint/><geom type="cylinder" size=".035 .05" rgba=".2 .3 .8 1"/></body>
  </worldbody>
</mujoco>
"""
PATH = HandheldPath(look_at=(0.05, 0.05, 0.52), frames=16, duration=6.0, sweep_deg=300)
PHONE = PhoneModel(width=480, height=360)
IDEAL = PhoneModel(
    width=480,
    height=360,
    static_bias=0,
    drifting_bias=0,
    scale_bias=0,
    scale_wander=0,
    white_noise=0,
    guided_blur_px=0.01,
    edge_wander_px=0,
    drift=0,
    yaw_drift_deg=0,
    tilt_deg=0,
    jitter=0,
    jitter_deg=0,
)


@dataclass
class Scan:
    folder: Path
    times: np.ndarray
    poses: np.ndarray  # Y-up world, as written
    depth: np.ndarray  # metres
    confidence: np.ndarray
    world_from_zup: np.ndarray
    true_poses: np.ndarray

    @classmethod
    def read(cls, folder: Path, truth: Path) -> Scan:
        rows = np.loadtxt(folder / "odometry.csv", delimiter=",", skiprows=1)
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3, :3] = Rotation.from_quat(rows[:, 5:9]).as_matrix()
        poses[:, :3, 3] = rows[:, 2:5]
        facts = json.loads(truth.read_text())
        return cls(
            folder,
            rows[:, 0],
            poses,
            np.stack([np.asarray(Image.open(p)) for p in sorted((folder / "depth").glob("*.png"))]) / 1000.0,
            np.stack([np.asarray(Image.open(p)) for p in sorted((folder / "confidence").glob("*.png"))]),
            np.array(facts["world_from_arkit_zup"]),
            np.array(facts["world_from_camera"]),
        )

    def rays(self) -> np.ndarray:
        """Unit-depth directions [192, 256, 3] from the written camera matrix, scaled from the video's size."""
        k = np.loadtxt(self.folder / "camera_matrix.csv", delimiter=",") * 256 / 480
        v, u = np.mgrid[:192, :256] + 0.5
        return np.stack([(u - k[0, 2]) / k[0, 0], (v - k[1, 2]) / k[1, 1], np.ones_like(u)], axis=-1)

    def world_poses(self) -> np.ndarray:
        """What a reader makes of the written poses, carried into the MuJoCo world."""
        z_up = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
        return self.world_from_zup @ z_up @ self.poses


def model_and_data() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(SCENE)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def scan(folder: Path, seed: int, phone: PhoneModel, path: HandheldPath = PATH) -> Scan:
    model, data = model_and_data()
    out = folder / "capture"
    truth = folder / "truth.json"
    assert scan_scene(model, data, out, rng=np.random.default_rng(seed), path=path, phone=phone, truth=truth) == out
    return Scan.read(out, truth)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan(tmp_path_factory.mktemp("real"), 1, PHONE)


@pytest.fixture(scope="module")
def ideal(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    return scan(tmp_path_factory.mktemp("ideal"), 1, IDEAL)


def cast(pose: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """True z-depth along camera rays by MuJoCo's ray caster: knows nothing of rendering."""
    model, data = model_and_data()
    directions = rays @ pose[:3, :3].T
    geom = np.zeros(1, dtype=np.int32)
    found = [mujoco.mj_ray(model, data, pose[:3, 3], d, None, 1, -1, geom) for d in directions]
    return np.array(found)  # in units of the unit-depth ray: z-depth


def test_layout(real: Scan) -> None:
    frames = PATH.frames
    assert sorted(p.name for p in real.folder.iterdir()) == [
        "camera_matrix.csv", "confidence", "depth", "imu.csv", "odometry.csv", "rgb.mp4",
    ]  # fmt: skip
    assert real.depth.shape == real.confidence.shape == (frames, 192, 256)
    first = Image.open(real.folder / "depth" / "000000.png")
    assert np.asarray(first).dtype == np.uint16
    assert set(np.unique(real.confidence)) <= {0, 1, 2}
    with av.open(str(real.folder / "rgb.mp4")) as video:
        pictures = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
        assert video.streams.video[0].codec_context.name in ("hevc", "h264")
    assert len(pictures) == frames
    assert pictures[0].shape == (360, 480, 3)
    assert np.all(np.diff(real.times) > 0)
    imu = np.loadtxt(real.folder / "imu.csv", delimiter=",", skiprows=1)
    assert abs(np.linalg.norm(imu[:, 1:4], axis=1).mean() - 9.81) < 0.2
    assert (real.folder / "odometry.csv").read_text().startswith("timestamp, frame, x, y, z, qx, qy, qz, qw\n")


def test_poses_are_rigid_and_start_arkits_world(real: Scan) -> None:
    rotation = real.poses[:, :3, :3]
    assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(rotation), 1)
    assert np.linalg.norm(real.poses[0, :3, 3]) < 0.003
    ahead = rotation[0, :, 2]  # OpenCV +Z; ARKit starts looking along -Z
    assert abs(np.degrees(np.arctan2(ahead[0], -ahead[2]))) < 1.0
    assert np.allclose(real.world_from_zup[:3, :3] @ [0, 0, 1], [0, 0, 1], atol=1e-9)  # gravity stays down


def test_ideal_phone_agrees_with_ray_casting(ideal: Scan) -> None:
    """No noise: written depth, camera matrix and poses together name the true surface to the millimetre of the PNG."""
    rays = ideal.rays()
    pick = (slice(4, 192, 23), slice(4, 256, 23))
    errors = []
    for index in (0, 7, 15):
        assert np.allclose(ideal.world_poses()[index], ideal.true_poses[index], atol=1e-9)
        true = cast(ideal.world_poses()[index], rays[pick].reshape(-1, 3))
        seen = ideal.depth[index][pick].ravel()
        ok = (true > 0) & (seen > 0)
        assert ok.mean() > 0.5
        errors.append(np.abs(true - seen)[ok])
    error = np.concatenate(errors)
    assert np.median(error) < 0.0006
    assert np.mean(error > 0.005) < 0.04  # pixels that an edge runs through


def test_noise_is_what_the_model_says(real: Scan) -> None:
    """Residual to the truth in the middle of the picture: a few tenths of a percent of z, and mostly smooth."""
    rays, relative = real.rays(), []
    rows, columns = np.mgrid[60:132, 80:176:2]
    for index in range(0, PATH.frames, 3):
        true = cast(real.true_poses[index], rays[rows, columns].reshape(-1, 3)).reshape(rows.shape)
        seen = real.depth[index][rows, columns]
        error = seen / true - 1
        error[(true <= 0) | (real.confidence[index][rows, columns] < 2) | (np.abs(error) > 0.02)] = np.nan
        relative.append(error)
    error = np.array(relative)
    spread = np.nanmedian(np.abs(error - np.nanmedian(error))) * 1.48
    assert 0.001 < spread < 0.006
    pixel = np.nanmedian(np.abs(np.diff(error, axis=2))) * 1.48 / np.sqrt(2)
    assert pixel < 0.6 * spread
    assert abs(np.nanmedian(error)) < 0.012


def test_drift_stays_within_the_model(real: Scan) -> None:
    error = np.linalg.inv(real.true_poses) @ real.world_poses()
    shift = np.linalg.norm(error[:, :3, 3], axis=1)
    angle = np.degrees(np.linalg.norm(Rotation.from_matrix(error[:, :3, :3]).as_rotvec(), axis=1))
    assert shift[0] < 0.004
    assert 0.0005 < shift.max() < 0.04
    assert 0.02 < angle.max() < 2.0


def test_confidence_means_what_arkit_means(real: Scan) -> None:
    """High in smooth places, lower along steps and the border, never high where the depth is far off."""
    confidence, depth = real.confidence, real.depth
    seen = confidence[depth > 0]
    assert 0.75 < np.mean(seen == 2) < 0.97
    assert np.mean(seen == 1) > np.mean(seen == 0)
    assert not confidence[depth == 0].any()
    step = np.abs(np.diff(depth, axis=2, n=2))[:, 20:-20, 20:-20]
    inner = confidence[:, 20:-20, 21:-21]
    near = depth[:, 20:-20, 21:-21] > 0
    smooth, broken = inner[(step < 0.005) & near], inner[step > 0.15]
    assert np.mean(smooth == 2) > 0.9
    assert np.mean(broken < 2) > 0.6
    assert np.mean(confidence[:, :, :3] == 2) < np.mean(confidence[:, :, 60:200] == 2)


def test_small_steps_are_smeared_and_large_ones_sharp() -> None:
    """The measured edge widths: about 6 pixels (10 to 90 %) at 17 mm, about 1 pixel above a quarter of z."""
    sensor = DepthSensor(IDEAL, np.random.default_rng(0))  # the ideal phone does not blur ...
    blurred = DepthSensor(PhoneModel(**{**_fields(IDEAL), "guided_blur_px": 2.3}), np.random.default_rng(0))
    n = IDEAL.supersample

    def width(which: DepthSensor, step: float) -> int:
        depth = np.full((192 * n, 256 * n), 0.5, dtype=np.float32)
        depth[:, 128 * n :] += step
        row = which.read(depth, np.full((192, 256), 0.5))[0][96] / 1000.0
        share = (row - 0.5) / step
        return int(np.sum((share > 0.1) & (share < 0.9)))

    assert width(sensor, 0.017) <= 1
    assert 5 <= width(blurred, 0.017) <= 7
    assert width(blurred, 0.3) <= 2


def test_nothing_within_range_has_no_depth() -> None:
    sensor = DepthSensor(PHONE, np.random.default_rng(0))
    depth, confidence = sensor.read(np.full((576, 768), 50.0, dtype=np.float32), np.zeros((192, 256)))
    assert not depth.any()
    assert not confidence.any()


def test_exposure_changes_slowly_and_stays_moderate() -> None:
    sensor = ColorSensor(PhoneModel(width=64, height=48), np.random.default_rng(0))
    grey = np.full((48, 64, 3), 118, dtype=np.uint8)
    means = np.array([sensor.read(grey, t, np.zeros(2)).mean() for t in np.linspace(0, 25, 60)])
    assert 1 < np.ptp(means) < 118 * 0.25
    assert np.abs(np.diff(means)).max() < 5


def test_motion_blur_follows_the_motion() -> None:
    phone = PhoneModel(width=64, height=48, pixel_noise=0, exposure_wander=0)
    sensor = ColorSensor(phone, np.random.default_rng(0))
    stripe = np.full((48, 64, 3), 118, dtype=np.uint8)
    stripe[:, 32:] = 118 + 60
    sharp = sensor.read(stripe, 0.0, np.zeros(2))[24, :, 0].astype(int)
    across = sensor.read(stripe, 0.0, np.array([8.0, 0.0]))[24, :, 0].astype(int)
    along = sensor.read(stripe, 0.0, np.array([0.0, 8.0]))[24, :, 0].astype(int)
    widest = [np.abs(np.diff(row[4:-4])).max() for row in (sharp, across, along)]
    assert widest[1] < widest[0] / 3
    assert widest[2] == pytest.approx(widest[0], abs=3)


def _digest(folder: Path) -> str:
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix != ".mp4"]
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    short = HandheldPath(look_at=(0, 0, 0.52), frames=3, duration=1.0, sweep_deg=40)
    small = PhoneModel(width=320, height=240)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    a = scan(tmp_path / "a", 5, small, short)
    b = scan(tmp_path / "b", 5, small, short)
    c = scan(tmp_path / "c", 6, small, short)
    assert _digest(a.folder) == _digest(b.folder)
    assert _digest(a.folder) != _digest(c.folder)


def test_existing_folder_is_refused_and_interruption_leaves_nothing(tmp_path: Path) -> None:
    model, data = model_and_data()
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(CaptureError, match="exists already"):
        scan_scene(model, data, taken, rng=np.random.default_rng(0))

    class Interrupted(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert total == 3
        if done == 2:
            raise Interrupted

    short = HandheldPath(look_at=(0, 0, 0.5), frames=3, duration=1.0)
    with pytest.raises(Interrupted):
        scan_scene(
            model,
            data,
            tmp_path / "half",
            rng=np.random.default_rng(0),
            path=short,
            phone=PhoneModel(width=320, height=240),
            progress=stop,
        )
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_model_is_left_alone(tmp_path: Path) -> None:
    model, data = model_and_data()
    before = (model.stat.extent, model.vis.map.znear, model.vis.quality.shadowsize, model.vis.global_.offwidth)
    with PhoneRenderer(model, PhoneModel(width=320, height=240)) as renderer:
        renderer.color(data, PATH.walk(np.random.default_rng(0)).poses(0.0)[0])
    assert before == (model.stat.extent, model.vis.map.znear, model.vis.quality.shadowsize, model.vis.global_.offwidth)


def test_walk_stays_in_its_limits_and_looks_at_the_middle() -> None:
    path = HandheldPath(look_at=(1.0, -2.0, 0.7), frames=200)
    poses = path.walk(np.random.default_rng(3)).poses(path.times())
    offset = poses[:, :3, 3] - np.array(path.look_at)
    distance = np.linalg.norm(offset, axis=1)
    assert distance.min() > path.distance[0] - 0.03
    assert distance.max() < path.distance[1] + 0.03
    elevation = np.degrees(np.arcsin(offset[:, 2] / distance))
    assert elevation.min() > path.elevation_deg[0] - 4
    assert elevation.max() < path.elevation_deg[1] + 4
    aim = np.degrees(np.arccos(np.sum(poses[:, :3, 2] * -offset, axis=1) / distance))
    assert np.median(aim) < 6
    azimuth = np.degrees(np.unwrap(np.arctan2(offset[:, 1], offset[:, 0])))
    assert abs(azimuth[-1] - azimuth[0]) == pytest.approx(path.sweep_deg, abs=40)
    assert np.all(poses[:, 2, 1] < 0)  # upright: image "down" points down


def test_portrait_lies_on_its_side() -> None:
    path = HandheldPath(hold="portrait", frames=20)
    poses = path.walk(np.random.default_rng(3)).poses(path.times())
    assert np.all(poses[:, 2, 0] < -0.3)  # the sensor's long axis runs downwards


def test_walk_around_frames_the_free_bodies() -> None:
    model, data = model_and_data()
    path = walk_around(model, data, np.random.default_rng(0))
    assert np.allclose(path.look_at, (0.09, 0.05, 0.555), atol=1e-6)
    assert 0.4 < path.distance[0] < path.distance[1] < 1.0


def _fields(phone: PhoneModel) -> dict[str, object]:
    return {name: getattr(phone, name) for name in phone.__dataclass_fields__}
