"""Instructions as bytes: a small encoder that is learned with the rest, and downloads nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..frames.layers import Linear

_BLANK = 256  # after the last byte


def letters(instructions: Sequence[str], size: int) -> Tensor:
    """UTF-8 bytes (n, size) of instructions, those beyond `size` cut off, shorter ones filled up."""
    found = torch.full((len(instructions), size), _BLANK)
    for row, text in zip(found, instructions, strict=True):
        told = torch.tensor(list(text.encode())[:size])
        row[: len(told)] = told
    return found


class Words(nn.Module):
    """What an instruction means, from its bytes: an embedding of letters in threes, summed where they stand."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.letter = nn.Embedding(_BLANK + 1, width)
        self.where = nn.Parameter(torch.randn(size, width) * 0.02)
        self.three = Linear(3 * width, width)
        self.out = Linear(width, width)

    def forward(self, told: Tensor) -> Tensor:
        """Meanings (B, width) of bytes (B, size), see `letters`."""
        # A batch asks for few different things: each is read once.
        told, which = torch.unique(told, dim=0, return_inverse=True)
        x = self.letter(told)
        blank = x[:, :1] * 0
        threes = torch.cat([torch.cat([blank, x[:, :-1]], 1), x, torch.cat([x[:, 1:], blank], 1)], 2)
        read = nn.functional.gelu(self.three(threes) + self.where) * (told != _BLANK)[..., None]
        found: Tensor = self.out(read.sum(1) / (told != _BLANK).sum(1, keepdim=True).clamp_min(1))
        return found[which]
