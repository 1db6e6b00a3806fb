"""Relations of scenes whose relations are known because they were written down."""

from __future__ import annotations

import math
from functools import partial

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.digital_cousins.geometry import SceneGeometry, period
from pocketworlds.digital_cousins.graph import SceneGraph, Tolerances
from pocketworlds.digital_cousins.relations import scene_graph
from pocketworlds.envs.builtin import builtin_names, builtin_scene
from pocketworlds.envs.builtin.authoring import TABLE_TOP, authored_object, table_surfaces
from pocketworlds.envs.builtin.furniture import Bay, cabinet
from pocketworlds.envs.builtin.tables import RED, tray
from pocketworlds.envs.builtin.tables import cube as coloured_cube
from pocketworlds.errors import SceneError
from pocketworlds.scenes import Scene, SceneObject, Surface
from pocketworlds.scenes.outlines import outline
from pocketworlds.scenes.primitives import box, cylinder, exact, mug_shapes
from pocketworlds.scenes.scene import Pose
from pocketworlds.scenes.settle import settle

BOTTOM = 0.006
"""Thickness of a tray's bottom and boards [m]."""
FLOOR = table_surfaces()[0]
WALL = Surface(name="wall", kind="wall", pose=Pose(position=(0, 0.55, 1)), size=(4, 0.1, 2), friction=exact(0.8))

cube = partial(coloured_cube, rgba=RED)


def on_table(*objects: SceneObject) -> Scene:
    return Scene(name="test", surfaces=table_surfaces(), objects=objects, settled=True)


def pairs_on(graph: SceneGraph) -> set[tuple[str, str]]:
    return {(r.name, r.support) for r in graph.on}


def pairs_in(graph: SceneGraph) -> set[tuple[str, str]]:
    return {(r.name, r.container) for r in graph.inside}


def plate(name: str, at: tuple[float, float]) -> SceneObject:
    return authored_object(name, "plate", [cylinder(0.2, 0.015)], (0.2, 0.2, 0.015), at=at)


def mug(name: str, at: tuple[float, float], top: float = TABLE_TOP, on: str = "table") -> SceneObject:
    return authored_object(name, "mug", mug_shapes(0.08, 0.09), (0.08, 0.08, 0.09), at=at, top=top, on=on)


def moved(item: SceneObject, by: tuple[float, float, float], yaw: float = 0.0) -> SceneObject:
    pose = item.body.pose
    a, b = pose.quaternion[0], pose.quaternion[3]
    c, s = math.cos(yaw / 2), math.sin(yaw / 2)
    update = {
        "position": tuple(p + d for p, d in zip(pose.position, by, strict=True)),
        "quaternion": (a * c - b * s, 0.0, 0.0, a * s + b * c),
    }
    return item.model_copy(update={"body": item.body.model_copy(update={"pose": pose.model_copy(update=update)})})


@pytest.mark.parametrize("name", builtin_names())
def test_built_in_scenes_stand_on_what_they_were_written_to_stand_on(name: str) -> None:
    built = builtin_scene(name)
    graph = scene_graph(built)
    assert pairs_on(graph) == {(item.name, item.support) for item in built.objects}
    assert not graph.inside
    assert not graph.floating
    assert not graph.mismatches
    assert graph.broken(graph) == []


@pytest.mark.parametrize("name", ["tabletop", "clutter", "desk"])
def test_settling_a_scene_breaks_none_of_its_relations(name: str) -> None:
    built = builtin_scene(name)
    assert scene_graph(built).broken(scene_graph(settle(built, seconds=0.5).scene)) == []


def test_a_stack_is_read_from_the_contacts_even_where_the_stored_names_are_wrong() -> None:
    low = cube("low", at=(0, 0))
    middle = cube("middle", at=(0.01, 0), top=TABLE_TOP + 0.045, on="low")
    high = cube("high", at=(0, 0.01), top=TABLE_TOP + 0.09, on="table")
    graph = scene_graph(on_table(high, middle, low))
    assert pairs_on(graph) == {("low", "table"), ("middle", "low"), ("high", "middle")}
    assert graph.order == ("low", "middle", "high")
    assert len(graph.mismatches) == 1
    assert "high is said to stand on table; it stands on middle" in graph.mismatches[0]


