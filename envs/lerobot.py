"""The environments as LeRobot's evaluation expects them; LeRobot itself is not imported.

LeRobot's `lerobot-eval` calls `make_env(n_envs, use_async_envs)` of an EnvHub repository and reads, from the vector
environment it gets (huggingface.co/docs/lerobot: "Environments from the Hub", "Adding a New Benchmark"):

* observations `pixels` (uint8, channels last; one array, or one a camera) and `agent_pos` (float32);
* `call("task_description")`, `call("task")`, `call("_max_episode_steps")` and `call("render")`, one value a world;
* `info["is_success"]` at every step, and `info["final_info"]["is_success"]` at steps that end episodes;
* `metadata["render_fps"]`; and it passes reset options of its own.

A whole EnvHub repository is thus one file, `env.py`:

    from pocketworlds.envs.lerobot import make_env

with keywords, if wanted, through `functools.partial(make_env, scene="my-scan", task=["lift", "push"])`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from ..errors import TaskError
from .vector import WorldVectorEnv

SUITE = "pocketworlds"
"""Name of the suite when several tasks are made."""
CAMERAS = ("front", "wrist")


class LeRobotVectorEnv(gym.vector.VectorWrapper[Any, Any, Any, Any, Any]):
    """A batch with LeRobot's observations, attributes and infos; see the module.

    Observations: `pixels`, uint8 (num_envs, height, width, 3), or a dict of such by camera; `agent_pos`, float32
    (num_envs, joints + 1), the arm's joint angles [rad] and the distance between the pads [m].
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], *, cameras: str | Sequence[str] = CAMERAS) -> None:
        """Wraps an environment from `gym.make_vec` of this package.

        Args:
            env: in next-step mode (LeRobot's) or without autoreset, with a time limit. Its `obs_mode` does not matter;
                "state" is the fastest, since pictures are taken here.
            cameras: a name for one array of pixels, several for a dict of them.

        Raises:
            TaskError: another kind of environment, same-step mode, no time limit, or no such camera.
        """
        super().__init__(env)
        base = env.unwrapped
        if not isinstance(base, WorldVectorEnv):
            raise TaskError(f"LeRobot's observations are made for PocketWorlds' own batches (gym.make_vec), not {env}")
        if base.autoreset_mode is AutoresetMode.SAME_STEP:
            raise TaskError("LeRobot steps in next-step mode: make the environment with autoreset_mode='NextStep'")
        if base.max_episode_steps is None:
            raise TaskError("LeRobot needs a time limit: make the environment with max_episode_steps")
        names = (cameras,) if isinstance(cameras, str) else tuple(cameras)
        if not names:
            raise TaskError(f"cameras must name at least one of {list(base.world.cameras)}")
        for name in names:
            base.world.camera(name)
        self._base = base
        self._cameras = names
        self._single_camera = isinstance(cameras, str)
        self._info: dict[str, Any] = {}
        width, height = base.config.image_size
        picture = gym.spaces.Box(0, 255, (height, width, 3), np.uint8)
        self.single_observation_space = gym.spaces.Dict(
            {
                "pixels": picture if self._single_camera else gym.spaces.Dict(dict.fromkeys(names, picture)),
                "agent_pos": gym.spaces.Box(-np.inf, np.inf, self._agent_pos().shape[1:], np.float32),
            }
        )
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)

    # -- Gymnasium -------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `WorldVectorEnv.reset`; options that only LeRobot knows (`lerobot_...`) are left out."""
        given = {name: value for name, value in (options or {}).items() if not name.startswith("lerobot_")}
        _, info = self.env.reset(seed=seed, options=given or None)
        self._info = info
        return self._observe(), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """See `WorldVectorEnv.step`; where an episode ends, infos have `final_info` as well."""
        _, reward, terminated, truncated, info = self.env.step(actions)
        self._info = info
        done = np.asarray(terminated | truncated, dtype=np.bool_)
        if done.any():
            # Readers of Gymnasium 1 look here first, whatever the autoreset mode, and older LeRobots only here.
            final = {name: np.array(value, copy=True) for name, value in info.items()}
            info = {**info, "final_info": final, "_final_info": done}
        return self._observe(), reward, terminated, truncated, info

    # -- what LeRobot asks for -------------------------------------------------------------------------------------

    @property
    def task_description(self) -> tuple[str, ...]:
        """The instruction of every world's running episode; what all episodes share, before the first reset."""
        if "instruction" not in self._info:
            return tuple(self._base.config.task for _ in range(self.num_envs))
        return tuple(str(text) for text in self._info["instruction"])

    @property
    def task(self) -> tuple[str, ...]:
        """The task's name, for every world."""
        return tuple(self._base.config.task for _ in range(self.num_envs))

    @property
    def _max_episode_steps(self) -> tuple[int | None, ...]:
        return tuple(self._base.max_episode_steps for _ in range(self.num_envs))

    def call(self, name: str, *args: Any, **keywords: Any) -> tuple[Any, ...]:
        """A method's result or an attribute's value for every world, as Gymnasium's own batches give it.

        Raises:
            AttributeError: there is none.
        """
        own = name in ("task_description", "task", "_max_episode_steps", "render")
        value = getattr(self if own else self._base, name)
        if callable(value):
            value = value(*args, **keywords)
        if own and isinstance(value, tuple):
            return value
        return tuple(value for _ in range(self.num_envs))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute's value for every world."""
        return self.call(name)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _agent_pos(self) -> NDArray[np.float32]:
        sensors = self._base.sensors()
        parts = [sensors[name] for name in ("joint_pos", "gripper_width") if name in sensors]
        return np.column_stack(parts).astype(np.float32)

    def _observe(self) -> dict[str, Any]:
        width, height = self._base.config.image_size
        images, ids = self._base.simulator.images, np.arange(self.num_envs)
        pixels = {name: images(ids, name, ("rgb",), width=width, height=height)["rgb"] for name in self._cameras}
        return {"pixels": pixels[self._cameras[0]] if self._single_camera else pixels, "agent_pos": self._agent_pos()}


