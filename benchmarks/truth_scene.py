"""A ground-truth scene as a `Scene`: the same solids, contact shapes, masses and friction, for environments.

    scene = truth_scene(truth, folder)                                    # in the truth's own world
    scene = truth_scene(truth, folder, frame=frame, partners=partners)    # as a rebuilt scan has it

The second states it in the frame of a rebuilt scan, its objects called as there and in that order: what is said of
`object="can_2"` there holds here. Bodies have the middle of their box as origin, as scanned ones do, and axes that are,
but for what a scan gets wrong, those of their partner. Left out is what no robot meets: the table's legs, far walls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image as PILImage
from scipy.spatial.transform import Rotation

from ..scenes.mass import inertial
from ..scenes.obj import corner_normals, obj_text
from ..scenes.primitives import exact
from ..scenes.scene import (
    Body,
    CollisionGeom,
    Material,
    Pose,
    Scene,
    SceneObject,
    Size3,
    Surface,
    SurfaceKind,
    Vec3,
    Visual,
)
from .ground_truth_scenes import GroundTruthScene, TruthObject

Float = NDArray[np.float64]
Image = NDArray[np.uint8]

PICTURE = 192
"""Texels a side of what is drawn on an object: about a millimetre each."""
_TABLE_PICTURE, _TILE = 384, 0.7  # texels of a table's top, and the side [m] of the pattern on it
_FLOOR = 6.0, 0.1  # side and thickness [m]
_SHAPES = {
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
}


def truth_scene(
    truth: GroundTruthScene,
    folder: Path,
    *,
    frame: Float | None = None,
    partners: Mapping[str, SceneObject] | None = None,
) -> Scene:
    """Writes meshes and textures into `folder` and gives the scene that refers to them, bound to it.

    Args:
        truth: from `generate_scene`.
        frame: float64 [4, 4], from the truth's world to the scene's, upright (it turns about the vertical alone). The
            floor stays at z = 0.
        partners: by the names of all true objects, rebuilt ones whose names and axes they get, in their order; None:
            they keep their own.
    """
    for name in ("meshes", "textures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    frame = np.eye(4) if frame is None else frame
    true = {o.name: o for o in truth.objects}
    called = {name: name if partners is None else partners[name].name for name in true}
    objects = [
        _object(truth.spec, true[name], folder, frame, called, None if partners is None else partners[name])
        for name in (true if partners is None else partners)
    ]
    return Scene(
        name=truth.name,
        surfaces=tuple(_surfaces(truth, folder, frame)),
        objects=tuple(objects),
        source={"seed": truth.seed, "layout": truth.layout, "support": truth.support},
    ).in_folder(folder)


# Objects --------------------------------------------------------------------------------------------------------------


def _object(
    spec: Any, o: TruthObject, folder: Path, frame: Float, called: Mapping[str, str], partner: SceneObject | None
) -> SceneObject:
    body, name = spec.body(o.name), called[o.name]
    scene_from_own = frame @ _transform(o.position, o.quaternion)
    solid = trimesh.transform_points(o.vertices, np.linalg.inv(_transform(o.position, o.quaternion)))
    own_from_body = _axes(o, scene_from_own, partner)
    inside = solid @ own_from_body[:3, :3]
    low, high = inside.min(axis=0), inside.max(axis=0)
    own_from_body[:3, 3] = own_from_body[:3, :3] @ ((low + high) / 2)
    body_from_own: Float = np.linalg.inv(own_from_body).astype(np.float64)
    parts = [geom for geom in body.geoms if geom.contype]
    turn = body_from_own[:3, :3]
    xx, yy, zz, xy, xz, yz = body.fullinertia
    tensor = turn @ np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]) @ turn.T
    return SceneObject(
        name=name,
        category=o.category,
        mobility="free",
        size=_size(high - low),
        support=called.get(o.stands_on, o.stands_on),
        body=Body(
            pose=_pose(scene_from_own @ own_from_body),
            collision=tuple(
                _collision(spec, geom, body_from_own, folder, f"meshes/{name}_collision_{k}.obj")
                for k, geom in enumerate(parts)
            ),
            visual=_visual(spec, [geom for geom in body.geoms if not geom.contype], body_from_own, folder, name),
            inertial=inertial(exact(body.mass), trimesh.transform_points([body.ipos], body_from_own)[0], tensor),
            friction=exact(float(parts[0].friction[0])),
        ),
    )


def _axes(o: TruthObject, scene_from_own: Float, partner: SceneObject | None) -> Float:
    """own_from_body [4, 4], a turn about the object's own Z: by quarters, or of round things by any angle."""
    found = np.eye(4)
    if partner is not None:
        wanted = _transform(partner.body.pose.position, partner.body.pose.quaternion)[:2, 0]
        along = scene_from_own[:2, :2].T @ wanted
        angle = float(np.arctan2(along[1], along[0]))
        if o.yaw_symmetry != "any":
            angle = round(angle / (np.pi / 2)) * np.pi / 2
        found[:3, :3] = Rotation.from_euler("z", angle).as_matrix()
    return found


def _collision(spec: Any, geom: Any, body_from_own: Float, folder: Path, path: str) -> CollisionGeom:
    pose = body_from_own @ _transform(geom.pos, geom.quat)
    if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
        points = np.array(spec.mesh(geom.meshname).uservert).reshape(-1, 3)
        hull = trimesh.convex.convex_hull(trimesh.transform_points(points, pose))
        (folder / path).write_text(obj_text(hull.vertices, hull.faces), encoding="utf-8")
        return CollisionGeom(shape="mesh", size=_size(hull.extents), mesh=path)
    a, b, c = (2 * float(half) for half in geom.size)
    shape = _SHAPES[geom.type]
    sizes = {"box": (a, b, c), "cylinder": (a, a, b), "capsule": (a, a, a + b)}
    return CollisionGeom(shape=shape, size=sizes[shape], pose=_pose(pose))  # type: ignore[arg-type]


