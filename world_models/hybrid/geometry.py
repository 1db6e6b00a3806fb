"""Where everything is, and what the hand feels of it: the part of the hybrid simulator that is not learned.

All in the frames of the robots' bases, in torch, for worlds that may be of several scenes: those with fewer bodies or
parts are filled up with nothing. Bodies are the free ones, then the parts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from .fields import Fields
from .kinematics import Kinematics, dot, from_vector, matmul, turn, turn_back
from .scene import PROBES, RobotForm, SceneForm, ServoForm, no_body, no_part

TRAITS = 8
"""Numbers that say what a thing is like; see `Geometry.traits`."""
SERVO_TRAITS = 4
"""Numbers that say what servos are like; see `Geometry.servos`."""
_NOWHERE = 0.1  # [m]: what counts as the distance to nothing
_STRANGE_MASS, _STRANGE_FRICTION, _STRANGE_SIZE = 0.3, 0.3, 0.03  # decades, 1 and metres that make a thing another
_STRANGE_JOINT = 1.0  # decades of a joint's damping, friction or inertia that do
_STRANGE_GAIN, _STRANGE_LATENCY = 0.13, 0.02  # decades of a servo's gains or strength, and seconds, that do so to it


@dataclass(frozen=True)
class Rows:
    """Several tensors with as many rows each."""

    def __getitem__(self, rows: Any) -> Self:
        """Some of the rows."""
        if isinstance(rows, Tensor) and rows.dtype == torch.bool:
            rows = rows.nonzero()[:, 0]
        return type(self)(*(getattr(self, item.name)[rows] for item in fields(self)))

    def put(self, rows: Tensor, other: Self) -> None:
        """Writes the m rows of another over rows (m,) of these."""
        for item in fields(self):
            getattr(self, item.name)[rows] = getattr(other, item.name)

    def beside(self, other: Self) -> Self:
        """These rows, and then those of another."""
        return type(self)(*(torch.cat([getattr(x, item.name) for x in (self, other)]) for item in fields(self)))


@dataclass(frozen=True)
class State(Rows):
    """n worlds.

    Attributes:
        scene: (n,) which scene each is of. joints, speeds: (n, L) of the robot [rad], [rad/s], of slides [m], [m/s].
        filtered: (n, U) servo targets behind their low-pass filters. told: (n, U) those of the period before.
        position: (n, K, 3), rotation: (n, K, 3, 3): frames of the free bodies. velocity: (n, K, 6) of their centres of
            mass [m/s], and angular [rad/s], both along the base's axes.
        part, part_speed: (n, P) of the parts' joints. force: (n, F) on pads or fingertips [N].
    """

    scene: Tensor
    joints: Tensor
    speeds: Tensor
    filtered: Tensor
    told: Tensor
    position: Tensor
    rotation: Tensor
    velocity: Tensor
    part: Tensor
    part_speed: Tensor
    force: Tensor

    def finite(self) -> Tensor:
        """Which of the worlds (n,) have only finite numbers."""
        return torch.cat([getattr(self, item.name).flatten(1) for item in fields(self)[1:]], 1).sum(1).isfinite()


@dataclass(frozen=True)
class Hand(Rows):
    """Where hands are: `at` (n, 3), `frame` (n, 3, 3), the points (n, C, 3) with which they feel, and markers (n, M, 3)
    on pads or fingertips."""

    at: Tensor
    frame: Tensor
    points: Tensor
    markers: Tensor


@dataclass(frozen=True)
class Around(Rows):
    """What may move: N bodies that are within reach of a hand, or are moving.

    Attributes:
        world, body, scene: (N,) which. position: (N, 3), rotation: (N, 3, 3), center: (N, 3): their frames and centres
            of mass. distance: (N, C) of the hand's points to them [m], normal: (N, C, 3) of their surfaces there.
    """

    world: Tensor
    body: Tensor
    scene: Tensor
    position: Tensor
    rotation: Tensor
    center: Tensor
    distance: Tensor
    normal: Tensor


@dataclass(frozen=True)
class Sight:
    """What is where and what is felt in n worlds: see `Hand` and `Around`; and distances (n, C) [m] of the hand's
    points to the nearest of what may move, `near`, and to what stands still, `still`."""

    hand: Hand
    around: Around
    near: Tensor
    still: Tensor

    def of(self, worlds: Tensor) -> Sight:
        """The same of m of the worlds (m,), which then are 0 to m - 1."""
        place = torch.full((len(self.near),), -1, dtype=torch.int64, device=worlds.device)
        place[worlds] = torch.arange(len(worlds), device=worlds.device)
        around = self.around[place[self.around.world] >= 0]
        around = replace(around, world=place[around.world])
        return Sight(self.hand[worlds], around, self.near[worlds], self.still[worlds])

    def put(self, worlds: Tensor, other: Sight) -> Sight:
        """The same, with what another says of m worlds as that of worlds (m,); its own numbers are written over."""
        others = torch.ones(len(self.near), dtype=torch.bool, device=worlds.device)
        others[worlds] = False
        new = replace(other.around, world=worlds[other.around.world])
        self.hand.put(worlds, other.hand)
        self.near[worlds], self.still[worlds] = other.near, other.still
        return replace(self, around=self.around[others[self.around.world]].beside(new))


class Geometry(nn.Module):
    """A robot among the things of scenes.

    Attributes:
        traits: see `_traits`. real: (scenes, K + P) which bodies there are; others fill up.
        servos: (scenes, SERVO_TRAITS) how they differ, see `ServoForm`, in units that make a servo another. gains:
            (scenes, 2) by what parts of their stiffness and damping. latency: (scenes, 1) [s]. late: whether any is.
    """

    kinematics: Kinematics
    statics: Fields
    shapes: Fields
    probes: Tensor
    center: Tensor
    middle: Tensor
    extent: Tensor
    gravity: Tensor
    traits: Tensor
    part_position: Tensor
    part_rotation: Tensor
    part_axis: Tensor
    part_anchor: Tensor
    part_handle: Tensor
    part_slides: Tensor
    part_low: Tensor
    part_high: Tensor
    part_damping: Tensor
    part_stiffness: Tensor
    part_rest: Tensor
    part_loss: Tensor
    part_inertia: Tensor
    matter: Tensor
    servos: Tensor
    gains: Tensor
    latency: Tensor
    _point_link: Tensor
    _point_position: Tensor
    _frame_position: Tensor
    _frame_rotation: Tensor

    def __init__(self, robot: RobotForm, scenes: Sequence[SceneForm]) -> None:
        super().__init__()
        self.kinematics = Kinematics(robot.tree)
        self.free, self.parts = (max(len(getattr(s, name)) for s in scenes) for name in ("bodies", "parts"))
        self._frame_link, self._reach = robot.frame_link, robot.reach
        free = [[*scene.bodies, *[no_body()] * (self.free - len(scene.bodies))] for scene in scenes]
        joined = [[*scene.parts, *[no_part()] * (self.parts - len(scene.parts))] for scene in scenes]
        bodies = [body for pair in zip(free, joined, strict=True) for some in pair for body in some]
        parts = [part for some in joined for part in some]
        self.statics, self.shapes = Fields([s.static for s in scenes]), Fields([b.field for b in bodies])

        def keep(name: str, values: Any, *shape: int) -> None:
            held = np.asarray(values, dtype=np.float64).reshape(len(scenes), *shape)
            self.register_buffer(name, torch.as_tensor(held, dtype=torch.float32), persistent=False)

        keep("gravity", [scene.gravity for scene in scenes], 3)
        keep("probes", [body.probes for body in bodies], self.count, PROBES, 3)
        for name in ("center", "middle", "extent"):
            keep(name, [getattr(body, name) for body in bodies], self.count, 3)
        keep("matter", [(np.log10(body.mass), body.friction) for body in bodies], self.count, 2)
        for name in ("position", "axis", "anchor", "handle"):
            keep(f"part_{name}", [getattr(part, name) for part in parts], self.parts, 3)
        keep("part_rotation", [part.rotation for part in parts], self.parts, 3, 3)
        for name in ("slides", "low", "high", "damping", "stiffness", "rest", "loss", "inertia"):
            keep(f"part_{name}", [getattr(part, name) for part in parts], self.parts)
        self.register_buffer("traits", self._traits(), persistent=False)
        keep("servos", [_servo_traits(scene.servos) for scene in scenes], SERVO_TRAITS)
        keep("gains", [(scene.servos.stiffness - 1, scene.servos.damping - 1) for scene in scenes], 2)
        keep("latency", [scene.servos.latency for scene in scenes], 1)
        self.late = any(scene.servos.latency > 0 for scene in scenes)
        self.real = torch.tensor(
            [
                [k < len(s.bodies) for k in range(self.free)] + [k < len(s.parts) for k in range(self.parts)]
                for s in scenes
            ]
        )
        self._points = len(robot.point_link)
        for name, values in {
            "_point_link": np.concatenate([robot.point_link, robot.marker_link]),
            "_point_position": np.concatenate([robot.point_position, robot.marker_position]).astype(np.float32),
            "_frame_position": robot.frame_position.astype(np.float32),
            "_frame_rotation": robot.frame_rotation.astype(np.float32),
        }.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def _traits(self) -> Tensor:
        """(scenes, K + P, TRAITS) what bodies are like: mass, friction and three sides, of parts their joint's damping,
        dry friction and inertia, too; each in units that make a thing another."""
        sides = self.extent.sort(-1).values / (_STRANGE_SIZE / 2)
        mass, friction = self.matter[..., :1] / _STRANGE_MASS, self.matter[..., 1:] / _STRANGE_FRICTION
        joint = torch.zeros(*self.extent.shape[:2], 3)
        numbers = torch.stack([self.part_damping, self.part_loss, self.part_inertia], -1)
        joint[:, self.free :] = numbers.clamp_min(1e-3).log10() / _STRANGE_JOINT
        return torch.cat([mass, friction, sides, joint], -1)

    @property
    def count(self) -> int:
        """Bodies of a scene: free ones and parts."""
        return self.free + self.parts

    def hand(self, joints: Tensor) -> Hand:
        """Where hands are at joint positions (n, L)."""
        pose = self.kinematics.poses(joints)
        x, y, z, origin = pose[:, :, self._frame_link].unbind(1)
        a, b, c = self._frame_position
        at = origin + x * a + y * b + z * c
        a, b, c = self._frame_rotation[:, :, None]
        frame = x[:, None] * a + y[:, None] * b + z[:, None] * c
        x, y, z, origin = pose.index_select(2, self._point_link).unbind(1)
        a, b, c = self._point_position.T[:, :, None]
        points = (origin + x * a + y * b + z * c).transpose(1, 2).contiguous().permute(1, 2, 0)
        frame = frame.permute(2, 0, 1).contiguous()
        return Hand(at.T.contiguous(), frame, points[:, : self._points], points[:, self._points :])

    def frames(self, state: State) -> tuple[Tensor, Tensor]:
        """Frames of all bodies: (n, K + P, 3), (n, K + P, 3, 3)."""
        if not self.parts:
            return state.position, state.rotation
        at, turned = self.part_frames(state.scene, state.part)
        return torch.cat([state.position, at], 1), torch.cat([state.rotation, turned], 1)

    def part_frames(self, scene: Tensor, joint: Tensor) -> tuple[Tensor, Tensor]:
        """Frames (n, P, 3), (n, P, 3, 3) of the parts of scenes (n,) at joint positions (n, P)."""
        slides, axis, anchor = self.part_slides[scene], self.part_axis[scene], self.part_anchor[scene]
        turned = from_vector(axis * (joint * (1 - slides))[..., None])
        at = anchor + turn(turned, self.part_position[scene] - anchor) + axis * (joint * slides)[..., None]
        return at, matmul(turned, self.part_rotation[scene])

    def swing(self, scene: Tensor, part: Tensor, points: Tensor) -> Tensor:
        """How points (N, Q, 3) that go with parts (N,) do so: (N, Q, 3) [m/rad], for slides 1 along the axis."""
        slides, axis = self.part_slides[scene, part][:, None, None], self.part_axis[scene, part][:, None]
        apart = points - self.part_anchor[scene, part][:, None]
        turning: Tensor = torch.linalg.cross(axis.expand_as(points), apart)
        return slides * axis + (1 - slides) * turning

    def see(self, state: State, hand: Hand | None = None) -> Sight:
        """What is where and what is felt."""
        hand = self.hand(state.joints) if hand is None else hand
        position, rotation = self.frames(state)
        scene = state.scene
        inside = turn_back(rotation, hand.at[:, None] - position) - self.middle[scene]
        gap = (inside.abs() - self.extent[scene]).clamp_min(0.0)
        moving = (state.velocity != 0).any(-1)
        if self.parts:
            moving = torch.cat([moving, state.part_speed != 0], 1)
        world, body = (moving | (dot(gap, gap) < self._reach**2)).nonzero(as_tuple=True)
        at, turned, member = position[world, body], rotation[world, body], scene[world]
        inside = turn_back(turned[:, None], hand.points[world] - at[:, None])
        distance, normal = self.shapes(member * self.count + body, inside)
        around = Around(
            world=world,
            body=body,
            scene=member,
            position=at,
            rotation=turned,
            center=at + turn(turned, self.center[member, body]),
            distance=distance,
            normal=turn(turned[:, None], normal),
        )
        near = distance.new_full(hand.points.shape[:2], _NOWHERE)
        near = near.scatter_reduce(0, world[:, None].expand_as(distance), distance, "amin")
        return Sight(hand, around, near, self.statics(scene, hand.points)[0])

    def beside(self, state: State, around: Around, probes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of the other body that is nearest to each: distances (N, PROBES) of points (N, PROBES, 3) on the body to it,
        its normal (N, 3) at the nearest of them, and its velocity there (N, 3)."""
        world, body, scene = around.world, around.body, around.scene
        if self.count == 1:
            none = torch.zeros_like(around.position)
            return torch.full_like(probes[..., 0], _NOWHERE), none, none
        positions, rotations = self.frames(state)
        middle = around.position + turn(around.rotation, self.middle[scene, body])
        inside = turn_back(rotations[world], middle[:, None] - positions[world]) - self.middle[scene]
        gap = (inside.abs() - self.extent[scene]).clamp_min(0.0)
        other = dot(gap, gap).scatter(1, body[:, None], torch.inf).argmin(1)
        at, turned = positions[world, other], rotations[world, other]
        inside = turn_back(turned[:, None], probes - at[:, None])
        distance, normal = self.shapes(scene * self.count + other, inside)
        rows, nearest = torch.arange(len(world), device=world.device), distance.argmin(1)
        place = probes[rows, nearest]
        speed = torch.zeros_like(place)
        if self.free:
            moved = state.velocity[world, other.clamp_max(self.free - 1)]
            lever = place - (at + turn(turned, self.center[scene, other]))
            speed = moved[:, :3] + torch.linalg.cross(moved[:, 3:], lever)
        if self.parts:
            part = (other - self.free).clamp_min(0)
            swung = self.swing(scene, part, place[:, None])[:, 0] * state.part_speed[world, part][:, None]
            speed = torch.where((other < self.free)[:, None], speed, swung)
        return distance, turn(turned, normal[rows, nearest]), speed


def _servo_traits(servos: ServoForm) -> list[float]:
    gains = [math.log10(factor) / _STRANGE_GAIN for factor in (servos.stiffness, servos.damping, servos.strength)]
    return [*gains, servos.latency / _STRANGE_LATENCY]
