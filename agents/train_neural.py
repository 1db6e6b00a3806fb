"""Makes a neural simulator: plays in physics, learns from it, and writes a checkpoint.

Everything is kept as it is made: what was played, set by set, and where training is. The same command goes on after an
interruption, and a change of what was asked for begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium as gym

from ..envs import WorldVectorEnv
from ..envs.backends.forms import model_shape, robot_form, scene_form
from ..errors import TaskError
from ..world_models.hybrid.dynamics import Dynamics, Shape
from ..world_models.hybrid.experience import Experience
from ..world_models.hybrid.geometry import Geometry
from ..world_models.hybrid.model import save_model
from ..world_models.hybrid.scene import RobotForm, SceneForm
from ..world_models.hybrid.training import TrainConfig, Trainer
from .calibration import calibrate
from .experience import Practice, gather
from .keeping import digest, plain, train_on

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""

HELD_OUT = 0.1
"""Share of each set's episodes that nothing is learned from: the last."""


@dataclass(frozen=True)
class Course:
    """What a model is made from.

    Attributes:
        practices: what is played. train: how it is learned. members, width: of its networks.
    """

    practices: tuple[Practice, ...]
    train: TrainConfig
    members: int = 3
    width: int = 192


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
    lesson = prepare(course, work, notify)
    dynamics = Dynamics(lesson.shape, seed=course.train.seed)
    trainer = Trainer(dynamics, lesson.geometry, lesson.experience, course.train)
    kept = work / f"training-{digest(asdict(course))}.safetensors"
    train_on(trainer, kept, course.train.steps, lambda share: notify("training", share))
    told = {
        "practices": [plain(each) for each in course.practices],
        "scenes": lesson.scenes,
        "frames": len(lesson.experience),
    }
    bare = work / "model.safetensors"
    save_model(bare, dynamics, robot=lesson.robot, trained_on=told)
    trust = calibrate(course.practices, bare, lambda done, count: notify("rehearsing", done / count))
    notify("rehearsing", 1.0)
    save_model(out, dynamics, trust, robot=lesson.robot, trained_on=told)
    return dynamics


def prepare(course: Course, work: Path, notify: Notify) -> Lesson:
    """Plays what is not there yet, and looks at the scenes."""
    if not course.practices:
        raise TaskError("there is nothing to practise; give at least one environment")
    work.mkdir(parents=True, exist_ok=True)
    forms, scenes, sets = [], [], []
    for practice in course.practices:
        forms.append(_look(practice))
        file = work / f"played-{digest(plain(practice))}.safetensors"
        if not file.exists():
            stage = f"playing {practice.env_id.removeprefix('PocketWorlds/')}"
            gather(practice, lambda done, count, stage=stage: notify(stage, done / count)).save(file)  # type: ignore[misc]
        sets.append(Experience.load(file))
        scenes.append(len(forms[-1].scenes))
    name, robot, shape = forms[0].name, forms[0].robot, forms[0].shape
    for form, practice in zip(forms, course.practices, strict=True):
        if form.name != name:
            raise TaskError(f"a model is for one robot; {practice.env_id} has {form.name!r}, the first has {name!r}")
    parts = any(form.shape.parts for form in forms)
    sizes = {**asdict(shape), "parts": parts, "members": course.members, "width": course.width}
    halves = [each.parted(HELD_OUT) for each in sets]
    return Lesson(
        robot=name,
        scenes=sorted({scene for form in forms for scene in form.names}),
        shape=Shape(**sizes),
        geometry=Geometry(robot, [scene for form in forms for scene in form.scenes]),
        experience=Experience.joined([first for first, _ in halves], scenes),
        held_out=Experience.joined([second for _, second in halves], scenes),
    )


@dataclass(frozen=True)
class _Forms:
    name: str
    shape: Shape
    robot: RobotForm
    scenes: Sequence[SceneForm]
    names: Sequence[str]


def _look(practice: Practice) -> _Forms:
    env = gym.make_vec(practice.env_id, num_envs=1, **dict(practice.keywords)).unwrapped
    assert isinstance(env, WorldVectorEnv)
    try:
        robot = robot_form(env.world)
        return _Forms(
            name=env.world.robot.name,
            shape=model_shape(env.world, robot),
            robot=robot,
            scenes=[scene_form(world) for world in env.worlds],
            names=[world.scene.name for world in env.worlds],
        )
    finally:
        env.close()
