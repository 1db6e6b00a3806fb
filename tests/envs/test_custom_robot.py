"""Users' own arms: loaded from MJCF, checked, solved by the experts; arms of MuJoCo Menagerie."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.cli import app
from pocketworlds.envs import check_vector_env
from pocketworlds.envs.kinematics import InverseKinematics
from pocketworlds.envs.robots import PANDA, Arm, get_robot
from pocketworlds.envs.robots.checker import RobotReport, check_robot
from pocketworlds.envs.robots.menagerie import FITTINGS, menagerie_robot
from pocketworlds.envs.robots.mount import Mount
from pocketworlds.errors import MissingDependencyError
from typer.testing import CliRunner

# Six joints, a gripper whose fingers slide and whose control runs from 0 (closed) to 255 (open).
ARM = """
<mujoco model="six">
  <compiler angle="radian" autolimits="true"/>
  <default>
    <geom contype="1" conaffinity="0" mass="0"/>
    <joint damping="1" armature="0.1"/>
    <position kp="3000" kv="150" inheritrange="1" forcerange="-90 90"/>
  </default>
  <worldbody>
    <body name="foot" gravcomp="1">
      <site name="base"/>
      <inertial pos="0 0 0.05" mass="3" diaginertia="0.02 0.02 0.02"/>
      <geom type="cylinder" size="0.07 0.05" pos="0 0 0.05" mass="0"/>
      <body name="shoulder" pos="0 0 0.16" gravcomp="1">
        <joint name="turn" axis="0 0 1" range="-2.9 2.9"/>
        <inertial pos="0 0 0" mass="2" diaginertia="0.01 0.01 0.01"/>
        <geom type="capsule" size="0.05" fromto="0 0 -0.05 0 0 0.02"/>
        <body name="upper" pos="0 0 0.04" gravcomp="1">
          <joint name="lift" axis="0 1 0" range="-2 2"/>
          <inertial pos="0 0 0.2" mass="2" diaginertia="0.03 0.03 0.005"/>
          <geom type="capsule" size="0.045" fromto="0 0 0 0 0 0.38"/>
          <body name="fore" pos="0 0 0.40" gravcomp="1">
            <joint name="elbow" axis="0 1 0" range="-0.3 2.8"/>
            <inertial pos="0 0 0.15" mass="1.5" diaginertia="0.02 0.02 0.003"/>
            <geom type="capsule" size="0.04" fromto="0 0 0 0 0 0.30"/>
            <body name="wrist1" pos="0 0 0.36" gravcomp="1">
              <joint name="pitch" axis="0 1 0" range="-1 3"/>
              <inertial pos="0 0 0" mass="0.6" diaginertia="0.002 0.002 0.002"/>
              <geom type="sphere" size="0.04"/>
              <body name="wrist2" pos="0 0 0.06" gravcomp="1">
                <joint name="yaw" axis="1 0 0" range="-2 2"/>
                <inertial pos="0 0 0" mass="0.4" diaginertia="0.001 0.001 0.001"/>
                <geom type="sphere" size="0.035"/>
                <body name="hand" pos="0 0 0.05" gravcomp="1">
                  <joint name="roll" axis="0 0 1" range="-3 3"/>
                  <inertial pos="0 0 0.03" mass="0.5" diaginertia="0.001 0.001 0.001"/>
                  <geom type="box" size="0.03 0.08 0.02" pos="0 0 0.03"/>
                  <site name="grip" pos="0 0 0.12"/>
                  <body name="finger1" pos="0 0 0.05" gravcomp="1">
                    <joint name="finger1" type="slide" axis="0 1 0" range="0 0.035"/>
                    <inertial pos="0 0 0.03" mass="0.03" diaginertia="0.00001 0.00001 0.00001"/>
                    <geom name="left_pad" type="box" size="0.01 0.005 0.04" pos="0 0.005 0.04"
                      friction="1 0.02 0.0001" condim="4" priority="1" solref="0.004 1"/>
                  </body>
                  <body name="finger2" pos="0 0 0.05" gravcomp="1">
                    <joint name="finger2" type="slide" axis="0 -1 0" range="0 0.035"/>
                    <inertial pos="0 0 0.03" mass="0.03" diaginertia="0.00001 0.00001 0.00001"/>
                    <geom name="right_pad" type="box" size="0.01 0.005 0.04" pos="0 -0.005 0.04"
                      friction="1 0.02 0.0001" condim="4" priority="1" solref="0.004 1"/>
                  </body>
                </body>
              </body>
            </body>
          </body>
        </body>
      </body>
    </body>
  </worldbody>
  <tendon><fixed name="fingers"><joint joint="finger1" coef="0.5"/><joint joint="finger2" coef="0.5"/></fixed></tendon>
  <equality><joint joint1="finger1" joint2="finger2" solref="0.005 1"/></equality>
  <actuator>
    <position name="turn" joint="turn"/>
    <position name="lift" joint="lift"/>
    <position name="elbow" joint="elbow"/>
    <position name="pitch" joint="pitch"/>
    <position name="yaw" joint="yaw"/>
    <position name="roll" joint="roll"/>
    <general name="fingers" tendon="fingers"
      ctrlrange="0 255" gaintype="fixed" biastype="affine" gainprm="0.7058823529" biasprm="-40 -4000 -300"
      forcerange="-80 80"/>
  </actuator>
  <keyframe><key name="home" qpos="0 -0.5 1.9 1.74159 0 0 0.035 0.035"/></keyframe>
