"""Worlds that go on as a latent flow model dreams them; see `world_models.simulator`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..backbone import Memory
from ..frames.draws import normal
from ..frames.measures import to_pictures, to_signal
from ..frames.worlds import HeldWorlds, check_context
from ..simulator import Context, Prediction, Spec
from .dynamics import Dynamics, Frames
from .tokeniser import Tokeniser

_LEVEL_STREAM = 1 << 40  # counters of noise on the past, apart from those of the flow


class LatentFlowSimulator(HeldWorlds):
    """`num_envs` worlds; see `NeuralSimulator`.

    A step is a few passes over one new frame, and one to remember it: what is kept of the past are keys and values of a
    bounded window. On a CPU a world's future is the same to the last bit in a batch of any size.
    """

    def __init__(
        self, tokeniser: Tokeniser, dynamics: Dynamics, num_envs: int, spec: Spec, device: torch.device
    ) -> None:
        super().__init__(num_envs, spec, device)
        self._tokeniser, self._dynamics = tokeniser.to(device).eval(), dynamics.to(device).eval()
        self._sampling = dynamics.settings.sampling

    @torch.no_grad()
    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`.

        Raises:
            CheckpointError: the context is not what the model takes.
        """
        check_context(context, self.spec)
        assert context.image is not None
        rows = ids.to(self.device)
        image, state, action, scene, seed = (
            each.to(self.device) for each in (context.image, context.state, context.action, context.scene, context.seed)
        )
        count, frames = state.shape[:2]
        latent = self._tokeniser.encode(to_signal(image.flatten(0, 1)))
        tokens = self._dynamics.to_tokens(latent.reshape(count, frames, *latent.shape[1:]))
        counter = torch.zeros(count, dtype=torch.int64, device=self.device)
        tokens, level = self._noised(tokens, seed, counter)
        led_to = torch.cat([action.new_zeros(count, 1, action.shape[2]), action], 1)
        led = torch.ones(count, frames, dtype=torch.bool, device=self.device)
        led[:, 0] = False
        known = Frames(tokens, state, led_to, led, scene, level, torch.ones_like(level))
        memory, summary = self._dynamics.remember(known)
        blank = self._dynamics.backbone.blank(count, self._dynamics.count)
        held = self._flat(blank.pushed(memory))
        held |= {"tokens": tokens[:, -1], "state": state[:, -1], "summary": summary[:, -1]}
        held |= {"scene": scene, "seed": seed, "counter": counter + 1}
        self._put(rows, held)

    @torch.no_grad()
    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `NeuralSimulator`."""
        rows = ids.to(self.device)
        held = self._take(rows)
        memory = self._memory(held)
        net, steps = self._dynamics, self._sampling.steps
        before, state, scene = held["tokens"][:, None], held["state"][:, None], held["scene"]
        led_to = action.to(self.device, torch.float32)[:, None]
        one = torch.ones(len(rows), 1, device=self.device)
        yes, told = one.bool(), one * self._sampling.level
        residual = net.foresee(held["summary"][:, None], led_to)
        after = net.scales.after(state, residual)
        noise = normal(held["seed"], held["counter"], before.shape[1:])
        z = self._sampling.noise * noise
        for k in range(steps):
            made = net.make(Frames(z, after, led_to, yes, scene, told, one * (k / steps)), residual, before, memory)
            z = z + (made - z) * (1 / (steps - k))
        tokens, level = self._noised(z, held["seed"], held["counter"])
        newer, summary = net.remember(Frames(tokens, after, led_to, yes, scene, level, one), memory)
        picture = to_pictures(self._tokeniser.decode(net.to_latent(z[:, 0])))
        changed = self._flat(memory.pushed(newer)) | {"tokens": tokens[:, 0], "summary": summary[:, 0]}
        changed |= {"state": after[:, 0], "counter": held["counter"] + 1}
        self._put_good(rows, changed, after[:, 0])
        return Prediction(image=picture.cpu(), state=after[:, 0].cpu(), uncertainty=None)

    def _noised(self, tokens: Tensor, seed: Tensor, counter: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (m, T, n, c) with as much noise as the model expects on the past, and its level (m, T)."""
        level = torch.full(tokens.shape[:2], self._sampling.level, device=self.device)
        if self._sampling.level:
            noise = normal(seed, counter + _LEVEL_STREAM, tokens.shape[1:])
            tokens = tokens + self._sampling.level * (noise - tokens)
        return tokens, level

    @staticmethod
    def _flat(memory: Memory) -> dict[str, Tensor]:
        """A memory by worlds."""
        return {"keys": memory.keys.movedim(1, 0), "values": memory.values.movedim(1, 0), "there": memory.there}

    @staticmethod
    def _memory(held: dict[str, Tensor]) -> Memory:
        """The inverse of `_flat`."""
        return Memory(held["keys"].movedim(0, 1), held["values"].movedim(0, 1), held["there"])
