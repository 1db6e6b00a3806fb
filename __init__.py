"""PocketWorlds: from a phone scan to a Gymnasium environment.

`import pocketworlds` registers the environments and loads nothing heavy: no torch, open3d, stable_baselines3 or GL.
"""

import gymnasium

from .errors import CaptureError, MissingDependencyError, PocketWorldsError, SceneError, TaskError

__version__ = "0.1.0"
__all__ = [
    "CaptureError",
    "MissingDependencyError",
    "PocketWorldsError",
    "SceneError",
    "TaskError",
    "__version__",
    "register_envs",
]

MAX_EPISODE_STEPS = {"PocketWorlds/Scan-v0": 150}
"""Every environment id, and the control steps after which its episodes are truncated."""


def register_envs() -> None:
    """Registers every environment id with Gymnasium; done on import, harmless to repeat."""
    for env_id, steps in MAX_EPISODE_STEPS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=f"{__name__}.envs.env:WorldEnv",
                vector_entry_point=f"{__name__}.envs.vector:WorldVectorEnv",
                max_episode_steps=steps,
            )


register_envs()
