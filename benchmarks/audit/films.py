"""Films of held-out episodes: physics, the model under the same actions, and their difference, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from ...envs import WorldVectorEnv
from ...envs.vector import CONTROL_RATE
from ...errors import MissingDependencyError
from ...world_models.trajectories.video import FilmWriter
from .pictures import Pictures
from .players import Cast, Player
from .record import Notify, both
from .subject import Subject, length
from .trace import Array

SIDE = 192
"""Height and width of each of the three pictures [pixels]."""
LOUDER = 2
"""The difference is drawn so many times as strong."""

CAST = (Player("expert"), Player("noisy expert", noise=0.3), Player("expert that loses control", lost=(0.3, 0.5)))


def film(subject: Subject, *, seed: int, folder: Path, camera: str, notify: Notify) -> dict[str, Any]:
    """Writes an mp4 for each of `CAST` into `folder`; returns what is on them, or why there are none."""
    count = len(CAST)
    seeds = list(range(seed, seed + count))
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{k + 1}-{player.name.replace(' ', '-')}.mp4" for k, player in enumerate(CAST)]
    partial = [folder / f".{name}.partial.mp4" for name in names]
    physics, model = both(subject, count)
    try:
        ends = _filmed(physics, model, seeds, partial, camera, notify)
        for path, name in zip(partial, names, strict=True):
            path.replace(folder / name)
    except MissingDependencyError as error:
        return {"missing": str(error)}
    finally:
        physics.close()
        model.close()
        for path in partial:
            path.unlink(missing_ok=True)
    return {
        "films": [
            {"file": f"{folder.name}/{name}", "player": player.name, "seed": s, "physics": bool(a), "model": bool(b)}
            for name, player, s, a, b in zip(names, CAST, seeds, *ends, strict=True)
        ]
    }


def _filmed(
    physics: WorldVectorEnv,
    model: WorldVectorEnv,
    seeds: list[int],
    files: Sequence[Path],
    camera: str,
    notify: Notify,
) -> Array:
    """Films an episode of each of `CAST`; whether (2, n) they end in success in physics and in the model.

    A world that diverges goes on with another episode, which is no success of this one.
    """
    physics.reset(seed=seeds)
    model.reset(seed=seeds)
    cast, steps = Cast(physics, CAST, seeds), length(physics)
    ends, over = (np.zeros((2, len(seeds)), dtype=np.bool_) for _ in range(2))
    with ExitStack() as opened:
        films = [opened.enter_context(closing(FilmWriter(path, CONTROL_RATE, (SIDE, 3 * SIDE)))) for path in files]
        for step in range(steps):
            for writer, picture in zip(films, beside(_drawn(physics, camera), _drawn(model, camera)), strict=True):
                writer.append(picture[None])
            action = cast.act()
            for side, env in enumerate((physics, model)):
                *_, info = env.step(action)
                failed = np.asarray(info["physics_error"], dtype=np.bool_)
                over[side] |= failed
                ends[side] = info["is_success"] & ~over[side]
                if failed.any():
                    env.reset(options={"reset_mask": failed})
            notify("filming", (step + 1) / steps)
    return ends


def beside(one: Pictures, other: Pictures) -> Pictures:
    """Pictures (n, height, 3 width, 3): one, the other, and how they differ, on black."""
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16)) * LOUDER
    return np.concatenate([one, other, np.clip(apart, 0, 255).astype(np.uint8)], axis=2)


def _drawn(env: WorldVectorEnv, camera: str) -> Pictures:
    rows = np.arange(env.num_envs)
    return env.simulator.images(rows, camera, ("rgb",), width=SIDE, height=SIDE, fine=True)["rgb"].copy()
