"""Servos that differ between cousins: what a neural simulator is told of them, beside what physics does with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pocketworlds.agents.experience import Practice, gather, make_practice_env
from pocketworlds.agents.train_neural import Course, train_neural
from pocketworlds.digital_cousins.cousin import Cousin
from pocketworlds.digital_cousins.rig import Rig
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.backends.forms import model_shape, robot_form, scene_form
from pocketworlds.envs.backends.handover import Handover
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.checkpoint import load_checkpoint, save_checkpoint
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.geometry import Geometry
from pocketworlds.world_models.hybrid.model import load_model, save_model
from pocketworlds.world_models.hybrid.training import TrainConfig
from pocketworlds.world_models.hybrid.trust import Trust

PUSH = "PocketWorlds/Push-v0"
RIGS = (Rig(), Rig(latency=0.003), Rig(latency=0.021, stiffness=0.8, damping=1.25), Rig(latency=0.05, strength=0.9))


def cousins(rigs: Sequence[Rig] = RIGS) -> list[Cousin]:
    return [Cousin(k, "train", builtin_scene("one_cube"), rig, {}) for k, rig in enumerate(rigs)]


def make(rigs: Sequence[Rig] = RIGS, **keywords: Any) -> WorldVectorEnv:
    env = gym.make_vec(PUSH, num_envs=len(rigs), scene=cousins(rigs), autoreset_mode="Disabled", **keywords).unwrapped
    assert isinstance(env, WorldVectorEnv)
    return env


def networks(env: WorldVectorEnv, *, tuned: bool) -> tuple[Dynamics, Geometry]:
    """Random networks."""
    robot = robot_form(env.world)
    shape = replace(model_shape(env.world, robot), members=2, width=16, tuned=tuned)
    return Dynamics(shape).eval(), Geometry(robot, [scene_form(world) for world in env.worlds])


def model(path: Path, rigs: Sequence[Rig] = RIGS, *, tuned: bool = True, trust: Trust | None = None) -> Path:
    env = make(rigs)
    save_model(path, networks(env, tuned=tuned)[0], trust, robot="panda")
    env.close()
    return path


def each_in_its_own(env: WorldVectorEnv) -> None:
    """Episodes that differ in nothing else."""
    env.reset(seed=[0] * env.num_envs, options={"scene": np.arange(env.num_envs)})


def actions(steps: int, count: int = len(RIGS)) -> np.ndarray:
    """For all worlds the same."""
    found = np.random.default_rng(0).uniform(-1, 1, (steps, 1, 7)).astype(np.float32)
    return np.repeat(found, count, axis=1)


def test_late_commands_lead_filters_to_where_they_get_in_physics():
    """Those of the arm, which wander, and the gripper's, which jumps; from the first step of an episode on."""
    env = make()
    dynamics, geometry = networks(env, tuned=False)
    env.close()
    practice = Practice(PUSH, 16, num_envs=16, keywords={"scene": cousins(), "max_episode_steps": 12})
    seen = gather(practice)
    frame = (seen.left > 0).nonzero()[:, 0]
    state, told = seen.state(frame), seen.targets[frame]
    heard = dynamics.heard(geometry, state, told)
    reached = dynamics.filter(state.filtered, heard)
    assert {float(x) for x in state.scene.unique()} == {0, 1, 2, 3}
    torch.testing.assert_close(reached, seen.filtered[frame + 1], atol=5e-6, rtol=0)
    torch.testing.assert_close(heard[state.scene == 0], told[state.scene == 0], atol=0, rtol=0)
    torch.testing.assert_close(heard[state.scene == 3], state.told[state.scene == 3], atol=1e-6, rtol=0)
    prompt = dynamics.filter(state.filtered, told)
    assert (prompt - seen.filtered[frame + 1])[state.scene == 2].abs().max() > 0.01


@pytest.mark.parametrize(("tuned", "apart"), [(False, False), (True, True)])
def test_gains_make_a_difference_to_models_that_see_them(tmp_path: Path, tuned: bool, apart: bool):
    rigs = (Rig(), Rig(stiffness=0.8), Rig(damping=1.2), Rig(strength=0.9))
    env = make(rigs, backend="neural", checkpoint=model(tmp_path / "model.safetensors", rigs, tuned=tuned))
    each_in_its_own(env)
    for action in actions(3, len(rigs)):
        env.step(action)
    joints = env.sensors()["joint_pos"]
    assert [bool(np.abs(each - joints[0]).max() > 1e-6) for each in joints] == [False, apart, apart, apart]
    env.close()


