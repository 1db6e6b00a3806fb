"""Picks the OpenGL backend MuJoCo renders with, on machines with and without a screen.

MuJoCo reads `MUJOCO_GL` once, when it is first imported, and without it tries to open a window. `ensure_gl` therefore
chooses before anything is rendered, lazily, and only once: EGL where it works (with or without a graphics card), else
OSMesa, else the platform's own window system. Child processes inherit the choice.
"""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys

from ..errors import MissingDependencyError

OFF = ("disable", "disabled", "off", "false", "0")
NOT_CHOSEN = ("", "enable", "enabled", "on", "true", "1")
"""Values of MUJOCO_GL by which MuJoCo itself picks its default."""

INSTALL_GL = "on Debian or Ubuntu: `sudo apt-get install libegl1 libgl1` (or `libosmesa6`)"

# A driver that is half installed can abort the process that asks for a context, so the question is put to another one,
# through the very classes that rendering uses. `os._exit` skips the drivers' exit handlers.
_PROBE = """
import os
import mujoco
from mujoco.{name} import GLContext
context = GLContext(16, 16)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_100)
os._exit(0)
"""
_PROBE_SECONDS = 60.0


def ensure_gl() -> str:
    """Makes MuJoCo able to render here, and says with what: "egl", "osmesa", "glfw", "cgl" or "wgl".

    A value the user gave `MUJOCO_GL` is kept. The first call on Linux costs a third of a second, later calls nothing.

    Raises:
        MissingDependencyError: nothing here can render; the message names the packages to install.
    """
    chosen = os.environ.get("MUJOCO_GL", "").strip().lower()
    if chosen in OFF:
        raise MissingDependencyError(
            f"rendering is switched off by MUJOCO_GL={chosen}; unset MUJOCO_GL, or set it to egl or osmesa"
        )
    if chosen not in NOT_CHOSEN:
        _bind(chosen)
        return chosen
    if sys.platform == "darwin":
        return "cgl"
    if sys.platform == "win32":
        return "wgl"
    return _choose_on_linux()


@functools.cache
def _choose_on_linux() -> str:
    # PyOpenGL serves one platform per process: where the user fixed it, the other one cannot work.
    fixed = os.environ.get("PYOPENGL_PLATFORM", "").strip().lower()
    candidates = [name for name in ("egl", "osmesa") if fixed in ("", name)]
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        candidates.insert(1, "glfw")
    reasons = []
    for name in candidates:
        reason = None if name == "glfw" else probe(name)
        if reason is None:
            os.environ["MUJOCO_GL"] = name
            _bind(name)
            return name
        reasons.append(f"{name}: {reason}")
    raise MissingDependencyError(f"no OpenGL to render pictures with ({'; '.join(reasons)}); {INSTALL_GL}")


def probe(name: str) -> str | None:
    """Asks a child process whether MuJoCo can render with backend `name`; gives None if so, else the reason."""
    env = {key: value for key, value in os.environ.items() if key != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": name}
    try:
        child = subprocess.run(
            [sys.executable, "-c", _PROBE.format(name=name)],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"gave no context within {_PROBE_SECONDS:.0f} s"
    except OSError as error:
        return f"could not be tried ({error})"
    if child.returncode == 0:
        return None
    if child.returncode < 0:
        return f"its driver crashed (signal {-child.returncode})"
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"failed with exit status {child.returncode}"


def gl_device() -> str:
    """What draws in the graphics context that is current, in its driver's words: "llvmpipe (LLVM 15.0.6, 256 bits)"."""
    from OpenGL import GL

    name = GL.glGetString(GL.GL_RENDERER)
    return name.decode(errors="replace") if isinstance(name, bytes) else "unknown"


def _bind(name: str) -> None:
    """Rebinds MuJoCo's context class where MuJoCo was imported before the choice was made."""
    module = sys.modules.get("mujoco.rendering.classic.gl_context")
    if module is None:
        return
    current = getattr(module, "GLContext", None)
    # glfw's class is a plain class in mujoco.glfw; a missing backend leaves a placeholder of this very module.
    if current is not None and current.__module__ == f"mujoco.{name}":
        return
    module = importlib.reload(module)
    for other in ("mujoco", "mujoco.gl_context", "mujoco.rendering.classic.renderer"):
        if other in sys.modules:
            setattr(sys.modules[other], "GLContext", module.GLContext)  # noqa: B010 - modules have no such declared name
