"""Environments of cousins: splits, and rigs that differ in camera, mount, gains, latency, calibration and noise."""

from __future__ import annotations

import math
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pocketworlds.digital_cousins.build import make_cousins
from pocketworlds.digital_cousins.config import CousinConfig
from pocketworlds.digital_cousins.cousin import Cousin
from pocketworlds.digital_cousins.cousin_set import CousinSet
from pocketworlds.digital_cousins.rig import NO_DIFFERENCE, Rig
from pocketworlds.envs import check_vector_env, rotations
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.envs.vector import WorldVectorEnv
from pocketworlds.errors import TaskError

ID = "PocketWorlds/Lift-v0"
RIGS = (
    Rig(latency=0.03, joint_noise=0.002, pose_noise=0.004, mount_shift=(0.02, -0.01), mount_yaw=0.05),
    Rig(calibration_shift=(0.004, -0.003, 0.002), calibration_yaw=0.03, stiffness=1.2, damping=0.9, strength=0.85),
    Rig(latency=0.05, pose_noise=0.002, calibration_yaw=-0.02, camera_shift=(0.02, 0, 0.01), camera_zoom=1.1),
)


def cousin(rig: Rig, name: str = "one_cube") -> Cousin:
    return Cousin(0, "train", builtin_scene(name), rig, {})


def make(num_envs: int, rigs=RIGS, names=("one_cube", "tabletop", "one_cube"), **keywords) -> WorldVectorEnv:
    scene = [cousin(rig, name) for rig, name in zip(rigs, names, strict=False)]
    options = {"max_episode_steps": None, "autoreset_mode": "Disabled", "num_threads": 1}
    return gym.make_vec(ID, num_envs=num_envs, scene=scene, **{**options, **keywords}).unwrapped  # type: ignore[return-value]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CousinSet:
    """Ten cousins of a cube on a table: eight for training, one for each of the others."""
    config = CousinConfig.model_validate({"instance": {"on": False}, "clutter": {"on": False}, "spread": 1.0})
    out = tmp_path_factory.mktemp("sets") / "cubes"
    return make_cousins(builtin_scene("one_cube"), out, count=10, config=config, seed=1, workers=1)


@pytest.mark.parametrize(("split", "count"), [("train", 8), ("validation", 1), ("test", 1), ("all", 10)])
def test_an_environment_has_the_cousins_of_its_split(made: CousinSet, split: str, count: int):
    env = gym.make_vec(ID, num_envs=2, scene=made.folder, split=split).unwrapped
    chosen = made.indices(None if split == "all" else split)  # type: ignore[arg-type]
    expected = [made.load(int(k)) for k in chosen]
    assert len(env.worlds) == count
    assert [world.rig for world in env.worlds] == [each.rig for each in expected]
    assert [world.scene.name for world in env.worlds] == [each.scene.name for each in expected]
    with pytest.raises(TaskError, match="split='exam' is not known"):
        gym.make_vec(ID, num_envs=2, scene=made.folder, split="exam")


def test_gymnasium_finds_nothing_wrong_with_a_set(made: CousinSet):
    check_env(gym.make(ID, scene=str(made.folder)).unwrapped, skip_render_check=True)


def test_the_vector_contract_holds_with_differing_rigs():
    scene = [cousin(rig, name) for rig, name in zip(RIGS, ("one_cube", "tabletop", "one_cube"), strict=True)]
    check_vector_env(ID, scene=scene, max_episode_steps=9)


def test_a_batch_is_as_many_singles_bit_for_bit():
    batch = make(6)
    actions = np.random.default_rng(0).uniform(-1, 1, (8, 6, 7)).astype(np.float32)
    seen = [batch.reset(seed=3)[0], *(batch.step(action)[0] for action in actions)]
    assert set(batch._schedule.scenes) == {0, 1, 2}
    for world in range(6):
        single = make(1)
        alone = [single.reset(seed=3 + world)[0], *(single.step(action[[world]])[0] for action in actions)]
        np.testing.assert_array_equal([each[0] for each in alone], [each[world] for each in seen])


def test_a_state_brings_latency_and_noise_back():
    env = make(6)
    actions = np.random.default_rng(1).uniform(-1, 1, (14, 6, 7))
    env.reset(seed=0)
    for action in actions[:6]:
        env.step(action)
    state, now = env.get_state(), env.observe()
    expected = [env.step(action)[:2] for action in actions[6:]]
    for other in (env, make(6)):
        other.reset(seed=50)
        other.step(actions[0])
        other.set_state(state)
        np.testing.assert_array_equal(other.observe(), now)
        for action, (observation, reward) in zip(actions[6:], expected, strict=True):
            found = other.step(action)
            np.testing.assert_array_equal(found[0], observation)
            np.testing.assert_array_equal(found[1], reward)


