"""Recorded episodes: one type in memory, and LeRobot, Minari and robomimic data sets on disk."""

from .dataset import TrajectoryDataset
from .formats import FORMATS, open_trajectories, write_trajectories
from .trajectory import Origin, StatePart, Trajectory

__all__ = [
    "FORMATS",
    "Origin",
    "StatePart",
    "Trajectory",
    "TrajectoryDataset",
    "open_trajectories",
    "write_trajectories",
]
