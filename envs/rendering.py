"""Pictures of the worlds of a batch: what a renderer is, and the one through MuJoCo's classic OpenGL renderer.

Renderers are created when the first picture is asked for. Shadows and reflections are off: in software rendering they
cost twenty times the rest of a small picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError
from ..scenes.gl import ensure_gl, gl_device
from .marks import Mark, add_geom
from .segmentation import Segmentation
from .simulator import Ids, Images, RendererInfo

RENDERERS = ("gl", "warp", "neural")

# Samples a pixel, slices and stacks of round shapes, squares of a plane.
_FINE = (4, 28, 16, 4)  # MuJoCo's defaults
_FAST = (0, 16, 8, 2)
# What a small picture costs in software are its vertices, not its pixels: with a quarter of them it is drawn more than
# twice as fast, and the edge of a link moves by a pixel at most. (Tiles of one large frame buffer, and one context a
# thread, were tried and are no faster: one thread processes the vertices, and MuJoCo holds Python's lock meanwhile.)
_SMALL = (0, 8, 4, 1)
SMALL = 128
"""Pictures of at most so many pixels a side are drawn with fewer vertices."""

_GEOM, _SITE = int(mujoco.mjtObj.mjOBJ_GEOM), int(mujoco.mjtObj.mjOBJ_SITE)
_OFF = (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION)
_SEGMENT = [int(mujoco.mjtRndFlag.mjRND_SEGMENT), int(mujoco.mjtRndFlag.mjRND_IDCOLOR)]


def roundness(width: int, height: int, *, fine: bool) -> tuple[int, int, int, int]:
    """How finely a picture is drawn: samples a pixel, slices and stacks of round shapes, squares of a plane."""
    return _FINE if fine else _SMALL if max(width, height) <= SMALL else _FAST


class Drawn(Protocol):
    """Something to draw: a `World`, for example."""

    @property
    def drawn(self) -> mujoco.MjModel:
        """Its model with all that is seen of it."""


class Renderer(Protocol):
    """Draws worlds of one batch in one size."""

    info: RendererInfo

    def draw(self, ids: Ids, camera: str, kinds: Sequence[str], mark: Mark | None = None) -> Images:
        """Pictures of worlds `ids` from the model's camera `camera`, with a mark in colours; see `Simulator.images`."""

    def close(self) -> None:
        """Frees what it draws with."""


def pose(model: mujoco.MjModel, data: mujoco.MjData, qpos: NDArray[np.float64]) -> None:
    """Fills `data` with where bodies, cameras and lights are at `qpos` (nq,)."""
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)


class GLRenderer:
    """MuJoCo's classic renderer, in software or on a graphics card; see `Renderer`."""

    def __init__(
        self, world: Drawn, table: Segmentation, qpos: NDArray[np.float64], *, width: int, height: int, fine: bool
    ) -> None:
        """Opens a graphics context.

        Args:
            world: what to draw. table: what its things show in segmentation pictures.
            qpos: of all worlds of the batch (num_envs, nq), read whenever something is drawn.
            width, height: of the pictures.
            fine: smooth edges and round shapes, for films; without, software rendering is ten times faster, and small
                pictures (see `SMALL`) twice as fast again.

        Raises:
            MissingDependencyError: nothing on this machine can draw; the message names the packages to install.
        """
        backend = ensure_gl()
        self._qpos, self._size = qpos, (height, width)
        self._model = model = world.drawn
        self._table = table
        self._data = mujoco.MjData(model)
        # Read once, when the context is made: a frame buffer just large enough, and how round a capsule is.
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        quality = model.vis.quality
        samples, slices, stacks, quads = roundness(width, height, fine=fine)
        quality.offsamples, quality.numslices, quality.numstacks, quality.numquads = samples, slices, stacks, quads
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:
            raise MissingDependencyError(f"no picture can be rendered: {error}; see `pocketworlds doctor`") from error
        for flag in _OFF:
            self._renderer.scene.flags[flag] = False
        self.info = RendererInfo("gl", backend, gl_device())

    def draw(self, ids: Ids, camera: str, kinds: Sequence[str], mark: Mark | None = None) -> Images:
        """See `Renderer`. The scene is updated once a world, whatever the number of kinds."""
        shape = (len(ids), *self._size)
        found: Images = {}
        if "rgb" in kinds:
            found["rgb"] = np.empty((*shape, 3), dtype=np.uint8)
        if "depth" in kinds:
            found["depth"] = np.empty((*shape, 1), dtype=np.float32)
        if "segmentation" in kinds:
            found["segmentation"] = np.empty((*shape, 1), dtype=np.int32)
        places = None if mark is None else mark.places(ids)
        for row, index in enumerate(ids):
            pose(self._model, self._data, self._qpos[index])
            self._renderer.update_scene(self._data, camera)
            for kind, pictures in found.items():
                if kind == "rgb":
                    bare = self._renderer.scene.ngeom
                    if mark is not None and places is not None:
                        add_geom(self._renderer.scene, mark, places[row])
                    self._renderer.render(out=pictures[row])
                    self._renderer.scene.ngeom = bare
                elif kind == "depth":
                    self._renderer.enable_depth_rendering()
                    self._renderer.render(out=pictures[row, :, :, 0])
                    self._renderer.disable_depth_rendering()
                else:
                    pictures[row, :, :, 0] = self._segments()
        return found

    def close(self) -> None:
        """See `Renderer`."""
        self._renderer.close()

    def _segments(self) -> NDArray[np.int32]:
        """Ids (height, width): MuJoCo paints every thing in the number of its place in the scene, plus one."""
        scene = self._renderer.scene
        kept = scene.flags[_SEGMENT].copy()
        scene.flags[_SEGMENT] = True
        colours = self._renderer.render().astype(np.int32)
        scene.flags[_SEGMENT] = kept
        ids = np.zeros(scene.ngeom + 1, dtype=np.int32)
        for shown in scene.geoms[: scene.ngeom]:
            ids[shown.segid + 1] = self._id(shown)
        return np.asarray(ids[colours[:, :, 0] + (colours[:, :, 1] << 8) + (colours[:, :, 2] << 16)])

    def _id(self, shown: Any) -> int:
        if shown.segid < 0:
            return 0
        if shown.objtype == _GEOM:
            return int(self._table.geoms[shown.objid])
        return int(self._table.sites[shown.objid]) if shown.objtype == _SITE else 0
