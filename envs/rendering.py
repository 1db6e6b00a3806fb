"""Pictures of one world, through MuJoCo's classic renderer: created when first asked for, shadows off."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError
from ..scenes.gl import ensure_gl


class FrameRenderer:
    """Draws `data`, which the caller fills with the state to show."""

    def __init__(self, model: mujoco.MjModel, *, width: int, height: int, depth: bool = False) -> None:
        """Opens a graphics context.

        Raises:
            MissingDependencyError: nothing on this machine can render; the message names the packages to install.
        """
        ensure_gl()
        self._model = model
        self.data = mujoco.MjData(model)
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
