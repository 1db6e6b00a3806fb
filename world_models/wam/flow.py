"""From noise to decisions and dreams: the ways in which one World Action Model is used.

Flows go from time 0 (noise) to 1 (data) in a few equal steps (Euler). What is not asked for stays at noise, what is
given stays at data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..backbone import Memory
from .network import Coming, Past, Wam


@dataclass(frozen=True)
class Dream:
    """What is to come after the present of B worlds.

    Attributes:
        action: (B, H, A) as it flowed, not yet cut to [-1, 1]. state: (B, S) after these control steps.
        image: uint8 (B, C, height, width, 3) then. State and pictures mean nothing where the world was held at noise.
    """

    action: Tensor
    state: Tensor
    image: Tensor


def draw_noise(net: Wam, count: int, random: torch.Generator | None = None) -> Coming:
    """What flows begin with, for `count` worlds; drawn on the CPU, so that devices agree."""
    settings = net.settings

    def normal(*shape: int) -> Tensor:
        return torch.randn(count, 1, *shape, generator=random).to(net.device)

    zero = torch.zeros(count, 1, device=net.device)
    return Coming(
        normal(settings.state_size),
        normal(settings.patches, 3 * settings.net.patch**2),
        normal(settings.chunk, settings.action_size),
        zero,
        zero,
    )


def decide(net: Wam, past: Past, memory: Memory, whole: Tensor, noise: Coming, *, steps: int, dream: bool) -> Dream:
    """Actions; with `dream`, what they lead to flows along.

    Args:
        past: known frames, of which the last is the present. memory, whole: what `Wam.remember` gave of them.
        noise: see `draw_noise`. steps: of the flow.
    """
    return _flow(net, past, memory, whole, noise, steps, world=dream, act=True)


def imagine(
    net: Wam, past: Past, memory: Memory, whole: Tensor, noise: Coming, *, action: Tensor | None, steps: int
) -> Dream:
    """What actions (B, H, A) lead to; None: what may come, whoever acts. See `decide`."""
    start = noise
    if action is not None:
        start = replace(noise, action=action[:, None], act=torch.ones_like(noise.act))
    return _flow(net, past, memory, whole, start, steps, world=True, act=False)


def infer(
    net: Wam, past: Past, memory: Memory, whole: Tensor, noise: Coming, *, state: Tensor, image: Tensor, steps: int
) -> Dream:
    """Actions that led to a state (B, S) and pictures (B, C, height, width, 3) after H control steps. See `decide`."""
    start = replace(
        noise,
        change=net.change(whole[:, -1:], state[:, None]),
        image=net.patches(image[:, None]),
        world=torch.ones_like(noise.world),
    )
    return _flow(net, past, memory, whole, start, steps, world=False, act=True)


def _flow(
    net: Wam, past: Past, memory: Memory, whole: Tensor, start: Coming, steps: int, *, world: bool, act: bool
) -> Dream:
    now = start
    for k in range(steps):
        time = k / steps
        now = replace(
            now,
            world=torch.full_like(now.world, time) if world else now.world,
            act=torch.full_like(now.act, time) if act else now.act,
        )
        made = net.make(now, past, memory)
        share = 1 / (steps - k)  # of what is left of the way: the velocity (data - now) / (1 - time), for 1 / steps
        if world:
            now = replace(
                now,
                change=now.change + share * (made.change.float() - now.change),
                image=now.image + share * (made.image.float() - now.image),
            )
        if act:
            now = replace(now, action=now.action + made.velocity.float() / steps)
    state = net.scales.after(whole[:, -1], now.change[:, -1])
    return Dream(now.action[:, -1], state, net.pictures(now.image[:, -1]))
