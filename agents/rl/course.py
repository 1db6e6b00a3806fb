"""The settings of `pocketworlds train rl`: from YAML in `conf/rl/`, overridden on the command line, checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ...errors import TaskError
from ...world_models.frames.settings import Strict
from ..overrides import given, merged, settings_file
from ..wam.course import ExamSettings
from .actor_critic import PPOSettings
from .ray_crew import RaySettings
from .steering import SteeringSettings

FOLDER = Path(__file__).parents[2] / "conf" / "rl"


class RLCourse(Strict):
    """All settings; `conf/rl/flow_ppo.yaml` says what they mean."""

    algorithm: Literal["flow_ppo", "steering"] = "flow_ppo"
    start: Annotated[str, Field(min_length=1)]
    env: str | None = None
    keywords: dict[str, Any] = Field(default_factory=dict)
    backend: Literal["physics", "neural", "mixed"] = "physics"
    real: Annotated[float, Field(gt=0, lt=1)] = 0.5
    num_envs: Annotated[int, Field(ge=1)] = 256
    total_steps: Annotated[int, Field(ge=1)] = 2_000_000
    demonstrations: Annotated[int, Field(ge=0)] = 100
    noise: Annotated[float, Field(ge=0, le=1)] = 0.1
    seed: Annotated[int, Field(ge=0)] = 0
    keep: Annotated[int, Field(ge=1)] = 20
    log: bool = False
    device: str = ""
    shards: Annotated[int, Field(ge=1)] | None = None
    workers: Annotated[int, Field(ge=0)] = 0
    ray: RaySettings = RaySettings()
    ppo: PPOSettings = PPOSettings()
    steering: SteeringSettings = SteeringSettings()
    exam: ExamSettings = ExamSettings()

    @property
    def ends(self) -> dict[str, int]:
        """By simulator, the number of world before which its worlds end."""
        if self.backend != "mixed":
            return {self.backend: self.num_envs}
        return {"physics": round(self.real * self.num_envs), "neural": self.num_envs}

    @property
    def execute(self) -> int | None:
        """Control steps of a decision that are played."""
        return self.ppo.execute if self.algorithm == "flow_ppo" else self.steering.execute


def read_course(overrides: Sequence[str]) -> RLCourse:
    """The settings that `overrides` ("start=push.safetensors", "backend=neural", ...) name.

    Raises:
        TaskError: an override is not known or makes no sense; the message says which.
    """
    file = settings_file(FOLDER, overrides, "algorithm", "flow_ppo")
    if given(overrides, "start", "") == "":
        raise TaskError("start=FILE is missing: the World Action Model to begin with; make one with `train wam`")
    return merged(file, overrides, RLCourse)
