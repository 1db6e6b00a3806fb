"""Opens a scene in MuJoCo's own viewer: a native window, or a page in the browser where there is no screen.

The page is MuJoCo Studio's web viewer: physics runs here, the browser draws. It has no password, so it listens on this
machine only; from elsewhere reach it through `ssh -L 8080:localhost:8080`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal

from ..errors import MissingDependencyError, SceneError
from .folder import MJCF_FILE, load_scene

LOOPBACK = "127.0.0.1"


def view(
    scene_folder: str | Path,
    mode: Literal["auto", "native", "web"] = "auto",
    *,
    port: int = 0,
    public: bool = False,
    open_browser: bool = True,
) -> None:
    """Shows a scene until its window is closed, or Ctrl+C is pressed.

    Args:
        scene_folder: folder with `scene.json` and `scene.xml`.
        mode: "native" opens a window, "web" serves a page, "auto" opens a window if there is a screen.
        port: port of the page; 0 takes the first free one from 8080.
        public: let other machines reach the page, without a password.
        open_browser: open the page in the default browser where there is a screen.

    Raises:
        SceneError: the folder is not a scene, or the port is taken.
        MissingDependencyError: no screen for a native window, or MuJoCo came without its web viewer.
    """
    if mode not in ("auto", "native", "web"):
        raise SceneError(f"viewer mode must be auto, native or web, got {mode!r}")
    folder = Path(scene_folder)
    load_scene(folder)
    path = folder / MJCF_FILE
    if not path.is_file():
        raise SceneError(f"{folder} has no {MJCF_FILE}; scan again, or restore the file")
    if mode == "native" and not has_screen():
        raise MissingDependencyError(
            "there is no screen for a native window (neither DISPLAY nor WAYLAND_DISPLAY is set); use the web viewer"
        )
    if mode == "native" or (mode == "auto" and has_screen()):
        _view_native(path)
    else:
        _view_web(path, port, public, open_browser)


def has_screen() -> bool:
    """Whether a window can be opened here."""
    return not sys.platform.startswith("linux") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _view_native(path: Path) -> None:
    try:
        import mujoco.viewer
    except ImportError as error:
        raise MissingDependencyError(f"MuJoCo's window cannot be opened ({error}); use the web viewer") from error
    mujoco.viewer.launch_from_path(str(path))


def _view_web(path: Path, port: int, public: bool, open_browser: bool) -> None:
    try:
        from mujoco.studio import app, launch_web, viewer_protocol
        from mujoco.studio.web import web_server
    except ImportError as error:
        raise MissingDependencyError(
            f"MuJoCo's web viewer is not installed ({error}); install it with `pip install mujoco-studio`"
        ) from error
    config = viewer_protocol.ViewerConfig(
        title="PocketWorlds", gfx="web", http_port=port, open_browser=open_browser and has_screen()
    )
    bind = web_server.bind_public_socket

    def bind_here(_host: str, wanted: int = 0) -> Any:
        return bind(LOOPBACK, wanted)

    # MuJoCo 4.0 binds every interface and has no option for it yet.
    if not public:
        web_server.bind_public_socket = bind_here
    try:
        launch_web.run(config, model_path=str(path.resolve()), plugins=[app.App(), *app.SIM_PLUGINS])
    except RuntimeError as error:
        if "in use" in str(error):
            raise SceneError(f"{error}".replace("--port", "port")) from error
        raise
    finally:
        web_server.bind_public_socket = bind
