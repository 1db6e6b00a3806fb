"""The checks find what is wrong: each is given an asset with one fault."""

from __future__ import annotations

import numpy as np
import pytest
from pocketworlds.digital_cousins.library import Asset, category
from pocketworlds.digital_cousins.library.checks import check_asset, check_category, inertia_error
from pocketworlds.digital_cousins.library.pieces import Design
from pocketworlds.scenes.scene import Body, Joint, SceneObject


def mug() -> Asset:
    return category("mug").sample(np.random.default_rng(0))


def changed(asset: Asset, *, item: SceneObject | None = None, files: dict[str, bytes] | None = None) -> Asset:
    return Asset(asset.category, asset.name, asset.parameters, item or asset.item, files or asset.files)


def with_body(asset: Asset, **update: object) -> Asset:
    body: Body = asset.item.body.model_copy(update=update)
    return changed(asset, item=asset.item.model_copy(update={"body": body}))


def test_sound_asset_has_no_problems() -> None:
    asset, found = check_category(category("mug"), 0)
    assert found.problems == ()
    assert found.shapes == len(asset.item.body.collision)
    assert found.inertia_error is not None
    assert found.inertia_error < 1e-3


def test_hole_in_the_mesh_is_found() -> None:
    asset = mug()
    mesh = asset.item.body.visual.mesh
    assert mesh is not None
    lines = asset.files[mesh].decode().splitlines()[:-1]  # the last face
    broken = changed(asset, files={**asset.files, mesh: ("\n".join(lines) + "\n").encode()})
    assert "the mesh of mug is not closed" in check_asset(broken).problems


def test_mesh_inside_out_is_found() -> None:
    asset = mug()
    mesh = asset.item.body.visual.mesh
    assert mesh is not None
    turned = []
    for line in asset.files[mesh].decode().splitlines():
        kind, *words = line.split()
        turned.append(" ".join([kind, *reversed(words)]) if kind == "f" else line)
    broken = changed(asset, files={**asset.files, mesh: ("\n".join(turned) + "\n").encode()})
    assert "the mesh of mug is inside out" in check_asset(broken).problems


def test_missing_wall_is_found() -> None:
    asset = mug()
    half = asset.item.body.collision[: len(asset.item.body.collision) // 2]
    problems = check_asset(with_body(asset, collision=half)).problems
    assert any("of the volume of its look" in told for told in problems)
    assert not any(
        "volume" in told for told in check_asset(with_body(asset, collision=half), volume_note="so").problems
    )


def test_wrong_mass_and_wrong_inertia_are_found() -> None:
    kind = category("block")
    size, shape = (0.06, 0.04, 0.03), {"form": 0.0}
    asset = kind.build(size, shape, np.random.default_rng(0))
    design: Design = kind.design(size, shape, np.random.default_rng(0))
    assert inertia_error(asset, design) < 1e-6
    inertial = asset.item.body.inertial
    longer = inertial.model_copy(update={"inertia": tuple(1.2 * v for v in inertial.inertia)})
    assert inertia_error(with_body(asset, inertial=longer), design) == pytest.approx(0.2, abs=1e-6)
    problems = check_asset(with_body(asset, inertial=longer), design).problems
    assert problems == ("its mass or inertia is off by 20%",)


def test_thing_that_falls_over_is_found() -> None:
    """A bottle whose centre of mass lies beside its foot."""
    asset = category("bottle").sample(np.random.default_rng(1))
    inertial = asset.item.body.inertial.model_copy(update={"com": (asset.item.size[0], 0.0, 0.0)})
    problems = check_asset(with_body(asset, inertial=inertial)).problems
    assert any("it turns by" in told for told in problems)


def cabinet(**joint: object) -> Asset:
    asset = category("cabinet").sample(np.random.default_rng(0))
    first, *others = asset.item.parts
    broken: Joint = first.joint.model_copy(update=joint)
    parts = (first.model_copy(update={"joint": broken}), *others)
    return changed(asset, item=asset.item.model_copy(update={"parts": parts}))


def test_door_that_jams_is_found() -> None:
    problems = check_asset(cabinet(friction_loss=100.0)).problems
    assert any(told.startswith("a hand opens cabinet_left_door by") for told in problems)


def test_door_that_opens_into_its_own_cabinet_is_found() -> None:
    asset = category("cabinet").sample(np.random.default_rng(0))
    axis = tuple(-v for v in asset.item.parts[0].joint.axis)
    problems = check_asset(cabinet(axis=axis)).problems
    assert any("cabinet_left_door passes" in told and "into cabinet as it opens" in told for told in problems)


def test_lid_that_opens_by_itself_is_found() -> None:
    """A hinge whose spring pulls it open, as one does that was fitted the wrong way round."""
    asset = category("oven").sample(np.random.default_rng(0))
    door, *knobs = asset.item.parts
    loose = door.model_copy(update={"joint": door.joint.model_copy(update={"friction_loss": 0.0, "range": (0.3, 1.5)})})
    item = asset.item.model_copy(update={"parts": (loose, *knobs)})
    assert any("opens by itself" in told for told in check_asset(changed(asset, item=item)).problems)
