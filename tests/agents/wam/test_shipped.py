"""World Action Models that come with the package, played on episodes that nothing was learned from or measured on."""

from __future__ import annotations

import pytest
from pocketworlds.agents.agents import agent_files, load_agent, runs_nothing
from pocketworlds.agents.wam.playing import Match, play_match
from pocketworlds.agents.wam.policy import WamPolicy, tried_out
from pocketworlds.benchmarks.suites.manifest import load_suite
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.shipped import located
from pocketworlds.world_models.wam.model import load_wam
from scipy.stats import binomtest

TASKS = [*(group.name for group in load_suite("core-v1").groups), "HandLift"]
SEED = 6_000_000


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_one_that_acts_as_its_card_says(task: str) -> None:
    file = located(f"wam:{task}")
    assert file.stat().st_size < 3.5e6
    net, card = load_wam(f"wam:{task}")
    assert card.trained_on["env_id"] == f"PocketWorlds/{task}-v0"
    match = Match(card.trained_on["env_id"], {"num_threads": 1}, episodes=16, seed=SEED, num_envs=16)
    played = play_match(match, WamPolicy(net, **tried_out(card.measured)))
    # Were the card right, fewer successes than these would be seen once in ten thousand times.
    claimed = card.measured["exam"] / card.measured["episodes"]
    assert binomtest(int(played.success.sum()), 16, claimed, alternative="less").pvalue > 1e-4
    assert card.measured["episodes"] >= 100


def test_an_agent_is_named_by_its_task() -> None:
    agent = load_agent("wam:{task}", group="Reach")
    assert agent.keywords == {"obs_mode": "state", "control_mode": "ee_delta"}
    assert agent_files("wam:{task}", group="Reach-train").keys() == {"Reach.safetensors"}
    assert runs_nothing("wam:{task}")
    with pytest.raises(CheckpointError, match=r"no model wam:Fly comes with the package; these do: .*wam:Push"):
        load_agent("wam:{task}", group="Fly")
