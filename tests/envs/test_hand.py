"""The hand against its data sheet, what it holds, and its two tasks solved in bare MuJoCo by the scripted experts."""

from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
from pocketworlds.agents.fingertips import FingertipSolver
from pocketworlds.agents.hand_experts import HandLiftExpert, HandReorientExpert
from pocketworlds.envs.robots import HAND
from pocketworlds.envs.tasks.hand_lift import HandLift
from pocketworlds.envs.tasks.hand_reorient import REST, REST_QUATERNION, HandReorient

from .hand_bench import HandBench, hand_model, yaw_quaternion

# Shadow Dexterous Hand E Series, Technical Specification, "Kinematic structure": least and largest angle [degrees].
FINGER = [(-20, 20), (-15, 90), (0, 90), (0, 90)]
RANGES = {
    "thumb": [(-60, 60), (0, 70), (-12, 12), (-40, 40), (-15, 90)],
    "index": FINGER,
    "middle": FINGER,
    "ring": FINGER,
    "little": [(0, 45), *FINGER],
}
CUBE = 0.0225
HEIGHT = 0.3


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


@pytest.mark.parametrize("posture", [HAND.grasp, HAND.cradle], ids=["grasp", "cradle"])
def test_it_holds_its_postures_and_touches_nothing(model: mujoco.MjModel, posture):
    data = mujoco.MjData(model)
    data.qpos[:] = data.ctrl[:] = posture.joints
    mujoco.mj_forward(model, data)
    assert data.ncon == 0
    for _ in range(1000):
        mujoco.mj_step(model, data)
    np.testing.assert_allclose(data.qpos, posture.joints, atol=1e-4)


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
    start = np.tile(HAND.grasp.joints, (8, 1))
    moved = start.copy()
    moved[:, 4:] += np.random.default_rng(0).uniform(-0.1, 0.1, (8, 22))
    moved = np.clip(moved, HAND.joint_low, HAND.joint_high)
    goal = solver.tips(moved)
    found = solver.step(start, goal, start[0], task=np.ones((5, 3)), mobility=np.ones(26), iterations=60)
    assert np.abs(solver.tips(found) - goal).max() < 2e-3


def lift_bench(shape: str, size: tuple[float, ...], *, mass: float, worlds: int, seed: int) -> HandBench:
    model = hand_model(HAND.grasp, shape, size, mass=mass, height=0.0)
    bench = HandBench(model, worlds, HandLift, hold_base=False)
    rng = np.random.default_rng(seed)
    pos = np.full((worlds, 3), size[0] if shape == "sphere" else size[-1])
    pos[:, :2] = rng.uniform([0.068, -0.05], [0.168, 0.05], (worlds, 2))
    bench.reset(HAND.grasp, pos, yaw_quaternion(rng.uniform(-np.pi, np.pi, worlds)))
    return bench


def reorient_bench(turns: np.ndarray, quarters: np.ndarray) -> HandBench:
    model = hand_model(HAND.cradle, "box", (CUBE, CUBE, CUBE), mass=0.07, height=HEIGHT)
    bench = HandBench(model, len(turns), HandReorient, hold_base=True)
    pos = np.tile([REST[0], -REST[1], HEIGHT - REST[2]], (len(turns), 1))
    (w, x, y, z), c, s = REST_QUATERNION, np.cos(quarters * np.pi / 4), np.sin(quarters * np.pi / 4)
    quat = np.stack([w * c - z * s, x * c + y * s, y * c - x * s, w * s + z * c], axis=1)
    goals = np.zeros((len(turns), 3))
    goals[:, 2] = turns
    bench.reset(HAND.cradle, pos, quat, goals)
    return bench


@pytest.mark.parametrize(
    ("shape", "size", "mass"),
    [
        ("box", (0.025, 0.035, 0.03), 0.2),
        ("box", (0.032, 0.034, 0.04), 0.1),
        ("cylinder", (0.03, 0.035), 0.3),
        ("sphere", (0.03,), 0.1),
    ],
)
def test_expert_lifts(shape: str, size: tuple[float, ...], mass: float):
    bench = lift_bench(shape, size, mass=mass, worlds=4, seed=1)
    expert = HandLiftExpert(bench)
    success = np.zeros(4, dtype=bool)
    for _ in range(120):
        action = expert.act()
        assert np.abs(action).max() <= 1
        success = bench.step(action)
    assert success.all()


def test_held_object_does_not_creep_in_ten_seconds():
    bench = lift_bench("box", (0.025, 0.03, 0.03), mass=0.2, worlds=1, seed=0)
    expert = HandLiftExpert(bench)
    for _ in range(110):
        bench.step(expert.act())
    before = bench.in_palm()
    for _ in range(200):
        success = bench.step(np.zeros((1, 26)))
    assert success.all()
    assert np.abs(bench.in_palm() - before).max() < 1e-3


def test_cube_rests_in_the_cradle_from_the_first_step():
    bench = reorient_bench(np.full(4, 0.8), np.arange(4))
    before = bench.in_palm()
    for _ in range(40):
        bench.step(np.zeros((4, 26)))
    assert np.abs(bench.in_palm() - before).max() < 5e-4
    assert np.abs(bench.task.left(bench.sensors()) - 0.8).max() < 5e-3


def test_expert_turns_the_cube_either_way():
    turns = np.array([-1.04, -0.85, -0.62, 0.62, 0.85, 1.04])
    bench = reorient_bench(turns, np.arange(6) % 4)
    expert = HandReorientExpert(bench)
    success = np.zeros(6, dtype=bool)
    for _ in range(220):
        success = bench.step(expert.act())
    assert success.sum() >= 5


def test_random_motion_solves_nothing():
    rng = np.random.default_rng(3)
    bench = reorient_bench(rng.uniform(0.6, 1.05, 16), np.arange(16) % 4)
    for _ in range(150):
        success = bench.step(rng.uniform(-1, 1, (16, 26)))
    assert not success.any()


@pytest.mark.parametrize("kind", ["lift", "reorient"])
def test_rewards_are_in_range_and_a_batch_equals_singles(kind: str):
    def rollout(rows: list[int]) -> np.ndarray:
        turns = np.array([0.7, -0.7, 1.0])[rows]
        if kind == "reorient":
            bench = reorient_bench(turns, np.array(rows))
        else:
            bench = lift_bench("box", (0.025, 0.035, 0.03), mass=0.1, worlds=len(rows), seed=0)
            bench.reset(HAND.grasp, np.array([[0.1 + 0.02 * r, 0.0, 0.03] for r in rows]), yaw_quaternion(turns))
        expert = HandReorientExpert(bench) if kind == "reorient" else HandLiftExpert(bench)
        for _ in range(40):
            bench.step(expert.act())
            result = bench.task.evaluate(bench.sensors())
            assert all(((term >= 0) & (term <= 1)).all() for term in result.terms.values())
            assert ((result.dense >= 0) & (result.dense <= 1)).all()
        assert sum(bench.task.settings["scales"].values()) == pytest.approx(1)
        parts = bench.task.observe(bench.sensors())
        return np.concatenate([bench.batch.state, *parts.values()], axis=1)

    together = rollout([0, 1, 2])
    for row in range(3):
        np.testing.assert_array_equal(rollout([row])[0], together[row])
