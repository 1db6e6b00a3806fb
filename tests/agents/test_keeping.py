"""What is kept of long jobs is found again only where it was made of the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pocketworlds.agents.experience import Practice
from pocketworlds.agents.keeping import contents, digest, plain
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import CousinConfig
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.scenes.folder import save_scene
from safetensors.numpy import save_file


@pytest.mark.parametrize("kind", ["scene", "cousins", "policy", "checkpoint.safetensors"])
def test_what_is_at_a_path_by_now_counts(tmp_path: Path, kind: str):
    path = tmp_path / kind

    def put(number: int) -> None:
        if kind == "scene":
            path.mkdir(exist_ok=True)
            save_scene(builtin_scene(("", "one_cube", "blocks")[number]), path)
        elif kind == "cousins":
            shutil.rmtree(path, ignore_errors=True)
            config = CousinConfig.model_validate({"clutter": {"on": False}})
            make_cousins(builtin_scene("one_cube"), path, count=6, config=config, seed=number, workers=1)
        elif kind == "policy":
            path.mkdir(exist_ok=True)
            (path / "policy.zip").write_bytes(bytes([number]))
        else:
            save_file({"x": np.array([number])}, path)

    practice = plain(Practice("PocketWorlds/Push-v0", 8, keywords={"scene": path}))
    nothing = digest(practice)
    put(1)
    first = digest(practice)
    assert digest(practice) == first
    assert digest({"further": [practice]}) != first
    put(2)
    second = digest(practice)
    put(1)
    assert len({nothing, first, second}) == 3
    assert digest(practice) == first


def test_other_folders_and_words_are_words(tmp_path: Path):
    (tmp_path / "deep" / "policy").mkdir(parents=True)
    (tmp_path / "deep" / "policy" / "policy.zip").write_bytes(b"1")
    assert contents(tmp_path) == ""
    assert contents(tmp_path, deep=True) != ""
    for word in ("", "one_cube", "\0", "x" * 5000, str(tmp_path)):
        assert digest([word]) == hashlib.sha256(json.dumps([word]).encode()).hexdigest()[:12]
    assert digest(["one", 2, None, 0.5]) == digest(("one", 2, None, 0.5)) != digest(["one", 2, None, 0.25])
