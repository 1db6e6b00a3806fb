"""A user's own models: units, axes, holes, weight, and what is refused and why."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image
from pocketworlds.cli import app
from pocketworlds.digital_cousins.library import CATEGORIES, Category
from pocketworlds.digital_cousins.library.checks import check_asset
from pocketworlds.digital_cousins.library.user import Added, add_assets, load_library
from pocketworlds.errors import AssetError
from typer.testing import CliRunner, Result

BOX = (0.12, 0.08, 0.05)


def one(folder: Path, out: Path, **options: str) -> Added:
    report = add_assets(folder, out, **options)  # type: ignore[arg-type]
    assert not report.refused
    (added,) = report.added
    return added


def cup() -> trimesh.Trimesh:
    """A cup of 8 cm with a wall of 4 mm, Z up, in metres."""
    outer = trimesh.creation.cylinder(0.04, 0.09, sections=32)
    inner = trimesh.creation.cylinder(0.036, 0.09, sections=32)
    inner.apply_translation((0, 0, 0.006))
    return trimesh.boolean.difference([outer, inner], engine="manifold")


def beaker() -> trimesh.Trimesh:
    """A cup's outside, solid: quick to add, for it is one convex part."""
    return trimesh.creation.cylinder(0.04, 0.09, sections=32)


def usd_box(path: Path, *, metres: float, up: str) -> None:
    from pxr import Gf, Usd, UsdGeom

    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    UsdGeom.SetStageUpAxis(stage, up)
    box = trimesh.creation.box(tuple(v / metres for v in BOX))
    mesh = UsdGeom.Mesh.Define(stage, "/box")
    mesh.CreatePointsAttr([Gf.Vec3f(*point) for point in box.vertices.tolist()])
    mesh.CreateFaceVertexCountsAttr([3] * len(box.faces))
    mesh.CreateFaceVertexIndicesAttr(box.faces.ravel().tolist())
    mesh.CreateDisplayColorAttr([(0.2, 0.4, 0.6)])
    stage.GetRootLayer().Save()


@pytest.mark.parametrize(
    ("ending", "unit", "scale"), [("stl", "mm", 1000), ("ply", "m", 1), ("obj", "inch", 1 / 0.0254)]
)
def test_units_and_axes_of_files_that_do_not_say(tmp_path: Path, ending: str, unit: str, scale: float) -> None:
    box = trimesh.creation.box(BOX)
    box.apply_scale(scale)
    box.export(tmp_path / f"brick.{ending}")
    added = one(tmp_path, tmp_path / "lib", **({} if unit != "inch" else {"units": "inch", "up": "z"}))
    assert added.asset.item.size == pytest.approx(BOX, abs=1e-6)
    if unit != "inch":
        assert any(f"taken to be {unit}" in note for note in added.notes)
        assert any("Z was taken to be up" in note for note in added.notes)
    volume = math.prod(BOX)
    inertial = added.asset.item.body.inertial
    assert inertial.mass.value == pytest.approx(350 * volume, rel=1e-5)
    wanted = [inertial.mass.value / 12 * (a * a + b * b) for a, b in ((0.08, 0.05), (0.12, 0.05), (0.12, 0.08))]
    assert inertial.inertia[:3] == pytest.approx(wanted, rel=1e-4)


def test_gltf_has_y_up_and_metres_and_the_name_tells_the_category(tmp_path: Path) -> None:
    model = cup()
    model.apply_transform(trimesh.transformations.rotation_matrix(-math.pi / 2, (1, 0, 0)))
    model.visual.face_colors = [200, 60, 30, 255]
    (tmp_path / "models" / "cup").mkdir(parents=True)
    model.export(tmp_path / "models" / "cup" / "red one.glb")
    added = one(tmp_path / "models", tmp_path / "lib")
    assert (added.asset.category, added.asset.name) == ("cup", "cup-red_one")
    assert added.asset.item.size == pytest.approx((0.08, 0.08, 0.09), abs=1e-6)
    assert added.asset.item.body.visual.material.rgba[:3] == pytest.approx((0.78, 0.24, 0.12), abs=0.02)
    assert added.asset.item.body.inertial.mass.value == pytest.approx(float(cup().volume) * 2500, rel=1e-3)
    assert len(added.asset.item.body.collision) > 4  # it stays hollow to the touch
    assert added.checks.problems == ()


