"""Planning: against problems whose best plan is known, in physics, in models, several worlds at once, bad arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pocketworlds  # noqa: F401 - registers the environments
import pytest
import torch
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pocketworlds import TaskError
from pocketworlds.agents.imagination import ImaginedWorlds
from pocketworlds.agents.planning import CEM, MPPI, Method, Planner, Search, Sequences, Shooting, coloured
from pocketworlds.envs.backends.forms import model_shape, robot_form
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.model import save_model
from scipy.optimize import lsq_linear

Array = NDArray[np.float64]
METHODS: list[Method] = [
    CEM(iterations=8, elites=16),
    CEM(iterations=8, elites=16, play="mean", colour=0.0),
    MPPI(iterations=8, std=0.3, temperature=0.15),
]


class PointMasses:
    """W masses on as many lines, pushed by bounded forces: a fake of worlds, with a quadratic cost.

    x' = x + v / 10, v' = v + a / 2; the cost of a sequence is the sum of (x - goal)^2 + v^2 / 20 + a^2 / 100 over its
    steps. As that is a sum of squares of linear functions of the actions, bounded least squares give its least.
    """

    action_size, longest, single = 1, 1000, False

    def __init__(self, num_worlds: int, num_samples: int) -> None:
        self.num_worlds, self.num_samples = num_worlds, num_samples
        self.goal = np.linspace(-0.3, 0.3, 7)[:num_worlds]
        self.state, self.steps = np.zeros((num_worlds, 2)), np.zeros(num_worlds, dtype=np.int64)
        self.tried: list[Array] = []

    def look(self) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        return np.arange(self.num_worlds, dtype=np.uint64), self.steps.copy()

    def score(self, actions: Array) -> Array:
        assert np.abs(actions).max() <= 1
        self.tried.append(actions)
        at = np.repeat(self.state[:, None], actions.shape[1], axis=1)
        found = np.zeros(actions.shape[:2])
        for step in range(actions.shape[2]):
            push = actions[:, :, step, 0]
            at = np.stack([at[..., 0] + 0.1 * at[..., 1], at[..., 1] + 0.5 * push], -1)
            found -= (at[..., 0] - self.goal[:, None]) ** 2 + 0.05 * at[..., 1] ** 2 + 0.01 * push**2
        return found

    def step(self, action: NDArray[np.float32]) -> None:
        speed = self.state[:, 1]
        self.state = np.stack([self.state[:, 0] + 0.1 * speed, speed + 0.5 * action[:, 0]], -1)
        self.steps += 1

    def least(self, horizon: int) -> Array:
        """The least cost (W,) of sequences from rest."""
        velocity = 0.5 * np.tril(np.ones((horizon, horizon)))
        place = 0.1 * np.tril(np.ones((horizon, horizon)), -1) @ velocity
        rows = np.concatenate([place, np.sqrt(0.05) * velocity, 0.1 * np.eye(horizon)])
        costs = []
        for goal in self.goal:
            wanted = np.r_[np.full(horizon, goal), np.zeros(2 * horizon)]
            costs.append(2 * lsq_linear(rows, wanted, bounds=(-1, 1), tol=1e-14).cost)
        return np.array(costs)


# Methods --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_plans_come_close_to_the_best_there_is(method: Method):
    worlds = PointMasses(3, 256)
    planner = Planner(worlds, method, Sequences(8, 8))
    planner.act()
    cost = -worlds.score(planner.plans[:, None])[:, 0]
    nothing = -worlds.score(np.zeros((3, 1, 8, 1)))[:, 0]
    best = worlds.least(8)
    assert (cost >= best - 1e-9).all()
    moved = worlds.goal != 0
    assert ((cost - best)[moved] < 0.05 * (nothing - best)[moved]).all()
    assert (-planner.expected >= best - 1e-9).all()


def test_cem_beats_random_shooting_with_as_many_samples():
    found = {}
    for name, method in {"cem": CEM(iterations=4, std=1.0), "shooting": Shooting(iterations=4)}.items():
        worlds = PointMasses(7, 64)
        planner = Planner(worlds, method, Sequences(10, 10), commit=10)
        planner.act()
        found[name] = -planner.expected - worlds.least(10)
    assert found["cem"].sum() < 0.5 * found["shooting"].sum()


@pytest.mark.parametrize("method", METHODS)
def test_planning_again_and_again_brings_masses_to_their_goals(method: Method):
    worlds = PointMasses(3, 64)
    planner = Planner(worlds, replace(method, iterations=3), Sequences(12, 4), commit=2)  # type: ignore[type-var]
    for _ in range(40):
        worlds.step(planner.act())
    np.testing.assert_allclose(worlds.state[:, 0], worlds.goal, atol=0.03)


def test_mppi_weighs_by_the_exponential_of_scores():
    random = np.random.default_rng(0)
    knots, scores = random.normal(size=(2, 50, 3, 4)), random.normal(size=(2, 50))
    search = Search(np.zeros((2, 3, 4)), np.ones((2, 3, 4)), np.zeros((2, 0, 3, 4)))
    found = MPPI(temperature=0.7).improve(search, knots, scores).mean
    for world in range(2):
        weights = np.exp(scores[world] / (0.7 * scores[world].std()))
        np.testing.assert_allclose(found[world], np.average(knots[world], axis=0, weights=weights), atol=1e-12)
    cold = MPPI(temperature=1e-4).improve(search, knots, scores).mean
    np.testing.assert_allclose(cold, knots[np.arange(2), scores.argmax(1)], atol=1e-12)
    hot = MPPI(temperature=1e9).improve(search, knots, scores).mean
    np.testing.assert_allclose(hot, knots.mean(1), atol=1e-6)


def test_cem_fits_the_elites_and_keeps_the_best():
    random = np.random.default_rng(0)
    knots, scores = random.normal(size=(2, 50, 3, 4)), random.normal(size=(2, 50))
    search = Search(np.full((2, 3, 4), 2.0), np.ones((2, 3, 4)), np.zeros((2, 2, 3, 4)))
    found = CEM(elites=5, keep=2, smoothing=0.25, least_std=0.1).improve(search, knots, scores)
    for world in range(2):
        best = knots[world, np.argsort(scores[world])[::-1][:5]]
        np.testing.assert_allclose(found.mean[world], 0.5 + 0.75 * best.mean(0))
        np.testing.assert_allclose(found.std[world], 0.25 + 0.75 * best.std(0))
        np.testing.assert_array_equal(found.kept[world], best[:2])
    certain = CEM(elites=1, keep=0, smoothing=0.0, least_std=0.3).improve(search, knots, scores)
    np.testing.assert_array_equal(certain.std, np.full((2, 3, 4), 0.3))


def test_the_best_is_tried_again_and_a_plan_starts_from_the_last_one():
    worlds = PointMasses(2, 16)
    planner = Planner(worlds, Shooting(), Sequences(6, 6))
    worlds.step(planner.act())
    last = planner.plans.copy()
    worlds.tried.clear()
    planner.act()
    np.testing.assert_allclose(worlds.tried[0][:, 1, :-1], last[:, 1:], atol=1e-12)


def test_a_plan_is_played_to_the_end_of_what_was_committed_to():
    worlds = PointMasses(2, 16)
    planner = Planner(worlds, CEM(), Sequences(6, 3), commit=6)
    for step in range(6):
        action = planner.act()
        worlds.step(action)
        np.testing.assert_array_equal(action, planner.plans[:, step].astype(np.float32))
    assert len(worlds.tried) == 3
    worlds.step(planner.act())
    assert len(worlds.tried) == 6


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_a_number_is_never_chosen(method: Method):
    class Broken(PointMasses):
        def score(self, actions: Array) -> Array:
            found = super().score(actions)
            found[actions[:, :, 0, 0] > 0] = np.nan
            found[2] = -np.inf
            return found

    planner = Planner(Broken(3, 64), replace(method, play="best"), Sequences(4, 2))  # type: ignore[type-var]
    assert (planner.act()[:2] <= 0).all()
    assert np.isfinite(planner.plans).all()


# Draws ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_plans_depend_on_the_seed_and_not_on_other_worlds(method: Method):
    def plans(count: int, seed: int) -> list[Array]:
        worlds, found = PointMasses(count, 32), []
        planner = Planner(worlds, method, Sequences(8, 4), commit=3, seed=seed)
        for step in range(10):
            if step == 5 and count > 1:
                worlds.steps[1] = 0  # another world begins anew
            worlds.step(planner.act())
            found.append(planner.plans[0].copy())
        return found

    np.testing.assert_array_equal(plans(1, seed=3), plans(3, seed=3))
    assert not np.array_equal(plans(1, seed=3), plans(1, seed=4))


def test_a_world_that_begins_anew_forgets():
    def first(before: int) -> Array:
        worlds = PointMasses(2, 32)
        planner = Planner(worlds, CEM(), Sequences(8, 4), commit=4)
        for _ in range(before):
            worlds.step(planner.act())
        worlds.state[:], worlds.steps[:] = 0, 0
        planner.act()
        return planner.plans

    np.testing.assert_array_equal(first(0), first(3))


@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_coloured_noise(count: int):
    np.testing.assert_allclose(coloured(count, 0.0), np.eye(count), atol=1e-12)
    before = 0.0
    for colour in (0.5, 1.0, 2.0):
        mix = coloured(count, colour)
        covariance = mix @ mix.T
        np.testing.assert_allclose(np.diag(covariance), 1.0)
        if count > 1:
            assert before < covariance[0, 1] < 1  # the more colour, the smoother
            before = covariance[0, 1]


# Sequences ------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from(["linear", "hold"]), st.integers(0, 40))
def test_sequences_follow_their_knots(horizon: int, knots: int, between: Any, periods: int):
    if knots > horizon:
        with pytest.raises(TaskError, match="more than the horizon"):
            Sequences(horizon, knots, between)
        return
    sequences = Sequences(horizon, knots, between)
    values = np.random.default_rng(0).uniform(-1, 1, knots)
    actions = sequences.basis @ values
    if between == "linear" and knots > 1:
        ends = np.interp(np.arange(horizon), np.linspace(0, horizon - 1, knots), values)
        np.testing.assert_allclose(actions, ends, atol=1e-12)
    else:
        np.testing.assert_array_equal(np.unique(actions), np.unique(values))
        np.testing.assert_array_equal(actions[0], values[0])
    shift = sequences.shift(periods)
    np.testing.assert_allclose(shift @ np.ones(knots), 1.0, atol=1e-9)
    if knots == horizon:
        left = actions[np.minimum(np.arange(horizon) + periods, horizon - 1)]
        np.testing.assert_allclose(shift @ values, left, atol=1e-9)


# In environments ------------------------------------------------------------------------------------------------------


def make(env_id: str, worlds: int, **keywords: Any) -> Any:
    keywords = {"control_mode": "ee_delta_pos", "autoreset_mode": AutoresetMode.DISABLED} | keywords
    return gym.make_vec(f"PocketWorlds/{env_id}", num_envs=worlds, **keywords)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random networks: what moves, moves somehow."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    env = make("Reach-v0", 1).unwrapped
    torch.manual_seed(0)
    dynamics = Dynamics(replace(model_shape(env.world, robot_form(env.world)), members=2, width=16))
    with torch.no_grad():
        dynamics.robot_scale.fill_(0.02)
    save_model(path, dynamics, robot=env.world.robot.name)
    env.close()
    return path


def test_planning_in_physics_solves_reach_from_most_starts():
    worlds, samples = 4, 24
    env, plan_env = make("Reach-v0", worlds), make("Reach-v0", worlds * samples)
    planner = Planner(ImaginedWorlds(env, plan_env), CEM(iterations=2, elites=6), Sequences(12, 3), commit=4)
    env.reset(seed=0)
    reached = np.zeros(worlds, dtype=np.bool_)
    for _ in range(36):
        reached |= env.step(planner.act())[-1]["is_success"]
        if reached.sum() >= 3:
            break
    assert reached.sum() >= 3
    env.close()
    plan_env.close()


@pytest.mark.parametrize("backend", ["physics", "neural"])
def test_what_physics_imagines_of_physics_happens(backend: str, checkpoint: Path):
    """The score of a sequence is what acting it out is worth; a model has other opinions."""
    keywords = {} if backend == "physics" else {"backend": backend, "checkpoint": checkpoint}
    env, plan_env = make("Push-v0", 2), make("Push-v0", 6, **keywords)
    imagined = ImaginedWorlds(env, plan_env, discount=0.9, bonus=3.0)
    env.reset(seed=5)
    for _ in range(12):
        env.step(np.array([[0.5, 0.2, -1.0, 1.0]] * 2, dtype=np.float32))
    actions = np.random.default_rng(0).uniform(-1, 1, (2, 3, 6, 4))
    imagined.look()
    scores = imagined.score(actions)
    np.testing.assert_array_equal(scores, imagined.score(actions))  # it starts from the same state again
    worth = np.zeros(2)
    for step in range(6):
        _, reward, _, _, info = env.step(actions[:, 1, step])
        worth += 0.9**step * reward
    worth += 3.0 * 0.9**6 * info["is_success"]
    if backend == "physics":
        np.testing.assert_allclose(scores[:, 1], worth, atol=1e-6)
    else:
        assert np.isfinite(scores).all()
        assert (np.abs(scores[:, 1] - worth) > 1e-6).any()
    env.close()
    plan_env.close()


@pytest.mark.parametrize("backend", ["physics", "neural"])
def test_a_world_plans_the_same_alone_and_among_others(backend: str, checkpoint: Path):
    keywords = {} if backend == "physics" else {"backend": backend, "checkpoint": checkpoint}

    def plans(worlds: int) -> list[Array]:
        env, plan_env = make("Push-v0", worlds), make("Push-v0", 8 * worlds, **keywords)
        planner = Planner(ImaginedWorlds(env, plan_env), CEM(iterations=2, elites=3), Sequences(4, 2), commit=2)
        env.reset(seed=0)
        found = []
        for _ in range(5):
            env.step(planner.act())
            found.append(planner.plans[0].copy())
        env.close()
        plan_env.close()
        return found

    np.testing.assert_array_equal(plans(1), plans(3))


def test_a_model_is_acted_in_and_physics_is_planned_in(checkpoint: Path):
    env = make("Reach-v0", 2, backend="neural", checkpoint=checkpoint)
    plan_env = make("Reach-v0", 16)
    planner = Planner(ImaginedWorlds(env, plan_env), CEM(elites=4), Sequences(4, 2))
    env.reset(seed=0)
    for _ in range(3):
        assert np.isfinite(env.step(planner.act())[0]).all()
    env.close()
    plan_env.close()


def test_a_single_environment_is_acted_in_like_by_an_expert():
    env = gym.make("PocketWorlds/Reach-v0", control_mode="ee_delta_pos")
    plan_env = make("Reach-v0", 8)
    planner = Planner(ImaginedWorlds(env, plan_env), CEM(elites=4), Sequences(4, 2))
    with pytest.raises(ResetNeeded, match="call reset"):
        planner.act()
    env.reset(seed=0)
    action = planner.act()
    assert action.dtype == np.float32
    assert env.action_space.contains(action)
    env.close()
    plan_env.close()


# Bad arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: Sequences(0), "horizon must be a whole number from 1, got 0"),
        (lambda: Sequences(4, 5), "knots=5 are more"),
        (lambda: Sequences(4, 2, "cubic"), "between='cubic' is not known"),  # type: ignore[arg-type]
        (lambda: CEM(iterations=0), "iterations must be"),
        (lambda: CEM(elites=2, keep=3), "keep=3 is more"),
        (lambda: CEM(std=float("nan")), "std must be a number above 0"),
        (lambda: CEM(smoothing=1.5), "smoothing must be a number from 0 to 1"),
        (lambda: CEM(least_std=2.0), "least_std must be"),
        (lambda: CEM(play="last"), "play='last' is not known"),  # type: ignore[arg-type]
        (lambda: MPPI(temperature=0), "temperature must be a number above 0"),
        (lambda: MPPI(colour=-1), "colour must be a number from 0 to 4"),
        (lambda: Shooting(std=True), "std must be a number above 0"),
        (lambda: Planner(PointMasses(1, 4), CEM(elites=8)), "there are 4 samples for each world, this method needs 8"),
        (lambda: Planner(PointMasses(1, 16), commit=17), "commit=17 is longer than a plan"),
        (lambda: Planner(PointMasses(1, 16), sequences=Sequences(1001)), "longer than an episode"),
        (lambda: Planner(PointMasses(1, 16), seed=-1), "seed must be a whole number from 0"),
    ],
)
def test_bad_settings_are_refused(made: Callable[[], Any], told: str):
    with pytest.raises(TaskError, match=told):
        made()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"worlds": 3}, "3 worlds for the 2 of env"),
        ({"env_id": "Lift-v0"}, "task='lift', env 'reach'"),
        ({"control_mode": "joint_delta"}, "control_mode='joint_delta', env 'ee_delta_pos'"),
        ({"scene": "blocks"}, "has the scenes"),
        ({"reward_mode": "sparse"}, "reward_mode='dense'"),
        ({"terminate_on_success": True}, "terminate_on_success=False"),
        ({"autoreset_mode": AutoresetMode.SAME_STEP}, "autoreset_mode"),
    ],
)
def test_environments_that_do_not_go_together_are_refused(given: dict[str, Any], told: str):
    env, plan_env = make("Reach-v0", 2), make(**{"env_id": "Reach-v0", "worlds": 4} | given)
    with pytest.raises(TaskError, match=told):
        ImaginedWorlds(env, plan_env)
    env.close()
    plan_env.close()


def test_imagination_needs_an_environment_of_its_own_and_sensible_numbers():
    env, plan_env = make("Reach-v0", 1), make("Reach-v0", 4)
    with pytest.raises(TaskError, match="plan_env is env itself"):
        ImaginedWorlds(env, env)
    with pytest.raises(TaskError, match="plan_env must be an environment"):
        ImaginedWorlds(env, gym.make("CartPole-v1"))
    for keywords, told in ({"discount": 0.0}, "discount must be"), ({"bonus": -1.0}, "bonus must be"):
        with pytest.raises(TaskError, match=told):
            ImaginedWorlds(env, plan_env, **keywords)
    env.close()
    plan_env.close()
