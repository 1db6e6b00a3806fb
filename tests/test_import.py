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
    packages = set(setuptools["packages"])
    assert there <= packages
    assert packages - there <= set(setuptools["package-data"])  # folders of data alone
    packed = {
        file
        for package, patterns in setuptools["package-data"].items()
        for pattern in patterns
        for file in ROOT.joinpath(*package.split(".")[1:]).glob(pattern)
    }
    rooms = [ROOT / room for room in ("benchmarks", "conf", "real2sim", "world_models")]
    data = {
        file
        for room in rooms
        for file in room.rglob("*")
        if file.is_file() and file.suffix not in {".py", ".pyc"} and not file.name.startswith(".")
    }
    assert len(data) > 150
    assert data | {ROOT / "py.typed"} == {file for file in packed if file.is_file()}
