"""Pictures through MuJoCo Warp's ray-caster: a whole batch in one call, on the processor or an NVIDIA card.

Physics stays in `mujoco.batch`; only poses of geoms, cameras and lights go over. Warp compiles its kernels when they
are first used on a machine (seconds) and keeps them in its cache. It shades differently from OpenGL: the renderer
belongs to an environment's keywords as its task does.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError, TaskError
from .marks import Mark, paint
from .rendering import pose
from .segmentation import BACKGROUND, Segmentation
from .simulator import Ids, Images, RendererInfo
from .world import World

INSTALL = "pip install 'pocketworlds[warp]'"
PIXELS = 1 << 22
"""Pixels drawn in one call: more worlds are drawn in groups, so that large pictures do not fill the memory."""
_POSES = ("geom_xpos", "geom_xmat", "cam_xpos", "cam_xmat", "light_xpos", "light_xdir")
_GROUPS = [0, 1, 2]  # what MuJoCo shows by default
_GEOM = int(mujoco.mjtObj.mjOBJ_GEOM)


def check_installed() -> None:
    """Looks for MuJoCo Warp without loading it.

    Raises:
        MissingDependencyError: it is not installed; the message has the command.
    """
    for module in ("warp", "mujoco_warp"):
        if importlib.util.find_spec(module) is None:
            raise MissingDependencyError(
                f"renderer='warp' draws with MuJoCo Warp, and {module} is not installed; install it with {INSTALL}"
            )


class WarpRenderer:
    """MuJoCo Warp's ray-caster; see `envs.rendering.Renderer`."""

    def __init__(
        self, world: World, table: Segmentation, qpos: NDArray[np.float64], *, width: int, height: int, fine: bool
    ) -> None:
        """Puts the model onto Warp's default device; see `GLRenderer`.

        Raises:
            MissingDependencyError: MuJoCo Warp is not installed. TaskError: it cannot draw this scene.
        """
        check_installed()
        first = "warp" not in sys.modules
        import warp

        if first:  # else the caller has chosen: no greeting, and no line per compiled kernel, on what we print
            warp.config.log_level = warp.LOG_ERROR
        import mujoco_warp

        self._warp, self._mjw = warp, mujoco_warp
        self._qpos, self._size, self._samples = qpos, (height, width), 2 if fine else 1
        self._host_model = model = world.drawn
        self._table = table
        self._far = float(model.vis.map.zfar * model.stat.extent)
        self._worlds = int(np.clip(PIXELS // (width * height), 1, len(qpos)))
        self._host_data = mujoco.MjData(model)
        try:
            self._model = mujoco_warp.put_model(model)
            # Nothing is simulated here: as little room as possible for contacts and constraints.
            self._data = mujoco_warp.make_data(model, nworld=self._worlds, nconmax=1, njmax=1)
        except (NotImplementedError, ValueError) as error:
            raise TaskError(
                f"renderer='warp' cannot draw scene {world.scene.name!r}: {error}; use renderer='gl'"
            ) from error
        self._poses = {name: np.zeros(self._on_device(name).shape, dtype=np.float32) for name in _POSES}
        self._contexts: dict[tuple[str, tuple[str, ...]], Any] = {}
        self.info = RendererInfo("warp", "warp", str(warp.get_device().name))

    def draw(self, ids: Ids, camera: str, kinds: Sequence[str], mark: Mark | None = None) -> Images:
        """See `envs.rendering.Renderer`."""
        marked = mark is not None and "rgb" in kinds
        asked = [*kinds, "depth"] if marked and "depth" not in kinds else list(kinds)
        context = self._context(camera, tuple(asked))
        parts = []
        for start in range(0, len(ids), self._worlds):
            group = ids[start : start + self._worlds]
            part = self._group(group, context, asked)
            if mark is not None and marked:
                self._paint(mark, part, group, camera)
            parts.append(part)
        return {kind: parts[0][kind] if len(parts) == 1 else np.concatenate([p[kind] for p in parts]) for kind in kinds}

    def close(self) -> None:
        """See `envs.rendering.Renderer`."""
        self._contexts.clear()

    def _on_device(self, name: str) -> NDArray[np.float32]:
        return np.asarray(getattr(self._data, name).numpy())

    def _context(self, camera: str, kinds: tuple[str, ...]) -> Any:
        if (camera, kinds) not in self._contexts:
            height, width = self._size
            self._contexts[camera, kinds] = self._mjw.create_render_context(
                self._host_model,
                nworld=self._worlds,
                cam_res=(width, height),
                cam_active=[camera],
                render_rgb="rgb" in kinds,
                render_depth="depth" in kinds,
                render_seg="segmentation" in kinds,
                enabled_geom_groups=_GROUPS,
                render_skybox=True,
                samples_per_pixel=self._samples if "rgb" in kinds else 1,
            )
        return self._contexts[camera, kinds]

    def _group(self, ids: Ids, context: Any, kinds: Sequence[str]) -> Images:
        """Pictures of at most as many worlds as fit."""
        for row, index in enumerate(ids):
            pose(self._host_model, self._host_data, self._qpos[index])
            for name, values in self._poses.items():
                values[row] = getattr(self._host_data, name).reshape(values.shape[1:])
        for name, values in self._poses.items():
            getattr(self._data, name).assign(values)
        self._data.nworld = len(ids)
        self._mjw.refit_bvh(self._model, self._data, context)
        self._mjw.render(self._model, self._data, context)
        return {kind: self._read(kind, len(ids), context) for kind in kinds}

    def _paint(self, mark: Mark, drawn: Images, ids: Ids, camera: str) -> None:
        """Paints a mark into pictures of worlds that were drawn just now."""
        number, count = self._host_model.camera(camera).id, len(ids)
        eye, axes = (self._poses[name][:count, number].astype(np.float64) for name in ("cam_xpos", "cam_xmat"))
        slope = math.tan(math.radians(float(self._host_model.cam_fovy[number])) / 2)
        paint(mark, drawn["rgb"], drawn["depth"], mark.places(ids), eye, axes.reshape(count, 3, 3), slope)

    def _read(self, kind: str, count: int, context: Any) -> NDArray[Any]:
        """The pictures of one kind (count, height, width, channels)."""
        warp, shape = self._warp, (count, *self._size)
        if kind == "rgb":
            colours = warp.empty(shape, dtype=warp.vec3)
            self._mjw.get_rgb(context, 0, colours)
            return np.asarray(colours.numpy() * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        if kind == "depth":
            shares = warp.empty(shape, dtype=float)
            self._mjw.get_depth(context, 0, self._far, shares)
            distance = shares.numpy() * np.float32(self._far)
            distance[distance == 0] = self._far  # where there is nothing, as with OpenGL
            return np.asarray(distance[..., None])
        hits = warp.empty(shape, dtype=warp.vec2i)
        self._mjw.get_segmentation(context, 0, hits)
        hit, sort = hits.numpy()[..., 0], hits.numpy()[..., 1]
        return np.where(sort == _GEOM, self._table.geoms[hit], np.int32(BACKGROUND))[..., None]
