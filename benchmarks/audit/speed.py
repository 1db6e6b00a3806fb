"""Speed: control steps per second of physics and of the model, by turns in one process on one machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from ...workers import processors
from ..throughput import Stepper
from .record import Notify
from .subject import Subject

SIZES = (1, 64, 1024)


def measure_speed(
    subject: Subject, *, sizes: Sequence[int], size: int, seconds: float, turns: int, notify: Notify
) -> dict[str, Any]:
    """Steps both by turns of about `seconds` under random actions, ends of episodes and resets included.

    Args:
        subject: what is measured. sizes: worlds at once. size: of pictures [pixels], 0: none are drawn.
        seconds, turns: how long. notify: told how far it is.

    Returns:
        `rows`, each with `worlds`, `pictures`, steps per second of `physics` and `model` (median of the turns), `ratio`
        (median of the turns' ratios) and its `range`.
    """
    import torch

    cases = [(count, drawn) for drawn in ((False, True) if size else (False,)) for count in sizes]
    rows = []
    for number, (count, drawn) in enumerate(cases):
        more: dict[str, Any] = {"obs_mode": "rgb", "image_size": size} if drawn else {}
        physics = Stepper(subject.env_id, count, **{**subject.keywords, **more})
        try:
            model = Stepper(subject.env_id, count, **{**subject.keywords, **subject.model_keywords(), **more})
            try:
                for each in (physics, model):
                    each.run(seconds / 2)
                found = [(physics.run(seconds), model.run(seconds)) for _ in range(turns)]
            finally:
                model.close()
        finally:
            physics.close()
        ratios = [ours / theirs for theirs, ours in found]
        rows.append(
            {
                "worlds": count,
                "pictures": size if drawn else 0,
                "physics": statistics.median(a for a, _ in found),
                "model": statistics.median(b for _, b in found),
                "ratio": statistics.median(ratios),
                "range": [min(ratios), max(ratios)],
            }
        )
        notify("timing", (number + 1) / len(cases))
    return {
        "rows": rows,
        "seconds": seconds,
        "turns": turns,
        "physics_threads": processors(),
        "model_threads": torch.get_num_threads(),
    }
