"""The `Draft`: a cousin in the making, which one axis after another changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..scenes import Scene, SceneObject
from ..scenes.scene import Lighting, Surface
from .cousin import Factor
from .graph import SceneGraph
from .pools import Pool
from .rig import Rig


@dataclass(frozen=True)
class Family:
    """What all cousins of a twin have in common.

    Attributes:
        twin: the scene. graph: its relations. pools: what may stand in for its objects, by name; "" is clutter.
        textures: paths of the procedural textures. needed: names of objects that a task works on, and may not go.
    """

    twin: Scene
    graph: SceneGraph
    pools: Mapping[str, Pool]
    textures: tuple[str, ...]
    needed: frozenset[str]


@dataclass
class Draft:
    """A cousin in the making.

    Attributes:
        family: what it descends from. objects, surfaces: by name, in the twin's order. lighting, rig: as they are so
            far. factors: what was drawn, by `axis.name`.
    """

    family: Family
    objects: dict[str, SceneObject]
    surfaces: dict[str, Surface]
    lighting: Lighting
    rig: dict[str, Any] = field(default_factory=dict)
    factors: dict[str, Factor] = field(default_factory=dict)

    @classmethod
    def of(cls, family: Family) -> Draft:
        """The twin itself."""
        twin = family.twin
        return cls(
            family,
            {item.name: item for item in twin.objects},
            {surface.name: surface for surface in twin.surfaces},
            twin.lighting,
        )

    def take_away(self, name: str) -> None:
        """An object goes, and what was drawn for it with it."""
        parts = {part.name for item in self.objects.values() for part in item.parts}
        names = {*self.objects, *self.surfaces, *parts}
        gone = {name, *(part.name for part in self.objects.pop(name).parts)}

        def owner(key: str) -> str:
            rest = key.partition(".")[2]  # "mass.mug.2" is of the mug called "mug.2", "look.mug.hue" of "mug"
            return rest if rest in names else rest.rpartition(".")[0]

        self.factors = {key: value for key, value in self.factors.items() if owner(key) not in gone}

    def scene(self, name: str) -> Scene:
        """The scene as it is so far, not settled."""
        twin = self.family.twin
        changed = twin.model_copy(
            update={
                "name": name,
                "objects": tuple(self.objects.values()),
                "surfaces": tuple(self.surfaces.values()),
                "lighting": self.lighting,
                "settled": False,
                "source": {"cousin_of": twin.name},
            }
        )
        return changed if twin.folder is None else changed.in_folder(twin.folder)

    def finished_rig(self) -> Rig:
        """The rig as drawn."""
        return Rig(**self.rig)
