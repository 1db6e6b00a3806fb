from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.errors import CaptureError
from pocketworlds.real2sim.capture import Float
from pocketworlds.real2sim.fusion import Surface
from pocketworlds.real2sim.structure import find_structure, minimum_rectangle, moved, support_below
from scipy.spatial.transform import Rotation

SPACING = 0.008


def sheet(
    size: tuple[float, float],
    center: Sequence[float],
    *,
    normal: Sequence[float] = (0, 0, 1),
    yaw_deg: float = 0.0,
    shape: Callable[[Float, Float], Float] | None = None,
    without: tuple[float, float, float, float] | None = None,
) -> tuple[Float, Float]:
    """Points and normals of a rectangle. `shape` raises it along its normal; `without` cuts (x0, x1, y0, y1) out."""
    u, v = np.meshgrid(*(np.arange(-s / 2, s / 2 + SPACING / 2, SPACING) for s in size), indexing="ij")
    u, v = u.ravel(), v.ravel()
    if without is not None:
        kept = ~((u > without[0]) & (u < without[1]) & (v > without[2]) & (v < without[3]))
        u, v = u[kept], v[kept]
    w = np.zeros_like(u) if shape is None else shape(u, v)
    e = 1e-5
    normals = np.tile([0.0, 0, 1], (len(u), 1))
    if shape is not None:
        normals[:, 0] = -(shape(u + e, v) - shape(u - e, v)) / (2 * e)
        normals[:, 1] = -(shape(u, v + e) - shape(u, v - e)) / (2 * e)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    rotation = Rotation.from_euler("z", yaw_deg, degrees=True)
    if normal[2] == 0:
        # Standing: v becomes up, the sheet's normal the given one.
        n = np.asarray(normal, float)
        rotation = Rotation.from_matrix(np.stack([np.cross([0, 0, 1.0], n), [0, 0, 1.0], n], axis=1))
    return rotation.apply(np.stack([u, v, w], axis=1)) + center, rotation.apply(normals)


def surface(*sheets: tuple[Float, Float], noise: float = 0.0) -> Surface:
    points = np.concatenate([s[0] for s in sheets])
    normals = np.concatenate([s[1] for s in sheets])
    points = points + noise * np.random.default_rng(1).standard_normal(points.shape)
    return Surface(points, normals, np.full(points.shape, 150, np.uint8), np.zeros((0, 3), np.int64), SPACING)


def turned(item: Surface, *, tilt_deg: float, about: Sequence[float], shift: Sequence[float] = (0, 0, 0)) -> Surface:
    transform = np.eye(4)
    axis = np.asarray(about, float) / np.linalg.norm(about)
    transform[:3, :3] = Rotation.from_rotvec(np.deg2rad(tilt_deg) * axis).as_matrix()
    transform[:3, 3] = shift
    return moved(item, transform)


