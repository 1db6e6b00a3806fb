"""The `Scene`: objects, structure, joints and cameras as plain data, its folder, and its MJCF compiler."""

from .folder import load_scene, save_scene
from .scene import Scene, SceneObject, Surface

__all__ = ["Scene", "SceneObject", "Surface", "load_scene", "save_scene"]
