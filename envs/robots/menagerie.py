"""Arms of MuJoCo Menagerie, `robot="menagerie:<name>"`: what the models lack of our contract is added here.

The models come through the package `mujoco-menagerie` (pip install "pocketworlds[menagerie]"), which downloads each
once into its cache; `MENAGERIE_ROOT` points it to a checkout instead. A name that is not in the table below is loaded
as it is: it works if the model itself keeps to docs/robots.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import mujoco

from ...errors import MissingDependencyError, TaskError
from .contract import BASE, GRIP, HOME
from .custom import anchor_assets, make_robot, set_physics
from .robot import Arm

GRIPPER = "gripper/"
"""Put before the names of a gripper that is put on an arm."""
_Vec = tuple[float, ...]


@dataclass(frozen=True)
class Fitting:
    """What one model is given.

    Attributes:
        entry: the package's entry point. base: body whose frame is the mounting point.
        hand: body that gets the site `grip` at `grip` [m].
        arm: the arm's joints in order. home: their positions [rad].
        velocity: their speed limits [rad/s] from the data sheet.
        gripper: another model of the menagerie that is put at the arm's `attachment_site`.
    """

    entry: str
    base: str
    hand: str
    grip: _Vec
    arm: tuple[str, ...]
    home: _Vec
    velocity: _Vec
    gripper: str = ""


_SEVEN = tuple(f"joint{k}" for k in range(1, 8))
FITTINGS = {
    # Speeds: Franka Control Interface documentation, "Robot and interface specifications".
    "franka_emika_panda": Fitting(
        entry="panda",
        base="link0",
        hand="hand",
        grip=(0, 0, 0.1034),
        arm=_SEVEN,
        home=(0.0, -0.785398, 0.0, -2.356194, 0.0, 1.570796, 0.785398),
        velocity=(2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61),
    ),
    # Speeds: UFACTORY xArm user manual, 180 degrees a second for every joint.
    "ufactory_xarm7": Fitting(
        entry="xarm7",
        base="link_base",
        hand="xarm_gripper_base_link",
        grip=(0, 0, 0.15),
        arm=_SEVEN,
        home=(0.0, -0.247, 0.0, 0.909, 0.0, 1.15644, 0.0),
        velocity=(3.14,) * 7,
    ),
    # Speeds: Universal Robots, UR5e technical details, 180 degrees a second.
    "universal_robots_ur5e": Fitting(
        entry="ur5e",
        base="base",
        hand=GRIPPER + "base",
        grip=(0, 0, 0.145),
        arm=("shoulder_pan_joint", "shoulder_lift_joint", "elbow_joint", *(f"wrist_{k}_joint" for k in (1, 2, 3))),
        home=(0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0),
        velocity=(3.14,) * 6,
        gripper="robotiq_2f85",
    ),
    # Speeds: KUKA LBR iiwa 14 R820, specification: 85, 85, 100, 75, 130, 135, 135 degrees a second.
    "kuka_iiwa_14": Fitting(
        entry="iiwa14",
        base="base",
        hand=GRIPPER + "base",
        grip=(0, 0, 0.145),
        arm=_SEVEN,
        home=(0.0, 0.3, 0.0, -1.7, 0.0, 1.141593, 0.0),
        velocity=(1.48, 1.48, 1.75, 1.31, 2.27, 2.36, 2.36),
        gripper="robotiq_2f85",
    ),
}
"""Models that are known to lack only what is added here."""


@lru_cache(maxsize=8)
def menagerie_robot(name: str) -> Arm:
    """A robot of MuJoCo Menagerie.

    Raises:
        MissingDependencyError: the package is not installed, or the model cannot be downloaded.
        TaskError: there is no such model, or it is no arm with a gripper; the message says what it lacks.
    """
    fitting = FITTINGS.get(name)
    gripper = _file(fitting.gripper, None) if fitting and fitting.gripper else None
    return make_robot(name, f"menagerie:{name}", _Model(name, _file(name, fitting.entry if fitting else None), gripper))


@dataclass(frozen=True)
class _Model:
    """Reads a model and adds what its fitting says."""

    name: str
    file: Path
    gripper: Path | None

    def __call__(self) -> mujoco.MjSpec:
        spec = _read(self.file)
        if self.gripper is not None:
            for key in list(spec.keys):
                spec.delete(key)
            spec.attach(_read(self.gripper), prefix=GRIPPER, site=spec.site("attachment_site"))
        for body in spec.bodies:
            body.gravcomp = 1.0  # as these arms' own controllers do
        fitting = FITTINGS.get(self.name)
        if fitting is not None:
            _fit(spec, fitting)
        return spec


def _read(file: Path) -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_file(str(file))
    anchor_assets(spec, file.parent)
    lighten(spec)
    set_physics(spec.option)
    return spec


def _fit(spec: mujoco.MjSpec, fitting: Fitting) -> None:
    for name, body, pos in ((BASE, fitting.base, (0.0, 0.0, 0.0)), (GRIP, fitting.hand, fitting.grip)):
        if spec.site(name) is None:
            spec.body(body).add_site(name=name, pos=list(pos), group=4)
    for key in list(spec.keys):
        spec.delete(key)
    model = spec.compile()
    qpos = model.qpos0.copy()
    for joint, angle in zip(fitting.arm, fitting.home, strict=True):
        qpos[model.joint(joint).qposadr[0]] = angle
    spec.add_key(name=HOME, qpos=qpos.tolist())
    spec.add_numeric(name="joint_velocity", data=list(fitting.velocity), size=len(fitting.velocity))


def lighten(spec: mujoco.MjSpec) -> None:
    """Leaves out meshes that are only looked at where a body has colliding geoms as well, and draws those instead.

    The models carry hundreds of thousands of vertices, which a picture in software takes seconds to draw. Masses stay:
    a body that takes its inertia from its geoms keeps them all.
    """
    for body in spec.bodies:
        if not body.explicitinertial:
            continue
        solid = [geom for geom in body.geoms if geom.contype or geom.conaffinity]
        if not solid:
            continue
        for geom in list(body.geoms):
            if geom.type == mujoco.mjtGeom.mjGEOM_MESH and not (geom.contype or geom.conaffinity):
                spec.delete(geom)
        for geom in solid:
            geom.group = 1
    used = {geom.meshname for geom in spec.geoms}
    for mesh in list(spec.meshes):
        if (mesh.name or Path(mesh.file).stem) not in used:
            spec.delete(mesh)


def _file(name: str, entry: str | None) -> Path:
    """The model's MJCF file, downloaded by the package if it is not there yet."""
    try:
        import mujoco_menagerie as package
    except ImportError as error:
        raise MissingDependencyError(
            f"robot='menagerie:{name}' needs the package mujoco-menagerie: "
            'pip install "pocketworlds[menagerie]" (or pip install mujoco-menagerie)'
        ) from error
    try:
        return _located(package, name, entry)
    except (package.UnknownRobotError, package.UnknownEntryPointError) as error:
        raise TaskError(f"robot='menagerie:{name}': {error}; known to work: {sorted(FITTINGS)}") from error
    except (package.MenagerieError, OSError) as error:
        raise MissingDependencyError(
            f"robot='menagerie:{name}' cannot be downloaded ({' '.join(str(error).split())}); connect once, run "
            f"`mujoco-menagerie` or this again, or point MENAGERIE_ROOT to a checkout of "
            "github.com/google-deepmind/mujoco_menagerie"
        ) from error


def _located(package: Any, name: str, entry: str | None) -> Path:
    model = package.get(name)
    find: Callable[..., Any] = model.xml
    return Path(os.path.abspath(find(entry or model.default_model)))
