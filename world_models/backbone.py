"""A transformer over frames of tokens: full attention inside a frame, causal over frames, with a bounded window.

Every frame sees itself and the `window` frames before it, in training as in rollout. So what a rollout keeps of the
past (`Memory`, the keys and values of so many frames) is all that there is, and a rollout with it equals one that
computes everything anew. Nothing here knows what tokens mean.

Frames come in two roles. Frames of the *past* are known; they see their like, and leave keys and values. Frames to be
*made* see the past before them and themselves, but not each other, so that a whole sequence can be learned at once with
a clean past before every frame (teacher forcing).

Positions in time are rotary (Su et al., arXiv:2104.09864), and count from the oldest frame in memory. Each frame has a
condition, which scales and shifts its tokens (AdaLN-Zero, Peebles and Xie, arXiv:2212.09748).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .frames.layers import Linear

_BASE = 100.0  # of rotary frequencies: windows are tens of frames, not thousands of words


@dataclass(frozen=True)
class Memory:
    """Keys and values of S frames of N tokens in B worlds.

    Attributes:
        keys, values: (layers, B, heads, S, N, size of a head), keys not yet rotated. there: bool (B, S), which frames
            there are; those that are not are the oldest.
    """

    keys: Tensor
    values: Tensor
    there: Tensor

    def pushed(self, newer: Memory) -> Memory:
        """With the frames of `newer` behind these, and as many of the oldest forgotten."""
        count = newer.keys.shape[3]
        return Memory(
            torch.cat([self.keys[:, :, :, count:], newer.keys], 3),
            torch.cat([self.values[:, :, :, count:], newer.values], 3),
            torch.cat([self.there[:, count:], newer.there], 1),
        )


class Backbone(nn.Module):
    """See the module.

    Attributes:
        window: frames before its own that each frame sees.
    """

    def __init__(self, *, width: int, depth: int, heads: int, window: int) -> None:
        """Tokens have `width` numbers; `width / heads` must be even."""
        super().__init__()
        self.width, self.depth, self.heads, self.window = width, depth, heads, window
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))
        self.last = _Modulation(width, 2)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)

    def blank(self, batch: int, tokens: int) -> Memory:
        """The memory of worlds where nothing has been yet."""
        device = next(self.parameters()).device
        shape = (self.depth, batch, self.heads, self.window, tokens, self.width // self.heads)
        return Memory(
            torch.zeros(shape, device=device),
            torch.zeros(shape, device=device),
            torch.zeros(batch, self.window, dtype=torch.bool, device=device),
        )

    def remember(self, tokens: Tensor, condition: Tensor, memory: Memory | None = None) -> tuple[Memory, Tensor]:
        """What frames of the past leave.

        Args:
            tokens: (B, T, N, width). condition: (B, T, width). memory: of the frames before, if any: then T must be 1.

        Returns:
            The memory of these T frames alone, and their tokens (B, T, N, width) as the last layer leaves them.
        """
        found, memory = self._run(tokens, condition, memory, past=True)
        return memory, found

    def make(self, tokens: Tensor, condition: Tensor, memory: Memory) -> Tensor:
        """Tokens (B, T, N, width) of frames to be made, as the last layer leaves them.

        Args:
            tokens: (B, T, N, width). condition: (B, T, width).
            memory: of S frames, at least T: frame i of those to be made comes right after number S - T + i of these.
        """
        return self._run(tokens, condition, memory, past=False)[0]

    def _run(self, x: Tensor, condition: Tensor, memory: Memory | None, *, past: bool) -> tuple[Tensor, Memory]:
        batch, frames, tokens, _ = x.shape
        mask, times, old_times = self._mask(frames, tokens, memory, past=past, device=x.device)
        keys, values = [], []
        for layer, block in enumerate(self.blocks):
            old = None if memory is None else (memory.keys[layer], memory.values[layer])
            x, key, value = block(x, condition, old, mask, times, old_times)
            if past:
                keys.append(key)
                values.append(value)
        shift, scale = self.last(condition)
        found = torch.addcmul(shift, self.norm(x), 1 + scale)
        there = torch.ones(batch, frames, dtype=torch.bool, device=x.device)
        none = x.new_zeros(0)
        return found, Memory(torch.stack(keys) if past else none, torch.stack(values) if past else none, there)

    def _mask(
        self, frames: int, tokens: int, memory: Memory | None, *, past: bool, device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Which keys each query sees (B or 1, 1, T * N, keys), and when queries and old keys are (T,), (S,)."""
        kept = 0 if memory is None else memory.there.shape[1]
        after = kept - frames + 1 if memory is not None else 0
        times = torch.arange(frames, device=device) + after
        old_times = torch.arange(kept, device=device)
        apart = times[:, None] - times[None]
        own = (apart >= 0) & (apart <= self.window) if past else apart == 0
        seen = own[None]
        if memory is not None:
            back = times[:, None] - old_times[None]
            old = ((back > 0) & (back <= self.window))[None] & memory.there[:, None]
            seen = torch.cat([old, own.expand(len(old), -1, -1)], 2)
        wide = seen.repeat_interleave(tokens, 1).repeat_interleave(tokens, 2)
        return wide[:, None], times, old_times


