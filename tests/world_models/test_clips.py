"""Clips: the right pictures at the right times, whatever the film, and a sentence about each that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pocketworlds.errors import DatasetError
from pocketworlds.world_models.trajectories import Origin, Trajectory, write_trajectories
from pocketworlds.world_models.trajectories.clip import Clip, fitted, in_time
from pocketworlds.world_models.trajectories.clips import SUFFIXES, find_clips
from pocketworlds.world_models.trajectories.columns import to_png
from pocketworlds.world_models.trajectories.video import Picture

CODECS = {".mp4": "libx264", ".mov": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}


def film(
    path: Path, shades: list[int], *, rate: int = 10, size: tuple[int, int] = (32, 48), times: Any = None, turn: int = 0
) -> Path:
    """A film whose pictures are grey, and tell by their shade which they are; at 1/1000 s `times` if given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix in (".mp4", ".mov") else {}) as out:
        stream = out.add_stream(CODECS[path.suffix], rate=rate)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"crf": "5"}
        if turn:
            stream.set_display_rotation(turn)
        for number, shade in enumerate(shades):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), shade, dtype=np.uint8), format="rgb24")
            frame.pts = round(1000 * number / rate) if times is None else times[number]
            frame.time_base = Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def poses(path: Path, frames: int, **attributes: Any) -> Path:
    """EgoDex' file: of all joints one besides the camera."""
    with h5py.File(path, "w") as file:
        for joint in ("camera", "leftHand"):
            file[f"transforms/{joint}"] = np.tile(np.eye(4, dtype=np.float32), (frames, 1, 1))
            file[f"confidences/{joint}"] = np.ones(frames, dtype=np.float32)
        file["camera/intrinsic"] = np.eye(3, dtype=np.float32)
        file.attrs.update(attributes)
    return path


def shades(clip: Clip) -> list[int]:
    """The mean shade of each picture."""
    return [round(float(np.asarray(picture.image()).mean())) for picture in clip.pictures()]


def close(found: list[int], wanted: list[int]) -> bool:
    return len(found) == len(wanted) and all(abs(a - b) <= 3 for a, b in zip(found, wanted, strict=True))


def moments(times: list[int]) -> list[Picture]:
    return [Picture(float(time), 0.0, lambda: None) for time in times]


@given(st.lists(st.integers(1, 9), max_size=40), st.integers(1, 30))
def test_pictures_are_the_nearest_in_time(gaps: list[int], apart: int) -> None:
    times = [0, *np.cumsum(gaps).tolist()]
    wanted = [
        min(range(len(times)), key=lambda k: (abs(times[k] - moment), k)) for moment in range(0, times[-1] + 1, apart)
    ]
    made = moments(times)
    if len(set(wanted)) < len(wanted):
        with pytest.raises(DatasetError, match=f"a film has nothing new to see about .*for more than {apart} s"):
            list(in_time(made, apart, "a film"))
        return
    found = [made.index(picture) for picture in in_time(made, apart)]
    assert found == wanted
    assert all(a < b for a, b in pairwise(found))
    assert len(found) == times[-1] // apart + 1


def test_the_last_of_many_pictures_is_not_lost_to_rounding() -> None:
    made = [Picture(k / 30, 0.0, lambda: None) for k in range(3601)]  # two minutes
    found = list(in_time(made, 8 * 0.05))
    assert [made.index(picture) for picture in found] == list(range(0, 3601, 12))
    twice = [made[0], made[0], *made[1:13], made[5], made[24]]
    assert [round(30 * each.seconds) for each in in_time(twice, 0.4)] == [0, 12, 24]


def test_pictures_are_cut_to_their_middle_and_averaged() -> None:
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (24, 40, 3), dtype=np.uint8)
    blocks = pixels[:, 8:32].reshape(6, 4, 6, 4, 3).mean((1, 3))
    assert np.abs(fitted(Image.fromarray(pixels), (6, 6)) - blocks).max() <= 1
    tall = pixels.transpose(1, 0, 2).copy()
    assert np.abs(fitted(Image.fromarray(tall), (6, 6)) - blocks.transpose(1, 0, 2)).max() <= 1
    wide = pixels[8:16].reshape(2, 4, 10, 4, 3).mean((1, 3))
    assert np.abs(fitted(Image.fromarray(pixels), (2, 10)) - wide).max() <= 1
    assert fitted(Image.fromarray(pixels[..., 0]), (7, 5)).shape == (7, 5, 3)  # grey ones, and of any size