def test_a_rig_without_differences_changes_nothing_bit_for_bit():
    plain = gym.make_vec(ID, num_envs=3, scene="tabletop", autoreset_mode="Disabled").unwrapped
    other = gym.make_vec(ID, num_envs=3, scene=cousin(NO_DIFFERENCE, "tabletop"), autoreset_mode="Disabled").unwrapped
    np.testing.assert_array_equal(plain.reset(seed=2)[0], other.reset(seed=2)[0])
    for action in np.random.default_rng(2).uniform(-1, 1, (12, 3, 7)):
        np.testing.assert_array_equal(plain.step(action)[0], other.step(action)[0])
    np.testing.assert_array_equal(plain.get_state().simulator.physics, other.get_state().simulator.physics)


@pytest.mark.parametrize("latency", [0.0, 0.004, 0.02, 0.031, 0.05])
def test_servos_are_told_everything_so_much_later(latency: float):
    """Beside plain MuJoCo, its servos told by hand so many steps later."""
    env = make(2, [Rig(latency=latency), Rig(latency=0.05)], ["one_cube"] * 2, control_mode="joint_pos")
    env.reset(seed=0, options={"scene": np.array([0, 1])})
    batch = env.simulator.batch
    model = env.world.model
    model.actuator_delay[:] = 0.0
    data = mujoco.MjData(model)
    data.qpos[:], data.ctrl[:], data.act[:] = batch.qpos[0], batch.ctrl[0], batch.act[0]
    steps = math.ceil(latency / model.opt.timestep - 1e-9)
    waiting = [batch.ctrl[0].copy()] * steps
    for action in np.random.default_rng(0).uniform(-1, 1, (6, 2, 8)):
        env.step(action)
        for _ in range(25):
            waiting.append(batch.ctrl[0].copy())
            data.ctrl[:] = waiting.pop(0)
            mujoco.mj_step(model, data)
        np.testing.assert_allclose(batch.act[0], data.act, atol=1e-12)
        np.testing.assert_allclose(batch.qpos[0], data.qpos, atol=1e-6)  # the cube sleeps in one and not in the other


def test_a_late_arm_does_later_what_the_other_does():
    """In whole control periods, where the two can be compared sensor by sensor."""
    env = make(2, [Rig(latency=0.05), NO_DIFFERENCE], ["one_cube"] * 2, control_mode="joint_delta", joint_noise=0.0)
    env.reset(seed=[0, 0], options={"scene": np.array([0, 1])})
    actions = np.zeros((12, 8))
    actions[2:6, 1] = 0.5
    seen = []
    for action in actions:
        env.step(np.stack([action, action]))
        seen.append(env.sensors()["joint_pos"][:, 1].copy())
    late, other = np.array(seen).T
    np.testing.assert_allclose(late[1:], other[:-1], atol=2e-4)
    assert np.abs(late - other).max() > 0.01


# -- what is measured --------------------------------------------------------------------------------------------------


def frame(position: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = matrix, position
    return found


def test_calibration_moves_what_is_seen_in_the_frame_of_the_base_and_nothing_else():
    rig = Rig(calibration_shift=(0.01, -0.02, 0.005), calibration_yaw=0.2)
    env = make(2, [rig], ["kitchen"], task="open_drawer")
    env.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (3, 2, 7)):
        env.step(action)
    true, seen, world = env.sensors(), env._measured(), env.world
    turn = rotations.from_vector(np.array([[0, 0, rig.calibration_yaw]]))[0]
    base = frame(world.base_pos, world.base_mat)
    wrong = base @ frame(np.array(rig.calibration_shift), turn) @ np.linalg.inv(base)  # on poses in the world
    for k in range(len(world.objects)):
        before = frame(true["object_pos"][0, k], true["object_mat"][0, k])
        after = frame(seen["object_pos"][0, k], seen["object_mat"][0, k])
        np.testing.assert_allclose(after, wrong @ before, atol=1e-12)
        moved = wrong[:3, :3] @ true["object_vel"][0, k, :3]
        np.testing.assert_allclose(seen["object_vel"][0, k], [*moved, *true["object_vel"][0, k, 3:]], atol=1e-12)
    for k in range(len(world.parts)):
        before = frame(true["handle_pos"][0, k], true["handle_mat"][0, k])
        after = frame(seen["handle_pos"][0, k], seen["handle_mat"][0, k])
        np.testing.assert_allclose(after, wrong @ before, atol=1e-12)
    for name in true.keys() - {"object_pos", "object_mat", "object_vel", "handle_pos", "handle_mat"}:
        np.testing.assert_array_equal(seen[name], true[name])


