"""Small networks: several of one shape side by side, and inputs of even scale."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_FEWEST = 16  # rows: with fewer, matrix libraries take other paths, whose results differ in the last bits


class Ensemble(nn.Module):
    """M networks of one shape: (N, inputs) to (M, N, outputs). How far they disagree says how sure they are.

    The result for a row does not depend on the number of rows.
    """

    def __init__(self, members: int, sizes: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for inputs, outputs in itertools.pairwise(sizes):
            weight = (torch.rand(members, inputs, outputs, generator=generator) * 2 - 1) * math.sqrt(3.0 / inputs)
            self.weights.append(nn.Parameter(weight))
            self.biases.append(nn.Parameter(torch.zeros(members, 1, outputs)))
        with torch.no_grad():
            self.weights[-1].mul_(0.1)

    def forward(self, inputs: Tensor) -> Tensor:
        """See the class."""
        rows = len(inputs)
        if rows < _FEWEST:
            inputs = torch.cat([inputs, inputs.new_zeros(_FEWEST - rows, inputs.shape[1])])
        x = inputs.expand(len(self.weights[0]), *inputs.shape)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if layer < last:
                x = nn.functional.silu(x, inplace=not torch.is_grad_enabled())
        return x[:, :rows]


class Normaliser(nn.Module):
    """Brings inputs to mean 0 and spread 1, as measured once on data, and cuts off what is far out."""

    mean: Tensor
    scale: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))

    def measure(self, values: Tensor, *, least: float) -> None:
        """Takes mean and spread of values (N, size); a spread below `least` counts as that."""
        self.mean.copy_(values.mean(0))
        self.scale.copy_(1 / values.std(0).clamp_min(least))

    def forward(self, values: Tensor) -> Tensor:
        """The same values, of even scale."""
        return ((values - self.mean) * self.scale).clamp(-8.0, 8.0)
