"""A parametric room (Apple RoomPlan) becomes a scene: every wall, door, window, opening, floor and piece of furniture.

`room_to_scene` places the room so that the floor is z = 0, the longest wall runs along X or Y, the walls centred;
`scene.source["world_from_capture"]` holds that transform and `exported_elements(scene)` gives back every element as
exported, with the names of what it became. Conventions that RoomPlan does not document, read off real exports:

- a wall's local +Z points into the room;
- furniture faces local +Z (a sofa's or cabinet's -Z side stands flush with its wall, a chair's +Z looks at its table).
  Where +Z is walled in, a piece that stands against walls is turned to face away from the nearest wall instead.

Tables, chairs and stools are free; all else is fixed, and storage and appliances open (see `articulation`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaptureError
from ..scenes import Scene
from ..scenes.scene import Body, Camera, Material, Pose, Provenance, SceneObject, Surface, Visual
from .articulation import ArticulationModel, ArticulationQuery, Rect, RuleBasedArticulation
from .capture import RoomElement
from .doors import build_door, choose_swing, convex_overlap
from .furniture import (
    Extents,
    category_word,
    friction_estimate,
    furnish,
    mass_estimate,
    prior_of,
)
from .overlaps import resolve_overlaps
from .piece import Piece, box_corners
from .primitives import pose_of, solid_inertial
from .walls import (
    Placed,
    Wall,
    floor_outline,
    floor_surfaces,
    make_wall,
    opening_surface,
    parent_wall,
    wall_surfaces,
    window_surfaces,
)

Float = NDArray[np.float64]

SNAP = 0.05
"""Furniture that ends this near its support [m] is taken to stand on it."""


def room_to_scene(
    room: Sequence[RoomElement],
    *,
    name: str = "room",
    wall_thickness: float = 0.10,
    ground: float = 3.0,
    articulation: ArticulationModel | None = None,
) -> Scene:
    """The room as a scene made of primitives: nothing overlaps at rest, states are at rest up to solver compliance.

    Args:
        room: elements in the capture's Z-up world, any order.
        name: of the scene.
        wall_thickness: metres that walls grow outwards (RoomPlan's have none).
        ground: metres of ground around the floor, so that a robot can leave through a door.
        articulation: takes furniture apart; `RuleBasedArticulation` where None.

    Raises:
        CaptureError: the room is empty, or an element has no finite rigid pose, no size, or a size out of all reason.
    """
    if not room:
        raise CaptureError("the room has no elements; scan again and wait until RoomPlan shows walls before stopping")
    world_from_capture = world_transform(room)
    placed = _place(room, world_from_capture)
    kinds = {
        kind: [p for p in placed if p.element.kind == kind] for kind in ("wall", "door", "window", "opening", "floor")
    }
    notes = ["RoomPlan exports no ceiling, and walls without thickness"]
    floors = kinds["floor"] or [_assumed_floor(placed)]
    if not kinds["floor"]:
        notes.append("no floor was exported: it is assumed under the lowest wall or piece")
    outlines = [floor_outline(p) for p in floors]
    walls = [make_wall(p, outlines, wall_thickness) for p in kinds["wall"]]
    hosts = {id(p): parent_wall(p, walls) for kind in ("door", "window", "opening") for p in kinds[kind]}

    surfaces: list[Surface] = []
    for index, floor in enumerate(floors):
        surfaces += floor_surfaces(floor, ground=ground if index == 0 else 0.0)
    for wall in walls:
        holes = [p for kind in ("door", "window", "opening") for p in kinds[kind] if hosts[id(p)] is wall]
        surfaces += wall_surfaces(wall, holes)
    for pane in kinds["window"]:
        surfaces += window_surfaces(pane, hosts[id(pane)])
    surfaces += [opening_surface(p, hosts[id(p)]) for p in kinds["opening"]]

    pieces = [Piece(p, walls) for p in placed if p.element.kind == "object"]
    objects = [_door(p, hosts[id(p)], walls, pieces) for p in kinds["door"]]
    model = articulation or RuleBasedArticulation()
    objects += [_furniture(piece, pieces, floors[0].name, model) for piece in pieces]
    scene = Scene(
        name=name,
        surfaces=tuple(surfaces),
        objects=tuple(objects),
        cameras=_cameras(surfaces, pieces, kinds["door"]),
        source={
            "format": "roomplan",
            "world_from_capture": world_from_capture.tolist(),
            "room": [_record(p, surfaces, objects) for p in placed],
            "notes": notes,
        },
    )
    return resolve_overlaps(scene)


def exported_elements(scene: Scene) -> list[tuple[RoomElement, list[str], Float]]:
    """What the room was made from: each element as exported, the names of its surfaces or object, its exported pose
    in the scene's world (float64 [4, 4], world from the element's local frame)."""
    world = np.array(scene.source["world_from_capture"], dtype=np.float64)
    found = []
    for record in scene.source["room"]:
        values: dict[str, Any] = {key: value for key, value in record.items() if key != "names"}
        for key in ("size", "world_from_local", "polygon"):
            values[key] = None if values[key] is None else np.array(values[key], dtype=np.float64)
        element = RoomElement(**values)
        found.append((element, list(record["names"]), world @ element.world_from_local))
    return found


def world_transform(room: Sequence[RoomElement]) -> Float:
    """Rigid transform float64 [4, 4]: longest wall along X or Y, room centred, lowest floor at z = 0."""
    walls = [e for e in room if e.kind == "wall"]
    longest = max(walls or room, key=lambda e: float(e.size[0]))
    x = longest.world_from_local[:3, 0]
    yaw = float(np.arctan2(x[1], x[0]))
    yaw -= np.round(yaw / (np.pi / 2)) * np.pi / 2  # the smallest turn that aligns it
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]]
    corners = np.concatenate([box_corners(turn @ e.world_from_local, e.size) for e in walls or room])
    floors = [float(e.world_from_local[2, 3]) for e in room if e.kind == "floor"]
    lows = [float(box_corners(e.world_from_local, e.size)[:, 2].min()) for e in room]
    level = min(floors or lows)
    middle = (corners.min(axis=0) + corners.max(axis=0)) / 2
    turn[:3, 3] = [-middle[0], -middle[1], -level]
    return turn


def _place(room: Sequence[RoomElement], world_from_capture: Float) -> list[Placed]:
    counts: Counter[str] = Counter()
    placed = []
    for element in room:
        word = category_word(element.category if element.kind == "object" else element.kind)
        counts[word] += 1
        _check(element)
        placed.append(Placed(element, f"{word}_{counts[word]}", world_from_capture @ element.world_from_local))
    return placed


def _check(element: RoomElement) -> None:
    what = f"{element.kind} {element.identifier} ({element.category})"
    size, pose = np.asarray(element.size, dtype=float), np.asarray(element.world_from_local, dtype=float)
    if size.shape != (3,) or not np.isfinite(size).all() or (size < 0).any() or size.max() > 200:
        raise CaptureError(f"{what} has dimensions {size.tolist()}; expected three lengths of 0 to 200 metres")
    needed = size if element.kind == "object" else np.sort(size)[1:]
    if needed.min() < 1e-3:
        raise CaptureError(f"{what} has dimensions {size.tolist()}: too flat to rebuild; export the room again")
    rotation = pose[:3, :3]
    if pose.shape != (4, 4) or not np.isfinite(pose).all() or np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3:
        raise CaptureError(f"{what} has no rigid pose: its transform must be a finite rotation and translation")
    if np.linalg.det(rotation) < 0 or np.abs(pose[:3, 3]).max() > 1e4:
        raise CaptureError(f"{what} is mirrored or lies kilometres away; export the room again")


def _assumed_floor(placed: Sequence[Placed]) -> Placed:
    corners = np.concatenate([box_corners(p.pose, p.element.size) for p in placed])
    low, high = corners.min(axis=0), corners.max(axis=0)
    pose = np.eye(4)
    pose[:3, 3] = [*((low + high) / 2)[:2], low[2]]
    size = np.array([*np.maximum(high - low, 1.0)[:2], 0.0])
    return Placed(RoomElement("floor", "floor", "assumed-floor", None, size, pose), "floor_1", pose)


def _furniture(piece: Piece, pieces: Sequence[Piece], floor: str, model: ArticulationModel) -> SceneObject:
    placed, category, notes = piece.placed, piece.category, list(piece.notes)
    support, level = _support(piece, pieces, floor)
    box, gap = piece.box, piece.bottom - level
    if piece.upright and support is not None and level < piece.top - 0.02:
        box = Extents(box.width, box.depth, level - float(piece.pose[2, 3]), box.top)
        if abs(gap) > 1e-3:
            notes.append(f"its lower end is moved by {1000 * abs(gap):.0f} mm to stand on {support}")
    else:
        support = None
    mass, friction, rgba = mass_estimate(category, box), friction_estimate(category), prior_of(category).rgba
    query = ArticulationQuery(
        name=placed.name,
        category=category,
        box=box,
        elevation=piece.bottom,
        mass=mass,
        friction=friction,
        rgba=rgba,
        attributes=placed.element.attributes,
        blocked=_blocked(piece, pieces) if category == "storage" else (),
        world_from_body=piece.pose,
    )
    opened = model.articulate(query)
    geoms = list(opened.base) if opened else furnish(category, box, placed.element.attributes)
    free = prior_of(category).free
    if opened:
        notes += opened.notes
    if free and support != floor:
        free = False
        notes.append("fixed in place: it does not stand on the floor, and RoomPlan does not tell what would carry it")
    if not free and not opened:
        notes.append("fixed in place: too heavy to push, or built in")
    notes.append(
        f"a {category} of primitives within the exported box; RoomPlan tells neither its shape nor which sides it saw"
        f" (confidence {placed.element.confidence})"
    )
    return SceneObject(
        name=placed.name,
        category=category,
        mobility="free" if free else "fixed",
        size=(box.width, box.depth, piece.box.height),
        support=support,
        body=Body(
            pose=pose_of(piece.pose),
            collision=tuple(geoms),
            visual=Visual(material=Material(rgba=rgba)),
            inertial=solid_inertial(geoms, opened.base_mass if opened else mass),
            friction=friction,
        ),
        parts=opened.parts if opened else (),
        provenance=Provenance(completion="roomplan", observed_fraction=0.0, fit_error=0.0, notes=tuple(notes)),
    )


def _support(piece: Piece, pieces: Sequence[Piece], floor: str) -> tuple[str | None, float]:
    """Name and height [m] of what a piece stands on: the floor, or the piece whose top is right below it."""
    if piece.bottom <= SNAP:
        return floor, 0.0
    center = np.array([piece.pose[:2, 3]])
    for other in pieces:
        near = abs(other.top - piece.bottom) <= SNAP and other.upright and other is not piece
        if near and convex_overlap(other.footprint(), center + 0.01 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])):
            return other.placed.name, other.top
    return None, piece.bottom


def _blocked(piece: Piece, pieces: Sequence[Piece]) -> tuple[Rect, ...]:
    """Regions of a cabinet's front that other fixed pieces take: appliances within its foremost 10 cm."""
    zone = piece.footprint(front=0.1)
    found = []
    to_body = np.linalg.inv(piece.pose)
    for other in pieces:
        if other is piece or prior_of(other.category).free or not convex_overlap(zone, other.footprint()):
            continue
        corners = box_corners(other.pose, np.array([other.box.width, other.box.depth, other.box.height]))
        local = corners @ to_body[:3, :3].T + to_body[:3, 3]
        low, high = local.min(axis=0), local.max(axis=0)
        found.append(Rect((float(low[0]), float(high[0])), (float(low[2]), float(high[2]))))
    return tuple(found)


