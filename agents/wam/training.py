"""Trains a World Action Model: collects demonstrations or reads them, learns, tries it out, and writes a checkpoint.

Everything is kept as it is made: episodes, and where training is. The same command goes on after an interruption, and a
change of what was asked for begins anew from where it matters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

from ...envs import WorldVectorEnv
from ...envs.catalogue import known_ids
from ...errors import TaskError
from ...world_models.checkpoint import halved
from ...world_models.frames.training import FrameTrainer, Learner, chief_first
from ...world_models.wam.act import Act, ActLearner
from ...world_models.wam.base import Model
from ...world_models.wam.cloning import Cloning, CloningLearner
from ...world_models.wam.demonstrations import Demonstrations
from ...world_models.wam.learning import WamLearner
from ...world_models.wam.model import MODELS, load_model, save_model
from ...world_models.wam.network import Wam
from ...world_models.wam.settings import WamSettings
from ..keeping import CURVE, digest, read_curve, train_on, write_curve
from .course import PROPRIOCEPTION, WamCourse
from .lessons import lessons
from .playing import Match, play_match
from .policy import policy_of

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""


def train_wam(course: WamCourse, work: Path, out: Path, notify: Notify) -> tuple[Model, dict[str, Any]]:
    """Collects, trains, tries out and writes the checkpoint `out`; `work` is a folder for what is kept on the way, the
    curve among it.

    Returns:
        The model, and what its examination found: episodes, successes and seconds a decision.

    Raises:
        TaskError: a setting makes no sense, or does not suit the environment. DatasetError: what is to be learned from
            cannot be read. CheckpointError: the model to start from cannot be used.
    """
    if course.kind != "wam" and not course.labels:
        raise TaskError(f"kind={course.kind} learns actions alone: with labels=false there are none")
    work.mkdir(parents=True, exist_ok=True)
    env_id, keywords = known_ids([course.env])[0], _keywords(course)
    settings = look(env_id, keywords, course)
    with chief_first(course.train):
        data = lessons(course, env_id, keywords, settings, work, notify)
    net = _begun(course, settings, data)
    config = course.train.model_copy(update={"seed": course.seed, "length": settings.past})
    about = {**course.model_dump(exclude={"exam", "half", "log", "num_envs"}), "train": config.model_dump()}
    if course.camera is None:
        del about["camera"]  # as trainings that were begun before there was such a setting have it
    kept = work / f"training-{digest(about)}.safetensors"
    if not _train(net, data, course, config, kept, notify):
        return net, {}
    write_curve(work / CURVE, read_curve(kept.with_suffix(".csv")))
    net = net.to("cpu").eval()
    if course.half:
        net.load_state_dict(halved(net.state_dict()))
    told = {"env_id": env_id, "keywords": keywords, "episodes": len(data), "frames": data.frames}
    told |= {"labels": course.labels, "noise": course.noise, "start": course.start, "seed": course.seed}
    measured = _examined(net, course, env_id, keywords, notify) if course.labels and course.exam.episodes else {}
    save_model(out, net, half=course.half, trained_on=told, measured=measured)
    return net, measured


def look(env_id: str, keywords: dict[str, Any], course: WamCourse) -> WamSettings:
    """What a model for an environment sees and does.

    Raises:
        TaskError: see `WorldVectorEnv`.
    """
    env = gym.make_vec(env_id, num_envs=1, **keywords).unwrapped
    assert isinstance(env, WorldVectorEnv)
    try:
        state = {name: part.stop - part.start for name, part in env.state_layout.items()}
        model = course.model
        seen = tuple(state) if model.seen == "all" else tuple(name for name in state if name in PROPRIOCEPTION)
        return WamSettings(
            robot=env.world.robot.name,
            control_mode=env.config.control_mode,
            action_size=env.simulator.action_size,
            state=state,
            seen=seen,
            cameras=("rgb",) if model.pictures else (),
            image_size=(model.image_size, model.image_size),
            period=env.simulator.control_period,
            chunk=model.chunk,
            past=model.past,
            net=model.net,
        )
    finally:
        env.close()


def _keywords(course: WamCourse) -> dict[str, Any]:
    """Of the environment: the course's, and what the model is to see."""
    if "obs_mode" in course.keywords:
        raise TaskError("what the model sees is model.seen and model.pictures; leave obs_mode out of keywords")
    seen = {"obs_mode": "state+rgb", "image_size": course.model.image_size} if course.model.pictures else {}
    return {**course.keywords, **seen}


def _begun(course: WamCourse, settings: WamSettings, data: Demonstrations) -> Model:
    """A new model, or the one to start from; its scales are those of the first episodes with states that it sees."""
    if course.start is None:
        net = MODELS[course.kind](settings, seed=course.seed)
    else:
        net = load_model(course.start, course.kind)[0]
        for name in WamSettings.model_fields:
            ours, theirs = getattr(settings, name), getattr(net.settings, name)
            if ours != theirs:
                raise TaskError(f"{course.start} has {name}={theirs}, this course asks for {ours}")
    if not net.scales.measured and (course.labels or data.has_states):
        net.scales.measure(*data.scales())
    return net


def _train(net: Model, data: Demonstrations, course: WamCourse, config: Any, kept: Path, notify: Notify) -> bool:
    """Trains to the end, from where it was; says whether this process is the one that writes files."""
    log = kept.with_suffix("") if course.log else None
    learner: Learner
    if isinstance(net, Wam):
        learner = WamLearner(net, world=course.world_loss)
    elif isinstance(net, Act):
        learner = ActLearner(net)
    else:
        assert isinstance(net, Cloning)
        learner = CloningLearner(net)
    trainer = FrameTrainer(learner, data, config, log=log)
    train_on(trainer, kept, config.steps, lambda share: notify("training", share))
    trainer.settle()
    return trainer.chief


def _examined(net: Model, course: WamCourse, env_id: str, keywords: dict[str, Any], notify: Notify) -> dict[str, Any]:
    exam = course.exam
    policy = policy_of(net, steps=exam.steps, execute=exam.execute)
    found: dict[str, Any] = {"episodes": exam.episodes, "flow_steps": exam.steps, "execute": policy.execute}
    for name, where in exam.places(keywords).items():
        match = Match(env_id, where, exam.episodes, exam.seed, exam.num_envs)
        played = play_match(match, policy, partial(notify, f"trying it out ({name})"))
        found[name] = int(played.success.sum())
        if name == "exam":
            found |= {"ever": int(played.ever.sum()), "seconds_a_decision": round(played.seconds, 5)}
    return found
