"""What comes next, in latents: a transformer that says the next state, and makes the next frame by flow matching.

Each frame is its tokens of latents, one of its state, one of the action that led to it, and one of the scene. What the
last layer makes of the past and the action say the next state, as a residual over the last one; it is regressed, since
noise in it would add up. The next frame is made with that state as one of its tokens: small models that see the action
alone tend to ignore it.

Flow matching (Lipman et al., arXiv:2210.02747) with prediction of the clean frame, weighted by .9 tau + .1 (Dreamer 4,
arXiv:2509.24527): z = (1 - tau) noise + tau x, and the network says x from z. It says it as a change to the frame
before, so that a new network repeats that frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..backbone import Backbone, Memory
from ..frames.episodes import Windows
from ..frames.layers import Linear, two_hot, waves
from ..frames.settings import Scales
from ..frames.training import Learner
from .settings import LatentFlowSettings

_ROLES = 3  # states, actions, scenes
_LEVELS = 100.0  # waves are for numbers of this size
_VISITED = 0.5
_CUT = 8.0  # residuals farther out than this say no more than that


@dataclass(frozen=True)
class Frames:
    """T frames of B worlds.

    Attributes:
        tokens: (B, T, n, c) latents of even scale. state: (B, T, S). action: (B, T, A) that led to each frame.
        led: bool (B, T), false where none did. scene: (B, D). level: (B, T) of noise on tokens. tau: (B, T) of the
            flow, 1 for frames of the past.
    """

    tokens: Tensor
    state: Tensor
    action: Tensor
    led: Tensor
    scene: Tensor
    level: Tensor
    tau: Tensor


class Dynamics(nn.Module):
    """See the module.

    Attributes:
        tokens: n, of latents in a frame. size: c, numbers of one. count: N, tokens of a frame, all of them.
    """

    latent_mean: Tensor
    latent_scale: Tensor

    def __init__(self, settings: LatentFlowSettings) -> None:
        super().__init__()
        frames, own = settings.frames, settings.dynamics
        self.settings = settings
        rows, columns = settings.grid
        self.tokens, self.size = rows * columns, settings.tokeniser.channels * own.patch**2
        self.count = self.tokens + 2 + (frames.scene_size > 0)
        width = own.width
        self.scales = Scales(frames.state_size, frames.scene_size)
        self.register_buffer("latent_mean", torch.zeros(settings.tokeniser.channels))
        self.register_buffer("latent_scale", torch.ones(settings.tokeniser.channels))
        self.backbone = Backbone(width=width, depth=own.depth, heads=own.heads, window=own.window)
        self.known, self.wanted = Linear(self.size, width), Linear(2 * self.size, width)
        self.state, self.coming = Linear(frames.state_size, width), Linear(2 * frames.state_size, width)
        self.action = Linear(frames.action_size * max(own.bins, 1), width)
        self.scene = Linear(frames.scene_size, width) if frames.scene_size else None
        self.place = nn.Parameter(torch.randn(self.tokens, width) * 0.02)
        self.role = nn.Parameter(torch.randn(_ROLES, width) * 0.02)
        self.none = nn.Parameter(torch.randn(width) * 0.02)
        self.moment = nn.Sequential(Linear(2 * width, width), nn.GELU(), Linear(width, width))
        self.foresight = nn.Sequential(Linear(2 * width, 4 * width), nn.GELU(), Linear(4 * width, width))
        self.frame_head, self.state_head = Linear(width, self.size), Linear(width, frames.state_size)
        for head in (self.frame_head, self.state_head):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    # -- between latents and tokens --------------------------------------------------------------------------------

    @torch.no_grad()
    def measure(self, latent: Tensor) -> None:
        """Takes the scale of latents (n, channels, rows, columns)."""
        self.latent_mean.copy_(latent.mean((0, 2, 3)))
        self.latent_scale.copy_(latent.std((0, 2, 3)).clamp_min(1e-3))

    def to_tokens(self, latent: Tensor) -> Tensor:
        """Tokens (..., n, c) of even scale from latents (..., channels, rows, columns)."""
        even = (latent - self.latent_mean[:, None, None]) / self.latent_scale[:, None, None]
        patch = self.settings.dynamics.patch
        rows, columns = self.settings.grid
        *batch, channels, _, _ = even.shape
        cut = even.reshape(-1, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
        return cut.reshape(*batch, self.tokens, self.size)

    def to_latent(self, tokens: Tensor) -> Tensor:
        """The inverse of `to_tokens`."""
        patch = self.settings.dynamics.patch
        rows, columns = self.settings.grid
        *batch, _, _ = tokens.shape
        cut = tokens.reshape(-1, rows, columns, self.size // patch**2, patch, patch).permute(0, 3, 1, 4, 2, 5)
        even = cut.reshape(*batch, self.size // patch**2, rows * patch, columns * patch)
        return even * self.latent_scale[:, None, None] + self.latent_mean[:, None, None]

    # -- the network -----------------------------------------------------------------------------------------------

    def remember(self, frames: Frames, memory: Memory | None = None) -> tuple[Memory, Tensor]:
        """What known frames leave to those that come after, see `Backbone.remember`, and a summary (B, T, width)."""
        state = self.state(self.scales.state(frames.state))
        tokens, condition = self._framed(self.known(frames.tokens), state, frames)
        found, last = self.backbone.remember(tokens, condition, memory)
        return found, last[:, :, self.tokens]

    def foresee(self, summary: Tensor, action: Tensor) -> Tensor:
        """Residuals (B, T, S), see `Scales`, of states after actions (B, T, A) that follow the frames of summaries."""
        x: Tensor = self.foresight(torch.cat([summary, self._told(action).to(summary.dtype)], -1))
        found: Tensor = self.state_head(summary + x)
        return found

    def make(self, frames: Frames, residual: Tensor, before: Tensor, memory: Memory) -> Tensor:
        """Clean tokens (B, T, n, c) of frames to be made.

        Args:
            frames: their noisy tokens and their states. residual: (B, T, S) that led to these.
            before: tokens (B, T, n, c) of the frames before. memory: see `Backbone.make`.
        """
        state = self.coming(torch.cat([self.scales.state(frames.state), residual.clamp(-_CUT, _CUT)], -1))
        tokens, condition = self._framed(self.wanted(torch.cat([frames.tokens, before], -1)), state, frames)
        found = self.backbone.make(tokens, condition, memory)
        made: Tensor = before + self.frame_head(found[:, :, : self.tokens])
        return made

    def _told(self, action: Tensor) -> Tensor:
        """What actions (..., A) say (..., width)."""
        bins = self.settings.dynamics.bins
        found: Tensor = self.action(two_hot(action, bins) if bins else action)
        return found

    def _framed(self, x: Tensor, state: Tensor, frames: Frames) -> tuple[Tensor, Tensor]:
        """All tokens (B, T, N, width) of frames, and their conditions (B, T, width)."""
        told = self._told(frames.action)
        told = torch.where(frames.led[..., None], told, self.none.to(told.dtype))
        parts = [x + self.place, (state + self.role[0])[:, :, None], (told + self.role[1])[:, :, None]]
        if self.scene is not None:
            scene = self.scene(self.scales.scene(frames.scene)) + self.role[2]
            parts.append(scene[:, None, None].expand(-1, x.shape[1], -1, -1))
        width = self.settings.dynamics.width
        moment = torch.cat([waves(each * _LEVELS, width) for each in (frames.tau, frames.level)], -1)
        return torch.cat([part.to(x.dtype) for part in parts], 2), self.moment(moment) + told


class DynamicsLearner(Learner):
    """Trains dynamics on latents that were made beforehand, every frame of a window after a known past."""

    needs = {"latent": True}  # noqa: RUF012 - never changed

    def __init__(self, dynamics: Dynamics) -> None:
        super().__init__()
        self.dynamics = dynamics

    def forward(self, windows: Windows, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        assert windows.latent is not None
        net, own = self.dynamics, self.dynamics.settings.dynamics
        x = net.to_tokens(windows.latent.float())
        past, wanted = x[:, :-1], x[:, 1:]
        count, length = past.shape[:2]

        def normal(shape: torch.Size) -> Tensor:
            return torch.randn(shape, generator=draws).to(x.device)

        # Drawn whether used or not: what is drawn later does not depend on it.
        level = own.noise * torch.rand(count, 1, generator=draws).expand(count, length).to(x.device)
        level = level if progress >= own.noise_from else torch.zeros_like(level)
        past = past + level[..., None, None] * (normal(past.shape) - past)
        state = windows.state[:, :-1]
        state = state + level[..., None] * net.scales.step_scale * normal(state.shape)
        tau = self._times(count, length, draws).to(x.device)
        noisy = (1 - tau[..., None, None]) * normal(wanted.shape) + tau[..., None, None] * wanted
        action, yes = windows.action[:, :-1], torch.ones(count, length, dtype=torch.bool, device=x.device)
        led_to = torch.cat([torch.zeros_like(action[:, :1]), action[:, :-1]], 1)
        led = torch.cat([~yes[:, :1], yes[:, 1:]], 1)
        scene = windows.scene
        memory, summary = net.remember(Frames(past, state, led_to, led, scene, level, torch.ones_like(tau)))
        residual = net.foresee(summary, action)
        foreseen = residual.detach().float()
        after = net.scales.after(state, foreseen)
        made = net.make(Frames(noisy, after, action, yes, scene, level, tau), foreseen, past, memory)
        apart = (made.float() - wanted).square().mean(-1)
        changes = (wanted - x[:, :-1]).square().mean(-1).clamp_max(1.0)
        weight = (1 + own.changes * changes) * (0.9 * tau[..., None] + 0.1)
        wrong = residual.float() - net.scales.residual(state, windows.state[:, 1:])
        beside = nn.functional.smooth_l1_loss(wrong, torch.zeros_like(wrong))
        return {"flow": (apart * weight).mean(), "state": own.state * beside}

    def _times(self, count: int, length: int, draws: torch.Generator) -> Tensor:
        """Times (count, length) of the flow: every other one of those that sampling goes through, else any."""
        steps = self.dynamics.settings.sampling.steps
        anywhere, number = (torch.rand(count, length, generator=draws) for _ in range(2))
        visited = torch.rand(count, length, generator=draws) < _VISITED
        return torch.where(visited, (number * steps).floor() / steps, anywhere)