def test_play_is_on_all_sides_of_what_there_is():
    """Half as much again, by hand; what the servos do not concern stays, and so does a scene that has none."""
    rigs = (Rig(joint_noise=0.01), Rig(stiffness=0.81, damping=1.21, strength=0.9, latency=0.02, mount_yaw=0.1))
    practice = Practice(PUSH, 2, num_envs=2, keywords={"scene": cousins(rigs), "max_episode_steps": 4}, servos=1.5)
    env = make_practice_env(practice)
    plain, other = (world.rig for world in env.worlds)
    env.close()
    assert plain == rigs[0]
    found = [other.stiffness, other.damping, other.strength, other.latency]
    np.testing.assert_allclose(found, [0.729, 1.331, 0.9**1.5, 0.03], rtol=1e-12)
    assert other.mount_yaw == rigs[1].mount_yaw
    assert Rig(latency=0.04).with_servos_apart(1.5).latency == 0.05
    alone = Practice(PUSH, 2, keywords={"scene": builtin_scene("one_cube")}, servos=1.5)
    assert alone.worlds() == alone.keywords


def test_what_is_under_way_is_a_part_of_the_state(tmp_path: Path):
    env = make(backend="neural", checkpoint=model(tmp_path / "model.safetensors"))
    each_in_its_own(env)
    first, second, third = actions(3)
    env.step(first)
    env.step(second)
    kept = env.get_state()
    there = env.step(third)[0]
    env.step(-third)
    env.set_state(kept)
    np.testing.assert_array_equal(env.step(third)[0], there)
    env.close()


def test_what_is_under_way_is_handed_over(tmp_path: Path):
    """To a model and back again: physics goes on as it would have."""
    physics, again = make(), make()
    neural = make(backend="neural", checkpoint=model(tmp_path / "model.safetensors"))
    for env in (physics, neural, again):
        each_in_its_own(env)
    for action in actions(4):
        physics.step(action)
    for source, target in ((physics, neural), (neural, again)):
        state = source.get_state()
        handed = Handover(source.simulator, target.simulator, source.worlds)(state.simulator)
        target.set_state(replace(state, simulator=handed))
    for action in actions(2):
        physics.step(action)
        again.step(action)
        np.testing.assert_allclose(again.sensors()["joint_pos"], physics.sensors()["joint_pos"], atol=1e-5)
    for env in (physics, neural, again):
        env.close()


def test_servos_unlike_those_that_were_learned_from_are_strange(tmp_path: Path):
    """By their latency in units of 20 ms, or by the decades of a gain in units of 0.13: what is more."""
    trust = Trust()
    trust.usual.fill_(1e6)
    env = make(backend="neural", checkpoint=model(tmp_path / "model.safetensors", trust=trust))
    each_in_its_own(env)
    for action in actions(30):
        *_, info = env.step(0 * action)
    # Latencies last whole steps of physics, of 2 ms: 0, 4, 22 and 50 ms; log10(0.8) / 0.13 is less than 22 / 20.
    np.testing.assert_allclose(info["neural/strangeness"], [0.0, 0.2, 1.1, 2.5], atol=1e-3)
    assert info["neural/ood"][2:].all()
    env.close()


@pytest.mark.parametrize("rigs", [RIGS, (Rig(), Rig())])
def test_models_that_are_made_where_servos_differ_see_them(tmp_path: Path, rigs: tuple[Rig, ...]):
    practice = Practice(PUSH, 8, num_envs=8, keywords={"scene": cousins(rigs), "max_episode_steps": 20})
    train = TrainConfig(steps=4, warmup=2, stages=((0.5, 1, 16), (0.5, 3, 8)), robot_batch=16)
    course = Course((practice,), train, members=2, width=16)
    made = train_neural(course, tmp_path / "work", tmp_path / "made.safetensors", lambda stage, share: None)
    dynamics, _, _ = load_model(tmp_path / "made.safetensors")
    differ = len(set(rigs)) > 1
    assert made.shape.tuned == dynamics.shape.tuned == differ
    env = make(rigs)
    _, geometry = networks(env, tuned=True)
    env.close()
    assert bool((dynamics.servo_novelty(geometry.servos) == 0).all())
    late = torch.tensor([[0.0, 0.0, 0.0, 4.0]])
    torch.testing.assert_close(dynamics.servo_novelty(late), torch.tensor([1.5 if differ else 4.0]))


def test_models_from_before_servos_were_looked_at_know_the_robot_s_own(tmp_path: Path):
    card, tensors = load_checkpoint(model(tmp_path / "model.safetensors", tuned=False))
    del tensors["dynamics/seen_servos"]
    settings = {name: value for name, value in card.settings.items() if name != "tuned"}
    save_checkpoint(tmp_path / "old.safetensors", replace(card, settings=settings), tensors)
    save_checkpoint(tmp_path / "cut.safetensors", card, tensors)
    with pytest.raises(CheckpointError, match="seen_servos"):
        load_model(tmp_path / "cut.safetensors")
    old, _, _ = load_model(tmp_path / "old.safetensors")
    assert not old.shape.tuned
    assert not old.seen_servos.any()
