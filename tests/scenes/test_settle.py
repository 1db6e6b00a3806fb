"""Settling against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.scenes import Scene, SceneObject
from pocketworlds.scenes.physics import overlaps, validate_physics
from pocketworlds.scenes.placement import Placement
from pocketworlds.scenes.scene import CollisionGeom, Pose
from pocketworlds.scenes.settle import FROZEN_NOTE, SettleResult, settle

from .builders import floor, scene, table, thing, wall

REST = 0.0002
"""Depth [m] to which the soft contact of a resting 10 cm box gives way: 0.11 mm, for a ball on one point 0.37 mm."""


def position(result: SettleResult, name: str) -> np.ndarray:
    return np.array(result.scene.object(name).body.pose.position)


def assert_sound(scene: Scene) -> None:
    report = validate_physics(scene, seconds=2.0)
    assert report.ok, report


def test_box_dropped_three_millimetres_rests_at_its_half_height() -> None:
    result = settle(scene(thing("box", (0.1, 0.2, 0.053))))
    outcome = result.objects["box"]
    assert position(result, "box") == pytest.approx([0.1, 0.2, 0.05], abs=REST)
    assert outcome.stable
    assert not outcome.frozen
    assert outcome.correction == pytest.approx(0.003, abs=1e-6)
    assert outcome.drift == pytest.approx(0.003, abs=REST)
    assert outcome.tilt < 1e-3
    assert outcome.speed < 1e-4
    assert result.scene.settled
    seen = result.scene.object("box").provenance
    assert seen is not None
    assert seen.settle_drift == outcome.drift
    assert seen.settle_tilt == outcome.tilt
    assert seen.notes == ()
    assert_sound(result.scene)


@pytest.mark.parametrize("shape", ["box", "cylinder", "sphere"])
@pytest.mark.parametrize("sunk", [0.002, 0.02, 0.09])
def test_sunk_object_is_lifted_by_exactly_the_penetration(shape: str, sunk: float) -> None:
    result = settle(scene(thing("it", (0, 0, 0.05 - sunk), shape=shape)))  # type: ignore[arg-type]
    assert result.penetration_before == pytest.approx(sunk, abs=1e-5)
    assert result.objects["it"].correction == pytest.approx(sunk, abs=1e-5)
    assert position(result, "it")[2] == pytest.approx(0.05, abs=2 * REST)


def test_object_deep_in_a_thin_table_comes_out_on_top_not_below() -> None:
    start = scene(thing("it", (0, 0, 0.66), support="table"), surfaces=(floor(), table(0.7)))
    assert position(settle(start), "it") == pytest.approx([0, 0, 0.75], abs=REST)


def test_overlapping_boxes_part_by_half_the_overlap_each() -> None:
    result = settle(scene(thing("a", (0, 0, 0.05)), thing("b", (0.09, 0, 0.05))))
    assert result.penetration_before == pytest.approx(0.01, abs=1e-6)
    assert position(result, "a")[0] == pytest.approx(-0.005, abs=REST)
    assert position(result, "b")[0] == pytest.approx(0.095, abs=REST)
    assert result.penetration_after < REST
    assert_sound(result.scene)


def test_row_pressed_into_a_wall_moves_off_it() -> None:
    row = [thing(f"b{i}", (0.94 - 0.09 * i, 0, 0.05)) for i in range(4)]
    result = settle(scene(*row, surfaces=(floor(), wall(0.98))))
    for i in range(4):
        assert position(result, f"b{i}")[0] == pytest.approx(0.93 - 0.1 * i, abs=3 * REST)
    assert result.stable_fraction == 1.0


def test_what_stands_on_a_pushed_object_goes_with_it() -> None:
    low, high = thing("low", (0, 0, 0.05)), thing("high", (0, 0, 0.15), support="low", size=(0.05, 0.05, 0.1))
    result = settle(scene(low, high, thing("neighbour", (0.08, 0, 0.05))))
    assert position(result, "low")[0] == pytest.approx(-0.01, abs=REST)
    assert position(result, "high") == pytest.approx([-0.01, 0, 0.15], abs=3 * REST)


def test_stack_of_three_stays() -> None:
    stack = [
        thing("a", (0, 0, 0.05)),
        thing("b", (0, 0.02, 0.149), support="a"),
        thing("c", (0, 0, 0.252), support="b"),
    ]
    result = settle(scene(*stack))
    assert result.stable_fraction == 1.0
    for name, height in (("a", 0.05), ("b", 0.15), ("c", 0.25)):
        assert position(result, name)[2] == pytest.approx(height, abs=0.001)
        assert result.objects[name].drift < 0.004
    assert_sound(result.scene)


def test_ball_on_a_slope_is_flagged_and_frozen_where_it_was() -> None:
    slope = floor(quaternion=(math.cos(0.05), 0, math.sin(0.05), 0))
    ball = thing("ball", (0, 0, 0.05), shape="sphere")
    result = settle(scene(ball, surfaces=(slope,)))
    outcome = result.objects["ball"]
    assert not outcome.stable
    assert outcome.frozen
    assert FROZEN_NOTE in outcome.reason
    assert result.stable_fraction == 0.0
    after = result.scene.object("ball")
    assert after.mobility == "fixed"
    assert after.provenance is not None
    assert FROZEN_NOTE in after.provenance.notes[-1]
    assert np.linalg.norm(position(result, "ball") - [0, 0, 0.05]) < 0.005
    assert_sound(result.scene)


def test_without_freezing_an_unstable_object_is_reported_and_the_scene_is_not_settled() -> None:
    slope = floor(quaternion=(math.cos(0.05), 0, math.sin(0.05), 0))
    result = settle(scene(thing("ball", (0, 0, 0.05), shape="sphere"), surfaces=(slope,)), freeze=False)
    assert not result.objects["ball"].stable
    assert result.scene.object("ball").mobility == "free"
    assert not result.scene.settled


def test_the_one_who_fell_is_blamed_not_the_one_it_knocked_over() -> None:
    leaning = thing("pole", (0, 0, 0.2), size=(0.05, 0.05, 0.4), quaternion=(math.cos(0.1), 0, math.sin(0.1), 0))
    victim = thing("victim", (0.2, 0, 0.1), size=(0.03, 0.1, 0.2))
    result = settle(scene(leaning, victim))
    assert result.objects["pole"].frozen
    assert result.objects["victim"].stable
    assert result.scene.object("victim").mobility == "free"


def test_object_in_mid_air_is_fixed_with_a_note() -> None:
    result = settle(scene(thing("lamp", (0, 0, 0.5)), thing("box", (0.5, 0, 0.06))))
    assert result.objects["lamp"].frozen
    assert "hangs" in result.objects["lamp"].reason
    assert position(result, "lamp") == pytest.approx([0, 0, 0.5], abs=1e-9)
    assert result.objects["box"].stable


def test_object_without_collision_shapes_is_fixed() -> None:
    ghost = thing("ghost", (0, 0, 0.05))
    ghost = ghost.model_copy(update={"body": ghost.body.model_copy(update={"collision": ()})})
    assert settle(scene(ghost)).objects["ghost"].frozen


def _rocker(name: str) -> SceneObject:
    """A box that stands on a ball: it rolls, until its shape is replaced."""
    item = thing(name, (0, 0, 0.05))
    shape = CollisionGeom(shape="sphere", size=(0.1, 0.1, 0.1))
    tipped = Pose(position=(0, 0, 0.05), quaternion=(math.cos(0.02), 0, math.sin(0.02), 0))
    inertial = item.body.inertial.model_copy(update={"com": (0.02, 0.0, 0.03)})
    body = item.body.model_copy(update={"collision": (shape,), "pose": tipped, "inertial": inertial})
    return item.model_copy(update={"body": body})


def test_repair_is_asked_for_simpler_shapes_and_used() -> None:
    asked: list[tuple[str, int]] = []

    def repair(item: SceneObject, level: int) -> SceneObject | None:
        asked.append((item.name, level))
        if level < 2:
            return item
        box = CollisionGeom(shape="box", size=(0.1, 0.1, 0.1))
        return item.model_copy(update={"body": item.body.model_copy(update={"collision": (box,)})})

    result = settle(scene(_rocker("rocker")), repair=repair)
    outcome = result.objects["rocker"]
    assert asked == [("rocker", 1), ("rocker", 2)]
    assert outcome.level == 2
    assert outcome.stable
    assert "simpler collision shapes" in outcome.reason
    assert result.scene.object("rocker").body.collision[0].shape == "box"


def test_repair_with_nothing_left_ends_in_freezing() -> None:
    result = settle(scene(_rocker("rocker")), repair=lambda item, level: item if level < 9 else None, max_repairs=2)
    assert result.objects["rocker"].frozen
    assert result.objects["rocker"].level == 2


def test_settling_is_deterministic_and_settled_scenes_stay() -> None:
    start = scene(*[thing(f"c{i}", (0.09 * (i % 3), 0.09 * (i // 3), 0.055), shape="cylinder") for i in range(9)])
    first, second = settle(start), settle(start)
    assert first.scene == second.scene
    assert first.stable_fraction == 1.0
    again = settle(first.scene)
    assert max(outcome.drift for outcome in again.objects.values()) < 0.0005
    report = validate_physics(first.scene)
    assert report.ok
    assert report.seconds == 10.0


def test_scene_without_objects_settles() -> None:
    result = settle(scene())
    assert result.stable_fraction == 1.0
    assert result.scene.settled


def test_overlaps_name_both_sides() -> None:
    found = overlaps(scene(thing("b", (0, 0, 0.045)), thing("a", (0.095, 0, 0.05))))
    pairs = {(item.first, item.second): item.depth for item in found}
    assert pairs[("b", "floor")] == pytest.approx(0.005, abs=1e-6)
    assert pairs[("a", "b")] == pytest.approx(0.005, abs=1e-6)
    assert [item.depth for item in found] == sorted((item.depth for item in found), reverse=True)


def test_validation_sees_what_is_wrong() -> None:
    report = validate_physics(scene(thing("falling", (0, 0, 0.4)), thing("sunk", (0.5, 0, 0.03))), seconds=1.0)
    assert not report.ok
    assert "falling" not in report.stable
    assert report.penetration == pytest.approx(0.02, abs=1e-5)


boxes = st.lists(
    st.tuples(
        st.floats(-0.15, 0.15),
        st.floats(-0.15, 0.15),
        st.floats(-0.01, 0.02),
        st.floats(0, math.pi),
        st.sampled_from(["box", "cylinder"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(boxes)
def test_placement_leaves_no_overlap_and_no_gap(items: list[tuple[float, float, float, float, str]]) -> None:
    things = [
        thing(f"o{i}", (x, y, 0.04 + dz), size=(0.08, 0.08, 0.08), yaw=yaw, shape=shape)  # type: ignore[arg-type]
        for i, (x, y, dz, yaw, shape) in enumerate(items)
    ]
    placement = Placement(scene(*things))
    assert placement.resolve() == set()
    for name in placement.movable:
        assert placement.data.body(name).xpos[2] == pytest.approx(0.04, abs=1e-4)
    assert min(placement.data.contact.dist, default=0.0) > -1e-4
