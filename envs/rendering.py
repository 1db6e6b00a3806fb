"""Pictures of one world, through MuJoCo's classic renderer: created when first asked for, shadows off."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError
from ..scenes.gl import ensure_gl

# Samples a pixel, slices and stacks of round shapes, squares of a plane.
_FINE = (4, 28, 16, 4)  # MuJoCo's defaults
_FAST = (0, 16, 8, 2)
# What a small picture costs in software are its vertices, not its pixels: with a quarter of them it is drawn more than
# twice as fast, and the edge of a link moves by a pixel at most. (Tiles of one large frame buffer, and one context a
# thread, were tried and are no faster: one thread processes the vertices, and MuJoCo holds Python's lock meanwhile.)
_SMALL = (0, 8, 4, 1)
SMALL = 128
"""Pictures of at most so many pixels a side are drawn with fewer vertices."""


class FrameRenderer:
    """Draws `data`, which the caller fills with the state to show."""

    def __init__(self, model: mujoco.MjModel, *, width: int, height: int, depth: bool, fine: bool) -> None:
        """Opens a graphics context.

        Args:
            model: what to draw. width, height: of the picture. depth: distances instead of colours.
            fine: smooth edges and round shapes, for films; without, software rendering is ten times faster, and
                small pictures (see `SMALL`) twice as fast again.

        Raises:
            MissingDependencyError: nothing on this machine can render; the message names the packages to install.
        """
        ensure_gl()
        self._model = model
        self.data = mujoco.MjData(model)
        # Read once, when the context is made: a frame buffer just large enough, and how round a capsule is.
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        quality = model.vis.quality
        chosen = _FINE if fine else _SMALL if max(width, height) <= SMALL else _FAST
        quality.offsamples, quality.numslices, quality.numstacks, quality.numquads = chosen
        try:
            self._renderer = mujoco.Renderer(model, height, width)
        except Exception as error:
            raise MissingDependencyError(f"no picture can be rendered: {error}; see `pocketworlds doctor`") from error
        if depth:
            self._renderer.enable_depth_rendering()
        self._depth = depth

    def draw(self, camera: str) -> NDArray[np.generic]:
        """A fresh uint8 (height, width, 3) picture, or float32 (height, width) distances [m]."""
        mujoco.mj_kinematics(self._model, self.data)
        mujoco.mj_comPos(self._model, self.data)
        mujoco.mj_camlight(self._model, self.data)
        self._renderer.update_scene(self.data, camera)
        if not self._depth:
            # Shadows cost twenty times the rest of a small picture in software rendering.
            self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
            self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
        return np.array(self._renderer.render())

    def close(self) -> None:
        """Frees the graphics context."""
        self._renderer.close()
