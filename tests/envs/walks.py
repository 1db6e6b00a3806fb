"""A small vector environment that keeps every rule of `check_vector_env`, and a family that each break one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

LENGTH = 4
OBSERVATIONS = gym.spaces.Box(-100, 100, (2,), np.float64)
ACTIONS = gym.spaces.Box(-1, 1, (2,), np.float32)


class Walk(gym.Env):
    """A point starts at random and moves by action and wind for `LENGTH` steps; far right ends it early."""

    observation_space, action_space = OBSERVATIONS, ACTIONS

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.at, self.steps = self.np_random.uniform(-1, 1, 2), 0
        return self.at.copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.at = self.at + (action + self.np_random.uniform(-0.1, 0.1, 2))
        self.steps += 1
        far = bool(self.at[0] > 1.5)
        return self.at.copy(), -float(np.abs(self.at).sum()), far, self.steps >= LENGTH and not far, {"far": far}


class Walks(VectorEnv):
    """`Walk` as a batch of its own; every part a subclass may break is a method."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012

    def __init__(self, num_envs: int, autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        self.num_envs = num_envs
        self.mode = autoreset_mode
        self.render_mode = "rgb_array"
        self.single_observation_space, self.single_action_space = OBSERVATIONS, ACTIONS
        self.observation_space = batch_space(OBSERVATIONS, num_envs)
        self.action_space = batch_space(ACTIONS, num_envs)
        self.rngs = [np.random.default_rng() for _ in range(num_envs)]
        self.at, self.steps = np.zeros((num_envs, 2)), np.zeros(num_envs, int)
        self.ended = np.zeros(num_envs, bool)
        self.declare()

    def declare(self) -> None:
        self.metadata = {**type(self).metadata, "autoreset_mode": self.mode}

    def begin(self, ids: Any) -> None:
        for j in ids:
            self.at[j] = self.rngs[j].uniform(-1, 1, 2)
        self.steps[ids] = 0
        self.ended[ids] = False

    def seed(self, ids: Any, seed: Any) -> None:
        for j in ids:
            given = seed if seed is None else seed + j if isinstance(seed, int) else seed[j]
            if given is not None:
                self.rngs[j] = gym.utils.seeding.np_random(int(given))[0]

    def reset(self, *, seed: Any = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, bool))
        self.seed(np.flatnonzero(mask), seed)
        self.begin(np.flatnonzero(mask))
        return self.at.copy(), {}

    def move(self, ids: Any, actions: np.ndarray) -> None:
        for j in ids:
            self.at[j] += actions[j] + self.rngs[j].uniform(-0.1, 0.1, 2)
        self.steps[ids] += 1

    def step(self, actions: np.ndarray) -> tuple[Any, Any, Any, Any, dict]:
        resetting = self.ended.copy() if self.mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        if self.mode is AutoresetMode.DISABLED:
            assert not self.ended.any(), "reset first"
        self.move(np.flatnonzero(~resetting), actions)
        self.begin(np.flatnonzero(resetting))
        reward = np.where(resetting, 0.0, -np.abs(self.at).sum(axis=1))
        terminated = (self.at[:, 0] > 1.5) & ~resetting
        truncated = (self.steps >= LENGTH) & ~terminated
        info = {"far": terminated.copy(), "_far": ~resetting}
        done = terminated | truncated
        self.ended = done.copy()
        if self.mode is AutoresetMode.SAME_STEP and done.any():
            info |= self.finals(done, info)
            self.begin(np.flatnonzero(done))
        return self.at.copy(), reward, terminated, truncated, info

    def finals(self, done: np.ndarray, info: dict) -> dict:
        final = np.full(self.num_envs, None, object)
        for j in np.flatnonzero(done):
            final[j] = self.at[j].copy()
        return {
            "final_obs": final,
            "_final_obs": done.copy(),
            "final_info": {"far": info["far"].copy(), "_far": done.copy()},
            "_final_info": done.copy(),
        }

    def get_state(self) -> Any:
        return self.at.copy(), self.steps.copy(), self.ended.copy(), [rng.bit_generator.state for rng in self.rngs]

    def set_state(self, state: Any) -> None:
        self.at, self.steps, self.ended = (part.copy() for part in state[:3])
        for rng, kept in zip(self.rngs, state[3], strict=True):
            rng.bit_generator.state = kept

    def render(self) -> tuple[np.ndarray, ...]:
        return tuple(np.zeros((8, 8, 3), np.uint8) for _ in range(self.num_envs))


class WrongBatchSpace(Walks):
    def __init__(self, num_envs: int, autoreset_mode: AutoresetMode = AutoresetMode.NEXT_STEP) -> None:
        super().__init__(num_envs, autoreset_mode)
        self.observation_space = OBSERVATIONS


class ModeAsWord(Walks):
    def declare(self) -> None:
        self.metadata = {**type(self).metadata, "autoreset_mode": self.mode.value}


class ModeInClass(Walks):
    metadata: dict[str, Any] = {"render_fps": 10}  # noqa: RUF012

    def declare(self) -> None:
        self.metadata["autoreset_mode"] = self.mode


class OtherMode(Walks):
    def declare(self) -> None:
        self.metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP, "render_fps": 10}