def test_all_kinds_of_film_are_found_however_deep(tmp_path: Path) -> None:
    wanted = [20, 60, 100, 140, 180]
    for number, suffix in enumerate(SUFFIXES):
        film(tmp_path / f"{number}" / "deep" / f"clip{suffix}", wanted)
    film(tmp_path / "upper.mp4", wanted).rename(tmp_path / "UPPER.MP4")
    (tmp_path / "UPPER.txt").write_text("pour\n  the tea ", encoding="utf-8")
    (tmp_path / "._UPPER.MP4").write_bytes(b"what a Mac leaves")
    (tmp_path / ".hidden").mkdir()
    film(tmp_path / ".hidden" / "x.mp4", wanted)
    found = find_clips(tmp_path)
    assert [clip.files[0].name for clip in found] == ["UPPER.MP4", "clip.mp4", "clip.mov", "clip.mkv", "clip.webm"]
    assert all(close(shades(clip), wanted) for clip in found)
    assert [clip.words() for clip in found] == ["pour the tea", "", "", "", ""]
    seconds = [picture.seconds for picture in found[0].pictures()]
    assert seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    share = [picture.share for picture in found[0].pictures()]
    assert share == pytest.approx([0, 0.2, 0.4, 0.6, 0.8], abs=0.05)
    assert find_clips(tmp_path / "UPPER.MP4")[0].key() == found[0].key()
    assert find_clips(tmp_path / "UPPER.txt") == []
    before = found[0].key()
    (tmp_path / "UPPER.txt").write_text("pour the water", encoding="utf-8")
    assert find_clips(tmp_path)[0].key() != before


