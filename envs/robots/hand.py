"""An own MJCF model of a right hand with the published kinematics of the Shadow Dexterous Hand, on a small gantry.

Sources of the numbers:

* joint ranges and outer dimensions (finger 100 mm from knuckle to tip, thumb 102 mm, palm 99 x 84 x 22 mm): "Shadow
  Dexterous Hand E Series, Technical Specification", Shadow Robot Company, 2019, sections 2.1 and 2.3;
* joint frames, masses, inertias and torque limits: Shadow's own robot description (`sr_common`, package
  `sr_description`), the same numbers as in MuJoCo Menagerie's `shadow_hand`. Joint damping and rotor inertia:
  Menagerie's.

Two things differ. The real hand couples the two outer joints of each finger; here each of the 22 finger joints has a
servo of its own. And the wrist is a gantry (three slides and a hinge about the vertical) in place of wrist and arm.

Shapes are ours: capsules and boxes that are drawn and collide. Links of one finger do not collide with one another,
fingers do with other fingers, with the palm's far parts and with everything in the scene.

The palm's frame: X along the stretched fingers, Y towards the thumb, Z out of the back of the hand; its origin is the
wrist. In the base's frame (X forward, Z up) a gantry at zero holds the hand palm down, its fingers forward.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import mujoco

from ...errors import TaskError
from .robot import Posture, Robot

Vec = tuple[float, float, float]
Rgba = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Hand(Robot):
    """A hand on a gantry.

    Beside the site `base` it has the site `palm`, the centre of the palm's surface in the palm's frame (X along the
    fingers, Y towards the thumb, Z out of the back), and one at the centre of each fingertip. Every joint has a
    position servo of the same name, and a touch sensor sits at each tip and on the palm. At `home` the palm looks down
    and the hand is open.

    Attributes:
        base_joints, finger_joints: names of joints and of their actuators. tips: names of the fingertips, thumb first.
        cradle: palm up with the hand hollow, the base held.
        joint_step: motion of each joint [m, rad] per control period of a full action.
        joint_lead: how far the servo's target may lead the measured position [m, rad].
        tip_radius: radius [m] of each fingertip.
        palm_center: the site `palm` in the palm's frame [m]. pinch: where at home thumb and fingers meet, there too.
    """

    kind: ClassVar[str] = "hand"
    control_modes: ClassVar[tuple[str, ...]] = ("joint_delta", "joint_pos")
    sleep: ClassVar[bool] = False
    servo_time: ClassVar[float] = 0.01  # fingers that lag lose what they turn

    base_joints: tuple[str, ...]
    finger_joints: tuple[str, ...]
    tips: tuple[str, ...]
    cradle: Posture
    joint_step: tuple[float, ...]
    joint_lead: tuple[float, ...]
    tip_radius: tuple[float, ...]
    palm_center: Vec
    pinch: Vec

    @property
    def joints(self) -> tuple[str, ...]:
        """See `Robot`: base first."""
        return (*self.base_joints, *self.finger_joints)

    @property
    def actuators(self) -> tuple[str, ...]:
        """See `Robot`."""
        return self.joints

    @property
    def steps(self) -> tuple[float, ...]:
        """See `Robot`."""
        return self.joint_step

    @property
    def leads(self) -> tuple[float, ...]:
        """See `Robot`."""
        return self.joint_lead


def need_hand(robot: Robot) -> Hand:
    """The robot as a hand.

    Raises:
        TaskError: it is none.
    """
    if not isinstance(robot, Hand):
        raise TaskError(f"robot={robot.name!r} is an {robot.kind}; here a hand is needed: robot='hand'")
    return robot


class _Joint(NamedTuple):
    """A link: its joint, its place in the parent [m], its shape (length [m], radius [m]) and inertial data."""

    name: str
    at: Vec
    axis: Vec
    low: float
    high: float
    torque: float
    length: float  # 0: no shape of its own
    radius: float
    mass: float
    com: float  # along X
    inertia: Vec  # about X, Y, Z through the centre of mass


_FLEX: Vec = (0, 1, 0)
_SPREAD: Vec = (0, 0, 1)
_ARCH: Vec = (0.819152, 0.573576, 0)  # 35 degrees off the metacarpal's own axis
_deg = math.radians


# fmt: off
def _finger(name: str, at: Vec) -> list[_Joint]:
    """Knuckle to fingertip: spread, then three flexions."""
    return [
        _Joint(f"{name}_spread", at, _SPREAD, _deg(-20), _deg(20), 1.0, 0, 0, 0.008, 0, (3.2e-7, 2.6e-7, 2.6e-7)),
        _Joint(f"{name}_proximal", (0, 0, 0), _FLEX, _deg(-15), _deg(90), 1.0, 0.045, 0.009, 0.030, 0.0225,
               (1.8e-6, 1.0e-5, 9.8e-6)),
        _Joint(f"{name}_middle", (0.045, 0, 0), _FLEX, 0, _deg(90), 1.0, 0.025, 0.009, 0.017, 0.0125,
               (8.7e-7, 2.7e-6, 2.6e-6)),
        _Joint(f"{name}_distal", (0.025, 0, 0), _FLEX, 0, _deg(90), 1.0, 0.022, 0.008, 0.013, 0.0130769,
               (5.3e-7, 1.28092e-6, 1.12092e-6)),
    ]


_FINGERS: dict[str, list[_Joint]] = {
    "thumb": [
        _Joint("thumb_turn", (0.029, 0.034, -0.00858), (-1, 0, 0), _deg(-60), _deg(60), 3.0, 0, 0, 0.010, 0,
               (1.6e-7, 1.6e-7, 1.6e-7)),
        _Joint("thumb_proximal", (0, 0, 0), _FLEX, 0, _deg(70), 2.0, 0.038, 0.0115, 0.040, 0.019,
               (3.13e-6, 1.36e-5, 1.36e-5)),
        _Joint("thumb_hub", (0.038, 0, 0), _FLEX, _deg(-12), _deg(12), 1.0, 0, 0, 0.005, 0, (3e-7, 1e-6, 1e-6)),
        _Joint("thumb_middle", (0, 0, 0), (0, 0, -1), _deg(-40), _deg(40), 1.0, 0.032, 0.010, 0.020, 0.016,
               (1.21e-6, 5.1e-6, 5.1e-6)),
        _Joint("thumb_distal", (0.032, 0, 0), (0, 0, -1), _deg(-15), _deg(90), 1.0, 0.0225, 0.0095, 0.017, 0.0145588,
               (1e-6, 2.27794e-6, 2.37794e-6)),
    ],
    "index": _finger("index", (0.095, 0.033, 0)),
    "middle": _finger("middle", (0.099, 0.011, 0)),
    "ring": _finger("ring", (0.095, -0.011, 0)),
    "little": [
        _Joint("little_arch", (0.02071, -0.033, 0), _ARCH, 0, _deg(45), 1.0, 0, 0, 0.030, 0.04,
               (4.272e-6, 1.638e-5, 1.45e-5)),
        *_finger("little", (0.06579, 0, 0)),
    ],
}
# fmt: on

_BASE = (
    # name, axis, range, carried mass [kg], kp, kv, force: about 30 rad/s, damped a little above critical.
    ("base_x", (1, 0, 0), (-0.30, 0.30), 1.0, 4000.0, 300.0, 200.0),
    ("base_y", (0, 1, 0), (-0.30, 0.30), 1.0, 4000.0, 300.0, 200.0),
    ("base_z", (0, 0, 1), (0.0, 0.40), 1.0, 4000.0, 300.0, 200.0),
    ("base_yaw", (0, 0, 1), (-math.pi, math.pi), 0.5, 60.0, 3.0, 20.0),
)

# Servo gain [N m / rad] per N m of torque limit: a third of a radian of lead presses with all a joint has. The damping
# (joint and servo together 0.07 N m s / rad) is near critical for the links' own inertia, and stable at 2 ms.
_STIFFNESS = 3.0
_DAMPING = 0.05
_VELOCITY_GAIN = 0.02
_ARMATURE = 0.0002

_THICKNESS = 0.022
PALM_CENTER: Vec = (0.06, 0.0, -_THICKNESS / 2)
_SKIN: Rgba = (0.86, 0.87, 0.88, 1.0)
_LINK: Rgba = (0.33, 0.35, 0.38, 1.0)
_RUBBER: Rgba = (0.16, 0.47, 0.72, 1.0)
# contype, conaffinity: the scene's geoms have bit 0 in both. Bit 1 lets parts of the hand meet one another, and an arm,
# which offers bit 0 and takes none, passes them by.
_CONTYPE, _CONAFFINITY = 3, 2


def build_hand() -> mujoco.MjSpec:
    """A fresh editable model of the hand and its gantry; the base stands at the origin, X forward, Z up."""
    spec = mujoco.MjSpec()
    spec.modelname = "hand"
    spec.compiler.degree = False
    spec.compiler.autolimits = True
    body = spec.worldbody.add_body(name="base")
    body.add_site(name="base", group=4)
    for name, axis, limits, mass, kp, kv, force in _BASE:
        body = body.add_body(name=name)
        hinge = name == "base_yaw"
        body.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_HINGE if hinge else mujoco.mjtJoint.mjJNT_SLIDE,
            axis=list(axis),
            range=list(limits),
        )
        _inertial(body, mass, (0, 0, 0), (2e-3, 2e-3, 2e-3))
        _servo(spec, name, limits, force, kp, kv)
    palm = _add_palm(spec, body)
    for finger, joints in _FINGERS.items():
        links = _add_finger(spec, palm, finger, joints)
        # A finger's links overlap at the joints; its first ones also sit in the palm.
        near = ["palm", *links]
        for one, other in itertools.combinations(near, 2):
            if one != "palm" or other in links[: len(links) - 2]:
                spec.add_exclude(bodyname1=one, bodyname2=other)
    for name in ("ring_spread", "ring_proximal"):
        spec.add_exclude(bodyname1="little_arch", bodyname2=name)
    return spec


def _add_palm(spec: mujoco.MjSpec, wrist: mujoco.MjsBody) -> mujoco.MjsBody:
    palm = wrist.add_body(name="palm")
    _inertial(palm, 0.3, (0.035, 0, 0), (0.000191, 0.0005287, 0.0003581))
    half = _THICKNESS / 2
    _geom(palm, "box", size=(0.044, 0.032, half), pos=(0.04, 0.010, 0), rgba=_SKIN)
    _geom(palm, "box", size=(0.012, 0.010, half), pos=(0.008, -0.032, 0), rgba=_SKIN)
    stalk = _geom(palm, "capsule", size=(0.02, 0, 0), rgba=_LINK, collides=False)
    stalk.fromto = [0, 0, 0.02, 0, 0, 0.10]
    palm.add_site(name="palm", pos=list(PALM_CENTER), group=4)
    surface = palm.add_site(
        name="palm_touch", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.048, 0.044, half + 0.002], pos=[0.04, 0, 0], group=4
    )
    _touch(spec, "palm", surface.name)
    # MuJoCo cameras look along -Z with Y up: from the heel of the hand at what the fingers hold.
    palm.add_camera(name="wrist", pos=[-0.09, 0, -0.10], fovy=60, xyaxes=[0, -1, 0, 0.2425, 0, 0.9701])
    return palm


def _add_finger(spec: mujoco.MjSpec, palm: mujoco.MjsBody, finger: str, joints: list[_Joint]) -> list[str]:
    """Adds a finger to the palm; returns the names of its bodies from the knuckle on."""
    body = palm
    for joint in joints:
        # The thumb's base is turned by 45 degrees towards the fingers' side; everything else starts parallel.
        turn = _deg(45) if joint.name == "thumb_turn" else 0.0
        body = body.add_body(name=joint.name, pos=list(joint.at), quat=[math.cos(turn / 2), 0, 0, math.sin(turn / 2)])
        body.add_joint(
            name=joint.name,
            type=mujoco.mjtJoint.mjJNT_HINGE,
            axis=list(joint.axis),
            range=[joint.low, joint.high],
            armature=_ARMATURE,
            damping=[_DAMPING, 0, 0],
        )
        _inertial(body, joint.mass, (joint.com, 0, 0), joint.inertia)
        _servo(
            spec,
            joint.name,
            (joint.low, joint.high),
            joint.torque,
            _STIFFNESS * joint.torque,
            _VELOCITY_GAIN * joint.torque,
        )
        if joint.name == "little_arch":
            _geom(body, "box", size=(0.026, 0.010, _THICKNESS / 2), pos=(0.027, 0, 0), rgba=_SKIN)
        elif joint.length and not joint.name.endswith("distal"):
            link = _geom(body, "capsule", size=(joint.radius, 0, 0), rgba=_LINK)
            link.fromto = [0, 0, 0, joint.length, 0, 0]
    _add_tip(spec, body, finger, joints[-1])
    return [joint.name for joint in joints]


def _add_tip(spec: mujoco.MjSpec, body: mujoco.MjsBody, finger: str, joint: _Joint) -> None:
    tip = _geom(body, "capsule", size=(joint.radius, 0, 0), rgba=_RUBBER)
    tip.name = f"{finger}_tip"
    tip.fromto = [0, 0, 0, joint.length, 0, 0]
    # Rubber, as on the gripper's pads: stiff and by priority, whatever is touched. A patch of 6 mm radius resists
    # turning with 2/3 of that radius times the friction.
    tip.friction = [1.0, 0.004, 0.0001]
    tip.priority = 1
    tip.solref = [0.004, 1.0]
    tip.solimp = [0.95, 0.99, 0.001, 0.5, 2]
    body.add_site(name=f"{finger}_tip", pos=[joint.length, 0, 0], group=4)
    touch = body.add_site(name=f"{finger}_touch", type=mujoco.mjtGeom.mjGEOM_CAPSULE, group=4)
    touch.size = [joint.radius + 0.002, 0, 0]
    touch.fromto = [0, 0, 0, joint.length, 0, 0]
    _touch(spec, f"{finger}_tip", touch.name)


def _touch(spec: mujoco.MjSpec, name: str, site: str) -> None:
    spec.add_sensor(name=name, type=mujoco.mjtSensor.mjSENS_TOUCH, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=site)


def _geom(
    body: mujoco.MjsBody, shape: str, *, size: Vec, rgba: Rgba, pos: Vec = (0, 0, 0), collides: bool = True
) -> mujoco.MjsGeom:
    return body.add_geom(
        type=getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}"),
        size=list(size),
        pos=list(pos),
        rgba=list(rgba),
        mass=0,
        contype=_CONTYPE if collides else 0,
        conaffinity=_CONAFFINITY if collides else 0,
        condim=4,
        group=1,
    )


def _inertial(body: mujoco.MjsBody, mass: float, com: Vec, inertia: Vec) -> None:
    body.explicitinertial = True
    body.mass = mass
    body.ipos = list(com)
    body.inertia = list(inertia)
    body.gravcomp = 1.0  # as the hand's own controller does


def _servo(spec: mujoco.MjSpec, joint: str, limits: tuple[float, float], force: float, kp: float, kv: float) -> None:
    spec.add_actuator(
        name=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        target=joint,
        ctrlrange=list(limits),
        forcerange=[-force, force],
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        gainprm=[kp] + [0.0] * 9,
        biasprm=[0.0, -kp, -kv] + [0.0] * 7,
    )


_JOINTS = tuple(joint for joints in _FINGERS.values() for joint in joints)
_STRETCHED = {"proximal": 0.75, "middle": 0.35, "distal": 0.25}
_CURLED = {"middle": 0.9, "distal": 0.5}  # first links level: with the palm they are the hollow hand's floor


def _posed(base: Vec, thumb: tuple[float, ...], bend: dict[str, float], together: float) -> tuple[float, ...]:
    """Gantry at `base`, the thumb's five joints, the fingers' links bent alike, the outer ones drawn `together`."""
    angles = {"index_spread": -together, "little_spread": together}
    fingers = [angles.get(joint.name, bend.get(joint.name.split("_")[1], 0.0)) for joint in _JOINTS[len(thumb) :]]
    return (*base, 0.0, *thumb, *fingers)


_BASE_JOINTS = tuple(entry[0] for entry in _BASE)


HAND = Hand(
    name="hand",
    build=build_hand,
    base_joints=_BASE_JOINTS,
    finger_joints=tuple(joint.name for joint in _JOINTS),
    tips=tuple(f"{finger}_tip" for finger in _FINGERS),
    home=_posed((0, 0, 0.25), (0.1, 1.1, 0.2, 0.4, 0.4), _STRETCHED, 0.05),
    cradle=Posture(_posed((0, 0, 0), (0.28, 1.2, 0.2, 0.69, 1.54), _CURLED, 0.05), flipped=True, held=_BASE_JOINTS),
    joint_low=tuple(entry[2][0] for entry in _BASE) + tuple(joint.low for joint in _JOINTS),
    joint_high=tuple(entry[2][1] for entry in _BASE) + tuple(joint.high for joint in _JOINTS),
    joint_step=(0.02, 0.02, 0.02, 0.1) + (0.1,) * len(_JOINTS),
    joint_lead=(0.04, 0.04, 0.04, 0.2) + (0.3,) * len(_JOINTS),
    tip_radius=tuple(joints[-1].radius for joints in _FINGERS.values()),
    palm_center=PALM_CENTER,
    pinch=(0.118, 0.004, -0.058),
    reach=(0.0, 0.15),  # the gantry's range less the way from wrist to fingertips, and room for objects that move
)
