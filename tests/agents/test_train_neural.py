"""Neural simulators are made from play in physics: what is played, what is learned, going on after an interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from pocketworlds import TaskError
from pocketworlds.agents.calibration import recalibrate
from pocketworlds.agents.course import ALONE, make_course, read_settings
from pocketworlds.agents.experience import Practice, gather
from pocketworlds.agents.learners import APART, Learning
from pocketworlds.agents.play import make_play
from pocketworlds.agents.train_neural import Course, prepare, train_neural
from pocketworlds.errors import CheckpointError
from pocketworlds.world_models.hybrid.dynamics import Dynamics
from pocketworlds.world_models.hybrid.experience import Experience
from pocketworlds.world_models.hybrid.model import load_model, save_model
from pocketworlds.world_models.hybrid.training import TrainConfig, Trainer

SHORT = TrainConfig(steps=8, warmup=2, stages=((0.5, 1, 16), (0.5, 3, 8)), robot_batch=16)


def course(*env_ids: str, steps: TrainConfig = SHORT) -> Course:
    practices = [
        Practice(f"PocketWorlds/{env_id}", 12, seed=50 * k, num_envs=6, keywords={"max_episode_steps": 20})
        for k, env_id in enumerate(env_ids)
    ]
    return Course(tuple(practices), steps, members=2, width=16)


def quiet(stage: str, share: float) -> None:
    assert 0 <= share <= 1, stage


def test_what_was_played_is_what_physics_did():
    """Frames follow each other as in the environment, in the frame of the robot's base."""
    found = gather(Practice("PocketWorlds/OpenDrawer-v0", 4, seed=3, num_envs=4, keywords={"max_episode_steps": 9}))
    assert len(found) == 4 * 10
    assert found.episodes.tolist() == [[0, 10], [10, 20], [20, 30], [30, 40]]
    assert found.age[:12].tolist() == [*range(10), 0, 1]
    env = gym.make_vec("PocketWorlds/OpenDrawer-v0", num_envs=4).unwrapped
    env.reset(seed=3)
    world, sensors = env.world, env.sensors()
    state = found.state(torch.tensor([0, 10, 20, 30]))
    place = state.position.numpy() @ world.base_mat.T + world.base_pos
    np.testing.assert_allclose(place, sensors["object_pos"], atol=1e-6)
    np.testing.assert_allclose(world.base_mat @ state.rotation.numpy(), sensors["object_mat"], atol=1e-6)
    np.testing.assert_allclose(state.joints[:, :7], sensors["joint_pos"], atol=1e-6)
    # A body's frame moves with its centre's velocity, less the lever's; fingers follow what they are told.
    step = (found.poses[1:, :, :3] - found.poses[:-1, :, :3]) / 0.05
    slow = found.velocity[:-1, :, 3:].abs().amax((1, 2)) < 0.01
    both = (found.velocity[1:, :, :3] + found.velocity[:-1, :, :3]) / 2
    np.testing.assert_allclose(step[slow & (found.left[:-1] > 0)], both[slow & (found.left[:-1] > 0)], atol=0.02)
    env.close()


def test_the_same_seeds_are_the_same_play_and_others_are_not():
    practice = Practice("PocketWorlds/Push-v0", 4, seed=1, num_envs=4, keywords={"max_episode_steps": 6})
    one, two = gather(practice), gather(practice)
    assert torch.equal(one.poses, two.poses)
    assert torch.equal(one.targets, two.targets)
    other = gather(Practice("PocketWorlds/Push-v0", 4, seed=2, num_envs=4, keywords={"max_episode_steps": 6}))
    assert not torch.equal(one.targets, other.targets)


def test_sets_of_different_scenes_are_joined_and_parted(tmp_path: Path):
    lesson = prepare(course("Push-v0", "OpenDrawer-v0"), tmp_path, quiet)
    assert lesson.shape.parts
    assert lesson.geometry.free == lesson.experience.poses.shape[1] == 4
    assert set(lesson.experience.scene.tolist()) == set(lesson.held_out.scene.tolist()) == {0, 1}
    assert len(lesson.held_out.episodes) == 2
    assert len(lesson.experience.episodes) == 22
    # What a scene has not got is never felt.
    push = lesson.experience.state((lesson.experience.scene == 0).nonzero()[:, 0])
    assert set(lesson.geometry.see(push).around.body.tolist()) <= {0}


def test_a_model_is_made_and_plays(tmp_path: Path):
    out = tmp_path / "made.safetensors"
    train_neural(course("Push-v0"), tmp_path / "work", out, quiet)
    _, trust, card = load_model(out)
    assert trust.fitted
    assert card.trained_on["practices"][0]["env_id"] == "PocketWorlds/Push-v0"
    env = gym.make_vec("PocketWorlds/Push-v0", num_envs=2, backend="neural", checkpoint=out)
    env.reset(seed=0)
    assert np.isfinite(env.step(env.action_space.sample())[0]).all()
    env.close()