def test_films_of_uneven_times_and_of_a_telephone_held_upright(tmp_path: Path) -> None:
    times = [0, 90, 210, 300, 390, 500, 601, 700]
    path = film(tmp_path / "a.mp4", list(range(0, 240, 30)), times=[1000 + time for time in times])
    found = list(in_time(find_clips(path)[0].pictures(), 0.2))
    assert [round(1000 * picture.seconds) for picture in found] == [0, 210, 390, 601]
    chance = np.random.default_rng(0).integers(0, 256, (2, 3), dtype=np.uint8)
    pixels = np.kron(chance, np.ones((32, 32), dtype=np.uint8))[..., None].repeat(3, 2)
    for turn in (90, -90, 180):
        path = tmp_path / f"turned{turn}.mp4"
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=10)
            stream.height, stream.width, stream.pix_fmt = *pixels.shape[:2], "yuv420p"
            stream.set_display_rotation(turn)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            out.mux(stream.encode(None))
        upright = np.asarray(next(find_clips(path)[0].pictures()).image())
        wanted = np.rot90(pixels, turn // 90)  # counterclockwise
        assert upright.shape == wanted.shape
        assert np.abs(upright.astype(int) - wanted).mean() < 3


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def flipped(path: Path) -> Path:
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(255 - byte for byte in content[middle : middle + 400])
    path.write_bytes(bytes(content))
    return path


def silent(path: Path) -> Path:
    """Sound without a picture."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), dtype=np.float32), format="fltp", layout="stereo")
        sound.sample_rate = 44100
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    return path


def noisy(path: Path) -> Path:
    """Two seconds of which every byte counts."""
    chance = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as out:
        stream = out.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "yuv420p"
        for _ in range(60):
            frame = av.VideoFrame.from_ndarray(chance.integers(0, 256, (32, 48, 3), dtype=np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        # Half a picture is left out, or is an error where one thread, of one processor, decodes.
        ("a.mp4", lambda path: cut(noisy(path)), r"a\.mp4 .*was cut off: (of 2\.0 s only 0\.\d s are|copy or record)"),
        ("a.mkv", lambda path: cut(noisy(path)), r"a\.mkv was cut off: of 2\.0 s only \d\.\d s are there"),
        ("a.mp4", lambda path: flipped(noisy(path)), r"a\.mp4 cannot be read as a film .*damaged or was cut off"),
        ("a.mp4", lambda path: path.write_bytes(b""), r"a\.mp4 cannot be read as a film"),
        ("a.mov", lambda path: path.write_bytes(b"not a film" * 99), r"a\.mov cannot be read as a film"),
        ("a.mp4", silent, r"a\.mp4 has sound and no pictures"),
    ],
)
def test_films_that_cannot_be_read_are_told(tmp_path: Path, name: str, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(tmp_path / name)
    (clip,) = find_clips(tmp_path)
    with pytest.raises(DatasetError, match=said):
        list(clip.pictures())


# EgoDex -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"llm_description": "Fold the shirt."}, "Fold the shirt."),
        (
            {
                "llm_type": "reversible",
                "llm_description": "in",
                "llm_description2": "out",
                "which_llm_description": "1",
            },
            "in",
        ),
        (
            {
                "llm_type": "reversible",
                "llm_description": "in",
                "llm_description2": "out",
                "which_llm_description": "2",
            },
            "out",
        ),
        (
            {
                "llm_type": b"reversible",
                "llm_description": b"in",
                "llm_description2": b"out",
                "which_llm_description": 2,
            },
            "out",
        ),
        ({"llm_description": ["in"], "llm_description2": ["out"], "which_llm_description": np.array([2])}, "out"),
        ({"llm_type": "reset", "llm_description": "in", "llm_description2": "out", "which_llm_description": "2"}, "in"),
        ({"llm_type": "reversible", "llm_description": "in", "which_llm_description": "2"}, "in"),
        ({}, ""),
    ],
)
def test_egodex_tells_what_was_done(tmp_path: Path, attributes: dict[str, Any], said: str) -> None:
    film(tmp_path / "task" / "0.mp4", [10, 50, 90, 130])
    poses(tmp_path / "task" / "0.hdf5", 5, **attributes)  # one more than frames, as happens
    (clip,) = find_clips(tmp_path)
    assert clip.words() == said
    assert close(shades(clip), [10, 50, 90, 130])
    (tmp_path / "task" / "0.txt").write_text("said by hand", encoding="utf-8")
    assert find_clips(tmp_path)[0].words() == "said by hand"


def test_poses_that_do_not_belong_are_told(tmp_path: Path) -> None:
    film(tmp_path / "0.mp4", [10, 50, 90, 130])
    for frames, fits in ((2, False), (3, True), (5, True), (6, False)):
        poses(tmp_path / "0.hdf5", frames)
        if fits:
            assert len(list(find_clips(tmp_path)[0].pictures())) == 4
        else:
            with pytest.raises(DatasetError, match=rf"0\.hdf5 has poses of {frames} frames, 0\.mp4 has 4"):
                list(find_clips(tmp_path)[0].pictures())
    with h5py.File(poses(tmp_path / "0.hdf5", 4), "a") as file:
        del file["transforms/leftHand"]
        file["transforms/leftHand"] = np.zeros((3, 4, 4))
    with pytest.raises(DatasetError, match=r"0\.hdf5: transforms/leftHand is \(3, 4, 4\), wanted is \(4, 4, 4\)"):
        find_clips(tmp_path)[0].words()
    with h5py.File(tmp_path / "0.hdf5", "w") as file:
        file["other"] = 1
    with pytest.raises(DatasetError, match=r"0\.hdf5 has no poses .*not of EgoDex"):
        find_clips(tmp_path)[0].words()
    (tmp_path / "0.hdf5").write_bytes(b"x" * 99)
    with pytest.raises(DatasetError, match=r"0\.hdf5 cannot be read as EgoDex"):
        find_clips(tmp_path)[0].words()
    poses(tmp_path / "0.hdf5", 4)
    poses(tmp_path / "1.hdf5", 4)
    first, alone = find_clips(tmp_path)
    assert first.words() == ""
    with pytest.raises(DatasetError, match=r"1\.hdf5 has no film beside it; put 1\.mp4 there"):
        alone.words()
    (tmp_path / "0.mp4").unlink()
    assert find_clips(tmp_path) == []  # no films at all: another kind of data set


# LeRobot ------------------------------------------------------------------------------------------------------------


def write_version_2(root: Path, lengths: list[int], *, video: bool = True) -> None:
    """As lerobot 0.1 lays it out, with two cameras, of which the first is one of depth."""
    keys = {
        "observation.images.deep": [0, 0, 0],
        "observation.images.front": [32, 48, 3],
        "observation.images.side": [32, 48, 3],
    }
    features: dict[str, Any] = {
        key: {
            "dtype": "video" if video else "image",
            "shape": shape,
            "names": None,
            "info": {"video.is_depth_map": "deep" in key},
        }
        for key, shape in keys.items()
    }
    features["observation.state"] = {"dtype": "float32", "shape": [6], "names": None}
    features["action"] = {"dtype": "float32", "shape": [6], "names": None}
    info = {
        "codebase_version": "v2.1",
        "robot_type": "so100",
        "total_episodes": len(lengths),
        "chunks_size": 2,
        "fps": 10,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4" if video else None,
        "features": features,
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    rows = [{"episode_index": k, "tasks": [f"task {k}"], "length": length} for k, length in enumerate(lengths)]
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    for number, length in enumerate(lengths):
        for camera, base in (("front", 10), ("side", 130)):
            column = [base + 20 * number + 4 * k for k in range(length)]
            place = {"episode_chunk": number // 2, "episode_index": number}
            if video:
                film(root / info["video_path"].format(**place, video_key=f"observation.images.{camera}"), column)
            elif camera == "front":
                path = root / info["data_path"].format(**place)
                path.parent.mkdir(parents=True, exist_ok=True)
                pictures = [to_png(np.full((32, 48, 3), shade, dtype=np.uint8)) for shade in column]
                pq.write_table(
                    pa.table({"observation.images.front": pictures, "episode_index": [number] * length}), path
                )


@pytest.mark.parametrize("video", [True, False])
def test_lerobot_version_2_of_any_robot(tmp_path: Path, video: bool) -> None:
    root = tmp_path / "data"
    write_version_2(root, [4, 5, 3], video=video)
    found = find_clips(tmp_path)  # also as one of several inside a folder
    assert [clip.words() for clip in found] == ["task 0", "task 1", "task 2"]
    assert close(shades(found[1]), [30, 34, 38, 42, 46])
    assert [picture.seconds for picture in found[2].pictures()] == pytest.approx([0, 0.1, 0.2])
    if video:
        (_, other, _) = find_clips(root, "side")
        assert close(shades(other), [150, 154, 158, 162, 166])
        assert other.key() != found[1].key()
        film(other.files[0], [1, 2])
        with pytest.raises(DatasetError, match=r"episode_000001\.mp4 has 2 of 5 frames of side of episode 1"):
            list(other.pictures())
    with pytest.raises(DatasetError, match=r"no pictures 'top'; it has \['deep', 'front', 'side'\]"):
        find_clips(root, "top")
    info = json.loads((root / "meta/info.json").read_text())
    info["features"] = {key: each for key, each in info["features"].items() if "images" not in key}
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(DatasetError, match="has no pictures, so there is nothing to see"):
        find_clips(root)
    (root / "meta/info.json").write_text(json.dumps({**info, "codebase_version": "v1.6"}))
    with pytest.raises(DatasetError, match=r"version v1\.6; convert it to version 2 or 3"):
        find_clips(root)
    (root / "meta/info.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read as lerobot"):
        find_clips(root)


@pytest.mark.parametrize("pictures", ["video", "png"])
def test_lerobot_version_3_of_any_robot(tmp_path: Path, pictures: Any) -> None:
    made = []
    for number, length in enumerate((6, 9)):
        shade = (20 + 100 * number + 5 * np.arange(length + 1)).astype(np.uint8)
        made.append(
            Trajectory(
                observations={
                    "state": np.zeros((length + 1, 3), dtype=np.float32),
                    "rgb": np.broadcast_to(shade[:, None, None, None], (length + 1, 32, 48, 3)).copy(),
                },
                actions=np.zeros((length, 2), dtype=np.float32),
                rewards=np.zeros(length),
                terminated=np.zeros(length, dtype=bool),
                truncated=np.zeros(length, dtype=bool),
                success=np.zeros(length, dtype=bool),
                instruction=f"task {number}",
                origin=Origin(control_rate=20),
            )
        )
    write_trajectories(tmp_path / "set", made, "lerobot", pictures=pictures)
    found = find_clips(tmp_path / "set")
    assert [clip.words() for clip in found] == ["task 0", "task 1"]
    for clip, trajectory in zip(found, made, strict=True):
        assert close(shades(clip), trajectory.observations["rgb"][:-1, 0, 0, 0].tolist())
        assert [picture.seconds for picture in clip.pictures()] == pytest.approx(np.arange(len(trajectory)) / 20)
    table = next((tmp_path / "set/meta/episodes").glob("*/*.parquet"))
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(DatasetError, match="cannot be read as lerobot"):
        find_clips(tmp_path / "set")
