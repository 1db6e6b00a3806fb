"""render_mode="human": a real window where a screen can be had; what feeds it, with a viewer that only takes notes."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from pocketworlds.envs import VectorActionChunk, WorldEnv, WorldVectorEnv, window
from pocketworlds.errors import MissingDependencyError

ID = "PocketWorlds/PickPlace-v0"


class Notes:
    """A viewer's handle that keeps what it was shown."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self.model, self.data = model, data
        self.cam = mujoco.MjvCamera()
        self.shown: list[np.ndarray] = []
        self.times: list[float] = []
        self.running, self.closed = True, 0

    def lock(self) -> Any:
        return contextlib.nullcontext()

    def sync(self) -> None:
        self.shown.append(self.data.qpos.copy())
        self.times.append(time.perf_counter())

    def is_running(self) -> bool:
        return self.running

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Notes]:
    found: list[Notes] = []

    def open_viewer(model: mujoco.MjModel, data: mujoco.MjData) -> Notes:
        found.append(Notes(model, data))
        return found[-1]

    monkeypatch.setattr(window, "open_viewer", open_viewer)
    return found


def test_window_follows_the_first_world(opened: list[Notes]):
    env = gym.make_vec(ID, num_envs=2, render_mode="human", max_episode_steps=3, autoreset_mode=AutoresetMode.SAME_STEP)
    assert opened == []  # not before the first reset
    base = env.unwrapped
    env.reset(seed=0)
    (viewer,) = opened
    np.testing.assert_array_equal(viewer.shown[-1], base.simulator.batch.get_data(0).qpos)
    for count in range(1, 4):
        env.step(np.full((2, 7), 0.5, np.float32))
        assert len(viewer.shown) == 1 + count + (count == 3)  # the end, and the start of the next episode
        np.testing.assert_array_equal(viewer.shown[-1], base.simulator.batch.get_data(0).qpos)
        assert env.render() is None
    assert len({qpos.tobytes() for qpos in viewer.shown}) == 5
    assert len(opened) == 1
    assert viewer.times[-1] - viewer.times[0] > 4 * 0.045  # 20 a second
    viewer.running = False  # closed by the user: the environment goes on
    env.step(np.zeros((2, 7), np.float32))
    assert len(viewer.shown) == 5
    env.close()
    assert viewer.closed == 1


def test_single_environment_has_a_window_too(opened: list[Notes]):
    env = gym.make(ID, render_mode="human", camera="wrist")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    assert env.render() is None
    (viewer,) = opened
    assert len(viewer.shown) == 2
    env.close()
    assert viewer.closed == 1


def test_window_starts_with_the_view_of_the_camera(opened: list[Notes]):
    env = gym.make_vec(ID, num_envs=1, render_mode="human")
    env.reset(seed=0)
    (viewer,) = opened
    option, scene = mujoco.MjvOption(), mujoco.MjvScene(viewer.model, 1000)
    views = []
    for camera in (viewer.cam, mujoco.MjvCamera()):
        if camera is not viewer.cam:
            camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, viewer.model.camera("front").id
        everything = int(mujoco.mjtCatBit.mjCAT_ALL)
        mujoco.mjv_updateScene(viewer.model, viewer.data, option, None, camera, everything, scene)
        views.append([*scene.camera[0].pos, *scene.camera[0].forward, *scene.camera[0].up])
    np.testing.assert_allclose(views[0], views[1], atol=1e-5)
    env.close()


def test_every_action_of_a_chunk_is_shown(opened: list[Notes]):
    env = VectorActionChunk(gym.make_vec(ID, num_envs=1, render_mode="human"), 3)
    env.reset(seed=0)
    env.step(np.zeros((1, 3, 7), np.float32))
    assert len(opened[0].shown) == 4


def test_machine_without_screen_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    if window.has_screen():
        pytest.skip("there always is a screen on this platform")
    env = gym.make(ID, render_mode="human")
    with pytest.raises(MissingDependencyError, match=r"no screen.*rgb_array"):
        env.reset(seed=0)
    assert gym.make(ID).unwrapped.metadata["render_modes"] == ["rgb_array"]  # what works here; the classes name all
    for made in (WorldEnv, WorldVectorEnv):
        assert made.metadata["render_modes"] == ["human", "rgb_array"]


def test_display_that_cannot_be_reached_says_what_to_do():
    code = f"""
import gymnasium as gym, pocketworlds
try:
    gym.make({ID!r}, render_mode="human").reset(seed=0)
except pocketworlds.MissingDependencyError as error:
    print(error)
"""
    message = in_process(code, DISPLAY=":9999", WAYLAND_DISPLAY="")
    assert "cannot open a window" in message
    assert "rgb_array" in message


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb, a screen in memory, is not installed")
def test_real_window():
    code = f"""
import time
import gymnasium as gym, numpy as np, pocketworlds
env = gym.make_vec({ID!r}, num_envs=2, render_mode="human", obs_mode="rgb", image_size=32)
env.reset(seed=0)
start = time.perf_counter()
for _ in range(10):
    observation, *_ = env.step(np.ones((2, 7), np.float32))
print(time.perf_counter() - start)
handle = env.unwrapped.simulator._pictures._window._viewer
print(handle.is_running(), observation.max() > 0)
env.close()
print(handle.is_running())
"""
    with subprocess.Popen(["Xvfb", "-displayfd", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as screen:
        try:
            assert screen.stdout is not None
            number = screen.stdout.readline().decode().strip()
            seconds, *told = in_process(code, DISPLAY=f":{number}", WAYLAND_DISPLAY="").split()
        finally:
            screen.terminate()
    assert told == ["True", "True", "False"]
    assert float(seconds) > 0.44  # 20 a second


def in_process(code: str, **variables: str) -> str:
    env = {**os.environ, **variables}
    child = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100, check=False
    )
    assert child.returncode == 0, child.stderr
    return child.stdout
