"""How fast the environments are: beside bare physics, beside other libraries, against worlds, objects and threads.

    result = run_throughput(out=Path("out/bench-throughput"), peers=True)
    print(result.text())

What is compared is run by turns, a second each, in one script on one machine, and what counts is the median of the
turns' ratios: a machine that is busy with something else slows down both. Everything is done through the public
environment, as a learner would use it: controller, observation, reward, infos and autoreset included, actions drawn at
random, ends of episodes spread evenly over the worlds. Only steps count that the environment made.
"""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from mujoco.batch import Batch
from numpy.typing import NDArray

from ..envs.backends.physics import SUBSTEPS, PhysicsSimulator
from ..envs.builtin.authoring import table_surfaces
from ..envs.builtin.tables import RED, cube
from ..envs.vector import WorldVectorEnv
from ..registry import ENVIRONMENTS
from ..scenes import Scene
from ..workers import processors
from .throughput_peers import PEERS, Peer, PeerError, find_python, modes
from .throughput_result import Cost, Goal, PeerResult, Throughput, count_contacts, machine

Notify = Callable[[str, float], None]
"""Called with what is going on and its finished share in [0, 1]."""

TASK = "PocketWorlds/PickPlace-v0"
SEED = 0


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is measured: worlds, and those beside another library, seconds and turns, and the axes of the tables."""

    worlds: int = 256
    beside: int = 1024
    settle: int = 5
    seconds: float = 1.0
    turns: int = 9
    many_worlds: Sequence[int] = (1, 4, 16, 64, 256, 1024, 4096)
    many_objects: Sequence[int] = (1, 3, 10, 20, 30)


QUICK = Effort(worlds=16, beside=16, settle=2, seconds=0.05, turns=3, many_worlds=(1, 16), many_objects=(1, 3))


class Stepper:
    """An environment of ours under random actions, its worlds spread over the length of an episode."""

    def __init__(self, env_id: str, worlds: int, **keywords: Any) -> None:
        made = gym.make_vec(env_id, num_envs=worlds, **keywords)
        env = made.unwrapped
        assert isinstance(env, WorldVectorEnv)
        self.env, self.worlds = env, worlds
        env.reset(seed=SEED)
        steps = ENVIRONMENTS[env_id].steps
        spread = (np.arange(worlds) * steps) // worlds
        env.set_state(dataclasses.replace(env.get_state(), elapsed=spread))
        size = (16, worlds, env.simulator.action_size)
        self._actions: NDArray[np.float32] = np.random.default_rng(SEED).uniform(-1, 1, size).astype(np.float32)
        self._turn = 0
        self.step()

    def step(self) -> int:
        """One control step; gives the number of worlds that moved (the others began an episode)."""
        self.env.step(self._actions[self._turn % len(self._actions)])
        self._turn += 1
        return self.worlds - int((self.env.elapsed == 0).sum())

    def run(self, seconds: float) -> float:
        """Environment steps per second over about `seconds`."""
        steps, start = 0, time.perf_counter()
        while (now := time.perf_counter() - start) < seconds or steps == 0:
            steps += self.step()
        return steps / now

    def close(self) -> None:
        """Frees the environment."""
        self.env.close()


class Bare:
    """`Batch.step` and nothing else: the model, substeps and threads of an environment, from the state it is in.

    It goes its own way under the environment's controls, so that what is at rest sleeps in it too.
    """

    def __init__(self, stepper: Stepper) -> None:
        self._from, self._env = physics(stepper), stepper.env
        given: Batch = self._from.batch
        self.batch = Batch(given.model, given.nsim, nthread=given.nthread, persistent=given.persistent)
        self._ctrl, self._theirs = self.batch.bind("ctrl"), given.bind("ctrl")
        self.batch.state[:] = given.state

    def step(self) -> int:
        """The substeps of one control step; gives the number of worlds."""
        self.batch.step(nstep=SUBSTEPS)
        return int(self.batch.nsim)

    def follow(self) -> None:
        """Takes the environment's controls, and its state where it began an episode; not a part of what is timed.

        There everything wakes up, as in the environment: what sleeps would stay asleep wherever it is put.
        """
        began = np.flatnonzero(self._env.elapsed == 0)
        if len(began):
            self.batch.reset(began, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
            self.batch.state[began] = self._from.batch.state[began]
        self._ctrl[:] = self._theirs


def physics(stepper: Stepper) -> PhysicsSimulator:
    """The simulator of an environment whose backend is `physics`."""
    simulator = stepper.env.simulator
    assert isinstance(simulator, PhysicsSimulator)
    return simulator


def against_bare(stepper: Stepper, effort: Effort) -> tuple[float, float, float]:
    """Steps per second of the environment and of bare physics, and the median ratio: control step by control step."""
    bare = Bare(stepper)
    for _ in range(effort.settle):  # until what is at rest sleeps in both
        stepper.step()
        bare.follow()
        bare.step()
    found = []
    for _ in range(effort.turns):
        ours, theirs, moved, steps = 0.0, 0.0, 0, 0
        while ours < effort.seconds / 2 or steps < 2:
            bare.follow()
            before = time.perf_counter()
            bare.step()
            middle = time.perf_counter()
            moved += stepper.step()
            ours, theirs = ours + time.perf_counter() - middle, theirs + middle - before
            steps += 1
        found.append((moved / ours, steps * stepper.worlds / theirs))
    ratio = statistics.median(a / b for a, b in found)
    return statistics.median(a for a, _ in found), statistics.median(b for _, b in found), ratio


def against_peer(name: str, effort: Effort, pythons: Sequence[str], notify: Notify) -> PeerResult:
    """Finds the peer's fastest modes, in one process and in several, and runs them by turns with ours."""
    title, env_id, bound = PEERS[name]
    keywords = {"scene": cubes(1)} if name == "robosuite" else {}  # its Lift has one cube
    try:
        python = find_python(name, pythons, SUBSTEPS)
        tried: dict[str, float] = {}
        candidates = modes(name, processors())
        for index, mode in enumerate(candidates):
            notify(title, index / len(candidates) / 2)
            with Peer(name, mode, python, SUBSTEPS) as peer:
                tried[str(mode)] = statistics.median(peer.run(effort.seconds) for _ in range(3))
        own = max((mode for mode in candidates if mode.processes == 1), key=lambda mode: tried[str(mode)])
        best = max(candidates, key=lambda mode: tried[str(mode)])
        stepper = Stepper(env_id, effort.beside, **keywords)
        with Peer(name, own, python, SUBSTEPS) as peer, Peer(name, best, python, SUBSTEPS) as joined:
            turns = []
            for index in range(effort.turns):
                notify(title, 0.5 + index / effort.turns / 2)
                turns.append((stepper.run(effort.seconds), peer.run(effort.seconds), joined.run(effort.seconds)))
            about = peer.about
        stepper.close()
    except PeerError as error:
        notify(title, 1.0)
        return PeerResult(title, env_id, effort.beside, bound, missing=str(error))
    notify(title, 1.0)
    return PeerResult(
        title,
        env_id,
        effort.beside,
        bound,
        ours=statistics.median(a for a, _, _ in turns),
        theirs=statistics.median(b for _, b, _ in turns),
        ratio=statistics.median(a / b for a, b, _ in turns),
        mode=str(own),
        joined=str(best),
        joined_ratio=statistics.median(a / c for a, _, c in turns),
        tried=tried,
        about=about,
    )


