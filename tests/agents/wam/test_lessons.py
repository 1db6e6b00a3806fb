"""Learning what is seen from films of any kind, and then what is done from demonstrations."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import torch
from pocketworlds.agents.collect import Source
from pocketworlds.agents.recording import record
from pocketworlds.agents.wam.course import WamCourse, read_course
from pocketworlds.agents.wam.lessons import lessons
from pocketworlds.agents.wam.training import look, train_wam
from pocketworlds.errors import DatasetError, TaskError
from pocketworlds.world_models.trajectories import Origin, Trajectory, open_trajectories, write_trajectories
from pocketworlds.world_models.wam.demonstrations import Demonstrations
from pocketworlds.world_models.wam.model import load_wam

TINY = [
    "size=rgb_nano",
    "env=Reach-v0",
    "demonstrations=2",
    "num_envs=2",
    "keywords.max_episode_steps=30",
    "keywords.num_threads=1",
    "model.image_size=32",
    "model.chunk=4",
    "model.net.width=32",
    "model.net.heads=2",
    "model.net.depth=1",
    "train.steps=4",
    "train.batch=8",
    "exam.episodes=2",
    "exam.num_envs=2",
]
KEYWORDS = {"max_episode_steps": 30, "num_threads": 1}


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def film(path: Path, seconds: float = 2.0, seed: int = 0) -> Path:
    """A square wanders over a plain, 30 pictures a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(seed)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        at = np.array([20.0, 30.0])
        for number in range(round(30 * seconds)):
            picture = np.full((48, 64, 3), 90, dtype=np.uint8)
            at = np.clip(at + chance.normal(0, 2, 2), 4, 40)
            row, column = at.astype(int)
            picture[row - 4 : row + 4, column - 4 : column + 4] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def read(course: WamCourse, work: Path) -> Demonstrations:
    keywords = {**course.keywords, "obs_mode": "state+rgb", "image_size": course.model.image_size}
    settings = look("PocketWorlds/Reach-v0", keywords, course)
    return lessons(course, "PocketWorlds/Reach-v0", keywords, settings, work, quiet)


def test_from_films_to_a_policy(tmp_path: Path) -> None:
    """Stage one knows no states: what they are scaled by is measured in stage two."""
    film(tmp_path / "films/people/0.mp4")
    with h5py.File(tmp_path / "films/people/0.hdf5", "w") as file:
        file["transforms/camera"] = np.tile(np.eye(4), (60, 1, 1))
        file.attrs["llm_description"] = "Reach for it."
    film(tmp_path / "films/home/kitchen.mkv", 1.0, seed=1)
    seen = tmp_path / "seen.safetensors"
    told = [*TINY, "labels=false", f"data={tmp_path / 'films'}"]
    first, found = train_wam(read_course(told), tmp_path / "one", seen, quiet)
    assert found == {}
    card = load_wam(seen)[1]
    assert (card.trained_on["episodes"], card.trained_on["frames"]) == (2, 10 + 5)
    assert not first.scales.measured
    assert bool((first.action_head.weight == 0).all())
    assert bool((first.state_head.weight == 0).all())
    assert bool((first.image_head.weight != 0).any())
    # The same again decodes nothing.
    raw = next((tmp_path / "one").glob("films-*/pictures.raw"))
    before = raw.stat().st_mtime_ns
    again, _ = train_wam(read_course(told), tmp_path / "one", tmp_path / "again.safetensors", quiet)
    assert raw.stat().st_mtime_ns == before
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))

    second, found = train_wam(
        read_course([*TINY, f"start={seen}"]), tmp_path / "two", tmp_path / "policy.safetensors", quiet
    )
    assert found["episodes"] == 2
    states = np.concatenate(
        [
            np.load(path)["observation.state"]
            for path in sorted((tmp_path / "two").glob("demonstrations-*/*.npz"), key=lambda path: int(path.stem))[:2]
        ]
    )
    torch.testing.assert_close(second.scales.state_mean, torch.from_numpy(states.mean(0)), atol=1e-5, rtol=1e-4)
    spread = torch.from_numpy(states.std(0)).clamp_min(1e-3)
    torch.testing.assert_close(second.scales.state_scale, spread, atol=1e-5, rtol=1e-3)
    assert bool((second.action_head.weight != 0).any())
    assert not torch.equal(second.image_head.weight, first.image_head.weight)
    # Scales that were measured stay: what was learned depends on them.
    third, _ = train_wam(
        read_course([*TINY, f"start={tmp_path / 'policy.safetensors'}", "seed=3", "exam.episodes=0"]),
        tmp_path / "three",
        tmp_path / "third.safetensors",
        quiet,
    )
    assert torch.equal(third.scales.state_mean, second.scales.state_mean)


def other_robot(folder: Path, *, size: int = 48) -> Path:
    """A data set of a robot with six joints and two cameras."""
    made = []
    for number, length in enumerate((40, 30)):
        shade = (20 + 100 * number + 2 * np.arange(length + 1)).astype(np.uint8)[:, None, None, None]
        made.append(
            Trajectory(
                observations={
                    "state": np.zeros((length + 1, 6), dtype=np.float32),
                    "front": np.broadcast_to(shade, (length + 1, size, size, 3)).copy(),
                    "wrist": np.broadcast_to(255 - shade, (length + 1, size, size, 3)).copy(),
                },
                actions=np.full((length, 6), 57.0, dtype=np.float32),
                rewards=np.zeros(length),
                terminated=np.zeros(length, dtype=bool),
                truncated=np.zeros(length, dtype=bool),
                success=np.zeros(length, dtype=bool),
                instruction=f"task {number}",
                origin=Origin(control_rate=10),
            )
        )
    write_trajectories(folder, made, "lerobot", pictures="png")
    return folder


