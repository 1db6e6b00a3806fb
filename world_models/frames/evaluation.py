"""How well a simulator of frames foretells episodes that it has not learned from, next to repeating the last frame.

Everything is exact: the same windows every time, errors pooled over all their pixels. Whole frames say little, since
most of a picture never moves; so errors where something moves stand beside them. And since a model that ignores its
actions can look good, it is asked again with the actions of other windows: the gap says how much it heeds them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import DatasetError
from ..simulator import Context, NeuralSimulator
from .episodes import FrameData, Windows
from .measures import moving, psnr, squared_error

HORIZONS = (1, 5, 10)
_SEED = 99
Make = Callable[[int], NeuralSimulator]
"""Makes a simulator of so many worlds."""


def evaluate(
    make: Make,
    data: FrameData,
    *,
    horizons: Sequence[int] = HORIZONS,
    most: int = 128,
    batch: int = 32,
    notify: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Rolls windows of held-out episodes out and compares.

    Args:
        make: the simulator. data: held-out episodes. horizons: control periods after the last given frame, those that
            episodes are too short for are left out. most: windows, evenly chosen, those where things move first.
        batch: worlds at once. notify: is told the share that is done.

    Returns:
        By horizon ("1", "5", ...): `psnr` and `moving` [dB] of the model, the same of the last frame repeated
        (`copy_psnr`, `copy_moving`), with the actions of other windows (`shuffled_moving`), `state` and `copy_state`
        (root mean square errors in standard deviations of the data); beside them `windows`, their number.

    Raises:
        DatasetError: all episodes are too short.
    """
    context = data.settings.context
    shortest = int(data.lengths.min())
    asked = [each for each in horizons if context + each <= shortest]
    if not asked:
        raise DatasetError(f"held-out episodes of {shortest} frames are too short for horizons {list(horizons)}")
    length = context + max(asked)
    which = _chosen(data, length, most)
    shift = max(len(which) // 2, 1)
    other = which.roll(shift, 0)
    state = data.states()[0]
    spread = state.std(0, correction=0).clamp_min(1e-3)
    sums: dict[int, dict[str, float]] = {each: {} for each in asked}
    for start in range(0, len(which), batch):
        rows = slice(start, start + batch)
        windows = data.windows(which[rows], length, image=True)
        true = _rollout(make, windows, windows.action, context, asked)
        action = data.windows(other[rows], length).action
        wrong = _rollout(make, windows, action, context, asked)
        assert windows.image is not None
        last, last_state = windows.image[:, context - 1], windows.state[:, context - 1]
        for horizon in asked:
            seen, known = windows.image[:, context - 1 + horizon], windows.state[:, context - 1 + horizon]
            moves, found = moving(last, seen), sums[horizon]
            guesses = {"": true[horizon][0], "copy_": last, "shuffled_": wrong[horizon][0]}
            for name, guess in guesses.items():
                error = squared_error(guess, seen)
                _add(found, f"{name}psnr", float(error.sum()))
                _add(found, f"{name}moving", float(error[moves].sum()))
            for name, guess in {"": true[horizon][1], "copy_": last_state}.items():
                _add(found, f"{name}state", float(((guess - known) / spread).double().square().sum()))
            _add(found, "pixels", moves.numel())
            _add(found, "moving_pixels", int(moves.sum()))
            _add(found, "numbers", known.numel())
        if notify is not None:
            notify(min(start + batch, len(which)) / len(which))
    return {"windows": len(which)} | {str(horizon): _means(found) for horizon, found in sums.items()}


def _rollout(
    make: Make, windows: Windows, action: Tensor, context: int, horizons: Sequence[int]
) -> dict[int, tuple[Tensor, Tensor]]:
    """Pictures and states at horizons, of a simulator that was given a context and plays actions (n, L, A)."""
    assert windows.image is not None
    count = len(windows.state)
    simulator, ids = make(count), torch.arange(count)
    seed = torch.arange(count) + _SEED
    simulator.reset(
        ids,
        Context(
            image=windows.image[:, :context],
            state=windows.state[:, :context],
            action=windows.action[:, : context - 1],
            scene=windows.scene,
            seed=seed,
        ),
    )
    found = {}
    for horizon in range(1, max(horizons) + 1):
        made = simulator.step(ids, action[:, context - 2 + horizon])
        if horizon in horizons:
            assert made.image is not None
            assert made.state is not None
            found[horizon] = (made.image, made.state)
    return found


def _chosen(data: FrameData, length: int, most: int) -> Tensor:
    """Windows (n, 2), evenly from all in which things move; from all windows, if things move in none."""
    lively = data.lively(length)
    if not len(lively):
        lengths = data.lengths - length + 1
        lively = torch.cat(
            [torch.stack([torch.full((n,), k), torch.arange(n)], 1) for k, n in enumerate(lengths.tolist()) if n > 0]
        )
    picked = torch.linspace(0, len(lively) - 1, min(most, len(lively))).round().long()
    return lively[picked]


def _means(found: dict[str, float]) -> dict[str, float]:
    means = {}
    for name in ("", "copy_", "shuffled_"):
        means[f"{name}psnr"] = round(psnr(found[f"{name}psnr"] / found["pixels"]), 3)
        means[f"{name}moving"] = round(psnr(found[f"{name}moving"] / max(found["moving_pixels"], 1)), 3)
    for name in ("", "copy_"):
        means[f"{name}state"] = round((found[f"{name}state"] / found["numbers"]) ** 0.5, 5)
    return means


def _add(sums: dict[str, float], name: str, value: float) -> None:
    sums[name] = sums.get(name, 0.0) + value
