"""What is asked of a model that is to stand in for physics, and whether it is so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..throughput_result import Goal


def goals(found: Mapping[str, Any]) -> list[Goal]:
    """Of the sections of an audit that were run."""
    each = {"replay": _replay, "control": _control, "speed": _speed, "ood": _ood, "transfer": _transfer}
    result = [goal for name, judge in each.items() if name in found for goal in judge(found[name])]
    for name in ("ranking", "ranking on cousins"):
        if name in found:
            result += _ranking(found[name], name)
    return result


def _replay(part: Mapping[str, Any]) -> Iterator[Goal]:
    pictures = part["pictures"]
    if pictures:
        rows = pictures["rows"]
        gains = [
            (_psnr(rows["model"][h]["moving"]) - _psnr(rows["copy-last"][h]["moving"]), h)
            for h in rows["model"]
            if int(h) >= 5 and rows["copy-last"][h]["moving"]["psnr"] is not None
        ]
        if gains:
            worst, where = min(gains)
            yield Goal("dB over copy-last on what moves, worst", worst, 0, True, f"of 5 steps and more: at {where}")
        if "10" in rows["model"]:
            gap = shuffle_gap(pictures, "10")
            if gap is not None:
                yield Goal("dB over shuffled actions at 10 steps", gap, 2, True, "whole picture")
    stretch = part["windows"] or part["episodes"]
    moved = stretch["model"]["horizons"].get("20", {}).get("moved")
    if moved:
        most = 2.0 if part.get("radius") is None else min(2.0, 50 * part["radius"])
        told = f"mean of {moved['count']} things that moved, {_span(moved['interval'])}"
        yield Goal("cm off after 20 steps", moved["mean"], most, False, told)
    ends = part["success"]["at_end"]
    yield Goal("F1 of success", ends["f1"], 0.9, True, f"{part['success']['episodes']} episodes")
    for name in ("optimism", "pessimism"):
        if ends[name]["share"] is not None:
            told = f"{ends[name]['count']} of {ends[name]['of']}, {_span(ends[name]['interval'])}"
            yield Goal(name, ends[name]["share"], 0.1, False, told)


def _control(part: Mapping[str, Any]) -> Iterator[Goal]:
    for name, drift in part["drift"].items():
        if drift:
            told = f"90th percentile of {drift['count']} objects; mean {drift['mean']:.2f}, most {drift['max']:.2f}"
            yield Goal(f"cm of drift in {part['idle_steps']} idle steps, {name}", drift["p90"], 1, False, told)


def _ranking(part: Mapping[str, Any], name: str) -> Iterator[Goal]:
    told = f"{part['policies']} policies x {part['starts']} starts"
    if part["slope"] is not None:  # else physics has the same success for all of them, and there is nothing to rank
        flat = part["pearson"] is None  # the model has: no correlation at all
        yield Goal(f"{name}: Pearson r", 0.0 if flat else part["pearson"], 0.9, True, told)
        yield Goal(f"{name}: low end of r", 0.0 if flat else part["pearson_interval"][0], 0.8, True)
        yield Goal(f"{name}: slope, least", part["slope"], 0.7, True)
        yield Goal(f"{name}: slope, most", part["slope"], 1.3, False)
    yield Goal(f"{name}: bias in points", abs(part["bias_points"]), 5, False, f"{part['bias_points']:+.1f}")
    yield Goal(f"{name}: MMRV", part["mmrv"], 0.05, False)


def _ood(part: Mapping[str, Any]) -> Iterator[Goal]:
    if part.get("missing"):
        return
    wrong = part["wrong"]["all"]
    if wrong["auroc"] is not None:
        told = f"{wrong['wrong']} of {wrong['of']} are off by more than {part['tau_cm']:g} cm"
        yield Goal("AUROC of uncertainty for being wrong", wrong["auroc"], 0.85, True, told)
    areas = {name: row["auroc"] for name, row in part["sets"].items() if row.get("auroc") is not None}
    if areas:
        worst = min(areas, key=lambda name: areas[name])
        yield Goal("AUROC of strangeness for shifts, worst", areas[worst], 0.85, True, worst)
    if part["coverage"] is not None:
        yield Goal("cover of the 90 % bound, least", part["coverage"], 0.85, True)
        yield Goal("cover of the 90 % bound, most", part["coverage"], 0.95, False)


def _speed(part: Mapping[str, Any]) -> Iterator[Goal]:
    rows = {(row["worlds"], bool(row["pictures"])): row for row in part["rows"]}
    if (1024, False) in rows:
        row = rows[1024, False]
        yield Goal("steps/s, 1,024 worlds", row["model"], 60_000, True)
        yield Goal("times physics, 1,024 worlds", row["ratio"], 3, True, f"turns: {_span(row['range'])}")
    if (64, True) in rows:
        yield Goal("pictures/s, 64 worlds", rows[64, True]["model"], 1000, True)
    if (1, True) in rows:
        yield Goal("pictures/s, one world", rows[1, True]["model"], 100, True)


def _transfer(part: Mapping[str, Any]) -> Iterator[Goal]:
    for name, told in (("equal_steps", "equal steps"), ("equal_seconds", "equal seconds")):
        share = part[name]["model"].get("of_physics")
        if share is not None:
            yield Goal(f"of physics-trained, {told}", share, 0.9, True, f"IQM {part[name]['model']['iqm']:.2f}")


def shuffle_gap(pictures: Mapping[str, Any], horizon: str, *, moving: bool = False) -> float | None:
    """How many dB the model's own actions are better than another episode's; None where both are exact or unknown."""
    own, other = (pictures["rows"][row][horizon] for row in ("model", "shuffled actions"))
    if moving:
        own, other = own["moving"], other["moving"]
    return None if other["psnr"] is None or own["psnr"] is None else _psnr(own) - _psnr(other)


MOST_DB = 100.0
"""What pictures without any error count as, where a difference is asked for."""


def _psnr(row: Mapping[str, Any]) -> float:
    value = row["psnr"]
    return MOST_DB if value == "inf" else min(float(value), MOST_DB)


def _span(interval: Any) -> str:
    low, high = (round(float(value), 4) for value in interval)
    return f"{low:.3g} to {high:.3g}"
