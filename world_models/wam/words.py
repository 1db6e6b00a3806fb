"""Instructions as bytes: a small encoder that is learned with the rest, and downloads nothing."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..frames.layers import FEWEST_ROWS, Linear

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
        self.three = nn.Linear(3 * width, width)
        self.out = Linear(width, width)

    def forward(self, told: Tensor) -> Tensor:
        """Meanings (B, width) of bytes (B, size), see `letters`."""
        # A batch asks for few different things: each is read once.
        told, which = torch.unique(told, dim=0, return_inverse=True)
        # A linear layer over three letters is the sum of what each adds where it stands: looked up, as there are few.
        used, place = torch.unique(told, return_inverse=True)
        known = self.letter(nn.functional.pad(used, (0, max(FEWEST_ROWS - len(used), 0)), value=_BLANK))
        before, own, after = (
            nn.functional.embedding(place, nn.functional.linear(known, part))
            for part in self.three.weight.chunk(3, dim=1)
        )
        before, after = nn.functional.pad(before[:, :-1], (0, 0, 1, 0)), nn.functional.pad(after[:, 1:], (0, 0, 0, 1))
        threes = before + own + after + self.three.bias
        read = nn.functional.gelu(threes + self.where) * (told != _BLANK)[..., None]
        found: Tensor = self.out(read.sum(1) / (told != _BLANK).sum(1, keepdim=True).clamp_min(1))
        return found[which]
