"""From a compiled world to what a renderer without OpenGL is told of it; see `world_models.hybrid.surfaces`.

Round shapes become as many flat faces as MuJoCo's own renderer makes of them, so that both show the same outlines.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import TaskError
from ...world_models.hybrid.kinematics import Tree
from ...world_models.hybrid.surfaces import Appearance, Camera, Faces, Lights, Skeleton
from ..segmentation import Segmentation
from .shapes import Piece, geom_piece, site_piece
from .texels import Palette

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHOWN = 3  # groups of geoms and sites below this are drawn by default
_FREE, _BALL, _SLIDE = (
    int(kind) for kind in (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL, mujoco.mjtJoint.mjJNT_SLIDE)
)
_LEAST = 1e-5  # [m]: shorter sides are none


def appearance(model: mujoco.MjModel, table: Segmentation, *, slices: int, stacks: int) -> Appearance:
    """How a scene looks.

    Args:
        model: the drawn one, see `World.drawn`. table: what its things show in segmentation pictures.
        slices, stacks: of round shapes, all around and from pole to pole.

    Raises:
        TaskError: something in it cannot be drawn this way; the message says what.
    """
    data = mujoco.MjData(model)
    data.qpos[:] = 0.0
    data.qpos[_poses(model)] = [0, 0, 0, 1, 0, 0, 0]
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    carriers = _Carriers(model, data)
    palette = Palette(model)
    pieces = []
    for geom in range(model.ngeom):
        if model.geom_group[geom] < _SHOWN and model.geom_rgba[geom, 3] > 0:
            piece = geom_piece(model, geom, palette, slices=slices, stacks=stacks)
            if piece is not None:
                at, turned = data.geom_xpos[geom], data.geom_xmat[geom].reshape(3, 3)
                body, gloss = int(model.geom_bodyid[geom]), _gloss(model, int(model.geom_matid[geom]))
                pieces.append((piece, at, turned, body, int(table.geoms[geom]), gloss))
    for site in range(model.nsite):
        if model.site_group[site] < _SHOWN and model.site_rgba[site, 3] > 0:
            piece = site_piece(model, site, palette, slices=slices, stacks=stacks)
            at, turned = data.site_xpos[site], data.site_xmat[site].reshape(3, 3)
            body, gloss = int(model.site_bodyid[site]), _gloss(model, int(model.site_matid[site]))
            pieces.append((piece, at, turned, body, int(table.sites[site]), gloss))
    return Appearance(
        skeleton=carriers.skeleton,
        faces=_faces(pieces, carriers),
        textures=palette.textures(),
        lights=_lights(model, data),
        cameras={name: carriers.camera(data, name) for name in _cameras(model)},
    )


class _Carriers:
    """What moves surfaces and cameras: the world, links and free bodies; poses where all joints are at 0."""

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model = model
        moved = [j for j in range(model.njnt) if model.jnt_type[j] != _FREE]
        bad = next((j for j in moved if model.jnt_type[j] == _BALL), None)
        if bad is not None:
            raise TaskError(
                f"renderer='neural' cannot draw joint {model.joint(bad).name!r}, which is a ball; use renderer='gl'"
            )
        free = [j for j in range(model.njnt) if model.jnt_type[j] == _FREE]
        number = {int(model.jnt_bodyid[j]): k for k, j in enumerate(free)}
        self._of = np.zeros(model.nbody, dtype=np.int64)  # carriers of bodies
        self._frames: list[tuple[Array, Array]] = [(np.zeros(3), np.eye(3))]
        parent, root, place, rotation, axis = [], [], [], [], []
        bodies: dict[int, list[int]] = {}
        for link, joint in enumerate(moved):
            bodies.setdefault(int(model.jnt_bodyid[joint]), []).append(link)
        roots = np.full(model.nbody, -1)
        for body in range(1, model.nbody):
            above = int(model.body_parentid[body])
            self._of[body], roots[body] = self._of[above], roots[above]
            if body in number:
                self._of[body], roots[body] = 1 + len(moved) + number[body], number[body]
            for link in bodies.get(body, []):
                joint, carrier = moved[link], int(self._of[body])
                stem = self._frames[carrier] if 0 < carrier <= len(moved) else (np.zeros(3), np.eye(3))
                frame = (data.xanchor[joint].copy(), data.xmat[body].reshape(3, 3).copy())
                parent.append(carrier - 1 if 0 < carrier <= len(moved) else -1)
                root.append(int(roots[body]))
                place.append(stem[1].T @ (frame[0] - stem[0]))
                rotation.append(stem[1].T @ frame[1])
                axis.append(frame[1].T @ data.xaxis[joint])
                self._frames.append(frame)
                self._of[body] = link + 1
        # Free bodies stand in the world's frame here: their own frames are that of the world.
        self._frames += [(np.zeros(3), np.eye(3))] * len(free)
        tree = Tree(
            parent=np.array(parent, dtype=np.int64),
            slides=model.jnt_type[moved] == _SLIDE,
            position=np.array(place).reshape(-1, 3),
            rotation=np.array(rotation).reshape(-1, 3, 3),
            axis=np.array(axis).reshape(-1, 3),
            zero=np.zeros(len(moved)),
        )
        self.skeleton = Skeleton(
            tree=tree,
            root=np.array(root, dtype=np.int64),
            joint=np.asarray(model.jnt_qposadr[moved], dtype=np.int64),
            free=np.asarray(model.jnt_qposadr[free], dtype=np.int64),
        )

    def of(self, body: int) -> int:
        """The carrier of a body."""
        return int(self._of[body])

    def inside(self, carrier: int, points: Array) -> Array:
        """Points (n, 3) of the world, where all joints are at 0, in the frame of a carrier."""
        at, turned = self._frames[carrier]
        return np.asarray((points - at) @ turned)

    def turned(self, carrier: int, directions: Array) -> Array:
        """Likewise directions (..., 3)."""
        return np.asarray(directions @ self._frames[carrier][1])

    def camera(self, data: mujoco.MjData, name: str) -> Camera:
        """A camera of the model."""
        model, number = self._model, self._model.camera(name).id
        if model.cam_mode[number] != mujoco.mjtCamLight.mjCAMLIGHT_FIXED:
            raise TaskError(f"renderer='neural' cannot draw camera {name!r}: it follows a body; use renderer='gl'")
        carrier = self.of(int(model.cam_bodyid[number]))
        frame = data.cam_xmat[number].reshape(3, 3)
        return Camera(
            carrier=carrier,
            position=_single(self.inside(carrier, data.cam_xpos[number][None])[0]),
            rotation=_single(self.turned(carrier, frame.T).T),
            slope=float(np.tan(np.radians(model.cam_fovy[number]) / 2)),
            near=float(model.vis.map.znear * model.stat.extent),
            far=float(model.vis.map.zfar * model.stat.extent),
        )


def _cameras(model: mujoco.MjModel) -> list[str]:
    fixed = mujoco.mjtCamLight.mjCAMLIGHT_FIXED
    return [model.camera(k).name for k in range(model.ncam) if model.cam_mode[k] == fixed]


def _poses(model: mujoco.MjModel) -> Ints:
    free = model.jnt_qposadr[np.flatnonzero(model.jnt_type == _FREE)]
    return np.asarray(free[:, None] + np.arange(7))


def _gloss(model: mujoco.MjModel, material: int) -> tuple[float, float]:
    """How strongly, and how sharply a thing shines; MuJoCo's own defaults where it has no material."""
    if material < 0:
        return 0.5, 0.5
    return float(model.mat_specular[material]), float(model.mat_shininess[material])


