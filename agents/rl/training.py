"""Trains a World Action Model by reinforcement: plays, learns, tries out in physics, and writes a checkpoint.

Every `keep` iterations it is tried out, a line is added to the curve, all that has been learned is kept, and the worlds
begin other episodes: who goes on from there after an interruption learns the very same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from ...envs import WorldVectorEnv
from ...envs.catalogue import known_ids
from ...errors import TaskError
from ...workers import processors
from ...world_models.frames.training import TrainConfig, chief_first, joined, log_writer
from ...world_models.resuming import save_numbers
from ...world_models.wam.demonstrations import Demonstrations, from_trajectory
from ...world_models.wam.model import load_wam, save_model
from ...world_models.wam.network import Wam
from ..collect import Source
from ..keeping import CURVE, digest, read_curve, write_curve
from ..recording import gather
from ..wam.playing import Match, play_match
from ..wam.policy import WamPolicy
from .course import RLCourse
from .crew import Alone, Crew, MakeWorlds, Together, make_players, make_worlds
from .flow_ppo import FlowPPO
from .ray_crew import RayCrew
from .rollout import Player
from .steering import Steering, steerable

_COLUMNS = (
    "steps",
    "seconds",
    "reward",
    "success",
    "exam",
    "held_out",
    "episodes",
    "kl",
    "explained",
    "policy",
    "value",
    "anchor",
)

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""


def train_rl(course: RLCourse, work: Path, out: Path, notify: Notify) -> tuple[Wam, dict[str, Any]]:
    """Trains and writes the checkpoint `out`; `work` is a folder for what is kept on the way, the curve among it.

    Returns:
        The model, and what the exams found before and after: episodes, successes, control steps and seconds; nothing in
        a process that is not the one that writes files.

    Raises:
        TaskError: a setting makes no sense, or does not suit the environment. CheckpointError: the model to begin with
            cannot be used. TrainingError: numbers are no longer finite, or workers cannot be had; what was kept last is
            intact. MissingDependencyError: there are to be workers without Ray.
    """
    if course.exam.episodes == 0:
        raise TaskError("exam.episodes=0: what is learned is told from exams; ask for some episodes")
    count_shards(course)
    here = TrainConfig(distributed=True, device=course.device)
    rank, device = joined(here)
    if rank:
        notify = _quiet
    net, card = load_wam(course.start)
    net = net.to(device)
    env_id, keywords = _where(course, card.trained_on)
    work.mkdir(parents=True, exist_ok=True)
    with chief_first(here):
        data = _demonstrations(course, net, env_id, keywords, work, notify)
    about = course.model_dump(exclude={"exam", "total_steps", "log", "device", "shards", "workers", "ray"})
    kept = work / f"training-{digest(about)}.safetensors"
    make = partial(make_worlds, env_id, {"num_threads": _threads(course), **keywords}, course.ends)
    log = log_writer(work) if course.log and not rank else None
    crew, learner = _begun(course, net, data, make)
    try:
        lines = _go_on(learner, crew, kept)
        if crew.chief and not lines:
            lines = [_line({}, learner, 0.0, _exams(course, learner.net, env_id, keywords), course.exam.episodes)]
            _keep(kept, learner, lines)
        before = float(lines[-1]["seconds"]) if lines else 0.0
        start, paused = time.monotonic(), 0.0
        while learner.steps < course.total_steps:
            told = learner.iterate()
            notify("learning", min(learner.steps / course.total_steps, 0.999))
            _log(log, told, learner.steps)
            if learner.iterations % course.keep == 0 or learner.steps >= course.total_steps:
                seconds = before + time.monotonic() - start - paused
                begun = time.monotonic()
                if crew.chief:
                    exams = _exams(course, learner.net, env_id, keywords)
                    lines.append(_line(told, learner, seconds, exams, course.exam.episodes))
                    _log(log, {name: wins / course.exam.episodes for name, wins in exams.items()}, learner.steps)
                    _keep(kept, learner, lines)
                learner.begin()
                paused += time.monotonic() - begun
        notify("learning", 1.0)
    finally:
        crew.close()
    net = learner.net.to("cpu")
    if not crew.chief:
        return net, {}
    write_curve(work / CURVE, lines)
    found = {
        "env_id": env_id,
        "backend": course.backend,
        "steps": learner.steps,
        "seconds": float(lines[-1]["seconds"]),
        "episodes": course.exam.episodes,
        "flow_steps": course.exam.steps,
        "execute": course.execute,
    }
    for name, line in (("before", lines[0]), ("after", lines[-1])):
        scores = {each: line[each] for each in ("exam", "held_out") if line[each]}
        found[name] = {each: round(float(score) * course.exam.episodes) for each, score in scores.items()}
    trained_on = {**card.trained_on, "start": course.start, "reinforced": course.model_dump(mode="json")}
    save_model(out, net, trained_on=trained_on, measured=found)
    return net, found


def count_shards(course: RLCourse) -> int:
    """Shards that worlds are split into: as asked for, or one for everyone who plays.

    Raises:
        TaskError: they cannot be split so, or not be played by so many.
    """
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if course.workers and processes > 1:
        raise TaskError(f"workers={course.workers} under torchrun: with workers of Ray one process learns; take either")
    told = f"workers={course.workers}" if course.workers else f"{processes} processes"
    players = course.workers or processes
    shards = players if course.shards is None else course.shards
    if course.algorithm == "steering" and max(course.workers, processes, shards) > 1:
        raise TaskError("algorithm=steering plays and learns in one process: leave out workers, shards and torchrun")
    if course.algorithm == "steering" and course.backend == "mixed":
        raise TaskError("algorithm=steering learns in one simulator: take backend=physics or backend=neural")
    if course.backend == "mixed" and not 0 < course.ends["physics"] < course.num_envs:
        raise TaskError(f"real={course.real:g} of {course.num_envs} worlds leaves one simulator none; take more worlds")
    if shards < players:
        raise TaskError(f"{told}, but shards={shards}: some would have nothing to play; leave out shards, or take more")
    if shards > course.num_envs:
        raise TaskError(f"num_envs={course.num_envs} worlds cannot be split into {shards} shards; take more worlds")
    return shards


def _begun(
    course: RLCourse, net: Wam, data: Demonstrations | None, make: Callable[[int, int], list[WorldVectorEnv]]
) -> tuple[Crew, FlowPPO | Steering]:
    """Who plays, and what learns."""
    if course.algorithm == "steering":
        (worlds,) = make(0, course.num_envs)
        crew: Crew = Alone([Player(worlds)])
    else:
        crew = _crew(course, make)
    try:
        if course.algorithm == "steering":
            return crew, Steering(worlds, steerable(net, course.steering.steer), course.steering, seed=course.seed)
        return crew, FlowPPO(crew, net, course.ppo, demonstrations=data, seed=course.seed)
    except BaseException:
        crew.close()
        raise


def _crew(course: RLCourse, make: MakeWorlds) -> Crew:
    shards = count_shards(course)
    if course.workers:
        return RayCrew(make, course.num_envs, shards, course.workers, course.ray)
    if torch.distributed.is_initialized():
        return Together(make, course.num_envs, shards)
    return Alone(make_players(make, course.num_envs, shards, range(shards)))


def _threads(course: RLCourse) -> int:
    """Threads of a batch of worlds; 0 for all processors."""
    if course.workers:
        return max(int(course.ray.cpus), 1)
    together = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(processors() // together, 1) if together > 1 else 0


def _quiet(stage: str, share: float) -> None:
    """Tells nothing: one process is enough."""


def _where(course: RLCourse, trained_on: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The environment: the course's, or that of the demonstrations."""
    name = course.env or trained_on.get("env_id")
    if name is None:
        raise TaskError(f"the card of {course.start} names no environment; give env=...")
    taken = sorted({"backend", "obs_mode"} & set(course.keywords))
    if taken:
        raise TaskError(f"{taken[0]!r} is not to be given here: there is `backend`, and the model knows what it sees")
    return known_ids([str(name)])[0], {**dict(trained_on.get("keywords", {})), **course.keywords}