</mujoco>
"""


LINK_GEOM = '<geom type="capsule" size="0.045" fromto="0 0 0 0 0 0.38"/>'
FINGERS = ARM[ARM.index('<body name="finger1"') : ARM.index("</body>\n                </body>")] + "</body>"
GRIPPER = ARM[ARM.index('<general name="fingers"') : ARM.index("  </actuator>")].strip()
HINGED = """
    <body name="finger1" pos="0 0.045 0.02" gravcomp="1">
      <joint name="finger1" axis="1 0 0" range="-0.1 0.9"/>
      <inertial pos="0 0 0.03" mass="0.03" diaginertia="1e-5 1e-5 1e-5"/>
      <geom type="capsule" size="0.006" fromto="0 0 0 0 0 0.08"/>
      <body name="tip1" pos="0 0 0.08" gravcomp="1">
        <joint name="tip1" axis="-1 0 0" range="-0.1 0.9"/>
        <inertial pos="0 0 0.01" mass="0.02" diaginertia="1e-5 1e-5 1e-5"/>
        <geom type="box" size="0.01 0.005 0.03" pos="0 0 0.01" condim="4" priority="1" solref="0.004 1"/>
      </body>
    </body>
    <body name="finger2" pos="0 -0.045 0.02" gravcomp="1">
      <joint name="finger2" axis="-1 0 0" range="-0.1 0.9"/>
      <inertial pos="0 0 0.03" mass="0.03" diaginertia="1e-5 1e-5 1e-5"/>
      <geom type="capsule" size="0.006" fromto="0 0 0 0 0 0.08"/>
      <body name="tip2" pos="0 0 0.08" gravcomp="1">
        <joint name="tip2" axis="1 0 0" range="-0.1 0.9"/>
        <inertial pos="0 0 0.01" mass="0.02" diaginertia="1e-5 1e-5 1e-5"/>
        <geom type="box" size="0.01 0.005 0.03" pos="0 0 0.01" condim="4" priority="1" solref="0.004 1"/>
      </body>
    </body>
"""


def edited(*changes: tuple[str, str]) -> str:
    """The arm's model with every change made; each must have something to change."""
    text = ARM
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("robot") / "six.xml"
    path.write_text(ARM, encoding="utf-8")
    return path


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "robot.xml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def opening_at(robot: Arm, control: float, steps: int = 2000) -> float:
    """Distance [m] between the pads' inner faces after a time at a control, from the geometry alone."""
    model = robot.build().compile()
    model.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    data = mujoco.MjData(model)
    for name, actuator, angle in zip(robot.arm_joints, robot.arm_actuators, robot.home, strict=True):
        data.joint(name).qpos[0] = data.actuator(actuator).ctrl[0] = angle
    data.actuator(robot.grip_actuator).ctrl[0] = control
    for _ in range(steps):
        mujoco.mj_step(model, data)
    left, right = (data.geom(name).xpos for name in robot.pads)
    return float((left - right) @ data.site("grip").xmat.reshape(3, 3)[:, 1]) - robot.finger_thickness


# Loading --------------------------------------------------------------------------------------------------------------