def _faces(pieces: Sequence[tuple[Piece, Array, Array, int, int, tuple[float, float]]], carriers: _Carriers) -> Faces:
    vertex, carrier, corner, normal, mapped, texture, label, gloss = ([] for _ in range(8))
    count = 0
    for piece, at, turned, body, shown, shine in pieces:
        mine = carriers.of(body)
        points = carriers.inside(mine, piece.vertex @ turned.T + at)
        a, b, c, d = (points[piece.corner[:, k]] for k in range(4))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1) + np.linalg.norm(np.cross(c - a, d - a), axis=1)
        kept = np.flatnonzero(area > _LEAST**2)
        vertex.append(points)
        carrier.append(np.full(len(points), mine))
        corner.append(piece.corner[kept] + count)
        normal.append(carriers.turned(mine, piece.normal[kept] @ turned.T))
        mapped.append(piece.map[kept])
        texture.append(piece.texture[kept])
        label.append(np.full(len(kept), shown))
        gloss.append(np.tile(shine, (len(kept), 1)))
        count += len(points)
    return Faces(
        vertex=_single(np.concatenate(vertex)),
        carrier=np.concatenate(carrier),
        corner=np.concatenate(corner),
        normal=_single(np.concatenate(normal)),
        map=_single(np.concatenate(mapped)),
        texture=np.concatenate(texture),
        label=np.concatenate(label),
        gloss=_single(np.concatenate(gloss)),
    )


def _lights(model: mujoco.MjModel, data: mujoco.MjData) -> Lights:
    """Lights of a model. Those with a place count as far away, in the direction they look."""
    head = model.vis.headlight
    on = np.flatnonzero(model.light_active) if model.nlight else np.zeros(0, dtype=np.int64)
    worn = float(head.active > 0)
    found = (
        worn * head.ambient + model.light_ambient[on].sum(0),
        np.concatenate([[[0.0, 0.0, 1.0]], -data.light_xdir[on]]),
        np.concatenate([[worn * head.diffuse], model.light_diffuse[on]]),
        np.concatenate([[worn * head.specular], model.light_specular[on]]),
    )
    return Lights(*(torch.from_numpy(_single(values)) for values in found))


def _single(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
