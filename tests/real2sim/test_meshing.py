from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Float
from pocketworlds.real2sim.completion import Solid
from pocketworlds.real2sim.meshing import FACE_BUDGET, ObjectMesh, body_frame, build_mesh
from pocketworlds.real2sim.shapes import Method
from pocketworlds.real2sim.volume import Volume
from scipy.spatial.transform import Rotation

VOXEL = 0.003
BASE = 0.4


def solid_of(
    distance: Callable[[Float, Float, Float], Float],
    size: tuple[float, float, float],
    method: Method = "carved",
    *,
    center: tuple[float, float] = (0.3, -0.2),
    yaw: float = 0.0,
    voxel: float = VOXEL,
) -> Solid:
    """A solid standing at height `BASE`, from the signed distance of a shape about the middle of its base."""
    pad = 4 * voxel
    counts = [int(np.ceil((s + 2 * pad) / voxel)) + 1 for s in size[:2]]
    counts.append(int(np.ceil((size[2] + pad) / voxel)) + 1)
    origin = np.array([center[0] - size[0] / 2 - pad, center[1] - size[1] / 2 - pad, BASE + voxel / 2])
    x, y, z = np.meshgrid(*(origin[i] + voxel * np.arange(counts[i]) for i in range(3)), indexing="ij")
    dx, dy = x - center[0], y - center[1]
    c, s = np.cos(yaw), np.sin(yaw)
    field = distance(c * dx + s * dy, -s * dx + c * dy, z - BASE).astype(np.float32)
    volume = Volume(origin, voxel, field, np.ones_like(field), field > np.inf)
    middle = np.array([*center, BASE + size[2] / 2])
    return Solid(method, middle, np.array(size), yaw, BASE, volume, field < 0, field, 1.0, 0.0, 1.0)


def cone(radius: float, height: float) -> Callable[[Float, Float, Float], Float]:
    return lambda x, y, z: (np.hypot(x, y) - radius * (1 - z / height)) / np.hypot(1, radius / height)


def bowl(radius: float, wall: float) -> Callable[[Float, Float, Float], Float]:
    """The lower half of a hollow ball that rests on its pole."""

    def distance(x: Float, y: Float, z: Float) -> Float:
        r = np.sqrt(x**2 + y**2 + (z - radius) ** 2)
        return np.maximum(np.maximum(r - radius, radius - wall - r), z - radius)

    return distance


def brick(size: tuple[float, float, float]) -> Callable[[Float, Float, Float], Float]:
    return lambda x, y, z: np.maximum.reduce([np.abs(x) - size[0] / 2, np.abs(y) - size[1] / 2, z - size[2]])


def check_closed_and_outward(mesh: ObjectMesh) -> trimesh.Trimesh:
    found = mesh.trimesh()
    assert found.is_watertight
    assert found.is_winding_consistent
    assert found.volume > 0, "faces point inwards"
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), mesh.size, atol=1e-6)
    np.testing.assert_allclose(mesh.vertices.min(axis=0) + mesh.vertices.max(axis=0), 0, atol=2e-6)
    return found


def world(mesh: ObjectMesh) -> Float:
    return np.asarray(mesh.vertices @ mesh.world_from_body[:3, :3].T + mesh.world_from_body[:3, 3])


sizes = st.floats(0.01, 0.5)


@settings(max_examples=25, deadline=None)
@given(x=sizes, y=sizes, z=sizes, yaw=st.floats(-3, 3))
def test_box_is_exact(x: float, y: float, z: float, yaw: float) -> None:
    item = replace(small(), method="box", size=np.array([x, y, z]), yaw=yaw)
    mesh = build_mesh(item)
    assert check_closed_and_outward(mesh).volume == pytest.approx(x * y * z)
    corner = np.array([x, y, z]) / 2
    expected = item.center + Rotation.from_euler("z", yaw).apply(corner)
    assert np.linalg.norm(world(mesh) - expected, axis=1).min() < 1e-9


@settings(max_examples=25, deadline=None)
@given(d=sizes, length=sizes)
def test_round_primitives_match_closed_forms(d: float, length: float) -> None:
    """Facets lie inside the round shape: 48 sections lose 0.3 %, an icosphere of 642 vertices 1.2 %."""
    disc = np.pi / 4 * d**2
    upright = build_mesh(replace(small(), method="cylinder", size=np.array([d, d, length])))
    lying = build_mesh(replace(small(), method="lying cylinder", size=np.array([length, d, d])))
    sphere = build_mesh(replace(small(), method="sphere", size=np.array([d, d, d])))
    for mesh, volume in ((upright, disc * length), (lying, disc * length), (sphere, np.pi / 6 * d**3)):
        found = mesh.trimesh()
        assert found.is_watertight
        assert volume * 0.985 < found.volume <= volume * (1 + 1e-9)
        np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0), mesh.size, rtol=0.005)


def small() -> Solid:
    return solid_of(brick((0.02, 0.02, 0.02)), (0.02, 0.02, 0.02))


