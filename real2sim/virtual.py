"""A virtual phone: looks at a capture that is only a mesh and gives posed RGB-D frames of it.

USDZ from Object Capture, Scaniverse or Polycam, GLB, OBJ and PLY hold no frames. Rays cast into the mesh give the
depth a phone would have measured (front faces only: what lies behind a back face is unknown) and, when asked for, the
picture it would have taken, so that every later stage works the same for all captures.

Small meshes are orbited from above, in several places if they are as large as a table; rooms are seen from within, from
standing height. An object without ground under it gets a level virtual floor, and the notes say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..errors import CaptureError
from .capture import Capture, CaptureMesh, Depth, Float, Frame, Image
from .views import FAR, NEAR, Progress
from .virtual_ground import Cloud, Ground, find_ground, ground_along, levelled, needs_floor, resting, sample
from .virtual_world import COLOR_CAMERA, DEPTH_CAMERA, VirtualWorld

COLOR_FRAMES = 48
"""Frames with a picture: a few more than texture baking uses."""
EXTENT_RANGE = (0.01, 50.0)
"""Metres: largest side of a mesh that can be looked at."""
ROOM_EXTENT, ROOM_FLOOR = 2.5, 2.0
"""A mesh wider than this [m] with a floor larger than this [m^2] is a room, seen from within."""
EYE_HEIGHTS = (1.4, 1.8, 1.0)
"""Heights of the phone over a room's floor [m], tried in this order."""
CLEARANCE = 0.3
"""Least distance [m] of a phone within a room from anything."""
CLOSER_LOOKS = 12
"""Parts of a room that are looked at from near as well."""
SMOOTH = 0.003
"""A mesh whose floor is rougher than this [m] has no small detail."""
CLOSE_UP = 0.55
"""Edge [m] of what one close look covers: depth pixels of about 3 mm."""
ELEVATIONS = (15.0, 35.0, 55.0, 75.0)


