"""The figures of an audit in words: a table for each question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..tables import Table
from ..throughput_result import Goal
from .errors import LENGTHS, UNITS
from .goals import shuffle_gap

_TITLES = {
    "target": "target",
    "moved": "what moved",
    "rotation": "its rotation",
    "part": "handles",
    "hand": "hand",
    "joints": "joints",
}


def goals_table(judged: Sequence[Goal]) -> Table:
    """What is asked for, and what is so."""
    rows = [
        (
            goal.name,
            number(goal.value),
            f"{'>=' if goal.at_least else '<='} {goal.bound:g}",
            "met" if goal.met else "MISSED",
            goal.note,
        )
        for goal in judged
    ]
    return Table("What is asked for", ("", "measured", "asked", "", "of"), rows)


def horizon_table(horizon: int, rows: Sequence[Mapping[str, Any]]) -> Table:
    """How the audited horizon came about."""
    lines = [
        (
            str(row["horizon"]),
            number(row["moved"]),
            number(row["copied"]),
            percent(row["diverged"]),
            percent(row["optimism"]),
            percent(row["pessimism"]),
            "yes" if row["passed"] else "no",
        )
        for row in rows
    ]
    heads = ("control steps", "off [cm]", "copy-last [cm]", "diverged", "optimism", "pessimism", "passed")
    note = (
        "The last row is of whole episodes. Passed: better than copy-last, less than 10 % diverged and, from 5 steps "
        "on, optimism and pessimism below 10 %."
    )
    return Table(f"Audited horizon: {horizon} control steps", heads, lines, note)


def replay_tables(part: Mapping[str, Any]) -> Iterator[Table]:
    """Errors by horizon, what episodes end in, pictures."""
    for name, title in (
        ("windows", "Errors of stretches that begin mid-episode"),
        ("episodes", "Errors from the starts of episodes"),
    ):
        if part[name]:
            yield _errors(part[name], title)
    yield _outcomes(part["success"], part["nudged"])
    if part["pictures"]:
        yield from _pictures(part["pictures"])
    elif part.get("no_pictures"):
        yield Table("Pictures", ("",), [(f"not measured: {part['no_pictures']}",)])


def control_tables(part: Mapping[str, Any]) -> Iterator[Table]:
    """Drift and pairs."""
    rows: list[tuple[str, ...]] = [
        (name, number(each["mean"]), number(each["p90"]), number(each["max"]), str(each["count"]))
        for name, each in part["drift"].items()
        if each
    ]
    note = f"How far [cm] objects get in {part['idle_steps']} idle control steps that physics leaves within 2 mm."
    yield Table("No-op drift", ("from", "mean", "90th percentile", "most", "objects"), rows, note)
    rows = [
        (
            name,
            h,
            str(each["pairs"]),
            number(each["correlation"]),
            percent(each["signs"]),
            number(each["cosine"]),
            number(each["error"]),
            f"{each['made_up']} of {each['same']}",
        )
        for name, rows_of in part["pairs"].items()
        for h, each in rows_of.items()
    ]
    heads = ("what", "steps", "pairs", "r", "same sign", "cosine", "off [cm]", "made up")
    note = (
        "Two courses of actions from one state: how what they make different agrees with physics. Pairs: those that "
        "differ there by more than 5 mm. Made up: pairs that do not differ there (2 mm) and do here (1 cm)."
    )
    yield Table("Counterfactual pairs", heads, rows, note)


def ranking_tables(part: Mapping[str, Any], title: str) -> Iterator[Table]:
    """Statistics and policies."""
    low, high = part["pearson_interval"]
    least, most = part["pearson_drop_one"]
    rows = [
        (
            "Pearson r",
            number(part["pearson"]),
            f"95 % (Fisher's z) {_span(low, high)}; one left out {_span(least, most)}",
        ),
        ("Spearman rho", number(part["spearman"]), ""),
        ("MMRV", number(part["mmrv"]), "SIMPLER's definition"),
        ("slope", number(part["slope"]), "of the model on physics"),
        ("bias [points]", number(part["bias_points"]), f"of one policy at most {number(part['largest_bias_points'])}"),
        ("agreement", percent(part["agreement"]), "of the same start, mean over policies"),
    ]
    note = (
        f"{part['policies']} policies of {part['kinds']} kinds, {part['starts']} paired starts from {part['seed']} on."
    )
    if part.get("cousins"):
        told = part["cousins"]
        note += f" In {told['cousins']} cousins of {told['set']}, split {told['split']}."
    yield Table(f"{title[0].upper()}{title[1:]} of policies", ("", "", ""), rows, note)
    policies = [
        (str(row["name"]), str(row["kind"]), percent(row["physics"]), percent(row["model"]), percent(row["agreement"]))
        for row in sorted(part["rows"], key=lambda row: -row["physics"])
    ]
    yield Table(f"Policies: {title}", ("policy", "kind", "physics", "model", "agreement"), policies)


def ood_tables(part: Mapping[str, Any]) -> Iterator[Table]:
    """What the model says of itself."""
    if part.get("missing"):
        yield Table("Does it know when it is wrong", ("",), [(f"not measured: {part['missing']}",)])
        return
    steps = list(next(iter(part["sets"].values()))["coverage"])
    rows = [
        (
            name,
            part["told"][name],
            number(row["bound_cm"]),
            number(row["error_cm"]),
            percent(row["flagged"]),
            _ranged(row.get("auroc"), row.get("auroc_interval")),
            *(percent(row["coverage"].get(h)) for h in steps),
        )
        for name, row in part["sets"].items()
    ]
    heads = ("", "what", "bound [cm]", "off at the end [cm]", "flagged", "AUROC", *(f"cover at {h}" for h in steps))
    told = [part["wrong"][name] for name in ("usual", "all")]
    usual, every = (_ranged(each["auroc"], each["interval"]) for each in told)
    mixed, alone = (number(told[1][name]) for name in ("mixed", "time"))
    curve = part["risk_coverage"]
    unplayed = "".join(f" Not played: {name} ({why})." for name, why in part["unplayed"].items())
    note = (
        f"AUROC for being off by more than {part['tau_cm']:g} cm, among what is equally long: {usual} as usual, "
        f"{every} of all (lengths mixed {mixed}, by length alone {alone}). The bound "
        f"covers {percent(part['coverage'])} as usual, calibration error {number(part['ece'])}. The surest half is off "
        f"by {number(curve['error_cm'][9])} cm, all by {number(curve['all_cm'])}.{unplayed}"
    )
    yield Table("Does it know when it is wrong", heads, rows, note)


def speed_tables(part: Mapping[str, Any]) -> Iterator[Table]:
    """Steps per second."""
    rows = [
        (
            str(row["worlds"]),
            f"{row['pictures']} x {row['pictures']}" if row["pictures"] else "none",
            f"{row['physics']:.0f}",
            f"{row['model']:.0f}",
            number(row["ratio"]),
            _span(*row["range"]),
        )
        for row in part["rows"]
    ]
    note = (
        f"Control steps of all worlds per second, medians of {part['turns']} turns of {part['seconds']:g} s, by turns; "
        f"threads: {part['physics_threads']} of physics, {part['model_threads']} of the model."
    )
    yield Table("Speed", ("worlds", "pictures", "physics", "model", "ratio", "of turns"), rows, note)


def transfer_tables(part: Mapping[str, Any]) -> Iterator[Table]:
    """Policies that learned in the model, in physics."""
    rows: list[tuple[str, ...]] = []
    for name, told in (("equal_steps", f"{part['steps']:,} steps"), ("equal_seconds", "")):
        for way, row in part[name].items():
            if way != "seconds":
                rows.append(
                    (
                        told or f"{part[name]['seconds']:.0f} s",
                        way,
                        number(row["iqm"]),
                        _span(*row["interval"]),
                        number(row.get("of_physics")),
                        ", ".join(f"{v:.2f}" for v in row["seeds"]),
                    )
                )
    heads = ("training", "in", "IQM", "95 %", "of physics-trained", "seeds")
    note = f"Success at the end of {part['episodes']} episodes in physics; stratified bootstrap over seeds."
    yield Table("PPO, tested in physics", heads, rows, note)
    rows = [
        (way, str(row["steps"]), percent(row["model"]), percent(row["physics"]), number(row["gap_points"]))
        for way, curve in part["exploitation"].items()
        for row in curve
    ]
    yield Table("Exploitation along training", ("in", "steps", "model", "physics", "gap [points]"), rows)


def exploit_tables(part: Mapping[str, Any]) -> Iterator[Table]:
    """What those find who look for the model's mistakes."""
    rows = []
    for name, each in part["rows"].items():
        pays = (number(each[kind]) for kind in ("physics", "model", "guarded", "gap", "guarded_gap"))
        share = {"count": each["false"], "of": each["of"], "share": each["false"] / each["of"]}
        false = _counted({**share, "interval": each["false_interval"]})
        flags = f"{each['flagged']}/{each['false']}", f"{each['flagged_all']}/{each['of']}"
        rows.append((name, *pays, false, *flags, str(each["diverged"])))
    sides = ("physics", "model", "guarded", "gap", "guarded gap")
    heads = ("PPO", *sides, "successes in the model alone", "of them flagged", "of all flagged", "diverged")
    note = (
        "PPO that is paid the model's reward less that of physics for the same actions, "
        f"{part['steps']} control steps; rewards a step, in {part['episodes']} held-out episodes. "
        'Guarded: what on_ood="penalise" leaves of the model\'s. '
        "Flagged: the model calls at least a tenth of an episode's steps out of its depth."
    )
    yield Table("Exploited", heads, rows, note)


