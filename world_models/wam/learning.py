"""How a World Action Model learns: flow matching of the world and of actions, each at a time of its own.

What is shown at which times decides what it can do: mostly actions flow while the world is noise or nearly so (a
policy), some are given (forward dynamics), sometimes the world is (inverse dynamics). Where actions are not known
(video) they are noise, and the world alone is learned.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frames.training import Learner
from .demonstrations import Lessons
from .network import Coming, Past, Wam

_POLICY, _FORWARD, _INVERSE = 0.3, 0.15, 0.1
"""Shares of what is shown with the world at noise, with actions given, with the world given."""
_EARLY = 3.0  # Beta(1, 3): times of the world are mostly early, as DreamZero's are when it acts (arXiv:2602.15922)
_MOVED = 20.0
"""How much more a pixel that changes counts: else the background, which does not, drowns it."""
_STILL = 8 / 127.5  # pixels that change by less in all colours count as still


class WamLearner(Learner):
    """Trains a World Action Model.

    Attributes:
        net: the model.
    """

    needs = {}  # noqa: RUF012 - never changed

    def __init__(self, net: Wam, *, world: float = 1.0, guess: float = 1.0) -> None:
        """With weights of the dream's losses, 0 for none, and of the guess of what is not seen of a state."""
        super().__init__()
        self.net, self._world, self._guess = net, world, guess

    def forward(self, windows: Lessons, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        net = self.net
        past = Past(
            state=windows.state[..., net.seen_at],
            known=windows.known,
            image=windows.image,
            action=windows.done,
            acted=windows.was_done,
            told=windows.told,
        )
        change = net.change(windows.state, windows.next_state)
        now, image = net.patches(windows.image), net.patches(windows.next_image)
        world, act, decides = self._times(windows.there, windows.labelled, draws)
        # What is to be done is what was meant; what led to what came is what was done.
        action = torch.where(decides[..., None, None], windows.intended, windows.action)
        noise = [torch.randn(data.shape, generator=draws).to(net.device) for data in (change, image, action)]
        coming = Coming(
            change=_between(noise[0], change, world),
            image=_between(noise[1], image, world),
            action=_between(noise[2], action, act),
            world=world,
            act=act,
        )
        memory, whole = net.remember(past)
        made = net.make(coming, past, memory)
        apart = (made.velocity.float() - (action - noise[2])).square().mean(-1)
        flowing = (act < 1) & windows.labelled[:, None]
        found = {"action": _mean(apart, flowing[..., None] & windows.will)}
        told = (world < 1) & windows.there
        weight = self._world * (0.9 * world + 0.1)
        state = nn.functional.smooth_l1_loss(made.change.float(), change, reduction="none").mean(-1)
        found["state"] = _mean(weight * state, told & windows.known)
        if net.settings.patches:
            moved = ((image - now).abs() > _STILL).float()
            square = (made.image.float() - image).square() * (1 + _MOVED * moved)
            found["image"] = _mean(weight * square.mean((-1, -2)), told)
        if net.settings.blind:
            wrong = (whole - windows.state) / net.scales.state_scale
            guessed = nn.functional.smooth_l1_loss(wrong, torch.zeros_like(wrong), reduction="none").mean(-1)
            found["guess"] = self._guess * _mean(guessed, windows.known)
        return found

    @staticmethod
    def _times(like: Tensor, labelled: Tensor, draws: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Times (B, L), as many as `like`, of the world and of actions, and whether actions are decided there: neither
        given nor inferred from what came. Every frame has its own."""

        def uniform() -> Tensor:
            return torch.rand(like.shape, generator=draws).to(like.device)

        kind, anywhere, act = uniform(), uniform(), uniform()
        early = 1 - (1 - uniform()) ** (1 / _EARLY)  # distributed as Beta(1, _EARLY)
        world = torch.where(kind < _POLICY, torch.zeros_like(early), early)
        forward = (kind >= _POLICY) & (kind < _POLICY + _FORWARD)
        inverse = (kind >= _POLICY + _FORWARD) & (kind < _POLICY + _FORWARD + _INVERSE)
        world = torch.where(forward, anywhere, world)
        act = torch.where(forward, torch.ones_like(act), act)
        world = torch.where(inverse, torch.ones_like(world), world)
        video = ~labelled[:, None]
        world, act = torch.where(video, anywhere, world), torch.where(video, torch.zeros_like(act), act)
        return world, act, ~(forward | inverse)


def _between(noise: Tensor, data: Tensor, time: Tensor) -> Tensor:
    """Between noise and data (B, L, ...) at times (B, L)."""
    share = time.reshape(*time.shape, *[1] * (data.ndim - 2))
    return (1 - share) * noise + share * data


def _mean(values: Tensor, which: Tensor) -> Tensor:
    """The mean over some; 0 over none."""
    return (values * which).sum() / which.sum().clamp_min(1)