def test_a_model_is_rehearsed_again_and_learns_nothing_more(tmp_path: Path):
    """As it was rehearsed when it was made, whatever it said of itself in between."""
    made, forgot, again = (tmp_path / f"{name}.safetensors" for name in ("made", "forgot", "again"))
    train_neural(course("Push-v0"), tmp_path / "work", made, quiet)
    dynamics, trust, card = load_model(made)
    save_model(forgot, dynamics, robot=card.robot, trained_on=card.trained_on, horizon=7, measured={"audit": {}})
    recalibrate(forgot, again)
    same, anew, told = load_model(again)
    for one, other in ((dynamics, same), (trust, anew)):
        for name, values in one.state_dict().items():
            assert torch.equal(values, other.state_dict()[name]), name
    assert (told.trained_on, told.horizon, told.measured) == (card.trained_on, 7, {"audit": {}})
    save_model(forgot, dynamics, robot=card.robot)
    with pytest.raises(CheckpointError, match="does not say what it was made from"):
        recalibrate(forgot, again)


def test_policies_that_learned_in_the_model_play_what_it_learns_next(tmp_path: Path):
    """Other things happen than with experts, each policy plays, and doing it again does nothing anew."""
    learning = Learning(trainings=1, steps=8192, kept=2, share=0.5)
    first, told = course("Push-v0"), []
    asked = replace(first, rounds=1, learning=learning)
    work, out = tmp_path / "work", tmp_path / "made.safetensors"
    train_neural(asked, work, out, lambda stage, share: told.append(stage))
    assert list(dict.fromkeys(told)) == ["playing Push-v0", "training", "learning Push-v0 in the model", "rehearsing"]
    card = load_model(out)[2]
    assert card.trained_on["played_by_learners"] == 6
    assert [each["players"] for each in card.trained_on["practices"]] == [[]]
    assert card.trained_on["frames"] == (11 + 5) * 21  # of 12 and of 6 episodes the last one is held out
    (learners,) = work.glob("learners-*")
    players = tuple(str(learners / name) for name in ("00", "01"))
    (practice,) = first.practices
    played = gather(replace(practice, episodes=6, seed=practice.seed + APART, players=players))
    experts = gather(replace(practice, episodes=6, seed=practice.seed + APART))
    assert torch.equal(played.poses[played.age == 0], experts.poses[experts.age == 0])
    assert not torch.equal(played.targets, experts.targets)
    kept = [*work.glob("played-*"), *learners.rglob("*")]
    before = {file: file.stat().st_mtime_ns for file in kept}
    train_neural(asked, work, out, quiet)
    assert {file: file.stat().st_mtime_ns for file in kept} == before
    train_neural(replace(asked, train=replace(asked.train, rate=1e-4)), work, out, quiet)
    assert len([*work.glob("learners-*")]) == 2  # in another model others learn


def test_worlds_are_played_by_policies_with_more_or_less_noise(tmp_path: Path):
    """Two policies that always say one thing: each plays half of the worlds, a quarter of these without noise."""

    class Always:
        def __init__(self, value: float) -> None:
            self.value = value

        def act(self, observations: np.ndarray) -> np.ndarray:
            return np.full((len(observations), 7), self.value, dtype=np.float32)

    env = gym.make_vec("PocketWorlds/Reach-v0", num_envs=200).unwrapped
    observation, _ = env.reset(seed=0)
    policies: Any = [Always(-0.5), Always(0.5)]
    one, two = (make_play(env, 3, policies) for _ in range(2))
    seen = np.stack([one.act(observation) for _ in range(50)])
    assert np.array_equal(seen, np.stack([two.act(observation) for _ in range(50)]))
    env.close()
    still = (np.ptp(seen, axis=0) == 0).all(axis=1)
    assert 0.1 < still.mean() < 0.4
    assert set(np.unique(seen[:, still])) == {-0.5, 0.5}
    assert np.abs(seen).max() == 1
    side = np.sign(seen.mean(axis=(0, 2)))
    assert 60 < (side > 0).sum() < 140


def test_training_that_was_interrupted_ends_as_if_it_had_not_been(tmp_path: Path):
    lesson = prepare(course("Push-v0"), tmp_path, quiet)

    def trainer() -> tuple[Dynamics, Trainer]:
        net = Dynamics(lesson.shape)
        return net, Trainer(net, lesson.geometry, lesson.experience, SHORT)

    whole, first = trainer()
    assert first.advance()
    _, second = trainer()
    states = []
    second.advance(lambda done, losses: states.append(second.state()) if done == 5 else None, every=1)
    again, third = trainer()
    third.restore(states[0])
    assert third.done == 5
    assert third.advance()
    for name, values in whole.state_dict().items():
        assert torch.equal(values, again.state_dict()[name]), name


