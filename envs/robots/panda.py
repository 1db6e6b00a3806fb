"""An own MJCF model of an arm with the published kinematics and inertias of the Franka Emika Panda.

Sources of the numbers:

* joint frames (modified Denavit-Hartenberg, Craig's convention), position and speed limits and torque limits: Franka
  Control Interface documentation, "Robot and interface specifications" (https://frankaemika.github.io/docs);
* link masses, centres and inertias: C. Gaz, M. Cognetti, A. Oliva, P. Robuffo Giordano, A. De Luca, "Dynamic
  identification of the Franka Emika Panda robot with retrieval of feasible parameters using penalty-based
  optimization", IEEE Robotics and Automation Letters 4(4), 2019, as distributed with `franka_ros`;
* hand: Franka Hand product manual (stroke 80 mm, 70 N continuous force) and the frames of `franka_ros`.

Shapes are ours: spheres, capsules, cylinders and boxes that are drawn and collide, so that a picture costs little and
contacts are smooth. The arm does not collide with itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import mujoco

from .robot import Arm

Vec = tuple[float, float, float]


class _Link(NamedTuple):
    """A link: modified DH parameters to it from its parent (a, d [m], alpha [rad]), limits and inertial data."""

    a: float
    d: float
    alpha: float
    low: float
    high: float
    velocity: float
    torque: float
    mass: float
    com: Vec
    inertia: tuple[float, float, float, float, float, float]  # xx yy zz xy xz yz about the centre of mass


_Q = math.pi / 2
# fmt: off
_LINKS = (
    _Link(0, 0.333, 0, -2.8973, 2.8973, 2.175, 87, 4.970684, (0.003875, 0.002081, -0.04762),
          (0.70337, 0.70661, 0.0091170, -0.000139, 0.006772, 0.019169)),
    _Link(0, 0, -_Q, -1.7628, 1.7628, 2.175, 87, 0.646926, (-0.003141, -0.02872, 0.003495),
          (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704)),
    _Link(0, 0.316, _Q, -2.8973, 2.8973, 2.175, 87, 3.228604, (0.027518, 0.039252, -0.066502),
          (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805)),
    _Link(0.0825, 0, _Q, -3.0718, -0.0698, 2.175, 87, 3.587895, (-0.05317, 0.104419, 0.027454),
          (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641)),
    _Link(-0.0825, 0.384, -_Q, -2.8973, 2.8973, 2.61, 12, 1.225946, (-0.011953, 0.041065, -0.038437),
          (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229)),
    _Link(0, 0, _Q, -0.0175, 3.7525, 2.61, 12, 1.666555, (0.060149, -0.014117, -0.010517),
          (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341)),
    _Link(0.088, 0, _Q, -2.8973, 2.8973, 2.61, 12, 0.735522, (0.010517, -0.004252, 0.061597),
          (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741)),
)
# fmt: on
FLANGE = 0.107
"""Distance [m] from joint 7's frame to the flange, along its Z."""
HAND_YAW = -math.pi / 4
"""The hand is mounted on the flange turned by this angle [rad] about its Z."""
GRIP = 0.1034
"""Distance [m] from the flange to the point between the pads."""
_FINGER = 0.0584  # finger frames start here, beyond the flange

# Servo gains [N m / rad] and [N m s / rad]: stiff enough for millimetres under 2 kg of load, damped near critical with
# the arm's own inertia, stable at 2 ms with the implicit integrator.
_KP = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)
_KV = (250.0, 250.0, 180.0, 180.0, 60.0, 60.0, 60.0)
_ARMATURE = 0.1  # reflected rotor inertia [kg m^2]
# The real arm can do more, and stops itself when what it touches pushes back with more than about this [N m].
_TORQUE = 30.0

_PAD_HALF = (0.010, 0.005, 0.0105)
_TIP, _TIP_OUT = 0.003, 0.001
_GRIP_FORCE = 80.0  # force [N] at the tendon: half of it, 40 N, at each pad (the hand allows 70 N continuously)
_RACK = (2e4, 40.0)  # stiffness [N/m] and damping [N s/m] that keep the fingers mirrored

