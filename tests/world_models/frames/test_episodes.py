"""Recordings of frames: what is written is read, windows are what they say, and what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pocketworlds.errors import DatasetError
from pocketworlds.world_models.frames.episodes import FrameData, save_frames
from safetensors.torch import save_file

from ..squares import SQUARES, recorded, squares


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FrameData:
    return recorded(tmp_path_factory.mktemp("squares"), count=7, frames=10)


def test_windows_are_what_was_recorded(data: FrameData):
    whole = squares(7, 10)
    assert (len(data), data.frames, data.settings) == (7, 70, SQUARES)
    order = [0, 2, 4, 6, 1, 3, 5]  # episodes of the two shards
    windows = data.windows(torch.tensor([[1, 3], [5, 6]]), 4, image=True)
    for row, (episode, first) in enumerate([(order[1], 3), (order[5], 6)]):
        assert torch.equal(windows.image[row], whole["image"][episode, first : first + 4])
        assert torch.equal(windows.state[row], whole["state"][episode, first : first + 4])
        assert torch.equal(windows.action[row], whole["action"][episode, first : first + 4])
    assert windows.latent is None


def test_before_the_start_lie_copies_of_the_first_frame(data: FrameData):
    whole = squares(7, 10)
    windows = data.windows(torch.tensor([[0, -2]]), 5, image=True)
    for t, source in enumerate([0, 0, 0, 1, 2]):
        assert torch.equal(windows.image[0, t], whole["image"][0, source])
        assert torch.equal(windows.state[0, t], whole["state"][0, source])
    assert torch.equal(windows.action[0, :2], torch.zeros(2, 2))
    assert torch.equal(windows.action[0, 2:], whole["action"][0, :3])


def test_draws_stay_inside_and_weigh_what_moves(data: FrameData):
    draws = torch.Generator().manual_seed(0)
    lively = data.lively(4)
    found = data.draw(500, 4, draws, lively=lively, share=0.5)
    assert found.shape == (500, 2)
    assert set(found[:, 0].tolist()) == set(range(7))
    assert found[:250, 1].min() >= 0
    assert (found[250:, 1].min(), found[:, 1].max()) == (-1, 6)  # context 2: one copy at most
    still = squares(4, 8)
    still["motion"][:] = 0
    still["motion"][2, 3] = 0.1
    folder = data.shards[0].parent / "still"
    folder.mkdir()
    save_frames(folder / "a.safetensors", SQUARES, still)
    assert FrameData([folder / "a.safetensors"]).lively(3).tolist() == [[2, 2], [2, 3]]


def test_some_are_held_out_and_latents_stand_beside_them(data: FrameData, tmp_path: Path):
    learned, held = data.parted(0.3)
    assert (len(learned), len(held)) == (5, 2)
    assert not set(learned.episodes) & set(held.episodes)
    latents = [tmp_path / "x.safetensors", tmp_path / "y.safetensors"]
    for number, path in enumerate(latents):
        save_file({"latent": torch.full((4 - number, 10, 1), float(number))}, path)
    windows = held.with_latents(latents).windows(torch.tensor([[1, 0]]), 3, latent=True)
    assert windows.latent.flatten().tolist() == [1.0] * 3
    with pytest.raises(DatasetError, match="no latents"):
        held.windows(torch.tensor([[1, 0]]), 3, latent=True)


def test_the_background_is_what_mostly_stands_still(data: FrameData):
    assert torch.equal(data.background(0)[0, 0], torch.tensor([20, 40, 90], dtype=torch.uint8))
    assert data.background(3) is data.background(0)  # one scene


def test_what_cannot_be_used_is_refused(tmp_path: Path, data: FrameData):
    with pytest.raises(DatasetError, match="no recorded frames"):
        FrameData([])
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(data.shards[0].read_bytes()[:5000])
    with pytest.raises(DatasetError, match="cannot be read"):
        FrameData([bad])
    save_file({"x": torch.zeros(1)}, bad)
    with pytest.raises(DatasetError, match="holds no recorded frames"):
        FrameData([bad])
    save_frames(bad, SQUARES, squares(2, 5) | {"state": torch.zeros(2, 5, 3)})
    with pytest.raises(DatasetError, match=r"state is \(2, 5, 3\), it should be \(2, 5, 2\)"):
        FrameData([bad])
    save_frames(bad, SQUARES.model_copy(update={"camera": "side"}), squares(2, 5))
    with pytest.raises(DatasetError, match="camera is side, elsewhere top"):
        FrameData([data.shards[0], bad])
    save_frames(bad, SQUARES, squares(1, 5))
    with pytest.raises(DatasetError, match="too few"):
        FrameData([bad]).parted(0.1)
