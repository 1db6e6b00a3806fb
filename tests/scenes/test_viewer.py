"""The viewer: the page is really served, on this machine only, and errors say what to do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from pocketworlds.errors import MissingDependencyError, SceneError
from pocketworlds.scenes import save_scene
from pocketworlds.scenes.viewer import has_screen, view

from .builders import scene, thing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_scene(scene(thing("box", (0, 0, 0.05))), tmp_path)
    return tmp_path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_web_viewer_serves_page_and_model_without_a_screen(folder: Path) -> None:
    pytest.importorskip("mujoco.studio.launch_web")
    port = free_port()
    # Who runs the tests in the background of a shell has Ctrl+C ignored, children too.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from pocketworlds.scenes.viewer import view; view({str(folder)!r}, 'auto', port={port})"
    )
    env = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    child = subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        page = fetch(f"http://127.0.0.1:{port}/", child)
        assert b"<html" in page
        assert len(fetch(f"http://127.0.0.1:{port}/model", child)) > 1000
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=20) == 0
    finally:
        child.kill()
        child.communicate()


def fetch(address: str, child: subprocess.Popen[bytes], seconds: float = 40.0) -> bytes:
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            if child.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_taken_port_is_a_named_error(folder: Path) -> None:
    pytest.importorskip("mujoco.studio.launch_web")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SceneError, match="already in use"):
            view(folder, "web", port=taken.getsockname()[1])


def test_window_without_a_screen_points_to_the_web_viewer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not has_screen()
    with pytest.raises(MissingDependencyError, match="web viewer"):
        view(folder, "native")
    monkeypatch.setenv("DISPLAY", ":0")
    assert has_screen()


def test_bad_arguments_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="auto, native or web"):
        view(folder, "holodeck")  # type: ignore[arg-type]
    with pytest.raises(SceneError, match="not a scene folder"):
        view(tmp_path / "nowhere")
    (folder / "scene.xml").unlink()
    with pytest.raises(SceneError, match=r"no scene\.xml"):
        view(folder)
