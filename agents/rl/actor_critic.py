"""What PPO over flows of actions tunes and what it learns: a policy, the noise of its chain, and a critic."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ...world_models.frames.layers import Linear
from ...world_models.frames.settings import Strict
from ...world_models.wam.chain import Sigma
from ...world_models.wam.network import Wam
from ..wam.policy import WamPolicy


class PPOSettings(Strict):
    """What is tuned.

    Attributes:
        decisions: of every world between two updates. flow_steps: K, of the chain. execute: E, control steps of a
            decision that are played; None: the whole chunk.
        epochs, minibatch: of an update, decisions of all worlds. rate, critic_rate: of Adam. warmup: iterations in
            which the critic alone learns. clip: of the ratio of a control step. target_kl: of a control step too;
            beyond it the policy stays as it is for the rest of an update.
        gamma: discount of a control step. lam: of generalised advantages, per decision. noise: sigma of the chain to
            begin with. anchor: weight of the loss on demonstrations, anchor_batch: windows of them a minibatch.
        grad: largest norm of a gradient.
    """

    decisions: Annotated[int, Field(ge=1)] = 16
    flow_steps: Annotated[int, Field(ge=1, le=64)] = 2
    execute: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[int, Field(ge=1)] = 4
    minibatch: Annotated[int, Field(ge=2)] = 1024
    rate: Annotated[float, Field(gt=0, lt=1)] = 2e-5
    critic_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 3
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.1
    target_kl: Annotated[float, Field(gt=0)] = 0.01
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.99
    lam: Annotated[float, Field(ge=0, le=1)] = 0.95
    noise: Annotated[float, Field(gt=0.05, lt=0.3)] = 0.1
    anchor: Annotated[float, Field(ge=0)] = 0.1
    anchor_batch: Annotated[int, Field(ge=1)] = 32
    grad: Annotated[float, Field(gt=0)] = 1.0


class Critic(nn.Module):
    """What is to come, in [0, 1] of the most there can be, from whole states."""

    def __init__(self, net: Wam, width: int = 256) -> None:
        super().__init__()
        self._scales = [net.scales]  # not ours to learn or to keep
        size = net.settings.state_size
        self.layers = nn.Sequential(Linear(size, width), nn.Tanh(), Linear(width, width), nn.Tanh(), Linear(width, 1))
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, state: Tensor) -> Tensor:
        """Values (n,) of states (n, S)."""
        found: Tensor = self.layers(self._scales[0].state(state))[:, 0]
        return found


class ActorCritic(nn.Module):
    """All that learns.

    Attributes:
        settings: what is tuned. net, sigma, critic: what learns. execute: E, control steps of a decision that are
            played. version: counts how often it has changed.
    """

    def __init__(self, net: Wam, settings: PPOSettings, *, seed: int = 0) -> None:
        """Takes the policy to begin with, which is changed; `seed` makes the rest.

        Raises:
            TaskError: the settings make no sense for this model.
        """
        super().__init__()
        self.net, self.settings, self.version = net, settings, 0
        self.execute = self.policy().execute
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.sigma = Sigma(net, steps=settings.flow_steps, begin=settings.noise).to(net.device)
            self.critic = Critic(net).to(net.device)

    def policy(self) -> WamPolicy:
        """What looks at worlds and remembers what was done there."""
        return WamPolicy(self.net, execute=self.settings.execute)
