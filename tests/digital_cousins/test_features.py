"""Descriptors against closed forms: areas, volumes and distance distributions of simple solids."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pocketworlds.digital_cousins.features import Descriptor, d2_histogram, describe, srgb_to_lab
from pocketworlds.digital_cousins.sampling import fill_ratio, surface
from pocketworlds.digital_cousins.scaling import stretched
from pocketworlds.envs.builtin import builtin_scene
from pocketworlds.envs.builtin.authoring import authored_object
from pocketworlds.errors import SceneError
from pocketworlds.scenes import SceneObject
from pocketworlds.scenes.primitives import basin, box, cylinder, mug_shapes
from pocketworlds.scenes.scene import CollisionGeom, Material, Pose, Visual


def solid(*shapes: CollisionGeom, size: tuple[float, float, float] = (1, 1, 1), name: str = "it") -> SceneObject:
    return authored_object(name, name, list(shapes), size, at=(0, 0), mass=1.0)


def sphere(diameter: float) -> CollisionGeom:
    return CollisionGeom(shape="sphere", size=(diameter,) * 3)


def capsule(diameter: float, length: float) -> CollisionGeom:
    return CollisionGeom(shape="capsule", size=(diameter, diameter, length))


def lying(shape: CollisionGeom) -> CollisionGeom:
    """The shape turned by a quarter about X, and by an odd angle about its own axis."""
    turn, odd = math.sqrt(0.5), 0.3
    quaternion = (turn * math.cos(odd), turn * math.cos(odd), -turn * math.sin(odd), turn * math.sin(odd))
    return shape.model_copy(update={"pose": Pose(quaternion=quaternion)})


def mesh_object(folder: Path, *, texture: str | None = None) -> SceneObject:
    """A cube of 10 cm whose four upright sides and lids have texture u from 0 to 1 along X."""
    import trimesh

    cube = trimesh.creation.box((0.1, 0.1, 0.1))
    (folder / "meshes").mkdir(exist_ok=True)
    lines = [f"v {x} {y} {z}" for x, y, z in cube.vertices] + [f"vt {x / 0.1 + 0.5} 0.5" for x, _, _ in cube.vertices]
    lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in face) for face in cube.faces]
    (folder / "meshes/cube.obj").write_text("\n".join(lines))
    item = solid(box(0.1, 0.1, 0.1), size=(0.1, 0.1, 0.1))
    geom = CollisionGeom(shape="mesh", size=(0.1, 0.1, 0.1), mesh="meshes/cube.obj")
    visual = Visual(mesh="meshes/cube.obj", material=Material(rgba=(1, 1, 1, 1), texture=texture))
    return item.model_copy(update={"body": item.body.model_copy(update={"collision": (geom,), "visual": visual})})


def same(a: Descriptor, b: Descriptor) -> bool:
    return np.array_equal(a.d2, b.d2) and all(
        getattr(a, k) == getattr(b, k) for k in a.__dataclass_fields__ if k not in ("d2", "name")
    )


def test_d2_of_a_sphere_is_the_known_density() -> None:
    points, _ = surface(solid(sphere(0.08)), None, 20_000, np.random.default_rng(0))
    histogram = d2_histogram(points, 400_000, np.random.default_rng(1))
    # Two uniform points on a sphere of radius R are d apart with density d / (2 R^2), 0 to 2 R; the mean is 4 R / 3.
    edges = np.linspace(0, 3, 61).clip(max=1.5)
    exact = np.diff((edges * 4 / 3) ** 2 / 4)
    assert exact.sum() == pytest.approx(1)
    assert np.abs(np.cumsum(histogram - exact)).max() < 0.01
    assert histogram[31:].sum() < 1e-3


def test_d2_of_a_segment_is_the_known_density() -> None:
    points = np.zeros((20_000, 3))
    points[:, 0] = np.random.default_rng(0).random(20_000)
    histogram = d2_histogram(points, 400_000, np.random.default_rng(1))
    edges = np.linspace(0, 3, 61) / 3  # density 2 (1 - d), mean 1 / 3
    assert np.abs(np.cumsum(histogram) - (2 * edges - edges**2)[1:]).max() < 0.01


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (solid(box(0.2, 0.1, 0.05)), 1.0),
        (solid(cylinder(0.1, 0.2)), math.pi / 4),
        (solid(sphere(0.1)), math.pi / 6),
        (solid(capsule(0.1, 0.2)), (math.pi / 4 * 0.1 + math.pi / 6 * 0.1) / 0.2),
        (solid(lying(cylinder(0.1, 0.2))), math.pi / 4),
        (solid(lying(sphere(0.1))), math.pi / 6),
        (solid(lying(capsule(0.1, 0.2))), (math.pi / 4 * 0.1 + math.pi / 6 * 0.1) / 0.2),
        (solid(*basin(0.2, 0.2, 0.04, wall=0.01)), 1 - 0.18 * 0.18 * 0.03 / (0.2 * 0.2 * 0.04)),
        (solid(box(0.1, 0.1, 0.1), box(0.1, 0.1, 0.1, at=(0.05, 0, 0))), 1.0),  # what overlaps counts once
    ],
)
def test_fill_ratio_is_volume_over_box(item: SceneObject, expected: float) -> None:
    assert fill_ratio(item, None, 40_000, np.random.default_rng(0)) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("shape", "radius_of_gyration"),
    [
        (sphere(2.0), 1.0),
        # Mean squared distance from the middle: lids R^2 / 2 + H^2 / 4, side R^2 + H^2 / 12, by area.
        (cylinder(2.0, 2.0), (2 * math.pi * 1.5 + 4 * math.pi * (1 + 1 / 3)) / (6 * math.pi)),
        # A cube's faces: 1 + 2/3.
        (box(2.0, 2.0, 2.0), 5 / 3),
        # Side of length 2: 1 + 1/3; two half spheres with centres 1 away: 1 + 1 + 2 * 1 * 1/2.
        (capsule(2.0, 4.0), (4 * math.pi * (4 / 3) + 4 * math.pi * 3) / (8 * math.pi)),
    ],
)
def test_surface_points_are_uniform_by_area(shape: CollisionGeom, radius_of_gyration: float) -> None:
    points, _ = surface(solid(shape), None, 40_000, np.random.default_rng(0))
    assert points.mean(axis=0) == pytest.approx(np.zeros(3), abs=0.03)
    assert (points**2).sum(axis=1).mean() == pytest.approx(radius_of_gyration, rel=0.01)


def test_surface_inside_other_shapes_is_left_out() -> None:
    item = solid(box(0.1, 0.1, 0.1), box(0.02, 0.02, 0.02))
    points, _ = surface(item, None, 4000, np.random.default_rng(0))
    assert np.abs(points).max(axis=1) == pytest.approx(np.full(len(points), 0.05))


def test_words_for_hollow_round_and_tapered() -> None:
    mug = describe(solid(*mug_shapes(0.085, 0.095), size=(0.085, 0.085, 0.095)))
    assert mug.hollow == pytest.approx(0.95, abs=0.05)
    assert mug.opening > 0.4
    assert mug.opening_square < 0.92
    assert mug.plan_square == pytest.approx(math.pi / 4, abs=0.04)
    tray = describe(solid(*basin(0.26, 0.2, 0.05), size=(0.26, 0.2, 0.05)))
    assert tray.hollow == pytest.approx(0.044 / 0.05, abs=0.08)
    assert tray.opening_square > 0.94
    assert tray.plan_square == pytest.approx(1.0, abs=0.01)
    for closed in (box(0.06, 0.05, 0.07), cylinder(0.026, 0.11), sphere(0.1), capsule(0.03, 0.2)):
        assert describe(solid(closed, size=closed.size)).opening == 0
    bottle = describe(solid(cylinder(0.06, 0.14, at=(0, 0, -0.03)), cylinder(0.03, 0.06, at=(0, 0, 0.07))))
    assert bottle.taper == pytest.approx(0.5, abs=0.03)


def test_turning_the_table_changes_nothing_but_lying_down_does() -> None:
    book = authored_object("book", "book", [box(0.2, 0.14, 0.03)], (0.2, 0.14, 0.03), at=(0, 0))
    turned = authored_object("book", "book", [box(0.2, 0.14, 0.03)], (0.2, 0.14, 0.03), at=(0.3, 0.1), yaw=1.0)
    assert same(describe(book), describe(turned))
    standing = authored_object("book", "book", [box(0.2, 0.03, 0.14)], (0.2, 0.03, 0.14), at=(0, 0))
    assert describe(standing).size == (0.2, 0.03, 0.14)
    assert np.abs(np.cumsum(describe(standing).d2 - describe(book).d2)).max() < 0.03


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.2, 5), seed=st.integers(0, 1000))
def test_d2_and_ratios_are_free_of_scale(scale: float, seed: int) -> None:
    small = solid(*mug_shapes(0.08, 0.1), size=(0.08, 0.08, 0.1))
    large = solid(*mug_shapes(0.08, 0.1), size=(0.08, 0.08, 0.1))
    stretched = tuple(
        g.model_copy(
            update={
                "size": tuple(v * scale for v in g.size),
                "pose": Pose(position=tuple(v * scale for v in g.pose.position), quaternion=g.pose.quaternion),
            }
        )
        for g in large.body.collision
    )
    large = large.model_copy(update={"body": large.body.model_copy(update={"collision": stretched})})
    a, b = describe(small, seed=seed), describe(large, seed=seed)
    assert np.abs(np.cumsum(a.d2 - b.d2)).max() < 0.02
    assert a.fill == pytest.approx(b.fill, abs=0.002)


def test_parts_and_mass_of_furniture() -> None:
    cupboard = describe(builtin_scene("kitchen").object("cupboard"))
    assert cupboard.parts == ("door:hinge", "door:hinge", "drawer:slide")
    assert cupboard.mass == pytest.approx(30.0 + 3 * 2.5)
    assert cupboard.shape == "compound"


def test_the_seed_decides() -> None:
    mug = builtin_scene("tabletop").object("mug")
    assert same(describe(mug), describe(mug))
    assert not same(describe(mug), describe(mug, seed=1))


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_cielab_of_primaries(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    assert srgb_to_lab(np.array([rgb]))[0] == pytest.approx(lab, abs=0.1)


def test_colour_comes_from_where_the_mesh_wears_its_texture(tmp_path: Path) -> None:
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    picture[:, :32], picture[:, 32:] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "paint.png")
    item = mesh_object(tmp_path, texture="paint.png")
    points, colours = surface(item, tmp_path, 4000, np.random.default_rng(0))
    left, right = points[:, 0] < -0.01, points[:, 0] > 0.01
    assert colours[left] == pytest.approx(np.tile([1.0, 0, 0], (left.sum(), 1)), abs=0.02)
    assert colours[right] == pytest.approx(np.tile([0, 0, 1.0], (right.sum(), 1)), abs=0.02)


def test_a_mesh_is_described_as_the_box_it_is(tmp_path: Path) -> None:
    drawn, plain = describe(mesh_object(tmp_path), tmp_path), describe(solid(box(0.1, 0.1, 0.1), size=(0.1,) * 3))
    assert drawn.fill == plain.fill == 1.0
    assert np.abs(np.cumsum(drawn.d2 - plain.d2)).max() < 0.02
    assert drawn.shape == "mesh"


def test_a_stretched_mesh_is_described_as_the_box_it_has_become(tmp_path: Path) -> None:
    slab = stretched(mesh_object(tmp_path), (2.0, 1.0, 0.2))
    drawn, plain = describe(slab, tmp_path), describe(solid(box(0.2, 0.1, 0.02), size=(0.2, 0.1, 0.02)))
    assert drawn.size == pytest.approx(plain.size)
    assert drawn.fill == 1.0
    assert np.abs(np.cumsum(drawn.d2 - plain.d2)).max() < 0.02


def test_missing_files_and_shapes_are_named(tmp_path: Path) -> None:
    item = mesh_object(tmp_path)
    with pytest.raises(SceneError, match="its scene is in no folder"):
        describe(item)
    (tmp_path / "meshes/cube.obj").write_text("f 1 2 3\n")
    with pytest.raises(SceneError, match=r"cube\.obj (is no readable mesh|holds no triangles)"):
        describe(item, tmp_path)
    (tmp_path / "paint.png").write_text("not a picture")
    painted = mesh_object(tmp_path, texture="paint.png")
    with pytest.raises(SceneError, match=r"paint\.png is no readable picture"):
        describe(painted, tmp_path)
    (tmp_path / "meshes/cube.obj").unlink()
    with pytest.raises(SceneError, match=r"cube\.obj cannot be read"):
        describe(item, tmp_path)
    empty = item.model_copy(update={"body": item.body.model_copy(update={"collision": (), "visual": Visual()})})
    with pytest.raises(SceneError, match="neither collision shapes nor a mesh"):
        describe(empty)