_WHITE = (0.93, 0.94, 0.95, 1.0)
_GREY = (0.33, 0.35, 0.38, 1.0)
_DARK = (0.13, 0.14, 0.15, 1.0)
_BLUE = (0.16, 0.47, 0.72, 1.0)


def build_panda() -> mujoco.MjSpec:
    """A fresh editable model of the arm; its base stands at the origin, X forward."""
    spec = mujoco.MjSpec()
    spec.modelname = "panda"
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    body = spec.worldbody.add_body(name="base")
    body.add_site(name="base", group=4)
    _inertial(body, 0.629769, (-0.041018, -0.00014, 0.049974), (0.00315, 0.00388, 0.004285, 8.29e-7, 0.00015, 8.23e-6))
    _geom(body, "box", size=(0.095, 0.09, 0.012), pos=(-0.02, 0, 0.012), rgba=_GREY)
    _geom(body, "cylinder", size=(0.075, 0.065, 0), pos=(0, 0, 0.085), rgba=_WHITE)
    _geom(body, "cylinder", size=(0.062, 0.012, 0), pos=(0, 0, 0.158), rgba=_GREY)
    for index, link in enumerate(_LINKS, start=1):
        # Craig: rotate about x by alpha, translate a along x, then d along the new z.
        half = link.alpha / 2
        body = body.add_body(
            name=f"link{index}",
            pos=[link.a, -link.d * math.sin(link.alpha), link.d * math.cos(link.alpha)],
            quat=[math.cos(half), math.sin(half), 0, 0],
        )
        body.add_joint(
            name=f"joint{index}",
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=[0, 0, 1],
            range=[link.low, link.high],
            armature=_ARMATURE,
            damping=[1.0, 0, 0],
        )
        _inertial(body, link.mass, link.com, link.inertia)
        _shape(body, index)
        spec.add_actuator(
            name=f"joint{index}",
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=f"joint{index}",
            ctrlrange=[link.low, link.high],
            forcerange=[-min(link.torque, _TORQUE), min(link.torque, _TORQUE)],
            **_servo(_KP[index - 1], _KV[index - 1]),
        )
    _add_hand(spec, body)
    return spec


