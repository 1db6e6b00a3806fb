"""What the tests of the World Action Model share: small models, and episodes that obey a law."""

from __future__ import annotations

import pytest
import torch
from pocketworlds.world_models.wam.demonstrations import Episode
from pocketworlds.world_models.wam.network import Past, Wam
from pocketworlds.world_models.wam.settings import NetSettings, WamSettings

SMALL = NetSettings(width=32, depth=2, heads=2, state_tokens=2, patch=8, letters=12)

LINE = WamSettings(
    robot="panda",
    control_mode="ee_delta",
    action_size=1,
    state={"thing": 2},
    seen=("thing",),
    chunk=1,
    net=NetSettings(width=32, depth=1, heads=2, state_tokens=1, letters=4),
)
"""A model of two numbers and one action, a control step at a time."""


def settings_of(*, cameras: int = 0, past: int = 1, seen: tuple[str, ...] = ("robot", "thing")) -> WamSettings:
    """Three numbers of a robot, two of a thing, two actions; chunks of four control steps."""
    return WamSettings(
        robot="panda",
        control_mode="ee_delta",
        action_size=2,
        state={"robot": 3, "thing": 2},
        seen=seen,
        cameras=tuple(f"camera{k}" for k in range(cameras)),
        image_size=(16, 24),
        chunk=4,
        past=past,
        net=SMALL,
    )


def stirred(settings: WamSettings, seed: int = 0) -> Wam:
    """A model whose every number is random: as made, heads are zero and nothing depends on anything."""
    net = Wam(settings, seed=seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.parameters():
            value.copy_(torch.randn(value.shape, generator=random) * 0.2)
    return net.eval()


def past_of(settings: WamSettings, count: int, length: int, seed: int = 0) -> Past:
    """Random known frames."""
    random = torch.Generator().manual_seed(seed)
    size = (count, length, len(settings.cameras), *settings.image_size, 3)
    return Past(
        state=torch.randn(count, length, len(settings.seen_at), generator=random),
        known=torch.rand(count, length, generator=random) < 0.8,
        image=torch.randint(0, 256, size, generator=random, dtype=torch.uint8),
        action=torch.randn(count, length, settings.chunk, settings.action_size, generator=random),
        acted=torch.rand(count, length, settings.chunk, generator=random) < 0.8,
        told=torch.randint(0, 257, (count, settings.net.letters), generator=random),
    )


def rows(past: Past, which: slice, frames: slice = slice(None)) -> Past:
    """Some worlds and frames."""
    return Past(
        **{name: value[which] if name == "told" else value[which, frames] for name, value in vars(past).items()}
    )


@pytest.fixture(scope="session")
def lawful() -> list[Episode]:
    """A point that is pushed about: a state moves by 0.1 of the action in a step.

    Where "seek" is asked for, actions seek the origin; where it is "wander", they are drawn. The robot's three numbers
    are a constant.
    """
    random = torch.Generator().manual_seed(1)
    found = []
    for number in range(300):
        at, states, actions = 2 * torch.rand(2, generator=random) - 1, [], []
        for _ in range(12):
            states.append(torch.cat([torch.tensor([0.1, 0.2, 0.3]), at]))
            drawn = torch.randn(2, generator=random)
            action = (0.6 * drawn if number % 2 else -2 * at + 0.2 * drawn).clamp(-1, 1)
            actions.append(action)
            at = at + 0.1 * action
        states.append(torch.cat([torch.tensor([0.1, 0.2, 0.3]), at]))
        none = torch.zeros(13, 0, 16, 24, 3, dtype=torch.uint8)
        asked = "wander" if number % 2 else "seek"
        found.append(Episode(torch.stack(states), none, torch.stack(actions), asked))
    return found
