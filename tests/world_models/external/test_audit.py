"""Other people's models in the audit: their addresses are what is run, from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from pocketworlds.benchmarks.audit.subject import Subject, file_digest
from pocketworlds.cli.bench import bench_audit
from pocketworlds.world_models.external.probe import Probe, ProbeSettings, save_probe
from typer.testing import CliRunner

from ..squares import SQUARES
from .test_dreamdojo import Running, nothing_left_open
from .test_environments import probe, running, settings  # noqa: F401 - fixtures

app = typer.Typer()
app.command()(bench_audit)


def toy(path: Path, seed: int = 0) -> Path:
    save_probe(path, Probe(ProbeSettings(frames=SQUARES, source="picture", size=16, channels=8, width=16), seed))
    return path


def test_what_is_run_names_the_address_and_the_probe(tmp_path: Path):
    one, two = toy(tmp_path / "one.safetensors"), toy(tmp_path / "two.safetensors", seed=1)
    address = "dreamdojo:ws://localhost:8765?attempts=1"
    subject = Subject("Push-v0", checkpoint=f"{address}#probe={one}")
    assert subject.pinned() == subject
    assert subject.file() is None
    assert subject.model_keywords()["checkpoint"] == f"{address}#probe={one}"
    facts = subject.facts()
    assert facts["checkpoint"] == f"{address}#probe={one}"
    assert facts["probe sha256"] == file_digest(one)

    def weights(checkpoint: str) -> str:
        return str(Subject("Push-v0", checkpoint=checkpoint).facts()["weights"])

    known = {
        facts["weights"],
        weights(f"{address}#probe={two}"),
        weights(f"{address}&timeout=9#probe={one}"),
        weights(f"dreamdojo:ws://localhost:8766?attempts=1#probe={one}"),
        weights(address),
    }
    assert len(known) == 5  # each of them is audited anew
    moved = one.rename(tmp_path / "moved.safetensors")
    assert weights(f"{address}#probe={moved}") == facts["weights"]  # this is not


def test_the_command_audits_a_model_by_its_address(running: Running, probe: Path, tmp_path: Path):  # noqa: F811
    address, out = f"{running.address}#probe={probe}", tmp_path / "audit"
    told = ["Push-v0", "-c", address, "--only", "replay", "--no-pictures", "--quick", "--json", "--out", str(out)]
    with nothing_left_open():
        result = CliRunner().invoke(app, [*told, "-n", "2", "--set", "max_episode_steps=3", "--set", "num_threads=1"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["facts"]["checkpoint"] == address
    assert found["facts"]["probe sha256"] == file_digest(probe)
    assert found["sections"]["replay"]["success"]["episodes"] == 8
    assert address in (out / "audit.md").read_text()


@pytest.mark.parametrize(
    ("checkpoint", "more", "says"),
    [
        ("dreamdojo:ws://127.0.0.1:9?attempts=1", (), "no DreamDojo server answers at ws://127.0.0.1:9"),
        ("vjepa:a", (), "there are no models of kind 'vjepa'"),
        ("cosmos3:a#probe=nowhere.safetensors", (), "there is no checkpoint nowhere.safetensors"),
        ("dreamdojo:ws://127.0.0.1:9", ("--write-card",), "there is no checkpoint to write a card into"),
    ],
)
def test_the_command_says_what_is_wrong_with_an_address(
    checkpoint: str, more: tuple[str, ...], says: str, tmp_path: Path
):
    result = CliRunner().invoke(app, ["Push-v0", "-c", checkpoint, *more, "--out", str(tmp_path / "audit")])
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "audit").exists()
