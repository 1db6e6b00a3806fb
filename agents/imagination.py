"""What would happen if: many sequences of actions played out at once, from where the acting worlds are now.

The worlds that imagine are an environment like any other, so their simulator is too: a learned one, or physics, with
which imagining is knowing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from ..envs import EnvState, WorldEnv, WorldVectorEnv
from ..envs.backends.handover import Handover
from ..envs.measuring import episode_keys
from ..errors import TaskError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
AnyEnv = gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any]


class Imagination(Protocol):
    """W worlds to act in, and S sequences of actions that are tried for each at once.

    Attributes:
        num_worlds, num_samples: W and S. action_size: A. longest: sequences are no longer than this.
        single: whether there is one world that is acted in without a batch.
    """

    num_worlds: int
    num_samples: int
    action_size: int
    longest: int
    single: bool

    def look(self) -> tuple[Keys, Ints]:
        """Takes the acting worlds' present states as those from which `score` starts.

        Returns:
            Of each world, a key (W,) uint64 that tells its episode from others, and the control steps (W,) since.
        """

    def score(self, actions: Array) -> Array:
        """How good (W, S) sequences of actions (W, S, H, A) in [-1, 1] are; not finite where that is not known."""


class ImaginedWorlds:
    """Imagination in an environment of the same id; see `Imagination`."""

    def __init__(self, env: AnyEnv, plan_env: AnyEnv, *, discount: float = 1.0, bonus: float = 5.0) -> None:
        """Takes both environments.

        Args:
            env: where one acts, W worlds of any backend. plan_env: where is imagined, W x S worlds of any backend, from
                `gym.make_vec` with the same keywords otherwise.
            discount: a sequence's score is its dense rewards' sum with weights 1, discount, discount ** 2, ...
            bonus: and so much more if it ends in success: what is to be had afterwards.

        Raises:
            TaskError: the environments do not go together, or a number makes no sense.
        """
        acting, planned = _worlds("env", env), _worlds("plan_env", plan_env)
        if acting is planned:
            raise TaskError("plan_env is env itself; make another one with gym.make_vec to imagine in")
        if planned.num_envs % acting.num_envs:
            raise TaskError(
                f"plan_env has {planned.num_envs} worlds for the {acting.num_envs} of env; give it a multiple of them"
            )
        for name in ("task", "control_mode", "robot"):
            here, there = getattr(acting.config, name), getattr(planned.config, name)
            if here != there:
                raise TaskError(f"plan_env has {name}={there!r}, env {here!r}; make both with the same keywords")
        scenes, others = ([world.scene.name for world in each.worlds] for each in (acting, planned))
        if scenes != others or acting.world.model.nq != planned.world.model.nq:
            raise TaskError(f"plan_env has the scenes {others}, env {scenes}; make both with the same keywords")
        if planned.config.reward_mode != "dense":
            raise TaskError("plan_env needs reward_mode='dense': sparse rewards say nothing before success")
        if planned.config.terminate_on_success:
            raise TaskError("plan_env needs terminate_on_success=False: what ends early would count for less")
        if planned.autoreset_mode is AutoresetMode.SAME_STEP:
            raise TaskError("plan_env needs autoreset_mode DISABLED or NEXT_STEP: nothing is to begin anew in it")
        if not 0 < discount <= 1:
            raise TaskError(f"discount must be above 0 and at most 1, got {discount!r}")
        if not np.isfinite(bonus) or bonus < 0:
            raise TaskError(f"bonus must be a number from 0, got {bonus!r}")
        self._acting, self._planned = acting, planned
        self._discount, self._bonus = discount, bonus
        self._hand_over = Handover(acting.simulator, planned.simulator, acting.worlds)
        self._seen: EnvState | None = None
        self._begin: EnvState | None = None
        self.num_worlds, self.num_samples = acting.num_envs, planned.num_envs // acting.num_envs
        self.action_size = planned.simulator.action_size
        self.longest = planned.max_episode_steps or np.iinfo(np.int64).max
        self.single = isinstance(env.unwrapped, WorldEnv)

    def look(self) -> tuple[Keys, Ints]:
        """See `Imagination`.

        Raises:
            ResetNeeded: the acting environment was not reset yet.
        """
        state = self._acting.get_state()
        if state.episodes.min() < 0:
            raise ResetNeeded("call reset() before planning")
        self._seen, self._begin = state, None
        return episode_keys(state.seeds, state.episodes), state.elapsed

    def score(self, actions: Array) -> Array:
        """See `Imagination`; worlds that leave the numbers are worth minus infinity."""
        planned, (_, _, steps, size) = self._planned, actions.shape
        if self._begin is None:
            self._begin = self._repeated()
        planned.set_state(self._begin)
        with planned.without_pictures():
            _, reward, _, _, info = planned.step_chunk(
                actions.reshape(planned.num_envs, steps, size), discount=self._discount
            )
        found = reward + self._bonus * self._discount**steps * info["is_success"]
        found[info["physics_error"]] = -np.inf
        return np.asarray(found.reshape(self.num_worlds, self.num_samples))

    def _repeated(self) -> EnvState:
        """What was seen, each world as often as there are samples, for the simulator that imagines."""
        assert self._seen is not None
        state, samples = self._seen, self.num_samples
        there = self._hand_over(state.simulator)

        def rows(values: NDArray[Any]) -> NDArray[Any]:
            return np.repeat(values, samples, axis=0)

        return EnvState(
            simulator=replace(
                there,
                member=rows(there.member),
                physics=rows(there.physics),
                controller={name: rows(values) for name, values in there.controller.items()},
                sensors={name: rows(values) for name, values in there.sensors.items()},
            ),
            task={name: rows(values) for name, values in state.task.items()},
            seeds=tuple(seed for seed in state.seeds for _ in range(samples)),
            episodes=rows(state.episodes),
            elapsed=np.zeros(self._planned.num_envs, dtype=np.int64),  # what is imagined has no time limit
            done=np.zeros(self._planned.num_envs, dtype=np.bool_),
            scene_weights=state.scene_weights,
        )


def _worlds(name: str, env: AnyEnv) -> WorldVectorEnv:
    inner = env.unwrapped
    if isinstance(inner, WorldEnv):
        return inner.vector
    if not isinstance(inner, WorldVectorEnv):
        raise TaskError(f"{name} must be an environment from gym.make_vec('PocketWorlds/...'), got {inner}")
    return inner
