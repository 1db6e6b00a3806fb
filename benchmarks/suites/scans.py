"""Pairs of scenes for `scan-v1`: what the simulated phone filmed, and what `scan` made of it.

    python -m pocketworlds.benchmarks.suites.scans --work out/scans

Seeds are tried from 0 on, objects apart on a table, and the first `WANTED` make a pair of which

1. in the truth, the expert succeeds in every one of `TASKS` with some object, in `LEAST` of `EPISODES` at least;
2. the scan has every object of the truth, nothing else, and all of them can be moved;
3. at least `FEWEST` tasks have such an object that the scan has well, and with which episodes begin alike in both: the
   object, and where it is to go, are nowhere farther apart than `APART`. The first such object is the task's.

How often anybody succeeds in the scan is not looked at. The truth is stated in the frame of the scan, and its objects
have the names and the order that they have there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import string
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from ...envs import WorldVectorEnv
from ...envs.tasks.object_task import ObjectTask
from ...errors import SceneError, TaskError
from ...real2sim.pipeline import scan
from ...registry import JITTER
from ...scenes import Scene, load_scene
from ...scenes.folder import SCENE_FILE, assets
from ...scenes.settle import settle
from ..experts import play
from ..ground_truth_scenes import GroundTruthScene, generate_scene, write_scene
from ..real2sim_scene import WELL_FOUND, alignment, partners
from ..truth_scene import truth_scene
from .manifest import SCENES

Float = NDArray[np.float64]

ENV_ID, TASKS = "PocketWorlds/Scan-v0", ("lift", "push", "pick_place")
WANTED, FEWEST, EPISODES, LEAST = 3, 2, 100, 0.9
APART = 0.03
"""Between a scan and its truth [m]: more is another episode."""
PICTURE = 256
"""Texels a side, at most, of the pictures that are packed: nothing but looks depends on them."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of packed files: the same scene is the same archive


@dataclass(frozen=True)
class Pair:
    """A rebuilt scan and its truth.

    Attributes:
        truth, scan: the scenes. objects: by task, the object that it is about.
    """

    truth: Scene
    scan: Scene
    objects: Mapping[str, str]


def find_pair(seed: int, work: Path) -> Pair | str:
    """The pair of a seed, or why it is not wanted; captures and scans are kept in the folder `work`."""
    real = generate_scene(seed, "apart", "table")
    with tempfile.TemporaryDirectory() as own:
        alone = targets(truth_scene(real, Path(own)))
    if len(alone) < len(TASKS):
        return f"not scanned: the expert has nothing to {' or '.join(task for task in TASKS if task not in alone)}"
    rebuilt, world_from_capture = scanned(real, work)
    frame = scan_from_truth(real, rebuilt, world_from_capture)
    truth_from_scan = np.asarray(np.linalg.inv(frame))
    found = partners(real, rebuilt, truth_from_scan)
    reason = unlike(real, rebuilt, found)
    if reason:
        return reason
    place = work / real.name / "truth"
    shutil.rmtree(place, ignore_errors=True)
    truth = truth_scene(real, place, frame=frame, partners={name: rebuilt.object(found[name]) for name in found})
    result = settle(truth, freeze=False)
    if not result.scene.settled:
        return "something of the truth will not stay where it is"
    well = partners(real, rebuilt, truth_from_scan, least=WELL_FOUND)
    objects = targets(result.scene, rebuilt, tuple(well.values()))
    if len(objects) < FEWEST:
        return f"only {len(objects)} of the tasks begin alike"
    return Pair(result.scene, rebuilt, objects)


def targets(truth: Scene, rebuilt: Scene | None = None, names: Sequence[str] | None = None) -> dict[str, str]:
    """By task the first object with which the expert succeeds often enough, where there is one.

    Args:
        truth: where the expert plays. rebuilt: where episodes must begin alike. names: of objects that count.
    """
    objects: dict[str, str] = {}
    for task in TASKS:
        for item in truth.objects:
            asked: dict[str, Any] = {"task": task, "object": item.name, "object_jitter": JITTER}
            try:
                if names is not None and item.name not in names:
                    continue
                if rebuilt is not None and not begin_alike(truth, rebuilt, **asked):
                    continue
                score = play(ENV_ID, "expert", EPISODES, scene=truth, **asked)
            except TaskError:
                continue
            if score.solved >= LEAST * score.episodes:
                objects[task] = item.name
                break
    return objects


