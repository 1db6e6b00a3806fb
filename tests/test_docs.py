"""What the README and the docs say: their examples run, their links lead somewhere, their commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pocketworlds.cli import app
from pocketworlds.digital_cousins.config import AXES, SPREADS, CousinConfig
from typer.testing import CliRunner

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("leaderboard/*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_readme_examples_run() -> None:
    code = "\n".join(blocks(ROOT / "README.md", "python")).replace("out/demo/scene", "tabletop")
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.startswith("lift the ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_of_the_docs_compiles_and_imports(page: Path) -> None:
    for code in blocks(page, "python"):
        compile(code, str(page), "exec")
        imports = "\n".join(line for line in code.splitlines() if line.startswith(("import ", "from ")))
        subprocess.run([sys.executable, "-c", imports], timeout=300, check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_commands_of_the_docs_exist() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = r"pocketworlds (scan|view|demo|cousins-check|cousins|envs|record|library|bench|watch|check-robot|doctor)\b"
    for name in set(re.findall(names, text)):
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make (\w+)", text)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_page_of_cousins_lists_every_setting_with_its_default() -> None:
    config = CousinConfig()
    told = dict(re.findall(r"\| `(\w+\.\w+)` \| ([\d.]+) \|", (ROOT / "docs/cousins.md").read_text(encoding="utf-8")))
    settings = {axis: getattr(config, axis).model_dump(exclude={"on"}) for axis in AXES}
    assert list(told) == [f"{axis}.{field}" for axis, fields in settings.items() for field in fields]
    assert [float(value) for value in told.values()] == [v for fields in settings.values() for v in fields.values()]
    page = (ROOT / "docs/cousins.md").read_text(encoding="utf-8")
    for kinship, spread in SPREADS.items():
        assert f"| `{kinship}` | {spread:g} |" in page


TRAINING = ("--num-envs", "4", "--total-steps", "384", "--eval-episodes", "2")


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("lift.py", ()),
        ("random_batch.py", ()),
        ("ppo_sb3.py", TRAINING),
        ("her_sac.py", ("--num-envs", "2", "--total-steps", "320", "--eval-episodes", "2")),
        ("ppo_single_file.py", TRAINING),
    ],
)
def test_examples_run(script: str, options: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / script), *options]
    child = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout
