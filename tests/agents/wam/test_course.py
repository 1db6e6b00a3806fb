"""The sizes that come with the package: each is what it says, and how many numbers it learns."""

from __future__ import annotations

import pytest
import torch
from pocketworlds.agents.wam.course import FOLDER, read_course
from pocketworlds.agents.wam.training import look
from pocketworlds.world_models.wam.network import Wam

SIZES = {
    "state_nano": (0.4e6, 3e6),
    "rgb_nano": (0.4e6, 3e6),
    "state_base": (20e6, 60e6),
    "rgb_base": (20e6, 100e6),
    "rgb_large": (300e6, 700e6),
}


def test_every_file_is_a_size() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SIZES)


@pytest.mark.parametrize("size", SIZES)
def test_a_size_is_what_it_says(size: str) -> None:
    course = read_course([f"size={size}"])
    assert course.size == size
    settings = look("PocketWorlds/Push-v0", {}, course)
    assert (settings.cameras != ()) == size.startswith("rgb")
    assert settings.blind == size.startswith("rgb")
    with torch.device("meta"):  # numbers are counted, not made
        count = Wam(settings).size
    low, high = SIZES[size]
    assert low <= count <= high
