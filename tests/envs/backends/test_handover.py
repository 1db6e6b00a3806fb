"""What happened in one backend goes on in another: positions, speeds, the robot's software, and what is at rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pocketworlds import TaskError
from pocketworlds.agents.experts import make_expert
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.envs.backends.handover import Handover
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import save_model

COUNT = 3
Make = Callable[..., WorldVectorEnv]
CASES = {
    "Push-v0": (45, {}),
    "OpenDrawer-v0": (70, {}),
    "HandLift-v0": (30, {}),
    "Scan-v0": (25, {"scene": ["kitchen", "one_cube", "blocks"], "task": "lift", "object_jitter": 0.02}),
}
"""Control steps after which much moves, and further keywords, by id."""


@pytest.fixture
def make(tmp_path: Path) -> Any:
    """Makes environments of either backend; models have random networks, which nothing here depends on."""
    made: list[WorldVectorEnv] = []

    def made_one(env_id: str, backend: str = "physics", **keywords: Any) -> WorldVectorEnv:
        if backend == "neural":
            keywords |= {"backend": "neural", "checkpoint": tmp_path / "model.safetensors"}
            world = made[0].worlds[0]
            shape = model_shape(world, robot_form(world))
            parts = any(len(each.parts) for each in made[0].worlds)
            torch.manual_seed(0)
            dynamics = Dynamics(replace(shape, members=2, width=16, parts=parts))
            save_model(tmp_path / "model.safetensors", dynamics, robot=world.robot.name)
        env = gym.make_vec(f"PocketWorlds/{env_id}", num_envs=COUNT, **keywords).unwrapped
        assert isinstance(env, WorldVectorEnv)
        made.append(env)
        return env

    yield made_one
    for env in made:
        env.close()


def hand_over(source: WorldVectorEnv, target: WorldVectorEnv) -> None:
    state = source.get_state()
    target.set_state(
        replace(state, simulator=Handover(source.simulator, target.simulator, source.worlds)(state.simulator))
    )


def assert_same(ours: Any, theirs: Any, atol: float) -> None:
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, atol=atol, err_msg=name)


@pytest.mark.parametrize("env_id", CASES)
def test_a_model_has_what_physics_had_and_physics_has_it_again(env_id: str, make: Make):
    steps, keywords = CASES[env_id]
    physics = make(env_id, **keywords)
    neural, again = make(env_id, "neural", **keywords), make(env_id, **keywords)
    physics.reset(seed=0)
    expert = make_expert(physics)
    for _ in range(steps):
        physics.step(expert.act())
    hand_over(physics, neural)

    # What the model's own geometry makes of its state, without what was sensed before.
    simulator: Any = neural.simulator
    state = simulator._state
    hand = simulator._geometry.hand(state.joints)
    seen = simulator._places.sensors(simulator._geometry, state, hand)
    there = {name: physics.sensors()[name] for name in seen}
    for k, world in enumerate(physics.worlds):  # fillers are anywhere
        rows = physics.simulator.get_state().member == k
        for name in seen:
            if name.startswith(("part", "handle")):
                seen[name][rows, len(world.parts) :] = there[name][rows, len(world.parts) :]
    # What creeps stands still for a model: slower than it has ever seen things move.
    speeds = ("object_vel", "part_vel")
    assert_same(seen, {name: values for name, values in there.items() if name not in speeds}, atol=2e-5)
    assert_same(seen, {name: values for name, values in there.items() if name in speeds}, atol=0.05)

    hand_over(neural, again)
    for _ in range(4):
        action = expert.act()
        physics.step(action)
        again.step(action)
    fast = {"joint_vel", "object_vel", "part_vel", "pad_force", "tip_force"}
    assert_same(again.sensors(), {n: v for n, v in physics.sensors().items() if n not in fast}, atol=2e-3)


def test_a_model_moves_on_from_the_speeds_it_was_given(make: Make):
    """And from what the robot's software remembers, and from as late in the episode."""
    physics = make("Push-v0")
    neural = make("Push-v0", "neural")
    physics.reset(seed=0)
    for _ in range(5):
        physics.step(np.ones((COUNT, 7), dtype=np.float32))
    hand_over(physics, neural)
    simulator: Any = neural.simulator
    speeds = physics.simulator.get_state().sensors["joint_vel"]
    assert np.abs(speeds).max() > 0.1
    np.testing.assert_allclose(simulator._state.speeds[:, :7].numpy(), speeds, atol=1e-6)
    np.testing.assert_array_equal(neural.elapsed, physics.elapsed)
    kept, there = neural.get_state().simulator.controller, physics.get_state().simulator.controller
    assert_same(kept, there, atol=0.0)
    assert np.isfinite(neural.step(np.zeros((COUNT, 7), dtype=np.float32))[0]).all()


def test_waking_what_sleeps_moves_nothing(make: Make):
    physics, woken = make("PickPlace-v0"), make("PickPlace-v0")
    physics.reset(seed=1)
    for _ in range(10):
        physics.step(np.zeros((COUNT, 7), dtype=np.float32))
    hand_over(physics, woken)
    for action in np.random.default_rng(0).uniform(-1, 1, (10, COUNT, 7)):
        physics.step(action)
        woken.step(action)
    assert_same(woken.sensors(), {n: v for n, v in physics.sensors().items() if not n.endswith("_vel")}, atol=1e-5)


def test_a_model_takes_another_models_states_as_they_are(make: Make):
    make("Push-v0").reset(seed=0)
    one, other = make("Push-v0", "neural"), make("Push-v0", "neural")
    one.reset(seed=0)
    one.step(np.ones((COUNT, 7), dtype=np.float32))
    hand_over(one, other)
    zero = np.zeros((COUNT, 7), dtype=np.float32)
    np.testing.assert_array_equal(one.step(zero)[0], other.step(zero)[0])


def test_other_simulators_are_refused(make: Make):
    physics = make("Reach-v0")
    other: Any = object()
    with pytest.raises(TaskError, match="states of object cannot be handed over"):
        Handover(physics.simulator, other, physics.worlds)
