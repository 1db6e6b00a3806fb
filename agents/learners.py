"""Policies that learn in a model and then play in physics: where they go is where it must not be wrong.

A model that was made from the play of experts is right where experts go. Who learns in it goes elsewhere, wherever it
is too kind; what physics does there is what it has to learn next (Ross and Bagnell, "Agnostic System Identification
for Model-Based Reinforcement Learning", ICML 2012).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .experience import Practice
from .keeping import digest, plain
from .ppo import SETTINGS, Settings
from .snapshots import train

Notify = Callable[[str, float], None]
"""Is told a stage and how much of it is done."""

APART = 10_000
"""Seeds between what experts play of a practice and what policies do."""


@dataclass(frozen=True)
class Learning:
    """How policies learn in a model.

    Attributes:
        trainings: by PPO, of other seeds. steps: control steps of each. kept: policies kept of each, evenly apart.
        share: of a practice's episodes, so many do they play.
    """

    trainings: int = 3
    steps: int = 500_000
    kept: int = 6
    share: float = 1 / 3


def challenge(
    practice: Practice, checkpoint: Path, learning: Learning, number: int, work: Path, notify: Notify
) -> Practice:
    """The same practice, played by policies that have learned in a model without its guard.

    Args:
        practice: what experts play. checkpoint: of the model. learning: how they learn.
        number: from 1 on: which time; seeds depend on it. work: folder; policies that are in it need not learn again.
        notify: is told.

    Raises:
        TaskError: see `WorldVectorEnv`. CheckpointError: the model cannot be used.
    """
    usual = SETTINGS.get(practice.env_id, Settings())
    settings = replace(usual, total_steps=learning.steps)
    model = {"backend": "neural", "checkpoint": str(checkpoint), "on_ood": "ignore"}
    stage = f"learning {practice.env_id.removeprefix('PocketWorlds/')} in the model"
    folders: list[str] = []
    weights = hashlib.sha256(checkpoint.read_bytes()).hexdigest()  # who learned in another model is no learner of this
    for k in range(learning.trainings):

        def told(share: float, k: int = k) -> None:
            notify(stage, (k + share) / learning.trainings)

        name = digest([plain(practice), asdict(learning), number, k, weights])
        found = train(
            practice.env_id,
            {**practice.keywords, **model},
            settings,
            seed=practice.seed + APART * number + k,
            count=learning.kept,
            out=work / f"learners-{name}",
            notify=told,
        )
        folders += [str(each.folder) for each in found]
    notify(stage, 1.0)
    return replace(
        practice,
        episodes=max(round(learning.share * practice.episodes), 1),
        seed=practice.seed + APART * number,
        players=tuple(folders),
    )
