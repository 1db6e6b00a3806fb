"""Who plays does not matter: shards in one process, two processes of torchrun, and what cannot be split."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from pocketworlds.agents.keeping import CURVE
from pocketworlds.agents.rl.actor_critic import ActorCritic, PPOSettings
from pocketworlds.agents.rl.course import read_course
from pocketworlds.agents.rl.crew import Alone, Crew, make_players, make_worlds
from pocketworlds.agents.rl.rollout import Rollout, Turn
from pocketworlds.agents.rl.training import train_rl
from pocketworlds.agents.wam import course as wam_course
from pocketworlds.agents.wam.training import look
from pocketworlds.errors import TaskError
from pocketworlds.world_models.wam.chain import chain_log_prob
from pocketworlds.world_models.wam.model import load_wam, save_model
from pocketworlds.world_models.wam.network import Wam

ID = "PocketWorlds/Reach-v0"
KEYWORDS = {"max_episode_steps": 10, "num_threads": 1}
MAKE = partial(make_worlds, ID, KEYWORDS, {"physics": 5})


def small(seed: int = 0) -> Wam:
    """A model for Reach that has not learned anything, but does something."""
    course = wam_course.read_course(["env=Reach-v0", "model.chunk=4", "model.net.width=32", "model.net.heads=2"])
    net = Wam(look(ID, KEYWORDS, course), seed=seed)
    with torch.no_grad():
        net.action_head.weight.copy_(
            0.1 * torch.randn(net.action_head.weight.shape, generator=torch.Generator().manual_seed(seed))
        )
    return net


def mind(**settings: object) -> ActorCritic:
    return ActorCritic(small(), PPOSettings(decisions=4, anchor=0, **settings))


def numbers(rollout: Rollout) -> dict[str, torch.Tensor]:
    found = {name: value for name, value in vars(rollout).items() if isinstance(value, torch.Tensor)}
    return found | vars(rollout.past)


def assert_same(one: Rollout, other: Rollout) -> None:
    for name, value in numbers(one).items():
        torch.testing.assert_close(value, numbers(other)[name])
    assert one.told == pytest.approx(other.told)


def turns(crew: Crew, mind: ActorCritic) -> list[Rollout]:
    """Three turns, of which the last begins anew."""
    return [crew.play(mind, Turn(5, iteration, iteration in (0, 2))) for iteration in range(3)]


def played(crew: Crew, mind: ActorCritic) -> list[Rollout]:
    """The same, of a crew that is not needed afterwards."""
    try:
        return turns(crew, mind)
    finally:
        crew.close()


def alone(num_envs: int, shards: int, **ends: int) -> Alone:
    """Worlds in simulators that end before these numbers; without any, all of physics."""
    make = partial(make_worlds, ID, KEYWORDS, ends or {"physics": num_envs})
    return Alone(make_players(make, num_envs, shards, range(shards)))


def test_shards_change_nothing() -> None:
    net = mind()
    whole = played(alone(7, 1), net)
    assert whole[0].state.shape[:2] == (4, 7)
    for one, split in zip(whole, played(alone(7, 3), net), strict=True):
        assert_same(one, split)
    again, other = played(alone(7, 1), net), played(alone(6, 1), net)
    for name, value in numbers(whole[2]).items():
        assert torch.equal(value, numbers(again[2])[name]), name
    assert torch.equal(whole[0].state[0, :6], other[0].state[0])  # the same episodes
    assert not torch.equal(whole[0].actions[0], whole[1].actions[0])
    assert not torch.equal(whole[0].state[0], whole[2].state[0])


def test_worlds_of_two_simulators_are_what_they_are_alone() -> None:
    net = mind()
    physics, neural = played(alone(5, 1), net), played(alone(5, 1, neural=5), net)
    for shards in (1, 2):  # the second begins amid the worlds of physics
        for number, mixed in enumerate(played(alone(5, shards, physics=3, neural=5), net)):
            told = numbers(mixed)
            for name, value in numbers(physics[number]).items():
                torch.testing.assert_close(told[name][:, :3], value[:, :3])
                torch.testing.assert_close(told[name][:, 3:], numbers(neural[number])[name][:, 3:])
    assert not torch.equal(physics[1].state, neural[1].state)


def test_a_rollout_has_the_probabilities_that_it_was_drawn_with() -> None:
    """Nothing of what was looked at changes afterwards, in episodes that end on the way."""
    net = mind()
    rollout = played(alone(5, 2), net)[1].flat()
    with torch.no_grad():
        found = chain_log_prob(net.net, net.sigma, rollout.past, rollout.actions, played=net.execute)
    torch.testing.assert_close(found, rollout.log_prob, rtol=1e-5, atol=1e-4)


_RANK = """
import os
import sys
from pathlib import Path
import torch
from pocketworlds.agents.rl.course import read_course
from pocketworlds.agents.rl.training import train_rl
torch.set_num_threads(1)
folder, told = Path(sys.argv[1]), sys.argv[2:]
rank = os.environ["RANK"]
for steps in (100, 320):
    course = read_course([*told, f"total_steps={steps}"])
    net, found = train_rl(course, folder / "two", folder / "two.safetensors", lambda stage, share: None)
    assert bool(found) == (rank == "0")