class _Modulation(nn.Module):
    """From a condition (B, T, width) to `count` numbers (B, T, 1, width) for every token; zero to begin with."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self._count = count
        self.linear = Linear(width, count * width)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, condition: Tensor) -> tuple[Tensor, ...]:
        found = self.linear(nn.functional.gelu(condition))
        return tuple(found[:, :, None].chunk(self._count, -1))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads, size = heads, width // heads
        self.modulation = _Modulation(width, 6)
        self.first, self.second = (nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.inside, self.outside = Linear(width, 3 * width), Linear(width, width)
        self.query_norm, self.key_norm = nn.RMSNorm(size), nn.RMSNorm(size)
        self.up, self.down = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        old: tuple[Tensor, Tensor] | None,
        mask: Tensor,
        times: Tensor,
        old_times: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        batch, frames, tokens, _ = x.shape
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(condition)
        three = self.inside(torch.addcmul(shift, self.first(x), 1 + scale))
        query, key, value = (
            each.reshape(batch, frames, tokens, self._heads, -1).permute(0, 3, 1, 2, 4) for each in three.chunk(3, -1)
        )
        query, key = self.query_norm(query.float()), self.key_norm(key.float())
        if old is None:
            keys, values = _rotated(key, times), value
        else:
            # Types may differ where matrices are multiplied in fewer bits than are kept.
            keys = torch.cat([_rotated(old[0].to(key.dtype), old_times), _rotated(key, times)], 2)
            values = torch.cat([old[1].to(value.dtype), value], 2)
        seen = _attended(_rotated(query, times).flatten(2, 3), keys.flatten(2, 3), values.flatten(2, 3), mask)
        seen = seen.reshape(batch, self._heads, frames, tokens, -1).permute(0, 2, 3, 1, 4).flatten(3)
        x = torch.addcmul(x, gate, self.outside(seen))
        wide = nn.functional.gelu(self.up(torch.addcmul(shift2, self.second(x), 1 + scale2)))
        return torch.addcmul(x, gate2, self.down(wide)), key, value


def _attended(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Attention; on processors never in bfloat16, whose gradient there takes fifteen times as long."""
    if query.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        with torch.autocast("cpu", enabled=False):
            query, keys, values = query.float(), keys.float(), values.float()
            return nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    return nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)


def _rotated(x: Tensor, times: Tensor) -> Tensor:
    """Queries or keys (B, heads, T, N, size) turned by their times (T,)."""
    half = x.shape[-1] // 2
    rates = _BASE ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angle = times.double()[:, None, None] * rates
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