def frames(effort: Effort) -> tuple[float, float]:
    """Pictures of 64 x 64 per second: those of whole environment steps, and drawn without stepping."""
    stepper = Stepper(TASK, effort.worlds, obs_mode="rgb", image_size=64)
    camera, simulator, everyone = stepper.env.config.camera, stepper.env.simulator, np.arange(effort.worlds)
    whole, drawn = [], []
    for _ in range(effort.turns):
        whole.append(stepper.run(effort.seconds))
        start = time.perf_counter()
        simulator.images(everyone, camera, ("rgb",), width=64, height=64)
        drawn.append(effort.worlds / (time.perf_counter() - start))
    stepper.close()
    return statistics.median(whole), statistics.median(drawn)


def resets(effort: Effort) -> dict[str, float]:
    """What `reset` of some worlds costs, in control steps of all: one world, a tenth of them, and all of them."""
    stepper = Stepper(TASK, effort.worlds)
    found = {}
    for name, count in (("one world", 1), ("a tenth", max(1, effort.worlds // 10)), ("all", effort.worlds)):
        mask = np.zeros(effort.worlds, dtype=np.bool_)
        mask[:count] = True
        ratios = []
        for _ in range(2 * effort.turns):
            start = time.perf_counter()
            stepper.step()
            middle = time.perf_counter()
            stepper.env.reset(options={"reset_mask": mask})
            ratios.append((time.perf_counter() - middle) / (middle - start))
        found[name] = statistics.median(ratios)
    stepper.close()
    return found


_FIRST_STEP = """
import time
import gymnasium as gym
import pocketworlds
for _ in range(3):
    start = time.perf_counter()
    env = gym.make({task!r})
    env.reset(seed=0)
    env.step(env.action_space.sample())
    print(time.perf_counter() - start, flush=True)
"""


def first_step(turns: int) -> tuple[float, float, float]:
    """Seconds from `gym.make` to the end of the first step: in a new process, made again, and the whole process."""
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path.append({str(root)!r})\n" + _FIRST_STEP.format(task=TASK)
    cold, warm, process = [], [], []
    for _ in range(turns):
        start = time.perf_counter()
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            cold.append(float(child.stdout.readline()))
            process.append(time.perf_counter() - start)
            warm += [float(line) for line in child.stdout]
    return statistics.median(cold), statistics.median(warm), statistics.median(process)


def cubes(count: int) -> Scene:
    """A table with `count` cubes in rows, none touching another."""
    spots = [(0.1 * (k % 6) - 0.25, 0.1 * (k // 6) - 0.2) for k in range(count)]
    objects = tuple(cube(f"cube_{k}", at=spot, rgba=RED) for k, spot in enumerate(spots))
    return Scene(name=f"cubes-{count}", surfaces=table_surfaces(), objects=objects, settled=True)


def cost(axis: str, value: int, stepper: Stepper, effort: Effort) -> Cost:
    """One row of a table."""
    ours, bare, ratio = against_bare(stepper, dataclasses.replace(effort, turns=3))
    model = stepper.env.world.model
    contacts = count_contacts(stepper.env)
    row = Cost(axis, value, ours, bare, ratio, worlds=stepper.worlds, contacts=contacts, nv=int(model.nv))
    stepper.close()
    return row


def tables(effort: Effort, notify: Notify) -> list[Cost]:
    """Cost against worlds, objects and threads."""
    jobs: list[tuple[str, int, Callable[[], Stepper]]] = []
    for worlds in effort.many_worlds:
        jobs.append(("worlds", worlds, lambda n=worlds: Stepper(TASK, n)))  # type: ignore[misc]
    for count in effort.many_objects:
        keywords = {"scene": cubes(count), "object": "cube_0"}
        jobs.append(("objects", count, lambda k=keywords: Stepper("PocketWorlds/Lift-v0", effort.worlds, **k)))  # type: ignore[misc]
    for threads in range(1, processors() + 1):
        jobs.append(("threads", threads, lambda t=threads: Stepper(TASK, effort.worlds, num_threads=t)))  # type: ignore[misc]
    rows = []
    for index, (axis, value, make) in enumerate(jobs):
        notify("tables", index / len(jobs))
        rows.append(cost(axis, value, make(), effort))
    notify("tables", 1.0)
    return rows


def run_throughput(
    *,
    out: Path | None = None,
    peers: bool = False,
    peer_pythons: Sequence[str] = (),
    quick: bool = False,
    notify: Notify = lambda stage, share: None,
) -> Throughput:
    """Measures everything.

    Args:
        out: folder for `results.json`, `results.md` and `throughput.png`; None writes nothing.
        peers: compare with other libraries too. peer_pythons: interpreters that may have them.
        quick: seconds instead of minutes; the figures are then only a sign that the benchmark works.
        notify: told what is going on.
    """
    effort = QUICK if quick else Effort()
    began = time.perf_counter()
    notify("bare physics", 0.0)
    stepper = Stepper(TASK, effort.worlds)
    ours, bare, ratio = against_bare(stepper, effort)
    facts = machine(stepper.env, SEED)
    stepper.close()
    notify("bare physics", 1.0)
    notify("pictures", 0.0)
    whole, drawn = frames(effort)
    notify("pictures", 1.0)
    notify("resets", 0.0)
    partial = resets(effort)
    cold, warm, process = first_step(1 if quick else 3)
    notify("resets", 1.0)
    goals = [
        Goal(
            f"steps/s of bare Batch.step, {effort.worlds} worlds",
            ratio,
            0.85,
            at_least=True,
            note=f"{ours:.0f} beside {bare:.0f} steps/s",
        ),
        Goal("frames/s, 64 x 64", whole, 600, at_least=True, note=f"drawing alone {drawn:.0f} frames/s"),
        Goal(
            "a partial reset, in control steps",
            max(partial["one world"], partial["a tenth"]),
            3,
            at_least=False,
            note=", ".join(f"{name} {value:.2f}" for name, value in partial.items()),
        ),
        Goal(
            "s from gym.make to the first step, new process",
            cold,
            1.5,
            at_least=False,
            note=f"{process:.2f} s with the interpreter and imports",
        ),
        Goal("s from gym.make to the first step, again", warm, 0.2, at_least=False),
    ]
    compared = [against_peer(name, effort, peer_pythons, notify) for name in PEERS] if peers else []
    goals += [
        Goal(f"times {peer.title}", peer.ratio, peer.bound, at_least=True, note=peer.note)
        for peer in compared
        if peer.ratio is not None
    ]
    result = Throughput(
        facts=facts,
        goals=goals,
        peers=compared,
        costs=tables(effort, notify),
        quick=quick,
        seconds=time.perf_counter() - began,
    )
    if out is not None:
        result.write(out)
    return result