@pytest.mark.parametrize("textured", [True, False])
def test_colour_of_texture_or_material_is_kept(tmp_path: Path, textured: bool) -> None:
    box = trimesh.creation.box(BOX)
    picture = Image.fromarray(np.tile(np.uint8([200, 100, 50]), (8, 8, 1))) if textured else None
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=picture, baseColorFactor=None if textured else [200, 100, 50, 255]
    )
    uv = np.random.default_rng(0).random((8, 2)) if textured else None
    box.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    box.export(tmp_path / "box.glb")
    rgba = one(tmp_path, tmp_path / "lib").asset.item.body.visual.material.rgba
    assert rgba == pytest.approx((200 / 255, 100 / 255, 50 / 255, 1.0), abs=0.01)


@pytest.mark.parametrize(("up", "size"), [("Z", (0.12, 0.08, 0.05)), ("Y", (0.12, 0.05, 0.08))])
def test_usd_says_its_units_and_axis(tmp_path: Path, up: str, size: tuple[float, float, float]) -> None:
    usd_box(tmp_path / "crate.usda", metres=0.01, up=up)
    added = one(tmp_path, tmp_path / "lib")
    assert added.asset.item.size == pytest.approx(size, abs=1e-6)
    assert added.asset.item.body.visual.material.rgba[:3] == pytest.approx((0.2, 0.4, 0.6), abs=0.01)
    assert not any("taken" in note for note in added.notes)


def test_hole_is_closed_and_said(tmp_path: Path) -> None:
    box = trimesh.creation.box(BOX)
    box.update_faces(np.arange(len(box.faces)) > 0)
    box.export(tmp_path / "torn.ply")
    added = one(tmp_path, tmp_path / "lib")
    assert any("Holes along 3 edges were closed" in note for note in added.notes)
    assert added.asset.item.body.inertial.mass.value == pytest.approx(350 * math.prod(BOX), rel=1e-5)


def test_pen_that_was_modelled_upright_is_laid_down(tmp_path: Path) -> None:
    trimesh.creation.cylinder(0.004, 0.18).export(tmp_path / "pen.stl")
    added = one(tmp_path, tmp_path / "lib", material="abs")
    assert any("laid on the side" in note for note in added.notes)
    assert added.asset.item.size[2] < 0.01


def test_same_files_same_library(tmp_path: Path) -> None:
    beaker().export(tmp_path / "cup.stl")
    for name in ("a", "b"):
        add_assets(tmp_path / "cup.stl", tmp_path / name)
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")) for n in ("a", "b")]
    assert files[0] == files[1]
    assert (tmp_path / "a" / "library.json").read_bytes() == (tmp_path / "b" / "library.json").read_bytes()


def test_library_is_drawn_from_by_size_beside_the_built_in_ones(tmp_path: Path) -> None:
    beaker().export(tmp_path / "cup.stl")
    trimesh.creation.box(BOX).export(tmp_path / "gadget.stl")
    assert len(add_assets(tmp_path, tmp_path / "lib").added) == 2
    kinds = load_library(tmp_path / "lib")
    assert set(kinds) == {*CATEGORIES, "object"}
    assert isinstance(kinds["mug"], Category)

    double = kinds["object"].sample(np.random.default_rng(0), (0.24, 0.16, 0.1))
    assert double.item.size == pytest.approx((0.24, 0.16, 0.1), abs=1e-6)
    assert double.item.body.inertial.mass.value == pytest.approx(8 * 350 * math.prod(BOX), rel=1e-5)
    assert check_asset(double).problems == ()
    with pytest.raises(AssetError, match="no object of the library has about the proportions of 50 x 50 x 500 mm"):
        kinds["object"].sample(np.random.default_rng(0), (0.05, 0.05, 0.5))

    drawn = {kinds["cup"].sample(np.random.default_rng(seed), (0.07, 0.07, 0.08)).name for seed in range(20)}
    assert "cup" in drawn  # the user's
    assert len(drawn) > 1  # and built-in ones
    assert kinds["cup"].sizes[2] == CATEGORIES["cup"].sizes[2]