def test_a_board_over_two_blocks_stands_on_both_and_mainly_on_the_one_below_its_middle() -> None:
    blocks = [cube("left", at=(-0.1, 0)), cube("right", at=(0.06, 0))]
    board = authored_object("board", "board", [box(0.3, 0.1, 0.02)], (0.3, 0.1, 0.02), at=(0, 0), top=TABLE_TOP + 0.045)
    graph = scene_graph(on_table(*blocks, board))
    assert graph.supports("board") == ("right", "left")
    gone = scene_graph(on_table(blocks[0], moved(blocks[1], (0.4, 0, 0)), board))
    assert any("board no longer stands on right" in text for text in graph.broken(gone))


def test_what_leans_on_a_neighbour_stands_on_the_table_and_a_ball_on_the_slope_that_bears_it() -> None:
    lean, length, thick, high = math.radians(40), 0.2, 0.02, 0.1
    plank = authored_object("plank", "board", [box(0.1, thick, length)], (0.1, thick, length), at=(0, 0))
    middle = (length * math.cos(lean) + thick * math.sin(lean)) / 2
    pose = Pose(position=(0, 0, TABLE_TOP + middle), quaternion=(math.cos(lean / 2), math.sin(lean / 2), 0, 0))
    plank = plank.model_copy(update={"body": plank.body.model_copy(update={"pose": pose})})
    # The plank leans towards -Y; a block's upper edge is where its lower face is at that height.
    along = (high - middle + thick / 2 * math.sin(lean)) / math.cos(lean)
    face = -thick / 2 * math.cos(lean) - along * math.sin(lean)
    block = authored_object("block", "block", [box(0.1, 0.1, high)], (0.1, 0.1, high), at=(0, face - 0.05))
    made = on_table(plank, block)
    assert {b.lower for b in SceneGeometry(made).bearings() if b.upper == "plank"} == {"table", "block"}
    assert scene_graph(made).supports("plank") == ("table",)
    ball = thing_ball(0.1)
    ring = authored_object("ring", "bowl", mug_shapes(0.09, 0.05), (0.09, 0.09, 0.05), at=(0, 0), mass=1.0)
    graph = scene_graph(settle(on_table(ball, ring), seconds=0.5).scene)
    assert graph.supports("ball") == ("ring",)


def thing_ball(diameter: float) -> SceneObject:
    """A ball over the middle of the table, above a ring of 5 cm."""
    shape = box(diameter, diameter, diameter).model_copy(update={"shape": "sphere"})
    return authored_object("ball", "ball", [shape], (diameter,) * 3, at=(0, 0), on="ring", top=TABLE_TOP + 0.028)


def test_a_cube_in_a_tray_is_in_it_and_on_it_and_one_beside_it_is_not() -> None:
    box_ = tray("tray", (0.2, 0.2, 0.04), at=(0.1, 0))
    within = cube("within", at=(0.12, 0.01), top=TABLE_TOP + BOTTOM, on="tray")
    graph = scene_graph(on_table(within, cube("beside", at=(-0.05, 0)), box_))
    assert pairs_in(graph) == {("within", "tray")}
    assert ("within", "tray") in pairs_on(graph)
    assert graph.inside[0].depth == pytest.approx(0.04 - BOTTOM, abs=0.002)
    assert graph.order.index("tray") < graph.order.index("within")


def test_only_the_innermost_container_counts() -> None:
    basket = tray("basket", (0.3, 0.3, 0.1), at=(0, 0))
    cup = authored_object(
        "cup", "cup", mug_shapes(0.1, 0.08), (0.1, 0.1, 0.08), at=(0, 0), top=TABLE_TOP + BOTTOM, on="basket"
    )
    peg = authored_object(
        "peg", "peg", [cylinder(0.02, 0.14)], (0.02, 0.02, 0.14), at=(0, 0), top=TABLE_TOP + BOTTOM + 0.005, on="cup"
    )
    graph = scene_graph(on_table(peg, cup, basket))
    assert pairs_in(graph) == {("peg", "cup"), ("cup", "basket")}
    assert graph.order == ("basket", "cup", "peg")


def test_what_stands_on_a_rimless_plate_or_under_a_table_is_not_in_it() -> None:
    below = cube("below", at=(0.3, 0), top=0.0, on="floor")
    graph = scene_graph(on_table(plate("plate", (0, 0)), mug("mug", (0, 0), TABLE_TOP + 0.015, "plate"), below))
    assert pairs_on(graph) == {("plate", "table"), ("mug", "plate"), ("below", "floor")}
    assert not graph.inside


def cupboard(*bays: Bay, at: tuple[float, float] = (0.0, 0.0)) -> SceneObject:
    return cabinet("cupboard", "storage", (0.5, 0.5, 0.6), bays, at=at)


DRAWER = Bay("drawer", "drawer", (-0.23, 0.23), (0.0, 0.25))
BAY = Bay("bay", "open", (-0.23, 0.23), (-0.28, 0.0))


