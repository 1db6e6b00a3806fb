"""Trust in what stands in for physics: against SciPy, and against rank violations counted one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pocketworlds.benchmarks.leaderboard.results import AgentTold, Episode, Latency, Played, Results
from pocketworlds.benchmarks.leaderboard.trust import table, trust
from pocketworlds.errors import SuiteError
from scipy import stats


def run(name: str, ends: dict[str, list[bool]], suite: str = "swap-v1") -> Results:
    def episode(number: int, success: bool) -> Episode:
        told: dict[str, Any] = {"number": number, "seed": number, "scene": "a", "start": (0.0, 0.0)}
        told |= {"success": success, "ever": success, "error": False, "reward": 1.0}
        told |= {"first_success": 1.0 if success else None, "energy": None, "smoothness": None}
        return Episode(**told, peak_force=0.0, decisions=1)

    return Results(
        suite=suite,
        suite_sha256=suite,
        agent=AgentTold(name=name, address=name, privileged=False, keywords={}, files={}),
        played=tuple(
            Played(name=group, episodes=tuple(episode(k, end) for k, end in enumerate(each)))
            for group, each in ends.items()
        ),
        latency=Latency(median=1.0, slow=1.0, steps=1.0, decisions=1),
        machine={},
        command="",
        seconds=0.0,
    )


def runs(agents: int, seed: int = 0, shift: float = 0.0) -> list[Results]:
    rng = np.random.default_rng(seed)
    found = []
    for k in range(agents):
        skill = k / agents
        ends = {
            "Push-physics": (rng.random(50) < skill).tolist(),
            "Push-neural": (rng.random(50) < min(skill + shift + 0.2 * rng.normal(), 1)).tolist(),
            "Reach-physics": (rng.random(50) < skill).tolist(),
        }
        found.append(run(f"agent {k}", ends))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_it_says_what_other_programs_say(seed: int) -> None:
    played = runs(10, seed)
    (found,) = trust(played, count=200)
    real, told = (
        np.array([np.mean([e.success for e in each.group(f"Push-{where}")]) for each in played])
        for where in ("physics", "neural")
    )
    assert (found.task, found.elsewhere, len(found.agents)) == ("Push", "neural", 10)
    assert found.r == pytest.approx(np.corrcoef(real, told)[0, 1], abs=1e-9)
    low, high = stats.pearsonr(real, told).confidence_interval(0.95)
    assert found.r_interval == pytest.approx((low, high), abs=1e-9)
    worst = []
    for i in range(10):
        lost = [0.0]
        for j in range(10):
            if (told[i] < told[j]) != (real[i] < real[j]):
                lost.append(abs(real[i] - real[j]))
        worst.append(max(lost))
    assert found.mmrv == pytest.approx(np.mean(worst), abs=1e-9)
    assert found.mmrv_interval[0] <= found.mmrv_interval[1]
    assert found.slope == pytest.approx(np.polyfit(real, told, 1)[0], abs=1e-9)
    assert found.bias == pytest.approx((told - real).mean(), abs=1e-9)
    assert "Push" in table([found]).text()


def test_a_simulator_that_is_physics_is_trusted() -> None:
    played = []
    for k, each in enumerate(runs(9)):
        real = [e.success for e in each.group("Push-physics")]
        played.append(run(str(k), {"Push-physics": real, "Push-copy": real}))
    (found,) = trust(played, count=50)
    assert (found.r, found.mmrv, found.bias) == (pytest.approx(1.0), 0.0, 0.0)
    assert found.mmrv_interval == (0.0, 0.0)
    assert found.slope == pytest.approx(1.0)


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(SuiteError, match="takes 8 agents"):
        trust(runs(7))
    with pytest.raises(SuiteError, match="different suites"):
        trust([*runs(8), run("x", {}, suite="core-v1")])
    with pytest.raises(SuiteError, match="nothing both in physics and elsewhere"):
        trust([run(str(k), {"Reach": [True]}) for k in range(8)])
