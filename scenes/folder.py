"""The scene folder: `scene.json`, `meshes/`, `textures/`, `scene.xml`, `preview.png`, `report.html`.

Written to a temporary sibling and renamed: an interrupted run leaves no half scene.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from pydantic import ValidationError

from ..errors import SceneError
from ..folders import new_folder
from .scene import SCHEMA_VERSION, Scene

SCENE_FILE = "scene.json"
MJCF_FILE = "scene.xml"


def atomic_folder(out: Path, *, replace: bool = False) -> AbstractContextManager[Path]:
    """A temporary folder beside `out` to write a scene into, which takes its place on success; see `new_folder`.

    Raises:
        SceneError: if `out` exists and `replace` is False, or is not something we may replace.
    """
    return new_folder(out, replace=replace, marks=(SCENE_FILE,), noun="scene folder", error=SceneError)


def save_scene(scene: Scene, folder: Path) -> Scene:
    """Writes `scene.json` and `scene.xml` into `folder`, where the scene's assets already are.

    Returns:
        The scene bound to `folder`.
    """
    from .mjcf import build_spec, to_xml

    bound = scene.in_folder(folder)
    (folder / SCENE_FILE).write_text(bound.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / MJCF_FILE).write_text(to_xml(build_spec(bound)), encoding="utf-8")
    return bound


def load_scene(folder: str | Path) -> Scene:
    """Reads a scene folder.

    Raises:
        SceneError: names the file, the field and the reason.
    """
    folder = Path(folder)
    path = folder / SCENE_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SceneError(
            f"{folder} is not a scene folder: it has no {SCENE_FILE}; make one with `pocketworlds scan`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path} cannot be read: {error}") from error
    try:
        scene = Scene.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(item) for item in first["loc"]) or "top level"
        if first["loc"] == ("schema_version",):
            raise SceneError(
                f"{path}: schema version {first['input']!r} is not the supported {SCHEMA_VERSION}; "
                "scan again, or update PocketWorlds"
            ) from None
        raise SceneError(f"{path}: field {where}: {first['msg']} ({error.error_count()} problem(s) in all)") from None
    for asset in assets(scene):
        if not (folder / asset).is_file():
            raise SceneError(f"{path}: names {asset}, which is not in the folder; scan again, or restore the file")
    return scene.in_folder(folder)


def assets(scene: Scene) -> set[str]:
    """Relative paths of every mesh and texture the scene refers to."""
    found: set[str] = set()
    bodies = [item.body for item in scene.objects] + [part.body for item in scene.objects for part in item.parts]
    for body in bodies:
        found.update(geom.mesh for geom in body.collision if geom.mesh)
        found.update(name for name in (body.visual.mesh, body.visual.material.texture) if name)
    found.update(surface.material.texture for surface in scene.surfaces if surface.material.texture)
    return found
