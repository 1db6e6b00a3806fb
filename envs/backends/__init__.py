"""Backends: what stands behind the `backend` keyword, each a `Simulator`."""

from __future__ import annotations

from collections.abc import Sequence

from ...world_models.external.address import is_external
from ..config import Config
from ..simulator import Simulator
from ..world import World
from .physics import PhysicsSimulator


def make_simulator(config: Config, worlds: Sequence[World], num_envs: int) -> Simulator:
    """The simulator that keywords ask for.

    Raises:
        CheckpointError: there is no model for this robot, or it cannot be used.
    """

    def physics() -> PhysicsSimulator:
        return PhysicsSimulator(
            worlds,
            num_envs,
            control_mode=config.control_mode,
            num_threads=config.num_threads,
            renderer=config.renderer,
        )

    if config.backend == "physics":
        return physics()
    if is_external(config.checkpoint):
        from .frames import make_external_simulator

        return make_external_simulator(config, worlds, num_envs)
    from ...world_models.checkpoint import read_card  # torch takes its time
    from .frames import KINDS, make_frame_simulator
    from .neural import NeuralSimulator, shipped

    if config.checkpoint is not None and read_card(config.checkpoint).kind in KINDS:
        return make_frame_simulator(config, worlds, num_envs)
    neural = NeuralSimulator(
        worlds,
        num_envs,
        checkpoint=config.checkpoint or shipped(worlds, config.task),
        control_mode=config.control_mode,
        num_threads=config.num_threads,
        renderer=config.renderer,
    )
    if config.on_ood == "fallback_physics":
        from .fallback import FallbackSimulator

        return FallbackSimulator(neural, physics(), worlds)
    return neural
