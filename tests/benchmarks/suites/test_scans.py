"""Pairs of scan-v1: the truth is the truth, a scan is of the same things in the same places, and both begin alike."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from pocketworlds.benchmarks.ground_truth_scenes import GroundTruthScene, generate_scene
from pocketworlds.benchmarks.leaderboard.trust import compared
from pocketworlds.benchmarks.suites import manifest, scans
from pocketworlds.benchmarks.suites.manifest import load_suite
from pocketworlds.benchmarks.truth_scene import truth_scene
from pocketworlds.envs import WorldVectorEnv
from pocketworlds.envs.tasks.object_task import ObjectTask
from pocketworlds.scenes import Scene, load_scene

SUITE = load_suite("scan-v1")
PAIRS = sorted({group.keywords["scene"].rpartition("-")[0] for group in SUITE.groups})


def shipped(address: str) -> Scene:
    return load_scene(manifest.found_scenes({"scene": address})["scene"])


@pytest.fixture(scope="module", params=PAIRS)
def pair(request: pytest.FixtureRequest) -> tuple[Scene, Scene]:
    return shipped(f"{request.param}-truth"), shipped(f"{request.param}-scan")


def test_every_group_has_its_partner() -> None:
    told = compared([group.name for group in SUITE.groups])
    assert [elsewhere for _, elsewhere in told] == ["scan"] * len(told)
    assert 2 * len(told) == len(SUITE.groups)
    for task, _ in told:
        real, scan = (SUITE.group(f"{task}-{where}") for where in ("physics", "scan"))
        assert scan.keywords == {**real.keywords, "scene": real.keywords["scene"].replace("-truth", "-scan")}


def test_the_truth_is_the_ground_truth(pair: tuple[Scene, Scene]) -> None:
    truth, _ = pair
    real = generate_scene(truth.source["seed"], truth.source["layout"], truth.source["support"])
    masses = sorted(item.body.inertial.mass.value for item in truth.objects)
    assert masses == pytest.approx(sorted(o.mass for o in real.objects), rel=1e-12)
    assert sorted(item.category for item in truth.objects) == sorted(o.category for o in real.objects)
    frictions = sorted(item.body.friction.value for item in truth.objects)
    assert frictions == pytest.approx(sorted(o.friction for o in real.objects))
    # However the frame lies: how far the objects are apart does not change.
    by_mass = sorted(truth.objects, key=lambda item: item.body.inertial.mass.value)
    places = np.array([item.body.pose.position for item in by_mass])
    true = np.array([o.box_center for o in sorted(real.objects, key=lambda o: o.mass)])
    apart, expected = (np.linalg.norm(each[:, None] - each, axis=2) for each in (places, true))
    # A round thing is no circle of corners: its box has another middle when it is turned.
    assert apart == pytest.approx(expected, abs=3e-3)


def test_a_scan_is_of_the_same_things_as_its_truth(pair: tuple[Scene, Scene]) -> None:
    truth, scan = pair
    assert [item.name for item in truth.objects] == [item.name for item in scan.objects]
    assert all(item.mobility == "free" for scene in pair for item in scene.objects)
    assert truth.settled
    assert scan.settled
    tops = [next(s.pose.position[2] + s.size[2] / 2 for s in each.surfaces if s.name == "table") for each in pair]
    assert tops[0] == pytest.approx(tops[1], abs=2e-3)
    for name in {group.keywords["object"] for group in SUITE.groups if truth.name in group.worlds}:
        a, b = (each.object(name) for each in pair)
        assert np.linalg.norm(np.subtract(a.body.pose.position, b.body.pose.position)) < 0.02
        assert np.abs(np.subtract(a.size, b.size)).max() < 0.02


def test_episodes_of_a_pair_begin_alike() -> None:
    for task, _ in compared([group.name for group in SUITE.groups]):
        starts = []
        for where in ("physics", "scan"):
            group = SUITE.group(f"{task}-{where}")
            env = gym.make_vec(group.env_id, num_envs=12, **group.where()).unwrapped
            assert isinstance(env, WorldVectorEnv)
            env.reset(seed=group.seed)
            sensors, mount = env.sensors(), env.world.mount
            assert isinstance(env.task, ObjectTask)
            there = np.stack([env.task.place(sensors), env.task.aim(sensors)])
            starts.append((sensors["joint_pos"], np.array([*mount.position, mount.yaw]), there))
            env.close()
        joints, mounts, places = zip(*starts, strict=True)
        assert joints[0] == pytest.approx(joints[1], abs=1e-9)
        assert np.abs(mounts[0] - mounts[1]).max() < 0.05
        assert np.linalg.norm(places[0] - places[1], axis=2).max() < 0.03


# Making them ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> GroundTruthScene:
    return generate_scene(27, "apart", "table")


def test_what_is_packed_is_unpacked(real: GroundTruthScene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = truth_scene(real, tmp_path / "truth")
    scans.pack(scene, tmp_path / "own-truth.zip")
    scans.pack(scene, tmp_path / "again.zip")
    assert (tmp_path / "own-truth.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    monkeypatch.setattr(manifest, "SCENES", tmp_path)
    monkeypatch.setenv("POCKETWORLDS_CACHE", str(tmp_path / "cache"))
    assert shipped("suite:own-truth").model_dump() == scene.model_dump()


def test_a_scan_that_is_of_other_things_is_not_wanted(real: GroundTruthScene, tmp_path: Path) -> None:
    scene = truth_scene(real, tmp_path)
    first, second, *_ = names = [item.name for item in scene.objects]
    assert scans.unlike(real, scene, {name: name for name in names}) == ""
    fixed = scene.objects[0].model_copy(update={"mobility": "fixed"})
    more = scene.objects[1].model_copy(update={"name": "ghost"})
    other = scene.model_copy(update={"objects": (fixed, *scene.objects[2:], more)})
    told = scans.unlike(real, other, {name: name for name in names if name != second})
    assert told == f"the scan has missed {second}; the scan has made up ghost; the scan has fixed {first}"


def test_the_truth_lies_where_the_scan_has_it(real: GroundTruthScene, tmp_path: Path) -> None:
    """A scan without any error, in a world that is turned, shifted and leans a little."""
    from scipy.spatial.transform import Rotation

    truth_from_capture = np.eye(4)
    truth_from_capture[:3, :3] = Rotation.from_euler("zx", (1.1, 0.004)).as_matrix()
    truth_from_capture[:3, 3] = 0.2, 0.1, 0.01
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("z", -1.1).as_matrix()
    rebuilt = truth_scene(real, tmp_path, frame=turn).model_copy(
        update={"source": {"world_from_capture": (turn @ truth_from_capture).tolist()}}
    )
    frame = scans.scan_from_truth(real, rebuilt, truth_from_capture)
    assert frame == pytest.approx(turn, abs=1e-3)
    assert frame[2, :3] == pytest.approx([0, 0, 1], abs=1e-12)
