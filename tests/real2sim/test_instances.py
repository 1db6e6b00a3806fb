from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from pocketworlds.real2sim.capture import Intrinsics
from pocketworlds.real2sim.fusion import Surface
from pocketworlds.real2sim.instances import Segmentation, find_instances
from pocketworlds.real2sim.structure import Structure, find_structure
from pocketworlds.real2sim.views import DepthView

from . import synthetic
from .synthetic import Rebuilt

APART = {(-0.30, -0.20): (0.10, 0.07, 0.05), (-0.30, 0.0): (0.06, 0.06, 0.12), (-0.28, 0.2): (0.20, 0.05, 0.03)}
"""Boxes standing apart: centre and size [m]."""
BOOK, CAN = (0.0, 0.22), (0.02, 0.23)
TOUCHING = {(0.0, -0.02): (0.08, 0.10, 0.04), (0.07, -0.02): (0.06, 0.08, 0.09)}
"""Two boxes with a common wall at x = 0.04."""
BOWL, MUG = (0.28, 0.18), (0.27, -0.2)


@pytest.fixture(scope="module")
def tabletop() -> Rebuilt:
    things = [synthetic.table()]
    things += [synthetic.box(size, xy) for xy, size in (APART | TOUCHING).items()]
    things += [synthetic.box((0.18, 0.13, 0.03), BOOK), synthetic.can(0.066, 0.11, CAN, base=0.03)]
    things += [synthetic.revolved(synthetic.bowl_profile(), BOWL), synthetic.mug(MUG)]
    poses = synthetic.orbit(count=32, distance=0.75, elevations=(30, 50, 70))
    return synthetic.rebuild(synthetic.capture_of(things, poses))


def test_finds_every_object_once_and_nothing_else(tabletop: Rebuilt) -> None:
    instances = tabletop.segmentation.instances
    found = {xy: len(tabletop.at(xy, reach=0.02)) for xy in (*APART, *TOUCHING, BOOK, CAN)}
    assert set(found.values()) == {1}, found
    assert len(instances) == len(APART) + len(TOUCHING) + 4
    members = np.concatenate([instance.vertices for instance in instances])
    assert len(members) == len(set(members.tolist())), "a vertex belongs to two objects"


@pytest.mark.parametrize("xy", APART, ids=str)
def test_box_is_bounded_by_its_sides(tabletop: Rebuilt, xy: tuple[float, float]) -> None:
    (number,) = tabletop.at(xy)
    low, high = tabletop.bounds(number)
    np.testing.assert_allclose((high - low)[:2], APART[xy][:2], atol=0.008)
    np.testing.assert_allclose(((high + low) / 2)[:2], tabletop.truth((*xy, 0))[:2], atol=0.004)
    assert high[2] == pytest.approx(APART[xy][2], abs=0.004)
    assert low[2] < 0.02


def test_touching_boxes_are_parted_at_their_common_wall(tabletop: Rebuilt) -> None:
    low, tall = (tabletop.bounds(tabletop.at(xy, reach=0.02)[0]) for xy in TOUCHING)
    wall = tabletop.truth((0.04, 0, 0))[0]
    # The crease itself is smoothed over two voxels of 4 mm.
    assert low[1, 0] == pytest.approx(wall, abs=0.009)
    assert tall[0, 0] == pytest.approx(wall, abs=0.009)
    assert low[1, 2] == pytest.approx(0.04, abs=0.006)
    assert tall[1, 2] == pytest.approx(0.09, abs=0.004)


def test_can_stands_on_the_book(tabletop: Rebuilt) -> None:
    (book,), (can,) = tabletop.at(BOOK, reach=0.02), tabletop.at(CAN, reach=0.005)
    instances = tabletop.segmentation.instances
    assert instances[book].on is None
    assert instances[book].base == pytest.approx(0, abs=0.002)
    assert instances[can].on == book
    assert instances[can].base == pytest.approx(0.03, abs=0.003)
    assert tabletop.bounds(can)[1, 2] == pytest.approx(0.14, abs=0.004)
    assert tabletop.bounds(book)[1, 2] == pytest.approx(0.03, abs=0.006)


