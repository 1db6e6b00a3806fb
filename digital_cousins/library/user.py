"""A user's own things as a library: model files become assets that stand, weigh and collide like the built-in ones.

    report = add_assets(Path("models"), Path("my-library"), category="mug")
    kinds = load_library(Path("my-library"))            # with the built-in categories beside them
    kinds["mug"].sample(np.random.default_rng(0), size=(0.12, 0.08, 0.1))

A library folder holds `library.json` and `meshes/`, and appears complete or not at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from pydantic import ValidationError

from ...errors import AssetError
from ...folders import new_folder
from ...scenes.convex import convex_parts
from ...scenes.mass import homogeneous
from ...scenes.obj import corner_normals, obj_text, read_obj
from ...scenes.scene import Body, CollisionGeom, Estimate, Material, Pose, SceneObject, Visual
from . import CATEGORIES
from .asset import Asset, stored
from .category import Category
from .checks import MAX_VOLUME_ERROR, Checks, check_asset
from .materials import MATERIALS, Substance
from .model_files import FORMATS, Model, read_model
from .own import OwnCategory
from .shapes import Float

INDEX, SCHEMA_VERSION = "library.json", 1
UNKNOWN = "object"
CONVEX = "walls are thicker, or cavities narrower, to the touch than to the eye"


@dataclass(frozen=True)
class Added:
    """An asset that was taken into a library: from which file, what was guessed or mended, and its checks."""

    asset: Asset
    source: str
    notes: tuple[str, ...]
    checks: Checks


@dataclass(frozen=True)
class AddReport:
    """What `add_assets` did: what it took, and the reason for each file that it refused."""

    added: tuple[Added, ...]
    refused: Mapping[str, str]

    def lines(self) -> list[str]:
        """What happened to each file, in words."""
        told = []
        for item in self.added:
            size = " x ".join(f"{100 * side:.1f}" for side in item.asset.item.size)
            mass = item.asset.item.body.inertial.mass.value
            told.append(f"added    {item.source}: {item.asset.category}, {size} cm, {1000 * mass:.0f} g")
            told += [f"         {note}" for note in item.notes]
        return told + [f"refused  {reason}" for reason in self.refused.values()]

    def to_dict(self) -> dict[str, object]:
        """The same as JSON."""
        added = [
            {
                "name": item.asset.name,
                "source": item.source,
                "category": item.asset.category,
                "size": item.asset.item.size,
                "mass": item.asset.item.body.inertial.mass.value,
                "notes": item.notes,
            }
            for item in self.added
        ]
        return {"added": added, "refused": dict(self.refused)}


def add_assets(
    folder: Path,
    out: Path,
    *,
    category: str | None = None,
    material: str | None = None,
    units: str | None = None,
    up: str | None = None,
    notify: Callable[[str, float], None] | None = None,
) -> AddReport:
    """Takes every model file in and below a folder into a library; one that is there is added to.

    Args:
        folder: where the model files are, or one file. out: the library.
        category: of all of them; None takes the folder's or file's name ("mug/3.glb", "mug_3.glb"), or else "object".
        material: what they are made of (`materials.MATERIALS`); None takes what the category is mainly made of.
        units, up: see `read_model`. notify: called with the stage and the share of the work that is done.

    Raises:
        AssetError: there are no model files, or none of them can be used; the message gives the reasons.
    """
    if material is not None and material not in MATERIALS:
        raise AssetError(f"no material {material!r}; choose one of {', '.join(MATERIALS)}")
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.suffix.lower() in FORMATS)
    if not files or not all(path.suffix.lower() in FORMATS for path in files):
        raise AssetError(f"{folder} holds no model files; give a folder with {', '.join(FORMATS)} files")
    kept = _read_index(out) if (out / INDEX).exists() else {}
    added: list[Added] = []
    refused: dict[str, str] = {}
    for number, path in enumerate(files):
        try:
            added.append(_add(path, folder, category or _named(path, folder), material, units, up))
        except AssetError as reason:
            refused[str(path)] = str(reason)
        if notify:
            notify("models", (number + 1) / len(files))
    if not added:
        raise AssetError("no model could be used: " + " | ".join(refused.values()))
    with new_folder(out, replace=bool(kept), marks=(INDEX,), noun="asset library", error=AssetError) as partial:
        entries = {**kept, **{item.asset.name: _entry(item) for item in added}}
        for name, entry in kept.items():
            _loaded(out, name, entry).write(partial)
        for item in added:
            item.asset.write(partial)
        index = {"schema_version": SCHEMA_VERSION, "assets": entries}
        (partial / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return AddReport(tuple(added), refused)


def load_library(folder: Path) -> dict[str, Category | OwnCategory]:
    """The categories of a library folder, beside (and joined with) the built-in ones.

    Raises:
        AssetError: the folder is not a library, or a file of it is broken; the message names the file.
    """
    kinds: dict[str, list[Asset]] = {}
    for name, entry in _read_index(folder).items():
        asset = _loaded(folder, name, entry)
        kinds.setdefault(asset.category, []).append(asset)
    own = {name: OwnCategory(name, tuple(assets), CATEGORIES.get(name)) for name, assets in kinds.items()}
    return {**CATEGORIES, **own}


def describe(folder: Path | None = None) -> list[dict[str, Any]]:
    """Name, sizes [m], tags and number of own assets of each category, a user's library included where one is given."""
    kinds: Mapping[str, Category | OwnCategory] = CATEGORIES if folder is None else load_library(folder)
    return [
        {
            "name": name,
            "sizes": kind.sizes,
            "tags": kind.tags,
            "own": len(kind.assets) if isinstance(kind, OwnCategory) else 0,
        }
        for name, kind in kinds.items()
    ]


