"""A Chromium without a window, driven through its DevTools protocol; pages are opened from the disk."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_SECONDS = 120.0
"""A start may take so long where others need the processor, too."""


def find_browser() -> str | None:
    """`$POCKETWORLDS_CHROMIUM`, or the first there is."""
    found = (shutil.which(name) for name in (os.environ.get("POCKETWORLDS_CHROMIUM"), *NAMES) if name)
    return next((path for path in found if path), None)


class Browser:
    """One tab. What its pages complain about is kept in `complaints`."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._numbers = socket, itertools.count(1)
        self._loaded = 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Asks for something, and waits for the answer."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = self._hear()
            if told.get("id") == number:
                assert "error" not in told, (method, told)
                return dict(told["result"])

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, script: bool = True
    ) -> None:
        """Opens a page as a screen of so many CSS pixels shows it; a phone's, if it is narrow."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        before = self._loaded
        self.call("Page.navigate", url=page.resolve().as_uri())
        while self._loaded == before:
            self._hear()

    def tell(self, expression: str) -> Any:
        """What JavaScript makes of an expression."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def press(self, key: str, code: str = "") -> None:
        """Presses a key and lets it go."""
        told = {"key": key, "code": code or key, "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13, " ": 32}.get(key, 0)}
        text = {"Enter": {"text": "\r"}, " ": {"text": " "}}.get(key, {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **told, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def picture(self, file: Path) -> None:
        """A PNG of the whole page."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(told["data"]))

    def _hear(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._socket.recv(timeout=_SECONDS))
        method, parameters = told.get("method"), told.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded += 1
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(parameters["exceptionDetails"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append("a dialog: " + parameters["message"])
        return told


@contextlib.contextmanager
def browser(program: str, folder: Path) -> Iterator[Browser]:
    """Starts one with its profile in a folder, and ends it."""
    from websockets.sync.client import connect

    flags = ["--headless=new", "--remote-debugging-port=0", "--disable-gpu", "--no-first-run"]
    flags += ["--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # root has none; the pages are ours
    log = (folder / "log").open("w")
    child = subprocess.Popen(
        [program, *flags, f"--user-data-dir={folder / 'profile'}", "about:blank"],
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    try:
        port = _port(folder / "profile" / "DevToolsActivePort", child, folder / "log")
        with connect(f"ws://127.0.0.1:{port[0]}{port[1]}", max_size=None, open_timeout=_SECONDS) as whole:
            target = _asked(whole, "Target.createTarget", url="about:blank")["targetId"]
        with connect(
            f"ws://127.0.0.1:{port[0]}/devtools/page/{target}", max_size=None, open_timeout=_SECONDS
        ) as socket:
            yield Browser(socket)
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        log.close()


def _asked(socket: Any, method: str, **parameters: Any) -> dict[str, Any]:
    socket.send(json.dumps({"id": 1, "method": method, "params": parameters}))
    while True:
        told = json.loads(socket.recv(timeout=_SECONDS))
        if told.get("id") == 1:
            return dict(told["result"])


def _port(file: Path, child: subprocess.Popen[bytes], log: Path) -> tuple[str, str]:
    """Where it listens, as it writes down when it is ready."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if file.is_file() and len(lines := file.read_text().splitlines()) == 2:
            return lines[0], lines[1]
        if child.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the browser does not start: {log.read_text()[-500:]}")
