"""Films: three pictures side by side, what they say of how episodes end, and what they leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pocketworlds.benchmarks.audit import films
from pocketworlds.benchmarks.audit.pictures import Pictures
from pocketworlds.benchmarks.audit.subject import Subject
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.world_models.trajectories.video import FilmWriter, read_frames

SUBJECT = Subject("Push-v0", {"max_episode_steps": 5, "num_threads": 1}, backend="physics")


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def grey(env: WorldVectorEnv, camera: str) -> Pictures:
    """Pictures without OpenGL."""
    return np.full((env.num_envs, films.SIDE, films.SIDE, 3), 128, dtype=np.uint8)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "SIDE", 48)


class Rosy(Subject):  # type: ignore[misc]
    """A model in which everything is a success, but in the second world, which diverges once: its first episode."""

    def model(self, num_envs: int, **more: Any) -> WorldVectorEnv:
        env = super().model(num_envs, **more)
        step, told, begun = env.simulator.step, env._info, []

        def broken(action: np.ndarray, ids: np.ndarray | None = None) -> np.ndarray:
            failed = step(action, ids)
            begun.append(0)
            failed[1] |= len(begun) == 2
            return failed

        env.simulator.step = broken
        env._info = lambda *a: {**told(*a), "is_success": ~a[2]}
        return env


@pytest.mark.usefixtures("opengl")
def test_films_show_three_pictures(tmp_path: Path):
    found = films.film(SUBJECT, seed=0, folder=tmp_path / "films", camera="front", notify=quiet)
    assert len(found["films"]) == len(list((tmp_path / "films").iterdir())) == 3
    frames = read_frames(tmp_path / found["films"][0]["file"], 0.0, 5, 20)
    assert frames.shape == (5, 48, 144, 3)
    assert np.abs(frames[:, :, :48].astype(int) - frames[:, :, 48:96]).mean() < 4
    assert frames[:, :, 100:].mean() < 6


def test_differences_are_on_black():
    one: Pictures = np.full((1, 2, 2, 3), 100, dtype=np.uint8)
    other = one.copy()
    other[0, 0, 0] = 90
    other[0, 1, 1] = 255
    beside = films.beside(one, other)
    assert beside.shape == (1, 2, 6, 3)
    assert beside[0, 0, 4].tolist() == [20, 20, 20]
    assert beside[0, 1, 5].tolist() == [255, 255, 255]
    assert beside[0, 0, 5].tolist() == [0, 0, 0]


def test_a_world_that_diverges_is_no_success(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(films, "_drawn", grey)
    rosy = Rosy(SUBJECT.env_id, SUBJECT.keywords, backend="physics")
    found = films.film(rosy, seed=0, folder=tmp_path, camera="front", notify=quiet)["films"]
    assert [each["model"] for each in found] == [True, False, True]


def test_what_is_interrupted_is_closed_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []

    class Watched(FilmWriter):  # type: ignore[misc]
        def __init__(self, path: Path, *more: Any) -> None:
            super().__init__(path, *more)
            opened.append(path.name)
            self.name = path.name

        def close(self) -> None:
            super().close()
            opened.remove(self.name)

    def stop(stage: str, share: float) -> None:
        assert len(opened) == 3
        raise KeyboardInterrupt

    monkeypatch.setattr(films, "_drawn", grey)
    monkeypatch.setattr(films, "FilmWriter", Watched)
    with pytest.raises(KeyboardInterrupt):
        films.film(SUBJECT, seed=0, folder=tmp_path, camera="front", notify=stop)
    assert not opened
    assert not list(tmp_path.iterdir())
