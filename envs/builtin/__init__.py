"""Built-in scenes: made of primitives through the `Scene` API, so that an environment works before any scan."""

from __future__ import annotations

from collections.abc import Callable

from ...errors import TaskError
from ...scenes import Scene
from .furniture import desk, kitchen, shelf
from .tables import blocks, clutter, one_cube, sockets, tabletop

__all__ = ["builtin_names", "builtin_scene"]

_BUILTIN: dict[str, Callable[[], Scene]] = {
    make.__name__: make for make in (blocks, clutter, desk, kitchen, one_cube, shelf, sockets, tabletop)
}


def builtin_scene(name: str) -> Scene:
    """The built-in scene called `name`.

    Raises:
        TaskError: there is none; the message lists those there are.
    """
    try:
        return _BUILTIN[name]()
    except KeyError:
        raise TaskError(f"scene={name!r} is neither a scene folder nor a built-in scene {builtin_names()}") from None


def builtin_names() -> list[str]:
    """Names of the built-in scenes."""
    return sorted(_BUILTIN)
