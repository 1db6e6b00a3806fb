"""Makes the `Family` of a twin: its relations, the pools of what may stand in for its objects, and textures."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from ..errors import SceneError
from ..scenes import Scene
from ..scenes.folder import assets
from .config import CousinConfig
from .draft import Family
from .library.own import Kind
from .pools import make_pools
from .relations import scene_graph
from .textures import make_textures

TEXTURES = 30
CLUTTER = 24


def make_family(
    twin: Scene,
    folder: Path,
    library: Mapping[str, Kind],
    config: CousinConfig,
    *,
    seed: int,
    needed: Collection[str] = (),
) -> Family:
    """Gathers what all cousins of a twin have in common, and puts their files into `folder`.

    Args:
        twin: the scene, at rest. folder: of the set in the making. library: categories by name.
        config: what varies. seed: of the pools and textures. needed: names of objects that must stay.

    Raises:
        SceneError: the scene is not at rest, has nothing to vary, or lacks a file or an object that is needed.
    """
    if not twin.settled:
        raise SceneError(f"scene {twin.name!r} is not at rest; cousins are made of settled scenes")
    if not twin.objects:
        raise SceneError(f"scene {twin.name!r} has no objects: there is nothing to make cousins of")
    unknown = sorted(set(needed) - {item.name for item in twin.objects})
    if unknown:
        raise SceneError(f"object {unknown[0]!r} is not in scene {twin.name!r}: {[o.name for o in twin.objects]}")
    for name in sorted(assets(twin)):
        assert twin.folder is not None
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(twin.folder / name, folder / name)
        except OSError as error:
            raise SceneError(f"{twin.folder / name}: {error.strerror}; the scene folder is not complete") from error
    graph = scene_graph(twin)
    swapping = config.instance.on and config.width > 0
    pools = make_pools(
        twin,
        graph,
        library,
        folder,
        level=config.kinship if swapping else "twin",
        count=config.instance.pool,
        clutter=CLUTTER if config.clutter.on and config.clutter.add and config.width > 0 else 0,
        seed=seed,
    )
    return Family(twin.in_folder(folder), graph, pools, make_textures(folder, TEXTURES, seed), frozenset(needed))


def scene_hash(scene: Scene) -> str:
    """SHA-256 of a scene's description and of the files that it names."""
    digest = hashlib.sha256(scene.model_dump_json().encode())
    for name in sorted(assets(scene)):
        assert scene.folder is not None
        digest.update((scene.folder / name).read_bytes())
    return digest.hexdigest()
