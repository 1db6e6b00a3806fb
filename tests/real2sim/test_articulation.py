from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
import pytest
from pocketworlds.real2sim.articulation import (
    HANDLE_BAR,
    HANDLE_REACH,
    Articulation,
    ArticulationModel,
    ArticulationQuery,
    Rect,
    RuleBasedArticulation,
)
from pocketworlds.real2sim.doors import Swing, build_door, choose_swing
from pocketworlds.real2sim.furniture import Extents, friction_estimate, mass_estimate
from pocketworlds.real2sim.primitives import bounds, moved, solid_inertial
from pocketworlds.scenes import Scene, SceneObject
from pocketworlds.scenes.mjcf import build_spec
from pocketworlds.scenes.scene import Body, Part

PIECES: list[tuple[str, tuple[float, float, float], dict[str, Any]]] = [
    ("storage", (0.85, 0.53, 0.66), {"StorageType": "cabinet"}),
    ("storage", (0.45, 0.40, 0.55), {}),
    ("storage", (1.80, 0.45, 0.40), {}),
    ("storage", (1.00, 0.60, 2.10), {}),
    ("storage", (3.10, 0.62, 0.90), {}),
    ("storage", (0.25, 0.16, 0.25), {}),
    ("refrigerator", (0.60, 0.65, 1.80), {}),
    ("refrigerator", (0.92, 0.70, 1.78), {}),
    ("oven", (0.60, 0.60, 0.60), {}),
    ("stove", (0.60, 0.62, 0.90), {}),
    ("dishwasher", (0.60, 0.60, 0.85), {}),
    ("washerdryer", (0.60, 0.60, 0.85), {}),
]
NAMES = [f"{c}-{'x'.join(map(str, s))}" for c, s, _ in PIECES]


def query(
    category: str, size: Sequence[float], attributes: dict[str, Any] | None = None, **more: Any
) -> ArticulationQuery:
    box = Extents(size[0], size[1], -size[2] / 2, size[2] / 2)
    values: dict[str, Any] = {"elevation": 0.0, "attributes": attributes or {}} | more
    return ArticulationQuery(
        name="piece",
        category=category,
        box=box,
        mass=mass_estimate(category, box),
        friction=friction_estimate(category),
        rgba=(0.5, 0.5, 0.5, 1.0),
        **values,
    )


def articulate(q: ArticulationQuery) -> Articulation:
    found = RuleBasedArticulation().articulate(q)
    assert found is not None
    return found


def compiled(found: Articulation, q: ArticulationQuery) -> tuple[mujoco.MjModel, mujoco.MjData]:
    return piece_model(
        Body(collision=found.base, inertial=solid_inertial(found.base, found.base_mass), friction=q.friction),
        found.parts,
    )


def piece_model(body: Body, parts: tuple[Part, ...]) -> tuple[mujoco.MjModel, mujoco.MjData]:
    item = SceneObject(name="piece", category="x", mobility="fixed", size=(1, 1, 1), body=body, parts=parts)
    model = build_spec(Scene(name="test", surfaces=(), objects=(item,))).compile()
    return model, mujoco.MjData(model)


def geoms_of(model: mujoco.MjModel, body: str) -> list[int]:
    return [g for g in range(model.ngeom) if model.geom_bodyid[g] == model.body(body).id]


def smallest_distance(model: mujoco.MjModel, data: mujoco.MjData, first: list[int], second: list[int]) -> float:
    return min(
        (mujoco.mj_geomDistance(model, data, a, b, 0.05, None) for a, b in itertools.product(first, second)),
        default=0.05,
    )


