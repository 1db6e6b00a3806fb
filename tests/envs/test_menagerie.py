"""Arms of MuJoCo Menagerie, from a package that the tests make."""

from __future__ import annotations

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs.robots import PANDA, get_robot
from pocketworlds.envs.robots.checker import check_robot
from pocketworlds.envs.robots.menagerie import FITTINGS, menagerie_robot
from pocketworlds.errors import MissingDependencyError

PACKAGE = """
import os, pathlib
class MenagerieError(Exception): pass
class DownloadError(MenagerieError): pass
class UnknownRobotError(MenagerieError, LookupError): pass
class UnknownEntryPointError(MenagerieError, LookupError): pass
class Model:
    def __init__(self, name):
        self.name, self.default_model = name, name
    def xml(self, entry=None):
        file = pathlib.Path(__file__).parent / self.name / f"{entry}.xml"
        if not file.exists():
            raise DownloadError("Name or service not known")
        return file
def get(name):
    if name == "nobody":
        raise UnknownRobotError("Unknown robot 'nobody'.")
    return Model(name)
"""


@pytest.fixture
def menagerie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A package with an arm that has the names of the real one, and its habits: no sites, control from 0 to 255."""
    folder = tmp_path / "mujoco_menagerie"
    (folder / "franka_emika_panda").mkdir(parents=True)
    (folder / "__init__.py").write_text(PACKAGE)
    spec = PANDA.build()
    spec.body("base").name = "link0"
    for name in ("base", "grip", "left_pad", "right_pad"):
        spec.delete(spec.site(name))
    for sensor in list(spec.sensors):
        spec.delete(sensor)
    for geom in spec.geoms:
        geom.name = ""
    for body in spec.bodies:
        body.gravcomp = 0
    fingers = spec.actuator("fingers")
    fingers.ctrlrange, fingers.gainprm[0] = [0, 255], 4000 * 0.04 / 255
    spec.compile()
    (folder / "franka_emika_panda" / "panda.xml").write_text(spec.to_xml())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mujoco_menagerie", raising=False)
    menagerie_robot.cache_clear()
    yield folder
    menagerie_robot.cache_clear()
    sys.modules.pop("mujoco_menagerie", None)


def test_menagerie_arm(menagerie: Path):
    robot = get_robot("menagerie:franka_emika_panda")
    assert robot.grip_control == (0, 255)
    assert robot.max_opening == pytest.approx(0.08, abs=2e-3)
    assert robot.joint_velocity == PANDA.joint_velocity
    assert robot.pad_half_width == pytest.approx(PANDA.pad_half_width)
    assert robot.pad_tip == pytest.approx(PANDA.pad_tip, abs=1e-6)
    np.testing.assert_allclose(robot.reach, PANDA.reach, atol=0.05)
    report = check_robot("menagerie:franka_emika_panda")
    assert report.ok, report.lines()
    env = gym.make_vec("PocketWorlds/Lift-v0", num_envs=4, robot="menagerie:franka_emika_panda")
    env.reset(seed=0)
    expert = make_expert(env)
    for _ in range(149):
        *_, info = env.step(expert.act())
    assert info["is_success"].mean() >= 3 / 4
    env.close()


def test_menagerie_model_that_cannot_be_had(menagerie: Path):
    with pytest.raises(MissingDependencyError, match=r"cannot be downloaded.*MENAGERIE_ROOT"):
        get_robot("menagerie:ufactory_xarm7")
    with pytest.raises(TaskError, match=r"Unknown robot 'nobody'.*franka_emika_panda"):
        get_robot("menagerie:nobody")


def test_menagerie_package_missing(monkeypatch: pytest.MonkeyPatch):
    menagerie_robot.cache_clear()
    monkeypatch.setitem(sys.modules, "mujoco_menagerie", None)
    with pytest.raises(MissingDependencyError, match=r"pocketworlds\[menagerie\]"):
        gym.make("PocketWorlds/Lift-v0", robot="menagerie:franka_emika_panda")


def test_menagerie_model_without_what_we_need(menagerie: Path):
    (menagerie / "dog").mkdir()
    (menagerie / "dog" / "dog.xml").write_text('<mujoco><worldbody><body><geom size="1"/></body></worldbody></mujoco>')
    with pytest.raises(TaskError, match=r"site base.*site grip"):
        get_robot("menagerie:dog")


def test_table_of_the_menagerie_is_consistent():
    for fitting in FITTINGS.values():
        assert len(fitting.arm) == len(fitting.home) == len(fitting.velocity)
