"""Every category, over seeds and sizes: it passes its checks, is as large as asked, and the same each time."""

from __future__ import annotations

import math
import pickle
import re
from pathlib import Path

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pocketworlds.digital_cousins.library import CATEGORIES, Asset, category
from pocketworlds.digital_cousins.library.category import Category, Size
from pocketworlds.digital_cousins.library.checks import check_category
from pocketworlds.digital_cousins.library.materials import MATERIALS
from pocketworlds.errors import AssetError
from pocketworlds.scenes import Scene, Surface, load_scene, save_scene
from pocketworlds.scenes.folder import assets as files_of
from pocketworlds.scenes.mjcf import compile_scene
from pocketworlds.scenes.obj import read_obj
from pocketworlds.scenes.primitives import exact
from pocketworlds.scenes.scene import Pose
from pocketworlds.scenes.settle import settle

NAMES = sorted(CATEGORIES)
REQUIRED = {
    "mug",
    "cup",
    "bowl",
    "plate",
    "bottle",
    "can",
    "jar",
    "box",
    "carton",
    "book",
    "tray",
    "pan",
    "pot",
    "kettle",
    "spoon",
    "knife",
    "screwdriver",
    "ball",
    "fruit",
    "block",
    "basket",
    "lamp",
    "chair",
    "stool",
    "table",
    "shelf",
    "cabinet",
    "drawer_unit",
    "fridge",
    "oven",
    "sink",
    "door",
}
GROUND = Pose(position=(0, 0, -0.05))
FLOOR = Surface(name="floor", kind="floor", pose=GROUND, size=(20, 20, 0.1), friction=exact(0.6))


def extents(asset: Asset, folder: Path, *, visuals: bool) -> np.ndarray:
    """Lowest and highest corner [2, 3] of everything in the compiled model, vertex by vertex."""
    asset.write(folder)
    model = compile_scene(Scene(name="one", surfaces=(), objects=(asset.item,)).in_folder(folder), visuals=True)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for geom in range(model.ngeom):
        if (model.geom_contype[geom] == 0) != visuals and model.geom_group[geom] != 2:
            continue
        if visuals and model.geom_group[geom] != 2:
            continue
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            start = model.mesh_vertadr[mesh]
            local = model.mesh_vert[start : start + model.mesh_vertnum[mesh]].astype(float)
        else:
            signs = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
            local = model.geom_aabb[geom, :3] + signs * model.geom_aabb[geom, 3:]
        world = local @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        low, high = np.minimum(low, world.min(axis=0)), np.maximum(high, world.max(axis=0))
    return np.array([low, high])


def drawn(kind: Category, seed: int) -> tuple[Size, dict[str, float]]:
    parameters = kind.sample(np.random.default_rng(seed)).parameters
    return tuple(parameters[axis] for axis in "xyz"), {key: parameters[key] for key in kind.shape}


def test_all_that_was_promised_is_there() -> None:
    assert set(NAMES) >= REQUIRED


@pytest.mark.parametrize("name", NAMES)
def test_passes_every_check(name: str) -> None:
    """Closed, of the right volume and inertia, stands, and opens from end to end past the rest of itself."""
    for seed in range(100, 104):
        _, found = check_category(category(name), seed)
        assert found.problems == ()


@pytest.mark.parametrize("name", NAMES)
def test_passes_every_check_at_the_ends_of_its_sizes(name: str) -> None:
    kind = category(name)
    for bound in (0, 1):
        size = kind.fit(tuple(limits[bound] for limits in kind.sizes))  # type: ignore[arg-type]
        _, found = check_category(kind, 3 + bound, size)
        assert found.problems == ()


