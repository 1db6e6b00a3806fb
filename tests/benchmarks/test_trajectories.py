"""Pushes and drops: the same world gives no difference, whatever its frame; another one does."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from pocketworlds.benchmarks.trajectories import (
    DROP_HEIGHT,
    DROP_TILT,
    PUSH_GAP,
    PUSH_LENGTH,
    Arena,
    Push,
    Track,
    motion_error,
)

SIZE = np.array([0.10, 0.06, 0.05])
MIDDLE = np.array([0.0, 0.0, SIZE[2] / 2])
CORNERS = MIDDLE + SIZE / 2 * np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


def world(friction: float = 0.5, *, free: bool = True, mass: float = 0.3, frame: np.ndarray | None = None) -> Arena:
    """A box on a floor, and another one 3 cm behind it; `frame` places everything elsewhere."""
    frame = np.eye(4) if frame is None else frame
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1], friction=[0.1, 0.005, 1e-4])
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(frame[:3, :3]).ravel())
    for name, y in (("box", 0.0), ("other", SIZE[1] + 0.03)):
        place = frame[:3, :3] @ (MIDDLE + np.array([0, y, 0])) + frame[:3, 3]
        body = spec.worldbody.add_body(name=name, pos=place, quat=quaternion)
        if free:
            body.add_freejoint(name=f"{name}_joint")
        body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=SIZE / 2, mass=mass, friction=[friction, 0.005, 1e-4])
    return Arena(spec, truth_from_world=np.linalg.inv(frame))


def final(track: Track) -> np.ndarray:
    return track.motion[-1, :3, :3] @ MIDDLE + track.motion[-1, :3, 3] - MIDDLE


PUSH_X, PUSH_Y = (Push.at(CORNERS, direction) for direction in ((1.0, 0.0), (0.0, 1.0)))


def test_pusher_starts_before_the_object_and_goes_as_far_as_it_says() -> None:
    assert PUSH_X.start == pytest.approx((-SIZE[0] / 2 - PUSH_GAP - 0.006, 0, SIZE[2] / 2))
    assert PUSH_X.position(0.0) == pytest.approx(PUSH_X.start)
    assert PUSH_X.position(9.0) - PUSH_X.start == pytest.approx([PUSH_LENGTH + PUSH_GAP, 0, 0])


def test_push_moves_the_object_by_the_length_of_the_push() -> None:
    track = world().push("box", PUSH_X)
    assert track.finite
    assert not track.touched
    assert final(track) == pytest.approx([PUSH_LENGTH, 0, 0], abs=0.002)
    assert len(track.motion) == 151


def test_push_notices_what_is_in_the_way() -> None:
    track = world().push("box", PUSH_Y)
    assert track.touched
    assert final(track)[1] == pytest.approx(PUSH_LENGTH, abs=0.003)


def test_level_drop_lands_where_it_was() -> None:
    track = world().drop("box", MIDDLE)
    assert track.motion[0, 2, 3] == pytest.approx(DROP_HEIGHT)
    assert np.linalg.norm(final(track)) < 0.001


def test_tilted_drop_starts_leaning() -> None:
    track = world().drop("box", MIDDLE, tilt=DROP_TILT)
    assert np.arccos(track.motion[0, 2, 2]) == pytest.approx(DROP_TILT)
    start = track.motion[0, :3, :3] @ MIDDLE + track.motion[0, :3, 3]
    assert start == pytest.approx(MIDDLE + np.array([0, 0, DROP_HEIGHT]))


@pytest.mark.parametrize("kind", ["push x", "push y", "drop", "tilted"])
def test_same_world_gives_no_error(kind: str) -> None:
    tracks = [_do(world(), kind) for _ in range(2)]
    error = motion_error(*tracks, MIDDLE)
    assert error is not None
    assert (error.mean, error.final, error.height, error.yaw, error.tilt) == pytest.approx((0, 0, 0, 0, 0), abs=1e-12)


@pytest.mark.parametrize("kind", ["push x", "push y", "drop", "tilted"])
def test_frame_of_the_rebuilt_world_does_not_matter(kind: str) -> None:
    frame = np.eye(4)
    frame[:2, :2] = [[np.cos(0.7), -np.sin(0.7)], [np.sin(0.7), np.cos(0.7)]]
    frame[:2, 3] = [0.4, -0.2]
    error = motion_error(_do(world(), kind), _do(world(frame=frame), kind), MIDDLE)
    assert error is not None
    assert error.mean < 5e-4
    assert error.tilt < 0.01


def test_other_friction_gives_an_error() -> None:
    """Off centre, the box turns around the pusher, and how far depends on friction."""
    aside = Push((PUSH_X.start[0], 0.02, PUSH_X.start[2]), PUSH_X.direction)
    first, second = (world(friction).push("box", aside) for friction in (0.15, 0.9))
    error = motion_error(first, second, MIDDLE)
    assert error is not None
    assert error.final > 1e-4
    assert error.mean > 1e-4


def test_what_is_fixed_stays_and_counts_as_wrong() -> None:
    stuck = world(free=False)
    assert not stuck.movable("box")
    error = motion_error(world().push("box", PUSH_X), stuck.push("box", PUSH_X), MIDDLE)
    assert error is not None
    assert error.final == pytest.approx(error.travel)
    assert error.travel == pytest.approx(PUSH_LENGTH, abs=0.002)
    with pytest.raises(ValueError, match="fixed"):
        stuck.drop("box", MIDDLE)


def test_one_push_leaves_nothing_behind() -> None:
    arena = world()
    first = arena.push("box", PUSH_X)
    arena.push("other", PUSH_Y)
    assert np.array_equal(arena.push("box", PUSH_X).motion, first.motion)


def test_diverged_simulation_has_no_error() -> None:
    track = world().push("box", PUSH_X)
    assert motion_error(track, Track(track.motion[:3], False, False), MIDDLE) is None


def test_error_of_known_motions() -> None:
    """The second ends 3 mm farther, 4 mm higher, a tenth of a radian turned and a fifth leaning."""
    turn, lean = np.eye(4), np.eye(4)
    turn[:2, :2] = [[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]]
    lean[1:3, 1:3] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    still = np.tile(np.eye(4), (2, 1, 1))
    for end, yaw, tilt in ((turn, 0.1, 0.0), (lean, 0.0, 0.2)):
        moved = still.copy()
        moved[1] = end
        moved[1, :3, 3] += MIDDLE - end[:3, :3] @ MIDDLE + [0.003, 0, 0.004]
        error = motion_error(Track(still, False, True), Track(moved, False, True), MIDDLE)
        assert error is not None
        assert error.final == pytest.approx(0.005)
        assert error.mean == pytest.approx(0.0025)
        assert error.height == pytest.approx(0.004)
        assert (error.yaw, error.tilt) == pytest.approx((yaw, tilt), abs=1e-9)
        assert error.travel == 0


def _do(arena: Arena, kind: str) -> Track:
    if kind.startswith("push"):
        return arena.push("box", PUSH_X if kind == "push x" else PUSH_Y)
    return arena.drop("box", MIDDLE, tilt=DROP_TILT if kind == "tilted" else 0.0)
