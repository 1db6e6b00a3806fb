"""The `neural` backend: learned worlds behind the same environments.

A model (`world_models`) says how robot and things go on; no physics engine is asked. The robot's own software, its
controller, is the same as with physics, and so are tasks, rewards and observations: they read sensors, and these are
what the model predicts. Episodes start from the scene's settled states; from then on the model is alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import CheckpointError
from ...workers import processors
from ...world_models.checkpoint import read_card
from ...world_models.hybrid.geometry import Geometry, Hand, Sight, State
from ...world_models.hybrid.model import check_shape, load_model
from ...world_models.shipped import SHIPPED
from ..control import make_controller
from ..marks import Mark
from ..pictures import Pictures
from ..simulator import Array, Episodes, Ids, Images, RendererInfo, Sensors, SimulatorState
from ..world import World
from .confidence import Confidence
from .forms import model_shape, robot_form, scene_form
from .physics import SUBSTEPS
from .places import Places


def shipped(worlds: Sequence[World], task: str) -> Path:
    """The model that comes with the package for a task in scenes with a robot.

    Some tasks have one of their own, for those of the package's scenes that it was made in; elsewhere it is the
    robot's.

    Raises:
        CheckpointError: there is none.
    """
    robot = worlds[0].robot.name
    own = SHIPPED / f"{robot}-{task}.safetensors"
    scenes = [world.scene for world in worlds]
    if own.is_file() and all(scene.folder is None for scene in scenes):  # a scan may have any name
        known = read_card(own).trained_on.get("scenes", ())
        if all(scene.name in known for scene in scenes):
            return own
    path = SHIPPED / f"{robot}.safetensors"
    if not path.is_file():
        stems = {file.stem.partition("-")[0] for file in SHIPPED.glob("*.safetensors")}
        found = sorted(stems - {"renderer"})
        raise CheckpointError(
            f"no neural model comes with the package for robot {robot!r} (there are {found}); train one with "
            "`pocketworlds train neural` and pass checkpoint=<file>"
        )
    return path


class NeuralSimulator:
    """`num_envs` worlds, each of one of a few scenes; see `Simulator`."""

    def __init__(
        self,
        worlds: Sequence[World],
        num_envs: int,
        *,
        checkpoint: str | Path,
        control_mode: str = "ee_delta",
        num_threads: int = 0,
        renderer: str = "gl",
    ) -> None:
        """Looks at the scenes.

        Args:
            worlds: the compiled scenes with their robot, of one layout. num_envs: number of worlds.
            checkpoint: file of the model.
            control_mode: see `envs.control`. num_threads: of the controller, 0 for all processors.
            renderer: see `envs.rendering`.

        Raises:
            CheckpointError: it cannot be used, or not for this robot.
        """
        self.world = world = worlds[0]
        self._worlds = tuple(worlds)
        self._member = np.zeros(num_envs, dtype=np.int64)
        self.num_envs = num_envs
        self.control_period = SUBSTEPS * float(world.model.opt.timestep)
        threads = min(num_threads or processors(), num_envs)
        self._controller = make_controller(control_mode, worlds, num_envs, threads)
        self.action_size = self._controller.action_size
        robot, path = robot_form(world), checkpoint
        self._dynamics, trust, self.card = load_model(path)
        if self.card.robot != world.robot.name:
            raise CheckpointError(
                f"{path} is for robot {self.card.robot!r}, this one is {world.robot.name!r}; train a model for it with "
                "`pocketworlds train neural`"
            )
        check_shape(path, self._dynamics.shape, model_shape(world, robot))
        self._geometry = Geometry(robot, [scene_form(each) for each in worlds])
        self._places = Places(worlds)
        self._qpos = np.stack([each.home_qpos for each in worlds])[self._member]
        self._pictures = Pictures(worlds, self._qpos, self._member, renderer=renderer, period=self.control_period)
        self.segmentation_names = self._pictures.segmentation_names
        self._all = np.arange(num_envs)
        self._state = self._blank()
        self._sight = self._geometry.see(self._state)
        self.confidence = Confidence(num_envs, trust)
        self._sensors = self._places.arrays(num_envs)

    @torch.inference_mode()
    def reset(self, ids: Ids, episodes: Episodes) -> None:
        """See `Simulator`."""
        self._assign(ids, episodes.member)
        state = self._places.start(self._geometry, episodes)
        sight = self._geometry.see(state)
        force = self._dynamics.forces(self._dynamics.force_inputs(state, state.told, sight))
        state = replace(state, force=self._dynamics.newtons(force))
        self._put(ids, state, sight)
        self.confidence.reset(ids)
        self._read(ids, state, sight.hand)
        self._controller.reset(ids, self._sensors)

    @torch.inference_mode()
    def step(self, action: Array, ids: Ids | None = None) -> NDArray[np.bool_]:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        told = self._places.ordered(self._controller.target(rows, action[rows], self._sensors))
        together = 2 * len(rows) >= self.num_envs  # the few that are not asked for come along, and are put back
        if together:
            state, sight, at = self._state, self._sight, rows
            targets = np.zeros((self.num_envs, told.shape[1]), dtype=np.float32)
            targets[rows] = told
            target = torch.from_numpy(targets)
        else:
            chosen = torch.from_numpy(rows)
            state, sight, at = self._state[chosen], self._sight.of(chosen), np.arange(len(rows))
            target = torch.from_numpy(told)
        after, seen, doubt = self._dynamics.step(self._geometry, state, target, sight)
        good = after.finite().numpy()[at]
        failed = np.zeros(self.num_envs, dtype=np.bool_)
        failed[rows[~good]] = True
        rows, at = rows[good], at[good]
        chosen = torch.from_numpy(at)
        doubt = doubt[chosen]
        if together:
            others = np.ones(self.num_envs, dtype=np.bool_)
            others[rows] = False
            rest = torch.from_numpy(np.flatnonzero(others))
            if len(rest):
                after.put(rest, state[rest])
                seen = seen.put(rest, sight.of(rest))
            self._state, self._sight = after, seen
        else:
            after, seen = after[chosen], seen.of(chosen)
            self._put(rows, after, seen)
            at = np.arange(len(rows))
        self.confidence.add(rows, doubt)
        self._read(rows, after, seen.hand, at)
        return failed

    def diagnostics(self) -> dict[str, NDArray[Any]]:
        """See `Simulator` and `Confidence`."""
        return self.confidence.told

    def meter(self) -> None:
        """See `Simulator`: models do not tell it."""
        return None

    def audited(self, env_id: str) -> int:
        """See `Simulator`."""
        return self.card.audited(env_id)

    def sensors(self) -> Sensors:
        """See `Simulator`."""
        return self._sensors

    def get_state(self, ids: Ids | None = None) -> SimulatorState:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        state = self._state[torch.from_numpy(rows)]
        flat = [getattr(state, item.name).flatten(1).numpy() for item in fields(state)[1:]]
        flat.append(self.confidence.save(rows))
        return SimulatorState(
            member=self._member[rows].copy(),
            physics=np.concatenate(flat, axis=1).astype(np.float64),
            controller={name: values[rows].copy() for name, values in self._controller.get_state().items()},
            sensors={name: values[rows].copy() for name, values in self._sensors.items()},
        )

    @torch.inference_mode()
    def set_state(self, state: SimulatorState, ids: Ids | None = None) -> None:
        """See `Simulator`."""
        rows = self._all if ids is None else ids
        self._assign(rows, state.member)
        flat, start = torch.from_numpy(state.physics.astype(np.float32)), 0
        parts: dict[str, Tensor] = {"scene": torch.from_numpy(state.member)}
        for item in fields(State)[1:]:
            shape = getattr(self._state, item.name).shape[1:]
            parts[item.name] = flat[:, start : start + shape.numel()].reshape(len(flat), *shape)
            start += shape.numel()
        whole = State(**parts)
        self._put(rows, whole, self._geometry.see(whole))
        self.confidence.restore(rows, state.physics[:, start:])
        for name, values in self._controller.get_state().items():
            values[rows] = state.controller[name]
        for name, sensed in self._sensors.items():
            sensed[rows] = state.sensors[name]

    def mark(self, mark: Mark | None) -> None:
        """See `Simulator`."""
        self._pictures.mark = mark

    def images(
        self, ids: Ids, camera: str, kinds: Sequence[str], *, width: int, height: int, fine: bool = False
    ) -> Images:
        """See `Simulator`."""
        self._pose(ids)
        return self._pictures.draw(ids, camera, kinds, width=width, height=height, fine=fine)

    def show(self, world: int, camera: str) -> None:
        """See `Simulator`."""
        self._pose(self._all[[world]])
        self._pictures.show(world, camera)

    def renderer_info(self, *, width: int, height: int) -> RendererInfo:
        """See `Simulator`."""
        return self._pictures.info(width=width, height=height)

    def close(self) -> None:
        """See `Simulator`."""
        self._pictures.close()

    def _assign(self, ids: Ids, member: Ids) -> None:
        self._member[ids] = member
        if len(self._worlds) > 1:
            self._controller.assign(ids, member)

    def _blank(self) -> State:
        """States of worlds that no episode has begun in."""
        places, n = self._places, self.num_envs
        episodes = Episodes(
            joint_pos=np.repeat(self.world.home[None], n, axis=0),
            object_pos=np.repeat(self.world.home_qpos[self.world.object_qpos[:, :3]][None], n, axis=0),
            object_quat=np.repeat(self.world.home_qpos[self.world.object_qpos[:, 3:]][None], n, axis=0),
            part_pos=np.repeat(self.world.home_qpos[self.world.part_qpos][None], n, axis=0),
            member=self._member,
        )
        return places.start(self._geometry, episodes)

    def _put(self, ids: Ids, state: State, sight: Sight) -> None:
        """Puts m worlds into the batch at `ids` (m,)."""
        rows = torch.from_numpy(ids)
        self._state.put(rows, state)
        self._sight = self._sight.put(rows, sight)

    def _read(self, ids: Ids, state: State, hand: Hand, at: Ids | None = None) -> None:
        """Refreshes the sensors of worlds `ids` (m,) from states, theirs being at `at` (m,), by default all."""
        for name, values in self._places.sensors(self._geometry, state, hand).items():
            self._sensors[name][ids] = values if at is None or len(at) == len(values) else values[at]

    def _pose(self, ids: Ids) -> None:
        """Refreshes where everything is in worlds `ids`, for pictures."""
        self._qpos[ids] = self._places.qpos(self._state[torch.from_numpy(ids)])