def films_table(part: Mapping[str, Any]) -> Table:
    """What the films show."""
    if part.get("missing"):
        return Table("Films", ("",), [(f"not made: {part['missing']}",)])
    rows = [
        (each["file"], each["player"], str(each["seed"]), _yes(each["physics"]), _yes(each["model"]))
        for each in part["films"]
    ]
    heads = ("file", "player", "seed", "success in physics", "in the model")
    return Table("Films", heads, rows, "From left to right: physics, the model, their difference.")


def _errors(part: Mapping[str, Any], title: str) -> Table:
    rows = []
    for name, each in part.items():
        for h, row in each["horizons"].items():
            cells = [_error(row[kind]) for kind in LENGTHS]
            count = row["moved"]["count"] if row["moved"] else 0
            shares = [f"{row[a]}/{row[b]}" for a, b in (("optimistic", "failed"), ("pessimistic", "succeeded"))]
            rows.append((name, h, *cells, str(count), number(row["contact_f1"]), *shares, _mean(row["reward"])))
    kinds = (f"{_TITLES[kind]} [{UNITS[kind]}]" for kind in LENGTHS)
    heads = ("", "steps", *kinds, "moved", "contact F1", "optimistic", "pessimistic", "reward")
    broken = part["model"]["broken"]
    note = (
        f"Mean / median / 90th percentile, in {part['model']['worlds']} worlds; {broken} diverged in the model. Moved: "
        "objects and handles more than 5 mm from where they were. Reward: mean difference of the dense reward."
    )
    return Table(title, heads, rows, note)


