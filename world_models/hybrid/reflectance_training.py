"""Training of how surfaces throw light back, from pictures of another renderer."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..resuming import Means, restore_training, training_state
from .reflectance import Reflectance, Sightings
from .training import Notify


@dataclass(frozen=True)
class ShadingConfig:
    """How long and how.

    Attributes:
        steps: of the optimiser. rate: its highest learning rate; it rises for `warmup` steps and falls as a cosine.
        batch: pixels at a time.
    """

    steps: int = 2000
    rate: float = 5e-3
    warmup: int = 100
    batch: int = 2048
    seed: int = 0


class ReflectanceTrainer:
    """Trains a network on pixels; `advance` goes on, `state` and `restore` keep and bring back where it was.

    Attributes:
        done: steps made. chief: it writes files.
    """

    chief = True

    def __init__(self, network: Reflectance, seen: Sightings, config: ShadingConfig) -> None:
        self._net, self._data, self._config = network, seen, config
        self._random = torch.Generator().manual_seed(config.seed)
        self._optimizer = torch.optim.Adam(network.parameters(), lr=config.rate, betas=(0.9, 0.99))
        self._means = Means()
        self.done = 0

    def advance(self, notify: Notify | None = None, *, every: int = 100, until: float | None = None) -> bool:
        """Goes on to the end, or until a time (`time.monotonic`) is reached; says whether it is finished."""
        self._net.train()
        while self.done < self._config.steps:
            if until is not None and time.monotonic() > until:
                return False
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate()
            rows = torch.randint(len(self._data), (self._config.batch,), generator=self._random)
            error = self._data.predict(self._net, rows) - self._data.target[rows]
            # An edge that is seen in the neighbouring pixel is no matter of light: large errors count less.
            loss = 255 * nn.functional.smooth_l1_loss(error, torch.zeros_like(error), beta=4 / 255)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self._net.parameters(), 1.0)
            self._optimizer.step()
            self.done += 1
            self._means.add({"colour": loss})
            if notify is not None and self.done % every == 0:
                notify(self.done, self._means.take())
        self._net.eval()
        return True

    def state(self) -> dict[str, Tensor]:
        """Where it is, as numbers: give it to `restore` of a trainer made of the same, to go on as if never stopped."""
        return training_state(self._net, self._optimizer, self.done, self._random)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state` was taken."""
        self.done = restore_training(state, self._net, self._optimizer, self._random)

    def _rate(self) -> float:
        config = self._config
        rise = min(1.0, (self.done + 1) / config.warmup)
        return config.rate * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * self.done / config.steps)))
