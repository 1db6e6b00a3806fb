"""What infos say about how sure a neural simulator is; see `world_models.hybrid.trust`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...world_models.hybrid.trust import COVERAGE, Signs, Trust
from ..simulator import Array, Ids

LOST = 0.1
"""[m]: who may be farther off than this does not know where things are, and a success that it tells means little."""


class Confidence:
    """Of `num_envs` worlds.

    Attributes:
        signs: what happened in their episodes.
        told: what infos say, live: `neural/uncertainty` [m], how far the position of any thing is off at most, nine
            times in ten, and as many times more as the world is strange (infinite where the model was not calibrated);
            `neural/strangeness`, how much the networks disagree, how far out the robot's joints and their speeds are,
            or how unlike all that they learned from the things around the hand, or the servos, are: 1 is the most that
            is usual;
            `neural/lost`, how likely it is that something is off by more than `LOST`, see `likely_lost`; `neural/ood`,
            whether it is strange, or the uncertainty more than `LOST`.
    """

    def __init__(self, num_envs: int, trust: Trust) -> None:
        self._trust, self.signs = trust, Signs(num_envs)
        self.told: dict[str, NDArray[Any]] = {
            "neural/uncertainty": np.zeros(num_envs),
            "neural/strangeness": np.zeros(num_envs),
            "neural/lost": np.zeros(num_envs),
            "neural/ood": np.zeros(num_envs, dtype=np.bool_),
        }
        self._tell(np.arange(num_envs))
        self._begun = {name: values[:1].copy() for name, values in self.told.items()}

    def reset(self, ids: Ids) -> None:
        """Begins episodes in worlds `ids` (m,)."""
        self.signs.reset(torch.from_numpy(ids))
        for name, values in self._begun.items():  # all episodes begin alike
            self.told[name][ids] = values

    def add(self, ids: Ids, doubt: Tensor) -> None:
        """Takes what a step in worlds `ids` (m,) said of itself (m, 5); see `Dynamics.step`."""
        self.signs.add(torch.from_numpy(ids), doubt)
        self._tell(ids)

    def save(self, ids: Ids) -> Array:
        """What worlds `ids` (m,) need to go on."""
        return np.asarray(self.signs.save(torch.from_numpy(ids)).numpy(), dtype=np.float64)

    def restore(self, ids: Ids, kept: Array) -> None:
        """Puts back what `save` gave."""
        self.signs.restore(torch.from_numpy(ids), torch.from_numpy(kept.astype(np.float32)))
        self._tell(ids)

    def _tell(self, ids: Ids) -> None:
        rows = torch.from_numpy(ids)
        strangeness = self._trust.strangeness(self.signs.recent[rows]).numpy()
        bound = self._trust.bound(self.signs.numbers(rows)).double().numpy()
        bound = bound * np.maximum(strangeness, 1.0)
        known = np.isfinite(bound)
        self.told["neural/uncertainty"][ids] = bound
        self.told["neural/strangeness"][ids] = strangeness
        self.told["neural/lost"][ids] = likely_lost(np.where(known, bound, 0.0))
        self.told["neural/ood"][ids] = (strangeness > 1.0) | (known & (bound > LOST))


def likely_lost(bound: Array) -> Array:
    """How likely (n,) errors are more than `LOST` that are within their bounds (n,) [m] in `COVERAGE` of all cases.

    They count as distributed log-logistically with shape 1 (https://en.wikipedia.org/wiki/Log-logistic_distribution).
    That is chosen, not fitted: of shapes from 0.3 to 2, in rehearsals of PickPlace, 0.8 was likeliest for the play of
    experts, 2 for that of policies whose play calibrated the bound, and 1.6 for that of two others.
    """
    odds = COVERAGE / (1 - COVERAGE)
    return np.asarray(bound / (bound + odds * LOST))
