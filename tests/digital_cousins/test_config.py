"""Settings of cousins: overrides, files, and errors that name the place."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.digital_cousins.config import AXES, SPREADS, CousinConfig, read_config
from pocketworlds.errors import SceneError

TEXT = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), max_size=12)


def test_overrides_win_over_a_file_and_a_file_over_the_defaults(tmp_path: Path):
    path = tmp_path / "cousins.yaml"
    path.write_text("kinship: far\npose: {shift: 0.07, turn: 0.1}\nclutter: {on: false}\n")
    config = read_config(["pose.shift=0.05", "mass.factor=3"], file=path)
    assert (config.kinship, config.width) == ("far", SPREADS["far"])
    assert (config.pose.shift, config.pose.turn, config.mass.factor) == (0.05, 0.1, 3.0)
    assert not config.clutter.on
    assert config.look == CousinConfig().look


def test_nothing_given_is_the_defaults(tmp_path: Path):
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_config() == CousinConfig() == read_config(file=tmp_path / "empty.yaml")


def test_a_given_spread_wins_over_that_of_the_kinship():
    assert read_config(["kinship=far", "spread=0.25"]).width == 0.25


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("poses.shift=0.1", "poses"),
        ("pose.shfit=0.1", "pose.shfit"),
        ("pose.shift=-1", "pose.shift"),
        ("pose.shift=.nan", "pose.shift"),
        ("pose.shift=.inf", "pose.shift"),
        ("pose.shift=far", "pose.shift"),
        ("mass.factor=0.5", "mass.factor"),
        ("instance.share=2", "instance.share"),
        ("servo.latency=0.2", "servo.latency"),
        ("clutter.add=1.5", "clutter.add"),
        ("kinship=cousin", "kinship"),
        ("spread=-1", "spread"),
        ("pose=3", "pose"),
        ("pose.on=perhaps", "pose.on"),
    ],
)
def test_errors_name_the_setting_and_the_axes(override: str, place: str):
    with pytest.raises(SceneError, match=rf"'{place}'.*axes are {', '.join(AXES)}"):
        read_config([override])


@pytest.mark.parametrize(
    "contents",
    ["pose: [", "- pose\n- mass\n", "just words", "pose: {shift: ${nothing}}", "\tpose: 1", "pose: 1\npose: 2", "\xff"],
)
def test_a_file_that_is_no_settings_is_refused_in_a_sentence(tmp_path: Path, contents: str):
    path = tmp_path / "odd.yaml"
    path.write_bytes(contents.encode("latin-1"))
    with pytest.raises(SceneError) as caught:
        read_config(file=path)
    assert "\n" not in str(caught.value)
    assert "odd.yaml" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SceneError, match=r"missing\.yaml"):
        read_config(file=tmp_path / "missing.yaml")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([*AXES, "kinship", "spread", "", "x"]), TEXT, TEXT)
def test_whatever_is_typed_is_read_or_refused(axis: str, name: str, value: str):
    for override in (f"{axis}.{name}={value}", f"{axis}{name}", f"{axis}={value}", f"{name}={axis}"):
        config = read(override)
        if config is not None:
            assert CousinConfig.model_validate(config.model_dump()) == config


def read(override: str) -> CousinConfig | None:
    """The settings, or None where they are refused in a sentence."""
    try:
        return read_config([override])
    except SceneError as error:
        return None if "\n" not in str(error) else pytest.fail(str(error))


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 10), st.floats(0, 1), st.integers(0, 10), st.booleans())
def test_what_is_in_range_is_taken_as_it_is(factor: float, shift: float, count: int, on: bool):
    overrides = [f"mass.factor={factor!r}", f"pose.shift={shift!r}", f"clutter.add={count}", f"look.on={on}"]
    config = read_config(overrides)
    assert math.isclose(config.mass.factor, factor)
    assert math.isclose(config.pose.shift, shift)
    assert (config.clutter.add, config.look.on) == (count, on)
