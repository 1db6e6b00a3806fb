"""Noise-free phone captures of shapes whose geometry is known exactly: rays cast at triangle meshes from known cameras.

Depth, colour and poses are exact to float32, so that what a stage adds by itself is all that a test can measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image as PILImage
from pocketworlds.real2sim.capture import Capture, Float, Frame, Image, Intrinsics
from pocketworlds.real2sim.completion import Solid, complete
from pocketworlds.real2sim.fusion import Surface, fuse, import_open3d
from pocketworlds.real2sim.instances import InstanceSegmenter, Segmentation, find_instances
from pocketworlds.real2sim.structure import Structure, find_structure, moved
from pocketworlds.real2sim.views import DepthView, load_views, transformed

from .readers.convert import Original, scanner_app, write

LIDAR = Intrinsics(213.0, 213.0, 128.0, 96.0, 256, 192)
"""About the iPhone's depth camera: 62 degrees over 256 pixels."""
Y_UP_FROM_Z_UP = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])
GREY = (150, 150, 150)


@dataclass(frozen=True)
class Thing:
    """A mesh in the world [m] and the colour of each of its faces, uint8 [F, 3]."""

    mesh: trimesh.Trimesh
    colors: Image


def thing(mesh: trimesh.Trimesh, color: tuple[int, int, int] = GREY) -> Thing:
    return Thing(mesh, np.tile(np.array(color, np.uint8), (len(mesh.faces), 1)))


def turn(center: Sequence[float], yaw_deg: float = 0.0) -> Float:
    transform = np.eye(4)
    c, s = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    transform[:2, :2] = [[c, -s], [s, c]]
    transform[:3, 3] = center
    return transform


def box(size: Sequence[float], xy: Sequence[float], *, base: float = 0.0, yaw_deg: float = 0.0) -> Thing:
    """A box standing on height `base` [m]."""
    return thing(trimesh.creation.box(size, turn((xy[0], xy[1], base + size[2] / 2), yaw_deg)))


def can(diameter: float, height: float, xy: Sequence[float], *, base: float = 0.0) -> Thing:
    """An upright cylinder standing on height `base` [m]."""
    center = (xy[0], xy[1], base + height / 2)
    return thing(trimesh.creation.cylinder(diameter / 2, height, sections=96, transform=turn(center)))


def ball(diameter: float, xy: Sequence[float], *, base: float = 0.0) -> Thing:
    mesh = trimesh.creation.icosphere(4, diameter / 2)
    mesh.apply_translation((xy[0], xy[1], base + diameter / 2))
    return thing(mesh)


def revolved(profile: Sequence[tuple[float, float]], xy: Sequence[float], *, base: float = 0.0) -> Thing:
    """A closed solid of revolution from its (radius, height) outline [m], from axis to axis."""
    mesh = trimesh.creation.revolve(np.array(profile, float), sections=96)
    if mesh.volume < 0:
        mesh.invert()
    mesh.apply_translation((xy[0], xy[1], base))
    return thing(mesh)


def bowl_profile(
    diameter: float = 0.16, height: float = 0.07, wall: float = 0.008, foot: float = 0.07
) -> list[tuple[float, float]]:
    """Outside up from the foot, over the rim, down the inside: a truncated cone with straight walls."""
    outer, inner = diameter / 2, diameter / 2 - wall
    return [(0, 0), (foot / 2, 0), (outer, height), (inner, height), (foot / 2 - wall / 2, wall), (0, wall)]


BOTTLE = [(0, 0), (0.035, 0), (0.035, 0.12), (0.015, 0.17), (0.015, 0.21), (0, 0.21)]
"""Outline of a bottle of 70 mm and 210 mm."""