@pytest.mark.parametrize("tilt", [0.0, 0.7, 2.0, 4.0])
def test_tilted_floor_becomes_level(tilt: float) -> None:
    box = sheet((0.2, 0.2), (0.1, 0.2, 0.15))
    scan = turned(
        surface(sheet((1.5, 1.2), (0, 0, 0)), box, noise=0.002), tilt_deg=tilt, about=(1, 2, 0), shift=(3, -2, -1.4)
    )
    structure = find_structure(scan)
    true_up = Rotation.from_rotvec(np.deg2rad(tilt) * np.array([1, 2, 0]) / np.sqrt(5)).apply([0, 0, 1])
    up = structure.world_from_capture[:3, :3] @ true_up
    assert np.rad2deg(np.arccos(min(up[2], 1))) < 0.05
    assert np.rad2deg(structure.tilt) == pytest.approx(tilt, abs=0.05)
    rotation = structure.world_from_capture[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    (floor,) = structure.supports
    assert floor.kind == "floor"
    assert abs(floor.height) < 0.0005
    np.testing.assert_allclose(floor.center, 0, atol=0.01)
    assert floor.rms == pytest.approx(0.002, rel=0.1)


def test_steep_main_surface_is_left_as_it_is_and_said() -> None:
    structure = find_structure(turned(surface(sheet((1.0, 1.0), (0, 0, 0))), tilt_deg=8, about=(1, 0, 0)))
    np.testing.assert_allclose(structure.world_from_capture[:3, :3], np.eye(3))
    assert any("8.0 degrees" in note for note in structure.notes)


def test_table_and_floor() -> None:
    floor = sheet((2.4, 2.0), (0.3, 0.1, 0))
    top = sheet((1.0, 0.6), (-0.2, 0.1, 0.74), yaw_deg=25)
    thing = sheet((0.2, 0.2), (-0.2, 0.1, 0.89))
    structure = find_structure(
        turned(surface(floor, top, thing, noise=0.001), tilt_deg=0, about=(1, 0, 0), shift=(5, 6, 7))
    )
    assert [support.kind for support in structure.supports] == ["table", "floor"]
    table, ground = structure.supports
    assert ground.height == pytest.approx(0, abs=0.001)
    assert table.height == pytest.approx(0.74, abs=0.001)
    np.testing.assert_allclose(table.size, [1.0, 0.6], atol=0.03)
    assert np.rad2deg(table.yaw) == pytest.approx(25, abs=1.0)
    assert table.area == pytest.approx(0.6, rel=0.05)
    # The world is centred on the table: what was at its middle is now at x = y = 0.
    np.testing.assert_allclose(table.center, 0, atol=1e-9)
    middle = structure.world_from_capture @ [5 - 0.2, 6 + 0.1, 7 + 0.74, 1]
    np.testing.assert_allclose(middle[:3], [0, 0, 0.74], atol=0.006)


def test_low_wide_thing_is_no_table() -> None:
    structure = find_structure(surface(sheet((2.0, 2.0), (0, 0, 0)), sheet((0.6, 0.6), (0.2, 0, 0.12))))
    assert [support.kind for support in structure.supports] == ["floor"]


def test_seat_is_no_table() -> None:
    def seat(u: Float, v: Float) -> Float:
        return np.asarray(0.018 * (u / 0.25) ** 2)

    hollow = sheet((0.5, 0.48), (0, 0, 0.45), shape=seat)
    structure = find_structure(surface(sheet((2.0, 2.0), (0, 0, 0)), hollow))
    assert [support.kind for support in structure.supports] == ["floor"]
    flat = sheet((0.5, 0.48), (0, 0, 0.45))
    structure = find_structure(surface(sheet((2.0, 2.0), (0, 0, 0)), flat))
    assert [support.kind for support in structure.supports] == ["table", "floor"]


def test_bent_table_is_a_table_whose_warp_is_known() -> None:
    def drift(u: Float, v: Float) -> Float:
        return np.asarray(0.004 * u * u - 0.006 * u * v + 0.003 * v * v)

    bent = sheet((1.0, 0.8), (0, 0, 0), shape=drift)
    scan = turned(surface(bent, noise=0.001), tilt_deg=1.0, about=(1, 1, 0), shift=(2, 1, 0.5))
    structure = find_structure(scan)
    (support,) = structure.supports
    aligned = moved(scan, structure.world_from_capture)
    error = support.surface_height(aligned.vertices[:, :2]) - aligned.vertices[:, 2]
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.001, rel=0.1)
    assert abs(error.mean()) < 0.0003


def test_things_standing_on_a_plane_do_not_pull_it() -> None:
    hole = (-0.2, 0.2, -0.1, 0.3)
    floor = sheet((1.0, 1.0), (0, 0, 0), without=hole)
    book = sheet((0.4, 0.4), (0, 0.1, 0.02))
    structure = find_structure(surface(floor, book, noise=0.001))
    (support,) = structure.supports
    shift = structure.world_from_capture[:3, 3]
    corners = np.array([[x, y] for x in (-0.45, 0, 0.45) for y in (-0.45, 0, 0.45)]) + shift[:2]
    np.testing.assert_allclose(support.surface_height(corners), 0, atol=0.0015)
    assert structure.world_from_capture[2, 2] > np.cos(np.deg2rad(0.1))


