"""Plays one episode and writes it as a film."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..envs import WorldEnv
from ..errors import MissingDependencyError, TaskError


class Acts(Protocol):
    """Anything with `act()`: an expert."""

    def act(self) -> NDArray[np.float32]:
        """The next action."""


@dataclass(frozen=True)
class EpisodeSummary:
    """What happened in a recorded episode.

    Attributes:
        path: the film. instruction: what was asked for. success: whether it was so at the end.
        success_step: first step at which it was, or None. steps: control steps played. reward: sum of rewards.
    """

    path: Path
    instruction: str
    success: bool
    success_step: int | None
    steps: int
    reward: float


def record_episode(
    env: gym.Env[Any, Any],
    expert: Acts,
    path: str | Path,
    *,
    seed: int | None = 0,
    episode: int = 0,
    camera: str | None = None,
    max_steps: int = 150,
    linger: int = 20,
) -> EpisodeSummary:
    """Plays `expert` in `env` until it has held success for `linger` steps, and writes an H.264 mp4 in real time.

    Args:
        env: an environment of this package from `gym.make`, in any observation mode; needs no `render_mode`.
        expert: what acts. path: of the film; its folder is made. seed, episode: which episode.
        camera: by default the environment's. max_steps: longest episode. linger: steps to go on after success.

    Raises:
        TaskError: `env` is not a single environment of this package, or the film cannot be written there.
        MissingDependencyError: PyAV is not installed, or nothing here can render.
    """
    inner = env.unwrapped
    if not isinstance(inner, WorldEnv):
        raise TaskError(f"record_episode films environments from gym.make('PocketWorlds/...'), not {inner}")
    path = Path(path)
    _, info = env.reset(seed=seed, options={"episode": episode})
    instruction = str(info["instruction"])
    total, step, since, first = 0.0, 0, 0, None
    with _film(path, inner.metadata["render_fps"]) as write:
        write(inner.vector.picture(0, camera))
        ended = False
        while not ended and step < max_steps and since < linger:
            _, reward, terminated, truncated, info = env.step(expert.act())
            step += 1
            total += float(reward)
            write(inner.vector.picture(0, camera))
            success = bool(info["is_success"])
            first = step if success and first is None else first
            since = since + 1 if success else 0
            ended = terminated or truncated
    return EpisodeSummary(path, instruction, bool(info["is_success"]), first, step, total)


@contextmanager
def _film(path: Path, rate: int) -> Iterator[Any]:
    """Gives a function that appends uint8 (height, width, 3) frames; leaves no half film behind."""
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError("writing films needs PyAV: `pip install av`") from error
    partial = path.with_name(f".{path.name}.partial.mp4")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        container = av.open(str(partial), "w")
    except OSError as error:
        raise TaskError(f"cannot write {path}: {error}; choose a writable place") from error
    try:
        with container:
            stream: Any = None

            def write(frame: NDArray[Any]) -> None:
                nonlocal stream
                if stream is None:
                    stream = container.add_stream("libx264", rate=Fraction(rate))
                    # H.264 in this pixel format, which every player shows, needs even sides.
                    stream.height, stream.width = (side - side % 2 for side in frame.shape[:2])
                    stream.pix_fmt = "yuv420p"
                    stream.options = {"crf": "20"}
                even = np.ascontiguousarray(frame[: stream.height, : stream.width])
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

            yield write
            container.mux(stream.encode(None))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