def test_everything_is_read_from_the_model(arm: Path):
    robot = get_robot(arm)
    assert robot.arm_joints == tuple(f"arm/{name}" for name in ("turn", "lift", "elbow", "pitch", "yaw", "roll"))
    assert robot.finger_joints == ("arm/finger1", "arm/finger2")
    assert robot.grip_actuator == "arm/fingers"
    assert robot.grip_control == (0, 255)
    assert robot.max_opening == pytest.approx(0.07, abs=1e-4)
    assert robot.pads == ("arm/left_pad", "arm/right_pad")
    assert robot.pad_half_width == pytest.approx(0.01)
    assert robot.pad_tip == pytest.approx(0.01)
    assert robot.finger_thickness == pytest.approx(0.01)
    assert robot.home[1] == -0.5
    assert robot.joint_low[2] == pytest.approx(-0.3)
    assert robot.joint_high[2] == pytest.approx(2.8)
    assert robot.joint_velocity == (2.0,) * 6
    assert robot.base_radius == pytest.approx(0.0707, abs=1e-3)
    near, far = robot.reach
    assert 0.1 < near < 0.3 < 0.5 < far < 0.75
    assert get_robot(str(arm)) is robot


def test_speed_limits_from_a_numeric(written):
    numeric = '<custom><numeric name="joint_velocity" data="1 1 1 2 2 3"/></custom></mujoco>'
    assert get_robot(written(edited(("</mujoco>", numeric)))).joint_velocity == (1, 1, 1, 2, 2, 3)


GRIPPERS = {
    "tendon 0..255": ARM,
    "255 closes": edited(('gainprm="0.7058823529" biasprm="-40', 'gainprm="-0.7058823529" biasprm="140')),
    "one joint, the other follows": edited(
        (
            GRIPPER,
            '<position name="fingers" joint="finger2" kp="4000" kv="300" ctrlrange="-0.01 0.035" inheritrange="0"/>',
        )
    ),
    "beyond its range": edited(('ctrlrange="0 255"', 'ctrlrange="0 300"')),
    "nothing named": edited(
        ('name="left_pad" ', ""),
        ('name="right_pad" ', ""),
        ('<general name="fingers"', "<general"),
        ('<position name="pitch"', "<position"),
    ),
    "hinged fingers": edited((FINGERS, HINGED))
    .replace(GRIPPER, '<position name="fingers" tendon="fingers" kp="40" kv="4" ctrlrange="0 0.9" inheritrange="0"/>')
    .replace(
        "</equality>",
        '<joint joint1="tip1" joint2="finger1" solref="0.005 1"/>'
        '<joint joint1="tip2" joint2="finger2" solref="0.005 1"/></equality>',
    )
    .replace('qpos="0 -0.5 1.9 1.74159 0 0 0.035 0.035"', 'qpos="0 -0.5 1.9 1.74159 0 0 0 0 0 0"'),
}


@pytest.mark.parametrize("name", GRIPPERS)
def test_any_gripper_opens_as_told(name: str, written):
    robot = get_robot(written(GRIPPERS[name]))
    for share in (0.25, 0.6, 1.0):
        wanted = share * robot.max_opening
        assert opening_at(robot, float(robot.control_for(wanted))) == pytest.approx(wanted, abs=1.5e-3)
    assert opening_at(robot, robot.grip_control[0]) < 0.003
    model = robot.build().compile()
    data = mujoco.MjData(model)
    for joint, value in zip(robot.finger_joints, robot.finger_positions(0.04), strict=True):
        data.joint(joint).qpos[0] = value
    mujoco.mj_kinematics(model, data)
    left, right = (data.site(site).xpos for site in robot.pad_sites)
    apart = float((left - right) @ data.site("grip").xmat.reshape(3, 3)[:, 1])
    assert apart - robot.grip_table.gap == pytest.approx(0.04, abs=1.5e-3)
    assert len(robot.pad_sensors) == 2
    assert all(model.sensor(sensor).type[0] == mujoco.mjtSensor.mjSENS_TOUCH for sensor in robot.pad_sensors)


def test_own_touch_sensors_are_used(written):
    site = '<site name="{0}" type="box" size="0.012 0.007 0.042" pos="0 {1} 0.04"/><geom name="{0}"'
    sensors = '<sensor><touch name="left_pad" site="left_pad"/><touch name="right_pad" site="right_pad"/></sensor>'
    text = edited(
        ('<geom name="left_pad"', site.format("left_pad", "0.005")),
        ('<geom name="right_pad"', site.format("right_pad", "-0.005")),
        ("</mujoco>", sensors + "</mujoco>"),
    )
    report = check_robot(written(text))
    assert report.ok, report.lines()
    assert get_robot(written(text)).pad_sensors == ("arm/left_pad", "arm/right_pad")


