"""What happens where a model is less sure than usual: infos, rewards, ends of episodes, physics that takes over."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from pocketworlds import TaskError
from pocketworlds.benchmarks.audit.ood import _changed
from pocketworlds.envs import check_vector_env
from pocketworlds.envs.backends.confidence import LOST, likely_lost
from pocketworlds.envs.backends.forms import model_shape, robot_form, scene_form
from pocketworlds.world_models.checkpoint import load_checkpoint, save_checkpoint
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.geometry import Geometry, State
from pocketworlds.world_models.hybrid.model import load_model
from pocketworlds.world_models.hybrid.trust import Trust
from scipy.stats import fisk

from .conftest import Model

PUSH = "PocketWorlds/Push-v0"


@pytest.fixture(scope="module")
def wary() -> Trust:
    """Finds everything strange."""
    trust = Trust()
    trust.usual.fill_(1e-9)
    return trust


@pytest.fixture(scope="module")
def bold() -> Trust:
    """Finds nothing strange, and is sure within millimetres."""
    trust = Trust()
    trust.usual.fill_(1e9)
    trust.excess.fill_(-5.0)
    return trust


@pytest.fixture(scope="module")
def lost() -> Trust:
    """Finds nothing strange, and does not know where things are."""
    trust = Trust()
    trust.usual.fill_(1e9)
    trust.excess.fill_(3.0)
    return trust


def make(model: Model, trust: Trust | None, on_ood: str, count: int = 3, **keywords: object) -> gym.vector.VectorEnv:
    return gym.make_vec(
        PUSH,
        num_envs=count,
        backend="neural",
        checkpoint=model(PUSH, trust),
        on_ood=on_ood,
        autoreset_mode=AutoresetMode.DISABLED,
        **keywords,
    )


def actions(steps: int, count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (steps, count, 7)).astype(np.float32)


def test_joints_and_speeds_far_from_those_that_were_learned_from_are_strange():
    """In squares of spreads of what was seen: a joint half of one out, a speed three; nothing else matters."""
    env = gym.make_vec(PUSH, num_envs=1).unwrapped
    dynamics = Dynamics(model_shape(env.world, robot_form(env.world)))
    links, actuators = dynamics.shape.links, dynamics.shape.actuators
    inputs = dynamics.inputs["robot"]
    inputs.mean.fill_(0.1)
    inputs.scale.copy_(torch.where(torch.arange(len(inputs.scale)) < links, 5.0, 0.5))
    joints, speeds = torch.full((2, links), 0.1), torch.full((2, links), 0.1)
    joints[0, 3] -= 0.1
    speeds[1, 5] += 6.0
    free = {"position": torch.full((2, 1, 3), 9.0), "rotation": torch.eye(3).expand(2, 1, 3, 3)}
    none = {"velocity": torch.zeros(2, 1, 6), "part": torch.zeros(2, 0), "part_speed": torch.zeros(2, 0)}
    told = dict.fromkeys(("filtered", "told"), torch.full((2, actuators), 9.0))
    rest = {**told, "force": torch.full((2, 2), 9.0)}
    state = State(scene=torch.zeros(2, dtype=torch.int64), joints=joints, speeds=speeds, **free, **none, **rest)
    torch.testing.assert_close(dynamics.unrest(state), torch.tensor([0.25, 9.0]))
    trust = Trust()
    trust.usual.copy_(torch.tensor([1e9, 1e9, 2.0]))
    torch.testing.assert_close(trust.strangeness(torch.tensor([[0.0, 0.0, 3.0, 0.0]])), torch.tensor([1.5]))


def test_models_from_before_motion_was_looked_at_say_what_they_said(model: Model, tmp_path: Path):
    trust = Trust()
    trust.usual.copy_(torch.tensor([0.5, 0.25, 1.0]))
    card, tensors = load_checkpoint(model(PUSH, trust))
    tensors["trust/usual"] = tensors["trust/usual"][:2]
    save_checkpoint(tmp_path / "old.safetensors", card, tensors)
    _, old, _ = load_model(tmp_path / "old.safetensors")
    assert old.fitted
    recent = torch.tensor([[1.0, 0.0, 1e6, 0.0], [0.0, 1.0, 1e6, 3.0]])
    torch.testing.assert_close(old.strangeness(recent), torch.tensor([2.0, 4.0]))


def test_things_unlike_those_that_were_learned_from_are_strange():
    """Four times the mass is two doublings, log10(4) / 0.3, too many; what is within what was seen is not strange."""
    env = gym.make_vec(PUSH, num_envs=1).unwrapped
    (scene,), forms = env.config.scene, []
    for mass in (1.0, 2.0, 1.5, 8.0):
        changed = gym.make_vec(PUSH, num_envs=1, scene=_changed(scene, mass=mass)).unwrapped
        forms.append(scene_form(changed.world))
        changed.close()
    robot = robot_form(env.world)
    geometry, dynamics = Geometry(robot, forms), Dynamics(model_shape(env.world, robot))
    assert geometry.real.all()
    assert (dynamics.novelty(geometry.traits[:, 0]) == 0).all()
    dynamics.meet(geometry.traits[:2, 0], geometry.servos)
    np.testing.assert_allclose(dynamics.novelty(geometry.traits[:, 0]), [0, 0, 0, np.log10(4) / 0.3], atol=1e-4)
    env.close()


def test_infos_tell_how_sure_it_is(model: Model, bold: Trust):
    env = make(model, bold, "ignore")
    _, info = env.reset(seed=0)
    assert (info["neural/uncertainty"] >= 0).all()
    before = info["neural/uncertainty"].copy()
    for action in actions(6):
        *_, info = env.step(action)
    assert np.isfinite(info["neural/uncertainty"]).all()
    assert not np.array_equal(info["neural/uncertainty"], before)
    assert not info["neural/ood"].any()
    assert "neural/uncertainty" not in gym.make_vec(PUSH, num_envs=1).reset(seed=0)[1]


def test_rewards_are_taken_away_where_it_is_strange_or_lost(model: Model, wary: Trust, lost: Trust, bold: Trust):
    rewards, told = {}, {}
    for name, trust, on_ood in (
        ("ignored", wary, "ignore"),
        ("penalised", wary, "penalise"),
        ("lost", lost, "penalise"),
        ("usual", bold, "penalise"),
    ):
        env = make(model, trust, on_ood)
        env.reset(seed=0)
        rewards[name] = env.step(actions(1)[0])[1]
        told[name] = env.unwrapped.simulator.diagnostics()["neural/lost"]
    assert (rewards["ignored"] > 0).all()
    assert (rewards["penalised"] == 0).all()
    assert (told["lost"] > 0.5).all()
    np.testing.assert_allclose(rewards["lost"], rewards["ignored"] * (1 - told["lost"]) / 0.9)
    np.testing.assert_array_equal(rewards["usual"], rewards["ignored"])


def test_likely_lost_is_the_tail_of_the_distribution_that_has_the_bound():
    bound = np.array([1e-4, 0.01, LOST, 0.3, 20.0])
    expected = [fisk.sf(LOST, 1.0, scale=each / fisk.ppf(0.9, 1.0)) for each in bound]
    np.testing.assert_allclose(likely_lost(bound), expected)
    assert likely_lost(np.array(LOST)) == pytest.approx(0.1)


def test_out_of_its_depth_is_who_is_strange_or_may_be_far_off(model: Model, wary: Trust, lost: Trust, bold: Trust):
    for trust in (wary, lost, bold, None):
        env = make(model, trust, "ignore")
        env.reset(seed=0)
        for action in actions(3):
            *_, info = env.step(action)
        far = info["neural/uncertainty"]
        expected = np.zeros(len(far)) if trust is None else likely_lost(far)  # nobody measured: nothing is lost
        np.testing.assert_array_equal(info["neural/lost"], expected)
        strange = info["neural/strangeness"] > 1
        np.testing.assert_array_equal(info["neural/ood"], strange if trust is None else strange | (far > LOST))
        assert info["neural/ood"].all() == (trust is wary or trust is lost)


def test_episodes_end_where_it_is_strange(model: Model, wary: Trust, bold: Trust):
    for trust, ends in ((wary, True), (bold, False)):
        env = make(model, trust, "truncate")
        env.reset(seed=0)
        _, _, terminated, truncated, info = env.step(actions(1)[0])
        assert (truncated == ends).all()
        assert not terminated.any()
        assert (info["neural/ood"] == ends).all()


def test_physics_takes_over_and_goes_on_as_physics_does(model: Model, wary: Trust):
    """From the hand-over on, a world is what physics makes of the same state and the same actions."""
    env = make(model, wary, "fallback_physics").unwrapped
    plain = make(model, wary, "ignore").unwrapped
    played = actions(12)
    for each in (env, plain):
        each.reset(seed=0)
        *_, info = each.step(played[0])
    assert info["neural/ood"].all()
    simulator = env.simulator
    state = simulator._give(plain.simulator.get_state())
    physics = gym.make_vec(PUSH, num_envs=3, autoreset_mode=AutoresetMode.DISABLED).unwrapped
    physics.reset(seed=0)
    physics.simulator.set_state(state)
    for action in played[1:]:
        *_, info = env.step(action)
        physics.simulator.step(action.astype(np.float64))
    assert info["neural/fallback"].all()
    for name in ("joint_pos", "object_pos", "grip_pos"):
        np.testing.assert_array_equal(env.sensors()[name], physics.sensors()[name], err_msg=name)


def test_the_fallback_passes_the_checks_of_a_vector_environment(model: Model):
    trust = Trust()
    trust.usual.copy_(torch.tensor([1e9, 0.02, 1e9]))  # some worlds, some of the time
    report = check_vector_env(
        PUSH,
        backend="neural",
        checkpoint=model(PUSH, trust),
        on_ood="fallback_physics",
        max_episode_steps=4,
        steps=9,
        obs_mode="state+rgb",
        image_size=16,
    )
    assert {"observations", "same-step", "copies", "batch", "state"} <= set(report.passed)


def test_nonsense_is_refused(model: Model):
    with pytest.raises(TaskError, match="on_ood"):
        make(model, None, "panic")
