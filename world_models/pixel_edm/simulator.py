"""Worlds that go on as a pixel diffusion model dreams them; see `world_models.simulator`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..frames.draws import normal
from ..frames.measures import to_pictures, to_signal
from ..frames.worlds import HeldWorlds, check_context
from ..simulator import Context, Prediction, Spec
from .network import PixelEdm


class PixelEdmSimulator(HeldWorlds):
    """`num_envs` worlds; see `NeuralSimulator`. Keeps the last K pictures, as the model takes them, and actions."""

    def __init__(self, model: PixelEdm, num_envs: int, spec: Spec, device: torch.device) -> None:
        super().__init__(num_envs, spec, device)
        self._model = model.to(device).eval()

    @torch.no_grad()
    def reset(self, ids: Tensor, context: Context) -> None:
        """See `NeuralSimulator`.

        Raises:
            CheckpointError: the context is not what the model takes.
        """
        check_context(context, self.spec)
        assert context.image is not None
        image, state, action, scene, seed = (
            each.to(self.device) for each in (context.image, context.state, context.action, context.scene, context.seed)
        )
        held = {
            "image": image,
            "action": torch.cat([action, action.new_zeros(len(action), 1, action.shape[2])], 1),
            "state": state[:, -1],
            "scene": scene,
            "seed": seed,
            "counter": torch.zeros(len(seed), dtype=torch.int64, device=self.device),
        }
        self._put(ids.to(self.device), held)

    @torch.no_grad()
    def step(self, ids: Tensor, action: Tensor) -> Prediction:
        """See `NeuralSimulator`."""
        rows = ids.to(self.device)
        held, model = self._take(rows), self._model
        given = action.to(self.device, torch.float32)
        actions = torch.cat([held["action"][:, :-1], given[:, None]], 1)
        past = to_signal(held["image"]).flatten(1, 2)
        told = model.told(actions, held["scene"])
        noise = normal(held["seed"], held["counter"], past.new_empty(3, *past.shape[2:]).shape)
        picture = to_pictures(model.sampled(model.settings.noise.amount * noise, past, told))
        residual = model.next_state(past, held["state"], given, held["scene"])
        state = model.scales.after(held["state"], residual)
        changed = {
            "image": torch.cat([held["image"][:, 1:], picture[:, None]], 1),
            "action": torch.cat([actions[:, 1:], torch.zeros_like(given)[:, None]], 1),
            "state": state,
            "counter": held["counter"] + 1,
        }
        self._put_good(rows, changed, state)
        return Prediction(image=picture.cpu(), state=state.cpu(), uncertainty=None)
