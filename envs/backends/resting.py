"""Objects at rest cost nothing: MuJoCo's sleeping islands, made a part of the state that can be saved and put back.

MuJoCo may put trees that hardly move to sleep: their contacts and dynamics are skipped until something awake touches
them (manual, "Sleeping islands"). Two of its properties would break what an environment promises, so here:

* who sleeps, and for how many steps the others have been slow (at ten they fall asleep), is kept in `mjData` alone, in
  `tree_asleep`. `Sleep.restore` brings it back: it resets a world to a model whose default configuration is the wanted
  one, with the sleepers marked as initially asleep, and steps on while nothing moves, the slow allowed to fall asleep;
* sleepers keep an old acceleration that warm starts use when they wake. So the solver starts from the unconstrained
  acceleration instead, which is not slower (few of our contacts last), and what states hold of it is set to zero.

That costs the warm start, which pays where much is held for long: so with a hand nothing sleeps (`Robot.sleep`).

Only free objects sleep, never the robot, nor doors, drawers and buttons, nor what touches one of them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol

import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from ..simulator import Ids
from .sharing import share_equal

Ints = NDArray[np.int32]

TOLERANCE = 2e-4
"""What moves slower than this [m/s] for ten substeps falls asleep."""
_ASLEEP, _ALLOWED, _NEVER = (
    int(getattr(mujoco.mjtSleepPolicy, f"mjSLEEP_{name}")) for name in ("INIT", "ALLOWED", "NEVER")
)
_FRESH = -(1 + int(mujoco.mjMINAWAKE))  # `tree_asleep` of what just moved; one more for each slow step, up to -1


class Rest(Protocol):
    """A batch of worlds, each of one of a few models, and what it does with objects at rest.

    Attributes:
        batch: steps them.
    """

    batch: Batch

    def assign(self, ids: Ids, members: Ids) -> None:
        """Gives worlds `ids` (m,), which are about to be reset or restored, the models `members` (m,)."""

    def save(self, ids: Ids) -> NDArray[np.float64]:
        """All that worlds `ids` (m,) need to go on bit for bit, one row each."""

    def restore(self, ids: Ids, rows: NDArray[np.float64]) -> None:
        """Puts worlds `ids` (m,) back into what `save` gave."""


def make_rest(models: Sequence[mujoco.MjModel], num_envs: int, num_threads: int, *, sleep: bool) -> Rest:
    """A batch in which objects at rest sleep, or one whose solver starts warm.

    Args:
        models: one, or several of one layout (see `alignment`); all worlds have the first until `assign`.
        num_envs: number of worlds. num_threads: to step them on.
        sleep: which of both.
    """
    return Sleep(models, num_envs, num_threads) if sleep else Awake(models, num_envs, num_threads)


class Awake:
    """Nothing sleeps; see `Rest`."""

    def __init__(self, models: Sequence[mujoco.MjModel], num_envs: int, num_threads: int) -> None:
        """See `make_rest`."""
        self._models = tuple(models)
        self._chosen = [self._models[0]] * num_envs
        self.batch = Batch(self._models[0], num_envs, nthread=num_threads)

    def assign(self, ids: Ids, members: Ids) -> None:
        """See `Rest`."""
        for row, member in zip(ids, members, strict=True):
            self._chosen[row] = self._models[member]
        self.batch.set_models(self._chosen)

    def save(self, ids: Ids) -> NDArray[np.float64]:
        """See `Rest`."""
        return np.asarray(self.batch.state[ids])

    def restore(self, ids: Ids, rows: NDArray[np.float64]) -> None:
        """See `Rest`."""
        self.batch.state[ids] = rows


class Sleep:
    """Objects at rest sleep; see `Rest`.

    Attributes:
        batch: persistent, as sleep needs it.
    """

    def __init__(self, models: Sequence[mujoco.MjModel], num_envs: int, num_threads: int) -> None:
        """See `make_rest`."""
        self._free = _free_trees(models[0])
        self._start = np.array([_first_qpos(models[0], tree) for tree in self._free], dtype=np.int64)
        self._models = [self._sleeping(model) for model in models]
        share_equal(self._models)
        self._chosen = self._models[:1] * num_envs
        self.batch = Batch(self._models[0], num_envs, nthread=num_threads, persistent=True)
        self._trees: Ints = self.batch.bind("tree_asleep")  # at least 0 where a tree sleeps

    def assign(self, ids: Ids, members: Ids) -> None:
        """See `Rest`."""
        for world, member in zip(ids.tolist(), members.tolist(), strict=True):
            self._chosen[world] = self._models[member]
        self.batch.set_models(self._chosen)

    def save(self, ids: Ids) -> NDArray[np.float64]:
        """See `Rest`: the state, and who of the T trees sleeps, (m, batch.nstate + T)."""
        trees = self._trees[ids]
        # Slow for ten steps, unlike what touches it: as good as for nine, for the next step counts before it decides.
        trees[trees == -1] = -2
        rows = np.concatenate([self.batch.state[ids], trees], axis=1)
        rows[:, self._columns("qacc_warmstart")] = 0.0
        return rows

    def restore(self, ids: Ids, rows: NDArray[np.float64]) -> None:
        """See `Rest`."""
        state, trees = np.split(rows, [self.batch.nstate], axis=1)
        awake = np.flatnonzero((trees == _FRESH).all(axis=1))
        if len(awake):
            self.batch.reset(ids[awake], stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        others = np.delete(np.arange(len(ids)), awake)
        if len(others):
            self._settle(ids[others], state[others, self._columns("qpos")], trees[others].astype(np.int32))
        self.batch.state[ids] = state

    def _settle(self, ids: Ids, qpos: NDArray[np.float64], trees: Ints) -> None:
        """Brings `tree_asleep` of worlds `ids` (m,) to `trees` (m, T); their state is anything then."""
        models = self._chosen.copy()
        still = [self._still(self._chosen[world], *each) for world, *each in zip(ids, qpos, trees, strict=True)]
        for world, model in zip(ids.tolist(), still, strict=True):
            models[world] = model
        self.batch.set_models(models)
        self.batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        slow = np.where(trees < 0, trees - _FRESH, 0)  # steps
        for left in range(int(slow.max()), 0, -1):
            for model, steps in zip(still, slow, strict=True):
                model.tree_sleep_policy[steps >= left] = _ALLOWED
            self.batch.set_models(models)
            self.batch.step(ids)
        self.batch.set_models(self._models[0] if len(self._models) == 1 else self._chosen)

    def _columns(self, name: str) -> slice:
        """Where a field lies in the rows of `batch.state`."""
        field, state = self.batch.bind(name), self.batch.state
        first = (field.ctypes.data - state.ctypes.data) // state.itemsize
        return slice(first, first + field.shape[1])

    def _sleeping(self, model: mujoco.MjModel) -> mujoco.MjModel:
        """A copy of a model in which free objects may sleep."""
        found = copy.copy(model)
        found.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
        found.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_WARMSTART)
        found.opt.sleep_tolerance = TOLERANCE
        found.tree_sleep_policy[:] = _NEVER
        found.tree_sleep_policy[self._free] = _ALLOWED
        return found

    def _still(self, model: mujoco.MjModel, qpos: NDArray[np.float64], trees: Ints) -> mujoco.MjModel:
        """A copy of a model in which nothing moves, whose reset state has the free trees at `qpos` (nq,).

        Those asleep in `trees` (T,) are so, and no other falls asleep until it is allowed to.
        """
        model = copy.copy(model)
        where = self._start[:, None] + np.arange(7)
        model.qpos0[where] = qpos[where]
        model.tree_sleep_policy[:] = np.where(trees >= 0, _ASLEEP, _NEVER)
        # Sleepers keep the contacts that make them islands; robot and furniture are elsewhere and must wake nobody.
        moving = model.body_treeid[model.geom_bodyid]
        awake = (moving >= 0) & (trees[moving] < 0)
        model.geom_contype[awake] = 0
        model.geom_conaffinity[awake] = 0
        model.opt.gravity[:] = 0.0
        return model


def _free_trees(model: mujoco.MjModel) -> NDArray[np.int64]:
    joints = [model.body_jntadr[body] for body in model.tree_bodyadr]
    free = [
        tree
        for tree, joint in enumerate(joints)
        if model.tree_dofnum[tree] == 6 and model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
    ]
    return np.array(free, dtype=np.int64)


def _first_qpos(model: mujoco.MjModel, tree: int) -> int:
    return int(model.jnt_qposadr[model.body_jntadr[model.tree_bodyadr[tree]]])
