"""Pictures of the learned renderer beside those of OpenGL, through environments, with the model that comes along."""

from __future__ import annotations

import io
from dataclasses import dataclass

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from PIL import Image
from pocketworlds import TaskError
from pocketworlds.envs.neural_rendering import RENDERER, NeuralRenderer
from pocketworlds.envs.rendering import GLRenderer
from pocketworlds.envs.segmentation import Segmentation
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.hybrid.reflectance import load_renderer

SIZE = 64


def make(env_id: str, renderer: str, **keywords):
    given = {"num_envs": 3, "obs_mode": "rgbd+segmentation", "image_size": SIZE, **keywords}
    return gym.make_vec(f"PocketWorlds/{env_id}", renderer=renderer, **given).unwrapped


def played(env_id: str, renderer: str, **keywords):
    env = make(env_id, renderer, **keywords)
    env.reset(seed=5)
    size = env.single_action_space.shape[0]
    for move in np.random.default_rng(0).uniform(-1, 1, (5, env.num_envs, size)).astype(np.float32):
        observation, *_ = env.step(move)
    return env, observation


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - two) ** 2)))


@pytest.mark.parametrize(
    ("env_id", "camera"), [("Lift-v0", "wrist"), ("OpenDoor-v0", "front"), ("HandLift-v0", "front")]
)
def test_both_renderers_see_the_same(env_id: str, camera: str):
    gl, theirs = played(env_id, "gl", camera=camera)
    neural, ours = played(env_id, "neural", camera=camera)
    assert neural.single_observation_space == gl.single_observation_space
    assert neural.observation_space.contains(ours)
    assert neural.segmentation_names == gl.segmentation_names
    same = ours["segmentation"] == theirs["segmentation"]
    assert same.mean() > 0.995
    assert np.quantile(np.abs(ours["depth"] - theirs["depth"])[same & (ours["segmentation"] > 0)], 0.98) < 0.002
    sky = same & (ours["segmentation"] == 0)
    np.testing.assert_allclose(ours["depth"][sky], theirs["depth"][sky], rtol=1e-3)
    assert psnr(ours["rgb"], theirs["rgb"]) > 33
    shown = (same & (theirs["segmentation"] >= 2))[..., 0]
    assert psnr(ours["rgb"][shown], theirs["rgb"][shown]) > 33


def test_the_model_that_comes_along_says_what_it_was_made_from_and_is_small():
    network, card = load_renderer(RENDERER)
    assert RENDERER.stat().st_size < 1 << 20
    assert card.measured["psnr"] > card.measured["psnr_matt"] + 8
    assert not any(values.requires_grad for values in network.parameters())


@pytest.mark.parametrize("mode", ["rgb", "depth", "segmentation"])
def test_one_kind_of_picture_alone(mode: str):
    env = make("Push-v0", "neural", obs_mode=mode)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    whole, _ = make("Push-v0", "neural").reset(seed=0)
    np.testing.assert_array_equal(observation, whole[mode])


def test_pictures_do_not_depend_on_the_batch_and_follow_a_state_that_is_put_back():
    env, observation = played("PickPlace-v0", "neural")
    some = env.simulator.images(np.array([2, 0]), "front", ("rgb", "depth"), width=SIZE, height=SIZE)
    for kind, pictures in some.items():
        np.testing.assert_array_equal(pictures, observation[kind][[2, 0]])
    single = gym.make("PocketWorlds/PickPlace-v0", renderer="neural", obs_mode="rgb", image_size=SIZE).unwrapped
    start, _ = make("PickPlace-v0", "neural", obs_mode="rgb").reset(seed=5)
    np.testing.assert_array_equal(single.reset(seed=6)[0], start[1])
    state = env.get_state()
    env.step(np.ones((3, 7), np.float32))
    env.set_state(state)
    for kind, pictures in env.observe().items():
        np.testing.assert_array_equal(pictures, observation[kind])


def test_films_have_smooth_edges_and_say_what_draws_them():
    env = make("Lift-v0", "neural", obs_mode="state", render_mode="rgb_array", render_size=(96, 64))
    env.reset(seed=0)
    frames = env.render()
    assert [frame.shape for frame in frames] == [(64, 96, 3)] * 3
    rough = env.simulator.images(np.arange(3), "front", ("rgb",), width=96, height=64)["rgb"]
    assert 0 < np.abs(np.stack(frames).astype(float) - rough).mean() < 10
    assert env.renderer_info.renderer == "neural"


def test_several_scenes_in_one_batch():
    env, observation = played("Scan-v0", "neural", scene=["tabletop", "blocks"], task="lift", num_envs=4)
    _, theirs = played("Scan-v0", "gl", scene=["tabletop", "blocks"], task="lift", num_envs=4)
    assert (observation["segmentation"] == theirs["segmentation"]).mean() > 0.995
    env.close()


def test_a_file_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(TaskError, match="renderer='neural:'"):
        make("Lift-v0", "neural:")
    with pytest.raises(TaskError, match="renderer='nural'"):
        make("Lift-v0", "nural")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        make("Lift-v0", f"neural:{tmp_path / 'none.safetensors'}").reset(seed=0)


TEXTURED = """
<mujoco>
  <visual><headlight ambient="0.5 0.5 0.5" diffuse="0.4 0.4 0.4" specular="0 0 0"/></visual>
  <statistic extent="1"/>
  <asset>
    <texture name="t" type="KIND" file="t.png"/>
    <material name="m" texture="t" specular="0.1" shininess="0.1"/>
    <mesh name="q" vertex="0 0 0  1 0 0  1 1 0  0 1 0  0.5 0.5 -0.3" texcoord="0 0 1 0 1 1 0 1 0.5 0.5"
      face="0 1 2 0 2 3 1 0 4 2 1 4 3 2 4 0 3 4" scale="0.4 0.4 0.4"/>
  </asset>
  <worldbody>
    <geom GEOM material="m"/>
    <camera name="above" pos="0.5 -0.6 0.8" xyaxes="0.76 0.64 0 -0.43 0.52 0.73"/>
    <camera name="below" pos="-0.5 0.6 -0.8" xyaxes="-0.76 -0.64 0 -0.43 0.52 0.73"/>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize(
    ("geom", "kind"),
    [
        ('type="box" size="0.3 0.2 0.1"', "2d"),
        ('type="box" size="0.3 0.2 0.1"', "cube"),
        ('type="mesh" mesh="q"', "2d"),
    ],
)
def test_textures_lie_as_with_opengl(geom: str, kind: str):
    """OpenGL mixes neighbouring texels, so that the two differ at the edges of squares, and there alone."""
    squares = np.random.default_rng(0).integers(40, 255, (4, 4, 3)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(squares).save(file, "png")
    text = TEXTURED.replace("GEOM", geom).replace("KIND", kind)
    scene = Textured(mujoco.MjModel.from_xml_string(text, {"t.png": file.getvalue()}))
    table = Segmentation(np.ones(1, np.int32), np.zeros(0, np.int32))
    qpos, size = np.zeros((1, 0)), {"width": 128, "height": 128, "fine": False}
    for camera in ("above", "below"):
        ours, theirs = (
            each(scene, table, qpos, **size).draw(np.array([0]), camera, ("rgb", "segmentation"))
            for each in (NeuralRenderer, GLRenderer)
        )
        shown = theirs["segmentation"][..., 0] > 0
        assert shown.sum() > 1000
        assert np.abs(ours["rgb"][shown].astype(float) - theirs["rgb"][shown]).mean() < 6


@dataclass
class Textured:
    drawn: mujoco.MjModel
