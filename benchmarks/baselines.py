"""`bench baseline`: agents that others are measured against, trained for a suite by one command and played in it.

What a baseline is stands in `conf/baselines/<name>.yaml`. It is trained for every task of a suite where one may train:
in the cousins that are not held out, in physics. Models that are there are not trained again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import OmegaConf
from pydantic import Field, ValidationError

from ..agents import ppo, sac
from ..agents.keeping import CURVE, read_curve
from ..agents.rl.course import read_course as read_rl_course
from ..agents.rl.training import train_rl
from ..agents.sb3 import make_sb3_env
from ..agents.sb3_policy import POLICY
from ..agents.wam.course import read_course as read_wam_course
from ..agents.wam.training import train_wam
from ..errors import SuiteError, TaskError
from ..folders import new_folder, write_texts
from ..workers import Notify, processors, work_off
from ..world_models.frames.settings import Strict
from .leaderboard.curves import LearningCurve
from .suites.manifest import Group, Suite

FOLDER = Path(__file__).parents[1] / "conf" / "baselines"
_NOTE = "baseline.json"
_SOMEWHERE = "start=somewhere"  # paths are no words of a command line: the true one is put in its place
_TOLD = {
    "wam": ("action", "updates", "loss of actions"),
    "rl": ("exam", "control steps", "success in exams"),
    "ppo": ("success", "control steps", "success in training"),
    "sac": ("success", "control steps", "success in training"),
}
"""What learning curves tell, by method: the column of what trainings write, and what it and the steps are called."""


class Recipe(Strict):
    """How a baseline is trained: by which command, from which other baseline, with which settings."""

    method: Literal["wam", "rl", "ppo", "sac"]
    start: str | None = None
    settings: list[str] = Field(default_factory=list)


def names() -> list[str]:
    """Of all baselines."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def read_recipe(name: str) -> Recipe:
    """How a baseline is trained.

    Raises:
        TaskError: there is none of that name.
    """
    if name not in names():
        raise TaskError(f"there is no baseline {name!r}; there are {', '.join(names())}")
    file = FOLDER / f"{name}.yaml"
    try:
        return Recipe.model_validate(OmegaConf.to_container(OmegaConf.load(file), resolve=True))
    except ValidationError as error:
        raise TaskError(f"{file} is damaged: {error.errors()[0]['msg']}; install PocketWorlds again") from error


def train_baseline(
    name: str,
    suite: Suite,
    folder: Path,
    *,
    settings: Sequence[str] = (),
    seed: int = 0,
    workers: int = 1,
    notify: Notify,
) -> str:
    """Trains a baseline for every task of a suite, as far as it is not there; gives its address for `bench run`.

    Args:
        name: of a file in `conf/baselines`. suite: what it is for. folder: for all baselines of this suite.
        settings: that replace those of the recipe; none for what is tuned in code (ppo, sac). seed: of the training.
        workers: processes, that train a task each; they share the processors, and how many of these a training has
            shows in the last bits of its sums. notify: is told of every stage of every task.

    Raises:
        TaskError: a name or a setting is not known. SuiteError: `folder` holds the same baseline with other settings.
    """
    recipe = read_recipe(name)
    own, asked = folder / name, [*recipe.settings, *settings, f"seed={seed}"]
    groups = training_groups(suite)
    _check(name, recipe, asked, settings)  # before anything is written or trained
    if recipe.start is not None:
        train_baseline(recipe.start, suite, folder, seed=seed, workers=workers, notify=notify)
    _claim(own, {"suite": suite.digest, "settings": asked})
    address = str(own / ("{task}.safetensors" if recipe.method in ("wam", "rl") else "{task}"))
    jobs = [
        _Job(
            title=f"{name}, {task} ({number + 1} of {len(groups)})",
            method=recipe.method,
            settings=tuple(asked),
            group=group,
            place=Path(address.format(task=task)),
            start=None if recipe.start is None else folder / recipe.start / f"{task}.safetensors",
            seed=seed,
        )
        for number, (task, group) in enumerate(groups.items())
    ]
    missing = [job for job in jobs if not job.done]
    if min(workers, len(missing)) > 1:
        try:
            work_off(missing, _train_beside_others, workers, notify)
        except BrokenProcessPool as error:
            raise TaskError("a worker died (out of memory?); the same command goes on with what is left") from error
    else:
        for job in missing:
            _train(job, notify)
    return address