def test_noise_is_as_large_as_the_rig_says_and_new_at_every_step_and_in_every_world():
    env = make(64, RIGS[:1], ["one_cube"], joint_noise=0.0)
    env.reset(seed=0)
    errors: dict[str, list[np.ndarray]] = {"joint_pos": [], "object_pos": []}
    for _ in range(20):
        env.step(np.zeros((64, 7)))
        true, seen = env.sensors(), env._measured()
        for name, found in errors.items():
            found.append((seen[name] - true[name]).reshape(64, -1))
            np.testing.assert_array_equal(seen[name], env._measured()[name])  # whoever looks twice sees the same
        assert {name for name in true if not np.array_equal(true[name], seen[name])} == errors.keys()
    for name, sigma in (("joint_pos", RIGS[0].joint_noise), ("object_pos", RIGS[0].pose_noise)):
        noise = np.stack(errors[name]) / sigma  # (steps, worlds, size)
        many = noise.size
        assert abs(noise.mean()) < 4 / np.sqrt(many)
        assert abs(noise.std() - 1) < 4 / np.sqrt(2 * many)
        assert abs((noise**4).mean() - 3) < 4 * np.sqrt(96 / many)  # a normal distribution's
        assert len(np.unique(noise)) == many
        for one, other in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1]), (noise[..., 1:], noise[..., :-1])):
            assert abs((one * other).mean()) < 4 / np.sqrt(one.size)


def test_noise_is_a_function_of_seed_episode_and_step():
    env, other = make(4, RIGS[:1], ["one_cube"]), make(2, RIGS[:1], ["one_cube"])
    first, _ = env.reset(seed=5)
    second, _ = env.reset()
    again, _ = other.reset(seed=[7, 5], options={"episode": np.array([0, 1])})
    np.testing.assert_array_equal(again, [first[2], second[0]])
    alone = Rig(pose_noise=0.004)
    quiet, _ = make(4, [NO_DIFFERENCE], ["one_cube"]).reset(seed=5)
    noisy, _ = make(4, [alone], ["one_cube"]).reset(seed=5)
    assert (np.abs(quiet - noisy).max(axis=1) > 1e-4).all()


def test_rewards_and_success_are_of_what_is_not_of_what_is_measured():
    noisy = make(2, [Rig(pose_noise=0.05, joint_noise=0.05)], ["one_cube"])
    plain = make(2, [NO_DIFFERENCE], ["one_cube"])
    noisy.reset(seed=0)
    plain.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (8, 2, 7)):
        np.testing.assert_array_equal(noisy.step(action)[1], plain.step(action)[1])


# -- the model ---------------------------------------------------------------------------------------------------------


def test_gains_and_force_limits_are_those_of_the_rig():
    plain = make(1, [NO_DIFFERENCE], ["one_cube"]).world
    other = make(1, [Rig(stiffness=1.2, damping=0.9, strength=0.8)], ["one_cube"]).world
    servos = plain.joint_ctrl
    for name, column, factor in (("gainprm", 0, 1.2), ("biasprm", 1, 1.2), ("biasprm", 2, 0.9)):
        before, after = (getattr(world.model, f"actuator_{name}") for world in (plain, other))
        np.testing.assert_allclose(after[servos, column], factor * before[servos, column])
        rest = np.setdiff1d(np.arange(plain.model.nu), servos)
        np.testing.assert_array_equal(after[rest], before[rest])
    before, after = (world.model.actuator_forcerange for world in (plain, other))
    np.testing.assert_allclose(after[servos], 0.8 * before[servos])


