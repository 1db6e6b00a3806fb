"""Where drawn numbers lie in their ranges: against the draws themselves."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pocketworlds.digital_cousins.config import AXES, CousinConfig
from pocketworlds.digital_cousins.draws import INNER, Draws
from pocketworlds.digital_cousins.factors import SETTINGS, shares

NOT_DRAWN_FROM = {"instance.share", "instance.pool", "clutter.add", "clutter.remove", "look.textured"}
"""Counts, pools, and probabilities of drawing at all."""


def test_every_setting_of_every_axis_is_accounted_for() -> None:
    fields = {f"{axis}.{field}" for axis in AXES for field in getattr(CousinConfig(), axis).model_dump(exclude={"on"})}
    assert {setting.name for setting in SETTINGS} == fields - NOT_DRAWN_FROM


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("split", ["train", "test"])
def test_shares_are_those_that_were_drawn(split: str, spread: float) -> None:
    config = CousinConfig(spread=spread)
    drawn: dict[str, list[float]] = {}
    for position in range(40):
        values = Draws(np.random.default_rng(position), split, spread)  # type: ignore[arg-type]
        x, y = values.disc(config.pose.shift)
        row = {
            "mass.mug": values.factor(config.mass.factor),
            "look.mug.hue": values.shift(config.look.hue),
            "servo.latency": values.amount(config.servo.latency),
            "articulation.door.travel": 1 - values.amount(config.articulation.travel),
            "pose.mug.x": x,
            "pose.mug.y": y,
        }
        for name, value in row.items():
            drawn.setdefault(name, []).append(value)
    found = shares(drawn, config)
    assert set(found) == {"mass.factor", "look.hue", "servo.latency", "articulation.travel", "pose.shift"}
    for name, those in found.items():
        inner = np.abs(those.share) <= INNER + 1e-9
        assert inner.all() if split == "train" else not (np.abs(those.share) < INNER - 1e-9).any(), name
        assert np.abs(those.share).max() <= 1 + 1e-9
    assert (found["mass.factor"].share < 0).any()
    assert found["servo.latency"].share.min() >= 0


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_values_and_shares_agree(setting) -> None:
    config = CousinConfig(kinship="mid")
    name = re.sub(r"\\(.)", r"\1", setting.pattern).replace(".+", "thing").replace("[xyz]", "x")
    for share in (setting.lowest, 0.0, 0.3, 1.0):
        table = {name: [setting.value(share, config), None]}
        if setting.how == "disc":
            table[name[:-1] + "y"] = [0.0, None]
        found = shares(table, config)[setting.name]
        assert found.share == pytest.approx([share], abs=1e-12)
        assert found.position.tolist() == [0]


def test_what_is_off_is_left_out() -> None:
    table = {"mass.mug": [1.0], "light.warmth": [0.0]}
    assert not shares(table, CousinConfig(kinship="twin"))
    assert set(shares(table, CousinConfig.model_validate({"mass": {"on": False}}))) == {"light.warmth"}