@pytest.mark.parametrize(("category", "size", "attributes"), PIECES, ids=NAMES)
def test_fills_its_box_and_sweeps_free(
    category: str, size: tuple[float, float, float], attributes: dict[str, Any]
) -> None:
    q = query(category, size, attributes)
    found = articulate(q)
    assert found.parts
    everything = [*found.base, *(moved(g, p.body.pose.position) for p in found.parts for g in p.body.collision)]
    np.testing.assert_allclose(bounds(everything), [[-v / 2 for v in size], [v / 2 for v in size]], atol=1e-6)
    total = found.base_mass.value + sum(p.body.inertial.mass.value for p in found.parts)
    assert total == pytest.approx(q.mass.value)

    model, data = compiled(found, q)
    base = geoms_of(model, "piece")
    parts = {p.name: geoms_of(model, p.name) for p in found.parts}
    mujoco.mj_forward(model, data)
    for a, b in itertools.combinations(parts.values(), 2):
        assert smallest_distance(model, data, a, b) > 1e-3
    for part in found.parts:
        for fraction in (0.0, 0.05, 0.2, 0.5, 0.8, 1.0):
            mujoco.mj_resetData(model, data)
            data.joint(f"{part.name}_joint").qpos = fraction * part.joint.range[1]
            mujoco.mj_forward(model, data)
            others = [g for name, ids in parts.items() if name != part.name for g in ids]
            assert smallest_distance(model, data, parts[part.name], base) > 5e-4, (part.name, fraction)
            # A wide-open door may reach over a neighbour's handle, never into it while closed fronts are beside it.
            assert smallest_distance(model, data, parts[part.name], others) > 5e-4, (part.name, fraction)
            low = min(float(data.geom_xpos[g, 2]) for g in parts[part.name])
            assert low > -size[2] / 2 + 0.005  # an open oven door stays off the floor


@pytest.mark.parametrize(("category", "size", "attributes"), PIECES, ids=NAMES)
def test_opens_when_pulled_at_the_handle(
    category: str, size: tuple[float, float, float], attributes: dict[str, Any]
) -> None:
    q = query(category, size, attributes)
    found = articulate(q)
    model, data = compiled(found, q)
    for part in found.parts:
        mujoco.mj_resetData(model, data)
        for _ in range(500):  # stays closed by itself
            mujoco.mj_step(model, data)
        joint = data.joint(f"{part.name}_joint")
        assert abs(float(joint.qpos[0])) < 2e-3
        bar = model.geom(f"{part.name}_collision_1").id
        assert model.geom_size[bar].min() * 2 <= HANDLE_BAR + 1e-9
        body = model.body(part.name).id
        dof = int(model.joint(f"{part.name}_joint").dofadr[0])
        jacobian = np.zeros((3, model.nv))
        for _ in range(2000):
            # As a hand would: 10 N along the way the handle takes, until the part is nearly open.
            mujoco.mj_jac(model, data, jacobian, None, data.geom_xpos[bar], body)
            along = jacobian[:, dof] / np.linalg.norm(jacobian[:, dof])
            pulling = float(joint.qpos[0]) < 0.95 * part.joint.range[1]
            data.qfrc_applied[:] = jacobian.T @ (10.0 * along) if pulling else 0.0
            mujoco.mj_step(model, data)
        assert float(joint.qpos[0]) > 0.9 * part.joint.range[1], part.name
        assert float(joint.qpos[0]) < part.joint.range[1] + 0.03
        assert not any(int(w.number) for w in data.warning)


def test_layout_follows_size() -> None:
    def kinds(size: tuple[float, float, float], **more: Any) -> dict[str, int]:
        names = [p.name.split("_")[1] for p in articulate(query("storage", size, **more)).parts]
        return {kind: names.count(kind) for kind in set(names)}

    assert kinds((0.85, 0.5, 0.66)) == {"door": 2, "drawer": 2}
    assert kinds((0.45, 0.4, 0.55)) == {"drawer": 2}
    assert kinds((1.0, 0.6, 2.1)) == {"door": 2}
    assert kinds((0.8, 0.35, 0.7), elevation=1.4) == {"door": 2}
    assert kinds((1.0, 0.4, 1.8), attributes={"StorageType": "shelf"}) == {}
    assert RuleBasedArticulation().articulate(query("sofa", (2, 0.9, 0.8))) is None
    assert RuleBasedArticulation().articulate(query("storage", (0.1, 0.3, 0.5))) is None


