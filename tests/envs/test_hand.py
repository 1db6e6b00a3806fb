"""The hand against its data sheet, what it holds, where it is put, and its two tasks on other shapes and scenes."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.agents.experts.fingertips import FingertipSolver
from pocketworlds.envs import rotations
from pocketworlds.envs.builtin.authoring import authored_object, table_surfaces
from pocketworlds.envs.robots import HAND
from pocketworlds.envs.synthetic import random_scene
from pocketworlds.envs.tasks.hand_reorient import heading
from pocketworlds.scenes import Scene
from pocketworlds.scenes.primitives import box, cylinder
from pocketworlds.scenes.scene import CollisionGeom

# Shadow Dexterous Hand E Series, Technical Specification, "Kinematic structure": least and largest angle [degrees].
FINGER = [(-20, 20), (-15, 90), (0, 90), (0, 90)]
RANGES = {
    "thumb": [(-60, 60), (0, 70), (-12, 12), (-40, 40), (-15, 90)],
    "index": FINGER,
    "middle": FINGER,
    "ring": FINGER,
    "little": [(0, 45), *FINGER],
}
LIFT, REORIENT = "PocketWorlds/HandLift-v0", "PocketWorlds/HandReorient-v0"


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    model = HAND.build().compile()
    model.opt.timestep = 0.002
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    return model


def test_joint_ranges_are_the_published_ones(model: mujoco.MjModel):
    assert (model.nv, model.nu, len(HAND.base_joints), len(HAND.finger_joints)) == (26, 26, 4, 22)
    expected = [math.radians(a) for limits in RANGES.values() for pair in limits for a in pair]
    np.testing.assert_allclose(model.jnt_range[4:].ravel(), expected, atol=1e-12)
    np.testing.assert_allclose(HAND.joint_low, model.jnt_range[:, 0])
    np.testing.assert_allclose(HAND.joint_high, model.jnt_range[:, 1])
    assert [model.joint(i).name for i in range(model.njnt)] == list(HAND.joints)
    assert [model.actuator(i).name for i in range(model.nu)] == list(HAND.joints)


def test_lengths_are_the_published_ones(model: mujoco.MjModel):
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    for tip, radius in zip(HAND.tips, HAND.tip_radius, strict=True):
        finger = tip.removesuffix("_tip")
        knuckle = data.body("thumb_turn" if finger == "thumb" else f"{finger}_spread").xpos
        length = np.linalg.norm(data.site(tip).xpos - knuckle) + radius
        assert length == pytest.approx(0.102 if finger == "thumb" else 0.100, abs=1e-9)
    assert np.linalg.norm(data.body("middle_spread").xpos - data.body("palm").xpos) == pytest.approx(0.099, abs=2e-3)
    # 3.9 kg with the forearm, which is not here.
    assert 0.6 < model.body_subtreemass[model.body("palm").id] < 0.8


def test_a_picture_of_it_costs_little(model: mujoco.MjModel):
    capsules = int((model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE).sum())
    assert model.nmesh == 0
    # 16 slices and 8 stacks, as observations are drawn, and two rings of each capsule's side.
    assert 16 * (8 + 2) * capsules + 24 * (model.ngeom - capsules) < 3000


@pytest.mark.parametrize("joints", [HAND.home, HAND.cradle.joints], ids=["home", "cradle"])
def test_it_holds_its_postures_and_touches_nothing(model: mujoco.MjModel, joints: tuple[float, ...]):
    data = mujoco.MjData(model)
    data.qpos[:] = data.ctrl[:] = joints
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    for _ in range(1000):
        mujoco.mj_step(model, data)
    np.testing.assert_allclose(data.qpos, joints, atol=1e-4)


def test_fast_wild_targets_stay_stable(model: mujoco.MjModel):
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    for _ in range(80):
        data.ctrl[:] = rng.uniform(HAND.joint_low, HAND.joint_high)
        for _ in range(25):
            mujoco.mj_step(model, data)
        assert np.abs(data.qvel).max() < 200
    assert not any(data.warning[w].number for w in range(len(data.warning)))


def test_fingertip_kinematics_reach_their_goals():
    solver = FingertipSolver(HAND, 8)
    start = np.tile(HAND.home, (8, 1))
    moved = start.copy()
    moved[:, 4:] += np.random.default_rng(0).uniform(-0.1, 0.1, (8, 22))
    moved = np.clip(moved, HAND.joint_low, HAND.joint_high)
    goal = solver.tips(moved)
    found = solver.step(start, goal, start[0], task=np.ones((5, 3)), mobility=np.ones(26), iterations=60)
    assert np.abs(solver.tips(found) - goal).max() < 2e-3


def make(env_id: str, num_envs: int, **keywords: Any) -> Any:
    return gym.make_vec(env_id, num_envs=num_envs, autoreset_mode="Disabled", max_episode_steps=None, **keywords)


def on_table(shape: CollisionGeom, mass: float) -> Scene:
    thing = authored_object("thing", "thing", [shape], shape.size, at=(0.1, -0.1), yaw=0.5, mass=mass)
    return Scene(name="thing", surfaces=table_surfaces(), objects=(thing,), settled=True)


def in_palm(env: Any) -> np.ndarray:
    """The target's position (n, 3) in the frame of the site `palm`."""
    s = env.sensors()
    return rotations.rotate(s["palm_mat"].transpose(0, 2, 1), env.task.place(s) - s["palm_pos"])


