"""The `Asset`: one thing of the library, ready to stand in a scene, with the files it is drawn and felt by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...scenes.scene import SceneObject


@dataclass(frozen=True)
class Asset:
    """A thing that was made or read, in its own frame: middle of its bounding box, Z up at rest.

    Attributes:
        category: name of its category. name: its own, different for different things.
        parameters: what it was made with: outer extents `x`, `y`, `z` [m] and the category's shape parameters.
        item: the object, named after its category, standing on z = 0 with `support=None`; its parts are named
            `<category>_<part>`.
        files: relative path -> contents of every mesh and texture that `item` names. Files are named after the hash
            of their contents, so that thousands of cousins share them.
    """

    category: str
    name: str
    parameters: Mapping[str, float]
    item: SceneObject
    files: Mapping[str, bytes]

    def named(self, name: str) -> SceneObject:
        """The object under another name, its parts as `<name>_<part>`: for several of a category in one scene."""
        parts = tuple(
            part.model_copy(update={"name": name + part.name.removeprefix(self.item.name)}) for part in self.item.parts
        )
        return self.item.model_copy(update={"name": name, "parts": parts})

    def write(self, folder: Path) -> None:
        """Puts the files into a scene folder; those that are there already are the same."""
        for path, contents in self.files.items():
            target = folder / path
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(contents)


def file_name(folder: str, contents: bytes, ending: str) -> str:
    """`folder/<first 16 hex digits of SHA-256>.ending`."""
    return f"{folder}/{hashlib.sha256(contents).hexdigest()[:16]}.{ending}"


def stored(text: str, files: dict[str, bytes]) -> str:
    """Puts the text of a mesh among the files of an asset; gives its path."""
    contents = text.encode()
    path = file_name("meshes", contents, "obj")
    files[path] = contents
    return path