def learning_curves(name: str, suite: Suite, folder: Path) -> list[LearningCurve]:
    """How a baseline that is trained learned, by task; not of models that came from elsewhere.

    Args:
        name, suite, folder: as `train_baseline` has them.
    """
    recipe = read_recipe(name)
    column, across, up = _TOLD[recipe.method]
    found = []
    for task in training_groups(suite):
        work = folder / name / (f"{task}.work" if recipe.method in ("wam", "rl") else task)
        lines = [line for line in read_curve(work / CURVE) if line[column]]
        if lines:
            points = [(float(line["steps"]), float(line[column])) for line in lines]
            found.append(LearningCurve(task, across, up, points))
    return found


def training_groups(suite: Suite) -> dict[str, Group]:
    """By task, the group in whose environment one may train: the only one, cousins to train in, a scan, or physics."""
    found: dict[str, Group] = {}
    for group in suite.groups:
        task, _, kind = group.name.partition("-")
        if kind in ("", "train", "scan") or (kind == "physics" and task not in found):
            found[task] = group  # a scan is what one has of a scene whose physics is the exam
    missing = {group.name.partition("-")[0] for group in suite.groups} - set(found)
    if missing:
        raise SuiteError(f"{suite.name} has nothing to train {missing.pop()} in")
    return found


def _check(name: str, recipe: Recipe, asked: Sequence[str], settings: Sequence[str]) -> None:
    """Refuses settings that make no sense."""
    if recipe.method == "wam":
        read_wam_course(asked)
    elif recipe.method == "rl":
        read_rl_course([*asked, _SOMEWHERE])
    elif settings:
        raise TaskError(f"{name} takes no settings; what it is tuned to stands in agents/{recipe.method}.py")


@dataclass(frozen=True)
class _Job:
    """What to train: `place`, a checkpoint or a policy's folder, in the environment of `group`."""

    title: str
    method: Literal["wam", "rl", "ppo", "sac"]
    settings: tuple[str, ...]
    group: Group
    place: Path
    start: Path | None
    seed: int

    @property
    def done(self) -> bool:
        return (self.place if self.method in ("wam", "rl") else self.place / POLICY).exists()


def _train(job: _Job, notify: Notify) -> None:
    def tell(stage: str, share: float) -> None:
        notify(f"{job.title}: {stage}", share)

    if job.method == "wam":
        _train_wam(job.settings, job.group, job.place, tell)
    elif job.method == "rl":
        _train_rl(job.settings, str(job.start), job.place, tell)
    else:
        _train_sb3(job.method, job.group, job.place, job.seed, tell)


def _train_beside_others(job: _Job, notify: Notify) -> None:
    torch.set_num_threads(processors())
    _train(job, notify)


def _train_wam(settings: Sequence[str], group: Group, file: Path, notify: Notify) -> None:
    course = read_wam_course([*settings, f"env={group.env_id}"])
    course = course.model_copy(update={"keywords": {**group.where(), **course.keywords}})
    train_wam(course, file.with_suffix(".work"), file, notify)


def _train_rl(settings: Sequence[str], start: str, file: Path, notify: Notify) -> None:
    course = read_rl_course([*settings, _SOMEWHERE]).model_copy(update={"start": start})
    train_rl(course, file.with_suffix(".work"), file, notify)


def _train_sb3(method: str, group: Group, folder: Path, seed: int, notify: Notify) -> None:
    tuned = ppo.SETTINGS.get(group.env_id, ppo.Settings()) if method == "ppo" else sac.Settings()
    work = folder.with_name(f"{folder.name}.work")

    def tell(line: Mapping[str, float]) -> None:
        notify("training", min(line["steps"] / tuned.total_steps, 0.999))

    with new_folder(folder, replace=False, marks=(POLICY,), noun="policy", error=TaskError) as out:
        worlds = make_sb3_env(group.env_id, tuned.num_envs, **group.where())
        if isinstance(tuned, ppo.Settings):
            ppo.train_ppo(worlds, tuned, seed=seed, out=out, tell=tell, work=work)
        else:
            sac.train_sac(worlds, tuned, seed=seed, out=out, tell=tell, work=work)
    notify("training", 1.0)


def _claim(folder: Path, request: dict[str, Any]) -> None:
    """Refuses a folder in which something else was trained."""
    note = folder / _NOTE
    if not note.exists():
        write_texts(folder, {_NOTE: json.dumps(request, indent=1) + "\n"})
        return
    try:
        earlier = json.loads(note.read_bytes())
    except ValueError as error:
        raise SuiteError(f"{note} is damaged; choose another folder, or remove this one") from error
    if earlier != request:
        raise SuiteError(f"{folder} holds models of other settings ({note.name}); choose another folder, or remove it")
