"""The environment itself: a batch of worlds in one process behind Gymnasium's `VectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import TaskError
from .backends import make_simulator
from .config import Config, Keywords, parse
from .episodes import EpisodeSampler
from .measuring import Measuring, episode_keys
from .observations import Observation, Observer, copy_rows, put_rows
from .robots import get_robot
from .schedule import Schedule, indices, masked
from .simulator import Array, Ids, RendererInfo, Sensors, Simulator, SimulatorState
from .tasks import Evaluation, Task, make_task, task_type
from .window import usable_render_modes
from .world import World, build_worlds

Info = dict[str, Any]

CONTROL_RATE = 20
"""Control steps per simulated second."""
SURE = 0.9
"""Who is as sure as this that nothing is lost is paid in full; docs/neural.md says what came of it."""


@dataclass(frozen=True)
class EnvState:
    """Everything needed to go on bit for bit; made by `get_state`, taken by `set_state`."""

    simulator: SimulatorState
    task: dict[str, NDArray[Any]]
    seeds: tuple[int, ...]
    episodes: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    done: NDArray[np.bool_]
    scene_weights: Array


class WorldVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """`num_envs` worlds with a scene, a robot and a task each; `PocketWorlds/Scan-v0` for `gym.make_vec`.

    World j starts episode e of seed s + j after `reset(seed=s)`, e counting from 0 at every end of an episode; so it
    runs the very episodes that `gym.make` runs after `reset(seed=s + j)`. `reset(options={"episode": e})` chooses e.

    Infos of every step: `is_success`, `reward/<term>` (raw terms in [0, 1]), `instruction`, `episode_index`,
    `scene_index`, `physics_error`, each with a mask `_<key>`; with `backend="neural"` also `neural/uncertainty` [m],
    `neural/strangeness`, `neural/lost` and `neural/ood` (`envs.backends.confidence`). A world whose physics diverges
    is truncated with `physics_error` set, keeps its last finite observation, and is reset as any finished one.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it; never changed
        "render_modes": ["human", "rgb_array"],
        "render_fps": CONTROL_RATE,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        **keywords: Unpack[Keywords],
    ) -> None:
        """Builds each scene once and `num_envs` worlds of them.

        Args:
            num_envs: number of worlds.
            autoreset_mode: any of Gymnasium's three, for this instance.
            max_episode_steps: control steps after which an episode is truncated, None for never.
            keywords: see `envs.config.Config`.

        Raises:
            TaskError: a keyword makes no sense, or no object suits the task. SceneError: the scene cannot be read.
            CheckpointError: the model of the neural backend cannot be used.
        """
        self.config: Config = parse(keywords)
        self.num_envs = _whole("num_envs", num_envs, 1)
        self.max_episode_steps = (
            None if max_episode_steps is None else _whole("max_episode_steps", max_episode_steps, 1)
        )
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError:
            modes = [mode.name for mode in AutoresetMode]
            raise TaskError(f"autoreset_mode={autoreset_mode!r} is not known; choose one of {modes}") from None
        self.metadata = {
            **type(self).metadata,
            "autoreset_mode": self.autoreset_mode,
            "render_modes": usable_render_modes(self.config.render_mode),
        }
        self.render_mode = self.config.render_mode
        mountings = [task_type(self.config.task).mounting(scene) for scene in self.config.scene]
        self.worlds: tuple[World, ...] = build_worlds(
            self.config.scene, get_robot(self.config.robot), mountings=mountings, rigs=self.config.rigs
        )
        for world in self.worlds:
            world.camera(self.config.camera)
        self.tasks: tuple[Task, ...] = tuple(
            make_task(self.config.task, world, self.num_envs, object=self.config.object, config=self.config.task_config)
            for world in self.worlds
        )
        self.task.join(self.tasks)
        samplers = [
            EpisodeSampler(world, task, joint_noise=self.config.joint_noise, object_jitter=self.config.object_jitter)
            for world, task in zip(self.worlds, self.tasks, strict=True)
        ]
        self._schedule = Schedule(samplers, self.num_envs)
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._done = np.zeros(self.num_envs, dtype=np.bool_)
        self._instructions = np.full(self.num_envs, "", dtype=object)
        self._all = np.arange(self.num_envs)
        self._measuring = Measuring(self.worlds, self.num_envs)
        self._keys = np.zeros(self.num_envs, dtype=np.uint64)
        self._warned = False
        self.simulator: Simulator = make_simulator(self.config, self.worlds, self.num_envs)
        try:
            self.simulator.mark(self.task.mark())
            self._observer = Observer(self.config, self.task, self.simulator, self._measured)
        except BaseException:
            self.simulator.close()  # nobody else can: there is no environment
            raise
        self.single_action_space = gym.spaces.Box(-1, 1, (self.simulator.action_size,), np.float32)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.single_observation_space = self._observer.space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    # -- Gymnasium -------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Starts new episodes.

        Args:
            seed: s gives world j the seed s + j; a list gives each its own; None goes on with the next episode.
            options: `reset_mask`, bool (num_envs,): the worlds to reset, all by default. `episode`: index (or one a
                world) of the episode to start instead of the next. `scene`: index (or one a world) of the scene to
                start it in, where there are several, instead of the one it draws. `elapsed`: control steps (or one
                number a world) that count as taken already, so that worlds that start together do not all end together.
        """
        options = dict(options or {})
        ids = masked(options.pop("reset_mask", None), self.num_envs)
        chosen = {name: options.pop(name, None) for name in ("episode", "scene", "elapsed")}
        if options:
            known = ", ".join(repr(name) for name in ("reset_mask", *chosen))
            raise TaskError(f"reset option {next(iter(options))!r} is not known; it takes {known}")
        ends = {"scene": len(self.worlds)}
        given = {
            name: indices(name, value, self.num_envs, ends.get(name))[ids]
            for name, value in chosen.items()
            if value is not None
        }
        self._warn()
        if isinstance(seed, (int, np.integer)):
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(int(seed))
        self._schedule.seed(ids, seed, fallback=int(self.np_random_seed or 0))
        if "episode" in given:
            self._schedule.episodes[ids] = given["episode"] - 1
        self._start(ids, given.get("scene"))
        if "elapsed" in given:
            self._elapsed[ids] = given["elapsed"]
        evaluation = self.task.evaluate(self.simulator.sensors())
        self._show()
        return self.observe(), self._info(ids, evaluation, np.zeros(self.num_envs, dtype=np.bool_))

    def step(self, actions: NDArray[Any]) -> tuple[Observation, Array, NDArray[np.bool_], NDArray[np.bool_], Info]:
        """One control period (50 ms) of every world; see the class.

        Raises:
            InvalidAction: wrong shape, or not finite.
            ResetNeeded: before the first reset, or (autoreset disabled) a finished world was not reset.
        """
        action = np.asarray(actions, dtype=np.float64)
        if action.shape != self.action_space.shape:
            raise InvalidAction(f"actions must have shape {self.action_space.shape}, got {action.shape}")
        observation, reward, terminated, truncated, info, _ = self._play(action[:, None], 1.0)
        return observation, reward, terminated, truncated, info

    def render(self) -> tuple[NDArray[Any], ...] | None:
        """One uint8 (height, width, 3) picture of every world if `render_mode` is "rgb_array", else None.

        With "human", the window follows `reset` and `step` by itself.
        """
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" or "human" at make time')
        if self.render_mode != "rgb_array":
            return None
        return tuple(self._pictures(self._all, self.config.camera))

    def close_extras(self, **kwargs: Any) -> None:
        """Frees graphics contexts, and closes the window."""
        self.simulator.close()

    # -- beyond Gymnasium ------------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """The compiled scene; the first, where there are several: `worlds` has all."""
        return self.worlds[0]

    @property
    def task(self) -> Task:
        """The task of all worlds of the batch; `tasks` has that of each scene."""
        return self.tasks[0]

    def step_chunk(
        self, chunks: NDArray[Any], *, discount: float = 1.0
    ) -> tuple[Observation, Array, NDArray[np.bool_], NDArray[np.bool_], Info]:
        """Several control periods with one observation, at their end; see `envs.chunks`.

        A world whose episode ends stops there and leaves out the rest of its chunk.

        Args:
            chunks: (num_envs, H, action_size), played one after another.
            discount: rewards are summed with weights 1, discount, discount ** 2, ...

        Returns:
            As `step`; infos have `chunk_steps` too, int64 (num_envs,): how many actions were played, 0 where an episode
            was begun instead.

        Raises:
            InvalidAction, ResetNeeded: see `step`.
        """
        chunk = np.asarray(chunks, dtype=np.float64)
        size = self.simulator.action_size
        if chunk.ndim != 3 or chunk.shape[::2] != (self.num_envs, size) or chunk.shape[1] == 0:
            raise InvalidAction(f"chunks must have shape ({self.num_envs}, H, {size}) with H >= 1, got {chunk.shape}")
        observation, reward, terminated, truncated, info, played = self._play(chunk, discount)
        everywhere = np.ones(self.num_envs, dtype=np.bool_)
        for told in (info, info.get("final_info")):
            if told is not None:
                told |= {"chunk_steps": played.copy(), "_chunk_steps": everywhere.copy()}
        return observation, reward, terminated, truncated, info

    def observe(self) -> Observation:
        """The observation of all worlds as they are now, drawn anew."""
        return self._observer.observe(self._all)

    def without_pictures(self) -> AbstractContextManager[None]:
        """A context inside which pictures in observations are not drawn: they are zero. `observe` draws them later."""
        return self._observer.without_pictures()

    def sensors(self) -> Sensors:
        """The named quantities of all worlds, live; see `envs.simulator`."""
        return self.simulator.sensors()

    def picture(self, index: int, camera: str | None = None) -> NDArray[Any]:
        """A uint8 (height, width, 3) picture of world `index`, by default from the environment's camera."""
        if not -self.num_envs <= index < self.num_envs:
            raise TaskError(f"there is no world {index}, there are {self.num_envs}")
        return np.asarray(self._pictures(self._all[[index]], camera or self.config.camera)[0])

    @property
    def scene_weights(self) -> Array:
        """How often episodes draw each of the S scenes: (S,), adding up to 1; all equal to begin with.

        Set it to (S,) numbers in proportion, such as `digital_cousins.curriculum` gives: episodes that begin from then
        on draw by these, each by its seed and index as before, and equal weights give the draws of an environment whose
        weights were never set. `reset(options={"scene": ...})` chooses in spite of them. A part of the state.

        Raises:
            TaskError: they are not as many as scenes, negative, not finite, or all zero.
        """
        return self._schedule.weights.copy()

    @scene_weights.setter
    def scene_weights(self, weights: Array | Sequence[float]) -> None:
        self._schedule.weigh(weights)

    @property
    def segmentation_names(self) -> tuple[str, ...]:
        """What the values of segmentation pictures stand for, as indices: see `envs.segmentation`."""
        return self.simulator.segmentation_names

    @property
    def renderer_info(self) -> RendererInfo:
        """What draws the pictures of observations: renderer, backend ("egl", "osmesa", ...) and device."""
        width, height = self.config.image_size
        return self.simulator.renderer_info(width=width, height=height)

    @property
    def elapsed(self) -> NDArray[np.int64]:
        """Control steps (num_envs,) since each world's episode began; 0 right after a reset."""
        return self._elapsed

    @property
    def state_layout(self) -> dict[str, slice]:
        """Where each named part lies in a state observation."""
        layout, start = {}, 0
        for name, part in self.task.observe(self.simulator.sensors()).items():
            layout[name] = slice(start, start + part.shape[1])
            start += part.shape[1]
        return layout

    def get_state(self) -> EnvState:
        """A copy of the full state of all worlds: physics, controller, task and episode counters."""
        return EnvState(
            simulator=self.simulator.get_state(),
            task={name: values.copy() for name, values in self.task.get_state().items()},
            seeds=tuple(self._schedule.seeds),
            episodes=self._schedule.episodes.copy(),
            elapsed=self._elapsed.copy(),
            done=self._done.copy(),
            scene_weights=self.scene_weights,
        )

    def set_state(self, state: EnvState) -> None:
        """Goes back to a state from `get_state` of an environment with the same keywords; going on is bit-identical."""
        if len(state.episodes) != self.num_envs:
            raise TaskError(f"the state has {len(state.episodes)} worlds, this environment {self.num_envs}")
        self._schedule.scenes[:] = state.simulator.member
        self.task.assign(self._all, state.simulator.member)
        self._measuring.assign(self._all, state.simulator.member)
        self.simulator.set_state(state.simulator)
        for name, values in self.task.get_state().items():
            values[:] = state.task[name]
        self.scene_weights = state.scene_weights
        self._schedule.seeds[:] = state.seeds
        self._schedule.episodes[:], self._elapsed[:] = state.episodes, state.elapsed
        self._keys[:] = episode_keys(state.seeds, state.episodes)
        self._done = state.done.copy()
        self._instruct(self._all)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _start(self, ids: Ids, scenes: Ids | None = None) -> None:
        """Begins the next episode in worlds `ids` (m,), in `scenes` (m,) or those the episodes draw."""
        episodes, draws = self._schedule.begin(ids, scenes)
        if len(self.worlds) > 1:
            self.task.assign(ids, episodes.member)
            self._measuring.assign(ids, episodes.member)
        self._keys[ids] = episode_keys([self._schedule.seeds[j] for j in ids], self._schedule.episodes[ids])
        self.task.choose(ids, draws)
        self.simulator.reset(ids, episodes)
        self.task.begin(ids, self.simulator.sensors())
        self._elapsed[ids] = 0
        self._done[ids] = False
        self._instruct(ids)

    def _warn(self) -> None:
        """Says once that episodes are longer than what the model was audited for."""
        if self._warned:
            return
        self._warned = True
        audited = self.simulator.audited(self.spec.id if self.spec else "")
        steps = self.max_episode_steps or (self.spec.max_episode_steps if self.spec else None)
        if audited is not None and steps is not None and steps > audited:
            told = f"for {audited} control steps" if audited else "for no number of control steps"
            gym.logger.warn(
                f"the neural model was audited {told} of this environment, whose episodes have {steps}; do not trust "
                "it beyond (`pocketworlds bench audit`)"
            )

    def _measured(self) -> Sensors:
        return self._measuring.measured(self.simulator.sensors(), self._keys, self._elapsed)

    def _instruct(self, ids: Ids) -> None:
        self._instructions = self._instructions.copy()  # those handed out before stay as they were
        for j in ids:
            sentence = self.tasks[self._schedule.scenes[j]].sentence(self.task.drawn(int(j)))
            self._instructions[j] = sentence.replace("_", " ")  # as names are spelled

    def _restart(self, ids: Ids, observation: Observation, info: Info) -> tuple[Observation, Info]:
        """SAME_STEP: puts what ended into `final_obs` and `final_info` and begins the next episodes."""
        final = copy_rows(observation, ids)
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[ids] = True
        ended = {name: mask.copy() if name.startswith("_") else values.copy() for name, values in info.items()}
        self._start(ids)
        evaluation = self.task.evaluate(self.simulator.sensors())
        fresh = self._info(self._all, evaluation, np.zeros(self.num_envs, dtype=np.bool_))
        for name, values in fresh.items():
            info[name][ids] = values[ids]
        info |= {"final_obs": final, "_final_obs": mask, "final_info": ended, "_final_info": mask.copy()}
        self._show()
        put_rows(observation, ids, self._observer.observe(ids))
        return observation, info

    def _play(
        self, chunk: Array, discount: float
    ) -> tuple[Observation, Array, NDArray[np.bool_], NDArray[np.bool_], Info, NDArray[np.int64]]:
        """Plays actions (num_envs, H, action_size) and observes at the end; `step` has H = 1.

        Returns:
            What `step` returns, and the number of actions played in each world (num_envs,).
        """
        if self._schedule.episodes.min() < 0:
            raise ResetNeeded("call reset() before step()")
        mode = self.autoreset_mode
        if mode is AutoresetMode.DISABLED and self._done.any():
            raise ResetNeeded(
                f"worlds {np.flatnonzero(self._done)[:5].tolist()} have finished; reset them with "
                "reset(options={'reset_mask': terminated | truncated})"
            )
        resetting = np.flatnonzero(self._done) if mode is AutoresetMode.NEXT_STEP else self._all[:0]
        moving = self._all if len(resetting) == 0 else np.flatnonzero(~self._done)
        action = self._checked(chunk, moving)
        total = np.zeros(self.num_envs)
        terminated, truncated, failed = (np.zeros(self.num_envs, dtype=np.bool_) for _ in range(3))
        played = np.zeros(self.num_envs, dtype=np.int64)
        if len(resetting):
            self._start(resetting)
        for number in range(action.shape[1]):
            if len(moving):
                failed |= self.simulator.step(action[:, number], None if len(moving) == self.num_envs else moving)
            self._elapsed[moving] += 1
            played[moving] += 1
            evaluation = self.task.evaluate(self.simulator.sensors())
            reward = evaluation.dense if self.config.reward_mode == "dense" else evaluation.success.astype(np.float64)
            doubts = self.simulator.diagnostics()
            if self.config.on_ood == "penalise" and "neural/lost" in doubts:
                known = np.clip(2.0 - doubts["neural/strangeness"], 0.0, 1.0)
                reward = reward * known * np.minimum((1.0 - doubts["neural/lost"]) / SURE, 1.0)
            total[moving] += np.where(failed, 0.0, discount**number * reward)[moving]
            ended = evaluation.success & self.config.terminate_on_success & ~failed
            terminated[moving] = ended[moving]
            truncated[moving] = failed[moving]
            if self.config.on_ood == "truncate" and "neural/ood" in doubts:
                truncated[moving] |= (doubts["neural/ood"] & ~terminated)[moving]
            if self.max_episode_steps is not None:
                truncated[moving] |= ((self._elapsed >= self.max_episode_steps) & ~terminated)[moving]
            self._show()
            done = terminated | truncated
            moving = moving[~done[moving]]
            if len(moving) == 0:
                break
        info = self._info(self._all, evaluation, failed)
        observation = self.observe()
        if mode is AutoresetMode.SAME_STEP:
            if done.any():
                observation, info = self._restart(np.flatnonzero(done), observation, info)
        else:
            self._done = done
        return observation, total, terminated, truncated, info, played

    def _checked(self, chunk: Array, moving: Ids) -> Array:
        """The actions (num_envs, H, action_size), clipped, after a look at those of worlds `moving`."""
        if not np.isfinite(chunk[moving]).all():
            bad = moving[~np.isfinite(chunk[moving]).all(axis=(1, 2))]
            raise InvalidAction(f"actions of worlds {bad[:5].tolist()} are not finite; check the policy's output")
        return np.clip(chunk, -1.0, 1.0)

    def _info(self, ids: Ids, evaluation: Evaluation, failed: NDArray[np.bool_]) -> Info:
        values: Info = {
            "is_success": evaluation.success & ~failed,
            **{f"reward/{name}": term for name, term in evaluation.terms.items()},
            "instruction": self._instructions.copy(),
            "episode_index": self._schedule.episodes.copy(),
            "scene_index": self._schedule.scenes.copy(),
            "physics_error": failed.copy(),
            **{name: told.copy() for name, told in self.simulator.diagnostics().items()},
        }
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[ids] = True
        return {**values, **{f"_{name}": mask.copy() for name in values}}

    def _pictures(self, ids: Ids, camera: str) -> NDArray[Any]:
        """Films' pictures of worlds `ids` (m,): uint8 (m, height, width, 3)."""
        width, height = self.config.render_size
        return self.simulator.images(ids, camera, ("rgb",), width=width, height=height, fine=True)["rgb"]

    def _show(self) -> None:
        if self.render_mode == "human":
            self.simulator.show(0, self.config.camera)


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TaskError(f"{name} must be a whole number from {least}, got {value!r}")
    return int(value)