def test_library_is_added_to(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        trimesh.creation.box(BOX).export(tmp_path / name / f"{name}.stl")
        add_assets(tmp_path / name, tmp_path / "lib")
    index = json.loads((tmp_path / "lib" / "library.json").read_text())
    assert sorted(index["assets"]) == ["first", "second"]
    assert {asset.name for asset in load_library(tmp_path / "lib")["object"].assets} == {"first", "second"}  # type: ignore[union-attr]


# Bad input ------------------------------------------------------------------------------------------------------------


def test_each_bad_file_is_refused_with_its_reason_and_the_good_one_stays(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    trimesh.creation.box(BOX).export(models / "good.stl")
    trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]).export(models / "flat.stl")
    trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2], [0, 2, 1]]).export(models / "paper.ply")
    trimesh.PointCloud(np.random.default_rng(0).random((50, 3))).export(models / "points.ply")
    (models / "broken.glb").write_bytes(b"glTF, but not really")
    (models / "broken.usda").write_text("not usd")
    report = add_assets(models, tmp_path / "lib")
    assert [item.source for item in report.added] == ["good.stl"]
    reasons = {Path(path).name: reason for path, reason in report.refused.items()}
    assert set(reasons) == {"flat.stl", "paper.ply", "points.ply", "broken.glb", "broken.usda"}
    assert "is not closed" in reasons["flat.stl"]
    assert "no faces" in reasons["points.ply"]
    assert "cannot be read" in reasons["broken.glb"]
    assert all(name in reason for name, reason in reasons.items())


def test_nothing_is_written_where_nothing_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]]).export(tmp_path / "models" / "flat.stl")
    with pytest.raises(AssetError, match=r"no model could be used: .*is not closed"):
        add_assets(tmp_path / "models", tmp_path / "lib")
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match="holds no model files"):
        add_assets(tmp_path, tmp_path / "lib")
    with pytest.raises(AssetError, match="is not an asset library"):
        load_library(tmp_path)
    with pytest.raises(AssetError, match="no material 'gold'; choose one of wood"):
        add_assets(tmp_path, tmp_path / "lib", material="gold")
    trimesh.creation.box(BOX).export(tmp_path / "box.stl")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("keep me")
    with pytest.raises(AssetError, match="exists already"):
        add_assets(tmp_path, tmp_path / "mine")
    assert (tmp_path / "mine" / "letter.txt").read_text() == "keep me"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema_version": 9, "assets": {}}', '{"schema_version": 1, "assets": {"a": {}}}']
)
def test_broken_index_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "library.json").write_text(text)
    with pytest.raises(AssetError, match=r"library\.json"):
        load_library(tmp_path)


# The command line -----------------------------------------------------------------------------------------------------


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_commands(tmp_path: Path) -> None:
    beaker().export(tmp_path / "one.stl")
    done = run("library", "add", tmp_path, "--out", tmp_path / "lib", "--category", "cup", "--json")
    assert done.exit_code == 0, done.output
    (added,) = json.loads(done.stdout)["added"]
    assert added["category"] == "cup"
    assert added["size"] == pytest.approx([0.08, 0.08, 0.09], abs=1e-6)
    listed = run("library", "list", tmp_path / "lib", "--json")
    own = {row["name"]: row["own"] for row in json.loads(listed.stdout)["categories"]}
    assert (own["cup"], own["mug"]) == (1, 0)
    failed = run("library", "list", tmp_path)
    assert failed.exit_code == 2
    assert "is not an asset library" in failed.stderr
