"""Noise steering: SAC shifts where the flows of a World Action Model begin, and corrects a little; the model stays.

A shift of its own for every decision is an action of another environment (`Steered`), in which the soft actor-critic
of Stable-Baselines3 (Haarnoja et al., arXiv:1812.05905) learns as it is (DSRL, Wagenmaker et al., arXiv:2506.15799),
with a bounded residual (RFS, arXiv:2602.01789). A decision is a chunk of E control steps: its reward is the mean of
theirs, weighted by gamma, and a decision is discounted by gamma to E.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from pydantic import Field
from stable_baselines3 import SAC
from stable_baselines3.common.utils import set_random_seed
from torch import Tensor, nn

from ...envs import WorldVectorEnv
from ...errors import TaskError, TrainingError
from ...world_models.frames.settings import Strict
from ...world_models.wam.network import Wam
from ...world_models.wam.settings import SteerSettings
from ..sb3 import SB3VecEnv
from ..sb3_training import quiet
from ..wam.policy import Present, WamPolicy

_APART = 100_000  # seeds between two beginnings
_CUT = 8.0  # of states of even scale
_BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


class SteeringSettings(Strict):
    """What is tuned.

    Attributes:
        steer: what steers, see `SteerSettings`. decisions: of every world in an iteration. flow_steps: of the model's
            flow. execute: E, control steps of a decision that are played; None: the whole chunk.
        rate: of Adam. batch: of an update. updates: for every decision of all worlds together. starts: decisions,
            at random, before it learns. memory: decisions that are kept. gamma: discount of a control step.
        tau: of the critics' average.
    """

    steer: SteerSettings = SteerSettings()
    decisions: Annotated[int, Field(ge=1)] = 16
    flow_steps: Annotated[int, Field(ge=1, le=64)] = 2
    execute: Annotated[int, Field(ge=1)] | None = None
    rate: Annotated[float, Field(gt=0, lt=1)] = 3e-4
    batch: Annotated[int, Field(ge=2)] = 256
    updates: Annotated[float, Field(gt=0, le=100)] = 0.5
    starts: Annotated[int, Field(ge=0)] = 2000
    memory: Annotated[int, Field(ge=2)] = 200_000
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.99
    tau: Annotated[float, Field(gt=0, le=1)] = 0.005


def steerable(net: Wam, steer: SteerSettings) -> Wam:
    """The same model with something that steers it: what it has, or a new one."""
    if net.settings.steer == steer:
        return net
    found = Wam(net.settings.model_copy(update={"steer": steer}))
    known = {name: value for name, value in net.state_dict().items() if not name.startswith("steer.")}
    found.load_state_dict({**found.state_dict(), **known})
    return found.to(net.device)


class Steered(VectorWrapper[Any, Any, Any]):
    """Worlds whose actions are what `Steer` chooses, (2 A,) in [-1, 1], one for a chunk, and whose observations are
    whole states (S,) of even scale, as far as the model can tell."""

    def __init__(self, env: WorldVectorEnv, net: Wam, settings: SteeringSettings) -> None:
        """Wraps worlds in same-step autoreset mode; `net` is `steerable`."""
        super().__init__(env)
        self._worlds, self._gamma = env, settings.gamma
        self._policy = WamPolicy(net, steps=settings.flow_steps, execute=settings.execute)
        self._here: Present | None = None
        size = net.settings.state_size
        self.single_observation_space = gym.spaces.Box(-_CUT, _CUT, (size,), np.float32)
        self.single_action_space = gym.spaces.Box(-1, 1, (2 * net.settings.action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.action_space = batch_space(self.single_action_space, env.num_envs)
        # So that rewards are in [0, 1], as those of single steps.
        self._share = (1 - settings.gamma) / (1 - settings.gamma**self._policy.execute)
        self.played = 0

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begins all episodes."""
        self._policy.reset(self.num_envs)
        observation, info = self._worlds.reset(seed=seed, options=options)
        return self._seen(observation, info, np.ones(self.num_envs, dtype=np.bool_)), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Plays a chunk; see `WorldVectorEnv.step_chunk`."""
        assert self._here is not None
        chosen = torch.from_numpy(np.asarray(actions, dtype=np.float32)).to(self._policy.device)
        chunk = self._policy.play(self._here, chosen)
        observation, reward, ended, cut, info = self._worlds.step_chunk(chunk, discount=self._gamma)
        over = np.asarray(ended | cut, dtype=np.bool_)
        self.played += int(np.asarray(info["chunk_steps"]).sum())
        if over.any():
            info = {**info, "final_obs": self._last(info["final_obs"], over)}
        return self._seen(observation, info, over), self._share * reward, ended, cut, info

    def _seen(self, observation: Any, info: Mapping[str, Any], begun: NDArray[np.bool_]) -> NDArray[np.float32]:
        self._here = self._policy.present(observation, list(info["instruction"]), begun=begun)
        return self._even(self._here.whole[:, -1])

    def _last(self, final: Any, over: NDArray[np.bool_]) -> NDArray[np.object_]:
        """States of even scale of worlds that are over; SAC needs of the others none."""
        found = np.full(self.num_envs, None, dtype=object)
        for row in np.flatnonzero(over):
            named = final[row]["state"] if isinstance(final[row], Mapping) else final[row]
            state = torch.from_numpy(np.array(named, dtype=np.float32)).to(self._policy.device)
            found[row] = self._even(state)
        return found

    def _even(self, state: Tensor) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._policy.net.scales.state(state).cpu().numpy()
        return found


class Steering:
    """Learns to steer, iteration by iteration.

    Attributes:
        net: the model, whose `steer` is what has been learned. steps: control steps of all worlds so far.
        iterations: so far.
    """

    def __init__(self, worlds: WorldVectorEnv, net: Wam, settings: SteeringSettings, *, seed: int = 0) -> None:
        """Begins.

        Args:
            worlds: to learn in, in same-step autoreset mode. net: see `steerable`. settings: what is tuned.
            seed: of the episodes and of all that is drawn.

        Raises:
            TaskError: nothing steers the model, it does not see the whole state, or the worlds do not go on in the step
                that ends an episode.
        """
        if net.settings.blind:
            raise TaskError("steering needs a model that sees the whole state (model.seen=all); use algorithm=flow_ppo")
        if net.steer is None:
            raise TaskError("nothing steers this model; see `steerable`")
        if worlds.autoreset_mode is not AutoresetMode.SAME_STEP:
            raise TaskError('worlds to learn in are made with autoreset_mode="SameStep"')
        self.net, self._settings, self._seed = net, settings, seed
        self._worlds = Steered(worlds, net, settings)
        self.steps = self.iterations = 0
        execute = settings.execute or net.settings.chunk
        width = settings.steer.width
        self._sac = SAC(
            "MlpPolicy",
            SB3VecEnv(self._worlds, monitor=False),
            learning_rate=settings.rate,
            buffer_size=settings.memory,
            learning_starts=settings.starts,
            batch_size=settings.batch,
            tau=settings.tau,
            gamma=settings.gamma**execute,
            train_freq=1,
            gradient_steps=max(round(settings.updates * worlds.num_envs), 1),
            policy_kwargs={"net_arch": [width, width]},
            device=net.device,
            seed=seed,
        )
        quiet(self._sac)
        self.begin()

    def begin(self) -> None:
        """Begins other episodes in all worlds, drawn by the seed and the iterations so far."""
        seed = self._seed + _APART * self.iterations
        env = self._sac.get_env()
        assert env is not None
        env.seed(seed)
        self._sac.action_space.seed(seed)
        self._sac._last_obs = None  # so that `learn` resets them

    def iterate(self) -> dict[str, float]:
        """Plays and learns once; tells what happened.

        Raises:
            TrainingError: numbers are no longer finite.
        """
        settings, sac = self._settings, self._sac
        # Stable-Baselines3 draws from the global generators.
        set_random_seed(self._seed + _APART * self.iterations)
        before, count = self._worlds.played, settings.decisions * self._worlds.num_envs
        first = sac.num_timesteps == 0
        sac.learn(count, reset_num_timesteps=first, log_interval=10**9)
        self.steps += self._worlds.played - before
        self.iterations += 1
        buffer = sac.replay_buffer
        assert buffer is not None
        recent = np.arange(buffer.pos - settings.decisions, buffer.pos) % buffer.buffer_size
        told = {"steps": float(self.steps), "reward": float(buffer.rewards[recent].mean())}
        self._take()
        assert self.net.steer is not None
        if not all(bool(torch.isfinite(value).all()) for value in self.net.steer.parameters()):
            raise TrainingError(
                f"after {self.iterations} iterations the policy is no longer finite; go on from what was kept last, "
                "with a smaller rate"
            )
        return told

    def state(self) -> dict[str, Tensor]:
        """All that has been learned and is remembered; `begin` must follow, so that who goes on learns the same."""
        found: dict[str, Tensor] = {}
        for name, values in self._sac.get_parameters().items():
            found |= {f"sac/{name}/{key}": value for key, value in _flat(values).items()}
        buffer = self._sac.replay_buffer
        assert buffer is not None
        held = buffer.buffer_size if buffer.full else buffer.pos
        found |= {f"buffer/{name}": torch.from_numpy(getattr(buffer, name)[:held].copy()) for name in _BUFFER}
        counts = [
            self.steps,
            self.iterations,
            self._sac.num_timesteps,
            self._sac._n_updates,
            buffer.pos,
            int(buffer.full),
        ]
        assert self._sac.log_ent_coef is not None
        found["entropy"] = self._sac.log_ent_coef.detach().cpu().clone()
        return found | {"counts": torch.tensor(counts)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to where `state` was taken, and begins."""
        parameters = {
            name: _put(
                values, {k.removeprefix(f"sac/{name}/"): v for k, v in state.items() if k.startswith(f"sac/{name}/")}
            )
            for name, values in self._sac.get_parameters().items()
        }
        self._sac.set_parameters(parameters)
        assert self._sac.log_ent_coef is not None
        with torch.no_grad():
            self._sac.log_ent_coef.copy_(state["entropy"])
        buffer = self._sac.replay_buffer
        assert buffer is not None
        for name in _BUFFER:
            values = state[f"buffer/{name}"].numpy()
            getattr(buffer, name)[: len(values)] = values
        self.steps, self.iterations, self._sac.num_timesteps, self._sac._n_updates, buffer.pos, full = (
            int(value) for value in state["counts"]
        )
        buffer.full = bool(full)
        self._take()
        self.begin()

    def _take(self) -> None:
        """The model gets what SAC's actor has learned: its mean actions."""
        actor, steer = self._sac.actor, self.net.steer
        assert steer is not None
        hidden = [layer for layer in actor.latent_pi if isinstance(layer, nn.Linear)]
        for mine, theirs in zip((steer.first, steer.second, steer.out), (*hidden, actor.mu), strict=True):
            mine.load_state_dict(theirs.state_dict())


def _flat(values: Any, name: str = "") -> dict[str, Tensor]:
    """Numbers of nested dictionaries, by their paths; what is no number is left where it is."""
    if isinstance(values, Tensor):
        return {name: values.detach().cpu().clone()}
    if isinstance(values, Mapping):
        found: dict[str, Tensor] = {}
        for key, value in values.items():
            found |= _flat(value, f"{name}|{key}" if name else str(key))
        return found
    return {}


def _put(values: Any, flat: Mapping[str, Tensor], name: str = "") -> Any:
    """The inverse of `_flat`: `values` with these numbers in it, and those of an optimiser that has none yet."""
    if isinstance(values, Tensor):
        return flat[name]
    if not isinstance(values, Mapping):
        return values
    found = {key: _put(value, flat, f"{name}|{key}" if name else str(key)) for key, value in values.items()}
    if set(values) == {"state", "param_groups"}:
        moments: dict[int, dict[str, Tensor]] = {}
        for path, value in flat.items():
            parts = path.split("|")
            if parts[0] == "state":
                moments.setdefault(int(parts[1]), {})[parts[2]] = value
        found["state"] = moments
    return found