def test_learning_brings_the_losses_down(tmp_path: Path):
    config = TrainConfig(steps=160, warmup=10, stages=((0.5, 1, 128), (0.5, 3, 48)), robot_batch=64)
    lesson = prepare(course("Push-v0", steps=config), tmp_path, quiet)
    told: list[dict[str, float]] = []
    torch.manual_seed(0)
    Trainer(Dynamics(lesson.shape), lesson.geometry, lesson.experience, config).advance(
        lambda done, losses: told.append(losses), every=20
    )
    assert told[3]["robot"] < 0.8 * told[0]["robot"]
    assert told[3]["shift"] < 0.8 * told[0]["shift"]


def test_experience_is_written_and_read(tmp_path: Path):
    found = gather(Practice("PocketWorlds/Push-v0", 2, num_envs=2, keywords={"max_episode_steps": 4}))
    found.save(tmp_path / "played.safetensors")
    again = Experience.load(tmp_path / "played.safetensors")
    assert all(torch.equal(getattr(found, name), getattr(again, name)) for name in ("poses", "left", "targets"))
    assert [file.name for file in tmp_path.iterdir()] == ["played.safetensors"]


def test_play_that_was_interrupted_goes_on(tmp_path: Path):
    """With the batch after the last that was played; what was played before is taken as it lies there."""
    asked = course("Push-v0")
    (practice,) = asked.practices
    whole = gather(practice)

    def interrupted(stage: str, share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(asked, tmp_path, interrupted)
    (first,) = tmp_path.glob("played-*/*.safetensors")
    batch = Experience.load(first)
    torch.testing.assert_close(batch.poses, whole.poses[: len(batch)], atol=0, rtol=0)
    replace(batch, force=torch.full_like(batch.force, 7.0)).save(first)
    lesson = prepare(asked, tmp_path, quiet)
    played = Experience.joined([lesson.experience, lesson.held_out], [0, 0])
    assert (played.force[: len(batch)] == 7).all()
    assert torch.equal(played.force[len(batch) :], whole.force[len(batch) :])
    assert torch.equal(played.poses, whole.poses)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


def test_settings_are_overridden_and_checked():
    settings = read_settings(["train.steps=5", "practice.Push-v0=7", "seed=3", "rounds=2", "learner_steps=9"])
    assert (settings.train.steps, settings.practice["Push-v0"], settings.seed) == (5, 7, 3)
    made = make_course(settings)
    assert (made.train.steps, made.rounds, made.learning.steps) == (5, 2, 9)
    assert len({practice.seed for practice in made.practices}) == len(made.practices) == 11
    hand = make_course(read_settings(["robot=hand"]))
    assert [practice.env_id for practice in hand.practices] == [
        "PocketWorlds/HandLift-v0",
        "PocketWorlds/HandReorient-v0",
    ]


def test_a_model_for_one_environment_alone_practises_it_longer():
    everything = make_course(read_settings([])).practices
    (alone,) = make_course(read_settings(["only=PickPlace-v0"])).practices
    (same,) = (each for each in everything if each.env_id == alone.env_id)
    assert alone.seed == same.seed
    assert alone.episodes == ALONE * same.episodes
    (lift,) = make_course(read_settings(["scene=blocks", "only=lift"])).practices
    assert lift.keywords["task"] == "lift"


def test_a_scene_of_ones_own_is_played_in_what_it_has_something_for():
    tasks = {practice.keywords["task"] for practice in make_course(read_settings(["scene=blocks"])).practices}
    assert {"lift", "push", "pick_place", "stack"} <= tasks
    assert not tasks & {"open_drawer", "open_door", "press_button"}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["kitchen"], "no setting"),
        (["train.stepz=3"], r"train\.stepz"),
        (["train.steps=0"], r"train\.steps=0"),
        (["members=many"], "members='many'"),
        (["practice.Jump-v0=3"], "Jump-v0"),
        (["robot="], "robot"),
        (["learner_steps=0"], "learner_steps=0"),
        (["only=Jump-v0"], "only='Jump-v0'"),
        (["scene=blocks", "only=open_door"], r"suits none of \['open_door'\] \(.*door"),
    ],
)
def test_settings_that_make_no_sense_are_named(overrides: list[str], told: str):
    with pytest.raises(TaskError, match=told):
        make_course(read_settings(overrides))


def test_a_model_is_for_one_robot(tmp_path: Path):
    with pytest.raises(TaskError, match="for one robot"):
        prepare(course("Push-v0", "HandReorient-v0"), tmp_path, quiet)
    with pytest.raises(TaskError, match="nothing to practise"):
        prepare(Course((), SHORT), tmp_path, quiet)