def _add_hand(spec: mujoco.MjSpec, link7: mujoco.MjsBody) -> None:
    hand = link7.add_body(name="hand", pos=[0, 0, FLANGE], quat=[math.cos(HAND_YAW / 2), 0, 0, math.sin(HAND_YAW / 2)])
    _inertial(hand, 0.73, (-0.01, 0, 0.03), (0.001, 0.0025, 0.0017, 0, 0, 0))
    hand.add_site(name="grip", pos=[0, 0, GRIP], group=4)
    _geom(hand, "cylinder", size=(0.032, 0.006, 0), pos=(0, 0, 0.004), rgba=_GREY)
    _geom(hand, "box", size=(0.027, 0.098, 0.026), pos=(0, 0, 0.034), rgba=_WHITE)
    _geom(hand, "box", size=(0.018, 0.088, 0.004), pos=(0, 0, 0.058), rgba=_DARK, collides=False)
    _geom(hand, "box", size=(0.008, 0.018, 0.011), pos=(0.035, 0, 0.042), rgba=_DARK, collides=False)
    # MuJoCo cameras look along -Z with Y up: turned to look along the hand's +Z, tilted towards the fingertips.
    tilt = math.pi - 0.45
    hand.add_camera(
        name="wrist",
        pos=[0.055, 0, 0.045],
        fovy=75,
        quat=_product(_about_y(tilt), (math.sqrt(0.5), 0, 0, math.sqrt(0.5))),
    )
    for name, yaw in (("left", 0.0), ("right", math.pi)):
        finger = hand.add_body(
            name=f"{name}_finger", pos=[0, 0, _FINGER], quat=[math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)]
        )
        finger.add_joint(
            name=f"{name}_finger",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[0, 1, 0],
            range=[0, 0.04],
            armature=0.1,
            damping=[5.0, 0, 0],
        )
        _inertial(finger, 0.015, (0, 0.008, 0.02), (2.375e-6, 2.375e-6, 7.5e-7, 0, 0, 0))
        _geom(finger, "box", size=(0.0095, 0.007, 0.018), pos=(0, 0.012, 0.017), rgba=_GREY)
        pad = _geom(finger, "box", size=_PAD_HALF, pos=(0, _PAD_HALF[1], GRIP - _FINGER), rgba=_DARK)
        pad.name = f"{name}_pad"
        # Rubber: a patch contact also resists turning about the closing direction.
        pad.friction = [1.0, 0.02, 0.0001]
        # Stiff, and by priority whatever is gripped: a soft contact gives by millimetres, and round things roll out.
        pad.priority = 1
        pad.solref = [0.004, 1.0]
        pad.solimp = [0.95, 0.99, 0.001, 0.5, 2]
        tip = _geom(finger, "capsule", size=(_TIP, 0, 0), rgba=_GREY)
        low = GRIP - _FINGER + _PAD_HALF[2] + _TIP_OUT - _TIP
        tip.fromto = [_TIP - _PAD_HALF[0], _PAD_HALF[1], low, _PAD_HALF[0] - _TIP, _PAD_HALF[1], low]
        tip.name = f"{name}_tip"
        tip.condim = 3
        tip.friction = [0.2, 0.005, 0.0001]
        tip.priority = 1
        site = finger.add_site(
            name=f"{name}_pad",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[_PAD_HALF[0] + 0.002, _PAD_HALF[1] + 0.002, _PAD_HALF[2] + 0.002],
            pos=[0, _PAD_HALF[1], GRIP - _FINGER],
            group=4,
        )
        spec.add_sensor(
            name=f"{name}_pad",
            type=mujoco.mjtSensor.mjSENS_TOUCH,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=site.name,
        )
    tendon = spec.add_tendon(name="fingers")
    tendon.wrap_joint("left_finger", 0.5)
    tendon.wrap_joint("right_finger", 0.5)
    # The real hand's rack and pinion. A spring instead of an equality: without constraints of its own the arm needs no
    # solver where it touches nothing, which is a fifth of a physics step; 10 N to one side move the grip by 0.13 mm.
    rack = spec.add_tendon(name="rack", stiffness=_RACK[0], damping=_RACK[1], springlength=[0, 0])
    rack.wrap_joint("left_finger", 1.0)
    rack.wrap_joint("right_finger", -1.0)
    spec.add_actuator(
        name="fingers",
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        target="fingers",
        ctrlrange=list(PANDA.grip_control),
        forcerange=[-_GRIP_FORCE, _GRIP_FORCE],
        **_servo(4000.0, 300.0),
    )


def _shape(body: mujoco.MjsBody, index: int) -> None:
    """Drawn and colliding shapes of link `index` in its DH frame."""
    if index == 1:
        _capsule(body, (0, 0, -0.16), (0, 0, -0.02), 0.062)
        _capsule(body, (0, -0.05, 0), (0, 0.05, 0), 0.06)
        _geom(body, "cylinder", size=(0.058, 0.052, 0), pos=(0, 0, 0), quat=_X90, rgba=_GREY, collides=False)
    elif index == 2:
        _capsule(body, (0, -0.01, 0), (0, -0.18, 0), 0.058)
        _geom(body, "cylinder", size=(0.0605, 0.008, 0), pos=(0, -0.19, 0), quat=_X90, rgba=_GREY, collides=False)
    elif index == 3:
        _capsule(body, (0, 0, -0.11), (0, 0, -0.06), 0.058)
        _capsule(body, (0.01, 0, -0.04), (0.0825, 0, 0), 0.052)
    elif index == 4:
        _capsule(body, (0, 0, -0.045), (0, 0, 0.045), 0.055)
        _capsule(body, (0, 0.01, 0), (-0.0825, 0.08, 0), 0.05)
        _capsule(body, (-0.0825, 0.08, 0), (-0.0825, 0.11, 0), 0.055)
        _geom(body, "cylinder", size=(0.0565, 0.008, 0), pos=(-0.0825, 0.13, 0), quat=_X90, rgba=_GREY, collides=False)
    elif index == 5:
        _capsule(body, (0, 0.02, -0.22), (0, 0.055, -0.08), 0.045)
        _capsule(body, (0, 0.045, -0.06), (0, 0.0, 0), 0.048)
    elif index == 6:
        _capsule(body, (0, 0, -0.025), (0, 0, 0.025), 0.05)
        _capsule(body, (0.01, 0, 0), (0.088, 0, 0), 0.045)
        _geom(body, "cylinder", size=(0.046, 0.004, 0), pos=(0.0, 0, 0.075), rgba=_BLUE, collides=False)
    else:
        _capsule(body, (0, 0, -0.03), (0, 0, 0.05), 0.045)
        _geom(body, "cylinder", size=(0.042, 0.006, 0), pos=(0, 0, FLANGE - 0.006), rgba=_GREY)


