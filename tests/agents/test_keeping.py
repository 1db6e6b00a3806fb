"""What is kept of long jobs is found again only where it was made of the same."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from pocketworlds.agents.experience import Practice
from pocketworlds.agents.keeping import contents, digest, plain, read_curve, train_on, write_curve
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import CousinConfig
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.scenes.folder import save_scene
from safetensors.numpy import save_file
from torch import Tensor


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


class Halving:
    """A training whose loss of step k is 1/k, told every third step; stops after two."""

    chief = True

    def __init__(self) -> None:
        self.done = 0
        self.until = 2

    def advance(self, notify: Callable[[int, dict[str, float]], None], *, until: float) -> bool:
        while self.done < min(9, self.until):
            self.done += 1
            if self.done % 3 == 0:
                notify(self.done, {"loss": 1 / self.done})
        self.until += 2
        return self.done == 9

    def state(self) -> dict[str, Tensor]:
        return {"done": torch.tensor(self.done)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.done = int(state["done"])
        self.until = self.done + 2


def test_curves_of_trainings_go_on_where_numbers_were_kept(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.safetensors", tmp_path / "cut.safetensors"
    shares: list[float] = []
    train_on(Halving(), whole, 9, shares.append)
    assert shares == [3 / 9, 6 / 9, 1.0, 1.0]
    lines = read_curve(whole.with_suffix(".csv"))
    assert lines == [{"steps": str(k), "loss": f"{1 / k:.6g}"} for k in (3, 6, 9)]
    # As if it had been killed after the curve was written, and before the numbers were.
    write_curve(cut.with_suffix(".csv"), lines)
    save_file({"done": np.array(4)}, cut)
    train_on(Halving(), cut, 9, lambda share: None)
    assert read_curve(cut.with_suffix(".csv")) == lines
    assert read_curve(tmp_path / "nothing.csv") == []
