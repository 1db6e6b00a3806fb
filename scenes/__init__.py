"""The `Scene`: objects, structure, joints and cameras as plain data, its folder, and its MJCF compiler.

Beside them: `settle` (brings a scene to rest), `validate_physics`, `preview` (pictures) and `viewer` (a window), which
are imported where they are used.
"""

from .folder import load_scene, save_scene
from .scene import Scene, SceneObject, Surface

__all__ = ["Scene", "SceneObject", "Surface", "load_scene", "save_scene"]
