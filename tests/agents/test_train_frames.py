"""Models of frames are made from play that is filmed: what is filmed, going on, what a checkpoint says, settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pocketworlds import TaskError
from pocketworlds.agents.course import make_course, read_settings
from pocketworlds.agents.experience import Practice
from pocketworlds.agents.frame_course import make_frame_course, read_frame_settings
from pocketworlds.agents.frame_experience import look, record
from pocketworlds.agents.keeping import digest, plain
from pocketworlds.agents.train_frames import FrameCourse, LatentFlowCourse, PixelEdmCourse, film, train_frames
from pocketworlds.world_models.frames.episodes import FrameData
from pocketworlds.world_models.frames.training import TrainConfig
from pocketworlds.world_models.latent_flow.model import load_model
from pocketworlds.world_models.latent_flow.settings import DynamicsSettings, SamplingSettings, TokeniserSettings
from pocketworlds.world_models.pixel_edm.settings import NoiseSettings, UNetSettings

PUSH = "PocketWorlds/Push-v0"
PRACTICE = Practice(PUSH, 6, seed=3, num_envs=3, keywords={"max_episode_steps": 8})
STEPS = TrainConfig(steps=3, batch=4, length=4, warmup=1)
LATENT = LatentFlowCourse(
    TokeniserSettings(width=8, most=8, halvings=1, blocks=0, channels=4),
    DynamicsSettings(width=16, depth=1, heads=1, window=3, bins=3),
    SamplingSettings(steps=1),
    STEPS.model_copy(update={"length": 1}),
    STEPS,
)
COURSE = FrameCourse((PRACTICE,), LATENT, size=16, context=2, examined=4)
PICTURES: dict[str, Any] = {"camera": "front", "size": 16, "context": 2}


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the course has been filmed."""
    work = tmp_path_factory.mktemp("work")
    film(COURSE.practices, work, quiet, **PICTURES)
    return work


def test_what_is_filmed_is_what_physics_showed(tmp_path: Path):
    settings = look(PRACTICE, camera="front", size=16, context=2)
    assert (settings.robot, settings.control_mode, settings.period) == ("panda", "ee_delta", 0.05)
    shards = record(PRACTICE, settings, tmp_path)
    assert [path.name for path in shards] == ["frames-00000.safetensors", "frames-00001.safetensors"]
    data = FrameData(shards)
    assert (len(data), data.frames) == (6, 6 * 9)
    windows = data.windows(torch.tensor([[0, 0], [4, 0]]), 9, image=True)
    assert float(windows.action.abs().max()) <= 1
    for row, seed in ((0, 3), (1, 7)):
        env = gym.make_vec(PUSH, num_envs=1, obs_mode="rgb", image_size=16).unwrapped
        np.testing.assert_array_equal(env.reset(seed=seed)[0][0], windows.image[row, 0])
        for t in range(8):
            seen = env.step(windows.action[row, t : t + 1].numpy())[0]
            np.testing.assert_array_equal(seen[0], windows.image[row, t + 1])
        env.close()
    before = [path.stat().st_mtime_ns for path in shards]
    shards[1].unlink()
    record(PRACTICE, settings, tmp_path)  # goes on where something is missing
    assert shards[0].stat().st_mtime_ns == before[0]
    again = FrameData(shards).windows(torch.tensor([[0, 0], [4, 0]]), 9, image=True)
    assert torch.equal(again.image, windows.image)
    assert torch.equal(again.state, windows.state)


def test_a_model_is_made_examined_and_made_again_from_what_was_kept(filmed: Path, tmp_path: Path):
    out = tmp_path / "model.safetensors"
    stages: list[str] = []
    made, measured = train_frames(COURSE, filmed, out, lambda stage, share: stages.append(stage))
    assert {"training the tokeniser", "encoding", "training the dynamics", "examining"} <= set(stages)
    assert not any("filming" in stage for stage in stages)
    model, card = load_model(out)
    assert card.trained_on["practices"][0]["env_id"] == PUSH
    assert card.trained_on["episodes"] == 5
    assert card.measured["held_out"] == measured
    assert measured["1"]["copy_psnr"] > 10
    assert set(measured) == {"windows", "1", "5"}  # episodes are too short for 10
    stages.clear()
    again, _ = train_frames(COURSE, filmed, tmp_path / "again.safetensors", lambda stage, share: stages.append(stage))
    assert "encoding" not in stages
    for name, values in made.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name
        assert torch.equal(values, model.state_dict()[name]), name


def test_a_pixel_model_is_made(filmed: Path, tmp_path: Path):
    pixel = PixelEdmCourse(UNetSettings(widths=(8,), condition=8, bins=0, head=8), NoiseSettings(steps=1), STEPS)
    course = FrameCourse((PRACTICE,), pixel, size=16, context=2, examined=2)
    _, measured = train_frames(course, filmed, tmp_path / "pixel.safetensors", quiet)
    assert measured["windows"] == 2


def test_a_model_is_for_one_layout(tmp_path: Path):
    other = Practice("PocketWorlds/OpenDrawer-v0", 2, num_envs=2, keywords={"max_episode_steps": 4})
    with pytest.raises(TaskError, match="for one layout"):
        film((PRACTICE, other), tmp_path, quiet, **PICTURES)
    with pytest.raises(TaskError, match="nothing to practise"):
        film((), tmp_path, quiet, **PICTURES)


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("latent_flow", "nano"),
        ("latent_flow", "base"),
        ("latent_flow", "large"),
        ("pixel_edm", "nano"),
        ("pixel_edm", "base"),
    ],
)
def test_settings_of_every_size_make_a_course(model: str, size: str):
    course = make_frame_course(read_frame_settings([f"model={model}", f"size={size}", "train.steps=7", "seed=2"]))
    assert (course.model.train.steps, course.model.train.seed) == (7, 2)
    assert [practice.env_id for practice in course.practices] == [PUSH]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=gan"], "model='gan' is not known"),
        (["model=latent_flow", "size=huge"], r"comes as \['base', 'large', 'nano'\]"),
        (["dynamics.width=33"], r"dynamics\.width=33"),
        (["image_size=72"], "do not go together"),
        (["context=7"], "do not go together"),
        (["model=pixel_edm", "train.length=4"], "at least 5 frames"),
        (["train.speed=3"], r"train\.speed"),
        (["kitchen"], "no setting"),
    ],
)
def test_settings_that_make_no_sense_are_named_before_anything_is_played(overrides: list[str], message: str):
    with pytest.raises(TaskError, match=message):
        make_frame_course(read_frame_settings(overrides))


def test_the_hybrid_models_course_is_what_it_was():
    """What is kept of a course is found by its digest: these are of the version in which servos vary in play."""
    course = make_course(read_settings(["model=hybrid"]))
    assert course == make_course(read_settings([]))
    assert [digest(plain(practice)) for practice in course.practices][:2] == ["164c3b340023", "573718dccbc5"]
