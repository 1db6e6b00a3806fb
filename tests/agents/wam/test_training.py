"""Training of World Action Models: what is kept, what is written, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pocketworlds.agents.collect import Source
from pocketworlds.agents.recording import record
from pocketworlds.agents.wam.course import read_course
from pocketworlds.agents.wam.training import look, train_wam
from pocketworlds.errors import DatasetError, TaskError
from pocketworlds.world_models.wam.model import load_model, load_wam

TINY = [
    "env=Reach-v0",
    "demonstrations=4",
    "num_envs=4",
    "keywords.max_episode_steps=30",
    "keywords.num_threads=1",
    "model.chunk=4",
    "model.net.width=32",
    "model.net.heads=2",
    "model.net.depth=1",
    "train.steps=4",
    "train.batch=8",
    "exam.episodes=3",
]


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def test_a_model_is_made_kept_and_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, found = train_wam(read_course(TINY), tmp_path / "work", tmp_path / "a.safetensors", quiet)
    assert (found["episodes"], found["execute"]) == (3, 4)
    assert 0 <= found["exam"] <= found["ever"] <= 3
    loaded, card = load_wam(tmp_path / "a.safetensors")
    assert card.trained_on["env_id"] == "PocketWorlds/Reach-v0"
    assert card.measured == found
    assert net.scales.state_scale.min() > 0
    # The same again plays nothing and trains nothing.
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.npz")}
    assert len(kept) >= 4  # worlds that were playing when there were enough finished their episodes
    again, _ = train_wam(read_course(TINY), tmp_path / "work", tmp_path / "b.safetensors", quiet)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("*.npz")} == kept
    assert all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), loaded.state_dict().values(), strict=True)
    )


def test_what_is_stored_at_half_precision_is_what_was_tried_out(tmp_path: Path) -> None:
    """Matrices are off by half of half precision's last bit at most, everything else is as it was learned."""
    whole, _ = train_wam(read_course(TINY), tmp_path / "work", tmp_path / "whole.safetensors", quiet)
    half, found = train_wam(read_course([*TINY, "half=true"]), tmp_path / "work", tmp_path / "half.safetensors", quiet)
    loaded, card = load_wam(tmp_path / "half.safetensors")
    assert card.measured == found
    for (name, ours), theirs in zip(half.state_dict().items(), whole.state_dict().values(), strict=True):
        assert torch.equal(ours, loaded.state_dict()[name]), name
        bound = 2.0**-11 * theirs.abs() + 2.0**-25 if theirs.ndim > 1 else torch.zeros_like(theirs)
        assert bool(((ours - theirs).abs() <= bound).all()), name
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.7 * sizes[1]


def test_first_what_is_seen_then_what_is_done(tmp_path: Path) -> None:
    """Pre-training on episodes without their actions, then on those of a recorded data set."""
    seen = tmp_path / "seen.safetensors"
    first, found = train_wam(read_course([*TINY, "labels=false"]), tmp_path / "one", seen, quiet)
    assert found == {}
    assert not load_wam(seen)[1].trained_on["labels"]
    keywords = {"max_episode_steps": 30, "num_threads": 1}
    record(Source("PocketWorlds/Reach-v0", keywords=keywords, seed=5, states=False), tmp_path / "data", episodes=3)
    told = [*TINY, f"data={tmp_path / 'data'}", f"start={seen}"]
    second, _ = train_wam(read_course(told), tmp_path / "two", tmp_path / "b.safetensors", quiet)
    assert torch.equal(first.scales.state_mean, second.scales.state_mean)
    assert not torch.equal(first.action_head.weight, second.action_head.weight)
    assert load_wam(tmp_path / "b.safetensors")[1].trained_on["episodes"] == 3


def test_a_plain_network_is_made_in_the_same_way(tmp_path: Path) -> None:
    told = [*TINY, "kind=cloning"]
    net, found = train_wam(read_course(told), tmp_path / "work", tmp_path / "a.safetensors", quiet)
    assert found["episodes"] == 3
    loaded, card = load_model(tmp_path / "a.safetensors")
    assert card.measured == found
    assert torch.equal(loaded.layers[0].weight, net.layers[0].weight)


def test_pictures_and_proprioception() -> None:
    course = read_course([*TINY, "size=rgb_nano", "model.image_size=32"])
    settings = look("PocketWorlds/Lift-v0", {}, course)
    assert settings.cameras == ("rgb",)
    assert settings.blind
    assert "object_pos" not in settings.seen
    assert {"joint_pos", "grip_pos"} <= set(settings.seen)
    assert look("PocketWorlds/Lift-v0", {}, read_course(TINY)).cameras == ()


def test_what_makes_no_sense_is_named(tmp_path: Path) -> None:
    for override, said in (
        ("size=huge", r"size='huge' is not known; there are \['rgb_base', .*'state_nano'\]"),
        ("steps=3", "'steps' is not in struct|steps"),
        ("model.seen=some", "model.seen"),
        ("train.rate=2", "train.rate"),
        ("demonstrations=0", "demonstrations"),
    ):
        with pytest.raises(TaskError, match=said):
            read_course([*TINY, override])
    with pytest.raises(TaskError, match="leave obs_mode out"):
        train_wam(read_course([*TINY, "keywords.obs_mode=rgb"]), tmp_path, tmp_path / "x.safetensors", quiet)
    with pytest.raises(TaskError, match="learns actions alone"):
        train_wam(read_course([*TINY, "kind=cloning", "labels=false"]), tmp_path, tmp_path / "x.safetensors", quiet)
    with pytest.raises(TaskError, match="Raech"):
        train_wam(read_course([*TINY, "env=Raech-v0"]), tmp_path, tmp_path / "x.safetensors", quiet)
    other = tmp_path / "other.safetensors"
    train_wam(read_course([*TINY, "model.chunk=2", "exam.episodes=0"]), tmp_path / "w", other, quiet)
    with pytest.raises(TaskError, match="has chunk=2, this course asks for 4"):
        train_wam(read_course([*TINY, f"start={other}"]), tmp_path / "w", tmp_path / "x.safetensors", quiet)
    record(Source("PocketWorlds/Lift-v0", states=False), tmp_path / "lift", episodes=1)
    with pytest.raises(DatasetError, match="states have 47 numbers, the model is for 32"):
        train_wam(read_course([*TINY, f"data={tmp_path / 'lift'}"]), tmp_path, tmp_path / "x.safetensors", quiet)
    assert not (tmp_path / "x.safetensors").exists()
