"""PocketWorlds: from a phone scan to a Gymnasium environment.

`import pocketworlds` registers the environments and loads nothing heavy: no torch, open3d, stable_baselines3 or GL.
"""

from .errors import CaptureError, CheckpointError, MissingDependencyError, PocketWorldsError, SceneError, TaskError
from .registry import ENVIRONMENTS, register_envs

__version__ = "0.1.0"
__all__ = [
    "ENVIRONMENTS",
    "CaptureError",
    "CheckpointError",
    "MissingDependencyError",
    "PocketWorldsError",
    "SceneError",
    "TaskError",
    "__version__",
    "register_envs",
]

register_envs()