torch.save(net.state_dict(), folder / f"{rank}.pt")
"""


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """As `torchrun` starts them; interrupted on the way; with minibatches of which some have a single row."""
    start = tmp_path / "start.safetensors"
    save_model(
        start, small(), trained_on={"env_id": ID, "keywords": {**KEYWORDS, "max_episode_steps": 20}}, measured={}
    )
    told = [f"start={start}", "num_envs=4", "demonstrations=2", "keep=2", "exam.episodes=2", "device=cpu"]
    told += ["ppo.decisions=5", "ppo.minibatch=19", "ppo.warmup=1", "ppo.rate=0.001", "ppo.target_kl=10"]
    script = tmp_path / "rank.py"
    script.write_text(_RANK)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*torchrun, str(script), str(tmp_path), *told], env=environment, check=True, timeout=300)
    net, _ = train_rl(read_course([*told, "total_steps=320"]), tmp_path / "one", tmp_path / "one.safetensors", quiet)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    written = load_wam(tmp_path / "two.safetensors")[0].state_dict()
    begun = load_wam(start)[0].state_dict()
    for name, value in net.state_dict().items():
        assert torch.equal(first[name], second[name]), name
        assert torch.equal(first[name], written[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(written["action_head.weight"], begun["action_head.weight"], atol=1e-3)
    curves = [(tmp_path / name / CURVE).read_text().splitlines() for name in ("one", "two")]
    assert len(curves[0]) == len(curves[1]) > 3
    for one, two in zip(*curves, strict=True):
        assert one.split(",")[0] == two.split(",")[0]  # steps


def test_a_command_with_workers_learns_what_one_process_learns(tmp_path: Path) -> None:
    """It goes on with workers, on a cluster of its own, where one process was interrupted."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'pocketworlds[ray]'")
    start = tmp_path / "start.safetensors"
    save_model(start, small(), trained_on={"env_id": ID, "keywords": KEYWORDS}, measured={})
    told = [f"start={start}", "num_envs=4", "ppo.anchor=0", "keep=2", "exam.episodes=2", "shards=2", "device=cpu"]
    told += ["ppo.decisions=5", "ppo.minibatch=10", "ppo.warmup=1", "ppo.rate=0.001", "ray.resources={desk: 1}"]

    def learned(name: str, *more: str) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
        out = tmp_path / f"{name}.safetensors"
        net, found = train_rl(read_course([*told, *more]), tmp_path / name, out, quiet)
        return net.state_dict(), {**found, "seconds": 0}

    one, found = learned("one", "total_steps=250")
    learned("two", "total_steps=100")
    two, again = learned("two", "total_steps=250", "workers=2")
    assert not ray.is_initialized()
    assert found == again
    assert len((tmp_path / "two" / CURVE).read_text().splitlines()) > 3
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5)


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def test_what_cannot_be_split_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*told: str) -> str:
        with pytest.raises(TaskError) as error:
            train_rl(read_course(["start=none.safetensors", *told]), tmp_path, tmp_path / "x.safetensors", quiet)
        return str(error.value)

    assert "workers=3, but shards=2" in refused("workers=3", "shards=2")
    assert "num_envs=4 worlds cannot be split into 5 shards" in refused("num_envs=4", "workers=5")
    assert "one process" in refused("algorithm=steering", "workers=2")
    assert "one process" in refused("algorithm=steering", "shards=2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "workers=2 under torchrun" in refused("workers=2")
    assert "one process" in refused("algorithm=steering")
    assert "2 processes, but shards=1" in refused("shards=1")