def test_fronts_leave_room_for_an_appliance_in_the_row() -> None:
    dishwasher = Rect((0.2, 0.8), (-0.45, 0.4))
    found = articulate(query("storage", (2.4, 0.6, 0.9), blocked=(dishwasher,)))
    doors = [p for p in found.parts if "_door_" in p.name]
    assert len(doors) >= 4
    for part in found.parts:
        low, high = bounds([moved(g, part.body.pose.position) for g in part.body.collision])
        assert high[0] <= 0.2 + 1e-9 or low[0] >= 0.8 - 1e-9
    closed = articulate(query("storage", (0.6, 0.6, 0.9), blocked=(Rect((-1, 1), (-1, 1)),)))
    assert not closed.parts
    assert bounds(closed.base)[0][1] == pytest.approx(-0.3)


def test_handle_can_be_grasped() -> None:
    found = articulate(query("storage", (0.85, 0.53, 0.66)))
    for part in found.parts:
        panel, bar = part.body.collision[0], part.body.collision[1]
        gap = (panel.pose.position[1] - panel.size[1] / 2) - (bar.pose.position[1] + bar.size[1] / 2)
        assert gap == pytest.approx(HANDLE_REACH - HANDLE_BAR)
        assert max(bar.size) > 0.08  # as wide as a parallel gripper's fingers and some
        taken = part.handle
        np.testing.assert_allclose(taken.position, bar.pose.position)
        assert taken.axis[int(np.argmax(bar.size))] == 1
        # From the bar to the front is against `outward`; the hand comes from the room.
        assert np.dot(np.subtract(panel.pose.position, bar.pose.position), taken.outward) < 0


def test_a_learned_model_fits_the_hook() -> None:
    class Learned:
        def articulate(self, query: ArticulationQuery) -> Articulation | None:
            return RuleBasedArticulation().articulate(query) if query.points is not None else None

    model: ArticulationModel = Learned()
    assert model.articulate(query("oven", (0.6, 0.6, 0.6))) is None
    assert model.articulate(query("oven", (0.6, 0.6, 0.6), points=np.zeros((4, 3)))) is not None


@pytest.mark.parametrize("inward", [True, False])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("is_open", [True, False])
@pytest.mark.parametrize("width", [0.75, 1.6])
def test_room_door_turns_in_its_frame(inward: bool, left: bool, is_open: bool, width: float) -> None:
    box = Extents(width, 0.1, -1.0, 1.0)
    swing = Swing(inward, left, 1.75)
    plan = build_door("piece", box, -1.0, swing, is_open=is_open, friction=friction_estimate("storage"))
    np.testing.assert_allclose(bounds(plan.frame.collision), [[-width / 2, -0.05, -1], [width / 2, 0.05, 1]])
    assert len(plan.leaves) == (2 if width > 1.25 else 1)
    model, data = piece_model(plan.frame, plan.leaves)
    frame = geoms_of(model, "piece")
    for leaf in plan.leaves:
        low, high = leaf.joint.range
        assert high - low == pytest.approx(1.75)
        assert low <= 0 <= high
        for angle in np.linspace(low, high, 12):
            mujoco.mj_resetData(model, data)
            data.joint(f"{leaf.name}_joint").qpos = angle
            mujoco.mj_forward(model, data)
            assert smallest_distance(model, data, geoms_of(model, leaf.name), frame) > 1e-3
        # Opening moves the leaf to its side of the wall.
        panel = model.geom(f"{leaf.name}_collision_0").id
        assert (data.geom_xpos[panel, 1] < -0.1) == inward
        mujoco.mj_resetData(model, data)
        mujoco.mj_forward(model, data)
        assert (abs(data.geom_xpos[panel, 1]) > 0.1) == is_open


def test_swing_avoids_what_stands_there() -> None:
    box = Extents(0.8, 0.1, -1.0, 1.0)
    assert choose_swing(box, []) == Swing(True, True, 1.75)
    left_cabinet = np.array([[-0.5, -0.75], [-0.4, -0.75], [-0.4, -0.6], [-0.5, -0.6]])
    assert choose_swing(box, [left_cabinet]) == Swing(True, False, 1.75)
    before = np.array([[-0.4, -0.6], [0.4, -0.6], [0.4, -0.2], [-0.4, -0.2]])
    assert not choose_swing(box, [before]).inward
