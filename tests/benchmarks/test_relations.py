"""The relation benchmark counts what it says, on a folder whose truth was written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pocketworlds.benchmarks.relations import main, tally
from pocketworlds.envs.builtin.authoring import TABLE_TOP, authored_object, table_surfaces
from pocketworlds.errors import SceneError
from pocketworlds.scenes import Scene, save_scene
from pocketworlds.scenes.primitives import box, cylinder


def write(folder: Path, *, books_found: bool) -> None:
    """Two parallel books that touch, and a can that truly stands on the first of them."""
    book, can = (0.2, 0.14, 0.03), (0.066, 0.066, 0.115)
    objects = [
        authored_object("book_1", "book", [box(*book)], book, at=(0, 0)),
        authored_object("book_2", "book", [box(*book)], book, at=(0.2005, 0)),
        authored_object("can_1", "can", [cylinder(0.066, 0.115)], can, at=(0, 0), on="book_1", top=TABLE_TOP + 0.03),
    ]
    (folder / "scene").mkdir(parents=True)
    save_scene(Scene(name="test", surfaces=table_surfaces(), objects=tuple(objects), settled=True), folder / "scene")
    other_yaw = 1.5708 if books_found else 0.3
    true = [
        {"name": "a", "category": "book", "stands_on": "table", "touches": ["b", "c"], "yaw": 0.0},
        {
            "name": "b",
            "category": "book",
            "stands_on": "table",
            "touches": ["a"],
            "yaw": other_yaw,
        },
        {"name": "c", "category": "can", "stands_on": "a", "touches": ["a"], "yaw": 0.0},
    ]
    pairs = [("a", "book_1", "book"), ("b", "book_2", "book"), ("c", "can_1", "can")]
    scored = [
        {"truth": truth, "found": found, "category": category, "box_iou": 0.9}
        for truth, found, category in pairs[0 if books_found else 1 :]
    ]
    (folder / "truth.json").write_text(json.dumps({"objects": true}))
    (folder / "score.json").write_text(json.dumps({"score": {"objects": scored}}))


def test_counts_of_a_known_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "one", books_found=True)
    found = tally(tmp_path)
    assert (found.objects, found.on, found.borne_by_found, found.on_found) == (3, 3, 3, 3)
    assert (found.touching, found.beside, found.neighbours, found.alignment) == (1, 1, 1, 1)
    assert (found.guessed, found.right, found.in_three, found.group) == (3, 3, 3, 3)
    write(tmp_path / "two", books_found=False)  # the lower book was missed, so the can cannot be on it
    main([str(tmp_path)])
    printed = json.loads(capsys.readouterr().out)
    assert (printed["objects"], printed["on"], printed["borne_by_found"], printed["on_found"]) == (5, 4, 4, 4)
    assert (printed["scenes"], printed["touching"]) == (2, 1)


def test_an_empty_folder_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="pocketworlds bench real2sim"):
        tally(tmp_path)