def test_base_may_stand_anywhere_in_the_file(arm: Path, written):
    """A turned and moved arm with its base site in the world is the same arm."""
    moved = edited(
        ('<body name="foot" gravcomp="1">\n      <site name="base"/>', MOVED_FOOT),
        ("<worldbody>", '<worldbody>\n    <geom name="floor" type="plane" size="1 1 1"/>'),
    )
    robot, plain = get_robot(written(moved)), get_robot(arm)
    poses = []
    for each in (robot, plain):
        solver = InverseKinematics(each, Mount((0.1, 0.2, 0.3), 0.4, "", 0.0, ()), 1)
        position, frame = solver.pose(np.arange(1), np.array([each.home]) + 0.2)
        poses.append(np.concatenate([position.ravel(), frame.ravel()]))
    np.testing.assert_allclose(poses[0], poses[1], atol=1e-9)
    assert robot.reach == plain.reach


MOVED_FOOT = """<site name="base" pos="0.3 0.2 0.1" euler="0 0 1.2"/>
    <body name="foot" pos="0.3 0.2 0.1" euler="0 0 1.2" gravcomp="1">"""


def test_meshes_lie_beside_the_file(written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "shapes").mkdir()
    corners = np.array([[x, y, z] for x in (-0.03, 0.03) for y in (-0.03, 0.03) for z in (0.0, 0.3)])
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    faces = [
        (1, 3, 2),
        (2, 3, 4),
        (5, 6, 7),
        (6, 8, 7),
        (1, 2, 5),
        (2, 6, 5),
        (3, 7, 4),
        (4, 7, 8),
        (1, 5, 3),
        (3, 5, 7),
        (2, 4, 6),
        (4, 8, 6),
    ]
    (tmp_path / "shapes" / "link.obj").write_text("\n".join(lines + [f"f {a} {b} {c}" for a, b, c in faces]))
    text = edited(
        ('autolimits="true"', 'autolimits="true" meshdir="shapes"'),
        ("<worldbody>", '<asset><mesh name="link" file="link.obj"/></asset>\n  <worldbody>'),
        (LINK_GEOM, '<geom type="mesh" mesh="link"/>'),
    )
    path = written(text)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    env = gym.make("PocketWorlds/Reach-v0", robot=path)
    env.reset(seed=0)
    assert env.unwrapped.vector.world.model.mesh("robot/arm/link").vertnum[0] == 8
    env.close()


# Use ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("control_mode", ["ee_delta", "joint_delta", "joint_pos"])
def test_spaces_and_checkers(arm: Path, control_mode: str):
    env = gym.make("PocketWorlds/Lift-v0", robot=arm, control_mode=control_mode, render_mode="rgb_array")
    assert env.action_space.shape == (7,)  # six joints, or six of the hand's pose, and the gripper
    panda = gym.make("PocketWorlds/Lift-v0", control_mode=control_mode)
    assert env.observation_space.shape[0] == panda.observation_space.shape[0] - 2  # a position and a velocity less
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_env(env.unwrapped)
    env.close()


def test_vector_checker(arm: Path):
    report = check_vector_env(
        "PocketWorlds/Reach-v0", modes=list(AutoresetMode), max_episode_steps=4, steps=10, robot=arm
    )
    assert report.passed


def test_cameras(arm: Path):
    env = gym.make("PocketWorlds/Lift-v0", robot=arm, obs_mode="rgb", camera="wrist", image_size=64)
    picture, _ = env.reset(seed=0)
    assert picture.std() > 10
    env.close()


@pytest.mark.parametrize(
    ("task", "gripper"),
    [
        ("Reach", "tendon 0..255"),
        ("Lift", "tendon 0..255"),
        ("PickPlace", "tendon 0..255"),
        ("Lift", "255 closes"),
        ("Lift", "hinged fingers"),
    ],
)
def test_experts_solve_tasks(task: str, gripper: str, written):
    env = gym.make_vec(f"PocketWorlds/{task}-v0", num_envs=6, robot=written(GRIPPERS[gripper]))
    env.reset(seed=5)
    expert = make_expert(env)
    for _ in range(env.unwrapped.max_episode_steps - 1):
        *_, info = env.step(expert.act())
    assert info["is_success"].mean() >= 5 / 6
    width = env.unwrapped.sensors()["gripper_width"]
    assert ((width >= 0) & (width <= env.unwrapped.world.robot.max_opening + 2e-3)).all()
    env.close()


# Faults ---------------------------------------------------------------------------------------------------------------


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


# MuJoCo Menagerie -----------------------------------------------------------------------------------------------------


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