class Changed(Walks):
    """Passes what a step returns through `change`."""

    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        raise NotImplementedError

    def step(self, actions: np.ndarray) -> tuple:
        return self.change(*super().step(actions))


class SingleObservationDtype(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return observation.astype(np.float32), reward, terminated, truncated, info


class OutOfBounds(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        observation[1] += 1000
        return observation, reward, terminated, truncated, info


class RewardColumn(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return observation, reward[:, None], terminated, truncated, info


class RewardNotFinite(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        reward[-1] = np.nan
        return observation, reward, terminated, truncated, info


class FlagsAsNumbers(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return observation, reward, terminated.astype(int), truncated, info


class InfoWithoutMask(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return observation, reward, terminated, truncated, {k: v for k, v in info.items() if k != "_far"}


class InfoAsList(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return observation, reward, terminated, truncated, [{} for _ in range(self.num_envs)]


class LiveObservations(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return self.at, reward, terminated, truncated, info


class LiveAtReset(Walks):
    def reset(self, *, seed: Any = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return self.at, super().reset(seed=seed, options=options)[1]


class LiveInfos(Changed):
    buffer = np.zeros(99)

    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        view = self.buffer[: self.num_envs]
        view[:] = self.at[:, 0]
        return observation, reward, terminated, truncated, {"x": view, "_x": np.ones(self.num_envs, bool)}


class ClipsActionsInPlace(Walks):
    def move(self, ids: Any, actions: np.ndarray) -> None:
        np.clip(actions, -0.5, 0.5, out=actions)
        super().move(ids, actions)


class ResetStepMoves(Walks):
    def step(self, actions: np.ndarray) -> tuple:
        resetting = self.ended.copy()
        observation, reward, *rest = super().step(actions)
        if self.mode is AutoresetMode.NEXT_STEP:
            self.at[resetting] += actions[resetting]
            return self.at.copy(), reward, *rest
        return observation, reward, *rest


class ResetStepPays(Changed):
    def change(self, observation: Any, reward: Any, terminated: Any, truncated: Any, info: dict) -> tuple:
        return observation, np.where(reward == 0, 1.0, reward), terminated, truncated, info


class NeverResets(Walks):
    def begin(self, ids: Any) -> None:
        if len(ids) == self.num_envs or not self.ended.any():
            super().begin(ids)
        else:
            self.steps[ids], self.ended[ids] = 0, False


class NoFinalInfo(Walks):
    def finals(self, done: np.ndarray, info: dict) -> dict:
        return {k: v for k, v in super().finals(done, info).items() if "final_info" not in k}


class FinalMaskOfAll(Walks):
    def finals(self, done: np.ndarray, info: dict) -> dict:
        return super().finals(done, info) | {"_final_obs": np.ones(self.num_envs, bool)}


class ReturnsFinalObservation(Walks):
    def step(self, actions: np.ndarray) -> tuple:
        observation, *rest, info = super().step(actions)
        for j in np.flatnonzero(info.get("_final_obs", [])):
            observation[j] = info["final_obs"][j]
        return observation, *rest, info


class ResetsAllWorlds(Walks):
    def reset(self, *, seed: Any = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        return super().reset(seed=seed)


class PartialResetDrawsForAll(Walks):
    def reset(self, *, seed: Any = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        if options:
            for rng in self.rngs:
                rng.uniform()
        return super().reset(seed=seed, options=options)


class IgnoresSeeds(Walks):
    def seed(self, ids: Any, seed: Any) -> None:
        pass


class OneSeedForAll(Walks):
    def seed(self, ids: Any, seed: Any) -> None:
        for j in ids:
            if seed is not None:
                self.rngs[j] = np.random.default_rng(seed if isinstance(seed, int) else seed[0])


class SharedGenerator(Walks):
    """One generator for all worlds: what a world does depends on how many there are."""

    def seed(self, ids: Any, seed: Any) -> None:
        if seed is not None:
            self.rngs = [np.random.default_rng(seed)] * self.num_envs


class KeepsStateOverResets(Walks):
    drift = 0.0

    def move(self, ids: Any, actions: np.ndarray) -> None:
        super().move(ids, actions)
        self.drift += 1e-9
        self.at[ids] += self.drift


class StateWithoutCounters(Walks):
    def set_state(self, state: Any) -> None:
        steps = self.steps.copy()
        super().set_state(state)
        self.steps = steps


class LiveState(Walks):
    def get_state(self) -> Any:
        return self.at, *super().get_state()[1:]


class OnePicture(Walks):
    def render(self) -> Any:
        return np.zeros((8, 8, 3), np.uint8)


class FloatPictures(Walks):
    def render(self) -> Any:
        return tuple(np.zeros((8, 8, 3)) for _ in range(self.num_envs))


class ClosesOnce(Walks):
    def declare(self) -> None:
        super().declare()
        self.handle = object()

    def close(self, **kwargs: Any) -> None:
        del self.handle
        self.closed = True


class OtherThanTheSingle(Walks):
    def move(self, ids: Any, actions: np.ndarray) -> None:
        super().move(ids, actions)
        self.at[ids] += 1e-12