def make_env(
    n_envs: int = 1,
    use_async_envs: bool = False,
    *,
    cfg: Any = None,
    task: str | Sequence[str] = "lift",
    cameras: str | Sequence[str] = CAMERAS,
    env_id: str = "PocketWorlds/Scan-v0",
    **keywords: Any,
) -> LeRobotVectorEnv | dict[str, dict[int, LeRobotVectorEnv]]:
    """What LeRobot calls.

    Args:
        n_envs: worlds in a batch. use_async_envs: taken and not needed: a batch is parallel in one process already.
        cfg: LeRobot's `EnvConfig`, if it gives one; its `task` and `gym_kwargs` come before the keywords here.
        task: a name; several give a suite.
        cameras: see `LeRobotVectorEnv`.
        env_id, keywords: of the environment. Unlike elsewhere, success ends an episode, `image_size` is 256 and
            `render_mode` "rgb_array", unless told otherwise.

    Returns:
        A vector environment, or for several tasks {"pocketworlds": {0: of the first task, ...}}.

    Raises:
        TaskError: see `WorldVectorEnv` and `LeRobotVectorEnv`.
    """
    configured = getattr(cfg, "gym_kwargs", None)
    if isinstance(configured, Mapping):
        keywords = {**keywords, **configured}
    task = keywords.pop("task", None) or getattr(cfg, "task", None) or task
    keywords = {
        "image_size": 256,
        "render_mode": "rgb_array",
        "terminate_on_success": True,
        **keywords,
        "obs_mode": "state",
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def one(name: str) -> LeRobotVectorEnv:
        return LeRobotVectorEnv(gym.make_vec(env_id, num_envs=n_envs, task=name, **keywords), cameras=cameras)

    if isinstance(task, str):
        return one(task)
    return {SUITE: {index: one(name) for index, name in enumerate(task)}}
