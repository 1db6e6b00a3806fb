"""Addresses of other people's models."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pocketworlds import CheckpointError
from pocketworlds.world_models.external.address import is_external, parse_address, read_options
from pocketworlds.world_models.external.cosmos3 import Cosmos3Options
from pocketworlds.world_models.external.registry import open_external, require_states
from pocketworlds.world_models.simulator import Spec


def test_an_address_has_parts():
    found = parse_address("cosmos3:nvidia/Cosmos3-Nano?domain=droid_lerobot&steps=8#probe=my/probe.safetensors")
    assert (found.scheme, found.target) == ("cosmos3", "nvidia/Cosmos3-Nano")
    assert found.options == {"domain": "droid_lerobot", "steps": "8"}
    assert found.probe == Path("my/probe.safetensors")
    server = parse_address("dreamdojo:ws://localhost:8765")
    assert (server.target, server.options, server.probe) == ("ws://localhost:8765", {}, None)
    options = read_options(found, Cosmos3Options)
    assert (options.domain, options.steps, options.chunk) == ("droid_lerobot", 8, 16)


def test_files_are_no_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert is_external("dreamdojo:ws://h:1")
    assert is_external("nonsense:x")  # refused later, with the list of those there are
    for path in ("model.safetensors", "/a/b.safetensors", "C:\\models\\b.safetensors", Path("a"), None, ""):
        assert not is_external(path)
    monkeypatch.chdir(tmp_path)
    Path("odd:name").write_text("")
    assert not is_external("odd:name")


def test_an_address_may_be_longer_than_a_files_name():
    prompt = "+".join(["the+robot+arm+pushes+the+cup"] * 20)
    assert is_external(f"cosmos3:here?stats=none&prompt={prompt}")
    assert is_external(f"cosmos3:nvidia/Cosmos3-Nano?prompt={prompt * 9}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("model.safetensors", "no address"),
        ("cosmos3:", "no address"),
        ("cosmos3:?steps=1", "no address"),
        ("cosmos3:a?steps=1&steps=2", "each name once"),
        ("cosmos3:a?steps", "name=value"),
        ("cosmos3:a#probe=", "no file"),
        ("vjepa:a", "'dreamdojo', 'cosmos3', 'stable-worldmodel'"),
        ("cosmos3:a?step=3", "step='3'.*takes \\['domain'"),
        ("cosmos3:a?steps=none", "steps='none'"),
        ("cosmos3:a?domain=pusht&gripper=open&stats=none", "pusht|diffusers"),
        ("cosmos3:a?domain=umi&stats=none", "gripper=open"),
        ("cosmos3:a", "stats=<file>"),
        ("stable-worldmodel:a", "#probe=FILE"),
        ("cosmos3:a#probe=missing.safetensors", "there is no checkpoint"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, says: str):
    with pytest.raises((CheckpointError, RuntimeError), match=says):
        open_external(text, 1)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text: str):
    try:
        found = parse_address(text)
    except CheckpointError:
        return
    assert text.startswith(f"{found.scheme}:{found.target}")


def test_tasks_need_states():
    spec = Spec("cosmos3", "ee_delta", 7, {}, 0, (64, 64), "front", 0.05, 1, 16, 0, "OpenMDW-1.1", "")
    with pytest.raises(CheckpointError, match=r"no task can reckon rewards.*#probe=FILE"):
        require_states(spec, "cosmos3:a")
