"""Closed solids with pictures on them, parts of the benchmark's objects, and what an object consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .ground_truth_textures import Image

Float = NDArray[np.float64]
Faces = NDArray[np.int32]

YawSymmetry = Literal["none", "180", "90", "any"]


@dataclass(frozen=True)
class Solid:
    """A closed, outward-oriented triangle mesh: vertices float64 [V, 3] metres, faces int32 [F, 3]."""

    vertices: Float
    faces: Faces

    def mesh(self) -> Any:
        """The same as a `trimesh.Trimesh`."""
        import trimesh

        return trimesh.Trimesh(self.vertices, self.faces, process=False)


@dataclass(frozen=True)
class Visual:
    """A mesh as drawn: own texture coordinates (float64 [T, 2], V upwards) or a plain colour; parts may overlap.

    `flat` shades every triangle on its own; without it MuJoCo smooths normals, even across the edges of a box.
    """

    vertices: Float
    faces: Faces
    uv: Float | None = None
    uv_faces: Faces | None = None
    texture: Image | None = None
    rgb: tuple[float, float, float] = (0.5, 0.5, 0.5)
    specular: float = 0.1
    flat: bool = False


@dataclass(frozen=True)
class Part:
    """A convex collision part: a MuJoCo primitive (`size` as MuJoCo wants it) or the hull of `points` [N, 3]."""

    kind: Literal["box", "cylinder", "capsule", "hull"]
    size: tuple[float, ...] = ()
    pos: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    points: Float = field(default_factory=lambda: np.zeros((0, 3)))


@dataclass(frozen=True)
class Blueprint:
    """One drawn object before it is placed.

    Attributes:
        category: box, can, bottle, bowl, mug, book or tool.
        solid: the exact solid (of a can or bottle: its closed outside, contents included).
        visuals: what is drawn.
        parts: convex collision parts.
        mass: kilograms.
        friction: sliding friction coefficient.
        yaw_symmetry: turns about the vertical that leave the shape the same: "none", "180", "90" or "any".
        flat_top: half extents (x, y) of a flat top on which something may stand, or None.
        stackable: whether it may stand on another object.
        materials: solids and densities (kg/m^3) it is made of, for its inertia; empty if it is homogeneous.
    """

    category: str
    solid: Solid
    visuals: tuple[Visual, ...]
    parts: tuple[Part, ...]
    mass: float
    friction: float
    yaw_symmetry: YawSymmetry
    flat_top: tuple[float, float] | None = None
    stackable: bool = True
    materials: tuple[tuple[Solid, float], ...] = ()

    def inertial(self) -> tuple[Float, Float]:
        """Centre of mass float64 [3] and inertia about it float64 [3, 3], object axes, kg m^2."""
        pieces = self.materials or ((self.solid, self.mass / float(self.solid.mesh().volume)),)
        meshes = [solid.mesh() for solid, _ in pieces]
        masses = np.array([density * mesh.volume for mesh, (_, density) in zip(meshes, pieces, strict=True)])
        centres = np.array([mesh.center_mass for mesh in meshes])
        centre = masses @ centres / masses.sum()
        inertia = np.zeros((3, 3))
        for mesh, (_, density), mass, own in zip(meshes, pieces, masses, centres, strict=True):
            arm = own - centre
            inertia += mesh.moment_inertia * density + mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
        return centre, inertia * (self.mass / masses.sum())


# Makers ---------------------------------------------------------------------------------------------------------------


def box_visual(size: Float, centre: Float, texture: Image, tile: float | None = None) -> Visual:
    """A textured cuboid; each side shows its own third of the picture, or the picture repeats every `tile` metres."""
    solid = box_solid(size, centre)
    uv, uv_faces = [], []
    normals = solid.mesh().face_normals
    for number, (face, normal) in enumerate(zip(solid.faces, normals, strict=True)):
        axis = int(np.argmax(np.abs(normal)))
        a, b = [(1, 2), (0, 2), (0, 1)][axis]
        points = solid.vertices[face] - centre
        if tile is not None:
            uv.append(points[:, [a, b]] / tile)
        else:
            flat = points[:, [a, b]] / size[[a, b]] + 0.5
            uv.append(np.stack([(flat[:, 0] + axis) / 3, flat[:, 1]], axis=-1))
        uv_faces.append([3 * number, 3 * number + 1, 3 * number + 2])
    return Visual(
        solid.vertices, solid.faces, np.concatenate(uv), np.array(uv_faces, dtype=np.int32), texture, flat=True
    )


def cuboid(category: str, size: Float, mass: float, rng: np.random.Generator, texture: Image) -> Blueprint:
    """A box with a picture on its sides, of evenly spread mass [kg]."""
    centre = np.array([0, 0, size[2] / 2])
    half = (float(size[0] / 2), float(size[1] / 2), float(size[2] / 2))
    square = abs(size[0] / size[1] - 1) < 0.05
    return Blueprint(
        category,
        box_solid(size, centre),
        (box_visual(size, centre, texture),),
        (Part("box", half, (0, 0, half[2])),),
        mass,
        float(rng.uniform(0.35, 0.6)),
        "90" if square else "180",
        flat_top=(half[0], half[1]),
    )


def box_solid(size: Float, centre: Float) -> Solid:
    """A closed box by full extents and middle, both [3]."""
    import trimesh

    mesh = trimesh.creation.box(extents=size)
    return Solid(np.asarray(mesh.vertices) + centre, np.asarray(mesh.faces, dtype=np.int32))


def lathed(profile: list[tuple[float, float]], segments: int, texture: Image, specular: float) -> tuple[Solid, Visual]:
    """Turn a closed (r, z) profile that starts and ends on the axis, counter-clockwise seen with r to the right."""
    points = np.asarray(profile, dtype=np.float64)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    along /= along[-1]
    turn = 2 * np.pi * np.arange(segments) / segments
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    rows: list[list[int]] = []
    vertices: list[Float] = []
    for r, z in points:
        if r == 0:
            rows.append([len(vertices)] * (segments + 1))
            vertices.append(np.array([0.0, 0.0, z]))
        else:
            first = len(vertices)
            rows.append([*range(first, first + segments), first])
            vertices.extend(np.array([r * c, r * s, z]) for c, s in ring)
    uv = np.stack(np.meshgrid(np.linspace(0, 1, segments + 1), along), axis=-1).reshape(-1, 2)
    faces, uv_faces = [], []
    for i in range(len(points) - 1):
        for j in range(segments):
            a, b, c, d = rows[i][j], rows[i][j + 1], rows[i + 1][j + 1], rows[i + 1][j]
            ta, tb = i * (segments + 1) + j, i * (segments + 1) + j + 1
            tc, td = tb + segments + 1, ta + segments + 1
            if len({a, b, c}) == 3:
                faces.append([a, b, c])
                uv_faces.append([ta, tb, tc])
            if len({a, c, d}) == 3:
                faces.append([a, c, d])
                uv_faces.append([ta, tc, td])
    solid = Solid(np.asarray(vertices), np.asarray(faces, dtype=np.int32))
    corners, corner_faces = _creased(solid, np.asarray(uv_faces) // (segments + 1), points)
    return solid, Visual(corners, corner_faces, uv, np.asarray(uv_faces, dtype=np.int32), texture, specular=specular)


def _creased(solid: Solid, rows: NDArray[np.intp], profile: Float) -> tuple[Float, Faces]:
    """The same triangles with rings doubled where the profile bends sharply, so that shading shows the edge.

    `rows` [F, 3] is the profile row of each face corner. Returns vertices and faces.
    """
    along = np.diff(profile, axis=0)
    heading = np.arctan2(along[:, 1], along[:, 0])
    bend = np.abs((np.diff(heading) + np.pi) % (2 * np.pi) - np.pi)
    run = np.concatenate([[0], np.cumsum(bend > np.radians(40))])  # smooth stretch each segment belongs to
    face_run = run[rows.min(axis=1)]
    keys, faces = np.unique(
        np.stack([solid.faces.ravel(), np.repeat(face_run, 3)], axis=-1), axis=0, return_inverse=True
    )
    return solid.vertices[keys[:, 0]], faces.reshape(-1, 3).astype(np.int32)


def ring_points(rings: list[tuple[float, float]], segments: int) -> Float:
    """Points [len(rings) * segments, 3] on circles about z, given by (radius, height)."""
    turn = 2 * np.pi * np.arange(segments) / segments
    return np.concatenate(
        [np.stack([r * np.cos(turn), r * np.sin(turn), np.full(segments, z)], axis=-1) for r, z in rings]
    )


def ring_wedges(
    outer_low: tuple[float, float],
    outer_high: tuple[float, float],
    inner_low: tuple[float, float],
    inner_high: tuple[float, float],
    sectors: int,
) -> tuple[Part, ...]:
    """A turned wall between two (r, z) segments as convex wedges, one for each sector, bulging to the true radius."""
    parts = []
    for k in range(sectors):
        turn = 2 * np.pi * (k + np.array([0.0, 0.5, 1.0])) / sectors
        points = [
            np.stack([r * np.cos(turn), r * np.sin(turn), np.full(3, z)], axis=-1) for r, z in (outer_low, outer_high)
        ]
        ends = turn[[0, 2]]
        points += [
            np.stack([r * np.cos(ends), r * np.sin(ends), np.full(2, z)], axis=-1) for r, z in (inner_low, inner_high)
        ]
        parts.append(Part("hull", points=np.concatenate(points)))
    return tuple(parts)


def tube(path: Float, radius: float, sides: int) -> Solid:
    """A round bar swept along a path in the XZ plane, closed by flat ends."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.array([0.0, 1.0, 0.0])
    turn = 2 * np.pi * np.arange(sides) / sides
    vertices = [
        p + radius * (np.cos(a) * across + np.sin(a) * np.cross(t, across))
        for p, t in zip(path, tangent, strict=True)
        for a in turn
    ]
    faces = []
    for i in range(len(path) - 1):
        for j in range(sides):
            a, b = i * sides + j, i * sides + (j + 1) % sides
            faces += [[a, b, b + sides], [a, b + sides, a + sides]]
    first, last = len(vertices), len(vertices) + 1
    vertices += [path[0], path[-1]]
    end = (len(path) - 1) * sides
    for j in range(sides):
        faces += [[first, (j + 1) % sides, j], [last, end + j, end + (j + 1) % sides]]
    solid = Solid(np.asarray(vertices), np.asarray(faces, dtype=np.int32))
    if solid.mesh().volume < 0:
        solid = Solid(solid.vertices, solid.faces[:, ::-1].copy())
    return solid


