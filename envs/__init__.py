"""Environments: tasks, robots and simulators behind `gym.make` and `gym.make_vec`."""