def test_a_softer_arm_lags_behind_and_nobody_tells_its_controller():
    """A joint at constant speed lags by speed * damping / stiffness: with half of the stiffness by so much more."""
    env = make(2, [Rig(stiffness=0.5), NO_DIFFERENCE], ["one_cube"] * 2, control_mode="joint_delta", joint_noise=0.0)
    env.reset(seed=[0, 0], options={"scene": np.array([0, 1])})
    action = np.zeros((2, 8))
    action[:, 0] = 0.3
    for _ in range(25):
        before = env.sensors()["joint_pos"][:, 0].copy()
        env.step(action)
    servo, model = env.world.joint_ctrl[0], env.worlds[1].model
    after = env.sensors()["joint_pos"][:, 0]
    lag = env.simulator.batch.ctrl[:, servo] - after
    speed = float((after - before).mean()) / env.simulator.control_period
    np.testing.assert_allclose((after - before) / env.simulator.control_period, speed, rtol=0.01)
    damping = model.dof_damping[env.world.joint_dof[0]] - model.actuator_biasprm[servo, 2]
    assert lag[0] - lag[1] == pytest.approx(speed * damping / model.actuator_gainprm[servo, 0], rel=0.03)
    lags = [make(1, [each], ["one_cube"]).simulator._controller._lag for each in (RIGS[1], NO_DIFFERENCE)]
    np.testing.assert_allclose(*lags)


def test_the_mount_moves_along_its_own_axes():
    plain = make(1, [NO_DIFFERENCE], ["one_cube"]).world
    other = make(1, [Rig(mount_shift=(0.03, -0.02), mount_yaw=0.1)], ["one_cube"]).world
    shift = plain.base_mat.T @ (other.base_pos - plain.base_pos)
    np.testing.assert_allclose(shift, [0.03, -0.02, 0], atol=1e-12)
    turn = plain.base_mat.T @ other.base_mat
    np.testing.assert_allclose(turn, rotations.from_vector(np.array([[0, 0, 0.1]]))[0], atol=1e-12)


def test_the_camera_moves_turns_and_zooms_as_said():
    import mujoco

    rig = Rig(camera_shift=(0.03, 0.01, -0.02), camera_turn=(0.02, -0.05, 0.04), camera_zoom=1.2)
    shots = []
    for each in (NO_DIFFERENCE, rig):
        model = make(1, [each], ["one_cube"]).world.model
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        camera = model.camera("front").id
        shots.append(
            (frame(data.cam_xpos[camera], data.cam_xmat[camera].reshape(3, 3)), np.radians(model.cam_fovy[camera]))
        )
    (before, wide), (after, wider) = shots
    turn = rotations.from_vector(np.array([rig.camera_turn]))[0]
    np.testing.assert_allclose(np.linalg.inv(before) @ after, frame(np.array(rig.camera_shift), turn), atol=1e-9)
    assert np.tan(wider / 2) / np.tan(wide / 2) == pytest.approx(1.2)


def test_a_picture_shows_the_camera_of_its_cousin():
    rigs = [NO_DIFFERENCE, Rig(camera_turn=(0.0, 0.3, 0.0))]
    env = make(2, rigs, ["one_cube"] * 2, obs_mode="rgb", image_size=48)
    seen, _ = env.reset(seed=[0, 0], options={"scene": np.array([0, 1])})
    assert np.abs(seen[0].astype(int) - seen[1]).mean() > 5


def test_a_set_that_was_tampered_with_makes_no_environment(made: CousinSet, tmp_path: Path):
    import shutil

    copy = Path(shutil.copytree(made.folder, tmp_path / "copy"))
    path = copy / made.manifest.entries[0].file
    path.write_text(path.read_text().replace('"latency":0', '"latency":1', 1) + " ")
    with pytest.raises(ValueError, match=r"is not the file that the set was made with"):
        gym.make_vec(ID, num_envs=1, scene=copy)


def test_things_balanced_to_the_last_digit_fit_in_one_batch():
    """MuJoCo takes centres of mass within a micrometre of a body's frame for its origin, and stores less then."""
    twin = builtin_scene("one_cube")
    scenes = []
    for off in (0.0, 1e-22, -1e-22, 4e-7, -4e-7, 1e-6, -1e-6, -2e-6, 1e-3):
        body = twin.objects[0].body
        body = body.model_copy(update={"inertial": body.inertial.model_copy(update={"com": (off, 0.0, 0.0)})})
        scenes.append(twin.model_copy(update={"objects": (twin.objects[0].model_copy(update={"body": body}),)}))
    env = gym.make_vec(ID, num_envs=len(scenes), scene=scenes).unwrapped
    env.reset(seed=0, options={"scene": np.arange(len(scenes))})
    assert not env.step(np.zeros((len(scenes), 7)))[-1]["physics_error"].any()
