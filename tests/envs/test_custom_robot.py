"""Users' own arms: loaded from MJCF, played, solved by the experts."""

from __future__ import annotations

import warnings
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import check_vector_env
from pocketworlds.envs.kinematics import InverseKinematics
from pocketworlds.envs.robots import Arm, get_robot
from pocketworlds.envs.robots.checker import check_robot

from .custom_arms import ARM, FINGERS, GRIPPER, LINK_GEOM, edited

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
        solver = InverseKinematics(each, 1)
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


def test_what_is_only_seen_is_drawn_and_not_stepped(written, arm: Path):
    """Visual meshes and their textures weigh most of a model; those that count for a body's mass stay."""
    looks = """<asset><texture name="red" type="2d" builtin="flat" width="4" height="4" rgb1="1 0 0"/>
    <material name="red" texture="red"/><mesh name="shell" vertex="0 0 0 .1 0 0 0 .1 0 0 0 .1"/></asset>
  <worldbody>"""
    shell = '<geom type="mesh" mesh="shell" material="red" contype="0" conaffinity="0" mass="0"/>'
    shell += '<geom name="felt" size="0.01" material="red" contype="0" conaffinity="0" mass="0"/>'
    sensor = ("</mujoco>", '<sensor><distance name="d" geom1="felt" body2="hand" cutoff="1"/></sensor></mujoco>')
    red = LINK_GEOM.replace("/>", ' material="red"/>')
    painted = edited(("<worldbody>", looks), (LINK_GEOM, red + shell), sensor)
    world, plain = (
        gym.make("PocketWorlds/Reach-v0", robot=path).unwrapped.vector.world for path in (written(painted), arm)
    )
    assert world.drawn.ngeom > world.model.ngeom
    assert (world.drawn.mesh("robot/arm/shell").vertnum[0], world.drawn.nmat - plain.drawn.nmat) == (4, 1)
    assert (world.model.nmesh, world.model.nmat, world.model.ntex) == (plain.model.nmesh, 0, 0)
    np.testing.assert_array_equal(world.model.body_mass, plain.model.body_mass)
    np.testing.assert_array_equal(world.model.body_inertia, plain.model.body_inertia)
    assert world.model.geom("robot/arm/felt").type[0] == mujoco.mjtGeom.mjGEOM_SPHERE  # a sensor is about it
    assert world.model.ngeom == plain.model.ngeom + 1


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
