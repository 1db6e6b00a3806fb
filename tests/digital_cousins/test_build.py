"""Sets of cousins: the same for any number of workers and after an interrupt; complete or not there at all."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pocketworlds.digital_cousins import build
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import CousinConfig
from pocketworlds.digital_cousins.cousin import MANIFEST, Cousin
from pocketworlds.digital_cousins.cousin_set import TABLE, CousinSet, file_hash, load_cousins
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.errors import SceneError
from pocketworlds.scenes import Scene
from pocketworlds.scenes.scene import Pose

COUNT = 30  # two chunks
TWIN = builtin_scene("one_cube")


@dataclass(frozen=True)
class Light:
    """Refuses heavy cubes."""

    name: str = "light cubes"
    most: float = 1.0

    def __call__(self, cousin: Cousin) -> tuple[str, str] | None:
        heavy = cousin.factors["mass.cube"] > self.most
        return ("heavy", "the cube is too heavy") if heavy else None


@dataclass(frozen=True)
class Never:
    """Refuses all."""

    name: str = "nothing"

    def __call__(self, cousin: Cousin) -> tuple[str, str] | None:
        return "too dull", "it is too dull"


def make(out: Path, **more: object) -> CousinSet:
    few = CousinConfig(instance={"on": False}, clutter={"on": False})
    options: dict[str, object] = {"count": COUNT, "seed": 3, "config": few, "workers": 1}
    return make_cousins(TWIN, out, **{**options, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    """The page has tests of its own, in `test_report`, and takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "write_report", lambda *given, **options: None)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CousinSet:
    return make(tmp_path_factory.mktemp("sets") / "made")


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_hash(p) for p in sorted(folder.rglob("*")) if p.is_file()}


def interrupt(after: int) -> Callable[[str, float], None]:
    told = []

    def notify(stage: str, share: float) -> None:
        told.append(stage)
        if told.count("cousins") > after:
            raise KeyboardInterrupt

    return notify


def test_a_set_is_what_was_asked_for(made: CousinSet):
    assert [len(made.indices(split)) for split in ("train", "validation", "test")] == [24, 3, 3]
    assert len(made) == len(made.indices()) == COUNT
    entries = made.manifest.entries
    assert [e.index for e in entries] == sorted({e.index for e in entries})
    assert made.manifest.tried == COUNT + sum(made.manifest.rejected.values()) or made.manifest.tried > COUNT
    for position in made.indices("test"):
        cousin = made.load(int(position))
        assert (cousin.split, cousin.index % 10) == ("test", 9)
        assert cousin.scene.settled
        assert cousin.factors["mass.cube"] == made.table["mass.cube"][position]
    assert made.damaged() == []
    assert 0 < np.mean([entry.distance for entry in entries]) < 0.5


def test_two_workers_make_the_same_bytes_as_one(made: CousinSet, tmp_path: Path):
    other = make(tmp_path / "two", workers=2)
    assert contents(other.folder) == contents(made.folder)
    assert [p.name for p in tmp_path.iterdir()] == ["two"]  # what was kept for going on is gone


def test_an_interrupted_run_goes_on_to_the_same_set(made: CousinSet, tmp_path: Path):
    out, making = tmp_path / "set", tmp_path / ".set.making"
    with pytest.raises(KeyboardInterrupt):
        make(out, notify=interrupt(20))
    assert not out.exists()
    (first,) = making.glob("chunks/000000.json")
    before = first.stat().st_mtime_ns
    first.with_name("000001.partial").write_text("half a chu")
    seen = []
    found = make(out, notify=lambda stage, share: seen.append(first.stat().st_mtime_ns if first.exists() else 0))
    assert contents(found.folder) == contents(made.folder)
    assert set(seen) == {before, 0}  # it was read and not made again


def test_another_request_does_not_go_on_from_it(tmp_path: Path):
    out, making = tmp_path / "set", tmp_path / ".set.making"
    with pytest.raises(KeyboardInterrupt):
        make(out, notify=interrupt(0))
    (first,) = making.glob("chunks/000000.json")
    first.write_text("what would be gone on from")
    others: list[dict[str, object]] = [
        {"seed": 4},
        {"config": CousinConfig()},
        {"check": Light()},
        {"needed": ["cube"]},
    ]
    for more in others:
        with pytest.raises(KeyboardInterrupt):
            make(out, notify=interrupt(0), **more)
        assert not first.exists() or "what would" not in first.read_text()


def test_a_set_is_replaced_when_asked_to_and_nothing_else_ever(made: CousinSet, tmp_path: Path):
    for name in ("set", "mine"):
        (tmp_path / name).mkdir()
    (tmp_path / "set" / MANIFEST).write_text("an old one")
    (tmp_path / "mine" / "letters.txt").write_text("dear")
    with pytest.raises(SceneError, match="exists already"):
        make(tmp_path / "set")
    with pytest.raises(SceneError, match="not a set of cousins and will not be overwritten"):
        make(tmp_path / "mine", replace=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "set"]  # refused before any work
    found = make(tmp_path / "set", replace=True)
    assert contents(found.folder) == contents(made.folder)


