"""Objects at rest cost nothing: MuJoCo's sleeping islands, made a part of the state that can be saved and put back.

MuJoCo may put trees that hardly move to sleep: their contacts and dynamics are skipped until something awake touches
them (manual, "Sleeping islands"). Three of its properties would break what an environment promises, so here:

* who sleeps is kept in `mjData` alone. `Sleep.restore` puts trees to sleep again by resetting a world to a model whose
  default configuration is the wanted one, with these trees marked as initially asleep;
* so are the counters of steps a tree has been slow. They start anew in every control period: during its first and last
  substeps nobody can fall asleep, and what is slow for ten of those between does;
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

from .simulator import Ids

Ints = NDArray[np.int32]

TOLERANCE = 2e-4
"""What moves slower than this [m/s] for ten substeps falls asleep."""
_NEVER = -1.0  # no speed is lower
_ASLEEP, _AWAKE = int(mujoco.mjtSleepPolicy.mjSLEEP_INIT), int(mujoco.mjtSleepPolicy.mjSLEEP_NEVER)


class Rest(Protocol):
    """A batch of worlds, each of one of a few models, and what it does with objects at rest.

    Attributes:
        batch: steps them.
    """

    batch: Batch

    def assign(self, ids: Ids, members: Ids) -> None:
        """Gives worlds `ids` (m,), which are about to be reset or restored, the models `members` (m,)."""

    def allow(self, allowed: bool) -> None:
        """Whether objects may fall asleep in the steps to come; those asleep stay so."""

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

    def allow(self, allowed: bool) -> None:
        """See `Rest`."""

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
        self._awake, self._drowsy = ([self._model(m, speed) for m in models] for speed in (_NEVER, TOLERANCE))
        self._members = np.zeros(num_envs, dtype=np.int64)
        self._all_awake, self._all_drowsy = self._awake[:1] * num_envs, self._drowsy[:1] * num_envs
        self.batch = Batch(self._drowsy[0], num_envs, nthread=num_threads, persistent=True)
        self._trees: Ints = self.batch.bind("tree_asleep")  # at least 0 where a tree sleeps
        self._drowsing = True

    def assign(self, ids: Ids, members: Ids) -> None:
        """See `Rest`."""
        self._members[ids] = members
        for world, member in zip(ids.tolist(), members.tolist(), strict=True):
            self._all_awake[world], self._all_drowsy[world] = self._awake[member], self._drowsy[member]
        self._use(drowsy=False)

    def allow(self, allowed: bool) -> None:
        """See `Rest`."""
        if allowed != self._drowsing:
            self._use(drowsy=allowed)

    def save(self, ids: Ids) -> NDArray[np.float64]:
        """See `Rest`: the state, and who of the T trees sleeps, (m, batch.nstate + T)."""
        rows = np.concatenate([self.batch.state[ids], self._trees[ids]], axis=1)
        rows[:, self._columns("qacc_warmstart")] = 0.0
        return rows

    def restore(self, ids: Ids, rows: NDArray[np.float64]) -> None:
        """See `Rest`."""
        state, trees = np.split(rows, [self.batch.nstate], axis=1)
        with_sleepers = np.flatnonzero((trees >= 0).any(axis=1))
        waking = np.delete(np.arange(len(ids)), with_sleepers)
        if len(waking):
            self.batch.reset(ids[waking], stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        models = self._all_awake.copy() if len(with_sleepers) else []
        for row in with_sleepers:
            world = int(ids[row])
            drowsy = self._drowsy[self._members[world]]
            models[world] = self._asleep(drowsy, state[row, self._columns("qpos")], trees[row] >= 0)
            self.batch.set_models(models)
            self.batch.reset([world], stage=int(mujoco.mjtStage.mjSTAGE_NONE))
            models[world] = self._awake[self._members[world]]
        self._use(drowsy=False)
        self.batch.state[ids] = state

    def _use(self, *, drowsy: bool) -> None:
        if len(self._awake) == 1:
            self.batch.set_models((self._drowsy if drowsy else self._awake)[0])
        else:
            self.batch.set_models(self._all_drowsy if drowsy else self._all_awake)
        self._drowsing = drowsy

    def _columns(self, name: str) -> slice:
        """Where a field lies in the rows of `batch.state`."""
        field, state = self.batch.bind(name), self.batch.state
        first = (field.ctypes.data - state.ctypes.data) // state.itemsize
        return slice(first, first + field.shape[1])

    def _model(self, model: mujoco.MjModel, tolerance: float) -> mujoco.MjModel:
        found = copy.copy(model)
        found.opt.enableflags |= int(mujoco.mjtEnableBit.mjENBL_SLEEP)
        found.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_WARMSTART)
        found.opt.sleep_tolerance = tolerance
        found.tree_sleep_policy[:] = _AWAKE
        found.tree_sleep_policy[self._free] = int(mujoco.mjtSleepPolicy.mjSLEEP_ALLOWED)
        return found

    def _asleep(self, drowsy: mujoco.MjModel, qpos: NDArray[np.float64], asleep: NDArray[np.bool_]) -> mujoco.MjModel:
        """A model whose reset state has the free trees at `qpos` (nq,), those in `asleep` (T,) asleep."""
        model = copy.copy(drowsy)
        where = self._start[:, None] + np.arange(7)
        model.qpos0[where] = qpos[where]
        model.tree_sleep_policy[:] = np.where(asleep, _ASLEEP, _AWAKE)
        # Robot and furniture are elsewhere in this state, where they must wake nobody.
        trees = model.body_treeid[model.geom_bodyid]
        jointed = (trees >= 0) & ~np.isin(trees, self._free)
        model.geom_contype[jointed] = 0
        model.geom_conaffinity[jointed] = 0
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
