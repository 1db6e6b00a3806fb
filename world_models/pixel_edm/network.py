"""The networks of a pixel diffusion model: a U-Net that is told level, actions and scene, and a head for states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..frames.episodes import Windows
from ..frames.layers import Linear, filled_up, two_hot, waves
from ..frames.measures import to_signal
from ..frames.settings import Scales
from ..frames.training import Learner
from .edm import sample, sampling_levels, scaling, training_levels
from .settings import PixelEdmSettings

_WAVES = 25.0  # levels, logarithms over 4, are numbers of size 1


class PixelEdm(nn.Module):
    """Next pictures and states from the last K pictures, the last state and the last K actions.

    Attributes:
        settings: that it is made of.
    """

    def __init__(self, settings: PixelEdmSettings, seed: int = 0) -> None:
        super().__init__()
        self.settings = settings
        frames, own = settings.frames, settings.network
        told = frames.context * (frames.action_size * max(own.bins, 1)) + frames.scene_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.scales = Scales(frames.state_size, frames.scene_size)
            self.action = Linear(told, own.condition)
            self.level = Linear(own.condition, own.condition)
            self.condition = nn.Sequential(nn.GELU(), Linear(own.condition, own.condition), nn.GELU())
            self.unet = _UNet(settings)
            self.state = _StateHead(settings)

    @property
    def size(self) -> int:
        """Numbers that are learned."""
        return sum(each.numel() for each in self.parameters())

    def told(self, action: Tensor, scene: Tensor) -> Tensor:
        """What actions (n, K, A), the last of them to be played, and scenes (n, D) say: (n, condition)."""
        bins = self.settings.network.bins
        flat = (two_hot(action, bins) if bins else action).flatten(1)
        found: Tensor = self.action(torch.cat([flat, self.scales.scene(scene)], 1))
        return found

    def denoise(self, noisy: Tensor, sigma: Tensor, past: Tensor, told: Tensor) -> Tensor:
        """The clean picture D (n, 3, height, width) in noisy ones.

        Args:
            noisy: (n, 3, height, width). sigma: (n,). past: (n, 3 K, height, width). told: see `told`.
        """
        by = scaling(sigma, self.settings.noise.data)
        found = self.raw(noisy, sigma, past, told)
        return by.skip[:, None, None, None] * noisy + by.out[:, None, None, None] * found

    def raw(self, noisy: Tensor, sigma: Tensor, past: Tensor, told: Tensor) -> Tensor:
        """What the network itself says: F of `edm.scaling`."""
        data = self.settings.noise.data
        by = scaling(sigma, data)
        condition = self.condition(self.level(waves(by.level * _WAVES, self.settings.network.condition)) + told)
        x = torch.cat([noisy * by.into[:, None, None, None], past / data], 1)
        rows = len(x)
        found: Tensor = self.unet(filled_up(x), filled_up(condition))
        return found[:rows]

    def sampled(self, noise: Tensor, past: Tensor, told: Tensor) -> Tensor:
        """Next pictures (n, 3, height, width) from noise of spread 1; see `denoise`."""
        levels = sampling_levels(self.settings.noise).to(noise.device)
        each = noise.new_ones(len(noise))
        return sample(lambda x, level: self.denoise(x, each * level, past, told), noise, levels)

    def next_state(self, past: Tensor, state: Tensor, action: Tensor, scene: Tensor) -> Tensor:
        """Residuals (n, S), see `Scales`, from past pictures, states (n, S), the action to be played (n, A), scenes."""
        numbers = torch.cat([self.scales.state(state), action, self.scales.scene(scene)], 1)
        rows = len(past)
        found: Tensor = self.state(filled_up(past), filled_up(numbers))
        return found[:rows]


class PixelEdmLearner(Learner):
    """Trains on windows of K + 1 frames or more: each frame after the first K is learned from those before it."""

    needs = {"image": True}  # noqa: RUF012 - never changed

    def __init__(self, model: PixelEdm) -> None:
        super().__init__()
        self.model = model

    def forward(self, windows: Windows, draws: torch.Generator, progress: float) -> dict[str, Tensor]:
        """See `Learner`."""
        assert windows.image is not None
        model, noise = self.model, self.model.settings.noise
        context = model.settings.frames.context
        signal = to_signal(windows.image)
        made = range(context, signal.shape[1])
        past = torch.cat([signal[:, k - context : k].flatten(1, 2) for k in made])
        wanted = torch.cat([signal[:, k] for k in made])
        action = torch.cat([windows.action[:, k - context : k] for k in made])
        state = torch.cat([windows.state[:, k - 1] for k in made])
        after = torch.cat([windows.state[:, k] for k in made])
        scene = windows.scene.repeat(len(made), 1)
        count = len(wanted)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=draws).to(signal.device)

        sigma = training_levels(noise, count, draws).to(signal.device)
        apart = normal(*wanted.shape) * sigma[:, None, None, None]
        offset = noise.offset * normal(count, 3, 1, 1)
        blurred = noise.past * normal(*past.shape) * float(progress >= noise.past_from)
        noisy = wanted + apart + offset
        total = (sigma**2 + noise.offset**2).sqrt()  # that there is, with the offset
        by = scaling(total, noise.data)
        target = (wanted - by.skip[:, None, None, None] * noisy) / by.out[:, None, None, None]
        found = model.raw(noisy, total, past + blurred, model.told(action, scene))
        residual = model.next_state(past + blurred, state, action[:, -1], scene)
        wrong = residual.float() - model.scales.residual(state, after)
        return {
            "denoising": (found.float() - target).square().mean(),
            "state": nn.functional.smooth_l1_loss(wrong, torch.zeros_like(wrong)),
        }


class _StateHead(nn.Module):
    """From pictures and numbers to residuals of states; zero to begin with."""

    def __init__(self, settings: PixelEdmSettings) -> None:
        super().__init__()
        frames, width = settings.frames, settings.network.head
        channels = 3 * frames.context
        eye: list[nn.Module] = []
        for _ in range(3):
            eye += [nn.Conv2d(channels, 32, 4, 2, 1), nn.GELU()]
            channels = 32
        self.eye = nn.Sequential(*eye, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.first = Linear(128 + frames.state_size + frames.action_size + frames.scene_size, width)
        self.second, self.last = Linear(width, width), Linear(width, frames.state_size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, past: Tensor, numbers: Tensor) -> Tensor:
        x = nn.functional.gelu(self.first(torch.cat([self.eye(past), numbers], 1)))
        found: Tensor = self.last(nn.functional.gelu(self.second(x)))
        return found


class _UNet(nn.Module):
    def __init__(self, settings: PixelEdmSettings) -> None:
        super().__init__()
        widths, blocks = settings.network.widths, settings.network.blocks
        condition = settings.network.condition
        self.first = nn.Conv2d(3 * (settings.frames.context + 1), widths[0], 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        self.shrink, self.grow = nn.ModuleList(), nn.ModuleList()
        inside = widths[0]
        for width in widths:
            self.down.append(
                nn.ModuleList(_Block(inside if k == 0 else width, width, condition) for k in range(blocks))
            )
            inside = width
            self.shrink.append(
                nn.Conv2d(width, width, 3, 2, 1) if len(self.shrink) < len(widths) - 1 else nn.Identity()
            )
        self.middle = nn.ModuleList(_Block(inside, inside, condition) for _ in range(2))
        for width in reversed(widths):
            self.up.append(
                nn.ModuleList(_Block((inside if k == 0 else width) + width, width, condition) for k in range(blocks))
            )
            inside = width
            last = len(self.grow) == len(widths) - 1
            self.grow.append(nn.Identity() if last else nn.Conv2d(width, width, 3, padding=1))
        self.norm = nn.GroupNorm(max(widths[0] // 32, 1), widths[0])
        self.last = nn.Conv2d(widths[0], 3, 3, padding=1)
        for values in self.last.parameters():
            nn.init.zeros_(values)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = self.first(x.contiguous(memory_format=torch.channels_last))
        kept: list[Tensor] = []
        for level, blocks in enumerate(self.down):
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(x, condition)
                kept.append(x)
            x = self.shrink[level](x)
        for block in self.middle:
            x = block(x, condition)
        for level, blocks in enumerate(self.up):
            assert isinstance(blocks, nn.ModuleList)
            for block in blocks:
                x = block(torch.cat([x, kept.pop()], 1), condition)
            if level < len(self.up) - 1:
                x = self.grow[level](nn.functional.interpolate(x, scale_factor=2))
        found: Tensor = self.last(nn.functional.gelu(self.norm(x)))
        return found


class _Block(nn.Module):
    """A residual block, told the condition by group normalisation (AdaGN, Dhariwal and Nichol, arXiv:2105.05233)."""

    def __init__(self, inside: int, outside: int, condition: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(
            nn.GroupNorm(max(width // 32, 1), width, affine=False) for width in (inside, outside)
        )
        self.told = nn.ModuleList(Linear(condition, 2 * width) for width in (inside, outside))
        self.convs = nn.ModuleList(nn.Conv2d(width, outside, 3, padding=1) for width in (inside, outside))
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()
        for values in self.convs[1].parameters():
            nn.init.zeros_(values)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        y = x
        for norm, told, conv in zip(self.norms, self.told, self.convs, strict=True):
            scale, shift = told(condition)[:, :, None, None].chunk(2, 1)
            y = conv(nn.functional.gelu(norm(y) * (1 + scale) + shift))
        found: Tensor = self.skip(x) + y
        return found
