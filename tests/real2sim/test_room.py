from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Float, RoomElement
from pocketworlds.real2sim.furniture import PRIORS
from pocketworlds.real2sim.readers import open_capture
from pocketworlds.real2sim.room import exported_elements, room_to_scene
from pocketworlds.scenes import Scene
from pocketworlds.scenes.mjcf import build_spec

ROOM = "roomplan_living_room/test-roomplan.json"
MILLIMETRE = 1e-3


@pytest.fixture(scope="module")
def living_room(captures: Path) -> Scene:
    return room_to_scene(open_capture(captures / ROOM).room, name="living_room")


@pytest.fixture(scope="module")
def export(captures: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    data = json.loads((captures / ROOM).read_text())
    keys = ("walls", "doors", "windows", "openings", "floors", "objects")
    return {entry["identifier"]: (key, entry) for key in keys for entry in data[key]}


def simulation(scene: Scene) -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = build_spec(scene).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return model, data


def penetration(data: mujoco.MjData) -> float:
    return max((-float(contact.dist) for contact in data.contact), default=0.0)


def warnings(data: mujoco.MjData) -> int:
    return sum(int(w.number) for w in data.warning)


def extents(model: mujoco.MjModel, data: mujoco.MjData, names: list[str], frame: Float, parts: bool) -> Float:
    """Bounds [2, 3] in `frame` of the compiled geoms of surfaces and objects (with their parts, if asked)."""
    to_frame = np.linalg.inv(frame)
    corners = []
    for g in range(model.ngeom):
        body = int(model.geom_bodyid[g])
        owners = {model.geom(g).name, model.body(body).name}
        if parts:
            owners.add(model.body(int(model.body_parentid[body])).name)
        if not owners & set(names):
            continue
        half = model.geom_size[g].copy()
        if model.geom_type[g] == mujoco.mjtGeom.mjGEOM_CYLINDER:
            half = half[[0, 0, 1]]
        for signs in np.ndindex(2, 2, 2):
            local = (np.array(signs) * 2 - 1) * half
            world = data.geom_xpos[g] + data.geom_xmat[g].reshape(3, 3) @ local
            corners.append(to_frame[:3, :3] @ world + to_frame[:3, 3])
    points = np.array(corners)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def test_everything_is_there_with_its_exported_size_and_pose(
    living_room: Scene, export: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    model, data = simulation(living_room)
    world = np.array(living_room.source["world_from_capture"])
    np.testing.assert_allclose(world[:3, :3] @ world[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(world[2, :3], [0, 0, 1])
    found = {element.identifier: (element, names, pose) for element, names, pose in exported_elements(living_room)}
    assert set(found) == set(export)
    worst = 0.0
    for identifier, (key, entry) in export.items():
        # From the JSON alone: columns of the transform, +Y up turned to +Z up.
        columns = np.array(entry["transform"], dtype=float).reshape(4, 4)
        pose = np.eye(4)
        for axis in range(4):
            x, y, z, _ = columns[axis]
            pose[:3, axis] = (x, -z, y)
        pose = world @ pose
        size = np.array(entry["dimensions"], dtype=float)
        element, names, known = found[identifier]
        assert names
        np.testing.assert_array_equal(element.size, size)
        np.testing.assert_allclose(known, pose, atol=1e-4)
        low, high = extents(model, data, names, pose, parts=key == "objects")
        if key == "objects":
            errors = np.abs([low + size / 2, high - size / 2])
        else:
            # Two exported dimensions, and one face of the thickness in the exported plane.
            errors = np.array(
                [*np.abs(low + size / 2)[:2], *np.abs(high - size / 2)[:2], min(abs(low[2]), abs(high[2]))]
            )
            assert high[2] - low[2] > 0.015
        worst = max(worst, float(errors.max()))
        assert errors.max() < MILLIMETRE, (key, names, errors)
        if key in ("walls", "windows", "floors"):
            surface = next(s for s in living_room.surfaces if s.name == names[0])
            np.testing.assert_array_equal(surface.exported_size, size)
    print(f"worst size or pose error: {1000 * worst:.4f} mm")


def test_walls_have_holes_exactly_where_doors_and_windows_are(
    living_room: Scene, export: dict[str, tuple[str, dict[str, Any]]]
) -> None:
    model, data = simulation(living_room)
    elements = {element.identifier: (element, names, pose) for element, names, pose in exported_elements(living_room)}
    for wall, names, pose in elements.values():
        if wall.kind != "wall":
            continue
        holes = [(e, p) for e, _, p in elements.values() if e.parent == wall.identifier]
        geoms = [model.geom(name).id for name in names]
        for u in np.linspace(-0.499, 0.499, 60):
            for v in np.linspace(-0.499, 0.499, 40):
                # A point in the middle of the wall's thickness.
                point = (pose @ [u * wall.size[0], v * wall.size[1], -0.05, 1])[:3]
                depths = []
                for hole, hole_pose in holes:
                    local = np.linalg.inv(hole_pose) @ [*point, 1]
                    depths.append(float((np.array(hole.size[:2]) / 2 - np.abs(local[:2])).min()))
                deepest = max(depths, default=-1.0)
                if abs(deepest) < 2e-3:
                    continue
                inside = 0
                for g in geoms:
                    local = data.geom_xmat[g].reshape(3, 3).T @ (point - data.geom_xpos[g])
                    inside += bool((np.abs(local) < model.geom_size[g]).all())
                assert inside == (0 if deepest > 0 else 1), (names[0], u, v)


def test_is_at_rest_and_steps_ten_seconds(living_room: Scene) -> None:
    model, data = simulation(living_room)
    assert penetration(data) < MILLIMETRE
    start = data.qpos.copy()
    for _ in range(5000):
        mujoco.mj_step(model, data)
    assert warnings(data) == 0
    assert np.abs(data.qpos - start).max() < MILLIMETRE
    assert np.abs(data.qvel).max() < 1e-3
    mobility = {item.name: item.mobility for item in living_room.objects}
    assert mobility["table_1"] == mobility["table_2"] == mobility["chair_1"] == "free"
    assert mobility["sofa_1"] == mobility["storage_1"] == "fixed"
    assert [len(living_room.object(name).parts) for name in ("storage_1", "door_1", "door_2")] == [4, 1, 1]


def test_fronts_face_the_room(living_room: Scene) -> None:
    _, data = simulation(living_room)
    for name in ("sofa_1", "storage_1", "table_1"):
        front = -data.body(name).xmat.reshape(3, 3)[:, 1]
        toward_room = -data.body(name).xpos  # the room is centred on the origin
        assert front @ toward_room > 0.5, name
    chair = -data.body("chair_1").xmat.reshape(3, 3)[:, 1]
    assert chair @ (data.body("table_1").xpos - data.body("chair_1").xpos) > 0


def test_storage_opens_where_it_stands(living_room: Scene) -> None:
    model, data = simulation(living_room)
    jacobian = np.zeros((3, model.nv))
    for part in living_room.object("storage_1").parts:
        mujoco.mj_resetData(model, data)
        mujoco.mj_forward(model, data)
        joint, dof = data.joint(f"{part.name}_joint"), int(model.joint(f"{part.name}_joint").dofadr[0])
        handle = model.geom(f"{part.name}_collision_1").id
        for _ in range(1500):
            mujoco.mj_jac(model, data, jacobian, None, data.geom_xpos[handle], model.body(part.name).id)
            pull = 10.0 * jacobian[:, dof] / np.linalg.norm(jacobian[:, dof])
            data.qfrc_applied[:] = jacobian.T @ pull if float(joint.qpos[0]) < 0.95 * part.joint.range[1] else 0.0
            mujoco.mj_step(model, data)
        assert 0.9 * part.joint.range[1] < float(joint.qpos[0]) < part.joint.range[1] + 0.03, part.name
        assert warnings(data) == 0


def roll_out(scene: Scene, door: str, *, inwards: bool = False) -> float:
    """How far [m] beyond the middle of its wall a 36 cm ball gets that is driven out (or in) through a door."""
    spec = build_spec(scene)
    pose = scene.object(door).body.pose
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, np.array(pose.quaternion))
    outward = matrix.reshape(3, 3)[:, 1] * (-1 if inwards else 1)
    start = np.array([*(np.array(pose.position) - 0.75 * outward)[:2], 0.19])
    ball = spec.worldbody.add_body(name="ball", pos=start)
    ball.add_freejoint(name="ball_joint")
    ball.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.18, 0, 0], mass=5.0)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    for _ in range(2000):
        wanted = 1.0 * outward
        data.body("ball").xfrc_applied[:3] = np.clip(20.0 * (wanted - data.joint("ball_joint").qvel[:3]), -40, 40)
        data.body("ball").xfrc_applied[2] = 0
        mujoco.mj_step(model, data)
    assert warnings(data) == 0
    return float((data.body("ball").xpos - np.array(pose.position)) @ outward)


def test_a_robot_leaves_by_the_open_door_only(living_room: Scene) -> None:
    doors = {item.name: item for item in living_room.objects if item.category == "door"}
    is_open = {names[0]: e.attributes["isOpen"] for e, names, _ in exported_elements(living_room) if e.kind == "door"}
    assert sorted(is_open.values()) == [False, True]
    opened, closed = sorted(doors, key=lambda name: not is_open[name])
    assert roll_out(living_room, opened) > 1.0
    # The closed one turns outwards (a table stands before it), so it gives way from inside and holds from outside.
    assert doors[closed].parts[0].joint.axis[2] * (1 if doors[closed].parts[0].body.pose.position[0] < 0 else -1) > 0
    assert roll_out(living_room, closed) > 1.0
    assert roll_out(living_room, closed, inwards=True) < -0.15


# ---- rooms made up here -------------------------------------------------------------------------------------------


def rotation(yaw: float) -> Float:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    return pose


def upright(x: float, y: float, z: float, facing: float) -> Float:
    """RoomPlan's local frame (Y up) in a Z-up world, with local +Z along `facing` seen from above."""
    pose = rotation(facing + np.pi / 2)
    pose[:3, :3] = pose[:3, :3] @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], dtype=float)
    pose[:3, 3] = [x, y, z]
    return pose