def test_things_in_a_drawer_are_in_the_drawer_and_things_in_a_bay_in_the_cupboard() -> None:
    in_drawer = cube("in_drawer", at=(0, 0), top=0.3 + 0.125 - 0.123 + 0.014, on="cupboard")
    in_bay = cube("in_bay", at=(0, 0.1), top=0.018, on="cupboard")
    on_top = cube("in_front", at=(0, -0.5), top=0.0, on="floor")
    made = Scene(name="test", surfaces=(FLOOR,), objects=(in_drawer, in_bay, on_top, cupboard(DRAWER, BAY)))
    graph = scene_graph(settle(made, seconds=0.3).scene)
    assert pairs_in(graph) == {("in_drawer", "drawer"), ("in_bay", "cupboard")}
    assert ("in_drawer", "drawer") in pairs_on(graph)
    assert ("in_bay", "cupboard") in pairs_on(graph)


def test_neighbours_know_their_gap_and_a_cousin_may_change_it_a_little() -> None:
    twin = on_table(plate("plate", (0, 0)), mug("mug", (0.16, 0)), cube("far", at=(-0.4, 0.2)))
    graph = scene_graph(twin)
    assert [(r.first, r.second) for r in graph.beside] == [("mug", "plate")]
    assert graph.beside[0].gap == pytest.approx(0.02, abs=1e-3)  # centres 16 cm apart, radii 10 and 4 cm
    near, away = (on_table(twin.objects[0], mug("mug", (x, 0)), twin.objects[2]) for x in (0.19, 0.25))
    assert graph.broken(scene_graph(near)) == []
    assert graph.broken(scene_graph(away)) == ["mug and plate are 11 cm apart, 2 cm in the twin"]
    assert graph.broken(scene_graph(away), soft=False) == []
    assert graph.broken(scene_graph(away), Tolerances(gap=0.2)) == []


def test_sides_are_aligned_modulo_the_symmetry_of_both() -> None:
    book = authored_object("book", "book", [box(0.2, 0.14, 0.03)], (0.2, 0.14, 0.03), at=(0, 0), yaw=0.3)
    pen = authored_object("pen", "pen", [box(0.14, 0.01, 0.01)], (0.14, 0.01, 0.01), at=(0, 0.16), yaw=0.3 + math.pi)
    can = authored_object("can", "can", [cylinder(0.06, 0.1)], (0.06, 0.06, 0.1), at=(0.05, -0.14))
    graph = scene_graph(on_table(book, pen, can))
    assert [(r.name, r.other) for r in graph.aligned] == [("book", "pen")]
    assert graph.aligned[0].turn == pytest.approx(0, abs=0.01)
    for turn, kept in ((math.radians(6), True), (math.pi, True), (math.pi / 2, False), (math.radians(20), False)):
        texts = graph.broken(scene_graph(on_table(book, moved(pen, (0, 0.03, 0), turn), can)))
        assert (not any("aligned" in text for text in texts)) == kept, (turn, texts)


def test_a_cube_is_aligned_again_after_a_quarter_turn() -> None:
    made = [on_table(cube("cube", at=(0, 0), yaw=yaw)) for yaw in (0.0, math.pi / 2, 0.4)]
    graphs = [scene_graph(each) for each in made]
    assert [(r.name, r.other) for r in graphs[0].aligned] == [("cube", "table")]
    assert graphs[0].broken(graphs[1]) == []
    assert graphs[0].broken(graphs[2]) == ["cube is no longer aligned with table: 23 degrees off"]


@pytest.mark.parametrize(
    ("corners", "expected"),
    [(4, math.pi / 2), (24, 0.0), (2, math.pi)],
)
def test_period_of_regular_plans(corners: int, expected: float) -> None:
    angles = 2 * np.pi * np.arange(corners) / corners + 0.2
    cloud = np.stack([np.cos(angles), np.sin(angles), np.zeros(corners)], axis=1)
    assert period(cloud, outline(cloud)) == expected
    assert period(cloud * [3, 1, 1], outline(cloud * [3, 1, 1])) == math.pi


def with_wall(*objects: SceneObject) -> Scene:
    """A floor and a wall whose inner face is at y = 0.5."""
    return Scene(name="test", surfaces=(FLOOR, WALL), objects=objects)


