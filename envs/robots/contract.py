"""What a model must carry to be a robot of ours, and what to add where it does not (docs/robots.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BASE, GRIP, HOME, PADS = "base", "grip", "home", ("left_pad", "right_pad")
VELOCITY_NUMERIC = "joint_velocity"
"""MJCF has no speed limits: `<custom><numeric name="joint_velocity" data="..."/></custom>` gives them [rad/s]."""
DEFAULT_VELOCITY = 2.0
"""Speed limit [rad/s] of every joint where the model gives none: what slow arms of this size allow."""
LEAST_JOINTS = 6
"""A hand that is to take any pose needs so many joints."""
_DOWN = 0.95  # cosine: at home the hand points down to within 18 degrees

SITE_BASE = '<site name="base" pos="0 0 0"/>  <!-- in the arm\'s fixed body: Z up, X forward -->'
SITE_GRIP = '<site name="grip" pos="0 0 0.1"/>  <!-- in the hand\'s body: Z out of the hand, Y from pad to pad -->'
KEY = '<keyframe>\n  <key name="home" qpos="..."/>  <!-- in front of the base, the hand pointing down -->\n</keyframe>'
SERVO = '<actuator>\n  <position name="{0}" joint="{0}" kp="2000" kv="100" inheritrange="1"/>\n</actuator>'
GRIPPER = (
    '<tendon>\n  <fixed name="fingers"><joint joint="LEFT" coef="0.5"/><joint joint="RIGHT" coef="0.5"/></fixed>\n'
    '</tendon>\n<equality><joint joint1="LEFT" joint2="RIGHT"/></equality>\n'
    '<actuator>\n  <position name="fingers" tendon="fingers" kp="4000" kv="300" ctrlrange="-0.01 0.04"/>\n</actuator>'
)
PAD = '<geom name="{0}" type="box" size="0.01 0.005 0.01" friction="1 0.02 0.0001" priority="1" condim="4"/>'


@dataclass(frozen=True)
class Fault:
    """Something a model lacks.

    Attributes:
        name: what is at fault, such as "site grip". problem: what is wrong with it.
        fix: what to do about it. snippet: MJCF to start from, if that helps.
    """

    name: str
    problem: str
    fix: str
    snippet: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.problem}; {self.fix}"


@dataclass(frozen=True)
class Parts:
    """What was found in a model; names are the model's.

    Attributes:
        root: top-level body of the arm. base_pos (3,), base_mat (3, 3): pose of the site `base` in the file.
        hand: body with the site `grip`. grip_pos (3,), grip_quat (4,): the site's pose there.
        arm_joints, arm_actuators: from base to hand. finger_joints: all joints beyond. grip_actuator: theirs.
        home: arm joint positions. fingers: finger joint positions of the home keyframe.
        low, high: position limits [rad]. velocity: speed limits [rad/s].
        pads: the pads' geoms if they are called as documented.
    """

    root: str
    base_pos: Array
    base_mat: Array
    hand: str
    grip_pos: Array
    grip_quat: Array
    arm_joints: tuple[str, ...]
    arm_actuators: tuple[str, ...]
    finger_joints: tuple[str, ...]
    grip_actuator: str
    home: tuple[float, ...]
    fingers: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    velocity: tuple[float, ...]
    pads: tuple[str, str] | None


def find_parts(model: mujoco.MjModel) -> tuple[Parts | None, list[Fault]]:
    """The parts of a compiled model whose elements all have names, or None and everything that is amiss."""
    faults: list[Fault] = []
    sites = {model.site(i).name for i in range(model.nsite)}
    if BASE not in sites:
        faults.append(Fault("site base", "there is none", "add one where the arm is bolted down", SITE_BASE))
    if GRIP not in sites:
        faults.append(Fault("site grip", "there is none", "add one midway between the finger pads", SITE_GRIP))
    keys = [model.key(i).name for i in range(model.nkey)]
    if HOME not in keys:
        told = f"there is none (the file has {keys})" if keys else "there is none"
        faults.append(Fault("keyframe home", told, "add one with the arm in front of its base, hand down", KEY))
    if faults:
        return None, faults
    base, grip = int(model.site(BASE).bodyid[0]), int(model.site(GRIP).bodyid[0])
    chain = _chain(model, grip)
    faults += _check_frame(model, base, chain)
    if faults:
        return None, faults
    joints = [j for body in chain for j in range(model.njnt) if model.jnt_bodyid[j] == body]
    below = {b for b in range(1, model.nbody) if _chain(model, b)[:1] == chain[:1]}
    fingers = [j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in below and j not in joints]
    faults += _check_joints(model, joints, fingers)
    if faults:
        return None, faults
    actuators = []
    for joint in joints:
        found = _actuators(model, [joint])
        if len(found) == 1:
            actuators.append(found[0])
        faults += _check_servo(model, joint, found)
    grippers = _actuators(model, fingers)
    faults += _check_gripper(model, grippers)
    if faults:
        return None, faults
    low, high = _limits(model, joints, actuators)
    home = model.key(HOME).qpos
    at = [float(home[model.jnt_qposadr[j]]) for j in joints]
    faults += _check_home(model, joints, at, low, high)
    velocity, unusable = _velocity(model, len(joints))
    faults += unusable
    pads, half_named = _named_pads(model)
    faults += half_named
    if faults:
        return None, faults
    pos, mat = _site_pose(model, BASE, home)
    return (
        Parts(
            root=model.body(chain[0]).name,
            base_pos=pos,
            base_mat=mat,
            hand=model.body(grip).name,
            grip_pos=np.array(model.site(GRIP).pos),
            grip_quat=np.array(model.site(GRIP).quat),
            arm_joints=tuple(model.joint(j).name for j in joints),
            arm_actuators=tuple(model.actuator(a).name for a in actuators),
            finger_joints=tuple(model.joint(j).name for j in fingers),
            grip_actuator=model.actuator(grippers[0]).name,
            home=tuple(at),
            fingers=tuple(float(home[model.jnt_qposadr[j]]) for j in fingers),
            low=tuple(low),
            high=tuple(high),
            velocity=velocity,
            pads=pads,
        ),
        [],
    )


def _chain(model: mujoco.MjModel, body: int) -> list[int]:
    """Bodies from the top-level one down to `body`."""
    found: list[int] = []
    while body:
        found.insert(0, body)
        body = int(model.body_parentid[body])
    return found


def _check_frame(model: mujoco.MjModel, base: int, chain: Sequence[int]) -> list[Fault]:
    if not chain:
        return [Fault("site grip", "it is in the world, not in the hand", "move it into the hand's body", SITE_GRIP)]
    free = [j for j in range(model.njnt) if model.jnt_bodyid[j] in chain and model.jnt_type[j] in (0, 1)]
    if free:
        joint = model.joint(free[0]).name
        return [Fault("base", f"the free or ball joint {joint!r} lets the arm float", "remove it: the base is fixed")]
    if model.body_weldid[base] != 0:
        body = model.body(base).name
        told = f"it is on {body!r}, which moves with the arm"
        return [Fault("site base", told, "move it into the body that is bolted down", SITE_BASE)]
    if base and _chain(model, base)[0] != chain[0]:
        told = f"it is on {model.body(base).name!r}, which does not carry the arm with the site grip"
        return [Fault("site base", told, "move it into the arm's fixed body", SITE_BASE)]
    return []


def _check_joints(model: mujoco.MjModel, joints: Sequence[int], fingers: Sequence[int]) -> list[Fault]:
    faults = []
    slides = [model.joint(j).name for j in joints if model.jnt_type[j] != mujoco.mjtJoint.mjJNT_HINGE]
    if slides:
        told = f"the chain from base to grip holds {slides}, which do not turn"
        fix = "put grip in the hand's body, not on a finger; the arm itself has hinges only"
        return [Fault("site grip", told, fix, SITE_GRIP)]
    if len(joints) < LEAST_JOINTS:
        told = f"{len(joints)} from base to grip"
        faults.append(Fault("arm joints", told, f"an arm whose hand takes any pose has {LEAST_JOINTS} or more"))
    if not fingers:
        told = "none beyond the hand that carries grip"
        faults.append(Fault("finger joints", told, "add two fingers that slide along grip's Y, or hinged ones"))
    for j in fingers:
        if int(model.jnt_type[j]) not in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE):
            told = f"{model.joint(j).name!r} neither turns about an axis nor slides along one"
            faults.append(Fault("finger joints", told, "use hinges and slides"))
    for j in joints:
        if not model.jnt_limited[j]:
            name = model.joint(j).name
            snippet = f'<joint name="{name}" range="-3.1 3.1" limited="true"/>'
            faults.append(Fault(f"limit {name}", "the joint has no range", "add its position limits", snippet))
    return faults


def _actuators(model: mujoco.MjModel, joints: Sequence[int]) -> list[int]:
    """Actuators that act on any of the joints, directly or through a tendon."""
    found = []
    for a in range(model.nu):
        kind, target = int(model.actuator_trntype[a]), int(model.actuator_trnid[a, 0])
        direct = kind in (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT) and target in joints
        if direct or (kind == mujoco.mjtTrn.mjTRN_TENDON and _pulls(model, target, joints)):
            found.append(a)
    return found


def _pulls(model: mujoco.MjModel, tendon: int, joints: Sequence[int]) -> bool:
    first = int(model.tendon_adr[tendon])
    bodies = {int(model.jnt_bodyid[j]) for j in joints}
    for wrap in range(first, first + int(model.tendon_num[tendon])):
        kind, thing = int(model.wrap_type[wrap]), int(model.wrap_objid[wrap])
        if kind == mujoco.mjtWrap.mjWRAP_JOINT and thing in joints:
            return True
        if kind == mujoco.mjtWrap.mjWRAP_SITE and int(model.site_bodyid[thing]) in bodies:
            return True
    return False


def _check_servo(model: mujoco.MjModel, joint: int, found: Sequence[int]) -> list[Fault]:
    name = model.joint(joint).name
    label, snippet = f"actuator {name}", SERVO.format(name)
    if not found:
        return [Fault(label, "no actuator drives this joint", "add a position servo", snippet)]
    if len(found) > 1:
        told = f"{len(found)} actuators drive this joint: {[model.actuator(a).name for a in found]}"
        return [Fault(label, told, "keep one position servo", snippet)]
    a = found[0]
    gain, bias = float(model.actuator_gainprm[a, 0]), model.actuator_biasprm[a]
    plain = (
        model.actuator_gaintype[a] == mujoco.mjtGain.mjGAIN_FIXED
        and model.actuator_biastype[a] == mujoco.mjtBias.mjBIAS_AFFINE
        and gain > 0
        and abs(bias[1] + gain) < 1e-6 * gain
        and bias[0] == 0
    )
    if not plain:
        told = f"{model.actuator(a).name!r} is no position servo: its control is not the joint's angle"
        return [Fault(label, told, "replace it by one", snippet)]
    if model.actuator_trntype[a] != mujoco.mjtTrn.mjTRN_JOINT or abs(model.actuator_gear[a, 0] - 1) > 1e-9:
        told = f"{model.actuator(a).name!r} acts through a gear or a tendon: its control is not the joint's angle"
        return [Fault(label, told, 'let it act on the joint with gear="1"', snippet)]
    if model.actuator_dyntype[a] != mujoco.mjtDyn.mjDYN_NONE:
        told = f"{model.actuator(a).name!r} has a state of its own (dyntype or timeconst)"
        return [Fault(label, told, 'remove it: dyntype="none"', snippet)]
    return []


def _check_gripper(model: mujoco.MjModel, found: Sequence[int]) -> list[Fault]:
    if not found:
        return [Fault("gripper actuator", "nothing drives the fingers", "add one for both", GRIPPER)]
    if len(found) > 1:
        told = f"{len(found)} actuators drive the fingers: {[model.actuator(a).name for a in found]}"
        return [Fault("gripper actuator", told, "couple the fingers and keep one actuator", GRIPPER)]
    a = found[0]
    if not model.actuator_ctrllimited[a]:
        told = f"{model.actuator(a).name!r} has no ctrlrange, so that closed and open are not known"
        return [Fault("gripper actuator", told, "add its ctrlrange", GRIPPER)]
    if model.actuator_dyntype[a] != mujoco.mjtDyn.mjDYN_NONE:
        told = f"{model.actuator(a).name!r} has a state of its own (dyntype or timeconst)"
        return [Fault("gripper actuator", told, 'remove it: dyntype="none"', GRIPPER)]
    return []


def _limits(model: mujoco.MjModel, joints: Sequence[int], actuators: Sequence[int]) -> tuple[list[float], list[float]]:
    """Position limits [rad]: where both the joint and its servo go."""
    low, high = ([float(v) for v in model.jnt_range[joints, side]] for side in (0, 1))
    for k, a in enumerate(actuators):
        if model.actuator_ctrllimited[a]:
            low[k] = max(low[k], float(model.actuator_ctrlrange[a, 0]))
            high[k] = min(high[k], float(model.actuator_ctrlrange[a, 1]))
    return low, high


def _check_home(
    model: mujoco.MjModel, joints: Sequence[int], at: Sequence[float], low: Sequence[float], high: Sequence[float]
) -> list[Fault]:
    for j, angle, least, most in zip(joints, at, low, high, strict=True):
        if not least <= angle <= most:
            name = model.joint(j).name
            told = f"joint {name!r} is at {angle:.3f} rad, outside its limits {least:.3f} to {most:.3f} rad"
            return [Fault("keyframe home", told, "correct it, the joint's range or the servo's ctrlrange", KEY)]
    qpos = model.key(HOME).qpos
    base, axes = _site_pose(model, BASE, qpos)
    if axes[2, 2] < 0.99:
        return [Fault("site base", "its Z does not point up", "turn it: Z up, X forward", SITE_BASE)]
    grip, hand = _site_pose(model, GRIP, qpos)
    place, pointing = axes.T @ (grip - base), float(axes[:, 2] @ hand[:, 2])
    if pointing > -_DOWN:
        told = f"the hand does not point down: grip's Z is {np.degrees(np.arccos(-pointing)):.0f} degrees off"
        fix = "give joint positions at which it does, or turn grip: Z out of the hand, Y from pad to pad"
        return [Fault("keyframe home", told, fix, KEY)]
    if place[0] < 0.05 or abs(place[1]) > place[0]:
        told = f"the hand is at x={place[0]:.2f}, y={place[1]:.2f} m of the site base, not in front of it"
        return [Fault("keyframe home", told, "correct the keyframe, or turn the site base: X forward", KEY)]
    return []


def _site_pose(model: mujoco.MjModel, name: str, qpos: Array) -> tuple[Array, Array]:
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    site = data.site(name)
    return site.xpos.copy(), site.xmat.reshape(3, 3).copy()


def _velocity(model: mujoco.MjModel, count: int) -> tuple[tuple[float, ...], list[Fault]]:
    names = [model.numeric(i).name for i in range(model.nnumeric)]
    if VELOCITY_NUMERIC not in names:
        return (DEFAULT_VELOCITY,) * count, []
    given = np.array(model.numeric(VELOCITY_NUMERIC).data, dtype=float)
    if len(given) == count and (given > 0).all():
        return tuple(float(v) for v in given), []
    told = f"{len(given)} numbers for {count} joints" if len(given) != count else "not all are positive"
    snippet = f'<custom><numeric name="{VELOCITY_NUMERIC}" data="{" ".join(["2.0"] * count)}"/></custom>'
    return (), [Fault("numeric joint_velocity", told, "give one speed [rad/s] for each arm joint", snippet)]


def _named_pads(model: mujoco.MjModel) -> tuple[tuple[str, str] | None, list[Fault]]:
    names = {model.geom(g).name for g in range(model.ngeom)}
    missing = [name for name in PADS if name not in names]
    if len(missing) == 2:
        return None, []
    if missing:
        other = next(name for name in PADS if name not in missing)
        fix = "name the other finger's pad too, or neither"
        return None, [
            Fault(f"geom {missing[0]}", f"there is none, though there is {other!r}", fix, PAD.format(missing[0]))
        ]
    return PADS, []