@pytest.mark.parametrize(
    ("xy", "size"), [(BOWL, (0.16, 0.16, 0.07)), (MUG, (0.117, 0.084, 0.095))], ids=["bowl", "mug"]
)
def test_vessel_is_one_object(tabletop: Rebuilt, xy: tuple[float, float], size: Sequence[float]) -> None:
    """The inside of a bowl and the handle of a mug are no objects of their own."""
    (number,) = tabletop.at(xy, reach=0.04)
    low, high = tabletop.bounds(number)
    np.testing.assert_allclose(high - low, size, atol=0.014)
    assert tabletop.segmentation.instances[number].on is None


def test_everything_stands_on_the_main_support(tabletop: Rebuilt) -> None:
    assert {instance.support for instance in tabletop.segmentation.instances} == {0}


def test_segmentation_is_deterministic(tabletop: Rebuilt) -> None:
    again = find_instances(tabletop.surface, tabletop.structure, tabletop.views)
    assert len(again.instances) == len(tabletop.segmentation.instances)
    for one, two in zip(again.instances, tabletop.segmentation.instances, strict=True):
        np.testing.assert_array_equal(one.vertices, two.vertices)


@pytest.mark.parametrize("visible", [0.02, 0.07])
def test_what_runs_out_of_the_scan_is_rejected_with_its_reason(visible: float) -> None:
    """Of a box 20 x 10 x 8 cm only the first `visible` metres were scanned."""
    whole, end = (-0.1, 0.0), 0.25
    cut = synthetic.box((0.2, 0.1, 0.08), (end - visible + 0.1, 0.0))
    things = [synthetic.table(), synthetic.box((0.08, 0.08, 0.06), whole), cut]
    keep = ((-0.4, -0.4, -1), (end, 0.4, 1))
    result = synthetic.rebuild(synthetic.capture_of(things, synthetic.orbit(count=16), keep=keep))
    assert len(result.segmentation.instances) == 1
    assert result.at(whole) == [0]
    (piece,) = result.segmentation.rejected
    assert "edge of the scan" in piece.reason
    np.testing.assert_allclose(piece.center[:2], result.truth((end - visible / 2, 0, 0))[:2], atol=0.01)
    np.testing.assert_allclose(piece.size, (visible, 0.10, 0.08), atol=0.015)


# -------------------------------------------------------------------------------------------------- hand-made surface


def floor_with_boxes(heights: dict[tuple[float, float], float], *, width: float = 0.12, noise: float = 0.0) -> Surface:
    """A level floor of 2 x 2 m on a 1 cm grid, and upright boxes sampled as densely: {centre: height} [m]."""
    step = 0.01
    ticks = np.arange(-1, 1 + step / 2, step)
    x, y = np.meshgrid(ticks, ticks, indexing="ij")
    index = np.arange(len(ticks) ** 2).reshape(x.shape)
    a, b, c, d = (q.ravel() for q in (index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]))
    z = noise * np.random.default_rng(0).standard_normal(x.shape)
    points = [np.stack([x, y, z], axis=-1).reshape(-1, 3)]
    normals = [np.tile([0.0, 0.0, 1.0], (x.size, 1))]
    faces = [np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])]
    for xy, height in heights.items():
        mesh = synthetic.box((width, width, height), xy).mesh.subdivide_to_size(step)
        faces.append(np.asarray(mesh.faces) + sum(len(p) for p in points))
        points.append(np.asarray(mesh.vertices))
        normals.append(np.asarray(mesh.vertex_normals))
    vertices = np.concatenate(points)
    grey = np.full(vertices.shape, 150, np.uint8)
    return Surface(vertices, np.concatenate(normals), grey, np.concatenate(faces).astype(np.int64), step)


def blind_view(position: Sequence[float]) -> DepthView:
    """A view that only says where the phone was."""
    pose = np.eye(4)
    pose[:3, 3] = position
    nothing = np.zeros((24, 32), np.float32)
    return DepthView(0, pose, Intrinsics(30, 30, 16, 12, 32, 24), nothing, None, nothing)


