"""Trust: does what stands in for physics rank agents as physics does, and are its scores those of physics?

Agents of different skill play the same task in both: groups of a suite whose names end in `-physics`, and in `-neural`
(a model instead of physics) or `-scan` (what a scan made of the very scene). What is said of them is what `bench audit`
says of one model: Pearson's r with its interval (Fisher's z) and the range when each agent in turn is left out,
SIMPLER's mean maximum rank violation (Li et al. 2024), slope, bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...errors import SuiteError
from ..statistics import Interval, correspondence, mmrv
from ..tables import Table
from ..words import between, number
from .results import Results

REAL = "physics"
FEWEST = 8
"""Agents that are wanted, of different skill."""


@dataclass(frozen=True)
class Trust:
    """What is said of a pair of groups.

    Attributes:
        task, elsewhere: what was played, and where beside physics. agents: names, in the order of `real` and `told`,
            their shares of success in physics and in the other. r, r_interval, r_range: correlation.
        mmrv, mmrv_interval: 0 where all ranks agree; 95 %, episodes drawn anew. slope: of the line through both.
        bias: mean of `told` less `real`.
    """

    task: str
    elsewhere: str
    agents: tuple[str, ...]
    real: tuple[float, ...]
    told: tuple[float, ...]
    r: float
    r_interval: Interval
    r_range: Interval
    mmrv: float
    mmrv_interval: Interval
    slope: float
    bias: float


def compared(groups: Sequence[str]) -> list[tuple[str, str]]:
    """Tasks, and where they are played beside physics, of the groups of a suite."""
    split = [name.rpartition("-") for name in groups]
    return [(task, told) for task, _, told in split if told != REAL and f"{task}-{REAL}" in groups]


def trust(runs: Sequence[Results], *, count: int = 2000, seed: int = 0) -> list[Trust]:
    """Compares physics and what stands in for it, task by task, by what agents did in both.

    Args:
        runs: of one suite, an agent each. count, seed: of the bootstrap over episodes.

    Raises:
        SuiteError: runs are too few, of different suites, or of one that plays nothing in both.
    """
    if len({run.suite_sha256 for run in runs}) > 1:
        raise SuiteError("these runs are of different suites; compare runs of one")
    if len(runs) < FEWEST:
        raise SuiteError(f"trust takes {FEWEST} agents of different skill, got {len(runs)}; let more agents play")
    pairs = compared([played.name for played in runs[0].played])
    if not pairs:
        raise SuiteError(f"{runs[0].suite} plays nothing both in physics and elsewhere; take swap-v1 or scan-v1")
    rng = np.random.default_rng(seed)
    return [_of(runs, task, elsewhere, rng, count) for task, elsewhere in pairs]


def _of(runs: Sequence[Results], task: str, elsewhere: str, rng: np.random.Generator, count: int) -> Trust:
    ends = [_ends(runs, f"{task}-{where}") for where in (REAL, elsewhere)]
    real, told = (each.mean(axis=1) for each in ends)
    # Both play the same episodes: they are drawn together.
    drawn = rng.integers(ends[0].shape[1], size=(count, ends[0].shape[1]))
    spread = [mmrv(ends[0][:, rows].mean(axis=1), ends[1][:, rows].mean(axis=1)) for rows in drawn]
    low, high = np.quantile(spread, [0.025, 0.975])
    found = correspondence(real, told)
    return Trust(
        task=task,
        elsewhere=elsewhere,
        agents=tuple(run.agent.name for run in runs),
        real=tuple(real.tolist()),
        told=tuple(told.tolist()),
        r=found.r,
        r_interval=found.r_interval,
        r_range=found.r_range,
        mmrv=found.mmrv,
        mmrv_interval=(float(low), float(high)),
        slope=found.slope,
        bias=found.bias,
    )


def table(found: Sequence[Trust]) -> Table:
    """In words."""
    rows = [
        (
            each.task,
            each.elsewhere,
            str(len(each.agents)),
            f"{number(each.r, '.3f')} ({between(each.r_interval)})",
            between(each.r_range),
            f"{each.mmrv:.3f} ({between(each.mmrv_interval)})",
            f"{each.slope:.2f}",
            f"{100 * each.bias:+.1f}",
        )
        for each in found
    ]
    heads = ("task", "elsewhere", "agents", "r (95 %)", "one left out", "MMRV (95 %)", "slope", "bias [points]")
    note = (
        "r: whether agents that are better in physics are better elsewhere, 1 is perfect. MMRV: how much success in "
        "physics is lost at worst by trusting ranks from elsewhere, mean over agents, 0 is perfect. Slope and bias: "
        "whether shares are those of physics; a model or a scan may rank well and still be rosy. Physics of a scan: "
        "that of the scene as it really is."
    )
    return Table("Trust, physics and elsewhere", heads, rows, note)


def _ends(runs: Sequence[Results], name: str) -> NDArray[np.float64]:
    """(agents, episodes) 1 where an episode ended in success."""
    return np.array([[each.success for each in run.group(name)] for run in runs], dtype=np.float64)
