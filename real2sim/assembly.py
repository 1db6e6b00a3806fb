"""Stage 10, assembly: completed objects and structure become a `Scene`, its meshes and textures files in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from ..scenes.obj import obj_text
from ..scenes.scene import (
    Body,
    Camera,
    CollisionGeom,
    Estimate,
    Material,
    Pose,
    Provenance,
    Scene,
    SceneObject,
    Vec3,
    Visual,
)
from ..scenes.scene import Surface as SceneSurface
from .capture import Float, Image
from .collision import CollisionShape
from .completion import Solid
from .meshing import ObjectMesh
from .physical import physical_properties
from .structure import Structure, Support
from .texture import TexturedMesh

FLOOR_MARGIN = 1.5
"""How far [m] the floor reaches beyond what was seen: a robot has to stand somewhere."""
TABLE_THICKNESS = 0.04
WALL_THICKNESS = 0.1
MAX_FREE_SIZE = 1.6
"""Things longer than this [m] are furniture that stays where it is."""


@dataclass(frozen=True)
class Rebuilt:
    """Everything known about one object before it enters the scene."""

    solid: Solid
    mesh: ObjectMesh
    collision: tuple[CollisionShape, ...]
    collision_method: str
    category: str
    support: int
    on: int | None
    textured: TexturedMesh | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SupportPicture:
    """The support's picture from above, uint8 [H, W, 3], and the share of it that was seen."""

    image: Image
    seen: float


def assemble(
    name: str,
    structure: Structure,
    rebuilt: Sequence[Rebuilt],
    pictures: Sequence[SupportPicture | None],
    camera_centers: Float,
    folder: Path,
) -> Scene:
    """Writes meshes and textures into `folder` and gives the (not yet settled) scene that refers to them."""
    (folder / "meshes").mkdir(parents=True, exist_ok=True)
    (folder / "textures").mkdir(exist_ok=True)
    surfaces, names_of_supports = _surfaces(structure, pictures, folder)
    counts: dict[str, int] = {}
    names = []
    for item in rebuilt:
        counts[item.category] = counts.get(item.category, 0) + 1
        names.append(f"{item.category}_{counts[item.category]}")
    objects = []
    for item, label in zip(rebuilt, names, strict=True):
        support = names[item.on] if item.on is not None else names_of_supports[item.support]
        objects.append(_object(label, item, support, folder))
    return Scene(
        name=name,
        surfaces=tuple(surfaces),
        objects=tuple(objects),
        cameras=(_overview(rebuilt, structure, camera_centers),),
    ).in_folder(folder)


# ----------------------------------------------------------------------------------------------------------------
# objects


def _object(name: str, item: Rebuilt, support: str, folder: Path) -> SceneObject:
    inertial, friction = physical_properties(item.category, item.mesh)
    shapes = tuple(_collision(name, index, shape, folder) for index, shape in enumerate(item.collision))
    if item.textured is not None:
        mesh, texture = f"meshes/{name}.obj", f"textures/{name}.png"
        text = obj_text(item.mesh.vertices, item.mesh.faces, item.textured.uv)
        PILImage.fromarray(item.textured.image).save(folder / texture)
        visual = Visual(mesh=mesh, material=Material(rgba=(1, 1, 1, 1), texture=texture))
    else:
        mesh = f"meshes/{name}.obj"
        text = obj_text(item.mesh.vertices, item.mesh.faces)
        visual = Visual(mesh=mesh)
    (folder / mesh).write_text(text, encoding="utf-8")
    size = _vector(item.mesh.size)
    free = max(size) < MAX_FREE_SIZE
    notes = item.notes
    if item.collision_method == "hull (decomposition failed)":
        notes = (*notes, "Its collision shape is one convex hull: cavities are closed for contact.")
    if not free:
        notes = (*notes, f"Longer than {MAX_FREE_SIZE} m: fixed in place.")
    return SceneObject(
        name=name,
        category=item.category,
        mobility="free" if free else "fixed",
        size=size,
        support=support,
        body=Body(
            pose=pose_of(item.mesh.world_from_body),
            collision=shapes,
            visual=visual,
            inertial=inertial,
            friction=friction,
        ),
        provenance=Provenance(
            completion=item.solid.method,
            observed_fraction=item.solid.observed_fraction,
            fit_error=item.solid.fit_error,
            notes=notes,
        ),
    )


