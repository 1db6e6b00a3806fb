"""Pictures without OpenGL beside what geometry says: which pixels a box and a ball cover, and how far they are."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
import torch
from pocketworlds.envs.backends.appearance import appearance
from pocketworlds.envs.segmentation import Segmentation
from pocketworlds.world_models.hybrid.reflectance import ANGLES, Reflectance, lambert
from pocketworlds.world_models.hybrid.rendering import Painter
from pocketworlds.world_models.hybrid.surfaces import Bones

WIDTH, HEIGHT, FOVY = 72, 56, 50.0
EYE, HALF, RADIUS = np.array([0.9, -0.7, 0.8]), np.array([0.1, 0.2, 0.15]), 0.17
SCENE = f"""
<mujoco>
  <visual><headlight ambient="0.3 0.3 0.3" diffuse="0.6 0.6 0.6" specular="0 0 0"/></visual>
  <statistic extent="1" center="0 0 0"/>
  <worldbody>
    <geom type="box" size="2 2 0.05" pos="0 0 -0.5" rgba="0.5 0.5 0.5 1"/>
    <camera name="still" pos="{EYE[0]} {EYE[1]} {EYE[2]}" xyaxes="0.61394 0.78935 0 -0.45338 0.35263 0.81860"
            fovy="{FOVY}"/>
    <body name="thing">
      <freejoint/>
      <geom type="SHAPE" size="SIZE" rgba="0.8 0.2 0.1 1"/>
      <body pos="0 0 0.3">
        <joint name="turn" axis="0 0 1"/>
        <geom type="capsule" size="0.02 0.05" pos="0.1 0 0" euler="0 90 0" rgba="0 1 0 1"/>
        <camera name="carried" pos="0 0 0.4" fovy="{FOVY}"/>
      </body>
    </body>
    <body pos="-0.3 0.3 0">
      <joint name="slide" type="slide" axis="1 0 0"/>
      <geom type="cylinder" size="0.05 0.1" rgba="0 0 1 1"/>
      <body pos="0.1 0 0.1">
        <joint name="hinge" axis="0 1 0" pos="-0.05 0 0"/>
        <geom type="ellipsoid" size="0.03 0.05 0.08" pos="0.05 0 0.05" rgba="1 1 0 1"/>
      </body>
    </body>
  </worldbody>
</mujoco>
"""


def model(shape: str = "box") -> mujoco.MjModel:
    size = " ".join(map(str, HALF)) if shape == "box" else str(RADIUS)
    return mujoco.MjModel.from_xml_string(SCENE.replace("SHAPE", shape).replace("SIZE", size))


def painter(found: mujoco.MjModel, network: Reflectance | None = None, *, slices: int = 64) -> Painter:
    table = Segmentation(np.arange(1, found.ngeom + 1, dtype=np.int32), np.zeros(0, np.int32))
    return Painter(appearance(found, table, slices=slices, stacks=slices // 2), network)


def states(found: mujoco.MjModel, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    qpos = rng.uniform(-0.5, 0.5, (count, found.nq))
    qpos[:, :3] = rng.uniform(-0.15, 0.15, (count, 3))
    qpos[:, 3:7] = rng.normal(size=(count, 4))
    return qpos


def posed(found: mujoco.MjModel, qpos: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(found)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(found, data)
    mujoco.mj_camlight(found, data)
    return data


def rays(data: mujoco.MjData, camera: int) -> np.ndarray:
    """Directions (height, width, 3) of pixels in the world, of which 1 goes along the camera's axis."""
    step = 2 * np.tan(np.radians(FOVY) / 2) / HEIGHT
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    inside = np.stack([(x - WIDTH / 2) * step, (HEIGHT / 2 - y) * step, -np.ones_like(x)], -1)
    return inside @ data.cam_xmat[camera].reshape(3, 3).T