def test_walls_face_into_the_room() -> None:
    width, depth, height = 3.0, 2.4, 2.2
    walls = {
        (1, 0, 0): sheet((depth, height), (-width / 2, 0, height / 2), normal=(1, 0, 0)),
        (-1, 0, 0): sheet((depth, height), (width / 2, 0, height / 2), normal=(-1, 0, 0)),
        (0, 1, 0): sheet((width, height), (0, -depth / 2, height / 2), normal=(0, 1, 0)),
        (0, -1, 0): sheet((width, height), (0, depth / 2, height / 2), normal=(0, -1, 0)),
    }
    floor = sheet((width, depth), (0, 0, 0))
    yaw = np.deg2rad(17)
    scan = turned(surface(floor, *walls.values(), noise=0.002), tilt_deg=17, about=(0, 0, 1))
    structure = find_structure(scan)
    assert len(structure.walls) == 4
    found = {}
    for plane, extent in zip(structure.walls, structure.wall_extents, strict=True):
        assert np.linalg.norm(plane[:3]) == pytest.approx(1)
        c, s = np.cos(-yaw), np.sin(-yaw)
        local = (round(c * plane[0] - s * plane[1]), round(s * plane[0] + c * plane[1]), 0)
        found[local] = plane
        assert abs(c * plane[0] - s * plane[1] - local[0]) < 0.01
        half = width / 2 if local[0] else depth / 2
        assert plane[3] == pytest.approx(-half, abs=0.01)
        along = extent[0, 1] - extent[0, 0]
        assert along == pytest.approx(depth if local[0] else width, abs=0.08)
        assert extent[1] == pytest.approx([0, height], abs=0.06)
    assert found.keys() == walls.keys()


def test_small_upright_things_are_no_walls() -> None:
    panel = sheet((0.5, 0.5), (0, 0, 0.25), normal=(1, 0, 0))
    assert len(find_structure(surface(sheet((1.5, 1.5), (0, 0, 0)), panel)).walls) == 0


@pytest.mark.parametrize(
    "sheets",
    [
        [sheet((2.0, 2.0), (0, 0, 1), normal=(1, 0, 0))],
        [sheet((0.1, 0.1), (0, 0, 0)), sheet((1.0, 1.0), (0.5, 0, 0.5), normal=(1, 0, 0))],
    ],
    ids=["wall only", "a hand's breadth"],
)
def test_nothing_level_is_an_error(sheets: list[tuple[Float, Float]]) -> None:
    with pytest.raises(CaptureError, match="floor"):
        find_structure(surface(*sheets))


def test_ceiling_is_no_floor() -> None:
    points, normals = sheet((2.0, 2.0), (0, 0, 2.4))
    with pytest.raises(CaptureError):
        find_structure(surface((points, -normals)))


@pytest.mark.parametrize("seed", range(4))
def test_without_gravity_the_largest_plane_is_the_floor(seed: int) -> None:
    floor = sheet((1.2, 1.0), (0, 0, 0), without=(-0.1, 0.1, -0.1, 0.1))
    box = [sheet((0.2, 0.2), (0, 0, 0.2))]
    box += [
        sheet((0.2, 0.2), (*(0.1 * np.array(n[:2])), 0.1), normal=n)
        for n in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0))
    ]
    transform = np.eye(4)
    transform[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    transform[:3, 3] = [1, 2, 3]
    structure = find_structure(moved(surface(floor, *box, noise=0.001), transform), has_gravity=False)
    up = structure.world_from_capture[:3, :3] @ transform[:3, :3] @ [0, 0, 1]
    assert np.rad2deg(np.arccos(min(up[2], 1))) < 0.05
    height = (structure.world_from_capture @ transform @ [0, 0, 0.2, 1])[2]
    assert height == pytest.approx(0.2, abs=0.002)
    assert any("no gravity" in note for note in structure.notes)


@settings(max_examples=30)
@given(
    length=st.floats(0.05, 2),
    share=st.floats(0.2, 0.9),
    yaw=st.floats(-89, 89),
    center=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
)
def test_minimum_rectangle_is_found(length: float, share: float, yaw: float, center: tuple[float, float]) -> None:
    size = np.array([length, length * share])
    local = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 2)) * size
    local[:4] = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) / 2 * size
    c, s = np.cos(np.deg2rad(yaw)), np.sin(np.deg2rad(yaw))
    middle, found, turn = minimum_rectangle(local @ np.array([[c, s], [-s, c]]) + center)
    np.testing.assert_allclose(middle, center, atol=1e-4 * length)
    np.testing.assert_allclose(found, size, rtol=1e-4)
    assert abs((np.rad2deg(turn) - yaw + 90) % 180 - 90) < 0.01


def test_support_below_is_the_highest_one_under_a_point() -> None:
    structure = find_structure(surface(sheet((2.4, 2.0), (0, 0, 0)), sheet((0.8, 0.6), (0, 0, 0.7))))
    kinds = [support.kind for support in structure.supports]
    points = np.array([[0, 0, 0.8], [0, 0, 0.4], [0.9, 0, 0.8], [0, 0, -0.2], [5, 5, 0.5], [0.5, 0, 0.75]])
    below = support_below(points, structure.supports)
    assert [kinds[i] if i >= 0 else None for i in below] == ["table", "floor", "floor", None, None, "floor"]