def _door(placed: Placed, wall: Wall | None, walls: Sequence[Wall], pieces: Sequence[Piece]) -> SceneObject:
    wall = wall or Wall(placed, 1, -0.1, 0.0)
    inside = wall.placed.pose[:3, 2] * (wall.inside or 1)
    up = placed.pose[:3, 1]
    pose = wall.slice(placed.pose)
    pose[:3, :3] = np.stack([np.cross(-inside, up), -inside, up], axis=1)
    width, height, _ = placed.size
    box = Extents(width, wall.thickness, -height / 2, height / 2)
    top = float(pose[2, 3]) + height / 2
    flat = [piece.footprint() for piece in pieces if piece.bottom < top]
    flat += [other.footprint() for other in walls if other is not wall]
    obstacles = [(polygon - pose[:2, 3]) @ pose[:2, :2] for polygon in flat]
    is_open = placed.element.attributes.get("isOpen") is True
    friction = friction_estimate("storage")
    swing = choose_swing(box, obstacles)
    plan = build_door(placed.name, box, -float(pose[2, 3]), swing, is_open=is_open, friction=friction)
    return SceneObject(
        name=placed.name,
        category="door",
        mobility="fixed",
        size=(width, wall.thickness, height),
        body=plan.frame.model_copy(update={"pose": pose_of(pose)}),
        parts=plan.leaves,
        provenance=Provenance(completion="roomplan", observed_fraction=0.0, fit_error=0.0, notes=plan.notes),
    )


