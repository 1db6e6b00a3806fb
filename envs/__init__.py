"""Environments: tasks, robots and simulators behind `gym.make` and `gym.make_vec`."""

from .env import WorldEnv
from .vector import EnvState, WorldVectorEnv

__all__ = ["EnvState", "WorldEnv", "WorldVectorEnv"]