@pytest.mark.parametrize("where", ["write_text", "copyfile", "write_bytes"])
def test_a_full_disk_ends_in_a_sentence_and_leaves_no_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    out = tmp_path / "set"
    with monkeypatch.context() as patch:
        if where == "copyfile":
            patch.setattr(build.shutil, where, full)
        elif where == "write_bytes":
            patch.setattr(Path, where, full)
        else:
            kept = Path.write_text
            partly = lambda path, *rest, **more: full() if path.name == MANIFEST else kept(path, *rest, **more)  # noqa: E731
            patch.setattr(Path, where, partly)
        with pytest.raises(
            SceneError, match=r"cannot write the set of cousins .*No space left on device.*run again"
        ) as it:
            make(out, count=6)
    assert "\n" not in str(it.value)
    assert [p.name for p in tmp_path.iterdir()] == [".set.making"]
    assert len(make(out, count=6)) == 6


def test_a_process_that_dies_ends_in_a_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def dies(number: int) -> None:
        raise BrokenProcessPool(f"chunk {number}")

    monkeypatch.setattr(build, "_chunk", dies)
    with pytest.raises(SceneError, match=r"ended unexpectedly.*fewer workers"):
        make(tmp_path / "set", count=6)


def test_too_few_valid_ones_are_counted_by_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "PATIENCE", 1)
    monkeypatch.setattr(build, "CHUNK", 3)
    with pytest.raises(SceneError, match=r"only 0 of 6 cousins after 30 candidates \(too dull: .*vary less"):
        make(tmp_path / "set", count=6, check=Never(), config=CousinConfig(kinship="near"))
    assert not (tmp_path / "set").exists()


def test_what_a_check_refuses_is_not_in_the_set(tmp_path: Path):
    found = make(tmp_path / "set", count=8, check=Light())
    assert found.manifest.task == "light cubes"
    assert found.manifest.rejected["heavy"] > 0
    assert all(value <= 1.0 for value in found.table["mass.cube"])


def test_scenes_that_do_not_do_are_refused(tmp_path: Path):
    twin = builtin_scene("blocks")
    bad: list[tuple[Scene, str]] = [
        (twin.model_copy(update={"settled": False}), "not at rest"),
        (twin.model_copy(update={"objects": ()}), "nothing to make cousins of"),
        (circle(), "which is said to stand on"),
    ]
    for scene, why in bad:
        with pytest.raises(SceneError, match=why):
            make_cousins(scene, tmp_path / "set", count=6, library={}, workers=1)
    with pytest.raises(SceneError, match="'mug' is not in scene 'blocks'"):
        make_cousins(twin, tmp_path / "set", count=6, library={}, workers=1, needed=["mug"])
    with pytest.raises(SceneError, match="at least 6"):
        make_cousins(twin, tmp_path / "set", count=5, library={}, workers=1)
    assert not (tmp_path / "set").exists()


def circle() -> Scene:
    """Two things each of which is said to stand on the other."""
    twin = builtin_scene("blocks")
    names = {"red_cube": "blue_cube", "blue_cube": "red_cube"}
    objects = tuple(item.model_copy(update={"support": names.get(item.name, item.support)}) for item in twin.objects)
    return twin.model_copy(update={"objects": objects})


# -- what may happen to a folder ---------------------------------------------------------------------------------------


@pytest.fixture
def copy(made: CousinSet, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


@pytest.mark.parametrize("how", ["cut", "moved", "gone"])
def test_a_damaged_or_tampered_cousin_is_refused(copy: Path, how: str):
    found = load_cousins(copy)
    path = copy / found.manifest.entries[4].file
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        written = json.loads(path.read_text())
        written["rig"]["latency"] = 0.05
        path.write_text(json.dumps(written))
    with pytest.raises(SceneError, match=rf"{path.name}.*again"):
        found.load(4)
    assert found.load(3).scene.settled
    assert found.damaged() == [found.manifest.entries[4].file]


def test_a_table_or_mesh_that_was_changed_is_found(copy: Path):
    found = load_cousins(copy)
    texture = next(name for name in found.manifest.files if name.startswith("textures/"))
    (copy / texture).write_bytes(b"other")
    (copy / TABLE).write_bytes(b"PAR1")
    assert found.damaged() == [TABLE, texture]
    with pytest.raises(SceneError, match=rf"{TABLE}.*again"):
        found.factors(0)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda written: {**written, "schema_version": 2, "novelty": 1}, "is of format 2, this version reads 1"),
        (lambda written: {k: v for k, v in written.items() if k != "schema_version"}, "is of format None"),
        (lambda written: {**written, "seed": "many"}, "cannot be read"),
        (lambda written: [written], "is of format None"),
        (lambda written: "{", "cannot be read|format"),
    ],
)
def test_a_manifest_of_another_kind_is_refused_in_a_sentence(copy: Path, change: Callable, told: str):
    written = json.loads((copy / MANIFEST).read_text())
    (copy / MANIFEST).write_text(json.dumps(change(written)))
    with pytest.raises(SceneError, match=told) as caught:
        load_cousins(copy)
    assert "\n" not in str(caught.value)
    (copy / MANIFEST).write_text("{ no json")
    with pytest.raises(SceneError, match="cannot be read"):
        load_cousins(copy)


def test_a_folder_that_is_no_set_says_what_to_do(tmp_path: Path):
    with pytest.raises(SceneError, match="no set of cousins"):
        load_cousins(tmp_path)


def test_a_twin_keeps_where_its_things_are(tmp_path: Path):
    """A set of kinship twin is the twin so many times: nothing but its settling is between them."""
    found = make(tmp_path / "set", count=6, config=CousinConfig(kinship="twin"))
    for position in range(6):
        for item in found.load(position).scene.objects:
            pose: Pose = TWIN.object(item.name).body.pose
            np.testing.assert_allclose(item.body.pose.position, pose.position, atol=1e-3)
    assert all(entry.distance == 0 for entry in found.manifest.entries)
