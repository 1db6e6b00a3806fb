"""Choosing an OpenGL backend, in fresh processes: the choice is made once per process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pocketworlds.errors import MissingDependencyError
from pocketworlds.scenes.gl import ensure_gl, probe

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL and OSMesa are Linux backends")

RENDER = """
import mujoco
from pocketworlds.scenes.gl import ensure_gl
print(ensure_gl())
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data)
    print(renderer.render().max() > 0)
"""


def run(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    hidden = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    env = {key: value for key, value in os.environ.items() if key not in hidden} | variables
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)


def available() -> str:
    try:
        return ensure_gl()
    except MissingDependencyError as error:
        pytest.skip(str(error))


@linux
def test_renders_without_a_screen_though_mujoco_was_imported_first() -> None:
    backend = available()
    child = run(RENDER)
    assert child.stdout.split() == [backend, "True"], child.stderr


@linux
@pytest.mark.parametrize("backend", ["egl", "osmesa"])
def test_users_choice_is_kept(backend: str) -> None:
    if reason := probe(backend):
        pytest.skip(reason)
    child = run(RENDER, MUJOCO_GL=backend)
    assert child.stdout.split() == [backend, "True"], child.stderr


def test_switched_off_rendering_says_how_to_switch_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "off")
    with pytest.raises(MissingDependencyError, match="unset MUJOCO_GL"):
        ensure_gl()


@linux
def test_machine_without_opengl_names_the_packages() -> None:
    code = """
from pocketworlds.scenes import gl
gl.probe = lambda name: "no such library"
try:
    gl.ensure_gl()
except gl.MissingDependencyError as error:
    print(error)
"""
    message = run(code).stdout
    assert "libegl1" in message
    assert "libosmesa6" in message
    assert "egl: no such library; osmesa: no such library" in message


@linux
def test_broken_egl_falls_back_to_osmesa() -> None:
    if reason := probe("osmesa"):
        pytest.skip(reason)
    code = """
from pocketworlds.scenes import gl
real = gl.probe
gl.probe = lambda name: "its driver crashed" if name == "egl" else real(name)
"""
    child = run(code + RENDER)
    assert child.stdout.split() == ["osmesa", "True"], child.stderr


def test_probe_survives_nonsense() -> None:
    reason = probe("no_such_backend")
    assert reason is not None
    assert "no_such_backend" in reason


def test_importing_scenes_imports_no_gl() -> None:
    code = "import sys, pocketworlds.scenes; print([m for m in sys.modules if m.split('.')[0] in ('mujoco', 'OpenGL')])"
    assert run(code).stdout.strip() == "[]"
