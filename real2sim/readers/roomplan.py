"""Apple RoomPlan `CapturedRoom` as JSON (`JSONEncoder`), checked on a real version 2 export.

Each of `walls, doors, windows, openings, floors, objects` lists boxes: `dimensions` (full extents, metres; 0 thick
for surfaces), `transform` (16 numbers, **column-major** local-to-world, +Y-up world, centre of the box), one-key
dictionaries `category` and `confidence`, `attributes`, `parentIdentifier` and `polygonCorners`. `coreModel` is opaque
and ignored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import CaptureError
from ..capture import Z_UP_FROM_Y_UP, Capture, Float, RoomElement, RoomKind, Skipped
from .archive import Source
from .parse import JsonObject, as_list, as_numbers, as_object, as_text, json_object
from .poses import rigid

LISTS: dict[str, RoomKind] = {
    "walls": "wall",
    "doors": "door",
    "windows": "window",
    "openings": "opening",
    "floors": "floor",
    "objects": "object",
}

MAX_SIZE = 200.0
"""Metres; RoomPlan's own limit is a room of about 9 x 9 m, structures of several rooms are larger."""


def is_room(data: JsonObject) -> bool:
    """Whether a JSON object looks like a `CapturedRoom`."""
    return isinstance(data.get("walls"), list) and any(isinstance(data.get(key), list) for key in ("objects", "doors"))


def read(source: Source, name: str) -> Capture:
    """Reads every box of the room; damaged boxes are skipped and counted."""
    where = source.where(name)
    data = json_object(source, name)
    if not is_room(data):
        raise CaptureError(f"{where}: JSON, but not a RoomPlan CapturedRoom (it lists no walls and objects)")
    elements: dict[str, RoomElement] = {}
    skipped: list[Skipped] = []
    for key, kind in LISTS.items():
        for number, entry in enumerate(as_list(data.get(key), f"{where}: {key}")):
            label = f"{key}[{number}]"
            try:
                element = _element(as_object(entry, f"{where}: {label}"), kind, f"{where}: {label}")
                if element.identifier in elements:
                    raise CaptureError(f"{where}: {label}: identifier {element.identifier} came before")
                elements[element.identifier] = element
            except CaptureError as error:
                skipped.append(Skipped(label, str(error)))
    return room_capture(source, name, list(elements.values()), skipped, "roomplan-json", [])


def room_capture(
    source: Source, name: str, elements: list[RoomElement], skipped: list[Skipped], form: str, notes: list[str]
) -> Capture:
    """A capture of room boxes.

    Raises:
        CaptureError: if there are none.
    """
    if not elements:
        reasons = "; ".join(skip.reason for skip in skipped[:3]) or "it is empty"
        raise CaptureError(f"{source.where(name)}: no usable wall, door, window, floor or object ({reasons})")
    known = {element.identifier for element in elements}
    orphans = sum(element.parent is not None and element.parent not in known for element in elements)
    if orphans:
        notes.append(f"{orphans} boxes name a parent that is not in the room.")
    notes.append("RoomPlan gives boxes only: no depth, no pictures, walls without thickness.")
    return Capture(source.path, form, room=tuple(elements), notes=tuple(notes), skipped=tuple(skipped))


def _element(entry: JsonObject, kind: RoomKind, where: str) -> RoomElement:
    size = as_numbers(entry.get("dimensions"), 3, f"{where}: dimensions")
    checked_size(size, where)
    matrix = as_numbers(entry.get("transform"), 16, f"{where}: transform").reshape(4, 4).T  # column-major
    category, details = _one_key(entry.get("category"), f"{where}: category")
    confidence, _ = _one_key(entry.get("confidence", "high"), f"{where}: confidence")
    attributes = entry.get("attributes")
    parent = entry.get("parentIdentifier")
    corners = as_list(entry.get("polygonCorners"), f"{where}: polygonCorners")
    polygon: Float | None = None
    if corners:
        polygon = np.stack([as_numbers(corner, 3, f"{where}: polygonCorners") for corner in corners])
    return RoomElement(
        kind=kind,
        category=category if kind == "object" else kind,
        identifier=as_text(entry.get("identifier"), f"{where}: identifier"),
        parent=None if parent is None else as_text(parent, f"{where}: parentIdentifier"),
        size=size,
        world_from_local=Z_UP_FROM_Y_UP @ rigid(matrix, where),
        confidence=confidence,
        attributes={**details, **(attributes if isinstance(attributes, dict) else {})},
        polygon=polygon,
    )


def checked_size(size: Float, where: str) -> None:
    """A box may be flat, but not a line, negative or larger than a house."""
    if (size < 0).any() or (size > MAX_SIZE).any() or (size > 1e-3).sum() < 2:
        raise CaptureError(f"{where}: dimensions {size.tolist()} m are impossible")


def _one_key(value: Any, where: str) -> tuple[str, dict[str, Any]]:
    """Swift writes an enum as {"name": {its values}} or, without values in some versions, as "name"."""
    if isinstance(value, str):
        return value, {}
    pairs = list(as_object(value, where).items())
    if len(pairs) != 1:
        raise CaptureError(f"{where}: expected one key, found {len(pairs)}")
    name, details = pairs[0]
    return name, dict(details) if isinstance(details, dict) else {}
