"""Pieces that a body is glued from: each with its look, its material, and the convex shapes it is felt by."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import trimesh
from manifold3d import Manifold, OpType
from PIL import Image

from ...scenes.mass import inertial
from ...scenes.obj import corner_normals, obj_text
from ...scenes.primitives import box, cylinder
from ...scenes.scene import (
    Body,
    CollisionGeom,
    Estimate,
    Handle,
    Inertial,
    Joint,
    Material,
    Pose,
    Rgba,
    Vec3,
    Visual,
)
from .asset import file_name, stored
from .materials import Substance
from .shapes import FINE, Float, Shape, block, hull, rod

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Finish:
    """A material in a colour."""

    substance: Substance
    rgba: Rgba


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of a rigid body.

    Attributes:
        look: its outside as drawn.
        finish: material and colour.
        collision: primitives, or corners [N, 3] of convex hulls, that it is felt by.
        matter: what weighs, where that is not the look filled with the material: solids and what they are made of.
        plain: the collision shapes are exactly what is drawn.
    """

    look: Shape
    finish: Finish
    collision: tuple[CollisionGeom | Float, ...] = ()
    matter: tuple[tuple[Shape, Substance], ...] | None = None
    plain: bool = False

    @property
    def weighs(self) -> tuple[tuple[Shape, Substance], ...]:
        """Solids with their material."""
        return ((self.look, self.finish.substance),) if self.matter is None else self.matter


@dataclass(frozen=True, eq=False)
class Moving:
    """A part that moves: `origin` is a point of its joint's axis; pieces and handle are in the object's frame."""

    name: str
    kind: str
    joint: Joint
    origin: Place
    pieces: tuple[Piece, ...]
    handle: Handle | None = None


@dataclass(frozen=True, eq=False)
class Design:
    """What a category makes: pieces and moving parts, in any common frame with Z up."""

    pieces: tuple[Piece, ...]
    parts: tuple[Moving, ...] = ()

    @property
    def bounds(self) -> Float:
        """Lowest and highest corner [2, 3] of everything as drawn."""
        boxes = [piece.look.bounds for piece in (*self.pieces, *(p for part in self.parts for p in part.pieces))]
        return np.array([np.min([b[0] for b in boxes], axis=0), np.max([b[1] for b in boxes], axis=0)])


def board(x: float, y: float, z: float, at: Place, finish: Finish) -> Piece:
    """A box of full extents [m]."""
    return Piece(block(x, y, z, at), finish, (box(x, y, z, at=at),), plain=True)


def boards(shapes: Sequence[CollisionGeom], finish: Finish) -> tuple[Piece, ...]:
    """Boxes along the axes, one piece each."""
    return tuple(board(*shape.size, shape.pose.position, finish) for shape in shapes)


def disc(x: float, y: float, z: float, at: Place, finish: Finish) -> Piece:
    """An upright cylinder of diameters x and y [m]; an oval one is felt as a hull."""
    look = rod(1.0, z).scaled(x, y).moved(*at)
    if x == y:
        return Piece(look, finish, (cylinder(x, z, at=at),), plain=True)
    return Piece(look, finish, (look.points,))


def convex(look: Shape, finish: Finish) -> Piece:
    """Something convex with few corners, felt as it looks."""
    return Piece(look, finish, (look.points,))


def solid_hull(points: Sequence[Place] | Float, finish: Finish) -> Piece:
    """The convex hull of points."""
    return convex(hull(points), finish)


def shifted(piece: Piece, x: float, y: float, z: float) -> Piece:
    """The piece moved by x, y, z [m]."""
    shift = np.array([x, y, z])
    collision: list[CollisionGeom | Float] = []
    for shape in piece.collision:
        if isinstance(shape, CollisionGeom):
            a, b, c = (float(v) for v in np.asarray(shape.pose.position) + shift)
            moved = shape.pose.model_copy(update={"position": (a, b, c)})
            collision.append(shape.model_copy(update={"pose": moved}))
        else:
            collision.append(shape + shift)
    matter = piece.matter and tuple((solid.moved(x, y, z), substance) for solid, substance in piece.matter)
    return Piece(piece.look.moved(x, y, z), piece.finish, tuple(collision), matter, piece.plain)


def rigid_body(pieces: Sequence[Piece], middle: Float, position: Vec3, files: dict[str, bytes]) -> Body:
    """The body of pieces glued together.

    Args:
        pieces: in the object's frame. middle: where in that frame the body's own frame is [3].
        position: the body's position in its parent. files: meshes and textures are added here.
    """
    x, y, z = (float(v) for v in -middle)
    local = [shifted(piece, x, y, z) for piece in pieces]
    collision = tuple(_collision(shape, files) for piece in local for shape in piece.collision)
    colours = list(dict.fromkeys(piece.finish.rgba for piece in pieces))
    if len(colours) == 1 and all(piece.plain for piece in pieces):
        visual = Visual(material=Material(rgba=colours[0]))
    else:
        visual = _visual(local, colours, files)
    heaviest = max(pieces, key=lambda piece: abs(piece.look.look.volume()))
    return Body(
        pose=Pose(position=position),
        collision=collision,
        visual=visual,
        inertial=mass_of(local),
        friction=heaviest.finish.substance.friction,
    )


