"""Gymnasium's vector wrappers around our batch, in every autoreset mode they take, against a bare batch beside."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import cv2
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import vector as wrappers
from gymnasium.wrappers.transform_action import TransformAction
from gymnasium.wrappers.transform_observation import TransformObservation
from gymnasium.wrappers.transform_reward import TransformReward
from pocketworlds.agents.experts import make_expert

ID = "PocketWorlds/Scan-v0"
WORLDS, LENGTH, STEPS = 3, 4, 11
NEXT, SAME, DISABLED = AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED
IMAGES = {"obs_mode": "rgb", "image_size": 16}
BOTH = {"obs_mode": "state+rgb", "image_size": 16}
NEEDS_OTHER_LIBRARIES = {"ArrayConversion", "JaxToNumpy", "JaxToTorch", "NumpyToTorch"}
TESTED_BELOW = {"RecordEpisodeStatistics", "NormalizeObservation", "NormalizeReward", "DictInfoToList", "RecordVideo"}
TESTED_BELOW |= {"HumanRendering"}


def make(mode: AutoresetMode, **keywords: Any) -> Any:
    given = {"max_episode_steps": LENGTH, "object": "can", **keywords}
    return gym.make_vec(ID, num_envs=WORLDS, autoreset_mode=mode, **given)


def actions(seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-scale, scale, (STEPS, WORLDS, 7)).astype(np.float32)


def run(env: Any, moves: np.ndarray) -> Iterator[tuple]:
    """What a reset and every step return; worlds that ended are reset by hand where that is the caller's part."""
    mode = env.metadata["autoreset_mode"]
    yield *env.reset(seed=1), None, None, None
    for move in moves:
        observation, reward, terminated, truncated, info = env.step(move.copy())
        yield observation, info, reward, terminated, truncated
        if mode is DISABLED and (terminated | truncated).any():
            yield *env.reset(options={"reset_mask": terminated | truncated}), None, None, None


def luminance(image: np.ndarray) -> np.ndarray:
    return (image @ np.array([0.2125, 0.7154, 0.0721])).astype(np.uint8)


def resized(images: np.ndarray) -> np.ndarray:
    return np.stack([cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) for image in images])


def flat(observation: dict) -> np.ndarray:
    parts = [observation[name].reshape(WORLDS, -1) for name in ("rgb", "state")]  # spaces.Dict sorts its keys
    return np.concatenate(parts, axis=1).astype(np.float32)


def double(env: Any) -> Any:
    space = env.single_observation_space
    return wrappers.TransformObservation(env, lambda o: o * 2, single_observation_space=space)


def double_each(env: Any) -> Any:
    return wrappers.VectorizeTransformObservation(
        env, TransformObservation, func=lambda o: o * 2, observation_space=env.single_observation_space
    )


OBSERVATION: dict[str, tuple[Callable[[Any], Any], dict, Callable[[Any], Any]]] = {
    "TransformObservation": (double, {}, lambda o: o * 2),
    "VectorizeTransformObservation": (double_each, {}, lambda o: o * 2),
    "DtypeObservation": (lambda e: wrappers.DtypeObservation(e, np.float64), {}, lambda o: o.astype(np.float64)),
    "FilterObservation": (lambda e: wrappers.FilterObservation(e, ["rgb"]), BOTH, lambda o: {"rgb": o["rgb"]}),
    "FlattenObservation": (wrappers.FlattenObservation, BOTH, flat),
    "GrayscaleObservation": (wrappers.GrayscaleObservation, IMAGES, luminance),
    "ResizeObservation": (lambda e: wrappers.ResizeObservation(e, (8, 8)), IMAGES, resized),
    "ReshapeObservation": (
        lambda e: wrappers.ReshapeObservation(e, (8, 32, 3)),
        IMAGES,
        lambda o: o.reshape(WORLDS, 8, 32, 3),
    ),
    "RescaleObservation": (
        lambda e: wrappers.RescaleObservation(wrappers.DtypeObservation(e, np.float32), np.float32(0), np.float32(1)),
        IMAGES,
        lambda o: (o / np.float32(255)).astype(np.float32),
    ),
}


@pytest.mark.parametrize("name", OBSERVATION)
@pytest.mark.parametrize("mode", [NEXT, DISABLED])
def test_observation_wrappers(name: str, mode: AutoresetMode):
    wrap, keywords, expected = OBSERVATION[name]
    env, bare = wrap(make(mode, **keywords)), make(mode, **keywords)
    for mine, plain in zip(run(env, actions()), run(bare, actions()), strict=True):
        observation, reference = mine[0], expected(plain[0])
        assert env.observation_space.contains(observation)
        for a, b in _pairs(observation, reference):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1 if a.dtype == np.uint8 else 1e-6)
        if plain[2] is not None:
            np.testing.assert_array_equal(mine[2], plain[2])


