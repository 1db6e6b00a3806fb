"""The scene folder: named errors, atomic writing, and a round trip that changes nothing."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.errors import SceneError
from pocketworlds.scenes import Scene, load_scene, save_scene
from pocketworlds.scenes.folder import SCENE_FILE, assets, atomic_folder
from pocketworlds.scenes.mjcf import compile_scene

from .builders import floor, scene, textured, thing


def written(folder: Path) -> dict[str, Any]:
    save_scene(scene(thing("box", (0, 0, 0.05)), thing("can", (0.3, 0, 0.05), shape="cylinder")), folder)
    content: dict[str, Any] = json.loads((folder / SCENE_FILE).read_text())
    return content


def rewrite(folder: Path, content: object) -> None:
    (folder / SCENE_FILE).write_text(json.dumps(content))


def test_round_trip_is_exact(tmp_path: Path) -> None:
    start = textured(tmp_path)
    save_scene(start, tmp_path)
    loaded = load_scene(tmp_path)
    assert loaded == start
    assert loaded.folder == tmp_path
    assert assets(loaded) == {"meshes/hull.obj", "meshes/shell.obj", "textures/paint.png"}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        (lambda c: c.pop("name"), "name", "required"),
        (lambda c: c.update(name="a b"), "name", "pattern"),
        (lambda c: c.update(surprise=1), "surprise", "not permitted"),
        (lambda c: c["objects"][0]["body"]["pose"].update(quaternion=[2, 0, 0, 0]), "quaternion", "length 1"),
        (lambda c: c["objects"][0]["body"]["pose"].update(position=[0, 0]), "position", "required"),
        (lambda c: c["objects"][0].update(size=[0.1, -0.1, 0.1]), "size.1", "greater than 0"),
        (lambda c: c["objects"][0]["body"]["friction"].update(low=9.0), "friction", "low <= value"),
        (lambda c: c["objects"][0].update(mobility="maybe"), "mobility", "'free' or 'fixed'"),
        (lambda c: c["objects"][0].update(support="moon"), "top level", "support 'moon'"),
        (lambda c: c["objects"][1].update(name="box"), "top level", "unique"),
        (
            lambda c: c["objects"][0]["body"]["visual"].update(mesh="../../x.obj"),
            "visual.mesh",
            "inside the scene",
        ),
        (lambda c: c["objects"][0]["body"]["visual"].update(mesh="/x.obj"), "visual.mesh", "inside the scene"),
        (lambda c: c["objects"][0]["body"]["collision"][0].update(shape="mesh"), "collision.0", "exactly when"),
    ],
)
def test_bad_field_is_named_with_file_and_reason(tmp_path: Path, change: Any, field: str, reason: str) -> None:
    content = written(tmp_path)
    change(content)
    rewrite(tmp_path, content)
    with pytest.raises(SceneError) as caught:
        load_scene(tmp_path)
    message = str(caught.value)
    assert str(tmp_path / SCENE_FILE) in message
    assert field in message
    assert reason in message


def test_other_schema_version_says_so(tmp_path: Path) -> None:
    content = written(tmp_path)
    content["schema_version"] = 7
    rewrite(tmp_path, content)
    with pytest.raises(SceneError, match=r"schema version 7 is not the supported 1"):
        load_scene(tmp_path)


def test_missing_asset_is_named(tmp_path: Path) -> None:
    save_scene(textured(tmp_path), tmp_path)
    (tmp_path / "meshes/hull.obj").unlink()
    with pytest.raises(SceneError, match=r"meshes/hull\.obj"):
        load_scene(tmp_path)


def test_folder_without_a_scene_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="pocketworlds scan"):
        load_scene(tmp_path)
    with pytest.raises(SceneError, match="pocketworlds scan"):
        load_scene(tmp_path / "nowhere")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"name": NaN}', b"[" * 5000])
def test_broken_file_is_a_scene_error(tmp_path: Path, text: bytes) -> None:
    (tmp_path / SCENE_FILE).write_bytes(text)
    with pytest.raises(SceneError, match=SCENE_FILE):
        load_scene(tmp_path)


def test_scene_file_that_is_a_folder_is_a_scene_error(tmp_path: Path) -> None:
    (tmp_path / SCENE_FILE).mkdir()
    with pytest.raises(SceneError, match="cannot be read"):
        load_scene(tmp_path)


def test_object_lookup_lists_names() -> None:
    with pytest.raises(KeyError, match=r"box"):
        scene(thing("box", (0, 0, 0.05))).object("bax")


def test_atomic_folder_writes_all_or_nothing(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "scene"

    def fail_half_way() -> None:
        with atomic_folder(out) as partial:
            (partial / "half.txt").write_text("half")
            raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        fail_half_way()
    assert list((tmp_path / "deep").iterdir()) == []
    with atomic_folder(out) as partial:
        (partial / SCENE_FILE).write_text("{}")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["scene"]
    assert (out / SCENE_FILE).read_text() == "{}"


def test_atomic_folder_keeps_the_old_scene_when_the_new_one_fails(tmp_path: Path) -> None:
    out = tmp_path / "scene"
    with atomic_folder(out) as partial:
        (partial / SCENE_FILE).write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(out, replace=True) as partial:
        raise KeyboardInterrupt
    assert (out / SCENE_FILE).read_text() == "old"
    with atomic_folder(out, replace=True) as partial:
        (partial / SCENE_FILE).write_text("new")
    assert (out / SCENE_FILE).read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["scene"]


def test_atomic_folder_refuses_what_it_must_not_replace(tmp_path: Path) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("years of work")
    with pytest.raises(SceneError, match="exists already"), atomic_folder(foreign):
        pass
    with pytest.raises(SceneError, match="not a scene folder"), atomic_folder(foreign, replace=True):
        pass
    assert (foreign / "chapter.tex").read_text() == "years of work"
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(SceneError, match="not a scene folder"), atomic_folder(file, replace=True):
        pass
    with pytest.raises(SceneError, match="cannot write"), atomic_folder(file / "inside"):
        pass


OBJECTS = (thing("box", (0, 0, 0.05)), thing("can", (0.3, 0, 0.05), shape="cylinder"))
BASE = json.loads(scene(*OBJECTS, surfaces=(floor(),)).model_dump_json())


def _paths(value: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [at] * bool(at) + [path for key, item in items for path in _paths(item, (*at, key))]


def assert_scene_or_scene_error(folder: Path) -> None:
    """Any other exception fails the test. What can be loaded compiles, or says why not."""
    with contextlib.suppress(SceneError):
        loaded = load_scene(folder)
        assert isinstance(loaded, Scene)
        compile_scene(loaded)


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.floats(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.sampled_from(["../x", "/etc/passwd", "mesh", "box", "1e400", "\x00", "a/../../b", -1, 0, 1e308]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations=st.lists(st.tuples(st.sampled_from(_paths(BASE)), st.booleans(), junk), min_size=1, max_size=4))
def test_mutated_scene_is_valid_or_a_scene_error(
    tmp_path: Path, mutations: list[tuple[tuple[str | int, ...], bool, object]]
) -> None:
    content = json.loads(json.dumps(BASE))
    for path, delete, value in mutations:
        target = content
        try:
            for key in path[:-1]:
                target = target[key]
            if delete:
                del target[path[-1]]
            else:
                target[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    rewrite(tmp_path, content)
    assert_scene_or_scene_error(tmp_path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 4000), flips=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=5))
def test_corrupted_bytes_are_valid_or_a_scene_error(tmp_path: Path, cut: int, flips: list[tuple[int, int]]) -> None:
    raw = bytearray(json.dumps(BASE).encode())
    for place, value in flips:
        raw[place % len(raw)] = value
    (tmp_path / SCENE_FILE).write_bytes(raw[: len(raw) - cut % len(raw)])
    assert_scene_or_scene_error(tmp_path)