def mass_of(pieces: Sequence[Piece]) -> Inertial:
    """Mass and inertia of pieces, in the frame they are in; volume that they share counts once, for the first."""
    volumes: dict[str, float] = {}
    substances: dict[str, Substance] = {}
    moments, inertia = np.zeros(3), np.zeros((3, 3))
    taken: list[Manifold] = []
    for piece in pieces:
        for shape, substance in piece.weighs:
            solid = shape.make(FINE)
            free = Manifold.batch_boolean([solid, *taken], OpType.Subtract) if taken else solid
            taken.append(solid)
            volume, first, second = _moments(free)
            substances[substance.name] = substance
            volumes[substance.name] = volumes.get(substance.name, 0.0) + volume
            density = substance.density.value
            moments += density * first
            inertia += density * second
    total, low, high = (
        sum(volume * getattr(substances[name].density, bound) for name, volume in volumes.items())
        for bound in ("value", "low", "high")
    )
    told = " + ".join(
        f"{1e6 * volume:.0f} cm^3 of {name} at {substances[name].density.value:g} kg/m^3 "
        f"({substances[name].density.source})"
        for name, volume in volumes.items()
    )
    com = moments / total
    about_com = inertia - total * (com @ com * np.eye(3) - np.outer(com, com))
    return inertial(Estimate(value=total, low=low, high=high, source=told), com, about_com)


def _moments(solid: Manifold) -> tuple[float, Float, Float]:
    """Volume [m^3], its first moment [3] and its inertia at unit density about the origin [3, 3]."""
    mesh = solid.to_mesh64()
    triangles = np.asarray(mesh.vert_properties[:, :3], np.float64)[np.asarray(mesh.tri_verts, np.int64)]
    if not len(triangles):
        return 0.0, np.zeros(3), np.zeros((3, 3))
    found = trimesh.triangles.mass_properties(triangles, density=1.0, center_mass=np.zeros(3))
    centre = np.einsum("tij,t->j", triangles, np.linalg.det(triangles)) / 24
    return float(found["volume"]), centre, np.asarray(found["inertia"])


def _collision(shape: CollisionGeom | Float, files: dict[str, bytes]) -> CollisionGeom:
    if isinstance(shape, CollisionGeom):
        return shape
    solid = Manifold.hull_points(np.ascontiguousarray(shape))
    mesh = solid.to_mesh64()
    text = obj_text(np.asarray(mesh.vert_properties[:, :3]), np.asarray(mesh.tri_verts, np.int64))
    x, y, z = (float(v) for v in np.ptp(shape, axis=0))
    return CollisionGeom(shape="mesh", size=(x, y, z), mesh=stored(text, files))


def _visual(pieces: Sequence[Piece], colours: list[Rgba], files: dict[str, bytes]) -> Visual:
    solids = [piece.look.look.as_original() for piece in pieces]
    colour_of = {
        solid.original_id(): colours.index(piece.finish.rgba) for solid, piece in zip(solids, pieces, strict=True)
    }
    mesh = Manifold.batch_boolean(solids, OpType.Add).to_mesh64()
    vertices, faces = np.asarray(mesh.vert_properties[:, :3]), np.asarray(mesh.tri_verts, np.int64)
    normals = corner_normals(vertices, faces)
    if len(colours) == 1:
        text = obj_text(vertices, faces, None, normals)
        return Visual(mesh=stored(text, files), material=Material(rgba=colours[0]))
    starts = np.asarray(mesh.run_index) // 3
    index = np.zeros(len(faces), np.int64)
    for run, original in enumerate(mesh.run_original_id):
        index[starts[run] : starts[run + 1]] = colour_of[int(original)]
    uv = np.stack([np.repeat((index[:, None] + 0.5) / len(colours), 3, axis=1), np.full((len(faces), 3), 0.5)], axis=2)
    contents = _palette(tuple(colours))
    texture = file_name("textures", contents, "png")
    files[texture] = contents
    text = obj_text(vertices, faces, uv, normals)
    return Visual(mesh=stored(text, files), material=Material(rgba=(1, 1, 1, 1), texture=texture))


@cache
def _palette(colours: tuple[Rgba, ...]) -> bytes:
    """A PNG with a square of 4 pixels for each colour, side by side."""
    pixels = np.array([[round(255 * v) for v in colour[:3]] for colour in colours], np.uint8)
    stream = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(pixels[None], 4, axis=0), 4, axis=1)).save(stream, "PNG")
    return stream.getvalue()