def find(surface: Surface, position: Sequence[float]) -> tuple[Segmentation, Structure]:
    structure = find_structure(surface)
    return find_instances(surface, structure, [blind_view(position)]), structure


def test_thing_within_the_range_noise_is_no_object() -> None:
    """Range noise of 1 % lifts a floor 4 m away by centimetres; the same half a metre away is a thing."""
    surface = floor_with_boxes({(0.3, 0.3): 0.04})
    near, _ = find(surface, (0.3, 0.3, 0.6))
    assert len(near.instances) == 1
    far, _ = find(surface, (4.4, 0.3, 1.2))
    assert far.instances == ()


def test_tall_thing_far_away_is_still_an_object() -> None:
    found, _ = find(floor_with_boxes({(0.3, 0.3): 0.30}), (2.5, 0.3, 1.2))
    assert len(found.instances) == 1


def test_what_the_phone_looked_through_is_not_there() -> None:
    surface = floor_with_boxes({(0.0, 0.0): 0.10, (0.4, 0.4): 0.10})
    structure = find_structure(surface)
    camera = Intrinsics(60, 60, 64, 64, 128, 128)
    poses = [synthetic.look_at((0.1 * dx, 0.3, 1.5), (0.1 * dx, 0.0, 0.0)) for dx in range(-2, 3)]
    # The depth images show the second bump only.
    things = [synthetic.table((2.0, 2.0)), synthetic.box((0.12, 0.12, 0.10), (0.4, 0.4))]
    views = []
    for number, pose in enumerate(poses):
        depth, _ = synthetic.shoot(things, pose, camera)
        views.append(DepthView(number, structure.world_from_capture @ pose, camera, depth, None, depth))
    moved = surface.vertices + structure.world_from_capture[:3, 3]
    aligned = Surface(moved, surface.normals, surface.colors, surface.faces, surface.voxel)
    (only,) = find_instances(aligned, structure, views).instances
    middle = aligned.vertices[only.vertices].mean(axis=0) - structure.world_from_capture[:3, 3]
    np.testing.assert_allclose(middle[:2], (0.4, 0.4), atol=0.02)


@dataclass(frozen=True)
class Halves:
    """A learned model, as far as the pipeline can tell: left is one object, right another, the support none."""

    seen: list[int]

    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        self.seen.append(len(views))
        labels = (surface.vertices[:, 0] > 0).astype(np.int64)
        labels[surface.vertices[:, 2] < 0.02] = -1
        return labels


def test_custom_segmenter_decides_what_belongs_together() -> None:
    surface = floor_with_boxes({(-0.5, -0.4): 0.10, (-0.3, -0.4): 0.10, (0.4, 0.3): 0.10})
    structure = find_structure(surface)
    views = [blind_view((0, 0, 0.8))]
    assert len(find_instances(surface, structure, views).instances) == 3
    seen: list[int] = []
    found = find_instances(surface, structure, views, Halves(seen))
    assert seen == [1]
    assert len(found.instances) == 2
    extents = [(surface.vertices[i.vertices, 0].min(), surface.vertices[i.vertices, 0].max()) for i in found.instances]
    np.testing.assert_allclose(extents, [(-0.56, -0.24), (0.34, 0.46)], atol=1e-6)


class Nothing:
    def label(self, surface: Surface, structure: Structure, views: Sequence[DepthView]) -> NDArray[np.int64]:
        return np.full(len(surface.vertices), -1, np.int64)


def test_segmenter_that_finds_nothing_gives_nothing() -> None:
    surface = floor_with_boxes({(0.0, 0.0): 0.10})
    found = find_instances(surface, find_structure(surface), [], Nothing())
    assert found == Segmentation((), ())


def test_bare_floor_has_no_objects() -> None:
    found, _ = find(floor_with_boxes({}, noise=0.002), (0, 0, 0.6))
    assert found.instances == ()