def _demonstrations(
    course: RLCourse, net: Wam, env_id: str, keywords: dict[str, Any], work: Path, notify: Notify
) -> Demonstrations | None:
    if course.algorithm != "flow_ppo" or not course.ppo.anchor:
        return None
    if not course.demonstrations:
        raise TaskError("the anchor needs demonstrations; ask for some, or set ppo.anchor=0")
    source = Source(env_id, keywords=keywords, seed=course.seed, noise=course.noise, states=False)
    stage, chosen = gather(
        source,
        work / f"demonstrations-{digest([env_id, keywords, course.seed, course.noise])}",
        episodes=course.demonstrations,
        num_envs=min(course.num_envs, 50),
        only_successes=True,
        notify=lambda stage, share: notify("collecting demonstrations", share),
    )
    return Demonstrations([from_trajectory(each, net.settings) for each in stage.read(chosen)], net.settings)


def _exams(course: RLCourse, net: Wam, env_id: str, keywords: dict[str, Any]) -> dict[str, int]:
    """Successes in physics, of seeds that are not trained on; "held_out" in cousins that are not either."""
    exam = course.exam
    policy = WamPolicy(net, steps=exam.steps, execute=course.execute)
    found = {}
    for name, where in exam.places(keywords).items():
        match = Match(env_id, where, exam.episodes, exam.seed, exam.num_envs)
        found[name] = int(play_match(match, policy).success.sum())
    return found


def _line(
    told: Mapping[str, float], learner: FlowPPO | Steering, seconds: float, exams: Mapping[str, int], episodes: int
) -> dict[str, str]:
    shares = {name: successes / episodes for name, successes in exams.items()}
    found = {**told, **shares, "episodes": episodes}
    line = {name: f"{found[name]:.6g}" if name in found else "" for name in _COLUMNS}
    return {**line, "seconds": f"{seconds:.1f}", "steps": str(learner.steps)}


def _log(log: Any, told: Mapping[str, float], steps: int) -> None:
    """Scalars for TensorBoard, if there is a log."""
    if log is not None:
        for name, value in told.items():
            log.add_scalar(name, value, steps)
        log.flush()


def _go_on(learner: FlowPPO | Steering, crew: Crew, kept: Path) -> list[dict[str, str]]:
    """Goes back to what was kept, if anything was; gives the chief the curve so far."""
    state = crew.agreed(load_file(kept) if crew.chief and kept.exists() else None)
    if state is None:
        return []
    learner.restore(state)
    if not crew.chief:
        return []
    return [line for line in read_curve(kept.with_suffix(".csv")) if int(line["steps"]) <= learner.steps]


def _keep(path: Path, learner: FlowPPO | Steering, lines: list[dict[str, str]]) -> None:
    """The curve first: what is there of it beyond the numbers is left out when they are read."""
    write_curve(path.with_suffix(".csv"), lines)
    save_numbers(path, learner.state())
