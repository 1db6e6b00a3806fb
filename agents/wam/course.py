"""The settings of `pocketworlds train wam`: from YAML in `conf/wam/`, overridden on the command line, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ...digital_cousins.cousin import is_cousin_set
from ...world_models.frames.settings import Strict
from ...world_models.frames.training import TrainConfig
from ...world_models.wam.settings import NetSettings
from ..overrides import merged, settings_file

FOLDER = Path(__file__).parents[2] / "conf" / "wam"
PROPRIOCEPTION = (
    "joint_pos",
    "joint_vel",
    "gripper_width",
    "pad_contact",
    "grip_pos",
    "grip_axes",
    "tip_contact",
    "tip_from_palm",
    "palm_pos",
    "palm_axes",
    "goal",
    "goal_pos",
)
"""Parts of a state that a robot knows without looking, and what it is told to reach."""


class ModelSettings(Strict):
    """What the model sees and how large it is; see `WamSettings`.

    Attributes:
        seen: "all" of the state, or "proprioception". pictures: whether it sees and dreams them.
    """

    seen: Annotated[str, Field(pattern="^(all|proprioception)$")] = "all"
    pictures: bool = False
    image_size: Annotated[int, Field(ge=16, le=1024)] = 64
    chunk: Annotated[int, Field(ge=1, le=256)] = 8
    past: Annotated[int, Field(ge=1, le=64)] = 1
    net: NetSettings = NetSettings()


class ExamSettings(Strict):
    """How what was learned is tried out, in physics; see `Match` and `WamPolicy`.

    Attributes:
        held_out: where the scene is a set of cousins, those that are tried out beside the ones learned in.
    """

    episodes: Annotated[int, Field(ge=0)] = 100
    seed: Annotated[int, Field(ge=0)] = 1_000_000
    num_envs: Annotated[int, Field(ge=1)] = 100
    steps: Annotated[int, Field(ge=1)] = 4
    execute: Annotated[int, Field(ge=1)] | None = None
    held_out: Literal["validation", "test"] | None = "test"

    def places(self, keywords: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Keywords of the environments that are played in: "exam", and "held_out" if there is such a thing."""
        found = {"exam": dict(keywords)}
        scene = keywords.get("scene")
        if self.held_out is not None and isinstance(scene, str) and is_cousin_set(scene):
            found["held_out"] = {**keywords, "split": self.held_out}
        return found


class WamCourse(Strict):
    """All settings; `conf/wam/state_nano.yaml` says what they mean.

    Attributes:
        camera: of a LeRobot data set of which only what is seen counts, whose pictures; the first if not given.
        half: whether the checkpoint is stored at half precision; it is tried out as it is stored.
    """

    size: str = "state_nano"
    kind: Literal["wam", "cloning", "act"] = "wam"
    env: Annotated[str, Field(min_length=1)]
    keywords: dict[str, Any] = Field(default_factory=dict)
    demonstrations: Annotated[int, Field(ge=1)] = 100
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    labels: bool = True
    data: str | None = None
    camera: str | None = None
    start: str | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    num_envs: Annotated[int, Field(ge=1)] = 50
    world_loss: Annotated[float, Field(ge=0)] = 1.0
    model: ModelSettings = ModelSettings()
    train: TrainConfig
    exam: ExamSettings = ExamSettings()
    half: bool = False
    log: bool = False


def read_course(overrides: Sequence[str]) -> WamCourse:
    """The settings that `overrides` ("env=Push-v0", "size=rgb_nano", "train.steps=100", ...) name.

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    return merged(settings_file(FOLDER, overrides, "size", "state_nano"), overrides, WamCourse)
