"""Pictures of a scene, rendered offscreen: the preview in its folder, the thumbnails and the top view of its report.

The camera frames itself: it looks at the free objects and what they stand on from the side that hides least, and what
still stands between (walls, doors, the ceiling) is left out of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import mujoco
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from scipy.spatial import ConvexHull, QhullError

from ..errors import MissingDependencyError, SceneError
from .gl import INSTALL_GL, ensure_gl
from .mjcf import COLLISION_GROUP, build_spec, compiled
from .scene import Scene

Float = NDArray[np.float64]
Picture = NDArray[np.uint8]

FOVY = 40.0
"""Vertical field of view [degrees] of a framed view: about that of a phone's main camera."""
AZIMUTHS = (135.0, 45.0, 225.0, 315.0, 90.0, 180.0, 0.0, 270.0)
"""Directions [degrees] the camera may look in, preferred first."""
ELEVATION = -32.0
MARGIN = 1.3
"""How much wider than the content a picture is."""
HIDDEN_GROUP = 5
SEE_THROUGH = ("wall", "door", "window", "opening", "ceiling")


@dataclass(frozen=True)
class TopView:
    """An orthographic picture from above, +X to the right and +Y up.

    Attributes:
        picture: uint8 [H, W, 3].
        centre: world (x, y) [m] at the middle of the picture.
        metres_per_pixel: scale.
    """

    picture: Picture
    centre: tuple[float, float]
    metres_per_pixel: float

    def pixels(self, points: Float) -> Float:
        """World (x, y) [N, 2] in metres to picture (column, row) [N, 2]."""
        height, width = self.picture.shape[:2]
        offset = (points - np.array(self.centre)) / self.metres_per_pixel
        pixels: Float = np.column_stack([width / 2 + offset[:, 0], height / 2 - offset[:, 1]])
        return pixels


def render_preview(
    scene: Scene, path: str | Path, size: tuple[int, int] = (960, 720), *, shadows: bool = False
) -> Path:
    """Writes a three-quarter view of the scene to `path` (PNG or JPEG by its ending).

    Raises:
        MissingDependencyError: nothing on this machine can render; the message names the packages to install.
    """
    with Photographer(scene, size, shadows=shadows) as photographer:
        picture = photographer.overview()
    path = Path(path)
    PillowImage.fromarray(picture).save(path)
    return path


def render_view(
    scene: Scene,
    focus: Sequence[str] = (),
    *,
    azimuth: float | None = None,
    elevation: float = ELEVATION,
    size: tuple[int, int] = (480, 360),
    shadows: bool = False,
) -> Picture:
    """One picture framed on the objects named in `focus` (all free objects if empty): uint8 [H, W, 3].

    Args:
        scene: what to look at.
        focus: object names.
        azimuth: direction [degrees] the camera looks in, counter-clockwise from +X; None takes the freest one.
        elevation: [degrees], negative looks down.
        size: (width, height) in pixels.
        shadows: cast shadows (twenty times slower without a graphics card).
    """
    with Photographer(scene, size, shadows=shadows) as photographer:
        return photographer.view(focus, azimuth=azimuth, elevation=elevation)


