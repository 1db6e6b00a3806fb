"""Takes residual overlaps out of a room: nothing interpenetrates at rest.

Boxes of a parametric room overlap by centimetres (a chair into its table, a table into a wall). Composite shapes remove
most of it; MuJoCo's own contacts tell what is left. The least invasive cure comes first: trim the overlapping side of
a geom of the movable piece (poses stay as exported), else freeze the piece in place, else close the blocked part.
Every cure is written into the provenance notes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray

from ..scenes import Scene
from ..scenes.mjcf import build_spec
from ..scenes.scene import Body, CollisionGeom, Part, Pose, SceneObject
from .primitives import matrix_of, pose_of, solid_inertial

Float = NDArray[np.float64]

TOLERANCE = 3e-4
"""Overlaps up to this depth [m] are left to the solver, which needs a little to carry weight anyway."""
TRIM_LIMIT = 0.06
"""A geom loses at most this much [m] in all, and keeps half of itself."""
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose geom it is: object (None for the room itself), part (None for its base), index into `collision`."""

    item: SceneObject | None = None
    part: Part | None = None
    index: int = 0

    @property
    def free(self) -> bool:
        return self.item is not None and self.item.mobility == "free"

    @property
    def label(self) -> str:
        return "the room" if self.item is None else self.part.name if self.part else self.item.name


@dataclass(frozen=True, slots=True)
class _Contact:
    first: _Owner
    second: _Owner
    names: tuple[str, str]
    depth: float
    normals: tuple[Float, Float]  # out of either geom, in that geom's frame


def resolve_overlaps(scene: Scene) -> Scene:
    """The scene without overlaps deeper than `TOLERANCE` at rest; poses are untouched."""
    trims: Counter[tuple[str, int]] = Counter()
    for _ in range(ROUNDS):
        contacts = _overlaps(scene)
        if not contacts:
            break
        touched: set[str] = set()
        items = {item.name: item for item in scene.objects}
        for contact in contacts:
            owners = {owner.item.name for owner in (contact.first, contact.second) if owner.item is not None}
            if owners & touched:  # its geoms have changed: look again in the next round
                continue
            touched |= owners
            cured = _cure(contact, trims)
            items[cured.name] = cured
        scene = scene.model_copy(update={"objects": tuple(items[item.name] for item in scene.objects)})
    return scene


def _overlaps(scene: Scene) -> list[_Contact]:
    """Overlaps at the stored poses, deepest first."""
    owners: dict[str, _Owner] = {}
    for item in scene.objects:
        owners |= {f"{item.name}_collision_{i}": _Owner(item, None, i) for i in range(len(item.body.collision))}
        for part in item.parts:
            owners |= {f"{part.name}_collision_{i}": _Owner(item, part, i) for i in range(len(part.body.collision))}
    model = build_spec(scene).compile()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    found: dict[tuple[str, str], _Contact] = {}
    for contact in data.contact:
        if contact.dist > -TOLERANCE:
            continue
        ids = [int(contact.geom[0]), int(contact.geom[1])]
        names = (model.geom(ids[0]).name, model.geom(ids[1]).name)
        depth = -float(contact.dist)
        if names in found and found[names].depth >= depth:
            continue
        out = np.array(contact.frame[:3])  # from geom 1 to geom 2
        first, second = (data.geom_xmat[g].reshape(3, 3) for g in ids)
        pair = (owners.get(names[0], _Owner()), owners.get(names[1], _Owner()))
        found[names] = _Contact(*pair, names, depth, (first.T @ out, -second.T @ out))
    return sorted(found.values(), key=lambda c: -c.depth)


def _cure(contact: _Contact, trims: Counter[tuple[str, int]]) -> SceneObject:
    """The changed object."""
    sides = [(contact.first, contact.normals[0], contact.second), (contact.second, contact.normals[1], contact.first)]
    # Of two free pieces, the lighter one gives way.
    movable = [s for s in sides if s[0].free]
    movable.sort(key=lambda s: s[0].item.body.inertial.mass.value if s[0].item else 0.0)
    for owner, normal, other in movable:
        assert owner.item is not None
        trimmed = _trim(owner, normal, contact.depth, trims)
        if trimmed is not None:
            return _noted(
                trimmed, f"trimmed by {1000 * contact.depth:.0f} mm where its exported box overlaps {other.label}"
            )
    for owner, _, other in movable:
        assert owner.item is not None
        frozen = owner.item.model_copy(update={"mobility": "fixed"})
        return _noted(frozen, f"fixed in place: its exported box overlaps {other.label} too deeply to move freely")
    for owner, _, other in sides:
        if owner.item is not None and owner.part is not None:
            closed = _closed(owner.item, owner.part)
            return _noted(closed, f"{owner.part.name} does not open: {other.label} is in its way")
    raise AssertionError(f"overlap of fixed geoms {contact.names}")  # MuJoCo does not report these


def _trim(owner: _Owner, normal: Float, depth: float, trims: Counter[tuple[str, int]]) -> SceneObject | None:
    """Takes the overlapping side off a box or cylinder, or None where that would take too much."""
    item = owner.item
    assert item is not None
    body: Body = item.body if owner.part is None else owner.part.body
    geom = body.collision[owner.index]
    key = (item.name if owner.part is None else owner.part.name, owner.index)
    axis = int(np.argmax(np.abs(normal)))
    if geom.shape not in ("box", "cylinder") or abs(normal[axis]) < 0.7 or trims[key] >= 4:
        return None
    loss = depth / abs(normal[axis]) + 1e-4
    size = np.array(geom.size)
    if geom.shape == "cylinder" and axis < 2:
        loss = 2 * depth + 1e-4
        axes, shift = [0, 1], np.zeros(3)
    else:
        axes, shift = [axis], np.zeros(3)
        shift[axis] = -np.sign(normal[axis]) * loss / 2
    if loss > TRIM_LIMIT or (size[axes] - loss < 0.5 * size[axes]).any():
        return None
    trims[key] += 1
    size[axes] -= loss
    pose = matrix_of(geom.pose)
    position = pose[:3, 3] + pose[:3, :3] @ shift
    smaller = CollisionGeom(
        shape=geom.shape, size=tuple(size), pose=Pose(position=tuple(position), quaternion=geom.pose.quaternion)
    )
    collision = tuple(smaller if i == owner.index else g for i, g in enumerate(body.collision))
    body = body.model_copy(update={"collision": collision, "inertial": solid_inertial(collision, body.inertial.mass)})
    if owner.part is None:
        return item.model_copy(update={"body": body})
    part = owner.part.model_copy(update={"body": body})
    return item.model_copy(update={"parts": tuple(part if p.name == part.name else p for p in item.parts)})


def _closed(item: SceneObject, part: Part) -> SceneObject:
    """The object with a part made one with its body."""
    frame = matrix_of(part.body.pose)
    moved = tuple(
        geom.model_copy(update={"pose": pose_of(frame @ matrix_of(geom.pose))}) for geom in part.body.collision
    )
    body = item.body.model_copy(update={"collision": (*item.body.collision, *moved)})
    return item.model_copy(update={"body": body, "parts": tuple(p for p in item.parts if p.name != part.name)})


def _noted(item: SceneObject, note: str) -> SceneObject:
    if item.provenance is None or note in item.provenance.notes:
        return item
    provenance = item.provenance.model_copy(update={"notes": (*item.provenance.notes, note)})
    return item.model_copy(update={"provenance": provenance})