def _pairs(a: Any, b: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    if isinstance(b, dict):
        assert a.keys() == b.keys()
        return [(a[name], b[name]) for name in b]
    return [(a, b)]


@pytest.mark.parametrize("name", [*OBSERVATION, "NormalizeObservation"])
def test_observation_wrappers_tell_that_they_do_not_take_same_step(name: str):
    wrap, keywords, _ = OBSERVATION.get(name, (wrappers.NormalizeObservation, {}, None))
    with pytest.raises(ValueError, match="SAME_STEP"):
        wrap(make(SAME, **keywords))


def test_normalize_observation():
    env = wrappers.NormalizeObservation(make(NEXT))
    seen: list[np.ndarray] = []
    for mine, plain in zip(run(env, actions()), run(make(NEXT), actions()), strict=True):
        seen.append(plain[0].astype(np.float64))
        past = np.concatenate(seen)
        # Gymnasium starts its statistics with 1e-4 samples of mean 0 and variance 1.
        count, prior = len(past), 1e-4
        total, between = count + prior, past.mean(axis=0) ** 2 * count * prior / (count + prior)
        mean = past.sum(axis=0) / total
        variance = (past.var(axis=0) * count + prior + between) / total
        np.testing.assert_allclose(mine[0], (plain[0] - mean) / np.sqrt(variance + 1e-8), atol=1e-2)


ACTION: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "ClipAction": (wrappers.ClipAction, lambda a: np.clip(a, -1, 1)),
    "RescaleAction": (lambda e: wrappers.RescaleAction(e, -2, 2), lambda a: a / 2),
    "TransformAction": (lambda e: wrappers.TransformAction(e, lambda a: a / 4), lambda a: a / 4),
    "VectorizeTransformAction": (
        lambda e: wrappers.VectorizeTransformAction(
            e, TransformAction, func=lambda a: a / 4, action_space=e.single_action_space
        ),
        lambda a: a / 4,
    ),
}


@pytest.mark.parametrize("name", ACTION)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_action_wrappers(name: str, mode: AutoresetMode):
    wrap, expected = ACTION[name]
    moves = actions(scale=2.0)
    for mine, plain in zip(run(wrap(make(mode)), moves), run(make(mode), expected(moves)), strict=True):
        np.testing.assert_allclose(mine[0], plain[0], atol=1e-6)


REWARD: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "ClipReward": (lambda e: wrappers.ClipReward(e, 0.02, 0.05), lambda r: np.clip(r, 0.02, 0.05)),
    "TransformReward": (lambda e: wrappers.TransformReward(e, lambda r: r - 1), lambda r: r - 1),
    "VectorizeTransformReward": (
        lambda e: wrappers.VectorizeTransformReward(e, TransformReward, func=lambda r: r - 1),
        lambda r: r - 1,
    ),
}