def _visual(spec: Any, drawn: Sequence[Any], body_from_own: Float, folder: Path, name: str) -> Visual:
    """All that is drawn of a body as one mesh, its pictures below one another in one."""
    vertices: list[Float] = []
    faces: list[NDArray[np.int64]] = []
    uv: list[Float] = []
    pictures: list[Image] = []
    for geom in drawn:
        mesh = spec.mesh(geom.meshname)
        face = np.array(mesh.userface, dtype=np.int64).reshape(-1, 3)
        faces.append(face + sum(map(len, vertices)))
        vertices.append(np.array(mesh.uservert).reshape(-1, 3))
        picture = _picture(spec, geom.material)
        corners = np.full((len(face), 3, 2), 0.5)  # of a plain colour any point will do
        if mesh.usertexcoord:
            known = np.array(mesh.usertexcoord, dtype=np.float64).reshape(-1, 2)
            corners = known[np.array(mesh.userfacetexcoord, dtype=np.int64).reshape(-1, 3)]
        # MuJoCo counts its own coordinates from a picture's top row, those of OBJ files from the bottom one.
        uv.append(np.stack([corners[..., 0], 1 - (corners[..., 1] + len(pictures)) / len(drawn)], axis=-1))
        pictures.append(np.asarray(PILImage.fromarray(picture).resize((PICTURE, PICTURE)), dtype=np.uint8))
    points, corners_of = trimesh.transform_points(np.concatenate(vertices), body_from_own), np.concatenate(faces)
    files = f"meshes/{name}.obj", f"textures/{name}.png"
    text = obj_text(points, corners_of, np.concatenate(uv), corner_normals(points, corners_of))
    (folder / files[0]).write_text(text, encoding="utf-8")
    PILImage.fromarray(np.concatenate(pictures)).save(folder / files[1])
    return Visual(mesh=files[0], material=Material(rgba=(1, 1, 1, 1), texture=files[1]))


def _picture(spec: Any, material: str) -> Image:
    """uint8 [H, W, 3]: a material's texture, or a pixel of its colour."""
    found = spec.material(material)
    name = found.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB]
    if not name:
        return np.array(255 * np.clip(found.rgba[:3], 0, 1), dtype=np.uint8).reshape(1, 1, 3)
    texture = spec.texture(name)
    return np.frombuffer(texture.data, dtype=np.uint8).reshape(texture.height, texture.width, 3)


# Surfaces -------------------------------------------------------------------------------------------------------------


def _surfaces(truth: GroundTruthScene, folder: Path, frame: Float) -> list[Surface]:
    x, y = trimesh.transform_points([[*truth.surface_center, 0.0]], frame)[0, :2]
    side, thick = _FLOOR
    ground = Pose(position=(float(x), float(y), -thick / 2), quaternion=_pose(frame).quaternion)
    found = [_surface(truth.spec, "floor", "floor", ground, np.array([side, side, thick]))]
    for name, kind in (("table", "table"), ("wall", "wall")):
        geom = truth.spec.geom(name)
        if geom is not None:
            pose = _pose(frame @ _transform(geom.pos, geom.quat))
            found.append(_surface(truth.spec, name, kind, pose, 2 * np.array(geom.size)))  # type: ignore[arg-type]
    if truth.surface_size is not None:
        path = "textures/table.png"
        top = _tiled(_picture(truth.spec, "table"), truth.surface_size)
        PILImage.fromarray(top).save(folder / path)
        found[1] = found[1].model_copy(update={"material": Material(rgba=(1, 1, 1, 1), texture=path)})
    return found


def _surface(spec: Any, name: str, kind: SurfaceKind, pose: Pose, size: Float) -> Surface:
    r, g, b = (float(v) for v in _picture(spec, name).reshape(-1, 3).mean(axis=0) / 255)
    friction = exact(float(spec.geom(name).friction[0]))
    return Surface(
        name=name, kind=kind, pose=pose, size=_size(size), material=Material(rgba=(r, g, b, 1)), friction=friction
    )


def _tiled(pattern: Image, size: tuple[float, float]) -> Image:
    """A pattern that repeats every `_TILE` metres over a plate of `size` [m], from its middle on, seen from above."""
    apart = (np.arange(_TABLE_PICTURE) + 0.5) / _TABLE_PICTURE - 0.5
    rows, columns = (
        (way * extent / _TILE % 1 * texels).astype(int)
        for way, extent, texels in ((-apart, size[1], pattern.shape[0]), (apart, size[0], pattern.shape[1]))
    )
    return np.asarray(pattern[rows][:, columns])


# Numbers --------------------------------------------------------------------------------------------------------------


def _transform(position: Any, quaternion: Any) -> Float:
    """[4, 4] of a position [3] and a quaternion (w, x, y, z)."""
    w, x, y, z = quaternion
    found = np.eye(4)
    found[:3, :3], found[:3, 3] = Rotation.from_quat([x, y, z, w]).as_matrix(), position
    return found


def _pose(transform: Float) -> Pose:
    x, y, z, w = (float(v) for v in Rotation.from_matrix(transform[:3, :3]).as_quat())
    return Pose(position=_vector(transform[:3, 3]), quaternion=(w, x, y, z))


def _vector(values: Float) -> Vec3:
    x, y, z = (float(v) for v in values)
    return (x, y, z)


def _size(values: Float) -> Size3:
    return _vector(values)