def wall_loop(corners: list[tuple[float, float]], height: float, world: Float) -> list[RoomElement]:
    """Walls around a counter-clockwise outline, local +Z into the room, and the floor."""
    walls = []
    for index, (a, b) in enumerate(zip(corners, [*corners[1:], corners[0]], strict=True)):
        along = np.array(b) - np.array(a)
        facing = float(np.arctan2(along[1], along[0])) + np.pi / 2
        middle = (np.array(a) + np.array(b)) / 2
        pose = world @ upright(middle[0], middle[1], height / 2, facing)
        size = np.array([np.linalg.norm(along), height, 0.0])
        walls.append(RoomElement("wall", "wall", f"wall-{index}", None, size, pose))
    points = np.array(corners)
    low, high = points.min(axis=0), points.max(axis=0)
    frame = np.eye(4)
    frame[:2, 3] = (low + high) / 2
    polygon = np.array([[x - frame[0, 3], y - frame[1, 3], 0.0] for x, y in corners])
    size = np.array([*(high - low), 0.0])
    return [*walls, RoomElement("floor", "floor", "floor", None, size, world @ frame, polygon=polygon)]


def in_wall(wall: RoomElement, kind: Any, name: str, at: float, width: float, low: float, height: float) -> RoomElement:
    """A door, window or opening `at` metres along its wall's local X, `low` metres above the wall's foot."""
    pose = wall.world_from_local.copy()
    pose[:3, 3] += pose[:3, 0] * at + pose[:3, 1] * (low + height / 2 - wall.size[1] / 2)
    return RoomElement(kind, kind, name, wall.identifier, np.array([width, height, 0.0]), pose)


