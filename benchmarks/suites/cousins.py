"""The cousins that a group of a suite is played in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...digital_cousins.cousin import is_cousin_set
from ...digital_cousins.cousin_set import CousinSet, load_cousins
from ...envs.config import Config
from .manifest import found_scenes


def cousins_of(keywords: Mapping[str, Any]) -> tuple[CousinSet, list[int]] | None:
    """The set that the keywords of a group name, and which of its cousins, in the order of the group's worlds.

    None if the group is played in something else.

    Raises:
        SceneError, SuiteError: they are not there any more.
    """
    where = found_scenes(dict(keywords))
    scene = where.get("scene")
    if not isinstance(scene, str) or not is_cousin_set(scene):
        return None
    cousins = load_cousins(scene)
    split = where.get("split", Config.split)
    return cousins, [int(k) for k in cousins.indices(None if split == "all" else split)]
