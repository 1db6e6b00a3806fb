"""Golden trajectories: tell a change of the engine from a change of ours.

For every MuJoCo version, `golden/<version>.json` keeps two kinds of numbers: the end of a rollout of plain MuJoCo, with
nothing of ours in it, and state observations of every environment under fixed actions. If the first differs, the engine
(or the processor's arithmetic) has changed; if only the second does, we have.

    python -m pocketworlds.benchmarks.golden            # compare
    python -m pocketworlds.benchmarks.golden --write    # record for this version; followed by ids: only these anew
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
import mujoco
import numpy as np
from numpy.typing import NDArray

from ..registry import ENVIRONMENTS

FOLDER = Path(__file__).with_name("golden")
TOLERANCE = 1e-4
"""Greatest difference of a float32 observation that counts as none: processors differ in the last bits, which contacts
multiply. A change of a gain, a friction or a reset differs by far more."""
STEPS = (0, 5, 15)
"""Control steps after which observations are kept."""

_ENGINE = """
<mujoco>
  <option timestep="0.002" integrator="implicitfast" cone="elliptic" impratio="20" jacobian="dense"/>
  <worldbody>
    <geom type="plane" size="2 2 .1"/>
    <body pos="0 0 .3" euler="20 30 0"><freejoint/><geom type="box" size=".03 .04 .05" mass=".3" friction=".8"/></body>
    <body pos=".01 0 .5"><freejoint/><geom type="cylinder" size=".03 .05" mass=".2"/></body>
    <body pos="-.3 0 .5">
      <joint name="j" axis="0 1 0" damping=".1"/><geom type="capsule" fromto="0 0 0 .2 0 0" size=".02" mass=".5"/>
    </body>
  </worldbody>
  <actuator><position joint="j" kp="20" kv="1"/></actuator>
</mujoco>
"""


def engine_trajectory() -> list[float]:
    """qpos of a small scene after 0.3 s of plain MuJoCo."""
    model = mujoco.MjModel.from_xml_string(_ENGINE)
    data = mujoco.MjData(model)
    data.ctrl[:] = 0.4
    for _ in range(150):
        mujoco.mj_step(model, data)
    return [float(v) for v in data.qpos]


def environment_trajectory(env_id: str) -> list[list[float]]:
    """State observations of episode 0 of seed 0 after `STEPS` control steps of fixed, smooth actions."""
    env = gym.make(env_id)
    observation, _ = env.reset(seed=0)
    kept = []
    shape = env.action_space.shape
    assert shape is not None
    phase = np.arange(shape[0])
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            kept.append([float(v) for v in observation])
        observation, *_ = env.step((0.5 * np.sin(0.3 * step + phase)).astype(np.float32))
    env.close()
    return kept


def golden_file() -> Path:
    """Where the numbers of the installed MuJoCo version are kept."""
    return FOLDER / f"{mujoco.__version__}.json"


def record(env_ids: Sequence[str] = ()) -> Path:
    """Writes the numbers of the installed MuJoCo version: all, or those of some ids beside what is recorded already."""
    path = golden_file()
    kept = json.loads(path.read_text()) if env_ids and path.is_file() else {"engine": engine_trajectory()}
    values = {**kept, **{env_id: environment_trajectory(env_id) for env_id in env_ids or ENVIRONMENTS}}
    path.parent.mkdir(exist_ok=True)
    lines = [f'  "{name}": {json.dumps(_rounded(value))}' for name, value in values.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    return path


def largest_difference(found: object, kept: object) -> float:
    """Between two equally shaped lists of numbers; infinite if their shapes differ."""
    a, b = _array(found), _array(kept)
    return float(np.abs(a - b).max()) if a.shape == b.shape else float("inf")


def _array(value: object) -> NDArray[np.float64]:
    return np.asarray(value, dtype=np.float64)


def _rounded(value: object) -> object:
    return np.round(_array(value), 7).tolist()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Compare or record golden trajectories.")
    parser.add_argument("--write", nargs="*", metavar="ID", help="record for the installed MuJoCo version")
    ids = parser.parse_args().write
    if ids is not None:
        print(f"wrote {record(ids)}")
        return
    path = golden_file()
    if not path.is_file():
        raise SystemExit(f"nothing is recorded for MuJoCo {mujoco.__version__}; record it with --write")
    kept = json.loads(path.read_text())
    print(f"engine: {largest_difference(engine_trajectory(), kept['engine']):.1e}")
    for env_id in ENVIRONMENTS:
        print(f"{env_id}: {largest_difference(environment_trajectory(env_id), kept.get(env_id)):.1e}")


if __name__ == "__main__":
    main()
