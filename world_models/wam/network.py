"""The World Action Model: one transformer that dreams the next frame and decodes the next actions together.

A frame is a state, pictures, and H actions. Known frames (`Past`) hold the actions that led to them, frames to be made
(`Coming`) those that follow, and the state and the pictures H control steps later. These are noise to begin with, and
become data along two flows of their own times: `world` for state and pictures, `act` for actions, 0 for noise and 1 for
data. So the same weights are, as UWM (Zhu et al., arXiv:2504.02792) has it,

    a policy                       world 0,        act 0 -> 1
    a policy that dreams           world 0 -> 1,   act 0 -> 1
    forward dynamics               world 0 -> 1,   act 1
    inverse dynamics               world 1,        act 0 -> 1
    a dream of what may come       world 0 -> 1,   act 0

Actions flow straight (rectified flow, Liu et al., arXiv:2209.03003): the network says their velocity. Of the world it
says the data themselves, as a change to the present (arXiv:2511.13720: plain transformers can say large patches of
pixels only so). What came before is kept as keys and values (`backbone`), so that a decision computes it once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..backbone import Backbone, Memory
from ..frames.layers import Linear, waves
from .base import Model
from .settings import SteerSettings, WamSettings
from .words import Words

_LEVELS = 100.0  # waves are for numbers of this size
_SQUARE = 4  # pixels
_EYE = 32  # numbers that sum up a patch
_CUT = 8.0  # changes farther out than this, in usual ones, say no more than that


@dataclass(frozen=True)
class Past:
    """L known frames of B worlds.

    Attributes:
        state: (B, L, R) what is seen of the state. known: bool (B, L), false where there is none (video).
        image: uint8 (B, L, C, height, width, 3). action: (B, L, H, A) that led to each frame. acted: bool (B, L, H),
            false where no action is known: before an episode, or in a video. told: (B, letters) of the instruction.
    """

    state: Tensor
    known: Tensor
    image: Tensor
    action: Tensor
    acted: Tensor
    told: Tensor


@dataclass(frozen=True)
class Coming:
    """Frames to be made after each known one, somewhere between noise and data.

    Attributes:
        change: (B, L, S) of the state, in usual changes. image: (B, L, P, D) patches of pictures.
        action: (B, L, H, A). world, act: (B, L) times of the two flows.
    """

    change: Tensor
    image: Tensor
    action: Tensor
    world: Tensor
    act: Tensor


@dataclass(frozen=True)
class Made:
    """What the network says of frames to be made: `change` and `image` as they will be, `velocity` of the actions."""

    change: Tensor
    image: Tensor
    velocity: Tensor


class Wam(Model):
    """See the module. As made it repeats the present, and does nothing."""

    def _build(self, settings: WamSettings) -> None:
        net, size = settings.net, settings.action_size
        width, states, seen = net.width, net.state_tokens, len(settings.seen_at)
        self.backbone = Backbone(width=width, depth=net.depth, heads=net.heads, window=settings.past)
        self.words = Words(net.letters, width)
        self.known_state = Linear(settings.state_size if settings.blind else seen, states * width)
        self.coming_state = Linear(settings.state_size + seen, states * width)
        self.known_action, self.coming_action = Linear(size, width), Linear(size, width)
        self.place = nn.Parameter(torch.randn(settings.tokens, width) * 0.02)
        self.no_state = nn.Parameter(torch.randn(width) * 0.02)
        self.no_action = nn.Parameter(torch.randn(width) * 0.02)
        self.moment = nn.Sequential(Linear(2 * width, width), nn.GELU(), Linear(width, width))
        self.state_head = Linear(states * width, settings.state_size)
        self.action_head = Linear(width, size)
        heads = [self.state_head, self.action_head]
        if settings.patches:
            pixels = 3 * net.patch**2
            self.known_image = Stem(net.patch, width)
            self.coming_image = Linear(2 * pixels, width)
            self.image_head = Linear(width, pixels)
            heads.append(self.image_head)
        if settings.blind:
            self.guess = Guess(settings)
        for head in heads:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.steer = None if settings.steer is None else Steer(settings, settings.steer)

    # -- between data and what flows -------------------------------------------------------------------------------

    def change(self, before: Tensor, after: Tensor) -> Tensor:
        """Changes (..., S) from states to states, in usual ones."""
        return self.scales.residual(before, after).clamp(-_CUT, _CUT)

    def patches(self, image: Tensor) -> Tensor:
        """Patches (..., P, D) in [-1, 1] of pictures uint8 (..., C, height, width, 3); P, D may be 0."""
        *batch, cameras, height, width, _ = image.shape
        edge = self.settings.net.patch
        if not cameras:
            return self.place.new_zeros(*batch, 0, 3 * edge**2)
        cut = (image.float() / 127.5 - 1).reshape(-1, cameras, height // edge, edge, width // edge, edge, 3)
        return cut.permute(0, 1, 2, 4, 3, 5, 6).reshape(*batch, self.settings.patches, 3 * edge**2)

    def pictures(self, patches: Tensor) -> Tensor:
        """The inverse of `patches`."""
        *batch, _, _ = patches.shape
        settings, edge = self.settings, self.settings.net.patch
        height, width = settings.image_size
        cameras = len(settings.cameras)
        if not cameras:
            return torch.zeros(*batch, 0, height, width, 3, dtype=torch.uint8, device=patches.device)
        cut = patches.reshape(-1, cameras, height // edge, width // edge, edge, edge, 3).permute(0, 1, 2, 4, 3, 5, 6)
        bright = ((cut.reshape(*batch, cameras, height, width, 3) + 1) * 127.5).round().clamp(0, 255)
        return bright.to(torch.uint8)

    # -- the network -----------------------------------------------------------------------------------------------

    def remember(self, past: Past, memory: Memory | None = None) -> tuple[Memory, Tensor]:
        """What known frames leave to those that come, and the whole states (B, L, S) as far as they can be told.

        Args:
            past: the frames. memory: of earlier ones, if any: then L must be 1.
        """
        settings, batch = self.settings, past.state.shape[:2]
        image = self.known_image(past.image) if settings.patches else None
        whole = self.spread(past.state)
        entered = self.scales.state(whole)[..., self.seen_at]
        if settings.blind:
            guess = self.guess(entered, image, self.words(past.told)).float()
            guess = guess * self.scales.state_scale + self.scales.state_mean
            seen_here = torch.zeros(settings.state_size, dtype=torch.bool, device=guess.device)
            seen_here[self.seen_at] = True
            whole = torch.where(seen_here & past.known[..., None], whole, guess)
            # Decisions follow from what is guessed and teach nothing about it: where things are, states tell better.
            entered = self.scales.state(whole.detach())
        state = self.known_state(entered).reshape(*batch, settings.net.state_tokens, -1)
        state = torch.where(past.known[..., None, None], state, self.no_state.to(state.dtype))
        action = self.known_action(past.action)
        action = torch.where(past.acted[..., None], action, self.no_action.to(action.dtype))
        parts = [state] if image is None else [state, image]
        one = past.state.new_ones(batch)
        tokens, condition = self._framed([*parts, action], one, one, past.told)
        return self.backbone.remember(tokens, condition, memory)[0], whole

    def make(self, coming: Coming, past: Past, memory: Memory) -> Made:
        """What comes after the last frames of `past`, as many as `coming` has; see `Backbone.make`.

        Args:
            coming: between noise and data. past: the known frames. memory: what they left.
        """
        settings = self.settings
        count, states = coming.action.shape[1], settings.net.state_tokens
        batch = coming.action.shape[:2]
        seen = self.scales.state(self.spread(past.state[:, -count:]))[..., self.seen_at]
        seen = torch.where(past.known[:, -count:, None], seen, torch.zeros_like(seen))
        state = self.coming_state(torch.cat([coming.change, seen], -1)).reshape(*batch, states, -1)
        # Where no state is known, no change of it is either: somewhere between noise and zero, it would say "at rest".
        state = torch.where(past.known[:, -count:, None, None], state, self.no_state.to(state.dtype))
        now = self.patches(past.image[:, -count:]) if settings.patches else None
        parts = [state] if now is None else [state, self.coming_image(torch.cat([coming.image, now], -1))]
        tokens, condition = self._framed(
            [*parts, self.coming_action(coming.action)], coming.world, coming.act, past.told
        )
        found = self.backbone.make(tokens, condition, memory)
        of_state, of_image, of_action = torch.split(found, [states, settings.patches, settings.chunk], 2)
        return Made(
            change=self.state_head(of_state.flatten(2)),
            image=coming.image if now is None else now + self.image_head(of_image),
            velocity=self.action_head(of_action),
        )

    def spread(self, seen: Tensor) -> Tensor:
        """Whole states (..., S) in which what is not seen is at its mean."""
        if not self.settings.blind and list(self.settings.seen) == list(self.settings.state):
            return seen
        found = self.scales.state_mean.expand(*seen.shape[:-1], -1).clone()
        found[..., self.seen_at] = seen
        return found

    def _framed(self, parts: list[Tensor], world: Tensor, act: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """All tokens (B, L, N, width) of frames, and their conditions (B, L, width)."""
        tokens = torch.cat([part.to(parts[0].dtype) for part in parts], 2) + self.place
        width = self.settings.net.width
        moment = torch.cat([waves(each * _LEVELS, width) for each in (world, act)], -1)
        return tokens, self.moment(moment) + self.words(told)[:, None]


class Guess(nn.Module):
    """Whole states of even scale (B, L, S), from what is seen of them, tokens of pictures, and what is asked for.

    Every patch is summed up in a few numbers, and all patches are looked at together: where a thing is, is a matter of
    which patch shows it, and where in it.
    """

    def __init__(self, settings: WamSettings) -> None:
        super().__init__()
        width = settings.net.width
        inputs = len(settings.seen_at) + width + settings.patches * _EYE
        self.eye = Linear(width, _EYE)
        self.layers = nn.Sequential(
            Linear(inputs, 2 * width),
            nn.GELU(),
            Linear(2 * width, width),
            nn.GELU(),
            Linear(width, settings.state_size),
        )

    def forward(self, seen: Tensor, image: Tensor | None, told: Tensor) -> Tensor:
        """See the class: seen (B, L, R), image (B, L, P, width), told (B, width)."""
        parts = [seen, told[:, None].expand(-1, seen.shape[1], -1)]
        if image is not None:
            parts.append(self.eye(nn.functional.gelu(image)).flatten(2))
        found: Tensor = self.layers(torch.cat([part.to(seen.dtype) for part in parts], 2))
        return found


class Steer(nn.Module):
    """How far the noise that flows of actions begin with is shifted, and what is added to what comes out, from whole
    states: noise steering (DSRL, Wagenmaker et al., arXiv:2506.15799) with a bounded residual (RFS, arXiv:2602.01789),
    both the same for all control steps of a chunk. Reinforcement learns it while the model stays as it is.

    DSRL chooses the noise itself. Noise that is the same for all steps is none that these small models have learned to
    begin with (success of one at putting things into a tray fell from 95 to 58 of 100); shifted, it is that to begin
    with, and what steers nothing changes nothing.
    """

    def __init__(self, settings: WamSettings, own: SteerSettings) -> None:
        super().__init__()
        self._noise, self._residual = own.noise, own.residual
        self.first = Linear(settings.state_size, own.width)
        self.second = Linear(own.width, own.width)
        self.out = Linear(own.width, 2 * settings.action_size)

    def forward(self, state: Tensor) -> Tensor:
        """What it chooses (B, 2 A), in [-1, 1], for whole states (B, S) of even scale; see `steered`."""
        found: Tensor = torch.tanh(self.out(torch.relu(self.second(torch.relu(self.first(state))))))
        return found

    def steered(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts of the starts of flows and corrections (B, 1, A) of choices (B, 2 A)."""
        shift, residual = chosen.chunk(2, 1)
        return self._noise * shift[:, None], self._residual * residual[:, None]