def ray_box(eye: np.ndarray, ray: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        cuts = (np.array([-1.0, 1.0])[:, None, None, None] * HALF - eye) / ray
    enter, leave = cuts.min(0).max(-1), cuts.max(0).min(-1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def ray_ball(eye: np.ndarray, ray: np.ndarray) -> np.ndarray:
    a, b, c = (ray * ray).sum(-1), (ray * eye).sum(-1), (eye * eye).sum() - RADIUS**2
    root = b * b - a * c
    return np.where(root >= 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)


@pytest.mark.parametrize(
    ("shape", "analytic", "most", "near"), [("box", ray_box, 0, 2e-6), ("sphere", ray_ball, 6, 5e-3)]
)
@pytest.mark.parametrize("camera", ["still", "carried"])
def test_a_box_and_a_ball_are_where_geometry_says(shape, analytic, most, near, camera):
    found = model(shape)
    qpos = states(found, 3)
    drawn = painter(found).draw(
        torch.from_numpy(qpos).float(), camera, ("depth", "segmentation"), width=WIDTH, height=HEIGHT
    )
    for row in range(3):
        data = posed(found, qpos[row])
        number = found.camera(camera).id
        turned, at = data.xmat[1].reshape(3, 3), data.xpos[1]
        far = analytic((data.cam_xpos[number] - at) @ turned, rays(data, number) @ turned)
        label, depth = (drawn[kind][row, :, :, 0].numpy() for kind in ("segmentation", "depth"))
        shown = label == 2
        assert shown.sum() > 60
        hidden = np.isfinite(far) & ~shown & (depth < far - 1e-3)  # by something in front
        assert (np.isfinite(far) & ~hidden != shown).sum() <= most
        both = shown & np.isfinite(far)
        apart = np.abs(depth - far)[both]  # of the ball most at its rim, where a pixel is 17 mm wide
        assert np.quantile(apart, 0.99) < near
        assert np.median(apart) < 1e-3


def test_nothing_is_nearer_than_the_camera_begins_to_see_and_the_sky_is_at_the_end():
    found = model()
    found.vis.map.znear, found.vis.map.zfar = 1.0, 20.0
    qpos = torch.from_numpy(states(found, 2)).float()
    drawn = painter(found).draw(qpos, "still", ("depth", "segmentation"), width=WIDTH, height=HEIGHT)
    assert drawn["depth"].min() >= 1 - 1e-5
    sky = drawn["segmentation"] == 0
    assert (drawn["depth"][sky] == 20).all()


def test_carriers_are_where_mujoco_has_them():
    found = model()
    qpos = states(found, 4, seed=1)
    table = Segmentation(np.arange(found.ngeom, dtype=np.int32), np.zeros(0, np.int32))
    look = appearance(found, table, slices=8, stacks=4)
    place, frame = Bones(look.skeleton)(torch.from_numpy(qpos))
    carrier = torch.from_numpy(look.faces.carrier)
    points = (frame[:, carrier].double() @ torch.from_numpy(look.faces.vertex).double()[:, :, None])[..., 0]
    points += place[:, carrier]
    for row in range(4):
        data = posed(found, qpos[row])
        for geom in range(found.ngeom):
            # The corners of each lie evenly around its middle.
            corners = np.unique(look.faces.corner[look.faces.label == geom])
            np.testing.assert_allclose(points[row, corners].mean(0), data.geom_xpos[geom], atol=1e-5)


def test_matt_surfaces_follow_lamberts_law():
    found = model()
    data = posed(found, states(found, 1)[0])
    drawn = painter(found).draw(
        torch.from_numpy(states(found, 1)).float(), "still", ("rgb", "segmentation"), width=WIDTH, height=HEIGHT
    )
    floor = drawn["segmentation"][0, :, :, 0].numpy() == 1
    up = data.cam_xmat[0].reshape(3, 3)[2, 2]
    expected = 255 * 0.5 * (0.3 + 0.6 * up)
    assert np.abs(drawn["rgb"][0].numpy()[floor].astype(float) - expected).max() <= 1


def test_pictures_do_not_depend_on_how_many_are_drawn_nor_on_threads():
    found = model()
    qpos = torch.from_numpy(states(found, 70)).float()
    network = Reflectance(8, seed=1)
    kinds = ("rgb", "depth", "segmentation")
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for camera in ("still", "carried"):
            draw = painter(found, network, slices=16).draw
            whole = draw(qpos, camera, kinds, width=40, height=40)
            torch.set_num_threads(1)
            for rows in ([0], [33], [5, 64, 2], list(range(30, 70))):
                some = draw(qpos[rows], camera, kinds, width=40, height=40)
                for kind in kinds:
                    assert torch.equal(some[kind], whole[kind][rows]), (camera, kind, rows)
    finally:
        torch.set_num_threads(threads)


def test_reflectance_does_not_depend_on_the_number_of_rows():
    angles = torch.rand(3000, ANGLES, generator=torch.Generator().manual_seed(0))
    network = Reflectance(16, seed=2)
    with torch.no_grad():
        whole = network(angles)
        for count in (1, 7, 1023, 1024, 1025):
            assert torch.equal(network(angles[:count]), whole[:count])
        assert torch.equal(network(angles[2000:]), whole[2000:])
        assert (whole - lambert(angles)).abs().max() > 0.01
