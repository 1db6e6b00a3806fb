"""Runs of suites: the same outcomes however they are played, nothing lost when interrupted, nothing else accepted."""

from __future__ import annotations

import importlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import gymnasium as gym
import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray
from pocketworlds.agents.agent import Assignment
from pocketworlds.benchmarks.leaderboard.films import film_run
from pocketworlds.benchmarks.leaderboard.measures import Measures, jerk
from pocketworlds.benchmarks.leaderboard.replay import replay
from pocketworlds.benchmarks.leaderboard.results import Results, load_results
from pocketworlds.benchmarks.leaderboard.run import Order, run_suite
from pocketworlds.benchmarks.suites.definitions import Part
from pocketworlds.benchmarks.suites.freeze import freeze_group
from pocketworlds.benchmarks.suites.manifest import Suite, load_suite
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.errors import AgentError, SuiteError

PARTS = (
    Part("Reach", "PocketWorlds/Reach-v0", "", seed=5, episodes=9),
    Part("PressButton", "PocketWorlds/PressButton-v0", "", seed=50, episodes=5),
)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 14 episodes."""
    made = Suite(name="small-v1", about="", mujoco=mujoco.__version__, groups=tuple(freeze_group(p) for p in PARTS))
    file = tmp_path_factory.mktemp("suite") / "small-v1.json"
    file.write_text(made.written())
    return file


@pytest.fixture(scope="module")
def once(suite: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    """What the expert does, all worlds at once."""
    found = run_suite(Order(str(suite), "expert", num_envs=64), tmp_path_factory.mktemp("once"))
    return found.played


@pytest.mark.parametrize("order", [{"num_envs": 1}, {"num_envs": 4, "workers": 2}])
def test_outcomes_depend_on_neither_worlds_nor_workers(
    suite: Path, once: tuple[Any, ...], tmp_path: Path, order: dict[str, int]
) -> None:
    assert run_suite(Order(str(suite), "expert", **order), tmp_path).played == once


def test_random_actions_are_those_of_the_episode(suite: Path, tmp_path: Path) -> None:
    runs = [run_suite(Order(str(suite), "random", num_envs=k), tmp_path / str(k)).played for k in (1, 64)]
    assert runs[0] == runs[1]
    rewards = [each.reward for each in runs[0][0].episodes]
    assert len(set(rewards)) == len(rewards)


def test_noise_on_the_expert_is_that_of_the_episode_and_makes_it_worse(
    suite: Path, once: tuple[Any, ...], tmp_path: Path
) -> None:
    runs = [run_suite(Order(str(suite), "expert@0.7", num_envs=k), tmp_path / str(k)).played for k in (2, 64)]
    assert runs[0] == runs[1]
    noisy, clean = (np.mean([each.reward for each in played[0].episodes]) for played in (runs[0], once))
    assert noisy < clean


def test_who_says_what_did_not_happen_is_found_out(suite: Path, tmp_path: Path) -> None:
    honest = run_suite(Order(str(suite), "random"), tmp_path)
    told = load_suite(suite)
    assert [each.differs for each in replay(honest, 3, seed=0, suite=told)] == [[]] * 6
    first = honest.played[1]
    lies = [
        each.model_copy(update={"success": True, "ever": True, "first_success": 1.0, "error": False})
        for each in first.episodes
    ]
    liar = honest.model_copy(
        update={"played": (honest.played[0], first.model_copy(update={"episodes": tuple(lies)}))}
    ).signed()
    (tmp_path / "lies.json").write_text(liar.written())
    found = replay(load_results(tmp_path / "lies.json", {told.name: told}), 3, seed=0, suite=told)
    assert [("success" in each.differs) for each in found] == [False] * 3 + [True] * 3
    with pytest.raises(AgentError, match="is of other files than the agent that played"):
        replay(honest, 1, seed=0, suite=told, address="json:JSONDecoder")


@pytest.mark.parametrize("address", ["os:abort", "openpi:ws://elsewhere:80", "out/ppo/{group}", "mine.zip"])
def test_a_file_has_nothing_of_its_own_run_on_playing_it_again(suite: Path, tmp_path: Path, address: str) -> None:
    told = load_suite(suite)
    played = run_suite(Order(str(suite), "random"), tmp_path)
    agent = played.agent.model_copy(update={"address": address})
    with pytest.raises(AgentError, match=f"its agent is '{re.escape(address)}': code, a server"):
        replay(played.model_copy(update={"agent": agent}), 1, seed=0, suite=told)


def test_networks_decide_the_same_in_any_batch(wam_file: Path, tmp_path: Path) -> None:
    part = Part("Reach", "PocketWorlds/Reach-v0", "", {}, seed=5, episodes=3)
    made = Suite(name="short-v1", about="", mujoco=mujoco.__version__, groups=(freeze_group(part),))
    (tmp_path / "short-v1.json").write_text(made.written())
    runs = [
        run_suite(Order(str(tmp_path / "short-v1.json"), str(wam_file), num_envs=k), tmp_path / str(k)).played
        for k in (1, 3)
    ]
    assert runs[0] == runs[1]
    assert runs[0][0].episodes[0].decisions == 15  # 60 control steps in chunks of four


def test_a_run_that_is_killed_goes_on_and_comes_to_the_same(suite: Path, once: tuple[Any, ...], tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import sys; from pocketworlds.benchmarks.leaderboard.run import *;"
        "run_suite(Order(sys.argv[1], 'expert', num_envs=2), Path(sys.argv[2]))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(suite), str(tmp_path)], cwd=tmp_path)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("episodes/*.json")) and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(random.random())
    child.send_signal(signal.SIGKILL)
    child.wait()
    kept = {path: path.read_bytes() for path in tmp_path.glob("episodes/*.json")}
    assert kept
    found = run_suite(Order(str(suite), "expert", num_envs=3), tmp_path)
    assert found.played == once
    assert all(path.read_bytes() == before for path, before in kept.items())
    assert load_results(tmp_path, {"small-v1": load_suite(suite)}) == found


def test_a_folder_of_another_run_is_left_alone(suite: Path, tmp_path: Path) -> None:
    run_suite(Order(str(suite), "random"), tmp_path)
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(SuiteError, match="holds a run of another agent"):
        run_suite(Order(str(suite), "expert"), tmp_path)
    batch = next((tmp_path / "episodes").glob("*.json"))
    batch.write_text(batch.read_text()[:-40])
    with pytest.raises(SuiteError, match=rf"{batch.name} is damaged; remove it"):
        run_suite(Order(str(suite), "random"), tmp_path)
    batch.unlink()
    told = json.loads(before)
    again = json.loads(
        json.dumps(run_suite(Order(str(suite), "random"), tmp_path).model_dump(mode="json", by_alias=True))
    )
    assert again["played"] == told["played"]


def test_a_start_that_moved_by_a_micrometre_is_named_and_refused(suite: Path, tmp_path: Path) -> None:
    told = json.loads(suite.read_text())
    told["groups"][1]["starts"][3][0] += 1e-7
    (tmp_path / "moved.json").write_text(json.dumps(told))
    with pytest.raises(SuiteError, match=r"PressButton: episode 3 \(seed 53\) does not begin as it did"):
        run_suite(Order(str(tmp_path / "moved.json"), "random"), tmp_path / "run")


def test_another_engine_or_scene_is_named_and_refused(suite: Path, tmp_path: Path) -> None:
    told = json.loads(suite.read_text())
    other = json.loads(json.dumps(told))
    other["mujoco"] = "3.3.0"
    heavier = json.loads(json.dumps(told))
    heavier["groups"][0]["worlds"]["tabletop"]["masses"][1] += 1e-4
    for changed, reason in ((other, "frozen with MuJoCo 3.3.0, installed is"), (heavier, "its masses changed")):
        (tmp_path / "other.json").write_text(json.dumps(changed))
        with pytest.raises(SuiteError, match=reason):
            run_suite(Order(str(tmp_path / "other.json"), "random"), tmp_path / reason[:6])


class Chunks:
    """Plays the same action three times, and remembers what it was shown."""

    keywords: Mapping[str, Any] = {"obs_mode": "state+rgb", "image_size": 16, "renderer": "neural"}
    seen: list[dict[str, Any]] = []  # noqa: RUF012 - of all of them

    def reset(self, assignment: Assignment) -> None:
        self.assignment = assignment

    def act(self, observation: Mapping[str, Any]) -> NDArray[np.float32]:
        self.seen.append(dict(observation))
        assert observation["instruction"] == list(self.assignment.instructions)
        return np.full((len(self.assignment.episodes), 3, self.assignment.action_size), 0.2, dtype=np.float32)


def test_agents_of_ones_own_choose_how_they_see_and_act(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    short = json.loads(suite.read_text())
    short["groups"] = short["groups"][:1]
    (tmp_path / "short.json").write_text(json.dumps(short))
    found = run_suite(Order(str(tmp_path / "short.json"), "test_run:Chunks", num_envs=9), tmp_path / "run")
    test_run: Any = importlib.import_module("test_run")
    assert found.played[0].episodes[0].decisions == 20
    assert found.agent.keywords["obs_mode"] == "state+rgb"
    assert list(found.agent.files[""]) == ["test_run.py"]
    shown = test_run.Chunks.seen[3]
    assert (shown["rgb"].shape, shown["rgb"].dtype, shown["state"].shape[0]) == ((9, 16, 16, 3), np.uint8, 9)
    assert shown["rgb"].std() > 1


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nobody", "there is no agent 'nobody'"),
        ("nothing_there:Agent", "'nothing_there' cannot be imported"),
        ("json:nothing", "nothing that is called 'nothing'"),
        ("json:JSONDecoder", "no method 'reset'"),
    ],
)
def test_who_is_no_agent_is_refused(suite: Path, tmp_path: Path, address: str, reason: str) -> None:
    with pytest.raises(AgentError, match=reason):
        run_suite(Order(str(suite), address), tmp_path / "run")


def measured(env_id: str, steps: int) -> tuple[Measures, WorldVectorEnv]:
    env = gym.make_vec(env_id, num_envs=2).unwrapped
    assert isinstance(env, WorldVectorEnv)
    env.reset(seed=1)
    env.action_space.seed(0)
    measures = Measures(env)
    for _ in range(steps):
        _, reward, _, _, info = env.step(env.action_space.sample() * 0.5)
        measures.follow(reward, info["is_success"], info["physics_error"])
    return measures, env


def test_energy_is_the_work_of_the_motors_in_every_physics_step() -> None:
    measures, env = measured("PocketWorlds/Reach-v0", 40)
    model = env.world.model
    again = gym.make_vec("PocketWorlds/Reach-v0", num_envs=2).unwrapped
    assert isinstance(again, WorldVectorEnv)
    again.reset(seed=1)
    again.action_space.seed(0)
    simulator: Any = again.simulator
    data, work = mujoco.MjData(model), 0.0
    for name in ("qpos", "qvel", "act"):
        getattr(data, name)[:] = simulator.batch.bind(name)[0]
    for _ in range(40):
        again.step(again.action_space.sample() * 0.5)
        data.ctrl[:] = simulator.batch.bind("ctrl")[0]  # what the environment commanded
        for _ in range(25):  # plain MuJoCo, a physics step at a time
            mujoco.mj_step(model, data)
            work += float(np.abs(data.actuator_force * data.actuator_velocity).sum()) * model.opt.timestep
    joints = env.world.joint_qpos  # things that rest are put to sleep there, and creep by micrometres here
    np.testing.assert_allclose(data.qpos[joints], simulator.batch.bind("qpos")[0, joints], atol=1e-6)
    # Counting changes nothing.
    np.testing.assert_array_equal(simulator.batch.state, env.simulator.batch.state)  # type: ignore[attr-defined]
    assert measures.energy is not None
    assert measures.energy[0] == pytest.approx(work, rel=0.03)


def test_jerk_is_that_of_the_smoothest_way_from_here_to_there() -> None:
    # Flash and Hogan (1985): x(t) = 10 t^3 - 15 t^4 + 6 t^5 over one second: greatest speed 1.875, integral of squared
    # jerk 720.
    for rate in (200, 400):
        t = np.linspace(0, 1, rate + 1)
        path = np.zeros((1, rate + 1, 3))
        path[0, :, 1] = 0.3 * (10 * t**3 - 15 * t**4 + 6 * t**5)
        assert jerk(path, 1 / rate)[0] == pytest.approx(-np.log(720 / 1.875**2), abs=0.05)
        # It does not matter how far and how fast.
        assert jerk(3 * path, 7 / rate)[0] == pytest.approx(jerk(path, 1 / rate)[0])
    shaken = path + np.random.default_rng(0).normal(0, 1e-3, path.shape)
    assert jerk(shaken, 1 / rate)[0] < jerk(path, 1 / rate)[0] - 3
    assert np.isnan(jerk(np.zeros((1, 30, 3)), 0.05)[0])


@pytest.mark.usefixtures("opengl")
def test_films_show_the_episodes_of_the_run(suite: Path, tmp_path: Path) -> None:
    told = load_suite(suite)
    played = run_suite(Order(str(suite), "expert@1.0"), tmp_path)
    found = film_run(played, told, tmp_path, address="expert@1.0", count=2)
    assert found.left_out == ()
    films = sorted(file.name for file in (tmp_path / "videos").glob("*.mp4"))
    assert films == sorted(found.files)
    for name in films:
        group, number, end = name.removesuffix(".mp4").split("-")
        assert played_success(played, group, int(number)) == (end == "success")
        with av.open(str(tmp_path / "videos" / name)) as film:
            stream = film.streams.video[0]
            assert (stream.width, stream.height) == (480, 360)
            assert stream.frames == told.group(group).steps + 1
            assert float(stream.average_rate) == 20
    again = film_run(played, told, tmp_path, address="random", count=1)
    assert again.files == ()
    assert len(again.left_out) == 2
    assert not list((tmp_path / "videos").glob("*.mp4"))


def played_success(results: Results, group: str, number: int) -> bool:
    return results.group(group)[number].success
