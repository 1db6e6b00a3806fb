"""Environments: tasks, robots and simulators behind `gym.make` and `gym.make_vec`."""

from .checker import CheckReport, VectorEnvError, VectorEnvWarning, check_vector_env
from .chunks import ActionChunk, VectorActionChunk
from .env import WorldEnv
from .vector import EnvState, WorldVectorEnv

__all__ = [
    "ActionChunk",
    "CheckReport",
    "EnvState",
    "VectorActionChunk",
    "VectorEnvError",
    "VectorEnvWarning",
    "WorldEnv",
    "WorldVectorEnv",
    "check_vector_env",
]