def test_a_cupboard_against_a_wall_faces_the_room() -> None:
    graph = scene_graph(with_wall(cupboard(DRAWER, at=(0, 0.24))))
    (front,) = graph.facing
    assert front.yaw == pytest.approx(-math.pi / 2)  # its front is towards -Y
    assert front.against == "wall"
    assert front.clearance == pytest.approx(2.0)
    assert [(r.first, r.second, round(r.gap, 3)) for r in graph.beside] == [("cupboard", "wall", 0.01)]
    assert ("cupboard", "wall") in {(r.name, r.other) for r in graph.aligned}


def test_a_turned_or_blocked_cupboard_is_noticed() -> None:
    graph = scene_graph(with_wall(cupboard(DRAWER, at=(0, 0.24))))
    turned = scene_graph(with_wall(moved(cupboard(DRAWER), (0, -0.5, 0), math.pi)))
    texts = " ".join(graph.broken(turned))
    assert "faces another way: 180 degrees off" in texts
    assert "back against wall" in texts
    box_ = authored_object("box", "box", [box(0.5, 0.3, 0.5)], (0.5, 0.3, 0.5), at=(0, -0.3), on="floor", top=0.0)
    blocked = scene_graph(with_wall(cupboard(DRAWER, at=(0, 0.24)), box_))
    assert "the front of cupboard is blocked" in " ".join(graph.broken(blocked))


def carried(pose: Pose, by: tuple[float, float], yaw: float) -> Pose:
    """A pose after the whole world was turned about the vertical through the origin, then shifted."""
    c, s = math.cos(yaw), math.sin(yaw)
    x, y, z = pose.position
    new = np.zeros(4)
    mujoco.mju_mulQuat(new, np.array([math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)]), np.array(pose.quaternion))
    w, i, j, k = (float(v) for v in new)
    return Pose(position=(c * x - s * y + by[0], s * x + c * y + by[1], z), quaternion=(w, i, j, k))


@pytest.mark.parametrize("name", builtin_names())
@settings(max_examples=5, deadline=None)
@given(yaw=st.floats(-math.pi, math.pi), x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_relations_do_not_depend_on_where_the_world_is(name: str, yaw: float, x: float, y: float) -> None:
    built = builtin_scene(name)
    surfaces = tuple(s.model_copy(update={"pose": carried(s.pose, (x, y), yaw)}) for s in built.surfaces)
    objects = tuple(
        item.model_copy(update={"body": item.body.model_copy(update={"pose": carried(item.body.pose, (x, y), yaw)})})
        for item in built.objects
    )
    here = scene_graph(built)
    there = scene_graph(built.model_copy(update={"surfaces": surfaces, "objects": objects}))
    tight = Tolerances(gap=1e-3, turn=math.radians(1))
    assert here.broken(there, tight, facing=False) == there.broken(here, tight, facing=False) == []
    assert (there.order, pairs_on(there)) == (here.order, pairs_on(here))
    for before, after in zip(here.facing, there.facing, strict=True):
        assert math.cos(after.yaw - before.yaw - yaw) == pytest.approx(1)


def test_missing_fallen_and_strayed_things_are_named() -> None:
    box_ = tray("tray", (0.2, 0.2, 0.04), at=(0.1, 0))
    within = cube("within", at=(0.12, 0.01), top=TABLE_TOP + BOTTOM, on="tray")
    graph = scene_graph(on_table(within, box_))
    assert graph.broken(scene_graph(on_table(box_))) == ["within is missing"]
    out = scene_graph(on_table(cube("within", at=(-0.1, 0)), box_))
    assert graph.broken(out, soft=False) == [
        "within no longer stands on tray: it stands on table",
        "within is no longer in tray",
    ]
    strayed = scene_graph(on_table(cube("within", at=(0.12, 0.01), top=TABLE_TOP + 0.3), box_))
    assert strayed.floating == ("within",)
    assert "nothing bears it" in graph.broken(strayed)[0]
    assert any("in nothing in the twin: it is in tray" in text for text in out.broken(graph))


def test_impossible_supports_are_refused() -> None:
    def named(support: str, *others: SceneObject) -> Scene:
        return with_wall(cube("low", at=(0, 0), top=0.0, on=support), *others)

    with pytest.raises(SceneError, match=r"'(low|high)', which is said to stand on '(low|high)'.*another support"):
        scene_graph(named("high", cube("high", at=(0, 0), top=0.045, on="low")))
    with pytest.raises(SceneError, match="'low', which is said to stand on 'low'"):
        scene_graph(named("low"))
    with pytest.raises(SceneError, match="support 'high' is above it"):
        scene_graph(named("high", cube("high", at=(0, 0), top=0.2, on="floor")))
    with pytest.raises(SceneError, match="support 'wall' is a wall"):
        scene_graph(named("wall"))