def kitchen() -> list[RoomElement]:
    """A kitchen row whose appliances sit in the worktop's box, a chair pushed into a table, a table into a wall."""
    room = wall_loop([(0, 0), (4, 0), (4, 3), (0, 3)], 2.5, rotation(0.3))
    world = rotation(0.3)

    def piece(category: str, x: float, y: float, z: float, facing: float, *size: float, **attributes: Any) -> None:
        pose = world @ upright(x, y, z + size[1] / 2, facing)
        name = f"{category}-{len(room)}"
        room.append(RoomElement("object", category, name, None, np.array(size), pose, attributes=attributes))

    north, south, west = np.pi / 2, -np.pi / 2, np.pi
    piece("storage", 1.5, 2.7, 0, south, 3.0, 0.9, 0.6)
    piece("storage", 1.5, 2.82, 1.4, south, 3.0, 0.7, 0.35)
    piece("dishwasher", 0.4, 2.69, 0, south, 0.6, 0.86, 0.62)
    piece("oven", 2.2, 2.7, 0.15, south, 0.6, 0.6, 0.6)
    piece("sink", 1.2, 2.7, 0.75, south, 0.6, 0.2, 0.5)
    piece("stove", 2.2, 2.7, 0.86, south, 0.6, 0.05, 0.5)
    piece("refrigerator", 3.35, 2.65, 0, south, 0.6, 1.9, 0.7)
    piece("washerDryer", 3.7, 0.35, 0, west, 0.6, 0.85, 0.6)
    piece("table", 1.5, 0.38, 0, north, 1.4, 0.75, 0.8, TableShapeType="rectangular")
    piece("chair", 1.9, 0.95, 0, south, 0.45, 0.95, 0.5, ChairBackType="existing", ChairLegType="four")
    piece("chair", 1.25, 0.72, 0, south, 0.7, 0.80, 0.7, ChairArmType="existing", ChairType="swivel")
    piece("television", 2.6, 0.1, 1.2, north, 0.9, 0.55, 0.08)
    return room


