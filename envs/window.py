"""A window that shows one world while it is stepped: MuJoCo's passive viewer, fed from a batch."""

from __future__ import annotations

import atexit
import threading
import time
import warnings
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..errors import MissingDependencyError
from ..scenes.viewer import has_screen
from .marks import Mark, add_geom
from .rendering import pose

_SECONDS = 5.0
"""Longest wait for the window's thread."""
_INSTEAD = "use render_mode='rgb_array', which needs no screen"


class Window:
    """Shows a world of a batch; open from its creation to `close`, or until the user closes it."""

    def __init__(self, model: mujoco.MjModel, qpos: NDArray[np.float64], *, camera: str, period: float) -> None:
        """Opens the window.

        Args:
            model: what to show. qpos: of all worlds of the batch (num_envs, nq), read for every picture.
            camera: the model's camera whose view the window starts with; the mouse goes on from there.
            period: seconds from one picture to the next, at least.

        Raises:
            MissingDependencyError: no window can be opened here; the message says why, and what to do.
        """
        self._model, self._qpos, self._period = model, qpos, period
        self._data = mujoco.MjData(model)
        pose(model, self._data, qpos[0])
        before = set(threading.enumerate())
        self._viewer = open_viewer(model, self._data)
        self._threads = set(threading.enumerate()) - before
        atexit.register(self.close)
        self._aim(model.camera(camera).id)
        self._next = time.perf_counter()

    def show(self, index: int, mark: Mark | None = None) -> None:
        """Shows world `index` with a mark, when a period has gone by since the last picture; nothing once the window is
        closed."""
        if not self._viewer.is_running():
            return
        now = time.perf_counter()
        if now < self._next:
            time.sleep(self._next - now)
        self._next = max(now, self._next) + self._period
        with self._viewer.lock():
            pose(self._model, self._data, self._qpos[index])
            if mark is not None:
                self._viewer.user_scn.ngeom = 0
                add_geom(self._viewer.user_scn, mark, mark.places(np.array([index]))[0])
        self._viewer.sync()

    def close(self) -> None:
        """Closes the window, and waits for its thread: it must not run on while the interpreter ends."""
        atexit.unregister(self.close)
        self._viewer.close()
        for thread in self._threads:
            thread.join(_SECONDS)

    def _aim(self, camera: int) -> None:
        """Puts the window's free camera where a camera of the model is, looking at a point as far as the scene's."""
        position: NDArray[np.float64] = self._data.cam_xpos[camera]
        forward = -self._data.cam_xmat[camera].reshape(3, 3)[:, 2]
        distance = max(float((self._model.stat.center - position) @ forward), 0.1 * float(self._model.stat.extent))
        with self._viewer.lock():
            free = self._viewer.cam
            free.type = int(mujoco.mjtCamera.mjCAMERA_FREE)
            free.lookat[:] = position + distance * forward
            free.distance = distance
            free.azimuth = float(np.degrees(np.arctan2(forward[1], forward[0])))
            free.elevation = float(np.degrees(np.arcsin(np.clip(forward[2], -1, 1))))


def usable_render_modes(chosen: str | None) -> list[str]:
    """The render modes that can work on this machine ("human" needs a screen), and the chosen one."""
    return ["human", "rgb_array"] if has_screen() or chosen == "human" else ["rgb_array"]


def open_viewer(model: mujoco.MjModel, data: mujoco.MjData) -> Any:
    """Opens MuJoCo's passive viewer and gives its handle.

    Raises:
        MissingDependencyError: no window can be opened here; the message says why, and what to do.
    """
    if not has_screen():
        raise MissingDependencyError(
            "render_mode='human' opens a window, and there is no screen "
            f"(neither DISPLAY nor WAYLAND_DISPLAY is set); {_INSTEAD}"
        )
    try:
        _try_window()
        from mujoco.viewer import launch_passive

        return launch_passive(model, data, show_left_ui=False, show_right_ui=False)
    except (ImportError, RuntimeError, mujoco.FatalError) as error:
        raise MissingDependencyError(f"render_mode='human' cannot open a window: {error}; {_INSTEAD}") from error


def _try_window() -> None:
    """Opens a hidden window for a moment: the viewer waits forever for one that cannot be opened."""
    import glfw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glfw's; what went wrong is told below
        if not glfw.init():
            raise RuntimeError("the display cannot be reached")
        glfw.window_hint(glfw.VISIBLE, False)
        window = glfw.create_window(16, 16, "", None, None)
        glfw.default_window_hints()
    if window is None:
        raise RuntimeError("the display has no OpenGL")
    glfw.destroy_window(window)