class Stem(nn.Module):
    """Tokens of known pictures: squares of 4 x 4 pixels, then of 2 x 2 of these, until one is a patch.

    Convolutions whose windows do not overlap, as plain products of matrices: a picture's tokens then have the same bits
    whatever the batch, which those of libraries of convolutions have not.
    """

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        merges = patch.bit_length() - 3
        sizes = [max(width >> (merges - k), 16) for k in range(merges + 1)]
        self.first = Linear(3 * _SQUARE**2, sizes[0])
        self.merges = nn.ModuleList(Linear(4 * inside, outside) for inside, outside in pairwise(sizes))

    def forward(self, image: Tensor) -> Tensor:
        """Tokens (B, L, P, width) of pictures uint8 (B, L, C, height, width, 3)."""
        batch, length = image.shape[:2]
        x = self.first(_squares(image.flatten(0, 2).float() / 127.5 - 1, _SQUARE))
        for merge in self.merges:
            x = merge(_squares(nn.functional.gelu(x), 2))
        found: Tensor = x.reshape(batch, length, -1, x.shape[-1])
        return found


def _squares(x: Tensor, edge: int) -> Tensor:
    """Squares of pixels (n, height, width, c) as one each: (n, height / edge, width / edge, edge * edge * c)."""
    count, height, width, channels = x.shape
    cut = x.reshape(count, height // edge, edge, width // edge, edge, channels).transpose(2, 3)
    return cut.reshape(count, height // edge, width // edge, edge * edge * channels)