def test_kitchen_row_opens_and_rests() -> None:
    scene = room_to_scene(kitchen())
    model, data = simulation(scene)
    assert penetration(data) < MILLIMETRE
    start = data.qpos.copy()
    for _ in range(2500):
        mujoco.mj_step(model, data)
    assert warnings(data) == 0
    assert np.abs(data.qpos - start).max() < 2 * MILLIMETRE
    parts = {item.category: len(item.parts) for item in scene.objects}
    assert parts["dishwasher"] == parts["oven"] == parts["washerdryer"] == 1
    assert parts["refrigerator"] == 2
    worktop, hung = scene.object("storage_1"), scene.object("storage_2")
    assert sum("door" in p.name for p in worktop.parts) >= 2
    assert len(hung.parts) >= 4
    assert all("door" in p.name for p in hung.parts)
    # The table stands 2 cm in the wall, the chair's arms reach into the table: both keep their poses and stay movable.
    table = scene.object("table_1")
    assert table.mobility == "free"
    assert table.provenance is not None
    assert any("trimmed" in note for note in table.provenance.notes)
    for element, names, pose in exported_elements(scene):
        if element.kind == "object":
            np.testing.assert_allclose(data.body(names[0]).xpos, pose[:3, 3], atol=2 * MILLIMETRE)


def test_opening_lets_through_and_window_does_not() -> None:
    room = wall_loop([(0, 0), (4, 0), (4, 3), (0, 3)], 2.5, np.eye(4))
    room.append(in_wall(room[0], "opening", "gap", 0.5, 1.0, 0.0, 2.1))
    room.append(in_wall(room[2], "window", "glass", 0.0, 1.2, 0.9, 1.2))
    model, data = simulation(room_to_scene(room))
    world = np.array(room_to_scene(room).source["world_from_capture"])

    def ray(element: RoomElement) -> float:
        pose = world @ element.world_from_local
        hit = np.zeros(1, dtype=np.int32)
        start = pose[:3, 3] + 0.5 * pose[:3, 2]
        return float(mujoco.mj_ray(model, data, start, -pose[:3, 2], None, 1, -1, hit))

    assert not model.geom_contype[model.geom("opening_1").id]
    assert model.geom("opening_1").rgba[3] == 0
    assert model.geom_contype[model.geom("window_1").id]
    assert 0 < model.geom("window_1").rgba[3] < 0.5
    assert ray(room[-2]) == -1 or ray(room[-2]) > 1.0
    assert ray(room[-1]) == pytest.approx(0.5, abs=1e-6)


def test_front_turns_away_from_a_wall() -> None:
    room = wall_loop([(0, 0), (4, 0), (4, 3), (0, 3)], 2.5, np.eye(4))
    pose = upright(2.0, 0.3, 0.4, -np.pi / 2)  # exported facing the wall it stands at
    room.append(RoomElement("object", "storage", "s", None, np.array([0.9, 0.8, 0.6]), pose))
    scene = room_to_scene(room)
    item = scene.object("storage_1")
    _, data = simulation(scene)
    front = -data.body("storage_1").xmat.reshape(3, 3)[:, 1]
    np.testing.assert_allclose(front, [0, 1, 0], atol=1e-9)
    assert item.provenance is not None
    assert any("away from the wall" in note for note in item.provenance.notes)