class Photographer:
    """Renders many pictures of one scene with one compiled model. Use it in a `with` block.

    Args:
        scene: what to look at.
        size: (width, height) in pixels of its pictures.
        shadows: cast shadows.

    Raises:
        MissingDependencyError: nothing on this machine can render.
    """

    def __init__(self, scene: Scene, size: tuple[int, int] = (960, 720), *, shadows: bool = False) -> None:
        ensure_gl()
        self.scene = scene
        self.width, self.height = size
        spec = build_spec(scene)
        spec.visual.global_.offwidth, spec.visual.global_.offheight = self.width, self.height
        spec.visual.map.znear = 0.002
        spec.visual.map.zfar = 60.0
        spec.visual.map.shadowclip = 4.0
        spec.visual.quality.shadowsize = 4096 if shadows else 0
        spec.visual.headlight.ambient = [0.36, 0.36, 0.36]
        spec.visual.headlight.diffuse = [0.26, 0.26, 0.26]
        self.model: mujoco.MjModel = compiled(spec, scene.name)
        self.model.light_castshadow[:] = shadows
        self.data = mujoco.MjData(self.model)
        mujoco.mj_forward(self.model, self.data)
        self._groups = self.model.geom_group.copy()
        self._roots = self.model.body_rootid[self.model.geom_bodyid]
        # MuJoCo scales depth range and shadow map with the model: let that be the content, not an endless floor.
        points = self.points()
        self.model.stat.center[:] = points.mean(axis=0)
        self.model.stat.extent = max(0.05, float(np.ptp(points, axis=0).max()))
        self.model.light_pos[:] = self.model.stat.center - 2.0 * self.model.stat.extent * self.model.light_dir
        mujoco.mj_forward(self.model, self.data)
        try:
            self._renderer = mujoco.Renderer(self.model, self.height, self.width)
        except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
            raise MissingDependencyError(f"cannot render pictures here ({error}); {INSTALL_GL}") from error
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows

    def __enter__(self) -> Photographer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees the OpenGL context."""
        self._renderer.close()

    def overview(self) -> Picture:
        """The three-quarter view of the free objects: uint8 [H, W, 3]."""
        return self.view(margin=1.5)

    def thumbnail(self, name: str, size: tuple[int, int] = (320, 240)) -> Picture:
        """One object alone on what it stands on, smoothly scaled down: uint8 [h, w, 3]."""
        others = [item.name for item in self.scene.objects if item.name not in (name, self.scene.object(name).support)]
        picture = self.view([name], hide=others, margin=1.5)
        scaled = PillowImage.fromarray(picture).resize(size, PillowImage.Resampling.LANCZOS)
        return np.asarray(scaled, dtype=np.uint8)

    def view(
        self,
        focus: Sequence[str] = (),
        *,
        azimuth: float | None = None,
        elevation: float = ELEVATION,
        hide: Iterable[str] = (),
        margin: float = MARGIN,
    ) -> Picture:
        """A perspective picture framed on the objects in `focus`: uint8 [H, W, 3].

        Args:
            focus: object names; empty means all free objects, or everything where none is free.
            azimuth: direction [degrees] to look in; None takes the one that hides least.
            elevation: [degrees], negative looks down.
            hide: objects to leave out.
            margin: how much wider than the content the picture is.
        """
        angle = self.freest(focus, elevation=elevation, hide=hide, margin=margin) if azimuth is None else azimuth
        points = self.points(focus)
        camera, eye = self._frame(points, angle, elevation, margin)
        self.model.vis.global_.fovy = FOVY
        return self._render(camera, {name for name in hide if name not in focus} | self._between(eye, points))

    def freest(
        self,
        focus: Sequence[str] = (),
        *,
        elevation: float = ELEVATION,
        hide: Iterable[str] = (),
        margin: float = MARGIN,
    ) -> float:
        """The direction [degrees] to look in that hides least; arguments as of `view`."""
        points = self.points(focus)
        hidden = {name for name in hide if name not in focus}
        costs = {}
        for rank, angle in enumerate(AZIMUTHS):
            eye = self._frame(points, angle, elevation, margin)[1]
            between = self._between(eye, points)
            costs[angle] = 2.0 * len(between) + 3.0 * self._occluded(eye, focus, hidden | between) + 0.1 * rank
        return min(AZIMUTHS, key=costs.__getitem__)

    def camera(self, name: str) -> Picture:
        """The picture of one of the scene's own cameras: uint8 [H, W, 3]."""
        if name not in [camera.name for camera in self.scene.cameras]:
            raise SceneError(f"scene {self.scene.name!r} has no camera {name!r}")
        return self._render(name, set())

    def top(self, margin: float = MARGIN) -> TopView:
        """The free objects from straight above, without the ceiling."""
        points = self.points()
        low, high = points.min(axis=0), points.max(axis=0)
        middle = (low + high) / 2
        span = np.maximum((high - low)[:2] * margin, 0.05)
        metres = max(float(span[1]), float(span[0]) * self.height / self.width)
        camera = mujoco.MjvCamera()
        camera.lookat[:] = [middle[0], middle[1], high[2]]
        camera.distance = 3.0 + float(high[2] - low[2])
        camera.azimuth, camera.elevation = 90.0, -90.0
        camera.orthographic = 1
        self.model.vis.global_.fovy = metres
        hidden = {s.name for s in self.scene.surfaces if s.kind == "ceiling"}
        picture = self._render(camera, hidden)
        return TopView(picture, (float(middle[0]), float(middle[1])), metres / self.height)

    def footprint(self, name: str) -> Float:
        """Outline of an object seen from above: corners [N, 2] in metres, counter-clockwise."""
        points = self._vertices(name)[:, :2]
        try:
            hull: Float = points[ConvexHull(points).vertices]
        except (QhullError, ValueError):
            low, high = points.min(axis=0), points.max(axis=0)
            hull = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        return hull

    def points(self, focus: Sequence[str] = ()) -> Float:
        """Corners [N, 3] of what a picture has to show: the objects in `focus`, the free ones, or else everything."""
        items = [item.name for item in self.scene.objects if item.name in focus]
        items = items or [item.name for item in self.scene.objects if item.mobility == "free"]
        items = items or [item.name for item in self.scene.objects]
        if items:
            return np.concatenate([self._corners(self._geoms_of(name)) for name in items])
        geoms = [self.model.geom(s.name).id for s in self.scene.surfaces if s.kind != "ceiling"]
        return self._corners(np.array(geoms)) if geoms else np.array([[-1.0, -1.0, 0.0], [1.0, 1.0, 1.0]])

    def _geoms_of(self, name: str) -> NDArray[np.int64]:
        return np.flatnonzero(self._roots == self.model.body(name).id)

    def _corners(self, geoms: NDArray[np.int64]) -> Float:
        """Corners [8 G, 3] of the geoms' own bounding boxes in the world."""
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
        local = self.model.geom_aabb[geoms, None, :3] + signs * self.model.geom_aabb[geoms, None, 3:]
        rotation = self.data.geom_xmat[geoms].reshape(-1, 3, 3)
        world: Float = np.einsum("gij,gcj->gci", rotation, local) + self.data.geom_xpos[geoms, None]
        return world.reshape(-1, 3)

    def _vertices(self, name: str) -> Float:
        """Points [N, 3] on the outside of an object's collision shapes, in the world."""
        parts = []
        for geom in self._geoms_of(name):
            kind, mesh = self.model.geom_type[geom], int(self.model.geom_dataid[geom])
            if kind == mujoco.mjtGeom.mjGEOM_MESH:
                start = self.model.mesh_vertadr[mesh]
                local = self.model.mesh_vert[start : start + self.model.mesh_vertnum[mesh]].astype(np.float64)
                rotation = self.data.geom_xmat[geom].reshape(3, 3)
                parts.append(local @ rotation.T + self.data.geom_xpos[geom])
            elif kind == mujoco.mjtGeom.mjGEOM_BOX:
                parts.append(self._corners(np.array([geom])))
            else:
                angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
                radius, half = self.model.geom_size[geom, 0], self.model.geom_aabb[geom, 5]
                ring = np.column_stack([radius * np.cos(angles), radius * np.sin(angles)])
                ends = [np.column_stack([ring, np.full(24, z)]) for z in (-half, 0.0, half)]
                rotation = self.data.geom_xmat[geom].reshape(3, 3)
                parts.append(np.concatenate(ends) @ rotation.T + self.data.geom_xpos[geom])
        return np.concatenate(parts) if parts else self.data.body(name).xpos[None].copy()

    def _frame(self, points: Float, azimuth: float, elevation: float, margin: float) -> tuple[mujoco.MjvCamera, Float]:
        """The camera in that direction, as near as it may be to show all points, and its position [3]."""
        a, e = math.radians(azimuth), math.radians(elevation)
        forward = np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])
        right = np.array([math.sin(a), -math.cos(a), 0.0])
        up = np.cross(right, forward)
        tangent = np.tan(math.radians(FOVY) / 2) / margin
        lookat = (points.min(axis=0) + points.max(axis=0)) / 2
        for _ in range(4):
            x, y, z = (points - lookat) @ right, (points - lookat) @ up, (points - lookat) @ forward
            aspect = self.width / self.height
            distance = max(0.02, float(np.max(np.maximum(np.abs(x) / (tangent * aspect), np.abs(y) / tangent) - z)))
            # Centre what is seen: perspective makes the near half larger.
            sides, heights = x / (distance + z), y / (distance + z)
            lookat = lookat + distance * (
                (sides.min() + sides.max()) / 2 * right + (heights.min() + heights.max()) / 2 * up
            )
        camera = mujoco.MjvCamera()
        camera.lookat[:] = lookat
        camera.distance, camera.azimuth, camera.elevation = distance, azimuth, elevation
        return camera, lookat - distance * forward

    def _between(self, eye: Float, points: Float) -> set[str]:
        """Walls, doors, windows and ceilings that stand between the eye and the content."""
        middle = points.mean(axis=0)
        # A little inside the content, so that a wall which an object touches from the front stays.
        targets = middle + 0.98 * (points - middle)
        blocking: set[str] = set()
        for surface in self.scene.surfaces:
            if surface.kind in SEE_THROUGH:
                geom = self.model.geom(surface.name).id
                rotation = self.data.geom_xmat[geom].reshape(3, 3)
                start = (eye - self.data.geom_xpos[geom]) @ rotation
                ends = (targets - self.data.geom_xpos[geom]) @ rotation
                if _segments_hit_box(start, ends, self.model.geom_size[geom]):
                    blocking.add(surface.name)
        return blocking | {s.name for s in self.scene.surfaces if s.parent in blocking}

    def _occluded(self, eye: Float, focus: Sequence[str], hidden: set[str]) -> int:
        """How many of the objects to show have something else in front of their middle."""
        self._show_all_but(hidden)
        groups = np.array([1, 1, 1, 1, 1, 0], dtype=np.uint8)
        found = np.zeros((1, 1), dtype=np.int32)
        count = 0
        for item in self.scene.objects:
            if item.name in hidden or (focus and item.name not in focus) or (not focus and item.mobility != "free"):
                continue
            direction = self._corners(self._geoms_of(item.name)).mean(axis=0) - eye
            distance = mujoco.mj_ray(self.model, self.data, eye, direction, groups, 1, -1, found)
            owner = self._roots[int(found[0, 0])] if distance >= 0 else -1
            count += owner not in (-1, self.model.body(item.name).id)
        return count

    def _show_all_but(self, hidden: set[str]) -> None:
        self.model.geom_group[:] = self._groups
        for name in hidden:
            surface = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_GEOM, name)
            body = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, name)
            if body > 0:
                self.model.geom_group[self._roots == body] = HIDDEN_GROUP
            elif surface >= 0:
                self.model.geom_group[surface] = HIDDEN_GROUP

    def _render(self, camera: mujoco.MjvCamera | str, hidden: set[str]) -> Picture:
        self._show_all_but(hidden)
        option = mujoco.MjvOption()
        option.geomgroup[COLLISION_GROUP] = 0
        option.geomgroup[HIDDEN_GROUP] = 0
        self._renderer.update_scene(self.data, camera=camera, scene_option=option)
        picture: Picture = self._renderer.render().copy()
        return picture


def _segments_hit_box(start: Float, ends: Float, half: Float) -> bool:
    """Whether any segment from `start` [3] to `ends` [N, 3] crosses the box of half extents [3] (slab method)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        direction = ends - start
        near = np.nan_to_num((-half - start) / direction, nan=-np.inf)
        far = np.nan_to_num((half - start) / direction, nan=np.inf)
    enter = np.minimum(near, far).max(axis=1)
    leave = np.maximum(near, far).min(axis=1)
    return bool(np.any((enter <= leave) & (leave >= 0.0) & (enter <= 1.0)))