@pytest.mark.parametrize("name", NAMES)
def test_extents_asked_for_are_met_exactly(name: str, tmp_path: Path) -> None:
    kind = category(name)
    for seed in (1, 2):
        size, shape = drawn(kind, seed)
        asset = kind.build(size, shape, np.random.default_rng(seed))
        half = np.array(size) / 2
        wanted = np.array([[-half[0], -half[1], 0.0], [half[0], half[1], size[2]]])
        np.testing.assert_allclose(extents(asset, tmp_path, visuals=True), wanted, atol=2e-6)
        felt = extents(asset, tmp_path, visuals=False)
        assert np.all(np.abs(felt - wanted) < 0.002 + 0.02 * np.array(size))
        assert asset.item.size == size
        assert asset.item.body.pose.position == (0.0, 0.0, size[2] / 2)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1), stretch=st.tuples(*[st.floats(0.85, 1.18)] * 3))
def test_any_size_that_fits_is_met(name: str, seed: int, stretch: tuple[float, float, float]) -> None:
    """A size near one that is plausible is built, after `fit`, with the extents asked for, by some shape."""
    kind = category(name)
    plausible, _ = drawn(kind, seed)
    size = kind.fit(tuple(a * b for a, b in zip(plausible, stretch, strict=True)))  # type: ignore[arg-type]
    assert kind.fit(size) == pytest.approx(size)
    asset = kind.sample(np.random.default_rng(seed), size)
    assert asset.item.size == size
    vertices = [asset.item.body.visual.mesh] if asset.item.body.visual.mesh and not asset.item.parts else []
    for path in vertices:
        points, _ = read_obj(asset.files[path].decode())
        np.testing.assert_allclose(np.ptp(points, axis=0), size, atol=2e-6)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes_other_seed_another_thing(name: str) -> None:
    first, again, other = (category(name).sample(np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == again
    assert first.item.model_dump_json() == again.item.model_dump_json()
    assert first.name != other.name
    assert pickle.loads(pickle.dumps(first)) == first


@pytest.mark.parametrize("name", NAMES)
def test_scene_folder_opens_and_stays(name: str, tmp_path: Path) -> None:
    """Two of a kind in one scene: saved, loaded, compiled with their looks, and settled without moving."""
    things = []
    for k in range(2):
        asset = category(name).sample(np.random.default_rng(k))
        asset.write(tmp_path)
        item = asset.named(f"{name}_{k}")
        x, y, z = item.body.pose.position
        body = item.body.model_copy(
            update={"pose": item.body.pose.model_copy(update={"position": (x + 3.0 * k, y, z)})}
        )
        things.append(item.model_copy(update={"body": body, "support": "floor"}))
        assert set(asset.files) == files_of(Scene(name="s", surfaces=(), objects=(asset.item,)))
    save_scene(Scene(name="two", surfaces=(FLOOR,), objects=tuple(things)), tmp_path)
    scene = load_scene(tmp_path)
    compile_scene(scene)
    result = settle(scene)
    for outcome in result.objects.values():
        assert outcome.stable
        assert outcome.drift < 0.002


@pytest.mark.parametrize("name", NAMES)
def test_plain_to_feel_and_to_draw(name: str) -> None:
    for seed in range(3):
        asset = category(name).sample(np.random.default_rng(seed))
        bodies = [asset.item.body, *(part.body for part in asset.item.parts)]
        assert all(len(body.collision) <= 21 for body in bodies)
        meshes = [body.visual.mesh for body in bodies if body.visual.mesh]
        assert all(len(read_obj(asset.files[mesh].decode())[0]) <= 500 for mesh in meshes)


@pytest.mark.parametrize("name", NAMES)
def test_weighs_what_its_materials_say(name: str) -> None:
    """The source of its mass names a material of its category, with the density of the table."""
    for seed in range(4):
        item = category(name).sample(np.random.default_rng(seed)).item
        sources = [item.body.inertial.mass.source, *(part.body.inertial.mass.source for part in item.parts)]
        told = dict(re.findall(r"cm\^3 of (\w+) at (\S+) kg", " + ".join(sources)))
        assert set(told) & set(category(name).materials)
        assert all(float(density) == MATERIALS[name].density.value for name, density in told.items())


def test_articulated_things_have_handles_where_hands_go() -> None:
    for name in ("cabinet", "drawer_unit", "fridge", "oven", "sink", "door", "kettle", "lamp"):
        asset = category(name).sample(np.random.default_rng(5))
        assert asset.item.parts
        for part in asset.item.parts:
            assert part.handle is not None
            height = asset.item.size[2] / 2 + part.body.pose.position[2] + part.handle.position[2]
            assert 0.0 < height < 2.0
            outward = np.array(part.handle.outward)
            shapes = [np.array(shape.pose.position) for shape in part.body.collision if shape.shape != "mesh"]
            reach = max(float(place @ outward) for place in shapes)
            assert float(np.array(part.handle.position) @ outward) > reach - 0.03


def test_mug_is_open_and_a_can_is_not(tmp_path: Path) -> None:
    """A ray from above reaches the bottom of what is a container, and stops at the top of what is closed."""

    def depth(name: str) -> float:
        asset = category(name).sample(np.random.default_rng(4))
        asset.write(tmp_path)
        model = compile_scene(Scene(name="one", surfaces=(), objects=(asset.item,)).in_folder(tmp_path), visuals=False)
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        x = (asset.item.size[1] - asset.item.size[0]) / 2 if name == "mug" else 0.0  # the middle of the cup
        found = np.zeros((1, 1), np.int32)
        above = np.array([x, 0.0, 1.0])
        hit = mujoco.mj_ray(model, data, above, np.array([0.0, 0.0, -1.0]), None, 1, -1, found)
        return (asset.item.size[2] - (1.0 - float(hit))) / asset.item.size[2]

    assert all(depth(name) > 0.7 for name in ("mug", "cup", "bowl", "pot", "tray"))
    assert all(depth(name) < 0.02 for name in ("can", "jar", "box", "bottle"))


def test_ball_rolls_and_block_slides() -> None:
    assert category("ball").rolls
    assert not category("block").rolls


def test_densities_are_those_of_this_world() -> None:
    assert all(20 < material.density.value < 9000 for material in MATERIALS.values())


def test_every_material_has_its_source() -> None:
    for material in MATERIALS.values():
        assert len(material.density.source) > 5
        assert len(material.friction.source) > 5
        assert 0.1 < material.friction.low < material.friction.high <= 1.0
        for colour in (material.colour(np.random.default_rng(k)) for k in range(5)):
            assert all(0 <= channel <= 1 for channel in colour)


# Bad input ------------------------------------------------------------------------------------------------------------


def test_unknown_category_is_told_what_there_is() -> None:
    with pytest.raises(AssetError, match="did you mean mug") as error:
        category("mugg")
    assert "drawer_unit" in str(error.value)


@pytest.mark.parametrize("size", [(1.0, 0.08, 0.1), (0.1, 0.08, 0.0), (0.1, math.nan, 0.1), (0.1, 0.08, math.inf)])
def test_sizes_that_cannot_be_are_refused_with_those_that_can(size: Size) -> None:
    _, shape = drawn(category("mug"), 0)
    with pytest.raises(AssetError, match=r"mug: .*is not a size of a mug, which measures"):
        category("mug").build(size, shape, np.random.default_rng(0))
    with pytest.raises(AssetError):
        category("mug").sample(np.random.default_rng(0), size)


def test_proportions_that_cannot_be_are_refused() -> None:
    with pytest.raises(AssetError, match=r"ball: x / y=1\.1"):
        category("ball").sample(np.random.default_rng(0), (0.11, 0.1, 0.1))
    assert category("ball").fit((0.11, 0.1, 0.1)) == pytest.approx([math.sqrt(0.011)] * 3)


def test_shape_parameters_are_named_and_bounded() -> None:
    kind = category("drawer_unit")
    size, shape = drawn(kind, 0)
    rng = np.random.default_rng(0)
    with pytest.raises(AssetError, match=r"missing \['drawers'\]"):
        kind.build(size, {k: v for k, v in shape.items() if k != "drawers"}, rng)
    with pytest.raises(AssetError, match=r"unknown \['wheels'\]"):
        kind.build(size, {**shape, "wheels": 4}, rng)
    with pytest.raises(AssetError, match=r"drawers=2\.5 must be a whole number from 2 to 4"):
        kind.build(size, {**shape, "drawers": 2.5}, rng)
