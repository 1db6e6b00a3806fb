"""Furniture of which the scan saw the seat, the back and some legs, against the furniture it was."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from pocketworlds.real2sim.capture import Float
from pocketworlds.real2sim.legs import add_legs
from pocketworlds.real2sim.volume import Grid, Volume
from scipy import ndimage

SEAT, THICK, HALF = 0.45, 0.05, 0.2
VOXEL = 0.01
LEGS = {
    "front left": (0.17, 0.17),
    "front right": (0.17, -0.17),
    "back left": (-0.17, 0.17),
    "back right": (-0.17, -0.17),
}
"""Legs of a chair that looks along +x, as one who sits on it names them."""


def surface(boxes: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> tuple[Float, Float]:
    """Points and normals on boxes given by their low and high corners."""
    points, normals = [], []
    for low, high in boxes:
        mesh = trimesh.creation.box(bounds=[low, high])
        count = int(mesh.area / 0.008**2)
        sample, face = trimesh.sample.sample_surface(mesh, count, seed=0)
        points.append(sample)
        normals.append(mesh.face_normals[face])
    return np.concatenate(points), np.concatenate(normals)


def chair(seen: dict[str, float]) -> tuple[Volume, Grid, Float, Float]:
    """What carving makes of a chair with a seat and a back, and legs seen from the given heights upwards.

    Under the seat hangs the unknown: a pyramid that no view reached.
    """
    boxes = [((-HALF, -HALF, SEAT - THICK), (HALF, HALF, SEAT)), ((-HALF, -HALF, SEAT), (-HALF + 0.04, HALF, 0.9))]
    for name, start in seen.items():
        x, y = LEGS[name]
        boxes.append(((x - 0.015, y - 0.015, start), (x + 0.015, y + 0.015, SEAT - THICK)))
    points, normals = surface(boxes)
    origin = np.array([-0.25, -0.25, VOXEL / 2])
    shape = (51, 51, 92)
    empty = np.zeros(shape, np.float32)
    volume = Volume(origin, VOXEL, empty, empty, empty > 0)
    center = volume.centers()
    solid = np.zeros(len(center), bool)
    for low, high in boxes:
        solid |= ((center >= low) & (center <= high)).all(axis=1)
    below = center[:, 2] < SEAT - THICK
    solid |= below & (np.abs(center[:, :2]).max(axis=1) < 0.18 * center[:, 2] / SEAT)
    return volume, np.where(solid, -VOXEL, VOXEL).reshape(shape).astype(np.float32), points, normals


def feet(volume: Volume, field: Grid) -> Float:
    """Middles [N, 2] of what touches the floor."""
    parts, count = ndimage.label(field[:, :, 0] < 0)
    middles = ndimage.center_of_mass(parts > 0, parts, range(1, count + 1))
    places = volume.origin[:2] + VOXEL * np.array(middles).reshape(-1, 2)
    return np.array(sorted(places.tolist(), key=lambda xy: (xy[0] > 0, xy[1] > 0)))


@pytest.mark.parametrize("missing", [*LEGS], ids=str)
def test_leg_that_was_not_seen_is_mirrored_and_named(missing: str) -> None:
    volume, field, points, normals = chair({name: 0.0 for name in LEGS if name != missing})
    result, notes = add_legs(volume, field, 0.0, points, normals)
    assert len(notes) == 1
    assert missing in notes[0]
    np.testing.assert_allclose(feet(volume, result), sorted(LEGS.values()), atol=0.015)
    assert ndimage.label(result < 0)[1] == 1


def test_unknown_space_under_the_seat_is_open() -> None:
    volume, field, points, normals = chair(dict.fromkeys(LEGS, 0.0))
    result, notes = add_legs(volume, field, 0.0, points, normals)
    assert notes == ()
    middle = result[15:36, 15:36, : int(0.35 / VOXEL)]
    assert (field[15:36, 15:36, : int(0.35 / VOXEL)] < 0).any()
    assert not (middle < 0).any()


def test_leg_of_which_only_the_upper_half_was_seen_goes_on_to_the_floor() -> None:
    volume, field, points, normals = chair(dict.fromkeys(LEGS, 0.0) | {"front right": 0.15})
    result, notes = add_legs(volume, field, 0.0, points, normals)
    assert len(notes) == 1
    assert "front right" in notes[0]
    assert "15 cm" in notes[0] or "16 cm" in notes[0]
    np.testing.assert_allclose(feet(volume, result), sorted(LEGS.values()), atol=0.015)


def test_cabinet_and_stool_on_one_column_are_left_alone() -> None:
    cabinet = [((-0.2, -0.2, 0.0), (0.2, 0.2, 0.8))]
    stool = [((-0.2, -0.2, 0.4), (0.2, 0.2, 0.45)), ((-0.02, -0.02, 0.0), (0.02, 0.02, 0.4))]
    for boxes in (cabinet, stool):
        volume, field, _, _ = chair({})
        points, normals = surface(boxes)  # type: ignore[arg-type]
        result, notes = add_legs(volume, field, 0.0, points, normals)
        assert notes == ()
        np.testing.assert_array_equal(result, field)