# HandLift -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "mass"),
    [
        (box(0.05, 0.07, 0.06), 0.2),
        (box(0.064, 0.068, 0.08), 0.1),
        (cylinder(0.06, 0.07), 0.3),
        (CollisionGeom(shape="sphere", size=(0.06, 0.06, 0.06)), 0.1),
    ],
    ids=["box", "thick", "cylinder", "sphere"],
)
def test_expert_lifts_other_shapes(shape: CollisionGeom, mass: float):
    env = make(LIFT, 4, scene=on_table(shape, mass))
    env.reset(seed=1)
    expert = make_expert(env)
    for _ in range(120):
        *_, info = env.step(expert.act())
    assert info["is_success"].all()


def test_held_object_does_not_creep_in_ten_seconds():
    env = make(LIFT, 1, object="box")
    env.reset(seed=0)
    expert = make_expert(env)
    for _ in range(110):
        env.step(expert.act())
    before = in_palm(env)
    for _ in range(200):
        *_, info = env.step(np.zeros((1, 26)))
    assert info["is_success"].all()
    assert np.abs(in_palm(env) - before).max() < 1e-3


@pytest.mark.parametrize(
    "scene", ["blocks", "clutter", random_scene(0), random_scene(5)], ids=lambda s: getattr(s, "name", s)
)
def test_expert_lifts_in_other_scenes(scene: str | Scene):
    env = make(LIFT, 4, scene=scene)
    env.reset(seed=3)
    expert = make_expert(env)
    for _ in range(150):
        *_, info = env.step(expert.act())
    assert info["is_success"].sum() >= 3


def test_scenes_without_anything_to_lift_say_why():
    flat = on_table(box(0.2, 0.15, 0.05), 0.2)
    with pytest.raises(
        TaskError, match=r"no object .* suits \(thing: it is 15.0 cm wide; the hand takes 2.8 to 6.8 cm\)"
    ):
        make(LIFT, 1, scene=flat)
    with pytest.raises(TaskError, match=r"weighs 0\.90 kg"):
        make(LIFT, 1, scene=on_table(box(0.05, 0.05, 0.08), 0.9))
    with pytest.raises(TaskError, match=r"thing: it is no cube of 44.5 to 45.5 mm"):
        make(REORIENT, 1, scene=flat)


def test_an_object_without_room_for_the_hand_is_no_target():
    scene = on_table(box(0.05, 0.05, 0.08), 0.1)
    walls = tuple(
        authored_object(f"wall_{k}", "wall", [box(0.03, 0.4, 0.3)], (0.03, 0.4, 0.3), at=(0.1 + x, -0.1), yaw=0.5)
        for k, x in enumerate((-0.06, 0.06))
    )
    with pytest.raises(TaskError, match=r"touch(es)? (wall|something)"):
        make(LIFT, 1, scene=scene.model_copy(update={"objects": (*scene.objects, *walls)}))


# HandReorient -------------------------------------------------------------------------------------------------------


