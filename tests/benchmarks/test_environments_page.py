"""The page about the environments says what the registry says."""

from __future__ import annotations

import json

import pytest
from pocketworlds import ENVIRONMENTS, TaskError
from pocketworlds.benchmarks.environments_page import DATA, PAGE, PARTS, PICTURES, page, reward_terms
from pocketworlds.envs.catalogue import catalogue
from pocketworlds.envs.tasks import TASKS, Task

COMMAND = "python -m pocketworlds.benchmarks.environments_page"


def test_page_is_up_to_date():
    wanted = page(catalogue(), json.loads(DATA.read_text(encoding="utf-8")))
    assert PAGE.read_text(encoding="utf-8") == wanted, f"something changed; write the page anew: {COMMAND}"


def test_experts_data_is_of_what_is_registered():
    data = json.loads(DATA.read_text(encoding="utf-8"))
    expected = {
        (name, policy) for name in ENVIRONMENTS if name != "PocketWorlds/Scan-v0" for policy in ("expert", "random")
    }
    assert {(score["env_id"], score["policy"]) for score in data["scores"]} == expected
    assert {score["scene"] for score in data["scores"]} == {
        e.keywords["scene"] for e in ENVIRONMENTS.values() if e.keywords
    }


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_every_id_has_a_small_picture(env_id: str):
    from PIL import Image

    file = PICTURES / f"{env_id.partition('/')[2]}.png"
    assert file.stat().st_size < 40_000, f"draw it anew: {COMMAND} --pictures"
    assert Image.open(file).size == (320, 240)


@pytest.mark.parametrize("name", TASKS)
def test_docstrings_explain_every_reward_term(name: str):
    told = reward_terms(TASKS[name])
    assert list(told) == list(TASKS[name].config["scales"])
    assert all(meaning not in ("", "see above") for meaning in told.values())


def test_all_parts_of_observations_are_explained():
    assert {part for found in catalogue() for part in found.observation} == set(PARTS)


def test_a_task_that_explains_nothing_is_refused():
    class Silent(Task):
        """Says nothing."""

    with pytest.raises(TaskError, match="docstring of Silent"):
        reward_terms(Silent)