def view_mesh(capture: Capture, mesh: CaptureMesh, *, progress: Progress | None = None) -> Capture:
    """Looks at `mesh` with a virtual phone.

    Args:
        capture: where the mesh comes from; its path, format, notes and `is_metric` are kept.
        mesh: in the Z-up world, metres.
        progress: called with the finished share.

    Returns:
        The capture with about 60 to 130 frames (depth float32 [192, 256] metres; uint8 [720, 960, 3] pictures, rendered
        when asked for, if the mesh has a texture or colours). World +Z points away from the ground that the mesh shows,
        or that was put under it, so that `has_gravity` is True.

    Raises:
        CaptureError: the mesh has no area, its size is not one in metres, or nothing of it can be seen.
    """
    notes: list[str] = []
    _check_size(capture, mesh)
    cloud = sample(mesh)
    ground = None
    if not capture.has_gravity:
        ground = find_ground(cloud.points, cloud.normals, cloud.area)
        mesh, cloud, ground = levelled(mesh, cloud, ground, notes)
        if ground is None and not capture.is_metric:
            mesh, cloud = resting(mesh, cloud, notes)
    else:
        ground = ground_along(cloud, np.array([0.0, 0.0, 1.0]))
    if not capture.is_metric:
        size = np.ptp(cloud.points, axis=0)
        notes.append(
            f"The mesh has no scale: its units were taken for metres, which makes it {size[0]:.2f} x {size[1]:.2f} x "
            f"{size[2]:.2f} m. Scale it if that is not its size."
        )
    extent = float(np.ptp(cloud.points[:, :2], axis=0).max())
    room = ground is not None and ground.bottom and extent > ROOM_EXTENT and ground.area > ROOM_FLOOR
    floor_height = None
    if not room and needs_floor(cloud.points, ground):
        floor_height = float(np.percentile(cloud.points[:, 2], 0.1)) - 0.0005
        notes.append("Nothing level was scanned under the object: a virtual floor was put just below its lowest point.")
    world = VirtualWorld(mesh, floor_height)
    poses: list[Float] = []
    if room:
        assert ground is not None
        poses = _room_poses(world, cloud, ground)
        if not poses:
            notes.append("No place to stand was found within the room: it was looked at from above.")
    poses = poses or _orbit_poses(world, cloud)
    if world.back_share(poses[:: max(1, len(poses) // 12)]) > 0.7:
        notes.append("Most faces of the mesh looked inwards: all were turned round.")
        world = VirtualWorld(replace(mesh, faces=mesh.faces[:, ::-1], uv=_reversed(mesh.uv)), floor_height)
    frames = _look(world, poses, progress)
    if len(frames) < 8:
        raise CaptureError(
            f"{capture.path}: hardly anything of the mesh can be seen from outside; export it with its faces outwards"
        )
    return replace(capture, frames=tuple(frames), has_gravity=True, notes=(*capture.notes, *notes))


def _check_size(capture: Capture, mesh: CaptureMesh) -> None:
    if len(mesh.faces) == 0:
        raise CaptureError(f"{capture.path}: the mesh has no faces")
    extent = float(np.ptp(mesh.vertices[np.unique(mesh.faces)], axis=0).max())
    low, high = EXTENT_RANGE
    if extent > high:
        raise CaptureError(
            f"{capture.path}: the mesh is {extent:.0f} m large; it looks like millimetres ({extent / 1000:.2f} m) or "
            f"centimetres ({extent / 100:.2f} m): export it in metres"
        )
    if not extent >= low:
        raise CaptureError(f"{capture.path}: the mesh is only {extent * 1000:.1f} mm large; export it in metres")


def _reversed(uv: Float | None) -> Float | None:
    return None if uv is None else uv[:, ::-1]


# --------------------------------------------------------------------------------------------------------------- poses


def look_at(eye: Float, target: Float) -> Float:
    """World pose [4, 4] of a level camera (OpenCV axes) at `eye` [3] that looks at `target` [3]."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.array([forward[1], -forward[0], 0.0])
    right = right / np.linalg.norm(right) if np.linalg.norm(right) > 1e-6 else np.array([1.0, 0.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    pose[:3, 3] = eye
    return pose


def _ring(target: Float, distance: float, elevation: float, count: int, start: float = 0.0) -> list[Float]:
    """`count` poses round `target`, at an elevation [deg]."""
    angles = start + 2 * np.pi * np.arange(count) / count
    up = np.deg2rad(elevation)
    return [
        look_at(target + distance * np.array([np.cos(up) * np.cos(a), np.cos(up) * np.sin(a), np.sin(up)]), target)
        for a in angles
    ]


def _orbit_poses(world: VirtualWorld, cloud: Cloud) -> list[Float]:
    """Poses over the upper hemisphere: near ones over every part of the mesh, and far ones of a large one."""
    low, high = np.percentile(cloud.points, [0.2, 99.8], axis=0)
    size = high - low
    parts = np.clip(np.ceil(size[:2] / CLOSE_UP), 1, 5).astype(int)
    half_view = np.arctan(DEPTH_CAMERA.cy / DEPTH_CAMERA.fy)
    middle = (low + high) / 2
    distance = float(np.clip(0.55 * np.linalg.norm(size) / np.sin(half_view), 2 * NEAR, 0.8 * FAR))
    single = parts.prod() == 1
    poses: list[Float] = []
    for number, elevation in enumerate(ELEVATIONS):
        poses += _ring(middle, distance, elevation, (20, 18, 14, 8)[number] if single else 6, 0.1 * number)
    if world.floor_height is not None:
        # Just over the floor, for round undersides: what nothing is seen to carry would not count as standing.
        rise = world.floor_height + 0.06 + 0.05 * size[2] - middle[2]
        poses += _ring(middle, distance, float(np.rad2deg(np.arcsin(np.clip(rise / distance, -1, 1)))), 12, 0.05)
    if not single:
        cells = size[:2] / parts
        distance = float(np.clip(0.55 * np.linalg.norm(cells) / np.sin(half_view), 0.5, 2.0))
        count = int(np.clip(np.ceil(60 / parts.prod() / 3), 2, 5))
        for number, target in enumerate(_targets(world, low, high + np.array([0, 0, 1]), parts)):
            for step, elevation in enumerate((20.0, 40.0, 65.0)):
                poses += _ring(target, distance, elevation, count, number * 1.3 + step * 0.7)
    free = world.clearance(np.array([pose[:3, 3] for pose in poses])) > 0.05
    return [pose for pose, ok in zip(poses, free, strict=True) if ok]


def _targets(
    world: VirtualWorld, low: Float, high: Float, parts: NDArray[np.int64], floor: float = -np.inf
) -> list[Float]:
    """Centres [3] of the parts of a grid, at the height seen from above.

    Parts with hardly anything over `floor` are left out; those with the most to see come first.
    """
    grid = 8 * parts
    steps = [low[k] + (np.arange(grid[k]) + 0.5) / grid[k] * (high[k] - low[k]) for k in (0, 1)]
    x, y = np.meshgrid(*steps, indexing="ij")
    down = np.broadcast_to([0.0, 0.0, -1.0], (*x.shape, 3))
    hit = world.cast(np.concatenate([np.stack([x, y, np.full_like(x, high[2])], -1), down], -1))
    top = high[2] - hit["t_hit"]
    raised = np.isfinite(hit["t_hit"]) & (hit["primitive_normals"][..., 2] > 0) & (top > floor + 0.03)
    targets = []
    for i, j in np.ndindex(*parts):
        block = (slice(8 * i, 8 * i + 8), slice(8 * j, 8 * j + 8))
        seen = raised[block]
        if seen.sum() >= 2:
            middle = [float(a[block][seen].mean()) for a in (x, y)]
            targets.append((int(seen.sum()), np.array([*middle, float(np.median(top[block][seen]))])))
    return [target for _, target in sorted(targets, key=lambda item: -item[0])]


def _room_poses(world: VirtualWorld, cloud: Cloud, ground: Ground) -> list[Float]:
    """Poses at standing height all over the free floor, and closer looks at what stands on it.

    From each standing place the phone looks in eight directions, and somewhat down.
    """
    low, high = np.percentile(cloud.points[:, :2], [0.5, 99.5], axis=0)
    counts = np.clip(np.ceil((high - low) / 0.4), 3, 60).astype(int)
    x, y = np.meshgrid(*(np.linspace(a, b, n + 2)[1:-1] for a, b, n in zip(low, high, counts, strict=True)))
    for height in EYE_HEIGHTS:
        eyes = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, ground.height + height)])
        down = world.cast(np.concatenate([eyes, np.broadcast_to([0.0, 0.0, -1.0], eyes.shape)], axis=1))
        on_floor = np.abs(down["t_hit"] - height) < 0.15
        facing = down["primitive_normals"][:, 2] > 0
        free = eyes[on_floor & facing & (world.clearance(eyes) > CLEARANCE)]
        if len(free):
            break
    else:
        return []
    spots = _spread(free, int(np.clip(np.prod(high - low) / 2, 4, 8)))
    poses = []
    for number, eye in enumerate(spots):
        for step in range(8):
            yaw = (step + 0.5 * (number % 2)) * np.pi / 4
            pitch = np.deg2rad((15.0, 40.0)[(step + number // 2) % 2])
            way = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
            poses.append(look_at(eye, eye + way))
    return poses + _closer_looks(world, low, np.array([*high, ground.height + EYE_HEIGHTS[1]]), ground)


def _closer_looks(world: VirtualWorld, low: Float, high: Float, ground: Ground) -> list[Float]:
    """Poses round up to `CLOSER_LOOKS` parts of a room with something on its floor, from where they can be seen."""
    parts = np.clip(np.ceil((high[:2] - low) / CLOSE_UP), 1, 40).astype(int)
    poses: list[Float] = []
    # A rough mesh shows only its own noise from nearer.
    distance = 0.9 if ground.roughness < SMOOTH else 1.6
    for number, target in enumerate(_targets(world, low, high, parts, ground.height)[:CLOSER_LOOKS]):
        for step, elevation in enumerate((30.0, 55.0)):
            poses += _ring(target + np.array([0, 0, 0.05]), distance, elevation, 4, number * 1.3 + step * 0.8)
    if not poses:
        return []
    eyes = np.array([pose[:3, 3] for pose in poses])
    ahead = np.array([pose[:3, 2] for pose in poses])
    sight = world.cast(np.concatenate([eyes, ahead], axis=1))
    clear = (sight["t_hit"] > 0.7) & ((sight["primitive_normals"] * ahead).sum(1) < 0) & (world.clearance(eyes) > 0.15)
    return [pose for pose, ok in zip(poses, clear, strict=True) if ok]


def _spread(points: Float, count: int) -> Float:
    """Up to `count` of points [N, 3], each as far from the others as can be (farthest-point sampling)."""
    chosen = [int(np.argmin(np.linalg.norm(points - points.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return points[chosen]


def _look(world: VirtualWorld, poses: Sequence[Float], progress: Progress | None) -> list[Frame]:
    """A frame from every pose that sees anything within a phone's range; pictures for `COLOR_FRAMES` of them."""
    every = max(1, round(len(poses) / COLOR_FRAMES)) if world.has_color else 0
    frames: list[Frame] = []
    for number, pose in enumerate(poses):
        depth = world.depth(pose)
        if np.count_nonzero((depth > NEAR) & (depth < FAR)) > 0.05 * depth.size:
            index = len(frames)
            frames.append(
                Frame(
                    index=index,
                    timestamp=index / 10,
                    world_from_camera=pose,
                    intrinsics=COLOR_CAMERA,
                    load_color=partial(world.color, pose) if every and index % every == 0 else None,
                    load_depth=partial(_copy, depth),
                    load_confidence=_sure,
                )
            )
        if progress is not None:
            progress((number + 1) / len(poses))
    return frames


def _copy(depth: Depth) -> Depth:
    return depth.copy()


def _sure() -> Image:
    """Confidence uint8 [192, 256]: rays do not err."""
    return np.full((DEPTH_CAMERA.height, DEPTH_CAMERA.width), 2, np.uint8)
