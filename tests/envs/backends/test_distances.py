"""Distances to geoms, held against MuJoCo's between the geom and a tiny ball."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from pocketworlds.envs.backends.distances import geom_distance, union

KINDS = {
    "box": 'type="box" size="0.05 0.03 0.08"',
    "ball": 'type="sphere" size="0.05"',
    "capsule": 'type="capsule" size="0.03 0.06"',
    "cylinder": 'type="cylinder" size="0.04 0.05"',
    "plane": 'type="plane" size="1 1 0.1"',
    "mesh": 'type="mesh" mesh="wedge"',
}
WEDGE = '<mesh name="wedge" vertex="0 0 0 .1 0 0 0 .1 0 0 0 .1 .1 .1 0"/>'
BALL = 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_outside_it_is_what_mujoco_measures(kind: str):
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><asset>{WEDGE}</asset><worldbody><body pos=".1 -.2 .3" quat=".9 .1 .3 -.2">'
        f'<geom {KINDS[kind]}/></body><body mocap="true"><geom size="{BALL}"/></body></worldbody></mujoco>'
    )
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    distance = geom_distance(model, 0, data.geom_xpos[0].copy(), data.geom_xmat[0].reshape(3, 3).copy())
    compared = 0
    for point in data.geom_xpos[0] + np.random.default_rng(0).uniform(-0.15, 0.15, (200, 3)):
        data.mocap_pos[0] = point
        mujoco.mj_kinematics(model, data)
        expected = mujoco.mj_geomDistance(model, data, 0, 1, 1.0, None) + BALL
        found = distance(point[None])[0]
        if expected < 2 * BALL:
            assert found < 3 * BALL
        elif kind == "mesh":  # exact in front of faces, too small beside edges
            assert 0 < found < expected + 1e-5
            compared += found > expected - 1e-5
        else:
            assert found == pytest.approx(expected, abs=2e-5)
            compared += 1
    assert compared > 20


def test_ellipsoids_are_close_near_their_surface():
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><geom type="ellipsoid" size="0.05 0.03 0.04"/></worldbody></mujoco>'
    )
    distance = geom_distance(model, 0, np.zeros(3), np.eye(3))
    ball = np.random.default_rng(0).normal(size=(100, 3))
    surface = ball / np.linalg.norm(ball, axis=1, keepdims=True) * model.geom_size[0]
    normal = surface / model.geom_size[0] ** 2
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    for gap in (-0.003, 0.0, 0.003):
        np.testing.assert_allclose(distance(surface + gap * normal), gap, atol=3e-4)


def test_inside_and_unions():
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><worldbody><geom type="box" size="0.1 0.1 0.1"/><geom size="0.05" pos="0.3 0 0"/></worldbody></mujoco>'
    )
    box, ball = (geom_distance(model, k, model.geom_pos[k], np.eye(3)) for k in (0, 1))
    points = np.array([[0.0, 0, 0], [0.08, 0, 0], [0.3, 0, 0], [0.2, 0, 0]])
    np.testing.assert_allclose(box(points), [-0.1, -0.02, 0.2, 0.1], atol=1e-12)
    np.testing.assert_allclose(union([box, ball])(points), [-0.1, -0.02, -0.05, 0.05], atol=1e-12)
