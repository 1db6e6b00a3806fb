"""A user's own arm, from an MJCF file: read, checked, measured, and made into a `Robot`."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from ...errors import TaskError
from ...scenes.mjcf import TIMESTEP
from .contract import BASE, GRIP, PADS, Array, Fault, Parts, find_parts
from .measure import Gripper, measure_gripper, measure_reach, measure_sizes
from .robot import Arm

ROOT = "mounting"
"""Body put under a user's arm, at its site `base`."""
INSIDE = "arm/"
"""Put before the names of a user's model inside ours."""
CAMERA = "wrist"

Source = Callable[[], mujoco.MjSpec]


def load_robot(path: str | Path) -> Arm:
    """The robot of an MJCF file that keeps to docs/robots.md.

    Raises:
        TaskError: the file cannot be read or the model lacks something; the message names everything that is amiss.
    """
    return make_robot(Path(path).stem, str(path), FileSource(Path(os.path.abspath(path))))


def make_robot(name: str, told: str, source: Source) -> Arm:
    """The robot of a model.

    Args:
        name: of the robot. told: what the user calls it, for messages. source: makes a fresh model each time.

    Raises:
        TaskError: see `load_robot`.
    """
    robot, faults = assemble(name, source)
    if robot is None:
        listed = "; ".join(f"({k}) {fault}" for k, fault in enumerate(faults, start=1))
        raise TaskError(f"robot={told!r}: {listed}. `pocketworlds check-robot {told}` shows what to add")
    return robot


def assemble(name: str, source: Source) -> tuple[Arm | None, list[Fault]]:
    """The robot of a model, or None and everything that is amiss."""
    try:
        spec = source()
        name_elements(spec)
        model = spec.compile()
    except FileNotFoundError as error:
        return None, [Fault("file", str(error), "give the path of an MJCF file")]
    except (ValueError, OSError) as error:
        return None, [Fault("file", " ".join(str(error).split()), "correct it until MuJoCo's own viewer opens it")]
    parts, faults = find_parts(model)
    if parts is None:
        return None, faults
    build = _Build(source, parts)
    built, inner = build().compile(), _inside(parts)
    faults = _compare(model, parts, built, inner)
    if faults:
        return None, faults
    gripper, faults = measure_gripper(built, inner)
    if gripper is None:
        return None, faults
    sensors, faults = _own_sensors(model, gripper)
    if faults:
        return None, faults
    robot = _describe(name, replace(build, gripper=gripper, own_sensors=sensors is not None), built)
    if sensors is not None:
        robot = replace(robot, pad_sites=sensors)
        robot = replace(robot, grip_table=replace(gripper.table, gap=_site_gap(robot)))
    found = measure_reach(robot)
    if found is None:
        told = "with the hand pointing down the arm reaches no place in front of it, 2 cm and 20 cm above the base"
        fix = "check the joints' ranges, and that the site base is where the arm stands (X forward)"
        return None, [Fault("reach", told, fix)]
    return replace(robot, reach=found[0], ceiling=found[1]), []


@dataclass(frozen=True)
class FileSource:
    """Reads an MJCF file; what it refers to is found beside it wherever the model is compiled later."""

    path: Path

    def __call__(self) -> mujoco.MjSpec:
        """A fresh model.

        Raises:
            OSError: there is no such file. ValueError: MuJoCo cannot read it.
        """
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no file {self.path}")
        spec = mujoco.MjSpec.from_file(str(self.path))
        anchor_assets(spec, self.path.parent)
        return spec


def set_physics(option: Any) -> None:
    """Sets what scenes set, and what a model is judged by."""
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    option.impratio = 20  # see `envs.world.IMPRATIO`


def anchor_assets(spec: mujoco.MjSpec, folder: Path) -> None:
    """Makes the paths of meshes, textures and height fields absolute."""
    for items, inside in ((spec.meshes, spec.meshdir), (spec.textures, spec.texturedir), (spec.hfields, spec.meshdir)):
        for item in items:
            if item.file and item.file not in spec.assets:
                file = os.path.basename(item.file) if spec.strippath else item.file
                item.file = os.path.abspath(os.path.join(folder, inside, file))


def name_elements(spec: mujoco.MjSpec) -> None:
    """Gives a name to whatever has none and is spoken of later."""
    for kind, items in (
        ("body", spec.bodies),
        ("joint", spec.joints),
        ("geom", spec.geoms),
        ("actuator", spec.actuators),
    ):
        taken = {item.name for item in items}
        for index, item in enumerate(items):
            if not item.name:
                item.name = next(n for n in (f"{kind}{index}{'_' * k}" for k in range(9)) if n not in taken)


