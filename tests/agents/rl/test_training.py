"""Training by reinforcement: what is kept, that an interruption changes nothing, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pocketworlds.agents.keeping import CURVE
from pocketworlds.agents.rl import training
from pocketworlds.agents.rl.course import read_course
from pocketworlds.agents.rl.training import train_rl
from pocketworlds.agents.wam import course as wam_course
from pocketworlds.agents.wam.training import train_wam
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import read_config as read_axes
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.errors import CheckpointError, TaskError
from pocketworlds.world_models.wam.model import load_wam
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model for Reach that has hardly learned."""
    folder = tmp_path_factory.mktemp("wam")
    told = ["env=Reach-v0", "demonstrations=2", "num_envs=2", "keywords.max_episode_steps=20", "keywords.num_threads=1"]
    told += ["model.chunk=4", "model.net.width=32", "model.net.heads=2", "model.net.depth=1"]
    told += ["train.steps=2", "train.batch=4", "exam.episodes=0"]
    train_wam(wam_course.read_course(told), folder / "work", folder / "a.safetensors", quiet)
    return folder / "a.safetensors"


def told(start: Path, *more: str) -> list[str]:
    small = ["num_envs=4", "total_steps=320", "demonstrations=2", "keep=2", "exam.episodes=3"]
    return [f"start={start}", *small, "ppo.decisions=5", "ppo.minibatch=10", "ppo.warmup=1", "ppo.rate=0.001", *more]


def test_an_interruption_changes_nothing(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, found = train_rl(read_course(told(start)), tmp_path / "one", tmp_path / "a.safetensors", quiet)
    assert found["episodes"] == 3
    assert found["steps"] >= 320
    lines = (tmp_path / "one" / CURVE).read_text().splitlines()
    assert lines[0].startswith("steps,seconds,reward,success,exam")
    steps = [int(line.split(",")[0]) for line in lines[1:]]
    assert steps[0] == 0
    assert steps[-2] < 320 <= steps[-1] == found["steps"]
    keep, count = training._keep, []

    def interrupted(*arguments: object) -> None:
        keep(*arguments)  # type: ignore[arg-type]
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "_keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_rl(read_course(told(start)), tmp_path / "two", tmp_path / "b.safetensors", quiet)
    assert not (tmp_path / "b.safetensors").exists()
    monkeypatch.undo()
    other, again = train_rl(read_course(told(start)), tmp_path / "two", tmp_path / "b.safetensors", quiet)
    assert {**again, "seconds": 0} == {**found, "seconds": 0}
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))
    first, card = load_wam(tmp_path / "b.safetensors")
    assert card.trained_on["reinforced"]["backend"] == "physics"
    assert not torch.equal(first.action_head.weight, load_wam(start)[0].action_head.weight)


def test_cousins_that_were_held_out_are_tried_too(start: Path, tmp_path: Path) -> None:
    """In a set of cousins, what is learned is tried in those of its own and in those of the other split."""
    cousins = tmp_path / "cousins"
    make_cousins(builtin_scene("one_cube"), cousins, count=6, config=read_axes(["instance.on=false"]), workers=1)
    where = [f"keywords.scene={cousins}", "total_steps=100"]
    _, found = train_rl(read_course(told(start, *where)), tmp_path / "one", tmp_path / "a.safetensors", quiet)
    assert set(found["before"]) == set(found["after"]) == {"exam", "held_out"}
    _, alone = train_rl(
        read_course(told(start, *where, "exam.held_out=null")), tmp_path / "two", tmp_path / "b.safetensors", quiet
    )
    assert set(alone["after"]) == {"exam"}
    assert alone["after"]["exam"] == found["after"]["exam"]


@pytest.mark.parametrize("backend", ["neural", "mixed"])
def test_it_learns_in_a_neural_simulator_and_in_both(backend: str, start: Path, tmp_path: Path) -> None:
    course = read_course(told(start, f"backend={backend}", "total_steps=100", "ppo.anchor=0", "log=true"))
    _, found = train_rl(course, tmp_path / "work", tmp_path / "a.safetensors", quiet)
    assert found["backend"] == backend
    log = EventAccumulator(str(tmp_path / "work"))
    log.Reload()
    assert [event.step for event in log.Scalars("exam")][-1] == found["steps"]
    assert {"reward", "explained"} <= set(log.Tags()["scalars"])


def test_what_makes_no_sense_is_named(start: Path, tmp_path: Path) -> None:
    for override, said in (
        ("algorithm=sarsa", r"'sarsa' is not known; there are \['flow_ppo', 'steering'\]"),
        ("backend=dream", "backend='dream'"),
        ("ppo.clip=2", r"ppo\.clip"),
    ):
        with pytest.raises(TaskError, match=said):
            read_course(told(start, override))
    with pytest.raises(TaskError, match="start=FILE is missing"):
        read_course([])
    for override, said in (
        ("keywords.obs_mode=rgb", "'obs_mode' is not to be given here"),
        ("backend=mixed real=0.1", "leaves one simulator none"),
        ("backend=mixed algorithm=steering", "learns in one simulator"),
        ("demonstrations=0", "the anchor needs demonstrations"),
        ("exam.episodes=0", "ask for some episodes"),
    ):
        with pytest.raises(TaskError, match=said):
            train_rl(read_course(told(start, *override.split())), tmp_path, tmp_path / "x.safetensors", quiet)
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        train_rl(read_course(told(tmp_path / "none.safetensors")), tmp_path, tmp_path / "x.safetensors", quiet)