def test_of_another_robot_only_what_it_sees_is_learned_from(tmp_path: Path) -> None:
    folder = other_robot(tmp_path / "so100")
    course = read_course([*TINY, "labels=false", f"data={folder}"])
    data = read(course, tmp_path / "work")
    assert not data.has_states
    assert data.lengths.tolist() == [20, 15]  # 0.2 s apart, of ten pictures a second
    found = data.windows(torch.tensor([[0, 3], [1, 14]]), 1)
    assert found.image[:, 0, 0, 16, 16, 0].tolist() == [20 + 2 * 6, 120 + 2 * 28]
    assert found.image.shape == (2, 1, 1, 32, 32, 3)
    other = read(course.model_copy(update={"camera": "wrist"}), tmp_path / "work")
    assert other.windows(torch.tensor([[0, 3]]), 1).image[0, 0, 0, 16, 16, 0] == 255 - (20 + 2 * 6)
    with pytest.raises(DatasetError, match=r"no pictures 'top'; it has \['front', 'wrist'\]"):
        read(course.model_copy(update={"camera": "top"}), tmp_path / "work")
    with pytest.raises(DatasetError, match="actions have 6 numbers"):
        read(read_course([*TINY, f"data={folder}"]), tmp_path / "work")


def test_of_ones_own_recordings_states_count_too(tmp_path: Path) -> None:
    keywords = {**KEYWORDS, "obs_mode": "state+rgb", "image_size": 32}
    record(Source("PocketWorlds/Reach-v0", keywords=keywords, states=False), tmp_path / "own", episodes=2)
    course = read_course([*TINY, "labels=false", f"data={tmp_path / 'own'}"])
    data = read(course, tmp_path / "work")
    assert data.has_states
    wanted = [trajectory.num_observations for trajectory in open_trajectories(tmp_path / "own")]
    assert data.lengths.tolist() == wanted
    assert not bool(data.windows(torch.tensor([[0, 3]]), 1).labelled.any())
    assert not read(course.model_copy(update={"camera": "rgb"}), tmp_path / "work").has_states
    # With pictures of another size they are as good as anyone's.
    smaller = read(
        read_course([*TINY, "labels=false", "model.image_size=16", f"data={tmp_path / 'own'}"]), tmp_path / "w"
    )
    assert not smaller.has_states
    # A data set that lacks what was seen last, as others' do, loses its last step.
    (tmp_path / "own/meta/pocketworlds.parquet").unlink()
    foreign = read(read_course([*TINY, f"data={tmp_path / 'own'}"]), tmp_path / "work")
    assert foreign.lengths.tolist() == [length - 1 for length in wanted]
    last = foreign.windows(torch.tensor([[0, wanted[0] - 3]]), 1)
    actions = open_trajectories(tmp_path / "own")[0].actions
    assert last.will[0, 0].tolist() == [True, False, False, False]
    assert last.action[0, 0, 0].tolist() == actions[-2].tolist()


def test_what_makes_no_sense_is_told(tmp_path: Path) -> None:
    good = film(tmp_path / "films/a.mp4").parent
    (good / "b.mp4").write_bytes(b"no film")
    film(good / "c.mp4", 0.1)
    unlabelled = [*TINY, "labels=false", f"data={good}"]
    with pytest.warns(UserWarning, match=r"2 of 3 clips are left out: .*b\.mp4 cannot be read.*c\.mp4 is too short"):
        assert len(read(read_course(unlabelled), tmp_path / "work")) == 1
    with pytest.raises(DatasetError, match=r"films holds videos, .*labels=false"):
        read(read_course([*TINY, f"data={good}"]), tmp_path / "work")
    with pytest.raises(DatasetError, match=r"what one camera sees, the model has 0 of them; .*size=rgb_nano"):
        train_wam(
            read_course([*unlabelled, "model.pictures=false"]), tmp_path / "work", tmp_path / "x.safetensors", quiet
        )
    (good / "a.mp4").unlink()
    with pytest.raises(DatasetError, match=r"none of 2 clip\(s\) can be learned from: .*b\.mp4"):
        read(read_course(unlabelled), tmp_path / "work")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty is no data set: there is nothing of the kind.*videos, too \(\.mp4"):
        read(read_course([*TINY, "labels=false", f"data={tmp_path / 'empty'}"]), tmp_path / "work")
    with pytest.raises(DatasetError, match="no such file or folder"):
        read(read_course([*TINY, "labels=false", f"data={tmp_path / 'nowhere'}"]), tmp_path / "work")
    for settings in (["camera=front"], ["camera=front", f"data={good}"]):
        with pytest.raises(TaskError, match="camera= chooses pictures of data=FOLDER with labels=false"):
            read(read_course([*TINY, *settings]), tmp_path / "work")


def test_recorded_actions_of_another_scale_or_rate_are_refused(tmp_path: Path) -> None:
    keywords = {**KEYWORDS, "obs_mode": "state+rgb", "image_size": 32}
    record(Source("PocketWorlds/Reach-v0", keywords=keywords, states=False), tmp_path / "own", episodes=1)
    (one,) = open_trajectories(tmp_path / "own")
    course = read_course([*TINY, f"data={tmp_path / 'changed'}"])
    for changed, said in (
        (
            {"actions": one.actions * 90},
            r"actions go up to 90, those of the model from -1 to 1; scale them as ee_delta",
        ),
        ({"origin": Origin(control_rate=30)}, "has 30 control steps a second, the model has 20"),
    ):
        parts = {**vars(one), **changed}
        write_trajectories(tmp_path / "changed", [Trajectory(**parts)], replace=True)
        with pytest.raises(DatasetError, match=said):
            read(course, tmp_path / "work")
