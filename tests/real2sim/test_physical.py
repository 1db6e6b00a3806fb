from __future__ import annotations

import math

import mujoco
import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.real2sim.capture import Float
from pocketworlds.real2sim.completion import Solid
from pocketworlds.real2sim.meshing import build_mesh
from pocketworlds.real2sim.physical import KINDS, MAX_MASS, MIN_MASS, classify, physical_properties
from pocketworlds.real2sim.shapes import Method
from pocketworlds.scenes import mass as mass_properties
from pocketworlds.scenes.scene import Inertial

from .test_collision import object_mesh
from .test_meshing import bowl, brick, solid_of


def tensor(inertial: Inertial) -> Float:
    xx, yy, zz, xy, xz, yz = inertial.inertia
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def weighs(inertial: Inertial, category: str, volume: float) -> float:
    """Checks the range against the kind's spread and gives the mass."""
    kind = KINDS[category]
    mass = inertial.mass
    assert mass.low < mass.value < mass.high
    assert mass.low == pytest.approx(mass.value / kind.spread)
    assert mass.high == pytest.approx(mass.value * kind.spread)
    assert f"{volume * 1e6:.0f} cm^3" in mass.source
    return mass.value


extent = st.floats(0.05, 0.3)


@settings(max_examples=25, deadline=None)
@given(x=extent, y=extent, z=extent)
def test_box_matches_the_closed_form(x: float, y: float, z: float) -> None:
    inertial, _ = physical_properties("box", object_mesh(trimesh.creation.box((x, y, z))))
    mass = weighs(inertial, "box", x * y * z)
    assert mass == pytest.approx(500 * x * y * z)
    np.testing.assert_allclose(inertial.com, 0, atol=1e-9)
    diagonal = mass / 12 * np.array([y * y + z * z, x * x + z * z, x * x + y * y])
    np.testing.assert_allclose(tensor(inertial), np.diag(diagonal), atol=2e-3 * diagonal.max())


@settings(max_examples=15, deadline=None)
@given(d=extent, h=extent)
def test_can_matches_the_closed_form(d: float, h: float) -> None:
    inertial, _ = physical_properties("can", object_mesh(trimesh.creation.cylinder(d / 2, h, sections=128)))
    mass = inertial.mass.value
    assert mass == pytest.approx(1000 * np.pi / 4 * d * d * h, rel=0.002)
    side = mass * (3 * (d / 2) ** 2 + h * h) / 12
    axis = mass * (d / 2) ** 2 / 2
    np.testing.assert_allclose(np.diag(tensor(inertial)), [side, side, axis], rtol=0.005)


def test_center_of_mass_of_an_uneven_solid() -> None:
    """A cone's centre of mass lies at a quarter of its height; its inertia is that of the textbook."""
    radius, height = 0.1, 0.2
    inertial, _ = physical_properties("object", object_mesh(trimesh.creation.cone(radius, height, sections=256)))
    mass = inertial.mass.value
    np.testing.assert_allclose(inertial.com, (0, 0, height / 4 - height / 2), atol=1e-4)
    side, axis = mass * (3 / 20 * radius**2 + 3 / 80 * height**2), 0.3 * mass * radius**2
    np.testing.assert_allclose(np.diag(tensor(inertial)), [side, side, axis], rtol=0.005)


def test_vessel_weighs_what_its_wall_weighs() -> None:
    """A hemisphere of glazed clay 4 mm thick, whatever thickness the scan could resolve."""
    radius = 0.07
    expected = 2400 * 2 * np.pi * radius**2 * 0.004
    for wall in (0.006, 0.010):
        mesh = build_mesh(solid_of(bowl(radius, wall), (2 * radius, 2 * radius, radius), "revolution"))
        inertial, _ = physical_properties("bowl", mesh)
        assert inertial.mass.value == pytest.approx(expected, rel=0.2)
        assert inertial.mass.value < 2400 * mesh.trimesh().volume


@pytest.mark.parametrize("size", [0.004, 3.0], ids=["crumb", "wardrobe"])
def test_mass_stays_within_what_is_believable(size: float) -> None:
    inertial, _ = physical_properties("box", object_mesh(trimesh.creation.box((size, size, size))))
    assert inertial.mass.value == (MIN_MASS if size < 1 else MAX_MASS)
    # The inertia belongs to that mass, not to the one before clipping.
    assert tensor(inertial)[0, 0] == pytest.approx(inertial.mass.value * size**2 / 6, rel=0.01)
    compiles(inertial)


@pytest.mark.parametrize("category", KINDS)
def test_every_kind_has_ordered_ranges_and_a_source(category: str) -> None:
    kind = KINDS[category]
    inertial, friction = physical_properties(category, object_mesh(trimesh.creation.box((0.1, 0.2, 0.15))))
    assert inertial.mass.low < inertial.mass.value < inertial.mass.high
    assert friction.low < friction.value < friction.high
    assert 100 <= kind.density <= 8000
    assert kind.spread > 1
    assert inertial.mass.source
    assert friction.source
    compiles(inertial)