def _collision(name: str, index: int, shape: CollisionShape, folder: Path) -> CollisionGeom:
    size = _vector(shape.size)
    if shape.vertices is None or shape.faces is None:
        return CollisionGeom(shape=shape.shape, size=size, pose=Pose(quaternion=shape.quaternion))  # type: ignore[arg-type]
    path = f"meshes/{name}_collision_{index}.obj"
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in shape.vertices]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in shape.faces]
    (folder / path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return CollisionGeom(shape="mesh", size=size, mesh=path)


# --------------------------------------------------------------------------------------------------------------
# structure


def _surfaces(
    structure: Structure, pictures: Sequence[SupportPicture | None], folder: Path
) -> tuple[list[SceneSurface], list[str]]:
    surfaces: list[SceneSurface] = []
    names: list[str] = []
    tables = 0
    wood = Estimate(value=0.5, low=0.3, high=0.8, source="typical furniture and flooring against everyday objects")
    reach = np.concatenate([support.outline for support in structure.supports])
    low, high = reach.min(axis=0) - FLOOR_MARGIN, reach.max(axis=0) + FLOOR_MARGIN
    floor_colors = [p for s, p in zip(structure.supports, pictures, strict=True) if s.kind == "floor" and p is not None]
    surfaces.append(
        SceneSurface(
            name="floor",
            kind="floor",
            pose=Pose(position=_vector(np.array([*(low + high) / 2, -0.05]))),
            size=_vector(np.array([*(high - low), 0.1])),
            material=Material(rgba=_mean_color(floor_colors[0].image) if floor_colors else (0.55, 0.53, 0.5, 1)),
            friction=wood,
        )
    )
    for index, (support, picture) in enumerate(zip(structure.supports, pictures, strict=True)):
        if support.kind == "floor":
            names.append("floor")
            if picture is not None:
                surfaces.append(_photo(f"floor_photo_{index}", support, picture, folder, wood))
            continue
        tables += 1
        name = "table" if tables == 1 else f"table_{tables}"
        names.append(name)
        material = Material(rgba=(0.6, 0.5, 0.4, 1))
        if picture is not None:
            PILImage.fromarray(picture.image).save(folder / "textures" / f"{name}.png")
            material = Material(rgba=(1, 1, 1, 1), texture=f"textures/{name}.png")
        surfaces.append(
            SceneSurface(
                name=name,
                kind="table",
                friction=wood,
                material=material,
                pose=Pose(
                    position=_vector(np.array([*support.center, support.height - TABLE_THICKNESS / 2])),
                    quaternion=_turn(support.yaw),
                ),
                size=_vector(np.array([*support.size, TABLE_THICKNESS])),
            )
        )
    for index, (plane, extent) in enumerate(zip(structure.walls, structure.wall_extents, strict=True)):
        surfaces.append(_wall(f"wall_{index + 1}", plane, extent, wood))
    return surfaces, names


def _photo(name: str, support: Support, picture: SupportPicture, folder: Path, friction: Estimate) -> SceneSurface:
    """The floor's picture: a millimetre above the plain floor, drawn only."""
    PILImage.fromarray(picture.image).save(folder / "textures" / f"{name}.png")
    return SceneSurface(
        name=name,
        kind="floor",
        collides=False,
        friction=friction,
        parent="floor",
        material=Material(rgba=(1, 1, 1, 1), texture=f"textures/{name}.png"),
        pose=Pose(position=_vector(np.array([*support.center, support.height])), quaternion=_turn(support.yaw)),
        size=_vector(np.array([*support.size, 0.001])),
    )


def _wall(name: str, plane: Float, extent: Float, friction: Estimate) -> SceneSurface:
    normal = plane[:3]
    along = np.array([-normal[1], normal[0], 0.0])
    bottom, top = min(0.0, extent[1, 0]), extent[1, 1]
    center = normal * (plane[3] - WALL_THICKNESS / 2) + along * extent[0].mean() + np.array([0, 0, (bottom + top) / 2])
    yaw = float(np.arctan2(along[1], along[0]))
    return SceneSurface(
        name=name,
        kind="wall",
        friction=friction,
        material=Material(rgba=(0.85, 0.84, 0.82, 1)),
        pose=Pose(position=_vector(center), quaternion=_turn(yaw)),
        size=_vector(np.array([max(extent[0, 1] - extent[0, 0], 0.05), WALL_THICKNESS, max(top - bottom, 0.05)])),
    )


def _overview(rebuilt: Sequence[Rebuilt], structure: Structure, camera_centers: Float) -> Camera:
    """A camera where the phone mostly was, looking at the objects."""
    main = structure.supports[0]
    target = np.array([*main.center, main.height])
    radius = 0.4
    if rebuilt:
        centers = np.array([item.mesh.world_from_body[:3, 3] for item in rebuilt])
        target = np.median(centers, axis=0)
        radius = float(max(0.25, np.linalg.norm(centers - target, axis=1).max() + 0.15))
    direction = np.median(camera_centers, axis=0) - target if len(camera_centers) else np.array([1.0, -1.0, 1.0])
    direction[2] = max(direction[2], 0.6 * np.linalg.norm(direction[:2]), 0.1)
    direction /= np.linalg.norm(direction)
    return Camera(name="overview", pose=look_at(target + direction * radius * 2.4, target))


def look_at(eye: Float, target: Float) -> Pose:
    """Pose of a MuJoCo camera (looks along -Z, +Y up) at `eye` [3] that looks at `target` [3]."""
    back = (eye - target) / np.linalg.norm(eye - target)
    right = np.cross([0.0, 0.0, 1.0], back)
    length = np.linalg.norm(right)
    right = right / length if length > 1e-6 else np.array([1.0, 0.0, 0.0])
    rotation = np.stack([right, np.cross(back, right), back], axis=1)
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = rotation, eye
    return pose_of(transform)


def pose_of(transform: Float) -> Pose:
    """A rigid transform [4, 4] as a `Pose`."""
    import mujoco

    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(transform[:3, :3]).ravel())
    w, x, y, z = (float(v) for v in quaternion)
    return Pose(position=_vector(transform[:3, 3]), quaternion=(w, x, y, z))


def _turn(yaw: float) -> tuple[float, float, float, float]:
    return (float(np.cos(yaw / 2)), 0.0, 0.0, float(np.sin(yaw / 2)))


def _vector(values: Float) -> Vec3:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def _mean_color(image: Image) -> tuple[float, float, float, float]:
    r, g, b = (float(v) for v in np.median(image.reshape(-1, 3), axis=0) / 255)
    return (r, g, b, 1.0)
