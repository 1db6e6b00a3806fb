"""The environment itself: a batch of worlds in one process behind Gymnasium's `VectorEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import TaskError
from .config import Config, Keywords, parse
from .episodes import EpisodeSampler
from .physics import PhysicsSimulator
from .robots import get_robot
from .simulator import Array, Ids, Sensors, Simulator, SimulatorState
from .tasks import Evaluation, Task, make_task, task_type
from .world import World, build_world

Observation = NDArray[Any] | dict[str, NDArray[Any]]
Info = dict[str, Any]

CONTROL_RATE = 20
"""Control steps per simulated second."""


@dataclass(frozen=True)
class EnvState:
    """Everything needed to go on bit for bit; made by `get_state`, taken by `set_state`."""

    simulator: SimulatorState
    task: dict[str, NDArray[Any]]
    seeds: tuple[int, ...]
    episodes: NDArray[np.int64]
    elapsed: NDArray[np.int64]
    done: NDArray[np.bool_]


class WorldVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """`num_envs` copies of a scene with a robot and a task; `PocketWorlds/Scan-v0` for `gym.make_vec`.

    World j starts episode e of seed s + j after `reset(seed=s)`, e counting from 0 at every end of an episode; so it
    runs the very episodes that `gym.make` runs after `reset(seed=s + j)`. `reset(options={"episode": e})` chooses e.

    Infos of every step: `is_success`, `reward/<term>` (raw terms in [0, 1]), `instruction`, `episode_index`,
    `physics_error`, each with a mask `_<key>`. A world whose physics diverges is truncated with `physics_error` set,
    keeps its last finite observation, and is reset as any finished one.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it; never changed
        "render_modes": ["rgb_array"],
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
        """Builds the scene once and `num_envs` worlds of it.

        Args:
            num_envs: number of worlds.
            autoreset_mode: any of Gymnasium's three, for this instance.
            max_episode_steps: control steps after which an episode is truncated, None for never.
            keywords: see `envs.config.Config`.

        Raises:
            TaskError: a keyword makes no sense, or no object suits the task. SceneError: the scene cannot be read.
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
        self.metadata = {**type(self).metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = self.config.render_mode
        parts = task_type(self.config.task).parts_of(self.config.scene)
        self.world: World = build_world(self.config.scene, get_robot(self.config.robot), parts=parts)
        self.world.camera(self.config.camera)
        self.task: Task = make_task(
            self.config.task, self.world, self.num_envs, object=self.config.object, config=self.config.task_config
        )
        self.simulator: Simulator = PhysicsSimulator(
            self.world, self.num_envs, control_mode=self.config.control_mode, num_threads=self.config.num_threads
        )
        self._sampler = EpisodeSampler(
            self.world, self.task, joint_noise=self.config.joint_noise, object_jitter=self.config.object_jitter
        )
        self._seeds: list[int] = [-1] * self.num_envs
        self._episodes = np.full(self.num_envs, -1, dtype=np.int64)
        self._elapsed = np.zeros(self.num_envs, dtype=np.int64)
        self._done = np.zeros(self.num_envs, dtype=np.bool_)
        self._instructions = np.full(self.num_envs, "", dtype=object)
        self._all = np.arange(self.num_envs)
        self.single_action_space = gym.spaces.Box(-1, 1, (self.simulator.action_size,), np.float32)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.single_observation_space = self._observation_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    # -- Gymnasium -------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Starts new episodes.

        Args:
            seed: s gives world j the seed s + j; a list gives each its own; None goes on with the next episode.
            options: `reset_mask`, bool (num_envs,): the worlds to reset, all by default. `episode`: index (or one a
                world) of the episode to start instead of the next. `elapsed`: control steps (or one number a world)
                that count as taken already, so that worlds that start together do not all end together.
        """
        options = dict(options or {})
        ids = self._masked(options.pop("reset_mask", None))
        episode = options.pop("episode", None)
        elapsed = options.pop("elapsed", None)
        if options:
            known = "'reset_mask', 'episode' and 'elapsed'"
            raise TaskError(f"reset option {next(iter(options))!r} is not known; it takes {known}")
        chosen = None if episode is None else self._numbers("episode", episode)[ids]
        taken = None if elapsed is None else self._numbers("elapsed", elapsed)[ids]
        self._seed(ids, seed)
        if chosen is not None:
            self._episodes[ids] = chosen - 1
        self._start(ids)
        if taken is not None:
            self._elapsed[ids] = taken
        evaluation = self.task.evaluate(self.simulator.sensors())
        return self._observe(), self._info(ids, evaluation, np.zeros(self.num_envs, dtype=np.bool_))

    def step(self, actions: NDArray[Any]) -> tuple[Observation, Array, NDArray[np.bool_], NDArray[np.bool_], Info]:
        """One control period (50 ms) of every world; see the class.

        Raises:
            InvalidAction: wrong shape, or not finite.
            ResetNeeded: before the first reset, or (autoreset disabled) a finished world was not reset.
        """
        if self._episodes.min() < 0:
            raise ResetNeeded("call reset() before step()")
        mode = self.autoreset_mode
        if mode is AutoresetMode.DISABLED and self._done.any():
            raise ResetNeeded(
                f"worlds {np.flatnonzero(self._done)[:5].tolist()} have finished; reset them with "
                "reset(options={'reset_mask': terminated | truncated})"
            )
        resetting = np.flatnonzero(self._done) if mode is AutoresetMode.NEXT_STEP else self._all[:0]
        moving = self._all if len(resetting) == 0 else np.flatnonzero(~self._done)
        action = self._checked(actions, moving)
        failed = np.zeros(self.num_envs, dtype=np.bool_)
        if len(moving):
            failed = self.simulator.step(action, None if len(moving) == self.num_envs else moving)
        self._elapsed[moving] += 1
        if len(resetting):
            self._start(resetting)
        evaluation = self.task.evaluate(self.simulator.sensors())
        reward = evaluation.dense if self.config.reward_mode == "dense" else evaluation.success.astype(np.float64)
        reward[failed] = 0.0
        reward[resetting] = 0.0
        terminated = evaluation.success & self.config.terminate_on_success & ~failed
        terminated[resetting] = False
        truncated = failed.copy()
        if self.max_episode_steps is not None:
            truncated |= (self._elapsed >= self.max_episode_steps) & ~terminated
            truncated[resetting] = False
        observation = self._observe()
        info = self._info(self._all, evaluation, failed)
        done = terminated | truncated
        if mode is AutoresetMode.SAME_STEP:
            if done.any():
                observation, info = self._restart(np.flatnonzero(done), observation, info)
        else:
            self._done = done
        return observation, reward, terminated, truncated, info

    def render(self) -> tuple[NDArray[Any], ...] | None:
        """One uint8 (height, width, 3) picture of every world if `render_mode` is "rgb_array", else None."""
        if self.render_mode is None:
            gym.logger.warn('render() needs render_mode="rgb_array" at make time')
            return None
        return tuple(self.picture(i) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Frees graphics contexts."""
        self.simulator.close()

    # -- beyond Gymnasium ------------------------------------------------------------------------------------------

    def sensors(self) -> Sensors:
        """The named quantities of all worlds, live; see `envs.simulator`."""
        return self.simulator.sensors()

    def picture(self, index: int, camera: str | None = None) -> NDArray[Any]:
        """A uint8 (height, width, 3) picture of world `index`, by default from the environment's camera."""
        width, height = self.config.render_size
        return self.simulator.image(index, camera or self.config.camera, width=width, height=height, fine=True)

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
            seeds=tuple(self._seeds),
            episodes=self._episodes.copy(),
            elapsed=self._elapsed.copy(),
            done=self._done.copy(),
        )

    def set_state(self, state: EnvState) -> None:
        """Goes back to a state from `get_state` of an environment with the same keywords; going on is bit-identical."""
        if len(state.episodes) != self.num_envs:
            raise TaskError(f"the state has {len(state.episodes)} worlds, this environment {self.num_envs}")
        self.simulator.set_state(state.simulator)
        for name, values in self.task.get_state().items():
            values[:] = state.task[name]
        self._seeds = list(state.seeds)
        self._episodes[:], self._elapsed[:] = state.episodes, state.elapsed
        self._done = state.done.copy()
        self._instruct(self._all)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _masked(self, mask: Any) -> Ids:
        if mask is None:
            return self._all
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise TaskError(
                f"option 'reset_mask' must be a bool array ({self.num_envs},) with a True in it, "
                f"got {mask.dtype} {mask.shape}"
            )
        return np.flatnonzero(mask)

    def _numbers(self, name: str, value: Any) -> NDArray[np.int64]:
        """A reset option as whole numbers (num_envs,) from 0."""
        given = np.asarray(value)
        if given.dtype.kind not in "iu" or given.shape not in ((), (self.num_envs,)) or (given < 0).any():
            raise TaskError(f"option {name!r} must be a whole number from 0, or one a world, got {value!r}")
        return np.broadcast_to(given, (self.num_envs,))

    def _seed(self, ids: Ids, seed: int | Sequence[int | None] | None) -> None:
        if seed is None:
            fresh = [int(j) for j in ids if self._episodes[j] < 0]
            given = {j: int(self.np_random_seed or 0) + j for j in fresh}
        elif isinstance(seed, (int, np.integer)):
            self._np_random, self._np_random_seed = gym.utils.seeding.np_random(int(seed))
            given = {int(j): int(seed) + int(j) for j in ids}
        else:
            if len(seed) != self.num_envs:
                raise TaskError(f"seed has {len(seed)} entries for {self.num_envs} worlds")
            given = {j: int(s) for j, s in enumerate(seed) if s is not None and j in set(ids.tolist())}
            fresh = [int(j) for j in ids if self._episodes[j] < 0 and int(j) not in given]
            given |= {j: int(self.np_random_seed or 0) + j for j in fresh}
        for j, value in given.items():
            if value < 0:
                raise TaskError(f"seeds must not be negative, got {value}")
            self._seeds[j], self._episodes[j] = value, -1

    def _start(self, ids: Ids) -> None:
        """Begins the next episode in worlds `ids`."""
        self._episodes[ids] += 1
        episodes, draws = self._sampler.draw([self._seeds[j] for j in ids], self._episodes[ids].tolist())
        self.simulator.reset(ids, episodes)
        self.task.begin(ids, draws, self.simulator.sensors())
        self._elapsed[ids] = 0
        self._done[ids] = False
        self._instruct(ids)

    def _instruct(self, ids: Ids) -> None:
        self._instructions = self._instructions.copy()  # those handed out before stay as they were
        for j in ids:
            self._instructions[j] = self.task.sentence(int(j))

    def _restart(self, ids: Ids, observation: Observation, info: Info) -> tuple[Observation, Info]:
        """SAME_STEP: puts what ended into `final_obs` and `final_info` and begins the next episodes."""
        final = np.full(self.num_envs, None, dtype=object)
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[ids] = True
        for j in ids:
            if isinstance(observation, dict):
                final[j] = {name: values[j].copy() for name, values in observation.items()}
            else:
                final[j] = observation[j].copy()
        ended = {name: mask.copy() if name.startswith("_") else values.copy() for name, values in info.items()}
        self._start(ids)
        evaluation = self.task.evaluate(self.simulator.sensors())
        fresh = self._info(self._all, evaluation, np.zeros(self.num_envs, dtype=np.bool_))
        for name, values in fresh.items():
            info[name][ids] = values[ids]
        info |= {"final_obs": final, "_final_obs": mask, "final_info": ended, "_final_info": mask.copy()}
        return self._observe(), info

    def _checked(self, actions: Any, moving: Ids) -> Array:
        action = np.asarray(actions, dtype=np.float64)
        if action.shape != (self.num_envs, self.simulator.action_size):
            raise InvalidAction(
                f"actions must have shape {(self.num_envs, self.simulator.action_size)}, got {action.shape}"
            )
        if not np.isfinite(action[moving]).all():
            bad = moving[~np.isfinite(action[moving]).all(axis=1)]
            raise InvalidAction(f"actions of worlds {bad[:5].tolist()} are not finite; check the policy's output")
        return np.clip(action, -1.0, 1.0)

    def _info(self, ids: Ids, evaluation: Evaluation, failed: NDArray[np.bool_]) -> Info:
        values: Info = {
            "is_success": evaluation.success & ~failed,
            **{f"reward/{name}": term for name, term in evaluation.terms.items()},
            "instruction": self._instructions.copy(),
            "episode_index": self._episodes.copy(),
            "physics_error": failed.copy(),
        }
        mask = np.zeros(self.num_envs, dtype=np.bool_)
        mask[ids] = True
        return {**values, **{f"_{name}": mask.copy() for name in values}}

    def _observation_space(self) -> gym.Space[Any]:
        size = sum(part.shape[1] for part in self.task.observe(self.simulator.sensors()).values())
        width, height = self.config.image_size
        kinds: dict[str, gym.Space[Any]] = {
            "state": gym.spaces.Box(-np.inf, np.inf, (size,), np.float32),
            "rgb": gym.spaces.Box(0, 255, (height, width, 3), np.uint8),
            "depth": gym.spaces.Box(0, np.inf, (height, width, 1), np.float32),
        }
        chosen = {kind: kinds[kind] for kind in self.config.observations}
        return next(iter(chosen.values())) if len(chosen) == 1 else gym.spaces.Dict(chosen)

    def _observe(self) -> Observation:
        found: dict[str, NDArray[Any]] = {}
        for kind in self.config.observations:
            if kind == "state":
                parts = self.task.observe(self.simulator.sensors())
                found[kind] = np.concatenate(list(parts.values()), axis=1, dtype=np.float32, casting="same_kind")
            else:
                found[kind] = self._images(depth=kind == "depth")
        return next(iter(found.values())) if len(found) == 1 else found

    def _images(self, *, depth: bool) -> NDArray[Any]:
        width, height = self.config.image_size
        camera = self.config.camera
        images = [
            self.simulator.image(i, camera, width=width, height=height, depth=depth) for i in range(self.num_envs)
        ]
        stacked = np.stack(images)
        return stacked[..., None] if depth else stacked


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise TaskError(f"{name} must be a whole number from {least}, got {value!r}")
    return int(value)