def mug(xy: Sequence[float], *, base: float = 0.0) -> Thing:
    """A mug of 84 mm and 95 mm with a handle towards +X."""
    cup = revolved([(0, 0), (0.042, 0), (0.042, 0.095), (0.036, 0.095), (0.036, 0.006), (0, 0.006)], xy, base=base)
    ring = trimesh.creation.torus(0.026, 0.006, major_sections=48, minor_sections=16)
    ring.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    ring.apply_translation((xy[0] + 0.044, xy[1], base + 0.048))
    # Only the outer half of the ring: the inner half would stand inside the cup.
    outside = ring.triangles_center[:, 0] > xy[0] + 0.04
    ring.update_faces(outside)
    return thing(trimesh.util.concatenate([cup.mesh, ring]))


def table(size: Sequence[float] = (1.2, 0.9), *, height: float = 0.0) -> Thing:
    """A slab whose top is at `height` [m]."""
    return thing(trimesh.creation.box((*size, 0.04), turn((0, 0, height - 0.02))), (120, 90, 60))


# ------------------------------------------------------------------------------------------------------------ cameras


def look_at(eye: Sequence[float], target: Sequence[float]) -> Float:
    """world_from_camera [4, 4], OpenCV axes."""
    pose = np.eye(4)
    forward = np.asarray(target, float) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0, 0, 1.0])
    right /= np.linalg.norm(right)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = eye
    return pose


def orbit(
    target: Sequence[float] = (0, 0, 0.03),
    *,
    count: int = 24,
    distance: float = 0.6,
    elevations: Sequence[float] = (35, 60),
    azimuths: tuple[float, float] = (0, 360),
) -> list[Float]:
    """Cameras round a target [m], evenly over the azimuths, cycling through the elevations [deg]."""
    poses = []
    for number in range(count):
        azimuth = math.radians(azimuths[0] + (azimuths[1] - azimuths[0]) * number / count)
        elevation = math.radians(elevations[number % len(elevations)])
        level = distance * math.cos(elevation)
        eye = np.array([level * math.cos(azimuth), level * math.sin(azimuth), distance * math.sin(elevation)])
        poses.append(look_at(np.asarray(target) + eye, target))
    return poses


# ------------------------------------------------------------------------------------------------------------- images


def shoot(
    things: Sequence[Thing],
    pose: Float,
    camera: Intrinsics = LIDAR,
    *,
    keep: tuple[Sequence[float], Sequence[float]] | None = None,
) -> tuple[NDArray[np.float32], Image]:
    """Exact depth [h, w] (0 where nothing was hit, or the hit is outside the world box `keep`) and colour [h, w, 3]."""
    o3d = import_open3d()
    scene = o3d.t.geometry.RaycastingScene()
    colors = [np.zeros((1, 3), np.uint8)]
    starts = []
    for item in things:
        vertices = o3d.core.Tensor(np.ascontiguousarray(item.mesh.vertices, np.float32))
        scene.add_triangles(vertices, o3d.core.Tensor(np.ascontiguousarray(item.mesh.faces, np.uint32)))
        starts.append(sum(len(c) for c in colors))
        colors.append(item.colors)
    v, u = np.mgrid[: camera.height, : camera.width]
    ray = np.stack([(u + 0.5 - camera.cx) / camera.fx, (v + 0.5 - camera.cy) / camera.fy, np.ones(u.shape)], axis=-1)
    direction = ray @ pose[:3, :3].T
    rays = np.concatenate([np.broadcast_to(pose[:3, 3], direction.shape), direction], axis=-1).astype(np.float32)
    hits = scene.cast_rays(o3d.core.Tensor(rays))
    depth = hits["t_hit"].numpy()
    # The ray advances one metre of depth per unit: the hit distance is the depth.
    found = np.isfinite(depth)
    depth = np.where(found, depth, 0).astype(np.float32)
    first = np.array([0, *starts])
    geometry = np.where(found, hits["geometry_ids"].numpy().astype(np.int64) + 1, 0)
    index = np.where(found, first[geometry] + hits["primitive_ids"].numpy().astype(np.int64), 0)
    if keep is not None:
        points = pose[:3, 3] + direction * depth[..., None]
        depth[((points < keep[0]) | (points > keep[1])).any(axis=-1)] = 0
    return depth, np.concatenate(colors)[index]