def test_wall_under_a_roof_and_a_room_without_floor() -> None:
    pose = upright(0, 0, 1.5, 0.0)
    outline = np.array([[-2, -1.5, 0], [2, -1.5, 0], [2, 0, 0], [0, 1.5, 0], [-2, 0, 0]], dtype=float)
    wall = RoomElement("wall", "wall", "gable", None, np.array([4.0, 3.0, 0.0]), pose, polygon=outline)
    scene = room_to_scene([wall])
    pieces = [s for s in scene.surfaces if s.kind == "wall"]
    area = sum(s.size[0] * s.size[1] for s in pieces)
    assert area == pytest.approx(9.0, rel=0.02)
    assert any(s.kind == "floor" for s in scene.surfaces)
    assert any("no floor" in note for note in scene.source["notes"])


@pytest.mark.parametrize(
    "change",
    [
        {"size": np.array([1.0, np.nan, 1.0])},
        {"size": np.array([1.0, -1.0, 1.0])},
        {"size": np.array([1.0, 0.0, 0.0])},
        {"size": np.array([1.0, 1.0, 2000.0])},
        {"world_from_local": np.diag([1.0, 1.0, -1.0, 1.0])},
        {"world_from_local": np.full((4, 4), np.nan)},
        {"world_from_local": 2 * np.eye(4)},
    ],
)
def test_bad_element_is_named(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"size": np.array([1.0, 1.0, 1.0]), "world_from_local": upright(0, 0, 0.5, 0)}
    bad = RoomElement("object", "table", "the-one", None, **(good | change))
    with pytest.raises(CaptureError, match="the-one"):
        room_to_scene([RoomElement("object", "table", "fine", None, **good), bad])
    with pytest.raises(CaptureError, match="no elements"):
        room_to_scene([])


@st.composite
def rooms(draw: st.DrawFn) -> list[RoomElement]:
    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high, allow_nan=False))

    a, b, height = number(2.0, 9.0), number(2.0, 9.0), number(2.0, 3.5)
    corners = [(0.0, 0.0), (a, 0.0), (a, b), (0.0, b)]
    if draw(st.booleans()):  # an L
        corners = [(0.0, 0.0), (a, 0.0), (a, b / 2), (a / 2, b / 2), (a / 2, b), (0.0, b)]
    world = rotation(number(-3.1, 3.1))
    world[:3, 3] = [number(-5, 5), number(-5, 5), number(-2, 2)]
    room = wall_loop(corners, height, world)
    walls = [e for e in room if e.kind == "wall"]
    for index in range(draw(st.integers(0, 4))):
        wall = draw(st.sampled_from(walls))
        kind = draw(st.sampled_from(["door", "window", "opening"]))
        # Anywhere in the wall, over its edges and over each other included.
        width, tall = number(0.3, 2.5), number(0.4, 2.3)
        element = in_wall(wall, kind, f"{kind}-{index}", number(-0.5, 0.5) * wall.size[0], width, number(0, 1), tall)
        element.attributes["isOpen"] = draw(st.booleans())
        room.append(element)
    for index in range(draw(st.integers(0, 8))):
        category = draw(st.sampled_from([*PRIORS, "washerDryer", "somethingNew"]))
        size = np.array([number(0.05, 2.5), number(0.05, 2.2), number(0.05, 1.5)])
        pose = world @ upright(
            number(0, a), number(0, b), size[1] / 2 + draw(st.sampled_from([0.0, 0.03, -0.03, 0.3])), number(-3.1, 3.1)
        )
        attributes = draw(
            st.sampled_from(
                [
                    {},
                    {"StorageType": "shelf"},
                    {"TableShapeType": "circularElliptic"},
                    {"ChairType": "stool", "ChairBackType": "missing"},
                    {"ChairLegType": "star", "ChairArmType": "existing"},
                ]
            )
        )
        room.append(RoomElement("object", category, f"object-{index}", None, size, pose, "low", attributes))
    return room


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(rooms())
def test_any_room_compiles_complete_and_at_rest(room: list[RoomElement]) -> None:
    scene = room_to_scene(room)
    again = Scene.model_validate_json(scene.model_dump_json())
    found = exported_elements(again)
    assert [e.identifier for e, _, _ in found] == [e.identifier for e in room]
    names = {s.name for s in scene.surfaces} | {item.name for item in scene.objects}
    for element, (known, of, _) in zip(room, found, strict=True):
        assert of
        assert set(of) <= names
        np.testing.assert_array_equal(known.size, element.size)
    model, data = simulation(scene)
    assert penetration(data) < MILLIMETRE
    for _ in range(20):
        mujoco.mj_step(model, data)
    assert warnings(data) == 0
    assert np.abs(data.qvel).max(initial=0.0) < 5.0