def lying_prism(radius: float, start: float, end: float, sides: int) -> Solid:
    """A regular prism along X with a flat side down."""
    import trimesh

    turn = 2 * np.pi * (np.arange(sides) + 0.5) / sides
    ring = radius * np.stack([np.zeros(sides), np.cos(turn), np.sin(turn)], axis=-1)
    hull = trimesh.convex.convex_hull(np.concatenate([ring + np.array([start, 0, 0]), ring + np.array([end, 0, 0])]))
    return Solid(np.asarray(hull.vertices), np.asarray(hull.faces, dtype=np.int32))


def slab(outline: Float, thick: float) -> Float:
    """Points of a plate over a convex outline [N, 2]."""
    return np.concatenate([np.column_stack([outline, np.full(len(outline), z)]) for z in (0.0, thick)])


def capsule(a: Float, b: Float, radius: float) -> Part:
    """A capsule between two points [3] as a collision part."""
    from scipy.spatial.transform import Rotation

    axis = b - a
    length = float(np.linalg.norm(axis))
    turn, _ = Rotation.align_vectors([axis / length], [[0.0, 0.0, 1.0]])
    x, y, z, w = turn.as_quat()
    middle = (a + b) / 2
    return Part(
        "capsule",
        (radius, length / 2),
        (float(middle[0]), float(middle[1]), float(middle[2])),
        (float(w), float(x), float(y), float(z)),
    )


def union(solids: list[Solid]) -> Solid:
    """Exact boolean union (manifold3d)."""
    from manifold3d import Manifold, Mesh  # type: ignore[import-not-found]

    whole = Manifold()
    for solid in solids:
        whole += Manifold(Mesh(np.asarray(solid.vertices, dtype=np.float32), np.asarray(solid.faces, dtype=np.uint32)))
    mesh = whole.to_mesh()
    return Solid(np.asarray(mesh.vert_properties[:, :3], dtype=np.float64), np.asarray(mesh.tri_verts, dtype=np.int32))
