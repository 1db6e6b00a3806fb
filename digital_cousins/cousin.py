"""The `Cousin`: one valid variant of a scene, and how to tell a folder of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..scenes import Scene
from .draws import Split
from .rig import Rig

MANIFEST = "cousins.json"
"""The file that makes a folder a set of cousins."""

Factor = float | int | str


@dataclass(frozen=True)
class Cousin:
    """A valid variant of a scene.

    Attributes:
        index: number of the candidate. split: what it is for. scene: at rest. rig: what varies around it.
        factors: what was drawn, by `axis.name`.
    """

    index: int
    split: Split
    scene: Scene
    rig: Rig
    factors: dict[str, Factor]


def is_cousin_set(path: str | Path) -> bool:
    """Whether a folder is a set of cousins."""
    return (Path(path) / MANIFEST).is_file()
