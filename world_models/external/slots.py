"""DreamDojo's actions: 384 numbers, in which every robot has slots of its own; what is not its own is zero.

DreamDojo (arXiv:2602.06949) takes commands relative to the last one before each group of 4, the control periods of one
frame of its latents: `relative`. Slots as in its data loader (`groot_dreams/data/dataset.py`, NVIDIA/DreamDojo).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import CheckpointError

SIZE = 384
"""Numbers of an action."""
CHUNK = 12
"""Actions that the model takes at once."""
GROUP = 4
"""Control periods of one frame of its latents."""

SLOTS = {
    "gr1": (0, 29),
    "gr1_retargeted": (29, 58),
    "g1": (58, 101),
    "yam": (101, 147),
    "agibot": (147, 169),
    "own": (169, 220),
    "mano": (220, 352),
    "latent": (352, 384),
}
"""First slot, and the one after the last. None of DreamDojo's own data is in "own": it is for robots of one's own."""


def packed(values: Tensor, embodiment: str) -> Tensor:
    """Actions (..., n) in the slots of an embodiment: (..., 384).

    Raises:
        CheckpointError: there is no such embodiment, or its actions have another size.
    """
    first, end = _slots(embodiment)
    size = values.shape[-1]
    if size != end - first and not (embodiment == "own" and size <= end - first):
        more = " at most" if embodiment == "own" else ""
        raise CheckpointError(
            f"an action of {embodiment!r} has{more} {end - first} numbers, got {size}; a robot that DreamDojo does not "
            "know goes into the slots 'own', in training too"
        )
    found = values.new_zeros(*values.shape[:-1], SIZE)
    found[..., first : first + size] = values
    return found


def relative(commands: Tensor, before: Tensor) -> Tensor:
    """Commands (m, T, n), T a multiple of 4, less the last one before each group of 4; `before` (m, n) is the first."""
    count, length, size = commands.shape
    groups = commands.reshape(count, length // GROUP, GROUP, size)
    base = torch.cat([before[:, None], groups[:, :-1, -1]], 1)
    return (groups - base[:, :, None]).reshape(count, length, size)


def _slots(embodiment: str) -> tuple[int, int]:
    if embodiment not in SLOTS:
        raise CheckpointError(f"DreamDojo has no embodiment {embodiment!r}; it has {list(SLOTS)}")
    return SLOTS[embodiment]
