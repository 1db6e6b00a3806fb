"""What of a scene varies, and by how much: one section an axis, each of which can be switched off.

    config = read_config(["pose.shift=0.05", "clutter.on=false"])

Ranges are those of a spread of 1. Multiplicative ones are given as the largest factor f and mean [1 / f, f]; others as
the largest change r and mean [-r, r]. A kinship sets the spread and which instances may stand in for one another.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yaml import YAMLError  # type: ignore[import-untyped]

from ..errors import SceneError

Kin = Literal["twin", "near", "mid", "far"]

Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(ge=1, le=10)]
Metres = Annotated[float, Field(ge=0, le=1)]
Radians = Annotated[float, Field(ge=0, le=3.1416)]

SPREADS: dict[Kin, float] = {"twin": 0.0, "near": 0.5, "mid": 1.0, "far": 2.0}
"""Spread of each kinship. Near is what ACDC's best policies were trained on; far doubles what Scalable Real2Sim and
ManiSkill randomise."""


class _Axis(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    on: bool = True


class Instance(_Axis):
    """Other things of the library stand in for objects.

    Attributes:
        share: of the objects that another stands in for. pool: how many of the nearest are used.
    """

    share: Share = 0.6
    pool: Annotated[int, Field(ge=1, le=64)] = 12


class Shape(_Axis):
    """Objects are stretched along their own axes by up to `factor`."""

    factor: Factor = 1.08


class Scale(_Axis):
    """Objects are scaled by up to `factor`."""

    factor: Factor = 1.1


class Pose(_Axis):
    """Free objects move by up to `shift` [m] on their support and turn by up to `turn` [rad]."""

    shift: Metres = 0.03
    turn: Radians = 0.26


class Clutter(_Axis):
    """Up to `add` things of the library are put in free places; up to `remove` that no task needs are taken away."""

    add: Annotated[int, Field(ge=0, le=10)] = 2
    remove: Annotated[int, Field(ge=0, le=10)] = 1


class Articulation(_Axis):
    """Damping and dry friction of joints vary by a factor, their travel is shorter by up to a share `travel`."""

    damping: Factor = 2.0
    friction: Factor = 1.5
    travel: Share = 0.1


class Mass(_Axis):
    """Masses and inertias vary by `factor`."""

    factor: Factor = 2.0


class Friction(_Axis):
    """Sliding friction of objects and surfaces varies by `factor`."""

    factor: Factor = 1.3


class Look(_Axis):
    """Colours and textures.

    Attributes:
        hue: of objects and surfaces [rad on the colour wheel], lightness: factor of their brightness.
        textured: share of the plain objects and of the surfaces that get a procedural texture.
    """

    hue: Radians = 0.5
    lightness: Factor = 1.3
    textured: Share = 0.4


class Light(_Axis):
    """The far light leans by up to `lean` [rad]; all lights vary by `strength` and lean to warm or cold by `warmth`."""

    lean: Radians = 0.6
    strength: Factor = 1.4
    warmth: Share = 0.15


class Camera(_Axis):
    """The scene's camera moves by up to `shift` [m], turns by `turn` [rad] and zooms by a factor `zoom`."""

    shift: Metres = 0.05
    turn: Radians = 0.087
    zoom: Factor = 1.05


class Mount(_Axis):
    """The robot's base moves by `shift` [m] and turns by `yaw` [rad]; it errs about that by the `calibration_` ones."""

    shift: Metres = 0.03
    yaw: Radians = 0.1
    calibration_shift: Metres = 0.003
    calibration_yaw: Radians = 0.005


class Servo(_Axis):
    """Gains and force limits of the arm's servos vary by factors; actions come up to `latency` [s] late."""

    stiffness: Factor = 1.2
    damping: Factor = 1.2
    strength: Factor = 1.15
    latency: Annotated[float, Field(ge=0, le=0.05)] = 0.02


class Noise(_Axis):
    """Standard deviations of measured joints [rad] and of measured positions [m], up to so much."""

    joint: Annotated[float, Field(ge=0, le=0.1)] = 0.001
    pose: Annotated[float, Field(ge=0, le=0.1)] = 0.003


class CousinConfig(BaseModel):
    """All axes, in the order in which they act."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kinship: Kin = "near"
    spread: Annotated[float, Field(ge=0, le=4)] | None = None
    instance: Instance = Instance()
    shape: Shape = Shape()
    scale: Scale = Scale()
    articulation: Articulation = Articulation()
    mass: Mass = Mass()
    friction: Friction = Friction()
    pose: Pose = Pose()
    clutter: Clutter = Clutter()
    look: Look = Look()
    light: Light = Light()
    camera: Camera = Camera()
    mount: Mount = Mount()
    servo: Servo = Servo()
    noise: Noise = Noise()

    @property
    def width(self) -> float:
        """The spread: that of the kinship, if none is given."""
        return SPREADS[self.kinship] if self.spread is None else self.spread


AXES: tuple[str, ...] = tuple(name for name in CousinConfig.model_fields if name not in ("kinship", "spread"))
"""Names of all axes, in the order in which they act."""


def read_config(overrides: Sequence[str] = (), *, file: str | Path | None = None) -> CousinConfig:
    """The defaults, changed by a YAML file and then by `axis.name=value`.

    Raises:
        SceneError: a name or a value makes no sense; the message says which and what is possible.
    """
    given_in = f" ({file})" if file is not None else ""
    try:
        merged = OmegaConf.merge(_contents(file) if file is not None else {}, OmegaConf.from_dotlist([*overrides]))
        given: Any = OmegaConf.to_container(merged, resolve=True)
    except (OmegaConfBaseException, YAMLError, OSError, ValueError, TypeError, AttributeError, LookupError) as error:
        told = " ".join(str(error).split())[:300]
        raise SceneError(
            f"the settings of cousins{given_in} cannot be read: {told}; write axis.name=value, axes are "
            f"{', '.join(AXES)}"
        ) from error
    try:
        return CousinConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SceneError(
            f"setting {where!r} of cousins{given_in}: {first['msg']}; axes are {', '.join(AXES)}"
        ) from error


def _contents(file: str | Path) -> dict[Any, Any]:
    """A YAML file of sections; its version 1.1, which is read, takes the word `on` for the value true."""
    found: Any = OmegaConf.to_container(OmegaConf.load(file))
    if not isinstance(found, dict):
        raise ValueError("it is a list, not axes with their settings")
    return {
        axis: {"on" if name is True else name: value for name, value in section.items()}
        if isinstance(section, dict)
        else section
        for axis, section in found.items()
    }