@settings(max_examples=12, deadline=None)
@given(radius=st.floats(0.03, 0.06), height=st.floats(0.06, 0.12))
def test_cone_from_a_field(radius: float, height: float) -> None:
    mesh = build_mesh(solid_of(cone(radius, height), (2 * radius, 2 * radius, height), "revolution"))
    found = check_closed_and_outward(mesh)
    assert found.volume == pytest.approx(np.pi / 3 * radius**2 * height, rel=0.08)
    assert len(mesh.faces) <= FACE_BUDGET
    # The sharp edge round the base of a flat cone is thinner than a voxel.
    np.testing.assert_allclose(mesh.size[:2], 2 * radius, atol=2 * VOXEL)
    assert world(mesh)[:, 2].min() == pytest.approx(BASE, abs=0.0005)


@settings(max_examples=8, deadline=None)
@given(x=st.floats(0.04, 0.2), y=st.floats(0.04, 0.2), z=st.floats(0.02, 0.15), yaw=st.floats(-1.5, 1.5))
def test_brick_from_a_field(x: float, y: float, z: float, yaw: float) -> None:
    solid = solid_of(brick((x, y, z)), (x, y, z), yaw=0.0)
    turned = solid_of(brick((x, y, z)), (max(x, y) * 1.5, max(x, y) * 1.5, z), yaw=yaw)
    for item in (solid, replace(turned, size=np.array([x, y, z]))):
        mesh = build_mesh(item)
        found = check_closed_and_outward(mesh)
        assert found.volume == pytest.approx(x * y * z, rel=0.08)
        np.testing.assert_allclose(mesh.size, (x, y, z), atol=0.003)
        np.testing.assert_allclose(mesh.world_from_body[:3, 3], (0.3, -0.2, BASE + z / 2), atol=0.002)


@pytest.mark.parametrize("wall", [0.006, 0.009])
def test_bowl_keeps_wall_and_cavity(wall: float) -> None:
    radius = 0.07
    mesh = build_mesh(solid_of(bowl(radius, wall), (2 * radius, 2 * radius, radius), "revolution"))
    found = check_closed_and_outward(mesh)
    expected = 2 * np.pi / 3 * (radius**3 - (radius - wall) ** 3)
    assert found.volume == pytest.approx(expected, rel=0.15)
    assert found.euler_number == 2, "the wall has holes"
    assert len(mesh.faces) <= FACE_BUDGET
    inside = [[0, 0, 0.3 * radius], [0.6 * radius, 0, 0.3 * radius]]
    assert not found.contains(inside).any()


def test_only_the_largest_piece_is_kept() -> None:
    def two(x: Float, y: Float, z: Float) -> Float:
        return np.minimum(brick((0.06, 0.06, 0.05))(x + 0.03, y, z), brick((0.02, 0.02, 0.02))(x - 0.05, y, z))

    mesh = build_mesh(solid_of(two, (0.14, 0.08, 0.05)))
    found = check_closed_and_outward(mesh)
    assert len(found.split()) == 1
    assert found.volume == pytest.approx(0.06 * 0.06 * 0.05, rel=0.1)
    assert mesh.world_from_body[0, 3] == pytest.approx(0.27, abs=0.002)


def test_stands_flat_on_its_base() -> None:
    """A settled object needs a flat bottom: many vertices at the base, none below."""
    mesh = build_mesh(solid_of(cone(0.05, 0.08), (0.1, 0.1, 0.08), "revolution"))
    z = world(mesh)[:, 2]
    ring = world(mesh)[z < BASE + 0.0006, :2] - (0.3, -0.2)
    assert z.min() >= BASE - 1e-9
    assert len(ring) >= 8
    assert np.linalg.norm(ring, axis=1).max() > 0.045


def test_detailed_shape_stays_within_the_face_budget() -> None:
    def gear(x: Float, y: Float, z: Float) -> Float:
        radius = 0.08 + 0.008 * np.cos(12 * np.arctan2(y, x)) + 0.004 * np.sin(z * 200)
        return np.maximum(np.hypot(x, y) - radius, z - 0.1) * 0.7

    mesh = build_mesh(solid_of(gear, (0.19, 0.19, 0.1), voxel=0.0025))
    found = check_closed_and_outward(mesh)
    assert len(mesh.faces) <= FACE_BUDGET
    assert found.volume == pytest.approx(np.pi * (0.08**2 + 0.008**2 / 2 + 0.004**2 / 2) * 0.1, rel=0.06)


def test_nothing_solid_is_an_error() -> None:
    empty = solid_of(lambda x, y, z: np.full_like(x, 0.003), (0.05, 0.05, 0.05))
    with pytest.raises(CaptureError, match="no volume"):
        build_mesh(empty)


def test_body_frame_is_rigid_and_upright() -> None:
    frame = body_frame(np.array([1.0, 2.0, 3.0]), 0.7)
    np.testing.assert_allclose(frame[:3, :3] @ frame[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(frame @ [1, 0, 0, 1], [1 + np.cos(0.7), 2 + np.sin(0.7), 3, 1])
    np.testing.assert_allclose(frame[:3, 2], [0, 0, 1])
