"""Puts worlds of a model where worlds of physics are now: mid-episode, with things in the hand and on the move."""

from __future__ import annotations

from dataclasses import replace

from ...envs import WorldVectorEnv
from ...envs.backends.handover import Handover
from ...envs.backends.physics import PhysicsSimulator
from ...errors import TaskError


def adopt(model: WorldVectorEnv, physics: WorldVectorEnv) -> bool:
    """Gives `model` the state of `physics`, episode, task and controller included; both of as many worlds.

    Returns:
        Whether it could: models that know nothing but pictures cannot be put anywhere but where episodes begin.
    """
    now = physics.get_state()
    if isinstance(model.simulator, PhysicsSimulator):
        model.set_state(now)  # as it is: `Handover` would wake what sleeps
        return True
    model.reset(seed=list(now.seeds))  # so that nothing is left of what was before, doubts included
    try:
        over = Handover(physics.simulator, model.simulator, physics.worlds)
    except TaskError:
        return False
    model.set_state(replace(now, simulator=over(now.simulator)))
    return True
