"""What is wrong with a user's arm is named, with what mends it; sound arms are proved in simulation."""

from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import pytest
from pocketworlds import TaskError
from pocketworlds.cli import app
from pocketworlds.envs.robots import get_robot
from pocketworlds.envs.robots.checker import RobotReport, check_robot
from typer.testing import CliRunner

from .custom_arms import ARM, FINGERS, GRIPPER, LINK_GEOM, edited

BROKEN = {
    "no base": ([('<site name="base"/>', "")], "site base", "there is none"),
    "no grip": ([('<site name="grip" pos="0 0 0.12"/>', "")], "site grip", "there is none"),
    "no home": ([('name="home"', 'name="rest"')], "keyframe home", "the file has ['rest']"),
    "base on a link": (
        [
            ('<site name="base"/>', ""),
            ('<body name="upper" ', '<body name="upper" '),
            (LINK_GEOM, LINK_GEOM + '<site name="base"/>'),
        ],
        "site base",
        "moves with the arm",
    ),
    "base on its side": (
        [('<site name="base"/>', '<site name="base" euler="1.57 0 0"/>')],
        "site base",
        "does not point up",
    ),
    "base backwards": (
        [('<site name="base"/>', '<site name="base" euler="0 0 3.14"/>')],
        "keyframe home",
        "not in front",
    ),
    "floating": (
        [('<site name="base"/>', '<site name="base"/><freejoint/>'), ('qpos="', 'qpos="0 0 0 1 0 0 0 ')],
        "base",
        "float",
    ),
    "grip on a finger": (
        [
            ('<site name="grip" pos="0 0 0.12"/>', ""),
            ('<geom name="left_pad"', '<site name="grip" pos="0 0 0.07"/><geom name="left_pad"'),
        ],
        "site grip",
        "which do not turn",
    ),
    "grip upside down": (
        [('<site name="grip" ', '<site name="grip" euler="3.14159 0 0" ')],
        "keyframe home",
        "180 degrees off",
    ),
    "grip across": (
        [('<site name="grip" ', '<site name="grip" euler="0 0 1.5708" ')],
        "pads",
        "on both sides along its Y",
    ),
    "grip off the middle": (
        [('name="grip" pos="0 0 0.12"', 'name="grip" pos="0 0.02 0.12"')],
        "site grip",
        "mm from the other",
    ),
    "five joints": (
        [
            ('<joint name="roll" axis="0 0 1" range="-3 3"/>', ""),
            ('<position name="roll" joint="roll"/>', ""),
            ("1.74159 0 0 0.035", "1.74159 0 0.035"),
        ],
        "arm joints",
        "5 from base to grip",
    ),
    "no range": (
        [
            ('<joint name="turn" axis="0 0 1" range="-2.9 2.9"/>', '<joint name="turn" axis="0 0 1"/>'),
            ('<position name="turn" joint="turn"/>', '<position name="turn" joint="turn" inheritrange="0"/>'),
        ],
        "limit turn",
        "no range",
    ),
    "no servo": ([('<position name="yaw" joint="yaw"/>', "")], "actuator yaw", "no actuator"),
    "two servos": (
        [('<position name="yaw" joint="yaw"/>', '<position name="yaw" joint="yaw"/><motor name="more" joint="yaw"/>')],
        "actuator yaw",
        "2 actuators",
    ),
    "motor": (
        [('<position name="yaw" joint="yaw"/>', '<motor name="yaw" joint="yaw"/>')],
        "actuator yaw",
        "no position servo",
    ),
    "geared": (
        [('<position name="yaw" joint="yaw"/>', '<position name="yaw" joint="yaw" gear="2"/>')],
        "actuator yaw",
        "gear",
    ),
    "filtered": (
        [('<position name="yaw" joint="yaw"/>', '<position name="yaw" joint="yaw" timeconst="0.1"/>')],
        "actuator yaw",
        "state of its own",
    ),
    "no gripper": ([(GRIPPER, "")], "gripper actuator", "nothing drives"),
    "two grippers": (
        [(GRIPPER, '<position joint="finger1" name="a"/><position joint="finger2" name="b"/>')],
        "gripper actuator",
        "2 actuators",
    ),
    "gripper without range": ([('ctrlrange="0 255" ', "")], "gripper actuator", "no ctrlrange"),
    "gripper that hardly moves": (
        [('gainprm="0.7058823529"', 'gainprm="0.01"')],
        "gripper actuator",
        "over its whole ctrlrange",
    ),
    "gripper without positions": (
        [
            (
                'gaintype="fixed" biastype="affine" gainprm="0.7058823529" biasprm="-40 -4000 -300"',
                'gaintype="fixed" biastype="affine" gainprm="1" biasprm="-128 0 -300"',
            )
        ],
        "gripper actuator",
        "no position servo",
    ),
    "no fingers": (
        [
            (FINGERS, ""),
            (ARM[ARM.index("  <tendon>") : ARM.index("  <actuator>")], ""),
            (GRIPPER, ""),
            (" 0.035 0.035", ""),
        ],
        "finger joints",
        "none beyond",
    ),
    "home beyond limits": ([('qpos="0 -0.5', 'qpos="0 -2.5')], "keyframe home", "outside its limits"),
    "home level": ([("1.74159", "0.2")], "keyframe home", "does not point down"),
    "one pad named": ([('name="right_pad"', 'name="other"')], "geom right_pad", "though there is 'left_pad'"),
    "pads do not collide": (
        [('<geom contype="1" conaffinity="0"', '<geom contype="2" conaffinity="2"')],
        "pads",
        "do not collide",
    ),
    "speeds": (
        [("</mujoco>", '<custom><numeric name="joint_velocity" data="1 2"/></custom></mujoco>')],
        "numeric joint_velocity",
        "2 numbers for 6 joints",
    ),
    "sensors swapped": (
        [
            ('<geom name="left_pad"', '<site name="r"/><geom name="left_pad"'),
            ('<geom name="right_pad"', '<site name="l"/><geom name="right_pad"'),
            (
                "</mujoco>",
                '<sensor><touch name="left_pad" site="l"/><touch name="right_pad" site="r"/></sensor></mujoco>',
            ),
        ],
        "sensor left_pad",
        "it is on 'finger2'",
    ),
    "not MJCF": ([("<worldbody>", "<worldbdy>")], "file", "XML"),
    "a mesh is missing": (
        [("<worldbody>", '<asset><mesh file="nothing.stl"/></asset><worldbody>')],
        "file",
        "nothing.stl",
    ),
    "sags": ([(' gravcomp="1"', ""), ('kp="3000" kv="150"', 'kp="300" kv="30"')], "holds home", "from home"),
    "too weak": ([("-90 90", "-0.05 0.05")], "servos track", "from a target"),
    "presses too little": ([('forcerange="-80 80"', 'forcerange="-1 1"')], "grips", "of 2 N needed"),
    "ranges too small": (
        [('axis="0 0 1" range="-2.9 2.9"', 'axis="0 0 1" range="-0.2 0.2"')],
        "inverse kinematics",
        "reaches only",
    ),
    "knows no place": (
        [('axis="0 1 0" range="-2 2"', 'axis="0 1 0" range="-0.52 -0.48"')],
        "reach",
        "no place in front",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_fault_is_named(case: str, written):
    changes, name, phrase = BROKEN[case]
    report = check_robot(written(edited(*changes)))
    assert not report.ok
    assert name in [fault.name for fault in report.faults], report.lines()
    fault = next(fault for fault in report.faults if fault.name == name)
    assert phrase in fault.problem
    assert fault.fix
    assert any(name in line for line in report.lines())


def test_faults_are_told_together(written):
    path = written(edited(('<site name="base"/>', ""), ('name="home"', 'name="rest"')))
    with pytest.raises(TaskError, match=r"\(1\) site base.*\(2\) keyframe home.*check-robot"):
        gym.make("PocketWorlds/Reach-v0", robot=path)


def test_a_corrected_file_is_read_again(written):
    path = written(edited(('<site name="base"/>', "")))
    with pytest.raises(TaskError):
        get_robot(path)
    path.write_text(ARM, encoding="utf-8")
    assert get_robot(path).name == "robot"


def test_sound_arms_pass(arm: Path):
    for robot in (arm, "panda"):
        report = check_robot(robot)
        assert report.ok, report.lines()
        assert len(report.proofs) == 5
        json.dumps(report.to_dict())


def test_snippets_are_mjcf(written):
    """What a report tells to add can be read by MuJoCo once it stands where it belongs."""
    report: RobotReport = check_robot(written(edited(('<position name="yaw" joint="yaw"/>', ""))))
    (fault,) = report.faults
    assert '<position name="yaw" joint="yaw"' in fault.snippet
    inner = fault.snippet.replace("<actuator>", "").replace("</actuator>", "").strip()
    assert check_robot(written(edited(('<position name="yaw" joint="yaw"/>', inner)))).ok


@pytest.mark.parametrize("name", ["r2d2", 3, "menagerie"])
def test_words_that_mean_no_robot(name):
    with pytest.raises(TaskError, match="panda"):
        get_robot(name)


def test_no_such_file(tmp_path: Path):
    with pytest.raises(TaskError, match="there is no file"):
        gym.make("PocketWorlds/Reach-v0", robot=tmp_path / "none.xml")


def test_command(arm: Path, written):
    good = CliRunner().invoke(app, ["check-robot", str(arm)])
    assert good.exit_code == 0
    assert "ok" in good.output
    bad = CliRunner().invoke(app, ["check-robot", str(written(edited(('<site name="base"/>', ""))))])
    assert bad.exit_code == 2
    assert "site base" in bad.output
    assert '<site name="base"' in bad.output
    told = CliRunner().invoke(app, ["check-robot", str(arm), "--json"])
    assert json.loads(told.stdout)["ok"] is True
