"""Films are decoded once, go on after an interruption, and are learned from beside episodes that know more."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from PIL import Image
from pocketworlds.errors import DatasetError
from pocketworlds.world_models.trajectories.clip import Clip
from pocketworlds.world_models.trajectories.video import Picture
from pocketworlds.world_models.wam.demonstrations import Demonstrations, Episode
from pocketworlds.world_models.wam.films import Films, read_films
from pocketworlds.world_models.wam.learning import WamLearner
from pocketworlds.world_models.wam.settings import WamSettings

from .conftest import settings_of, stirred

SETTINGS = settings_of(cameras=1)  # pictures of 16 x 24 pixels, chunks of 4 control steps of 0.05 s


@dataclass(frozen=True)
class Made(Clip):  # type: ignore[misc]
    """A clip of grey pictures, ten a second: `shade`, `shade` + 1, ...; counts how often it is decoded."""

    shade: int = 0
    count: int = 0
    bad_at: int = -1

    def words(self) -> str:
        return f"words of {self.name}"

    def pictures(self) -> Iterator[Picture]:
        with (self.files[0]).open("a") as file:
            file.write("x")
        for number in range(self.count):
            if number == self.bad_at:
                raise DatasetError(f"{self.name} is broken")
            yield Picture(number / 10, number / self.count, partial(Image.new, "L", (48, 40), self.shade + number))

    def key(self) -> list[str]:
        return [self.name, str(self.shade)]

    @property
    def decoded(self) -> int:
        return self.files[0].stat().st_size if self.files[0].exists() else 0


def made(folder: Path, name: str, shade: int, count: int = 21, bad_at: int = -1) -> Made:
    return Made(name, (folder / f"{name}.log",), shade, count, bad_at)


def quiet(stage: str, share: float) -> None:
    assert stage == "reading videos"
    assert 0 <= share <= 1


def seen(films: Films, number: int) -> list[int]:
    first, frames = int(films.first[number]), int(films.frames[number])
    pictures = films.pictures[first : first + frames]
    assert pictures.shape[1:] == (1, 16, 24, 3)
    assert bool((pictures == pictures[:, :1, :1, :1, :1]).all())
    return pictures[:, 0, 0, 0, 0].tolist()


def test_films_are_decoded_once_and_go_on(tmp_path: Path) -> None:
    clips = [made(tmp_path, "a", 10), made(tmp_path, "b", 100, 9), made(tmp_path, "c", 200)]
    folder = tmp_path / "films"
    told: list[float] = []

    def stop(stage: str, share: float) -> None:
        told.append(share)
        if share > 0.8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_films(clips, folder, SETTINGS, stop)
    assert told == sorted(told)
    films = read_films(clips, folder, SETTINGS, quiet)
    assert [clip.decoded for clip in clips] == [1, 1, 2]  # the one that was interrupted once more
    assert seen(films, 0) == list(range(10, 31, 2))  # every 0.2 s
    assert seen(films, 1) == list(range(100, 109, 2))
    assert seen(films, 2) == list(range(200, 221, 2))
    assert films.words == ("words of a", "words of b", "words of c")
    assert (folder / "pictures.raw").stat().st_size == 27 * 16 * 24 * 3
    # Another order, one that is new, and one that is gone.
    again = read_films([clips[2], made(tmp_path, "d", 50), clips[0]], folder, SETTINGS, quiet)
    assert [seen(again, k)[0] for k in range(3)] == [200, 50, 10]
    assert [clip.decoded for clip in clips] == [1, 1, 2]
    # A file that was written anew is decoded anew.
    other = replace(clips[0], shade=60)
    assert seen(read_films([other], folder, SETTINGS, quiet), 0) == list(range(60, 81, 2))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
@checks(max_examples=50, deadline=None)
def test_a_reading_that_was_cut_off_anywhere_goes_on(index: int, raw: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        clips = [made(root, "a", 10, 5), made(root, "b", 100, 7), made(root, "c", 200, 9)]
        whole = read_films(clips, root / "films", SETTINGS, quiet)
        wanted = [seen(whole, k) for k in range(3)]
        for file, place in (("clips.jsonl", index), ("pictures.raw", raw)):
            path = root / "films" / file
            os.truncate(path, place % (path.stat().st_size + 1))
        found = read_films(clips, root / "films", SETTINGS, quiet)
        assert [seen(found, k) for k in range(3)] == wanted
        counts = [clip.decoded for clip in clips]
        read_films(clips, root / "films", SETTINGS, quiet)
        assert [clip.decoded for clip in clips] == counts


def test_clips_that_cannot_be_used_are_left_out_and_named(tmp_path: Path) -> None:
    clips = [
        made(tmp_path, "a", 10),
        made(tmp_path, "b", 20, bad_at=15),
        made(tmp_path, "c", 30, 2),
        made(tmp_path, "d", 40),
    ]
    said = r"2 of 4 clips are left out: b is broken; c is too short: it has 1 pictures that are 0\.2 s apart"
    with pytest.warns(UserWarning, match=said):
        films = read_films(clips, tmp_path / "films", SETTINGS, quiet)
    assert [seen(films, k)[0] for k in range(2)] == [10, 40]
    with pytest.warns(UserWarning, match=said):
        read_films(clips, tmp_path / "films", SETTINGS, quiet)
    assert clips[1].decoded == 1
    many = [made(tmp_path, f"x{k}", 0, 1) for k in range(12)]
    with pytest.warns(UserWarning, match=r"12 of 13 clips are left out: x0 .*x9 is .*; and 2 more"):
        read_films([*many, clips[0]], tmp_path / "films", SETTINGS, quiet)
    with pytest.raises(DatasetError, match=r"none of 2 clip\(s\) can be learned from: b is broken; c is too short"):
        read_films(clips[1:3], tmp_path / "films", SETTINGS, quiet)
    with pytest.raises(DatasetError, match=r"x is too short: .* the model learns from 3 and more"):
        read_films([made(tmp_path, "x", 0, 4)], tmp_path / "more", settings_of(cameras=1, past=3), quiet)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_films(clips[:1], tmp_path / "films", SETTINGS, quiet)
    for cameras in (0, 2):
        with pytest.raises(DatasetError, match=f"what one camera sees, the model has {cameras} of them"):
            read_films(clips, tmp_path / "none", settings_of(cameras=cameras), quiet)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError, match="cannot write"):
        read_films(clips, tmp_path / "file", SETTINGS, quiet)


def episode(steps: int, *, state: bool = True, action: bool = True) -> Episode:
    """State, picture and action tell the time."""
    time = torch.arange(steps + 1.0)
    image = time.to(torch.uint8)[:, None, None, None, None].expand(-1, 1, 16, 24, 3)
    states, actions = time[:, None].repeat(1, 5) + 1, time[:-1, None].repeat(1, 2) / 100 + 0.01
    return Episode(states if state else None, image, actions if action else None, "do")


def test_windows_of_films_lie_a_picture_apart_beside_those_of_episodes(tmp_path: Path) -> None:
    settings = settings_of(cameras=1, past=3)
    films = read_films([made(tmp_path, "a", 100), made(tmp_path, "b", 200, 9)], tmp_path / "films", settings, quiet)
    data = Demonstrations([episode(10)], settings, films)
    assert data.lengths.tolist() == [11, 11, 5]
    assert data.frames == 27
    found = data.windows(torch.tensor([[0, 7], [1, 1], [2, 3], [1, 10]]), 3)
    assert found.image[:, :, 0, 0, 0, 0].tolist() == [[0, 3, 7], [100, 100, 102], [202, 204, 206], [116, 118, 120]]
    assert found.next_image[:, :, 0, 0, 0, 0].tolist() == [
        [3, 7, 10],
        [100, 102, 104],
        [204, 206, 208],
        [118, 120, 120],
    ]
    assert found.there.tolist() == [[False, True, False], [False, True, True], [True, True, True], [True, True, False]]
    assert found.known.tolist() == [[True] * 3, *[[False] * 3] * 3]
    assert found.labelled.tolist() == [True, False, False, False]
    for values in (found.state, found.next_state, found.done, found.action, found.was_done, found.will):
        assert bool(values[0].any())
        assert not bool(values[1:].any())
    assert found.told[1, :10].tolist() == list(b"words of a")
    # What episodes give is the same with and without films.
    alone = Demonstrations([episode(10)], settings).windows(torch.tensor([[0, 7], [0, 2]]), 3)
    beside = data.windows(torch.tensor([[0, 7], [0, 2]]), 3)
    assert all(torch.equal(a, b) for a, b in zip(vars(alone).values(), vars(beside).values(), strict=True))
    states, changes, _ = data.scales()
    assert states.shape == (11, 5)
    torch.testing.assert_close(changes, torch.full((7, 5), 4.0))


def test_every_control_step_is_drawn_equally_often_in_films_too(tmp_path: Path) -> None:
    films = read_films(
        [made(tmp_path, "a", 100, 5)], tmp_path / "films", SETTINGS, quiet
    )  # 3 pictures: 8 control steps
    data = Demonstrations([episode(8)], SETTINGS, films)
    found = data.draw(80_000, 1, torch.Generator().manual_seed(0), lively=data.lively(1), share=0.5)
    times, counts = torch.unique(found, dim=0, return_counts=True)
    assert times.tolist() == [[0, k] for k in range(8)] + [[1, 0], [1, 1]]
    expected = torch.tensor([5000.0] * 8 + [20_000.0] * 2)
    assert bool(
        ((counts - expected).abs() < 5 * expected.sqrt()).all()
    )  # more than five deviations of a binomial count


@pytest.mark.parametrize("seen", [("robot", "thing"), ("robot",)])
def test_from_films_alone_nothing_is_learned_of_states_and_actions(tmp_path: Path, seen: tuple[str, ...]) -> None:
    settings = settings_of(cameras=1, past=2, seen=seen)
    films = read_films([made(tmp_path, "a", 100)], tmp_path / "films", settings, quiet)
    data = Demonstrations([], settings, films)
    assert not data.has_states
    net = stirred(settings)
    found = WamLearner(net)(data.windows(torch.tensor([[0, k] for k in range(11)]), 2), draws(), 0.5)
    assert found["state"] == found["action"] == 0
    assert found["image"] > 0
    sum(found.values(), torch.zeros(())).backward()
    told = {name: value.grad for name, value in net.named_parameters() if value.grad is not None}
    silent = ["state_head.weight", "state_head.bias", "action_head.weight", "action_head.bias"]
    silent += ["known_state.weight", "coming_state.weight", "known_action.weight"]
    if settings.blind:
        assert found["guess"] == 0
        silent += ["guess_head.0.weight", "guess_head.2.weight", "guess_head.2.bias"]
    assert {name for name in silent if bool(told.get(name, torch.zeros(1)).any())} == set()
    assert all(bool(told[name].any()) for name in ("image_head.weight", "known_image.first.weight", "no_state"))


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def losses_of(settings: WamSettings, data: Demonstrations, which: list[list[int]]) -> dict[str, torch.Tensor]:
    net = stirred(settings)
    net.scales.measure(torch.randn(20, 5, generator=draws()), torch.ones(1, 5), torch.zeros(1, 0))
    return WamLearner(net)(data.windows(torch.tensor(which), 1), draws(), 0.5)


@pytest.mark.parametrize("seen", [("robot", "thing"), ("robot",)])
def test_films_beside_episodes_leave_their_losses_as_they_are(tmp_path: Path, seen: tuple[str, ...]) -> None:
    """What is known of is averaged over those that know it: films in a batch take no part in it."""
    settings = settings_of(cameras=1, seen=seen)
    clips = [made(tmp_path, "a", 100), made(tmp_path, "b", 20)]
    data = Demonstrations([episode(12)], settings, read_films(clips, tmp_path / "films", settings, quiet))
    rows = [[0, k] for k in range(8)]
    first, second = (losses_of(settings, data, [*rows, *[[film, k] for k in range(8)]]) for film in (1, 2))
    assert first["image"] != second["image"]
    known = ["state", "action", *(["guess"] if settings.blind else [])]
    assert all(torch.equal(first[name], second[name]) and first[name] > 0 for name in known)
    if settings.blind:  # which no draw plays a part in
        torch.testing.assert_close(first["guess"], losses_of(settings, data, rows)["guess"])


def test_without_a_state_nothing_is_told_of_its_change(tmp_path: Path) -> None:
    """The states of a video are blank: were their change, zero, shown on the way from noise, it would say "at rest"."""
    settings = settings_of(cameras=1, seen=("robot",))
    data = Demonstrations([replace(episode(12), state=None, action=None)], settings)
    lessons = data.windows(torch.tensor([[0, k] for k in range(8)]), 1)
    net = stirred(settings)
    other = replace(lessons, state=lessons.state + 3, next_state=lessons.next_state - 5)
    first, second = (WamLearner(net)(each, draws(), 0.5) for each in (lessons, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_pictures_on_disk_are_not_held_twice(tmp_path: Path) -> None:
    films = read_films([made(tmp_path, "a", 100)], tmp_path / "films", SETTINGS, quiet)
    data = Demonstrations([], SETTINGS, films)
    assert data._films.data_ptr() == films.pictures.data_ptr()
    before = (tmp_path / "films/pictures.raw").read_bytes()
    films.pictures[:] = 0
    assert (tmp_path / "films/pictures.raw").read_bytes() == before
    raw = np.fromfile(tmp_path / "films/pictures.raw", dtype=np.uint8)
    assert raw.reshape(11, 16, 24, 3)[:, 0, 0, 0].tolist() == list(range(100, 121, 2))
