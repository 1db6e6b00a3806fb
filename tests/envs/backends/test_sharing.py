"""Models that share equal arrays behave as those that do not."""

from __future__ import annotations

import copy
import gc
import weakref

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch
from pocketworlds.envs.backends.sharing import share_equal

XML = """
<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <geom type="plane" size="2 2 0.1"/>
    <body pos="0 0 0.3"><freejoint/><geom name="a" type="box" size="0.05 0.04 0.03"/></body>
    <body pos="0.03 0 0.5"><freejoint/><geom name="b" type="capsule" size="0.03 0.05"/></body>
  </worldbody>
</mujoco>
"""


def variants() -> list[mujoco.MjModel]:
    """Four models of one layout: in sizes, friction, or nothing unlike the first."""
    models = [mujoco.MjModel.from_xml_string(XML) for _ in range(4)]
    models[1].geom("a").size = [0.06, 0.05, 0.02]
    models[2].geom_friction[:, 0] = 0.2
    return models


def test_worlds_move_as_without_sharing_bit_for_bit():
    models, plain = variants(), variants()
    assert share_equal(models) > 3 * 80
    batch, qpos = Batch(models[0], 4, nthread=2), []
    batch.set_models(models)
    batch.reset()
    for _ in range(20):
        batch.step(nstep=25)
        qpos.append(batch.bind("qpos").copy())
    for k, model in enumerate(plain):
        data = mujoco.MjData(model)
        for expected in qpos:
            mujoco.mj_step(model, data, nstep=25)
            np.testing.assert_array_equal(expected[k], data.qpos)
    assert len(np.unique(qpos[-1], axis=0)) == 3  # the last is as the first


def test_a_copy_of_a_model_that_shares_is_whole():
    models, plain = variants(), variants()
    share_equal(models)
    one, other = copy.copy(models[1]), plain[1]
    for name in ("geom_size", "geom_friction", "body_mass", "body_inertia", "qpos0", "dof_invweight0"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    first, second = mujoco.MjData(one), mujoco.MjData(other)
    mujoco.mj_step(one, first, nstep=300)
    mujoco.mj_step(other, second, nstep=300)
    np.testing.assert_array_equal(first.qpos, second.qpos)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_arrays_stay_as_long_as_somebody_uses_them(order: list[int]):
    models = variants()
    share_equal(models)
    first = weakref.ref(models[0])
    expected = copy.copy(models[1])
    for number, index in enumerate(order):
        if index != 1:
            models[index] = None  # type: ignore[call-overload]
        gc.collect()
        assert first() is not None, number
    mujoco.mj_step(models[1], data := mujoco.MjData(models[1]), nstep=100)
    mujoco.mj_step(expected, other := mujoco.MjData(expected), nstep=100)
    np.testing.assert_array_equal(data.qpos, other.qpos)
    del models, data
    gc.collect()
    assert first() is None