def _add(path: Path, folder: Path, category: str, material: str | None, units: str | None, up: str | None) -> Added:
    kind = CATEGORIES.get(category)
    typical = None if kind is None else tuple(float(np.sqrt(low * high)) for low, high in kind.sizes)
    model = read_model(path, units=units, up=up, sizes=typical)  # type: ignore[arg-type]
    substance = MATERIALS[material or (kind.like if kind else "goods")]
    notes = [*model.notes, f"It weighs as if made of {substance.name} all through."]
    source = str(path.relative_to(folder)) if folder.is_dir() else path.name
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(source).with_suffix("").as_posix().replace("/", "-")).strip("_.-")
    asset = _asset(model, model.vertices, category, name or category, substance, kind)
    checks = check_asset(asset, rolls=bool(kind and kind.rolls), volume_note=CONVEX)
    if checks.problems:
        # It may have been modelled upright: laid on its most likely side it may stay.
        turns, _ = trimesh.poses.compute_stable_poses(
            _felt(asset), asset.item.body.inertial.com, sigma=0.0, n_samples=1
        )
        if len(turns):
            laid = model.vertices @ turns[0][:3, :3].T
            other = _asset(model, laid, category, name or category, substance, kind)
            again = check_asset(other, rolls=bool(kind and kind.rolls), volume_note=CONVEX)
            if not again.problems:
                notes.append("It was laid on the side that it most likely rests on.")
                asset, checks = other, again
    if checks.problems:
        raise AssetError(f"{path} was refused: " + "; ".join(checks.problems))
    if abs(checks.volume_ratio - 1) > MAX_VOLUME_ERROR:
        notes.append(f"Its convex parts have {checks.volume_ratio:.0%} of its volume: {CONVEX}.")
    return Added(asset, source, tuple(notes), checks)


def _felt(asset: Asset) -> trimesh.Trimesh:
    """The convex hull of its collision shapes: what it can rest on."""
    meshes = [shape.mesh for shape in asset.item.body.collision if shape.mesh]
    points = np.concatenate([read_obj(asset.files[mesh].decode())[0] for mesh in meshes])
    hull: trimesh.Trimesh = trimesh.convex.convex_hull(points)
    return hull


def _asset(
    model: Model, vertices: Float, category: str, name: str, substance: Substance, kind: Category | None
) -> Asset:
    files: dict[str, bytes] = {}
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    points = vertices - (low + high) / 2
    solid = trimesh.Trimesh(points, model.faces, process=False)
    look = stored(obj_text(points, model.faces, None, corner_normals(points, model.faces)), files)
    shapes = []
    for hull in convex_parts(solid)[0]:
        x, y, z = (float(v) for v in np.ptp(hull.vertices, axis=0))
        shapes.append(CollisionGeom(shape="mesh", size=(x, y, z), mesh=stored(obj_text(*hull), files)))
    volume, density = float(solid.volume), substance.density
    told = f"{1e6 * volume:.0f} cm^3 of {substance.name} at {density.value:g} kg/m^3 ({density.source})"
    mass = Estimate(value=volume * density.value, low=volume * density.low, high=volume * density.high, source=told)
    x, y, z = (float(v) for v in high - low)
    item = SceneObject(
        name=category,
        category=category,
        mobility=kind.mobility if kind else "free",
        size=(x, y, z),
        body=Body(
            pose=Pose(position=(0.0, 0.0, z / 2)),
            collision=tuple(shapes),
            visual=Visual(mesh=look, material=Material(rgba=model.rgba)),
            inertial=homogeneous(solid, mass),
            friction=substance.friction,
        ),
    )
    return Asset(category, name, {"x": x, "y": y, "z": z}, item, files)


def _named(path: Path, folder: Path) -> str:
    """The category that a file's folder or name speaks of."""
    words = [path.parent.name] if path.parent != folder else []
    words += [path.stem, *re.split(r"[^a-z]+", path.stem.lower())]
    return next((word.lower() for word in words if word.lower() in CATEGORIES), UNKNOWN)


def _entry(item: Added) -> dict[str, object]:
    return {
        "category": item.asset.category,
        "source": item.source,
        "notes": list(item.notes),
        "parameters": dict(item.asset.parameters),
        "item": item.asset.item.model_dump(mode="json"),
    }


def _read_index(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / INDEX
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["schema_version"] != SCHEMA_VERSION:
            raise AssetError(
                f"{path}: schema version {index['schema_version']!r} is not {SCHEMA_VERSION}; add its models again"
            )
        return dict(index["assets"])
    except FileNotFoundError:
        raise AssetError(f"{folder} is not an asset library: it has no {INDEX}; make one with "
                         "`pocketworlds library add`") from None  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, AssetError):
            raise
        raise AssetError(f"{path} cannot be read ({error}); add the models again") from error


def _loaded(folder: Path, name: str, entry: Mapping[str, object]) -> Asset:
    try:
        item = SceneObject.model_validate(entry["item"])
        paths = [item.body.visual.mesh, *(shape.mesh for shape in item.body.collision)]
        files = {path: (folder / path).read_bytes() for path in paths if path}
        parameters = dict(zip("xyz", item.size, strict=True))
        return Asset(str(entry["category"]), name, parameters, item, files)
    except (OSError, KeyError, ValidationError) as error:
        told = " ".join(str(error).split())
        raise AssetError(f"{folder / INDEX}: asset {name!r} cannot be read ({told}); add its model again") from error
