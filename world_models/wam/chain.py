"""A flow of actions as a chain of Gaussian steps, whose probability is known: what policy gradients need.

Each of K steps of the flow goes to N(z + v / K, sigma^2) instead of z + v / K, and a small network says sigma
(ReinFlow, Zhang et al., arXiv:2505.22094). Given the noise z_0 that it began with, the chain z_1, ..., z_K has the
density

    prod_k N(z_{k+1}; z_k + v(z_k, k / K) / K, sigma_k^2),

and the actions that are played are the last, cut to [-1, 1], which is a part of the world and not of the policy. The
dream is held at one and the same noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ..backbone import Memory
from ..frames.layers import Linear
from .flow import draw_noise
from .network import Coming, Past, Wam

LEAST, MOST = 0.05, 0.3
"""Bounds of sigma: it neither dies out, so that there is something to learn from, nor drowns the flow."""


class Sigma(nn.Module):
    """How much noise (B, K, H, A) each step of a chain gets, from what is seen of the state; `begin` to begin with."""

    def __init__(self, net: Wam, *, steps: int, width: int = 64, begin: float = 0.1) -> None:
        super().__init__()
        settings = net.settings
        self.steps, self._shape = steps, (steps, settings.chunk, settings.action_size)
        self.hidden = Linear(len(settings.seen_at), width)
        self.out = Linear(width, math.prod(self._shape))
        share = (math.log(begin) - math.log(LEAST)) / (math.log(MOST) - math.log(LEAST))
        nn.init.zeros_(self.out.weight)
        nn.init.constant_(self.out.bias, math.log(share / (1 - share)))

    def forward(self, seen: Tensor) -> Tensor:
        """Sigmas for states (B, R) of even scale."""
        share = self.out(torch.tanh(self.hidden(seen))).sigmoid().reshape(-1, *self._shape)
        return torch.exp(math.log(LEAST) + share * (math.log(MOST) - math.log(LEAST)))


@dataclass(frozen=True)
class Chain:
    """Actions (B, K + 1, H, A) on their way, the noise first, and the logarithms (B, K, E) of their densities, of each
    of K steps and of each control step that is played; their sum is that of the chain."""

    actions: Tensor
    log_prob: Tensor


def sample_chain(net: Wam, sigma: Sigma, past: Past, start: Tensor, noise: Tensor, *, played: int) -> Chain:
    """Actions for the present, the last of `past`.

    Args:
        net, sigma: the policy. past: known frames, of which the model sees one. start: (B, H, A) noise to begin with.
        noise: (B, K, H, A) that steps add, standard normal. played: E, control steps of a chunk that are played, and
            count.
    """
    memory, _ = net.remember(past)
    scale = sigma(_seen(net, past))
    actions, log_probs = [start], []
    for k in range(sigma.steps):
        mean = _mean(net, past, memory, actions[-1], k, sigma.steps)
        actions.append(mean + scale[:, k] * noise[:, k])
        log_probs.append(_log_density(actions[-1], mean, scale[:, k], played))
    return Chain(torch.stack(actions, 1), torch.stack(log_probs, 1))


def chain_log_prob(net: Wam, sigma: Sigma, past: Past, actions: Tensor, *, played: int) -> Tensor:
    """Logarithms (B, K, E) of the densities of the steps of chains (B, K + 1, H, A), given what they began with."""
    memory, _ = net.remember(past)
    scale = sigma(_seen(net, past))
    found = []
    for k in range(sigma.steps):
        mean = _mean(net, past, memory, actions[:, k], k, sigma.steps)
        found.append(_log_density(actions[:, k + 1], mean, scale[:, k], played))
    return torch.stack(found, 1)


def mean_actions(net: Wam, past: Past, start: Tensor, *, steps: int) -> Tensor:
    """Actions (B, H, A) of the flow without any noise but `start` (B, H, A)."""
    memory, _ = net.remember(past)
    for k in range(steps):
        start = _mean(net, past, memory, start, k, steps)
    return start


def _mean(net: Wam, past: Past, memory: Memory, actions: Tensor, k: int, steps: int) -> Tensor:
    still = draw_noise(net, 1, torch.Generator().manual_seed(0))
    held = Coming(**{name: value.expand(len(actions), *value.shape[1:]) for name, value in vars(still).items()})
    at = replace(held, action=actions[:, None], act=torch.full_like(held.act, k / steps))
    return actions + net.make(at, past, memory).velocity[:, -1].float() / steps


def _log_density(value: Tensor, mean: Tensor, scale: Tensor, played: int) -> Tensor:
    apart = ((value - mean) / scale)[:, :played]
    each = -0.5 * apart.square() - scale[:, :played].log() - 0.5 * math.log(2 * math.pi)
    return each.sum(-1)


def _seen(net: Wam, past: Past) -> Tensor:
    return net.scales.state(net.spread(past.state[:, -1]))[..., net.seen_at]
