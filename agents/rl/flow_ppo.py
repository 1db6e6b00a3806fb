"""PPO over the flow of actions of a World Action Model.

A decision is a chunk of E control steps. Its probability is that of the chain of Gaussian steps by which noise became
actions (`world_models.wam.chain`; ReinFlow, arXiv:2505.22094; pi_RL's Flow-Noise, arXiv:2510.25889), so PPO
(Schulman et al., arXiv:1707.06347) applies, with decisions for steps:

- a chunk's reward is r_0 + gamma r_1 + ... over the control steps that were played, and what follows is discounted by
  gamma to their number; advantages are generalised (Schulman et al., arXiv:1506.02438) over decisions;
- what is clipped, and held near by a KL divergence, is the ratio of each control step at each step of the chain (as
  DPPO, Ren et al., arXiv:2409.00588, does of the latter): that of a whole chunk is a product of so many that one small
  step of the optimiser takes it out of all bounds;
- the critic sees the whole state of the simulation, whatever the policy sees (Pinto et al., arXiv:1710.06542), and
  learns for some iterations before the policy moves;
- the policy moves slowly: a small rate, a stop at a KL divergence, and an anchor, the loss of flow matching on its
  demonstrations, keep it a model of the world (and of what people do) while it learns.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import TaskError, TrainingError
from ...world_models.resuming import restore_training, training_state
from ...world_models.wam.chain import chain_log_prob
from ...world_models.wam.demonstrations import Demonstrations
from ...world_models.wam.learning import WamLearner
from ...world_models.wam.network import Past, Wam
from .actor_critic import ActorCritic, PPOSettings
from .crew import Alone, Crew
from .rollout import Player, Rollout, Turn, Worlds

RUNAWAY = 50.0
"""A KL divergence of so many times `target_kl` ends the training: what follows would be noise."""


class FlowPPO:
    """Learns in worlds that go on from iteration to iteration.

    Attributes:
        net: the policy. steps: control steps of all worlds so far. iterations: so far.
    """

    def __init__(
        self,
        worlds: Worlds | Crew,
        net: Wam,
        settings: PPOSettings,
        *,
        demonstrations: Demonstrations | None = None,
        seed: int = 0,
    ) -> None:
        """Begins.

        Args:
            worlds: to learn in, or who plays them. net: the policy to begin with, which is changed. settings: what is
                tuned. demonstrations: that the anchor holds on to. seed: of the episodes and of all that is drawn.

        Raises:
            TaskError: the settings make no sense for this model.
        """
        if net.settings.past != 1:
            raise TaskError(f"this model sees {net.settings.past} frames; models that see one alone can be trained so")
        if net.steer is not None:
            raise TaskError("this model is steered; go on with algorithm=steering, or begin with what it was made from")
        if settings.anchor and demonstrations is None:
            raise TaskError("the anchor needs demonstrations; give some, or anchor=0")
        self._crew = worlds if isinstance(worlds, Crew) else Alone([Player(worlds)])
        self._settings, self._data = settings, demonstrations
        self._mind = ActorCritic(net, settings, seed=seed)
        self.net, self._learner = net, WamLearner(net)
        actor = [*net.parameters(), *self._mind.sigma.parameters()]
        self._actor = torch.optim.Adam(actor, lr=settings.rate, eps=1e-5)
        self._critic = torch.optim.Adam(self._mind.critic.parameters(), lr=settings.critic_rate, eps=1e-5)
        self._random = torch.Generator().manual_seed(seed)
        self._seed, self.steps, self.iterations = seed, 0, 0
        self.begin()

    def begin(self) -> None:
        """What is played next are other episodes in all worlds, drawn by the seed and the iterations so far."""
        self._fresh = True

    def state(self) -> dict[str, Tensor]:
        """All that has been learned, as numbers; `begin` must follow, so that who goes on from it learns the same."""
        found = training_state(self._mind, self._actor, self.iterations, self._random)
        critic = training_state(nn.Module(), self._critic, self.steps)
        return found | {f"critic/{name}": value for name, value in critic.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state` was taken, and begins."""
        self.iterations = restore_training(state, self._mind, self._actor, self._random)
        inner = {name.removeprefix("critic/"): value for name, value in state.items() if name.startswith("critic/")}
        self.steps = restore_training(inner, nn.Module(), self._critic)
        self._mind.version += 1
        self.begin()

    def iterate(self) -> dict[str, float]:
        """Plays and learns once; tells what happened.

        Raises:
            TrainingError: numbers are no longer finite, the policy has run away, or those who play do not come to it;
                it is as it was before.
        """
        kept = {name: value.clone() for name, value in self.net.state_dict().items()}
        rollout = self._crew.play(self._mind, Turn(self._seed, self.iterations, self._fresh))
        self._fresh = False
        told = dict(rollout.told)
        learned = self._learn(rollout.flat())
        self._mind.version += 1
        if not all(np.isfinite(value) for value in learned.values()):
            self.net.load_state_dict(kept)
            raise TrainingError(
                f"after {self.iterations} iterations a loss is no longer finite ({learned}); the model is as it was "
                "before: go on with a smaller rate, or a smaller clip"
            )
        if learned.get("kl", 0.0) > RUNAWAY * self._settings.target_kl:
            self.net.load_state_dict(kept)
            raise TrainingError(
                f"after {self.iterations} iterations the policy has run away: a KL divergence of {learned['kl']:.3g}, "
                f"where {self._settings.target_kl:g} is asked for; the model is as it was before: go on with a "
                "smaller rate (ppo.rate), or larger minibatches"
            )
        self.iterations += 1
        self.steps += int(told["steps"])
        found = {"steps": float(self.steps), "reward": told["reward"] / told["decisions"]}
        return found | ({"success": told["success"] / told["ended"]} if told["ended"] else {}) | learned

    def _learn(self, rollout: Rollout) -> dict[str, float]:
        settings, count = self._settings, len(rollout.state)
        moving = self.iterations >= settings.warmup
        advantage = (rollout.advantage - rollout.advantage.mean()) / (rollout.advantage.std() + 1e-8)
        told: dict[str, list[float]] = {}
        batches = -(-count // settings.minibatch)
        for _ in range(settings.epochs):
            for batch in torch.split(torch.randperm(count, generator=self._random), settings.minibatch):
                rows, counts = self._crew.mine(batch)
                share = counts / len(batch)
                wrong = self._mind.critic(rollout.state[rows]) - rollout.target[rows]
                losses = {"value": share * wrong.square().sum()}
                if moving:
                    losses |= self._policy_losses(rollout, advantage, rows, share)
                found = self._step(losses)
                moving = moving and found["kl"] <= settings.target_kl
                for name, value in found.items():
                    told.setdefault(name, []).append(value)
        spread = float(rollout.target.var())
        found = {name: float(np.mean(values)) for name, values in told.items()}
        found |= {"explained": 1 - found["value"] / max(spread, 1e-8), "epochs": len(told.get("kl", [])) / batches}
        return found | ({"kl": told["kl"][-1]} if "kl" in told else {})

    def _policy_losses(self, rollout: Rollout, advantage: Tensor, rows: Tensor, share: float) -> dict[str, Tensor]:
        """What these rows add to the losses of a batch of which each is such a share."""
        settings, mind = self._settings, self._mind
        past = Past(**{name: value[rows] for name, value in vars(rollout.past).items()})
        log_prob = chain_log_prob(self.net, mind.sigma, past, rollout.actions[rows], played=mind.execute)
        apart = log_prob - rollout.log_prob[rows]
        ratio, better = apart.exp(), advantage[rows][:, None, None]
        clipped = ratio.clamp(1 - settings.clip, 1 + settings.clip)
        found = {
            "policy": -share * torch.minimum(ratio * better, clipped * better).sum(),
            # Of a control step at a step of the chain; Schulman, "Approximating KL Divergence", 2020.
            "kl": share * (ratio - 1 - apart).detach().mean((1, 2)).sum(),
        }
        if settings.anchor:
            assert self._data is not None
            which = self._data.draw(settings.anchor_batch, 1, self._random, lively=self._data.lively(1), share=0.0)
            losses = self._learner(self._data.windows(which, 1).to(self.net.device), self._random, 1.0)
            # All processes draw and see the same windows: their noise would be another if each saw some of them.
            found["anchor"] = settings.anchor * torch.stack(list(losses.values())).sum() / self._crew.size
        return found

    def _step(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """A step down the sum of losses but "kl", of the critic alone if that is too much; what all processes together
        found them to be."""
        optimizers = [self._critic, self._actor] if "policy" in losses else [self._critic]
        learned = [[value for group in each.param_groups for value in group["params"]] for each in optimizers]
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        torch.stack([loss for name, loss in losses.items() if name != "kl"]).sum().backward()  # type: ignore[no-untyped-call]
        told = torch.stack([loss.detach() for loss in losses.values()])
        told = self._crew.added([value for each in learned for value in each], told)
        found = dict(zip(losses, told.tolist(), strict=True))
        far = found.get("kl", 0.0) > self._settings.target_kl
        for optimizer, values in list(zip(optimizers, learned, strict=True))[: 1 if far else 2]:
            nn.utils.clip_grad_norm_(values, self._settings.grad)
            optimizer.step()
        return found
