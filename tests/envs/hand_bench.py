"""The hand in bare MuJoCo: as much of an environment as its tasks and experts need."""

from __future__ import annotations

from types import SimpleNamespace

import mujoco
import numpy as np
from mujoco.batch import Batch
from pocketworlds.envs import rotations
from pocketworlds.envs.hand_control import HandDelta
from pocketworlds.envs.robots import PREFIX
from pocketworlds.envs.robots.hand import HAND, Posture
from pocketworlds.envs.shapes import body_points, outline
from pocketworlds.envs.tasks.task import Draw

SUBSTEPS, RAMP = 25, 5


def hand_model(posture: Posture, shape: str, size: tuple[float, ...], *, mass: float, height: float) -> mujoco.MjModel:
    """A floor, the hand's base at `height`, and one free object called `thing`, with the options of a scene."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    option = spec.option
    option.timestep = 0.002
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 20
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.jacobian = mujoco.mjtJacobian.mjJAC_DENSE
    spec.worldbody.add_light(pos=[0.5, 0, 2], dir=[-0.2, 0, -1])
    box = mujoco.mjtGeom.mjGEOM_BOX
    spec.worldbody.add_geom(type=box, size=[0.6, 0.6, 0.02], pos=[0, 0, -0.02], friction=[0.6, 0.005, 0.0001])
    thing = spec.worldbody.add_body(name="thing")
    thing.add_freejoint(name="thing_joint")
    kind = getattr(mujoco.mjtGeom, f"mjGEOM_{shape.upper()}")
    padded = [*size, 0.0, 0.0][:3]
    thing.add_geom(type=kind, size=padded, mass=mass, friction=[0.8, 0.005, 0.0001], condim=4, rgba=[0.9, 0.5, 0.2, 1])
    frame = spec.worldbody.add_frame()
    frame.attach_body(HAND.build().body("base"), PREFIX, "")
    base = spec.body(PREFIX + "base")
    base.pos, base.quat = [0, 0, height], [0, 1, 0, 0] if posture.flipped else [1, 0, 0, 0]
    return spec.compile()


class HandBench:
    """`num_envs` worlds of one model; implements `agents.hand_experts.HandEnv`."""

    def __init__(self, model: mujoco.MjModel, num_envs: int, make_task, *, hold_base: bool) -> None:
        self.hand, self.num_envs, self.hold_base, self.model = HAND, num_envs, hold_base, model
        self.batch = Batch(model, num_envs, nthread=min(2, num_envs))
        self._qpos, self._qvel, self._ctrl = (self.batch.bind(name) for name in ("qpos", "qvel", "ctrl"))
        self._site, self._mat = self.batch.bind("site_xpos"), self.batch.bind("site_xmat")
        self._data = self.batch.bind("sensordata")
        joints = [model.joint(PREFIX + name) for name in HAND.joints]
        self._q = np.array([int(joint.qposadr[0]) for joint in joints])
        self._v = np.array([int(joint.dofadr[0]) for joint in joints])
        self._u = np.array([model.actuator(PREFIX + name).id for name in HAND.joints])
        self._tips = np.array([model.site(PREFIX + name).id for name in HAND.tips])
        self._force = np.array([int(model.sensor(PREFIX + name).adr[0]) for name in HAND.tips])
        self._palm = model.site(PREFIX + "palm").id
        first, dof = int(model.joint("thing_joint").qposadr[0]), int(model.joint("thing_joint").dofadr[0])
        self._pose, self._vel = np.arange(first, first + 7), np.arange(dof, dof + 6)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        base = model.body(PREFIX + "base").id
        self.base_pos, self.base_mat = data.xpos[base].copy(), data.xmat[base].reshape(3, 3).copy()
        points = body_points(model, data, model.body("thing").id)
        world = SimpleNamespace(
            objects=("thing",),
            scene=SimpleNamespace(
                name="bench", object=lambda name: SimpleNamespace(size=tuple(np.ptp(points, axis=0)))
            ),
            base_pos=self.base_pos,
            base_mat=self.base_mat,
            outlines={"thing": outline(points)},
            mount=SimpleNamespace(in_reach=("thing",)),
            home_qpos=model.qpos0.copy(),
            object_qpos=self._pose[None],
            model=model,
        )
        self.task = make_task(world, num_envs)
        self.elapsed = np.zeros(num_envs, dtype=np.int64)
        self.control = HandDelta(HAND, num_envs, hold_base=hold_base)
        self._rows = np.arange(num_envs)

    def reset(self, posture: Posture, pos: np.ndarray, quat: np.ndarray, goals: np.ndarray | None = None) -> None:
        """Starts all worlds: objects at `pos` (n, 3), `quat` (n, 4), with the task's `goals` (n, 3)."""
        self.batch.reset()
        self._qpos[:, self._q] = self._ctrl[:, self._u] = np.array(posture.joints)
        self._qpos[:, self._pose] = np.concatenate([pos, quat], axis=1)
        self.batch.forward(stage=int(mujoco.mjtStage.mjSTAGE_ACC))
        sensors = self.sensors()
        self.control.reset(self._rows, sensors["joint_pos"])
        goals = np.zeros((self.num_envs, 3)) if goals is None else goals
        self.task.begin(self._rows, [Draw(0, goal) for goal in goals], sensors)
        self.elapsed[:] = 0

    def step(self, action: np.ndarray) -> np.ndarray:
        """One control period of 50 ms; returns success (n,)."""
        start = self._ctrl[:, self._u].copy()
        goal = self.control.target(self._rows, np.asarray(action, float), self._qpos[:, self._q])
        for piece in range(1, RAMP + 1):
            self._ctrl[:, self._u] = start + (goal - start) * (piece / RAMP)
            stage = int(mujoco.mjtStage.mjSTAGE_VEL) if piece == RAMP else 0
            self.batch.step(nstep=SUBSTEPS // RAMP, stage=stage)
        self.elapsed += 1
        return self.task.evaluate(self.sensors()).success

    def sensors(self) -> dict[str, np.ndarray]:
        """See `envs.tasks.hand_task`."""
        pose = self._qpos[:, self._pose]
        return {
            "joint_pos": self._qpos[:, self._q],
            "joint_vel": self._qvel[:, self._v],
            "tip_pos": self._site[:, self._tips],
            "tip_force": self._data[:, self._force],
            "palm_pos": self._site[:, self._palm].copy(),
            "palm_mat": self._mat[:, self._palm].reshape(-1, 3, 3).copy(),
            "object_pos": pose[:, None, :3],
            "object_quat": pose[:, None, 3:],
            "object_vel": self._qvel[:, self._vel][:, None],
        }

    def in_palm(self) -> np.ndarray:
        """The object's position (n, 3) in the palm's frame."""
        s = self.sensors()
        offset = rotations.rotate(s["palm_mat"].transpose(0, 2, 1), s["object_pos"][:, 0] - s["palm_pos"])
        return offset + np.array(HAND.palm_center)


def yaw_quaternion(yaw: np.ndarray) -> np.ndarray:
    """Quaternions (n, 4) of turns (n,) about the vertical."""
    return np.stack([np.cos(yaw / 2), 0 * yaw, 0 * yaw, np.sin(yaw / 2)], axis=1)
