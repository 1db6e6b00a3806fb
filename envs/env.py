"""`gym.Env`: a batch of one world, the same code as the vector environment."""

from __future__ import annotations

from typing import Any, Unpack

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from .config import Keywords
from .simulator import RendererInfo
from .vector import CONTROL_RATE, Info, WorldVectorEnv


class WorldEnv(gym.Env[Any, NDArray[np.float32]]):
    """A scene with a robot and a task; `PocketWorlds/Scan-v0` for `gym.make`.

    Example:
        >>> import gymnasium as gym
        >>> import pocketworlds
        >>> env = gym.make("PocketWorlds/Scan-v0", scene="tabletop", task="lift", object="can")
        >>> observation, info = env.reset(seed=0)
        >>> info["instruction"]
        'lift the can and hold it 10 cm above its place'
        >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        >>> info["is_success"]
        False
        >>> env.close()
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 - as Gymnasium declares it; never changed
        "render_modes": ["human", "rgb_array"],
        "render_fps": CONTROL_RATE,
    }

    def __init__(self, **keywords: Unpack[Keywords]) -> None:
        """See `envs.config.Config` for the keywords and `WorldVectorEnv` for the errors."""
        self.vector = WorldVectorEnv(1, autoreset_mode=AutoresetMode.DISABLED, **keywords)
        self.observation_space = self.vector.single_observation_space
        self.action_space = self.vector.single_action_space
        self.render_mode = self.vector.render_mode
        self.metadata = {**type(self).metadata, "render_modes": self.vector.metadata["render_modes"]}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Info]:
        """Starts episode 0 of `seed`, or without a seed the next; `options={"episode": i}` chooses episode i."""
        first = self._np_random_seed is None
        super().reset(seed=seed)
        self.vector.spec = self.spec  # with its limit of time, which a wrapper sees to
        seeds = [self.np_random_seed] if seed is not None or first else None
        observation, info = self.vector.reset(seed=seeds, options=options)
        return _row(observation), _single(info)

    def step(self, action: NDArray[np.float32]) -> tuple[Any, float, bool, bool, Info]:
        """One control period (50 ms)."""
        observation, reward, terminated, truncated, info = self.vector.step(np.asarray(action)[None])
        return _row(observation), float(reward[0]), bool(terminated[0]), bool(truncated[0]), _single(info)

    def render(self) -> NDArray[np.uint8] | None:
        """A uint8 (height, width, 3) picture if `render_mode` is "rgb_array", else None; see `WorldVectorEnv`."""
        frames = self.vector.render()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Frees the graphics context, and closes the window."""
        self.vector.close()

    def observe(self) -> Any:
        """The observation of the world as it is now, drawn anew."""
        return _row(self.vector.observe())

    @property
    def segmentation_names(self) -> tuple[str, ...]:
        """What the values of segmentation pictures stand for, as indices: see `envs.segmentation`."""
        return self.vector.segmentation_names

    @property
    def renderer_info(self) -> RendererInfo:
        """What draws the pictures of observations: renderer, backend ("egl", "osmesa", ...) and device."""
        return self.vector.renderer_info


def _row(observation: Any) -> Any:
    if isinstance(observation, dict):
        return {name: values[0] for name, values in observation.items()}
    return observation[0]


def _single(info: Info) -> Info:
    """The infos of the only world as plain values, without masks."""
    values = {name: value[0] for name, value in info.items() if not name.startswith("_")}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
