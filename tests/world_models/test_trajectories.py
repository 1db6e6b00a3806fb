"""Trajectories survive every format exactly, others can read them, and damaged files end in one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import shutil
import sys
import tempfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pocketworlds.errors import DatasetError, MissingDependencyError
from pocketworlds.world_models.trajectories import (
    FORMATS,
    Origin,
    StatePart,
    Trajectory,
    open_trajectories,
    write_trajectories,
)
from pocketworlds.world_models.trajectories.minari import dataset_id
from pocketworlds.world_models.trajectories.trajectory import DTYPES

KINDS = st.tuples(st.lists(st.integers(1, 4), max_size=3).map(tuple), st.sampled_from(DTYPES)) | st.just(
    ((5, 4, 3), "uint8")
)


def same(a: Trajectory, b: Trajectory) -> None:
    assert a.differences(b) == ()


@st.composite
def recordings(draw: st.DrawFn, final: bool | None = None) -> list[Trajectory]:
    """Trajectories of one made-up environment."""
    bare = draw(st.booleans())
    kinds = draw(st.dictionaries(st.sampled_from(["state", "rgb", "depth", "x"]), KINDS, min_size=1, max_size=3))
    if bare:
        kinds = dict([kinds.popitem()])
    action = draw(st.tuples(st.integers(1, 3), st.sampled_from(["float32", "float64"])))
    last = draw(st.booleans()) if final is None else final
    width = draw(st.none() | st.integers(1, 5))
    origin = Origin(
        env_id=draw(st.sampled_from(["", "PocketWorlds/Scan-v0"])),
        keywords={"object": "box", "image_size": [4, 5]},
        max_episode_steps=draw(st.none() | st.integers(1, 9)),
        policy="made up",
        bare=bare,
        bounds={"action": (-1.0, 1.0)},
        state_layout=() if width is None else (StatePart("simulator/physics", (width,), "float64"),),
        versions={"mujoco": "4.0.0"},
    )

    def array(dtype: str, *shape: int) -> np.ndarray:
        return draw(arrays.arrays(dtype, shape))

    made = []
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(1, 5))
        made.append(
            Trajectory(
                observations={name: array(dtype, steps + last, *shape) for name, (shape, dtype) in kinds.items()},
                actions=array(action[1], steps, action[0]),
                rewards=array("float64", steps),
                terminated=array("bool", steps),
                truncated=array("bool", steps),
                success=array("bool", steps),
                instruction=draw(
                    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
                ),
                seed=draw(st.none() | st.integers(0, 2**128)),
                episode=draw(st.none() | st.integers(0, 2**31)),
                states=None if width is None else array("float64", steps + last, width),
                origin=origin,
            )
        )
    return made


def few(count: int = 3, *, size: int = 32, steps: int = 5) -> list[Trajectory]:
    """Plain trajectories with pictures whose colour tells episode and step."""
    chance = np.random.default_rng(0)
    made = []
    for episode in range(count):
        length = steps + episode
        shade = (40 * episode + 5 * np.arange(length + 1)).astype(np.uint8)
        made.append(
            Trajectory(
                observations={
                    "state": chance.normal(size=(length + 1, 4)).astype(np.float32),
                    "rgb": np.broadcast_to(shade[:, None, None, None], (length + 1, size, size, 3)).copy(),
                },
                actions=chance.uniform(-1, 1, (length, 2)).astype(np.float32),
                rewards=chance.uniform(size=length),
                terminated=np.zeros(length, dtype=bool),
                truncated=np.arange(length) == length - 1,
                success=np.arange(length) > 2,
                instruction=f"lift {'ab'[episode % 2]}",
                seed=7,
                episode=episode,
                states=chance.normal(size=(length + 1, 6)),
                origin=Origin(
                    env_id="PocketWorlds/Scan-v0",
                    keywords={"object": "box"},
                    max_episode_steps=150,
                    bounds={"action": (-1.0, 1.0)},
                    state_layout=(StatePart("simulator/physics", (6,), "float64"),),
                ),
            )
        )
    return made


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# Round trips --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_every_format_keeps_every_bit(format: str, data: st.DataObject) -> None:
    made = data.draw(recordings(final=True if format == "minari" else None))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        write_trajectories(out, iter(made), format, pictures="png")
        found = open_trajectories(out)
        assert (found.format, len(found), found.origin) == (format, len(made), made[0].origin)
        for wrote, read in zip(made, found, strict=True):
            same(wrote, read)
        assert [path.name for path in Path(folder).iterdir()] == ["set"]


def test_differences_are_told() -> None:
    one = few(1)[0]
    rewards = one.rewards.copy()
    rewards[0] = -0.0
    seen = one.observations | {"rgb": one.observations["rgb"].astype(np.int64)}
    assert one.differences(dataclasses.replace(one, seed=8, rewards=rewards, states=None)) == (
        "rewards",
        "seed",
        "states",
    )
    assert one.differences(dataclasses.replace(one, observations=seen)) == ("observations/rgb",)
    zero = dataclasses.replace(one, rewards=np.zeros(5))
    assert zero.differences(dataclasses.replace(one, rewards=-np.zeros(5))) == ("rewards",)


@pytest.mark.parametrize("format", FORMATS)
def test_reading_like_a_sequence(tmp_path: Path, format: str) -> None:
    made = few()
    found = write_trajectories(tmp_path / "set", made, format, pictures="png")
    same(found[-1], made[-1])
    assert [len(item) for item in found[1:]] == [6, 7]
    with pytest.raises(IndexError, match="no number 3"):
        found[3]


def test_films_show_the_right_pictures_and_say_that_they_are_lossy(tmp_path: Path) -> None:
    made = few(8)
    found = write_trajectories(tmp_path / "set", made)
    for wrote, read in zip(made, found, strict=True):
        assert read.lossy == {"rgb"}
        error = np.abs(read.observations["rgb"].astype(int) - wrote.observations["rgb"])
        assert error.max() <= 2  # steps differ by 5
        assert (read.observations["rgb"][-1] == wrote.observations["rgb"][-1]).all()
        same(dataclasses.replace(read, observations=wrote.observations, lossy=frozenset()), wrote)
    again = write_trajectories(tmp_path / "copy", found, "minari")
    assert again[0].lossy == {"rgb"}


def test_pictures_of_odd_sides_are_stored_exactly(tmp_path: Path) -> None:
    made = few(size=33)
    for wrote, read in zip(made, write_trajectories(tmp_path / "set", made), strict=True):
        same(wrote, read)


def test_big_data_sets_are_split_into_files(tmp_path: Path) -> None:
    from pocketworlds.world_models.trajectories.lerobot import write_lerobot

    made = few(4)
    write_lerobot(tmp_path, made, data_mb=0, video_mb=0)
    assert len(list(tmp_path.glob("data/*/*.parquet"))) == 4
    assert len(list(tmp_path.glob("videos/*/*/*.mp4"))) == 4
    for wrote, read in zip(made, open_trajectories(tmp_path), strict=True):
        same(dataclasses.replace(read, observations=wrote.observations, lossy=frozenset()), wrote)


def test_format_is_recognised_by_content(tmp_path: Path) -> None:
    for format in FORMATS:
        write_trajectories(tmp_path / format, few(), format)
    assert open_trajectories(tmp_path / "minari" / "data").format == "minari"
    assert open_trajectories(tmp_path / "minari" / "data" / "main_data.hdf5").format == "minari"
    moved = shutil.move(tmp_path / "robomimic" / "dataset.hdf5", tmp_path / "demonstrations")
    assert len(open_trajectories(moved)) == 3


# What others expect -------------------------------------------------------------------------------------------------


def test_minari_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minari = pytest.importorskip("minari")
    made = few(size=40)
    write_trajectories(tmp_path / "pocketworlds" / "lift-v3", made, "minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    found = minari.load_dataset("pocketworlds/lift-v3")
    assert found.total_episodes == 3
    assert found.total_steps == sum(map(len, made))
    assert list(minari.list_local_datasets()) == ["pocketworlds/lift-v3"]
    for wrote, read in zip(made, found.iterate_episodes(), strict=True):
        assert (read.actions == wrote.actions).all()
        assert (read.rewards == wrote.rewards).all()
        assert (read.truncations == wrote.truncated).all()
        assert (read.infos["success"][1:] == wrote.success).all()
        for name, values in wrote.observations.items():
            assert (read.observations[name] == values).all()
            assert read.observations[name][0] in found.observation_space[name]
        assert read.actions[0] in found.action_space
    (metadata,) = found.storage.get_episode_metadata([2])
    assert (metadata["seed"], metadata["options"]["episode"]) == (7, 2)
    assert found.env_spec.id == "PocketWorlds/Scan-v0"
    assert found.env_spec.kwargs == {"object": "box"}
    assert isinstance(found.recover_environment(), gym.Env)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("out/lift", "pocketworlds/lift-v0"),
        ("a/bc/lift-v2", "bc/lift-v2"),
        ("a/lift-v2", "lift-v2"),
        ("/my data", "pocketworlds/my-data-v0"),
    ],
)
def test_minari_id(name: str, wanted: str) -> None:
    minari = pytest.importorskip("minari.dataset.minari_dataset")
    assert dataset_id(name) == wanted
    assert minari.parse_dataset_id(wanted)[2] is not None


def test_lerobot_layout(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    made = few(3)
    write_trajectories(tmp_path / "set", made)
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    data = pq.read_table(tmp_path / "set/data/chunk-000/file-000.parquet")
    films = {key for key, feature in info["features"].items() if feature["dtype"] == "video"}
    assert films == {"observation.images.rgb"}
    assert set(data.column_names) == set(info["features"]) - films
    assert info["splits"] == {"train": "0:3"}
    assert (info["fps"], info["total_frames"], info["total_tasks"]) == (20, len(data), 2)
    assert data["index"].to_pylist() == list(range(len(data)))
    np.testing.assert_allclose(data["timestamp"], data["frame_index"].to_numpy() / 20)
    episodes = pq.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet").to_pylist()
    for wrote, row in zip(made, episodes, strict=True):
        assert row["dataset_to_index"] - row["dataset_from_index"] == row["length"] == len(wrote)
        span = row["videos/observation.images.rgb/to_timestamp"] - row["videos/observation.images.rgb/from_timestamp"]
        assert span == pytest.approx(len(wrote) / 20)
        assert row["tasks"] == [wrote.instruction]
    tasks = pq.read_table(tmp_path / "set/meta/tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0, 1], "task": ["lift a", "lift b"]}
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


def test_lerobot_statistics_are_those_of_all_frames(tmp_path: Path) -> None:
    made = few(3)
    write_trajectories(tmp_path / "set", made)
    stats = json.loads((tmp_path / "set/meta/stats.json").read_text())
    actions = np.concatenate([item.actions for item in made]).astype(np.float64)
    pictures = np.concatenate([item.observations["rgb"][:-1] for item in made]) / 255
    for key, values, axes in (("action", actions, 0), ("observation.images.rgb", pictures, (0, 1, 2))):
        found = {name: np.array(value) for name, value in stats[key].items()}
        assert found["count"] == len(values)
        for name in ("min", "max", "mean", "std"):
            np.testing.assert_allclose(found[name].ravel(), getattr(values, name)(axis=axes), rtol=1e-6, atol=1e-9)
        assert (found["q01"] <= found["q50"]).all()
        assert (found["q50"] <= found["q99"]).all()
    assert np.shape(stats["observation.images.rgb"]["mean"]) == (3, 1, 1)
    assert np.shape(stats["next.reward"]["mean"]) == (1,)


def test_robomimic_layout(tmp_path: Path) -> None:
    import h5py

    made = few(12, steps=2)
    write_trajectories(tmp_path / "set", made, "robomimic")
    with h5py.File(tmp_path / "set/dataset.hdf5") as file:
        assert file["data"].attrs["total"] == sum(map(len, made))
        assert json.loads(file["data"].attrs["env_args"]) == {
            "env_name": "PocketWorlds/Scan-v0",
            "type": 2,
            "env_kwargs": {"object": "box"},
        }
        assert [name.decode() for name in file["mask/valid"]] == ["demo_9"]
        assert len(file["mask/train"]) == 11
        demo = file["data/demo_3"]
        assert demo.attrs["num_samples"] == len(demo["dones"]) == len(demo["states"]) == 5
        assert demo["dones"][:].tolist() == [0, 0, 0, 0, 1]
        assert (demo["next_obs/state"][:-1] == demo["obs/state"][1:]).all()


@pytest.mark.parametrize("format", FORMATS)
def test_data_sets_of_others(tmp_path: Path, format: str) -> None:
    """The same files without what is ours."""
    made = few()
    root = tmp_path / "set"
    write_trajectories(root, made, format, pictures="png")
    if format == "lerobot":
        (root / "meta/pocketworlds.parquet").unlink()
    elif format == "minari":
        path = root / "data/metadata.json"
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "pocketworlds"}))
    else:
        import h5py

        with h5py.File(root / "dataset.hdf5", "a") as file:
            del file["data"].attrs["pocketworlds"]
    found = open_trajectories(root)
    assert len(found) == 3
    for wrote, read in zip(made, found, strict=True):
        assert (read.actions == wrote.actions).all()
        steps = slice(0, read.num_observations)
        assert all((read.observations[k] == v[steps]).all() for k, v in wrote.observations.items())
        assert read.has_final == (format != "lerobot")


# Wrong use ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_cut_off_files_end_in_one_sentence(tmp_path: Path, format: str) -> None:
    write_trajectories(tmp_path / "set", few(), format)
    for file in files(tmp_path / "set"):
        content = file.read_bytes()
        # The last bytes of a film are the encoder's name.
        for length in (0, len(content) // 3, len(content) - (100 if file.suffix == ".mp4" else 5)):
            file.write_bytes(content[:length])
            with pytest.raises(DatasetError) as caught:
                list(open_trajectories(tmp_path / "set"))
            assert str(tmp_path) in str(caught.value)
            assert "\n" not in str(caught.value)
        file.write_bytes(content)
    assert len(list(open_trajectories(tmp_path / "set"))) == 3


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_told_or_harmless(tmp_path: Path, format: str, seed: int) -> None:
    write_trajectories(tmp_path / "set", few(), format)
    chance = random.Random(seed)
    for file in files(tmp_path / "set"):
        content = file.read_bytes()
        for _ in range(4):
            broken = bytearray(content)
            for _ in range(chance.choice((1, 20))):
                broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
            file.write_bytes(broken)
            with contextlib.suppress(DatasetError):
                list(open_trajectories(tmp_path / "set"))
        file.write_bytes(content)


@pytest.mark.parametrize("format", ["minari", "robomimic"])
def test_checksums_find_a_flipped_bit(tmp_path: Path, format: str) -> None:
    made = few(1)
    write_trajectories(tmp_path / "set", made, format)
    file = next(path for path in files(tmp_path / "set") if path.suffix == ".hdf5")
    content = file.read_bytes()
    chance = random.Random(1)
    for _ in range(60):
        broken = bytearray(content)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        file.write_bytes(broken)
        try:
            (read,) = open_trajectories(tmp_path / "set")
        except DatasetError:
            continue
        same(read, made[0])


def test_what_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("sun")
    for name, told in (("nowhere", "no such file"), ("empty", "nothing of the kind"), ("text", "not an HDF5 file")):
        with pytest.raises(DatasetError, match=told):
            open_trajectories(tmp_path / name)
    write_trajectories(tmp_path / "old", few())
    info = tmp_path / "old/meta/info.json"
    info.write_text(info.read_text().replace("v3.0", "v2.1"))
    with pytest.raises(DatasetError, match=r"version v2\.1; convert"):
        open_trajectories(tmp_path / "old")


@pytest.mark.parametrize("format", FORMATS)
def test_what_does_not_belong_together_is_not_written(tmp_path: Path, format: str) -> None:
    one, two, _ = few()
    other = dataclasses.replace(two, actions=two.actions.astype(np.float64))
    with pytest.raises(DatasetError, match="trajectory 1 does not belong"):
        write_trajectories(tmp_path / "set", [one, other], format)
    with pytest.raises(DatasetError, match="no trajectories"):
        write_trajectories(tmp_path / "set", [], format)
    assert list(tmp_path.iterdir()) == []


def test_existing_folders_are_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("")
    write_trajectories(tmp_path / "set", few())
    with pytest.raises(DatasetError, match="exists already"):
        write_trajectories(tmp_path / "set", few())
    with pytest.raises(DatasetError, match="will not be overwritten"):
        write_trajectories(tmp_path / "mine", few(), replace=True)
    assert len(write_trajectories(tmp_path / "set", few(2), "minari", replace=True)) == 2
    with pytest.raises(DatasetError, match="writable"):
        write_trajectories(tmp_path / "mine" / "diary.txt" / "set", few())
    with pytest.raises(DatasetError, match="choose one of lerobot"):
        write_trajectories(tmp_path / "x", few(), "zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "set"]


@pytest.mark.parametrize(("format", "module"), [("lerobot", "pyarrow"), ("minari", "h5py"), ("robomimic", "h5py")])
def test_missing_library_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.parquet", None)
    with pytest.raises(MissingDependencyError, match=rf"{module}.*pocketworlds\[data\]"):
        write_trajectories(tmp_path / "set", few(), format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"actions": np.zeros((0, 2))}, "needs actions"),
        ({"observations": {}}, "at least one observation"),
        ({"observations": {"a b": np.zeros((6, 1))}}, "letters, digits"),
        ({"observations": {"state": np.zeros((4, 1))}}, "go with 6 observations, not with 4"),
        ({"observations": {"state": np.zeros((6, 1), dtype="float16")}}, "supported are"),
        ({"rewards": np.zeros(5, dtype=np.float32)}, "rewards must be float64"),
        ({"states": np.zeros((3, 2))}, "states must be"),
    ],
)
def test_parts_that_do_not_fit(change: dict, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        dataclasses.replace(few(1)[0], **change)
