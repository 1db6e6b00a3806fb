"""Between a hybrid model's states, in the frames of robots' bases, and MuJoCo's positions and our sensors."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...world_models.hybrid.geometry import Geometry, Hand, State
from ...world_models.hybrid.kinematics import turn, turn_back
from .. import rotations
from ..simulator import Array, Episodes
from ..world import World
from .forms import part_joints, robot_joints


class Places:
    """Between a model's state, in the frames of the robots' bases, and sensors and `qpos`, in the world's."""

    def __init__(self, worlds: Sequence[World]) -> None:
        self._world = world = worlds[0]
        model = world.model
        self._base = np.stack([each.base_pos for each in worlds])
        self._turn = np.stack([each.base_mat for each in worlds])
        self._home = np.stack([each.home_qpos for each in worlds])
        addresses = model.jnt_qposadr[robot_joints(world)]
        self._robot_qpos = addresses
        self._robot_dof = model.jnt_dofadr[robot_joints(world)]
        self._links = np.array([int(np.flatnonzero(addresses == a)[0]) for a in world.joint_qpos])
        self._fingers = np.flatnonzero(~np.isin(addresses, world.joint_qpos))
        self._columns = np.r_[world.joint_ctrl, world.other_ctrl]
        self._actuators = model.nu
        self._part_qpos = [each.model.jnt_qposadr[part_joints(each)] for each in worlds]
        most = max(len(found) for found in self._part_qpos)
        count = len(world.part_qpos)
        self._shown = np.zeros((len(worlds), count), dtype=np.int64)
        self._there = np.zeros((len(worlds), count), dtype=np.bool_)  # others are fillers
        self._handle_at, self._handle_turn = np.zeros((len(worlds), count, 3)), np.zeros((len(worlds), count, 3, 3))
        for k, each in enumerate(worlds):
            for number, address in enumerate(each.part_qpos):
                where = np.flatnonzero(self._part_qpos[k] == address)
                if len(where):
                    self._shown[k, number], self._there[k, number] = where[0], True
                    at, turned = _site_in_body(each.model, int(each.handle_sites[number]))
                    self._handle_at[k, number], self._handle_turn[k, number] = at, turned
        self._part_dof = [each.model.jnt_dofadr[part_joints(each)] for each in worlds]
        self._most_parts = most
        self._centers = np.stack([_centers(each) for each in worlds])

    def ordered(self, target: Array) -> NDArray[np.float32]:
        """Servo targets (m, U) in the model's order from the controller's (m, J + A)."""
        found = np.zeros((len(target), self._actuators), dtype=np.float32)
        found[:, self._columns] = target
        return found

    def start(self, geometry: Geometry, episodes: Episodes) -> State:
        """States in which episodes begin."""
        world, member = self._world, episodes.member
        n, home = len(member), self._home[member]
        joints = home[:, self._robot_qpos]
        joints[:, self._links] = episodes.joint_pos
        filtered = np.zeros((n, self._actuators))
        filtered[:, world.joint_ctrl] = episodes.joint_pos
        filtered[:, world.other_ctrl] = world.other_start
        base, turned = self._base[member], self._turn[member]
        apart = episodes.object_pos - base[:, None]
        part = np.zeros((n, self._most_parts))
        for k in np.unique(member):
            rows = np.flatnonzero(member == k)
            part[rows[:, None], np.arange(len(self._part_qpos[k]))] = home[rows][:, self._part_qpos[k]]
            there = np.flatnonzero(self._there[k])
            part[rows[:, None], self._shown[k, there]] = episodes.part_pos[rows[:, None], there]
        frames = turned[:, None].swapaxes(2, 3) @ rotations.from_quaternion(episodes.object_quat)
        forces = 2 if world.robot.kind == "arm" else 5
        numbers = {
            "joints": joints,
            "speeds": np.zeros_like(joints),
            "filtered": filtered,
            "told": filtered,
            "position": np.einsum("nkj,nji->nki", apart, turned),
            "rotation": frames,
            "velocity": np.zeros((*apart.shape[:2], 6)),
            "part": part,
            "part_speed": np.zeros_like(part),
            "force": np.zeros((n, forces)),
        }
        held = {name: torch.from_numpy(values.astype(np.float32)) for name, values in numbers.items()}
        return State(scene=torch.from_numpy(member.copy()), **held)

    def recorded(self, scene: NDArray[np.int64], qpos: Array, qvel: Array) -> dict[str, NDArray[np.float32]]:
        """What MuJoCo's states say of E episodes: joints, speeds, poses, velocity, part and part_speed of `Experience`.

        Args:
            scene: (E,). qpos: (E, T, nq). qvel: (E, T, nv).
        """
        world, base, turned = self._world, self._base[scene][:, None, None], self._turn[scene][:, None, None]
        pose, velocity = qpos[..., world.object_qpos], qvel[..., world.object_dof]
        frames = turned.swapaxes(3, 4) @ rotations.from_quaternion(pose[..., 3:])
        angular = (frames @ velocity[..., 3:, None])[..., 0]
        linear = (turned.swapaxes(3, 4) @ velocity[..., :3, None])[..., 0]
        arm = (frames @ self._centers[scene][:, None, :, :, None])[..., 0]
        place = (turned.swapaxes(3, 4) @ (pose[..., :3] - base)[..., None])[..., 0]
        part = np.zeros((*qpos.shape[:2], self._most_parts))
        part_speed = np.zeros_like(part)
        for k in np.unique(scene):
            rows = np.flatnonzero(scene == k)
            count = len(self._part_qpos[k])
            part[rows, :, :count] = qpos[rows][:, :, self._part_qpos[k]]
            part_speed[rows, :, :count] = qvel[rows][:, :, self._part_dof[k]]
        found = {
            "joints": qpos[..., self._robot_qpos],
            "speeds": qvel[..., self._robot_dof],
            "poses": np.concatenate([place, rotations.to_quaternion(frames)], -1),
            "velocity": np.concatenate([linear + np.cross(angular, arm), angular], -1),
            "part": part,
            "part_speed": part_speed,
        }
        return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in found.items()}

    def arrays(self, num_envs: int) -> dict[str, Array]:
        """New arrays of all sensors, zero."""
        world = self._world
        joints, objects, parts = len(world.home), len(world.object_qpos), len(world.part_qpos)
        arm = {"gripper_width": (), "pad_force": (2,), "grip_pos": (3,), "grip_mat": (3, 3)}
        hand = {"joint_target": (joints,), "tip_pos": (5, 3), "tip_force": (5,), "palm_pos": (3,), "palm_mat": (3, 3)}
        shapes: dict[str, tuple[int, ...]] = {
            "joint_pos": (joints,),
            "joint_vel": (joints,),
            **(arm if world.robot.kind == "arm" else hand),
            "object_pos": (objects, 3),
            "object_mat": (objects, 3, 3),
            "object_vel": (objects, 6),
            "part_pos": (parts,),
            "part_vel": (parts,),
            "handle_pos": (parts, 3),
            "handle_mat": (parts, 3, 3),
        }
        return {name: np.zeros((num_envs, *shape)) for name, shape in shapes.items()}

    def sensors(self, geometry: Geometry, state: State, hand: Hand) -> dict[str, Array]:
        """Sensors of n worlds; see `envs.simulator`."""
        member = state.scene.numpy()
        base, turned = self._base[member], self._turn[member]
        joints, speeds = _double(state.joints), _double(state.speeds)
        angular = turn_back(state.rotation, state.velocity[..., 3:])
        arm = turn(state.rotation, geometry.center[state.scene][:, : geometry.free])
        linear = state.velocity[..., :3] - torch.linalg.cross(state.velocity[..., 3:], arm)
        found = {
            "joint_pos": joints[:, self._links],
            "joint_vel": speeds[:, self._links],
            "object_pos": _placed(base, turned, _double(state.position)),
            "object_mat": turned[:, None] @ _double(state.rotation),
            "object_vel": np.concatenate([_placed(np.zeros_like(base), turned, _double(linear)), _double(angular)], 2),
        }
        at, frame = base + rotations.rotate(turned, _double(hand.at)), turned @ _double(hand.frame)
        if self._world.robot.kind == "arm":
            width = self._width(joints, hand)
            found |= {"gripper_width": width, "pad_force": _double(state.force), "grip_pos": at, "grip_mat": frame}
        else:
            found |= {
                "joint_target": _double(state.told)[:, self._world.joint_ctrl],
                "tip_pos": _placed(base, turned, _double(hand.markers)),
                "tip_force": _double(state.force),
                "palm_pos": at,
                "palm_mat": frame,
            }
        if self._shown.shape[1]:
            shown = self._shown[member]
            at, frame = (_double(x) for x in geometry.part_frames(state.scene, state.part))
            at = np.take_along_axis(at, shown[:, :, None], 1)
            frame = np.take_along_axis(frame, shown[:, :, None, None], 1)
            at = at + (frame @ self._handle_at[member][..., None])[..., 0]
            found |= {
                "part_pos": np.take_along_axis(_double(state.part), shown, 1),
                "part_vel": np.take_along_axis(_double(state.part_speed), shown, 1),
                "handle_pos": _placed(base, turned, at),
                "handle_mat": turned[:, None] @ frame @ self._handle_turn[member],
            }
        return found

    def _width(self, joints: Array, hand: Hand) -> Array:
        """Openings (n,) of grippers [m]."""
        table = self._world.arm.grip_table
        if table is None:
            return np.asarray(joints[:, self._fingers].sum(1))
        left, right = hand.markers.unbind(1)
        return np.maximum(_double(((left - right) * hand.frame[:, :, 1]).sum(1)) - table.gap, 0.0)

    def qpos(self, state: State) -> Array:
        """Positions (n, nq) of everything, in the order of the scene's model."""
        member = state.scene.numpy()
        base, turned = self._base[member], self._turn[member]
        found: Array = self._home[member]
        found[:, self._robot_qpos] = _double(state.joints)
        world = self._world
        found[:, world.object_qpos[:, :3]] = _placed(base, turned, _double(state.position))
        found[:, world.object_qpos[:, 3:]] = rotations.to_quaternion(turned[:, None] @ _double(state.rotation))
        for k in np.unique(member):
            rows = np.flatnonzero(member == k)
            found[rows[:, None], self._part_qpos[k]] = _double(state.part)[rows, : len(self._part_qpos[k])]
        return found


def _placed(base: Array, turned: Array, points: Array) -> Array:
    """Points (n, K, 3) from the frames of bases (n, 3), (n, 3, 3) to the world's."""
    x, y, z = points[..., :1], points[..., 1:2], points[..., 2:]
    turned = turned[:, None]
    return np.asarray(base[:, None] + (turned[..., 0] * x + turned[..., 1] * y + turned[..., 2] * z))


def _centers(world: World) -> Array:
    """Centres of mass (K, 3) of the free bodies, in their frames."""
    joints = [int(np.flatnonzero(world.model.jnt_qposadr == place)[0]) for place in world.object_qpos[:, 0]]
    return np.asarray(world.model.body_ipos[world.model.jnt_bodyid[joints]])


def _double(values: Tensor) -> Array:
    return np.asarray(values.numpy(), dtype=np.float64)


def _site_in_body(model: mujoco.MjModel, site: int) -> tuple[Array, Array]:
    turned = np.zeros(9)
    mujoco.mju_quat2Mat(turned, model.site_quat[site])
    return model.site_pos[site].copy(), turned.reshape(3, 3)