def begin_alike(truth: Scene, rebuilt: Scene, **asked: Any) -> bool:
    """Whether the target and the place that it is to go to are nearly the same in all episodes of two scenes.

    Raises:
        TaskError: the task cannot be set in one of them.
    """
    places = []
    for scene in (truth, rebuilt):
        env = gym.make_vec(ENV_ID, num_envs=EPISODES, scene=scene, **asked).unwrapped
        assert isinstance(env, WorldVectorEnv)
        assert isinstance(env.task, ObjectTask)
        env.reset(seed=0)
        sensors = env.sensors()
        places.append(np.stack([env.task.place(sensors), env.task.aim(sensors)]))
        env.close()
    return bool(np.linalg.norm(places[0] - places[1], axis=2).max() < APART)


def scanned(real: GroundTruthScene, work: Path) -> tuple[Scene, Float]:
    """What `scan` makes of what the simulated phone sees, and world_from_capture [4, 4]; kept in `work`."""
    home = work / real.name
    if not (home / "truth.json").is_file():
        write_scene(real, work)
    if not (home / "scene" / SCENE_FILE).is_file():
        scan(home / "capture", home / "scene")
    record = json.loads((home / "truth.json").read_text(encoding="utf-8"))
    rebuilt = load_scene(home / "scene").model_copy(update={"name": real.name})
    return rebuilt, np.array(record["world_from_arkit_zup"])


def scan_from_truth(real: GroundTruthScene, rebuilt: Scene, world_from_capture: Float) -> Float:
    """How the truth's world lies in that of a scan [4, 4]: upright, as both are, with the objects' support as high.

    Raises:
        SceneError: the scan has no support at that height.
    """
    truth_from_scan, shift = alignment(real, rebuilt, world_from_capture)
    if shift is None:
        raise SceneError(f"{rebuilt.name}: nothing in the scan is as high as what the objects really stand on")
    back = np.linalg.inv(truth_from_scan)
    yaw = np.arctan2(back[1, 0], back[0, 0])
    found = np.eye(4)
    found[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    # The capture may lean a little: both agree in the middle of the objects.
    middle = np.append(np.mean([o.position[:2] for o in real.objects], axis=0), real.surface_height)
    found[:3, 3] = back[:3, :3] @ middle + back[:3, 3] - found[:3, :3] @ middle
    return found


def unlike(real: GroundTruthScene, rebuilt: Scene, found: Mapping[str, str]) -> str:
    """Why a scan is not of the same things as its truth; "" if it is."""
    missed = [o.name for o in real.objects if o.name not in found]
    more = [item.name for item in rebuilt.objects if item.name not in found.values()]
    stuck = [item.name for item in rebuilt.objects if item.mobility != "free"]
    told = (("missed", missed), ("made up", more), ("fixed", stuck))
    return "; ".join(f"the scan has {what} {', '.join(names)}" for what, names in told if names)


def pack(scene: Scene, file: Path) -> None:
    """Writes a scene, bound to its folder, as an archive that `suite:<name>` is unpacked from."""
    assert scene.folder is not None
    with zipfile.ZipFile(file, "w") as packed, tempfile.TemporaryDirectory() as small:
        packed.writestr(_entry(SCENE_FILE), scene.model_dump_json(indent=1) + "\n")
        for asset in sorted(assets(scene)):
            source = scene.folder / asset
            if source.suffix == ".png":
                picture = PILImage.open(source).convert("RGB")
                picture.thumbnail((PICTURE, PICTURE))
                source = Path(small) / "picture.png"
                picture.save(source, optimize=True)
            packed.writestr(_entry(asset), source.read_bytes())


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Make the pairs of scenes of scan-v1.")
    parser.add_argument("--work", type=Path, default=Path("out/scans"), help="captures and scans are kept there")
    parser.add_argument("--out", type=Path, default=SCENES)
    asked = parser.parse_args()
    letters = iter(string.ascii_lowercase[:WANTED])
    left = WANTED
    for seed in count():
        found = find_pair(seed, asked.work)
        if isinstance(found, str):
            print(f"seed {seed}: {found}", flush=True)
            continue
        letter = next(letters)
        for kind, scene in (("truth", found.truth), ("scan", found.scan)):
            pack(scene, asked.out / f"scan-{letter}-{kind}.zip")
        print(f"seed {seed}: scan-{letter}, {dict(found.objects)}", flush=True)
        left -= 1
        if not left:
            return


if __name__ == "__main__":
    main()
