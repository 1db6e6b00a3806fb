"""Films of held-out episodes: physics, the model under the same actions, and their difference, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...envs import WorldVectorEnv
from ...envs.vector import CONTROL_RATE
from ...errors import MissingDependencyError
from ...world_models.trajectories.video import FilmWriter
from .pictures import Pictures
from .players import Cast, Player
from .record import Notify
from .subject import Subject, length

SIDE = 192
"""Height and width of each of the three pictures [pixels]."""
LOUDER = 2
"""The difference is drawn so many times as strong."""

CAST = (Player("expert"), Player("noisy expert", noise=0.3), Player("expert that loses control", lost=(0.3, 0.5)))


def film(subject: Subject, *, seed: int, folder: Path, camera: str, notify: Notify) -> dict[str, Any]:
    """Writes an mp4 for each of `CAST` into `folder`; returns what is on them, or why there are none."""
    count = len(CAST)
    seeds = list(range(seed, seed + count))
    physics, model = subject.physics(count), subject.model(count)
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{k + 1}-{player.name.replace(' ', '-')}.mp4" for k, player in enumerate(CAST)]
    partial = [folder / f".{name}.partial.mp4" for name in names]
    films: list[FilmWriter] = []
    try:
        physics.reset(seed=seeds)
        model.reset(seed=seeds)
        cast = Cast(physics, CAST, seeds)
        films = [FilmWriter(path, CONTROL_RATE, (SIDE, 3 * SIDE)) for path in partial]
        ends = np.zeros((2, count), dtype=np.bool_)
        steps = length(physics)
        for step in range(steps):
            for writer, picture in zip(films, beside(_drawn(physics, camera), _drawn(model, camera)), strict=True):
                writer.append(picture[None])
            action = cast.act()
            for side, env in enumerate((physics, model)):
                *_, info = env.step(action)
                ends[side] = info["is_success"]
                if info["physics_error"].any():
                    env.reset(options={"reset_mask": info["physics_error"]})
            notify("filming", (step + 1) / steps)
        for writer in films:
            writer.close()
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


def beside(one: Pictures, other: Pictures) -> Pictures:
    """Pictures (n, height, 3 width, 3): one, the other, and how they differ, on black."""
    apart = np.abs(one.astype(np.int16) - other.astype(np.int16)) * LOUDER
    return np.concatenate([one, other, np.clip(apart, 0, 255).astype(np.uint8)], axis=2)


def _drawn(env: WorldVectorEnv, camera: str) -> Pictures:
    rows = np.arange(env.num_envs)
    return env.simulator.images(rows, camera, ("rgb",), width=SIDE, height=SIDE, fine=True)["rgb"].copy()