@dataclass(frozen=True)
class _Build:
    """Makes the model that is put in scenes: the arm on a body of ours at its site `base`, sensors on its pads."""

    source: Source
    parts: Parts
    gripper: Gripper | None = None
    own_sensors: bool = False

    def __call__(self) -> mujoco.MjSpec:
        spec = self.source()
        name_elements(spec)
        for key in list(spec.keys):
            spec.delete(key)
        for camera in list(spec.cameras):
            if camera.name != CAMERA:
                spec.delete(camera)
        for light in list(spec.lights):
            spec.delete(light)
        out = mujoco.MjSpec()
        out.modelname = "robot"
        out.compiler.degree = False
        set_physics(spec.option)
        set_physics(out.option)
        root = out.worldbody.add_body(name=ROOT)
        turn, place = np.zeros(4), -self.parts.base_mat.T @ self.parts.base_pos
        mujoco.mju_mat2Quat(turn, self.parts.base_mat.T.ravel())
        frame = root.add_frame(pos=place.tolist(), quat=turn.tolist())
        frame.attach_body(spec.body(self.parts.root), INSIDE, "")
        # The documented sites, called as everywhere else; the model's own may be spoken of in it and stay.
        root.add_site(name=BASE, group=4)
        hand = out.body(INSIDE + self.parts.hand)
        hand.add_site(name=GRIP, pos=self.parts.grip_pos.tolist(), quat=self.parts.grip_quat.tolist(), group=4)
        if self.gripper is not None:
            self._add_sensors(out)
        if any(camera.name == INSIDE + CAMERA for camera in out.cameras):
            out.camera(INSIDE + CAMERA).name = CAMERA
        else:
            _add_camera(hand, self.parts.grip_pos, self.parts.grip_quat)
        return out

    def _add_sensors(self, out: mujoco.MjSpec) -> None:
        assert self.gripper is not None
        for name, pad in zip(PADS, self.gripper.pads, strict=True):
            for geom in out.body(pad.body).geoms:
                geom.condim = max(int(geom.condim), 4)  # a patch contact also resists turning about its normal
            if self.own_sensors:
                continue
            site = out.body(pad.body).add_site(
                name=_site_name(name),
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=list(pad.pos),
                quat=list(pad.quat),
                size=[half + 0.002 for half in pad.half],
                group=4,
            )
            out.add_sensor(
                name=_site_name(name),
                type=mujoco.mjtSensor.mjSENS_TOUCH,
                objtype=mujoco.mjtObj.mjOBJ_SITE,
                objname=site.name,
            )


