"""`pocketworlds doctor`: what this machine lacks, and the command that installs it.

Every library is tried in a process of its own, through what PocketWorlds does with it: a broken driver or a missing
system library then ends that process and not the examination.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from .workers import processors

Status = Literal["ok", "warning", "missing"]

PYTHON = (3, 11)
DISK_GB = 2.0
"""Free disk a scan with its cache may need."""
MEMORY_GB = 8.0
"""Memory in which a room of 300 frames is rebuilt."""
SECONDS = 120.0
"""Longest try of one library: the first import after an install reads hundreds of megabytes."""

APT_PACKAGES = {
    "libusb-1.0": "libusb-1.0-0",
    "libGL": "libgl1",
    "libgomp": "libgomp1",
    "libEGL": "libegl1",
    "libOSMesa": "libosmesa6",
    "libX11": "libx11-6",
    "libstdc++": "libstdc++6",
}
"""Debian and Ubuntu packages of the shared libraries that wheels expect on the system."""

# The package on PyPI, whether everything needs it (or only some formats), and code that uses it. coacd must be imported
# after open3d.
_LIBRARIES: tuple[tuple[str, bool, str], ...] = (
    ("mujoco", True, "import mujoco; mujoco.MjSpec().compile(); print(mujoco.__version__)"),
    (
        "open3d",
        True,
        "import open3d; open3d.t.geometry.VoxelBlockGrid; print(open3d.__version__)",
    ),
    ("coacd", True, "import open3d, coacd; from importlib.metadata import version; print(version('coacd'))"),
    ("trimesh", True, "import trimesh, manifold3d; print(trimesh.__version__)"),
    ("scikit-image", True, "import skimage.measure; print(skimage.__version__)"),
    ("usd-core", False, "from pxr import Usd; print('.'.join(map(str, Usd.GetVersion())))"),
    ("pillow-heif", True, "import pillow_heif; print(pillow_heif.__version__)"),
    (
        "imagecodecs",
        True,
        "import imagecodecs as i; assert i.lzfse_decode(i.lzfse_encode(b'x' * 99)); print(i.__version__)",
    ),
    ("gymnasium", True, "import gymnasium; print(gymnasium.__version__)"),
    ("h5py", False, "import h5py; print(h5py.__version__)"),
    ("pyarrow", False, "import pyarrow; print(pyarrow.__version__)"),
    ("stable-baselines3", False, "import stable_baselines3 as s; print(s.__version__)"),
)
_CODECS = """
import av
assert {"libx264"} & av.codecs_available, "no H.264 encoder"
assert {"h264", "hevc"} <= av.codecs_available, "no H.264 or HEVC decoder"
print(av.__version__, "with H.264 and HEVC")
"""
_RENDER = """
from pocketworlds.scenes.gl import ensure_gl, gl_device
name = ensure_gl()
import mujoco
world = '<mujoco><worldbody><light pos="0 0 3"/><geom size=".3"/></worldbody></mujoco>'
model = mujoco.MjModel.from_xml_string(world)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 48, 64) as renderer:
    renderer.update_scene(data)
    assert renderer.render().max() > 0, name + " gives black pictures"
    print(f"{name} on {gl_device()}")
"""


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what. status: "ok", "warning" (works, or only some formats do not) or "missing".
        found: what was found, in words. fix: the command or step that mends it, "" where nothing is wrong.
    """

    name: str
    status: Status
    found: str
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def examine(notify: Callable[[str, float], None] | None = None) -> list[Check]:
    """Looks at everything a scan, an environment and a film need; takes some seconds."""
    checks = []
    todo = list(_all())
    for number, look in enumerate(todo):
        checks.append(look())
        if notify is not None:
            notify("examining this machine", (number + 1) / len(todo))
    return checks


def is_healthy(checks: list[Check]) -> bool:
    """Whether nothing needed is missing."""
    return all(check.status != "missing" for check in checks)


def _all() -> Iterator[Callable[[], Check]]:
    yield _python
    for name, needed, code in _LIBRARIES:
        yield lambda name=name, needed=needed, code=code: _library(name, needed, code)  # type: ignore[misc]
    yield lambda: _library("av", True, _CODECS)
    yield _rendering
    yield _disk
    yield _memory
    yield _processors


def _python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info >= PYTHON:
        return Check("python", "ok", found)
    fix = _command("sudo apt-get install -y python3.11 python3.11-venv", "brew install python@3.12")
    return Check("python", "missing", found, fix)


def _library(name: str, needed: bool, code: str) -> Check:
    answer, error = _try(code)
    if error is None:
        return Check(name, "ok", answer)
    return Check(name, "missing" if needed else "warning", error, _fix(name, error))


def _rendering() -> Check:
    answer, error = _try(_RENDER)
    if error is None:
        return Check("rendering", "ok", f"pictures render with {answer}")
    fix = _command("sudo apt-get install -y libegl1 libgl1 libosmesa6", "log in on the Mac itself, not from elsewhere")
    if "MUJOCO_GL" in os.environ:
        fix = f"unset MUJOCO_GL (it is {os.environ['MUJOCO_GL']!r}); if that does not help: {fix}"
    return Check("rendering", "missing", error, fix)


def _disk() -> Check:
    places = {Path.cwd(), Path(tempfile.gettempdir())}
    with contextlib.suppress(ImportError, OSError):  # whatever it needs may be what is missing here
        from .real2sim.stages import cache_root

        places.add(next(place for place in (cache_root(), *cache_root().parents) if place.is_dir()))
    free = {str(place): shutil.disk_usage(place).free / 1e9 for place in places}
    place, least = min(free.items(), key=lambda item: item[1])
    found = f"{least:.1f} GB free in {place}"
    if least >= DISK_GB:
        return Check("disk", "ok", found)
    return Check("disk", "warning", found, f"free {DISK_GB:.0f} GB there; POCKETWORLDS_CACHE moves the cache of scans")


def _memory() -> Check:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text) / 1e9)
    found = f"{total:.1f} GB"
    if total >= 0.9 * MEMORY_GB:
        return Check("memory", "ok", found)
    return Check(
        "memory", "warning", found, "scan small places, or use fewer frames: pocketworlds scan --max-frames 100"
    )


def _processors() -> Check:
    count = processors()
    return Check("processors", "ok", f"{count} threads ({platform.machine()})")


def _try(code: str) -> tuple[str, str | None]:
    """Runs code in another process; gives what it printed last, and the reason if it failed."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"did not finish within {SECONDS:.0f} s"
    if child.returncode == 0:
        lines = child.stdout.split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "works"), None
    if child.returncode < 0:
        return "", f"crashed with signal {-child.returncode}"
    lines = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    return "", (lines[-1] if lines else f"failed with exit status {child.returncode}")[:300]


def _fix(name: str, error: str) -> str:
    library = re.search(r"(lib[\w+-]+?(?:-\d+\.\d+)?)\.(?:so|dylib)", error)
    if library:
        stem = library.group(1)
        if sys.platform == "darwin":
            return "brew install libomp" if stem == "libomp" else f"brew install {stem.removeprefix('lib')}"
        return f"sudo apt-get install -y {APT_PACKAGES.get(stem, stem.lower())}"
    return f"{sys.executable} -m pip install {name}"


def _command(debian: str, macos: str) -> str:
    return macos if sys.platform == "darwin" else debian