def _outcomes(part: Mapping[str, Any], nudged: Mapping[str, Any]) -> Table:
    rows = [
        (
            who,
            told,
            str(found[name]["physics"]),
            str(found[name]["model"]),
            number(found[name]["f1"]),
            percent(found[name]["agree"]),
            *(_counted(found[name][side]) for side in ("optimism", "pessimism")),
        )
        for who, found in (("model", part), ("physics, nudged", nudged))
        for name, told in (("at_end", "at the end"), ("ever", "at any step"))
    ]
    heads = ("", "success", "physics", "there", "F1", "agree", "optimism", "pessimism")
    note = (
        f"Of {part['episodes']} whole episodes; {part['broken']} diverged in the model. Optimism: failed in physics, a "
        "success in the model; pessimism: the other way round; 95 % Wilson intervals. Nudged: the same actions in "
        f"physics again, every joint displaced by {nudged['rad']:g} rad (standard deviation) at every step: no "
        "model can be asked for more."
    )
    return Table("What episodes end in", heads, rows, note)


def _pictures(part: Mapping[str, Any]) -> Iterator[Table]:
    rows = []
    for name, each in part["rows"].items():
        if not each:
            rows.append((name, *("none",) * 7))
            continue
        for h, row in each.items():
            own, moving = row, row["moving"]
            cells = [
                f(v[kind]) for v in (own, moving) for kind, f in (("psnr", _db), ("ssim", number), ("lpips", number))
            ]
            rows.append((name, h, *cells))
    parts = ("PSNR [dB]", "SSIM", "LPIPS")
    heads = ("", "steps", *parts, *(f"{each} of what moves" for each in parts))
    gaps = [
        f"{h}: {number(shuffle_gap(part, h))} ({number(shuffle_gap(part, h, moving=True))})"
        for h in part["rows"]["model"]
    ]
    count = next(iter(part["rows"]["model"].values()))["pictures"]
    note = (
        f"{part['size']} x {part['size']} pixels, camera {part['camera']}, {count} pictures a row. "
        f"{'LPIPS ' + part['lpips'] + '. ' if part['lpips'] else ''}Ceiling: the true states as the model draws them. "
        f"dB over shuffled actions, in brackets on what moves: {'; '.join(gaps)}."
    )
    yield Table("Pictures", heads, rows, note)


def number(value: float | str | None) -> str:
    """Three digits, or what there is instead."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(value: float | None) -> str:
    """A share in percent."""
    return "-" if value is None else f"{100 * value:.1f}%"


def _db(value: float | str | None) -> str:
    if value == "inf" or (isinstance(value, float) and value > 80):
        return "exact"
    return number(value)


def _error(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None else " / ".join(number(row[name]) for name in ("mean", "median", "p90"))


def _mean(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None else number(row["mean"])


def _counted(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['count']}/{row['of']} = {percent(row['share'])} ({100 * low:.1f} to {100 * high:.1f})"


def _ranged(value: float | None, interval: Sequence[float] | None) -> str:
    return "-" if value is None or interval is None else f"{value:.3f} ({_span(*interval)})"


def _span(low: float | None, high: float | None) -> str:
    return f"{number(low)} to {number(high)}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