def compiles(inertial: Inertial) -> mujoco.MjModel:
    """The inertia must pass MuJoCo's own checks without `balanceinertia`."""
    spec = mujoco.MjSpec()
    body = spec.worldbody.add_body(pos=[0, 0, 1])
    body.add_freejoint()
    body.mass = inertial.mass.value
    body.ipos = list(inertial.com)
    body.fullinertia = list(inertial.inertia)
    body.explicitinertial = True
    return spec.compile()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), flatness=st.floats(-9, 1))
def test_repaired_inertia_is_accepted_by_mujoco(seed: int, flatness: float) -> None:
    """Numerical inertias of thin or broken meshes may be indefinite or break the triangle inequality."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    values = rng.uniform(0.1, 1, 3) * 1e-3
    values[0] *= 10**flatness * rng.choice([1, -1])
    broken = basis @ np.diag(values) @ basis.T
    mass = float(rng.uniform(0.01, 5))
    repaired = mass_properties.repaired(broken, mass)
    np.testing.assert_allclose(repaired, repaired.T, atol=1e-15)
    low, middle, high = np.linalg.eigvalsh(repaired)
    assert low > 0
    assert high < low + middle
    model = compiles(
        Inertial(
            mass={"value": mass, "low": mass, "high": mass, "source": "test"},  # type: ignore[arg-type]
            com=(0, 0, 0),
            inertia=(*np.diag(repaired), repaired[0, 1], repaired[0, 2], repaired[1, 2]),
        )
    )
    np.testing.assert_allclose(np.sort(model.body_inertia[1]), [low, middle, high], rtol=1e-6)


def test_valid_inertia_is_left_alone() -> None:
    basis = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
    valid = basis @ np.diag([1.0, 1.2, 1.5]) @ basis.T
    np.testing.assert_allclose(mass_properties.repaired(valid, 1.0), valid, atol=1e-12)


def of_size(method: Method, size: tuple[float, float, float]) -> Solid:
    return solid_of(brick(size), size, method, voxel=max(0.003, max(size) / 60))


@pytest.mark.parametrize(
    ("method", "size", "category"),
    [
        ("sphere", (0.07, 0.07, 0.07), "ball"),
        ("cylinder", (0.066, 0.066, 0.115), "can"),
        ("box", (0.21, 0.15, 0.02), "book"),
        ("box", (0.10, 0.08, 0.12), "box"),
        ("box", (0.07, 0.07, 0.018), "box"),
        ("box", (0.18, 0.03, 0.025), "tool"),
        ("lying cylinder", (0.20, 0.03, 0.03), "tool"),
        ("lying cylinder", (0.12, 0.066, 0.066), "can"),
        ("carved", (0.5, 0.5, 0.9), "chair"),
        ("box", (1.2, 0.6, 0.7), "furniture"),
    ],
)
def test_category_of_simple_shapes(method: Method, size: tuple[float, float, float], category: str) -> None:
    solid = of_size(method, size)
    mesh = object_mesh(trimesh.creation.box(size))
    assert classify(solid, mesh) == category


def test_category_of_turned_shapes() -> None:
    def bottle(x: Float, y: Float, z: Float) -> Float:
        return np.maximum(np.hypot(x, y) - np.interp(z, [0.12, 0.17], [0.035, 0.015]), z - 0.21)

    flask = solid_of(bottle, (0.07, 0.07, 0.21), "revolution")
    assert classify(flask, build_mesh(flask)) == "bottle"
    dish = solid_of(bowl(0.07, 0.008), (0.14, 0.14, 0.07), "revolution")
    assert classify(dish, build_mesh(dish)) == "bowl"

    def cup(x: Float, y: Float, z: Float) -> Float:
        r = np.hypot(x, y)
        wall = np.maximum(r - 0.042, z - 0.095)
        return np.maximum(wall, -np.maximum(r - 0.036, 0.007 - z))

    mug = solid_of(cup, (0.084, 0.084, 0.095), "revolution", voxel=0.0025)
    assert classify(mug, build_mesh(mug)) == "mug"
    plain = solid_of(lambda x, y, z: np.maximum(np.hypot(x, y) - 0.03, z - 0.1), (0.06, 0.06, 0.1), "revolution")
    assert classify(plain, build_mesh(plain)) == "can"


def test_mass_of_a_real_thing_is_within_its_range() -> None:
    """A 330 ml can of lemonade (66 x 115 mm) weighs 350 g; a 300-page paperback (198 x 129 x 20 mm) 250 to 400 g."""
    can, _ = physical_properties("can", object_mesh(trimesh.creation.cylinder(0.033, 0.115)))
    assert can.mass.low < 0.350 < can.mass.high
    book, _ = physical_properties("book", object_mesh(trimesh.creation.box((0.198, 0.129, 0.020))))
    assert book.mass.low < 0.325 < book.mass.high
    assert math.isclose(book.mass.value, 800 * 0.198 * 0.129 * 0.020, rel_tol=1e-6)
