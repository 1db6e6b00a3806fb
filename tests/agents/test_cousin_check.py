"""What the expert solves passes, what it cannot reach or solve does not, and the reason is told."""

from __future__ import annotations

import pickle

import pytest
from pocketworlds.agents.cousin_check import ExpertCheck
from pocketworlds.digital_cousins.cousin import Cousin
from pocketworlds.digital_cousins.rig import NO_DIFFERENCE, Rig
from pocketworlds.digital_cousins.scaling import with_mass
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.scenes import Scene

CHECK = ExpertCheck("PocketWorlds/Lift-v0", "cube")


def cousin(scene: Scene | None = None, rig: Rig = NO_DIFFERENCE) -> Cousin:
    return Cousin(0, "train", scene or builtin_scene("one_cube"), rig, {})


def test_the_twin_and_a_cousin_with_another_rig_pass():
    assert CHECK(cousin()) is None
    assert CHECK(cousin(rig=Rig(latency=0.02, stiffness=1.1, mount_shift=(0.02, 0.02), pose_noise=0.01))) is None


def test_what_the_arm_is_too_weak_for_is_unsolved():
    failed = CHECK(cousin(rig=Rig(strength=0.02)))
    assert failed is not None
    assert failed[0] == "unsolved"
    assert "PocketWorlds/Lift-v0" in failed[1]


def test_what_does_not_suit_the_task_is_told():
    twin = builtin_scene("one_cube")
    cube = twin.objects[0].model_copy(update={"body": with_mass(twin.objects[0].body, 500.0)})
    heavy = CHECK(cousin(twin.model_copy(update={"objects": (cube,)})))
    far = CHECK(cousin(rig=Rig(mount_shift=(-1.0, 0.0))))
    missing = ExpertCheck("PocketWorlds/Lift-v0", "teapot")(cousin())
    for failed, why in ((heavy, "cube"), (far, "reach"), (missing, "teapot")):
        assert failed is not None
        assert failed[0] == "unsuitable"
        assert why in failed[1]


@pytest.mark.parametrize("check", [CHECK, ExpertCheck("PocketWorlds/Lift-v0", tries=3)])
def test_a_check_goes_to_other_processes(check: ExpertCheck):
    assert pickle.loads(pickle.dumps(check)) == check


def test_the_name_tells_task_and_target():
    assert CHECK.name == "PocketWorlds/Lift-v0 with cube"