def test_the_palm_looks_up_and_its_base_stays_where_it_is():
    env = make(REORIENT, 2)
    env.reset(seed=0)
    np.testing.assert_allclose(env.world.base_mat, np.diag([1, -1, -1]), atol=1e-12)
    np.testing.assert_allclose(env.world.mount.matrix, rotations.from_quaternion(np.array(env.world.mount.quaternion)))
    palm = env.sensors()["palm_pos"].copy()
    for _ in range(20):
        env.step(np.ones((2, 26)))
    assert np.abs(env.sensors()["palm_pos"] - palm).max() < 1e-3
    other = make(REORIENT, 2, control_mode="joint_pos")
    other.reset(seed=0)
    for _ in range(20):
        other.step(np.ones((2, 26)))
    assert np.abs(other.sensors()["palm_pos"] - palm).max() < 1e-3


def test_cube_rests_in_the_cradle_from_the_first_step():
    env = make(REORIENT, 8)
    env.reset(seed=0)
    before, left = in_palm(env), env.task.left(env.sensors())
    assert ((np.abs(left) > 0.44) & (np.abs(left) < 1.06)).all()
    assert (
        len({round(float(h)) for h in heading(env.task.frame(env.sensors())) / (np.pi / 2)}) > 2
    )  # on different sides
    for _ in range(40):
        env.step(np.zeros((8, 26)))
    assert np.abs(in_palm(env) - before).max() < 2e-3
    assert np.abs(env.task.left(env.sensors()) - left).max() < 0.02


def test_state_in_the_middle_of_a_turn_goes_on_bit_for_bit():
    env = make(REORIENT, 4, scene="blocks")
    env.reset(seed=0)
    expert = make_expert(env)
    for _ in range(60):
        env.step(expert.act())
    state = env.get_state()
    actions = [expert.act() for _ in range(1)] + [np.full((4, 26), 0.2 * k) for k in range(4)]
    first = [env.step(action)[0] for action in actions]
    env.set_state(state)
    for expected, action in zip(first, actions, strict=True):
        np.testing.assert_array_equal(env.step(action)[0], expected)


# Both ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", [LIFT, REORIENT])
@pytest.mark.parametrize("num_threads", [1, 2])
def test_size_and_threads_change_no_bit(env_id: str, num_threads: int):
    def rollout(num_envs: int, threads: int) -> np.ndarray:
        env = make(env_id, num_envs, num_threads=threads)
        env.reset(seed=5)
        actions = np.stack([np.random.default_rng(j).uniform(-1, 1, (8, 26)) for j in range(num_envs)], axis=1)
        return np.stack([env.step(action)[0] for action in actions])

    np.testing.assert_array_equal(rollout(33, num_threads)[:, :3], rollout(3, 1))


@pytest.mark.parametrize("env_id", [LIFT, REORIENT])
def test_joint_positions_reach_what_they_say(env_id: str):
    env = make(env_id, 1, control_mode="joint_pos")
    env.reset(seed=0)
    low, high = np.array(HAND.joint_low), np.array(HAND.joint_high)
    wanted = np.clip(env.world.home + 0.1, low, high)
    wanted[env.world.held] = env.world.home[env.world.held]
    for _ in range(30):
        env.step(2 * ((wanted - low) / (high - low))[None] - 1)
    free = [name for name in HAND.joints if "spread" in name or name == "base_z"]  # touch neither cube nor one another
    columns = [HAND.joints.index(name) for name in free]
    assert np.abs(env.sensors()["joint_pos"][0, columns] - wanted[columns]).max() < 0.02
    np.testing.assert_allclose(env.sensors()["joint_target"][0], wanted, atol=1e-9)


def test_wrong_combinations_are_refused():
    with pytest.raises(TaskError, match=r"control_mode='ee_delta' .*robot='hand'.*\['joint_delta', 'joint_pos'\]"):
        gym.make(LIFT, control_mode="ee_delta")
    with pytest.raises(TaskError, match="needs robot='hand'; robot='panda' is not"):
        gym.make(LIFT, robot="panda")
    with pytest.raises(TaskError, match="needs an arm with a gripper, such as robot='panda'; robot='hand' is not"):
        gym.make("PocketWorlds/Lift-v0", robot="hand")
    with pytest.raises(TaskError, match="control_mode='joint_delta'"):
        make_expert(gym.make(LIFT, control_mode="joint_pos"))
