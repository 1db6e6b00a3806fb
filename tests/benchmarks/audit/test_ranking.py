"""Ranking: whom it takes, and whom it refuses before anybody has played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pocketworlds import TaskError
from pocketworlds.agents.ppo import Settings, train_ppo
from pocketworlds.agents.sb3 import make_sb3_env
from pocketworlds.benchmarks.audit import ranking
from pocketworlds.benchmarks.audit.ranking import rank, scripted, trained
from pocketworlds.benchmarks.audit.subject import Subject

SUBJECT = Subject("Reach-v0", {"max_episode_steps": 4, "num_threads": 1}, backend="physics")
SETTINGS = Settings(total_steps=8, num_envs=2, rollout=4, ppo={"n_epochs": 1})


def ranked(tmp_path: Path, env_id: str = "Reach-v0", **keywords: Any) -> dict[str, Any]:
    """Ranks the scripted policies beside one that was trained somewhere."""
    folder = tmp_path / "given" / "one"
    folder.mkdir(parents=True)
    train_ppo(make_sb3_env(f"PocketWorlds/{env_id}", 2, **keywords), SETTINGS, seed=0, out=folder)
    entrants = [*scripted()[-2:], *trained(tmp_path / "given", "given")]
    options: dict[str, Any] = {"starts": 2, "seed": 0, "kept": tmp_path / "kept", "key": "", "notify": lambda *a: None}
    return rank(SUBJECT, entrants, **options)


def test_a_policy_of_the_same_environment_is_ranked(tmp_path: Path):
    found = ranked(tmp_path)
    assert [row["name"] for row in found["rows"]] == ["random", "still", "given one"]
    assert found["agreement"] == 1.0


@pytest.mark.parametrize(
    ("elsewhere", "told"),
    [
        ({"obs_mode": "rgb", "image_size": 36}, "with pictures and actions of 7; what is audited has states of"),
        ({"env_id": "Push-v0"}, "with states of .* numbers and actions of 7; what is audited has states of"),
        ({"control_mode": "joint_pos"}, "actions of 8; what is audited has .* and actions of 7"),
    ],
)
def test_a_policy_of_something_else_is_refused_before_anybody_plays(
    elsewhere: dict[str, Any], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ranking, "succeed", lambda *a: pytest.fail("somebody played"))
    with pytest.raises(TaskError, match=f"given/one was trained .*{told}"):
        ranked(tmp_path, **elsewhere)


def test_a_folder_without_policies_is_refused(tmp_path: Path):
    with pytest.raises(TaskError, match=r"no policy\.zip anywhere"):
        trained(tmp_path, "given")


def test_scripted_policies_are_24_of_eight_kinds():
    assert (len(scripted()), len({entrant.kind for entrant in scripted()})) == (24, 8)