def _record(placed: Placed, surfaces: Sequence[Surface], objects: Sequence[SceneObject]) -> dict[str, Any]:
    element = placed.element
    names = [s.name for s in surfaces if placed.name in (s.name, s.parent) and s.kind == element.kind]
    names += [item.name for item in objects if item.name == placed.name]
    return {
        "kind": element.kind,
        "category": element.category,
        "identifier": element.identifier,
        "parent": element.parent,
        "size": np.asarray(element.size, dtype=float).tolist(),
        "world_from_local": np.asarray(element.world_from_local, dtype=float).tolist(),
        "confidence": element.confidence,
        "attributes": dict(element.attributes),
        "polygon": None if element.polygon is None else np.asarray(element.polygon, dtype=float).tolist(),
        "names": names,
    }


def _cameras(surfaces: Sequence[Surface], pieces: Sequence[Piece], doors: Sequence[Placed]) -> tuple[Camera, ...]:
    """A view down into the room (there is no ceiling), and one from its emptiest corner at eye height."""
    points = [(s.pose.position[0], s.pose.position[1]) for s in surfaces if s.kind == "wall"]
    points += [tuple(corner) for piece in pieces for corner in piece.footprint()]
    xy = np.array(points or [(-2.0, -2.0), (2.0, 2.0)])
    low, high = xy.min(axis=0), xy.max(axis=0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1.0)
    far = 1.25 * float(np.hypot(*half)) / np.tan(0.45)
    above = np.array([*middle, 0.5]) + far * np.array([-0.30, -0.38, 0.875])
    corners = middle + np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (half - 0.25)
    taken = np.array([*(p.pose[:2, 3] for p in pieces), *(p.pose[:2, 3] for p in doors)] or [middle])
    corner = corners[int(np.argmax(np.linalg.norm(corners[:, None] - taken[None], axis=2).min(axis=1)))]
    return (
        Camera(name="overview", pose=_looking(above, np.array([*middle, 0.6])), fovy=0.9),
        Camera(name="corner", pose=_looking(np.array([*corner, 1.65]), np.array([*middle, 0.7])), fovy=1.25),
    )


def _looking(eye: Float, target: Float) -> Pose:
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    pose[:3, 3] = eye
    return pose_of(pose)
