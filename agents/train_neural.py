"""Makes a neural simulator: plays in physics, learns from it, and writes a checkpoint.

In each of `rounds` a model is made that trains half as long; policies learn in it, by reinforcement, and play in
physics; the next is made from that, too.

Everything is kept as it is made: what was played, set by set, and where training is. The same command goes on after an
interruption, and a change of what was asked for begins anew.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..envs.backends.forms import model_shape, robot_form, scene_form
from ..errors import TaskError
from ..world_models.hybrid.dynamics import Dynamics, Shape
from ..world_models.hybrid.experience import Experience
from ..world_models.hybrid.geometry import Geometry
from ..world_models.hybrid.model import save_model
from ..world_models.hybrid.scene import RobotForm, SceneForm, ServoForm
from ..world_models.hybrid.training import TrainConfig, Trainer
from .calibration import calibrate
from .experience import Practice, gather, make_practice_env
from .keeping import digest, plain, train_on
from .learners import Learning, challenge

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""

HELD_OUT = 0.1
"""Share of each set's episodes that nothing is learned from: the last."""


@dataclass(frozen=True)
class Course:
    """What a model is made from.

    Attributes:
        practices: what is played. train: how it is learned. members, width, depth: of its networks, see `Shape`.
        rounds, learning: how often policies learn in the model and play what it then learns from, too; how they do.
    """

    practices: tuple[Practice, ...]
    train: TrainConfig
    members: int = 3
    width: int = 192
    depth: int = 3
    rounds: int = 0
    learning: Learning = field(default_factory=Learning)


@dataclass(frozen=True)
class Lesson:
    """Everything that a model of a course is trained on and examined with; `scenes`: their names."""

    robot: str
    scenes: list[str]
    shape: Shape
    geometry: Geometry
    experience: Experience
    held_out: Experience


def train_neural(course: Course, work: Path, out: Path, notify: Notify) -> Dynamics:
    """Plays, trains, rehearses and writes the checkpoint `out`; `work` is a folder for what is kept on the way.

    Raises:
        TaskError: the practices are not for one robot, or a keyword makes no sense.
    """
    bare = work / "model.safetensors"
    grown = course
    for number in range(1, course.rounds + 1):
        _learn(replace(grown, train=replace(grown.train, steps=-(-grown.train.steps // 2))), work, bare, notify)
        more = [challenge(each, bare, course.learning, number, work, notify) for each in course.practices]
        grown = replace(grown, practices=(*grown.practices, *more))
    lesson, dynamics = _learn(grown, work, bare, notify)
    trust = calibrate(grown.practices, bare, lambda done, count: notify("rehearsing", done / count))
    notify("rehearsing", 1.0)
    save_model(out, dynamics, trust, robot=lesson.robot, trained_on=_told(grown, lesson))
    return dynamics


def _learn(course: Course, work: Path, bare: Path, notify: Notify) -> tuple[Lesson, Dynamics]:
    """Plays, trains, and writes the checkpoint `bare`, which does not know yet how far to trust it."""
    lesson = prepare(course, work, notify)
    dynamics = Dynamics(lesson.shape, seed=course.train.seed)
    trainer = Trainer(dynamics, lesson.geometry, lesson.experience, course.train)
    kept = work / f"training-{digest(asdict(replace(course, rounds=0, learning=Learning())))}.safetensors"
    train_on(trainer, kept, course.train.steps, lambda share: notify("training", share))
    save_model(bare, dynamics, robot=lesson.robot, trained_on=_told(course, lesson))
    return lesson, dynamics


def _told(course: Course, lesson: Lesson) -> dict[str, Any]:
    """What the card says. Policies stay where they are: their files hold code, and no card is to have such read."""
    return {
        "practices": [plain(each) for each in course.practices if not each.players],
        "played_by_learners": sum(each.episodes for each in course.practices if each.players),
        "scenes": lesson.scenes,
        "frames": len(lesson.experience),
    }


def prepare(course: Course, work: Path, notify: Notify) -> Lesson:
    """Plays what is not there yet, and looks at the scenes."""
    if not course.practices:
        raise TaskError("there is nothing to practise; give at least one environment")
    work.mkdir(parents=True, exist_ok=True)
    forms: dict[str, _Forms] = {}
    firsts, sets, count = [], [], 0
    for practice in course.practices:
        place = digest([practice.env_id, plain(practice)["keywords"], practice.servos])
        if place not in forms:
            forms[place] = _look(practice, count)
            count += len(forms[place].scenes)
        firsts.append(forms[place].first)
        sets.append(_played(practice, work, notify))
    first, *others = forms.values()
    name, shape = first.name, first.shape
    for form in others:
        if form.name != name:
            raise TaskError(f"a model is for one robot; {form.env_id} has {form.name!r}, the first has {name!r}")
    parts = any(form.shape.parts for form in forms.values())
    scenes = [scene for form in forms.values() for scene in form.scenes]
    told = {"parts": parts, "tuned": any(scene.servos != ServoForm() for scene in scenes)}
    sizes = {**asdict(shape), **told, **{name: getattr(course, name) for name in ("members", "width", "depth")}}
    halves = [each.parted(HELD_OUT) for each in sets]
    return Lesson(
        robot=name,
        scenes=sorted({scene for form in forms.values() for scene in form.names}),
        shape=Shape(**sizes),
        geometry=Geometry(first.robot, scenes),
        experience=Experience.joined([most for most, _ in halves], firsts),
        held_out=Experience.joined([rest for _, rest in halves], firsts),
    )


def _played(practice: Practice, work: Path, notify: Notify) -> Experience:
    """What is played of a practice; until it is whole, each batch of episodes is kept."""
    file = work / f"played-{digest(plain(practice))}.safetensors"
    batches = file.with_suffix("")
    if not file.exists():
        stage = f"playing {practice.env_id.removeprefix('PocketWorlds/')}"
        gather(practice, lambda done, count: notify(stage, done / count), kept=batches).save(file)
    shutil.rmtree(batches, ignore_errors=True)
    return Experience.load(file)


@dataclass(frozen=True)
class _Forms:
    """What there is in an environment; `first`: the number of the first of its scenes."""

    env_id: str
    first: int
    name: str
    shape: Shape
    robot: RobotForm
    scenes: Sequence[SceneForm]
    names: Sequence[str]


def _look(practice: Practice, first: int) -> _Forms:
    env = make_practice_env(replace(practice, episodes=1))
    try:
        robot = robot_form(env.world)
        return _Forms(
            env_id=practice.env_id,
            first=first,
            name=env.world.robot.name,
            shape=model_shape(env.world, robot),
            robot=robot,
            scenes=[scene_form(world) for world in env.worlds],
            names=[world.scene.name for world in env.worlds],
        )
    finally:
        env.close()
