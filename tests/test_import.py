"""What `import pocketworlds` loads, and what an installation contains."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = (
    "torch",
    "open3d",
    "stable_baselines3",
    "mujoco",
    "OpenGL",
    "glfw",
    "trimesh",
    "scipy",
    "PIL",
    "av",
    "pydantic",
)


def python(code: str) -> str:
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return child.stdout


@pytest.mark.parametrize("module", ["pocketworlds", "pocketworlds.cli"])
def test_import_loads_nothing_heavy(module: str) -> None:
    loaded = python(f"import sys, {module}; print('\\n'.join(sys.modules))").split("\n")
    assert module in loaded
    assert not {name.partition(".")[0] for name in loaded} & set(HEAVY)


def test_import_registers_the_environments_once() -> None:
    code = """
import gymnasium, pocketworlds
spec = gymnasium.spec("PocketWorlds/Scan-v0")
pocketworlds.register_envs()
assert gymnasium.spec("PocketWorlds/Scan-v0") is spec
"""
    python(code)


def test_gymnasium_imports_us_where_the_id_says_so() -> None:
    python("import gymnasium; gymnasium.make('pocketworlds:PocketWorlds/Scan-v0').close()")


def test_project_file_names_every_package_and_all_data() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    there = {
        ".".join(("pocketworlds", *path.parent.relative_to(ROOT).parts))
        for path in ROOT.rglob("__init__.py")
        if not {"tests", "build", "out"} & set(path.relative_to(ROOT).parts)
        and not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    }
    assert set(setuptools["packages"]) == there
    room = ROOT / "real2sim"
    packed = {file for pattern in setuptools["package-data"]["pocketworlds.real2sim"] for file in room.glob(pattern)}
    data = {file for file in (room / "demo-capture").rglob("*") if file.is_file()}
    assert data
    assert data <= packed