def capture_of(
    things: Sequence[Thing],
    poses: Sequence[Float],
    camera: Intrinsics = LIDAR,
    *,
    keep: tuple[Sequence[float], Sequence[float]] | None = None,
) -> Capture:
    """A capture in memory; confidence is the best there is, everywhere."""

    def frame(number: int, pose: Float) -> Frame:
        depth, color = shoot(things, pose, camera, keep=keep)
        confidence = np.full(depth.shape, 2, np.uint8)
        return Frame(number, number / 10, pose, camera, lambda: color, lambda: depth, lambda: confidence)

    return Capture(Path("synthetic"), "synthetic", tuple(frame(i, pose) for i, pose in enumerate(poses)))


def write_capture(folder: Path, things: Sequence[Thing], poses: Sequence[Float], camera: Intrinsics = LIDAR) -> Path:
    """The same as a folder in the layout of 3D Scanner App; depth is rounded to millimetres as the app does."""
    frames = []
    for number, pose in enumerate(poses):
        depth, color = shoot(things, pose, camera)
        frames.append(
            Original(
                number=number,
                time=number / 10,
                pose=Y_UP_FROM_Z_UP @ pose @ np.diag([1.0, -1.0, -1.0, 1.0]),
                k=camera.matrix,
                color=np.asarray(PILImage.fromarray(color)),
                depth_mm=np.round(depth * 1000).astype(np.uint16),
                confidence=np.full(depth.shape, 2, np.uint8),
            )
        )
    return write(folder, scanner_app(frames))


# ------------------------------------------------------------------------------------------------------------ rebuild


@dataclass(frozen=True)
class Rebuilt:
    """What the geometric stages made of a capture."""

    views: list[DepthView]
    surface: Surface
    structure: Structure
    segmentation: Segmentation

    def truth(self, point: Sequence[float]) -> Float:
        """A point [3] of the synthetic world in the aligned world."""
        world = self.structure.world_from_capture
        return np.asarray(world[:3, :3] @ point + world[:3, 3])

    def labels(self) -> NDArray[np.int64]:
        labels = np.full(len(self.surface.vertices), -1, np.int64)
        for number, instance in enumerate(self.segmentation.instances):
            labels[instance.vertices] = number
        return labels

    def at(self, xy: Sequence[float], *, reach: float = 0.03) -> list[int]:
        """Numbers of the instances whose middle lies within `reach` [m] of a point of the synthetic world."""
        target = self.truth((xy[0], xy[1], 0.0))[:2]
        found = []
        for number, instance in enumerate(self.segmentation.instances):
            points = self.surface.vertices[instance.vertices, :2]
            middle = (points.min(axis=0) + points.max(axis=0)) / 2
            if np.linalg.norm(middle - target) < reach:
                found.append(number)
        return found

    def bounds(self, number: int) -> Float:
        """Lowest and highest corner [2, 3] of an instance's seen surface."""
        points = self.surface.vertices[self.segmentation.instances[number].vertices]
        return np.stack([points.min(axis=0), points.max(axis=0)])

    def solid(self, xy: Sequence[float]) -> Solid:
        """Completes the one instance at a point of the synthetic world."""
        (number,) = self.at(xy)
        return complete(self.segmentation.instances[number], self.surface, self.views, self.labels(), number, warp=0.0)


def rebuild(capture: Capture, *, voxel: float | None = None, segmenter: InstanceSegmenter | None = None) -> Rebuilt:
    views, skipped = load_views(capture)
    assert not skipped
    surface = fuse(views, voxel=voxel)
    structure = find_structure(surface)
    surface, views = moved(surface, structure.world_from_capture), transformed(views, structure.world_from_capture)
    return Rebuilt(views, surface, structure, find_instances(surface, structure, views, segmenter))