@pytest.mark.parametrize("name", REWARD)
@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_reward_wrappers(name: str, mode: AutoresetMode):
    wrap, expected = REWARD[name]
    for mine, plain in zip(run(wrap(make(mode)), actions()), run(make(mode), actions()), strict=True):
        np.testing.assert_array_equal(mine[0], plain[0])
        if plain[2] is not None:
            np.testing.assert_array_equal(mine[2], expected(plain[2]))


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_normalize_reward(mode: AutoresetMode):
    ratios = []
    for mine, plain in zip(
        run(wrappers.NormalizeReward(make(mode)), actions()), run(make(mode), actions()), strict=True
    ):
        if plain[2] is not None:
            assert np.isfinite(mine[2]).all()
            paid = plain[2] > 0
            np.testing.assert_array_equal(mine[2][~paid], 0)
            if paid.any():
                ratio = mine[2][paid] / plain[2][paid]
                np.testing.assert_allclose(ratio, ratio[0])  # one scale for all worlds of a step
                ratios.append(ratio[0])
    assert len(set(ratios)) > 3


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_episode_statistics(mode: AutoresetMode):
    """Worlds end at different times: success ends some, the limit the others."""
    keywords = {"task": "push", "object": "box", "max_episode_steps": 60, "terminate_on_success": True}
    env = wrappers.RecordEpisodeStatistics(make(mode, **keywords))
    env.reset(seed=1)
    expert, returns, lengths = make_expert(env), np.zeros(WORLDS), np.zeros(WORLDS, int)
    fresh, ends = np.zeros(WORLDS, bool), []
    for _ in range(130):
        _, reward, terminated, truncated, info = env.step(expert.act())
        returns += reward
        lengths[~fresh] += 1
        done = terminated | truncated
        assert ("episode" in info) == done.any()
        for j in np.flatnonzero(done):
            assert info["_episode"][j]
            assert info["episode"]["r"][j] == pytest.approx(returns[j])
            assert info["episode"]["l"][j] == lengths[j]
            ends.append(lengths[j])
        returns[done], lengths[done] = 0, 0
        fresh = done if mode is NEXT else np.zeros(WORLDS, bool)
        if mode is DISABLED and done.any():
            env.reset(options={"reset_mask": done})
    assert len(ends) == env.episode_count >= 6
    assert min(ends) < 60


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_dict_info_to_list(mode: AutoresetMode):
    for mine, plain in zip(
        run(wrappers.DictInfoToList(make(mode)), actions()), run(make(mode), actions()), strict=True
    ):
        infos, reference = mine[1], plain[1]
        assert len(infos) == WORLDS
        for j, info in enumerate(infos):
            assert info.keys() == {k for k in reference if not k.startswith("_") and reference[f"_{k}"][j]}
            for name in ("is_success", "instruction", "episode_index"):
                if name in info:
                    assert info[name] == reference[name][j]
            if "final_info" in info:
                assert info["final_info"]["episode_index"] == reference["final_info"]["episode_index"][j]
                np.testing.assert_array_equal(info["final_obs"], reference["final_obs"][j])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_record_video(mode: AutoresetMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without MoviePy: what would be encoded."""
    clips: list[tuple[list[np.ndarray], float]] = []

    class Clip:
        def __init__(self, frames: list[np.ndarray], fps: float) -> None:
            clips.append((list(frames), fps))

        def write_videofile(self, path: str, **keywords: Any) -> None:
            Path(path).write_bytes(b"film")

    module = types.SimpleNamespace(ImageSequenceClip=Clip)
    for name in ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip"):
        monkeypatch.setitem(sys.modules, name, module)
    env = wrappers.RecordVideo(
        make(mode, render_mode="rgb_array", render_size=(24, 16)),
        str(tmp_path / "films"),
        episode_trigger=lambda _: True,
    )
    for _ in run(env, actions()):
        pass
    env.close()
    # The first frame and one a step; the end's own is lost where the ending step resets.
    whole = LENGTH if mode is SAME else LENGTH + 1
    assert [len(frames) for frames, _ in clips[:2]] == [whole, whole]
    assert {fps for _, fps in clips} == {20}
    frame = clips[0][0][0]
    assert frame.shape in {(16, 72, 3), (48, 24, 3)}
    assert frame.dtype == np.uint8
    assert frame.std() > 5
    assert len(list((tmp_path / "films").iterdir())) == len(clips)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_human_rendering(mode: AutoresetMode, monkeypatch: pytest.MonkeyPatch):
    """Without a screen: what would be shown."""
    pygame = MagicMock()
    monkeypatch.setitem(sys.modules, "pygame", pygame)
    base = make(mode, render_mode="rgb_array", render_size=(32, 24))
    modes = list(base.metadata["render_modes"])
    env = wrappers.HumanRendering(base, screen_size=(64, 48))
    shown = sum(1 for _ in run(env, actions()))
    assert pygame.surfarray.make_surface.call_count == shown
    picture = pygame.surfarray.make_surface.call_args.args[0]
    assert picture.shape == (64, 48, 3)
    first = base.render()[0].transpose(1, 0, 2)
    np.testing.assert_array_equal(picture[:32, :24], first)
    assert set(env.metadata["render_modes"]) == {"rgb_array", "human"}
    assert base.metadata["render_modes"] == modes
    assert type(base).metadata["render_modes"] == ["human", "rgb_array"]


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_numpy_to_torch(mode: AutoresetMode):
    pytest.importorskip("array_api_compat", reason="Gymnasium's conversion to torch needs array-api-compat")
    torch = pytest.importorskip("torch")
    env = wrappers.NumpyToTorch(make(mode))
    observation, _ = env.reset(seed=1)
    expected, _ = make(mode).reset(seed=1)
    np.testing.assert_array_equal(observation.numpy(), expected)
    for move in actions()[:LENGTH]:
        observation, reward, _, truncated, _ = env.step(torch.from_numpy(move))
        assert isinstance(observation, torch.Tensor)
        assert isinstance(reward, torch.Tensor)
    assert truncated.all()


def test_a_stack_as_training_scripts_build_it():
    env = make(NEXT)
    env = wrappers.RecordEpisodeStatistics(env)
    env = wrappers.ClipAction(env)
    env = wrappers.NormalizeObservation(env)
    env = wrappers.TransformObservation(env, lambda o: np.clip(o, -10, 10))
    env = wrappers.NormalizeReward(env)
    env = wrappers.TransformReward(env, lambda r: np.clip(r, -10, 10))
    for observation, _, reward, _, _ in run(env, actions(scale=3)):
        assert np.abs(observation).max() <= 10
        assert reward is None or np.isfinite(reward).all()
    while not isinstance(env, wrappers.RecordEpisodeStatistics):
        env = env.env
    assert list(env.length_queue) == [LENGTH] * 6


def test_every_vector_wrapper_of_gymnasium_is_tried():
    tried = set(OBSERVATION) | set(ACTION) | set(REWARD) | TESTED_BELOW | NEEDS_OTHER_LIBRARIES
    assert set(wrappers.__all__) <= tried