def _geom(
    body: mujoco.MjsBody,
    shape: str,
    *,
    size: Vec,
    rgba: tuple[float, float, float, float],
    pos: Vec = (0, 0, 0),
    quat: tuple[float, float, float, float] = (1, 0, 0, 0),
    collides: bool = True,
) -> mujoco.MjsGeom:
    # contype without conaffinity: touches the scene, whose geoms have both, and never the robot itself.
    return body.add_geom(
        type=getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}"),
        size=list(size),
        pos=list(pos),
        quat=list(quat),
        rgba=list(rgba),
        mass=0,
        contype=int(collides),
        conaffinity=0,
        condim=4,
        group=1,
    )


def _capsule(body: mujoco.MjsBody, start: Vec, end: Vec, radius: float) -> None:
    geom = _geom(body, "capsule", size=(radius, 0, 0), rgba=_WHITE)
    geom.fromto = [*start, *end]


def _inertial(
    body: mujoco.MjsBody, mass: float, com: Vec, inertia: tuple[float, float, float, float, float, float]
) -> None:
    body.explicitinertial = True
    body.mass = mass
    body.ipos = list(com)
    body.fullinertia = list(inertia)
    body.gravcomp = 1.0  # as the arm's own controller does


def _servo(kp: float, kv: float) -> dict[str, object]:
    return {
        "gaintype": mujoco.mjtGain.mjGAIN_FIXED,
        "biastype": mujoco.mjtBias.mjBIAS_AFFINE,
        "gainprm": [kp] + [0.0] * 9,
        "biasprm": [0.0, -kp, -kv] + [0.0] * 7,
    }


def _about_y(angle: float) -> tuple[float, float, float, float]:
    return (math.cos(angle / 2), 0, math.sin(angle / 2), 0)


def _product(
    p: tuple[float, float, float, float], q: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """Product of two quaternions (w, x, y, z)."""
    (a, b, c, d), (e, f, g, h) = p, q
    return (
        a * e - b * f - c * g - d * h,
        a * f + b * e + c * h - d * g,
        a * g - b * h + c * e + d * f,
        a * h + b * g - c * f + d * e,
    )


_X90 = (math.sqrt(0.5), math.sqrt(0.5), 0.0, 0.0)

_NAMES = tuple(f"joint{index}" for index in range(1, 8))

PANDA = Arm(
    name="panda",
    build=build_panda,
    arm_joints=_NAMES,
    finger_joints=("left_finger", "right_finger"),
    arm_actuators=_NAMES,
    grip_actuator="fingers",
    pads=("left_pad", "right_pad"),
    home=(0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4),
    joint_low=tuple(link.low for link in _LINKS),
    joint_high=tuple(link.high for link in _LINKS),
    joint_velocity=tuple(link.velocity for link in _LINKS),
    max_opening=0.08,
    grip_control=(-0.01, 0.04),
    pad_half_width=_PAD_HALF[0],
    pad_tip=_PAD_HALF[2] + _TIP_OUT,
    finger_thickness=2 * _PAD_HALF[1],
    base_radius=0.13,
    reach=(0.30, 0.68),
)
