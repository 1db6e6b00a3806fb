"""Keywords of `gym.make` and `gym.make_vec`: one list, checked in one place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from ..digital_cousins.cousin import Cousin, is_cousin_set
from ..digital_cousins.rig import NO_DIFFERENCE, Rig
from ..errors import TaskError
from ..scenes import Scene, load_scene
from .builtin import builtin_names, builtin_scene
from .control import CONTROL_MODES
from .rendering import RENDERERS
from .robots import Robot, get_robot
from .tasks import TASKS, task_type
from .warp_rendering import check_installed

BACKENDS = ("physics", "neural")
ON_OOD = ("ignore", "penalise", "truncate", "fallback_physics")
SPLITS = ("train", "validation", "test", "all")
REWARD_MODES = ("dense", "sparse")
RENDER_MODES = ("human", "rgb_array")
OBSERVATIONS = ("state", "rgb", "depth", "segmentation")
_ALIASES = {"rgbd": ("rgb", "depth")}
_SMALLEST_IMAGE, _LARGEST_IMAGE = 8, 2048


class Keywords(TypedDict, total=False):
    """Keywords of `PocketWorlds/Scan-v0`; see `Config` for their meaning."""

    scene: str | Path | Scene | Cousin | Sequence[str | Path | Scene | Cousin]
    split: str
    task: str
    object: str | int | None
    robot: str | Path
    backend: str
    checkpoint: str | Path | None
    on_ood: str
    obs_mode: str
    control_mode: str
    reward_mode: str
    render_mode: str | None
    renderer: str
    camera: str
    image_size: int | tuple[int, int]
    render_size: int | tuple[int, int]
    object_jitter: float
    joint_noise: float
    terminate_on_success: bool
    task_config: Mapping[str, Any]
    num_threads: int


@dataclass(frozen=True)
class Config:
    """Checked keywords.

    Attributes:
        scene: a `Scene`, a scene folder, the name of a built-in scene, or a set of cousins (docs/cousins.md); or a list
            of them: every episode then takes place in one of these, drawn by its seed and index.
        rigs: of each scene, how its camera and its robot differ; not a keyword.
        split: of sets of cousins, "train", "validation", "test" or "all".
        task: its name, such as "lift" or "push". object: its target, a name or an index among the free
            objects; None draws one each episode.
        robot: "panda", "hand", the path of an MJCF file, or "menagerie:<name>" (docs/robots.md). Tasks named "hand_..."
            are for the hand, all others for an arm.
        backend: "physics" (MuJoCo) or "neural" (a learned model, docs/neural.md). checkpoint: of the neural backend, a
            .safetensors file; None: the one that comes with the package for the robot.
        on_ood: what happens where the model is less sure than usual (`neural/ood` in infos): "ignore"; "penalise": the
            reward is multiplied by 1 - `neural/lost` over 0.9, at most 1, and by 2 - `neural/strangeness`, from 1 down
            to 0; "truncate": the episode is truncated;
            "fallback_physics": the rest of the episode is physics. With backend="physics" nothing does.
        obs_mode: "state", "rgb", "depth", "segmentation", "rgbd" (rgb and depth) or several joined by "+"; one alone
            gives a Box, several a Dict (docs/observations.md).
        control_mode: "ee_delta", "ee_delta_pos", "joint_delta" or "joint_pos" (see `envs.control`); by default the
            robot's first.
        reward_mode: "dense" or "sparse", both in [0, 1].
        render_mode: "human" (a window that shows the first world), "rgb_array" or None.
        renderer: of pictures: "gl" (OpenGL), "warp" (MuJoCo Warp's ray-caster; it shades differently) or "neural"
            (learned, needs no graphics; "neural:<file>": by a checkpoint of one's own, docs/neural.md).
        camera: of pictures in observations and of `render`: "front" (placed automatically), "wrist", or a
            scene's own.
        image_size: (width, height) of image observations, or one number for both. render_size: of `render`.
        object_jitter: objects move by up to so much [m] from their scanned places at the start, never into each other.
        joint_noise: joints start within so much [rad] (slides: [m]) of home.
        terminate_on_success: end the episode at success; off by default, so that holding on is rewarded.
        task_config: overrides of the task's settings and reward scales.
        num_threads: of the physics batch; 0 takes all processors.
    """

    scene: tuple[Scene, ...]
    rigs: tuple[Rig, ...]
    split: str = "train"
    task: str = "lift"
    object: str | int | None = None
    robot: str | Path = "panda"
    backend: str = "physics"
    checkpoint: str | Path | None = None
    on_ood: str = "penalise"
    obs_mode: str = "state"
    control_mode: str = "ee_delta"
    reward_mode: str = "dense"
    render_mode: str | None = None
    renderer: str = "gl"
    camera: str = "front"
    image_size: tuple[int, int] = (84, 84)
    render_size: tuple[int, int] = (640, 480)
    object_jitter: float = 0.0
    joint_noise: float = 0.02
    terminate_on_success: bool = False
    task_config: Mapping[str, Any] = field(default_factory=dict)
    num_threads: int = 0

    @property
    def observations(self) -> tuple[str, ...]:
        """The kinds of observation asked for, in a fixed order."""
        return parse_observations(self.obs_mode)


def parse(keywords: Mapping[str, Any]) -> Config:
    """Checks keywords.

    Raises:
        TaskError: a keyword is unknown or its value makes no sense; the message says which and what to give instead.
        SceneError: the scene folder cannot be read.
        MissingDependencyError: what the renderer needs is not installed.
    """
    known = [f.name for f in fields(Config) if f.name != "rigs"]
    for name in keywords:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise TaskError(f"{name!r} is not a keyword of this environment{hint}; it takes {known}")
    given = dict(keywords)
    split = given.get("split", Config.split)
    _choice("split", split, SPLITS)
    found = resolve_scenes(given.get("scene", "tabletop"), split)
    given["scene"], given["rigs"] = tuple(scene for scene, _ in found), tuple(rig for _, rig in found)
    for name in ("image_size", "render_size"):
        if name in given:
            given[name] = _size(name, given[name])
    _choice("task", given.get("task", Config.task), tuple(TASKS))
    robot = get_robot(given.get("robot", Config.robot))
    given.setdefault("control_mode", robot.control_modes[0])
    config = Config(**given)
    _choice("backend", config.backend, BACKENDS)
    if config.checkpoint is not None and not isinstance(config.checkpoint, (str, Path)):
        raise TaskError(f"checkpoint must be a .safetensors file or the address of a model, got {config.checkpoint!r}")
    if config.checkpoint is not None and config.backend != "neural":
        raise TaskError(f"checkpoint is for backend='neural'; this environment has backend={config.backend!r}")
    _choice("on_ood", config.on_ood, ON_OOD)
    _choice("control_mode", config.control_mode, CONTROL_MODES)
    _check_robot(robot, config)
    _choice("reward_mode", config.reward_mode, REWARD_MODES)
    if config.render_mode is not None:
        _choice("render_mode", config.render_mode, RENDER_MODES)
    _check_renderer(config.renderer)
    if config.renderer == "warp":
        check_installed()
    parse_observations(config.obs_mode)
    _number("object_jitter", config.object_jitter, 0.2)
    _number("joint_noise", config.joint_noise, 0.1)
    if not isinstance(config.camera, str):
        raise TaskError(f"camera must be a name, got {config.camera!r}")
    if not isinstance(config.terminate_on_success, (bool, np.bool_)):
        raise TaskError(f"terminate_on_success must be True or False, got {config.terminate_on_success!r}")
    if not isinstance(config.task_config, Mapping):
        raise TaskError(f"task_config must be a dict, got {config.task_config!r}")
    if not _is_int(config.num_threads) or not 0 <= config.num_threads <= 1024:
        raise TaskError(f"num_threads must be a whole number from 0 (all processors), got {config.num_threads!r}")
    return config


def resolve_scenes(scenes: Any, split: str = "train") -> tuple[tuple[Scene, Rig], ...]:
    """The scenes meant by one, or by a list of them, and their rigs."""
    if not isinstance(scenes, (list, tuple)):
        return resolve_scene(scenes, split)
    if not scenes:
        raise TaskError("scene is an empty list; give at least one scene")
    return tuple(found for scene in scenes for found in resolve_scene(scene, split))


def resolve_scene(scene: Any, split: str = "train") -> tuple[tuple[Scene, Rig], ...]:
    """The scenes meant by a `Scene`, a folder, a built-in name or a set of cousins, and their rigs."""
    if isinstance(scene, Scene):
        return ((scene, NO_DIFFERENCE),)
    if isinstance(scene, Cousin):
        return ((scene.scene, scene.rig),)
    if isinstance(scene, (str, Path)) and str(scene):
        if str(scene) in builtin_names() and not Path(scene).is_dir():
            return ((builtin_scene(str(scene)), NO_DIFFERENCE),)
        if is_cousin_set(scene):
            from ..digital_cousins.cousin_set import load_cousins  # reads tables with a library that takes its time

            cousins = load_cousins(scene)
            chosen = cousins.indices(None if split == "all" else split)  # type: ignore[arg-type]
            return tuple((cousin.scene, cousin.rig) for cousin in (cousins.load(int(k)) for k in chosen))
        if isinstance(scene, Path) or Path(scene).exists() or "/" in scene:
            return ((load_scene(scene), NO_DIFFERENCE),)
        return ((builtin_scene(scene), NO_DIFFERENCE),)
    raise TaskError(
        f"scene must be a Scene, a scene folder, a set of cousins or a built-in name {builtin_names()}, got {scene!r}"
    )


def resolve_twin(scene: Any) -> Scene:
    """The one scene meant by a `Scene`, a folder or a built-in name.

    Raises:
        TaskError: it is none. SceneError: the scene folder cannot be read.
    """
    if isinstance(scene, (str, Path)) and is_cousin_set(scene):
        raise TaskError(f"{scene} is a set of cousins; give the scene that it was made from")
    return resolve_scene(scene)[0][0]


def parse_observations(mode: Any) -> tuple[str, ...]:
    """Kinds of observation in an `obs_mode`, in a fixed order.

    Raises:
        TaskError: a part of the mode is not known.
    """
    if not isinstance(mode, str):
        raise TaskError(f"obs_mode must be a word such as 'state' or 'state+rgb', got {mode!r}")
    found: set[str] = set()
    for part in mode.split("+"):
        if part not in OBSERVATIONS and part not in _ALIASES:
            raise TaskError(
                f"obs_mode={mode!r}: {part!r} is not known; use {', '.join((*OBSERVATIONS, *_ALIASES))}, "
                "or several joined by '+'"
            )
        found.update(_ALIASES.get(part, (part,)))
    return tuple(kind for kind in OBSERVATIONS if kind in found)


def _check_robot(robot: Robot, config: Config) -> None:
    wanted = task_type(config.task).robots
    if robot.kind != wanted:
        choice = "robot='hand'" if wanted == "hand" else "an arm with a gripper, such as robot='panda'"
        raise TaskError(f"task {config.task!r} needs {choice}; robot={config.robot!r} is not of that kind")
    if config.control_mode not in robot.control_modes:
        raise TaskError(
            f"control_mode={config.control_mode!r} is not for robot={config.robot!r}; "
            f"it takes {list(robot.control_modes)}"
        )


def _check_renderer(renderer: Any) -> None:
    if isinstance(renderer, str) and renderer.startswith("neural:"):
        if renderer == "neural:":
            raise TaskError("renderer='neural:' names no checkpoint; give 'neural' or 'neural:<file>.safetensors'")
        return
    _choice("renderer", renderer, RENDERERS)


def _choice(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise TaskError(f"{name}={value!r} is not known; choose one of {list(allowed)}")


def _number(name: str, value: Any, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= most:
        raise TaskError(f"{name} must be a number from 0 to {most}, got {value!r}")


def _size(name: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if _is_int(value) else value
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(_is_int(v) for v in pair):
        raise TaskError(f"{name} must be a whole number or (width, height), got {value!r}")
    if not all(_SMALLEST_IMAGE <= v <= _LARGEST_IMAGE for v in pair):
        raise TaskError(f"{name} must be from {_SMALLEST_IMAGE} to {_LARGEST_IMAGE} pixels, got {value!r}")
    return int(pair[0]), int(pair[1])


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