def _inside(parts: Parts) -> Parts:
    """The same parts by their names inside our model."""

    def named(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(INSIDE + name for name in names)

    return replace(
        parts,
        root=INSIDE + parts.root,
        hand=INSIDE + parts.hand,
        arm_joints=named(parts.arm_joints),
        arm_actuators=named(parts.arm_actuators),
        finger_joints=named(parts.finger_joints),
        grip_actuator=INSIDE + parts.grip_actuator,
        pads=None if parts.pads is None else (INSIDE + parts.pads[0], INSIDE + parts.pads[1]),
    )


def _site_name(pad: str) -> str:
    return f"{pad}_touch"


def _add_camera(hand: mujoco.MjsBody, grip_pos: Array, grip_quat: Array) -> None:
    """A camera on the wrist, in front of the hand and tilted towards the fingertips."""
    frame, upright, turned = np.zeros(9), np.zeros(4), np.zeros(4)
    mujoco.mju_quat2Mat(frame, grip_quat)
    place = grip_pos + frame.reshape(3, 3) @ [0.07, 0, -0.07]
    tilt = math.pi - 0.45  # MuJoCo cameras look along -Z with Y up
    about = np.array([math.cos(tilt / 2), 0, math.sin(tilt / 2), 0])
    mujoco.mju_mulQuat(upright, about, np.array([math.sqrt(0.5), 0, 0, math.sqrt(0.5)]))
    mujoco.mju_mulQuat(turned, grip_quat, upright)
    hand.add_camera(name=CAMERA, pos=place.tolist(), quat=turned.tolist(), fovy=75)


def _own_sensors(model: mujoco.MjModel, gripper: Gripper) -> tuple[tuple[str, str] | None, list[Fault]]:
    """The sites of the model's own touch sensors left_pad and right_pad; None if it has none."""
    names = [model.sensor(i).name for i in range(model.nsensor)]
    if not all(name in names for name in PADS):  # names of the user's model: without `INSIDE`
        return None, []
    sites = []
    for name, pad in zip(PADS, gripper.pads, strict=True):
        sensor = model.sensor(name)
        touch = int(sensor.type[0]) == mujoco.mjtSensor.mjSENS_TOUCH
        body = model.body(int(model.site_bodyid[int(sensor.objid[0])])).name if touch else ""
        if INSIDE + body != pad.body:
            told = f"it is on {body!r}" if touch else "it is no touch sensor"
            side = "+Y" if name == PADS[0] else "-Y"
            fix = f"put it on {pad.body.removeprefix(INSIDE)!r}, at {side} of grip, or remove both sensors"
            return None, [Fault(f"sensor {name}", told, fix, f'<touch name="{name}" site="{name}"/>')]
        sites.append(INSIDE + model.site(int(sensor.objid[0])).name)
    return (sites[0], sites[1]), []


def _describe(name: str, build: _Build, model: mujoco.MjModel) -> Arm:
    """The robot without its reach."""
    parts, gripper = _inside(build.parts), build.gripper
    assert gripper is not None
    sizes = measure_sizes(model, parts)
    own = build.own_sensors
    names = (INSIDE + PADS[0], INSIDE + PADS[1]) if own else (_site_name(PADS[0]), _site_name(PADS[1]))
    return Arm(
        name=name,
        build=build,
        arm_joints=parts.arm_joints,
        finger_joints=parts.finger_joints,
        arm_actuators=parts.arm_actuators,
        grip_actuator=parts.grip_actuator,
        pads=(gripper.pads[0].geom, gripper.pads[1].geom),
        home=parts.home,
        joint_low=parts.low,
        joint_high=parts.high,
        joint_velocity=parts.velocity,
        max_opening=gripper.opening,
        grip_control=gripper.control,
        pad_half_width=gripper.half_width,
        pad_tip=gripper.tip,
        finger_thickness=gripper.thickness,
        base_radius=sizes.base_radius,
        reach=(0.0, 1.0),
        root=ROOT,
        pad_sites=names,
        pad_sensors=names,
        home_reach=sizes.home_reach,
        home_heights=sizes.home_heights,
        grip_table=gripper.table,
    )


def _site_gap(robot: Arm) -> float:
    """Distance [m] between the pads' sites along the closing direction, beyond that between the pads."""
    model = robot.build().compile()
    data = mujoco.MjData(model)
    for name, value in zip(robot.finger_joints, robot.finger_positions(robot.max_opening), strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_kinematics(model, data)
    left, right = (data.site(name).xpos for name in robot.pad_sites)
    return float((left - right) @ data.site(GRIP).xmat.reshape(3, 3)[:, 1]) - robot.max_opening


def _compare(model: mujoco.MjModel, parts: Parts, built: mujoco.MjModel, inner: Parts) -> list[Fault]:
    """Whether the arm is the same alone as in its file: what it needs from elsewhere in the file would be lost."""
    first, second = _grip_in_base(model, parts), _grip_in_base(built, inner)
    joints = all(
        np.allclose(model.joint(name).range, built.joint(INSIDE + name).range)
        for name in (*parts.arm_joints, *parts.finger_joints)
    )
    own = int(model.body(parts.root).id)
    same_mass = math.isclose(float(model.body_subtreemass[own]), float(built.body_subtreemass[0]), rel_tol=1e-6)
    if np.allclose(first, second, atol=1e-7) and joints and same_mass:
        return []
    told = "the arm taken out of its file is not the same arm"
    fix = f"keep all of it in one top-level body ({parts.root!r}), without compiler settings that change other bodies"
    return [Fault("model", told, fix)]


def _grip_in_base(model: mujoco.MjModel, parts: Parts) -> Array:
    data = mujoco.MjData(model)
    for name, angle in zip(parts.arm_joints, parts.home, strict=True):
        data.joint(name).qpos[0] = angle
    mujoco.mj_kinematics(model, data)
    base, grip = data.site(BASE), data.site(GRIP)
    axes = base.xmat.reshape(3, 3)
    return np.asarray(np.r_[axes.T @ (grip.xpos - base.xpos), (axes.T @ grip.xmat.reshape(3, 3)).ravel()])
