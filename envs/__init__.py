"""Environments: tasks, robots and simulators behind `gym.make` and `gym.make_vec`."""

from .env import ScanEnv
from .vector import EnvState, ScanVectorEnv

__all__ = ["EnvState", "ScanEnv", "ScanVectorEnv"]
