"""PocketWorlds: from a phone scan to a Gymnasium environment.

`import pocketworlds` registers the environments and loads nothing heavy: no torch, open3d, stable_baselines3 or GL.
"""

from .errors import CaptureError, MissingDependencyError, PocketWorldsError, SceneError, TaskError

__version__ = "0.1.0"
__all__ = ["CaptureError", "MissingDependencyError", "PocketWorldsError", "SceneError", "TaskError", "__version__"]
